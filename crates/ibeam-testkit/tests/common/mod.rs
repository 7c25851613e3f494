//! What the suite shares: tests that are to fail, and what they say.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ibeam::process::Termination;
use ibeam_testkit::{Driver, Test};

/// The drivers that are cheap enough for every failure.
pub(crate) const DRIVERS: [Driver; 4] = [Driver::Threads, Driver::Inline, Driver::Paused, Driver::Sim];

/// What the test says when it fails, on this driver.
#[track_caller]
pub(crate) fn failure_on<F, B>(driver: Driver, body: F) -> String
where
    F: Fn() -> B,
    B: Future + Send + 'static,
    B::Output: Termination,
{
    let test = Test::new("the test", "ibeam-testkit").driver(driver).seeds(0..3);
    said(move || test.run(body)).unwrap_or_else(|| panic!("expected a failure on {driver}"))
}

/// What the panic of `f` says; `None`: it did not panic.
pub(crate) fn said(f: impl FnOnce()) -> Option<String> {
    let payload = catch_unwind(AssertUnwindSafe(f)).err()?;
    let text = payload.downcast_ref::<String>().cloned();
    Some(
        text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
            .expect("a panic with a text"),
    )
}

/// It fails on every driver, and says all of this.
#[track_caller]
pub(crate) fn check_failure<F, B>(body: F, expected: &[&str])
where
    F: Fn() -> B,
    B: Future + Send + 'static,
    B::Output: Termination,
{
    for driver in DRIVERS {
        let said = failure_on(driver, &body);
        for expected in expected {
            assert!(said.contains(expected), "on {driver}: expected {expected:?} in:\n{said}");
        }
    }
}

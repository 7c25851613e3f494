//! Waiting until something is so.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use ibeam::process::{self, receive_with};

use crate::asserts::mailbox;

/// How long to wait until a condition holds, if nothing else is said.
const PATIENCE: Duration = Duration::from_secs(5);
/// On a virtual clock this much time passes only when nobody can do anything else.
const STEP: Duration = Duration::from_millis(1);

/// Waits until `condition` is true, at most for 5 s.
///
/// It is looked at again whenever the calling process gets a message, which stays in its mailbox, and after each millisecond of
/// the test's clock. A virtual clock goes on only when all others wait, so there nothing is missed and no real time is lost.
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam_testkit::prelude::*;
///
/// Test::check(async {
///     process::spawn(async {
///         process::register("late", process::self_pid()).unwrap();
///         std::future::pending::<()>().await;
///     });
///     wait_until(|| async { process::whereis("late").is_some() }).await;
/// });
/// ```
///
/// # Panics
/// If it is not true in time, with the mailbox; and outside of a process.
///
/// # Cancel safety
/// Dropping the future leaves the mailbox as it is.
#[track_caller]
pub fn wait_until<C, F>(condition: C) -> impl Future<Output = ()>
where
    C: FnMut() -> F,
    F: Future<Output = bool>,
{
    wait_until_within(PATIENCE, condition)
}

/// As [`wait_until`], for at most `limit`.
///
/// # Panics
/// As [`wait_until`].
#[track_caller]
pub fn wait_until_within<C, F>(limit: Duration, mut condition: C) -> impl Future<Output = ()>
where
    C: FnMut() -> F,
    F: Future<Output = bool>,
{
    let place = Location::caller();
    async move {
        let end = process::now() + limit;
        while !condition().await {
            if process::now() >= end {
                let mailbox = mailbox().await;
                panic!("the condition did not become true within {limit:?} ({place})\n{}", mailbox.text());
            }
            // Wakes for each new message and takes none.
            let woken = receive_with(|_| None::<()>).after(STEP);
            let _time_is_up = woken.await;
        }
    }
}

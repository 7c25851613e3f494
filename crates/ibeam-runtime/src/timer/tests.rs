//! The service on a clock that goes on at every look.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::driver::inline::Inline;
use crate::driver::{Driver, Place};
use crate::exit_reason::ExitReason;
use crate::process;
use crate::raw::ready::Ready;
use crate::runtime::metrics::DriverMetrics;
use crate::runtime::{self, Config, Shared};
use crate::time::Instant;

/// Each look at the clock takes 0.7 of a tick.
struct Hurried {
    inner: Inline,
    nanos: AtomicU64,
    told: AtomicU64,
}

impl Driver for Hurried {
    fn schedule(&self, ready: Ready, place: Place) {
        self.inner.schedule(ready, place);
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.nanos.fetch_add(700_000, SeqCst))
    }

    fn timer_armed(&self) {
        self.told.fetch_add(1, SeqCst);
    }

    fn stop(&self, _patience: Duration) -> bool {
        true
    }

    fn metrics(&self) -> DriverMetrics {
        DriverMetrics::default()
    }
}

/// Occurrences that become due while others are fired: either the same look fires them, or the driver is told.
#[tokio::test]
async fn what_becomes_due_meanwhile_is_not_overlooked() {
    let driver =
        Arc::new(Hurried { inner: Inline::new(), nanos: AtomicU64::new(0), told: AtomicU64::new(0) });
    let shared = Arc::new(Shared::new(Arc::clone(&driver) as Arc<dyn Driver>, Config::default()));
    let entered = runtime::enter(&shared);
    let receiver = process::spawn(pending::<()>());
    process::send_interval(receiver, "tick", Duration::from_millis(1));
    for _ in 0..100 {
        driver.nanos.fetch_add(20_000_000, SeqCst);
        let (now, told) = (driver.now(), driver.told.load(SeqCst));
        assert!(shared.timers.fire(&shared, now));
        assert!(shared.timers.next().is_some_and(|next| next > now), "all that were due have fired");
        assert!(driver.told.load(SeqCst) > told, "it sleeps until the next one");
    }
    shared.signal_all(&ExitReason::Kill);
    assert!(driver.inner.poll_turns(&shared, &Context::from_waker(Waker::noop())).is_ready());
    drop(entered);
}

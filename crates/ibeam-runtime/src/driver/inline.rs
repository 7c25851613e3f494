//! The inline driver: the worker loop as a future, on whatever executor polls it.
//!
//! Its clock is tokio's, so under a paused clock timers fire as soon as everything waits.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use crate::driver::queue::Queue;
use crate::driver::{Driver, Place};
use crate::process::run;
use crate::raw::ready::Ready;
use crate::runtime::Shared;
use crate::runtime::metrics::DriverMetrics;
use crate::time::Instant;

/// How many turns are run before the executor's other tasks get theirs.
const TURNS: usize = 64;

/// See the module.
pub(crate) struct Inline {
    start: tokio::time::Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: Queue,
    /// The task that polls us, while it sleeps.
    sleeper: Option<Waker>,
}

impl Inline {
    pub(crate) fn new() -> Self {
        Self { start: tokio::time::Instant::now(), state: Mutex::default() }
    }

    /// When that is on the executor's clock.
    pub(crate) fn on_tokio(&self, at: Instant) -> tokio::time::Instant {
        self.start + Duration::from_nanos(at.as_nanos())
    }

    /// Runs what is due. Ready: nothing is, but the waker will be used when something is. Pending: there is more.
    pub(crate) fn poll_turns(&self, shared: &Arc<Shared>, cx: &Context<'_>) -> Poll<()> {
        for _ in 0..TURNS {
            shared.timers.fire(shared, self.now());
            let ready = {
                let mut state = self.state.lock();
                let ready = state.queue.pop();
                if ready.is_none() {
                    state.sleeper = Some(cx.waker().clone());
                }
                ready
            };
            match ready {
                Some(ready) => {
                    if let Some((ready, place)) = ready.run(run::turn) {
                        self.schedule(ready, place);
                    }
                }
                None => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn wake(&self) {
        let sleeper = self.state.lock().sleeper.take();
        if let Some(waker) = sleeper {
            waker.wake();
        }
    }
}

impl Driver for Inline {
    fn schedule(&self, ready: Ready, _place: Place) {
        self.state.lock().queue.push(ready);
        self.wake();
    }

    fn now(&self) -> Instant {
        let nanos = (tokio::time::Instant::now() - self.start).as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn timer_armed(&self) {
        self.wake();
    }

    fn stop(&self, _patience: Duration) -> bool {
        true
    }

    fn metrics(&self) -> DriverMetrics {
        DriverMetrics { run_queues: vec![self.state.lock().queue.len()], ..DriverMetrics::default() }
    }
}

//! The three drivers: what runs the processes of a runtime. Process code cannot tell them apart.
//!
//! | driver | runs on | for |
//! |---|---|---|
//! | `threads` | worker threads of its own, with I/O in the idle worker | production |
//! | `inline` | the future that the program polls | tests under tokio's clock, programs with one thread |
//! | `sim` | one thread, seeded order, virtual clock | simulation |

pub(crate) mod inline;
pub(crate) mod queue;
pub(crate) mod sim;
pub(crate) mod threads;

use std::time::Duration;

use crate::raw::ready::Ready;
use crate::runtime::metrics::DriverMetrics;
use crate::time::Instant;

/// Where in a run queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// As soon as possible: who wakes a process mostly wants its answer.
    Next,
    /// Behind all others.
    Back,
    /// It has just been spawned: on threads before those that stand in the queue.
    #[default]
    Newborn,
}

/// What processes need from what runs them.
pub(crate) trait Driver: Send + Sync {
    /// Runs a turn of the process when it comes to it. From any thread.
    fn schedule(&self, ready: Ready, place: Place);

    /// The time of the runtime's clock.
    fn now(&self) -> Instant;

    /// A time that is never before [`now`](Self::now), and a few milliseconds after it at most, for less.
    fn now_coarse(&self) -> Instant {
        self.now()
    }

    /// The first timer has become an earlier one. From any thread, also under the lock of the timers: must not go there.
    fn timer_armed(&self);

    /// Does the same program run in the same way each time, as far as the driver can help it?
    fn repeats_runs(&self) -> bool {
        true
    }

    /// The runtime is over: lets go of what the driver holds, waiting for its threads at most this long. `false`: some
    /// would not come back.
    fn stop(&self, patience: Duration) -> bool;

    fn metrics(&self) -> DriverMetrics;
}

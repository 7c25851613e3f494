//! Timers that go off again and again.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::pid::Pid;
use crate::process::Termination;
use crate::process::lineage::OnBehalf;
use crate::process::send::Destination;
use crate::process::spawn::Later;
use crate::raw::future::FutureBox;
use crate::raw::node::{NoMeta, OwnedNode};
use crate::raw::pcb::Owner;
use crate::runtime::{self, Shared};
use crate::timer::Timers;
use crate::timer::interval::{Action, IntervalState};

/// The shortest period: a tick of the timers.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// Something that is done again and again. Dropping this does not end it.
///
/// # When
/// The first time is a period after the start, and each further one is due a period after the time when the one before
/// *was due*: lateness does not add up. What is late comes late, and none is left out: after a time in which nothing could
/// run, all that were due meanwhile come in a row. Never early.
///
/// Periods below 1 ms count as 1 ms.
///
/// # Erlang/OTP
/// What `timer:send_interval` and `timer:apply_interval` return.
#[derive(Clone)]
pub struct Interval {
    shared: Arc<Shared>,
    state: Arc<IntervalState>,
}

impl Interval {
    /// Ends it: once this has returned, nothing more comes. `false`: it had ended before.
    ///
    /// # Erlang/OTP
    /// `timer:cancel/1`.
    pub fn cancel(&self) -> bool {
        self.shared.timers.end(&self.state)
    }

    /// How long it will take until the next time; `None` if the interval has ended.
    #[must_use]
    pub fn read(&self) -> Option<Duration> {
        Timers::next_of(&self.state).map(|at| at - self.shared.now())
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interval").field("next", &self.read()).finish_non_exhaustive()
    }
}

/// Sends a copy of `message` every `period`, the first after one period: see [`Interval`].
///
/// It ends by [`cancel`](Interval::cancel), or with the process it is for. For a name that is the process that has it now
/// (if nobody has, the interval ends at once); while that lives, each message goes to whoever has the name then.
///
/// `clone` is called between two messages, by a worker and in no process: it should be quick, like that of a number or an
/// `Arc`. If it panics, that is reported and the interval ends.
///
/// ```
/// use ibeam_runtime::{Runtime, process};
/// use std::time::Duration;
///
/// Runtime::new().block_on(async {
///     let ticks = process::send_interval(process::self_pid(), "tick", Duration::from_millis(1));
///     for _ in 0..3 {
///         assert_eq!(process::recv().await.downcast::<&str>().unwrap(), "tick");
///     }
///     assert!(ticks.cancel());
///     assert_eq!(ticks.read(), None);
/// });
/// ```
///
/// # Panics
/// If the first `clone` does.
///
/// # Erlang/OTP
/// `timer:send_interval/2..3`.
pub fn send_interval<M>(to: impl Into<Destination>, message: M, period: Duration) -> Interval
where
    M: Clone + Send + 'static,
{
    let shared = runtime::current();
    let to = to.into();
    let owner = match &to {
        Destination::Pid(pid) => Some(*pid),
        Destination::Alias(alias) => Some(alias.pid()),
        Destination::Name(name) => shared.names.whereis(name.as_str()),
        Destination::Via(via) => via.whereis(),
    };
    // The address is filled in at each occurrence.
    let make = Box::new(move || OwnedNode::message::<M, NoMeta>(0, message.clone()));
    begin(shared, owner, true, period, Action::Send { to, next: None, make })
}

/// Calls `start` every `period` and runs its future, each time in a process of its own, the first after one period: see
/// [`Interval`]. They may overlap: nobody waits for the former to end.
///
/// It ends by [`cancel`](Interval::cancel), or with the process that called this; the processes it has started go on.
/// Called outside of processes, it ends with the runtime at the latest. Where a process cannot be started, for the limit of
/// processes, an error is logged and the interval goes on.
///
/// ```
/// use ibeam_runtime::{Runtime, process};
/// use std::time::Duration;
///
/// Runtime::new().block_on(async {
///     let me = process::self_pid();
///     process::apply_interval(Duration::from_millis(1), move || async move {
///         me.send(process::self_pid());
///     });
///     let first = process::recv().await.downcast::<ibeam_runtime::Pid>().unwrap();
///     let second = process::recv().await.downcast::<ibeam_runtime::Pid>().unwrap();
///     assert_ne!(first, second);
/// });
/// ```
///
/// # Erlang/OTP
/// `timer:apply_interval/2..4`.
pub fn apply_interval<S, F>(period: Duration, start: S) -> Interval
where
    S: Fn() -> F + Send + Sync + 'static,
    F: Future + Send + 'static,
    F::Output: Termination,
{
    let owner = Owner::current();
    let lineage = owner.map(|owner| owner.lineage_for_children(OnBehalf::Nobody));
    let start = Arc::new(start);
    let make = Box::new(move || {
        let start = Arc::clone(&start);
        // Called in the process that it starts: a panic in it is that one's.
        Later::new(FutureBox::new(async move { start().await }), lineage.clone())
    });
    begin(runtime::current(), owner.map(Owner::pid), false, period, Action::Start { next: None, make })
}

/// `needs_owner`: without a process it goes with, it is over at once.
fn begin(
    shared: Arc<Shared>,
    owner: Option<Pid>,
    needs_owner: bool,
    period: Duration,
    action: Action,
) -> Interval {
    let state = if needs_owner && owner.is_none() {
        Arc::new(IntervalState::over())
    } else {
        shared.timers.begin(&shared, owner, period.max(PERIOD_MIN), action)
    };
    Interval { shared, state }
}

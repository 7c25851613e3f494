//! Timers of a process: messages to come, sleeping, yielding. What else a timer can do is in `timers/`.

mod actions;
mod intervals;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::pid::Pid;
use crate::process::receive::may_go_on;
use crate::process::send::Destination;
use crate::raw::node::{NoMeta, OwnedNode};
use crate::raw::pcb::Owner;
use crate::reference::Reference;
use crate::runtime::{self, Shared};
use crate::time::Instant;
use crate::timeout::Timeout;
use crate::timer::alarm::{Alarm, COARSE};
use crate::timer::entry::Entry;
use crate::timer::wheel::Key;

pub use actions::{apply_after, exit_after, kill_after};
pub use intervals::{Interval, apply_interval, send_interval};

/// Something that is to be done once, later: a message sent, a process started or ended. Dropping this does not cancel it.
///
/// # Erlang/OTP
/// The reference that `send_after` and `start_timer` return, and the `timer` module's for what is done once.
#[derive(Clone)]
pub struct Timer {
    shared: Arc<Shared>,
    key: Key,
    at: Instant,
    reference: Reference,
}

impl Timer {
    /// Cancels it. `Some`: it came in time, nothing will be done, and this is how long it would have taken. `None`: it is
    /// done, or the timer was cancelled before.
    ///
    /// This is exact, whoever else cancels or fires timers at the same time: of one timer, one cancel succeeds or the deed is
    /// done, never both. After a `None` for a timer that nobody else cancels the message is in the mailbox.
    ///
    /// # Erlang/OTP
    /// `cancel_timer/1`, `timer:cancel/1`.
    #[doc(alias = "cancel_timer")]
    pub fn cancel(&self) -> Option<Duration> {
        let left = self.at - self.shared.now();
        self.shared.timers.cancel(self.key).then_some(left)
    }

    /// How long it will take still; `None` if it is done or was cancelled.
    ///
    /// # Erlang/OTP
    /// `read_timer/1`.
    #[doc(alias = "read_timer")]
    #[must_use]
    pub fn read(&self) -> Option<Duration> {
        let left = self.at - self.shared.now();
        self.shared.timers.is_armed(self.key).then_some(left)
    }

    /// Names the timer, as in [`TimerFired::timer`].
    #[must_use]
    pub fn reference(&self) -> Reference {
        self.reference
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timer").field(&self.reference).finish()
    }
}

/// The message of a timer of [`start_timer`].
///
/// # Erlang/OTP
/// `{timeout, TimerRef, Message}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerFired<M> {
    /// Which timer.
    pub timer: Reference,
    /// What it was given.
    pub message: M,
}

/// The current time of the current runtime's clock: virtual in a simulation.
///
/// # Erlang/OTP
/// `monotonic_time/0`.
#[must_use]
pub fn now() -> Instant {
    runtime::with_current(Shared::now)
}

/// Sends `message` after `delay`, never earlier; at once if it is zero.
///
/// A name is resolved when the timer fires. A timer for a pid goes with its process. Delays beyond 584 years count as
/// that long.
///
/// ```
/// use ibeam_runtime::{Runtime, process};
/// use std::time::Duration;
///
/// Runtime::new().block_on(async {
///     let timer = process::send_after(process::self_pid(), "tick", Duration::from_millis(1));
///     assert_eq!(process::recv().await.downcast::<&str>().unwrap(), "tick");
///     assert_eq!(timer.cancel(), None);
/// });
/// ```
///
/// # Erlang/OTP
/// `erlang:send_after/3`.
pub fn send_after<M: Send + 'static>(to: impl Into<Destination>, message: M, delay: Duration) -> Timer {
    let shared = runtime::current();
    let at = shared.now() + delay;
    arm_message(shared, to.into(), message, at, Reference::unique())
}

/// Sends `message` at the time `at` of the runtime's clock; at once if that has passed.
///
/// # Erlang/OTP
/// `erlang:send_after/4` with `{abs, true}`.
pub fn send_at<M: Send + 'static>(to: impl Into<Destination>, message: M, at: Instant) -> Timer {
    arm_message(runtime::current(), to.into(), message, at, Reference::unique())
}

/// As [`send_after`], but the message comes as [`TimerFired`], which names the timer.
///
/// # Erlang/OTP
/// `erlang:start_timer/3`.
pub fn start_timer<M: Send + 'static>(to: impl Into<Destination>, message: M, delay: Duration) -> Timer {
    let shared = runtime::current();
    let reference = Reference::unique();
    let at = shared.now() + delay;
    arm_message(shared, to.into(), TimerFired { timer: reference, message }, at, reference)
}

fn arm_message<M: Send + 'static>(
    shared: Arc<Shared>,
    to: Destination,
    message: M,
    at: Instant,
    reference: Reference,
) -> Timer {
    // The address is filled in when the timer fires: a name is nobody's yet.
    let node = OwnedNode::message::<M, NoMeta>(0, message);
    let owner = match &to {
        Destination::Pid(pid) => Some(*pid),
        Destination::Alias(alias) => Some(alias.pid()),
        Destination::Name(_) | Destination::Via(_) => None,
    };
    arm(shared, owner, Entry::Send { to, node }, at, reference)
}

fn arm(shared: Arc<Shared>, owner: Option<Pid>, entry: Entry, at: Instant, reference: Reference) -> Timer {
    let key = shared.timers.arm(&shared, owner, entry, at);
    Timer { shared, key, at, reference }
}

/// When `duration` will be over: for long ones by the coarse clock, as calls count their timeouts.
#[doc(hidden)]
#[must_use]
pub fn deadline_after(duration: Duration) -> Instant {
    let coarse = duration >= COARSE;
    match Owner::current() {
        Some(owner) if coarse => owner.shared().now_coarse() + duration,
        _ => now() + duration,
    }
}

/// Waits for `duration`, never less. Works in processes and elsewhere.
///
/// # Cancel safety
/// Dropping the future ends the waiting.
///
/// # Erlang/OTP
/// `timer:sleep/1`, `Process.sleep/1`.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep { alarm: Alarm::new(Timeout::After(duration)) }
}

/// Waits until the time `at` of the runtime's clock.
///
/// # Cancel safety
/// Dropping the future ends the waiting.
pub fn sleep_until(at: Instant) -> Sleep {
    Sleep { alarm: Alarm::until(at) }
}

/// The future of [`sleep`].
#[must_use = "nothing is waited for until it is awaited"]
pub struct Sleep {
    alarm: Alarm,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.alarm.poll(cx));
        may_go_on(cx)
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

/// Runs `future` and says how long it took, on the runtime's clock: in a simulation, and under a paused clock, in its time.
///
/// Whatever ends the future early, an error it returns or a panic, comes through as it is.
///
/// ```
/// use ibeam_runtime::{process, sim::Simulation};
/// use std::time::Duration;
///
/// let (took, value) = Simulation::new(0).run(process::measure(async {
///     process::sleep(Duration::from_secs(3600)).await;
///     42
/// }));
/// assert!(took >= Duration::from_secs(3600));
/// assert_eq!(value, 42);
/// ```
///
/// # Cancel safety
/// That of the future.
///
/// # Erlang/OTP
/// `timer:tc/1`.
#[doc(alias = "tc")]
pub async fn measure<F: Future>(future: F) -> (Duration, F::Output) {
    let start = now();
    let value = future.await;
    (now() - start, value)
}

/// Lets others run: the process goes to the back of its run queue.
///
/// # Erlang/OTP
/// `erlang:yield/0`.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "nobody else runs until it is awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        match Owner::current() {
            // Cheaper than a wake-up of oneself.
            Some(owner) if owner.pcb().is_own_waker(cx.waker()) => {
                owner.set_bits(|bits| bits.with_yielded(true));
            }
            _ => cx.waker().wake_by_ref(),
        }
        Poll::Pending
    }
}

//! Timers that do something else than send a message.

use std::future::Future;
use std::time::Duration;

use super::{Timer, arm};
use crate::exit_reason::ExitReason;
use crate::process::Termination;
use crate::process::lineage::OnBehalf;
use crate::process::monitors::Target;
use crate::process::spawn::Later;
use crate::raw::future::FutureBox;
use crate::raw::pcb::Owner;
use crate::reference::Reference;
use crate::runtime;
use crate::timer::entry::Entry;

/// Runs `future` as a process of its own after `delay`, never earlier; at once if it is zero.
///
/// Until then there is no process, only a timer: it counts against no limit, and a [cancel](Timer::cancel) drops the future
/// unpolled. The timer belongs to nobody: the end of the process that called this does not stop it. In the new process'
/// [ancestors](crate::process::ancestors) the caller is the first.
///
/// If the runtime has as many processes as it may have by then, or is shutting down, the future is dropped and an error
/// logged.
///
/// ```
/// use ibeam_runtime::{Runtime, process};
/// use std::time::Duration;
///
/// Runtime::new().block_on(async {
///     let me = process::self_pid();
///     process::apply_after(Duration::from_millis(1), async move { me.send(process::self_pid()) });
///     let other = process::recv().await.downcast::<ibeam_runtime::Pid>().unwrap();
///     assert_ne!(other, me);
///
///     let never = process::apply_after(Duration::from_secs(3600), async { unreachable!() });
///     assert!(never.cancel().is_some());
/// });
/// ```
///
/// # Erlang/OTP
/// `timer:apply_after/2..4`.
pub fn apply_after<F>(delay: Duration, future: F) -> Timer
where
    F: Future + Send + 'static,
    F::Output: Termination,
{
    let shared = runtime::current();
    let at = shared.now() + delay;
    let later = Later::new(
        FutureBox::new(future),
        Owner::current().map(|owner| owner.lineage_for_children(OnBehalf::Nobody)),
    );
    arm(shared, None, Entry::Start(Box::new(later)), at, Reference::unique())
}

/// Sends `target` an [exit signal](crate::process::exit_signal) after `delay`, never earlier; at once if it is zero.
///
/// A name is resolved when the timer fires; if nobody has it then, nothing happens. A timer for a pid goes with its
/// process. The signal comes from no process, so one with [`ExitReason::Normal`] does nothing even to the process that asked
/// for it, unless it traps exits; the [`Exit`](crate::Exit) message carries the receiver's own pid.
///
/// ```
/// use ibeam_runtime::{Down, ExitReason, Runtime, process};
/// use std::time::Duration;
///
/// Runtime::new().block_on(async {
///     let (pid, _monitor) = process::spawn_monitor(std::future::pending::<()>());
///     process::exit_after(pid, ExitReason::Timeout, Duration::from_millis(1));
///     let down = process::recv().await.downcast::<Down>().unwrap();
///     assert_eq!(down.reason, ExitReason::Timeout);
/// });
/// ```
///
/// # Erlang/OTP
/// `timer:exit_after/3`. Differs: there the sender is the timer server.
pub fn exit_after(target: impl Into<Target>, reason: ExitReason, delay: Duration) -> Timer {
    let shared = runtime::current();
    let at = shared.now() + delay;
    let target = target.into();
    let owner = match &target {
        Target::Pid(pid) => Some(*pid),
        Target::Name(_) => None,
    };
    arm(shared, owner, Entry::Exit(Box::new((target, reason))), at, Reference::unique())
}

/// Kills `target` after `delay`: an [`exit_after`] with [`ExitReason::Kill`].
///
/// The limit of what may take as long as it wants, as long as it is not longer than this:
///
/// ```
/// use ibeam_runtime::{Down, ExitReason, Runtime, process};
/// use std::time::Duration;
///
/// Runtime::new().block_on(async {
///     let (_pid, _monitor) = process::spawn_monitor(async {
///         let limit = process::kill_after(process::self_pid(), Duration::from_millis(1));
///         std::future::pending::<()>().await;
///         limit.cancel();
///     });
///     let down = process::recv().await.downcast::<Down>().unwrap();
///     assert_eq!(down.reason, ExitReason::Killed);
/// });
/// ```
///
/// # Erlang/OTP
/// `timer:kill_after/1..2`.
pub fn kill_after(target: impl Into<Target>, delay: Duration) -> Timer {
    exit_after(target, ExitReason::Kill, delay)
}

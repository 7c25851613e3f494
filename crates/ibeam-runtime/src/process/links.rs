//! Links, exit signals and trapping them.

use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::signal::{self, Signal};
use crate::process::{exit, owner};
use crate::raw::pcb::Owner;
use crate::reference::Reference;

/// One side of a link. See the protocol in `signal.rs`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) active: bool,
    /// An unlink of ours that the other side has not acknowledged yet.
    pub(crate) pending: Option<Reference>,
}

impl Link {
    pub(crate) const ACTIVE: Self = Self { active: true, pending: None };
}

/// The message that a process that [traps exits](trap_exit) gets in place of an exit signal.
///
/// # Erlang/OTP
/// `{'EXIT', Pid, Reason}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// The linked process that ended, or the sender of the [`exit_signal`]. A signal from outside of processes, which has
    /// no sender, carries the receiver's own pid.
    pub pid: Pid,
    /// Why.
    pub reason: ExitReason,
}

/// Links the calling process and `pid`: when one ends, the other gets an exit signal with its reason.
///
/// Linking twice is one link, linking to oneself does nothing. If there is no such process, the caller gets an exit
/// signal with [`ExitReason::NoProc`], which ends it at its next await unless it traps exits.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `link/1`.
#[track_caller]
pub fn link(pid: Pid) {
    let owner = owner("link");
    let me = owner.pid();
    if pid == me {
        return;
    }
    let already = owner.with_extra(|extra| match extra.links.get_mut(&pid) {
        Some(link) => std::mem::replace(&mut link.active, true),
        None => extra.links.insert(pid, Link::ACTIVE).is_some(),
    });
    if !already && signal::send(pid, Signal::Link { from: me }).is_err() {
        owner.handle(Signal::LinkExit { from: pid, reason: ExitReason::NoProc });
    }
}

/// Removes the link between the calling process and `pid`, if there is one.
///
/// Once this has returned, no exit of `pid` reaches the caller through the link. An [`Exit`] message that is in the mailbox
/// already stays there.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `unlink/1`.
#[track_caller]
pub fn unlink(pid: Pid) {
    let owner = owner("unlink");
    let id = Reference::unique();
    let unlinked = owner.with_extra_if_any(|extra| match extra.links.get_mut(&pid) {
        Some(link) if link.active => {
            *link = Link { active: false, pending: Some(id) };
            true
        }
        _ => false,
    });
    if unlinked == Some(true) && signal::send(pid, Signal::Unlink { from: owner.pid(), id }).is_err() {
        owner.with_extra(|extra| extra.links.remove(&pid));
    }
}

/// Says whether exit signals become [`Exit`] messages in the calling process' mailbox; returns what it was.
///
/// [`ExitReason::Kill`] cannot be trapped.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `process_flag(trap_exit, Boolean)`.
#[track_caller]
pub fn trap_exit(trap: bool) -> bool {
    let owner = owner("trap_exit");
    let former = owner.bits().trap_exit();
    owner.set_bits(|bits| bits.with_trap_exit(trap));
    former
}

/// Sends `pid` an exit signal. Nothing happens if there is no such process.
///
/// | reason | the receiver |
/// |---|---|
/// | [`Kill`](ExitReason::Kill) | ends with [`Killed`](ExitReason::Killed) |
/// | any, and it [traps exits](trap_exit) | gets an [`Exit`] message |
/// | [`Normal`](ExitReason::Normal) | ignores it, unless it sent it to itself |
/// | any other | ends with it |
///
/// A process ends at its next await. A signal to oneself acts before this returns, which it then does not.
///
/// ```
/// use ibeam_runtime::{Down, ExitReason, Runtime, process};
///
/// Runtime::new().block_on(async {
///     let (pid, _monitor) = process::spawn_monitor(std::future::pending::<()>());
///     process::exit_signal(pid, ExitReason::Shutdown);
///     let down = process::recv().await.downcast::<Down>().unwrap();
///     assert_eq!(down.reason, ExitReason::Shutdown);
/// });
/// ```
///
/// # Erlang/OTP
/// `exit/2`.
pub fn exit_signal(pid: Pid, reason: ExitReason) {
    let owner = Owner::current();
    let from = owner.map(Owner::pid);
    // A process that is not there takes no signal.
    let _ = signal::send(pid, Signal::Exit { from, reason });
    if let Some(owner) = owner
        && from == Some(pid)
    {
        owner.fetch();
        exit::leave_if_doomed(owner);
    }
}

/// Ends `pid` without asking it: an [`exit_signal`] with [`ExitReason::Kill`].
pub fn kill(pid: Pid) {
    exit_signal(pid, ExitReason::Kill);
}

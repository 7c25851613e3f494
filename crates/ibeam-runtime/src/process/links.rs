//! Links, exit signals and trapping them.

use std::fmt;

use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::signal::{self, Signal};
use crate::process::{exit, owner};
use crate::raw::pcb::Owner;
use crate::reference::Reference;

/// One side of a link. See the protocol in `signal.rs`.
///
/// Is it active, and is there an unlink of ours that the other side has not acknowledged yet? In one word: a supervisor can have
/// a million. The lowest bit is the first, the rest the bits of the reference of the second, whose top bit says nothing.
#[derive(Clone, Copy)]
pub(crate) struct Link(u64);

impl Link {
    const IS_ACTIVE: u64 = 1;
    pub(crate) const ACTIVE: Self = Self(Self::IS_ACTIVE);

    /// Not active, until the other side has acknowledged the unlink `id`.
    pub(crate) fn unlinking(id: Reference) -> Self {
        Self(id.to_bits() << 1)
    }

    pub(crate) fn is_active(self) -> bool {
        self.0 & Self::IS_ACTIVE != 0
    }

    /// Says what it was.
    pub(crate) fn set_active(&mut self, active: bool) -> bool {
        let was = self.is_active();
        self.0 = self.0 & !Self::IS_ACTIVE | u64::from(active);
        was
    }

    pub(crate) fn is_pending(self) -> bool {
        self.0 & !Self::IS_ACTIVE != 0
    }

    /// The unlink `id` is acknowledged. `false`: that is not the one that is waited for.
    pub(crate) fn acknowledge(&mut self, id: Reference) -> bool {
        let waited = self.0 & !Self::IS_ACTIVE == id.to_bits() << 1;
        if waited {
            self.0 &= Self::IS_ACTIVE;
        }
        waited
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("active", &self.is_active())
            .field("pending", &self.is_pending())
            .finish()
    }
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
        Some(link) => link.set_active(true),
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
        Some(link) if link.is_active() => {
            *link = Link::unlinking(id);
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

/// Does the calling process trap exits?
#[doc(hidden)]
#[must_use]
pub fn traps_exits() -> bool {
    Owner::current().is_some_and(|owner| owner.bits().trap_exit())
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

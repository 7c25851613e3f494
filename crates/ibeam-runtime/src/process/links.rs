//! Links, exit signals and trapping them.
//!
//! The link of a process that was started with one, to its parent, is a bit on its side: most such processes are never linked to
//! anybody else, and end with that link. Whoever changes the table [enters](Owner::enter_parent_link) it there first.
//!
//! Such a process that ends normally does not tell a parent to whom that makes no difference: one that does not trap exits and has few
//! links. So the table of a process that did not always [hear all](crate::raw::pcb::Pcb::hears_all) may have links to some that have ended;
//! they count as none, and leave the table when it is full.

use std::fmt;

use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::extra::SmallMap;
use crate::process::signal::{self, Signal};
use crate::process::{exit, owner};
use crate::raw::pcb::Owner;
use crate::raw::slab;
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

/// How often a full table is looked through while others send; if they go on and on, it becomes a large one.
const TIDY_TRIES: u32 = 3;

impl Owner {
    /// The link to the parent becomes an entry like others.
    pub(crate) fn enter_parent_link(self) {
        if self.take_parent_link()
            && let Some(parent) = self.parent()
        {
            self.with_extra(|extra| {
                extra.links.insert(parent, Link::ACTIVE);
                self.links_have_grown(&extra.links);
            });
        }
    }

    /// Makes room in the table before a link is entered.
    #[inline]
    pub(crate) fn tidy_links(self) {
        if self.with_extra_if_any(|extra| extra.links.is_full_list()) == Some(true) {
            self.drop_stale_links();
        }
    }

    #[cold]
    fn drop_stale_links(self) {
        for _ in 0..TIDY_TRIES {
            if self.pcb().hears_all() {
                return;
            }
            self.fetch();
            let ended = self.with_extra(|extra| {
                let stale = |(pid, link): (&Pid, &Link)| link.is_active() && slab::lookup(*pid).is_none();
                let stale = extra.links.iter().map(stale).take(u32::BITS as usize).enumerate();
                stale.fold(0_u32, |ended, (at, stale)| ended | u32::from(stale) << at)
            });
            // What a process has to say at its end it sends before its pid becomes invalid, and that has to find its link here.
            if !self.pcb().word.has_mail() {
                let mut at = 0;
                return self.with_extra(|extra| {
                    extra.links.retain_in_list(|_, _| {
                        at += 1;
                        ended & 1 << (at - 1) == 0
                    });
                });
            }
        }
    }

    /// After a link was entered: a process with many is told of each that ends, for it does not look for them itself.
    #[inline]
    pub(crate) fn links_have_grown(self, links: &SmallMap<Pid, Link>) {
        if links.is_large() {
            self.pcb().hear_all();
        }
    }

    /// Is there a link to the parent that stands in no table? There is none after this.
    pub(crate) fn take_parent_link(self) -> bool {
        let linked = self.bits().parent_link();
        if linked {
            self.set_bits(|bits| bits.with_parent_link(false));
        }
        linked
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
/// `link/1`. Differs: there a caller that does not trap exits fails in the call itself, with the error `noproc`, if the process
/// is local and gone; its exit reason then has the stack trace too.
#[track_caller]
pub fn link(pid: Pid) {
    let owner = owner("link");
    let me = owner.pid();
    if pid == me {
        return;
    }
    owner.enter_parent_link();
    owner.tidy_links();
    let enter = || {
        owner.with_extra(|extra| match extra.links.get_mut(&pid) {
            Some(link) => link.set_active(true),
            None => {
                extra.links.insert_new(pid, Link::ACTIVE);
                owner.links_have_grown(&extra.links);
                false
            }
        })
    };
    let mut already = enter();
    if already && slab::lookup(pid).is_none() && owner.shared().sim.is_none() {
        // A link to nobody, unless the news of its end waits here: that takes it away, as any link.
        owner.fetch();
        already = !owner.with_extra(|extra| extra.links.get(&pid).is_some_and(|link| link.is_active()));
    }
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
    owner.enter_parent_link();
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
    if trap {
        owner.pcb().hear_all();
    }
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

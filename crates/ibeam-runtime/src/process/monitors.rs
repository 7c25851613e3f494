//! Monitors and aliases.

use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::names::{Name, whereis};
use crate::process::owner;
use crate::process::send::{self, Destination};
use crate::process::signal::{self, Signal};
use crate::raw::node::{NoMeta, OwnedNode};
use crate::raw::pcb::Owner;
use crate::reference::Reference;

/// What a monitor watches, as it was asked for: by pid or by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A process.
    Pid(Pid),
    /// The process that had this name when the monitor was made.
    Name(Name),
}

impl From<Pid> for Target {
    fn from(pid: Pid) -> Self {
        Self::Pid(pid)
    }
}

impl<N: Into<Name>> From<N> for Target {
    fn from(name: N) -> Self {
        Self::Name(name.into())
    }
}

/// The message that says that a monitored process has ended, or was not there. It comes once per monitor, and nothing
/// comes from that process after it.
///
/// # Erlang/OTP
/// `{'DOWN', Ref, process, Pid | {Name, Node}, Reason}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Down {
    /// What [`monitor`] returned.
    pub monitor: Reference,
    /// What was monitored, as it was named.
    pub target: Target,
    /// Why it ended; [`ExitReason::NoProc`] if it was not there.
    pub reason: ExitReason,
}

impl Down {
    /// The process, if it was monitored by its pid.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        match self.target {
            Target::Pid(pid) => Some(pid),
            Target::Name(_) => None,
        }
    }
}

/// A [`Down`] of a monitor with a tag.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedDown<T> {
    /// The tag that the monitor was made with.
    pub tag: T,
    /// The rest.
    pub down: Down,
}

type Tag = Box<dyn FnOnce(Pid, Down) -> OwnedNode + Send>;

/// A monitor, on the side that watches.
pub(crate) struct Monitored {
    pub(crate) target: Target,
    pub(crate) pid: Option<Pid>,
    pub(crate) tag: Option<Tag>,
}

/// Until when an alias is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AliasMode {
    /// Until [`unalias`].
    #[default]
    Explicit,
    /// Until [`unalias`] or the first message through it.
    Reply,
    /// An alias that is a monitor too: until [`unalias`], [`demonitor`], or the monitor's [`Down`].
    Demonitor,
    /// An alias that is a monitor too: as `Demonitor`, and until the first message through it, which ends the monitor.
    ReplyDemonitor,
}

/// An address of a process that it can switch off: what comes through it after that is dropped (and counted).
///
/// ```
/// use ibeam_runtime::{AliasMode, Runtime, process};
///
/// Runtime::new().block_on(async {
///     let alias = process::alias(AliasMode::Reply);
///     alias.send("first");
///     alias.send("second");
///     assert_eq!(process::recv().await.downcast::<&str>().unwrap(), "first");
///     assert!(process::try_recv().is_none());
///     assert!(!process::unalias(alias), "the reply has switched it off");
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alias {
    pid: Pid,
    reference: Reference,
}

impl Alias {
    /// The process behind the alias.
    #[must_use]
    pub fn pid(self) -> Pid {
        self.pid
    }

    /// The reference that names it: for an alias that is a monitor too, the monitor's.
    #[must_use]
    pub fn reference(self) -> Reference {
        self.reference
    }

    /// Sends a message through the alias. Dropped and counted if the alias is not active when it arrives.
    pub fn send<M: Send + 'static>(self, message: M) {
        send::post(self.pid, OwnedNode::message::<M, NoMeta>(self.reference.to_bits(), message));
    }
}

impl From<Alias> for Destination {
    fn from(alias: Alias) -> Self {
        Self::Alias(alias)
    }
}

/// A reference that no other call of this function gives.
///
/// A receive that waits for an answer with this reference in it may skip what was in the mailbox before: see
/// [`Receive::since`](crate::process::Receive::since).
///
/// # Erlang/OTP
/// `make_ref/0`.
#[must_use]
pub fn make_ref() -> Reference {
    let reference = Reference::unique();
    if let Some(owner) = Owner::current() {
        owner.mark(reference);
    }
    reference
}

/// A new alias of the calling process.
///
/// `mode` is `Explicit` or `Reply`; the two modes of a monitor's alias mean the same here as these.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `alias/1`.
#[must_use]
#[track_caller]
pub fn alias(mode: AliasMode) -> Alias {
    let owner = owner("alias");
    let reference = make_ref();
    owner.with_rare(|rare| rare.aliases.insert(reference, mode));
    Alias { pid: owner.pid(), reference }
}

/// Switches an alias of the calling process off. `false`: it was off already, or is another process'.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `unalias/1`.
#[track_caller]
pub fn unalias(alias: Alias) -> bool {
    let owner = owner("unalias");
    // What has arrived through it by now came while it was active.
    owner.fetch();
    owner.with_rare_if_any(|rare| rare.aliases.remove(&alias.reference)).flatten().is_some()
}

/// Watches `target`: when it ends, a [`Down`] comes with the returned reference. If it is not there, the `Down` comes at
/// once, with [`ExitReason::NoProc`]. Each call makes a monitor of its own. A monitor of oneself does nothing.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `monitor(process, Item)`.
#[track_caller]
pub fn monitor(target: impl Into<Target>) -> Reference {
    let owner = owner("monitor");
    watch(owner, target.into(), None, None)
}

/// A monitor with options.
///
/// # Erlang/OTP
/// `monitor(process, Item, Options)`.
#[must_use = "nothing is monitored before `start`"]
pub fn monitor_builder(target: impl Into<Target>) -> MonitorBuilder {
    MonitorBuilder { target: target.into(), alias: None, tag: None }
}

/// See [`monitor_builder`].
#[must_use = "nothing is monitored before `start`"]
pub struct MonitorBuilder {
    target: Target,
    alias: Option<AliasMode>,
    tag: Option<Tag>,
}

impl MonitorBuilder {
    /// Makes the monitor an alias of the calling process too, active as `mode` says.
    pub fn alias(mut self, mode: AliasMode) -> Self {
        self.alias = Some(mode);
        self
    }

    /// The notice comes as [`TaggedDown`] with this tag in place of [`Down`].
    pub fn tag<T: Send + 'static>(mut self, tag: T) -> Self {
        self.tag = Some(tagged(tag));
        self
    }

    /// Begins to watch.
    ///
    /// # Panics
    /// Outside of a process.
    #[track_caller]
    pub fn start(self) -> Monitor {
        let owner = owner("monitor");
        let reference = watch(owner, self.target, self.alias, self.tag);
        Monitor { alias: Alias { pid: owner.pid(), reference }, active: self.alias.is_some() }
    }
}

pub(crate) fn tagged<T: Send + 'static>(tag: T) -> Tag {
    Box::new(|to, down| OwnedNode::notice(to.to_bits(), TaggedDown { tag, down }))
}

/// A monitor that may be an alias too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Monitor {
    alias: Alias,
    active: bool,
}

impl Monitor {
    pub(crate) fn new(pid: Pid, reference: Reference, active: bool) -> Self {
        Self { alias: Alias { pid, reference }, active }
    }

    /// The reference, as in [`Down::monitor`].
    #[must_use]
    pub fn reference(self) -> Reference {
        self.alias.reference
    }

    /// The alias, if one was asked for.
    #[must_use]
    pub fn alias(self) -> Option<Alias> {
        self.active.then_some(self.alias)
    }
}

fn watch(owner: Owner, target: Target, alias: Option<AliasMode>, tag: Option<Tag>) -> Reference {
    let reference = make_ref();
    let pid = match &target {
        Target::Pid(pid) => Some(*pid),
        Target::Name(name) => whereis(name),
    };
    let me = owner.pid();
    owner.with_rare(|rare| {
        if let Some(mode) = alias {
            rare.aliases.insert(reference, mode);
        }
        if pid != Some(me) {
            rare.monitors.insert(reference, Monitored { target, pid, tag });
        }
    });
    let reached = match pid {
        Some(pid) if pid == me => true,
        Some(pid) => signal::send(pid, Signal::Monitor { reference, watcher: me }).is_ok(),
        None => false,
    };
    if !reached {
        owner.handle(Signal::Down { reference, reason: ExitReason::NoProc });
    }
    reference
}

/// Ends a monitor of the calling process. `true`: there was one, and its [`Down`] will not come.
///
/// A `Down` that is in the mailbox already stays there ([`demonitor_flush`] removes it); none is added once this has
/// returned. An alias in a mode that ends with the monitor is switched off. References that are no monitor of the caller
/// do nothing.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `demonitor(Ref, [info])`.
#[track_caller]
pub fn demonitor(monitor: Reference) -> bool {
    owner("demonitor").demonitor(monitor)
}

/// As [`demonitor`], and removes the monitor's [`Down`] from the mailbox if it is there. `false`: there was no monitor any
/// more; its notice, if there was one, is gone now.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `demonitor(Ref, [flush, info])`. A notice with a tag is left alone there and here.
#[track_caller]
pub fn demonitor_flush(monitor: Reference) -> bool {
    let owner = owner("demonitor_flush");
    let ended = owner.demonitor(monitor);
    if !ended {
        owner.remove_message(0, |down: &Down| down.monitor == monitor);
    }
    ended
}

impl Owner {
    fn demonitor(self, reference: Reference) -> bool {
        // What has arrived through the monitor's alias by now came while it was active.
        self.fetch();
        self.end_monitor(reference)
    }

    fn end_monitor(self, reference: Reference) -> bool {
        let Some(monitored) = self.with_rare_if_any(|rare| rare.monitors.remove(&reference)).flatten() else {
            return false;
        };
        self.monitor_ended(reference);
        if let Some(pid) = monitored.pid {
            // A target that has ended meanwhile needs not be told.
            let _ = signal::send(pid, Signal::Demonitor { reference });
        }
        true
    }

    /// The monitor of this reference is over; so is its alias, in the modes that say so.
    pub(crate) fn monitor_ended(self, reference: Reference) {
        self.with_rare_if_any(|rare| {
            if let Some(AliasMode::Demonitor | AliasMode::ReplyDemonitor) = rare.aliases.get(&reference) {
                rare.aliases.remove(&reference);
            }
        });
    }

    /// A message has come through an alias: is it active? Ends it, and its monitor, where its mode says so.
    pub(crate) fn pass_alias(self, reference: Reference) -> bool {
        let Some(mode) = self.with_rare_if_any(|rare| rare.aliases.get(&reference).copied()).flatten() else {
            return false;
        };
        match mode {
            AliasMode::Explicit | AliasMode::Demonitor => {}
            AliasMode::Reply => {
                self.with_rare(|rare| rare.aliases.remove(&reference));
            }
            AliasMode::ReplyDemonitor => {
                self.with_rare(|rare| rare.aliases.remove(&reference));
                self.end_monitor(reference);
            }
        }
        true
    }
}

//! What a timer does when it is due.
//!
//! Under the wheel's lock only what has to be exact is done, none of which is code of the program: a message goes into its
//! mailbox, an exit signal on its way, a process into a run queue. The rest is noted in [`Fired`] for after the lock.

use std::sync::Arc;
use std::task::Waker;

use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::Destination;
use crate::process::send::{Refused, try_post};
use crate::process::signal::{self, Signal};
use crate::process::spawn::{Later, SpawnError};
use crate::process::{Target, Via};
use crate::raw::deadline;
use crate::raw::node::OwnedNode;
use crate::raw::pcb::Pcb;
use crate::report;
use crate::runtime::Shared;
use crate::time::Instant;
use crate::timer::interval::{Goes, Ticker};

/// What is in the wheel. A million of them are, so what is rare is boxed.
pub(crate) enum Entry {
    /// Sends a message.
    Send { to: Destination, node: OwnedNode },
    /// Sends an exit signal.
    Exit(Box<(Target, ExitReason)>),
    /// Starts a process.
    Start(Box<Later>),
    /// Does one of these, and will do it again.
    Interval(Box<Ticker>),
    /// Wakes a future.
    Wake(Waker),
    /// Looks after a process' lazy deadline.
    Deadline { pid: Pid, entry: deadline::Entry },
}

const _: () = assert!(size_of::<Entry>() <= 32, "armed timers come in millions");

impl Entry {
    /// The process that it was for had ended when the timer was armed.
    pub(super) fn too_late(self, shared: &Shared) {
        if let Self::Send { to, node } = self {
            let pid = match to {
                Destination::Pid(pid) => pid,
                Destination::Alias(alias) => alias.pid(),
                Destination::Name(_) | Destination::Via(_) => return,
            };
            shared.undelivered(pid, node, Refused::NoProc.undelivered(), None);
        }
    }
}

/// What is to be done after the lock.
#[derive(Default)]
pub(super) struct Fired {
    pub(super) wakers: Vec<Waker>,
    pub(super) processes: Vec<&'static Pcb>,
    pub(super) refused: Vec<(Option<Pid>, OwnedNode, Refused)>,
    /// Messages to names of the program's own registries, which are its code.
    pub(super) vias: Vec<(Via, OwnedNode)>,
    pub(super) not_started: Vec<(Later, SpawnError)>,
    /// Exit signals for processes that are gone: their reasons are values of the program.
    pub(super) signals: Vec<Signal>,
    #[expect(clippy::vec_box, reason = "they come out of the wheel boxed, and go back into it")]
    pub(super) intervals: Vec<Box<Ticker>>,
}

impl Fired {
    /// Does what was noted. `now`: what was due then has fired.
    pub(super) fn finish(self, shared: &Arc<Shared>, now: Instant) {
        self.processes.into_iter().for_each(Pcb::wake);
        for waker in self.wakers {
            quietly("the waker of a timer", || waker.wake());
        }
        for (pid, node, why) in self.refused {
            quietly("a message that a timer could not deliver", || match pid {
                Some(pid) => shared.undelivered(pid, node, why.undelivered(), None),
                None => shared.undelivered_to_name(node),
            });
        }
        for (via, node) in self.vias {
            quietly("the registry of a name that a timer sends to", || post_via(shared, &via, node));
        }
        for (later, error) in self.not_started {
            tracing::error!(target: "ibeam::runtime", "a timer was to start a process, and did not: {error}");
            quietly("the future of a process that a timer did not start", || drop(later));
        }
        for signal in self.signals {
            quietly("the reason of an exit signal for a process that is gone", || drop(signal));
        }
        for ticker in self.intervals {
            shared.timers.go_on(shared, ticker, now);
        }
    }
}

/// Runs code of the program for nobody in particular: a panic in it is reported, and goes no further.
pub(super) fn quietly<R>(what: &str, run: impl FnOnce() -> R) -> Option<R> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(returned) => Some(returned),
        Err(payload) => {
            report::panicked_in_a_timer(what, payload);
            None
        }
    }
}

pub(super) fn send(shared: &Shared, to: &Destination, mut node: OwnedNode, fired: &mut Fired) -> Goes {
    let (pid, target) = match to {
        Destination::Pid(pid) => (Some(*pid), pid.to_bits()),
        Destination::Alias(alias) => (Some(alias.pid()), alias.reference().to_bits()),
        Destination::Name(name) => {
            let pid = shared.names.whereis(name.as_str());
            (pid, pid.map_or(0, Pid::to_bits))
        }
        Destination::Via(via) => {
            fired.vias.push((via.clone(), node));
            return Goes::On;
        }
    };
    node.set_target(target);
    let Some(pid) = pid else {
        fired.refused.push((None, node, Refused::NoProc));
        return Goes::On;
    };
    match try_post(pid, node) {
        Ok(()) => Goes::On,
        Err((node, why)) => {
            fired.refused.push((Some(pid), node, why));
            let gone = why == Refused::NoProc && !matches!(to, Destination::Name(_));
            if gone { Goes::Out } else { Goes::On }
        }
    }
}

fn post_via(shared: &Shared, via: &Via, mut node: OwnedNode) {
    let Some(pid) = via.whereis() else { return shared.undelivered_to_name(node) };
    node.set_target(pid.to_bits());
    if let Err((node, why)) = try_post(pid, node) {
        shared.undelivered(pid, node, why.undelivered(), None);
    }
}

pub(super) fn start(shared: &Arc<Shared>, later: Later, fired: &mut Fired) {
    if let Err(refused) = later.start(shared) {
        fired.not_started.push(refused);
    }
}

pub(super) fn exit(shared: &Shared, target: &Target, reason: ExitReason, fired: &mut Fired) {
    let pid = match target {
        Target::Pid(pid) => Some(*pid),
        Target::Name(name) => shared.names.whereis(name.as_str()),
    };
    // No process has sent it, also if the receiver has asked for it itself.
    let signal = Signal::Exit { from: None, reason };
    let refused = match pid {
        Some(pid) => signal::send(pid, signal).err(),
        None => Some(signal),
    };
    fired.signals.extend(refused);
}

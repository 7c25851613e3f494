//! Observation: what processes send and get, for tracers and for the simulation.
//!
//! # Invariants
//! 1. Who is not observed pays nothing per message: the flag stands in words that a turn, a receive and a send look at anyhow
//!    (`Bits::BEFORE_POLL`, `Bits::MAIL`, the budget of the turn). All of this is out of line.
//! 2. What arrives is reported when its receiver takes its inbox over, in the order of arrival: at the latest before its future
//!    is polled the next time, and before any receive can find it.
//! 3. The reports to a tracer are messages from the traced process, so they come in the order of what they report.
//! 4. A description may run code of the program (`Debug`): no box of a process is borrowed then, and a panic in it goes no
//!    further.

use std::sync::Arc;

use crate::driver::sim::Sim;
use crate::exit_reason::ExitReason;
use crate::message::Message;
use crate::pid::Pid;
use crate::process::mail::OBSERVED;
use crate::process::send::{Refused, place};
use crate::process::signal::{self, Signal};
use crate::raw::mailbox::Push;
use crate::raw::node::OwnedNode;
use crate::raw::pcb::Owner;
use crate::raw::slab;
use crate::reference::Reference;
use crate::report;

/// How a message is described.
pub(crate) type Describe = fn(&Message) -> String;

/// Who hears of a process.
pub(crate) struct Tracer {
    pub(crate) pid: Pid,
    pub(crate) describe: Describe,
}

/// What a tracer gets: what one process did, or what happened to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// The process.
    pub pid: Pid,
    /// What it was.
    pub heard: Heard,
}

/// See [`Traced`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Heard {
    /// It has got a message.
    Received {
        /// The message, described.
        message: String,
        /// Is it a call, whose sender waits?
        call: bool,
    },
    /// It has sent a message.
    Sent {
        /// To whom.
        to: Pid,
        /// The message, described.
        message: String,
        /// Is it a call, for whose reply it waits?
        call: bool,
    },
    /// It ends.
    Exited {
        /// Why.
        reason: ExitReason,
    },
}

/// A trace that is under way; it ends when this is dropped.
#[derive(Debug)]
#[must_use = "the trace ends when this is dropped"]
pub struct Tracing {
    pid: Pid,
    id: Reference,
}

/// From now on the calling process gets a [`Traced`] for each message that `pid` sends or gets, and for its end. What the
/// caller sends to it from now on is among it.
///
/// # Panics
/// Outside of a process, and if a process traces itself.
#[track_caller]
pub fn trace(pid: Pid, describe: fn(&Message) -> String) -> Tracing {
    let me = crate::process::self_pid();
    assert!(me != pid, "process {pid} cannot trace itself: its reports would be messages to report");
    let id = crate::process::make_ref();
    // A process that is gone sends and gets nothing.
    let _ = signal::send(pid, Signal::Trace { id, tracer: Some(Box::new(Tracer { pid: me, describe })) });
    Tracing { pid, id }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        let _ = signal::send(self.pid, Signal::Trace { id: self.id, tracer: None });
    }
}

#[cold]
pub(crate) fn set_tracer(owner: Owner, id: Reference, tracer: Option<Box<Tracer>>) {
    let traced = owner.with_rare(|rare| {
        match tracer {
            Some(tracer) => rare.tracers.push((id, tracer)),
            None => rare.tracers.retain(|(known, _)| *known != id),
        }
        !rare.tracers.is_empty()
    });
    let observed = traced || owner.shared().sim.is_some();
    if observed {
        owner.pcb().hear_all();
    }
    owner.set_bits(|bits| bits.with_observed(observed));
    let budget = owner.cells().budget.get() & !OBSERVED;
    owner.cells().budget.set(if observed { budget | OBSERVED } else { budget });
}

/// Whoever sends looks at the budget.
#[cold]
pub(crate) fn turn_begins(owner: Owner) {
    let budget = &owner.cells().budget;
    budget.set(budget.get() | OBSERVED);
    owner.fetch();
}

/// An observed process sends a message. `reserved`: it has its place in the mailbox already.
#[cold]
pub(crate) fn post(
    sender: Owner,
    pid: Pid,
    node: OwnedNode,
    reserved: bool,
) -> Result<(), (OwnedNode, Refused)> {
    sender.charge();
    let node = if sender.pid() == pid { node } else { told(sender, node, Told::Sent(pid)) };
    let (pcb, push) = match place(pid, &node, reserved) {
        Ok(place) => place,
        Err(why) => return Err((node, why)),
    };
    match held(sender, pid, node, push) {
        Some(node) => pcb.push(node, push).map_err(|node| (node, Refused::NoProc)),
        None => Ok(()),
    }
}

/// An observed process sends a signal.
#[cold]
pub(crate) fn send_signal(sender: Owner, to: Pid, signal: Signal) -> Result<(), Signal> {
    if let Some(sim) = &sender.shared().sim {
        sim.signal_sent(sender.pid(), to, &signal);
        if slab::lookup(to).is_some_and(|pcb| !pcb.word.is_closed()) {
            let node = OwnedNode::signal(to.to_bits(), signal);
            return match held(sender, to, node, Push::Signal) {
                None => Ok(()),
                Some(node) => signal::send_unobserved(
                    to,
                    node.into_signal().unwrap_or_else(|_| unreachable!("made here")),
                ),
            };
        }
    }
    signal::send_unobserved(to, signal)
}

/// What the simulation does not hold back comes back.
fn held(sender: Owner, to: Pid, node: OwnedNode, push: Push) -> Option<OwnedNode> {
    match &sender.shared().sim {
        Some(sim) => sim.hold(sender.pid(), to, node, push),
        None => Some(node),
    }
}

/// A message comes out of the inbox of an observed process.
#[cold]
pub(crate) fn message_arrives(owner: Owner, node: OwnedNode) -> OwnedNode {
    if node.header().target != owner.pid().to_bits() {
        return node;
    }
    told(owner, node, Told::Received)
}

/// An observed process ends. It still has all that it had.
#[cold]
pub(crate) fn exits(owner: Owner, reason: &ExitReason) {
    if let Some(sim) = &owner.shared().sim {
        sim.exited(owner.shared(), owner.pid(), reason);
    }
    for (_, tracer) in owner.with_rare_if_any(|rare| std::mem::take(&mut rare.tracers)).unwrap_or_default() {
        report(owner, &tracer, Heard::Exited { reason: reason.clone() });
    }
}

#[derive(Clone, Copy)]
enum Told {
    Received,
    Sent(Pid),
}

/// Tells the simulation, or the tracers, of a message.
fn told(owner: Owner, node: OwnedNode, what: Told) -> OwnedNode {
    let message = Message::new(node);
    if let Some(sim) = &owner.shared().sim {
        match what {
            Told::Received => {}
            Told::Sent(to) => sim.sent(owner.shared(), owner.pid(), to, &message),
        }
    }
    let tracers: Vec<(Pid, Describe)> = owner
        .with_rare_if_any(|rare| {
            rare.tracers.iter().map(|(_, tracer)| (tracer.pid, tracer.describe)).collect()
        })
        .unwrap_or_default();
    for (pid, describe) in tracers {
        // What goes to the tracer itself is told too; the report itself is sent by nobody.
        let text = described(describe, &message);
        let call = message.is_call();
        let heard = match what {
            Told::Received => Heard::Received { message: text, call },
            Told::Sent(to) => Heard::Sent { to, message: text, call },
        };
        report(owner, &Tracer { pid, describe }, heard);
    }
    message.into_node()
}

/// See invariant 4.
pub(crate) fn described(describe: Describe, message: &Message) -> String {
    let mut text = None;
    report::quietly(None, || text = Some(describe(message)));
    text.unwrap_or_else(|| message.type_name().to_owned())
}

/// A report takes no place in the tracer's mailbox, and is no message of the traced process to be reported.
fn report(owner: Owner, tracer: &Tracer, heard: Heard) {
    let traced = Traced { pid: owner.pid(), heard };
    let node = OwnedNode::message::<Traced, crate::raw::node::NoMeta>(tracer.pid.to_bits(), traced);
    if let Some(pcb) = slab::lookup(tracer.pid) {
        // A tracer that has ended hears nothing.
        let _ = pcb.push(node, Push::Message);
    }
}

/// For the simulation: a held node that was let go, to whoever is there now.
pub(crate) fn deliver(sim: &Arc<Sim>, shared: &crate::runtime::Shared, to: Pid, node: OwnedNode, push: Push) {
    let refused = match slab::lookup(to) {
        Some(pcb) => pcb.push(node, push).err(),
        None => Some(node),
    };
    let Some(node) = refused else { return };
    match node.into_signal::<Signal>() {
        Ok(signal) => {
            sim.release_all_from(shared, to);
            signal::refuse(to, signal);
        }
        // It was on its way when its receiver ended, which is what its sender would have been told in the first place.
        Err(node) => shared.undelivered(
            to,
            node,
            crate::runtime::metrics::Undelivered::NoProc,
            Some(&ExitReason::NoProc),
        ),
    }
}

//! The signals between processes, and what each does to its receiver.
//!
//! Signals travel in the mailbox, among the messages, so that one sender's signals and messages keep their order; the
//! receiver handles them itself before its future is polled.
//!
//! # The link protocol
//! Each side keeps its own entry. Unlinking deactivates the entry at once and is acknowledged; until then the entry
//! remembers the pending unlink, and a `Link` of the other side that crosses it is ignored: otherwise one side could be
//! left linked to a partner that is not linked to it.

use tokio::sync::oneshot;

use crate::exit_reason::ExitReason;
use crate::observe::{self, Tracer};
use crate::pid::Pid;
use crate::process::info::ProcessInfo;
use crate::process::links::{Exit, Link};
use crate::process::monitors::Down;
use crate::raw::mailbox::Push;
use crate::raw::node::OwnedNode;
use crate::raw::pcb::Owner;
use crate::raw::slab;
use crate::reference::Reference;

pub(crate) enum Signal {
    Link {
        from: Pid,
    },
    Unlink {
        from: Pid,
        id: Reference,
    },
    UnlinkAck {
        from: Pid,
        id: Reference,
    },
    /// A linked process has ended.
    LinkExit {
        from: Pid,
        reason: ExitReason,
    },
    /// `exit_signal`; `from` is `None` from outside of processes.
    Exit {
        from: Option<Pid>,
        reason: ExitReason,
    },
    /// A process whose crash is its caller's, who gets this, has crashed.
    CallersCrash {
        from: Pid,
        reason: ExitReason,
    },
    /// A crash is not the caller's any more.
    Disown,
    Monitor {
        reference: Reference,
        watcher: Pid,
    },
    Demonitor {
        reference: Reference,
    },
    /// A monitored process has ended, or was not there.
    Down {
        reference: Reference,
        reason: ExitReason,
    },
    Info {
        reply: oneshot::Sender<ProcessInfo>,
    },
    /// Begins, or with `None` ends, what a tracer hears of the process.
    Trace {
        id: Reference,
        tracer: Option<Box<Tracer>>,
    },
}

/// Sends a signal; gives it back if there is no such process.
pub(crate) fn send(to: Pid, signal: Signal) -> Result<(), Signal> {
    if let Some(sender) = Owner::current()
        && sender.bits().observed()
    {
        return observe::send_signal(sender, to, signal);
    }
    send_unobserved(to, signal)
}

/// As [`send`], whoever sends it.
pub(crate) fn send_unobserved(to: Pid, signal: Signal) -> Result<(), Signal> {
    let Some(pcb) = slab::lookup(to) else { return Err(signal) };
    pcb.push(OwnedNode::signal(to.to_bits(), signal), Push::Signal)
        .map_err(|node| node.into_signal().unwrap_or_else(|_| unreachable!("the node that was pushed")))
}

/// Tells who sent a signal, and waits for an answer, that there is no such process: it came after the end, or even to the next
/// process of the slot.
pub(crate) fn refuse(pid: Pid, signal: Signal) {
    // Whoever is told may be gone too.
    let _ = match signal {
        Signal::Link { from } => send(from, Signal::LinkExit { from: pid, reason: ExitReason::NoProc }),
        Signal::Unlink { from, id } => send(from, Signal::UnlinkAck { from: pid, id }),
        Signal::Monitor { reference, watcher } => {
            send(watcher, Signal::Down { reference, reason: ExitReason::NoProc })
        }
        _ => Ok(()),
    };
}

/// What an exit signal does to the process that gets it.
#[derive(Debug, PartialEq)]
#[must_use]
pub(crate) enum ExitEffect {
    Ignore,
    /// It becomes an [`Exit`] message.
    Message,
    Die(ExitReason),
}

/// The rules for `exit_signal` (`exit/2`).
pub(crate) fn exit_effect(reason: &ExitReason, trapping: bool, from_self: bool) -> ExitEffect {
    match reason {
        ExitReason::Kill => ExitEffect::Die(ExitReason::Killed),
        _ if trapping => ExitEffect::Message,
        ExitReason::Normal if !from_self => ExitEffect::Ignore,
        reason => ExitEffect::Die(reason.clone()),
    }
}

/// The rules for the exit of a linked process.
pub(crate) fn link_exit_effect(reason: &ExitReason, trapping: bool) -> ExitEffect {
    match reason {
        _ if trapping => ExitEffect::Message,
        ExitReason::Normal => ExitEffect::Ignore,
        reason => ExitEffect::Die(reason.clone()),
    }
}

impl Owner {
    /// Handles a signal that came out of the inbox.
    pub(crate) fn handle(self, signal: Signal) {
        if self.bits().parent_link()
            && let Signal::Link { .. }
            | Signal::Unlink { .. }
            | Signal::UnlinkAck { .. }
            | Signal::LinkExit { .. } = &signal
        {
            self.enter_parent_link();
        }
        match signal {
            // An exit signal before it has ended the process: as after any end, there is no such process any more.
            Signal::Link { .. } | Signal::Monitor { .. } if self.bits().doomed() => self.too_late(signal),
            Signal::Info { .. } if self.bits().doomed() => {}
            Signal::Link { from } => self.with_extra(|extra| match extra.links.get_mut(&from) {
                Some(link) if link.is_pending() => {}
                Some(link) => drop(link.set_active(true)),
                None => {
                    extra.links.insert_new(from, Link::ACTIVE);
                    self.links_have_grown(&extra.links);
                }
            }),
            Signal::Unlink { from, id } => {
                self.with_extra_if_any(|extra| {
                    if let Some(link) = extra.links.get_mut(&from) {
                        link.set_active(false);
                        if !link.is_pending() {
                            extra.links.remove(&from);
                        }
                    }
                });
                // Who unlinked may be gone: then nobody waits for the acknowledgement.
                let _ = send(from, Signal::UnlinkAck { from: self.pid(), id });
            }
            Signal::UnlinkAck { from, id } => {
                self.with_extra_if_any(|extra| {
                    if let Some(link) = extra.links.get_mut(&from)
                        && link.acknowledge(id)
                        && !link.is_active()
                    {
                        extra.links.remove(&from);
                    }
                });
            }
            Signal::LinkExit { from, reason } => {
                let linked = self.with_extra_if_any(|extra| extra.links.remove(&from)).flatten();
                if linked.is_some_and(Link::is_active) {
                    self.apply(link_exit_effect(&reason, self.bits().trap_exit()), from, reason);
                }
            }
            Signal::Exit { from, reason } => {
                let me = self.pid();
                let effect = exit_effect(&reason, self.bits().trap_exit(), from == Some(me));
                // A signal from outside of processes has no sender; the receiver stands for it in the message.
                self.apply(effect, from.unwrap_or(me), reason);
            }
            Signal::CallersCrash { from, reason } => {
                // One that trapped exits would be told what it is told anyhow; one that has stopped it does not care.
                if !self.bits().trap_exit() && !self.is_held_by(from) {
                    self.doom(reason);
                }
            }
            Signal::Disown => self.set_bits(|bits| bits.with_crash_is_callers(false)),
            Signal::Monitor { reference, watcher } => {
                self.with_rare(|rare| rare.watchers.insert(reference, watcher));
            }
            Signal::Demonitor { reference } => {
                self.with_rare_if_any(|rare| rare.watchers.remove(&reference));
            }
            Signal::Down { reference, reason } => self.down(reference, reason),
            Signal::Trace { id, tracer } => observe::set_tracer(self, id, tracer),
            // Whoever asked may have stopped waiting.
            Signal::Info { reply } => drop(reply.send(self.info())),
        }
    }

    /// A link or monitor that has come after the end: its sender is told so, but not before all others are told of the end.
    pub(crate) fn too_late(self, signal: Signal) {
        self.with_rare(|rare| rare.too_late.push(signal));
    }

    fn apply(self, effect: ExitEffect, from: Pid, reason: ExitReason) {
        match effect {
            ExitEffect::Ignore => {}
            ExitEffect::Message => {
                self.notify_here(OwnedNode::notice(self.pid().to_bits(), Exit { pid: from, reason }));
            }
            ExitEffect::Die(reason) => self.doom(reason),
        }
    }

    /// Ends the process at the end of this turn at the latest. The first reason stays.
    pub(crate) fn doom(self, reason: ExitReason) {
        if self.bits().doomed() {
            return;
        }
        // As most children end, which need no box for it.
        let shut_down = matches!(reason, ExitReason::Shutdown);
        self.set_bits(|bits| bits.with_doomed(true).with_shut_down(shut_down));
        if !shut_down {
            self.with_extra(|extra| extra.reason = Some(reason));
        }
    }

    /// The reason of the exit signal that has ended the process.
    pub(crate) fn take_doom(self) -> ExitReason {
        if self.bits().shut_down() {
            return ExitReason::Shutdown;
        }
        let reason = self.with_extra_if_any(|extra| extra.reason.take()).flatten();
        reason.expect("a doomed process has its reason in the extra box")
    }

    /// A monitor of this process fires, unless it was taken back.
    fn down(self, reference: Reference, reason: ExitReason) {
        let Some(monitored) = self.with_rare_if_any(|rare| rare.monitors.remove(&reference)).flatten() else {
            return;
        };
        self.monitor_ended(reference);
        let down = Down { monitor: reference, target: monitored.target, reason };
        match monitored.tag {
            None => self.notify_here(OwnedNode::notice(self.pid().to_bits(), down)),
            Some(tag) => self.notify_here(tag(self.pid(), down)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ExitEffect, Signal, exit_effect, link_exit_effect};
    use crate::exit_reason::ExitReason::{self, Kill, Killed, NoProc, Normal, Shutdown};
    use crate::pid::Pid;
    use crate::process::links::{Exit, Link};
    use crate::process::monitors::{Down, Monitored, Target};
    use crate::process::{self, owner};
    use crate::raw::call::{self, Outcome};
    use crate::raw::mailbox::Push;
    use crate::raw::node::{NoMeta, OwnedNode};
    use crate::raw::slab;
    use crate::reference::Reference;
    use crate::sim::Simulation;

    /// Puts into the mailbox of `next` what was sent to `former`: as a sender does who has looked up the slot before it changed hands.
    fn misdirect(former: Pid, next: Pid, signals: impl IntoIterator<Item = Signal>) -> call::Waiting<u64> {
        let pcb = slab::lookup(next).expect("the next process lives");
        for signal in signals {
            pcb.push(OwnedNode::signal(former.to_bits(), signal), Push::Signal)
                .ok()
                .expect("an open mailbox");
        }
        let waker = std::task::Waker::noop().clone();
        let (node, waiting) = call::call::<u64, u64, NoMeta>(former.to_bits(), 1, waker);
        pcb.push(node, Push::Message).ok().expect("an open mailbox");
        waiting
    }

    /// Links, monitors, unlinks and calls that come to the next process of a slot are answered, as the former would have been: the next
    /// one may take them out of its mailbox, or end with them.
    #[test]
    fn who_asks_a_process_whose_slot_has_changed_hands_is_told() {
        for ends_with_them in [false, true] {
            Simulation::new(1).run(async move {
                process::trap_exit(true);
                let me = process::self_pid();
                let former = process::spawn(async {});
                process::sleep(std::time::Duration::from_millis(1)).await;
                let next = process::spawn(async move { while !process::recv().await.is::<()>() {} });
                assert_eq!((next.index(), next == former), (former.index(), false), "the same slot");
                if !ends_with_them {
                    process::sleep(std::time::Duration::from_millis(1)).await;
                }
                let (monitor, id) = (Reference::unique(), Reference::unique());
                let unlinked = Pid::from_parts(former.index(), former.generation() + 1_000);
                owner("test").with_extra(|extra| {
                    extra.links.insert(former, Link::ACTIVE);
                    extra.links.insert(unlinked, Link::unlinking(id));
                });
                owner("test").with_rare(|rare| {
                    let monitored = Monitored { target: Target::Pid(former), pid: Some(former), tag: None };
                    rare.monitors.insert(monitor, monitored);
                });
                let asked = [Signal::Link { from: me }, Signal::Monitor { reference: monitor, watcher: me }];
                let waiting = misdirect(former, next, asked);
                misdirect(unlinked, next, [Signal::Unlink { from: me, id }]);
                if ends_with_them {
                    process::kill(next);
                } else {
                    next.send(());
                }
                process::sleep(std::time::Duration::from_millis(1)).await;

                let exit = process::recv().await.downcast::<Exit>().expect("the link's");
                assert_eq!(exit, Exit { pid: former, reason: NoProc });
                let down = process::recv().await.downcast::<Down>().expect("the monitor's");
                assert_eq!((down.monitor, down.reason), (monitor, NoProc));
                assert!(process::try_recv().is_none());
                assert!(matches!(
                    waiting.take(Outcome::Replied, Outcome::Gone),
                    Outcome::Gone(Some(ExitReason::NoProc))
                ));
                let info = process::info(me).await.expect("this process");
                assert_eq!((info.links, info.monitors), (vec![], vec![]));
            });
        }
    }

    #[test]
    fn exit_signals_do_what_the_table_says() {
        let cases = [
            (Kill, true, false, ExitEffect::Die(Killed)),
            (Kill, false, true, ExitEffect::Die(Killed)),
            (Killed, true, false, ExitEffect::Message),
            (Killed, false, false, ExitEffect::Die(Killed)),
            (Normal, true, false, ExitEffect::Message),
            (Normal, false, false, ExitEffect::Ignore),
            (Normal, false, true, ExitEffect::Die(Normal)),
            (Normal, true, true, ExitEffect::Message),
            (Shutdown, false, false, ExitEffect::Die(Shutdown)),
            (Shutdown, true, false, ExitEffect::Message),
        ];
        for (reason, trapping, from_self, effect) in cases {
            assert_eq!(exit_effect(&reason, trapping, from_self), effect, "{reason} {trapping} {from_self}");
        }
    }

    #[test]
    fn a_links_exit_does_what_the_table_says() {
        assert_eq!(link_exit_effect(&Kill, true), ExitEffect::Message);
        assert_eq!(link_exit_effect(&Kill, false), ExitEffect::Die(Kill));
        assert_eq!(link_exit_effect(&Normal, true), ExitEffect::Message);
        assert_eq!(link_exit_effect(&Normal, false), ExitEffect::Ignore);
        assert_eq!(link_exit_effect(&Shutdown, false), ExitEffect::Die(Shutdown));
    }
}

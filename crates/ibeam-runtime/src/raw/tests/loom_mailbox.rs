//! The mailbox word. Whoever has to schedule the process in these models runs its turn at once, on its own thread: the
//! word alone must then order what one turn does before what the next one does.

use std::sync::atomic::AtomicUsize as Count;
use std::sync::atomic::Ordering::SeqCst;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use super::explore;
use crate::raw::mailbox::{MailboxWord, Park, Push};
use crate::raw::node::{Kind, NoMeta, OwnedNode};

/// What a sender sends: who it is and the how manieth this is.
type Letter = (usize, usize);

/// A process that only receives.
struct Process {
    word: MailboxWord,
    /// The owner's part. Loom sees two turns at once, and one that is not ordered after the one before it.
    owner: UnsafeCell<Owner>,
    /// What the owner writes and who schedules it reads, before its turn: in a block, its runtime.
    shown: UnsafeCell<usize>,
    /// Stands for the future: looks around and says whether it waits for messages now.
    poll: Box<dyn Fn(&mut Owner) -> bool + Send + Sync>,
    // Statistics, of no influence on the order: not loom's.
    parked: Count,
    scheduled: Count,
}

#[derive(Default)]
struct Owner {
    received: Vec<Letter>,
    signals: Vec<Letter>,
    interested: bool,
}

// SAFETY: the owner's part is what the models are about.
unsafe impl Sync for Process {}

impl Process {
    /// A process that is awake and about to be polled.
    fn new(poll: impl Fn(&mut Owner) -> bool + Send + Sync + 'static) -> Arc<Self> {
        let word = MailboxWord::closed();
        word.open();
        let owner = UnsafeCell::new(Owner { interested: true, ..Owner::default() });
        Arc::new(Self {
            word,
            owner,
            shown: UnsafeCell::new(0),
            poll: Box::new(poll),
            parked: Count::new(0),
            scheduled: Count::new(0),
        })
    }

    fn send(&self, letter: Letter, push: Push) {
        let node = match push {
            Push::Message => OwnedNode::message::<_, NoMeta>(1, letter),
            Push::Signal => OwnedNode::signal(1, letter),
        };
        let Ok(wakes) = self.word.push(node, push) else { panic!("nobody has closed the mailbox") };
        if wakes {
            self.schedule();
        }
    }

    fn wake(&self) {
        if self.word.wake() {
            self.schedule();
        }
    }

    fn schedule(&self) {
        self.scheduled.fetch_add(1, SeqCst);
        self.shown.with(|_| ());
        self.turn();
    }

    fn fetch(&self, owner: &mut Owner) {
        let (mut chain, count, signals) = self.word.take();
        let before = (owner.received.len() + owner.signals.len(), owner.signals.len());
        while let Some(node) = chain.pop() {
            if node.kind() == Kind::Signal {
                owner
                    .signals
                    .push(node.into_signal().unwrap_or_else(|_| panic!("no other signals are sent")));
            } else {
                owner.received.push(
                    node.into_message::<_, NoMeta>().unwrap_or_else(|_| panic!("no other messages are sent")),
                );
            }
        }
        assert_eq!(count as usize, owner.received.len() + owner.signals.len() - before.0);
        assert!(signals || owner.signals.len() == before.1, "a signal came without the tag");
    }

    /// A turn like that of `process::run`, and more turns as long as the park fails.
    fn turn(&self) {
        loop {
            let due = self.word.begin();
            self.shown.with_mut(|_| ());
            let interested = self.owner.with_mut(|owner| {
                // SAFETY: ours during the turn, as loom checks.
                let owner = unsafe { &mut *owner };
                if due.signals {
                    self.fetch(owner);
                }
                if due.woken || owner.interested {
                    owner.interested = (self.poll)(owner);
                    if owner.interested {
                        self.fetch(owner);
                    }
                }
                owner.interested
            });
            // From the park on the process may run elsewhere: nothing of it is touched after.
            self.parked.fetch_add(1, SeqCst);
            if self.word.park(interested) == Park::Parked {
                return;
            }
            self.parked.fetch_sub(1, SeqCst);
        }
    }

    /// After all threads have ended: it sleeps, and was scheduled once for each time it woke up.
    fn check(&self, check: impl FnOnce(&Owner)) {
        assert_eq!(self.parked.load(SeqCst), self.scheduled.load(SeqCst) + 1, "one schedule per sleep");
        // SAFETY: all threads have ended.
        self.owner.with(|owner| check(unsafe { &*owner }));
    }
}

fn in_order(letters: &[Letter], sender: usize, expected: &[usize]) {
    let numbers: Vec<_> =
        letters.iter().filter(|(from, _)| *from == sender).map(|(_, number)| *number).collect();
    assert_eq!(numbers, expected, "of sender {sender}");
}

/// Two senders and a receiver that sleeps when it has nothing; a signal is among the messages. Everything arrives, in
/// each sender's order (1); one schedule per sleep, and never two turns at once (4); no message between the look and the
/// park is missed (5); after the park the owner is no owner (6).
#[test]
fn two_senders_and_a_receiver_that_sleeps() {
    explore(3, || {
        let process = Process::new(|_| true);
        let senders = [1, 2].map(|sender| {
            let process = Arc::clone(&process);
            thread::spawn(move || {
                process.send((sender, 0), Push::Message);
                process.send((sender, 1), if sender == 1 { Push::Signal } else { Push::Message });
            })
        });
        process.turn();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        process.check(|owner| {
            in_order(&owner.received, 1, &[0]);
            in_order(&owner.signals, 1, &[1]);
            in_order(&owner.received, 2, &[0, 1]);
        });
    });
}

/// The same with one sender who sends twice while the receiver goes to sleep twice, over all interleavings (1, 4, 5, 6).
#[test]
fn a_sender_and_a_receiver_that_sleeps() {
    explore(5, || {
        let process = Process::new(|_| true);
        let sender = {
            let process = Arc::clone(&process);
            thread::spawn(move || {
                process.send((1, 0), Push::Message);
                process.send((1, 1), Push::Signal);
                process.send((1, 2), Push::Message);
            })
        };
        process.turn();
        sender.join().unwrap();
        process.check(|owner| {
            in_order(&owner.received, 1, &[0, 2]);
            in_order(&owner.signals, 1, &[1]);
        });
    });
}

/// The process waits for an event (`NOINT`) while a message and a signal come. The message does not wake it, the signal
/// is handled though it waits for something else (2), the event is not missed, and the message is received after it (5).
#[test]
fn a_wait_for_an_event_beside_messages() {
    explore(3, || {
        let event = Arc::new(AtomicBool::new(false));
        let process = {
            let event = Arc::clone(&event);
            Process::new(move |_| event.load(Relaxed))
        };
        let sender = {
            let process = Arc::clone(&process);
            thread::spawn(move || {
                process.send((1, 0), Push::Message);
                process.send((1, 1), Push::Signal);
            })
        };
        let waker = {
            let process = Arc::clone(&process);
            thread::spawn(move || {
                event.store(true, Relaxed);
                process.wake();
            })
        };
        process.turn();
        sender.join().unwrap();
        waker.join().unwrap();
        process.check(|owner| {
            assert!(owner.interested, "the event was missed");
            in_order(&owner.received, 1, &[0]);
            in_order(&owner.signals, 1, &[1]);
        });
    });
}

/// Nothing but a message, while the process waits for an event that never comes: it stays asleep, and the message where
/// it is.
#[test]
fn a_message_does_not_end_a_wait_for_an_event() {
    explore(5, || {
        let process = Process::new(|_| false);
        let sender = {
            let process = Arc::clone(&process);
            thread::spawn(move || process.send((1, 0), Push::Message))
        };
        process.turn();
        sender.join().unwrap();
        assert_eq!(process.scheduled.load(SeqCst), 0);
        process.check(|owner| assert!(owner.received.is_empty()));
        assert_eq!(process.word.close().1, 1);
    });
}

/// A signal, while the process waits for an event that never comes, is handled all the same, and what stands before it is
/// fetched with it (2).
#[test]
fn a_signal_is_handled_during_a_wait_for_an_event() {
    explore(5, || {
        let process = Process::new(|_| false);
        let sender = {
            let process = Arc::clone(&process);
            thread::spawn(move || {
                process.send((1, 0), Push::Message);
                process.send((1, 1), Push::Signal);
            })
        };
        process.turn();
        sender.join().unwrap();
        process.check(|owner| {
            in_order(&owner.received, 1, &[0]);
            in_order(&owner.signals, 1, &[1]);
        });
    });
}

/// Two wakers at once: the poll after a wake-up sees what was written before it, also if another one had asked for that poll
/// already; one schedule per sleep (4, 5).
#[test]
fn two_wake_ups_at_once() {
    explore(3, || {
        let events = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let process = {
            let events = Arc::clone(&events);
            Process::new(move |owner| {
                for (number, event) in events.iter().enumerate() {
                    if event.load(Relaxed) && !owner.received.contains(&(0, number)) {
                        owner.received.push((0, number));
                    }
                }
                false
            })
        };
        let wakers = [0, 1].map(|number| {
            let (process, events) = (Arc::clone(&process), Arc::clone(&events));
            thread::spawn(move || {
                events[number].store(true, Relaxed);
                process.wake();
            })
        });
        process.turn();
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        process.check(|owner| assert_eq!(owner.received.len(), 2, "an event was missed"));
    });
}

/// Senders and a waker against the death of the process. Once closed, always closed; each node is dropped exactly once, by
/// the closing or by the sender, of which loom's `Arc` and the nodes' own mark tell.
#[test]
fn pushes_against_the_closing() {
    explore(3, || {
        let word = Arc::new(MailboxWord::closed());
        word.open();
        let payload = Arc::new(());
        let sender = {
            let (word, payload) = (Arc::clone(&word), Arc::clone(&payload));
            thread::spawn(move || {
                let mut refused = 0;
                for push in [Push::Message, Push::Signal] {
                    let node = OwnedNode::message::<_, NoMeta>(1, Arc::clone(&payload));
                    match word.push(node, push) {
                        Ok(wakes) => assert!(
                            refused == 0 && !wakes,
                            "a dead process takes nothing and is never scheduled"
                        ),
                        Err(node) => {
                            refused += 1;
                            assert!(
                                node.into_message::<Arc<()>, NoMeta>().is_ok(),
                                "the node comes back whole"
                            );
                        }
                    }
                }
                2 - refused
            })
        };
        let waker = {
            let word = Arc::clone(&word);
            thread::spawn(move || assert!(!word.wake(), "it never slept"))
        };
        let (mut chain, count) = word.close();
        let mut taken = 0;
        while let Some(node) = chain.pop() {
            taken += 1;
            drop(node);
        }
        assert_eq!(taken, count);
        waker.join().unwrap();
        let pushed: u32 = sender.join().unwrap();
        assert_eq!(taken, pushed, "what was pushed was seen by the closing");
        assert!(word.is_closed());
        assert_eq!(Arc::strong_count(&payload), 1);
    });
}

//! A slot that changes hands: what was meant for its former process reaches nobody else, and nothing of it stays.

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::explore;
use crate::pid::Pid;
use crate::raw::leaves::{Leaves, Table};
use crate::raw::life::Life;
use crate::raw::mailbox::{MailboxWord, Push};
use crate::raw::node::{Chain, NoMeta, OwnedNode};

/// What senders see of a process control block.
struct Slot {
    life: Life,
    word: MailboxWord,
    leaves: Leaves,
}

impl Slot {
    fn new() -> Arc<Self> {
        Arc::new(Self { life: Life::unborn(), word: MailboxWord::closed(), leaves: Leaves::nothing() })
    }

    fn begin(&self) -> Pid {
        let pid = self.life.next(0);
        self.leaves.reset();
        self.life.begin(pid, &self.word);
        pid
    }
}

/// As the receiver does it: drops what does not carry its own pid, and counts the rest.
fn receive(mut chain: Chain, pid: Pid) -> usize {
    let mut received = 0;
    while let Some(node) = chain.pop() {
        received += usize::from(node.header().target == pid.to_bits());
    }
    received
}

/// A sender has looked a process up; it ends, and another one gets its slot, before the message is in the mailbox. The message
/// goes back to the sender, or to the old process, or into the new one's mailbox, which drops it; the new one's own messages
/// all arrive. Nothing leaks (3, and 5 of the mailbox).
#[test]
fn a_message_while_the_slot_changes_hands() {
    explore(4, || {
        let slot = Slot::new();
        let first = slot.begin();
        let payload = Arc::new(());
        let sender = {
            let (slot, payload) = (Arc::clone(&slot), Arc::clone(&payload));
            thread::spawn(move || {
                // Who lives now: the first, the second, or nobody in between.
                let found = [slot.life.is(first).then_some(first), slot.life.current()];
                found.map(|found| {
                    let Some(pid) = found else { return (None, false) };
                    let node = OwnedNode::message::<_, NoMeta>(pid.to_bits(), Arc::clone(&payload));
                    (Some(pid), slot.word.push(node, Push::Message).is_ok())
                })
            })
        };
        let received_first = receive(slot.word.close().0, first);
        slot.life.end();
        assert!(!slot.life.is(first) && slot.life.current().is_none());
        let second = slot.begin();
        assert_ne!(first, second);
        let sent = sender.join().unwrap();
        let received_second = receive(slot.word.close().0, second);
        slot.life.end();
        let to = |pid| sent.iter().filter(|(to, _)| *to == Some(pid)).count();
        let taken = |pid| sent.iter().filter(|(to, taken)| *to == Some(pid) && *taken).count();
        assert_eq!(taken(second), to(second), "who finds a process finds its mailbox open");
        assert_eq!(received_second, to(second), "the second process gets its own messages and no others");
        assert!(received_first <= taken(first));
        assert_eq!(Arc::strong_count(&payload), 1);
    });
}

/// A name or a timer for a process that ends: it is refused, or taken away by the process. Nothing is left, also when the slot
/// has its next process by then ("status exiting → … → tables released", and what invariant 3 rests on).
#[test]
fn an_entry_in_a_table_against_the_end() {
    explore(4, || {
        let slot = Slot::new();
        let first = slot.begin();
        let table = Arc::new(Mutex::new(Vec::new()));
        let other = {
            let (slot, table) = (Arc::clone(&slot), Arc::clone(&table));
            thread::spawn(move || {
                if slot.life.is(first) {
                    let mut table = table.lock().unwrap();
                    if slot.leaves.note(Table::Names, first, &slot.life, &slot.word) {
                        table.push(first);
                    }
                }
            })
        };
        drop(slot.word.close());
        if slot.leaves.may_be_in(Table::Names) {
            table.lock().unwrap().retain(|pid| *pid != first);
        }
        slot.life.end();
        let second = slot.begin();
        other.join().unwrap();
        assert_eq!(*table.lock().unwrap(), []);
        assert!(slot.leaves.note(Table::Names, second, &slot.life, &slot.word), "the second one lives");
    });
}

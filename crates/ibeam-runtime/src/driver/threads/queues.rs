//! A worker's queues: processes that run first in, first out, and newborns, who go before them.
//!
//! A newborn runs soon after its parent's turn, while both are in the cache, and what it spawns goes before its siblings. So a tree of
//! processes grows in depth, and a branch has ended before the next one begins: first in, first out it grows level by level, until
//! all its leaves are there at once. A turn that spawns very many leaves the rest to the queue.
//!
//! Nobody is shut out by newborns that have children themselves: every [`QUEUE_EVERY`] turns the queue goes first, and now and then the
//! newborn [who waits longest](Queues::pop_longest_waiting).

use std::cell::Cell;
use std::iter;

use crossbeam_deque::{Injector, Steal, Stealer, Worker as Deque};

use crate::raw::ready::Ready;

/// How many of one turn's newborns go before the queue.
const NEWBORNS: usize = 256;
/// Every how many turns the queue goes before the newborns.
const QUEUE_EVERY: u32 = 8;

/// The worker's own side.
pub(super) struct Queues {
    queue: Deque<Ready>,
    /// Last in, first out, but those of one turn [in their order](Self::turn_ends).
    newborns: Deque<Ready>,
    longest_waiting: Stealer<Ready>,
    /// How many newborns this turn has put there.
    born: Cell<usize>,
    /// Where they are turned over.
    turned: Cell<Vec<Ready>>,
}

/// What other threads see of them.
pub(super) struct Stealers {
    queue: Stealer<Ready>,
    newborns: Stealer<Ready>,
}

impl Queues {
    pub(super) fn new() -> (Self, Stealers) {
        let (queue, newborns) = (Deque::new_fifo(), Deque::new_lifo());
        let stealers = Stealers { queue: queue.stealer(), newborns: newborns.stealer() };
        let queues = Self {
            queue,
            longest_waiting: newborns.stealer(),
            newborns,
            born: Cell::new(0),
            turned: Cell::default(),
        };
        (queues, stealers)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.newborns.is_empty()
    }

    #[inline]
    pub(super) fn push(&self, ready: Ready) {
        self.queue.push(ready);
    }

    #[inline]
    pub(super) fn push_newborn(&self, ready: Ready) {
        let born = self.born.get();
        if born < NEWBORNS {
            self.newborns.push(ready);
            self.born.set(born + 1);
        } else {
            self.queue.push(ready);
        }
    }

    /// A turn has ended: its newborns are to run in the order in which they were born.
    #[inline(always)]
    pub(super) fn turn_ends(&self) {
        if self.born.get() != 0 {
            self.turn_over(self.born.replace(0));
        }
    }

    #[inline(never)]
    fn turn_over(&self, born: usize) {
        if born == 1 {
            return;
        }
        let mut turned = self.turned.take();
        // Others take the oldest first, so no older one is among these.
        turned.extend(iter::from_fn(|| self.newborns.pop()).take(born));
        turned.drain(..).for_each(|ready| self.newborns.push(ready));
        self.turned.set(turned);
    }

    /// The next one, by the number of the turn.
    #[inline(always)]
    pub(super) fn pop(&self, turn: u32) -> Option<Ready> {
        if turn.is_multiple_of(QUEUE_EVERY) {
            self.queue.pop().or_else(|| self.newborns.pop())
        } else {
            self.newborns.pop().or_else(|| self.queue.pop())
        }
    }

    /// The newborn who would be the last one to run.
    pub(super) fn pop_longest_waiting(&self) -> Option<Ready> {
        insist(|| self.longest_waiting.steal())
    }

    /// Takes some from another worker.
    pub(super) fn steal_from(&self, other: &Stealers) -> Option<Ready> {
        insist(|| other.queue.steal_batch_and_pop(&self.queue))
            .or_else(|| insist(|| other.newborns.steal_batch_and_pop(&self.queue)))
    }

    /// Takes some from those of all workers.
    pub(super) fn take_from(&self, injector: &Injector<Ready>) -> Option<Ready> {
        if injector.is_empty() { None } else { insist(|| injector.steal_batch_and_pop(&self.queue)) }
    }
}

impl Stealers {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.newborns.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.newborns.len()
    }
}

pub(super) fn insist<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(stolen) => return Some(stolen),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

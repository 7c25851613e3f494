//! A worker's queues: processes that run first in, first out, and newborns, who go before them.
//!
//! A newborn runs soon after its parent's turn, while both are in the cache, and what it spawns goes before its siblings. So a tree of
//! processes grows in depth, and a branch has ended before the next one begins: first in, first out it grows level by level, until
//! all its leaves are there at once. A turn that spawns very many leaves the rest to the queue.
//!
//! Where turns are short, what can be done elsewhere costs more on its way there and back than here, and is done here before another
//! worker is awake. So others leave a queue alone that is not [worth their while](Worth). Newborns, of whom each may have many to come, are
//! worth it unless there is just one.
//!
//! Nobody is shut out by newborns that have children themselves: every [`QUEUE_EVERY`] turns the queue goes first, and now and then the
//! newborn [who waits longest](Queues::pop_longest_waiting).

use std::cell::Cell;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossbeam_deque::{Injector, Steal, Stealer, Worker as Deque};

use crate::raw::ready::Ready;

/// How many of one turn's newborns go before the queue.
const NEWBORNS: usize = 256;
/// Every how many turns the queue goes before the newborns.
const QUEUE_EVERY: u32 = 8;

/// A single process that waits behind turns as short as this is left where it is.
pub(super) const SHORT_TURN: Duration = Duration::from_micros(2);
/// And behind turns as short as this all that take no longer than [`WORTH_WHILE`] together.
const TINY_TURN: Duration = Duration::from_nanos(500);
const WORTH_WHILE: Duration = Duration::from_micros(20);

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
    worth: Arc<Worth>,
}

/// What other threads see of them.
pub(super) struct Stealers {
    queue: Stealer<Ready>,
    newborns: Stealer<Ready>,
    worth: Arc<Worth>,
}

/// How many have to stand in the queue for others to take some.
struct Worth(AtomicUsize);

impl Queues {
    pub(super) fn new() -> (Self, Stealers) {
        let (queue, newborns) = (Deque::new_fifo(), Deque::new_lifo());
        let worth = Arc::new(Worth(AtomicUsize::new(1)));
        let stealers =
            Stealers { queue: queue.stealer(), newborns: newborns.stealer(), worth: Arc::clone(&worth) };
        let queues = Self {
            queue,
            longest_waiting: newborns.stealer(),
            newborns,
            born: Cell::new(0),
            turned: Cell::default(),
            worth,
        };
        (queues, stealers)
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

    /// So long have turns been on average; a long time: it is not known.
    pub(super) fn set_pace(&self, turn: Duration) {
        self.worth.set(turn);
    }

    /// Would others take something?
    #[inline(always)]
    pub(super) fn has_for_others(&self) -> bool {
        self.worth.has(self.queue.len(), self.newborns.len())
    }

    /// Takes some from another worker.
    pub(super) fn steal_from(&self, other: &Stealers) -> Option<Ready> {
        if !other.has_for_others() {
            return None;
        }
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

    pub(super) fn has_for_others(&self) -> bool {
        self.worth.has(self.queue.len(), self.newborns.len())
    }

    /// Are there some that others leave alone?
    pub(super) fn has_for_itself(&self) -> bool {
        !self.is_empty() && !self.has_for_others()
    }

    /// The worker may not get there itself for a while: until it says otherwise, others take what there is.
    pub(super) fn open(&self) {
        self.worth.set(Duration::MAX);
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.newborns.len()
    }
}

impl Worth {
    /// Behind turns that are so long on average.
    fn set(&self, turn: Duration) {
        self.0.store(Self::at(turn), Relaxed);
    }

    fn at(turn: Duration) -> usize {
        if turn < TINY_TURN {
            (WORTH_WHILE.as_nanos() / turn.as_nanos().max(1)) as usize
        } else if turn < SHORT_TURN {
            2
        } else {
            1
        }
    }

    #[inline(always)]
    fn has(&self, queue: usize, newborns: usize) -> bool {
        let worth = self.0.load(Relaxed);
        queue >= worth || newborns >= worth.min(2)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_worth_the_while_of_others_by_how_long_it_takes() {
        let worth = |nanos| Worth::at(Duration::from_nanos(nanos));
        assert_eq!([worth(0), worth(100), worth(499)], [20_000, 200, 40]);
        assert_eq!([worth(500), worth(1_999)], [2, 2]);
        assert_eq!([worth(2_000), worth(1_000_000)], [1, 1]);
    }
}

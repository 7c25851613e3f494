//! A worker's queues: processes that run first in, first out, and newborns, who go before them.
//!
//! A newborn runs soon after its parent's turn, while both are in the cache, and what it spawns goes before its siblings. So a tree of
//! processes grows in depth, and a branch has ended before the next one begins: first in, first out it grows level by level, until
//! all its leaves are there at once. A turn that spawns very many leaves the rest to the queue.
//!
//! Where turns are short, what can be done elsewhere costs more on its way there and back than here, and is done here before another
//! worker is awake. So others leave a queue alone that is not [worth their while](Worth). Newborns, of whom each may have many to come, are
//! worth it unless there is just one. However many they are: if who took some had nothing left soon after, it was [in vain](Theft), and the
//! queue is left alone for a while.
//!
//! Nobody is shut out by newborns that have children themselves: every [`QUEUE_EVERY`] turns the queue goes first, and now and then the
//! newborn [who waits longest](Queues::pop_longest_waiting).

use std::cell::Cell;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use crossbeam_deque::{Injector, Steal, Stealer, Worker as Deque};

use crate::raw::ready::Ready;
use crate::time::{Instant, nanos};

/// How many of one turn's newborns go before the queue.
const NEWBORNS: usize = 256;
/// Every how many turns the queue goes before the newborns.
const QUEUE_EVERY: u32 = 8;

/// A single process that waits behind turns as short as this is left where it is.
pub(super) const SHORT_TURN: Duration = Duration::from_micros(2);
/// And behind turns as short as this all that take no longer than [`WORTH_WHILE`] together.
const TINY_TURN: Duration = Duration::from_nanos(500);
const WORTH_WHILE: Duration = Duration::from_micros(20);
/// It takes longer than such a turn to get the lines of a process, five or six, there and back between two cores: with turns as short as
/// this two workers are no faster than one, if all comes from one of them.
const TRIP: Duration = Duration::from_nanos(300);
/// Who takes processes gets so many turns out of each, or has taken them in vain.
const TURNS_FOR_EACH: u32 = 4;
/// So long a queue is left alone after that.
const ALONE: Duration = Duration::from_millis(10);

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

/// How many have to stand in the queue for others to take some, and why. Whoever changes it at the same time as another is put right by the
/// worker after some turns, and by the monitor.
struct Worth {
    /// [`Worth::NEVER`]: however many there are.
    least: AtomicUsize,
    /// How long turns are, in nanoseconds; the most there is: it is not known.
    pace: AtomicU64,
    /// How many others have taken since the pace was measured.
    taken: AtomicUsize,
    /// [`Instant`] until which others leave all where it is.
    alone_until: AtomicU64,
}

/// Processes that a worker has taken from another one whose turns take less than the [`TRIP`].
///
/// If they bring work of their own, as one of two that talk to each other, or the root of a tree, they have moved for good, and it was
/// worth it. But where one process makes or wakes the others, over and over, they come from its worker and go back there, or their memory
/// does: to end 1,000,000 processes that one had spawned took two workers twice as long as one.
#[derive(Clone, Copy)]
pub(super) struct Theft {
    /// The number of its worker.
    pub(super) from: usize,
    count: u32,
    /// The number of the turn before the first of theirs.
    turn: u32,
}

impl Theft {
    /// Were they in vain, if there is nothing left to do at this turn?
    pub(super) fn was_in_vain(self, turn: u32) -> bool {
        turn.wrapping_sub(self.turn) < self.count.saturating_mul(TURNS_FOR_EACH)
    }
}

impl Queues {
    pub(super) fn new() -> (Self, Stealers) {
        let (queue, newborns) = (Deque::new_fifo(), Deque::new_lifo());
        let worth = Arc::new(Worth::unknown());
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

    /// So many turns took so long.
    pub(super) fn set_pace(&self, turns: u32, time: Duration, now: Instant) {
        self.worth.set_pace(turns, time, now);
    }

    /// What comes next may be of another kind.
    pub(super) fn forget_pace(&self) {
        self.worth.forget();
    }

    /// Would others take something?
    #[inline(always)]
    pub(super) fn has_for_others(&self) -> bool {
        self.worth.has(self.queue.len(), self.newborns.len())
    }

    /// Takes some from the worker with this number, at this turn of ours. If turns are shorter there than the [`TRIP`], it is to be
    /// seen what has come of it.
    pub(super) fn steal_from(
        &self,
        from: usize,
        other: &Stealers,
        turn: u32,
    ) -> Option<(Ready, Option<Theft>)> {
        if !other.has_for_others() {
            return None;
        }
        let before = self.queue.len();
        let ready = insist(|| other.queue.steal_batch_and_pop(&self.queue))
            .or_else(|| insist(|| other.newborns.steal_batch_and_pop(&self.queue)))?;
        let count = self.queue.len() - before + 1;
        other.worth.taken.fetch_add(count, Relaxed);
        let theft = Theft { from, count: u32::try_from(count).unwrap_or(u32::MAX), turn };
        Some((ready, other.worth.is_less_than_the_trip().then_some(theft)))
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
        self.worth.forget();
    }

    /// Others have taken some in vain.
    pub(super) fn leave_alone(&self, now: Instant) {
        self.worth.leave_alone(now);
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.newborns.len()
    }
}

impl Worth {
    const NEVER: usize = usize::MAX;

    fn unknown() -> Self {
        Self {
            least: AtomicUsize::new(1),
            pace: AtomicU64::new(u64::MAX),
            taken: AtomicUsize::new(0),
            alone_until: AtomicU64::new(0),
        }
    }

    fn forget(&self) {
        self.alone_until.store(0, Relaxed);
        self.pace.store(u64::MAX, Relaxed);
        self.least.store(1, Relaxed);
    }

    fn set_pace(&self, turns: u32, time: Duration, now: Instant) {
        let is_left_alone = now.as_nanos() < self.alone_until.load(Relaxed);
        self.least.store(if is_left_alone { Self::NEVER } else { Self::at(time / turns) }, Relaxed);
        // What others have taken would have been turns here too, but of turns so short most of the time that one worker has to spare
        // for them goes into their lines: they count half.
        let taken = self.taken.swap(0, Relaxed) as u64;
        self.pace.store(nanos(time) / (u64::from(turns) + taken / 2), Relaxed);
    }

    fn is_less_than_the_trip(&self) -> bool {
        self.pace.load(Relaxed) < nanos(TRIP)
    }

    fn leave_alone(&self, now: Instant) {
        self.alone_until.store((now + ALONE).as_nanos(), Relaxed);
        self.least.store(Self::NEVER, Relaxed);
    }

    /// Behind turns that are so long on average.
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
        let least = self.least.load(Relaxed);
        // A single load decides: this is asked at every wake-up.
        (queue >= least || newborns >= least.min(2)) && least != Self::NEVER
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

    #[test]
    fn what_soon_leaves_nothing_to_do_was_taken_in_vain() {
        let in_vain = |count, turns: u32| {
            let turn = u32::MAX - 2;
            Theft { from: 0, count, turn }.was_in_vain(turn.wrapping_add(turns))
        };
        assert!(in_vain(1, 1) && in_vain(1, 3) && in_vain(32, 127));
        assert!(!in_vain(1, 4) && !in_vain(32, 128) && !in_vain(32, 1_000_000));
    }

    /// 64 turns.
    const WINDOW: u32 = 64;

    #[test]
    fn it_is_judged_what_comes_of_turns_shorter_than_the_trip() {
        let worth = Worth::unknown();
        assert!(!worth.is_less_than_the_trip(), "nobody knows how long they are");
        let is_less = |turn: u64, taken| {
            worth.taken.store(taken, Relaxed);
            worth.set_pace(WINDOW, Duration::from_nanos(turn) * WINDOW, Instant::START);
            worth.is_less_than_the_trip()
        };
        assert!(is_less(299, 0) && !is_less(300, 0));
        // With as many taken by others, half of which count.
        assert!(is_less(449, 64) && !is_less(450, 64));
        assert!(!is_less(300, 0), "what was taken counts once");
    }

    #[test]
    fn a_queue_from_which_others_took_in_vain_is_left_alone_for_a_while() {
        let (worth, tiny) = (Worth::unknown(), Duration::from_nanos(100) * WINDOW);
        assert!(worth.has(1, 0) && worth.has(0, 1));
        worth.set_pace(WINDOW, tiny, Instant::START);
        assert!(worth.has(200, 0) && !worth.has(199, 1) && worth.has(0, 2));
        worth.leave_alone(Instant::START);
        assert!(!worth.has(1_000_000, 1_000_000));
        // One long turn among the tiny ones changes nothing.
        let last = Instant::START + (ALONE - Duration::from_nanos(1));
        worth.set_pace(WINDOW, SHORT_TURN * WINDOW, last);
        assert!(!worth.has(1_000_000, 1_000_000));
        worth.set_pace(WINDOW, tiny, Instant::START + ALONE);
        assert!(worth.has(200, 0) && !worth.has(199, 1));
    }

    #[test]
    fn the_monitor_opens_a_queue_that_is_left_alone() {
        let worth = Worth::unknown();
        worth.leave_alone(Instant::START);
        worth.forget();
        assert!(worth.has(1, 0) && worth.has(0, 1));
        worth.set_pace(WINDOW, SHORT_TURN * WINDOW, Instant::START);
        assert!(worth.has(1, 0));
    }
}

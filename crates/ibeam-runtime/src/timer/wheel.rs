//! A timing wheel: which entry is due next, for millions of entries, most of which are cancelled before their
//! time.
//!
//! The hierarchical wheel of Varghese and Lauck ("Hashed and Hierarchical Timing Wheels", 1987, scheme 7). A
//! deadline is read as eleven digits to the base 64, and an entry hangs where its deadline first differs from
//! the wheel's time:
//!
//! ```text
//! level 10        ...        level 1           level 0
//! [0 ... 15]             [0 ...... 63]     [0 ...... 63] ─▶ due ─▶ pop_expired
//!    2^60 ticks each        64 ticks each     1 tick each
//!          └──── cascade ────▶┘ └── cascade ──▶┘
//! ```
//!
//! It has no clock and no lock: time is an argument, and whoever shares a wheel brings the lock. So every
//! operation is short: O(1), or O(levels), or as many steps as the caller allows. No value is dropped inside,
//! so no foreign destructor runs under that lock.
//!
//! # Invariants
//! 1. Outside the lists `DUE` and `CASCADE`, an entry with deadline `d` hangs on the level of the highest
//!    digit in which `d` differs from `time`, in the slot of that digit of `d`. All entries of a lower level
//!    are therefore before those of a higher one, within a level before those of a later slot, and no slot
//!    ever means two ranges of time.
//! 2. Entries with equal deadlines stand in order of insertion: their list is a function of `time` and the
//!    deadline alone, lists grow at the tail, and a cascade takes from the head. While a cascade is not
//!    finished, what is inserted into the range it spreads, or before it, joins its tail, behind the older
//!    ones that still wait there.
//! 3. A bit of `occupied` is set if and only if that slot has entries.
//! 4. An occupied slot's `floor` lies in the slot's range and is never later than any deadline in the slot.
//! 5. A serial number is given once, so a key that outlived its entry matches no other.

mod owners;
mod slab;
#[cfg(test)]
mod tests;

use std::num::NonZeroU64;

use self::owners::Owners;
use self::slab::Slab;

/// One digit of a deadline: 64 slots per level, so that one word says which of them are occupied.
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = u64::BITS.div_ceil(BITS) as usize;

/// Lists beside the slots, which are numbered level by level.
const DUE: usize = LEVELS * SLOTS;
const CASCADE: usize = DUE + 1;
const LISTS: usize = CASCADE + 1;

/// Marks a link that leads to the sentinel of a list (its number in the other bits), not to an entry.
const SENTINEL: u32 = 1 << 31;
/// The end of an owner's list.
const NIL: u32 = u32::MAX;
/// The owner of entries that have none.
const NOBODY: u64 = 0;

/// Names one entry for as long as it is in the wheel; afterwards it names nothing, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    index: u32,
    serial: NonZeroU64,
}

/// Entries ordered by deadline, in ticks from an origin that the caller chooses.
///
/// # Order
/// Entries leave in the order of their deadlines, equal deadlines in the order of insertion. An entry whose
/// deadline is not after the wheel's time when it is inserted counts as due at that time: it queues behind
/// what is due already.
///
/// # Memory
/// Entries live in blocks of 64; an emptied block is given back, up to one that is kept for the next
/// insertion.
pub(crate) struct Wheel<T> {
    /// Up to here the wheel has been turned; while `advance` has not finished, behind the time it was given.
    time: u64,
    next_serial: NonZeroU64,
    entries: Slab<Entry<T>>,
    lists: [List; LISTS],
    occupied: [u64; LEVELS],
    /// The end of the range that `CASCADE` comes from; means nothing while that list is empty.
    cascade_end: u64,
    owners: Owners,
}

struct Entry<T> {
    serial: NonZeroU64,
    deadline: u64,
    link: Link,
    owner: u64,
    /// Among the entries of the same owner, the newest first.
    siblings: Link,
    value: T,
}

#[derive(Clone, Copy)]
struct Link {
    prev: u32,
    next: u32,
}

/// A ring through `sentinel`, so that unlinking an entry needs no word on which list it is in, and a whole
/// list can move into another without a visit to its entries.
struct List {
    sentinel: Link,
    /// Of a slot only: the earliest deadline since it was last empty.
    floor: u64,
}

impl<T> Wheel<T> {
    /// An empty wheel whose time is `now`.
    pub(crate) fn new(now: u64) -> Self {
        Wheel {
            time: now,
            next_serial: NonZeroU64::MIN,
            entries: Slab::new(),
            lists: std::array::from_fn(|list| List { sentinel: ring(list), floor: 0 }),
            occupied: [0; LEVELS],
            cascade_end: 0,
            owners: Owners::new(),
        }
    }

    /// Up to here the wheel has been turned.
    pub(crate) fn time(&self) -> u64 {
        self.time
    }

    /// How many entries there are, including those that are due and not yet popped.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds an entry that nobody owns. O(1); allocates once per 64 entries.
    ///
    /// # Panics
    /// If there are 2^31 entries.
    pub(crate) fn insert(&mut self, deadline: u64, value: T) -> Key {
        self.insert_owned(deadline, NOBODY, value)
    }

    /// Adds an entry that [`cancel_owned`](Self::cancel_owned) finds by its owner; 0 is nobody. O(1) but for
    /// the growth of the map of owners, a 64th of it at a time.
    ///
    /// # Panics
    /// If there are 2^31 entries.
    pub(crate) fn insert_owned(&mut self, deadline: u64, owner: u64, value: T) -> Key {
        let serial = self.next_serial;
        self.next_serial = serial.checked_add(1).expect("a wheel sees fewer than 2^64 timers");
        let (link, siblings) = (Link { prev: NIL, next: NIL }, Link { prev: NIL, next: NIL });
        let index = self.entries.insert(Entry { serial, deadline, link, owner, siblings, value });
        if owner != NOBODY {
            self.adopt(index, owner);
        }
        if !self.is_empty(CASCADE) && deadline <= self.cascade_end {
            // Straight to its slot it would overtake an equal one that still waits to be spread (invariant
            // 2).
            self.push_back(CASCADE, index);
        } else {
            self.place(index);
        }
        Key { index, serial }
    }

    /// Takes an entry back with its deadline, also when it is due already; `None` once it was popped or
    /// cancelled. O(1).
    pub(crate) fn cancel(&mut self, key: Key) -> Option<(u64, T)> {
        self.find(key)?;
        let entry = self.remove(key.index);
        Some((entry.deadline, entry.value))
    }

    /// Cancels the entries of `owner`, the newest first, also those that are due; nothing for owner 0.
    ///
    /// Each is cancelled when the iterator reaches it: `take(n)` does a part, and a later call goes on from
    /// there.
    pub(crate) fn cancel_owned(&mut self, owner: u64) -> impl Iterator<Item = T> {
        std::iter::from_fn(move || {
            let newest = self.owners.newest(owner)?;
            Some(self.remove(newest).value)
        })
    }

    /// The deadline as it was inserted, while the entry is in the wheel.
    pub(crate) fn deadline(&self, key: Key) -> Option<u64> {
        self.find(key).map(|entry| entry.deadline)
    }

    /// The value of an entry, while it is in the wheel.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.find(key)?;
        Some(&mut self.entries[key.index].value)
    }

    /// When to call [`advance`](Self::advance) next; `None` if and only if the wheel is empty. O(levels).
    ///
    /// - Not after the time given last (to `advance` or `new`): something is left to do now, entries to pop
    ///   or an `advance` that ran out of steps. Conversely, after one that did not, and with all popped, the
    ///   answer is a later time.
    /// - Otherwise never after the earliest deadline, and equal to it unless the earliest entry of its slot
    ///   was cancelled. After such a cancellation one `advance` at this time may find nothing due; it makes
    ///   the next answer exact. So who sleeps until the answer wakes once per deadline and at most once more
    ///   per cancellation.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        if !self.is_empty(DUE) || !self.is_empty(CASCADE) {
            return Some(self.time);
        }
        self.first_slot().map(|(_, list)| self.lists[list].floor)
    }

    /// Turns the wheel to `now`, so that [`pop_expired`](Self::pop_expired) finds what is due; an earlier
    /// `now` than before changes nothing.
    ///
    /// A step opens one slot or moves one entry, and it stops after `steps` of them (1 at least, to get
    /// anywhere): a caller that holds a lock does a part and lets others in.
    /// [`next_deadline`](Self::next_deadline) tells whether something is left. Anything else may be
    /// called in between; nothing fires early or out of order.
    pub(crate) fn advance(&mut self, now: u64, steps: usize) {
        for _ in 0..steps {
            if !self.step(now) {
                break;
            }
        }
    }

    /// Takes the first of the entries that are due. O(1).
    pub(crate) fn pop_expired(&mut self) -> Option<T> {
        let head = self.lists[DUE].sentinel.next;
        (head & SENTINEL == 0).then(|| self.remove(head).value)
    }

    /// One step towards `now`; `false` when there was none left to take.
    fn step(&mut self, now: u64) -> bool {
        let head = self.lists[CASCADE].sentinel.next;
        if head & SENTINEL == 0 {
            self.unlink(head);
            self.place(head);
            return true;
        }
        if let Some((level, list)) = self.first_slot() {
            let floor = self.lists[list].floor;
            let span = (1 << (level as u32 * BITS)) - 1;
            if floor & !span <= now {
                // A slot is opened as soon as its range begins, also if nothing in it is due: invariant 1.
                self.time = floor.min(now);
                self.cascade_end = floor | span;
                self.append(list, if level == 0 { DUE } else { CASCADE });
                self.occupied[level] &= !(1 << (list % SLOTS));
                return true;
            }
        }
        self.time = self.time.max(now);
        false
    }

    fn find(&self, key: Key) -> Option<&Entry<T>> {
        self.entries.get(key.index).filter(|entry| entry.serial == key.serial)
    }

    fn remove(&mut self, index: u32) -> Entry<T> {
        self.unlink(index);
        self.disown(index);
        self.entries.remove(index)
    }

    /// The occupied slot that is first in time, with its level.
    fn first_slot(&self) -> Option<(usize, usize)> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        Some((level, level * SLOTS + self.occupied[level].trailing_zeros() as usize))
    }

    /// Hangs an entry that is in no list where invariant 1 wants it.
    fn place(&mut self, index: u32) {
        let deadline = self.entries[index].deadline;
        if deadline <= self.time {
            return self.push_back(DUE, index);
        }
        let level = (self.time ^ deadline).ilog2() / BITS;
        let slot = (deadline >> (level * BITS)) as usize % SLOTS;
        let list = level as usize * SLOTS + slot;
        let floor = &mut self.lists[list].floor;
        let (occupied, bit) = (&mut self.occupied[level as usize], 1 << slot);
        *floor = if *occupied & bit == 0 { deadline } else { deadline.min(*floor) };
        *occupied |= bit;
        self.push_back(list, index);
    }

    fn is_empty(&self, list: usize) -> bool {
        self.lists[list].sentinel.next & SENTINEL != 0
    }

    fn push_back(&mut self, list: usize, index: u32) {
        let next = SENTINEL | list as u32;
        let prev = std::mem::replace(&mut self.lists[list].sentinel.prev, index);
        self.link(prev).next = index;
        self.entries[index].link = Link { prev, next };
    }

    /// Takes an entry out of its list, whichever it is.
    fn unlink(&mut self, index: u32) {
        let Link { prev, next } = self.entries[index].link;
        self.link(prev).next = next;
        self.link(next).prev = prev;
        let list = (prev & !SENTINEL) as usize;
        // Only a sentinel can be both neighbours, so the list is empty now.
        if prev == next && list < DUE {
            self.occupied[list / SLOTS] &= !(1 << (list % SLOTS));
        }
    }

    /// Moves all of `from`, which has entries, to the tail of `to`.
    fn append(&mut self, from: usize, to: usize) {
        let Link { prev: last, next: first } = std::mem::replace(&mut self.lists[from].sentinel, ring(from));
        let tail = std::mem::replace(&mut self.lists[to].sentinel.prev, last);
        self.link(tail).next = first;
        self.link(first).prev = tail;
        self.link(last).next = SENTINEL | to as u32;
    }

    fn link(&mut self, at: u32) -> &mut Link {
        if at & SENTINEL == 0 {
            &mut self.entries[at].link
        } else {
            &mut self.lists[(at & !SENTINEL) as usize].sentinel
        }
    }

    fn adopt(&mut self, index: u32, owner: u64) {
        if let Some(next) = self.owners.set_newest(owner, index) {
            self.entries[next].siblings.prev = index;
            self.entries[index].siblings.next = next;
        }
    }

    fn disown(&mut self, index: u32) {
        let Entry { owner, siblings: Link { prev, next }, .. } = self.entries[index];
        if next != NIL {
            self.entries[next].siblings.prev = prev;
        }
        if prev != NIL {
            self.entries[prev].siblings.next = next;
        } else if next != NIL {
            self.owners.set_newest(owner, next);
        } else if owner != NOBODY {
            self.owners.remove(owner);
        }
    }
}

/// The sentinel of an empty list.
fn ring(list: usize) -> Link {
    let own = SENTINEL | list as u32;
    Link { prev: own, next: own }
}

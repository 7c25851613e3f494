//! A map whose entries stay where they are: for tables by pid or reference that have up to a million of them.
//!
//! In an `IndexMap` the last entry takes the place of one that is removed, so each removal looks at that one too, and for where the
//! table has it. In a supervisor with 100,000 children these are lines that nothing else has in the cache. Here a place that becomes
//! free is the next one's.
//!
//! ```text
//! key ── number / 8 ──▶ run: [ place | place | – | place | … ] ──▶ entries
//!                                     number % 8
//! ```
//!
//! Where an entry is stands in a table of *runs*: of [`RUN`] numbers in sequence each, for what was started in sequence is mostly looked up,
//! and stopped, in sequence too. One line of memory serves all of a run, and a table that grows moves an eighth as much, without a look
//! at any entry: with an element for each key, which has to be read again to be moved, that was a tenth of a child's start.
//!
//! # Invariants
//! 1. The place of each entry stands in one run, that of its key's number, and a run has no other places.
//! 2. A run without a place is not in the table.
//! 3. Of keys with the same number each has a run of its own. They are few, so that a search stays short.

use std::fmt;
use std::hash::BuildHasher;

use hashbrown::HashTable;
use slab::Slab;

use crate::nearby::Nearby;
use crate::pid::{INDEX_LIMIT, Pid};
use crate::reference::Reference;

/// How many numbers in sequence share an element of the table.
const RUN: usize = 8;
/// How many processes of one slot, in sequence, have the same number.
const GENERATIONS: u64 = 16;
/// No place: there are fewer entries than that.
const NOWHERE: u32 = u32::MAX;

/// A key that has a number. At most sixteen have the same: a search may look at all of them.
pub trait Numbered: Eq {
    /// The number: close to that of what was made before and after it.
    fn number(&self) -> u64;
}

impl Numbered for Pid {
    /// Its slot, and which sixteen generations it is one of: neighbours stay close while slots are used again, some more often than others,
    /// and yet a process that starts others in one slot over and over, and has not heard of their ends, does not have them all in one
    /// place.
    #[inline(always)]
    fn number(&self) -> u64 {
        self.generation() / GENERATIONS * u64::from(INDEX_LIMIT) + u64::from(self.index())
    }
}

impl Numbered for Reference {
    #[inline(always)]
    fn number(&self) -> u64 {
        self.to_bits()
    }
}

/// Where the entries of some keys are whose numbers, divided by [`RUN`], are the same.
struct Run {
    number: u64,
    places: [u32; RUN],
}

impl Run {
    /// The number of the key's run, and where in it the key is.
    #[inline(always)]
    fn of(key: &impl Numbered) -> (u64, usize) {
        let number = key.number();
        (number / RUN as u64, (number % RUN as u64) as usize)
    }

    #[inline(always)]
    fn hash(number: u64) -> u64 {
        Nearby.hash_one(number)
    }

    fn is_empty(&self) -> bool {
        // One after the other: as a whole it could not be read before what was just written is in the cache.
        self.places.iter().all(|&place| place == NOWHERE)
    }
}

/// See the module. Iterates in the order of insertion until something is removed, and then in one that depends on nothing but what
/// was inserted and removed.
pub struct StableMap<K, V> {
    runs: HashTable<Run>,
    entries: Slab<(K, V)>,
}

/// Much memory and little in it: who had a million entries for a moment gives it back.
fn is_too_large(capacity: usize, len: usize) -> bool {
    capacity > 1024 && len < capacity / 8
}

impl<K, V> Default for StableMap<K, V> {
    fn default() -> Self {
        Self { runs: HashTable::new(), entries: Slab::new() }
    }
}

impl<K, V> StableMap<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// For how many there is room.
    pub fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    /// Bytes of what it allocates.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<(K, V)>() + self.runs.capacity() * size_of::<Run>()
    }

    /// The entries with their places: see [`at`](Self::at).
    pub fn iter(&self) -> impl Iterator<Item = (usize, &K, &V)> {
        self.entries.iter().map(|(place, (key, value))| (place, key, value))
    }

    /// What is in this place. All that there is has one below [`capacity`](Self::capacity), and keeps it as long as nothing is removed.
    /// When something is removed some may get one further down.
    pub fn at(&self, place: usize) -> Option<(&K, &V)> {
        self.entries.get(place).map(|(key, value)| (key, value))
    }
}

/// Is this key's entry in this place?
#[inline(always)]
fn is_at<K: Eq, V>(entries: &Slab<(K, V)>, place: u32, key: &K) -> bool {
    entries.get(place as usize).is_some_and(|(other, _)| other == key)
}

impl<K: Numbered, V> StableMap<K, V> {
    #[inline]
    fn place(&self, key: &K) -> Option<usize> {
        let (number, within) = Run::of(key);
        let is_its = |run: &Run| run.number == number && is_at(&self.entries, run.places[within], key);
        self.runs.find(Run::hash(number), is_its).map(|run| run.places[within] as usize)
    }

    /// The value of this key.
    #[inline]
    pub fn get(&self, key: &K) -> Option<&V> {
        Some(&self.entries[self.place(key)?].1)
    }

    /// The value of this key, to be changed.
    #[inline]
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.place(key)?;
        Some(&mut self.entries[place].1)
    }

    /// The former value of this key comes back.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.get_mut(&key) {
            Some(former) => Some(std::mem::replace(former, value)),
            None => {
                self.insert_new(key, value);
                None
            }
        }
    }

    /// As [`insert`](Self::insert), for a key that is not there.
    ///
    /// # Panics
    /// With more than four billion entries.
    #[inline]
    pub fn insert_new(&mut self, key: K, value: V) {
        let (number, within) = Run::of(&key);
        let place = u32::try_from(self.entries.insert((key, value))).ok().filter(|place| *place != NOWHERE);
        self.enter(number, within, place.expect("pids and references are fewer"));
    }

    #[inline]
    fn enter(&mut self, number: u64, within: usize, place: u32) {
        let hash = Run::hash(number);
        let has_room = |run: &Run| run.number == number && run.places[within] == NOWHERE;
        if let Some(run) = self.runs.find_mut(hash, has_room) {
            run.places[within] = place;
            return;
        }
        let new = Run { number, places: [NOWHERE; RUN] };
        let mut run = self.runs.insert_unique(hash, new, |run| Run::hash(run.number));
        run.get_mut().places[within] = place;
    }

    /// The value of this key, which goes.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.remove_if(key, |_| true)
    }

    /// The value of this key, which goes if this is true of it.
    #[inline]
    pub fn remove_if(&mut self, key: &K, goes: impl FnOnce(&V) -> bool) -> Option<V> {
        let Self { runs, entries } = self;
        let (number, within) = Run::of(key);
        let is_its = |run: &Run| run.number == number && is_at(entries, run.places[within], key);
        let mut found = runs.find_entry(Run::hash(number), is_its).ok()?;
        let place = found.get().places[within] as usize;
        if !goes(&entries[place].1) {
            return None;
        }
        found.get_mut().places[within] = NOWHERE;
        if found.get().is_empty() {
            found.remove();
        }
        let (_, value) = entries.remove(place);
        if is_too_large(entries.capacity(), entries.len()) {
            self.shrink();
        }
        Some(value)
    }

    #[cold]
    fn shrink(&mut self) {
        self.entries.compact(|_, _, _| true);
        self.runs = HashTable::new();
        for place in 0..self.entries.len() {
            let (number, within) = Run::of(&self.entries[place].0);
            self.enter(number, within, place as u32);
        }
    }
}

impl<K, V> IntoIterator for StableMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::iter::Map<slab::IntoIter<(K, V)>, fn((usize, (K, V))) -> (K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter().map(|(_, entry)| entry)
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for StableMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries.iter().map(|(_, (key, value))| (key, value))).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Of four keys in a row each has the number of the first.
    impl Numbered for u64 {
        fn number(&self) -> u64 {
            self / 4
        }
    }

    proptest! {
        /// It does what a map of the standard library does.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0_u64..64, any::<u8>(), 0..4), 0..400)) {
            let (mut map, mut model) = (StableMap::default(), BTreeMap::new());
            for (key, value, what) in steps {
                match what {
                    0 => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                    1 => {
                        let even = map.remove_if(&key, |value| value % 2 == 0);
                        let expected = model.get(&key).is_some_and(|value| value % 2 == 0);
                        prop_assert_eq!(even, if expected { model.remove(&key) } else { None });
                    }
                    _ => prop_assert_eq!(map.insert(key, value), model.insert(key, value)),
                }
                prop_assert_eq!(map.get(&key), model.get(&key));
                prop_assert_eq!(map.len(), model.len());
            }
            for (place, key, value) in map.iter() {
                prop_assert_eq!(map.at(place), Some((key, value)));
                prop_assert!(place < map.capacity());
            }
            let mut all: Vec<_> = map.into_iter().collect();
            all.sort_unstable();
            prop_assert_eq!(all, Vec::from_iter(model));
        }
    }

    #[test]
    fn few_pids_have_the_same_number_and_neighbours_share_a_run() {
        let pid = |index, generation| Pid::from_parts(index, generation);
        let mut same = BTreeMap::<u64, u64>::new();
        for generation in 0..10_000 {
            for index in [0, 1, 7, 8, (1 << 24) - 1] {
                *same.entry(pid(index, generation).number()).or_default() += 1;
            }
        }
        assert_eq!(same.values().max(), Some(&GENERATIONS));
        let run = |index, generation| Run::of(&pid(index, generation)).0;
        assert!((8..16).all(|index| run(index, u64::from(index)) == run(8, 0)), "used up to 15 times");
        assert_ne!(run(16, 0), run(8, 0));
        assert_ne!(run(8, GENERATIONS), run(8, 0));
    }

    #[test]
    fn one_slot_over_and_over_needs_as_many_runs_as_there_are_pids() {
        let mut map = StableMap::default();
        let pids = (0..1_000).map(|generation| Pid::from_parts(42, generation));
        pids.clone().for_each(|pid| map.insert_new(pid, pid));
        assert_eq!(map.runs.len(), 1_000);
        pids.clone().for_each(|pid| assert_eq!(map.get(&pid), Some(&pid)));
        pids.for_each(|pid| assert_eq!(map.remove(&pid), Some(pid)));
        assert_eq!((map.runs.len(), map.len()), (0, 0));
    }

    #[test]
    fn memory_is_given_back_and_nothing_lost() {
        let mut map = StableMap::default();
        (0..10_000_u64).for_each(|key| map.insert_new(key, key));
        // Those that stay are at the end.
        (0..9_990).for_each(|key| assert_eq!(map.remove(&key), Some(key)));
        assert!(map.capacity() <= 1024, "{}", map.capacity());
        assert!((9_990..10_000).all(|key| map.get(&key) == Some(&key)));
        assert_eq!(map.iter().map(|(place, ..)| place).max(), Some(9));
    }

    #[test]
    fn it_is_too_large_with_much_room_and_little_in_it() {
        let cases =
            [(1024, 0, false), (1025, 0, true), (8000, 1000, false), (8000, 999, true), (8000, 8000, false)];
        for (capacity, len, expected) in cases {
            assert_eq!(is_too_large(capacity, len), expected, "{len} of {capacity}");
        }
    }
}

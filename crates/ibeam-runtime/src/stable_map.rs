//! A map whose entries stay where they are: for tables by pid or reference that have up to a million of them.
//!
//! In an `IndexMap` the last entry takes the place of one that is removed, so each removal looks at that one too, and for where the
//! table has it. In a supervisor with 100,000 children these are lines that nothing else has in the cache. Here a place that becomes
//! free is the next one's.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;
use slab::Slab;

use crate::nearby::Nearby;

/// See the module. Iterates in the order of insertion until something is removed, and then in one that depends on nothing but what
/// was inserted and removed.
pub struct StableMap<K, V> {
    /// Where in `entries` a key is.
    places: HashTable<u32>,
    entries: Slab<(K, V)>,
}

/// Much memory and little in it: who had a million entries for a moment gives it back.
fn is_too_large(capacity: usize, len: usize) -> bool {
    capacity > 1024 && len < capacity / 8
}

impl<K, V> Default for StableMap<K, V> {
    fn default() -> Self {
        Self { places: HashTable::new(), entries: Slab::new() }
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

impl<K: Hash + Eq, V> StableMap<K, V> {
    #[inline]
    fn place(&self, key: &K) -> Option<usize> {
        self.places.find(Nearby.hash_one(key), |&place| self.key(place) == key).map(|&place| place as usize)
    }

    #[inline]
    fn key(&self, place: u32) -> &K {
        &self.entries[place as usize].0
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
    pub fn insert_new(&mut self, key: K, value: V) {
        let hash = Nearby.hash_one(&key);
        let place = u32::try_from(self.entries.insert((key, value))).expect("pids are fewer");
        let Self { places, entries } = self;
        places.insert_unique(hash, place, |&place| Nearby.hash_one(&entries[place as usize].0));
    }

    /// The value of this key, which goes.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.remove_if(key, |_| true)
    }

    /// The value of this key, which goes if this is true of it.
    #[inline]
    pub fn remove_if(&mut self, key: &K, goes: impl FnOnce(&V) -> bool) -> Option<V> {
        let Self { places, entries } = self;
        let found =
            places.find_entry(Nearby.hash_one(key), |&place| entries[place as usize].0 == *key).ok()?;
        let place = *found.get() as usize;
        if !goes(&entries[place].1) {
            return None;
        }
        found.remove();
        let (_, value) = entries.remove(place);
        if is_too_large(entries.capacity(), entries.len()) {
            self.shrink();
        }
        Some(value)
    }

    #[cold]
    fn shrink(&mut self) {
        self.entries.compact(|_, _, _| true);
        let Self { places, entries } = self;
        places.clear();
        places.shrink_to(entries.len(), |_| 0);
        for (place, (key, _)) in &*entries {
            places.insert_unique(Nearby.hash_one(key), place as u32, |&place| {
                Nearby.hash_one(&entries[place as usize].0)
            });
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

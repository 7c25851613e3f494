//! Which entry is an owner's newest: a map that never rehashes much at a time.
//!
//! A table that doubles moves all it holds: with a million owners that took 26 ms, under the lock of whoever
//! shares the wheel. So it is 64 tables, each with its part. The hasher's seed is fixed, and nobody can see
//! the order in a table.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

const TABLES: usize = 64;

pub(super) struct Owners {
    tables: [HashMap<u64, u32, FixedState>; TABLES],
}

impl Owners {
    pub(super) fn new() -> Self {
        Owners { tables: std::array::from_fn(|_| HashMap::default()) }
    }

    pub(super) fn newest(&self, owner: u64) -> Option<u32> {
        self.tables[table(owner)].get(&owner).copied()
    }

    /// Makes `index` the newest entry of `owner`, and returns the one before.
    pub(super) fn set_newest(&mut self, owner: u64, index: u32) -> Option<u32> {
        self.tables[table(owner)].insert(owner, index)
    }

    /// Forgets an owner, and gives memory back when few are left.
    pub(super) fn remove(&mut self, owner: u64) {
        let table = &mut self.tables[table(owner)];
        table.remove(&owner);
        let room = table.capacity();
        // What stays is half full: the next rehash is far away in both directions.
        if room > 64 && table.len() < room / 8 {
            table.shrink_to(room / 4);
        }
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.tables.iter().flatten().map(|(&owner, &newest)| (owner, newest))
    }
}

/// By bits of the hash that a table does not look at: it takes its lowest and highest ones.
fn table(owner: u64) -> usize {
    (FixedState::default().hash_one(owner) >> 32) as usize % TABLES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_spread_over_the_tables() {
        // Process ids differ in their low bits, or only in their high ones.
        for shift in [0, 24, 40] {
            let mut owners = Owners::new();
            for owner in 1..=64_000_u64 {
                assert_eq!(owners.set_newest(owner << shift, owner as u32), None);
            }
            let sizes = owners.tables.iter().map(HashMap::len);
            assert!(
                sizes.clone().all(|size| (700..1_300).contains(&size)),
                "{:?}",
                sizes.collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn owners_who_left_give_their_memory_back() {
        let room = |owners: &Owners| owners.tables.iter().map(HashMap::capacity).sum::<usize>();
        let mut owners = Owners::new();
        for owner in 1..=50_000 {
            owners.set_newest(owner, 7);
        }
        assert!(room(&owners) >= 50_000);
        for owner in 11..=50_000 {
            owners.remove(owner);
        }
        assert!(room(&owners) <= 64 * TABLES, "{}", room(&owners));
        assert!((1..=10).all(|owner| owners.newest(owner) == Some(7)));
        assert_eq!(owners.newest(11), None);
    }
}

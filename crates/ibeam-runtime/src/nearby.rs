//! Hashing for tables by pid or reference, in which neighbours stay neighbours.
//!
//! Pids and references are handed out in sequence, and what was started in sequence is mostly looked up and stopped in sequence
//! too. A hash that scatters them makes each step of that a cache miss, in a supervisor of a hundred thousand children the
//! largest part of the work. Here each run of [`BLOCK`] numbers stands together, and only the runs are scattered. Nobody
//! outside chooses these numbers, so a fixed seed is no weakness; and the order of a simulated run does not depend on chance.

use std::hash::{BuildHasher, Hasher};

/// How many numbers in sequence stay together, a power of two: two cache lines of a table. Where such runs fall on one another a
/// search takes longer: 1.7 groups of 16 on average in a table that is about to grow. 64 gave 2.9 for a fifth fewer lines.
const BLOCK: u64 = 16;
/// hashbrown tells the entries of a group apart by these bits, and finds the group by the others.
const TAG_SHIFT: u32 = 57;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nearby;

impl BuildHasher for Nearby {
    type Hasher = NearbyHasher;

    #[inline(always)]
    fn build_hasher(&self) -> NearbyHasher {
        NearbyHasher(0)
    }
}

/// Hashes one number.
#[derive(Clone, Copy, Debug)]
pub struct NearbyHasher(u64);

impl Hasher for NearbyHasher {
    #[inline(always)]
    fn write_u64(&mut self, number: u64) {
        let (run, within) = (number / BLOCK, number % BLOCK);
        let product = u128::from(self.0 ^ run).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let place = (product >> 64) as u64 ^ product as u64;
        let tag = (place >> TAG_SHIFT) ^ within;
        self.0 = (place.wrapping_add(within) & ((1 << TAG_SHIFT) - 1)) | (tag << TAG_SHIFT);
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    #[inline(always)]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn hash(number: u64) -> u64 {
        Nearby.hash_one(number)
    }

    #[test]
    fn neighbours_stay_together_and_can_be_told_apart() {
        let first = BLOCK * 4711;
        let hashes: Vec<_> = (first..first + BLOCK).map(hash).collect();
        let place = |hash: u64| hash & 0xffff;
        assert!(hashes.windows(2).all(|pair| place(pair[1]) == (place(pair[0]) + 1) & 0xffff));
        let tags: HashSet<_> = hashes.iter().map(|hash| hash >> TAG_SHIFT).collect();
        assert_eq!(tags.len() as u64, BLOCK);
    }

    /// Whatever the distance between the numbers is, little is looked at in a table of hashbrown's kind that is about to grow:
    /// groups of 16, and from group to group in steps that grow.
    #[test]
    fn searches_stay_short() {
        const PLACES: usize = 1 << 14;
        const NUMBERS: usize = PLACES / 8 * 7;
        for step in [1, 2, 3, 16, 64, 100, 128, 1 << 10, 1 << 16, 1 << 24, (1 << 24) + 1] {
            let mut taken = vec![false; PLACES];
            let mut groups = 0;
            for number in (0..NUMBERS as u64).map(|i| 12_345 + i * step) {
                let (mut start, mut stride) = (hash(number) as usize % PLACES, 0);
                let free = loop {
                    groups += 1;
                    match (0..16).map(|i| (start + i) % PLACES).find(|&place| !taken[place]) {
                        Some(free) => break free,
                        None => stride += 16,
                    }
                    start = (start + stride) % PLACES;
                };
                taken[free] = true;
            }
            assert!(groups < 2 * NUMBERS, "step {step}: {groups} groups for {NUMBERS} numbers");
        }
    }
}

//! Where entries live: a slab that gives memory back while it is in use.
//!
//! # Invariants
//! 1. A bit of a block's `free` is set if and only if that place holds nothing.
//! 2. A block has memory if and only if something lives in it. So the memory in use is in proportion to the
//!    entries at the worst (64 places for one), and not to the most there ever were.
//! 3. `open` holds each block with a free place once, with memory or without; places are taken from the last
//!    of them.
//!
//! # Why not one vector
//! It could only be cut off behind the last entry alive, and a server always has some timer. And its growth
//! moves all entries at once, under the lock of whoever shares it; here an insertion allocates one block at
//! most.

use std::ops::{Index, IndexMut};

/// One word says which are free.
const PLACES: usize = 64;

type Places<N> = Box<[Option<N>; PLACES]>;

pub(super) struct Slab<N> {
    blocks: Vec<Block<N>>,
    open: Vec<u32>,
    /// The memory of the block that was emptied last, so that a count going up and down by one does not
    /// allocate.
    spare: Option<Places<N>>,
    len: usize,
}

struct Block<N> {
    free: u64,
    places: Option<Places<N>>,
}

impl<N> Slab<N> {
    pub(super) fn new() -> Self {
        Slab { blocks: Vec::new(), open: Vec::new(), spare: None, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Stores `value`; the index is less than 2^31.
    ///
    /// # Panics
    /// If 2^31 values are stored.
    pub(super) fn insert(&mut self, value: N) -> u32 {
        let at = match self.open.last() {
            Some(&at) => at as usize,
            None => {
                let at = self.blocks.len();
                assert!(at < (1 << 31) / PLACES, "expected fewer than 2^31 timers at a time");
                self.blocks.push(Block { free: !0, places: None });
                self.open.push(at as u32);
                at
            }
        };
        let block = &mut self.blocks[at];
        let place = block.free.trailing_zeros() as usize;
        let places = block
            .places
            .get_or_insert_with(|| self.spare.take().unwrap_or_else(|| Box::new([const { None }; PLACES])));
        places[place] = Some(value);
        block.free &= !(1 << place);
        if block.free == 0 {
            self.open.pop();
        }
        self.len += 1;
        (at * PLACES + place) as u32
    }

    pub(super) fn get(&self, index: u32) -> Option<&N> {
        let (at, place) = split(index);
        self.blocks.get(at)?.places.as_ref()?[place].as_ref()
    }

    /// Takes out the value at `index`.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn remove(&mut self, index: u32) -> N {
        let (at, place) = split(index);
        let block = &mut self.blocks[at];
        let value = block.places.as_mut().and_then(|places| places[place].take()).expect(OCCUPIED);
        if block.free == 0 {
            self.open.push(at as u32);
        }
        block.free |= 1 << place;
        if block.free == !0 {
            self.spare = block.places.take();
        }
        self.len -= 1;
        if self.len == 0 {
            self.blocks.clear();
            self.blocks.shrink_to(PLACES);
            self.open.clear();
            self.open.shrink_to(PLACES);
        }
        value
    }
}

impl<N> Index<u32> for Slab<N> {
    type Output = N;

    fn index(&self, index: u32) -> &N {
        self.get(index).expect(OCCUPIED)
    }
}

impl<N> IndexMut<u32> for Slab<N> {
    fn index_mut(&mut self, index: u32) -> &mut N {
        let (at, place) = split(index);
        self.blocks[at].places.as_mut().and_then(|places| places[place].as_mut()).expect(OCCUPIED)
    }
}

const OCCUPIED: &str = "an index inside the wheel leads to an entry";

fn split(index: u32) -> (usize, usize) {
    (index as usize / PLACES, index as usize % PLACES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks_with_memory<N>(slab: &Slab<N>) -> usize {
        slab.blocks.iter().filter(|block| block.places.is_some()).count()
    }

    #[test]
    fn places_are_reused() {
        let mut slab = Slab::new();
        let first: Vec<u32> = (0..200).map(|n| slab.insert(n)).collect();
        for &index in &first[50..150] {
            assert_eq!(slab.remove(index), index as i32);
            assert_eq!(slab.get(index), None);
        }
        let mut again: Vec<u32> = (0..100).map(|n| slab.insert(n)).collect();
        again.sort_unstable();
        assert_eq!(again, first[50..150]);
        assert_eq!(slab.len(), 200);
        assert_eq!(slab.blocks.len(), 4);
    }

    #[test]
    fn memory_follows_what_is_stored() {
        let mut slab = Slab::new();
        let indices: Vec<u32> = (0..64_000).map(|n| slab.insert(n)).collect();
        assert_eq!(blocks_with_memory(&slab), 1_000);
        // One survivor in the first block and one in the last hold two blocks, not the thousand between them.
        for &index in &indices[1..63_999] {
            slab.remove(index);
        }
        assert_eq!(blocks_with_memory(&slab), 2);
        assert_eq!((slab[0], slab[63_999]), (0, 63_999));
        slab.remove(0);
        slab.remove(63_999);
        assert_eq!((slab.len(), slab.blocks.len(), slab.open.len()), (0, 0, 0));
        assert!(slab.blocks.capacity() <= PLACES && slab.open.capacity() <= PLACES);
    }

    #[test]
    fn a_free_place_costs_no_tag() {
        struct Entry {
            _serial: std::num::NonZeroU64,
            _value: u64,
        }
        assert_eq!(size_of::<Option<Entry>>(), 16);
    }
}

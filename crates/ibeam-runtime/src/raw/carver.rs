//! Arrays that stay for ever, cut from large blocks. What is cut is written by the thread that cuts it, and no page is touched before:
//! so a thread that goes on to use its array finds it in its cache, and the system is asked for memory once for many.

use std::mem::MaybeUninit;

/// So many arrays are in a block.
const BLOCK: usize = 32;

/// See the module.
pub(crate) struct Carver<T: 'static, const N: usize> {
    /// What is left of the last block: whole arrays.
    rest: &'static mut [MaybeUninit<T>],
}

impl<T: 'static, const N: usize> Carver<T, N> {
    pub(crate) const fn new() -> Self {
        Self { rest: &mut [] }
    }

    /// An array of what `make` makes.
    pub(crate) fn cut(&mut self, make: impl Fn() -> T) -> &'static [T; N] {
        if self.rest.is_empty() {
            self.rest = Box::leak(Box::new_uninit_slice(N * BLOCK));
        }
        let (array, rest) = std::mem::take(&mut self.rest).split_at_mut(N);
        self.rest = rest;
        for place in &mut *array {
            place.write(make());
        }
        // SAFETY: these are `N` places in sequence, and each was just written. Nobody else has them, and their block is never freed.
        unsafe { &*array.as_ptr().cast::<[T; N]>() }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashSet;
    use std::sync::OnceLock;

    use super::*;

    /// Over more than one block: each array has its own places, with what was made for them.
    #[test]
    fn arrays_do_not_overlap() {
        let mut carver = Carver::<u64, 3>::new();
        let made = Cell::new(0);
        let make = || made.replace(made.get() + 1);
        // They stay for ever, and so does who knows them: else the sanitizer takes them for lost.
        static ARRAYS: OnceLock<Vec<&[u64; 3]>> = OnceLock::new();
        let arrays = ARRAYS.get_or_init(|| (0..BLOCK * 2 + 1).map(|_| carver.cut(make)).collect());
        let values: Vec<_> = arrays.iter().copied().flatten().copied().collect();
        assert_eq!(values, (0..made.get()).collect::<Vec<_>>());
        let places: HashSet<_> = arrays.iter().copied().flatten().map(std::ptr::from_ref).collect();
        assert_eq!(places.len(), values.len());
        assert_eq!(carver.rest.len(), (BLOCK - 1) * 3);
    }
}

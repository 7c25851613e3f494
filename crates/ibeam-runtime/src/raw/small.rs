//! One value of any type, in place if it is small, and on the heap otherwise.
//!
//! # Invariants
//! 1. `space` holds a value of the type that `kind` was made for: a `T` that [fits](Kind::FITS), or a `Box<T>`.
//! 2. That value is `Send`, and is dropped once: by the drop of the `Small`, which nobody but its owner can touch.

use std::any::TypeId;
use std::mem::MaybeUninit;

/// What most values that are kept for a process take: see [`keepers`](crate::process::keepers).
const WORDS: usize = 3;

type Space = MaybeUninit<[usize; WORDS]>;

/// See the module.
pub(crate) struct Small {
    kind: &'static Kind,
    space: Space,
}

/// What there is to know of a forgotten type.
struct Kind {
    id: fn() -> TypeId,
    /// # Safety
    /// The space holds a value of this kind, which is not used any more.
    drop: unsafe fn(*mut Space),
}

impl Kind {
    const fn fits<T>() -> bool {
        size_of::<T>() <= size_of::<Space>() && align_of::<T>() <= align_of::<Space>()
    }

    /// The kind of a `T`, of which the space holds an `H`: the `T` itself, or a box of it.
    const fn of<T: 'static, H>() -> &'static Self {
        assert!(Self::fits::<H>());
        const {
            &Self {
                id: TypeId::of::<T>,
                // SAFETY: the space holds an `H`, and it is the last use of it.
                drop: |space| unsafe { space.cast::<H>().drop_in_place() },
            }
        }
    }
}

// SAFETY: the value is `Send` (invariant 2).
unsafe impl Send for Small {}

impl Small {
    #[inline]
    pub(crate) fn new<T: Send + 'static>(value: T) -> Self {
        let mut space = Space::uninit();
        let kind = const { if Kind::fits::<T>() { Kind::of::<T, T>() } else { Kind::of::<T, Box<T>>() } };
        if const { Kind::fits::<T>() } {
            // SAFETY: size and alignment fit, and the space is ours.
            unsafe { space.as_mut_ptr().cast::<T>().write(value) };
        } else {
            // SAFETY: as above; a box is one word.
            unsafe { space.as_mut_ptr().cast::<Box<T>>().write(Box::new(value)) };
        }
        Self { kind, space }
    }

    /// The value, if it is a `T`.
    #[inline]
    pub(crate) fn get_mut<T: 'static>(&mut self) -> Option<&mut T> {
        if (self.kind.id)() != TypeId::of::<T>() {
            return None;
        }
        let space = self.space.as_mut_ptr();
        // SAFETY: the space holds a `T` or a box of one (invariant 1), which of both follows from the type alone; and we borrow
        // it as long as ourselves.
        Some(unsafe {
            if const { Kind::fits::<T>() } { &mut *space.cast::<T>() } else { &mut **space.cast::<Box<T>>() }
        })
    }
}

impl Drop for Small {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the space holds a value of this kind (invariant 1), and is not touched again.
        unsafe { (self.kind.drop)(&raw mut self.space) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Kind, Small};

    /// Values of every size around the limit: each is found by its type only, can be changed, and is dropped once.
    #[test]
    fn values_in_place_and_on_the_heap() {
        fn check<const N: usize>(in_place: bool) {
            let counted = Arc::new(());
            assert_eq!(Kind::fits::<(Arc<()>, [u64; N])>(), in_place);
            let mut small = Small::new((Arc::clone(&counted), [7_u64; N]));
            assert!(small.get_mut::<Arc<()>>().is_none());
            let (_, numbers) = small.get_mut::<(Arc<()>, [u64; N])>().unwrap();
            numbers.fill(N as u64);
            let mut moved = Box::new(small);
            let (_, numbers) = moved.get_mut::<(Arc<()>, [u64; N])>().unwrap();
            assert_eq!(*numbers, [N as u64; N]);
            assert_eq!(Arc::strong_count(&counted), 2);
            drop(moved);
            assert_eq!(Arc::strong_count(&counted), 1);
        }
        check::<0>(true);
        check::<2>(true);
        check::<3>(false);
        check::<100>(false);
    }

    #[test]
    fn a_value_without_size_and_one_with_a_large_alignment() {
        #[repr(align(64))]
        #[derive(Debug, PartialEq)]
        struct Wide(u8);
        assert_eq!(Small::new(()).get_mut::<()>(), Some(&mut ()));
        let mut wide = Small::new(Wide(7));
        let found = wide.get_mut::<Wide>().unwrap();
        assert_eq!((&*found, std::ptr::from_ref(found).addr() % 64), (&Wide(7), 0));
    }
}

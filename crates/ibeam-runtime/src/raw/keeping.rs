//! What a keeper keeps for a process, as four words whose types are forgotten: whose it is, and the things, in place if they are
//! small.
//!
//! # Invariants
//! 1. `keeper` came from an `Arc<Keeping<K>>`, and counts as one of its owners. A [`Keeping`] begins with its kind, which was made for
//!    this `K`; and none stands within another, so an address says its type.
//! 2. `space` holds the `K::Things` if they [fit](fits), or a box of them. They are `Send`, and dropped once: by the drop of the entry,
//!    which nobody but its owner can touch.

use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::keepers::Keeper;

/// What most things that are kept for a process take: see [`keepers`](crate::process::keepers).
const WORDS: usize = 3;

type Space = MaybeUninit<[usize; WORDS]>;

const fn fits<T>() -> bool {
    size_of::<T>() <= size_of::<Space>() && align_of::<T>() <= align_of::<Space>()
}

/// A keeper that can be found again by its address alone.
#[repr(C)]
pub struct Keeping<K> {
    head: Head,
    keeper: K,
}

struct Head {
    kind: &'static Kind,
}

/// What there is to know of a forgotten keeper. All functions are for entries, which are as the module says.
struct Kind {
    /// The keeper, for one more owner.
    ///
    /// # Safety
    /// The address is that of a keeper of this kind, which an entry has.
    share: unsafe fn(NonNull<Head>) -> Arc<dyn Release>,
    /// Drops the things, then the entry's part of the keeper.
    ///
    /// # Safety
    /// As above; and neither is used again.
    drop: unsafe fn(NonNull<Head>, *mut Space),
}

/// A keeper whose type is forgotten.
pub(crate) trait Release: Send + Sync {
    /// See [`Keeper::release`].
    fn release(&self, pid: Pid, reason: &ExitReason, limit: usize) -> bool;
}

impl<K: Keeper> Release for Keeping<K> {
    fn release(&self, pid: Pid, reason: &ExitReason, limit: usize) -> bool {
        K::release(self, pid, reason, limit)
    }
}

impl<K: Keeper> Keeping<K> {
    const KIND: Kind = Kind {
        share: |keeper| {
            let keeper = keeper.as_ptr().cast_const().cast::<Self>();
            // SAFETY: it came from such an arc, and the entry's part of it lives (invariant 1).
            unsafe {
                Arc::increment_strong_count(keeper);
                Arc::from_raw(keeper)
            }
        },
        drop: |keeper, space| {
            // SAFETY: as above; the entry gives up its part.
            let keeper = unsafe { Arc::from_raw(keeper.as_ptr().cast_const().cast::<Self>()) };
            // SAFETY: the space holds one or the other (invariant 2), and it is the last use of it.
            unsafe {
                if const { fits::<K::Things>() } {
                    space.cast::<K::Things>().drop_in_place();
                } else {
                    space.cast::<Box<K::Things>>().drop_in_place();
                }
            }
            drop(keeper);
        },
    };

    /// For all that the keeper will keep.
    #[must_use]
    pub fn new(keeper: K) -> Arc<Self> {
        Arc::new(Self { head: Head { kind: const { &Self::KIND } }, keeper })
    }
}

impl<K> Deref for Keeping<K> {
    type Target = K;

    #[inline]
    fn deref(&self) -> &K {
        &self.keeper
    }
}

/// See the module.
pub(crate) struct Entry {
    keeper: NonNull<Head>,
    space: Space,
}

// SAFETY: keepers are `Send` and `Sync`, and what they keep is `Send` (invariant 2).
unsafe impl Send for Entry {}

impl Entry {
    #[inline]
    pub(crate) fn new<K: Keeper>(keeper: Arc<Keeping<K>>, things: K::Things) -> Self {
        let mut space = Space::uninit();
        if const { fits::<K::Things>() } {
            // SAFETY: size and alignment fit, and the space is ours.
            unsafe { space.as_mut_ptr().cast::<K::Things>().write(things) };
        } else {
            // SAFETY: as above; a box is one word.
            unsafe { space.as_mut_ptr().cast::<Box<K::Things>>().write(Box::new(things)) };
        }
        let keeper = Arc::into_raw(keeper).cast_mut().cast::<Head>();
        // SAFETY: an arc's value has an address.
        Self { keeper: unsafe { NonNull::new_unchecked(keeper) }, space }
    }

    /// The keeper's address.
    #[inline]
    pub(crate) fn keeper(&self) -> *const () {
        self.keeper.as_ptr().cast_const().cast()
    }

    #[inline]
    pub(crate) fn is_of<K>(&self, keeper: &Keeping<K>) -> bool {
        ptr::addr_eq(self.keeper(), keeper)
    }

    /// The things, if they are this keeper's.
    #[inline]
    pub(crate) fn things<K: Keeper>(&mut self, keeper: &Keeping<K>) -> Option<&mut K::Things> {
        if !self.is_of(keeper) {
            return None;
        }
        let space = self.space.as_mut_ptr();
        // SAFETY: both keepers live and have one address, so they are one, and a `K` (invariant 1). Then the space holds its things or
        // a box of them (invariant 2), which of both follows from the type alone; and we borrow it as long as ourselves.
        Some(unsafe {
            if const { fits::<K::Things>() } {
                &mut *space.cast::<K::Things>()
            } else {
                &mut **space.cast::<Box<K::Things>>()
            }
        })
    }

    /// The keeper, to be asked to release.
    pub(crate) fn share(&self) -> Arc<dyn Release> {
        // SAFETY: the keeper lives, as we have a part of it, and begins with its kind (invariant 1).
        unsafe { (self.keeper.as_ref().kind.share)(self.keeper) }
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: as above; the entry is gone after this.
        unsafe { (self.keeper.as_ref().kind.drop)(self.keeper, &raw mut self.space) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Keeps<T>(std::marker::PhantomData<fn() -> T>);

    impl<T: Send + 'static> Keeper for Keeps<T> {
        type Things = T;

        fn release(_: &Keeping<Self>, _: Pid, _: &ExitReason, limit: usize) -> bool {
            limit > 1
        }
    }

    fn keeper<T: Send + 'static>() -> Arc<Keeping<Keeps<T>>> {
        Keeping::new(Keeps(std::marker::PhantomData))
    }

    /// Things of every size around the limit: each is found by its keeper only, can be changed, and is dropped once.
    #[test]
    fn things_in_place_and_on_the_heap() {
        fn check<const N: usize>(in_place: bool) {
            let (keeper, counted) = (keeper(), Arc::new(()));
            let other = self::keeper::<(Arc<()>, [u64; N])>();
            assert_eq!(fits::<(Arc<()>, [u64; N])>(), in_place);
            let mut entry = Entry::new(Arc::clone(&keeper), (Arc::clone(&counted), [7_u64; N]));
            assert!(entry.things(&other).is_none() && !entry.is_of(&other));
            let (_, numbers) = entry.things(&keeper).unwrap();
            numbers.fill(N as u64);
            let mut moved = Box::new(entry);
            let (_, numbers) = moved.things(&keeper).unwrap();
            assert_eq!(*numbers, [N as u64; N]);
            assert_eq!((Arc::strong_count(&counted), Arc::strong_count(&keeper)), (2, 2));
            drop(moved);
            assert_eq!((Arc::strong_count(&counted), Arc::strong_count(&keeper)), (1, 1));
            assert_eq!(Arc::strong_count(&other), 1);
        }
        check::<0>(true);
        check::<2>(true);
        check::<3>(false);
        check::<100>(false);
    }

    #[test]
    fn things_without_size_and_with_a_large_alignment() {
        #[repr(align(64))]
        #[derive(Debug, PartialEq)]
        struct Wide(u8);
        let nothing = keeper();
        assert_eq!(Entry::new(Arc::clone(&nothing), ()).things(&nothing), Some(&mut ()));
        let keeper = keeper();
        let mut wide = Entry::new(Arc::clone(&keeper), Wide(7));
        let found = wide.things(&keeper).unwrap();
        assert_eq!((&*found, ptr::from_ref(found).addr() % 64), (&Wide(7), 0));
    }

    /// Who has been asked for a keeper has it beyond the entry's end.
    #[test]
    fn a_keeper_outlives_its_entry_for_those_who_share_it() {
        let keeper = keeper();
        let entry = Entry::new(Arc::clone(&keeper), 7_u64);
        let shared = entry.share();
        assert_eq!((Arc::strong_count(&keeper), entry.keeper()), (3, Arc::as_ptr(&shared).cast()));
        drop(entry);
        let pid = Pid::from_parts(1, 1);
        let release = |limit| shared.release(pid, &ExitReason::Normal, limit);
        assert_eq!((release(1), release(2), Arc::strong_count(&keeper)), (false, true, 2));
    }
}

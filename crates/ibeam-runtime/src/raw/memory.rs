//! Memory for nodes and futures: a short list of freed ones per thread and size.
//!
//! Messages are made and freed by the million, often on different threads. Freed memory goes to the freeing thread's list,
//! up to a limit, and the next message that thread sends takes it from there: a few instructions in place of the
//! allocator's, and no lock of its own between threads.
//!
//! # Invariants
//! 1. What stands in a list was allocated with its class' layout and belongs to nobody else.
//! 2. A list is touched by its own thread only, and never while it is being touched.
//! 3. A list takes memory only while [`Emptier`] is there to give it back when the thread ends: before, and after, its limit
//!    is 0.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::ptr::NonNull;

/// What is kept in the lists has at most this alignment, and nodes have just this one: see `node`.
const ALIGN: usize = 16;
/// The sizes that the common allocators hand out without waste: 24, 40, 56 and so on.
const SMALLEST: usize = 24;
const STEP: usize = 16;
/// Larger values go to the allocator.
const CLASSES: usize = 10;
/// How many freed values of one class a thread keeps at most: 10 KiB of the largest.
const KEPT: u32 = 64;

/// In debug builds, and so under the sanitizers, every value has its own allocation: use after free is found.
const CACHED: bool = !cfg!(debug_assertions) && !cfg!(loom);

/// Where a value of some type is allocated.
#[derive(Clone, Copy)]
pub(super) struct Place {
    layout: Layout,
    /// `CLASSES`: it has none.
    class: usize,
}

impl Place {
    pub(super) const fn of<T>() -> Self {
        let layout = Layout::new::<T>();
        let class = layout.size().saturating_sub(SMALLEST).div_ceil(STEP);
        if !CACHED || layout.align() > ALIGN || layout.size() == 0 || class >= CLASSES {
            return Self { layout, class: CLASSES };
        }
        match Layout::from_size_align(SMALLEST + class * STEP, ALIGN) {
            Ok(layout) => Self { layout, class },
            Err(_) => unreachable!(),
        }
    }
}

struct Free {
    /// The first word of each is the address of the next.
    first: [*mut u8; CLASSES],
    count: [u32; CLASSES],
    limit: u32,
}

struct Lists(UnsafeCell<Free>);

/// Gives back what is in the lists of its thread.
struct Emptier;

thread_local! {
    static LISTS: Lists = const {
        Lists(UnsafeCell::new(Free { first: [std::ptr::null_mut(); CLASSES], count: [0; CLASSES], limit: 0 }))
    };
    static EMPTIER: Emptier = const { Emptier };
}

impl Drop for Emptier {
    fn drop(&mut self) {
        let first = with_lists(|free| {
            free.limit = 0;
            free.count = [0; CLASSES];
            std::mem::replace(&mut free.first, [std::ptr::null_mut(); CLASSES])
        });
        for (class, mut first) in first.into_iter().enumerate() {
            while !first.is_null() {
                // SAFETY: what stands in the list was allocated with its class' layout, and is ours (invariant 1).
                unsafe {
                    let next = first.cast::<*mut u8>().read();
                    dealloc(first, Layout::from_size_align_unchecked(SMALLEST + class * STEP, ALIGN));
                    first = next;
                }
            }
        }
    }
}

/// `f` must not come back here.
#[inline(always)]
fn with_lists<R>(f: impl FnOnce(&mut Free) -> R) -> R {
    // SAFETY: this thread's, and none of the few uses comes back here (invariant 2).
    LISTS.with(|lists| f(unsafe { &mut *lists.0.get() }))
}

/// Puts `value` on the heap.
#[inline(always)]
pub(super) fn new<T>(value: T) -> NonNull<T> {
    let place = const { Place::of::<T>() };
    if place.layout.size() == 0 {
        return NonNull::dangling();
    }
    let kept = if place.class < CLASSES { with_lists(|free| take(free, place.class)) } else { None };
    let memory = kept.unwrap_or_else(|| fresh(place.layout)).cast::<T>();
    // SAFETY: room for a `T`, and nobody else's.
    unsafe { memory.write(value) };
    memory
}

#[inline(always)]
fn take(free: &mut Free, class: usize) -> Option<NonNull<u8>> {
    let first = NonNull::new(free.first[class])?;
    // SAFETY: what stands in the list holds the address of the next.
    free.first[class] = unsafe { first.cast::<*mut u8>().read() };
    free.count[class] -= 1;
    Some(first)
}

#[cold]
fn fresh(layout: Layout) -> NonNull<u8> {
    // SAFETY: the size is not 0: see `new`.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Frees memory of `new`, whose value has been taken out or dropped.
///
/// # Safety
/// It came from `new::<T>` for a `T` of this place, and the caller gives it up.
#[inline(always)]
pub(super) unsafe fn free(memory: NonNull<u8>, place: Place) {
    let kept = place.class < CLASSES
        && with_lists(|free| {
            if free.count[place.class] >= free.limit {
                return false;
            }
            // SAFETY: ours, and large enough for an address.
            unsafe { memory.cast::<*mut u8>().write(free.first[place.class]) };
            free.first[place.class] = memory.as_ptr();
            free.count[place.class] += 1;
            true
        });
    if !kept {
        // SAFETY: by the caller's word.
        unsafe { give_back(memory, place) };
    }
}

/// # Safety
/// As for `free`.
#[cold]
unsafe fn give_back(memory: NonNull<u8>, place: Place) {
    if place.layout.size() == 0 {
        return;
    }
    if place.class < CLASSES && with_lists(|free| free.limit) == 0 && EMPTIER.try_with(|_| ()).is_ok() {
        with_lists(|free| free.limit = KEPT);
    }
    // SAFETY: by the caller's word: allocated with this very layout in `new`.
    unsafe { dealloc(memory.as_ptr(), place.layout) };
}

//! Memory for nodes and futures: freed ones are kept, per thread and size, and handed on between threads.
//!
//! ```text
//! new ◀── [ current ][ spare ] ◀── free          one pair per thread and size
//!               ▲        │
//!               └ depot ◀┘                       one per size, for all threads: full magazines, under a lock
//! ```
//!
//! Messages are made and freed by the million, often on different threads. A thread that frees more than it makes fills
//! magazines, one that makes more than it frees empties them, and the depot carries full ones from the first to the second: a
//! lock once per [`MAGAZINE`] messages. Left to the allocator, memory that always goes back to another thread than it came
//! from costs both of them more than all else about a message.
//!
//! # Invariants
//! 1. What stands in a magazine was allocated with its class' layout and belongs to nobody else.
//! 2. A pair of magazines is touched by its own thread only, and never while it is being touched.
//! 3. A thread keeps memory only while [`Emptier`] is there to give it back when the thread ends: before, and after, it is not
//!    `open`.
//! 4. A spare magazine, and one in the depot, is full or has nothing. With two, a thread that makes and frees by turns does
//!    not go to the depot each time.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::Mutex;

use crate::raw::prefetch;

/// What is kept has at most this alignment, and nodes have just this one: see `node`.
const ALIGN: usize = 16;
/// The sizes that the common allocators hand out without waste: 24, 40, 56 and so on.
const SMALLEST: usize = 24;
const STEP: usize = 16;
/// Larger values go to the allocator.
const CLASSES: usize = 10;
/// How many freed values a magazine holds: 10 KiB of the largest.
const MAGAZINE: u32 = 64;
/// How many bytes in full magazines the depot keeps of one class: the backlog of 200,000 small messages, for the next one. Beyond that
/// they go back to the allocator.
const DEPOT: usize = 8 << 20;

/// How much the allocator is made to have ready, each time that so much has been taken from it. glibc's asks the system for every
/// single page that a thread other than the first needs, and each time costs as much as ten messages.
const AHEAD: usize = 48 << 10;

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

/// Freed values, the first word of each being the address of the next.
struct Magazine {
    first: *mut u8,
    count: u32,
}

// SAFETY: it owns the memory in it, which belongs to no thread.
unsafe impl Send for Magazine {}

impl Magazine {
    const EMPTY: Self = Self { first: ptr::null_mut(), count: 0 };

    #[inline(always)]
    fn pop(&mut self) -> Option<NonNull<u8>> {
        let first = NonNull::new(self.first)?;
        // SAFETY: what stands in a magazine is ours, and holds the address of the next.
        self.first = unsafe { first.cast::<*mut u8>().read() };
        self.count -= 1;
        // Mostly another thread has freed it, and has it in its cache.
        prefetch(self.first);
        Some(first)
    }

    /// # Safety
    /// The memory is that of a value of this magazine's class, and the caller gives it up.
    #[inline(always)]
    unsafe fn push(&mut self, memory: NonNull<u8>) {
        // SAFETY: ours, and large enough for an address.
        unsafe { memory.cast::<*mut u8>().write(self.first) };
        self.first = memory.as_ptr();
        self.count += 1;
    }

    /// Gives everything back to the allocator.
    fn empty(&mut self, class: usize) {
        while let Some(memory) = self.pop() {
            // SAFETY: allocated with its class' layout (invariant 1).
            unsafe {
                dealloc(memory.as_ptr(), Layout::from_size_align_unchecked(SMALLEST + class * STEP, ALIGN))
            };
        }
    }
}

/// The full magazines of one class that no thread has.
struct Depot {
    magazines: Mutex<Vec<Magazine>>,
    /// How many there are: read without the lock, so it may be out of date. Whoever finds nothing here does not take the lock, which
    /// would cost each process of a growing program, whose memory is fresh anyhow.
    count: AtomicUsize,
    /// How many it keeps.
    room: usize,
}

impl Depot {
    const fn of(class: usize) -> Self {
        let bytes = MAGAZINE as usize * (SMALLEST + class * STEP);
        Self { magazines: Mutex::new(Vec::new()), count: AtomicUsize::new(0), room: DEPOT / bytes }
    }

    /// Takes the magazine in, or leaves it as it is if there are enough.
    fn put(&self, full: &mut Magazine) {
        if self.count.load(Relaxed) >= self.room {
            return;
        }
        let mut magazines = self.magazines.lock();
        if magazines.len() < self.room {
            magazines.push(mem::replace(full, Magazine::EMPTY));
            self.count.store(magazines.len(), Relaxed);
        }
    }

    fn take(&self) -> Option<Magazine> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        let mut magazines = self.magazines.lock();
        let magazine = magazines.pop();
        self.count.store(magazines.len(), Relaxed);
        magazine
    }
}

static DEPOTS: [Depot; CLASSES] = [
    Depot::of(0),
    Depot::of(1),
    Depot::of(2),
    Depot::of(3),
    Depot::of(4),
    Depot::of(5),
    Depot::of(6),
    Depot::of(7),
    Depot::of(8),
    Depot::of(9),
];

/// What one thread keeps of one class.
struct Pair {
    current: Magazine,
    spare: Magazine,
}

impl Pair {
    const EMPTY: Self = Self { current: Magazine::EMPTY, spare: Magazine::EMPTY };

    #[inline(always)]
    fn take(&mut self, depot: &Depot) -> Option<NonNull<u8>> {
        match self.current.pop() {
            Some(memory) => Some(memory),
            None => self.refill(depot),
        }
    }

    #[inline(never)]
    fn refill(&mut self, depot: &Depot) -> Option<NonNull<u8>> {
        if self.spare.count == 0 {
            self.spare = depot.take()?;
        }
        mem::swap(&mut self.current, &mut self.spare);
        self.current.pop()
    }

    /// `false`: there is no room for it.
    ///
    /// # Safety
    /// As for [`Magazine::push`], if it returns `true`.
    #[inline(always)]
    unsafe fn keep(&mut self, memory: NonNull<u8>, depot: &Depot) -> bool {
        if self.current.count == MAGAZINE && !self.make_room(depot) {
            return false;
        }
        // SAFETY: by the caller's word.
        unsafe { self.current.push(memory) };
        true
    }

    #[inline(never)]
    fn make_room(&mut self, depot: &Depot) -> bool {
        if self.spare.count != 0 {
            depot.put(&mut self.spare);
        }
        if self.spare.count != 0 {
            return false;
        }
        mem::swap(&mut self.current, &mut self.spare);
        true
    }
}

/// What one thread keeps.
struct Kept {
    pairs: [Pair; CLASSES],
    /// Bytes that the allocator still has ready, at a guess.
    ahead: usize,
    open: bool,
}

struct OfThread(UnsafeCell<Kept>);

/// Gives back what its thread keeps.
struct Emptier;

thread_local! {
    static KEPT: OfThread = const { OfThread(UnsafeCell::new(Kept { pairs: [Pair::EMPTY; CLASSES], ahead: AHEAD, open: false })) };
    static EMPTIER: Emptier = const { Emptier };
}

impl Drop for Emptier {
    fn drop(&mut self) {
        let pairs = with_kept(|kept| {
            kept.open = false;
            mem::replace(&mut kept.pairs, [Pair::EMPTY; CLASSES])
        });
        for (class, Pair { mut current, mut spare }) in pairs.into_iter().enumerate() {
            current.empty(class);
            spare.empty(class);
        }
    }
}

/// `f` must not come back here.
#[inline(always)]
fn with_kept<R>(f: impl FnOnce(&mut Kept) -> R) -> R {
    // SAFETY: this thread's, and none of the few uses comes back here (invariant 2).
    KEPT.with(|kept| f(unsafe { &mut *kept.0.get() }))
}

/// Puts `value` on the heap.
#[inline(always)]
pub(super) fn new<T>(value: T) -> NonNull<T> {
    let place = const { Place::of::<T>() };
    if place.layout.size() == 0 {
        return NonNull::dangling();
    }
    let kept = match DEPOTS.get(place.class) {
        Some(depot) => with_kept(|kept| kept.pairs[place.class].take(depot)),
        None => None,
    };
    let memory = kept.unwrap_or_else(|| fresh(place.layout)).cast::<T>();
    // SAFETY: room for a `T`, and nobody else's.
    unsafe { memory.write(value) };
    memory
}

#[cold]
fn fresh(layout: Layout) -> NonNull<u8> {
    let ready = with_kept(|kept| {
        let left = kept.ahead.checked_sub(layout.size());
        kept.ahead = left.unwrap_or(AHEAD);
        left.is_some()
    });
    if !ready {
        get_ahead();
    }
    // SAFETY: the size is not 0: see `new`.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Asks for a large piece, whose pages are to come together, and gives it back at once: what follows is cut out of it.
fn get_ahead() {
    let Ok(layout) = Layout::from_size_align(AHEAD, ALIGN) else { return };
    // SAFETY: the size is not 0, what is given back is what came, and until then it is ours.
    unsafe {
        let memory = alloc(layout);
        if !memory.is_null() {
            super::populate(memory, AHEAD);
            dealloc(std::hint::black_box(memory), layout);
        }
    }
}

/// Frees memory of `new`, whose value has been taken out or dropped.
///
/// # Safety
/// It came from `new::<T>` for a `T` of this place, and the caller gives it up.
#[inline(always)]
pub(super) unsafe fn free(memory: NonNull<u8>, place: &'static Place) {
    let kept = match DEPOTS.get(place.class) {
        // SAFETY: by the caller's word: allocated with the layout of the place's class.
        Some(depot) => with_kept(|kept| kept.open && unsafe { kept.pairs[place.class].keep(memory, depot) }),
        None => false,
    };
    if !kept {
        // SAFETY: by the caller's word.
        unsafe { give_back(memory, place) };
    }
}

/// # Safety
/// As for `free`.
#[cold]
unsafe fn give_back(memory: NonNull<u8>, place: &Place) {
    if place.layout.size() == 0 {
        return;
    }
    if place.class < CLASSES && with_kept(|kept| !kept.open) && EMPTIER.try_with(|_| ()).is_ok() {
        with_kept(|kept| kept.open = true);
    }
    // SAFETY: by the caller's word: allocated with this very layout in `new`.
    unsafe { dealloc(memory.as_ptr(), place.layout) };
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::mpsc;
    use std::thread;

    const CLASS: usize = 1;

    #[test]
    fn populated_memory_keeps_what_stands_in_it() {
        for (bytes, from) in [(1 << 17, 0), (1 << 17, 1), (10_000, 4_095), (100, 7)] {
            let mut memory: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
            let rest = &mut memory[from..];
            // SAFETY: the vector's own.
            unsafe { crate::raw::populate(rest.as_mut_ptr(), rest.len()) };
            assert!(memory.iter().enumerate().all(|(at, &byte)| byte == at as u8), "{bytes} from {from}");
        }
    }

    fn allocate(pair: &mut Pair, depot: &Depot) -> usize {
        let layout = Layout::from_size_align(SMALLEST + CLASS * STEP, ALIGN).unwrap();
        pair.take(depot).unwrap_or_else(|| fresh(layout)).as_ptr().expose_provenance()
    }

    /// # Safety
    /// The address is that of `allocate`, given up.
    unsafe fn keep(pair: &mut Pair, depot: &Depot, address: usize) -> bool {
        let memory = NonNull::new(ptr::with_exposed_provenance_mut(address)).expect("an address");
        // SAFETY: by the caller's word.
        unsafe { pair.keep(memory, depot) }
    }

    fn empty(Pair { mut current, mut spare }: Pair) {
        current.empty(CLASS);
        spare.empty(CLASS);
    }

    /// One thread makes, another one frees: what the second has freed comes back to the first, each piece once.
    #[test]
    fn memory_goes_round_between_threads() {
        static DEPOT_OF_TEST: Depot = Depot::of(CLASS);
        const ROUNDS: usize = 20;
        const EACH: usize = 1_000;
        let (to_freer, freed_later) = mpsc::channel::<Vec<usize>>();
        let (to_maker, next_round) = mpsc::channel();
        let freer = thread::spawn(move || {
            let mut pair = Pair::EMPTY;
            for addresses in freed_later {
                for address in addresses {
                    // SAFETY: made by the other thread, and not used any more.
                    assert!(unsafe { keep(&mut pair, &DEPOT_OF_TEST, address) }, "the depot has room");
                }
                to_maker.send(()).unwrap();
            }
            let counts = (pair.current.count, pair.spare.count);
            empty(pair);
            counts
        });
        let (mut pair, mut ever) = (Pair::EMPTY, HashSet::new());
        for _ in 0..ROUNDS {
            let made: Vec<_> = (0..EACH).map(|_| allocate(&mut pair, &DEPOT_OF_TEST)).collect();
            assert_eq!(made.iter().collect::<HashSet<_>>().len(), EACH, "two owners of one piece");
            ever.extend(made.iter().copied());
            to_freer.send(made).unwrap();
            next_round.recv().unwrap();
        }
        drop(to_freer);
        let (current, spare) = freer.join().unwrap();
        assert!(spare == 0 || spare == MAGAZINE, "{spare}");
        let of_maker = pair.current.count + pair.spare.count;
        empty(pair);
        let in_depot = DEPOT_OF_TEST.magazines.lock().len() as u32 * MAGAZINE;
        assert_eq!((current + spare + of_maker + in_depot) as usize, ever.len(), "nothing is lost");
        // What the freer holds on to is all that is made anew.
        assert!(ever.len() <= EACH + 2 * MAGAZINE as usize + MAGAZINE as usize, "{}", ever.len());
    }

    #[test]
    fn a_full_depot_takes_no_more() {
        let (depot, mut pair) = (Depot::of(CLASS), Pair::EMPTY);
        let layout = Layout::from_size_align(SMALLEST + CLASS * STEP, ALIGN).unwrap();
        let room = (depot.room + 2) * MAGAZINE as usize;
        for kept in 0..=room {
            let memory = fresh(layout);
            // SAFETY: fresh memory of this class.
            let taken = unsafe { pair.keep(memory, &depot) };
            assert_eq!(taken, kept < room, "{kept}");
            if !taken {
                // SAFETY: as it came.
                unsafe { dealloc(memory.as_ptr(), layout) };
            }
        }
        let mut count = 0;
        while let Some(memory) = pair.take(&depot) {
            // SAFETY: as it came.
            unsafe { dealloc(memory.as_ptr(), layout) };
            count += 1;
        }
        assert_eq!(count, room);
    }
}

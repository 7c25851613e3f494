//! The LIFO slot of a worker: what it runs next, for nearly nothing, and open to others once the worker is a hog.
//!
//! What a turn wakes is run right after it, on the same thread. So the slot is used by its worker all the time and by others
//! only while a turn takes too long, and all atomic exchanges are left to that case:
//!
//! ```text
//! worker    put ──▶ turn ends: is `hog` set? ── no ──▶ take, with a load and a store
//!                                     └──── yes ──▶ retire: exchanges from here on, until it is revived
//! monitor   `hog` set ──▶ barrier in all threads ──▶ still the same turn? ── yes ──▶ open: others may take
//! ```
//!
//! # Invariants
//! 1. Only the worker fills the slot, and with a plain store only if it is empty: others make it empty, never full.
//! 2. The worker takes with a load and a store only while it is `alone`: after a turn at whose end `hog` was not set, and
//!    before the next.
//! 3. Others take only while the slot is open, under its lock. It is opened after `hog` was set, every thread has passed a
//!    barrier, and the worker was still seen in the turn it was marked for: at its end it finds the flag, and is not alone.
//! 4. Who was marked is alone again only after the slot was closed, under the lock, which is held from the mark on until it is open.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use crate::sync::Mutex;
#[cfg(not(loom))]
use crate::sync::atomic::Ordering::Release;
use crate::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64};

use self::barrier::Barrier;

/// What all threads see of a worker's slot.
#[repr(align(128))]
pub(crate) struct Lifo<T> {
    entry: AtomicPtr<T>,
    /// Odd while a turn runs.
    epoch: AtomicU64,
    /// The worker is to retire after this turn.
    hog: AtomicBool,
    /// May others take?
    open: Mutex<bool>,
    claimed: AtomicBool,
}

/// The worker's side. There is one per slot, and it stays on the worker's thread.
pub(crate) struct LifoOwner<T> {
    lifo: Arc<Lifo<T>>,
    /// Nobody else takes: see invariant 2.
    alone: Cell<bool>,
    barrier: Barrier,
    _of_this_thread: PhantomData<*const ()>,
}

/// What became of marking a turn as too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// The worker retires when the turn ends; until then others may take what is in the slot.
    Hog,
    /// The turn had ended, and the worker has seen the mark and retires.
    Retired,
    /// The turn had ended, and the mark was taken back.
    TooLate,
}

impl<T> Lifo<T> {
    pub(crate) fn new() -> Self {
        Self {
            entry: AtomicPtr::new(ptr::null_mut()),
            epoch: AtomicU64::new(0),
            hog: AtomicBool::new(false),
            open: Mutex::new(false),
            claimed: AtomicBool::new(false),
        }
    }

    /// Counts turns: odd while one runs.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn is_hog(&self) -> bool {
        self.hog.load(Relaxed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entry.load(Relaxed).is_null()
    }

    /// The worker is in turn `epoch` for too long. One thread calls this.
    pub(crate) fn mark(&self, epoch: u64) -> Marked {
        // Held until it is open: who revives itself meanwhile closes it afterwards.
        let mut open = self.open.lock();
        self.hog.store(true, SeqCst);
        barrier::everywhere();
        if self.epoch.load(SeqCst) == epoch {
            *open = true;
            Marked::Hog
        } else if self.hog.swap(false, SeqCst) {
            Marked::TooLate
        } else {
            Marked::Retired
        }
    }

    /// Is there something that any thread may take?
    pub(crate) fn has_for_others(&self) -> bool {
        self.is_hog() && !self.is_empty() && *self.open.lock()
    }

    /// Takes what is in the slot of a hog.
    pub(crate) fn take_from_hog(&self) -> Option<NonNull<T>> {
        if !self.is_hog() || self.is_empty() {
            return None;
        }
        let open = self.open.lock();
        if *open { self.exchange() } else { None }
    }

    #[inline(always)]
    fn fill(&self, new: NonNull<T>) {
        #[cfg(not(loom))]
        self.entry.store(new.as_ptr(), Release);
        // loom would have this store come before an exchange that has not seen it, and lose it: nothing comes between what an
        // exchange reads and what it writes.
        #[cfg(loom)]
        self.entry.swap(new.as_ptr(), AcqRel);
    }

    fn exchange(&self) -> Option<NonNull<T>> {
        NonNull::new(self.entry.swap(ptr::null_mut(), AcqRel))
    }
}

impl<T> LifoOwner<T> {
    /// # Panics
    /// If the slot has its worker already.
    pub(crate) fn new(lifo: Arc<Lifo<T>>) -> Self {
        assert!(!lifo.claimed.swap(true, AcqRel), "a slot has one worker");
        Self { lifo, alone: Cell::new(true), barrier: Barrier::find_out(), _of_this_thread: PhantomData }
    }

    /// Puts `new` into the slot; what stood there comes back. A hog gets `new` back: nobody may be looking here any more.
    #[inline(always)]
    pub(crate) fn put(&self, new: NonNull<T>) -> Option<NonNull<T>> {
        let lifo = &*self.lifo;
        if lifo.is_hog() {
            return Some(new);
        }
        if lifo.is_empty() {
            lifo.fill(new);
            return None;
        }
        NonNull::new(lifo.entry.swap(new.as_ptr(), AcqRel))
    }

    /// Takes what is in the slot.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<NonNull<T>> {
        if !self.alone.get() {
            return self.lifo.exchange();
        }
        let entry = NonNull::new(self.lifo.entry.load(Relaxed))?;
        self.lifo.entry.store(ptr::null_mut(), Relaxed);
        Some(entry)
    }

    /// Is this worker a hog by now? If not, who takes its place when it becomes one sees all that was done before this call.
    #[inline(always)]
    pub(crate) fn is_hog_by_now(&self) -> bool {
        self.barrier.here();
        self.lifo.is_hog()
    }

    /// Runs a turn. `true`: it took too long, and the worker has to retire, or to [revive](Self::revive) itself.
    #[inline(always)]
    pub(crate) fn turn(&self, turn: impl FnOnce()) -> bool {
        let lifo = &*self.lifo;
        let epoch = lifo.epoch.load(Relaxed);
        self.alone.set(false);
        lifo.epoch.store(epoch + 1, Relaxed);
        turn();
        lifo.epoch.store(epoch + 2, Relaxed);
        // Against the one in `mark`: either the flag is seen here, or the end of the turn there.
        self.barrier.here();
        if lifo.hog.load(Relaxed) && lifo.hog.swap(false, SeqCst) {
            return true;
        }
        self.alone.set(true);
        false
    }

    /// The worker, who has retired, has a place again; or it has kept its place.
    pub(crate) fn revive(&self) {
        *self.lifo.open.lock() = false;
        self.alone.set(true);
    }
}

/// A barrier between two threads of which one meets it all the time and the other hardly ever.
///
/// Linux makes all threads pass a barrier when one asks for it, so that the frequent side needs to keep only the compiler from
/// changing the order. Elsewhere both sides have a fence.
mod barrier {
    use crate::sync::atomic::Ordering::SeqCst;
    use crate::sync::atomic::fence;

    /// How the frequent side takes part. Found out once per worker, before its first turn.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Barrier {
        /// The system makes us pass one.
        BySystem,
        /// By a fence of our own.
        Fence,
    }

    impl Barrier {
        #[cfg(all(target_os = "linux", not(loom)))]
        pub(super) fn find_out() -> Self {
            use rustix::thread::{MembarrierCommand, membarrier};
            match membarrier(MembarrierCommand::RegisterPrivateExpedited) {
                Ok(()) => Self::BySystem,
                Err(_) => Self::Fence,
            }
        }

        #[cfg(not(all(target_os = "linux", not(loom))))]
        pub(super) fn find_out() -> Self {
            Self::Fence
        }

        /// The frequent side's.
        #[inline(always)]
        pub(super) fn here(self) {
            match self {
                Self::BySystem => std::sync::atomic::compiler_fence(SeqCst),
                Self::Fence => fence(SeqCst),
            }
        }
    }

    /// The rare side's.
    pub(super) fn everywhere() {
        fence(SeqCst);
        #[cfg(all(target_os = "linux", not(loom)))]
        {
            use rustix::thread::{MembarrierCommand, membarrier};
            // It fails where it could not be registered either: then the workers have fences.
            let _fails_for_all_or_none = membarrier(MembarrierCommand::PrivateExpedited);
        }
    }
}

//! The lazy deadline: a timeout that is nearly always disarmed again costs two words and no timer.
//!
//! The process writes when it wants to be woken into `at`. `armed` says for when the timer service has an entry for
//! this process; most of the time one is there already, from an earlier call, and will look at `at` when it is due.
//!
//! # Invariants
//! 1. The process stores `at`, *then* reads `armed`; the timer changes `armed`, *then* reads `at`. Both are sequentially
//!    consistent, so at least one of them sees the other's store: no deadline is missed.
//! 2. `armed` carries the low 16 bits of the process' generation. A timer that belongs to an earlier process of this slot
//!    fails its exchange and leaves.
//! 3. Times are ticks of the runtime's clock; 0 means none.
//! 4. An entry that takes the place of one for later remembers it, and gives `armed` back to it. So a process that waits
//!    for short times and long ones in turn does not leave an entry behind with every change.
//! 5. The timer takes `at` back when it has passed: who waits for it has been woken, also if that is no longer this
//!    process.

use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::store_before_load;

const TICK_BITS: u32 = 48;
const TICKS: u64 = (1 << TICK_BITS) - 1;

/// See the module.
pub(crate) struct Deadline {
    at: AtomicU64,
    armed: AtomicU64,
}

/// An entry that the timer service is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// When it is due.
    pub(crate) at: u64,
    /// The entry whose place it takes; 0: there is none.
    later: u64,
}

/// What the timer has to do for an entry that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The deadline has passed: wake the process.
    Wake,
    /// The process waits longer: take a new entry.
    Rearm(Entry),
    /// Nothing is waited for, another entry will look, or another process has the slot.
    Nothing,
}

impl Deadline {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self { at: AtomicU64::new(0), armed: AtomicU64::new(0) }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Self { at: AtomicU64::new(0), armed: AtomicU64::new(0) }
    }

    /// A new process of this generation takes the slot.
    pub(crate) fn reset(&self, generation: u64) {
        self.take_back();
        // Without order: a timer of the slot's former process exchanges it before, and wakes for nothing, or fails.
        self.armed.store(tagged(generation, 0), Relaxed);
    }

    /// The process, which has set none: wants to be woken at tick `at`. `Some`: it must ask the timer service for this entry.
    #[inline]
    pub(crate) fn set(&self, generation: u64, at: u64) -> Option<Entry> {
        debug_assert!(at != 0 && at <= TICKS);
        self.at.store(at, SeqCst);
        store_before_load();
        let armed = self.armed.load(SeqCst) & TICKS;
        if armed != 0 && armed <= at {
            return None;
        }
        self.armed.store(tagged(generation, at), SeqCst);
        Some(Entry { at, later: armed })
    }

    /// The process: does not wait for tick `at` any more.
    #[inline]
    pub(crate) fn clear(&self, at: u64) {
        // If it is not there the timer has taken it back, and another one may be set since.
        if self.at.load(Relaxed) == at {
            self.take_back();
        }
    }

    #[inline]
    fn take_back(&self) {
        // The timer may exchange the same value for 0 meanwhile. That exchange is one step and so comes before this store,
        // and before all that follow; loom does not conclude that from a plain store.
        #[cfg(loom)]
        self.at.swap(0, Relaxed);
        #[cfg(not(loom))]
        self.at.store(0, Relaxed);
    }

    /// The process: is a deadline set?
    pub(crate) fn is_set(&self) -> bool {
        self.at.load(Relaxed) != 0
    }

    /// The timer: this entry of a process of `generation` is due. `now` must not go back from one entry to the next.
    pub(crate) fn fire(&self, generation: u64, entry: Entry, now: u64) -> Due {
        // An entry for later that is due by now has been here, or will be and find itself replaced.
        let later = if entry.later > now { entry.later } else { 0 };
        let (mine, next) = (tagged(generation, entry.at), tagged(generation, later));
        if self.armed.compare_exchange(mine, next, SeqCst, SeqCst).is_err() {
            // Another process, or an earlier entry took this one's place.
            return Due::Nothing;
        }
        store_before_load();
        let at = self.at.load(SeqCst);
        if at == 0 || (later != 0 && later <= at) {
            return Due::Nothing;
        }
        if at <= now {
            // If it is another one by now, the process has read `armed` after the exchange and asked for what it needs.
            return match self.at.compare_exchange(at, 0, SeqCst, SeqCst) {
                Ok(_) => Due::Wake,
                Err(_) => Due::Nothing,
            };
        }
        match self.armed.compare_exchange(next, tagged(generation, at), SeqCst, SeqCst) {
            Ok(_) => Due::Rearm(Entry { at, later }),
            // The process armed anew meanwhile.
            Err(_) => Due::Nothing,
        }
    }
}

fn tagged(generation: u64, ticks: u64) -> u64 {
    (generation << TICK_BITS) | (ticks & TICKS)
}

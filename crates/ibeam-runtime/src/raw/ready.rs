//! Processes that are due a turn.
//!
//! # Invariants
//! 1. There is at most one [`Ready`] per process, made by whoever cleared `PARKED` (or began the process) and used up by
//!    the turn. Holding one is the proof that nobody else runs the process.

use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use crate::driver::Place;
use crate::process::Priority;
use crate::raw::pcb::{Owner, Pcb};

/// A process that is due a turn: stands in exactly one run queue, or is about to.
pub(crate) struct Ready(&'static Pcb);

/// What is to become of a process after its turn.
pub(crate) enum Next {
    /// It sleeps, or it is over. The turn has parked it, or freed its slot, as the very last thing.
    Done,
    /// It wants another turn.
    Again(Place),
}

impl Ready {
    /// The caller owes the process its turn: see the module's invariant.
    #[inline(always)]
    pub(super) fn new(pcb: &'static Pcb) -> Self {
        Self(pcb)
    }

    /// Gives the process its turn. If it wants another, it comes back to be put into a queue.
    #[inline(always)]
    pub(crate) fn run(self, turn: impl FnOnce(Owner) -> Next) -> Option<(Self, Place)> {
        // SAFETY: `self` is the process' only `Ready` (invariant 1), and is used up.
        match unsafe { Owner::run(self.0, turn) } {
            Next::Done => None,
            Next::Again(place) => Some((self, place)),
        }
    }

    #[inline(always)]
    pub(crate) fn priority_is_normal(&self) -> bool {
        self.0.priority_is_normal()
    }

    pub(crate) fn priority(&self) -> Priority {
        self.0.priority()
    }

    /// The bits of the process' pid, to be shown.
    #[inline(always)]
    pub(crate) fn pid_bits(&self) -> u64 {
        self.0.life.own_bits()
    }
}

/// A place for one ready process, that any thread may empty.
#[derive(Default)]
pub(crate) struct ReadySlot(AtomicPtr<Pcb>);

impl ReadySlot {
    #[inline(always)]
    pub(crate) fn swap(&self, ready: Option<Ready>) -> Option<Ready> {
        let new = ready.map_or(ptr::null_mut(), |ready| ptr::from_ref(ready.0).cast_mut());
        Self::from_raw(self.0.swap(new, AcqRel))
    }

    #[inline(always)]
    pub(crate) fn take(&self) -> Option<Ready> {
        if self.is_empty() { None } else { self.swap(None) }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Relaxed).is_null()
    }

    #[inline(always)]
    fn from_raw(pcb: *mut Pcb) -> Option<Ready> {
        // SAFETY: not null, it came from a `Ready` in `swap`, which was used up there; blocks live for ever.
        (!pcb.is_null()).then(|| Ready(unsafe { &*pcb }))
    }
}

//! Processes that are due a turn.
//!
//! # Invariants
//! 1. There is at most one [`Ready`] per process, made by whoever cleared `PARKED` (or began the process) and used up by
//!    the turn. Holding one is the proof that nobody else runs the process.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::driver::Place;
use crate::process::Priority;
use crate::raw::lifo::{Lifo, LifoOwner};
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

    /// Was a waker of the process used since it last ran? Then what woke it is there, which is no message.
    pub(crate) fn is_woken(&self) -> bool {
        self.0.word.is_woken()
    }

    /// The bits of the process' pid, to be shown.
    #[inline(always)]
    pub(crate) fn pid_bits(&self) -> u64 {
        self.0.life.own_bits()
    }
}

/// What all threads see of a worker's place for the process that it runs next.
pub(crate) struct ReadySlot(Arc<Lifo<Pcb>>);

/// The worker's own side of its [`ReadySlot`]. See [`lifo`](crate::raw::lifo).
pub(crate) struct OwnSlot(LifoOwner<Pcb>);

impl ReadySlot {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Lifo::new()))
    }

    /// # Panics
    /// If the slot has its worker already.
    pub(crate) fn own(&self) -> OwnSlot {
        OwnSlot(LifoOwner::new(Arc::clone(&self.0)))
    }

    /// Takes the process that waits for a hog.
    pub(crate) fn take_from_hog(&self) -> Option<Ready> {
        self.0.take_from_hog().map(Ready::from_slot)
    }
}

impl Deref for ReadySlot {
    type Target = Lifo<Pcb>;

    fn deref(&self) -> &Lifo<Pcb> {
        &self.0
    }
}

impl OwnSlot {
    /// Puts a process into the slot. What comes back belongs into a queue: the one that stood there, or, if others are due
    /// to take over from this worker, the same.
    #[inline(always)]
    pub(crate) fn put(&self, ready: Ready) -> Option<Ready> {
        self.0.put(NonNull::from(ready.0)).map(Ready::from_slot)
    }

    #[inline(always)]
    pub(crate) fn take(&self) -> Option<Ready> {
        self.0.take().map(Ready::from_slot)
    }

    /// Is this worker a hog by now? If not, who takes its place when it becomes one sees all that was done before this call.
    #[inline(always)]
    pub(crate) fn is_hog_by_now(&self) -> bool {
        self.0.is_hog_by_now()
    }

    /// Runs a turn. `true`: it took too long, and the worker has to retire, or to [revive](Self::revive) itself.
    #[inline(always)]
    pub(crate) fn turn(&self, turn: impl FnOnce()) -> bool {
        self.0.turn(turn)
    }

    /// The worker, who has retired, has a place again; or it has kept its place.
    pub(crate) fn revive(&self) {
        self.0.revive();
    }
}

impl Ready {
    #[inline(always)]
    fn from_slot(pcb: NonNull<Pcb>) -> Self {
        // SAFETY: it came from a `Ready` in `put`, which was used up there, and out of the slot once; blocks live for ever.
        Self(unsafe { pcb.as_ref() })
    }
}

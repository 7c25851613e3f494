//! Whose a worker's place is while its turn takes too long.
//!
//! ```text
//! monitor   keep ─────▶ KEPT ──── give_after_all ───▶ GIVEN ◀───── give   monitor
//!                          ◀───── keep_after_all ────
//! worker's turn ends:   KEPT, and it goes on             GIVEN, and it retires
//! ```
//!
//! # Invariants
//! 1. Only the monitor makes it anything but `OWN`, before it [marks](crate::raw::lifo::Lifo::mark) the worker, and takes that back if the
//!    mark came too late. So a worker that finds the mark finds what is to become of it too.
//! 2. A place is given to a spare once: what the worker finds at the end of its turn is final.

use crate::sync::atomic::AtomicU8;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const OWN: u8 = 0;
const KEPT: u8 = 1;
const GIVEN: u8 = 2;

/// See the module.
pub(crate) struct Tenure(AtomicU8);

impl Tenure {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(OWN))
    }

    /// Is this worker a hog that has kept its place?
    pub(crate) fn is_kept(&self) -> bool {
        self.0.load(Relaxed) == KEPT
    }

    /// The worker is to be marked, and keeps its place.
    pub(crate) fn keep(&self) {
        self.0.store(KEPT, Release);
    }

    /// The worker is to be marked, and its place is a spare's.
    pub(crate) fn give(&self) {
        self.0.store(GIVEN, Release);
    }

    /// The mark came too late.
    pub(crate) fn take_back(&self) {
        self.0.store(OWN, Release);
    }

    /// A hog that has kept its place loses it. `false`: its turn has ended.
    pub(crate) fn give_after_all(&self) -> bool {
        self.0.compare_exchange(KEPT, GIVEN, AcqRel, Acquire).is_ok()
    }

    /// There is no spare for the place. `false`: its worker has retired.
    pub(crate) fn keep_after_all(&self) -> bool {
        self.0.compare_exchange(GIVEN, KEPT, AcqRel, Acquire).is_ok()
    }

    /// The turn is over, and the worker was marked: is its place a spare's by now?
    pub(crate) fn turn_ends(&self) -> bool {
        self.0.swap(OWN, AcqRel) == GIVEN
    }
}

//! What the machine charges for the few things no system can do without: the physical floor.
//!
//! Measured before each cell, in the process that starts the cells, so that a figure and the floor beside it were taken on
//! the same machine in the same state.

use std::hint::black_box;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::probe;

/// Nanoseconds for one of each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Costs {
    /// A cache line there and back between two threads; `None` when the machine was too busy to tell.
    pub(crate) line: Option<f64>,
    /// An atomic exchange on a line that nobody else wants.
    pub(crate) atomic: f64,
    /// An allocation of 64 bytes and its free.
    pub(crate) allocation: f64,
    /// A panic, its unwinding through one frame, and its catch; without what the hook prints.
    pub(crate) panic: f64,
    /// The first touch of 64 bytes of memory that the system has just given, one line after the other: its share of the page.
    pub(crate) fresh: f64,
    /// The next touch of the same 64 bytes, after all others.
    pub(crate) cold: f64,
}

const SAMPLES: usize = 9;

/// A line of memory.
const LINE: usize = 64;
/// How much memory is touched for [`Costs::fresh`] and [`Costs::cold`]: more than a core's own caches hold, and more than an allocator
/// keeps for the next time.
const MUCH: usize = 64 << 20;

impl Costs {
    /// Measures all of them; takes some 70 ms, and half a second more on a busy machine.
    pub(crate) fn measure() -> Costs {
        let line = AtomicU64::new(0);
        let (fresh, cold) = memory();
        Costs {
            line: probe::cache_line_ping_pong().median(),
            atomic: median_each(10_000, || {
                black_box(line.swap(black_box(1), Ordering::AcqRel));
            }),
            allocation: median_each(10_000, || drop(black_box(Box::new([0_u8; 64])))),
            panic: median_each(100, || {
                let caught = panic::catch_unwind(|| panic::resume_unwind(Box::new(())));
                black_box(caught.is_err());
            }),
            fresh,
            cold,
        }
    }

    /// In the order in which the report shows them.
    pub(crate) fn named(self) -> [(&'static str, Option<f64>); 6] {
        [
            ("a cache line there and back between two threads", self.line),
            ("an atomic exchange, uncontended", Some(self.atomic)),
            ("an allocation of 64 bytes and its free", Some(self.allocation)),
            ("a panic and its catch", Some(self.panic)),
            ("the first touch of 64 bytes of fresh memory", Some(self.fresh)),
            ("the next touch of 64 bytes, 64 MiB later", Some(self.cold)),
        ]
    }
}

/// What [`Costs::fresh`] and [`Costs::cold`] are.
fn memory() -> (f64, f64) {
    // Zeroed memory of this size comes from the system, which gives the pages as they are touched.
    let mut memory = vec![0_u8; MUCH];
    let mut touch_all = || {
        let start = Instant::now();
        memory.iter_mut().step_by(LINE).for_each(|byte| *black_box(byte) += 1);
        start.elapsed().as_nanos() as f64 / (MUCH / LINE) as f64
    };
    (touch_all(), touch_all())
}

/// The median over some samples: one that was interrupted does not count.
fn median_each(count: u32, mut work: impl FnMut()) -> f64 {
    let mut samples: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let start = Instant::now();
            (0..count).for_each(|_| work());
            start.elapsed().as_nanos() as f64 / f64::from(count)
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    samples[SAMPLES / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_costs_something_and_a_panic_most() {
        let costs = Costs::measure();
        assert!(costs.atomic > 0.0 && costs.allocation > 0.0, "{costs:?}");
        assert!(costs.panic > costs.atomic, "{costs:?}");
        assert!(costs.fresh > costs.cold && costs.cold > 0.0, "{costs:?}");
    }
}

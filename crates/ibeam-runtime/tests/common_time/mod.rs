//! Times of the conformance rows: in full where waiting costs nothing, a twentieth on a real clock.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::time::Duration;

use ibeam_runtime::{Instant, process};

use crate::common::Driver;

/// How much smaller times are on a real clock.
const SMALLER: u64 = 20;

/// How late a machine with other things to do may be on a real clock. On a virtual one nothing is late.
const SLACK: Duration = Duration::from_secs(2);

/// The times of one run.
#[derive(Clone, Copy, Debug)]
pub struct Scale(pub Driver);

impl Scale {
    /// So many milliseconds of a row.
    pub fn ms(self, ms: u64) -> Duration {
        let micros = if self.0.has_real_clock() { ms * 1000 / SMALLER } else { ms * 1000 };
        Duration::from_micros(micros)
    }

    /// A time of a row that must not be over before the test has done something: a second on a real clock, which no stall
    /// of a busy machine takes.
    pub fn roomy(self, ms: u64) -> Duration {
        if self.0.has_real_clock() { Duration::from_secs(1) } else { self.ms(ms) }
    }

    /// The same for a time that is not waited for.
    pub fn ample(self, ms: u64) -> Duration {
        if self.0.has_real_clock() { Duration::from_secs(60) } else { self.ms(ms) }
    }

    /// At least, and at most, so many milliseconds of a row have passed since `start`.
    #[track_caller]
    pub fn passed(self, start: Instant, least: u64, most: u64) {
        self.within(process::now() - start, least, most);
    }

    /// The same for a time that was measured already.
    #[track_caller]
    pub fn within(self, took: Duration, least: u64, most: u64) {
        let slack = if self.0.has_real_clock() { SLACK } else { Duration::ZERO };
        let (least, most) = (self.ms(least), self.ms(most) + slack);
        assert!(
            least <= took && took <= most,
            "on {}: {took:?} is not within {least:?} and {most:?}",
            self.0
        );
    }
}

/// Random numbers that are the same in every run.
pub struct Random(pub u64);

impl Random {
    /// A number from `range`.
    pub fn pick(&mut self, range: std::ops::Range<u64>) -> u64 {
        // Knuth's multiplier; the low bits of such a sequence are poor.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        range.start + (self.0 >> 33) % (range.end - range.start)
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.pick(0..at as u64 + 1) as usize);
        }
    }
}

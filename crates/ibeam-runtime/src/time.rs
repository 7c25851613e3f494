//! Points in time on a runtime's own clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time on the clock of one runtime: what [`now`](crate::process::now) gives. In a simulation that clock is
/// virtual. Nanoseconds since the runtime's start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

const NANOS_PER_TICK: u64 = 1_000_000;

/// In whole nanoseconds; what is longer than 584 years counts as that.
#[inline(always)]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
}

impl Instant {
    /// The start of the runtime.
    pub const START: Self = Self(0);

    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time since `earlier`, zero if that is later.
    #[must_use]
    pub fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Earlier by `duration`, but not before the start.
    pub(crate) fn earlier_by(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// Later by this many nanoseconds, at most 584 years after the start.
    #[inline(always)]
    pub(crate) const fn later_by(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// The last tick (of 1 ms) that has begun.
    pub(crate) fn tick(self) -> u64 {
        self.0 / NANOS_PER_TICK
    }

    /// The first tick that is not before this: a timer for it is never early.
    pub(crate) fn tick_after(self) -> u64 {
        self.0.div_ceil(NANOS_PER_TICK)
    }

    pub(crate) fn from_tick(tick: u64) -> Self {
        Self(tick.saturating_mul(NANOS_PER_TICK))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Later by `duration`; sums beyond 584 years stay there.
    fn add(self, duration: Duration) -> Self {
        self.later_by(nanos(duration))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after the start", Duration::from_nanos(self.0))
    }
}

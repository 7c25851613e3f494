//! Median, minimum and maximum of one figure over the rounds, and how two figures compare.

use crate::workloads::Unit;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` without a single round.
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Spread> {
        figures.sort_by(f64::total_cmp);
        let (&min, &max) = (figures.first()?, figures.last()?);
        let middle = figures.len() / 2;
        let median = match figures.len() % 2 {
            1 => figures[middle],
            _ => (figures[middle - 1] + figures[middle]) / 2.0,
        };
        Some(Spread { median, min, max })
    }

    pub(crate) fn show(self, unit: Unit) -> String {
        let Spread { median, min, max } = self;
        match unit {
            Unit::Nanoseconds => format!("{median:.0} ns ({min:.0}–{max:.0})"),
            Unit::Bytes => format!("{median:.0} B ({min:.0}–{max:.0})"),
            Unit::MillionsPerSecond => format!("{median:.2} M/s ({min:.2}–{max:.2})"),
            Unit::Milliseconds => format!("{median:.1} ms ({min:.1}–{max:.1})"),
            Unit::Percent => format!("{median:.2} % ({min:.2}–{max:.2})"),
        }
    }
}

/// What is below this is the measurement's own: half a millisecond in the five seconds.
const LEAST_PERCENT: f64 = 0.01;

/// How many times as good `ours` is as `theirs`: above 1 it is the better one. `None` where there is nothing to divide.
pub(crate) fn times_as_good(unit: Unit, ours: f64, theirs: f64) -> Option<f64> {
    let least = if unit == Unit::Percent { LEAST_PERCENT } else { f64::MIN };
    let (ours, theirs) = (ours.max(least), theirs.max(least));
    let ratio = match unit.lower_is_better() {
        true => theirs / ours,
        false => ours / theirs,
    };
    ratio.is_finite().then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_between_the_two() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(Spread::of(vec![]), None);
    }

    #[test]
    fn a_ratio_above_one_is_better_whatever_the_unit() {
        assert_eq!(times_as_good(Unit::Nanoseconds, 100.0, 250.0), Some(2.5));
        assert_eq!(times_as_good(Unit::MillionsPerSecond, 20.0, 10.0), Some(2.0));
        assert_eq!(times_as_good(Unit::Nanoseconds, 0.0, 0.0), None);
    }

    #[test]
    fn a_cpu_that_does_next_to_nothing_does_nothing() {
        assert_eq!(times_as_good(Unit::Percent, 0.002, 0.001), Some(1.0));
        assert_eq!(times_as_good(Unit::Percent, 0.0, 0.2), Some(20.0));
    }
}

//! How often is too often.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use ibeam_runtime::{ExitReason, Instant};

use super::child_spec::ChildId;

/// How many restarts are allowed within which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_restarts: usize,
    pub(crate) within: Duration,
}

impl Default for Limits {
    /// Elixir's. OTP's is 1 in 5 s.
    fn default() -> Self {
        Self { max_restarts: 3, within: Duration::from_secs(5) }
    }
}

/// The restarts of the last while, against what is allowed. Time is an argument.
///
/// `C` is how children are told apart: by id, or by pid.
#[derive(Clone, Debug)]
pub(crate) struct Intensity<C = ChildId> {
    limits: Limits,
    /// When the latest restarts were, oldest first: at most one more than allowed.
    restarts: VecDeque<Instant>,
    /// Whose the last of them were, and why: no more than are told. An allowance may be large, and so may reasons.
    told: VecDeque<(C, ExitReason)>,
}

/// So many reasons are told at most, the latest ones.
const REASONS_MAX: usize = 10;

impl<C: Clone> Intensity<C> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, restarts: VecDeque::new(), told: VecDeque::new() }
    }

    /// Counts a restart. `false`: it is one too many.
    #[must_use]
    pub(crate) fn allows_restart(&mut self, at: Instant, child: &C, reason: &ExitReason) -> bool {
        self.restarts.push_back(at);
        while self.restarts.front().is_some_and(|&first| at - first > self.limits.within) {
            self.restarts.pop_front();
        }
        self.told.push_back((child.clone(), reason.clone()));
        let outdated = self.told.len().saturating_sub(self.restarts.len().min(REASONS_MAX));
        self.told.drain(..outdated);
        self.restarts.len() <= self.limits.max_restarts
    }

    /// What used the budget up, for people to read.
    pub(crate) fn spent(&self) -> Spent<'_, C> {
        Spent(self)
    }
}

/// See [`Intensity::spent`].
#[derive(Debug)]
pub(crate) struct Spent<'a, C>(&'a Intensity<C>);

impl<C: fmt::Display> fmt::Display for Spent<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Intensity { limits: Limits { max_restarts, within }, restarts, told } = self.0;
        write!(f, "reached_max_restart_intensity, more than {max_restarts} restarts within {within:?}: ")?;
        let untold = restarts.len() - told.len();
        if untold > 0 {
            write!(f, "… {untold} before, ")?;
        }
        for (at, (child, reason)) in told.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}`{child}` ({reason})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_count_only_within_the_window() {
        let start = ibeam_runtime::sim::Simulation::new(0).now();
        // most restarts, seconds at which they are asked for, which are allowed
        let cases: [(usize, &[u64], &[bool]); 5] = [
            (2, &[0, 1, 6, 6], &[true, true, true, false]),
            (2, &[0, 0, 5], &[true, true, false]),
            (0, &[0], &[false]),
            (1, &[0, 6, 12, 18], &[true; 4]),
            (3, &[0, 1, 2, 3, 4], &[true, true, true, false, false]),
        ];
        for (max_restarts, seconds, expected) in cases {
            let mut intensity = Intensity::new(Limits { max_restarts, within: Duration::from_secs(5) });
            let allowed = seconds.iter().map(|&second| {
                let at = start + Duration::from_secs(second);
                intensity.allows_restart(at, &ChildId::from("a"), &ExitReason::Killed)
            });
            assert_eq!(allowed.collect::<Vec<_>>(), expected, "{max_restarts} in 5 s, at {seconds:?}");
        }
    }

    #[test]
    fn what_used_the_budget_up_is_told_with_its_reasons() {
        let start = ibeam_runtime::sim::Simulation::new(0).now();
        let mut intensity = Intensity::new(Limits { max_restarts: 1, within: Duration::from_secs(5) });
        assert!(intensity.allows_restart(start, &ChildId::from("a"), &ExitReason::Killed));
        assert!(!intensity.allows_restart(start, &ChildId::from("b"), &ExitReason::Normal));
        assert_eq!(
            intensity.spent().to_string(),
            "reached_max_restart_intensity, more than 1 restarts within 5s: `a` (killed), `b` (normal)"
        );
        let mut many = Intensity::new(Limits { max_restarts: 99, within: Duration::from_secs(5) });
        assert!((0..99).all(|_| many.allows_restart(start, &ChildId::from("a"), &ExitReason::Killed)));
        assert!(many.spent().to_string().contains("… 89 before, `a` (killed), "));
        assert_eq!(many.told.len(), REASONS_MAX, "the others are forgotten");

        // What is out of the window has no reason left either.
        let later = start + Duration::from_secs(6);
        assert!(many.allows_restart(later, &ChildId::from("b"), &ExitReason::Normal));
        assert!(many.spent().to_string().ends_with(": `b` (normal)"), "{}", many.spent());
    }
}

//! How often is too often.

use std::collections::VecDeque;
use std::time::Duration;

use ibeam_runtime::Instant;

/// The restarts of the last while, against what is allowed. Time is an argument.
#[derive(Clone, Debug)]
pub(crate) struct Intensity {
    max_restarts: usize,
    within: Duration,
    /// The latest restarts, oldest first; at most one more than allowed.
    restarts: VecDeque<Instant>,
}

impl Intensity {
    pub(crate) fn new(max_restarts: usize, within: Duration) -> Self {
        Self { max_restarts, within, restarts: VecDeque::new() }
    }

    /// Counts a restart. `false`: it is one too many.
    #[must_use]
    pub(crate) fn allows_restart(&mut self, now: Instant) -> bool {
        self.restarts.push_back(now);
        while self.restarts.front().is_some_and(|&first| now - first > self.within) {
            self.restarts.pop_front();
        }
        self.restarts.len() <= self.max_restarts
    }

    pub(crate) fn limits(&self) -> (usize, Duration) {
        (self.max_restarts, self.within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_count_only_within_the_window() {
        let start = ibeam_runtime::sim::Simulation::new(0).now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut intensity = Intensity::new(2, Duration::from_secs(5));
        assert!(intensity.allows_restart(at(0)));
        assert!(intensity.allows_restart(at(1)));
        assert!(intensity.allows_restart(at(6)), "the first one is out of the window");
        assert!(!intensity.allows_restart(at(6)), "1, 6 and 6");
        let mut none = Intensity::new(0, Duration::from_secs(5));
        assert!(!none.allows_restart(at(0)));
    }
}

//! Waiting between restarts that do not help.

use std::time::Duration;

/// Restart back-off: how long a supervisor waits before it starts a child again that does not stay up. Off by default.
///
/// The first restart comes at once, as always. If that start fails, or the child ends again before it has run for
/// [`stable_after`](Self::stable_after), the next one waits for `first`, and each further one twice as long, up to `max`.
/// A child that has run for longer begins anew.
///
/// | | without back-off | with back-off |
/// |---|---|---|
/// | a running child ends | counts against the intensity | counts against the intensity |
/// | a restart's start fails | is tried again at once, and counts | is tried again later, and does not count |
///
/// So a child that cannot start, because what it needs is not there yet, does not take the supervisor down: it is
/// tried until it can. Meanwhile it is `restarting` in the supervisor's lists, and can be terminated.
///
/// With [`OneForAll`](super::Strategy::OneForAll) and [`RestForOne`](super::Strategy::RestForOne), whom the restart concerns is stopped at
/// once and waits too. If a start fails, those that have started before it go on running, and it is tried again with
/// those after it. The starts of the supervisor itself, and those by hand, do not wait: their failure is an error.
///
/// The wait is shortened by a random part, the jitter, so that many children that fail together do not come back together.
///
/// ```
/// use ibeam::supervisor::Backoff;
/// use std::time::Duration;
///
/// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30)).jitter(0.0);
/// let waits: Vec<_> = (0..4).map(|failures| backoff.delay(failures, 0).as_millis()).collect();
/// assert_eq!(waits, [0, 100, 200, 400]);
/// assert_eq!(backoff.delay(1_000, 0), Duration::from_secs(30));
/// ```
///
/// # Erlang/OTP
/// There is none; a restart that fails is tried again at once until the intensity is used up.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    jitter: f64,
    stable_after: Option<Duration>,
}

impl Backoff {
    /// Waits `first`, then twice as long each time, up to `max`. The jitter is 20 %.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, jitter: 0.2, stable_after: None }
    }

    /// Up to this part of each wait, 0 to 1, is left out at random. Default: 0.2.
    #[must_use]
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = part;
        self
    }

    /// A child that has run for this long has been all right, and begins anew. Default: `max`.
    #[must_use]
    pub fn stable_after(mut self, time: Duration) -> Self {
        self.stable_after = Some(time);
        self
    }

    /// The wait before the next start, after so many `failures` in a row; none after none. `random` chooses the jitter; all of
    /// its bits count.
    #[must_use]
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let wait = self.first.saturating_mul(factor).min(self.max);
        // 53 bits: what a float from 0 to 1 can tell apart.
        let part = (random >> 11) as f64 / (1_u64 << 53) as f64;
        wait.mul_f64(1.0 - self.jitter * part)
    }

    pub(crate) fn is_stable_after(&self, ran_for: Duration) -> bool {
        ran_for >= self.stable_after.unwrap_or(self.max)
    }

    pub(crate) fn problem(&self) -> Option<&'static str> {
        match self {
            _ if self.first.is_zero() => Some("expected a first wait longer than 0 s"),
            _ if self.max < self.first => {
                Some("expected the longest wait to be at least as long as the first")
            }
            _ if !(0.0..=1.0).contains(&self.jitter) => Some("expected a jitter from 0 to 1"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_less_the_jitter() {
        let ms = Duration::from_millis;
        let backoff = Backoff::new(ms(100), ms(1_000)).jitter(0.5);
        // failures, random, wait
        let cases = [
            (0, u64::MAX, 0),
            (1, 0, 100),
            (1, u64::MAX, 50),
            (2, 0, 200),
            (3, 1 << 63, 300),
            (4, 0, 800),
            (5, 0, 1_000),
            (33, 0, 1_000),
            (u32::MAX, 0, 1_000),
            (u32::MAX, u64::MAX, 500),
        ];
        for (failures, random, expected) in cases {
            let wait = backoff.delay(failures, random);
            let difference = wait.abs_diff(ms(expected));
            assert!(difference < Duration::from_micros(1), "{failures} {random}: {wait:?}");
        }
    }

    #[test]
    fn a_child_is_stable_after_the_longest_wait_unless_said_otherwise() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8));
        assert!(!backoff.is_stable_after(Duration::from_secs(7)));
        assert!(backoff.is_stable_after(Duration::from_secs(8)));
        assert!(backoff.stable_after(Duration::from_secs(2)).is_stable_after(Duration::from_secs(2)));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let second = Duration::from_secs(1);
        assert_eq!(Backoff::new(second, second).problem(), None);
        assert!(Backoff::new(Duration::ZERO, second).problem().unwrap().contains("first wait"));
        assert!(Backoff::new(second, Duration::ZERO).problem().unwrap().contains("longest"));
        assert!(Backoff::new(second, second).jitter(1.1).problem().unwrap().contains("jitter"));
        assert!(Backoff::new(second, second).jitter(f64::NAN).problem().unwrap().contains("jitter"));
    }
}

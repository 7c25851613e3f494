//! Decisions about children that have ended. Nothing here does anything: events in, what is to be done out.

use std::ops::RangeInclusive;

use ibeam_runtime::ExitReason;

use super::child_spec::{Restart, Shutdown};
use super::{AutoShutdown, Strategy};

/// What the exit of a child asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum AfterExit {
    /// Another start, if the intensity allows it.
    Restart,
    /// The child stays, without a process.
    Keep,
    /// The child is no more.
    Forget,
}

pub(crate) fn after_exit(restart: Restart, reason: &ExitReason) -> AfterExit {
    match restart {
        Restart::Permanent => AfterExit::Restart,
        Restart::Transient if reason.is_abnormal() => AfterExit::Restart,
        Restart::Transient => AfterExit::Keep,
        Restart::Temporary => AfterExit::Forget,
    }
}

/// Whom the restart of a child concerns, by their places in the start order: they are stopped, those behind first, and started again, those
/// in front first.
pub(crate) fn concerned(strategy: Strategy, child: u64) -> RangeInclusive<u64> {
    match strategy {
        Strategy::OneForOne => child..=child,
        Strategy::OneForAll => 0..=u64::MAX,
        Strategy::RestForOne => child..=u64::MAX,
    }
}

/// Is the exit of a running child worth an error report (`child_terminated`)?
pub(crate) fn is_reported(restart: Restart, reason: &ExitReason) -> bool {
    restart == Restart::Permanent || reason.is_abnormal()
}

/// A child that was not restarted has ended by itself: does the supervisor end with it? `others`: whether there are other
/// significant children that have a process or are being restarted.
pub(crate) fn ends_supervisor(mode: AutoShutdown, significant: bool, others: impl FnOnce() -> bool) -> bool {
    significant
        && match mode {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => !others(),
        }
}

/// A child was stopped, and ended with `reason`: is that how it was to end? If not, it is reported (`shutdown_error`).
pub(crate) fn ended_as_asked(restart: Restart, shutdown: Shutdown, reason: &ExitReason) -> bool {
    match (shutdown, reason) {
        (Shutdown::BrutalKill, ExitReason::Killed) => true,
        (Shutdown::Timeout(_) | Shutdown::Infinity, ExitReason::Shutdown) => true,
        (_, reason) => restart != Restart::Permanent && !reason.is_abnormal(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn exits_are_answered_as_the_table_says() {
        use AfterExit::{Forget, Keep, Restart as Again};
        use Restart::{Permanent, Temporary, Transient};
        let reasons =
            [ExitReason::Normal, ExitReason::Shutdown, ExitReason::shutdown_with(1), ExitReason::Killed];
        let cases = [
            (Permanent, [Again, Again, Again, Again], [true, true, true, true]),
            (Transient, [Keep, Keep, Keep, Again], [false, false, false, true]),
            (Temporary, [Forget, Forget, Forget, Forget], [false, false, false, true]),
        ];
        for (restart, expected, reported) in cases {
            assert_eq!(reasons.clone().map(|reason| after_exit(restart, &reason)), expected, "{restart}");
            assert_eq!(reasons.clone().map(|reason| is_reported(restart, &reason)), reported, "{restart}");
        }
    }

    #[test]
    fn a_restart_concerns_whom_the_strategy_says() {
        let cases = [
            (Strategy::OneForOne, [vec![1], vec![2], vec![3]]),
            (Strategy::OneForAll, [vec![1, 2, 3], vec![1, 2, 3], vec![1, 2, 3]]),
            (Strategy::RestForOne, [vec![1, 2, 3], vec![2, 3], vec![3]]),
        ];
        for (strategy, expected) in cases {
            for (child, expected) in (1..).zip(expected) {
                let concerned = concerned(strategy, child);
                let is: Vec<u64> = (1..=3).filter(|place| concerned.contains(place)).collect();
                assert_eq!(is, expected, "{strategy:?}, child {child}");
            }
        }
    }

    #[test]
    fn only_significant_ends_end_the_supervisor() {
        use AutoShutdown::{AllSignificant, AnySignificant, Never};
        let cases = [
            (Never, true, false, false),
            (AnySignificant, false, false, false),
            (AnySignificant, true, true, true),
            (AllSignificant, false, false, false),
            (AllSignificant, true, true, false),
            (AllSignificant, true, false, true),
        ];
        for (mode, significant, others, expected) in cases {
            assert_eq!(
                ends_supervisor(mode, significant, || others),
                expected,
                "{mode:?} {significant} {others}"
            );
        }
    }

    #[test]
    fn what_counts_as_stopped_as_asked() {
        let asked = Shutdown::Timeout(Duration::ZERO);
        let killed = Shutdown::BrutalKill;
        // how it was stopped, its reason, as asked if permanent, as asked if transient or temporary
        let cases = [
            (asked, ExitReason::Shutdown, true, true),
            (asked, ExitReason::shutdown_with(1), false, true),
            (asked, ExitReason::Normal, false, true),
            (asked, ExitReason::Killed, false, false),
            (asked, ExitReason::other(1), false, false),
            (killed, ExitReason::Killed, true, true),
            (killed, ExitReason::Shutdown, false, true),
            (killed, ExitReason::other(1), false, false),
        ];
        for (shutdown, reason, permanent, other) in cases {
            assert_eq!(
                ended_as_asked(Restart::Permanent, shutdown, &reason),
                permanent,
                "{shutdown} {reason}"
            );
            for restart in [Restart::Transient, Restart::Temporary] {
                assert_eq!(
                    ended_as_asked(restart, shutdown, &reason),
                    other,
                    "{restart} {shutdown} {reason}"
                );
            }
        }
    }
}

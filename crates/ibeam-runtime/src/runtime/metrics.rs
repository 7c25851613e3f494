//! What a runtime counts.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::runtime::{self, Shared};

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    NoProc,
    Overflow,
    LeftAtDeath,
    AliasInactive,
}

impl Undelivered {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoProc => "no such process",
            Self::Overflow => "mailbox full",
            Self::LeftAtDeath => "left in the mailbox when its process ended",
            Self::AliasInactive => "alias not active",
        }
    }
}

#[derive(Default)]
pub(crate) struct UndeliveredCounters {
    no_proc: AtomicU64,
    overflow: AtomicU64,
    left_at_death: AtomicU64,
    alias_inactive: AtomicU64,
}

/// What was sent from threads that were in no runtime.
pub(crate) static OUTSIDE: UndeliveredCounters = UndeliveredCounters {
    no_proc: AtomicU64::new(0),
    overflow: AtomicU64::new(0),
    left_at_death: AtomicU64::new(0),
    alias_inactive: AtomicU64::new(0),
};

impl UndeliveredCounters {
    pub(crate) fn count(&self, why: Undelivered) {
        let counter = match why {
            Undelivered::NoProc => &self.no_proc,
            Undelivered::Overflow => &self.overflow,
            Undelivered::LeftAtDeath => &self.left_at_death,
            Undelivered::AliasInactive => &self.alias_inactive,
        };
        counter.fetch_add(1, Relaxed);
    }

    fn read(&self) -> UndeliveredCounts {
        UndeliveredCounts {
            no_proc: self.no_proc.load(Relaxed),
            overflow: self.overflow.load(Relaxed),
            left_at_death: self.left_at_death.load(Relaxed),
            alias_inactive: self.alias_inactive.load(Relaxed),
        }
    }
}

/// Messages that were not delivered, since the runtime's start. Each is logged too, at debug level, under the target
/// `ibeam::undelivered`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UndeliveredCounts {
    /// Sent to a process that was not there, or a timer's to a name that nobody had.
    pub no_proc: u64,
    /// Dropped because of a full mailbox.
    pub overflow: u64,
    /// In the mailbox of a process when it ended.
    pub left_at_death: u64,
    /// Sent through an alias that was not active.
    pub alias_inactive: u64,
}

impl UndeliveredCounts {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.no_proc + self.overflow + self.left_at_death + self.alias_inactive
    }
}

/// What a driver counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct DriverMetrics {
    pub(crate) workers: usize,
    pub(crate) threads: usize,
    pub(crate) run_queues: Vec<usize>,
    pub(crate) injected: usize,
    pub(crate) steals: u64,
    pub(crate) parks: u64,
    pub(crate) compensations: u64,
    pub(crate) io_stalls: u64,
    /// Of the processes that have ended, those that the driver's workers have counted, and what these had done.
    pub(crate) ended: Ended,
}

/// Processes that have ended, and what they had done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ended {
    pub(crate) processes: u64,
    pub(crate) reductions: u64,
}

/// One look at a runtime. The numbers are read one after the other, while it runs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Live processes.
    pub processes: usize,
    /// Processes that have ended.
    pub processes_ended: u64,
    /// Work done by processes that have ended: turns, and messages taken out of mailboxes.
    pub reductions: u64,
    /// Armed timers; a process that waits with a time limit may count as one.
    pub timers: usize,
    /// Worker threads that may run processes at the same time.
    pub workers: usize,
    /// Worker threads there are, spares included.
    pub threads: usize,
    /// Ready processes per worker thread.
    pub run_queues: Vec<usize>,
    /// Ready processes that no worker has taken yet.
    pub injected: usize,
    /// How often a worker took work from another one.
    pub steals: u64,
    /// How often a worker went to sleep.
    pub parks: u64,
    /// How often a spare thread took the place of a worker that was busy for too long.
    pub compensations: u64,
    /// How often a turn took longer than the threshold.
    pub long_turns: u64,
    /// How often a task in the I/O driver kept it from its work.
    pub io_stalls: u64,
    /// Messages that were not delivered.
    pub undelivered: UndeliveredCounts,
    /// The same, for what was sent from threads in no runtime: shared by all runtimes of the program.
    pub undelivered_outside: UndeliveredCounts,
}

impl Metrics {
    /// A look at the current runtime, for who has no [`Runtime`](crate::Runtime) at hand: a process above all.
    ///
    /// ```
    /// use ibeam_runtime::{Metrics, Runtime};
    ///
    /// assert_eq!(Runtime::new().block_on(async { Metrics::current().processes }), 1);
    /// ```
    ///
    /// # Erlang/OTP
    /// `statistics/1`, `system_info/1`.
    #[must_use]
    pub fn current() -> Self {
        runtime::with_current(Shared::metrics)
    }
}

impl Shared {
    pub(crate) fn metrics(&self) -> Metrics {
        let driver = self.driver.metrics();
        Metrics {
            processes: self.processes.load(Relaxed),
            processes_ended: self.ended.load(Relaxed) + driver.ended.processes,
            reductions: self.reductions.load(Relaxed) + driver.ended.reductions,
            timers: self.timers.len(),
            workers: driver.workers,
            threads: driver.threads,
            run_queues: driver.run_queues,
            injected: driver.injected,
            steals: driver.steals,
            parks: driver.parks,
            compensations: driver.compensations,
            long_turns: self.long_turns.load(Relaxed),
            io_stalls: driver.io_stalls,
            undelivered: self.undelivered.read(),
            undelivered_outside: OUTSIDE.read(),
        }
    }
}

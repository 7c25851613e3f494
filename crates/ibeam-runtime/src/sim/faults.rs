//! What is to go wrong in a simulation, and in which order its processes go.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::pid::Pid;
use crate::process::Name;

/// Who goes next, of those that can run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// Any of them, each with the same chance at each turn.
    #[default]
    Random,
    /// Each in its turn, whatever the seed: the order that a quiet machine with one core would have.
    RoundRobin,
    /// *Probabilistic concurrency testing*: every process has a rank of chance, and the one with the highest always goes; at
    /// `depth - 1` turns of chance, the one that runs falls behind all others. A bug that needs `depth` events in a certain
    /// order is found with a chance of at least 1 in `processes * turns ^ (depth - 1)` per seed, and mostly much better,
    /// where a random order may never meet it. A process that gives way ([`yield_now`](crate::process::yield_now)) falls too.
    ///
    /// S. Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding bugs", 2010.
    Pct {
        /// How many events have to be in order: 2 to 5 are usual.
        depth: u32,
        /// About how many turns a run has: the falls are among the first so many.
        turns: u64,
    },
    /// Three of four seeds `Random`, the fourth [`PCT`](Self::PCT).
    Mixed,
}

impl Schedule {
    /// `Pct` with depth 3 over 500 turns.
    pub const PCT: Self = Self::Pct { depth: 3, turns: 500 };
}

/// What goes wrong. By default nothing.
///
/// Each kind strikes at moments that the seed chooses, in some runs often and in others once. None of them breaks what OTP
/// promises: messages and signals from one process to another keep their order, what a process finds by another way (a
/// reply) does not overtake them, and no timer is early.
///
/// Processes that are [protected](super::protect) are not killed, slowed down or failed at their start.
///
/// ```
/// use ibeam_runtime::sim::Faults;
/// use std::time::Duration;
///
/// let faults = Faults::none()
///     .kills(3)
///     .kill_only(|victim| victim.name.as_ref().is_some_and(|name| name.as_str() == "worker"))
///     .delay(Duration::from_millis(20));
/// assert_ne!(format!("{faults:?}"), format!("{:?}", Faults::none()));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Faults {
    pub(crate) kills: u32,
    pub(crate) failed_starts: u32,
    pub(crate) delay: Duration,
    pub(crate) slow: Duration,
    pub(crate) clock_jumps: Duration,
    pub(crate) late_timers: Duration,
    victims: Option<Arc<Filter>>,
}

type Filter = dyn Fn(&Victim) -> bool + Send + Sync;

/// A process that may be killed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Victim {
    /// The process.
    pub pid: Pid,
    /// Its name.
    pub name: Option<Name>,
    /// The label that it was spawned with.
    pub label: Option<String>,
    /// The type of its future: that of a GenServer has the server's type in it.
    pub initial_call: &'static str,
}

impl Victim {
    pub(crate) fn new(pid: Pid, name: Option<Name>, label: Option<&str>, initial_call: &'static str) -> Self {
        Self { pid, name, label: label.map(str::to_owned), initial_call }
    }
}

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self {
            kills: 0,
            failed_starts: 0,
            delay: Duration::ZERO,
            slow: Duration::ZERO,
            clock_jumps: Duration::ZERO,
            late_timers: Duration::ZERO,
            victims: None,
        }
    }

    /// A bad day: 3 kills, one failed start, messages up to 20 ms late, processes up to 50 ms, clock jumps of up to 100 ms, timers
    /// up to 20 ms late.
    pub fn rough() -> Self {
        let ms = Duration::from_millis;
        Self::none()
            .kills(3)
            .failed_starts(1)
            .delay(ms(20))
            .slow(ms(50))
            .clock_jumps(ms(100))
            .late_timers(ms(20))
    }

    /// Up to so many processes are killed, any of those that are not protected.
    pub fn kills(mut self, most: u32) -> Self {
        self.kills = most;
        self
    }

    /// Only those for which `victims` is true are killed.
    pub fn kill_only(mut self, victims: impl Fn(&Victim) -> bool + Send + Sync + 'static) -> Self {
        self.victims = Some(Arc::new(victims));
        self
    }

    /// Up to so many processes end before they have run: a GenServer's start fails then, as if its `init` had exited. A process
    /// that was spawned to trap exits is none of them.
    pub fn failed_starts(mut self, most: u32) -> Self {
        self.failed_starts = most;
        self
    }

    /// Messages and signals are up to so late, and so are overtaken by those of other senders, or to other receivers.
    pub fn delay(mut self, most: Duration) -> Self {
        self.delay = most;
        self
    }

    /// A process that could run does so only later.
    pub fn slow(mut self, most: Duration) -> Self {
        self.slow = most;
        self
    }

    /// The clock jumps ahead while processes could run: timeouts come too soon for them.
    pub fn clock_jumps(mut self, most: Duration) -> Self {
        self.clock_jumps = most;
        self
    }

    /// Timers are late by up to so much.
    pub fn late_timers(mut self, most: Duration) -> Self {
        self.late_timers = most;
        self
    }

    pub(crate) fn may_kill(&self, victim: &Victim) -> bool {
        self.victims.as_ref().is_none_or(|victims| victims(victim))
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("kills", &self.kills)
            .field("failed_starts", &self.failed_starts)
            .field("delay", &self.delay)
            .field("slow", &self.slow)
            .field("clock_jumps", &self.clock_jumps)
            .field("late_timers", &self.late_timers)
            .field("filtered", &self.victims.is_some())
            .finish()
    }
}

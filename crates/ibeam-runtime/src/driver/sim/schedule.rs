//! Who goes next in a simulation.

use std::collections::HashMap;

use crate::driver::queue::Queue;
use crate::driver::sim::random::Random;
use crate::raw::ready::Ready;
use crate::sim::Schedule;

/// The schedule of one run.
pub(super) enum Scheduler {
    Random(Random),
    RoundRobin,
    Pct(Pct),
}

/// Probabilistic concurrency testing: strict priorities that change at a few points only.
pub(super) struct Pct {
    random: Random,
    ranks: HashMap<u64, u64, foldhash::fast::FixedState>,
    /// The turns after which the process that runs falls behind all others, the next one last.
    changes: Vec<u64>,
    /// The next rank below all others.
    lowest: u64,
}

/// Ranks of new processes begin here; those that have fallen are below.
const NEW: u64 = 1 << 40;

impl Scheduler {
    pub(super) fn new(schedule: Schedule, seed: u64) -> Self {
        match schedule {
            Schedule::Random => Self::Random(Random::new(seed)),
            Schedule::RoundRobin => Self::RoundRobin,
            Schedule::Mixed if seed % 4 == 3 => Self::new(Schedule::PCT, seed),
            Schedule::Mixed => Self::new(Schedule::Random, seed),
            Schedule::Pct { depth, turns } => {
                let mut random = Random::new(seed);
                let turns = usize::try_from(turns.max(1)).unwrap_or(usize::MAX);
                let mut changes: Vec<u64> = (1..depth).map(|_| random.below(turns) as u64).collect();
                changes.sort_unstable_by(|a, b| b.cmp(a));
                Self::Pct(Pct { random, ranks: HashMap::default(), changes, lowest: NEW })
            }
        }
    }

    /// Takes the one whose turn it is.
    pub(super) fn pop(&mut self, queue: &mut Queue, turn: u64) -> Option<Ready> {
        match self {
            Self::Random(random) => queue.pop_any(|count| random.below(count)),
            Self::RoundRobin => queue.pop(),
            Self::Pct(pct) => {
                let ready = queue.pop_highest(|ready| pct.rank(ready.pid_bits()))?;
                while pct.changes.last().is_some_and(|change| *change <= turn) {
                    pct.changes.pop();
                    pct.fall(ready.pid_bits());
                }
                Some(ready)
            }
        }
    }

    /// The process has given way: whoever waits for others in a loop must not be the first again.
    pub(super) fn yielded(&mut self, ready: &Ready) {
        if let Self::Pct(pct) = self {
            pct.fall(ready.pid_bits());
        }
    }

    pub(super) fn ended(&mut self, pid_bits: u64) {
        if let Self::Pct(pct) = self {
            pct.ranks.remove(&pid_bits);
        }
    }
}

impl Pct {
    fn rank(&mut self, pid_bits: u64) -> u64 {
        let random = &mut self.random;
        *self.ranks.entry(pid_bits).or_insert_with(|| NEW | (random.next() >> 1))
    }

    fn fall(&mut self, pid_bits: u64) {
        self.lowest -= 1;
        self.ranks.insert(pid_bits, self.lowest);
    }
}

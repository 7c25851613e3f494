//! What goes wrong in a simulation, and when.
//!
//! Decides, does nothing. How often each kind of fault strikes is itself drawn from the seed, once per run: some runs have
//! many at once and some a single one late, for bugs of both kinds.

use std::time::Duration;

use crate::driver::sim::random::Random;
use crate::pid::Pid;
use crate::sim::Faults;

/// What goes wrong at the beginning of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It comes later.
    Slow(Duration),
    /// It is the first turn, and the process ends.
    FailStart,
}

/// See the module.
pub(super) struct Mischief {
    faults: Faults,
    random: Random,
    /// Every how many steps, on average, each strikes.
    kill_every: u64,
    slow_every: u64,
    jump_every: u64,
    delay_every: u64,
    kills: u32,
    failed_starts: u32,
    lag: Duration,
}

impl Mischief {
    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        let mut random = Random::apart(seed, 1);
        let mut every =
            |least: u32, most: u32| 1_u64 << (least as usize + random.below((most - least + 1) as usize));
        let (kill_every, slow_every, jump_every, delay_every) =
            (every(2, 9), every(3, 8), every(4, 9), every(1, 5));
        let (kills, failed_starts) = (faults.kills, faults.failed_starts);
        let mut this = Self {
            faults,
            random,
            kill_every,
            slow_every,
            jump_every,
            delay_every,
            kills,
            failed_starts,
            lag: Duration::ZERO,
        };
        this.draw_lag();
        this
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(super) fn calm(&mut self) {
        (self.faults, self.kills, self.failed_starts) = (Faults::none(), 0, 0);
        self.lag = Duration::ZERO;
    }

    /// By how much timers are late now.
    pub(super) fn lag(&self) -> Duration {
        self.lag
    }

    pub(super) fn draw_lag(&mut self) {
        self.lag = match self.faults.late_timers {
            Duration::ZERO => Duration::ZERO,
            max => self.random.time(max),
        };
    }

    pub(super) fn kills_now(&mut self) -> bool {
        self.kills > 0 && self.random.one_in(self.kill_every)
    }

    pub(super) fn victim(&mut self, candidates: &[Pid]) -> Option<Pid> {
        if candidates.is_empty() {
            return None;
        }
        self.kills -= 1;
        Some(candidates[self.random.below(candidates.len())])
    }

    pub(super) fn jump(&mut self) -> Option<Duration> {
        let max = self.faults.clock_jumps;
        (!max.is_zero() && self.random.one_in(self.jump_every)).then(|| self.random.time(max))
    }

    pub(super) fn delay(&mut self) -> Option<Duration> {
        let max = self.faults.delay;
        (!max.is_zero() && self.random.one_in(self.delay_every)).then(|| self.random.time(max))
    }

    /// `first`: of this process' turns.
    pub(super) fn before_turn(&mut self, first: bool) -> Option<Fault> {
        if first && self.failed_starts > 0 && self.random.one_in(4) {
            self.failed_starts -= 1;
            return Some(Fault::FailStart);
        }
        let max = self.faults.slow;
        (!max.is_zero() && self.random.one_in(self.slow_every)).then(|| Fault::Slow(self.random.time(max)))
    }
}

//! The sim driver: one thread, the next process chosen by a seed, a clock that stands still while anything can run.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use parking_lot::Mutex;

use crate::driver::queue::Queue;
use crate::driver::{Driver, Place};
use crate::process::run;
use crate::raw::ready::Ready;
use crate::runtime::Shared;
use crate::runtime::metrics::DriverMetrics;
use crate::time::Instant;

/// What a turn costs on the virtual clock, so that who looks at the clock in a loop sees it go on.
const TURN_NANOS: u64 = 1_000;

/// See the module.
pub(crate) struct Sim {
    nanos: AtomicU64,
    state: Mutex<State>,
}

struct State {
    queue: Queue,
    random: Random,
    steps: u64,
}

/// What one step of the simulation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A process had its turn.
    Turn,
    /// Nobody could run, and the clock went on to the next timer.
    Time,
    /// Nobody can run and no timer is armed: nothing will ever happen again.
    Stuck,
}

impl Sim {
    pub(crate) fn new(seed: u64) -> Self {
        let state = State { queue: Queue::default(), random: Random(seed), steps: 0 };
        Self { nanos: AtomicU64::new(0), state: Mutex::new(state) }
    }

    pub(crate) fn step(&self, shared: &Arc<Shared>) -> Step {
        shared.timers.fire(shared, self.now());
        let ready = {
            let State { queue, random, steps } = &mut *self.state.lock();
            *steps += 1;
            queue.pop_any(|count| random.below(count))
        };
        if let Some(ready) = ready {
            self.nanos.fetch_add(TURN_NANOS, SeqCst);
            if let Some((ready, place)) = ready.run(run::turn) {
                self.schedule(ready, place);
            }
            return Step::Turn;
        }
        match shared.timers.next() {
            Some(at) => {
                self.nanos.fetch_max(at.as_nanos(), SeqCst);
                Step::Time
            }
            None => Step::Stuck,
        }
    }

    pub(crate) fn steps(&self) -> u64 {
        self.state.lock().steps
    }
}

impl Driver for Sim {
    fn schedule(&self, ready: Ready, _place: Place) {
        self.state.lock().queue.push(ready);
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.nanos.load(SeqCst))
    }

    fn timer_armed(&self) {}

    fn stop(&self, _patience: Duration) -> bool {
        true
    }

    fn metrics(&self) -> DriverMetrics {
        DriverMetrics { run_queues: vec![self.state.lock().queue.len()], ..DriverMetrics::default() }
    }
}

/// SplitMix64: small, and the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`, which is not 0. The bias of the remainder is far below what matters for schedules.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }
}

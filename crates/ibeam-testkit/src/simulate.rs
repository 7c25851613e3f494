//! What `#[ibeam::simulate]` expands to: a test, run in a simulation once per seed.
//!
//! ```text
//! for each seed: run ── passes ──▶ next seed
//!                    └─ fails ───▶ the same seed again, now with a trace ──▶ the failure
//! ```
//!
//! # Invariants
//! 1. A run is decided by seed, schedule, faults and the program. The second run of a failure has to have the same digest:
//!    if not, something from outside decides, and the failure says so.
//! 2. The testkit's own processes are protected from faults: warden, test process, test supervisor, clean-up.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ibeam::Runtime;
use ibeam::process::Termination;
use ibeam::sim::{Faults, Schedule, Settings, Simulation, protect};
use tracing::Level;

use crate::log::{self, Recorder};
use crate::session::Session;
use crate::show::describe;

/// A test in simulations, and its options: what `#[ibeam::simulate]` makes of a function. See
/// [`simulate`](macro@crate::simulate).
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam_testkit::{Simulate, prelude::*};
///
/// let lost_update = || async {
///     let test = process::self_pid();
///     for name in ["first", "second"] {
///         process::spawn(async move { test.send(name) });
///     }
///     assert_eq!(assert_receive!(name: &str), "first"); // nobody has promised that
/// };
/// let failure = Simulate::new("order", "my-app").seeds(0..100).check(lost_update).unwrap_err();
/// assert!(failure.to_string().contains("IBEAM_SEED="));
/// assert!(failure.trace.iter().any(|line| line.ends_with("\"second\": &str")));
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is run before `run`"]
pub struct Simulate {
    name: &'static str,
    package: &'static str,
    seeds: Range<u64>,
    schedule: Schedule,
    faults: Faults,
    max_steps: u64,
    max_time: Duration,
    log_level: Level,
    trace_len: usize,
}

/// What the seeds of a [`Simulate`] that passed have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Simulated {
    /// How many seeds were run.
    pub seeds: u64,
    /// How many turns of processes that were, and steps of the clock.
    pub steps: u64,
    /// How many events: spawns, messages, signals, exits, faults.
    pub events: u64,
    /// How much time has passed in them.
    pub time: Duration,
    /// A number for all that has happened: two machines that agree in it have made the same runs.
    pub digest: u64,
}

/// A seed that fails.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SimulationFailure {
    /// The test.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// What went wrong.
    pub reason: String,
    /// The command that makes the same run again.
    pub replay: String,
    /// The last events of the run, the oldest first.
    pub trace: Vec<String>,
    /// How many events there were before these.
    pub earlier: u64,
    /// What its processes have logged.
    pub log: String,
    /// Did a second run with this seed do the same? If not, something outside of the simulation has a say.
    pub repeatable: bool,
}

impl fmt::Display for SimulationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "`{}` failed with seed {}: {}", self.name, self.seed, self.reason)?;
        if !self.repeatable {
            writeln!(
                f,
                "a second run with this seed went another way: something decides here that is no part of the simulation, as \
                 the real time, a random number, an address or the order of a hash map"
            )?;
        }
        writeln!(f, "to make this run again: {}", self.replay)?;
        write!(f, "the last events")?;
        if self.earlier > 0 {
            write!(f, " ({} before them)", self.earlier)?;
        }
        f.write_str(":")?;
        self.trace.iter().try_for_each(|line| write!(f, "\n  {line}"))?;
        if !self.log.is_empty() {
            write!(f, "\nlog of its processes:{}", self.log)?;
        }
        Ok(())
    }
}

impl std::error::Error for SimulationFailure {}

/// One run.
struct Run {
    failures: Vec<String>,
    simulated: Simulated,
    trace: Vec<String>,
    earlier: u64,
    log: String,
}

impl Simulate {
    /// A test of this name, with the path of its module, in this package.
    pub fn new(name: &'static str, package: &'static str) -> Self {
        Self {
            name,
            package,
            seeds: 0..20,
            schedule: Schedule::Mixed,
            faults: Faults::none(),
            max_steps: 1_000_000,
            max_time: crate::test::VIRTUAL,
            log_level: Level::INFO,
            trace_len: 60,
        }
    }

    /// The seeds. Default: `0..20`. The environment can ask for others: `IBEAM_SEED=17` for one, `IBEAM_SEEDS=1000` for the first
    /// so many.
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// Who goes next. Default: [`Schedule::Mixed`].
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// What goes wrong. Default: nothing.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// After how many steps a run counts as one that never ends. Default: 1,000,000.
    pub fn max_steps(mut self, steps: u64) -> Self {
        self.max_steps = steps;
        self
    }

    /// After how much virtual time the test is ended and fails. Default: 24 h.
    pub fn max_time(mut self, time: Duration) -> Self {
        self.max_time = time;
        self
    }

    /// What is kept of the log of its processes, and shown if it fails. Default: `INFO` and what is more important.
    pub fn log_level(mut self, level: Level) -> Self {
        self.log_level = level;
        self
    }

    /// How many of the last events a failure shows. Default: 60.
    pub fn trace_len(mut self, len: usize) -> Self {
        self.trace_len = len;
        self
    }

    /// Runs every seed.
    ///
    /// # Panics
    /// With the [`SimulationFailure`] of the first seed that fails, and if `IBEAM_SEED` or `IBEAM_SEEDS` is no number.
    #[track_caller]
    pub fn run<F, B>(self, body: F)
    where
        F: Fn() -> B,
        B: Future + Send + 'static,
        B::Output: Termination,
    {
        let seeds = asked_for("IBEAM_SEED")
            .map(|seed| seed..seed + 1)
            .or_else(|| asked_for("IBEAM_SEEDS").map(|count| 0..count))
            .unwrap_or_else(|| self.seeds.clone());
        if let Err(failure) = self.seeds(seeds).check(body) {
            panic!("{failure}");
        }
    }

    /// Runs every seed of [`seeds`](Self::seeds), whatever the environment asks for.
    ///
    /// # Errors
    /// The first seed that fails.
    pub fn check<F, B>(&self, body: F) -> Result<Simulated, Box<SimulationFailure>>
    where
        F: Fn() -> B,
        B: Future + Send + 'static,
        B::Output: Termination,
    {
        let mut all = Simulated::default();
        for seed in self.seeds.clone() {
            let run = self.run_seed(seed, false, body());
            if !run.failures.is_empty() {
                return Err(Box::new(self.failure(seed, &run, self.run_seed(seed, true, body()))));
            }
            let Simulated { steps, events, time, digest, .. } = run.simulated;
            all.seeds += 1;
            all.steps += steps;
            all.events += events;
            all.time += time;
            all.digest = all.digest.rotate_left(1) ^ digest;
        }
        Ok(all)
    }

    /// The last events of a run with this seed, whether it passes or not: at most [`trace_len`](Self::trace_len) lines.
    pub fn trace<B>(&self, seed: u64, body: B) -> Vec<String>
    where
        B: Future + Send + 'static,
        B::Output: Termination,
    {
        self.run_seed(seed, true, body).trace
    }

    fn failure(&self, seed: u64, first: &Run, again: Run) -> SimulationFailure {
        // The test's name as the test harness knows it: without the crate.
        let test = self.name.split_once("::").map_or(self.name, |(_, path)| path);
        // The texts may differ: pids and references are in them.
        let repeatable = first.simulated == again.simulated && !again.failures.is_empty();
        SimulationFailure {
            name: self.name.to_owned(),
            seed,
            reason: first.failures.join("\n  and "),
            replay: format!("IBEAM_SEED={seed} cargo test -p {} {test} -- --exact", self.package),
            earlier: again.earlier,
            trace: again.trace,
            log: again.log,
            repeatable,
        }
    }

    fn run_seed<B>(&self, seed: u64, traced: bool, body: B) -> Run
    where
        B: Future + Send + 'static,
        B::Output: Termination,
    {
        let mut settings = Settings::default()
            .schedule(self.schedule)
            .faults(self.faults.clone())
            .max_steps(self.max_steps)
            // The warden's limit, and its cleaning up, come first.
            .max_time(self.max_time.saturating_mul(4));
        if traced {
            settings = settings.trace(self.trace_len, describe);
        }
        let simulation = Simulation::with_settings(seed, Runtime::builder(), settings);
        let log = Recorder::new(self.log_level);
        let (session, test, listening) = {
            let _entered = simulation.enter();
            let listening = log::listen(&log);
            let session = Session::new(log);
            let test = session.spawn(self.name, body);
            protect(test);
            (session, test, listening)
        };
        let failures = match simulation.try_run(Arc::clone(&session).warden(test, self.max_time)) {
            Ok(failures) => failures,
            Err(error) => vec![error.to_string()],
        };
        let simulated = Simulated {
            seeds: 1,
            steps: simulation.steps(),
            events: simulation.events(),
            time: simulation.elapsed(),
            digest: simulation.digest(),
        };
        let (trace, earlier) = (simulation.trace(), simulation.dropped_lines());
        drop(simulation);
        drop(listening);
        Run { failures, simulated, trace, earlier, log: session.log() }
    }
}

fn asked_for(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{variable}: expected a number, got `{text}`"),
    }
}

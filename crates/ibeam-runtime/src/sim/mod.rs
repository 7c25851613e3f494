//! Simulation: processes on one thread, in an order that a seed chooses, on a clock that is virtual.
//!
//! The same seed gives the same run. Time goes on only when nobody can run, so hours pass in milliseconds.

mod faults;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::driver::sim::{Lines, Outside, Sim, Step};
use crate::exit_reason::ExitReason;
use crate::message::Message;
use crate::pid::Pid;
use crate::process;
use crate::runtime::{self, Entered, Metrics, Runtime, RuntimeBuilder, Shared};
use crate::time::Instant;

pub use faults::{Faults, Schedule, Victim};

/// How a simulation is run.
#[derive(Clone, Debug)]
#[must_use]
pub struct Settings {
    schedule: Schedule,
    faults: Faults,
    max_steps: u64,
    max_time: Duration,
    lines: Option<Lines>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            faults: Faults::none(),
            max_steps: u64::MAX,
            max_time: Duration::MAX,
            lines: None,
        }
    }
}

impl Settings {
    /// Who goes next. Default: [`Schedule::Random`].
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// What goes wrong. Default: nothing.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// After how many steps [`try_run`](Simulation::try_run) gives up. Default: never.
    pub fn max_steps(mut self, steps: u64) -> Self {
        self.max_steps = steps;
        self
    }

    /// After how much virtual time [`try_run`](Simulation::try_run) gives up. Default: never.
    pub fn max_time(mut self, time: Duration) -> Self {
        self.max_time = time;
        self
    }

    /// Keeps the last `len` events as lines of text, with each message as `describe` says. Default: none, for that costs more
    /// than the run.
    pub fn trace(mut self, len: usize, describe: fn(&Message) -> String) -> Self {
        self.lines = Some(Lines { describe, len });
        self
    }
}

/// Why a simulation did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SimulationError {
    /// The process of the run ended without returning.
    Ended,
    /// Nobody can run and no timer is armed: these wait for each other, or for something outside.
    Stuck {
        /// The processes that are left.
        waiting: Vec<String>,
    },
    /// It took more steps than it may.
    TooManySteps {
        /// How many.
        steps: u64,
    },
    /// It took longer than it may.
    TooLong {
        /// How long, in virtual time.
        time: Duration,
    },
    /// A process used what exists outside only.
    Outside {
        /// What happened.
        what: String,
    },
}

impl fmt::Display for SimulationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => {
                f.write_str("the process of the run ended without returning: see its crash report")
            }
            Self::Stuck { waiting } => {
                let (count, some) = (waiting.len(), waiting.iter().take(20).cloned().collect::<Vec<_>>());
                write!(
                    f,
                    "nothing can happen any more: {count} processes wait, no timer is armed. They wait for each other, or for \
                     something outside of the simulation: {}",
                    some.join(", ")
                )
            }
            Self::TooManySteps { steps } => write!(f, "not done after {steps} steps"),
            Self::TooLong { time } => write!(f, "not done after {time:?} of virtual time"),
            Self::Outside { what } => write!(
                f,
                "this run has left the simulation: {what}. A seed can decide only what happens inside: use messages, calls \
                 and the timers of `process`, and stand-ins for sockets, files and threads"
            ),
        }
    }
}

impl std::error::Error for SimulationError {}

/// From now on no fault strikes what the calling process spawns, until this is called with `false`. Outside of a simulation it
/// does nothing.
///
/// # Panics
/// Outside of a process.
pub fn protect_children(on: bool) {
    let me = process::self_pid();
    runtime::with_current(|shared| {
        if let Some(sim) = &shared.sim {
            sim.protect_children(me, on);
        }
    });
}

/// Keeps the [trace](Simulation::trace) as it is: what comes now is not written down, so that the cleaning up after a failure does
/// not push out what led to it. Outside of a simulation it does nothing.
pub fn end_trace() {
    runtime::with_current(|shared| {
        if let Some(sim) = &shared.sim {
            sim.end_trace();
        }
    });
}

/// From now on nothing goes wrong any more, and what was late arrives: for tests that look at what a system has come to. Outside
/// of a simulation it does nothing.
pub fn calm() {
    runtime::with_current(|shared| {
        if let Some(sim) = &shared.sim {
            sim.calm(shared);
        }
    });
}

/// From now on no fault strikes this process: see [`Faults`]. Outside of a simulation it does nothing.
pub fn protect(pid: Pid) {
    runtime::with_current(|shared| {
        if let Some(sim) = &shared.sim {
            sim.protect(pid);
        }
    });
}

/// See the [module](self). Dropping it ends its processes.
///
/// What processes wait for must lie inside the simulation: messages, calls, and the timers of
/// [`process`]. A socket or a thread is outside, and a process that waits for one is waited for in vain.
///
/// ```
/// use ibeam_runtime::{process, sim::Simulation};
/// use std::time::Duration;
///
/// fn run(seed: u64) -> Vec<u32> {
///     Simulation::new(seed).run(async {
///         let me = process::self_pid();
///         for number in 0..4_u32 {
///             process::spawn(async move {
///                 process::sleep(Duration::from_secs(3600)).await;
///                 me.send(number);
///             });
///         }
///         let mut order = Vec::new();
///         while order.len() < 4 {
///             order.push(process::recv().await.downcast::<u32>().unwrap());
///         }
///         order
///     })
/// }
/// assert_eq!(run(7), run(7));
/// ```
pub struct Simulation {
    driver: Arc<Sim>,
    shared: Arc<Shared>,
    seed: u64,
    max_steps: u64,
    max_time: Duration,
}

impl Simulation {
    /// A simulation with this seed and the default settings.
    ///
    /// # Panics
    /// If the program was built with `panic = "abort"`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(seed, Runtime::builder())
    }

    /// With settings; those that concern threads have no meaning here.
    ///
    /// # Panics
    /// If the program was built with `panic = "abort"`.
    #[must_use]
    pub fn with(seed: u64, builder: RuntimeBuilder) -> Self {
        Self::with_settings(seed, builder, Settings::default())
    }

    /// With settings of the simulation too.
    ///
    /// # Panics
    /// If the program was built with `panic = "abort"`.
    #[must_use]
    pub fn with_settings(seed: u64, builder: RuntimeBuilder, settings: Settings) -> Self {
        runtime::refuse_abort();
        let Settings { schedule, faults, max_steps, max_time, lines } = settings;
        let driver = Arc::new(Sim::new(seed, schedule, faults, lines));
        let shared = Arc::new(Shared::simulated(&driver, builder.config()));
        Self { driver, shared, seed, max_steps, max_time }
    }

    /// Runs `future` as a process, and with it all other processes, until it returns.
    ///
    /// # Panics
    /// If the process ends without returning, or if nothing can ever happen any more: nobody can run, and no timer is armed.
    /// The message has the seed.
    pub fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.drive(future, false) {
            Ok(returned) => returned,
            Err(error) => panic!("seed {}: {error}", self.seed),
        }
    }

    /// As [`run`](Self::run), and says why it did not come to its end. It does not, too, as soon as a process leaves the
    /// simulation where that can be seen: when it panics because there is no tokio runtime around, or when another
    /// thread wakes it.
    ///
    /// # Errors
    /// See [`SimulationError`].
    pub fn try_run<F>(&self, future: F) -> Result<F::Output, SimulationError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.drive(future, true)
    }

    fn drive<F>(&self, future: F, strict: bool) -> Result<F::Output, SimulationError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (returned, mut outcome) = tokio::sync::oneshot::channel();
        let _entered = runtime::enter(&self.shared);
        let pid = process::builder().label("run").spawn(async move { drop(returned.send(future.await)) });
        self.driver.protect(pid);
        loop {
            let step = self.driver.step(&self.shared);
            if strict && let Some(outside) = self.driver.outside() {
                return Err(SimulationError::Outside { what: left_by(outside) });
            }
            match outcome.try_recv() {
                Ok(returned) => return Ok(returned),
                Err(tokio::sync::oneshot::error::TryRecvError::Closed) => return Err(SimulationError::Ended),
                Err(tokio::sync::oneshot::error::TryRecvError::Empty) if step == Step::Stuck => {
                    return Err(SimulationError::Stuck { waiting: self.driver.alive(&self.shared) });
                }
                Err(tokio::sync::oneshot::error::TryRecvError::Empty) => {}
            }
            if self.driver.steps() > self.max_steps {
                return Err(SimulationError::TooManySteps { steps: self.max_steps });
            }
            if self.elapsed() > self.max_time {
                return Err(SimulationError::TooLong { time: self.max_time });
            }
        }
    }

    /// A number for all that has happened so far: the same for two runs that did the same at the same virtual times, in this
    /// program or another, on this machine or another.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.driver.digest()
    }

    /// How many events that number stands for.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.driver.events()
    }

    /// How many events came before those of the [trace](Self::trace).
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        self.driver.dropped_lines()
    }

    /// The last events, the oldest first, if the [settings](Settings::trace) ask for them.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.driver.lines()
    }

    /// Makes this the runtime of the calling thread until the guard is dropped: what is spawned from there belongs to it.
    pub fn enter(&self) -> Entered {
        runtime::enter(&self.shared)
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.shared.now()
    }

    /// How long the run has taken, in virtual time.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now() - Instant::START
    }

    /// How many steps the run has taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.driver.steps()
    }

    /// What the runtime is doing, and has done.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.shared.metrics()
    }
}

/// Kills what is left.
impl Drop for Simulation {
    fn drop(&mut self) {
        let _entered = runtime::enter(&self.shared);
        self.shared.refuse_processes();
        self.shared.signal_all(&ExitReason::Kill);
        self.driver.calm(&self.shared);
        while !self.shared.is_empty() {
            let _step = self.driver.step(&self.shared);
        }
        self.shared.timers.clear();
    }
}

fn left_by(outside: Outside) -> String {
    match outside {
        Outside::Tokio { who, message } => {
            format!(
                "{who} needs a tokio runtime, for a socket, a timer, a task or a blocking call ({message})"
            )
        }
        Outside::Thread { who } => format!("{who} was woken by another thread"),
    }
}

//! Simulation: processes on one thread, in an order that a seed chooses, on a clock that is virtual.
//!
//! The same seed gives the same run. Time goes on only when nobody can run, so hours pass in milliseconds.

use std::sync::Arc;
use std::time::Duration;

use crate::driver::Driver;
use crate::driver::sim::{Sim, Step};
use crate::exit_reason::ExitReason;
use crate::process;
use crate::runtime::{self, Entered, Metrics, Runtime, RuntimeBuilder, Shared};
use crate::time::Instant;

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
        runtime::refuse_abort();
        let driver = Arc::new(Sim::new(seed));
        let shared = Arc::new(Shared::new(Arc::clone(&driver) as Arc<dyn Driver>, builder.config()));
        Self { driver, shared, seed }
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
        let (returned, mut outcome) = tokio::sync::oneshot::channel();
        let _entered = runtime::enter(&self.shared);
        process::spawn(async move { drop(returned.send(future.await)) });
        loop {
            let step = self.driver.step(&self.shared);
            match outcome.try_recv() {
                Ok(returned) => return returned,
                Err(tokio::sync::oneshot::error::TryRecvError::Closed) => {
                    panic!(
                        "seed {}: the process of `run` ended without returning: see its crash report",
                        self.seed
                    )
                }
                Err(tokio::sync::oneshot::error::TryRecvError::Empty) if step == Step::Stuck => panic!(
                    "seed {}: nothing can happen any more: {} processes wait, no timer is armed",
                    self.seed,
                    self.shared.metrics().processes
                ),
                Err(tokio::sync::oneshot::error::TryRecvError::Empty) => {}
            }
        }
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
        while !self.shared.is_empty() {
            let _step = self.driver.step(&self.shared);
        }
        self.shared.timers.clear();
    }
}

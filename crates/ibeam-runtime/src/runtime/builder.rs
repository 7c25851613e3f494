//! The settings of a runtime.

use std::sync::Arc;
use std::time::Duration;

use crate::driver::Driver;
use crate::driver::threads::Threads;
use crate::runtime::{Runtime, Shared};

/// The settings, as the drivers see them.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) name: String,
    pub(crate) workers: usize,
    pub(crate) spare_threads: usize,
    pub(crate) max_processes: usize,
    pub(crate) hog_threshold: Duration,
    pub(crate) tokio: Option<tokio::runtime::Handle>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "ibeam".to_owned(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            spare_threads: 128,
            max_processes: 1 << 20,
            hog_threshold: Duration::from_millis(5),
            tokio: None,
        }
    }
}

/// Makes a [`Runtime`].
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is started before `build`"]
pub struct RuntimeBuilder {
    config: Config,
}

impl RuntimeBuilder {
    /// How many processes run at the same time. Default: the number of cores. At least 1.
    ///
    /// # Erlang/OTP
    /// `+S`.
    pub fn workers(mut self, workers: usize) -> Self {
        self.config.workers = workers.max(1);
        self
    }

    /// How many processes there can be, at most 2^24. Default: 1,048,576, as in OTP.
    ///
    /// # Erlang/OTP
    /// `+P`.
    pub fn max_processes(mut self, limit: usize) -> Self {
        self.config.max_processes = limit;
        self
    }

    /// How many threads may take over from workers whose process computes or blocks without an await. They are started when
    /// they are needed. Default: 128.
    pub fn spare_threads(mut self, spares: usize) -> Self {
        self.config.spare_threads = spares;
        self
    }

    /// After how long without an await a process is taken for a hog: what waits for its worker is left to others. Found out after once to
    /// 1.5 times that. Default: 5 ms. At least 1 ms.
    ///
    /// The worker's place is given to a [spare thread](Self::spare_threads). Only if the hog computes, is the only one for
    /// 100 ms, and not the only worker, it keeps its place, and the others see to what waits for it: more threads would not have more cores.
    pub fn hog_threshold(mut self, threshold: Duration) -> Self {
        self.config.hog_threshold = threshold.max(Duration::from_millis(1));
        self
    }

    /// How its threads are named: `name-0`, `name-1` and so on. Default: `ibeam`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.name = name.into();
        self
    }

    /// Lets this tokio runtime do the I/O of processes, and run what they start with `tokio::spawn`. It must live as long as
    /// this one. An event then costs a hop between threads; without this setting it fires on the worker that waits for it.
    pub fn tokio(mut self, handle: tokio::runtime::Handle) -> Self {
        self.config.tokio = Some(handle);
        self
    }

    /// Starts the runtime.
    ///
    /// # Errors
    /// The system gives no threads, or no I/O driver.
    ///
    /// # Panics
    /// If the program was built with `panic = "abort"`: a process that crashes would take the whole program with it, and
    /// nothing could be supervised.
    pub fn build(self) -> std::io::Result<Runtime> {
        refuse_abort();
        let config = self.config;
        let shared = Threads::start(&config, |threads| {
            Arc::new(Shared::new(threads as Arc<dyn Driver>, config.clone()))
        })?;
        Ok(Runtime::from_shared(shared))
    }

    pub(crate) fn config(self) -> Config {
        self.config
    }
}

/// See [`RuntimeBuilder::build`].
pub(crate) fn refuse_abort() {
    if cfg!(not(panic = "unwind")) {
        panic!(
            "ibeam needs panics that unwind, and this program was built with `panic = \"abort\"`: a crash of one process would end \
         the whole program. Set `panic = \"unwind\"` (the default) in the profile of Cargo.toml"
        );
    }
}

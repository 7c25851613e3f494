//! What `#[ibeam::test]` expands to: a test with its options, run on each of its drivers.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use ibeam::inline::Inline;
use ibeam::process::{self, Termination};
use ibeam::{Pid, Runtime};
use tracing::Level;

use crate::log::{self, Recorder};
use crate::session::Session;
use crate::{Driver, Simulate};

/// How long a test may take where time goes on by itself: as in ExUnit.
const REAL: Duration = Duration::from_secs(60);
/// The same on a virtual clock.
pub(crate) const VIRTUAL: Duration = Duration::from_secs(24 * 3600);
/// What the driver waits beyond that before it believes that nobody will come.
const GRACE: Duration = Duration::from_secs(10);

/// A test and its options: what `#[ibeam::test]` makes of a function. See [`test`](macro@crate::test).
#[derive(Clone, Debug)]
#[must_use = "nothing is run before `run`"]
pub struct Test {
    name: &'static str,
    package: &'static str,
    driver: Driver,
    workers: usize,
    timeout: Option<Duration>,
    seeds: Range<u64>,
    log_level: Level,
}

impl Test {
    /// A test of this name, with the path of its module, in this package.
    pub fn new(name: &'static str, package: &'static str) -> Self {
        Self {
            name,
            package,
            driver: Driver::default(),
            workers: 2,
            timeout: None,
            seeds: 0..20,
            log_level: Level::INFO,
        }
    }

    /// Runs `body` as a test on threads, without a name: for examples in docs, which are no test functions.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn check<B>(body: B)
    where
        B: Future + Send + 'static,
        B::Output: Termination,
    {
        let test = Self::new("an example", "");
        let failures = test.on_threads(body);
        judge(test.name, Driver::Threads, failures);
    }

    /// What it runs on. Default: [`Driver::Threads`].
    pub fn driver(mut self, driver: Driver) -> Self {
        self.driver = driver;
        self
    }

    /// How many worker threads [`Driver::Threads`] has. Default: 2.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// How long it may take, on its own clock; the cleaning up may take as long again. Default: 60 s, and 24 h with a virtual clock.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The seeds of [`Driver::Sim`]. Default: `0..20`.
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// What is kept of the log of its processes, and shown if it fails. Default: `INFO` and what is more important.
    pub fn log_level(mut self, level: Level) -> Self {
        self.log_level = level;
        self
    }

    /// Runs it.
    ///
    /// # Panics
    /// If it fails: see [`test`](macro@crate::test).
    #[track_caller]
    pub fn run<F, B>(self, body: F)
    where
        F: Fn() -> B,
        B: Future + Send + 'static,
        B::Output: Termination,
    {
        let drivers: &[Driver] = match self.driver {
            Driver::Every => &[Driver::Threads, Driver::Paused, Driver::Sim],
            ref one => std::slice::from_ref(one),
        };
        for &driver in drivers {
            match driver {
                Driver::Threads => judge(self.name, driver, self.on_threads(body())),
                Driver::Inline => judge(self.name, driver, self.on_tokio(false, body())),
                Driver::Paused => judge(self.name, driver, self.on_tokio(true, body())),
                Driver::Sim | Driver::Every => {
                    let simulate = Simulate::new(self.name, self.package).log_level(self.log_level);
                    let timeout = self.timeout.unwrap_or(VIRTUAL);
                    simulate.max_time(timeout).seeds(self.seeds.clone()).run(&body);
                }
            }
        }
    }

    fn on_threads<B>(&self, body: B) -> Result<(), Failed>
    where
        B: Future + Send + 'static,
        B::Output: Termination,
    {
        let timeout = self.timeout.unwrap_or(REAL);
        let runtime = Runtime::builder()
            .workers(self.workers)
            .build()
            .expect("the system gives the runtime its threads");
        let (ended, outcome) = sync_channel(1);
        let (session, listening) = {
            let _entered = runtime.enter();
            let (session, test, listening) = self.begin(body);
            let warden = Arc::clone(&session).warden(test, timeout);
            process::builder().label("testkit").spawn(async move {
                // Who waits has given up, and says so.
                let _ = ended.send(warden.await);
            });
            (session, listening)
        };
        // The warden's own limits come first.
        let patience = timeout.saturating_mul(4).saturating_add(GRACE);
        let failures = match outcome.recv_timeout(patience) {
            Ok(failures) => failures,
            Err(RecvTimeoutError::Timeout) => {
                // Its threads are stuck: it would not shut down either.
                std::mem::forget(runtime);
                return Failed::new(
                    vec![format!("nothing happened within {patience:?}: every worker thread is blocked")],
                    &session,
                );
            }
            Err(RecvTimeoutError::Disconnected) => vec!["the testkit's own process was ended".to_owned()],
        };
        let shut_down = runtime.shutdown(Duration::from_secs(2));
        drop(listening);
        let left = shut_down.err().map(|error| error.to_string());
        Failed::new(failures.into_iter().chain(left).collect(), &session)
    }

    fn on_tokio<B>(&self, paused: bool, body: B) -> Result<(), Failed>
    where
        B: Future + Send + 'static,
        B::Output: Termination,
    {
        let timeout = self.timeout.unwrap_or(if paused { VIRTUAL } else { REAL });
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(paused).build();
        tokio.expect("the system gives tokio its I/O driver").block_on(async {
            let inline = Inline::new();
            let (session, test, listening) = {
                let _entered = inline.enter();
                self.begin(body)
            };
            let failures = inline.run(Arc::clone(&session).warden(test, timeout)).await;
            drop(inline);
            drop(listening);
            Failed::new(failures, &session)
        })
    }

    fn begin<B>(&self, body: B) -> (Arc<Session>, Pid, log::Listening)
    where
        B: Future + Send + 'static,
        B::Output: Termination,
    {
        let log = Recorder::new(self.log_level);
        let listening = log::listen(&log);
        let session = Session::new(log);
        let test = session.spawn(self.name, body);
        (session, test, listening)
    }
}

/// What went wrong in a run, and what was logged.
pub(crate) struct Failed {
    pub(crate) failures: Vec<String>,
    pub(crate) log: String,
}

impl Failed {
    fn new(failures: Vec<String>, session: &Session) -> Result<(), Self> {
        if failures.is_empty() { Ok(()) } else { Err(Self { failures, log: session.log() }) }
    }
}

#[track_caller]
fn judge(name: &str, driver: Driver, outcome: Result<(), Failed>) {
    let Err(Failed { failures, log }) = outcome else { return };
    let log = if log.is_empty() { log } else { format!("\nlog of its processes:{log}") };
    panic!("`{name}` failed on {driver}: {}{log}", failures.join("\n  and "));
}

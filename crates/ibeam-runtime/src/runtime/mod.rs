//! Runtimes: what processes live in.

mod builder;
mod extensions;
pub(crate) mod metrics;
mod shutdown;

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::driver::sim::Sim;
use crate::driver::{self, Driver};
use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::names::Names;
use crate::process::{self, SpawnError};
use crate::raw::node::OwnedNode;
use crate::raw::pcb::Owner;
use crate::report;
use crate::time::Instant;
use crate::timer::Timers;

pub use builder::RuntimeBuilder;
pub(crate) use builder::{Config, refuse_abort};
pub use extensions::{extension, hash_seed};
pub use metrics::{Metrics, UndeliveredCounts};
pub use shutdown::ShutdownError;

use self::extensions::Extensions;
use self::metrics::{Undelivered, UndeliveredCounters};

/// All that the processes of one runtime share.
///
/// # Invariants
/// 1. It outlives its processes: `processes` counts them, and it is taken apart when none is left.
/// 2. Drivers hold it; it holds its driver.
pub(crate) struct Shared {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) timers: Timers,
    pub(crate) names: Names,
    pub(crate) config: Config,
    extensions: Extensions,
    /// The simulation that all of this happens in.
    pub(crate) sim: Option<Arc<Sim>>,
    processes: AtomicUsize,
    stopping: AtomicBool,
    /// For those who wait until no process is left, or none but themselves.
    empty: (Mutex<()>, Condvar),
    undelivered: UndeliveredCounters,
    /// Processes that have ended, and what they had done, as far as no worker has counted them.
    ended: AtomicU64,
    reductions: AtomicU64,
    long_turns: AtomicU64,
}

impl Shared {
    pub(crate) fn new(driver: Arc<dyn Driver>, config: Config) -> Self {
        process::install_panic_hook();
        Self {
            sim: None,
            driver,
            timers: Timers::new(),
            names: Names::default(),
            config,
            extensions: Extensions::default(),
            processes: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            empty: (Mutex::new(()), Condvar::new()),
            undelivered: UndeliveredCounters::default(),
            ended: AtomicU64::new(0),
            reductions: AtomicU64::new(0),
            long_turns: AtomicU64::new(0),
        }
    }

    pub(crate) fn simulated(sim: &Arc<Sim>, config: Config) -> Self {
        let sim = Arc::clone(sim);
        Self { sim: Some(Arc::clone(&sim)), ..Self::new(sim, config) }
    }

    pub(crate) fn now(&self) -> Instant {
        self.driver.now()
    }

    #[inline]
    pub(crate) fn now_coarse(&self) -> Instant {
        self.driver.now_coarse()
    }

    /// A process is about to begin: is there room?
    #[inline(always)]
    pub(crate) fn process_begins(&self) -> Result<(), SpawnError> {
        let before = self.processes.fetch_add(1, AcqRel);
        let refused = if self.stopping.load(Acquire) {
            SpawnError::ShuttingDown
        } else if before >= self.config.max_processes {
            SpawnError::ProcessLimit { limit: self.config.max_processes }
        } else {
            return Ok(());
        };
        self.process_ended();
        Err(refused)
    }

    /// A process is over, as the very last thing.
    #[inline]
    pub(crate) fn process_ended(&self) {
        // One more than who waits may leave: that may be a process too.
        if self.processes.fetch_sub(1, AcqRel) <= 2 && self.stopping.load(Acquire) {
            let _lock = self.empty.0.lock();
            self.empty.1.notify_all();
        }
    }

    /// Counts a process that ends, and adds what it has done to the runtime's sum.
    #[inline]
    pub(crate) fn count_end(&self, owner: Owner) {
        let reductions = owner.reductions();
        if !driver::threads::count_end_here(self, reductions) {
            self.ended.fetch_add(1, Relaxed);
            self.reductions.fetch_add(reductions, Relaxed);
        }
    }

    /// Drops a message that was not delivered, and counts it. `reason`: why its receiver is gone. A panic of its destructor
    /// is reported and harms nobody: who happens to find the message cannot help it.
    #[cold]
    pub(crate) fn undelivered(
        &self,
        pid: Pid,
        node: OwnedNode,
        why: Undelivered,
        reason: Option<&ExitReason>,
    ) {
        self.undelivered.count(why);
        tracing::debug!(
            target: "ibeam::undelivered",
            %pid,
            message = (node.header().node_type.type_name)(),
            cause = why.as_str(),
            "a message was not delivered"
        );
        report::quietly(Some(pid), || node.discard(reason));
    }

    /// A timer's message for a name that nobody has.
    #[cold]
    pub(crate) fn undelivered_to_name(&self, node: OwnedNode) {
        self.undelivered.count(Undelivered::NoProc);
        node.discard(None);
    }

    /// A turn takes longer than it should. `others`: what becomes of what waits for its worker.
    pub(crate) fn long_turn(&self, pid: Pid, threshold: Duration, others: &str) {
        self.long_turns.fetch_add(1, Relaxed);
        tracing::debug!(
            target: "ibeam::runtime",
            %pid,
            name = self.names.name_of(pid).map(tracing::field::display),
            "a process computes or blocks for more than {threshold:?} without an await; {others}",
        );
    }
}

/// A message was not delivered, and this thread is perhaps in no runtime.
#[cold]
pub(crate) fn undelivered(pid: Pid, node: OwnedNode, why: Undelivered) {
    match try_current() {
        Some(shared) => shared.undelivered(pid, node, why, None),
        None => {
            metrics::OUTSIDE.count(why);
            report::quietly(Some(pid), || node.discard(None));
        }
    }
}

/// A timer's message for a name that nobody has.
#[cold]
pub(crate) fn undelivered_to_name(node: OwnedNode) {
    match try_current() {
        Some(shared) => shared.undelivered.count(Undelivered::NoProc),
        None => metrics::OUTSIDE.count(Undelivered::NoProc),
    }
    report::quietly(None, || node.discard(None));
}

thread_local! {
    static ENTERED: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

static DEFAULT: OnceLock<Runtime> = OnceLock::new();

/// Makes `shared` this thread's runtime until the guard goes.
pub(crate) fn enter(shared: &Arc<Shared>) -> Entered {
    Entered { former: ENTERED.replace(Some(Arc::clone(shared))), _this_thread: std::marker::PhantomData }
}

/// See [`Runtime::enter`].
#[must_use = "the runtime is left when this is dropped"]
pub struct Entered {
    former: Option<Arc<Shared>>,
    _this_thread: std::marker::PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        ENTERED.set(self.former.take());
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}

/// The runtime of this process or thread, if there is one already.
pub(crate) fn try_current() -> Option<Arc<Shared>> {
    if let Some(owner) = Owner::current() {
        return Some(owner.shared_arc());
    }
    let entered = ENTERED.try_with(|entered| entered.borrow().clone()).ok().flatten();
    entered.or_else(|| DEFAULT.get().map(|runtime| Arc::clone(&runtime.shared)))
}

/// Tells the runtimes apart that live now: that of this process, or the one this thread has entered.
#[doc(hidden)]
#[must_use]
pub fn key() -> Option<usize> {
    if let Some(owner) = Owner::current() {
        return Some(std::ptr::from_ref(owner.shared()).addr());
    }
    ENTERED
        .try_with(|entered| entered.borrow().as_ref().map(|shared| Arc::as_ptr(shared).addr()))
        .ok()
        .flatten()
}

/// The runtime of this process or thread; the program's default one, started if need be, if there is none.
pub(crate) fn current() -> Arc<Shared> {
    try_current().unwrap_or_else(|| Arc::clone(&DEFAULT.get_or_init(Runtime::new).shared))
}

#[inline]
pub(crate) fn with_current<R>(f: impl FnOnce(&Shared) -> R) -> R {
    match Owner::current() {
        Some(owner) => f(owner.shared()),
        None => f(&current()),
    }
}

/// What the current runtime is doing, and has done: see [`Runtime::metrics`].
#[must_use]
pub fn metrics() -> Metrics {
    with_current(Shared::metrics)
}

/// What processes live in: workers, timers, names.
///
/// A program needs no more than one, and need not make it: functions like [`process::spawn`](crate::process::spawn) outside
/// of any process use the one that the thread has [entered](Runtime::enter), or else the program's default runtime, which is
/// started at its first use and lives as long as the program. It has its own threads and its own I/O, so it works beside any
/// tokio runtime, whatever becomes of that.
///
/// Dropping a runtime [shuts it down](Runtime::shutdown) within ten seconds.
///
/// ```
/// use ibeam_runtime::{Runtime, process};
///
/// let runtime = Runtime::builder().workers(2).name("demo").build()?;
/// let answer = runtime.block_on(async {
///     let me = process::self_pid();
///     process::spawn(async move { me.send(42_u64) });
///     process::recv().await.downcast::<u64>().unwrap()
/// });
/// assert_eq!(answer, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Erlang/OTP
/// An emulator. Several can be in one program; their processes can send to each other, names are each one's own.
pub struct Runtime {
    shared: Arc<Shared>,
}

impl Runtime {
    /// A runtime with the default settings.
    ///
    /// # Panics
    /// If the system gives it no threads, and where [`RuntimeBuilder::build`] panics.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build().expect("the system gives the runtime its threads")
    }

    /// A runtime with options.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Makes this the runtime of the calling thread until the guard is dropped: what is spawned from there, and the names
    /// that are used there, belong to it.
    pub fn enter(&self) -> Entered {
        enter(&self.shared)
    }

    /// Runs `future` as a process of this runtime and waits for what it returns.
    ///
    /// # Panics
    /// If the process ends without returning: it panicked, exited, or was ended by a signal. The panic says why. Also where
    /// [`process::spawn`](crate::process::spawn) does.
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (returned, outcome) = std::sync::mpsc::sync_channel(1);
        let ended = EndOfMain(returned.clone());
        process::builder().runtime(self).spawn(async move {
            let _ended = ended;
            let _ = returned.send(Some(future.await));
        });
        match outcome.recv().ok().flatten() {
            Some(output) => output,
            None => panic!("the process of `block_on` ended without returning: see its crash report"),
        }
    }

    /// What the runtime is doing, and has done.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.shared.metrics()
    }
}

/// Tells who waits in `block_on` when the process goes without a result.
struct EndOfMain<T>(std::sync::mpsc::SyncSender<Option<T>>);

impl<T> Drop for EndOfMain<T> {
    fn drop(&mut self) {
        // If the result is there it stands in the channel's only place already.
        let _ = self.0.try_send(None);
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("name", &self.shared.config.name).finish_non_exhaustive()
    }
}

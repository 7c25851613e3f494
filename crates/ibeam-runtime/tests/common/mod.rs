//! The suite's ground: one test body, run as a process on every driver.
//!
//! | driver | clock | a wait of the body costs |
//! |---|---|---|
//! | threads, two workers, a runtime of its own | real | its time |
//! | inline on a tokio runtime with one thread | real | its time |
//! | the same, paused | tokio's virtual one | nothing |
//! | sim, one run per seed | virtual | nothing |
//!
//! `IBEAM_SEEDS` sets how many seeds are run (20 by default), `IBEAM_SEED` runs only that one. A failure says driver and
//! seed. A body that hangs fails: by the simulation's own account, by a day of virtual time, by two minutes of real time.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use ibeam_runtime::inline::Inline;
use ibeam_runtime::process::receive_with;
use ibeam_runtime::sim::Simulation;
use ibeam_runtime::{Down, ExitReason, Message, Pid, Reference, Runtime, RuntimeBuilder, process};

/// How long a body may take on a real clock before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(120);
/// The same in virtual time.
const VIRTUAL_PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// What a body runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Threads,
    Inline,
    InlinePaused,
    Sim { seed: u64 },
}

impl Driver {
    /// Does time go on by itself?
    pub(crate) fn has_real_clock(self) -> bool {
        matches!(self, Self::Threads | Self::Inline)
    }

    pub(crate) fn is_threads(self) -> bool {
        self == Self::Threads
    }

    /// How long to look whether something does not happen: in full where waiting costs nothing, 30 ms at most on a real
    /// clock, where every process that could act has had thousands of chances by then.
    pub(crate) fn window(self, full: Duration) -> Duration {
        if self.has_real_clock() { full.min(Duration::from_millis(30)) } else { full }
    }

    /// How often to repeat: in full on threads, where each round is another race; elsewhere so many that all drivers
    /// together stay quick.
    pub(crate) fn rounds(self, threads: usize, elsewhere: usize) -> usize {
        if self.is_threads() { threads } else { elsewhere }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads => f.write_str("threads"),
            Self::Inline => f.write_str("inline, real clock"),
            Self::InlinePaused => f.write_str("inline, paused clock"),
            Self::Sim { seed } => write!(f, "sim, IBEAM_SEED={seed}"),
        }
    }
}

/// Runs the body as a process on threads, inline with both clocks, and in a simulation for each seed.
#[track_caller]
pub(crate) fn on_every_driver<F, B>(body: F)
where
    F: Fn() -> B,
    B: Future<Output = ()> + Send + 'static,
{
    on_each_driver(|_| body());
}

/// As [`on_every_driver`], for bodies that want to know what they run on.
#[track_caller]
pub(crate) fn on_each_driver<F, B>(body: F)
where
    F: Fn(Driver) -> B,
    B: Future<Output = ()> + Send + 'static,
{
    on_each_driver_with(Runtime::builder, body);
}

/// As [`on_each_driver`], with settings; the number of workers is two.
#[track_caller]
pub(crate) fn on_each_driver_with<F, B>(settings: impl Fn() -> RuntimeBuilder, body: F)
where
    F: Fn(Driver) -> B,
    B: Future<Output = ()> + Send + 'static,
{
    on_threads_with(settings().workers(2), || body(Driver::Threads));
    on_inline_with(Driver::Inline, settings(), || body(Driver::Inline));
    on_inline_with(Driver::InlinePaused, settings(), || body(Driver::InlinePaused));
    on_sim_with(settings, |seed| body(Driver::Sim { seed }));
}

/// Runs the body on threads only.
#[track_caller]
pub(crate) fn on_threads<F, B>(workers: usize, body: F)
where
    F: FnOnce() -> B,
    B: Future<Output = ()> + Send + 'static,
{
    on_threads_with(Runtime::builder().workers(workers), body);
}

/// As [`on_threads`], with settings.
#[track_caller]
pub(crate) fn on_threads_with<F, B>(settings: RuntimeBuilder, body: F)
where
    F: FnOnce() -> B,
    B: Future<Output = ()> + Send + 'static,
{
    let runtime = settings.build().expect("the system gives the runtime its threads");
    let (ended, outcome) = sync_channel(1);
    let body = body();
    process::builder().runtime(&runtime).spawn(async move {
        let _ = ended.send(run(body).await);
    });
    match outcome.recv_timeout(PATIENCE) {
        Ok(reason) => judge(Driver::Threads, &reason),
        Err(RecvTimeoutError::Timeout) => {
            // It may hang for ever in its own shutdown too.
            std::mem::forget(runtime);
            panic!("on {}: not done within {PATIENCE:?}", Driver::Threads);
        }
        Err(RecvTimeoutError::Disconnected) => {
            panic!("on {}: the harness' process was ended", Driver::Threads)
        }
    }
    runtime.shutdown(Duration::from_secs(10)).expect("all processes are killed already");
}

#[track_caller]
fn on_inline_with<F, B>(driver: Driver, settings: RuntimeBuilder, body: F)
where
    F: FnOnce() -> B,
    B: Future<Output = ()> + Send + 'static,
{
    let paused = driver == Driver::InlinePaused;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(paused).build();
    let outcome = tokio.expect("the system gives tokio its I/O driver").block_on(async {
        let inline = Inline::with(settings);
        let patience = if paused { VIRTUAL_PATIENCE } else { PATIENCE };
        tokio::time::timeout(patience, inline.run(run(body()))).await
    });
    match outcome {
        Ok(reason) => judge(driver, &reason),
        Err(_) => panic!("on {driver}: not done in time"),
    }
}

/// Runs the body in a simulation for each seed. A simulation that gets stuck panics by itself, and says its seed.
#[track_caller]
pub(crate) fn on_sim<F, B>(body: F)
where
    F: Fn(u64) -> B,
    B: Future<Output = ()> + Send + 'static,
{
    on_sim_with(Runtime::builder, body);
}

#[track_caller]
fn on_sim_with<F, B>(settings: impl Fn() -> RuntimeBuilder, body: F)
where
    F: Fn(u64) -> B,
    B: Future<Output = ()> + Send + 'static,
{
    for seed in seeds() {
        let reason = Simulation::with(seed, settings()).run(run(body(seed)));
        judge(Driver::Sim { seed }, &reason);
    }
}

/// The seeds to run.
pub(crate) fn seeds() -> Range<u64> {
    let number = |name| {
        std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number of seeds, or a seed"))
    };
    match number("IBEAM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("IBEAM_SEEDS").unwrap_or(20),
    }
}

/// The body is a process of its own, so that it may end in any way; what it leaves behind is killed.
async fn run(body: impl Future<Output = ()> + Send + 'static) -> ExitReason {
    process::trap_exit(true);
    let (_pid, monitor) = process::spawn_monitor(body);
    let reason = down(monitor).await.reason;
    let me = process::self_pid();
    process::list().into_iter().filter(|pid| *pid != me).for_each(process::kill);
    reason
}

#[track_caller]
fn judge(driver: Driver, reason: &ExitReason) {
    assert!(reason.is_normal(), "on {driver}: {reason}");
}

/// The next message, which is a `T`.
pub(crate) async fn next<T: Send + 'static>() -> T {
    taken(process::recv().await)
}

/// The next message, which is a `T` and there already.
#[track_caller]
pub(crate) fn at_hand<T: Send + 'static>() -> T {
    taken(process::try_recv().expect("a message in the mailbox"))
}

#[track_caller]
fn taken<T: Send + 'static>(message: Message) -> T {
    message.downcast::<T>().unwrap_or_else(|other| {
        panic!("expected a message of type `{}`, got {other:?}", std::any::type_name::<T>())
    })
}

/// The first `T`, whatever stands before it.
pub(crate) async fn first<T: Send + 'static>() -> T {
    receive_with(|message| message.arm(Ok::<T, T>)).await
}

/// The notice of this monitor, whatever stands before it.
pub(crate) async fn down(monitor: Reference) -> Down {
    receive_with(|message| {
        message.arm(|down: Down| if down.monitor == monitor { Ok(down) } else { Err(down) })
    })
    .await
}

/// Waits for the end of a process and says why it ended; `NoProc` if it has ended already.
pub(crate) async fn end_of(pid: Pid) -> ExitReason {
    down(process::monitor(pid)).await.reason
}

/// Nothing is in the mailbox, and nothing comes while the window is open.
#[track_caller]
pub(crate) fn nothing_comes(window: Duration) -> impl Future<Output = ()> + Send {
    let place = std::panic::Location::caller();
    async move {
        let came = receive_with(|message| message.any(Ok)).after(window).await;
        assert!(came.is_none(), "nothing was to come, but {came:?} did ({place})");
    }
}

/// Is there such a process, and does it answer?
pub(crate) async fn is_alive(pid: Pid) -> bool {
    process::info(pid).await.is_some()
}

/// Waits until a process waits: it has done all that it could do by itself.
pub(crate) async fn until_it_waits(pid: Pid) {
    loop {
        let info = process::info(pid).await.expect("a live process");
        if matches!(info.status, process::Status::Waiting | process::Status::Hibernating) {
            return;
        }
        process::yield_now().await;
    }
}

/// The same for a process that waits for a limited time, which on a busy machine may be over by now.
pub(crate) async fn until_it_waits_or_ends(pid: Pid) {
    while let Some(info) = process::info(pid).await {
        if matches!(info.status, process::Status::Waiting | process::Status::Hibernating) {
            return;
        }
        process::yield_now().await;
    }
}

/// Waits until the condition holds, which somebody else brings about.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        process::yield_now().await;
    }
}

/// A process that does nothing until it is ended.
pub(crate) async fn idle() {
    std::future::pending().await
}

//! One run of one test: its process, what is to be cleaned up after it, and what went wrong.
//!
//! ```text
//! driver ──▶ warden (a process, traps exits) ── monitors ──▶ test process ── start_link ──▶ test supervisor
//! ```
//!
//! # Invariants
//! 1. The test process is nobody's child: it is the last ancestor of all that it starts.
//! 2. It passes if its function has returned, with a normal reason. An exit before that is a failure, whatever its reason.
//! 3. Afterwards, in this order: the supervisor stops its children, the newest first; the `on_exit` functions run, the newest
//!    first; the driver ends what is left. Each of them happens also after a failure of the one before.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use ibeam::process::{self, Key, Termination};
use ibeam::sim::{end_trace, protect};
use ibeam::{Down, ExitReason, Pid, Reference, receive};
use parking_lot::Mutex;

use crate::log::Recorder;

const SESSION: Key<Arc<Session>> = Key::new("ibeam_testkit::session");

type Hook = Pin<Box<dyn Future<Output = ExitReason> + Send>>;

/// See the module.
pub(crate) struct Session {
    log: Arc<Recorder>,
    /// The test process and the test supervisor.
    own: Mutex<Vec<Pid>>,
    returned: AtomicBool,
    cleanup: Mutex<Cleanup>,
}

#[derive(Default)]
struct Cleanup {
    supervisor: Option<Pid>,
    hooks: Vec<Hook>,
}

/// Lets the test process begin, once it is watched.
struct Go;

impl Session {
    pub(crate) fn new(log: Arc<Recorder>) -> Arc<Self> {
        Arc::new(Self {
            log,
            own: Mutex::default(),
            returned: AtomicBool::new(false),
            cleanup: Mutex::default(),
        })
    }

    /// The session whose test the calling process is.
    ///
    /// # Panics
    /// In any other process.
    #[track_caller]
    pub(crate) fn current(function: &str) -> Arc<Self> {
        let session = process::try_self_pid().and_then(|_| process::get(SESSION));
        session.unwrap_or_else(|| {
            panic!("`{function}` can be called in the test process only: in the function with `#[ibeam::test]` itself")
        })
    }

    /// Starts the test process in the thread's current runtime. It waits for the warden.
    pub(crate) fn spawn<B>(self: &Arc<Self>, name: &str, body: B) -> Pid
    where
        B: Future + Send + 'static,
        B::Output: Termination,
    {
        let session = Arc::clone(self);
        let test = process::builder().label(format!("test {name}")).spawn(async move {
            process::put(SESSION, Arc::clone(&session));
            receive! { Go => {} }
            let reason = body.await.into_exit_reason();
            session.returned.store(true, SeqCst);
            reason
        });
        self.own.lock().push(test);
        test
    }

    /// Watches the test and cleans up after it; says what went wrong.
    pub(crate) async fn warden(self: Arc<Self>, test: Pid, timeout: Duration) -> Vec<String> {
        process::trap_exit(true);
        protect(test);
        let monitor = process::monitor(test);
        test.send(Go);
        let mut failures = Vec::new();
        match down_within(monitor, timeout).await {
            Some(ExitReason::Normal) if self.returned.load(SeqCst) => {}
            Some(reason) if self.returned.load(SeqCst) => {
                failures.push(format!("the test returned: {reason}"))
            }
            Some(reason @ ExitReason::Panic(_)) => failures.push(reason.to_string()),
            Some(reason) => failures.push(format!("the test process exited: {reason}")),
            None => {
                failures.push(format!("the test did not end within {timeout:?}{}", whereabouts(test).await));
                process::kill(test);
                down_within(monitor, timeout).await;
            }
        }
        if !failures.is_empty() {
            end_trace();
        }
        let Cleanup { supervisor, hooks } = std::mem::take(&mut *self.cleanup.lock());
        if let Some(supervisor) = supervisor {
            // Its parent has ended, so it stops its children and itself.
            let stopped = process::monitor(supervisor);
            if down_within(stopped, timeout).await.is_none() {
                let place = whereabouts(supervisor).await;
                failures.push(format!(
                    "the children of `start_supervised` did not stop within {timeout:?}{place}"
                ));
                process::kill(supervisor);
            }
        }
        for hook in hooks.into_iter().rev() {
            let (pid, monitor) = process::builder().label("on_exit").spawn_monitor(hook);
            protect(pid);
            match down_within(monitor.reference(), timeout).await {
                Some(ExitReason::Normal) => {}
                Some(reason) => failures.push(format!("a function of `on_exit` failed: {reason}")),
                None => {
                    failures.push(format!("a function of `on_exit` did not end within {timeout:?}"));
                    process::kill(pid);
                }
            }
        }
        failures
    }

    /// What the test's processes have logged, for a failure.
    pub(crate) fn log(&self) -> String {
        self.log.text(&self.own.lock())
    }

    pub(crate) fn supervisor(&self) -> Option<Pid> {
        self.cleanup.lock().supervisor
    }

    pub(crate) fn set_supervisor(&self, supervisor: Pid) {
        self.cleanup.lock().supervisor = Some(supervisor);
        self.own.lock().push(supervisor);
    }
}

async fn down_within(monitor: Reference, timeout: Duration) -> Option<ExitReason> {
    receive! {
        Down { monitor: m, reason, .. } if m == monitor => Some(reason),
        after timeout => None,
    }
}

/// What a process that hangs is doing, for a failure. One that computes does not answer.
async fn whereabouts(pid: Pid) -> String {
    let (me, question) = (process::self_pid(), process::make_ref());
    process::spawn(async move { me.send((question, Box::new(process::info(pid).await))) });
    receive! {
        (q, info): (Reference, Box<Option<process::ProcessInfo>>) if q == question => match *info {
            Some(info) => format!(
                ": it is {}{}, with {} messages in its mailbox",
                info.status,
                info.activity.map_or_else(String::new, |activity| format!(" in {activity}")),
                info.message_queue_len,
            ),
            None => String::new(),
        },
        after Duration::from_secs(1) => ": it computes or blocks without an await".to_owned(),
    }
}

/// Runs `future` when the test is over, in a process of its own, after what was started with
/// [`start_supervised`](crate::start_supervised) has been stopped. The function that was given last runs first. If it fails, so
/// does the test.
///
/// ```
/// use ibeam_testkit::prelude::*;
///
/// Test::check(async {
///     let directory = std::env::temp_dir().join(format!("on_exit-{}", std::process::id()));
///     std::fs::create_dir(&directory).unwrap();
///     on_exit(async move { std::fs::remove_dir(directory).unwrap() });
/// });
/// ```
///
/// # Panics
/// Outside of the test process.
///
/// # Erlang/OTP
/// `on_exit/2` of ExUnit, without a name under which it could be replaced.
#[track_caller]
pub fn on_exit<F>(future: F)
where
    F: Future + Send + 'static,
    F::Output: Termination,
{
    let hook = Box::pin(async move { future.await.into_exit_reason() });
    Session::current("on_exit").cleanup.lock().hooks.push(hook);
}

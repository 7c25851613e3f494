//! Starting one task under a supervisor.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ibeam_runtime::__private::answering;
use ibeam_runtime::process::{self, Spawn};
use ibeam_runtime::{ExitReason, Pid, Termination};

use super::recipe::{NewTask, Run, Tasks};
use crate::dynamic_supervisor::{DynamicStartError, DynamicSupervisorRef};
use crate::supervisor::{Restart, Shutdown};
use crate::task::Task;

/// How long a task is given to end by default, as any child that is no supervisor.
pub(super) const SHUTDOWN: Shutdown = Shutdown::Timeout(Duration::from_secs(5));

/// A task that is to be started under a supervisor, and whose value is wanted: options, then `.await`, which gives the [`Task`].
///
/// # Cancel safety
/// Dropping the future after its first poll leaves the task running, and its value will be dropped.
#[must_use = "nothing is started until it is awaited"]
pub struct SpawnTask<'a, F> {
    supervisor: &'a DynamicSupervisorRef<Tasks>,
    future: F,
    bond: Bond,
    shutdown: Shutdown,
}

/// What a task is to who wants its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bond {
    /// Nothing.
    None,
    /// A link.
    Link,
    /// Its crash is the other's.
    Crash,
}

impl<'a, F> SpawnTask<'a, F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    pub(super) fn new(supervisor: &'a DynamicSupervisorRef<Tasks>, future: F, bond: Bond) -> Self {
        Self { supervisor, future, bond, shutdown: SHUTDOWN }
    }

    /// How the supervisor ends it; a [`Duration`] is a [`Shutdown::Timeout`]. Default: 5 s.
    pub fn shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
        self.shutdown = shutdown.into();
        self
    }

    async fn start(
        supervisor: &DynamicSupervisorRef<Tasks>,
        future: F,
        bond: Bond,
        shutdown: Shutdown,
    ) -> Result<Task<F::Output>, DynamicStartError> {
        let (body, answer) = answering(future, None);
        let pid = start_body(supervisor, body, bond, shutdown).await?;
        Ok(Task::with(answer, pid))
    }
}

/// Starts a task with this body, for the calling process.
pub(crate) async fn start_body(
    supervisor: &DynamicSupervisorRef<Tasks>,
    body: impl Future<Output = ExitReason> + Send + 'static,
    bond: Bond,
    shutdown: Shutdown,
) -> Result<Pid, DynamicStartError> {
    // Only a process can be linked to it.
    let owner = if bond == Bond::None { process::try_self_pid() } else { Some(process::self_pid()) };
    let callers = callers();
    let run = Box::new(move || {
        let child = match (bond, owner) {
            (Bond::Link, Some(owner)) => child(callers).link_to(owner),
            (Bond::Crash, _) => child(callers).crash_is_callers(),
            _ => child(callers),
        };
        child.try_spawn(body)
    });
    let started = supervisor.start(NewTask::new(Run::Once(run), Restart::Temporary, shutdown)).await?;
    Ok(started.pid.expect("a task that was started has a process"))
}

impl<'a, F> IntoFuture for SpawnTask<'a, F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    type Output = Result<Task<F::Output>, DynamicStartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { supervisor, future, bond, shutdown } = self;
        Box::pin(Self::start(supervisor, future, bond, shutdown))
    }
}

impl<F> fmt::Debug for SpawnTask<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnTask")
            .field("supervisor", self.supervisor)
            .field("bond", &self.bond)
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}

/// A task that is to be started under a supervisor, and that nobody waits for: options, then `.await`, which gives its pid.
///
/// # Cancel safety
/// Dropping the future after its first poll leaves the task running.
#[must_use = "nothing is started until it is awaited"]
pub struct StartTask<'a> {
    supervisor: &'a DynamicSupervisorRef<Tasks>,
    run: Run,
    restart: Restart,
    shutdown: Shutdown,
}

impl<'a> StartTask<'a> {
    pub(super) fn once<F>(supervisor: &'a DynamicSupervisorRef<Tasks>, future: F) -> Self
    where
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        let callers = callers();
        let run = Run::Once(Box::new(move || child(callers).try_spawn(future)));
        Self { supervisor, run, restart: Restart::Temporary, shutdown: SHUTDOWN }
    }

    pub(super) fn again<R, F>(supervisor: &'a DynamicSupervisorRef<Tasks>, restart: Restart, run: R) -> Self
    where
        R: Fn() -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        let callers = callers();
        let run = Run::Again(Box::new(move || child(Arc::clone(&callers)).try_spawn(run())));
        Self { supervisor, run, restart, shutdown: SHUTDOWN }
    }

    /// How the supervisor ends it; a [`Duration`] is a [`Shutdown::Timeout`]. Default: 5 s.
    pub fn shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
        self.shutdown = shutdown.into();
        self
    }
}

impl<'a> IntoFuture for StartTask<'a> {
    type Output = Result<Pid, DynamicStartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { supervisor, run, restart, shutdown } = self;
        Box::pin(async move {
            let started = supervisor.start(NewTask::new(run, restart, shutdown)).await?;
            Ok(started.pid.expect("a task that was started has a process"))
        })
    }
}

impl fmt::Debug for StartTask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartTask")
            .field("supervisor", self.supervisor)
            .field("restart", &self.restart)
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}

/// A child of the supervisor, whose process this runs in, that works on behalf of these.
fn child(callers: Arc<[Pid]>) -> Spawn {
    process::builder().link().callers(callers)
}

/// Whom a task that is started here works for.
fn callers() -> Arc<[Pid]> {
    let Some(me) = process::try_self_pid() else { return Arc::from([]) };
    std::iter::once(me).chain(process::callers()).collect()
}

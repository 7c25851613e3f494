//! What one asks of a task supervisor, and how it is started.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use ibeam_runtime::{NameRegistry, Priority, Timeout};

use super::TaskSupervisorRef;
use super::recipe::Tasks;
use crate::dynamic_supervisor::{
    DynamicChild, DynamicStartError, DynamicSupervisor, DynamicSupervisorRef, StartDynamicSupervisor,
};
use crate::gen_server::{ServerName, StartError};
use crate::partition_supervisor::Partition;
use crate::supervisor::{ChildSpec, IntoChildSpec, StartedChild};

/// A task supervisor that is to be started. See the [module](super).
///
/// # Erlang/OTP
/// Elixir's `Task.Supervisor`.
#[derive(Clone, Debug)]
#[must_use = "nothing is started before `start_link`"]
pub struct TaskSupervisor(DynamicSupervisor<Tasks>);

impl TaskSupervisor {
    /// A task supervisor with a name. Any number of tasks; at most 3 restarts in 5 s of those that are restarted.
    pub fn new(name: impl Into<ServerName>) -> Self {
        Self::spec().name(name)
    }

    /// A task supervisor without a name; the rest as [`new`](Self::new).
    pub fn spec() -> Self {
        Self(DynamicSupervisor::ground(Tasks::default(), std::any::type_name::<Self>()))
    }

    /// Registers the supervisor under a name.
    pub fn name(self, name: impl Into<ServerName>) -> Self {
        Self(self.0.name(name))
    }

    /// How many tasks there can be at once. Default: no limit.
    pub fn max_children(self, limit: usize) -> Self {
        Self(self.0.max_children(limit))
    }

    /// How many restarts within how long are not too many; most tasks are never restarted. Default: 3 in 5 s.
    #[doc(alias = "max_restarts")]
    #[doc(alias = "max_seconds")]
    pub fn intensity(self, max_restarts: usize, within: Duration) -> Self {
        Self(self.0.intensity(max_restarts, within))
    }

    /// Starts the supervisor, linked to the calling process.
    ///
    /// # Errors
    /// See [`StartError`]: its name is taken, or the [`intensity`](Self::intensity) makes no sense.
    ///
    /// # Erlang/OTP
    /// `Task.Supervisor.start_link/1`.
    pub fn start_link(self) -> StartTaskSupervisor {
        StartTaskSupervisor(self.0.start_link())
    }

    /// Starts the supervisor, not linked to the caller, who need not be a process.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    pub fn start(self) -> StartTaskSupervisor {
        StartTaskSupervisor(self.0.start())
    }

    /// This supervisor as a child: its id is its name, or else `TaskSupervisor`; it is permanent, and given all the time it needs
    /// to stop.
    ///
    /// # Erlang/OTP
    /// `Task.Supervisor.child_spec/1`.
    pub fn child(self) -> ChildSpec {
        let named = self.0.has_name();
        let child = self.0.child();
        if named { child } else { child.id("TaskSupervisor") }
    }
}

/// So that it can be given to a [`Supervisor`](crate::Supervisor) as it is: see [`child`](TaskSupervisor::child).
impl IntoChildSpec for TaskSupervisor {
    fn into_child_spec(self) -> ChildSpec {
        self.child()
    }
}

impl DynamicChild for TaskSupervisor {
    type Started = TaskSupervisorRef;

    fn started(child: StartedChild) -> Result<TaskSupervisorRef, DynamicStartError> {
        DynamicSupervisor::<Tasks>::started(child).map(TaskSupervisorRef::new)
    }
}

impl Partition for TaskSupervisor {
    type Ref = TaskSupervisorRef;

    fn handle<N: NameRegistry>(registry: &N, key: N::Key) -> TaskSupervisorRef {
        TaskSupervisorRef::new(DynamicSupervisorRef::by_key(registry, key))
    }
}

/// The future of starting a task supervisor: options, then `.await`.
///
/// # Cancel safety
/// Dropping it after its first poll leaves the supervisor running, if it starts.
#[must_use = "nothing is started until it is awaited"]
#[derive(Debug)]
pub struct StartTaskSupervisor(StartDynamicSupervisor<Tasks>);

impl StartTaskSupervisor {
    /// How long the start may take; a supervisor that takes longer is killed. Default: as long as it likes, as in OTP.
    pub fn timeout(self, timeout: impl Into<Timeout>) -> Self {
        Self(self.0.timeout(timeout))
    }

    /// See [`Spawn::priority`](crate::process::Spawn::priority). Its tasks do not inherit it.
    pub fn priority(self, priority: Priority) -> Self {
        Self(self.0.priority(priority))
    }
}

impl IntoFuture for StartTaskSupervisor {
    type Output = Result<TaskSupervisorRef, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.0.await.map(TaskSupervisorRef::new) })
    }
}

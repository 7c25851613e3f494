//! The handle of a running supervisor, and what its requests answer.

use std::fmt;

use ibeam_runtime::{CallError, Destination, ExitReason, Name, NameRegistry, Pid, Timeout};

use super::child_check::SpecError;
use super::child_spec::{ChildId, ChildSpec, IntoChildSpec, Kind, StartedChild};
use super::server::{
    ChildSpecOf, CountChildren, DeleteChild, RestartChild, StartChild, Supervising, TerminateChild,
    WhichChild, WhichChildren,
};
use crate::gen_server::{ServerRef, StartError};

/// A supervisor, by pid or by name. Cheap to clone; a name is resolved at each use, so such a handle outlives restarts.
///
/// Requests wait as long as it takes: a supervisor answers when the child has started, or has stopped. Dropping such a future stops the
/// waiting, and unsends nothing.
///
/// # Erlang/OTP
/// The functions of the module `supervisor`. Differs: where the supervisor is not there, the error has a [`CallError`]; there the
/// caller exits.
#[derive(Clone, Debug)]
pub struct SupervisorRef {
    server: ServerRef<Supervising>,
}

/// One child, as [`which_children`](SupervisorRef::which_children) lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildInfo {
    /// Its id.
    pub id: ChildId,
    /// Its process; `None` if it has none now.
    pub pid: Option<Pid>,
    /// It has no process, and its supervisor is about to start it again.
    pub restarting: bool,
    /// Worker or supervisor.
    pub kind: Kind,
    /// The type that implements it, if that is known.
    pub module: Option<&'static str>,
}

/// How many children a supervisor has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildCounts {
    /// All of them, whether they run or not.
    pub specs: usize,
    /// Those that have a process.
    pub active: usize,
    /// Those that are supervisors, whether they run or not.
    pub supervisors: usize,
    /// Those that are workers, whether they run or not.
    pub workers: usize,
}

impl ChildCounts {
    pub(crate) fn count(&mut self, kind: Kind, active: bool) {
        self.specs += 1;
        self.active += usize::from(active);
        match kind {
            Kind::Worker => self.workers += 1,
            Kind::Supervisor => self.supervisors += 1,
        }
    }
}

/// Why a child was not started.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StartChildError {
    /// There is a child with this id, and it runs.
    AlreadyStarted {
        /// The id.
        id: ChildId,
        /// Its process.
        pid: Pid,
    },
    /// There is a child with this id, and it does not run.
    AlreadyPresent {
        /// The id.
        id: ChildId,
    },
    /// Its specification makes no sense.
    Spec(SpecError),
    /// It did not start.
    Start {
        /// The id.
        id: ChildId,
        /// Why.
        error: StartError,
    },
    /// The supervisor did not answer.
    Call(CallError),
}

impl fmt::Display for StartChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyStarted { id, pid } => write!(f, "child `{id}` is already started as {pid}"),
            Self::AlreadyPresent { id } => write!(f, "there is a child `{id}` already, which does not run"),
            Self::Spec(error) => error.fmt(f),
            Self::Start { id, error } => write!(f, "child `{id}` did not start: {error}"),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartChildError {}

/// Why a child was not stopped, or nothing was said about it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ChildError {
    /// There is no such child.
    NotFound {
        /// The id.
        id: ChildId,
    },
    /// The supervisor did not answer.
    Call(CallError),
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { id } => write!(f, "there is no child `{id}`"),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ChildError {}

/// Why a child was not started again.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RestartChildError {
    /// There is no such child.
    NotFound {
        /// The id.
        id: ChildId,
    },
    /// It runs.
    Running {
        /// The id.
        id: ChildId,
        /// Its process.
        pid: Pid,
    },
    /// Its supervisor is at it.
    Restarting {
        /// The id.
        id: ChildId,
    },
    /// It did not start. It stays, without a process.
    Start {
        /// The id.
        id: ChildId,
        /// Why.
        error: StartError,
    },
    /// The supervisor did not answer.
    Call(CallError),
}

impl fmt::Display for RestartChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { id } => write!(f, "there is no child `{id}`"),
            Self::Running { id, pid } => write!(f, "child `{id}` runs already, as {pid}"),
            Self::Restarting { id } => write!(f, "child `{id}` is being restarted already"),
            Self::Start { id, error } => write!(f, "child `{id}` did not start: {error}"),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RestartChildError {}

/// Why a child was not deleted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DeleteChildError {
    /// There is no such child.
    NotFound {
        /// The id.
        id: ChildId,
    },
    /// It runs: terminate it first.
    Running {
        /// The id.
        id: ChildId,
        /// Its process.
        pid: Pid,
    },
    /// It is being restarted: terminate it first.
    Restarting {
        /// The id.
        id: ChildId,
    },
    /// The supervisor did not answer.
    Call(CallError),
}

impl fmt::Display for DeleteChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { id } => write!(f, "there is no child `{id}`"),
            Self::Running { id, pid } => write!(f, "child `{id}` runs, as {pid}: terminate it first"),
            Self::Restarting { id } => write!(f, "child `{id}` is being restarted: terminate it first"),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DeleteChildError {}

/// The reason of a supervisor's start that failed because of a child, inside of a `ShutdownWith`.
///
/// # Erlang/OTP
/// `{shutdown, {failed_to_start_child, Id, Reason}}`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FailedToStartChild {
    /// The child.
    pub id: ChildId,
    /// Why it did not start.
    pub error: StartError,
}

impl fmt::Display for FailedToStartChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "child `{}` did not start: {}", self.id, self.error)
    }
}

impl SupervisorRef {
    pub(super) fn new(server: ServerRef<Supervising>) -> Self {
        Self { server }
    }

    /// The supervisor with this pid. Requests to a process that is none come back as errors.
    #[must_use]
    pub fn of(pid: Pid) -> Self {
        Self::new(ServerRef::of(pid))
    }

    /// Whatever supervisor has this name, each time the handle is used.
    #[must_use]
    pub fn named(name: impl Into<Name>) -> Self {
        Self::new(ServerRef::named(name))
    }

    /// Whatever supervisor has this key in the registry, each time the handle is used.
    #[must_use]
    pub fn via<R: NameRegistry>(registry: &R, key: impl Into<R::Key>) -> Self {
        Self::new(ServerRef::via(registry, key))
    }

    /// The supervisor's process now; `None` if nobody has the name.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.server.pid()
    }

    /// Adds a child behind all others and starts it. Waits as long as the start takes.
    ///
    /// # Errors
    /// See [`StartChildError`]. A child that does not start is not kept. One whose `init` ignores is kept without a process, unless
    /// it is temporary.
    ///
    /// # Erlang/OTP
    /// `supervisor:start_child/2`.
    pub async fn start_child(
        &self,
        child: impl IntoChildSpec + Send,
    ) -> Result<StartedChild, StartChildError> {
        let child = child.into_child_spec();
        let started = self.server.call(StartChild(child)).timeout(Timeout::Infinity).await;
        started.unwrap_or_else(|error| Err(StartChildError::Call(error)))
    }

    /// Stops a child as its specification says. It is kept, and not restarted; a temporary one is forgotten. One that does not run
    /// is left as it is; one that is being restarted is not any more.
    ///
    /// # Errors
    /// See [`ChildError`].
    ///
    /// # Erlang/OTP
    /// `supervisor:terminate_child/2`. Differs: with [`Strategy::OneForAll`](super::Strategy::OneForAll) and `RestForOne`, when this ends the restart of
    /// one child on which others wait, these are started; there they stay stopped.
    pub async fn terminate_child(&self, id: impl Into<ChildId> + Send) -> Result<(), ChildError> {
        let stopped = self.server.call(TerminateChild(id.into())).timeout(Timeout::Infinity).await;
        stopped.unwrap_or_else(|error| Err(ChildError::Call(error)))
    }

    /// Starts a child that was stopped, or has ended and was kept.
    ///
    /// # Errors
    /// See [`RestartChildError`].
    ///
    /// # Erlang/OTP
    /// `supervisor:restart_child/2`.
    pub async fn restart_child(
        &self,
        id: impl Into<ChildId> + Send,
    ) -> Result<StartedChild, RestartChildError> {
        let started = self.server.call(RestartChild(id.into())).timeout(Timeout::Infinity).await;
        started.unwrap_or_else(|error| Err(RestartChildError::Call(error)))
    }

    /// Forgets a child that does not run.
    ///
    /// # Errors
    /// See [`DeleteChildError`].
    ///
    /// # Erlang/OTP
    /// `supervisor:delete_child/2`.
    pub async fn delete_child(&self, id: impl Into<ChildId> + Send) -> Result<(), DeleteChildError> {
        let deleted = self.server.call(DeleteChild(id.into())).timeout(Timeout::Infinity).await;
        deleted.unwrap_or_else(|error| Err(DeleteChildError::Call(error)))
    }

    /// The children, whether they run or not. The newest comes first.
    ///
    /// # Errors
    /// The supervisor did not answer.
    ///
    /// # Erlang/OTP
    /// `supervisor:which_children/1`.
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, CallError> {
        self.server.call(WhichChildren).timeout(Timeout::Infinity).await
    }

    /// One child.
    ///
    /// # Errors
    /// See [`ChildError`].
    ///
    /// # Erlang/OTP
    /// `supervisor:which_child/2`.
    pub async fn which_child(&self, id: impl Into<ChildId> + Send) -> Result<ChildInfo, ChildError> {
        let child = self.server.call(WhichChild(id.into())).timeout(Timeout::Infinity).await;
        child.unwrap_or_else(|error| Err(ChildError::Call(error)))
    }

    /// How many children there are.
    ///
    /// # Errors
    /// The supervisor did not answer.
    ///
    /// # Erlang/OTP
    /// `supervisor:count_children/1`.
    pub async fn count_children(&self) -> Result<ChildCounts, CallError> {
        self.server.call(CountChildren).timeout(Timeout::Infinity).await
    }

    /// The specification of a child, with which another one like it could be started. The start of a temporary child is not
    /// kept: that of its specification fails.
    ///
    /// # Errors
    /// See [`ChildError`].
    ///
    /// # Erlang/OTP
    /// `supervisor:get_childspec/2`.
    #[doc(alias = "get_childspec")]
    pub async fn child_spec(&self, id: impl Into<ChildId> + Send) -> Result<ChildSpec, ChildError> {
        let spec = self.server.call(ChildSpecOf(id.into())).timeout(Timeout::Infinity).await;
        spec.unwrap_or_else(|error| Err(ChildError::Call(error)))
    }

    /// Stops the children in reverse order, then the supervisor, and waits for that.
    ///
    /// # Errors
    /// The supervisor was not there, or did not stop in time.
    ///
    /// # Erlang/OTP
    /// Elixir's `Supervisor.stop/3`.
    pub async fn stop(
        &self,
        reason: ExitReason,
        timeout: impl Into<Timeout> + Send,
    ) -> Result<(), CallError> {
        self.server.stop(reason, timeout).await
    }
}

impl From<&SupervisorRef> for Destination {
    fn from(supervisor: &SupervisorRef) -> Self {
        Self::from(&supervisor.server)
    }
}

//! The handle of a running dynamic supervisor, and what its requests answer.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use ibeam_runtime::process::Call;
use ibeam_runtime::{CallError, Destination, ExitReason, Name, NameRegistry, Pid, Timeout};

use super::recipe::{AnyChild, DynamicChild, Recipe, Template};
use super::server::{
    CountChildren, StartChild, StartReply, Supervising, TerminateChild, TerminateReply, WhichChild,
    WhichChildren,
};
use crate::gen_server::{ServerRef, StartError};
use crate::supervisor::child_check::check;
use crate::supervisor::{AutoShutdown, ChildCounts, Kind, Restart, Shutdown, SpecError, StartedChild};

/// A dynamic supervisor, by pid or by name. Cheap to clone; a name is resolved at each use, so such a handle outlives restarts.
///
/// Requests wait as long as it takes. Dropping such a future stops the waiting, and unsends nothing.
///
/// What does not start children works with any handle, whatever the supervisor's children are started from.
///
/// # Erlang/OTP
/// The functions of Elixir's `DynamicSupervisor`. Differs: where the supervisor is not there, the error has a [`CallError`]; there
/// the caller exits.
pub struct DynamicSupervisorRef<R: Recipe = AnyChild> {
    server: ServerRef<Supervising<R>>,
}

impl<R: Recipe> Clone for DynamicSupervisorRef<R> {
    fn clone(&self) -> Self {
        Self { server: self.server.clone() }
    }
}

impl<R: Recipe> fmt::Debug for DynamicSupervisorRef<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DynamicSupervisorRef").field(&self.server).finish()
    }
}

/// One child, as [`which_children`](DynamicSupervisorRef::which_children) lists it. It has no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DynamicChildInfo {
    /// Its process; `None` if it is being restarted.
    pub pid: Option<Pid>,
    /// Worker or supervisor.
    pub kind: Kind,
    /// When it is restarted.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// The type that implements it, if that is known.
    pub module: Option<&'static str>,
}

/// Why a child was not started.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DynamicStartError {
    /// There are as many children as there can be.
    MaxChildren {
        /// The limit.
        limit: usize,
    },
    /// Its specification makes no sense. The supervisor was not asked.
    Spec(SpecError),
    /// It did not start.
    Start(StartError),
    /// The supervisor did not answer.
    Call(CallError),
}

impl fmt::Display for DynamicStartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxChildren { limit } => {
                write!(f, "expected at most {limit} children (`max_children`), this would be one more")
            }
            Self::Spec(error) => error.fmt(f),
            Self::Start(error) => write!(f, "the child did not start: {error}"),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DynamicStartError {}

/// Why a child was not stopped, or nothing was said about it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DynamicChildError {
    /// No child of the supervisor has this pid.
    NotFound {
        /// The pid.
        pid: Pid,
    },
    /// The supervisor did not answer.
    Call(CallError),
}

impl fmt::Display for DynamicChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { pid } => write!(f, "there is no child {pid}"),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DynamicChildError {}

impl DynamicSupervisorRef<AnyChild> {
    /// The dynamic supervisor with this pid. Requests to a process that is none come back as errors.
    #[must_use]
    pub fn of(pid: Pid) -> Self {
        Self { server: ServerRef::of(pid) }
    }

    /// Whatever dynamic supervisor has this name, each time the handle is used.
    #[must_use]
    pub fn named(name: impl Into<Name>) -> Self {
        Self { server: ServerRef::named(name) }
    }

    /// Whatever dynamic supervisor has this key in the registry, each time the handle is used.
    ///
    /// # Erlang/OTP
    /// `{via, Module, Name}`.
    #[must_use]
    pub fn via<N: NameRegistry>(registry: &N, key: impl Into<N::Key>) -> Self {
        Self::by_key(registry, key)
    }

    /// Starts a child. A server that was started with `Type::child(args)` comes back as [`ServerRef`]; any other child as a
    /// [`StartedChild`].
    ///
    /// The id of the specification is not used.
    ///
    /// # Errors
    /// See [`DynamicStartError`]. A child that does not start is not kept. A server whose `init` says
    /// [`ignore`](crate::Init::ignore) is [`StartError::Ignored`]; another child that does so is a [`StartedChild`] without a pid,
    /// and not kept either.
    ///
    /// # Erlang/OTP
    /// `DynamicSupervisor.start_child/2`.
    pub fn start_child<C: DynamicChild + Send>(
        &self,
        child: C,
    ) -> impl Future<Output = Result<C::Started, DynamicStartError>> + Send + use<C> {
        let spec = child.into_child_spec();
        let checked = check(&spec.settings, Some(AutoShutdown::Never)).map_err(DynamicStartError::Spec);
        started::<C, _>(checked.map(|()| self.ask(StartChild::<AnyChild>(spec))))
    }
}

impl<A: Clone + Send + Sync + 'static, C: DynamicChild> DynamicSupervisorRef<Template<A, C>> {
    /// The dynamic supervisor with this pid, which has this template. Requests to a process that is none come back as errors.
    #[must_use]
    pub fn of_template(pid: Pid) -> Self {
        Self { server: ServerRef::of(pid) }
    }

    /// Whatever dynamic supervisor with this template has this name, each time the handle is used.
    #[must_use]
    pub fn named_template(name: impl Into<Name>) -> Self {
        Self { server: ServerRef::named(name) }
    }

    /// Starts a child with these arguments, as the [template](super::DynamicSupervisor::template) says.
    ///
    /// # Errors
    /// See [`DynamicStartError`]. A child that does not start is not kept.
    ///
    /// # Erlang/OTP
    /// `supervisor:start_child/2` with extra arguments.
    pub fn start_child(
        &self,
        args: A,
    ) -> impl Future<Output = Result<C::Started, DynamicStartError>> + Send + use<A, C> {
        started::<C, _>(Ok(self.ask(StartChild::<Template<A, C>>(args))))
    }
}

/// The start that was asked for, or why it was not. No `async` block: each would have a copy of the child's specification.
fn started<C: DynamicChild, Q: Send + 'static>(
    asked: Result<Call<Q, StartReply>, DynamicStartError>,
) -> impl Future<Output = Result<C::Started, DynamicStartError>> + Send {
    let mut asked = asked.map_err(Some);
    poll_fn(move |cx| match &mut asked {
        Ok(call) => Pin::new(call).poll(cx).map(|reply| C::started(reply.map_err(DynamicStartError::Call)??)),
        Err(refused) => refused.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
    })
}

impl<R: Recipe> DynamicSupervisorRef<R> {
    /// The dynamic supervisor with this name, whatever its children are started from.
    pub(crate) fn by_name(name: impl Into<Name>) -> Self {
        Self { server: ServerRef::named(name) }
    }

    pub(super) fn new(server: ServerRef<Supervising<R>>) -> Self {
        Self { server }
    }

    pub(crate) fn by_key<N: NameRegistry>(registry: &N, key: impl Into<N::Key>) -> Self {
        Self { server: ServerRef::via(registry, key) }
    }

    pub(crate) fn with_pid(pid: Pid) -> Self {
        Self { server: ServerRef::of(pid) }
    }

    /// The supervisor's process now; `None` if nobody has the name.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.server.pid()
    }

    pub(crate) async fn start(&self, args: R::Args) -> Result<StartedChild, DynamicStartError> {
        let started: Result<StartReply, _> = self.ask(StartChild::<R>(args)).await;
        started.unwrap_or_else(|error| Err(DynamicStartError::Call(error)))
    }

    /// A request that any dynamic supervisor answers, whatever its children are started from.
    #[inline]
    fn ask<Q, A>(&self, request: Q) -> Call<Q, A> {
        Call::new(&self.server, request).timeout(Timeout::Infinity)
    }

    /// Stops a child, as its [`Shutdown`](crate::Shutdown) says, and waits until it is gone. It is not restarted. A child
    /// that is being restarted is known by its last pid.
    ///
    /// The supervisor goes on with other requests meanwhile.
    ///
    /// # Errors
    /// See [`DynamicChildError`]. Who asks for the end of a child that stops already gets `NotFound` when it is gone.
    ///
    /// # Erlang/OTP
    /// `DynamicSupervisor.terminate_child/2`; there the supervisor waits for the child and does nothing else.
    pub fn terminate_child(
        &self,
        pid: Pid,
    ) -> impl Future<Output = Result<(), DynamicChildError>> + Send + use<R> {
        let mut call = self.ask::<_, TerminateReply>(TerminateChild(pid));
        poll_fn(move |cx| Pin::new(&mut call).poll(cx).map(|reply| reply.map_err(DynamicChildError::Call)?))
    }

    /// All children, those that restart or stop included. In no particular order.
    ///
    /// The list takes memory for each child, and the supervisor does nothing else meanwhile.
    ///
    /// # Errors
    /// The supervisor did not answer.
    ///
    /// # Erlang/OTP
    /// `DynamicSupervisor.which_children/1`.
    pub async fn which_children(&self) -> Result<Vec<DynamicChildInfo>, CallError> {
        self.ask(WhichChildren).await
    }

    /// The child with this pid; one that is being restarted is known by its last pid.
    ///
    /// # Errors
    /// See [`DynamicChildError`].
    ///
    /// # Erlang/OTP
    /// `supervisor:which_child/2` of a `simple_one_for_one`.
    pub async fn which_child(&self, pid: Pid) -> Result<DynamicChildInfo, DynamicChildError> {
        let child = self.ask::<_, Option<DynamicChildInfo>>(WhichChild(pid)).await;
        child.map_err(DynamicChildError::Call)?.ok_or(DynamicChildError::NotFound { pid })
    }

    /// How many children there are. Costs the same for any number.
    ///
    /// # Errors
    /// The supervisor did not answer.
    ///
    /// # Erlang/OTP
    /// `DynamicSupervisor.count_children/1`. Differs from `supervisor:count_children/1` of a `simple_one_for_one`, where
    /// `specs` is 1.
    pub async fn count_children(&self) -> Result<ChildCounts, CallError> {
        self.ask(CountChildren).await
    }

    /// Stops the children side by side, then the supervisor, and waits for that.
    ///
    /// # Errors
    /// The supervisor was not there, ended with another reason, or did not stop in time.
    ///
    /// # Erlang/OTP
    /// `DynamicSupervisor.stop/3`.
    pub async fn stop(
        &self,
        reason: ExitReason,
        timeout: impl Into<Timeout> + Send,
    ) -> Result<(), CallError> {
        self.server.stop(reason, timeout).await
    }
}

impl<R: Recipe> From<&DynamicSupervisorRef<R>> for Destination {
    fn from(supervisor: &DynamicSupervisorRef<R>) -> Self {
        Self::from(&supervisor.server)
    }
}

//! Supervisors: processes that start others, and start them again when they end.
//!
//! # When to use one, and when not
//! For every process that has to be there. What crashes is restarted from its first arguments, by someone who does nothing
//! else and so does not crash with it. A process whose end is its caller's business alone needs a link or a monitor, not a
//! supervisor.
//!
//! ```
//! use ibeam::prelude::*;
//! use std::time::Duration;
//!
//! struct Worker;
//!
//! #[gen_server]
//! impl Worker {
//!     async fn init() -> Init<Self> {
//!         Init::ok(Worker)
//!     }
//!
//!     #[call]
//!     async fn ping(&mut self) -> &'static str {
//!         "pong"
//!     }
//! }
//!
//! Runtime::new().block_on(async {
//!     let supervisor = Supervisor::new(Strategy::OneForOne)
//!         .intensity(3, Duration::from_secs(5))
//!         .child(ChildSpec::server("worker", || Worker::start_link().name("worker")))
//!         .start_link()
//!         .await
//!         .unwrap();
//!
//!     let worker = ServerRef::<Worker>::named("worker");
//!     let first = worker.pid().unwrap();
//!     let monitor = process::monitor(first);
//!     process::kill(first);
//!     receive! { Down { monitor: gone, .. } if gone == monitor => {} }
//!
//!     // The children are asked for behind the restart, so it is over now.
//!     let children = supervisor.which_children().await.unwrap();
//!     assert_eq!(children[0].id, "worker");
//!     assert_ne!(children[0].pid, Some(first));
//!     assert_eq!(worker.ping().await, Ok("pong"));
//! });
//! ```
//!
//! # What it does when a child ends
//! | restart | child ended normally or by shutdown | child ended otherwise |
//! |---|---|---|
//! | [`Permanent`](Restart::Permanent) | restarts it | restarts it |
//! | [`Transient`](Restart::Transient) | forgets its process, keeps the child | restarts it |
//! | [`Temporary`](Restart::Temporary) | forgets the child | forgets the child |
//!
//! More than `max_restarts` restarts within `max_seconds` are too many: the supervisor stops its children and ends with
//! [`ExitReason::Shutdown`], which is its own supervisor's business then.

pub(crate) mod backoff;
pub(crate) mod child_check;
pub(crate) mod child_exit;
pub(crate) mod child_report;
pub(crate) mod child_spec;
pub(crate) mod child_start;
pub(crate) mod child_stop;
pub(crate) mod intensity;
mod server;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use ibeam_runtime::{CallError, ExitReason, Name, Pid, Timeout};

pub use backoff::Backoff;
pub use child_check::{SpecError, check_child_specs};
pub use child_spec::{
    ChildId, ChildSettings, ChildSpec, IntoChildSpec, Kind, Restart, ServerChild, Shutdown, Significant,
    StartedChild,
};

use crate::gen_server::{GenServer, ServerRef, Start, StartError};

use self::intensity::Intensity;
use self::server::{StartChild, Supervising, TerminateChild, WhichChildren};

/// Whom a child's restart concerns besides the child itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Nobody.
    #[default]
    OneForOne,
}

/// Does a supervisor end when its significant children have?
///
/// Only ends count that are a child's own: one that a supervisor stops, or restarts, ends nobody. A supervisor that ends so stops
/// its other children and ends with [`ExitReason::Shutdown`].
///
/// # Erlang/OTP
/// The flag `auto_shutdown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// Never; a significant child is refused.
    #[default]
    Never,
    /// When one of them has ended.
    AnySignificant,
    /// When the last of them has ended.
    AllSignificant,
}

/// A supervisor that is to be started. See the [module](self).
///
/// # Erlang/OTP
/// The behaviour `supervisor`; this is what its `init` returns.
#[derive(Clone, Debug)]
#[must_use = "nothing is started before `start_link`"]
pub struct Supervisor {
    strategy: Strategy,
    intensity: Intensity,
    name: Option<Name>,
    children: Vec<ChildSpec>,
}

impl Supervisor {
    /// A supervisor without children. At most 3 restarts in 5 s, as in Elixir.
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            intensity: Intensity::new(3, Duration::from_secs(5)),
            name: None,
            children: Vec::new(),
        }
    }

    /// How many restarts within how long are not too many.
    #[doc(alias = "max_restarts")]
    #[doc(alias = "max_seconds")]
    pub fn intensity(mut self, max_restarts: usize, within: Duration) -> Self {
        self.intensity = Intensity::new(max_restarts, within);
        self
    }

    /// One more child. Children are started in this order and stopped in the reverse one.
    pub fn child(mut self, child: impl IntoChildSpec) -> Self {
        self.children.push(child.into_child_spec());
        self
    }

    /// Registers the supervisor under a name.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Starts the supervisor and its children, linked to the calling process.
    ///
    /// # Errors
    /// A child that does not start: those before it are stopped again.
    pub fn start_link(self) -> StartSupervisor {
        StartSupervisor { supervisor: self, link: true }
    }

    /// Starts the supervisor and its children, not linked to the caller, who need not be a process.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    pub fn start(self) -> StartSupervisor {
        StartSupervisor { supervisor: self, link: false }
    }

    /// This supervisor as a child of another one: restarted if it ends, given all the time it needs to stop.
    pub fn into_child(self, id: impl Into<ChildId>) -> ChildSpec {
        ChildSpec::new(id, move || {
            let supervisor = self.clone();
            async move { supervisor.start_link().await.map(|started| started.pid()) }
        })
        .kind(Kind::Supervisor)
    }
}

/// The future of starting a supervisor.
#[derive(Debug)]
#[must_use = "nothing is started until it is awaited"]
pub struct StartSupervisor {
    supervisor: Supervisor,
    link: bool,
}

impl IntoFuture for StartSupervisor {
    type Output = Result<SupervisorRef, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { mut supervisor, link } = self;
            let name = supervisor.name.take();
            let mut start: Start<Supervising> =
                if link { Supervising::start_link(supervisor) } else { Supervising::start(supervisor) };
            if let Some(name) = name {
                start = start.name(name);
            }
            let server = start.await?;
            let pid = server.pid().expect("a server that was just started has a pid");
            Ok(SupervisorRef { server, pid })
        })
    }
}

/// A running supervisor.
#[derive(Clone, Debug)]
pub struct SupervisorRef {
    server: ServerRef<Supervising>,
    pid: Pid,
}

/// One child, as [`which_children`](SupervisorRef::which_children) lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildInfo {
    /// Its id.
    pub id: ChildId,
    /// Its process; `None` if it has none now.
    pub pid: Option<Pid>,
    /// Worker or supervisor.
    pub kind: Kind,
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
            Self::Start { id, error } => write!(f, "child `{id}` did not start: {error}"),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartChildError {}

/// Why a child was not stopped.
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

impl SupervisorRef {
    /// The supervisor's process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The supervisor with this pid. Requests to a process that is none come back as errors.
    #[must_use]
    pub fn of(pid: Pid) -> Self {
        Self { server: ServerRef::of(pid), pid }
    }

    /// Adds a child and starts it. Waits as long as the start takes.
    ///
    /// # Errors
    /// See [`StartChildError`]. A child that does not start is not kept.
    ///
    /// # Erlang/OTP
    /// `supervisor:start_child/2`.
    pub async fn start_child(&self, child: impl IntoChildSpec + Send) -> Result<Pid, StartChildError> {
        let child = child.into_child_spec();
        let started = self.server.call(StartChild(child)).timeout(Timeout::Infinity).await;
        started.unwrap_or_else(|error| Err(StartChildError::Call(error)))
    }

    /// Stops a child. It is kept, and not restarted; a temporary one is forgotten.
    ///
    /// # Errors
    /// See [`ChildError`].
    ///
    /// # Erlang/OTP
    /// `supervisor:terminate_child/2`.
    pub async fn terminate_child(&self, id: impl Into<ChildId> + Send) -> Result<(), ChildError> {
        let stopped = self.server.call(TerminateChild(id.into())).timeout(Timeout::Infinity).await;
        stopped.unwrap_or_else(|error| Err(ChildError::Call(error)))
    }

    /// The children, in the order in which they were added.
    ///
    /// # Errors
    /// The supervisor did not answer.
    ///
    /// # Erlang/OTP
    /// `supervisor:which_children/1`.
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, CallError> {
        self.server.call(WhichChildren).timeout(Timeout::Infinity).await
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

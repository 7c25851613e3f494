//! Starting a server.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use ibeam_runtime::process::{self, Spawn};
use ibeam_runtime::{CallError, ExitReason, Name, NameError, Overflow, Pid, Priority, SpawnError, Timeout};

use super::run::run;
use super::{GenServer, ServerRef};
use crate::supervisor::StartedChild;

/// A server that is to be started: options, then `.await`.
///
/// The future is ready when `init` has returned.
///
/// # Errors
/// See [`StartError`].
///
/// # Cancel safety
/// Dropping the future after its first poll leaves the server running, if its `init` succeeds.
///
/// # Erlang/OTP
/// `gen_server:start/4`, `gen_server:start_link/4`.
#[must_use = "nothing is started until it is awaited"]
pub struct Start<S: GenServer> {
    args: S::Args,
    spawn: Spawn,
    link: bool,
    timeout: Timeout,
}

/// The call that a server's process begins with.
pub(super) struct Begin;

/// How `init` went well.
pub(super) enum Begun {
    Running,
    Ignored,
}

impl<S: GenServer> Start<S> {
    pub(crate) fn new(args: S::Args, link: bool) -> Self {
        Self { args, spawn: process::builder(), link, timeout: Timeout::Infinity }
    }

    /// Registers the server under a name before its `init` runs.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.spawn = self.spawn.name(name);
        self
    }

    /// How long `init` may take; a server that takes longer is killed. Default: as long as it likes, as in OTP.
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// See [`Spawn::mailbox`].
    pub fn mailbox(mut self, limit: u32, overflow: Overflow) -> Self {
        self.spawn = self.spawn.mailbox(limit, overflow);
        self
    }

    /// See [`Spawn::priority`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.spawn = self.spawn.priority(priority);
        self
    }

    /// See [`Spawn::label`].
    pub fn label(mut self, label: impl Into<std::sync::Arc<str>>) -> Self {
        self.spawn = self.spawn.label(label);
        self
    }

    /// As a supervisor starts it.
    pub(crate) async fn start_child(self) -> Result<StartedChild, StartError> {
        let server = self.start().await?;
        Ok(StartedChild::running(server.pid().expect("a server that was just started has a pid")))
    }

    async fn start(self) -> Result<ServerRef<S>, StartError> {
        let spawn = if self.link { self.spawn.link() } else { self.spawn };
        let pid = spawn.try_spawn(run::<S>(self.args, self.link)).map_err(StartError::from_spawn)?;
        let begun = process::Call::<Begin, Begun>::new(pid, Begin).timeout(self.timeout).await;
        match begun {
            Ok(Begun::Running) => Ok(ServerRef::of(pid)),
            Ok(Begun::Ignored) => Err(StartError::Ignored),
            Err(CallError::Timeout { after, .. }) => {
                if self.link {
                    process::unlink(pid);
                }
                process::kill(pid);
                Err(StartError::Timeout { after })
            }
            Err(error) => Err(StartError::Init { reason: error.into_exit_reason() }),
        }
    }
}

impl<S: GenServer> IntoFuture for Start<S> {
    type Output = Result<ServerRef<S>, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

impl<S: GenServer> fmt::Debug for Start<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("server", &std::any::type_name::<S>()).finish_non_exhaustive()
    }
}

/// Why a server did not start.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StartError {
    /// Its name is taken.
    AlreadyStarted {
        /// The name.
        name: Name,
        /// Who has it.
        pid: Pid,
    },
    /// The name cannot be had for another reason.
    Name(NameError),
    /// `init` stopped, panicked, or the process was ended.
    Init {
        /// Why.
        reason: ExitReason,
    },
    /// `init` said that there is nothing to run.
    Ignored,
    /// `init` took too long; the process was killed.
    Timeout {
        /// How long it had.
        after: std::time::Duration,
    },
    /// No process could be started.
    Spawn(SpawnError),
}

impl StartError {
    fn from_spawn(error: SpawnError) -> Self {
        match error {
            SpawnError::Name(NameError::Taken { name, pid }) => Self::AlreadyStarted { name, pid },
            SpawnError::Name(error) => Self::Name(error),
            error => Self::Spawn(error),
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyStarted { name, pid } => write!(f, "`{name}` is already started as {pid}"),
            Self::Name(error) => error.fmt(f),
            Self::Init { reason } => write!(f, "`init` failed: {reason}"),
            Self::Ignored => f.write_str("`init` said that there is nothing to run"),
            Self::Timeout { after } => write!(f, "`init` did not return within {after:?}"),
            Self::Spawn(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

//! What a supervisor knows of a child.

use std::borrow::Borrow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ibeam_runtime::Pid;

use crate::gen_server::{GenServer, Start, StartError};

/// Names a child within its supervisor. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId(Arc<str>);

impl ChildId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ChildId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<String> for ChildId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl Borrow<str> for ChildId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<&str> for ChildId {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// When a child that has ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// If it ended neither normally nor by a shutdown.
    Transient,
    /// Never.
    Temporary,
}

/// How a child is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// It is killed.
    BrutalKill,
    /// It is asked, with an exit signal `Shutdown`, and killed if it is still there after this time.
    Timeout(Duration),
    /// It is asked, and given all the time it needs.
    Infinity,
}

/// What a child is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A process that works.
    #[default]
    Worker,
    /// A supervisor.
    Supervisor,
}

type StartFn = dyn Fn() -> Pin<Box<dyn Future<Output = Result<Pid, StartError>> + Send>> + Send + Sync;

/// A child: how it is started, when it is restarted, how it is stopped.
///
/// # Erlang/OTP
/// The map of a child specification.
#[derive(Clone)]
pub struct ChildSpec {
    pub(super) id: ChildId,
    pub(super) start: Arc<StartFn>,
    pub(super) restart: Restart,
    pub(super) shutdown: Option<Shutdown>,
    pub(super) kind: Kind,
}

impl ChildSpec {
    /// A child that `start` starts: it runs in the supervisor's process, must link what it starts to that process, and returns
    /// its pid. Called again for each restart.
    pub fn new<F, Fut>(id: impl Into<ChildId>, start: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Pid, StartError>> + Send + 'static,
    {
        Self {
            id: id.into(),
            start: Arc::new(move || Box::pin(start())),
            restart: Restart::default(),
            shutdown: None,
            kind: Kind::default(),
        }
    }

    /// A child that is a server: `start` makes its `start_link`, options included, anew for each start.
    pub fn server<S, F>(id: impl Into<ChildId>, start: F) -> Self
    where
        S: GenServer,
        F: Fn() -> Start<S> + Send + Sync + 'static,
    {
        Self::new(id, move || {
            let start = start().into_future();
            async move {
                let server = start.await?;
                Ok(server.pid().expect("a server that was just started has a pid"))
            }
        })
    }

    /// Another id than the one it was made with.
    #[must_use]
    pub fn id(mut self, id: impl Into<ChildId>) -> Self {
        self.id = id.into();
        self
    }

    /// Default: [`Restart::Permanent`].
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Default: 5 s for a worker, [`Shutdown::Infinity`] for a supervisor.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = Some(shutdown);
        self
    }

    /// Default: [`Kind::Worker`].
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    pub(super) fn effective_shutdown(&self) -> Shutdown {
        self.shutdown.unwrap_or(match self.kind {
            Kind::Worker => Shutdown::Timeout(Duration::from_secs(5)),
            Kind::Supervisor => Shutdown::Infinity,
        })
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("id", &self.id)
            .field("restart", &self.restart)
            .field("shutdown", &self.effective_shutdown())
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

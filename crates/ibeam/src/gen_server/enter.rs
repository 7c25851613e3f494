//! A process that becomes a server.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use ibeam_runtime::{ExitReason, process};

use super::run::{Setup, enter};
use super::{GenServer, Next, ServerName};

/// The calling process becomes a server: see [`GenServer::enter_loop`].
#[must_use = "the process becomes a server when it is awaited"]
pub struct EnterLoop<S> {
    server: S,
    name: Option<ServerName>,
    next: Next,
    hibernate_after: Option<Duration>,
}

/// Why a process did not become a server: it does not have the name that it said it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRegistered {
    /// The name.
    pub name: ServerName,
}

impl fmt::Display for NotRegistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the process is not registered as {}", self.name)
    }
}

impl std::error::Error for NotRegistered {}

impl<S: GenServer> EnterLoop<S> {
    pub(super) fn new(server: S) -> Self {
        Self { server, name: None, next: Next::go_on(), hibernate_after: None }
    }

    /// The name that the process has: if it does not, it exits with an error that says so.
    pub fn name(mut self, name: impl Into<ServerName>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What comes before the first message.
    pub fn next(mut self, next: Next) -> Self {
        self.next = next;
        self
    }

    /// See [`Start::hibernate_after`](super::Start::hibernate_after).
    pub fn hibernate_after(mut self, idle: Duration) -> Self {
        self.hibernate_after = Some(idle);
        self
    }
}

impl<S: GenServer> IntoFuture for EnterLoop<S> {
    type Output = ExitReason;
    type IntoFuture = Pin<Box<dyn Future<Output = ExitReason> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            if let Some(name) = self.name
                && name.whereis() != Some(process::self_pid())
            {
                return ExitReason::error(NotRegistered { name });
            }
            let setup = Setup { linked: true, via: None, hibernate_after: self.hibernate_after };
            enter(self.server, self.next, setup).await
        })
    }
}

impl<S> fmt::Debug for EnterLoop<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnterLoop").field("server", &std::any::type_name::<S>()).finish_non_exhaustive()
    }
}

//! What callbacks return.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use ibeam_runtime::{CallError, CallFrom, ExitReason, Instant, process};

/// What [`init`](super::GenServer::init) returns.
///
/// # Erlang/OTP
/// `{ok, State}`, `{ok, State, Timeout | hibernate | {continue, Term}}`, `{stop, Reason}`, `{error, Reason}`, `ignore`.
#[must_use]
pub struct Init<S>(pub(super) InitKind<S>);

pub(super) enum InitKind<S> {
    Ok(S, Next),
    Stop(ExitReason),
    Error(ExitReason),
    Ignore,
}

impl<S> Init<S> {
    /// The server runs with this state.
    pub fn ok(state: S) -> Self {
        Self(InitKind::Ok(state, Next::go_on()))
    }

    /// The start fails, and the process exits with `reason`.
    pub fn stop(reason: ExitReason) -> Self {
        Self(InitKind::Stop(reason))
    }

    /// The start fails with `reason`, and the process exits normally: a failure that was expected, which is no crash, and
    /// does not end whoever is linked to the process.
    ///
    /// # Erlang/OTP
    /// `{error, Reason}`.
    pub fn error(reason: ExitReason) -> Self {
        Self(InitKind::Error(reason))
    }

    /// There is nothing to run, which is no failure: the process exits normally, and a supervisor keeps the child without a
    /// process.
    pub fn ignore() -> Self {
        Self(InitKind::Ignore)
    }

    /// And what comes first: only with [`ok`](Self::ok).
    pub fn next(self, next: Next) -> Self {
        match self.0 {
            InitKind::Ok(state, _) => Self(InitKind::Ok(state, next)),
            other => Self(other),
        }
    }

    /// And [`handle_timeout`](super::GenServer::handle_timeout) runs if no message comes within `timeout`.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.next(Next::timeout(timeout))
    }

    /// And the server hibernates until the first message.
    pub fn hibernate(self) -> Self {
        self.next(Next::hibernate())
    }

    /// And [`handle_continue`](super::GenServer::handle_continue) runs with `work` before the first message.
    pub fn then<W: Any + Send + fmt::Debug>(self, work: W) -> Self {
        self.next(Next::then(work))
    }
}

impl<S> fmt::Debug for Init<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            InitKind::Ok(_, next) => f.debug_struct("Ok").field("next", next).finish_non_exhaustive(),
            InitKind::Stop(reason) => f.debug_tuple("Stop").field(reason).finish(),
            InitKind::Error(reason) => f.debug_tuple("Error").field(reason).finish(),
            InitKind::Ignore => f.write_str("Ignore"),
        }
    }
}

/// What the server does after a callback.
///
/// # Erlang/OTP
/// The last element of `{noreply, State, …}`, and `{stop, Reason, State}`.
#[derive(Default)]
#[must_use]
pub struct Next(
    /// `None`, nearly always: it waits for the next message. One word, so that a callback hands it over in a register.
    pub(super) Option<Box<First>>,
);

/// What comes before the next message.
#[derive(Debug)]
pub(super) enum First {
    Timeout { after: Duration, hibernate: bool },
    Hibernate,
    Continue(Continue),
    Stop(ExitReason),
}

impl Next {
    /// It waits for the next message.
    pub fn go_on() -> Self {
        Self(None)
    }

    #[cold]
    fn first(first: First) -> Self {
        Self(Some(Box::new(first)))
    }

    /// It waits for the next message; if none comes within `timeout`, [`handle_timeout`](super::GenServer::handle_timeout) runs.
    /// Any message ends this.
    pub fn timeout(timeout: Duration) -> Self {
        Self::first(First::Timeout { after: timeout, hibernate: false })
    }

    /// As [`timeout`](Self::timeout), with the time at which it is over: for a limit that several messages share.
    ///
    /// # Erlang/OTP
    /// `{timeout, Time, Message, [{abs, true}]}` of later versions.
    pub fn timeout_at(at: Instant) -> Self {
        Self::timeout(at - process::now())
    }

    /// As [`timeout`](Self::timeout), and the server hibernates while it waits.
    pub fn hibernate_for(timeout: Duration) -> Self {
        Self::first(First::Timeout { after: timeout, hibernate: true })
    }

    /// It gives back memory and waits for the next message.
    pub fn hibernate() -> Self {
        Self::first(First::Hibernate)
    }

    /// [`handle_continue`](super::GenServer::handle_continue) runs with `work`, before any message.
    #[doc(alias = "continue")]
    pub fn then<W: Any + Send + fmt::Debug>(work: W) -> Self {
        Self::first(First::Continue(Continue(Box::new(work))))
    }

    /// It ends with `reason`, after [`terminate`](super::GenServer::terminate).
    pub fn stop(reason: ExitReason) -> Self {
        Self::first(First::Stop(reason))
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("GoOn"),
            Some(first) => first.fmt(f),
        }
    }
}

/// The work for [`handle_continue`](super::GenServer::handle_continue), to be taken apart by its type.
pub struct Continue(Box<dyn Work>);

trait Work: Any + Send + fmt::Debug {
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
    fn as_any(&self) -> &dyn Any;
}

impl<W: Any + Send + fmt::Debug> Work for W {
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Continue {
    /// The work, if it is a `W`.
    ///
    /// # Errors
    /// The work as it was, if it is something else.
    pub fn downcast<W: Any>(self) -> Result<W, Self> {
        if self.is::<W>() { Ok(*self.0.into_any().downcast().expect("asked a line ago")) } else { Err(self) }
    }

    /// Is it a `W`?
    #[must_use]
    pub fn is<W: Any>(&self) -> bool {
        (*self.0).as_any().is::<W>()
    }
}

impl fmt::Debug for Continue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What [`handle_call`](super::HandleCall::handle_call) returns: the reply, if it is ready, and what comes next.
///
/// # Erlang/OTP
/// `{reply, Reply, State, …}`, `{noreply, State, …}`, `{stop, Reason, Reply, State}`, `{stop, Reason, State}`.
#[derive(Debug)]
#[must_use]
pub struct Reply<R> {
    reply: Option<R>,
    next: Next,
}

impl<R> Reply<R> {
    /// This is the reply.
    pub fn now(reply: R) -> Self {
        Self { reply: Some(reply), next: Next::go_on() }
    }

    /// The reply comes, or came, through [`CallFrom::reply`].
    pub fn later() -> Self {
        Self { reply: None, next: Next::go_on() }
    }

    /// And this comes next. The reply goes first.
    pub fn next(mut self, next: Next) -> Self {
        self.next = next;
        self
    }

    /// And [`handle_timeout`](super::GenServer::handle_timeout) runs if no message comes within `timeout`.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.next(Next::timeout(timeout))
    }

    /// And the server hibernates.
    pub fn hibernate(self) -> Self {
        self.next(Next::hibernate())
    }

    /// And [`handle_continue`](super::GenServer::handle_continue) runs with `work`.
    pub fn then<W: Any + Send + fmt::Debug>(self, work: W) -> Self {
        self.next(Next::then(work))
    }

    /// And the server ends with `reason`, after [`terminate`](super::GenServer::terminate).
    pub fn stop(self, reason: ExitReason) -> Self {
        self.next(Next::stop(reason))
    }
}

impl<R: Send + 'static> Reply<R> {
    /// Sends the reply to the caller, if there is one to send.
    #[inline]
    pub(crate) fn send(self, from: impl FnOnce() -> Option<CallFrom<R>>) -> Next {
        if let Some(reply) = self.reply {
            match from() {
                Some(from) => drop(from.reply(reply)),
                None => tracing::warn!(
                    target: "ibeam::gen_server",
                    reply = std::any::type_name::<R>(),
                    "`Reply::now` for a call that has its reply already, or was given away, is dropped"
                ),
            }
        }
        self.next
    }
}

/// The short way for callers that do not survive a failed call.
pub trait OrExit<T> {
    /// The reply; a failure ends the calling process, with the reason that OTP's callers exit with.
    ///
    /// # Panics
    /// On failure outside of a process.
    #[track_caller]
    fn or_exit(self) -> T;
}

impl<T> OrExit<T> for Result<T, CallError> {
    fn or_exit(self) -> T {
        match self {
            Ok(reply) => reply,
            Err(error) => process::exit(error.into_exit_reason()),
        }
    }
}

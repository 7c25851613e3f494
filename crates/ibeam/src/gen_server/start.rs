//! Starting a server.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ibeam_runtime::__private::{Alarm, Answer, promise, within};
use ibeam_runtime::process::{self, Spawn, receive_with};
use ibeam_runtime::{
    CallError, Down, Exit, ExitReason, NameError, Overflow, Pid, Priority, Reference, SpawnError, Timeout,
};

use super::run::{Setup, run};
use super::{GenServer, ServerName, ServerRef};
use crate::supervisor::child_start::StartFuture;

/// A server that is to be started: options, then `.await`.
///
/// The future is ready when `init` has returned. If the start fails it is ready when the process is gone: its name is free, and
/// a caller that traps exits does not find the process' [`Exit`] in its mailbox.
///
/// # Errors
/// See [`StartError`]. A caller that is linked to the server and does not trap exits ends with it where `init` stops or panics.
///
/// # Cancel safety
/// Dropping the future after its first poll leaves the server running, if its `init` succeeds.
///
/// # Erlang/OTP
/// `gen_server:start/4`, `gen_server:start_link/4`, `gen_server:start_monitor/4`.
///
/// `H` is the handle that it gives.
#[must_use = "nothing is started until it is awaited"]
pub struct Start<S: GenServer, H = ServerRef<S>> {
    args: S::Args,
    spawn: Spawn,
    link: bool,
    timeout: Timeout,
    name: Option<ServerName>,
    hibernate_after: Option<Duration>,
    _handle: PhantomData<fn() -> H>,
}

/// How `init` went well.
pub(super) enum Begun {
    Running,
    Ignored,
    Failed(ExitReason),
    Taken(Pid),
}

impl<S: GenServer> Start<S> {
    pub(crate) fn new(args: S::Args, link: bool) -> Self {
        Self {
            args,
            spawn: process::builder(),
            link,
            timeout: Timeout::Infinity,
            name: None,
            hibernate_after: None,
            _handle: PhantomData,
        }
    }

    /// As a supervisor starts it. The process begins here and now, for this is called where the start is awaited.
    pub(crate) fn start_child(self) -> StartFuture {
        // The supervisor waits for it anyhow; a timeout would be none while `init` computes.
        let lends = self.timeout == Timeout::Infinity;
        match self.spawn(false, lends) {
            Ok(starting) => StartFuture::of_server(starting),
            Err(error) => StartFuture::over(Err(error)),
        }
    }
}

impl<S: GenServer, H: From<ServerRef<S>>> Start<S, H> {
    /// The same start, which gives another handle.
    pub(crate) fn giving<H2>(self) -> Start<S, H2> {
        let Self { args, spawn, link, timeout, name, hibernate_after, .. } = self;
        Start { args, spawn, link, timeout, name, hibernate_after, _handle: PhantomData }
    }

    /// Registers the server under a name before its `init` runs: a text is a name of the runtime, [`NameRegistry::via`] gives
    /// one of a registry. Default: it has none.
    ///
    /// [`NameRegistry::via`]: crate::NameRegistry::via
    pub fn name(mut self, name: impl Into<ServerName>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long `init` may take; a server that takes longer is killed. Default: as long as it likes, as in OTP.
    ///
    /// Code that computes or blocks cannot be ended before its next await: where `init` is stuck in such code, the start fails a
    /// second later, and the process and its name last until then.
    ///
    /// # Erlang/OTP
    /// The option `timeout`.
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// The server hibernates when no message has come for this long. Default: never.
    ///
    /// # Erlang/OTP
    /// The option `hibernate_after`.
    pub fn hibernate_after(mut self, idle: Duration) -> Self {
        self.hibernate_after = Some(idle);
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

    /// Starts the server, and monitors it from its first moment on. Of a start that fails, or is given up, no [`Down`] is left.
    ///
    /// # Errors
    /// See [`StartError`].
    ///
    /// # Panics
    /// When polled outside of a process.
    ///
    /// # Erlang/OTP
    /// `gen_server:start_monitor/4`.
    pub async fn monitored(self) -> Result<(H, Reference), StartError> {
        let (server, monitor) = self.start(true).await?;
        Ok((server.into(), monitor.expect("asked for")))
    }

    async fn start(self, monitored: bool) -> Result<(ServerRef<S>, Option<Reference>), StartError> {
        let (pid, monitor) = self.spawn(monitored, false)?.await?;
        Ok((ServerRef::of(pid), monitor))
    }

    /// `lends`: the process begins within the calling one's turn, if that can be.
    fn spawn(self, monitored: bool, lends: bool) -> Result<Starting, StartError> {
        let Self { args, spawn, link, timeout, name, hibernate_after, .. } = self;
        // Asked first, as in OTP: no process comes and goes for a name that is taken.
        if let Some(name) = &name
            && let Some(pid) = name.whereis()
        {
            return Err(StartError::AlreadyStarted { name: name.clone(), pid });
        }
        let mut spawn = if link { spawn.link() } else { spawn };
        let mut via = None;
        match &name {
            Some(ServerName::Local(name)) => spawn = spawn.name(name),
            Some(ServerName::Via(name)) => via = Some(name.clone()),
            None => {}
        }
        let begin = |within: bool| {
            let (starter, begun) = promise(!within);
            let server = run::<S>(args, Setup { linked: link, via, hibernate_after }, starter);
            let spawned = if monitored {
                spawn.try_spawn_monitor(server).map(|(pid, monitor)| (pid, Some(monitor.reference())))
            } else {
                spawn.try_spawn(server).map(|pid| (pid, None))
            };
            spawned.map(|(pid, monitor)| (pid, monitor, begun))
        };
        // Around nothing else: what a name's registry wakes, perhaps while it holds a lock, must not run here.
        let spawned = if lends { within(begin) } else { begin(false) };
        let (pid, monitor, begun) = spawned.map_err(StartError::from_spawn)?;
        let is_rare = monitor.is_some() || name.is_some();
        let rare = is_rare.then(|| Box::new(Rare { monitor: Watch(monitor), name, failed: None }));
        Ok(Starting { pid, begun: Word::new(begun, timeout), link, rare })
    }
}

/// A server whose process is there, and whose `init` has not returned yet: waits until it has begun. Needs to know nothing of the
/// server's type, and is small.
pub(crate) struct Starting {
    pid: Pid,
    begun: Word<Begun>,
    link: bool,
    /// Must not make each start larger: it is moved several times on its way into the supervisor's future.
    rare: Option<Box<Rare>>,
}

/// What few starts have.
#[derive(Default)]
struct Rare {
    monitor: Watch,
    name: Option<ServerName>,
    /// It has failed, and its process is still to end.
    failed: Option<Pin<Box<dyn Future<Output = StartError> + Send>>>,
}

impl Future for Starting {
    type Output = Result<(Pid, Option<Reference>), StartError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.rare.as_ref().is_none_or(|rare| rare.failed.is_none()) {
            let begun = ready!(this.begun.poll(this.pid, cx));
            if let Ok(Begun::Running) = begun {
                let monitor = this.rare.as_mut().and_then(|rare| rare.monitor.keep());
                return Poll::Ready(Ok((this.pid, monitor)));
            }
            this.fail(begun);
        }
        match this.rare.as_mut().and_then(|rare| rare.failed.as_mut()) {
            Some(failed) => failed.as_mut().poll(cx).map(Err),
            None => Poll::Pending,
        }
    }
}

impl Starting {
    #[cold]
    fn fail(&mut self, begun: Result<Begun, StartError>) {
        let rare = self.rare.get_or_insert_default();
        let error = match begun {
            Ok(Begun::Running) => return,
            Ok(Begun::Ignored) => StartError::Ignored,
            Ok(Begun::Failed(reason)) => StartError::Init { reason },
            Ok(Begun::Taken(pid)) => match rare.name.take() {
                Some(name) => StartError::AlreadyStarted { name, pid },
                None => unreachable!("only a name can be taken"),
            },
            Err(error) => error,
        };
        let (pid, monitor, link) = (self.pid, rare.monitor.keep(), self.link);
        rare.failed = Some(Box::pin(async move {
            gone(pid, monitor, link, &error).await;
            error
        }));
    }
}

/// What a process that is being started says of it. Dropped, nobody waits for that any more.
pub(crate) struct Word<T> {
    answer: Answer<T>,
    /// `None`: for ever, as most do.
    patience: Option<Box<Alarm>>,
}

impl<T> Word<T> {
    /// `timeout` begins with the first poll.
    pub(crate) fn new(answer: Answer<T>, timeout: Timeout) -> Self {
        let patience = match timeout {
            Timeout::Infinity => None,
            limited => Some(Box::new(Alarm::new(limited))),
        };
        Self { answer, patience }
    }

    /// What the process with this pid says. If it takes too long it is killed; if it ends before, that is why there is nothing.
    #[inline]
    pub(crate) fn poll(&mut self, pid: Pid, cx: &mut Context<'_>) -> Poll<Result<T, StartError>> {
        match self.answer.poll(cx.waker()) {
            Poll::Ready(Ok(word)) => Poll::Ready(Ok(word)),
            Poll::Ready(Err(reason)) => Poll::Ready(Err(no_word(pid, reason))),
            Poll::Pending => match &mut self.patience {
                Some(patience) => patience.poll(cx).map(|()| Err(too_late(pid, patience))),
                None => Poll::Pending,
            },
        }
    }
}

#[cold]
fn no_word(pid: Pid, reason: Option<ExitReason>) -> StartError {
    let no_reply = || ExitReason::error(CallError::NoReply { pid });
    StartError::Init { reason: reason.unwrap_or_else(no_reply) }
}

#[cold]
fn too_late(pid: Pid, patience: &Alarm) -> StartError {
    process::kill(pid);
    StartError::Timeout { after: patience.after().unwrap_or_default() }
}

/// The monitor of a process that is being started, or ended. Who gives that up knows nothing of the monitor, so it goes too.
#[derive(Default)]
pub(crate) struct Watch(pub(crate) Option<Reference>);

impl Watch {
    pub(crate) fn keep(&mut self) -> Option<Reference> {
        self.0.take()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Elsewhere than in a process nothing could be monitored.
        if let Some(monitor) = self.0.take()
            && process::try_self_pid().is_some()
        {
            process::demonitor_flush(monitor);
        }
    }
}

/// How long a start waits for the end of a process that was killed for taking too long.
const STUCK: Duration = Duration::from_secs(1);

/// Waits for the end of a process that was to become something, and takes the notices of it out of the mailbox. Who is linked
/// to it and does not trap exits may end here.
pub(crate) async fn gone(pid: Pid, monitor: Option<Reference>, linked: bool, error: &StartError) {
    if process::try_self_pid().is_none() {
        return;
    }
    let monitor = monitor.unwrap_or_else(|| process::monitor(pid));
    let mut watch = Watch(Some(monitor));
    let patience = match error {
        StartError::Timeout { .. } => Timeout::After(STUCK),
        _ => Timeout::Infinity,
    };
    let down = |down: Down| if down.monitor == monitor { Ok(()) } else { Err(down) };
    if receive_with(|message| message.arm(down)).after(patience).await.is_none() {
        // It computes, and ends at its next await.
        if linked {
            process::unlink(pid);
        }
        return;
    }
    watch.keep();
    if linked {
        // Sent before the other notice, so it is there if it comes at all.
        let exit = |exit: Exit| if exit.pid == pid { Ok(()) } else { Err(exit) };
        receive_with(|message| message.arm(exit)).after(Duration::ZERO).await;
    }
}

impl<S: GenServer, H: From<ServerRef<S>> + 'static> IntoFuture for Start<S, H> {
    type Output = Result<H, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.start(false).await.map(|(server, _)| server.into()) })
    }
}

impl<S: GenServer, H> fmt::Debug for Start<S, H> {
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
        name: ServerName,
        /// Who has it.
        pid: Pid,
    },
    /// The name cannot be had for another reason.
    Name(NameError),
    /// `init` stopped, gave an error, panicked, or the process was ended.
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
    pub(crate) fn from_spawn(error: SpawnError) -> Self {
        match error {
            SpawnError::Name(NameError::Taken { name, pid }) => {
                Self::AlreadyStarted { name: name.into(), pid }
            }
            SpawnError::Name(error) => Self::Name(error),
            error => Self::Spawn(error),
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyStarted { name, pid } => write!(f, "{name} is already started as {pid}"),
            Self::Name(error) => error.fmt(f),
            Self::Init { reason } => write!(f, "`init` failed: {reason}"),
            Self::Ignored => f.write_str("`init` said that there is nothing to run"),
            Self::Timeout { after } => write!(f, "`init` did not return within {after:?}"),
            Self::Spawn(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

//! Bare processes that are started like servers: whoever starts one waits until it says that it is ready.
//!
//! # When to use it, and when not
//! For a process with a loop of its own, whose starter, a supervisor for instance, has to know that it runs. What answers requests is a
//! [GenServer](mod@crate::gen_server); what nobody waits for is [spawned](crate::process::spawn).
//!
//! ```
//! use ibeam::prelude::*;
//! use ibeam::proc_lib;
//!
//! Runtime::new().block_on(async {
//!     let (listener, port) = proc_lib::start_link(|starter| async move {
//!         let port = 6399_u16; // whatever takes its time
//!         starter.init_ack(port);
//!         loop {
//!             match proc_lib::terminate_asked(process::recv().await) {
//!                 Ok(reason) => return reason,
//!                 Err(message) => drop(message),
//!             }
//!         }
//!     })
//!     .await
//!     .unwrap();
//!     assert_eq!(port, 6399);
//!     proc_lib::stop(listener, ExitReason::Normal, Timeout::Infinity).await.unwrap();
//! });
//! ```
//!
//! # Erlang/OTP
//! `proc_lib`. Its crash reports, ancestors and labels belong to every process here, so there is no other `spawn`.

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;

use ibeam_runtime::__private::{Promise, promise};
use ibeam_runtime::process::{self, Spawn};
use ibeam_runtime::{CallError, Destination, ExitReason, Message, Pid, Reference, Termination, Timeout};

use crate::gen_server::{StartError, Watch, Word, gone, stop_call, take_stop};

/// How the new process tells its starter what became of it. Dropped without a word, the start fails when the process ends.
#[must_use = "the starter waits for it"]
pub struct Starter<T: 'static>(Promise<Told<T>>);

enum Told<T> {
    Ack(T),
    Fail(ExitReason),
}

impl<T: Send + 'static> Starter<T> {
    /// The process is ready: the start succeeds with `value`.
    ///
    /// # Erlang/OTP
    /// `proc_lib:init_ack/1`.
    pub fn init_ack(self, value: T) {
        self.0.keep(Told::Ack(value));
    }

    /// The start fails with `error`, and the process exits with `reason`. The starter goes on when the process is gone.
    ///
    /// # Panics
    /// Outside of a process.
    ///
    /// # Erlang/OTP
    /// `proc_lib:init_fail/2`.
    pub fn init_fail(self, error: ExitReason, reason: ExitReason) -> ! {
        self.0.keep(Told::Fail(error));
        process::exit(reason)
    }
}

impl<T> fmt::Debug for Starter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starter").finish_non_exhaustive()
    }
}

/// A process that is to be started: options, then `.await`, which gives its pid and what it
/// [acknowledges](Starter::init_ack) with.
///
/// # Errors
/// [`StartError::Init`]: it ended before, or said that it [failed](Starter::init_fail). [`StartError::Timeout`]: it took too long, and was
/// killed. In any case the process is gone then, and no [`Exit`](crate::Exit) of it is in the mailbox.
///
/// # Cancel safety
/// Dropping the future after its first poll leaves the process running.
#[must_use = "nothing is started until it is awaited"]
pub struct StartProcess<T, F> {
    run: F,
    spawn: Spawn,
    link: bool,
    timeout: Timeout,
    _value: std::marker::PhantomData<fn() -> T>,
}

/// A process that is not linked to the caller.
///
/// # Erlang/OTP
/// `proc_lib:start/3..5`.
pub fn start<T, F, Fut>(run: F) -> StartProcess<T, F>
where
    T: Send + 'static,
    F: FnOnce(Starter<T>) -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: Termination,
{
    StartProcess {
        run,
        spawn: process::builder(),
        link: false,
        timeout: Timeout::Infinity,
        _value: std::marker::PhantomData,
    }
}

/// A process that is linked to the calling one.
///
/// # Erlang/OTP
/// `proc_lib:start_link/3..5`.
pub fn start_link<T, F, Fut>(run: F) -> StartProcess<T, F>
where
    T: Send + 'static,
    F: FnOnce(Starter<T>) -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: Termination,
{
    StartProcess { link: true, ..start(run) }
}

impl<T, F, Fut> StartProcess<T, F>
where
    T: Send + 'static,
    F: FnOnce(Starter<T>) -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: Termination,
{
    /// How long it may take to acknowledge; a process that takes longer is killed. Default: as long as it likes.
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Name, priority and the other options of a [process](process::builder).
    pub fn options(mut self, options: Spawn) -> Self {
        self.spawn = options;
        self
    }

    /// Starts it, and monitors it from its first moment on. Of a start that fails no [`Down`](crate::Down) is left.
    ///
    /// # Errors
    /// As without the monitor.
    ///
    /// # Panics
    /// When polled outside of a process.
    ///
    /// # Erlang/OTP
    /// `proc_lib:start_monitor/3..5`.
    pub async fn monitored(self) -> Result<(Pid, T, Reference), StartError> {
        let (pid, value, monitor) = self.start(true).await?;
        Ok((pid, value, monitor.expect("asked for")))
    }

    async fn start(self, monitored: bool) -> Result<(Pid, T, Option<Reference>), StartError> {
        let Self { run, spawn, link, timeout, .. } = self;
        let spawn = if link { spawn.link() } else { spawn };
        let (starter, told) = promise(true);
        let body = async move { run(Starter(starter)).await.into_exit_reason() };
        let spawned = if monitored {
            spawn.try_spawn_monitor(body).map(|(pid, monitor)| (pid, Some(monitor.reference())))
        } else {
            spawn.try_spawn(body).map(|pid| (pid, None))
        };
        let (pid, monitor) = spawned.map_err(StartError::from_spawn)?;
        let mut monitor = Watch(monitor);
        let mut told = Word::new(told, timeout);
        let told = poll_fn(|cx| told.poll(pid, cx)).await;
        let monitor = monitor.keep();
        let error = match told {
            Ok(Told::Ack(value)) => return Ok((pid, value, monitor)),
            Ok(Told::Fail(reason)) => StartError::Init { reason },
            Err(error) => error,
        };
        gone(pid, monitor, link, &error).await;
        Err(error)
    }
}

impl<T, F, Fut> IntoFuture for StartProcess<T, F>
where
    T: Send + 'static,
    F: FnOnce(Starter<T>) -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: Termination,
{
    type Output = Result<(Pid, T), StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.start(false).await.map(|(pid, value, _)| (pid, value)) })
    }
}

impl<T, F> fmt::Debug for StartProcess<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartProcess").field("link", &self.link).finish_non_exhaustive()
    }
}

/// Asks a process to end with `reason`, and waits until it is gone. Servers of all kinds understand it, and bare processes that ask
/// [`terminate_asked`].
///
/// # Errors
/// [`CallError::Exited`] with another reason than the one asked for, [`CallError::NoProc`], or a timeout, after which the process may
/// still be ending. [`CallError::NoReply`]: it did not understand.
///
/// # Erlang/OTP
/// `proc_lib:stop/3`. Differs: a failure is an `Err` here, there it exits the caller.
pub async fn stop(
    process: impl Into<Destination>,
    reason: ExitReason,
    timeout: impl Into<Timeout>,
) -> Result<(), CallError> {
    stop_call(process.into(), reason, timeout.into()).await
}

/// Is this message the question of [`stop`]? Then the process should end with this reason, as soon as it can: who asked waits for that.
///
/// # Errors
/// The message, if it is another one.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `sys:handle_system_msg/6` with `{terminate, Reason}`.
pub fn terminate_asked(message: Message) -> Result<ExitReason, Message> {
    take_stop(message)
}

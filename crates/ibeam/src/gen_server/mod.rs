//! GenServer: a process that holds state and answers requests, one after the other.
//!
//! # When to use it, and when not
//! For what must be done one at a time: state that many share, a resource with one owner, a protocol with steps. Not to
//! organise code: a plain function needs no process, and one server that everything goes through is a bottleneck. State that
//! is mostly read belongs into a table, work that only has to be done into a task.
//!
//! # Two ways to write one
//! [`#[gen_server]`](macro@crate::gen_server) on an `impl` block makes a server of its functions, with a typed client. By
//! hand, a server implements [`GenServer`] and, for each request type, [`HandleCall`] or [`HandleCast`]:
//!
//! ```
//! use ibeam::prelude::*;
//!
//! struct Stack(Vec<i64>);
//! struct Push(i64);
//! struct Pop;
//!
//! impl GenServer for Stack {
//!     type Args = ();
//!     async fn init((): ()) -> Init<Self> {
//!         Init::ok(Stack(Vec::new()))
//!     }
//! }
//!
//! impl HandleCast<Push> for Stack {
//!     async fn handle_cast(&mut self, Push(item): Push) -> Next {
//!         self.0.push(item);
//!         Next::go_on()
//!     }
//! }
//!
//! impl HandleCall<Pop> for Stack {
//!     type Reply = Option<i64>;
//!     async fn handle_call(&mut self, _: Pop, _: CallFrom<Option<i64>>) -> Reply<Option<i64>> {
//!         Reply::now(self.0.pop())
//!     }
//! }
//!
//! Runtime::new().block_on(async {
//!     let stack = Stack::start(()).await.unwrap();
//!     stack.cast(Push(1));
//!     stack.cast(Push(2));
//!     assert_eq!(stack.call(Pop).await, Ok(Some(2)));
//! });
//! ```
//!
//! # The life of a server
//! ```text
//! start ──▶ init ──▶ message ──▶ callback ──▶ message ──▶ … ──▶ terminate ──▶ gone
//!             │                     │
//!             └ stop, ignore        └ continue, timeout, hibernate, stop; panic, exit
//! ```
//!
//! | what happens | `terminate` runs | the process exits with |
//! |---|---|---|
//! | a callback returns stop | yes | its reason |
//! | a callback panics, or calls [`exit`](crate::process::exit) | yes, with the state as the callback left it | the panic, or that reason |
//! | the parent exits, and the server traps exits | yes | the parent's reason |
//! | [`ServerRef::stop`] | yes | its reason |
//! | an exit signal, not trapped | no | its reason |
//! | `init` stops, panics, fails or ignores | no | its reason; normal when it fails with [`Init::error`] or ignores |
//!
//! The parent is who started the server with a link. It is told from others that the server is linked to: their exits, trapped, are
//! messages for [`handle_info`](GenServer::handle_info).
//!
//! # What the outcomes of callbacks do
//! | `init` returns | |
//! |---|---|
//! | [`Init::ok`] | The server runs, and the start succeeds. |
//! | `.timeout(t)`, `.hibernate()`, `.then(work)`, `.next(next)` | It runs, and this comes before its first message: as below. |
//! | [`Init::ignore`] | The start gives [`StartError::Ignored`], and a supervisor keeps the child without a process. |
//! | [`Init::stop`] | The start fails with this reason, and so does the process: who is linked to it hears of it. |
//! | [`Init::error`] | The start fails with this reason, but the process ends normally. |
//!
//! | `handle_call` returns | |
//! |---|---|
//! | [`Reply::now`] | The caller has its reply before anything else happens. |
//! | [`Reply::later`] | The caller waits on; whoever has the [`CallFrom`] replies, from any process or task. |
//! | either with `.next(…)`, `.timeout(…)`, `.hibernate()`, `.then(…)`, `.stop(…)` | The reply goes first, then this happens. |
//!
//! | every callback but `init` and `terminate` returns | |
//! |---|---|
//! | [`Next::go_on`] | The server waits for the next message. |
//! | [`Next::timeout`], [`Next::timeout_at`] | The same; if none has come by then, [`handle_timeout`](GenServer::handle_timeout) runs. |
//! | [`Next::hibernate`], [`Next::hibernate_for`] | It gives memory back while it waits; with a limit or without. |
//! | [`Next::then`] | [`handle_continue`](GenServer::handle_continue) runs at once, before any message. |
//! | [`Next::stop`] | `terminate` runs, and the process exits with this reason. |
//!
//! # Names
//! A server is started under a name with [`Start::name`]: a text is a name of its runtime, and [`NameRegistry::via`] gives a name in any
//! registry, the program's own included. [`ServerRef::named`] and [`ServerRef::via`] are looked up at each use. Who starts a server under a
//! name that is taken is told by whom: [`StartError::AlreadyStarted`].
//!
//! # What a restart does to messages and calls
//! One rule: **what a server leaves in its mailbox is not delivered, to nobody.** Messages and casts are dropped and counted
//! ([`UndeliveredCounts::left_at_death`]). Calls, those that it had begun too, end at once with the reason for which it
//! exited: [`CallError::Exited`]. The next server under the same name begins with an empty mailbox.
//!
//! While nobody has the name a call fails with [`CallError::NoProc`]; nothing was sent, so it can be tried again. A call
//! that says [`wait_for_name`](crate::process::Call::wait_for_name) waits for the next server of that name, up to its timeout. It is sent once:
//! a server that ends after it took the request ends the call.
//!
//! # Many requests at once
//! [`send_request`] sends the request of a call and returns at once. The response is received, waited for, or recognised among
//! the messages of the mailbox ([`RequestId`]); [`RequestIds`] does this for many requests, each with a label.
//!
//! # When it crashes
//! A server that ends with an abnormal reason says so through `tracing`, under the target `ibeam::gen_server`: its type, name and label,
//! the reason, the last message and who waits for its reply, and the state, as [`format_status`](GenServer::format_status) shows them. The
//! report of its process (`ibeam::crash`) follows. A message that no handler takes is logged there too, and dropped.
//!
//! [`NameRegistry::via`]: crate::NameRegistry::via
//! [`UndeliveredCounts::left_at_death`]: crate::UndeliveredCounts::left_at_death
//! [`CallError::Exited`]: crate::CallError::Exited
//! [`CallError::NoProc`]: crate::CallError::NoProc

mod dispatch;
mod enter;
mod name;
mod outcome;
mod requests;
mod run;
mod server_ref;
mod start;
mod status;

use std::future::Future;

use ibeam_runtime::{CallFrom, ExitReason, Message};

pub use dispatch::{CallMeta, CastMeta, Handler, Handling, InfoMeta};
pub(crate) use dispatch::{Sent, other, stop_call, take_stop};
pub use enter::{EnterLoop, NotRegistered};
pub use name::ServerName;
pub use outcome::{Continue, Init, Next, OrExit, Reply};
pub use requests::{Collected, RequestId, RequestIds, Response, send_request};
pub use server_ref::{Call, ServerRef};
pub use start::{Start, StartError};
pub(crate) use start::{Starting, Watch, Word, gone};
pub use status::ServerStatus;

use crate::supervisor::ServerChild;

/// A server: what it starts from, and what it does besides answering requests. See the [module](self).
///
/// # Erlang/OTP
/// The behaviour `gen_server`. Requests are types with a handler each ([`HandleCall`], [`HandleCast`]), not terms.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a GenServer",
    note = "put `#[gen_server]` on its `impl` block, or implement `GenServer` for it"
)]
pub trait GenServer: Sized + Send + 'static {
    /// What [`init`](Self::init) is given.
    type Args: Send + 'static;

    /// Makes the state, in the new process. Whoever starts the server waits until this returns.
    fn init(args: Self::Args) -> impl Future<Output = Init<Self>> + Send;

    /// One message. The macro overrides this with a match over the server's own messages.
    #[doc(hidden)]
    fn dispatch(&mut self, message: Message) -> impl Future<Output = Next> + Send {
        crate::__private::dispatch_other(self, message)
    }

    /// A message that is no request of this server's. By default it is logged, and dropped.
    ///
    /// # Erlang/OTP
    /// `handle_info/2`.
    fn handle_info(&mut self, message: Message) -> impl Future<Output = Next> + Send {
        dispatch::log_unexpected::<Self>(&message);
        async { Next::go_on() }
    }

    /// No message came within the time that the last callback gave: see [`Next::timeout`].
    ///
    /// By default this is logged, and nothing else.
    ///
    /// # Erlang/OTP
    /// `handle_info(timeout, State)`.
    fn handle_timeout(&mut self) -> impl Future<Output = Next> + Send {
        tracing::error!(
            target: "ibeam::gen_server",
            server = std::any::type_name::<Self>(),
            pid = %crate::process::self_pid(),
            "unexpected timeout: there is no `handle_timeout`"
        );
        async { Next::go_on() }
    }

    /// The work that `init` or a callback has put before the next message: see [`Next::then`].
    ///
    /// By default the server ends with an [`UndefinedCallback`]: work that nobody does is a mistake in the program.
    ///
    /// # Erlang/OTP
    /// `handle_continue/2`.
    fn handle_continue(&mut self, work: Continue) -> impl Future<Output = Next> + Send {
        drop(work);
        let server = std::any::type_name::<Self>();
        async move { Next::stop(ExitReason::error(UndefinedCallback { server, callback: "handle_continue" })) }
    }

    /// The last callback: see the [module](self) for when it runs. The state is dropped after it in any case.
    ///
    /// # Erlang/OTP
    /// `terminate/2`.
    fn terminate(&mut self, reason: &ExitReason) -> impl Future<Output = ()> + Send {
        let _ = reason;
        async {}
    }

    /// What reports show of this server. At first `status` has the name of the state's type, and the type of the last message; put
    /// there what is to be seen, and take out what is not. Used by the report of a crash.
    ///
    /// It must not wait, and if it panics a placeholder is shown and nothing else happens.
    ///
    /// ```
    /// use ibeam::gen_server::ServerStatus;
    /// use ibeam::prelude::*;
    ///
    /// struct Login {
    ///     user: String,
    ///     password: String,
    /// }
    ///
    /// impl GenServer for Login {
    ///     type Args = (String, String);
    ///     async fn init((user, password): (String, String)) -> Init<Self> {
    ///         Init::ok(Login { user, password })
    ///     }
    ///     fn format_status(&self, status: &mut ServerStatus) {
    ///         status.state = format!("Login of {}, password of {} bytes", self.user, self.password.len());
    ///     }
    /// }
    /// ```
    ///
    /// # Erlang/OTP
    /// `format_status/1`. Differs: the state is not shown as it is, for it need not be `Debug`.
    fn format_status(&self, status: &mut ServerStatus) {
        let _ = status;
    }

    /// The calling process, which exists, becomes this server: it handles messages until it ends, and then gives the reason, with
    /// which the process is to end too. [`init`](Self::init) does not run. The end of the process' parent, if it traps exits, ends it.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// struct Echo;
    ///
    /// #[gen_server]
    /// impl Echo {
    ///     fn init() -> Init<Self> {
    ///         Init::ok(Echo)
    ///     }
    ///     #[call]
    ///     fn echo(&mut self, text: &'static str) -> &'static str {
    ///         text
    ///     }
    /// }
    ///
    /// Runtime::new().block_on(async {
    ///     let pid = process::spawn(async { Echo.enter_loop().await });
    ///     assert_eq!(ServerRef::<Echo>::of(pid).echo("hello").await, Ok("hello"));
    /// });
    /// ```
    ///
    /// # Panics
    /// When polled outside of a process.
    ///
    /// # Erlang/OTP
    /// `gen_server:enter_loop/3..5`. Differs: it returns the reason rather than exits with it. Every process knows its parent, so any
    /// can become a server.
    fn enter_loop(self) -> EnterLoop<Self> {
        EnterLoop::new(self)
    }

    /// A server that is to be started, not linked to the caller.
    fn start(args: Self::Args) -> Start<Self> {
        Start::new(args, false)
    }

    /// A server that is to be started and linked to the calling process.
    fn start_link(args: Self::Args) -> Start<Self> {
        Start::new(args, true)
    }

    /// This server as a supervisor's child: its id is the type's name, the rest the defaults of [`ChildSpec`](crate::ChildSpec);
    /// each start begins with a copy of `args`. A server that is to have other defaults overrides this.
    ///
    /// # Erlang/OTP
    /// The `child_spec/1` that Elixir's `use GenServer` defines.
    fn child(args: Self::Args) -> ServerChild<Self>
    where
        Self::Args: Clone + Sync,
    {
        ServerChild::new(args)
    }
}

/// A server was to run a callback that it does not have.
///
/// # Erlang/OTP
/// The error `undef`. Only [`handle_continue`](GenServer::handle_continue) can be missing: what calls and casts need does not compile
/// without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UndefinedCallback {
    /// The server's type.
    pub server: &'static str,
    /// The callback.
    pub callback: &'static str,
}

impl std::fmt::Display for UndefinedCallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` has no `{}`", self.server, self.callback)
    }
}

impl std::error::Error for UndefinedCallback {}

/// Answers requests of type `Q`: [`ServerRef::call`].
///
/// # Erlang/OTP
/// A clause of `handle_call/3`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not answer calls with `{Q}`",
    note = "implement `HandleCall<{Q}>` for `{Self}`, or make it a `#[call]` of its `#[gen_server]` block"
)]
pub trait HandleCall<Q: Send + 'static>: GenServer {
    /// What comes back.
    type Reply: Send + 'static;

    /// Handles a request. `from` is for replies that come later, from wherever; who replies with [`Reply::now`] needs it not.
    fn handle_call(
        &mut self,
        request: Q,
        from: CallFrom<Self::Reply>,
    ) -> impl Future<Output = Reply<Self::Reply>> + Send;
}

/// Handles requests of type `Q` that have no reply: [`ServerRef::cast`].
///
/// # Erlang/OTP
/// A clause of `handle_cast/2`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle casts of `{Q}`",
    note = "implement `HandleCast<{Q}>` for `{Self}`, or make it a `#[cast]` of its `#[gen_server]` block"
)]
pub trait HandleCast<Q: Send + 'static>: GenServer {
    /// Handles a request.
    fn handle_cast(&mut self, request: Q) -> impl Future<Output = Next> + Send;
}

/// Handles messages of type `Q` that are sent with [`ServerRef::send`].
///
/// The same type sent to the server's pid arrives in [`GenServer::handle_info`], unless the server is made by the macro.
///
/// # Erlang/OTP
/// A clause of `handle_info/2`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no handler for messages of type `{Q}`",
    note = "implement `HandleInfo<{Q}>` for `{Self}`, or make it an `#[info]` of its `#[gen_server]` block"
)]
pub trait HandleInfo<Q: Send + 'static>: GenServer {
    /// Handles a message.
    fn handle_info(&mut self, message: Q) -> impl Future<Output = Next> + Send;
}

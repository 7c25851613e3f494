//! Agent: a process that holds a value, and applies functions to it.
//!
//! # When to use it, and when not
//! For a value that several processes share and nothing else is to be said about: a counter, a cache of settings, what a test collects.
//! What decides by itself, has timers, or is told by others what happened is a [`GenServer`](mod@crate::gen_server). A value
//! that is read much more often than it changes belongs into a table, where readers do not stand in line.
//!
//! ```
//! use ibeam::prelude::*;
//! use std::collections::HashMap;
//!
//! Runtime::new().block_on(async {
//!     let stock = Agent::start(|| HashMap::from([("apples", 3)])).name("stock").await.unwrap();
//!     stock.update(|stock| *stock.entry("pears").or_insert(0) += 2).await.unwrap();
//!     assert_eq!(stock.get(|stock| stock["pears"]).await, Ok(2));
//!     assert_eq!(stock.get_and_update(|stock| stock.remove("apples")).await, Ok(Some(3)));
//!
//!     let same = AgentRef::<HashMap<&str, i32>>::named("stock");
//!     same.cast(|stock| stock.clear());
//!     assert_eq!(stock.get(HashMap::len).await, Ok(0));
//! });
//! ```
//!
//! # Where the functions run
//! In the agent's process, one after the other, in the order in which they came. While one runs, all others wait: work that takes long, and
//! does not need the value itself, is done before or after by who asks.
//!
//! ```
//! # use ibeam::prelude::*;
//! # fn render(_: &[u32]) -> String { String::new() }
//! # Runtime::new().block_on(async {
//! # let agent = Agent::start(|| vec![1_u32, 2]).await.unwrap();
//! // The agent is busy while it renders.
//! let page = agent.get(|rows| render(rows)).await.unwrap();
//! // It is busy while it makes the copy; the caller renders.
//! let page = render(&agent.get(|rows| rows.clone()).await.unwrap());
//! # assert_eq!(page, "");
//! # });
//! ```
//!
//! The functions whose names end in `_async` take async closures: the agent waits within them for what it needs to get on with its
//! value, and for nothing else meanwhile.
//!
//! # Rules
//! 1. What one process asks is done in the order in which it asked, casts among it.
//! 2. A function that panics or [exits](crate::process::exit) ends the agent with that reason. Its caller gets the reason in a
//!    [`CallError::Exited`](crate::CallError::Exited), and so do all who wait.
//! 3. A caller that does not wait any more, for its time was up, does not stop its function: it runs when its turn comes.
//! 4. A plain closure travels in the allocation of its request, and there is no other. An async one costs one more, for its future.
//!
//! # In a supervisor
//! ```
//! use ibeam::prelude::*;
//!
//! Runtime::new().block_on(async {
//!     let counter = Agent::child(|| 0_u64).name("counter");
//!     let _top = Supervisor::new(Strategy::OneForOne).child(counter).start_link().await.unwrap();
//!     let counter = AgentRef::<u64>::named("counter");
//!     assert_eq!(counter.get_and_update(|count| std::mem::replace(count, 1)).await, Ok(0));
//! });
//! ```
//! A restarted agent begins with its first value again.
//!
//! # Erlang/OTP
//! Elixir's `Agent`. Differs: functions change the value in place rather than return the next one; a failed call is an `Err` rather than
//! the end of the caller ([`or_exit`](crate::OrExit::or_exit) does that). Module, function and arguments are a closure.

mod agent_ref;
mod function;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

pub use agent_ref::{AgentCall, AgentRef};
pub use function::{AsyncFunction, Function, Get, GetAsync, OfCall, OfCast, Update, UpdateAsync};

use crate::gen_server::{GenServer, Init, Start};
use crate::supervisor::ServerChild;

/// A process that holds a `T`. See the [module](self).
///
/// It is a [`GenServer`] whose requests are functions: [`AgentRef`] has them, and [`Start`] the options of a start.
pub struct Agent<T> {
    state: T,
}

/// An agent that is to be started: options, then `.await`, which gives its [`AgentRef`].
pub type StartAgent<T> = Start<Agent<T>, AgentRef<T>>;

/// Makes the first value of an agent, in its process.
pub struct Initial<T>(Box<dyn FnOnce() -> First<T> + Send>);

type First<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T> Initial<T> {
    fn new<F, Fut>(init: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        Self(Box::new(|| Box::pin(init())))
    }
}

impl<T> fmt::Debug for Initial<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Initial<{}>", std::any::type_name::<T>())
    }
}

impl<T: Send + 'static> GenServer for Agent<T> {
    type Args = Initial<T>;

    async fn init(initial: Initial<T>) -> Init<Self> {
        Init::ok(Agent { state: initial.0().await })
    }
}

impl<T: Send + 'static> Agent<T> {
    /// An agent that is to be started and linked to the calling process: options, then `.await`. `init` makes its value, in its
    /// process; the start is over when it has returned.
    ///
    /// # Errors
    /// See [`StartError`](crate::StartError); a panic of `init` is [`StartError::Init`](crate::StartError::Init).
    ///
    /// ```
    /// # use ibeam::prelude::*;
    /// # Runtime::new().block_on(async {
    /// let agent = Agent::start_link(|| vec![1, 2]).name("numbers").await.unwrap();
    /// assert_eq!(agent.get(|numbers| numbers.len()).await, Ok(2));
    ///
    /// let taken = Agent::start_link(Vec::<i32>::new).name("numbers").await;
    /// assert!(matches!(taken, Err(StartError::AlreadyStarted { .. })));
    /// # });
    /// ```
    ///
    /// # Erlang/OTP
    /// `Agent.start_link/2`.
    pub fn start_link(init: impl FnOnce() -> T + Send + 'static) -> StartAgent<T> {
        <Self as GenServer>::start_link(Initial::new(|| async { init() })).giving()
    }

    /// As [`start_link`](Self::start_link), not linked to the caller, who need not be a process.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    ///
    /// # Erlang/OTP
    /// `Agent.start/2`.
    pub fn start(init: impl FnOnce() -> T + Send + 'static) -> StartAgent<T> {
        <Self as GenServer>::start(Initial::new(|| async { init() })).giving()
    }

    /// As [`start_link`](Self::start_link), with a first value that is waited for.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    pub fn start_link_async<F, Fut>(init: F) -> StartAgent<T>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        <Self as GenServer>::start_link(Initial::new(init)).giving()
    }

    /// As [`start`](Self::start), with a first value that is waited for.
    ///
    /// ```
    /// # use ibeam::prelude::*;
    /// # async fn load() -> u64 { 42 }
    /// # Runtime::new().block_on(async {
    /// let agent = Agent::start_async(async || load().await).await.unwrap();
    /// assert_eq!(agent.get(|loaded| *loaded).await, Ok(42));
    /// # });
    /// ```
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    pub fn start_async<F, Fut>(init: F) -> StartAgent<T>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        <Self as GenServer>::start(Initial::new(init)).giving()
    }

    /// An agent as a supervisor's child: `init` makes its value at each start. Its id is the type's name, the rest the defaults of
    /// [`ChildSpec`](crate::ChildSpec); all can be given other values.
    ///
    /// # Erlang/OTP
    /// `Agent.child_spec/1`.
    pub fn child(init: impl Fn() -> T + Clone + Send + Sync + 'static) -> ServerChild<Self> {
        ServerChild::from_start(move || Self::start_link(init.clone()).giving())
    }

    /// As [`child`](Self::child), with a first value that is waited for.
    pub fn child_async<F, Fut>(init: F) -> ServerChild<Self>
    where
        F: Fn() -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        ServerChild::from_start(move || Self::start_link_async(init.clone()).giving())
    }
}

impl<T: fmt::Debug> fmt::Debug for Agent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Agent").field(&self.state).finish()
    }
}

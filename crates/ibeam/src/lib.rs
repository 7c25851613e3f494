//! Erlang/OTP and the process model of Elixir, for Rust.
//!
//! Light processes that share nothing, are linked, monitored and supervised, and the behaviours that programs are built
//! from. Every concept has OTP's name and OTP's semantics; where they differ, the item says so under "Erlang/OTP".
//!
//! ```
//! use ibeam::prelude::*;
//!
//! pub struct Counter {
//!     value: i64,
//! }
//!
//! #[gen_server]
//! impl Counter {
//!     async fn init(start: i64) -> Init<Self> {
//!         Init::ok(Counter { value: start })
//!     }
//!
//!     /// Adds `by` and returns the new value.
//!     #[call]
//!     async fn increment(&mut self, by: i64) -> i64 {
//!         self.value += by;
//!         self.value
//!     }
//!
//!     #[cast]
//!     async fn reset(&mut self) {
//!         self.value = 0;
//!     }
//! }
//!
//! #[ibeam::main]
//! async fn main() -> Result<(), ExitReason> {
//!     let counter = Counter::start_link(40).name("counter").await?;
//!     assert_eq!(counter.increment(2).await?, 42);
//!     counter.reset();
//!     let same = ServerRef::<Counter>::named("counter");
//!     assert_eq!(same.increment(1).await?, 1);
//!     Ok(())
//! }
//! ```
//!
//! | for | see |
//! |---|---|
//! | processes: spawn, send, receive, link, monitor | [`process`], [`receive!`] |
//! | servers with state | [`gen_server`](mod@gen_server) |
//! | bare processes that are waited for | [`proc_lib`] |
//! | a value that processes share | [`agent`] |
//! | work that is done once | [`task`], [`task_supervisor`] |
//! | restarting what crashes | [`supervisor`] |
//! | children that come and go | [`dynamic_supervisor`] |
//! | the same child several times, by key | [`partition_supervisor`] |
//! | processes by key, one or many per key | [`registry`] |
//! | messages for all who listen to a topic | [`pubsub`] |
//! | runtimes and their settings | [`Runtime`] |
//! | tests on a virtual clock, simulation | [`inline`], [`sim`] |

// The macros name this crate by its path, in its own documentation and tests too.
extern crate self as ibeam;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod agent;
pub mod dynamic_supervisor;
pub mod gen_server;
pub mod partition_supervisor;
pub mod prelude;
pub mod proc_lib;
pub mod pubsub;
pub mod registry;
pub mod supervisor;
pub mod task;
pub mod task_supervisor;

#[doc(no_inline)]
pub use agent::{Agent, AgentRef};
#[doc(no_inline)]
pub use dynamic_supervisor::{DynamicChildError, DynamicStartError, DynamicSupervisor, DynamicSupervisorRef};
#[doc(no_inline)]
pub use gen_server::{
    Call, CallMeta, Continue, GenServer, HandleCall, HandleCast, HandleInfo, Init, Next, OrExit, Reply,
    ServerRef, Start, StartError,
};
pub use ibeam_macros::{call, cast, gen_server, info, main, receive};
pub use ibeam_runtime::{
    Alias, AliasMode, CallError, CallFrom, Destination, Down, Entered, ErrorReason, Exit, ExitReason,
    Instant, Interval, KeyTaken, Message, Metrics, Monitor, Name, NameError, NameRegistry, Overflow,
    PanicReason, Pid, Priority, ReasonValue, Reference, Runtime, RuntimeBuilder, SendError, ShutdownError,
    SpawnError, TaggedDown, Target, Termination, Timeout, Timer, TimerFired, TrySendError, UndeliveredCounts,
    Value, Via, inline, metrics, process, sim,
};
#[doc(no_inline)]
pub use partition_supervisor::{PartitionSupervisor, PartitionSupervisorRef, ResizeError};
#[doc(no_inline)]
pub use pubsub::{BroadcastError, PubSub, SubscribeError};
#[doc(no_inline)]
pub use registry::{RegisterError, Registry, RegistryEvent};
#[doc(no_inline)]
pub use supervisor::{
    ChildSpec, Restart, Shutdown, Strategy, Supervise, Supervisor, SupervisorInit, SupervisorRef,
};
#[doc(no_inline)]
pub use task::{OnTimeout, RunTask, Task, TaskEnded, TaskError, TaskStream};
#[doc(no_inline)]
pub use task_supervisor::{TaskSupervisor, TaskSupervisorRef};

/// The examples of the README, which are tests here.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

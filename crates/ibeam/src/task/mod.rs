//! Task: a process for one piece of work, whose value somebody wants, or nobody.
//!
//! ```
//! use ibeam::prelude::*;
//!
//! Runtime::new().block_on(async {
//!     let page = Task::spawn(async { "<html>".to_owned() }); // runs from here on, on whatever core is free
//!     let stylesheet = Task::spawn(async { "p {}".to_owned() });
//!     assert_eq!(page.await.unwrap() + &stylesheet.await.unwrap(), "<html>p {}");
//! });
//! ```
//!
//! # When to use it, and when not
//! To do something beside what a process does already: to ask two services at once, to use all cores for a list, to keep a
//! server free while something takes long. Who needs state over several messages wants a [GenServer](mod@crate::gen_server). Who waits
//! for several futures that do nothing but wait can `join!` them in one process; a task pays where the work computes, may
//! crash, may block, or has to be stopped from outside.
//!
//! | wanted | use |
//! |---|---|
//! | its value, in a moment | [`Task::spawn`], then `.await` |
//! | its value as a message, in a server | [`Task::into_message`] |
//! | several values | [`Task::await_many`], [`Task::yield_many`] |
//! | a value for each item of a list, some at once | [`Task::stream`] |
//! | no value; its crash concerns nobody | [`Task::start`] |
//! | no value, in a supervision tree | [`Task::child`], [`RunTask`] |
//! | a supervisor for all the tasks | [`TaskSupervisor`](mod@crate::task_supervisor) |
//!
//! # Rules
//! 1. A task belongs to the process that spawned it, its owner: only that can await it. An attempt of somebody else panics, and
//!    names task, owner and caller.
//! 2. [`spawn`](Task::spawn) links the two: the crash of one is the end of the other. An owner that does not trap exits never gets to
//!    see the error of a task that crashed; one that does gets the error, and an [`Exit`](crate::Exit) message too, as from any link.
//! 3. A value is there once the task's future is over: its destructors have run.
//! 4. An await that fails is an `Err`. [`or_exit`](crate::gen_server::OrExit::or_exit) makes it what it is in Elixir, the end of the owner.
//! 5. Whoever stops waiting, by a timeout or by dropping the handle, does not stop the task. [`shutdown`](Task::shutdown) does.
//!
//! # Erlang/OTP
//! Elixir's `Task`. Differs: the value does not come as a message, so nothing is left in the mailbox of an owner that does not want
//! it any more, and what waits for messages does not wake up for it.

mod error;
mod handle;
mod many;
mod message;
mod shutdown;
mod start;
pub mod stream;

pub use error::TaskError;
pub use handle::{Await, Task, TaskOutcome, YieldFor};
pub use many::{AwaitMany, OnYieldTimeout, YieldMany};
pub use message::TaskEnded;
pub use start::RunTask;
#[doc(no_inline)]
pub use stream::{OnTimeout, TaskStream};

//! TaskSupervisor: tasks as children of a supervisor, linked to whoever wants their value or not.
//!
//! # When to use it, and when not
//! For all tasks of a program that lives on: so it is known which there are and how many, and they end with the part of the
//! program that they belong to, in order. A server that must not crash with its tasks starts them with
//! [`spawn_nolink`](TaskSupervisorRef::spawn_nolink). In a script or a test [`Task::spawn`](crate::Task::spawn) will do: it costs no message to a
//! supervisor.
//!
//! ```
//! use ibeam::prelude::*;
//! use std::collections::HashMap;
//!
//! /// Answers each question when its task has the answer, and is free meanwhile.
//! struct Oracle {
//!     tasks: TaskSupervisorRef,
//!     waiting: HashMap<Reference, CallFrom<String>>,
//! }
//!
//! #[gen_server]
//! impl Oracle {
//!     async fn init(tasks: TaskSupervisorRef) -> Init<Self> {
//!         Init::ok(Oracle { tasks, waiting: HashMap::new() })
//!     }
//!
//!     #[call]
//!     async fn ask(&mut self, question: String, from: CallFrom<String>) -> Reply<String> {
//!         let task = self.tasks.spawn_nolink(async move { question.replace('?', "!") }).await.unwrap();
//!         self.waiting.insert(task.into_message(), from);
//!         Reply::later()
//!     }
//!
//!     #[info]
//!     async fn answered(&mut self, task: TaskEnded<String>) {
//!         let Some(from) = self.waiting.remove(&task.task) else { return };
//!         from.reply(task.outcome.unwrap_or_else(|_crash| "ask again".to_owned()));
//!     }
//! }
//!
//! Runtime::new().block_on(async {
//!     let top = Supervisor::new(Strategy::OneForOne).child(TaskSupervisor::new("tasks"));
//!     let _top = top.start_link().await.unwrap();
//!     let oracle = Oracle::start_link(TaskSupervisorRef::named("tasks")).await.unwrap();
//!     assert_eq!(oracle.ask("why?".to_owned()).await.unwrap(), "why!");
//! });
//! ```
//!
//! | wanted | use |
//! |---|---|
//! | its value; its crash is the caller's | [`spawn`](TaskSupervisorRef::spawn) |
//! | its value; its crash is an error | [`spawn_nolink`](TaskSupervisorRef::spawn_nolink) |
//! | no value | [`start_child`](TaskSupervisorRef::start_child) |
//! | no value, but that it is done at last | [`start_child_with`](TaskSupervisorRef::start_child_with) |
//!
//! # Where a task comes from
//! Its [ancestors](crate::process::ancestors) are the supervisor and those of the supervisor; its [callers](crate::process::callers) are who
//! started it, and those that one works for. A crash report shows both.
//!
//! # Where one supervisor is not enough
//! Each start is a message to the supervisor and waits for its answer. A
//! [`PartitionSupervisor`](mod@crate::partition_supervisor) of task supervisors spreads that.
//!
//! # Erlang/OTP
//! Elixir's `Task.Supervisor`, a [dynamic supervisor](mod@crate::dynamic_supervisor) here too.

mod recipe;
mod spawn;
mod start;
mod supervisor_ref;

pub use recipe::Tasks;
pub(crate) use spawn::{Bond, start_body};
pub use spawn::{SpawnTask, StartTask};
pub use start::{StartTaskSupervisor, TaskSupervisor};
pub use supervisor_ref::TaskSupervisorRef;

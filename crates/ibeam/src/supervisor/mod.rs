//! Supervisors: processes that start others, and start them again when they end.
//!
//! # When to use one, and when not
//! For every process that has to be there. What crashes is restarted from its first arguments, by someone who does nothing
//! else and so does not crash with it. A process whose end is its caller's business alone needs a link or a monitor, not a
//! supervisor.
//!
//! ```
//! use ibeam::prelude::*;
//! use std::time::Duration;
//!
//! struct Worker;
//!
//! #[gen_server]
//! impl Worker {
//!     async fn init() -> Init<Self> {
//!         Init::ok(Worker)
//!     }
//!
//!     #[call]
//!     async fn ping(&mut self) -> &'static str {
//!         "pong"
//!     }
//! }
//!
//! Runtime::new().block_on(async {
//!     let supervisor = Supervisor::new(Strategy::OneForOne)
//!         .intensity(3, Duration::from_secs(5))
//!         .child(ChildSpec::server("worker", || Worker::start_link().name("worker")))
//!         .start_link()
//!         .await
//!         .unwrap();
//!
//!     let worker = ServerRef::<Worker>::named("worker");
//!     let first = worker.pid().unwrap();
//!     let monitor = process::monitor(first);
//!     process::kill(first);
//!     receive! { Down { monitor: gone, .. } if gone == monitor => {} }
//!
//!     // The children are asked for behind the restart, so it is over now.
//!     let children = supervisor.which_children().await.unwrap();
//!     assert_eq!(children[0].id, "worker");
//!     assert_ne!(children[0].pid, Some(first));
//!     assert_eq!(worker.ping().await, Ok("pong"));
//! });
//! ```
//!
//! # What it does when a child ends
//! | restart | child ended normally or by shutdown | child ended otherwise |
//! |---|---|---|
//! | [`Permanent`](Restart::Permanent) | restarts it | restarts it |
//! | [`Transient`](Restart::Transient) | forgets its process, keeps the child | restarts it |
//! | [`Temporary`](Restart::Temporary) | forgets the child | forgets the child |
//!
//! | strategy | a restart of one child concerns | for children that |
//! |---|---|---|
//! | [`OneForOne`](Strategy::OneForOne) | that child | do not need each other |
//! | [`RestForOne`](Strategy::RestForOne) | it and those that were started after it | need those before them |
//! | [`OneForAll`](Strategy::OneForAll) | all of them | all need each other |
//!
//! Whom a restart concerns is stopped in reverse order, each as its child says, and started in order; temporary ones among them are only
//! stopped. Children that ended before, or were stopped by hand, are started with them.
//!
//! More than `max_restarts` restarts within `max_seconds` are too many: the supervisor stops its children and ends with
//! [`ExitReason::Shutdown`](crate::ExitReason::Shutdown), which is its own supervisor's business then. Its last report names the child and the reasons that used the
//! budget up.
//!
//! # When a restart fails
//! The child is tried again, which counts as a restart each time, until it starts or the budget is used up. Between two tries
//! the supervisor answers others: the child is `restarting` in [`which_children`](SupervisorRef::which_children), and can be
//! terminated. With [`Backoff`], tries are some time apart and do not count.
//!
//! # What becomes of a dead child's mailbox
//! Messages that it has not received are undelivered, and counted as such ([`UndeliveredCounts`](crate::UndeliveredCounts)); calls among them end with
//! its exit reason. The next incarnation begins with an empty mailbox. There is a moment in which the name is nobody's: a call by name
//! gets [`CallError::NoProc`](crate::CallError::NoProc) then, or waits for the next incarnation if it is
//! told to ([`wait_for_name`](crate::process::Call::wait_for_name)).
//!
//! # A tree
//! A supervisor is a child like any other:
//!
//! ```
//! use ibeam::prelude::*;
//!
//! fn worker(id: &str) -> ChildSpec {
//!     ChildSpec::new(id, || async { Ok(process::spawn_link(std::future::pending::<()>())) })
//! }
//!
//! Runtime::new().block_on(async {
//!     let readers = Supervisor::new(Strategy::OneForOne).child(worker("first")).child(worker("second"));
//!     let app = Supervisor::new(Strategy::RestForOne)
//!         .child(worker("writer"))
//!         .child(readers.into_child("readers"))
//!         .start_link()
//!         .await
//!         .unwrap();
//!
//!     // The newest comes first.
//!     let ids: Vec<_> = app.which_children().await.unwrap().into_iter().map(|child| child.id).collect();
//!     assert_eq!(ids, ["readers", "writer"]);
//!
//!     app.terminate_child("readers").await.unwrap();
//!     assert_eq!(app.count_children().await.unwrap().active, 1);
//!     app.restart_child("readers").await.unwrap();
//!     app.stop(ExitReason::Normal, None).await.unwrap();
//! });
//! ```
//!
//! [`tree`] shows one that runs, whatever kinds of supervisors it consists of.
//!
//! # Reports
//! Through `tracing`, target `ibeam::supervisor`; nothing is put into words unless somebody listens.
//!
//! | field | what | in |
//! |---|---|---|
//! | `supervisor`, `supervisor_pid`, `supervisor_module` | its name or else its pid; its pid; its type | all |
//! | `error_context` | `start_error`, `child_terminated`, `shutdown_error` or `shutdown` (too many restarts) | errors |
//! | `reason` | why, in words | errors |
//! | `progress` | `true`: a child has started. At level info, or debug if it was started by hand | progress |
//! | `child`, `child_pid` | its id; its process, if it had one | all |
//! | `restart`, `significant`, `shutdown`, `kind`, `module` | its specification | all |

pub(crate) mod backoff;
mod builder;
pub(crate) mod child_check;
pub(crate) mod child_exit;
pub(crate) mod child_report;
pub(crate) mod child_spec;
pub(crate) mod child_start;
pub(crate) mod child_stop;
mod children;
pub(crate) mod intensity;
mod server;
mod supervisor_ref;
pub(crate) mod tree;

pub use backoff::Backoff;
pub use builder::{StartSupervisor, Supervise, Supervisor, SupervisorInit};
pub use child_check::{SpecError, check_child_specs};
pub use child_spec::{
    ChildId, ChildSettings, ChildSpec, IntoChildSpec, Kind, Restart, ServerChild, Shutdown, Significant,
    StartedChild,
};
pub use supervisor_ref::{
    ChildCounts, ChildError, ChildInfo, DeleteChildError, FailedToStartChild, RestartChildError,
    StartChildError, SupervisorRef,
};
pub use tree::{Below, TreeNode, TreeWalk, tree};

/// Whom a child's restart concerns besides the child itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Nobody.
    #[default]
    OneForOne,
    /// All other children.
    OneForAll,
    /// The children that were added after it.
    RestForOne,
}

/// Does a supervisor end when its significant children have?
///
/// Only ends count that are a child's own: one that a supervisor stops, or restarts, ends nobody. A supervisor that ends so stops
/// its other children and ends with [`ExitReason::Shutdown`](crate::ExitReason::Shutdown)(crate::ExitReason::Shutdown).
///
/// # Erlang/OTP
/// The flag `auto_shutdown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// Never; a significant child is refused.
    #[default]
    Never,
    /// When one of them has ended.
    AnySignificant,
    /// When the last of them has ended.
    AllSignificant,
}

//! Why a task has brought no value.

use std::fmt;
use std::time::Duration;

use ibeam_runtime::{ExitReason, Pid, process};

use crate::gen_server::OrExit;

/// Why awaiting a task has brought no value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TaskError {
    /// The task ended without a value.
    Exited {
        /// The task.
        pid: Pid,
        /// Why.
        reason: ExitReason,
    },
    /// It took too long. The task goes on; its value will be dropped.
    Timeout {
        /// The task.
        pid: Pid,
        /// How long it was waited for.
        after: Duration,
    },
    /// Its outcome was taken before, by [`yield_for`](super::Task::yield_for) or one of its likes.
    Taken {
        /// The task, which has ended.
        pid: Option<Pid>,
    },
}

impl TaskError {
    /// The reason that a process exits with if it does not survive this error.
    #[must_use]
    pub fn into_exit_reason(self) -> ExitReason {
        match self {
            Self::Exited { reason, .. } => reason,
            Self::Timeout { .. } => ExitReason::Timeout,
            Self::Taken { .. } => ExitReason::NoProc,
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { pid, reason } => write!(f, "task {pid} ended without a value: {reason}"),
            Self::Timeout { pid, after } => write!(f, "task {pid} did not end within {after:?}"),
            Self::Taken { pid: Some(pid) } => write!(f, "the outcome of task {pid} was taken before"),
            Self::Taken { pid: None } => f.write_str("the outcome of the task was taken before"),
        }
    }
}

impl std::error::Error for TaskError {}

impl<T> OrExit<T> for Result<T, TaskError> {
    fn or_exit(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => process::exit(error.into_exit_reason()),
        }
    }
}

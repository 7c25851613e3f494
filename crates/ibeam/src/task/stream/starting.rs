//! How a stream starts the task of an item: by itself, or through a supervisor.

use std::future::Future;
use std::pin::Pin;

use ibeam_runtime::__private::{Answer, answering};
use ibeam_runtime::process::{self, traps_exits};
use ibeam_runtime::{ExitReason, Pid};

use crate::dynamic_supervisor::DynamicSupervisorRef;
use crate::supervisor::Shutdown;
use crate::task::Task;
use crate::task_supervisor::{Bond, SpawnTask, Tasks};

/// A start through a supervisor that is under way. `Err`: why there is no task.
pub(super) type Start<T> = Pin<Box<dyn Future<Output = Result<(Pid, Answer<T>), ExitReason>> + Send>>;

/// Who the parent of the tasks is.
#[derive(Clone, Debug)]
pub(crate) enum Parent {
    /// The stream's owner.
    Owner,
    /// A supervisor.
    Supervisor { supervisor: DynamicSupervisorRef<Tasks>, link: bool, shutdown: Shutdown },
}

impl Parent {
    /// A task has failed by itself, which the owner has survived so far: it traps exits, or did so then, or has not heard of it
    /// while it waited for others (see `hold_until`).
    pub(super) fn failed(&self, reason: &ExitReason) {
        let linked = !matches!(self, Self::Supervisor { link: false, .. });
        if linked && !reason.is_normal() && !traps_exits() {
            process::exit(reason.clone());
        }
    }
}

/// Starts a task of the stream's owner.
///
/// # Panics
/// Where [`process::spawn`] does.
#[inline]
pub(super) fn spawn<F>(future: F) -> (Pid, Answer<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (body, answer) = answering(future, None);
    (process::builder().on_behalf().crash_is_callers().spawn(body), answer)
}

/// Has a supervisor start a task.
pub(super) fn start<F>(
    supervisor: &DynamicSupervisorRef<Tasks>,
    link: bool,
    shutdown: Shutdown,
    future: F,
) -> Start<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let supervisor = supervisor.clone();
    Box::pin(async move {
        let bond = if link { Bond::Crash } else { Bond::None };
        let started = SpawnTask::start(&supervisor, future, bond, shutdown).await;
        Ok(started.map_err(ExitReason::error)?.into_parts())
    })
}

impl<T: Send + 'static> Task<T> {
    /// Of a task that was started a moment ago.
    fn into_parts(self) -> (Pid, Answer<T>) {
        match (self.pid, self.answer) {
            (Some(pid), crate::task::handle::Owed::ByProcess(answer)) => (pid, answer),
            _ => unreachable!("it has a process, and nobody has waited for it"),
        }
    }
}

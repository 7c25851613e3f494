//! How a stream starts the task of an item: by itself, or through a supervisor.

use std::future::Future;
use std::pin::Pin;

use ibeam_runtime::process::{self, traps_exits};
use ibeam_runtime::{ExitReason, Pid};

use crate::dynamic_supervisor::DynamicSupervisorRef;
use crate::supervisor::Shutdown;
use crate::task_supervisor::{Bond, Tasks, start_body};

/// A start through a supervisor that is under way. `Err`: why there is no task.
pub(super) type Start = Pin<Box<dyn Future<Output = Result<Pid, ExitReason>> + Send>>;

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
pub(super) fn spawn(body: impl Future<Output = ExitReason> + Send + 'static) -> Pid {
    process::builder().on_behalf().crash_is_callers().in_passing().spawn(body)
}

/// Has a supervisor start a task.
pub(super) fn start(
    supervisor: &DynamicSupervisorRef<Tasks>,
    link: bool,
    shutdown: Shutdown,
    body: impl Future<Output = ExitReason> + Send + 'static,
) -> Start {
    let supervisor = supervisor.clone();
    Box::pin(async move {
        let bond = if link { Bond::Crash } else { Bond::None };
        start_body(&supervisor, body, bond, shutdown).await.map_err(ExitReason::error)
    })
}

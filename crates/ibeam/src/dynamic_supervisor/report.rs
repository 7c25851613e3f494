//! What a dynamic supervisor says through `tracing`: the events of [`child_report`](crate::supervisor::child_report), without
//! a `child`, because its children have no ids.

use std::fmt::Display;

use ibeam_runtime::{Pid, process};

use super::children::{Child, Children};
use crate::supervisor::child_report::{ErrorContext, Supervisor, TARGET};

/// An error report. `module`: the type of the supervisor.
pub(super) fn error<K>(
    module: &'static str,
    context: ErrorContext,
    children: &Children<K>,
    child: &Child<K>,
    pid: Pid,
    reason: &dyn Display,
) {
    tracing::error!(
        target: TARGET,
        supervisor = %Supervisor,
        supervisor_pid = %process::self_pid(),
        supervisor_module = module,
        error_context = context.as_str(),
        reason = %reason,
        child_pid = %pid,
        restart = %child.restart(),
        shutdown = %child.shutdown(),
        kind = %child.kind(),
        module = children.implemented_by(child),
        "{} {pid} {}: {reason}",
        children.implemented_by(child).unwrap_or("child"),
        context.in_words(),
    );
}

/// How loud a progress report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Restarted.
    Info,
    /// Started by hand.
    Debug,
}

/// The child with this pid has started.
pub(super) fn progress<K>(level: Progress, module: &'static str, children: &Children<K>, pid: Pid) {
    macro_rules! report {
        ($level:ident) => {
            tracing::$level!(
                target: TARGET,
                progress = true,
                supervisor = %Supervisor,
                supervisor_pid = %process::self_pid(),
                supervisor_module = module,
                child_pid = %pid,
                restart = children.get(pid).map(|child| display(child.restart())),
                shutdown = children.get(pid).map(|child| display(child.shutdown())),
                kind = children.get(pid).map(|child| display(child.kind())),
                module = children.get(pid).and_then(|child| children.implemented_by(child)),
                "a child started as {pid}",
            )
        };
    }
    match level {
        Progress::Info => report!(info),
        Progress::Debug => report!(debug),
    }
}

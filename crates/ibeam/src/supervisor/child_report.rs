//! What supervisors say through `tracing`, under the target `ibeam::supervisor`.
//!
//! | event | level | when |
//! |---|---|---|
//! | `error_context = "start_error"` | error | a child does not start |
//! | `error_context = "child_terminated"` | error | a running child ends, and that is not how it was to end |
//! | `error_context = "shutdown_error"` | error | a child that was asked to stop ends otherwise |
//! | `error_context = "shutdown"` | error | there were too many restarts: the supervisor gives up |
//! | `progress = true` | info, or debug if it was added by hand | a child has started |
//!
//! All have the supervisor (`supervisor`: its name, or its pid; `supervisor_pid`, `supervisor_module`), the child (`child`, `child_pid`, `restart`,
//! `significant`, `shutdown`, `kind`, `module`) and, the errors, the `reason`. Nothing is put into words unless somebody listens.

use std::fmt::{self, Display};

use ibeam_runtime::Pid;
use ibeam_runtime::process::{self, Key};

use super::child_spec::Settings;
use crate::gen_server::ServerName;

pub(crate) const TARGET: &str = "ibeam::supervisor";

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorContext {
    StartError,
    ChildTerminated,
    ShutdownError,
    Shutdown,
}

impl ErrorContext {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::StartError => "start_error",
            Self::ChildTerminated => "child_terminated",
            Self::ShutdownError => "shutdown_error",
            Self::Shutdown => "shutdown",
        }
    }

    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::StartError => "did not start",
            Self::ChildTerminated => "ended",
            Self::ShutdownError => "did not stop as asked",
            Self::Shutdown => "is to be restarted once more, which is too often",
        }
    }
}

/// The name of the calling supervisor in a registry, which the runtime does not know.
const NAME: Key<ServerName> = Key::new("$supervisor");

/// The calling process is a supervisor with this name.
pub(crate) fn introduce(name: Option<ServerName>) {
    if let Some(name @ ServerName::Via(_)) = name {
        process::put(NAME, name);
    }
}

/// The supervisor that speaks: its name if it has one.
pub(crate) struct Supervisor;

impl Display for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match process::name() {
            Some(name) => name.fmt(f),
            None => match process::get(NAME) {
                Some(name) => name.fmt(f),
                None => process::self_pid().fmt(f),
            },
        }
    }
}

/// An error report. `module`: the type of the supervisor.
pub(crate) fn error(
    module: &'static str,
    context: ErrorContext,
    child: &Settings,
    pid: Option<Pid>,
    reason: &dyn Display,
) {
    tracing::error!(
        target: TARGET,
        supervisor = %Supervisor,
        supervisor_pid = %process::self_pid(),
        supervisor_module = module,
        error_context = context.as_str(),
        reason = %reason,
        child = %child.id,
        child_pid = pid.map(tracing::field::display),
        restart = %child.restart,
        significant = child.significant,
        shutdown = %child.shutdown(),
        kind = %child.kind,
        module = child.module,
        "child `{}` {}: {reason}",
        child.id,
        context.in_words(),
    );
}

/// How loud a progress report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Started with its supervisor, or restarted by it.
    Info,
    /// Started by hand.
    Debug,
}

/// A child has started.
pub(crate) fn progress(level: Progress, module: &'static str, child: &Settings, pid: Pid) {
    macro_rules! report {
        ($level:ident) => {
            tracing::$level!(
                target: TARGET,
                progress = true,
                supervisor = %Supervisor,
                supervisor_pid = %process::self_pid(),
                supervisor_module = module,
                child = %child.id,
                child_pid = %pid,
                restart = %child.restart,
                significant = child.significant,
                shutdown = %child.shutdown(),
                kind = %child.kind,
                module = child.module,
                "child `{}` started as {pid}",
                child.id,
            )
        };
    }
    match level {
        Progress::Info => report!(info),
        Progress::Debug => report!(debug),
    }
}

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
//! `significant`, `shutdown`, `kind`, `module`) and, the errors, the `reason`. Children of dynamic supervisors have no `child` and no
//! `significant`. Nothing is put into words unless somebody listens.

use std::fmt::{self, Display};

use ibeam_runtime::Pid;
use ibeam_runtime::process::{self, Key};

use super::child_spec::{ChildId, Kind, Restart, Settings, Shutdown};
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

/// What is said about a child.
#[derive(Clone, Copy)]
pub(crate) struct Reported<'a> {
    /// Children of a dynamic supervisor have none.
    pub(crate) id: Option<&'a ChildId>,
    /// `None` where there is no such thing.
    pub(crate) significant: Option<bool>,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) kind: Kind,
    pub(crate) module: Option<&'static str>,
}

impl<'a> From<&'a Settings> for Reported<'a> {
    fn from(settings: &'a Settings) -> Self {
        Self {
            id: Some(&settings.id),
            significant: Some(settings.significant),
            restart: settings.restart,
            shutdown: settings.shutdown(),
            kind: settings.kind,
            module: settings.module,
        }
    }
}

/// The child in words: by its id, or else its type and process.
struct InWords<'a>(&'a Reported<'a>, Option<Pid>);

impl Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(child, pid) = self;
        match (child.id, pid) {
            (Some(id), _) => write!(f, "child `{id}`"),
            (None, Some(pid)) => write!(f, "{} {pid}", child.module.unwrap_or("child")),
            (None, None) => f.write_str(child.module.unwrap_or("child")),
        }
    }
}

/// An error report. `module`: the type of the supervisor.
pub(crate) fn error<'a>(
    module: &'static str,
    context: ErrorContext,
    child: impl Into<Reported<'a>>,
    pid: Option<Pid>,
    reason: &dyn Display,
) {
    let child = child.into();
    tracing::error!(
        target: TARGET,
        supervisor = %Supervisor,
        supervisor_pid = %process::self_pid(),
        supervisor_module = module,
        error_context = context.as_str(),
        reason = %reason,
        child = child.id.map(tracing::field::display),
        child_pid = pid.map(tracing::field::display),
        restart = %child.restart,
        significant = child.significant,
        shutdown = %child.shutdown,
        kind = %child.kind,
        module = child.module,
        "{} {}: {reason}",
        InWords(&child, pid),
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
pub(crate) fn progress<'a>(level: Progress, module: &'static str, child: impl Into<Reported<'a>>, pid: Pid) {
    let child = child.into();
    macro_rules! report {
        ($level:ident) => {
            tracing::$level!(
                target: TARGET,
                progress = true,
                supervisor = %Supervisor,
                supervisor_pid = %process::self_pid(),
                supervisor_module = module,
                child = child.id.map(tracing::field::display),
                child_pid = %pid,
                restart = %child.restart,
                significant = child.significant,
                shutdown = %child.shutdown,
                kind = %child.kind,
                module = child.module,
                "{} started as {pid}",
                InWords(&child, None),
            )
        };
    }
    match level {
        Progress::Info => report!(info),
        Progress::Debug => report!(debug),
    }
}

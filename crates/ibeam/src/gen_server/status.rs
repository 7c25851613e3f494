//! What is said of a server: in its crash report, and to who looks into it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ibeam_runtime::__private::{Described, dropped_callers};
use ibeam_runtime::{ExitReason, process};

use super::GenServer;
use super::dispatch::{Handler, Sent};

/// What reports show of a server: see [`GenServer::format_status`].
///
/// # Erlang/OTP
/// The map that `format_status/1` is given. What a message holds is not in it, only its type: a message is taken apart by its
/// handler.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// The state; at first the name of its type.
    pub state: String,
    /// The last message: how it came, and its type. `None` before the first one.
    pub message: Option<String>,
    /// Why the server ends; `None` while it runs.
    pub reason: Option<String>,
}

const TARGET: &str = "ibeam::gen_server";

/// What stands for the state if formatting it fails.
const FAILED: &str = "(`format_status` panicked)";

/// The status of a server, with all that its `format_status` hides.
pub(crate) fn status_of<S: GenServer>(
    server: &S,
    last: Option<Described>,
    reason: Option<&ExitReason>,
) -> ServerStatus {
    let status = ServerStatus {
        state: std::any::type_name::<S>().to_owned(),
        message: last.map(describe::<S>),
        reason: reason.map(ToString::to_string),
    };
    let formatted = catch_unwind(AssertUnwindSafe(|| {
        let mut status = status.clone();
        server.format_status(&mut status);
        status
    }));
    // What it wanted to hide is not known then, so nothing of its own is shown.
    formatted.unwrap_or_else(|_| ServerStatus { state: FAILED.to_owned(), ..status })
}

fn describe<S: GenServer>(last: Described) -> String {
    let sent = match last.meta().and_then(|meta| meta.downcast_ref::<Handler<S>>()) {
        Some(Handler(_, Sent::Call)) => "call",
        Some(Handler(_, Sent::Cast)) => "cast",
        Some(Handler(_, Sent::Info)) | None if !last.is_call() => "info",
        Some(Handler(_, Sent::Info)) | None => "call",
    };
    format!("{sent} {}", last.type_name())
}

/// The server ends with an abnormal reason: says so, before the report of its process.
#[cold]
pub(super) fn report<S: GenServer>(server: &S, last: Option<Described>, reason: &ExitReason) {
    if !tracing::enabled!(target: TARGET, tracing::Level::ERROR) {
        return;
    }
    let status = status_of(server, last, Some(reason));
    let clients = dropped_callers();
    let client = clients.first().map(tracing::field::display);
    let label = process::label();
    tracing::error!(
        target: TARGET,
        server = std::any::type_name::<S>(),
        pid = %process::self_pid(),
        name = process::name().map(tracing::field::display),
        label = label.as_deref(),
        reason = status.reason,
        last_message = status.message,
        state = status.state,
        client,
        "server terminating"
    );
}

//! Starting a child, in the supervisor's process.

use std::sync::Arc;

use ibeam_runtime::__private::catch_failure;
use ibeam_runtime::{ExitReason, Pid};

use super::child_spec::{StartChild, StartFuture, StartedChild};
use super::supervisor_ref::FailedToStartChild;
use crate::gen_server::StartError;

/// One start. What its start function does wrong, a panic included, is a start that failed.
pub(crate) async fn start(start: &dyn StartChild) -> Result<StartedChild, StartError> {
    // The function itself is called inside, because it may panic too.
    match catch_failure(async { start.start().await }).await {
        Ok(Err(StartError::Ignored)) => Ok(StartedChild::ignored()),
        Ok(started) => started,
        Err(reason) => Err(StartError::Init { reason }),
    }
}

/// Why a start failed, as the reason for which its child is to be restarted once more.
pub(crate) fn start_failed(error: StartError) -> ExitReason {
    match error {
        StartError::Init { reason } => reason,
        error => ExitReason::error(error),
    }
}

/// Did the start fail because its name is somebody else's, possibly somebody's who is about to end? That is so where a supervisor
/// was killed: its children end by themselves, and while they do its successor starts theirs. Its start fails as a whole then, so
/// this looks into failed starts of supervisors.
pub(crate) fn lingering(error: &StartError) -> Option<Pid> {
    match error {
        StartError::AlreadyStarted { pid, .. } => Some(*pid),
        StartError::Init { reason } => {
            reason.downcast_ref::<FailedToStartChild>().and_then(|failed| lingering(&failed.error))
        }
        _ => None,
    }
}

/// The start of a child whose own one is not kept.
pub(crate) fn forgotten() -> Arc<dyn StartChild> {
    Arc::new(|| -> StartFuture {
        Box::pin(async {
            Err(StartError::Init { reason: ExitReason::other("the start of a temporary child is not kept") })
        })
    })
}

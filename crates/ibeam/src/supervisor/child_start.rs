//! Starting a child, in the supervisor's process.

use ibeam_runtime::__private::catch_failure;

use super::child_spec::{ChildSpec, StartedChild};
use crate::gen_server::StartError;

/// One start. What its start function does wrong, a panic included, is a start that failed.
pub(crate) async fn start(spec: &ChildSpec) -> Result<StartedChild, StartError> {
    // The function itself is called inside, because it may panic too.
    match catch_failure(async { (spec.start)().await }).await {
        Ok(Err(StartError::Ignored)) => Ok(StartedChild::ignored()),
        Ok(started) => started,
        Err(reason) => Err(StartError::Init { reason }),
    }
}

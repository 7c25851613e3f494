//! Starting a child, in the supervisor's process.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ibeam_runtime::__private::catch_failure;
use ibeam_runtime::{ExitReason, Pid};

use super::child_spec::{StartChild, StartedChild};
use super::supervisor_ref::FailedToStartChild;
use crate::gen_server::{StartError, Starting};

type Started = Result<StartedChild, StartError>;

/// A start that is under way. What most children are is waited for without a box.
pub enum StartFuture {
    /// It is over; taken when that was said.
    Over(Option<Started>),
    /// A server, whose process is there.
    Server(Starting),
    /// Whatever the program does.
    Boxed(Pin<Box<dyn Future<Output = Started> + Send>>),
}

impl StartFuture {
    pub(crate) fn boxed(start: impl Future<Output = Started> + Send + 'static) -> Self {
        Self::Boxed(Box::pin(start))
    }

    pub(crate) fn over(started: Started) -> Self {
        Self::Over(Some(started))
    }
}

impl Future for StartFuture {
    type Output = Started;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Started> {
        match &mut *self {
            Self::Server(starting) => {
                Pin::new(starting).poll(cx).map_ok(|(pid, _)| StartedChild::running(pid))
            }
            Self::Boxed(start) => start.as_mut().poll(cx),
            Self::Over(started) => started.take().map_or(Poll::Pending, Poll::Ready),
        }
    }
}

/// One start. What its start function does wrong, a panic included, is a start that failed.
pub(crate) async fn start(start: &dyn StartChild) -> Started {
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
    Arc::new(|| {
        let reason = ExitReason::other("the start of a temporary child is not kept");
        StartFuture::over(Err(StartError::Init { reason }))
    })
}

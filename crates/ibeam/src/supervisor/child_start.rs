//! Starting a child, in the supervisor's process.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ibeam_runtime::__private::{catch_failure, catch_failure_of};
use ibeam_runtime::{ExitReason, Pid};

use super::child_spec::{StartChild, StartedChild};
use super::supervisor_ref::FailedToStartChild;
use crate::gen_server::{StartError, Starting};

/// What became of a start. That there is nothing to run is no failure here.
type Started = Result<StartedChild, StartError>;

/// A start that is under way. What the program does wrong in it, a panic included, is a start that failed.
///
/// What most children are is waited for without a box.
pub struct StartFuture(Stage);

enum Stage {
    /// It is over; taken when that was said.
    Over(Option<Started>),
    /// A server, whose process is there.
    Server(Starting),
    /// Whatever the program does.
    Boxed(Pin<Box<dyn Future<Output = Result<Started, ExitReason>> + Send>>),
}

impl StartFuture {
    pub(crate) fn over(started: Started) -> Self {
        Self(Stage::Over(Some(started)))
    }

    pub(crate) fn of_server(starting: Starting) -> Self {
        Self(Stage::Server(starting))
    }

    pub(crate) fn boxed(start: impl Future<Output = Started> + Send + 'static) -> Self {
        Self(Stage::Boxed(Box::pin(catch_failure(start))))
    }

    /// The start function itself may panic too.
    pub(crate) fn begin(start: impl FnOnce() -> Self) -> Self {
        catch_failure_of(start).unwrap_or_else(|reason| Self::over(Err(StartError::Init { reason })))
    }
}

impl Future for StartFuture {
    type Output = Started;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Started> {
        let started = match &mut self.0 {
            Stage::Server(starting) => match ready!(Pin::new(starting).poll(cx)) {
                Ok((pid, _)) => return Poll::Ready(Ok(StartedChild::running(pid))),
                Err(error) => Err(error),
            },
            Stage::Boxed(start) => {
                ready!(start.as_mut().poll(cx)).unwrap_or_else(|reason| Err(StartError::Init { reason }))
            }
            Stage::Over(started) => match started.take() {
                Some(started) => started,
                None => return Poll::Pending,
            },
        };
        Poll::Ready(match started {
            Err(StartError::Ignored) => Ok(StartedChild::ignored()),
            started => started,
        })
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

//! A future whose unwinding is caught, without a second copy of it: an `async fn` around it would keep two.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::exit_reason::ExitReason;
use crate::process::exit;

/// The future of [`catch_exit`](crate::process::catch_exit). Not to be polled after it is ready.
#[must_use = "nothing runs until it is awaited"]
pub struct CatchExit<F> {
    future: F,
    goes_on: bool,
}

impl<F> CatchExit<F> {
    /// `goes_on`: the process is not bound to end because of what was caught.
    pub(crate) fn new(future: F, goes_on: bool) -> Self {
        Self { future, goes_on }
    }
}

impl<F: Future> Future for CatchExit<F> {
    type Output = Result<F::Output, ExitReason>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let goes_on = self.goes_on;
        // SAFETY: the field is pinned whenever the whole is: nothing moves it out, and there is no `Drop` and no `Unpin` of
        // the whole's own.
        let future = unsafe { self.map_unchecked_mut(|this| &mut this.future) };
        // Unwind safety: who catches drops the future, and is told by this type's docs not to poll it again.
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(polled) => polled.map(Ok),
            Err(payload) => Poll::Ready(Err(exit::caught(payload, goes_on))),
        }
    }
}

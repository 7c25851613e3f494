//! A future whose value is somebody's answer, without a second copy of it: an `async` block around it would keep two.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::exit_reason::ExitReason;
use crate::raw::call::{Outcome, Replier};

/// The body of a process that owes somebody the value of `future`. The process ends normally when it has given it.
pub struct Answering<F: Future>
where
    F::Output: 'static,
{
    future: F,
    owed: Owed<F::Output>,
}

/// Dropped before the answer is given, it leaves the process' exit reason in its place.
struct Owed<T: 'static>(Option<Replier<T>>);

impl<T> Drop for Owed<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(replier) = self.0.take() {
            #[cfg(not(loom))]
            crate::process::abandon_own(replier);
            // The models know no processes, and so no reasons.
            #[cfg(loom)]
            let _somebody_waited = replier.finish(Outcome::Gone(None));
        }
    }
}

impl<F: Future> Answering<F> {
    pub(crate) fn new(future: F, replier: Replier<F::Output>) -> Self {
        Self { future, owed: Owed(Some(replier)) }
    }
}

impl<F: Future> Future for Answering<F> {
    type Output = ExitReason;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        // SAFETY: `future` is pinned whenever the whole is: nothing moves it out, and the whole has no `Drop` and no `Unpin` of
        // its own. `owed` is not pinned, and is moved out of by value only.
        let (future, owed) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.future), &mut this.owed)
        };
        let value = ready!(future.poll(cx));
        if let Some(replier) = owed.0.take() {
            // Whoever asked may have stopped waiting; then the value is dropped here.
            replier.finish(Outcome::Replied(value));
        }
        Poll::Ready(ExitReason::Normal)
    }
}

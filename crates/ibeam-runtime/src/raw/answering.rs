//! A future whose value is somebody's answer, without a second copy of it: an `async` block around it would keep two.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::exit_reason::ExitReason;
use crate::raw::call::{Orphan, Outcome, Replier};
use crate::raw::gather::Part;

/// The right to say once what has become of a `T`.
pub(crate) trait Debt<T>: Sized {
    /// Says it.
    fn pay(self, outcome: Outcome<T>);

    /// Has it said later, if need be with the end of this pid.
    fn into_orphan(self, target: u64) -> Orphan;
}

impl<T: 'static> Debt<T> for Replier<T> {
    #[inline]
    fn pay(self, outcome: Outcome<T>) {
        // Whoever asked may have stopped waiting; then the value is dropped here.
        self.finish(outcome);
    }

    fn into_orphan(self, target: u64) -> Orphan {
        Self::into_orphan(self, target)
    }
}

impl<T> Debt<T> for Part<T> {
    #[inline]
    fn pay(self, outcome: Outcome<T>) {
        self.finish(outcome);
    }

    fn into_orphan(self, target: u64) -> Orphan {
        Self::into_orphan(self, target)
    }
}

/// The body of a process that owes somebody the value of `future`. The process ends normally when it has given it.
pub(crate) struct Answering<F: Future, D: Debt<F::Output>> {
    future: F,
    owed: Owed<F::Output, D>,
}

/// Dropped before the answer is given, it leaves the process' exit reason in its place.
pub(crate) struct Owed<T, D: Debt<T>>(Option<D>, PhantomData<fn(T)>);

impl<T, D: Debt<T>> Owed<T, D> {
    pub(crate) fn new(debt: D) -> Self {
        Self(Some(debt), PhantomData)
    }

    /// Gives the answer, if it was not given.
    #[inline]
    pub(crate) fn pay(&mut self, value: T) {
        if let Some(debt) = self.0.take() {
            debt.pay(Outcome::Replied(value));
        }
    }
}

impl<T, D: Debt<T>> Drop for Owed<T, D> {
    #[inline]
    fn drop(&mut self) {
        if let Some(debt) = self.0.take() {
            #[cfg(not(loom))]
            crate::process::abandon_own(debt);
            // The models know no processes, and so no reasons.
            #[cfg(loom)]
            debt.pay(Outcome::Gone(None));
        }
    }
}

impl<F: Future, D: Debt<F::Output>> Answering<F, D> {
    pub(crate) fn new(future: F, debt: D) -> Self {
        Self { future, owed: Owed::new(debt) }
    }
}

impl<F: Future, D: Debt<F::Output>> Future for Answering<F, D> {
    type Output = ExitReason;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        // SAFETY: `future` is pinned whenever the whole is: nothing moves it out, and the whole has no `Drop` and no `Unpin` of
        // its own. `owed` is not pinned.
        let (future, owed) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.future), &mut this.owed)
        };
        let value = ready!(future.poll(cx));
        owed.pay(value);
        Poll::Ready(ExitReason::Normal)
    }
}

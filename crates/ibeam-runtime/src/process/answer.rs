//! A process that is there for one answer: the value of its future. For tasks.
//!
//! The answer does not go through the mailbox. It is a [call](crate::raw::call) that begins with the process: whoever
//! starts the process has the waiting side, the process the other, and if the process ends without an answer its exit reason
//! stands in the answer's place. By then its links have fired: who is linked to it, and does not survive that, does not see it.

use std::fmt;
use std::future::Future;
use std::task::{Poll, Waker};

use crate::exit_reason::ExitReason;
use crate::process::exit;
use crate::raw::answering::Answering;
use crate::raw::call::{self, Waiting};
use crate::raw::pcb::Owner;

/// The body of a process that owes the value of `future`, and the side that waits for it. `waker` is woken when it comes, until
/// the answer is polled with another one; the calling process' own, if there is none.
#[inline]
pub fn answering<F>(future: F, waker: Option<Waker>) -> (Answering<F>, Answer<F::Output>)
where
    F: Future,
    F::Output: Send + 'static,
{
    let waker = waker.unwrap_or_else(|| {
        Owner::current().map_or_else(|| Waker::noop().clone(), |owner| owner.pcb().waker())
    });
    let (replier, waiting) = call::open(waker);
    (Answering::new(future, replier), Answer { waiting: Some(waiting) })
}

/// What a process owes: taken once. Dropped, nobody waits for it any more.
pub struct Answer<T> {
    /// `None`: it was taken.
    waiting: Option<Waiting<T>>,
}

impl<T> Answer<T> {
    /// Takes the answer, or why there will be none: `Err(None)` if that is not known. `waker` is woken when it comes.
    ///
    /// Pending for ever if the calling process is about to end because of an exit signal that was sent before, and if the answer
    /// was taken before.
    #[inline]
    pub fn poll(&mut self, waker: &Waker) -> Poll<Result<T, Option<ExitReason>>> {
        match &self.waiting {
            Some(waiting) if waiting.poll_ref(waker).is_ready() && !exit::is_held_back(waker) => {}
            _ => return Poll::Pending,
        }
        Poll::Ready(self.take())
    }

    /// Is the answer there? If not, `waker` is woken when it comes.
    pub fn is_over(&self, waker: &Waker) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.poll_ref(waker).is_ready())
    }

    /// The answer, if it is there.
    pub fn try_take(&mut self) -> Option<Result<T, Option<ExitReason>>> {
        let over = self.waiting.as_ref().is_some_and(Waiting::is_over);
        over.then(|| self.take())
    }

    #[inline]
    fn take(&mut self) -> Result<T, Option<ExitReason>> {
        let Some(waiting) = self.waiting.take() else { unreachable!("it was looked at a moment ago") };
        waiting.take(Ok, Err)
    }

    /// Was it taken?
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.waiting.is_none()
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("taken", &self.is_taken()).finish_non_exhaustive()
    }
}

//! What a process owes to who starts it: the value of its future, for tasks, or a word about its start, for behaviours.
//!
//! The answer does not go through the mailbox. It is a [call](crate::raw::call) that begins with the process: whoever
//! starts the process has the waiting side, the process the other, and if the process ends without an answer its exit reason
//! stands in the answer's place. By then its links have fired: who is linked to it, and does not survive that, does not see it.

use std::fmt;
use std::future::Future;
use std::task::{Context, Poll, Waker};

use crate::exit_reason::ExitReason;
use crate::process::exit;
use crate::raw::answering::{Answering, Owed};
use crate::raw::call::{self, Outcome, Replier, Waiting};
use crate::raw::gather::Gatherer;
use crate::raw::pcb::Owner;

/// The body of a process that owes the value of `future`, and the side that waits for it. `waker` is woken when it comes, until
/// the answer is polled with another one; the calling process' own, if there is none.
#[inline]
pub fn answering<F>(
    future: F,
    waker: Option<Waker>,
) -> (impl Future<Output = ExitReason> + use<F>, Answer<F::Output>)
where
    F: Future,
    F::Output: Send + 'static,
{
    let (replier, waiting) = call::open(waker.unwrap_or_else(own_waker));
    (Answering::new(future, replier), Answer { waiting: Some(waiting) })
}

/// An answer that a process gives while it goes on, and the side that waits for it, as in [`answering`]: the promise is moved into the
/// process' future. Made where the process is started.
///
/// `wakes`: the calling process is woken when the answer comes, although it has not been polled yet.
#[must_use]
pub fn promise<T: Send + 'static>(wakes: bool) -> (Promise<T>, Answer<T>) {
    let (replier, waiting) = call::open(if wakes { own_waker() } else { Waker::noop().clone() });
    (Promise(Owed::new(replier)), Answer { waiting: Some(waiting) })
}

/// The right to give an answer, once. Dropped without it, the end of the process that drops it stands in the answer's place; and if
/// that process goes on, the answer is that there will be none.
pub struct Promise<T: 'static>(Owed<T, Replier<T>>);

impl<T> Promise<T> {
    /// Gives the answer. Nobody may wait for it any more; then it is dropped.
    #[inline]
    pub fn keep(mut self, answer: T) {
        self.0.pay(answer);
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").finish_non_exhaustive()
    }
}

fn own_waker() -> Waker {
    Owner::current().map_or_else(|| Waker::noop().clone(), |owner| owner.pcb().waker())
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

fn answer<T>(outcome: Outcome<T>) -> Result<T, Option<ExitReason>> {
    match outcome {
        Outcome::Replied(value) => Ok(value),
        Outcome::Gone(reason) => Err(reason),
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("taken", &self.is_taken()).finish_non_exhaustive()
    }
}

/// The answers of many processes, as they come: who waits for them does not look at those that have not come. Belongs to the
/// process that has made it. Dropped, nobody waits for them any more.
pub struct Answers<T>(Gatherer<T>);

impl<T: Send + 'static> Answers<T> {
    /// For the calling process, which is woken behind the processes that are ready then: some of them, perhaps, answer too.
    #[must_use]
    pub fn new() -> Self {
        let behind = Owner::current().map_or_else(own_waker, |owner| owner.pcb().waker_behind());
        Self(Gatherer::new(own_waker(), behind))
    }

    /// The body of a process that owes the value of `future`. The answer will come with `tag`.
    #[inline]
    pub fn answering<F>(&mut self, future: F, tag: usize) -> impl Future<Output = ExitReason> + use<F, T>
    where
        F: Future<Output = T>,
    {
        Answering::new(future, self.0.part(tag))
    }

    /// Ready when all have come; they are dropped.
    pub fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            while let Some((_, outcome)) = self.0.take() {
                drop(outcome);
            }
            if self.0.missing() == 0 {
                return Poll::Ready(());
            }
            if self.0.wait(cx.waker()) {
                return Poll::Pending;
            }
        }
    }

    /// An answer that has come, or why there will be none: `Err(None)` if that is not known. With it comes its tag.
    ///
    /// `None` as long as the calling process is about to end because of an exit signal that was sent before.
    #[inline]
    pub fn take(&mut self, waker: &Waker) -> Option<(usize, Result<T, Option<ExitReason>>)> {
        if !self.0.has_some() || exit::is_held_back(waker) {
            return None;
        }
        self.0.take().map(|(tag, outcome)| (tag, answer(outcome)))
    }

    /// `waker` is woken when one comes. `false`: one has come, and can be taken.
    #[inline]
    pub fn wait(&mut self, waker: &Waker) -> bool {
        self.0.wait(waker) || exit::is_held_back(waker)
    }
}

impl<T: Send + 'static> Default for Answers<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Answers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("missing", &self.0.missing()).finish_non_exhaustive()
    }
}

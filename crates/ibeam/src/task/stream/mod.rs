//! Streams of tasks: one task per item, some of them at once.
//!
//! # Invariants
//! 1. The input is asked for an item only if a task for it can be started at once.
//! 2. What has ended is delivered before anything new is started.
//! 3. Of a stream that is dropped its owner sees nothing any more: see [`TaskStream`].

mod input;
mod options;
mod running;
mod starting;
mod zip;

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use ibeam_runtime::__private::{Alarm, Answers};
use ibeam_runtime::process::{self, Whom, hold_until};
use ibeam_runtime::{ExitReason, Pid};

pub use self::input::{Input, Items, Streamed};
pub use self::options::OnTimeout;
use self::options::Options;
use self::running::{Ended, Running, kill};
pub(crate) use self::starting::Parent;
use self::starting::{Start, spawn, start};
pub use self::zip::{ItemAndReason, OnExit, Reason};
use super::Task;

/// A stream that runs a task for each item of its input, some of them at once, and has their outcomes as its items. See
/// [`Task::stream`].
///
/// It is a [`Stream`]; [`next`](Self::next) and [`collect`](Self::collect) do without further crates.
///
/// The tasks belong to the process that first polls the stream, its owner. Where they are linked to it, one that crashes ends the
/// owner, unless that traps exits: then the outcome is an `Err`, and there is no [`Exit`](crate::Exit) message.
///
/// # Dropping it
/// kills the tasks that run. Where the owner drops it, it gets to see nothing of them any more: what they have sent is in its
/// mailbox, and nothing else comes, once the owner's next await is over. A task that computes without an await holds the owner up
/// until then. Where somebody else drops it, nobody waits.
///
/// # Panics
/// When polled outside of a process, and in another one than before.
///
/// # Cancel safety
/// [`next`](Self::next) loses nothing when it is dropped.
#[must_use = "nothing is started until it is polled"]
pub struct TaskStream<I, F, T, Z = Reason>
where
    I: Input,
    T: Send + 'static,
    Z: OnExit<I::Item>,
{
    /// The input, and what is done for each item. `None`: there is no more.
    source: Option<(I, F)>,
    parent: Parent,
    options: Options,
    owner: Option<Pid>,
    /// Made by the first poll, in the owner.
    running: Option<Running<T, Z::Kept>>,
    starting: Option<Starting>,
    /// What is to be delivered: in an ordered stream by position, from `delivered` on.
    done: VecDeque<Option<Result<T, Z::Error>>>,
    delivered: u64,
    started: u64,
    /// Set while the stream waits.
    alarm: Option<Alarm>,
}

/// A task that a supervisor was asked to start.
struct Starting {
    start: Start,
    slot: usize,
}

impl Task<()> {
    /// A stream that runs `f` as a task for each of these items, and has their outcomes as its items, in the items' order.
    ///
    /// At first as many tasks run at once as the runtime has workers; each has 5 s. What can be set: see [`TaskStream`]. The items are
    /// asked for one at a time, and only when there is room for another task. `f` itself is called in the process that polls the
    /// stream; the future that it makes is the task.
    ///
    /// Each task has a process of its own, which is linked to that of the stream in its own way. Where the items are cheap, give a task
    /// some of them at once: a process costs some hundred nanoseconds.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// async fn length(word: &'static str) -> usize {
    ///     word.len()
    /// }
    ///
    /// Runtime::new().block_on(async {
    ///     let mut lengths = Task::stream(["long string", "longer string", "there are many of these"], length);
    ///     let mut sum = 0;
    ///     while let Some(length) = lengths.next().await {
    ///         sum += length.unwrap();
    ///     }
    ///     assert_eq!(sum, 47);
    /// });
    /// ```
    ///
    /// # Erlang/OTP
    /// `Task.async_stream/3`.
    #[doc(alias = "async_stream")]
    pub fn stream<I, F, Fut>(items: I, f: F) -> TaskStream<Items<I::IntoIter>, F, Fut::Output>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        TaskStream::new(Items::of(items), f, Parent::Owner)
    }

    /// As [`stream`](Self::stream), for the items of a [`Stream`], whose turn it is when there is room for another task.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     // A stream of tasks is a stream too.
    ///     let numbers = Task::stream(1..=3_u32, |n| async move { n });
    ///     let squares = Task::stream_from(numbers, |n| async move { n.unwrap().pow(2) });
    ///     assert_eq!(squares.collect::<Vec<_>>().await, [Ok(1), Ok(4), Ok(9)]);
    /// });
    /// ```
    pub fn stream_from<S, F, Fut>(items: S, f: F) -> TaskStream<Streamed<S>, F, Fut::Output>
    where
        S: Stream,
        F: FnMut(S::Item) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        TaskStream::new(Streamed::of(items), f, Parent::Owner)
    }
}

impl<I, F, T> TaskStream<I, F, T>
where
    I: Input,
    T: Send + 'static,
{
    pub(crate) fn new(input: I, f: F, parent: Parent) -> Self {
        Self::with(input, f, parent, Options::default())
    }

    /// From now on the `Err` of an item is the item and the reason. The items are cloned for that.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     process::trap_exit(true);
    ///     let outcomes = Task::stream(["1", "x"], |text| async move { text.parse::<u32>().unwrap() }).zip_input_on_exit();
    ///     let outcomes: Vec<_> = outcomes.collect().await;
    ///     assert_eq!(outcomes[0], Ok(1));
    ///     assert!(matches!(&outcomes[1], Err(("x", ExitReason::Panic(_)))));
    /// });
    /// ```
    ///
    /// # Panics
    /// If the stream has been polled.
    ///
    /// # Erlang/OTP
    /// The option `zip_input_on_exit: true`.
    pub fn zip_input_on_exit(mut self) -> TaskStream<I, F, T, ItemAndReason>
    where
        I::Item: Clone + Send,
    {
        assert!(self.owner.is_none(), "the stream has been polled");
        let (input, f) = self.source.take().expect("a stream that was not polled has its input");
        TaskStream::with(input, f, self.parent.clone(), self.options.clone())
    }
}

impl<I, F, T, Z> TaskStream<I, F, T, Z>
where
    I: Input,
    T: Send + 'static,
    Z: OnExit<I::Item>,
{
    fn with(input: I, f: F, parent: Parent, options: Options) -> Self {
        Self {
            source: Some((input, f)),
            parent,
            options,
            owner: None,
            running: None,
            starting: None,
            done: VecDeque::new(),
            delivered: 0,
            started: 0,
            alarm: None,
        }
    }

    /// # Panics
    /// Outside of a process, and in another one than before.
    #[inline]
    fn must_be_owned(&mut self) {
        let me = process::self_pid();
        let owner = *self.owner.get_or_insert_with(|| {
            self.running = Some(Running::new());
            me
        });
        assert!(owner == me, "a stream of tasks of {owner} was polled by {me}");
    }

    /// How many tasks run, or are being started.
    #[inline]
    fn busy(&self) -> usize {
        self.running.as_ref().map_or(0, Running::len)
    }

    /// What is next to be delivered, if it is there.
    #[inline]
    fn take_done(&mut self) -> Option<Result<T, Z::Error>> {
        let done = self.done.front_mut()?.take()?;
        self.done.pop_front();
        self.delivered += 1;
        Some(done)
    }

    fn is_full(&self) -> bool {
        let busy = self.busy();
        let undelivered = (self.started - self.delivered) as usize;
        busy >= self.options.max_concurrency || undelivered - busy >= self.options.max_buffered
    }

    /// The outcome that is next to be delivered, if its task has ended. Those of others are put into their place.
    #[inline]
    fn next_ended(&mut self, cx: &Context<'_>) -> Option<Result<T, Z::Error>> {
        let Self { running: Some(running), done, delivered, options, parent, .. } = self else { return None };
        while let Some(Ended { position, kept, outcome, timed_out }) = running.take_ended(cx.waker()) {
            let outcome = outcome.map_err(|reason| {
                if !timed_out {
                    parent.failed(&reason);
                }
                Z::error(kept, reason)
            });
            if !options.ordered || position == *delivered {
                // Its place, if there is one, is the first.
                done.pop_front();
                *delivered += 1;
                return Some(outcome);
            }
            // A window as wide as the tasks that run and those that have ended before a slower one.
            let at = (position - *delivered) as usize;
            while done.len() <= at {
                done.push_back(None);
            }
            done[at] = Some(outcome);
        }
        None
    }

    /// No more is started, and what runs is killed.
    fn stop(&mut self) {
        self.source = None;
        self.alarm = None;
        let Some(running) = self.running.take() else { return };
        let (pids, answers) = running.kill_all();
        let starting = self.starting.take().map(|starting| starting.start);
        let whom = match starting {
            None if pids.is_empty() => return,
            None => Whom::These(pids),
            Some(_) => Whom::Anybody,
        };
        if process::try_self_pid() == self.owner {
            let mut rest = Rest { answers, starting };
            // Where nobody can wait, it is dropped.
            let _ = hold_until(whom, move |cx| rest.poll(cx));
        } else {
            drop(Rest { answers, starting });
        }
    }
}

/// The tasks of a stream that was stopped. Dropped, they end without anybody waiting for that.
struct Rest<T: Send + 'static> {
    answers: Answers<T>,
    starting: Option<Start>,
}

impl<T: Send + 'static> Rest<T> {
    /// Ready when they are gone.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(start) = &mut self.starting
            && let Poll::Ready(started) = start.as_mut().poll(cx)
        {
            self.starting = None;
            if let Ok(pid) = started {
                kill(pid);
            }
        }
        let over = self.answers.poll_over(cx);
        if self.starting.is_none() { over } else { Poll::Pending }
    }
}

impl<T: Send + 'static> Drop for Rest<T> {
    fn drop(&mut self) {
        let Some(start) = self.starting.take() else { return };
        // Somebody has to see the task begin, to end it. Where no process can be started any more, it will end anyhow.
        let _ = process::builder().try_spawn(async move {
            if let Ok(pid) = start.await {
                kill(pid);
            }
        });
    }
}

impl<I, F, Fut, Z> TaskStream<I, F, Fut::Output, Z>
where
    I: Input,
    F: FnMut(I::Item) -> Fut,
    Fut: Future + Send + 'static,
    Fut::Output: Send + 'static,
    Z: OnExit<I::Item>,
{
    /// The next outcome; `None` after the last.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    #[expect(
        clippy::should_implement_trait,
        reason = "this is the name that it has in every crate for streams"
    )]
    pub fn next(&mut self) -> impl Future<Output = Option<Result<Fut::Output, Z::Error>>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx))
    }

    /// All outcomes.
    pub async fn collect<C>(mut self) -> C
    where
        C: Default + Extend<Result<Fut::Output, Z::Error>>,
    {
        let mut all = C::default();
        while let Some(outcome) = self.next().await {
            all.extend([outcome]);
        }
        all
    }

    /// Starts tasks while there is room, and items are at hand.
    #[inline]
    fn fill(&mut self, cx: &mut Context<'_>) {
        if self.starting.is_some() {
            self.go_on_starting(cx);
        }
        // A supervisor starts one at a time.
        while self.starting.is_none() && !self.is_full() {
            let (Some((input, f)), Some(running)) = (&mut self.source, &mut self.running) else { return };
            let item = match input.poll_item(cx) {
                Poll::Ready(Some(item)) => item,
                Poll::Ready(None) => {
                    self.source = None;
                    return;
                }
                Poll::Pending => return,
            };
            let kept = Z::keep(&item);
            let future = f(item);
            let slot = running.begin(kept, self.started);
            self.started += 1;
            let body = running.answers.answering(future, slot);
            match &self.parent {
                Parent::Owner => running.started(slot, spawn(body), self.options.deadline()),
                Parent::Supervisor { supervisor, link, shutdown } => {
                    let start = start(supervisor, *link, *shutdown, body);
                    self.starting = Some(Starting { start, slot });
                    self.go_on_starting(cx);
                }
            }
        }
    }

    fn go_on_starting(&mut self, cx: &mut Context<'_>) {
        let (Some(starting), Some(running)) = (&mut self.starting, &mut self.running) else { return };
        let slot = starting.slot;
        let Poll::Ready(started) = starting.start.as_mut().poll(cx) else { return };
        self.starting = None;
        match started {
            Ok(pid) => running.started(slot, pid, self.options.deadline()),
            Err(reason) => {
                // Where no task can be started, the stream ends with the reason.
                let kept = running.not_started(slot);
                self.stop();
                self.done.clear();
                self.done.extend(kept.map(|kept| Some(Err(Z::error(kept, reason)))));
            }
        }
    }

    /// Ready: a task has had its time.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(running) = &mut self.running else { return Poll::Pending };
        let Some(at) = running.next_deadline() else { return Poll::Pending };
        ready!(self.alarm.insert(Alarm::until(at)).poll(cx));
        match self.options.on_timeout {
            OnTimeout::Exit => process::exit(ExitReason::Timeout),
            OnTimeout::KillTask => running.kill_next(),
        }
        Poll::Ready(())
    }
}

impl<I, F, Fut, Z> Stream for TaskStream<I, F, Fut::Output, Z>
where
    I: Input,
    F: FnMut(I::Item) -> Fut,
    Fut: Future + Send + 'static,
    Fut::Output: Send + 'static,
    Z: OnExit<I::Item>,
{
    type Item = Result<Fut::Output, Z::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.must_be_owned();
        // Time counts for the others while this one waits.
        this.alarm = None;
        loop {
            if let Some(done) = this.take_done() {
                return Poll::Ready(Some(done));
            }
            if let Some(ended) = this.next_ended(cx) {
                return Poll::Ready(Some(ended));
            }
            this.fill(cx);
            if this.done.front().is_some_and(Option::is_some) {
                continue;
            }
            if this.source.is_none() && this.busy() == 0 {
                return Poll::Ready(None);
            }
            if this.running.as_mut().is_some_and(|running| !running.wait(cx.waker())) {
                continue;
            }
            ready!(this.poll_deadline(cx));
        }
    }
}

// Nothing in it is pinned.
impl<I, F, T, Z> Unpin for TaskStream<I, F, T, Z>
where
    I: Input,
    T: Send + 'static,
    Z: OnExit<I::Item>,
{
}

impl<I, F, T, Z> Drop for TaskStream<I, F, T, Z>
where
    I: Input,
    T: Send + 'static,
    Z: OnExit<I::Item>,
{
    fn drop(&mut self) {
        self.stop();
    }
}

impl<I, F, T, Z> fmt::Debug for TaskStream<I, F, T, Z>
where
    I: Input,
    T: Send + 'static,
    Z: OnExit<I::Item>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskStream")
            .field("owner", &self.owner)
            .field("options", &self.options)
            .field("running", &self.busy())
            .finish_non_exhaustive()
    }
}

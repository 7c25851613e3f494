//! Several tasks at once.

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use ibeam_runtime::__private::Alarm;
use ibeam_runtime::Timeout;

use super::handle::TaskOutcome;
use super::shutdown::shut_down;
use super::{Task, TaskError};
use crate::supervisor::Shutdown;

/// What happens to a task that has not ended when the time is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnYieldTimeout {
    /// It goes on, and can be waited for again.
    #[default]
    Nothing,
    /// It goes on, and its value will be dropped: see [`Task::ignore`].
    Ignore,
    /// It is killed.
    KillTask,
}

impl<T: Send + 'static> Task<T> {
    /// Awaits all these tasks: their values in the tasks' order, or the first failure, as soon as it is there. Waits for 5 s in all,
    /// unless [another limit](AwaitMany::timeout) is set.
    ///
    /// # Panics
    /// If one of them belongs to another process.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     let squares = Task::await_many((1..=3).map(|n| Task::spawn(async move { n * n }))).await;
    ///     assert_eq!(squares, Ok(vec![1, 4, 9]));
    /// });
    /// ```
    ///
    /// # Erlang/OTP
    /// `Task.await_many/2`.
    #[track_caller]
    pub fn await_many(tasks: impl IntoIterator<Item = Self>) -> AwaitMany<T> {
        let tasks: Vec<Self> = tasks.into_iter().collect();
        tasks.iter().for_each(|task| task.must_be_owned("await_many"));
        AwaitMany { values: tasks.iter().map(|_| None).collect(), tasks, alarm: Alarm::new(Timeout::CALL) }
    }

    /// Waits for these tasks, for 5 s unless [another limit](YieldMany::timeout) is set. One entry per task, in their order: its
    /// outcome, or `None` if it still runs. Those can be waited for again.
    ///
    /// # Panics
    /// If one of them belongs to another process.
    ///
    /// ```
    /// use ibeam::prelude::*;
    /// use std::time::Duration;
    ///
    /// Runtime::new().block_on(async {
    ///     let mut tasks = [Task::completed(1), Task::spawn(std::future::pending())];
    ///     let outcomes = Task::yield_many(&mut tasks).timeout(Duration::from_millis(10)).await;
    ///     assert_eq!(outcomes, [Some(Ok(1)), None]);
    /// });
    /// ```
    ///
    /// # Erlang/OTP
    /// `Task.yield_many/2`.
    #[track_caller]
    pub fn yield_many(tasks: &mut [Self]) -> YieldMany<'_, T> {
        tasks.iter().for_each(|task| task.must_be_owned("yield_many"));
        YieldMany { tasks, limit: usize::MAX, on_timeout: OnYieldTimeout::default(), timeout: Timeout::CALL }
    }
}

/// The future of [`Task::await_many`].
///
/// # Errors
/// That of the first task that fails, or a timeout that names the first task that still runs. The other tasks are
/// [ignored](Task::ignore) then: they go on, linked as they were.
///
/// # Cancel safety
/// Dropping it is as dropping the tasks.
#[must_use = "nothing is waited for until it is awaited"]
pub struct AwaitMany<T: Send + 'static> {
    tasks: Vec<Task<T>>,
    values: Vec<Option<T>>,
    alarm: Alarm,
}

impl<T: Send + 'static> AwaitMany<T> {
    /// Waits this long for all of them, or as long as it takes. Default: 5 s.
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.alarm = Alarm::new(timeout.into());
        self
    }
}

// Nothing in it is pinned.
impl<T: Send + 'static> Unpin for AwaitMany<T> {}

impl<T: Send + 'static> Future for AwaitMany<T> {
    type Output = Result<Vec<T>, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut running = None;
        for (task, value) in this.tasks.iter_mut().zip(&mut this.values) {
            if value.is_some() {
                continue;
            }
            match task.poll(cx.waker()) {
                Poll::Ready(Ok(done)) => *value = Some(done),
                Poll::Ready(Err(reason)) => return Poll::Ready(Err(task.error(reason))),
                Poll::Pending if task.is_taken() => {
                    return Poll::Ready(Err(task.no_outcome(&this.alarm)));
                }
                Poll::Pending => running = running.or(Some(&*task)),
            }
        }
        match running {
            None => Poll::Ready(Ok(this.values.drain(..).flatten().collect())),
            Some(task) if this.alarm.poll(cx).is_ready() => Poll::Ready(Err(task.no_outcome(&this.alarm))),
            Some(_) => Poll::Pending,
        }
    }
}

impl<T: Send + 'static> fmt::Debug for AwaitMany<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitMany").field("tasks", &self.tasks).finish_non_exhaustive()
    }
}

/// Tasks that are to be waited for: options, then `.await`. See [`Task::yield_many`].
///
/// # Cancel safety
/// Dropping the future stops the waiting; outcomes that had come are lost.
#[must_use = "nothing is waited for until it is awaited"]
pub struct YieldMany<'a, T: Send + 'static> {
    tasks: &'a mut [Task<T>],
    limit: usize,
    on_timeout: OnYieldTimeout,
    timeout: Timeout,
}

impl<'a, T: Send + 'static> YieldMany<'a, T> {
    /// Waits this long for all of them, or as long as it takes. Default: 5 s.
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Waits no longer once so many of them have ended. What is set for the timeout does not happen then. Default: waits for all.
    pub fn limit(mut self, tasks: usize) -> Self {
        self.limit = tasks;
        self
    }

    /// What happens to those that have not ended when the time is over. Default: nothing.
    pub fn on_timeout(mut self, on_timeout: OnYieldTimeout) -> Self {
        self.on_timeout = on_timeout;
        self
    }

    async fn wait(self) -> Vec<Option<TaskOutcome<T>>> {
        let Self { tasks, limit, on_timeout, timeout } = self;
        let mut outcomes: Vec<_> = tasks.iter().map(|_| None).collect();
        // Nothing comes of those that were waited for before.
        let limit = limit.min(tasks.iter().filter(|task| !task.is_taken()).count());
        let mut alarm = Alarm::new(timeout);
        let mut ended = 0;
        let in_time = poll_fn(|cx| {
            for (task, outcome) in
                tasks.iter_mut().zip(&mut outcomes).filter(|(_, outcome)| outcome.is_none())
            {
                if let Poll::Ready(ready) = task.poll(cx.waker()) {
                    *outcome = Some(ready);
                    ended += 1;
                }
            }
            if ended >= limit { Poll::Ready(true) } else { alarm.poll(cx).map(|()| false) }
        });
        if !in_time.await {
            for (task, outcome) in
                tasks.iter_mut().zip(&mut outcomes).filter(|(_, outcome)| outcome.is_none())
            {
                match on_timeout {
                    OnYieldTimeout::Nothing => {}
                    OnYieldTimeout::Ignore => *outcome = task.stop_waiting(),
                    OnYieldTimeout::KillTask if task.is_taken() => {}
                    OnYieldTimeout::KillTask => *outcome = shut_down(task, Shutdown::BrutalKill).await,
                }
            }
        }
        outcomes
    }
}

impl<'a, T: Send + 'static> IntoFuture for YieldMany<'a, T> {
    type Output = Vec<Option<TaskOutcome<T>>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.wait())
    }
}

impl<T: Send + 'static> fmt::Debug for YieldMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YieldMany")
            .field("tasks", &self.tasks)
            .field("limit", &self.limit)
            .field("on_timeout", &self.on_timeout)
            .field("timeout", &self.timeout)
            .finish()
    }
}

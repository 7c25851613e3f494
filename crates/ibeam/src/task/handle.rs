//! A task that somebody waits for: its handle, and how it is awaited.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ibeam_runtime::__private::{Alarm, Answer, answering};
use ibeam_runtime::{ExitReason, Pid, Timeout, process};

use super::TaskError;

/// A task: a process that computes one value, and the right to that value. See the [module](super).
///
/// A task belongs to the process that started it, its *owner*: nobody else can wait for it. Dropped, the handle is
/// [ignored](Self::ignore): the task goes on, and its value will be dropped.
///
/// # Erlang/OTP
/// The struct `%Task{}`. Differs: the value does not come through the owner's mailbox, unless that is
/// [asked for](Self::into_message); so a task that nobody awaits leaves no message behind.
#[must_use = "a task whose value nobody wants is started with `Task::start` or `Task::start_link`"]
pub struct Task<T: Send + 'static> {
    pub(super) answer: Owed<T>,
    pub(super) pid: Option<Pid>,
    owner: Option<Pid>,
}

/// Where the value is.
pub(super) enum Owed<T> {
    /// With the task's process.
    ByProcess(Answer<T>),
    /// Here.
    Completed(T),
    /// It was taken.
    Taken,
}

/// What has become of a task: its value, or why its process ended without one.
pub type TaskOutcome<T> = Result<T, ExitReason>;

// Nothing in it is pinned.
impl<T: Send + 'static> Unpin for Task<T> {}

impl<T: Send + 'static> Task<T> {
    /// Starts a task that is linked to the calling process, and whose value that process will want.
    ///
    /// A task that crashes takes its owner with it, unless that [traps exits](process::trap_exit), and the other way round. Where
    /// that is not wanted, a [`TaskSupervisor`](crate::TaskSupervisor) starts tasks that are not linked.
    ///
    /// The task works on behalf of its owner, which is the first of its [callers](process::callers).
    ///
    /// # Panics
    /// Outside of a process, and where [`process::spawn`] does.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     let slow = Task::spawn(async { 6 * 7 });
    ///     let fast = 1 + 1; // meanwhile
    ///     assert_eq!((slow.await, fast), (Ok(42), 2));
    /// });
    /// ```
    ///
    /// # Erlang/OTP
    /// `Task.async/1`.
    #[doc(alias = "async")]
    #[track_caller]
    #[inline]
    pub fn spawn<F>(future: F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (body, answer) = answering(future, None);
        let pid = process::builder().link().on_behalf().spawn(body);
        Self::with(answer, pid)
    }

    /// A task that has been completed before it began: it has no process, and its value is there. Where some values have to be
    /// computed and others are known, both can be tasks.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     let known = Task::completed(1);
    ///     assert_eq!(known.pid(), None);
    ///     let both = Task::await_many([known, Task::spawn(async { 2 })]).await;
    ///     assert_eq!(both, Ok(vec![1, 2]));
    /// });
    /// ```
    ///
    /// # Erlang/OTP
    /// `Task.completed/1`.
    pub fn completed(value: T) -> Self {
        Self { answer: Owed::Completed(value), pid: None, owner: process::try_self_pid() }
    }

    /// The handle of a task of the calling process.
    #[inline]
    pub(crate) fn with(answer: Answer<T>, pid: Pid) -> Self {
        Self { answer: Owed::ByProcess(answer), pid: Some(pid), owner: process::try_self_pid() }
    }

    /// Its process; `None` if it was [completed](Self::completed) from the start.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// The process that may wait for it; `None` if it was started outside of processes, and anybody may.
    #[must_use]
    pub fn owner(&self) -> Option<Pid> {
        self.owner
    }

    /// Awaits it, no longer than this; `Timeout::Infinity` is as long as it takes. Counted from the first poll. Default: 5 s.
    ///
    /// # Errors
    /// As awaiting the task itself: see [`TaskError`].
    ///
    /// # Panics
    /// In another process than the task's owner.
    #[track_caller]
    pub fn timeout(self, timeout: impl Into<Timeout>) -> Await<T> {
        self.must_be_owned("await");
        Await { task: self, alarm: Alarm::new(timeout.into()) }
    }

    /// Waits for it no longer than `timeout`: its value, or why it ended without one. `None`: it still runs, and can be waited
    /// for again.
    ///
    /// # Panics
    /// In another process than the task's owner.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting; nothing is lost.
    ///
    /// ```
    /// use ibeam::prelude::*;
    /// use std::time::Duration;
    ///
    /// Runtime::new().block_on(async {
    ///     let mut task = Task::spawn(async { receive! { number: u32 => number } });
    ///     assert_eq!(task.yield_for(Duration::ZERO).await, None);
    ///     task.pid().unwrap().send(7_u32);
    ///     assert_eq!(task.yield_for(Duration::from_secs(5)).await, Some(Ok(7)));
    /// });
    /// ```
    ///
    /// # Erlang/OTP
    /// `Task.yield/2`. The word is reserved in Rust.
    #[doc(alias = "yield")]
    #[track_caller]
    pub fn yield_for(&mut self, timeout: impl Into<Timeout>) -> YieldFor<'_, T> {
        self.must_be_owned("yield_for");
        YieldFor { task: self, alarm: Alarm::new(timeout.into()) }
    }

    /// Stops waiting for it: the task goes on, linked as it was, and its value will be dropped. If it has ended already this is
    /// its outcome.
    ///
    /// # Panics
    /// In another process than the task's owner.
    ///
    /// # Erlang/OTP
    /// `Task.ignore/1`.
    #[track_caller]
    pub fn ignore(mut self) -> Option<TaskOutcome<T>> {
        self.must_be_owned("ignore");
        self.stop_waiting()
    }

    pub(super) fn stop_waiting(&mut self) -> Option<TaskOutcome<T>> {
        let outcome = self.try_take();
        self.answer = Owed::Taken;
        outcome
    }

    /// The outcome, if it is there.
    pub(super) fn try_take(&mut self) -> Option<TaskOutcome<T>> {
        let outcome = match &mut self.answer {
            Owed::ByProcess(answer) => outcome(answer.try_take()?),
            Owed::Completed(_) => return self.take_completed(),
            Owed::Taken => return None,
        };
        self.answer = Owed::Taken;
        Some(outcome)
    }

    /// Ready with the outcome; pending for ever if it was taken before.
    #[inline]
    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<TaskOutcome<T>> {
        let outcome = match &mut self.answer {
            Owed::ByProcess(answer) => match answer.poll(waker) {
                Poll::Ready(answer) => outcome(answer),
                Poll::Pending => return Poll::Pending,
            },
            _ => return self.take_completed().map_or(Poll::Pending, Poll::Ready),
        };
        self.answer = Owed::Taken;
        Poll::Ready(outcome)
    }

    #[cold]
    fn take_completed(&mut self) -> Option<TaskOutcome<T>> {
        match std::mem::replace(&mut self.answer, Owed::Taken) {
            Owed::Completed(value) => Some(Ok(value)),
            _ => None,
        }
    }

    /// Was the outcome taken?
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.answer, Owed::Taken)
    }

    /// Why there is no value.
    #[cold]
    pub(super) fn error(&self, reason: ExitReason) -> TaskError {
        match self.pid {
            Some(pid) => TaskError::Exited { pid, reason },
            None => TaskError::Taken { pid: None },
        }
    }

    /// Why there is no outcome: it was taken, or the time is over.
    #[cold]
    pub(super) fn no_outcome(&self, limit: &Alarm) -> TaskError {
        match self.pid {
            Some(pid) if !self.is_taken() => {
                TaskError::Timeout { pid, after: limit.after().unwrap_or(Duration::MAX) }
            }
            pid => TaskError::Taken { pid },
        }
    }

    /// Is the outcome there? If not, `waker` is woken when it comes.
    pub(super) fn is_over(&mut self, waker: &Waker) -> bool {
        match &self.answer {
            Owed::ByProcess(answer) => answer.is_over(waker),
            Owed::Completed(_) | Owed::Taken => true,
        }
    }

    /// # Panics
    /// If the caller is not the owner.
    #[inline]
    #[track_caller]
    pub(super) fn must_be_owned(&self, function: &str) {
        let caller = process::try_self_pid();
        if self.owner.is_some() && caller != self.owner {
            self.not_owned(function, caller);
        }
    }

    #[cold]
    #[track_caller]
    fn not_owned(&self, function: &str, caller: Option<Pid>) -> ! {
        let owner = self.owner.expect("looked at before");
        let task = self.pid.map_or_else(|| "a completed task".to_owned(), |pid| format!("task {pid}"));
        let caller = caller.map_or_else(|| "code outside of processes".to_owned(), |pid| pid.to_string());
        panic!("`{function}` of {task} needs its owner {owner}, and was called by {caller}")
    }
}

/// Where a process owes an answer, its end without one has a reason.
#[inline]
pub(super) fn outcome<T>(answer: Result<T, Option<ExitReason>>) -> TaskOutcome<T> {
    answer.map_err(|reason| reason.unwrap_or(ExitReason::NoProc))
}

/// Waits for 5 s.
impl<T: Send + 'static> IntoFuture for Task<T> {
    type Output = Result<T, TaskError>;
    type IntoFuture = Await<T>;

    #[track_caller]
    #[inline]
    fn into_future(self) -> Await<T> {
        self.must_be_owned("await");
        Await { task: self, alarm: Alarm::new(Timeout::CALL) }
    }
}

impl<T: Send + 'static> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("pid", &self.pid).field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// The future of a task.
///
/// # Errors
/// See [`TaskError`]. A task that is linked to its owner and crashes takes that with it: an owner that does not trap exits never
/// sees this error.
///
/// # Cancel safety
/// Dropping it is as dropping the [`Task`]. [`Task::yield_for`] keeps the task.
///
/// # Erlang/OTP
/// `Task.await/2`. Differs: a failure is an `Err` here, there it exits the caller; [`or_exit`](crate::gen_server::OrExit::or_exit)
/// does that. After a timeout the task goes on here, linked as it was.
#[must_use = "nothing is waited for until it is awaited"]
#[derive(Debug)]
pub struct Await<T: Send + 'static> {
    task: Task<T>,
    alarm: Alarm,
}

impl<T: Send + 'static> Future for Await<T> {
    type Output = Result<T, TaskError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Poll::Ready(outcome) = this.task.poll(cx.waker()) {
            return Poll::Ready(outcome.map_err(|reason| this.task.error(reason)));
        }
        if this.task.is_taken() || this.alarm.poll(cx).is_ready() {
            return Poll::Ready(Err(this.task.no_outcome(&this.alarm)));
        }
        Poll::Pending
    }
}

/// The future of [`Task::yield_for`].
#[must_use = "nothing is waited for until it is awaited"]
#[derive(Debug)]
pub struct YieldFor<'a, T: Send + 'static> {
    task: &'a mut Task<T>,
    alarm: Alarm,
}

impl<T: Send + 'static> Future for YieldFor<'_, T> {
    type Output = Option<TaskOutcome<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Poll::Ready(outcome) = this.task.poll(cx.waker()) {
            return Poll::Ready(Some(outcome));
        }
        this.alarm.poll(cx).map(|()| None)
    }
}

//! Ending a task.

use std::future::{Future, poll_fn};
use std::task::Poll;

use ibeam_runtime::__private::Alarm;
use ibeam_runtime::process::{self, receive_with};
use ibeam_runtime::{Down, ExitReason, Pid, Timeout};

use super::Task;
use super::handle::TaskOutcome;
use crate::gen_server::Watch;
use crate::supervisor::Shutdown;

impl<T: Send + 'static> Task<T> {
    /// Ends the task and waits until it is gone. `None`: it has ended because of this.
    ///
    /// The task is unlinked first, so its end does not concern the owner. With [`Shutdown::Timeout`] or a [`Duration`] it is asked
    /// to end, and killed if it is still there after this time; Elixir's default is 5 s. With [`Shutdown::BrutalKill`] it is killed
    /// at once. A value that it has computed before comes back, and so does the reason of another end than the one asked for:
    /// [`Killed`](ExitReason::Killed), for instance, when it did not end in time.
    ///
    /// Nothing happens before the first poll.
    ///
    /// # Panics
    /// In another process than the task's owner.
    ///
    /// # Cancel safety
    /// Dropped after the first poll, the task has been asked to end, and nobody waits for that.
    ///
    /// ```
    /// use ibeam::prelude::*;
    /// use std::time::Duration;
    ///
    /// Runtime::new().block_on(async {
    ///     let endless = Task::spawn(std::future::pending::<u32>());
    ///     assert_eq!(endless.shutdown(Duration::from_secs(5)).await, None);
    ///     let done = Task::completed(1);
    ///     assert_eq!(done.shutdown(Shutdown::BrutalKill).await, Some(Ok(1)));
    /// });
    /// ```
    ///
    /// # Erlang/OTP
    /// `Task.shutdown/2`. A task whose outcome was taken is `noproc`, as there; a [completed](Self::completed) one gives its
    /// value, where Elixir raises.
    ///
    /// [`Duration`]: std::time::Duration
    #[track_caller]
    pub fn shutdown(
        mut self,
        how: impl Into<Shutdown>,
    ) -> impl Future<Output = Option<TaskOutcome<T>>> + Send {
        self.must_be_owned("shutdown");
        let how = how.into();
        async move { shut_down(&mut self, how).await }
    }
}

pub(super) async fn shut_down<T: Send + 'static>(
    task: &mut Task<T>,
    how: Shutdown,
) -> Option<TaskOutcome<T>> {
    if task.is_taken() {
        return Some(Err(ExitReason::NoProc));
    }
    let Some(pid) = task.pid else { return task.try_take() };
    let mut end = End::of(pid);
    let (ask, patience) = match how {
        Shutdown::BrutalKill => (ExitReason::Kill, Timeout::Infinity),
        Shutdown::Timeout(patience) => (ExitReason::Shutdown, Timeout::After(patience)),
        Shutdown::Infinity => (ExitReason::Shutdown, Timeout::Infinity),
    };
    process::exit_signal(pid, ask);
    if !end.comes(task, patience).await {
        process::kill(pid);
        end.comes(task, Timeout::Infinity).await;
    }
    match poll_fn(|cx| task.poll(cx.waker())).await {
        Err(ExitReason::Shutdown) if how != Shutdown::BrutalKill => None,
        Err(ExitReason::Killed) if how == Shutdown::BrutalKill => None,
        outcome => Some(outcome),
    }
}

/// What tells of the end of a task's process, which is not linked to the caller from here on.
enum End {
    Monitor(Watch),
    /// Outside of processes nothing tells of an end but the answer, which is there just before it.
    Answer,
}

impl End {
    fn of(pid: Pid) -> Self {
        if process::try_self_pid().is_none() {
            return Self::Answer;
        }
        process::unlink(pid);
        Self::Monitor(Watch(Some(process::monitor(pid))))
    }

    /// Waits for it; `false`: for too long.
    async fn comes<T: Send + 'static>(&mut self, task: &mut Task<T>, patience: Timeout) -> bool {
        match self {
            Self::Monitor(watch) => {
                let Some(monitor) = watch.0 else { return true };
                let down = |down: Down| if down.monitor == monitor { Ok(()) } else { Err(down) };
                let down = receive_with(|message| message.arm(down)).since(monitor).after(patience).await;
                down.and_then(|()| watch.keep()).is_some()
            }
            Self::Answer => {
                let mut alarm = Alarm::new(patience);
                poll_fn(move |cx| match task.is_over(cx.waker()) {
                    true => Poll::Ready(true),
                    false => alarm.poll(cx).map(|()| false),
                })
                .await
            }
        }
    }
}

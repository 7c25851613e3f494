//! The outcome of a task as a message.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use ibeam_runtime::__private::Answer;
use ibeam_runtime::{Pid, Reference, process};

use super::Task;
use super::handle::{Owed, TaskOutcome, outcome};

/// The message that a task's owner gets of a task that was turned [into a message](Task::into_message).
#[derive(Clone, Debug, PartialEq)]
pub struct TaskEnded<T> {
    /// What [`Task::into_message`] returned.
    pub task: Reference,
    /// Its process; `None` if it was [completed](Task::completed) from the start.
    pub pid: Option<Pid>,
    /// Its value, or why it ended without one.
    pub outcome: TaskOutcome<T>,
}

impl<T: Send + 'static> Task<T> {
    /// Has the outcome of the task sent to its owner, as a [`TaskEnded<T>`](TaskEnded), once. For a server, which cannot wait: it
    /// handles that message like any other. The reference says which task it is.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     let task = Task::spawn(async { 42 }).into_message();
    ///     let answer = receive! { TaskEnded::<i32> { task: ended, outcome, .. } if ended == task => outcome };
    ///     assert_eq!(answer, Ok(42));
    /// });
    /// ```
    ///
    /// # Panics
    /// In another process than the task's owner, and outside of processes.
    ///
    /// # Erlang/OTP
    /// What `handle_info` gets of a task in Elixir: `{ref, value}`, or `{:DOWN, ref, :process, pid, reason}`. Differs: it is one
    /// message in either case, of the task's own type.
    #[track_caller]
    pub fn into_message(self) -> Reference {
        self.must_be_owned("into_message");
        let owner = process::self_pid();
        let reference = process::make_ref();
        let Self { answer, pid, .. } = self;
        let send = move |outcome| owner.send(TaskEnded { task: reference, pid, outcome });
        match answer {
            Owed::ByProcess(answer) => announce(answer, send),
            Owed::Completed(value) => send(Ok(value)),
            Owed::Taken => {}
        }
        reference
    }
}

/// Has the outcome sent as soon as it is there.
fn announce<T, S>(mut answer: Answer<T>, send: S)
where
    T: Send + 'static,
    S: Fn(TaskOutcome<T>) + Send + Sync + 'static,
{
    let announcer = Arc::new(Announcer { answer: Mutex::new(None), send });
    let waker = Waker::from(Arc::clone(&announcer));
    // The waker may be woken, by another thread, as soon as the answer knows it: it waits for the answer to be put there.
    let mut place = announcer.answer.lock().unwrap_or_else(PoisonError::into_inner);
    answer.is_over(&waker);
    match answer.try_take() {
        Some(answer) => (announcer.send)(outcome(answer)),
        None => *place = Some(answer),
    }
}

struct Announcer<T, S> {
    answer: Mutex<Option<Answer<T>>>,
    send: S,
}

impl<T, S> Wake for Announcer<T, S>
where
    T: Send + 'static,
    S: Fn(TaskOutcome<T>) + Send + Sync + 'static,
{
    fn wake(self: Arc<Self>) {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(answer) = answer.and_then(|mut answer| answer.try_take()) {
            (self.send)(outcome(answer));
        }
    }
}

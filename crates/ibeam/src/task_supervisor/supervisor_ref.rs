//! The handle of a running task supervisor.

use std::future::Future;

use futures_core::Stream;
use ibeam_runtime::{CallError, ExitReason, Name, NameRegistry, Pid, Termination, Timeout};

use super::recipe::Tasks;
use super::spawn::{Bond, SHUTDOWN, SpawnTask, StartTask};
use crate::dynamic_supervisor::{DynamicChildError, DynamicChildInfo, DynamicSupervisorRef};
use crate::supervisor::{ChildCounts, Restart};
use crate::task::stream::{Items, Parent, Streamed, TaskStream};

/// A task supervisor, by pid or by name. Cheap to clone; a name is resolved at each use, so such a handle outlives restarts.
///
/// Works outside of processes too, but for [`spawn`](Self::spawn) and streams. Requests wait as long as it takes.
///
/// # Erlang/OTP
/// The functions of Elixir's `Task.Supervisor`. Differs: where the supervisor is not there, the error has a [`CallError`]; there
/// the caller exits.
#[derive(Clone, Debug)]
pub struct TaskSupervisorRef {
    supervisor: DynamicSupervisorRef<Tasks>,
}

impl TaskSupervisorRef {
    pub(super) fn new(supervisor: DynamicSupervisorRef<Tasks>) -> Self {
        Self { supervisor }
    }

    /// The task supervisor with this pid. Requests to a process that is none come back as errors.
    #[must_use]
    pub fn of(pid: Pid) -> Self {
        Self::new(DynamicSupervisorRef::with_pid(pid))
    }

    /// Whatever task supervisor has this name, each time the handle is used.
    #[must_use]
    pub fn named(name: impl Into<Name>) -> Self {
        Self::new(DynamicSupervisorRef::by_name(name))
    }

    /// Whatever task supervisor has this key in the registry, each time the handle is used.
    ///
    /// # Erlang/OTP
    /// `{via, Module, Name}`.
    #[must_use]
    pub fn via<N: NameRegistry>(registry: &N, key: impl Into<N::Key>) -> Self {
        Self::new(DynamicSupervisorRef::by_key(registry, key))
    }

    /// The supervisor's process now; `None` if nobody has the name.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.supervisor.pid()
    }

    /// The same supervisor as the dynamic supervisor that it is.
    #[must_use]
    pub fn as_dynamic(&self) -> &DynamicSupervisorRef<Tasks> {
        &self.supervisor
    }

    /// Starts a task under the supervisor whose value the calling process will want, and that is linked to it as one that was
    /// started by [`Task::spawn`](crate::Task::spawn): awaited, this is the [`Task`](crate::Task).
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     let tasks = TaskSupervisor::spec().start_link().await.unwrap();
    ///     let task = tasks.spawn(async { 6 * 7 }).await.unwrap();
    ///     assert_eq!(task.await, Ok(42));
    /// });
    /// ```
    ///
    /// # Errors
    /// See [`DynamicStartError`](crate::DynamicStartError): there are as many tasks as there can be, or the supervisor did not answer.
    ///
    /// # Panics
    /// When polled outside of a process.
    ///
    /// # Erlang/OTP
    /// `Task.Supervisor.async/3`.
    #[doc(alias = "async")]
    pub fn spawn<F>(&self, future: F) -> SpawnTask<'_, F>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        SpawnTask::new(&self.supervisor, future, Bond::Link)
    }

    /// As [`spawn`](Self::spawn), but not linked to the caller: a crash is the task's own affair, and an `Err` where it is
    /// awaited.
    ///
    /// A server, which cannot wait, has the outcome sent to itself: see [`Task::into_message`](crate::Task::into_message). Outside of
    /// processes a task belongs to nobody, and anybody can await it.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     let tasks = TaskSupervisor::spec().start_link().await.unwrap();
    ///     let risky = tasks.spawn_nolink(async { "x".parse::<u32>().unwrap() }).await.unwrap();
    ///     let Err(TaskError::Exited { reason, .. }) = risky.await else { panic!("expected an error") };
    ///     assert!(reason.to_string().contains("InvalidDigit"));
    /// });
    /// ```
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    ///
    /// # Erlang/OTP
    /// `Task.Supervisor.async_nolink/3`.
    #[doc(alias = "async_nolink")]
    pub fn spawn_nolink<F>(&self, future: F) -> SpawnTask<'_, F>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        SpawnTask::new(&self.supervisor, future, Bond::None)
    }

    /// Starts a task that nobody waits for, under the supervisor: awaited, this is its pid. It is not restarted.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     let tasks = TaskSupervisor::spec().start_link().await.unwrap();
    ///     let me = process::self_pid();
    ///     tasks.start_child(async move { me.send("mail sent") }).await.unwrap();
    ///     receive! { "mail sent" => {} }
    /// });
    /// ```
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    ///
    /// # Erlang/OTP
    /// `Task.Supervisor.start_child/3`.
    pub fn start_child<F>(&self, future: F) -> StartTask<'_>
    where
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        StartTask::once(&self.supervisor, future)
    }

    /// As [`start_child`](Self::start_child), for a task that is restarted: `run` makes its future, for each start, in the
    /// supervisor's process.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     let tasks = TaskSupervisor::spec().start_link().await.unwrap();
    ///     let me = process::self_pid();
    ///     static TRIES: AtomicU32 = AtomicU32::new(0);
    ///     let task = tasks.start_child_with(Restart::Transient, move || async move {
    ///         if TRIES.fetch_add(1, Ordering::Relaxed) == 0 {
    ///             process::exit(ExitReason::other("not yet"));
    ///         }
    ///         me.send("done");
    ///     });
    ///     task.await.unwrap();
    ///     receive! { "done" => {} }
    ///     assert_eq!(TRIES.load(Ordering::Relaxed), 2);
    /// });
    /// ```
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    ///
    /// # Erlang/OTP
    /// `Task.Supervisor.start_child/3` with the option `restart`.
    pub fn start_child_with<R, F>(&self, restart: Restart, run: R) -> StartTask<'_>
    where
        R: Fn() -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        StartTask::again(&self.supervisor, restart, run)
    }

    /// As [`Task::stream`](crate::Task::stream), with tasks under the supervisor, which are linked to the stream's owner.
    ///
    /// A start that the supervisor refuses ends the stream: it is the last outcome, an `Err` with the
    /// [`DynamicStartError`](crate::DynamicStartError).
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     let tasks = TaskSupervisor::spec().start_link().await.unwrap();
    ///     let squares = tasks.stream(1..=3, |n| async move { n * n });
    ///     assert_eq!(squares.collect::<Vec<_>>().await, [Ok(1), Ok(4), Ok(9)]);
    /// });
    /// ```
    ///
    /// # Erlang/OTP
    /// `Task.Supervisor.async_stream/4`.
    #[doc(alias = "async_stream")]
    pub fn stream<I, F, Fut>(&self, items: I, f: F) -> TaskStream<Items<I::IntoIter>, F, Fut::Output>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        TaskStream::new(Items::of(items), f, self.parent(true))
    }

    /// As [`stream`](Self::stream), with tasks that are not linked to the stream's owner: a crash is an `Err`.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     let tasks = TaskSupervisor::spec().start_link().await.unwrap();
    ///     let parsed = tasks.stream_nolink(["1", "x"], |text| async move { text.parse::<u32>().unwrap() });
    ///     let parsed: Vec<_> = parsed.collect().await;
    ///     assert!(parsed[0] == Ok(1) && parsed[1].is_err());
    /// });
    /// ```
    ///
    /// # Erlang/OTP
    /// `Task.Supervisor.async_stream_nolink/4`.
    #[doc(alias = "async_stream_nolink")]
    pub fn stream_nolink<I, F, Fut>(&self, items: I, f: F) -> TaskStream<Items<I::IntoIter>, F, Fut::Output>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        TaskStream::new(Items::of(items), f, self.parent(false))
    }

    /// As [`stream`](Self::stream), for the items of a [`Stream`].
    pub fn stream_from<S, F, Fut>(&self, items: S, f: F) -> TaskStream<Streamed<S>, F, Fut::Output>
    where
        S: Stream,
        F: FnMut(S::Item) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        TaskStream::new(Streamed::of(items), f, self.parent(true))
    }

    /// As [`stream_nolink`](Self::stream_nolink), for the items of a [`Stream`].
    pub fn stream_nolink_from<S, F, Fut>(&self, items: S, f: F) -> TaskStream<Streamed<S>, F, Fut::Output>
    where
        S: Stream,
        F: FnMut(S::Item) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        TaskStream::new(Streamed::of(items), f, self.parent(false))
    }

    fn parent(&self, link: bool) -> Parent {
        Parent::Supervisor { supervisor: self.supervisor.clone(), link, shutdown: SHUTDOWN }
    }

    /// The pids of all tasks that run, in no particular order.
    ///
    /// # Errors
    /// The supervisor did not answer.
    ///
    /// # Erlang/OTP
    /// `Task.Supervisor.children/1`.
    pub async fn children(&self) -> Result<Vec<Pid>, CallError> {
        Ok(self.which_children().await?.into_iter().filter_map(|child| child.pid).collect())
    }

    /// See [`DynamicSupervisorRef::which_children`].
    ///
    /// # Errors
    /// The supervisor did not answer.
    pub async fn which_children(&self) -> Result<Vec<DynamicChildInfo>, CallError> {
        self.supervisor.which_children().await
    }

    /// How many tasks there are. Costs the same for any number.
    ///
    /// # Errors
    /// The supervisor did not answer.
    pub async fn count_children(&self) -> Result<ChildCounts, CallError> {
        self.supervisor.count_children().await
    }

    /// Ends a task, as its [`Shutdown`](crate::Shutdown) says, and waits until it is gone. Whoever awaits it sees why.
    ///
    /// # Errors
    /// See [`DynamicChildError`].
    ///
    /// # Erlang/OTP
    /// `Task.Supervisor.terminate_child/2`.
    pub async fn terminate_child(&self, pid: Pid) -> Result<(), DynamicChildError> {
        self.supervisor.terminate_child(pid).await
    }

    /// Stops the tasks side by side, then the supervisor, and waits for that.
    ///
    /// # Errors
    /// The supervisor was not there, ended with another reason, or did not stop in time.
    pub async fn stop(
        &self,
        reason: ExitReason,
        timeout: impl Into<Timeout> + Send,
    ) -> Result<(), CallError> {
        self.supervisor.stop(reason, timeout).await
    }
}

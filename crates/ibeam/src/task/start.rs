//! Tasks that nobody waits for, and tasks as children of supervisors.

use std::future::Future;

use ibeam_runtime::{Pid, Termination, process};

use super::Task;
use crate::supervisor::{ChildSpec, Restart};

/// What a task does whose value nobody wants, and which is started by name: a type, so that its supervisor can show what it is.
///
/// ```
/// use ibeam::prelude::*;
///
/// struct ImportOnce;
///
/// impl RunTask for ImportOnce {
///     type Args = &'static str;
///     type Output = Result<(), ExitReason>;
///
///     async fn run(file: &'static str) -> Result<(), ExitReason> {
///         assert_eq!(file, "users.csv");
///         Ok(())
///     }
/// }
///
/// let child = ImportOnce::child("users.csv");
/// assert_eq!(child.settings().restart, Restart::Temporary);
/// Runtime::new().block_on(async {
///     let top = Supervisor::new(Strategy::OneForOne).child(child.restart(Restart::Transient));
///     top.start_link().await.unwrap();
/// });
/// ```
///
/// # Erlang/OTP
/// What Elixir's `use Task` defines.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a task that can be started by name",
    note = "implement `RunTask` for it, or give the task's future to `Task::start_link` or `Task::child`"
)]
pub trait RunTask: Sized + 'static {
    /// What it is started with.
    type Args: Send + 'static;

    /// What it ends with: `()`, or a `Result` whose error is the exit reason. See [`Termination`].
    type Output: Termination;

    /// What it does.
    fn run(args: Self::Args) -> impl Future<Output = Self::Output> + Send;

    /// Starts it, linked to the calling process.
    ///
    /// # Panics
    /// As [`Task::start_link`].
    #[track_caller]
    fn start_link(args: Self::Args) -> Pid {
        Task::start_link(Self::run(args))
    }

    /// The task as a child: its id is the type's name, it is temporary, and each start begins with a copy of `args`. One that is to
    /// have other defaults overrides this.
    ///
    /// # Erlang/OTP
    /// The `child_spec/1` that `use Task` defines.
    fn child(args: Self::Args) -> ChildSpec
    where
        Self::Args: Clone + Sync,
    {
        let module = std::any::type_name::<Self>();
        child(module, move || Self::run(args.clone())).module(module)
    }
}

impl Task<()> {
    /// Starts a task that nobody waits for and that is not linked to anybody. Its crash is reported, and that is all.
    ///
    /// Works outside of processes too. In a process the task works on its behalf: see [callers](process::callers).
    ///
    /// # Panics
    /// Where [`process::spawn`] does.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     let me = process::self_pid();
    ///     Task::start(async move { me.send("mail sent") });
    ///     receive! { "mail sent" => {} }
    /// });
    /// ```
    ///
    /// # Erlang/OTP
    /// `Task.start/1`.
    #[track_caller]
    pub fn start<F>(future: F) -> Pid
    where
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        process::builder().on_behalf().spawn(future)
    }

    /// Starts a task that nobody waits for, linked to the calling process.
    ///
    /// # Panics
    /// Outside of a process, and where [`process::spawn`] does.
    ///
    /// # Erlang/OTP
    /// `Task.start_link/1`.
    #[track_caller]
    pub fn start_link<F>(future: F) -> Pid
    where
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        process::builder().link().on_behalf().spawn(future)
    }

    /// A task as a child of a supervisor, which starts it once: its id is `Task`, it is [temporary](Restart::Temporary), and both can
    /// be given other values. `run` makes the task's future, for each start.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// Runtime::new().block_on(async {
    ///     let me = process::self_pid();
    ///     let warm_up = Task::child(move || async move { me.send("warm") }).id("warm-up");
    ///     let top = Supervisor::new(Strategy::OneForOne).child(warm_up);
    ///     let _top = top.start_link().await.unwrap();
    ///     receive! { "warm" => {} }
    /// });
    /// ```
    ///
    /// # Erlang/OTP
    /// `Task.child_spec/1`.
    pub fn child<R, F>(run: R) -> ChildSpec
    where
        R: Fn() -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: Termination,
    {
        child("Task", run)
    }
}

fn child<R, F>(id: &str, run: R) -> ChildSpec
where
    R: Fn() -> F + Send + Sync + 'static,
    F: Future<Output: Termination> + Send + 'static,
{
    let start = move || {
        let task = run();
        async move { Ok(Task::start_link(task)) }
    };
    ChildSpec::new(id, start).restart(Restart::Temporary)
}

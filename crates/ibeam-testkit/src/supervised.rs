//! Processes that a test starts and that are gone when it is over.

use ibeam::dynamic_supervisor::DynamicSupervisor;
use ibeam::process;
use ibeam::sim::protect_children;
use ibeam::supervisor::{ChildError, ChildId, ServerChild, StartChildError};
use ibeam::{
    ChildSpec, DynamicSupervisorRef, GenServer, Pid, ServerRef, StartError, Strategy, Supervisor,
    SupervisorRef,
};

use crate::session::Session;

/// What [`start_supervised`] takes, and what it gives back for it.
///
/// | child | its id, unless it says another | gives |
/// |---|---|---|
/// | `Server::child(args)` | the type's name | `ServerRef<Server>` |
/// | [`Supervisor`] | `supervisor` | [`SupervisorRef`] |
/// | [`DynamicSupervisor`] | as its [`child`](DynamicSupervisor::child) | [`DynamicSupervisorRef`] |
/// | [`ChildSpec`] | its own | [`Pid`] |
///
/// The handles are those of the process that was started; after a restart use a name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that can be supervised",
    note = "a server is, as `Type::child(args)`; a `Supervisor`, a `DynamicSupervisor` and a `ChildSpec` are"
)]
pub trait Supervised {
    /// What the test gets of it.
    type Handle;

    /// Its specification.
    fn into_child_spec(self) -> ChildSpec;

    /// The handle of the process that was started.
    fn handle(pid: Pid) -> Self::Handle;
}

impl Supervised for ChildSpec {
    type Handle = Pid;

    fn into_child_spec(self) -> ChildSpec {
        self
    }

    fn handle(pid: Pid) -> Pid {
        pid
    }
}

impl Supervised for &ChildSpec {
    type Handle = Pid;

    fn into_child_spec(self) -> ChildSpec {
        self.clone()
    }

    fn handle(pid: Pid) -> Pid {
        pid
    }
}

impl<S: GenServer> Supervised for ServerChild<S> {
    type Handle = ServerRef<S>;

    fn into_child_spec(self) -> ChildSpec {
        self.into()
    }

    fn handle(pid: Pid) -> ServerRef<S> {
        ServerRef::of(pid)
    }
}

impl Supervised for Supervisor {
    type Handle = SupervisorRef;

    fn into_child_spec(self) -> ChildSpec {
        self.into_child("supervisor")
    }

    fn handle(pid: Pid) -> SupervisorRef {
        SupervisorRef::of(pid)
    }
}

impl Supervised for DynamicSupervisor {
    type Handle = DynamicSupervisorRef;

    fn into_child_spec(self) -> ChildSpec {
        self.child()
    }

    fn handle(pid: Pid) -> DynamicSupervisorRef {
        DynamicSupervisorRef::of(pid)
    }
}

/// Starts a child under the test's own supervisor, which restarts it as its specification says, and stops it when the test is
/// over: the child that was started last is stopped first. It is not linked to the test.
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam_testkit::prelude::*;
///
/// struct Counter(i64);
///
/// #[gen_server]
/// impl Counter {
///     async fn init(start: i64) -> Init<Self> { Init::ok(Counter(start)) }
///     #[call]
///     async fn add(&mut self, by: i64) -> i64 { self.0 += by; self.0 }
/// }
///
/// Test::check(async {
///     let counter = start_supervised(Counter::child(40)).await.unwrap();
///     assert_eq!(counter.add(2).await.unwrap(), 42);
///     stop_supervised(std::any::type_name::<Counter>()).await.unwrap();
///     assert!(counter.add(1).await.is_err());
/// });
/// ```
///
/// # Errors
/// See [`StartChildError`]. A child whose `init` ignores is an error too: there is no process to give back.
///
/// # Panics
/// Outside of the test process.
///
/// # Erlang/OTP
/// `start_supervised/2` of ExUnit. Differs: a child that is ignored is an error.
pub async fn start_supervised<C: Supervised>(child: C) -> Result<C::Handle, StartChildError> {
    let child = child.into_child_spec();
    start(child).await.map(C::handle)
}

/// As [`start_supervised`], with a link between the child and the test: its crash fails the test.
///
/// # Errors
/// As [`start_supervised`].
///
/// # Panics
/// Outside of the test process.
///
/// # Erlang/OTP
/// `start_link_supervised!/2` of ExUnit, with an `Err` in place of the failure.
pub async fn start_link_supervised<C: Supervised>(child: C) -> Result<C::Handle, StartChildError> {
    let pid = start(child.into_child_spec()).await?;
    process::link(pid);
    Ok(C::handle(pid))
}

async fn start(child: ChildSpec) -> Result<Pid, StartChildError> {
    let session = Session::current("start_supervised");
    let supervisor = match session.supervisor() {
        Some(pid) => SupervisorRef::of(pid),
        None => {
            // As good as never too many restarts: what a test crashes again and again is its own affair.
            // A simulation's faults are for what is tested.
            protect_children(true);
            let supervisor = Supervisor::new(Strategy::OneForOne)
                .intensity(1_000_000, std::time::Duration::from_secs(1))
                .start_link()
                .await;
            protect_children(false);
            let supervisor = supervisor.expect("a supervisor without children starts");
            session.set_supervisor(supervisor.pid().expect("a handle by pid"));
            supervisor
        }
    };
    let id = child.settings().id;
    let started = supervisor.start_child(child).await?;
    started.pid.ok_or(StartChildError::Start { id, error: StartError::Ignored })
}

/// Stops a child of [`start_supervised`] and forgets it. It is gone when this returns. A link to the test is removed before,
/// so its end is no failure.
///
/// # Errors
/// [`ChildError::NotFound`] if there is no such child.
///
/// # Panics
/// Outside of the test process.
///
/// # Erlang/OTP
/// `stop_supervised/1` of ExUnit.
pub async fn stop_supervised(id: impl Into<ChildId>) -> Result<(), ChildError> {
    let id = id.into();
    let Some(supervisor) = Session::current("stop_supervised").supervisor() else {
        return Err(ChildError::NotFound { id });
    };
    let supervisor = SupervisorRef::of(supervisor);
    if let Some(pid) = supervisor.which_child(&id).await?.pid {
        process::unlink(pid);
    }
    supervisor.terminate_child(&id).await?;
    // A temporary child was forgotten already.
    let _ = supervisor.delete_child(&id).await;
    Ok(())
}

/// The test's own supervisor; `None` before the first [`start_supervised`].
///
/// # Panics
/// Outside of the test process.
///
/// # Erlang/OTP
/// `fetch_test_supervisor/0` of ExUnit, which starts it.
#[must_use]
pub fn test_supervisor() -> Option<SupervisorRef> {
    Session::current("test_supervisor").supervisor().map(SupervisorRef::of)
}

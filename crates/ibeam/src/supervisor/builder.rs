//! How a program says which supervisor it wants.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use ibeam_runtime::Timeout;

use super::backoff::Backoff;
use super::child_check::{SpecError, check_all};
use super::child_spec::{ChildId, ChildSpec, IntoChildSpec, Kind};
use super::intensity::Limits;
use super::server::{Setup, Supervising};
use super::{AutoShutdown, Strategy, SupervisorRef};
use crate::gen_server::{GenServer, ServerName, Start, StartError};

/// A supervisor that is to be started. See the [module](super).
///
/// # Erlang/OTP
/// What the `init` of the behaviour `supervisor` returns. Elixir's `Supervisor.start_link/2`.
#[derive(Clone, Debug)]
#[must_use = "nothing is started before `start_link`"]
pub struct Supervisor {
    pub(super) strategy: Strategy,
    pub(super) limits: Limits,
    pub(super) auto_shutdown: AutoShutdown,
    pub(super) backoff: Option<Backoff>,
    pub(super) name: Option<ServerName>,
    pub(super) children: Vec<ChildSpec>,
}

impl Supervisor {
    /// A supervisor without children. At most 3 restarts in 5 s, as in Elixir; no automatic shutdown.
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            limits: Limits::default(),
            auto_shutdown: AutoShutdown::default(),
            backoff: None,
            name: None,
            children: Vec::new(),
        }
    }

    pub(crate) fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How many restarts within how long are not too many. Default: 3 in 5 s. The time must be longer than 0 s.
    ///
    /// A restart of several children, as of [`Strategy::OneForAll`], counts once. With 0 the first exit that asks for a restart ends
    /// the supervisor.
    #[doc(alias = "max_restarts")]
    #[doc(alias = "max_seconds")]
    #[doc(alias = "period")]
    pub fn intensity(mut self, max_restarts: usize, within: Duration) -> Self {
        self.limits = Limits { max_restarts, within };
        self
    }

    /// Does it end when its significant children have? Default: [`AutoShutdown::Never`].
    pub fn auto_shutdown(mut self, mode: AutoShutdown) -> Self {
        self.auto_shutdown = mode;
        self
    }

    /// How long to wait between restarts that do not help, for all children that have no [`Backoff`] of their own.
    /// Default: no waiting.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// One more child. Children are started in this order and stopped in the reverse one.
    pub fn child(mut self, child: impl IntoChildSpec) -> Self {
        self.children.push(child.into_child_spec());
        self
    }

    /// More children, behind those that are there.
    pub fn children<C: IntoChildSpec>(mut self, children: impl IntoIterator<Item = C>) -> Self {
        self.children.extend(children.into_iter().map(IntoChildSpec::into_child_spec));
        self
    }

    /// Registers the supervisor under a name: a text is a name of the runtime, a registry's [`via`](crate::NameRegistry::via) gives one of
    /// a registry.
    pub fn name(mut self, name: impl Into<ServerName>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Starts the supervisor and its children, linked to the calling process. Waits until all of them have started.
    ///
    /// # Errors
    /// - [`StartError::Init`] with [`FailedToStartChild`](super::FailedToStartChild) in a `ShutdownWith`: a child did not start. Those
    ///   before it were stopped again, in reverse order.
    /// - [`StartError::Init`] with a [`SpecError`]: see [`check`](Self::check). Nothing was started.
    /// - [`StartError::AlreadyStarted`]: its name is taken.
    pub fn start_link(self) -> StartSupervisor {
        StartSupervisor::new(Setup::ready(self), true)
    }

    /// Starts the supervisor and its children, not linked to the caller, who need not be a process.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    pub fn start(self) -> StartSupervisor {
        StartSupervisor::new(Setup::ready(self), false)
    }

    /// This supervisor as a child of another one: restarted if it ends, given all the time it needs to stop. Each start begins
    /// with the children that it has here; those that were added to it while it ran are not remembered.
    pub fn into_child(self, id: impl Into<ChildId>) -> ChildSpec {
        ChildSpec::supervisor(id, move || self.clone().start_link())
    }

    /// Would it start, as far as that can be said before?
    ///
    /// # Errors
    /// See [`SpecError`].
    pub fn check(&self) -> Result<(), SpecError> {
        if self.limits.within.is_zero() {
            return Err(SpecError::ZeroPeriod);
        }
        if let Some(problem) = self.backoff.as_ref().and_then(Backoff::problem) {
            return Err(SpecError::Backoff { child: None, problem });
        }
        check_all(&self.children, Some(self.auto_shutdown))
    }
}

impl ChildSpec {
    /// A child that is a supervisor: `start` makes its `start_link` anew for each start. Kind is [`Kind::Supervisor`], and with it
    /// it is given all the time it needs to stop.
    pub fn supervisor<F>(id: impl Into<ChildId>, start: F) -> Self
    where
        F: Fn() -> StartSupervisor + Send + Sync + 'static,
    {
        let start = move || start().into_start().start_child();
        Self::boxed(id.into(), start).kind(Kind::Supervisor).module(std::any::type_name::<Supervisor>())
    }
}

/// A supervisor that is a type: its settings and children depend on what it is started with.
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam::supervisor::{Supervise, SupervisorInit};
///
/// struct Pool;
///
/// impl Supervise for Pool {
///     type Args = usize;
///
///     async fn init(workers: usize) -> SupervisorInit {
///         if workers == 0 {
///             return SupervisorInit::Ignore;
///         }
///         let worker = |number| {
///             ChildSpec::new(format!("worker {number}"), || async {
///                 Ok(process::spawn_link(std::future::pending::<()>()))
///             })
///         };
///         Supervisor::new(Strategy::OneForOne).children((0..workers).map(worker)).into()
///     }
/// }
///
/// Runtime::new().block_on(async {
///     let top = Supervisor::new(Strategy::OneForOne).child(Pool::child(2)).start_link().await.unwrap();
///     assert_eq!(top.count_children().await.unwrap().supervisors, 1);
///
///     let pool = Pool::start_link(3).name("pool").await.unwrap();
///     assert_eq!(pool.count_children().await.unwrap().workers, 3);
///     assert_eq!(Pool::start_link(0).await.unwrap_err(), StartError::Ignored);
/// });
/// ```
///
/// # Erlang/OTP
/// The behaviour `supervisor`, with its `init/1`. Elixir's `use Supervisor`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a supervisor",
    note = "implement `Supervise` for it, or make one with `Supervisor::new(strategy)`"
)]
pub trait Supervise: Sized + 'static {
    /// What [`init`](Self::init) is given.
    type Args: Send + 'static;

    /// Says which supervisor this is, in its process, before anything is started.
    fn init(args: Self::Args) -> impl Future<Output = SupervisorInit> + Send;

    /// A supervisor that is to be started, linked to the calling process.
    ///
    /// # Errors
    /// As [`Supervisor::start_link`]; and [`StartError::Ignored`] if that is what `init` says.
    fn start_link(args: Self::Args) -> StartSupervisor {
        StartSupervisor::new(Setup::by_init::<Self>(args), true)
    }

    /// A supervisor that is to be started, not linked to the caller.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    fn start(args: Self::Args) -> StartSupervisor {
        StartSupervisor::new(Setup::by_init::<Self>(args), false)
    }

    /// This supervisor as a child of another one: its id is the type's name, its kind [`Kind::Supervisor`], the rest the defaults; each
    /// start begins with a copy of `args`. One that is to have other defaults overrides this.
    ///
    /// # Erlang/OTP
    /// The `child_spec/1` that Elixir's `use Supervisor` defines.
    fn child(args: Self::Args) -> ChildSpec
    where
        Self::Args: Clone + Sync,
    {
        let module = std::any::type_name::<Self>();
        ChildSpec::supervisor(module, move || Self::start_link(args.clone())).module(module)
    }
}

/// What [`Supervise::init`] returns.
///
/// # Erlang/OTP
/// `{ok, {Flags, ChildSpecs}}` and `ignore`.
#[derive(Clone, Debug)]
#[must_use]
pub enum SupervisorInit {
    /// This supervisor. Whoever starts it waits until its children have started.
    Ok(Supervisor),
    /// There is nothing to run: the process exits normally, and a supervisor keeps the child without a process.
    Ignore,
}

impl From<Supervisor> for SupervisorInit {
    fn from(supervisor: Supervisor) -> Self {
        Self::Ok(supervisor)
    }
}

/// The future of starting a supervisor: options, then `.await`.
///
/// # Cancel safety
/// Dropping it after its first poll leaves the supervisor running, if it starts.
#[must_use = "nothing is started until it is awaited"]
pub struct StartSupervisor {
    setup: Setup,
    link: bool,
    timeout: Timeout,
}

impl StartSupervisor {
    fn new(setup: Setup, link: bool) -> Self {
        Self { setup, link, timeout: Timeout::Infinity }
    }

    /// Registers the supervisor under a name before anything else: see [`Start::name`].
    pub fn name(mut self, name: impl Into<ServerName>) -> Self {
        self.setup.name = Some(name.into());
        self
    }

    /// How long it and its children may take to start; a supervisor that takes longer is killed, and its children with it.
    /// Default: as long as they like, as in OTP.
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = timeout.into();
        self
    }

    fn into_start(self) -> Start<Supervising> {
        let Self { setup, link, timeout } = self;
        let name = setup.name.clone();
        let start = if link { Supervising::start_link(setup) } else { Supervising::start(setup) };
        let start = start.timeout(timeout);
        match name {
            Some(name) => start.name(name),
            None => start,
        }
    }
}

impl IntoFuture for StartSupervisor {
    type Output = Result<SupervisorRef, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.into_start().await.map(SupervisorRef::new) })
    }
}

impl fmt::Debug for StartSupervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartSupervisor")
            .field("name", &self.setup.name)
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

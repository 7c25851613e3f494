//! What one asks of a dynamic supervisor, and how it is started.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ibeam_runtime::{Priority, Timeout, process};

use super::dynamic_ref::DynamicSupervisorRef;
use super::recipe::{AnyChild, DynamicChild, Recipe, Template};
use super::server::{InitFuture, Setup, Supervising};
use crate::gen_server::{GenServer, ServerName, Start, StartError};
use crate::supervisor::intensity::Limits;
use crate::supervisor::{Backoff, ChildSpec, IntoChildSpec, Kind, SpecError};

/// A dynamic supervisor that is to be started. See the [module](super).
///
/// `R` says what its children are started from: [`AnyChild`], child specifications of any kind, or a [`Template`].
///
/// # Erlang/OTP
/// Elixir's `DynamicSupervisor`; this is what its `init` returns.
#[derive(Clone, Debug)]
#[must_use = "nothing is started before `start_link`"]
pub struct DynamicSupervisor<R: Recipe = AnyChild> {
    name: Option<ServerName>,
    flags: Flags,
    recipe: R,
}

/// What a dynamic supervisor keeps to.
#[derive(Clone, Debug)]
pub(super) struct Flags {
    pub(super) limits: Limits,
    pub(super) max_children: usize,
    pub(super) backoff: Option<Arc<Backoff>>,
    /// The type of the supervisor, for people to read.
    pub(super) module: &'static str,
}

/// What a dynamic supervisor keeps to, as it was set or by default.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DynamicSettings {
    /// So many restarts are not too many …
    pub max_restarts: usize,
    /// … within this time.
    pub within: Duration,
    /// How many children there can be at once; `None` is any number.
    pub max_children: Option<usize>,
    /// How long to wait between restarts that do not help.
    pub backoff: Option<Backoff>,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_children: usize::MAX,
            backoff: None,
            module: std::any::type_name::<DynamicSupervisor>(),
        }
    }
}

impl Flags {
    pub(super) fn check(&self) -> Result<(), SpecError> {
        if self.limits.within.is_zero() {
            return Err(SpecError::ZeroPeriod);
        }
        match self.backoff.as_ref().and_then(|backoff| backoff.problem()) {
            Some(problem) => Err(SpecError::Backoff { child: None, problem }),
            None => Ok(()),
        }
    }
}

impl DynamicSupervisor {
    /// A dynamic supervisor with a name. At most 3 restarts in 5 s, any number of children.
    pub fn new(name: impl Into<ServerName>) -> Self {
        Self { name: Some(name.into()), ..Self::spec() }
    }

    /// A dynamic supervisor without a name; the rest as [`new`](Self::new).
    pub fn spec() -> Self {
        Self { name: None, flags: Flags::default(), recipe: AnyChild::default() }
    }

    /// From now on children are started with an `A`, from which `template` makes the child: for the first start and, with the
    /// same arguments again, for each restart. A panic in it is a start that failed.
    ///
    /// The arguments of a child are kept as long as it may be restarted, so those of temporary children are not.
    ///
    /// # Erlang/OTP
    /// The strategy `simple_one_for_one`; Elixir's `extra_arguments`.
    pub fn template<A, C, F>(self, template: F) -> DynamicSupervisor<Template<A, C>>
    where
        A: Clone + Send + Sync + 'static,
        C: DynamicChild,
        F: Fn(A) -> C + Send + Sync + 'static,
    {
        DynamicSupervisor { name: self.name, flags: self.flags, recipe: Template::new(template) }
    }
}

impl<R: Recipe> DynamicSupervisor<R> {
    /// A dynamic supervisor without a name that is the ground for another kind of supervisor.
    pub(crate) fn ground(recipe: R, module: &'static str) -> Self {
        Self { name: None, flags: Flags { module, ..Flags::default() }, recipe }
    }

    pub(crate) fn has_name(&self) -> bool {
        self.name.is_some()
    }

    /// Registers the supervisor under a name.
    pub fn name(mut self, name: impl Into<ServerName>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many children there can be at once; those that restart or stop count. Default: no limit.
    pub fn max_children(mut self, limit: usize) -> Self {
        self.flags.max_children = limit;
        self
    }

    /// How many restarts within how long are not too many. Default: 3 in 5 s.
    #[doc(alias = "max_restarts")]
    #[doc(alias = "max_seconds")]
    pub fn intensity(mut self, max_restarts: usize, within: Duration) -> Self {
        self.flags.limits = Limits { max_restarts, within };
        self
    }

    /// How long to wait between restarts of one child that do not help; a child's own comes first. Default: no back-off.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.flags.backoff = Some(Arc::new(backoff));
        self
    }

    /// What it keeps to.
    #[must_use]
    pub fn settings(&self) -> DynamicSettings {
        let Flags { limits: Limits { max_restarts, within }, max_children, .. } = self.flags;
        let max_children = (max_children != usize::MAX).then_some(max_children);
        DynamicSettings {
            max_restarts,
            within,
            max_children,
            backoff: self.flags.backoff.as_deref().cloned(),
        }
    }

    /// The type that it is, for people to read. Default: this one.
    pub fn module(mut self, module: &'static str) -> Self {
        self.flags.module = module;
        self
    }

    /// Starts the supervisor, linked to the calling process.
    ///
    /// # Errors
    /// See [`StartError`]: its name is taken, or the [`intensity`](Self::intensity) or [`backoff`](Self::backoff) makes no sense.
    ///
    /// # Erlang/OTP
    /// `DynamicSupervisor.start_link/1`.
    pub fn start_link(self) -> StartDynamicSupervisor<R> {
        StartDynamicSupervisor::new(self, true)
    }

    /// Starts the supervisor, not linked to the caller, who need not be a process.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    pub fn start(self) -> StartDynamicSupervisor<R> {
        StartDynamicSupervisor::new(self, false)
    }

    /// This supervisor as a child: its id is its name, or else `DynamicSupervisor`; it is permanent, and given all the time it
    /// needs to stop.
    ///
    /// # Erlang/OTP
    /// Elixir's `DynamicSupervisor.child_spec/1`.
    pub fn child(self) -> ChildSpec {
        let module = self.flags.module;
        let id = self.name.as_ref().map_or_else(|| "DynamicSupervisor".to_owned(), id_of);
        start_as_child(id, module, move || self.clone().start_link())
    }
}

/// So that it can be given to a [`Supervisor`](crate::Supervisor) as it is: see [`child`](DynamicSupervisor::child).
impl<R: Recipe> IntoChildSpec for DynamicSupervisor<R> {
    fn into_child_spec(self) -> ChildSpec {
        self.child()
    }
}

/// What a child with this name is called within its supervisor.
pub(crate) fn id_of(name: &ServerName) -> String {
    match name {
        ServerName::Local(name) => name.as_str().to_owned(),
        ServerName::Via(via) => via.to_string(),
    }
}

fn start_as_child<R: Recipe>(
    id: String,
    module: &'static str,
    start: impl Fn() -> StartDynamicSupervisor<R> + Send + Sync + 'static,
) -> ChildSpec {
    let start = move || start().into_start().start_child();
    ChildSpec::boxed(id.into(), start).kind(Kind::Supervisor).module(module)
}

/// A dynamic supervisor that is a type: its settings depend on what it is started with.
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam::dynamic_supervisor::{AnyChild, DynamicInit, SuperviseDynamic};
///
/// struct Jobs;
///
/// impl SuperviseDynamic for Jobs {
///     type Args = usize;
///     type Recipe = AnyChild;
///
///     async fn init(limit: usize) -> DynamicInit<AnyChild> {
///         DynamicSupervisor::spec().max_children(limit).into()
///     }
/// }
///
/// Runtime::new().block_on(async {
///     let jobs = Jobs::start_link(0).name("jobs").await.unwrap();
///     let refused = jobs.start_child(ChildSpec::new("job", || async { Ok(process::spawn_link(async {})) })).await;
///     assert_eq!(refused, Err(DynamicStartError::MaxChildren { limit: 0 }));
/// });
/// ```
///
/// # Erlang/OTP
/// Elixir's `use DynamicSupervisor`, with its `init/1`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a dynamic supervisor",
    note = "implement `SuperviseDynamic` for it, or make one with `DynamicSupervisor::new(name)`"
)]
pub trait SuperviseDynamic: Sized + 'static {
    /// What [`init`](Self::init) is given.
    type Args: Send + 'static;
    /// What its children are started from: [`AnyChild`] or a [`Template`].
    type Recipe: Recipe;

    /// Says which supervisor this is, in its process.
    fn init(args: Self::Args) -> impl Future<Output = DynamicInit<Self::Recipe>> + Send;

    /// A supervisor that is to be started, linked to the calling process.
    ///
    /// # Errors
    /// As [`DynamicSupervisor::start_link`]; and [`StartError::Ignored`] if that is what `init` says.
    fn start_link(args: Self::Args) -> StartDynamicSupervisor<Self::Recipe> {
        StartDynamicSupervisor::by_init::<Self>(args, true)
    }

    /// A supervisor that is to be started, not linked to the caller.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    fn start(args: Self::Args) -> StartDynamicSupervisor<Self::Recipe> {
        StartDynamicSupervisor::by_init::<Self>(args, false)
    }

    /// This supervisor as a child of another one: its id is the type's name, its kind [`Kind::Supervisor`], the rest the
    /// defaults; each start begins with a copy of `args`. One that is to have other defaults overrides this.
    ///
    /// # Erlang/OTP
    /// The `child_spec/1` that Elixir's `use DynamicSupervisor` defines.
    fn child(args: Self::Args) -> ChildSpec
    where
        Self::Args: Clone + Sync,
    {
        let module = std::any::type_name::<Self>();
        start_as_child(module.to_owned(), module, move || Self::start_link(args.clone()))
    }
}

/// What [`SuperviseDynamic::init`] returns.
///
/// # Erlang/OTP
/// `{ok, Flags}` and `ignore`.
#[derive(Clone, Debug)]
#[must_use]
pub enum DynamicInit<R: Recipe> {
    /// This supervisor. A name that it has is not used here: give one where it is started.
    Ok(DynamicSupervisor<R>),
    /// There is nothing to run: the process exits normally, and a supervisor keeps the child without a process.
    Ignore,
}

impl<R: Recipe> From<DynamicSupervisor<R>> for DynamicInit<R> {
    fn from(supervisor: DynamicSupervisor<R>) -> Self {
        Self::Ok(supervisor)
    }
}

/// The future of starting a dynamic supervisor: options, then `.await`.
///
/// # Cancel safety
/// Dropping it after its first poll leaves the supervisor running, if it starts.
#[must_use = "nothing is started until it is awaited"]
pub struct StartDynamicSupervisor<R: Recipe> {
    setup: Setup<R>,
    name: Option<ServerName>,
    link: bool,
    timeout: Timeout,
    priority: Priority,
}

impl<R: Recipe> StartDynamicSupervisor<R> {
    fn new(supervisor: DynamicSupervisor<R>, link: bool) -> Self {
        let DynamicSupervisor { name, flags, recipe } = supervisor;
        Self::with(Setup::Ready(flags, recipe), name, link)
    }

    fn with(setup: Setup<R>, name: Option<ServerName>, link: bool) -> Self {
        Self { setup, name, link, timeout: Timeout::Infinity, priority: Priority::default() }
    }

    fn by_init<D: SuperviseDynamic<Recipe = R>>(args: D::Args, link: bool) -> Self {
        let init = Box::new(move || -> InitFuture<R> {
            Box::pin(async move {
                match D::init(args).await {
                    DynamicInit::Ok(DynamicSupervisor { mut flags, recipe, .. }) => {
                        if flags.module == Flags::default().module {
                            flags.module = std::any::type_name::<D>();
                        }
                        process::set_label(flags.module);
                        Some((flags, recipe))
                    }
                    DynamicInit::Ignore => None,
                }
            })
        });
        Self::with(Setup::ByInit(init), None, link)
    }

    /// Registers the supervisor under a name.
    pub fn name(mut self, name: impl Into<ServerName>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long the start may take; a supervisor that takes longer is killed. Default: as long as it likes, as in OTP.
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// See [`Start::priority`]. Its children do not inherit it.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    fn into_start(self) -> Start<Supervising<R>> {
        let Self { setup, name, link, timeout, priority } = self;
        let start = if link { Supervising::start_link(setup) } else { Supervising::start(setup) };
        let start = start.timeout(timeout).priority(priority);
        match name {
            Some(name) => start.name(name),
            None => start,
        }
    }
}

impl<R: Recipe> IntoFuture for StartDynamicSupervisor<R> {
    type Output = Result<DynamicSupervisorRef<R>, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.into_start().await.map(DynamicSupervisorRef::new) })
    }
}

impl<R: Recipe> fmt::Debug for StartDynamicSupervisor<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartDynamicSupervisor")
            .field("name", &self.name)
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

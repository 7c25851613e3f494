//! What a supervisor knows of a child, and how a program says it.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use ibeam_runtime::{Pid, Value};

use super::backoff::Backoff;
use super::child_check::SpecError;
use super::child_start::StartFuture;
use crate::gen_server::{GenServer, ServerName, Start, StartError};

/// Names a child within its supervisor. Cheap to clone.
#[derive(Clone)]
pub struct ChildId(Id);

#[derive(Clone)]
enum Id {
    /// The name of a type: of a child that is not given another id.
    Type(&'static str),
    Text(Arc<str>),
}

impl ChildId {
    /// No allocation, which is felt where children are started by the hundred thousand.
    fn of_type(name: &'static str) -> Self {
        Self(Id::Type(name))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Id::Type(name) => name,
            Id::Text(text) => text,
        }
    }
}

impl From<&str> for ChildId {
    fn from(id: &str) -> Self {
        Self(Id::Text(id.into()))
    }
}

impl From<String> for ChildId {
    fn from(id: String) -> Self {
        Self(Id::Text(id.into()))
    }
}

impl From<&Self> for ChildId {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

// As the text, whoever has it: `Borrow` asks for that.
impl PartialEq for ChildId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ChildId {}

impl PartialOrd for ChildId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ChildId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for ChildId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for ChildId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for ChildId {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for ChildId {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// When a child that has ended is started again.
///
/// | | ended normally or by a shutdown | ended otherwise |
/// |---|---|---|
/// | `Permanent` | restarted | restarted |
/// | `Transient` | kept without a process | restarted |
/// | `Temporary` | forgotten | forgotten |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// If it ended neither normally nor by a shutdown.
    Transient,
    /// Never. Its start is forgotten as soon as it runs, the child itself when it has ended.
    Temporary,
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
        })
    }
}

/// Which children may be significant: those that are not always restarted. See [`ChildSpec::significant`].
///
/// A permanent child that is significant would be restarted and end its supervisor at once, so it cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Significant {
    /// A [`Restart::Transient`] child that is significant.
    Transient,
    /// A [`Restart::Temporary`] child that is significant.
    Temporary,
}

/// How a child is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// It is killed.
    BrutalKill,
    /// It is asked, with an exit signal `Shutdown`, and killed if it is still there after this time. Zero is legal.
    Timeout(Duration),
    /// It is asked, and given all the time it needs.
    Infinity,
}

impl From<Duration> for Shutdown {
    fn from(timeout: Duration) -> Self {
        Self::Timeout(timeout)
    }
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BrutalKill => f.write_str("brutal_kill"),
            Self::Timeout(timeout) => write!(f, "{timeout:?}"),
            Self::Infinity => f.write_str("infinity"),
        }
    }
}

/// What a child is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A process that works.
    #[default]
    Worker,
    /// A supervisor.
    Supervisor,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worker => "worker",
            Self::Supervisor => "supervisor",
        })
    }
}

/// A child that was started.
///
/// # Erlang/OTP
/// `{ok, Child}` and `{ok, Child, Info}`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StartedChild {
    /// Its process; `None` if its `init` said that there is nothing to run ([`Init::ignore`](crate::Init::ignore)).
    pub pid: Option<Pid>,
    /// What its start function says besides: see [`ChildSpec::with_info`].
    pub info: Option<Value>,
}

impl StartedChild {
    pub(crate) fn running(pid: Pid) -> Self {
        Self { pid: Some(pid), info: None }
    }

    pub(crate) fn ignored() -> Self {
        Self { pid: None, info: None }
    }
}

/// Starts a child, again and again.
pub trait StartChild: Send + Sync {
    /// Called in the supervisor's process.
    fn start(&self) -> StartFuture;
}

impl<F: Fn() -> StartFuture + Send + Sync> StartChild for F {
    fn start(&self) -> StartFuture {
        self()
    }
}

/// A child: how it is started, when it is restarted, how it is stopped.
///
/// Servers and supervisors make theirs by themselves ([`GenServer::child`], [`Supervise::child`](super::Supervise::child));
/// every field can be given another value where the child is used:
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam::supervisor::{Kind, Shutdown};
/// use std::time::Duration;
///
/// struct Cache;
///
/// #[gen_server]
/// impl Cache {
///     async fn init(_rows: usize) -> Init<Self> {
///         Init::ok(Cache)
///     }
/// }
///
/// let spec: ChildSpec = Cache::child(1_000)
///     .name("cache")
///     .id("small cache")
///     .restart(Restart::Transient)
///     .shutdown(Duration::from_secs(10))
///     .into();
/// let settings = spec.settings();
/// assert_eq!(settings.id, "small cache");
/// assert_eq!(settings.restart, Restart::Transient);
/// assert_eq!(settings.shutdown, Shutdown::Timeout(Duration::from_secs(10)));
/// assert_eq!(settings.kind, Kind::Worker);
/// ```
///
/// # Erlang/OTP
/// The map of a child specification. Its `modules`, which code upgrades need there, is [`module`](Self::module) here, for people
/// to read. What is a wrong type there does not compile here; the rest is checked when a supervisor is given the child
/// ([`check_child_specs`](super::check_child_specs)).
#[derive(Clone)]
#[must_use = "a specification starts nothing"]
pub struct ChildSpec {
    pub(crate) settings: Settings,
    pub(crate) start: Arc<dyn StartChild>,
}

/// A child specification without the start.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) id: ChildId,
    pub(crate) module: Option<&'static str>,
    /// `None`: the default for the kind.
    shutdown: Option<Shutdown>,
    pub(crate) backoff: Option<Arc<Backoff>>,
    pub(crate) restart: Restart,
    pub(crate) kind: Kind,
    pub(crate) significant: bool,
}

impl Settings {
    fn new(id: ChildId) -> Self {
        Self {
            id,
            module: None,
            shutdown: None,
            backoff: None,
            restart: Restart::default(),
            kind: Kind::default(),
            significant: false,
        }
    }

    pub(crate) fn shutdown(&self) -> Shutdown {
        self.shutdown.unwrap_or(match self.kind {
            Kind::Worker => Shutdown::Timeout(Duration::from_secs(5)),
            Kind::Supervisor => Shutdown::Infinity,
        })
    }
}

/// The fields of a [`ChildSpec`], with the defaults filled in.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChildSettings {
    /// What the child is called within its supervisor.
    pub id: ChildId,
    /// When it is restarted.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Worker or supervisor.
    pub kind: Kind,
    /// Does its end count for the supervisor's [`AutoShutdown`](super::AutoShutdown)?
    pub significant: bool,
    /// The type that implements it; `None` if that is not known.
    pub module: Option<&'static str>,
    /// Its own restart back-off, if it has one.
    pub backoff: Option<Backoff>,
}

impl ChildSpec {
    /// A child that `start` starts: it runs in the supervisor's process, must link what it starts to that process, and returns
    /// its pid. Called again for each restart. A panic in it is a start that failed; the supervisor survives it.
    ///
    /// ```
    /// use ibeam::prelude::*;
    ///
    /// let ticker = ChildSpec::new("ticker", || async {
    ///     Ok(process::spawn_link(async { std::future::pending::<()>().await }))
    /// });
    /// assert_eq!(ticker.settings().id, "ticker");
    /// ```
    pub fn new<F, Fut>(id: impl Into<ChildId>, start: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Pid, StartError>> + Send + 'static,
    {
        Self::boxed(id.into(), move || {
            let start = start();
            StartFuture::boxed(async move { start.await.map(StartedChild::running) })
        })
    }

    /// As [`new`](Self::new), for a start that says more than the pid. Who starts the child through the supervisor gets the value
    /// ([`StartedChild::info`]); otherwise it is dropped.
    ///
    /// # Erlang/OTP
    /// A start function that returns `{ok, Pid, Info}`.
    pub fn with_info<F, Fut>(id: impl Into<ChildId>, start: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(Pid, Value), StartError>> + Send + 'static,
    {
        Self::boxed(id.into(), move || {
            let start = start();
            StartFuture::boxed(async move {
                start.await.map(|(pid, info)| StartedChild { pid: Some(pid), info: Some(info) })
            })
        })
    }

    /// A child that is a server: `start` makes its `start_link`, options included, anew for each start.
    pub fn server<S, F>(id: impl Into<ChildId>, start: F) -> Self
    where
        S: GenServer,
        F: Fn() -> Start<S> + Send + Sync + 'static,
    {
        Self::boxed(id.into(), move || start().start_child()).module(std::any::type_name::<S>())
    }

    pub(crate) fn boxed(id: ChildId, start: impl Fn() -> StartFuture + Send + Sync + 'static) -> Self {
        Self { settings: Settings::new(id), start: Arc::new(start) }
    }

    /// Another start than the one it was made with; everything else stays as it is. As [`new`](Self::new).
    pub fn start<F, Fut>(mut self, start: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Pid, StartError>> + Send + 'static,
    {
        self.start = Self::new("", start).start;
        self
    }

    /// The fields, with the defaults filled in.
    #[must_use]
    pub fn settings(&self) -> ChildSettings {
        let settings = &self.settings;
        ChildSettings {
            id: settings.id.clone(),
            restart: settings.restart,
            shutdown: settings.shutdown(),
            kind: settings.kind,
            significant: settings.significant,
            module: settings.module,
            backoff: settings.backoff.as_deref().cloned(),
        }
    }

    /// Is it a specification that some supervisor takes? What depends on the supervisor's own settings is not looked at.
    ///
    /// # Errors
    /// See [`SpecError`].
    pub fn check(&self) -> Result<(), SpecError> {
        super::child_check::check(&self.settings, None)
    }
}

/// What can be given another value where a child is used.
macro_rules! overrides {
    () => {
        /// Another id than the one it was made with. Two children of one supervisor need different ids.
        pub fn id(mut self, id: impl Into<ChildId>) -> Self {
            self.settings.id = id.into();
            self
        }

        /// Default: [`Restart::Permanent`].
        pub fn restart(mut self, restart: Restart) -> Self {
            self.settings.restart = restart;
            self
        }

        /// The end of this child may end its supervisor: see [`AutoShutdown`](super::AutoShutdown). Sets
        /// [`restart`](Self::restart) with it, because a permanent child cannot be significant. Default: not significant.
        ///
        /// A `restart(Restart::Permanent)` after this is found when a supervisor is given the child.
        pub fn significant(mut self, significant: Significant) -> Self {
            self.settings.significant = true;
            self.settings.restart = match significant {
                Significant::Transient => Restart::Transient,
                Significant::Temporary => Restart::Temporary,
            };
            self
        }

        /// How it is stopped; a [`Duration`] is a [`Shutdown::Timeout`]. Default: 5 s for a worker, [`Shutdown::Infinity`] for a
        /// supervisor.
        pub fn shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
            self.settings.shutdown = Some(shutdown.into());
            self
        }

        /// Default: [`Kind::Worker`], unless it was made from a supervisor.
        #[doc(alias = "type")]
        pub fn kind(mut self, kind: Kind) -> Self {
            self.settings.kind = kind;
            self
        }

        /// The type that implements it, for people to read. Default: the server's or supervisor's, otherwise not known.
        #[doc(alias = "modules")]
        pub fn module(mut self, module: &'static str) -> Self {
            self.settings.module = Some(module);
            self
        }

        /// How long to wait between restarts that do not help: see [`Backoff`]. Default: the supervisor's, which has none by
        /// default.
        pub fn backoff(mut self, backoff: Backoff) -> Self {
            self.settings.backoff = Some(Arc::new(backoff));
            self
        }
    };
}

impl ChildSpec {
    overrides!();
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.settings(), f)
    }
}

/// A server as a child: what [`GenServer::child`] returns. It is a [`ChildSpec`] that still knows its server's type, so that the
/// start's own options can be given too.
#[must_use = "a specification starts nothing"]
pub struct ServerChild<S: GenServer> {
    settings: Settings,
    start: Arc<dyn StartServer<S>>,
}

/// Starts a server, which may be given further options. One allocation with what it starts from, also as a [`StartChild`].
trait StartServer<S: GenServer>: StartChild {
    fn make(&self) -> Start<S>;
}

/// With a copy of these arguments.
struct WithArgs<S: GenServer>(S::Args);

/// As this function makes its start.
struct ByFunction<F>(F);

/// As another one, with options applied.
struct WithOptions<S: GenServer, F>(Arc<dyn StartServer<S>>, F);

impl<S: GenServer> StartServer<S> for WithArgs<S>
where
    S::Args: Clone + Sync,
{
    fn make(&self) -> Start<S> {
        S::start_link(self.0.clone())
    }
}

impl<S: GenServer, F: Fn() -> Start<S> + Send + Sync> StartServer<S> for ByFunction<F> {
    fn make(&self) -> Start<S> {
        (self.0)()
    }
}

impl<S: GenServer, F: Fn(Start<S>) -> Start<S> + Send + Sync> StartServer<S> for WithOptions<S, F> {
    fn make(&self) -> Start<S> {
        (self.1)(self.0.make())
    }
}

impl<S: GenServer> StartChild for WithArgs<S>
where
    S::Args: Clone + Sync,
{
    fn start(&self) -> StartFuture {
        self.make().start_child()
    }
}

impl<S: GenServer, F: Fn() -> Start<S> + Send + Sync> StartChild for ByFunction<F> {
    fn start(&self) -> StartFuture {
        self.make().start_child()
    }
}

impl<S: GenServer, F: Fn(Start<S>) -> Start<S> + Send + Sync> StartChild for WithOptions<S, F> {
    fn start(&self) -> StartFuture {
        self.make().start_child()
    }
}

impl<S: GenServer> ServerChild<S> {
    /// The server `S`, started with a copy of `args` each time: id and module are the type's name, the rest the defaults.
    pub fn new(args: S::Args) -> Self
    where
        S::Args: Clone + Sync,
    {
        Self::with(Arc::new(WithArgs::<S>(args)))
    }

    /// The server `S`, started like this each time.
    pub(crate) fn from_start(start: impl Fn() -> Start<S> + Send + Sync + 'static) -> Self {
        Self::with(Arc::new(ByFunction(start)))
    }

    fn with(start: Arc<dyn StartServer<S>>) -> Self {
        let module = std::any::type_name::<S>();
        let settings = Settings { module: Some(module), ..Settings::new(ChildId::of_type(module)) };
        Self { settings, start }
    }

    overrides!();

    /// Registers the server under this name, at each start.
    pub fn name(self, name: impl Into<ServerName>) -> Self {
        let name = name.into();
        self.options(move |start| start.name(name.clone()))
    }

    /// Options of the start: mailbox, priority, timeout and what else [`Start`] has. Applied at each start.
    pub fn options(self, options: impl Fn(Start<S>) -> Start<S> + Send + Sync + 'static) -> Self {
        let Self { settings, start } = self;
        Self { settings, start: Arc::new(WithOptions(start, options)) }
    }
}

impl<S: GenServer> From<ServerChild<S>> for ChildSpec {
    fn from(child: ServerChild<S>) -> Self {
        Self { settings: child.settings, start: child.start }
    }
}

impl<S: GenServer> fmt::Debug for ServerChild<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerChild").field("id", &self.settings.id).finish_non_exhaustive()
    }
}

/// What a supervisor takes as a child: a [`ChildSpec`], or a [`ServerChild`].
///
/// ```compile_fail
/// use ibeam::prelude::*;
/// let supervisor = Supervisor::new(Strategy::OneForOne).child("a string");
/// ```
///
/// # Erlang/OTP
/// What Elixir's `Supervisor.child_spec/2` takes. A type is `Type::child(args)` here.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no child of a supervisor",
    label = "expected a child specification",
    note = "a server is a child as `Type::child(args)`, whose arguments must be `Clone` and `Sync`: each restart begins with them",
    note = "anything else is one as `ChildSpec::new(id, start)`, where `start` starts a linked process and returns its pid"
)]
pub trait IntoChildSpec {
    /// The specification.
    fn into_child_spec(self) -> ChildSpec;
}

impl IntoChildSpec for ChildSpec {
    fn into_child_spec(self) -> ChildSpec {
        self
    }
}

impl IntoChildSpec for &ChildSpec {
    fn into_child_spec(self) -> ChildSpec {
        self.clone()
    }
}

impl<S: GenServer> IntoChildSpec for ServerChild<S> {
    fn into_child_spec(self) -> ChildSpec {
        self.into()
    }
}

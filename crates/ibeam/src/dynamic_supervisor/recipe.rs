//! What children are started from: a child specification each, or a template and arguments.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::children::Terms;
use super::{DynamicStartError, DynamicSupervisor, DynamicSupervisorRef};
use crate::gen_server::{GenServer, ServerRef, StartError};
use crate::supervisor::child_spec::{Settings, StartChild};
use crate::supervisor::child_start::StartFuture;
use crate::supervisor::{ChildSpec, IntoChildSpec, ServerChild, StartedChild};

/// Children of any kind: each is started with a child specification of its own. The default.
#[derive(Clone, Debug, Default)]
pub struct AnyChild {
    _private: (),
}

/// Children of one kind: each is started with its arguments, an `A`, from which the template makes the child, a `C`. See
/// [`DynamicSupervisor::template`](super::DynamicSupervisor::template).
pub struct Template<A, C = ChildSpec> {
    template: Arc<TemplateFn<A>>,
    _child: PhantomData<fn() -> C>,
}

type TemplateFn<A> = dyn Fn(A) -> ChildSpec + Send + Sync;

impl<A, C: DynamicChild> Template<A, C> {
    pub(super) fn new(template: impl Fn(A) -> C + Send + Sync + 'static) -> Self {
        Self { template: Arc::new(move |args| template(args).into_child_spec()), _child: PhantomData }
    }
}

impl<A, C> Clone for Template<A, C> {
    fn clone(&self) -> Self {
        Self { template: Arc::clone(&self.template), _child: PhantomData }
    }
}

impl<A, C> fmt::Debug for Template<A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template<{}>", std::any::type_name::<A>())
    }
}

/// A child of a dynamic supervisor, and what one gets when it was started.
///
/// | child | started |
/// |---|---|
/// | a [`ServerChild<S>`](ServerChild), from `S::child(args)` | [`ServerRef<S>`](ServerRef) |
/// | a [`DynamicSupervisor<R>`](DynamicSupervisor) | [`DynamicSupervisorRef<R>`](DynamicSupervisorRef) |
/// | a [`ChildSpec`] | [`StartedChild`] |
pub trait DynamicChild: IntoChildSpec + 'static {
    /// What comes back from the start.
    type Started;

    #[doc(hidden)]
    fn started(child: StartedChild) -> Result<Self::Started, DynamicStartError>;
}

impl DynamicChild for ChildSpec {
    type Started = StartedChild;

    fn started(child: StartedChild) -> Result<StartedChild, DynamicStartError> {
        Ok(child)
    }
}

impl<S: GenServer> DynamicChild for ServerChild<S> {
    type Started = ServerRef<S>;

    fn started(child: StartedChild) -> Result<ServerRef<S>, DynamicStartError> {
        child.pid.map(ServerRef::of).ok_or(DynamicStartError::Start(StartError::Ignored))
    }
}

impl<R: Recipe> DynamicChild for DynamicSupervisor<R> {
    type Started = DynamicSupervisorRef<R>;

    fn started(child: StartedChild) -> Result<DynamicSupervisorRef<R>, DynamicStartError> {
        child.pid.map(DynamicSupervisorRef::with_pid).ok_or(DynamicStartError::Start(StartError::Ignored))
    }
}

/// What [`start_child`](super::DynamicSupervisorRef::start_child) is given, and what a restart begins with. Implemented by
/// [`AnyChild`] and [`Template`].
pub trait Recipe: sealed::Recipe {}

impl Recipe for AnyChild {}
impl<A: Clone + Send + Sync + 'static, C: DynamicChild> Recipe for Template<A, C> {}

pub(crate) mod sealed {
    use super::{Begun, StartFuture};

    pub trait Recipe: Clone + Send + Sync + 'static {
        /// What a child is started with.
        type Args: Send + 'static;
        /// What is kept of it for restarts.
        type Kept: Send + Sync + 'static;

        /// The first start.
        #[doc(hidden)]
        fn begin(&self, args: Self::Args) -> Begun<Self::Kept>;

        /// Another start.
        #[doc(hidden)]
        fn again(&self, kept: &Self::Kept) -> StartFuture;
    }
}

impl sealed::Recipe for AnyChild {
    type Args = ChildSpec;
    type Kept = Arc<dyn StartChild>;

    fn begin(&self, ChildSpec { settings, start }: ChildSpec) -> Begun<Self::Kept> {
        let future = start.start();
        Begun { kept: start, start: future, terms: terms(settings) }
    }

    fn again(&self, start: &Self::Kept) -> StartFuture {
        start.start()
    }
}

impl<A: Clone + Send + Sync + 'static, C: DynamicChild> sealed::Recipe for Template<A, C> {
    type Args = A;
    type Kept = A;

    fn begin(&self, args: A) -> Begun<A> {
        let ChildSpec { settings, start } = (self.template)(args.clone());
        Begun { kept: args, start: start.start(), terms: terms(settings) }
    }

    fn again(&self, args: &A) -> StartFuture {
        (self.template)(args.clone()).start.start()
    }
}

/// A child whose first start has begun; `K` is what the next one begins with.
pub struct Begun<K> {
    pub(crate) kept: K,
    pub(crate) start: StartFuture,
    pub(crate) terms: Terms,
}

fn terms(settings: Settings) -> Terms {
    Terms {
        restart: settings.restart,
        shutdown: settings.shutdown(),
        kind: settings.kind,
        implemented_by: settings.module,
        backoff: settings.backoff,
    }
}

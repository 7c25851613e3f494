//! Which registry one wants, and its processes: a supervisor, and one process per partition.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::hash::Hash;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use ibeam_runtime::process::{self, Key};
use ibeam_runtime::{ExitReason, Name};

use super::cell::{Cell, Shown};
use super::core::Core;
use super::meta::Meta;
use super::{Keys, Registry, RegistryKey, RegistryValue, Unique};
use crate::gen_server::{GenServer, Init, StartError};
use crate::supervisor::{
    ChildSpec, IntoChildSpec, ServerChild, StartSupervisor, Strategy, Supervise, Supervisor, SupervisorInit,
};

/// Says which registry it is, without one.
type Types<K, V, M> = PhantomData<fn() -> (K, V, M)>;

/// A registry that is to be started: [`Registry::unique`] or [`Registry::duplicate`].
///
/// # Erlang/OTP
/// The options of Elixir's `Registry.start_link/1`. Differs: `compressed` has no meaning for values that are not copied.
#[must_use = "nothing is started before `start_link`"]
pub struct RegistryBuilder<K, V, M = Unique> {
    pub(super) plan: Plan,
    _types: Types<K, V, M>,
}

/// What a run of a registry begins with.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) name: Name,
    pub(super) by_key: bool,
    pub(super) meta: Meta,
    pub(super) listeners: Arc<[Name]>,
    partitions: usize,
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> RegistryBuilder<K, V, M> {
    pub(super) fn new(name: Name) -> Self {
        let plan =
            Plan { name, by_key: false, meta: Meta::default(), listeners: Arc::new([]), partitions: 1 };
        Self { plan, _types: PhantomData }
    }

    /// How many partitions, at least 1. Each has a process of its own, and the owners of entries are spread over them. Default: 1.
    ///
    /// More let more processes register at the same time; look-ups are as fast with one.
    pub fn partitions(mut self, partitions: usize) -> Self {
        self.plan.partitions = partitions;
        self
    }

    /// Processes, by name, that are sent a [`RegistryEvent`](super::RegistryEvent) for each entry that comes or goes. One that
    /// is not there then misses it. Default: none.
    pub fn listeners<N: Into<Name>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.plan.listeners = names.into_iter().map(Into::into).collect();
        self
    }

    /// A value that the registry begins with, as [`put_meta`](Registry::put_meta) puts it. Not forgotten by a restart.
    pub fn meta<T: Send + Sync + 'static>(
        self,
        key: impl Hash + Eq + Send + Sync + 'static,
        value: T,
    ) -> Self {
        self.plan.meta.put(key, value);
        self
    }

    /// Starts the registry, linked to the calling process.
    ///
    /// # Errors
    /// See [`StartError`]: its name is taken, or it is to have no partitions: [`RegistryPartitionsError`].
    ///
    /// # Erlang/OTP
    /// `Registry.start_link/1`.
    pub fn start_link(self) -> StartRegistry<K, V, M> {
        StartRegistry { plan: self.plan, link: true, _types: PhantomData }
    }

    /// Starts the registry, not linked to the caller, who need not be a process.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    pub fn start(self) -> StartRegistry<K, V, M> {
        StartRegistry { plan: self.plan, link: false, _types: PhantomData }
    }

    /// This registry as a child of a supervisor: its id is its name; it is permanent, and given all the time it needs to stop.
    /// Put it before the children that register, with [`Strategy::RestForOne`]: so they end before it, and start after it.
    ///
    /// # Erlang/OTP
    /// `Registry.child_spec/1`.
    pub fn child(self) -> ChildSpec {
        let plan = self.plan;
        let module = std::any::type_name::<Registry<K, V, M>>();
        ChildSpec::supervisor(plan.name.to_string(), move || start::<K, V, M>(plan.clone(), true))
            .module(module)
    }
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> IntoChildSpec for RegistryBuilder<K, V, M> {
    fn into_child_spec(self) -> ChildSpec {
        self.child()
    }
}

impl<K, V, M> Clone for RegistryBuilder<K, V, M> {
    fn clone(&self) -> Self {
        Self { plan: self.plan.clone(), _types: PhantomData }
    }
}

impl<K, V, M> fmt::Debug for RegistryBuilder<K, V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBuilder")
            .field("name", &self.plan.name)
            .field("partitions", &self.plan.partitions)
            .field("listeners", &self.plan.listeners)
            .finish_non_exhaustive()
    }
}

/// A registry was to have no partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryPartitionsError;

impl fmt::Display for RegistryPartitionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a positive number of partitions, got 0")
    }
}

impl std::error::Error for RegistryPartitionsError {}

/// The future of starting a registry.
///
/// # Cancel safety
/// Dropping it after its first poll leaves the registry running, if it starts.
#[must_use = "nothing is started until it is awaited"]
pub struct StartRegistry<K, V, M = Unique> {
    plan: Plan,
    link: bool,
    _types: Types<K, V, M>,
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> IntoFuture for StartRegistry<K, V, M> {
    type Output = Result<Registry<K, V, M>, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let registry = Registry::named(self.plan.name.clone());
            start::<K, V, M>(self.plan, self.link).await?;
            Ok(registry)
        })
    }
}

impl<K, V, M> fmt::Debug for StartRegistry<K, V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartRegistry").field("name", &self.plan.name).finish_non_exhaustive()
    }
}

fn start<K: RegistryKey, V: RegistryValue, M: Keys>(plan: Plan, link: bool) -> StartSupervisor {
    let name = plan.name.clone();
    let args = (plan, PhantomData);
    let start = if link { Partitions::<K, V, M>::start_link(args) } else { Partitions::start(args) };
    start.name(name)
}

/// The supervisor of a registry. Its partitions restart one by one: each takes away what its own owners have, and no more.
struct Partitions<K, V, M>(Types<K, V, M>);

impl<K: RegistryKey, V: RegistryValue, M: Keys> Supervise for Partitions<K, V, M> {
    type Args = (Plan, Types<K, V, M>);

    async fn init((plan, _): Self::Args) -> SupervisorInit {
        if plan.partitions == 0 {
            process::exit(ExitReason::error(RegistryPartitionsError));
        }
        let core = Core::<K, V, M>::new(&plan, plan.partitions);
        let shown = Cell::of(plan.name.clone()).show(core.clone());
        process::put(Key::<Shown<K, V, M>>::new("$registry"), shown);
        let partition = |number: usize| {
            ServerChild::<Partition<K, V, M>>::new((core.clone(), number)).id(number.to_string())
        };
        Supervisor::new(Strategy::OneForOne).children((0..plan.partitions).map(partition)).into()
    }
}

/// The process of a partition. It does nothing: that it lives is what its owners' entries rest on.
struct Partition<K, V, M>(Types<K, V, M>);

impl<K: RegistryKey, V: RegistryValue, M: Keys> GenServer for Partition<K, V, M> {
    type Args = (Core<K, V, M>, usize);

    async fn init((core, number): Self::Args) -> Init<Self> {
        core.open(number);
        Init::ok(Self(PhantomData))
    }
}

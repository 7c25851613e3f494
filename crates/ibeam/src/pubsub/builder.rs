//! Which bus one wants, and its processes: a supervisor, with the registry of the subscriptions and what the adapter needs.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use ibeam_runtime::{ExitReason, Name, metrics, process};

use super::adapter::{Adapter, AdapterOptions, Local};
use super::handle::{ADAPTER, PubSub, SharedAdapter};
use crate::gen_server::StartError;
use crate::registry::{Registry, RegistryKey, RegistryValue};
use crate::supervisor::{
    ChildSpec, IntoChildSpec, StartSupervisor, Strategy, Supervise, Supervisor, SupervisorInit,
};

/// A bus that is to be started: [`PubSub::new`] or [`PubSub::typed`].
///
/// # Erlang/OTP
/// The options of `Phoenix.PubSub.child_spec/1`.
#[must_use = "nothing is started before `start_link`"]
pub struct PubSubBuilder<K, V> {
    plan: Plan,
    _types: PhantomData<fn() -> (K, V)>,
}

#[derive(Clone)]
struct Plan {
    name: Name,
    pool_size: Option<usize>,
    broadcast_pool_size: Option<usize>,
    registry_size: Option<usize>,
    adapter: SharedAdapter,
}

impl<K: RegistryKey, V: RegistryValue> PubSubBuilder<K, V> {
    pub(super) fn new(name: Name) -> Self {
        let plan = Plan {
            name,
            pool_size: None,
            broadcast_pool_size: None,
            registry_size: None,
            adapter: SharedAdapter(Arc::new(Local)),
        };
        Self { plan, _types: PhantomData }
    }

    /// How many processes the adapter has, and, unless [`registry_size`](Self::registry_size) says something else, how many
    /// partitions there are. Default: 1 process, and a partition for every 4 workers of the runtime.
    pub fn pool_size(mut self, processes: usize) -> Self {
        self.plan.pool_size = Some(processes);
        self
    }

    /// Over how many of the processes of other nodes this one spreads its broadcasts, at most
    /// [`pool_size`](Self::pool_size). Default: as many as that. The smaller of the two numbers, while a cluster goes from one
    /// `pool_size` to another.
    pub fn broadcast_pool_size(mut self, processes: usize) -> Self {
        self.plan.broadcast_pool_size = Some(processes);
        self
    }

    /// How many partitions the subscriptions have, at least 1: processes that subscribe at the same time get less in each
    /// other's way. Default: see [`pool_size`](Self::pool_size).
    pub fn registry_size(mut self, partitions: usize) -> Self {
        self.plan.registry_size = Some(partitions);
        self
    }

    /// What carries broadcasts to other nodes. Default: [`Local`], nothing.
    pub fn adapter(mut self, adapter: impl Adapter) -> Self {
        self.plan.adapter = SharedAdapter(Arc::new(adapter));
        self
    }

    /// Starts the bus, linked to the calling process.
    ///
    /// # Errors
    /// See [`StartError`]: its name is taken, it is to have no partitions, a child of its adapter does not start, or
    /// [`PoolSizeError`].
    pub fn start_link(self) -> StartPubSub<K, V> {
        StartPubSub { plan: self.plan, link: true, _types: PhantomData }
    }

    /// Starts the bus, not linked to the caller, who need not be a process.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    pub fn start(self) -> StartPubSub<K, V> {
        StartPubSub { plan: self.plan, link: false, _types: PhantomData }
    }

    /// This bus as a child of a supervisor: its id is its name; it is permanent, and given all the time it needs to stop. Put it
    /// before the children that subscribe, with [`Strategy::RestForOne`]: so they start after it again.
    ///
    /// # Erlang/OTP
    /// `Phoenix.PubSub.child_spec/1`.
    pub fn child(self) -> ChildSpec {
        let plan = self.plan;
        let module = std::any::type_name::<PubSub<K, V>>();
        ChildSpec::supervisor(plan.name.to_string(), move || start::<K, V>(plan.clone(), true)).module(module)
    }
}

/// So that it can be given to a [`Supervisor`] as it is: see [`child`](PubSubBuilder::child).
impl<K: RegistryKey, V: RegistryValue> IntoChildSpec for PubSubBuilder<K, V> {
    fn into_child_spec(self) -> ChildSpec {
        self.child()
    }
}

impl<K, V> fmt::Debug for PubSubBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSubBuilder")
            .field("name", &self.plan.name)
            .field("pool_size", &self.plan.pool_size)
            .field("broadcast_pool_size", &self.plan.broadcast_pool_size)
            .field("registry_size", &self.plan.registry_size)
            .field("adapter", &self.plan.adapter.0)
            .finish()
    }
}

/// Broadcasts were to be spread over more processes than there are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolSizeError {
    /// The bus.
    pub pubsub: Name,
    /// Its adapter.
    pub adapter: String,
    /// How many processes it has.
    pub pool_size: usize,
    /// Over how many broadcasts were to be spread.
    pub broadcast_pool_size: usize,
}

impl fmt::Display for PoolSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pubsub, adapter, pool_size, broadcast_pool_size } = self;
        write!(
            f,
            "adapter {adapter} of `{pubsub}`: expected a pool size of at least the broadcast pool size, {broadcast_pool_size}, got {pool_size}"
        )
    }
}

impl std::error::Error for PoolSizeError {}

/// The future of starting a bus.
///
/// # Cancel safety
/// Dropping it after its first poll leaves the bus running, if it starts.
#[must_use = "nothing is started until it is awaited"]
pub struct StartPubSub<K, V> {
    plan: Plan,
    link: bool,
    _types: PhantomData<fn() -> (K, V)>,
}

impl<K: RegistryKey, V: RegistryValue> IntoFuture for StartPubSub<K, V> {
    type Output = Result<PubSub<K, V>, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let pubsub = PubSub::typed_named(self.plan.name.clone());
            start::<K, V>(self.plan, self.link).await?;
            Ok(pubsub)
        })
    }
}

impl<K, V> fmt::Debug for StartPubSub<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartPubSub").field("name", &self.plan.name).finish_non_exhaustive()
    }
}

/// The name itself is that of the registry, by which it is found.
fn start<K: RegistryKey, V: RegistryValue>(plan: Plan, link: bool) -> StartSupervisor {
    let name = format!("{}.supervisor", plan.name);
    let args = (plan, PhantomData);
    let start = if link { Bus::<K, V>::start_link(args) } else { Bus::start(args) };
    start.name(name)
}

/// The supervisor of a bus. If the subscriptions are gone, the adapter's processes start anew too.
struct Bus<K, V>(PhantomData<fn() -> (K, V)>);

impl<K: RegistryKey, V: RegistryValue> Supervise for Bus<K, V> {
    type Args = (Plan, PhantomData<fn() -> (K, V)>);

    async fn init((plan, _): Self::Args) -> SupervisorInit {
        let Plan { name, pool_size, broadcast_pool_size, registry_size, adapter } = plan;
        let partitions = registry_size.or(pool_size).unwrap_or_else(|| metrics().workers.div_ceil(4).max(1));
        let pool_size = pool_size.unwrap_or(1);
        let broadcast_pool_size = broadcast_pool_size.unwrap_or(pool_size);
        if broadcast_pool_size > pool_size {
            let adapter = format!("{:?}", adapter.0);
            let error = PoolSizeError { pubsub: name, adapter, pool_size, broadcast_pool_size };
            process::exit(ExitReason::error(error));
        }
        let options = AdapterOptions { pubsub: name.clone(), pool_size, broadcast_pool_size };
        let children = adapter.0.children(&options);
        let subscriptions = Registry::<K, V>::duplicate(name).partitions(partitions).meta(ADAPTER, adapter);
        Supervisor::new(Strategy::RestForOne).child(subscriptions).children(children).into()
    }
}

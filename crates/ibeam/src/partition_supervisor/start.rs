//! What one asks of a partition supervisor, and how it is started.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ibeam_runtime::process::{self, Key};
use ibeam_runtime::{Destination, ExitReason, NameRegistry, metrics};

use super::partition_ref::PartitionSupervisorRef;
use super::routing::{Open, Table};
use crate::dynamic_supervisor::{DynamicSupervisor, DynamicSupervisorRef, Recipe, id_of};
use crate::gen_server::{GenServer, ServerName, ServerRef, StartError};
use crate::supervisor::child_start::StartFuture;
use crate::supervisor::{
    Backoff, ChildSpec, IntoChildSpec, ServerChild, StartSupervisor, Strategy, Supervise, Supervisor,
    SupervisorInit,
};

/// What can be partitioned, and what its key gives.
///
/// | child | [`key`](PartitionSupervisorRef::key) gives |
/// |---|---|
/// | a [`ServerChild<S>`](ServerChild), from `S::child(args)` | [`ServerRef<S>`](ServerRef) |
/// | a [`DynamicSupervisor<R>`](DynamicSupervisor) | [`DynamicSupervisorRef<R>`](DynamicSupervisorRef) |
/// | a [`ChildSpec`] | [`Destination`] |
pub trait Partition: IntoChildSpec + 'static {
    /// The handle of one partition.
    type Ref;

    #[doc(hidden)]
    fn handle<N: NameRegistry>(registry: &N, key: N::Key) -> Self::Ref;
}

impl Partition for ChildSpec {
    type Ref = Destination;

    fn handle<N: NameRegistry>(registry: &N, key: N::Key) -> Destination {
        Destination::Via(registry.via(key))
    }
}

impl<S: GenServer> Partition for ServerChild<S> {
    type Ref = ServerRef<S>;

    fn handle<N: NameRegistry>(registry: &N, key: N::Key) -> ServerRef<S> {
        ServerRef::via(registry, key)
    }
}

impl<R: Recipe> Partition for DynamicSupervisor<R> {
    type Ref = DynamicSupervisorRef<R>;

    fn handle<N: NameRegistry>(registry: &N, key: N::Key) -> DynamicSupervisorRef<R> {
        DynamicSupervisorRef::by_key(registry, key)
    }
}

/// A partition supervisor that is to be started. See the [module](super).
///
/// # Erlang/OTP
/// Elixir's `PartitionSupervisor`. It has a name because its keys are looked up by it.
#[must_use = "nothing is started before `start_link`"]
pub struct PartitionSupervisor<P: Partition> {
    name: ServerName,
    plan: Plan,
    _partition: PhantomData<fn() -> P>,
}

#[derive(Clone)]
struct Plan {
    /// The child of a partition.
    child: Arc<dyn Fn(usize) -> ChildSpec + Send + Sync>,
    partitions: Option<usize>,
    supervisor: Supervisor,
}

impl<P: Partition> PartitionSupervisor<P> {
    /// As many partitions as the runtime has workers, each of them this child. At most 3 restarts in 5 s.
    pub fn new(name: impl Into<ServerName>, child: P) -> Self {
        let child = child.into_child_spec();
        Self::plan(name.into(), Arc::new(move |_| child.clone()))
    }

    /// As [`new`](Self::new), with a child that depends on the number of the partition, counted from 0. `child` is called once
    /// for each partition, in the supervisor's process; a panic in it is a start that failed.
    ///
    /// # Erlang/OTP
    /// The options `child_spec` and `with_arguments` in one.
    ///
    /// ```
    /// use ibeam::prelude::*;
    /// # struct Shard(usize);
    /// # #[gen_server]
    /// # impl Shard {
    /// #     async fn init(number: usize) -> Init<Self> {
    /// #         Init::ok(Shard(number))
    /// #     }
    /// #     #[call]
    /// #     async fn number(&mut self) -> usize {
    /// #         self.0
    /// #     }
    /// # }
    ///
    /// Runtime::new().block_on(async {
    ///     let shards = PartitionSupervisor::with_arguments("shards", |partition| Shard::child(partition));
    ///     let shards = shards.partitions(3).start_link().await.unwrap();
    ///     assert_eq!(shards.key(5).number().await, Ok(2));
    /// });
    /// ```
    pub fn with_arguments(
        name: impl Into<ServerName>,
        child: impl Fn(usize) -> P + Send + Sync + 'static,
    ) -> Self {
        Self::plan(name.into(), Arc::new(move |partition| child(partition).into_child_spec()))
    }

    fn plan(name: ServerName, child: Arc<dyn Fn(usize) -> ChildSpec + Send + Sync>) -> Self {
        let supervisor = Supervisor::new(Strategy::OneForOne);
        Self { name, plan: Plan { child, partitions: None, supervisor }, _partition: PhantomData }
    }

    /// How many partitions, at least 1; more there cannot be later either. Default: the number of the runtime's workers.
    pub fn partitions(mut self, partitions: usize) -> Self {
        self.plan.partitions = Some(partitions);
        self
    }

    /// Whom the restart of a partition concerns besides itself. Default: [`Strategy::OneForOne`].
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.plan.supervisor = self.plan.supervisor.strategy(strategy);
        self
    }

    /// How many restarts within how long are not too many. Default: 3 in 5 s.
    #[doc(alias = "max_restarts")]
    #[doc(alias = "max_seconds")]
    pub fn intensity(mut self, max_restarts: usize, within: Duration) -> Self {
        self.plan.supervisor = self.plan.supervisor.intensity(max_restarts, within);
        self
    }

    /// How long to wait between restarts that do not help. Default: no back-off.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.plan.supervisor = self.plan.supervisor.backoff(backoff);
        self
    }

    /// Starts the supervisor and its partitions, linked to the calling process.
    ///
    /// # Errors
    /// See [`StartError`]: its name is taken, a partition does not start (those before it are stopped again), or it is to have
    /// no partitions: [`PartitionsError`].
    ///
    /// # Erlang/OTP
    /// `PartitionSupervisor.start_link/1`.
    pub fn start_link(self) -> StartPartitionSupervisor<P> {
        let Self { name, plan, .. } = self;
        StartPartitionSupervisor { start: start(plan, &name, true), name, _partition: PhantomData }
    }

    /// Starts the supervisor and its partitions, not linked to the caller, who need not be a process.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    pub fn start(self) -> StartPartitionSupervisor<P> {
        let Self { name, plan, .. } = self;
        StartPartitionSupervisor { start: start(plan, &name, false), name, _partition: PhantomData }
    }

    /// This supervisor as a child of another one: its id is its name; it is permanent, and given all the time it needs to
    /// stop.
    ///
    /// # Erlang/OTP
    /// `PartitionSupervisor.child_spec/1`.
    pub fn child(self) -> ChildSpec {
        let Self { name, plan, .. } = self;
        let id = id_of(&name);
        let module = std::any::type_name::<Self>();
        ChildSpec::supervisor(id, move || start(plan.clone(), &name, true)).module(module)
    }
}

/// So that it can be given to a [`Supervisor`] as it is: see [`child`](PartitionSupervisor::child).
impl<P: Partition> IntoChildSpec for PartitionSupervisor<P> {
    fn into_child_spec(self) -> ChildSpec {
        self.child()
    }
}

impl<P: Partition> fmt::Debug for PartitionSupervisor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionSupervisor")
            .field("name", &self.name)
            .field("partitions", &self.plan.partitions)
            .finish_non_exhaustive()
    }
}

/// A partition supervisor was to have no partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionsError;

impl fmt::Display for PartitionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a positive number of partitions, got 0")
    }
}

impl std::error::Error for PartitionsError {}

/// The future of starting a partition supervisor.
///
/// # Cancel safety
/// Dropping it after its first poll leaves the supervisor running, if it starts.
#[must_use = "nothing is started until it is awaited"]
pub struct StartPartitionSupervisor<P: Partition> {
    start: StartSupervisor,
    name: ServerName,
    _partition: PhantomData<fn() -> P>,
}

impl<P: Partition> IntoFuture for StartPartitionSupervisor<P> {
    type Output = Result<PartitionSupervisorRef<P>, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.start.await?;
            Ok(PartitionSupervisorRef::named(self.name))
        })
    }
}

impl<P: Partition> fmt::Debug for StartPartitionSupervisor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartPartitionSupervisor").field("name", &self.name).finish_non_exhaustive()
    }
}

fn start(plan: Plan, name: &ServerName, link: bool) -> StartSupervisor {
    let start = if link { Partitioned::start_link(plan) } else { Partitioned::start(plan) };
    start.name(name.clone())
}

/// The supervisor that it really is: its table is open as long as its process lives.
struct Partitioned;

const TABLE: Key<Open> = Key::new("$partitions");

impl Supervise for Partitioned {
    type Args = Plan;

    async fn init(Plan { child, partitions, supervisor }: Plan) -> SupervisorInit {
        let partitions = partitions.unwrap_or_else(|| metrics().workers.max(1));
        if partitions == 0 {
            process::exit(ExitReason::error(PartitionsError));
        }
        let (table, open) = Table::open(process::self_pid(), partitions);
        process::put(TABLE, open);
        let children = (0..partitions).map(|partition| entered(child(partition), partition, &table));
        supervisor.children(children).into()
    }
}

/// The child of a partition, whose starts put its process into the table.
fn entered(mut child: ChildSpec, partition: usize, table: &Arc<Table>) -> ChildSpec {
    let (start, table) = (Arc::clone(&child.start), Arc::clone(table));
    child.start = Arc::new(move || {
        let (start, table) = (start.start(), Arc::clone(&table));
        StartFuture::boxed(async move {
            let started = start.await;
            table.set(partition, started.as_ref().ok().and_then(|started| started.pid));
            started
        })
    });
    child.id(partition.to_string())
}

//! ractor: an actor per process, an enum per mailbox, `RpcReplyPort` per call, supervision events handled by hand.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ractor::rpc::CallResult;
use ractor::{
    Actor, ActorCell, ActorProcessingErr, ActorRef, ActorRuntime, MessagingErr, RpcReplyPort, SpawnErr,
    SupervisionEvent, pg,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::sleep_until;

use crate::check::{Wrong, equal};
use crate::probe;
use crate::systems::Plan;
use crate::systems::shared::{HELD, Latch, STARTED, STOPPED, stopped_with};
use crate::workloads::*;

/// What ractor does for a workload.
///
/// # Errors
/// Why it does not do it.
pub(super) fn plan(workload: Workload) -> Plan {
    match workload {
        Workload::CallSeq => on_worker(|| call_seq(None)),
        Workload::CallSeqTimeout => on_worker(|| call_seq(Some(CALL_TIMEOUT))),
        Workload::CallConc => on_worker(call_conc),
        Workload::Cast1to1 => on_worker(|| cast(1)),
        Workload::Cast100to1 => on_worker(|| cast(SENDERS)),
        Workload::Pairs => on_worker(pairs),
        Workload::Ring => on_worker(ring),
        Workload::Skynet => on_worker(skynet),
        Workload::SpawnExit => on_worker(spawn_exit),
        Workload::SpawnExitBare => Err("an actor always has its mailbox: see spawn_exit"),
        Workload::SpawnIdle => Err("an actor is always a server: see spawn_idle_server"),
        Workload::SpawnIdleServer => Ok(Box::new(|| idle(&runtime()?))),
        Workload::Echo1 | Workload::Echo64 => Err("sockets are plain tokio's: see there"),
        Workload::Fairness => on_worker(fairness),
        Workload::IdleCpu => Err("what parks is a task of tokio: see there"),
        Workload::Restart => on_worker(restart),
        Workload::Children => on_worker(children),
        Workload::ChildrenMillion => on_worker(children_million),
        Workload::TaskAwait | Workload::TaskStream => Err("its tasks are plain tokio's: see there"),
        Workload::Fanout => on_worker(|| fanout(false)),
        Workload::FanoutInTurn => on_worker(|| fanout(true)),
        Workload::Registry => {
            Err("an actor gets its name as a part of its spawn: neither has a figure of its own")
        }
        Workload::Table => Err("a table is a map beside the actors: see plain tokio"),
    }
}

fn runtime() -> Result<Runtime, Wrong> {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| Wrong::failed("runtime", error))
}

/// Runs the client as a task, so that it is measured on a worker.
fn on_worker<F>(client: impl FnOnce() -> F + 'static) -> Plan
where
    F: Future<Output = Result<Vec<f64>, Wrong>> + Send + 'static,
{
    Ok(Box::new(move || {
        let runtime = runtime()?;
        runtime.block_on(joined(runtime.spawn(client())))
    }))
}

async fn joined<T>(task: JoinHandle<Result<T, Wrong>>) -> Result<T, Wrong> {
    task.await.map_err(|error| Wrong::failed("task", error))?
}

/// A server with one number.
struct Sum;

enum Request {
    /// Adds and replies with the total.
    Add(u64, RpcReplyPort<u64>),
    /// Adds.
    Feed(u64),
    /// Adds and ends.
    Finish(u64),
}

impl Actor for Sum {
    type Msg = Request;
    type State = u64;
    type Arguments = u64;

    async fn pre_start(&self, _: ActorRef<Request>, total: u64) -> Result<u64, ActorProcessingErr> {
        Ok(total)
    }

    async fn handle(
        &self,
        myself: ActorRef<Request>,
        request: Request,
        total: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match request {
            Request::Add(by, reply) => {
                *total += by;
                // A caller that has given up does not want its answer any more.
                let _ = reply.send(*total);
            }
            Request::Feed(by) => *total += by,
            Request::Finish(by) => {
                stopped_with(*total + by);
                myself.stop(None);
            }
        }
        Ok(())
    }
}

fn not_started(error: SpawnErr) -> Wrong {
    Wrong::failed("start", error)
}

async fn start_server() -> Result<ActorRef<Request>, Wrong> {
    Ok(Actor::spawn(None, Sum, 0).await.map_err(not_started)?.0)
}

fn reply<T>(result: Result<CallResult<u64>, MessagingErr<T>>) -> Result<u64, Wrong> {
    match result {
        Ok(CallResult::Success(total)) => Ok(total),
        Ok(CallResult::Timeout) => Err(Wrong::failed("call", "no reply in time")),
        Ok(CallResult::SenderError) => Err(Wrong::failed("call", "dropped without a reply")),
        Err(_) => Err(Wrong::failed("call", "the server has ended")),
    }
}

fn undelivered<T>(error: MessagingErr<T>) -> Wrong {
    match error {
        MessagingErr::SendErr(_) | MessagingErr::ChannelClosed => {
            Wrong::failed("cast", "the actor has ended")
        }
        MessagingErr::InvalidActorType => Wrong::failed("cast", "wrong type of message"),
    }
}

async fn call_seq(timeout: Option<Duration>) -> Result<Vec<f64>, Wrong> {
    let server = start_server().await?;
    for _ in 0..WARM_UP {
        reply(server.call(|port| Request::Add(0, port), timeout).await)?;
    }
    let start = Instant::now();
    for i in 0..SEQUENTIAL_CALLS {
        let total = reply(server.call(|port| Request::Add(i, port), timeout).await)?;
        equal("reply", total, sum_below(i + 1))?;
    }
    Ok(vec![ns_each(start.elapsed(), SEQUENTIAL_CALLS)])
}

async fn call_conc() -> Result<Vec<f64>, Wrong> {
    let server = start_server().await?;
    let start = Instant::now();
    let client = |server: ActorRef<Request>| async move {
        for i in 0..CALLS_PER_CLIENT {
            reply(server.call(|port| Request::Add(i, port), Some(CALL_TIMEOUT)).await)?;
        }
        Ok(())
    };
    let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(client(server.clone()))).collect();
    for client in clients {
        joined(client).await?;
    }
    let elapsed = start.elapsed();
    let total = reply(server.call(|port| Request::Add(0, port), None).await)?;
    equal("total", total, CLIENTS * sum_below(CALLS_PER_CLIENT))?;
    Ok(vec![millions_per_second(elapsed, CLIENTS * CALLS_PER_CLIENT)])
}

/// The closing call is answered after the last cast has been handled.
async fn cast(senders: u64) -> Result<Vec<f64>, Wrong> {
    let server = start_server().await?;
    let each = CASTS / senders;
    let start = Instant::now();
    let sender = |server: ActorRef<Request>| async move {
        for i in 0..each {
            server.cast(Request::Feed(i)).map_err(undelivered)?;
            if i % CASTS_PER_TURN == CASTS_PER_TURN - 1 {
                yield_now().await;
            }
        }
        Ok(())
    };
    let tasks: Vec<_> = (0..senders).map(|_| tokio::spawn(sender(server.clone()))).collect();
    for task in tasks {
        joined(task).await?;
    }
    let total = reply(server.call(|port| Request::Add(0, port), None).await)?;
    equal("total", total, senders * sum_below(each))?;
    Ok(vec![millions_per_second(start.elapsed(), CASTS)])
}

async fn pairs() -> Result<Vec<f64>, Wrong> {
    let start = Instant::now();
    let pair = || async {
        let server = start_server().await?;
        for i in 0..TRIPS_PER_PAIR {
            let total = reply(server.call(|port| Request::Add(i, port), None).await)?;
            equal("reply", total, sum_below(i + 1))?;
        }
        Ok(())
    };
    let pairs: Vec<_> = (0..PAIRS).map(|_| tokio::spawn(pair())).collect();
    for pair in pairs {
        joined(pair).await?;
    }
    Ok(vec![millions_per_second(start.elapsed(), PAIRS * TRIPS_PER_PAIR)])
}

/// One of the ring: where it stands, and whom it tells about the token's end.
struct Node {
    place: usize,
    done: mpsc::UnboundedSender<usize>,
}

enum Hop {
    /// Closes the ring: who comes next.
    Next(ActorRef<Hop>),
    /// How many hops are left.
    Token(u64),
}

impl Actor for Node {
    type Msg = Hop;
    type State = Option<ActorRef<Hop>>;
    type Arguments = Option<ActorRef<Hop>>;

    async fn pre_start(
        &self,
        _: ActorRef<Hop>,
        next: Option<ActorRef<Hop>>,
    ) -> Result<Option<ActorRef<Hop>>, ActorProcessingErr> {
        Ok(next)
    }

    async fn handle(
        &self,
        _: ActorRef<Hop>,
        hop: Hop,
        next: &mut Option<ActorRef<Hop>>,
    ) -> Result<(), ActorProcessingErr> {
        match hop {
            Hop::Next(node) => *next = Some(node),
            Hop::Token(0) => self.done.send(self.place)?,
            Hop::Token(left) => next.as_ref().ok_or("the ring is open")?.cast(Hop::Token(left - 1))?,
        }
        Ok(())
    }
}

/// The token counts down, one per hop; whoever gets zero reports its own place in the ring.
async fn ring() -> Result<Vec<f64>, Wrong> {
    let (done, mut finished) = mpsc::unbounded_channel();
    let node = |place| Node { place, done: done.clone() };
    let (first, _) = Actor::spawn(None, node(0), None).await.map_err(not_started)?;
    let mut next = first.clone();
    for place in (1..RING).rev() {
        next = Actor::spawn(None, node(place), Some(next)).await.map_err(not_started)?.0;
    }
    first.cast(Hop::Next(next)).map_err(undelivered)?;
    // A lap first, so that every node has run before the clock starts.
    let mut elapsed = Duration::ZERO;
    for hops in [RING as u64, HOPS] {
        let start = Instant::now();
        first.cast(Hop::Token(hops)).map_err(undelivered)?;
        let place = finished.recv().await;
        elapsed = start.elapsed();
        equal("the token's last place", place, Some(hops as usize % RING))?;
    }
    Ok(vec![ns_each(elapsed, HOPS)])
}

/// One of the tree. The root tells the client through `done`.
struct Tree {
    above: Option<ActorRef<Summed>>,
    done: Option<oneshot::Sender<u64>>,
    first: u64,
    leaves: u64,
    sum: u64,
    missing: u64,
}

/// What an actor of the tree has summed up, for the one above it.
struct Summed(u64);

struct TreeActor;

impl Actor for TreeActor {
    type Msg = Summed;
    type State = Tree;
    type Arguments = Tree;

    async fn pre_start(&self, _: ActorRef<Summed>, tree: Tree) -> Result<Tree, ActorProcessingErr> {
        Ok(tree)
    }

    async fn post_start(&self, me: ActorRef<Summed>, tree: &mut Tree) -> Result<(), ActorProcessingErr> {
        if tree.leaves == 1 {
            if let Some(above) = &tree.above {
                above.cast(Summed(tree.first))?;
            }
            me.stop(None);
            return Ok(());
        }
        let below = tree.leaves / SKYNET_BRANCHES;
        for i in 0..SKYNET_BRANCHES {
            skynet_node(tree.first + i * below, below, Some(me.clone()), None)?;
        }
        Ok(())
    }

    async fn handle(
        &self,
        me: ActorRef<Summed>,
        Summed(part): Summed,
        tree: &mut Tree,
    ) -> Result<(), ActorProcessingErr> {
        tree.sum += part;
        tree.missing -= 1;
        if tree.missing == 0 {
            if let Some(above) = &tree.above {
                above.cast(Summed(tree.sum))?;
            }
            if let Some(done) = tree.done.take() {
                let _ = done.send(tree.sum);
            }
            me.stop(None);
        }
        Ok(())
    }
}

/// Spawned without waiting for its start, so that the levels of the tree grow at the same time.
fn skynet_node(
    first: u64,
    leaves: u64,
    above: Option<ActorRef<Summed>>,
    done: Option<oneshot::Sender<u64>>,
) -> Result<(), SpawnErr> {
    let tree = Tree { above, done, first, leaves, sum: 0, missing: SKYNET_BRANCHES };
    ActorRuntime::spawn_instant(None, TreeActor, tree).map(drop)
}

async fn skynet() -> Result<Vec<f64>, Wrong> {
    let before = probe::resident_bytes();
    let (done, sum) = oneshot::channel();
    let start = Instant::now();
    skynet_node(0, SKYNET_LEAVES, None, Some(done)).map_err(not_started)?;
    let sum = sum.await.map_err(|error| Wrong::failed("skynet", error))?;
    let elapsed = start.elapsed();
    equal("sum of the leaves", sum, sum_below(SKYNET_LEAVES))?;
    Ok(skynet_figures(elapsed, probe::peak_resident_bytes() - before))
}

static RUNNING: Latch = Latch::new();
static ENDED: AtomicU64 = AtomicU64::new(0);

/// Ends as soon as it has started.
struct Ephemeral;

/// Nobody sends any.
enum Never {}

impl Actor for Ephemeral {
    type Msg = Never;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, me: ActorRef<Never>, (): ()) -> Result<(), ActorProcessingErr> {
        me.stop(None);
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Never>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        ENDED.fetch_add(1, Ordering::Relaxed);
        RUNNING.count_down();
        Ok(())
    }
}

async fn spawn_exit() -> Result<Vec<f64>, Wrong> {
    let start = Instant::now();
    for _ in 0..SPAWNS / SPAWN_BATCH {
        RUNNING.set(SPAWN_BATCH);
        for _ in 0..SPAWN_BATCH {
            // Not `spawn_instant`: its second task costs more than waiting for the start.
            Actor::spawn(None, Ephemeral, ()).await.map_err(not_started)?;
        }
        RUNNING.wait().await;
    }
    let elapsed = start.elapsed();
    equal("actors ended", ENDED.load(Ordering::Relaxed), SPAWNS)?;
    Ok(vec![ns_each(elapsed, SPAWNS)])
}

async fn spawn_all() -> Result<(Vec<ActorRef<Request>>, Duration), Wrong> {
    STARTED.set(IDLE);
    let mut servers = Vec::with_capacity(IDLE as usize);
    let start = Instant::now();
    for i in 0..IDLE {
        // Returns when `pre_start` has.
        servers.push(Actor::spawn(None, Sum, i).await.map_err(not_started)?.0);
        STARTED.count_down();
        if i % IDLE_PER_TURN == IDLE_PER_TURN - 1 {
            yield_now().await;
        }
    }
    STARTED.wait().await;
    Ok((servers, start.elapsed()))
}

async fn stop_all(servers: Vec<ActorRef<Request>>) -> Result<Duration, Wrong> {
    STOPPED.set(IDLE);
    let start = Instant::now();
    for (i, server) in (0..).zip(servers) {
        server.cast(Request::Finish(1)).map_err(undelivered)?;
        if i % IDLE_PER_TURN == IDLE_PER_TURN - 1 {
            yield_now().await;
        }
    }
    STOPPED.wait().await;
    let elapsed = start.elapsed();
    equal("state of all", HELD.load(Ordering::Relaxed), sum_below(IDLE) + IDLE)?;
    Ok(elapsed)
}

/// The main thread sleeps while memory settles, so that nothing but the idle actors is there.
fn idle(runtime: &Runtime) -> Result<Vec<f64>, Wrong> {
    let before = probe::resident_bytes();
    let (servers, spawning) = runtime.block_on(joined(runtime.spawn(spawn_all())))?;
    thread::sleep(SETTLE);
    let bytes = probe::resident_bytes() - before;
    let stopping = runtime.block_on(joined(runtime.spawn(stop_all(servers))))?;
    Ok(vec![ns_each(spawning, IDLE), bytes as f64 / IDLE as f64, ns_each(stopping, IDLE)])
}

/// Latency counts from when a call was due: counting from the send would hide that the client itself did not run.
async fn fairness() -> Result<Vec<f64>, Wrong> {
    let begin = tokio::time::Instant::now() + Duration::from_millis(100);
    let client = || async move {
        let server = start_server().await?;
        let mut latencies = Vec::with_capacity(FAIR_CALLS as usize);
        for i in 0..FAIR_CALLS {
            let due = begin + FAIR_PERIOD * i as u32;
            sleep_until(due).await;
            equal("reply", reply(server.call(|port| Request::Add(1, port), None).await)?, i + 1)?;
            latencies.push(due.elapsed());
        }
        Ok(latencies)
    };
    let clients: Vec<_> = (0..FAIR_PAIRS).map(|_| tokio::spawn(client())).collect();
    sleep_until(begin).await;
    let hogs: Vec<_> = (0..HOGS).map(|_| tokio::spawn(async { Ok(compute(HOG_TIME)) })).collect();
    let mut latencies = Vec::new();
    for client in clients {
        latencies.extend(joined(client).await?);
    }
    for hog in hogs {
        equal("hog computed its time", joined(hog).await? >= HOG_TIME, true)?;
    }
    equal("calls", latencies.len() as u64, FAIR_PAIRS * FAIR_CALLS)?;
    Ok(latency_figures(latencies))
}

/// A server that crashes when it is told to.
struct Fragile;

enum ToFragile {
    Add(u64, RpcReplyPort<u64>),
    Crash,
}

type Up = mpsc::UnboundedSender<ActorRef<ToFragile>>;

impl Actor for Fragile {
    type Msg = ToFragile;
    type State = u64;
    type Arguments = Up;

    async fn pre_start(&self, _: ActorRef<ToFragile>, _: Up) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<ToFragile>,
        request: ToFragile,
        total: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match request {
            ToFragile::Add(by, reply) => {
                *total += by;
                let _ = reply.send(*total);
            }
            ToFragile::Crash => panic!("as it was told"),
        }
        Ok(())
    }
}

/// Starts its child again when that has failed: ractor tells a supervisor, which decides itself.
struct Guardian;

impl Actor for Guardian {
    type Msg = Infallible;
    type State = Up;
    type Arguments = Up;

    async fn pre_start(&self, me: ActorRef<Infallible>, up: Up) -> Result<Up, ActorProcessingErr> {
        let (child, _) = Actor::spawn_linked(None, Fragile, up.clone(), me.get_cell()).await?;
        up.send(child)?;
        Ok(up)
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<Infallible>,
        event: SupervisionEvent,
        up: &mut Up,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(..) = event {
            let (child, _) = Actor::spawn_linked(None, Fragile, up.clone(), me.get_cell()).await?;
            up.send(child)?;
        }
        Ok(())
    }
}

async fn restart() -> Result<Vec<f64>, Wrong> {
    // Each panic would be printed.
    std::panic::set_hook(Box::new(|_| {}));
    let (up, mut starts) = mpsc::unbounded_channel();
    let (_guardian, _) = Actor::spawn(None, Guardian, up).await.map_err(not_started)?;
    let gone = || Wrong::failed("restart", "there is no server");
    let mut server = starts.recv().await.ok_or_else(gone)?;
    let mut start = Instant::now();
    for i in 0..WARM_UP + RESTARTS {
        if i == WARM_UP {
            start = Instant::now();
        }
        server.cast(ToFragile::Crash).map_err(undelivered)?;
        server = starts.recv().await.ok_or_else(gone)?;
        equal("reply", reply(server.call(|port| ToFragile::Add(i, port), Some(CALL_TIMEOUT)).await)?, i)?;
    }
    Ok(vec![ns_each(start.elapsed(), RESTARTS)])
}

/// A server that says at its end what it held.
struct Child;

struct Holds(RpcReplyPort<u64>);

impl Actor for Child {
    type Msg = Holds;
    type State = u64;
    type Arguments = u64;

    async fn pre_start(&self, _: ActorRef<Holds>, number: u64) -> Result<u64, ActorProcessingErr> {
        Ok(number)
    }

    async fn post_stop(&self, _: ActorRef<Holds>, held: &mut u64) -> Result<(), ActorProcessingErr> {
        stopped_with(*held);
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Holds>,
        Holds(reply): Holds,
        held: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        let _ = reply.send(*held);
        Ok(())
    }
}

/// Starts and terminates children when asked, one after the other.
struct Parent;

enum ToParent {
    Start(u64, RpcReplyPort<ActorRef<Holds>>),
    Terminate(ActorCell, RpcReplyPort<()>),
}

impl Actor for Parent {
    type Msg = ToParent;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ToParent>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        me: ActorRef<ToParent>,
        request: ToParent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match request {
            ToParent::Start(number, reply) => {
                let (child, _) = Actor::spawn_linked(None, Child, number, me.get_cell()).await?;
                let _ = reply.send(child);
            }
            ToParent::Terminate(child, reply) => {
                child.stop_and_wait(None, None).await?;
                let _ = reply.send(());
            }
        }
        Ok(())
    }

    /// A child that ends is no reason for anything.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ToParent>,
        _: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

fn answered<T, M>(result: Result<CallResult<T>, MessagingErr<M>>) -> Result<T, Wrong> {
    match result {
        Ok(CallResult::Success(answer)) => Ok(answer),
        _ => Err(Wrong::failed("parent", "did not answer")),
    }
}

async fn start_children(count: u64) -> Result<(ActorRef<ToParent>, Vec<ActorRef<Holds>>, Duration), Wrong> {
    let (parent, _) = Actor::spawn(None, Parent, ()).await.map_err(not_started)?;
    let mut children = Vec::with_capacity(count as usize);
    let start = Instant::now();
    for number in 0..count {
        children.push(answered(parent.call(|port| ToParent::Start(number, port), None).await)?);
    }
    Ok((parent, children, start.elapsed()))
}

async fn children() -> Result<Vec<f64>, Wrong> {
    let (parent, children, starting) = start_children(CHILDREN).await?;
    let last = &children[children.len() - 1];
    equal("reply", reply(last.call(Holds, None).await)?, CHILDREN - 1)?;
    STOPPED.set(CHILDREN);
    let start = Instant::now();
    for child in children {
        answered(parent.call(|port| ToParent::Terminate(child.get_cell(), port), None).await)?;
    }
    STOPPED.wait().await;
    let stopping = start.elapsed();
    equal("state of all", HELD.load(Ordering::Relaxed), sum_below(CHILDREN))?;
    Ok(vec![ns_each(starting, CHILDREN), ns_each(stopping, CHILDREN)])
}

async fn children_million() -> Result<Vec<f64>, Wrong> {
    let before = probe::resident_bytes();
    let (parent, children, starting) = start_children(CHILDREN_MILLION).await?;
    drop(children);
    STOPPED.set(CHILDREN_MILLION);
    let start = Instant::now();
    parent.stop_children_and_wait(None, None).await;
    STOPPED.wait().await;
    let stopping = start.elapsed();
    equal("state of all", HELD.load(Ordering::Relaxed), sum_below(CHILDREN_MILLION))?;
    let each = (probe::peak_resident_bytes() - before) as f64 / CHILDREN_MILLION as f64;
    Ok(vec![ns_each(starting, CHILDREN_MILLION), ns_each(stopping, CHILDREN_MILLION), each])
}

/// Takes every broadcast, and says at last what they have summed up to.
struct Subscriber;

/// What has been received, and what it has summed up to.
#[derive(Default)]
struct Received {
    count: u64,
    total: u64,
}

impl Actor for Subscriber {
    type Msg = u64;
    type State = Received;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<u64>, (): ()) -> Result<Received, ActorProcessingErr> {
        pg::join("news".to_string(), vec![myself.get_cell()]);
        Ok(Received::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<u64>,
        number: u64,
        received: &mut Received,
    ) -> Result<(), ActorProcessingErr> {
        received.total += number;
        received.count += 1;
        if received.count == BROADCASTS {
            stopped_with(received.total);
            myself.stop(None);
        }
        Ok(())
    }
}

/// To all of a process group.
async fn fanout(in_turn: bool) -> Result<Vec<f64>, Wrong> {
    STOPPED.set(SUBSCRIBERS);
    for _ in 0..SUBSCRIBERS {
        Actor::spawn(None, Subscriber, ()).await.map_err(not_started)?;
    }
    let news = "news".to_string();
    let start = Instant::now();
    for number in 0..BROADCASTS {
        for subscriber in pg::get_members(&news) {
            subscriber.send_message(number).map_err(undelivered)?;
        }
        if in_turn {
            yield_now().await;
        }
    }
    STOPPED.wait().await;
    let elapsed = start.elapsed();
    equal("sum of all", HELD.load(Ordering::Relaxed), SUBSCRIBERS * sum_below(BROADCASTS))?;
    Ok(vec![millions_per_second(elapsed, SUBSCRIBERS * BROADCASTS)])
}

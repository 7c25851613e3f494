//! kameo: an actor per process, a message type per request, unbounded mailboxes as in the other systems.
//!
//! Requests are awaited with `send()`, which spares the boxed future of `.await` on the request itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kameo::error::Infallible;
use kameo::prelude::*;
use kameo::registry::ACTOR_REGISTRY;
use kameo::supervision::RestartPolicy;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::sleep_until;

use crate::check::{Wrong, equal};
use crate::probe;
use crate::systems::Plan;
use crate::systems::shared::{HELD, Latch, STARTED, STOPPED, stopped_with};
use crate::workloads::*;

/// What kameo does for a workload.
///
/// # Errors
/// Why it does not do it.
pub(super) fn plan(workload: Workload) -> Plan {
    match workload {
        Workload::CallSeq => on_worker(call_seq),
        Workload::CallSeqTimeout => on_worker(call_seq_timeout),
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
        Workload::Registry => on_worker(registry),
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

/// With the mailbox that the other systems have too; kameo's default takes 64 messages and waits then.
fn start<A: Actor>(args: A::Args) -> ActorRef<A> {
    A::spawn_with_mailbox(args, mailbox::unbounded())
}

/// A server with one number.
struct Sum {
    total: u64,
}

/// Adds and replies with the total.
struct Add(u64);
/// Adds.
struct Feed(u64);
/// Adds and ends.
struct Finish(u64);

impl Actor for Sum {
    type Args = u64;
    type Error = Infallible;

    async fn on_start(total: u64, _: ActorRef<Sum>) -> Result<Sum, Infallible> {
        Ok(Sum { total })
    }
}

impl Message<Add> for Sum {
    type Reply = u64;

    async fn handle(&mut self, Add(by): Add, _: &mut Context<Sum, u64>) -> u64 {
        self.total += by;
        self.total
    }
}

impl Message<Feed> for Sum {
    type Reply = ();

    async fn handle(&mut self, Feed(by): Feed, _: &mut Context<Sum, ()>) {
        self.total += by;
    }
}

fn failed<M, E>(error: SendError<M, E>) -> Wrong {
    Wrong::failed(
        "request",
        match error {
            SendError::ActorNotRunning(_) => "the actor is not running",
            SendError::ActorStopped => "the actor has stopped",
            SendError::ActorRestarting(_) => "the actor is restarting",
            SendError::MailboxFull(_) => "the mailbox is full",
            SendError::HandlerError(_) => "the handler failed",
            SendError::Timeout(_) => "no reply in time",
        },
    )
}

async fn call_seq() -> Result<Vec<f64>, Wrong> {
    let server = start::<Sum>(0);
    for _ in 0..WARM_UP {
        server.ask(Add(0)).send().await.map_err(failed)?;
    }
    let start = Instant::now();
    for i in 0..SEQUENTIAL_CALLS {
        equal("reply", server.ask(Add(i)).send().await.map_err(failed)?, sum_below(i + 1))?;
    }
    Ok(vec![ns_each(start.elapsed(), SEQUENTIAL_CALLS)])
}

async fn call_seq_timeout() -> Result<Vec<f64>, Wrong> {
    let server = start::<Sum>(0);
    for _ in 0..WARM_UP {
        server.ask(Add(0)).reply_timeout(CALL_TIMEOUT).send().await.map_err(failed)?;
    }
    let start = Instant::now();
    for i in 0..SEQUENTIAL_CALLS {
        let total = server.ask(Add(i)).reply_timeout(CALL_TIMEOUT).send().await.map_err(failed)?;
        equal("reply", total, sum_below(i + 1))?;
    }
    Ok(vec![ns_each(start.elapsed(), SEQUENTIAL_CALLS)])
}

async fn call_conc() -> Result<Vec<f64>, Wrong> {
    let server = start::<Sum>(0);
    let start = Instant::now();
    let client = |server: ActorRef<Sum>| async move {
        for i in 0..CALLS_PER_CLIENT {
            server.ask(Add(i)).reply_timeout(CALL_TIMEOUT).send().await.map_err(failed)?;
        }
        Ok(())
    };
    let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(client(server.clone()))).collect();
    for client in clients {
        joined(client).await?;
    }
    let elapsed = start.elapsed();
    let total = server.ask(Add(0)).send().await.map_err(failed)?;
    equal("total", total, CLIENTS * sum_below(CALLS_PER_CLIENT))?;
    Ok(vec![millions_per_second(elapsed, CLIENTS * CALLS_PER_CLIENT)])
}

/// The closing call is answered after the last cast has been handled.
async fn cast(senders: u64) -> Result<Vec<f64>, Wrong> {
    let server = start::<Sum>(0);
    let each = CASTS / senders;
    let start = Instant::now();
    let sender = |server: ActorRef<Sum>| async move {
        for i in 0..each {
            // An unbounded mailbox has nothing to wait for.
            server.tell(Feed(i)).try_send().map_err(failed)?;
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
    let total = server.ask(Add(0)).send().await.map_err(failed)?;
    equal("total", total, senders * sum_below(each))?;
    Ok(vec![millions_per_second(start.elapsed(), CASTS)])
}

async fn pairs() -> Result<Vec<f64>, Wrong> {
    let begun = Instant::now();
    let pair = || async {
        let server = start::<Sum>(0);
        for i in 0..TRIPS_PER_PAIR {
            equal("reply", server.ask(Add(i)).send().await.map_err(failed)?, sum_below(i + 1))?;
        }
        Ok(())
    };
    let pairs: Vec<_> = (0..PAIRS).map(|_| tokio::spawn(pair())).collect();
    for pair in pairs {
        joined(pair).await?;
    }
    Ok(vec![millions_per_second(begun.elapsed(), PAIRS * TRIPS_PER_PAIR)])
}

/// One of the ring: where it stands, who comes next, and whom it tells about the token's end.
struct Node {
    place: usize,
    next: Option<ActorRef<Node>>,
    done: mpsc::UnboundedSender<usize>,
}

/// Closes the ring: who comes next.
struct Next(ActorRef<Node>);
/// How many hops are left.
struct Token(u64);

impl Actor for Node {
    type Args = Node;
    type Error = Infallible;

    async fn on_start(node: Node, _: ActorRef<Node>) -> Result<Node, Infallible> {
        Ok(node)
    }
}

impl Message<Next> for Node {
    type Reply = ();

    async fn handle(&mut self, Next(node): Next, _: &mut Context<Node, ()>) {
        self.next = Some(node);
    }
}

impl Message<Token> for Node {
    type Reply = ();

    /// A hop that is not taken leaves the client waiting, which ends the cell with an error.
    async fn handle(&mut self, Token(left): Token, _: &mut Context<Node, ()>) {
        if left == 0 {
            let _ = self.done.send(self.place);
        } else if let Some(next) = &self.next {
            let _ = next.tell(Token(left - 1)).try_send();
        }
    }
}

/// The token counts down, one per hop; whoever gets zero reports its own place in the ring.
async fn ring() -> Result<Vec<f64>, Wrong> {
    let (done, mut finished) = mpsc::unbounded_channel();
    let node = |place, next| start::<Node>(Node { place, next, done: done.clone() });
    let first = node(0, None);
    let next = (1..RING).rev().fold(first.clone(), |next, place| node(place, Some(next)));
    first.tell(Next(next)).try_send().map_err(failed)?;
    // A lap first, so that every node has run before the clock starts.
    let mut elapsed = Duration::ZERO;
    for hops in [RING as u64, HOPS] {
        let start = Instant::now();
        first.tell(Token(hops)).try_send().map_err(failed)?;
        let place = finished.recv().await;
        elapsed = start.elapsed();
        equal("the token's last place", place, Some(hops as usize % RING))?;
    }
    Ok(vec![ns_each(elapsed, HOPS)])
}

/// Whom an actor of the tree tells its sum.
enum Above {
    Tree(ActorRef<Tree>),
    Client(Option<oneshot::Sender<u64>>),
}

impl Above {
    /// A sum that does not arrive leaves the client waiting, which ends the cell with an error.
    fn tell(&mut self, sum: u64) {
        match self {
            Above::Tree(above) => {
                let _ = above.tell(Summed(sum)).try_send();
            }
            Above::Client(done) => {
                let _ = done.take().map(|done| done.send(sum));
            }
        }
    }
}

/// One of the tree that is no leaf.
struct Tree {
    above: Above,
    sum: u64,
    missing: u64,
}

/// What an actor of the tree has summed up, for the one above it.
struct Summed(u64);

impl Actor for Tree {
    type Args = (Above, u64, u64);
    type Error = Infallible;

    async fn on_start(args: Self::Args, me: ActorRef<Tree>) -> Result<Tree, Infallible> {
        let (mut above, first, leaves) = args;
        match leaves {
            // Nobody refers to a leaf, so it ends when it has started.
            1 => above.tell(first),
            _ => {
                let below = leaves / SKYNET_BRANCHES;
                for i in 0..SKYNET_BRANCHES {
                    start::<Tree>((Above::Tree(me.clone()), first + i * below, below));
                }
            }
        }
        Ok(Tree { above, sum: 0, missing: SKYNET_BRANCHES })
    }
}

impl Message<Summed> for Tree {
    type Reply = ();

    async fn handle(&mut self, Summed(part): Summed, context: &mut Context<Tree, ()>) {
        self.sum += part;
        self.missing -= 1;
        if self.missing == 0 {
            self.above.tell(self.sum);
            context.stop();
        }
    }
}

async fn skynet() -> Result<Vec<f64>, Wrong> {
    let before = probe::resident_bytes();
    let (done, sum) = oneshot::channel();
    let begun = Instant::now();
    start::<Tree>((Above::Client(Some(done)), 0, SKYNET_LEAVES));
    let sum = sum.await.map_err(|error| Wrong::failed("skynet", error))?;
    let elapsed = begun.elapsed();
    equal("sum of the leaves", sum, sum_below(SKYNET_LEAVES))?;
    Ok(skynet_figures(elapsed, probe::peak_resident_bytes() - before))
}

static RUNNING: Latch = Latch::new();
static ENDED: AtomicU64 = AtomicU64::new(0);

/// Ends as soon as it has started, because nobody refers to it.
struct Ephemeral;

impl Actor for Ephemeral {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), _: ActorRef<Ephemeral>) -> Result<Ephemeral, Infallible> {
        Ok(Ephemeral)
    }

    async fn on_stop(&mut self, _: WeakActorRef<Ephemeral>, _: ActorStopReason) -> Result<(), Infallible> {
        ENDED.fetch_add(1, Ordering::Relaxed);
        RUNNING.count_down();
        Ok(())
    }
}

async fn spawn_exit() -> Result<Vec<f64>, Wrong> {
    let begun = Instant::now();
    for _ in 0..SPAWNS / SPAWN_BATCH {
        RUNNING.set(SPAWN_BATCH);
        for _ in 0..SPAWN_BATCH {
            drop(start::<Ephemeral>(()));
        }
        RUNNING.wait().await;
    }
    let elapsed = begun.elapsed();
    equal("actors ended", ENDED.load(Ordering::Relaxed), SPAWNS)?;
    Ok(vec![ns_each(elapsed, SPAWNS)])
}

/// A server that waits for its end and says what it held.
struct Idle {
    total: u64,
}

impl Actor for Idle {
    type Args = u64;
    type Error = Infallible;

    async fn on_start(total: u64, _: ActorRef<Idle>) -> Result<Idle, Infallible> {
        STARTED.count_down();
        Ok(Idle { total })
    }
}

impl Message<Finish> for Idle {
    type Reply = ();

    async fn handle(&mut self, Finish(by): Finish, context: &mut Context<Idle, ()>) {
        stopped_with(self.total + by);
        context.stop();
    }
}

async fn spawn_all() -> Result<(Vec<ActorRef<Idle>>, Duration), Wrong> {
    STARTED.set(IDLE);
    let mut servers = Vec::with_capacity(IDLE as usize);
    let begun = Instant::now();
    for i in 0..IDLE {
        servers.push(start::<Idle>(i));
        if i % IDLE_PER_TURN == IDLE_PER_TURN - 1 {
            yield_now().await;
        }
    }
    STARTED.wait().await;
    Ok((servers, begun.elapsed()))
}

async fn stop_all(servers: Vec<ActorRef<Idle>>) -> Result<Duration, Wrong> {
    STOPPED.set(IDLE);
    let begun = Instant::now();
    for (i, server) in (0..).zip(servers) {
        server.tell(Finish(1)).try_send().map_err(failed)?;
        if i % IDLE_PER_TURN == IDLE_PER_TURN - 1 {
            yield_now().await;
        }
    }
    STOPPED.wait().await;
    let elapsed = begun.elapsed();
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
        let server = start::<Sum>(0);
        let mut latencies = Vec::with_capacity(FAIR_CALLS as usize);
        for i in 0..FAIR_CALLS {
            let due = begin + FAIR_PERIOD * i as u32;
            sleep_until(due).await;
            equal("reply", server.ask(Add(1)).send().await.map_err(failed)?, i + 1)?;
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
struct Fragile {
    total: u64,
}

struct Crash;

impl Actor for Fragile {
    type Args = mpsc::UnboundedSender<()>;
    type Error = Infallible;

    async fn on_start(up: Self::Args, _: ActorRef<Fragile>) -> Result<Fragile, Infallible> {
        // The client may have ended with an error.
        let _ = up.send(());
        Ok(Fragile { total: 0 })
    }
}

impl Message<Add> for Fragile {
    type Reply = u64;

    async fn handle(&mut self, Add(by): Add, _: &mut Context<Fragile, u64>) -> u64 {
        self.total += by;
        self.total
    }
}

impl Message<Crash> for Fragile {
    type Reply = ();

    async fn handle(&mut self, _: Crash, _: &mut Context<Fragile, ()>) {
        panic!("as it was told");
    }
}

/// Supervises; also starts children when asked.
struct Parent;

struct StartChild(u64);

impl Actor for Parent {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), _: ActorRef<Parent>) -> Result<Parent, Infallible> {
        Ok(Parent)
    }
}

/// The actor's reference outlives its restarts.
async fn restart() -> Result<Vec<f64>, Wrong> {
    // Each panic would be printed.
    std::panic::set_hook(Box::new(|_| {}));
    kameo::error::set_actor_error_hook(|_| {});
    let parent = start::<Parent>(());
    let (up, mut starts) = mpsc::unbounded_channel();
    let server = Fragile::supervise(&parent, up)
        .restart_policy(RestartPolicy::Permanent)
        .restart_limit(2 * RESTARTS as u32, Duration::from_secs(3_600))
        .spawn_with_mailbox(mailbox::unbounded())
        .await;
    let gone = || Wrong::failed("restart", "there is no server");
    starts.recv().await.ok_or_else(gone)?;
    let mut begun = Instant::now();
    for i in 0..WARM_UP + RESTARTS {
        if i == WARM_UP {
            begun = Instant::now();
        }
        server.tell(Crash).try_send().map_err(failed)?;
        starts.recv().await.ok_or_else(gone)?;
        equal("reply", server.ask(Add(i)).reply_timeout(CALL_TIMEOUT).send().await.map_err(failed)?, i)?;
    }
    Ok(vec![ns_each(begun.elapsed(), RESTARTS)])
}

/// A server that says at its end what it held.
struct Child {
    number: u64,
}

struct Holds;

impl Actor for Child {
    type Args = u64;
    type Error = Infallible;

    async fn on_start(number: u64, _: ActorRef<Child>) -> Result<Child, Infallible> {
        Ok(Child { number })
    }

    async fn on_stop(&mut self, _: WeakActorRef<Child>, _: ActorStopReason) -> Result<(), Infallible> {
        stopped_with(self.number);
        Ok(())
    }
}

impl Message<Holds> for Child {
    type Reply = u64;

    async fn handle(&mut self, _: Holds, _: &mut Context<Child, u64>) -> u64 {
        self.number
    }
}

impl Message<StartChild> for Parent {
    type Reply = ActorRef<Child>;

    async fn handle(
        &mut self,
        StartChild(number): StartChild,
        context: &mut Context<Parent, ActorRef<Child>>,
    ) -> ActorRef<Child> {
        let child = Child::supervise(context.actor_ref(), number)
            .restart_policy(RestartPolicy::Never)
            .spawn_with_mailbox(mailbox::unbounded())
            .await;
        child.wait_for_startup().await;
        child
    }
}

async fn start_children(count: u64) -> Result<(ActorRef<Parent>, Vec<ActorRef<Child>>, Duration), Wrong> {
    let parent = start::<Parent>(());
    let mut children = Vec::with_capacity(count as usize);
    let begun = Instant::now();
    for number in 0..count {
        children.push(parent.ask(StartChild(number)).send().await.map_err(failed)?);
    }
    Ok((parent, children, begun.elapsed()))
}

/// The client stops the children itself: a parent that waits for one in its handler would not hear of its end.
async fn children() -> Result<Vec<f64>, Wrong> {
    let (_parent, children, starting) = start_children(CHILDREN).await?;
    let last = &children[children.len() - 1];
    equal("reply", last.ask(Holds).send().await.map_err(failed)?, CHILDREN - 1)?;
    STOPPED.set(CHILDREN);
    let begun = Instant::now();
    for child in children {
        child.stop_gracefully().await.map_err(failed)?;
        child.wait_for_shutdown().await;
    }
    STOPPED.wait().await;
    let stopping = begun.elapsed();
    equal("state of all", HELD.load(Ordering::Relaxed), sum_below(CHILDREN))?;
    Ok(vec![ns_each(starting, CHILDREN), ns_each(stopping, CHILDREN)])
}

async fn children_million() -> Result<Vec<f64>, Wrong> {
    let before = probe::resident_bytes();
    // An actor without references ends, so they are kept, as a user has to.
    let (parent, _children, starting) = start_children(CHILDREN_MILLION).await?;
    STOPPED.set(CHILDREN_MILLION);
    let begun = Instant::now();
    parent.stop_gracefully().await.map_err(failed)?;
    STOPPED.wait().await;
    let stopping = begun.elapsed();
    equal("state of all", HELD.load(Ordering::Relaxed), sum_below(CHILDREN_MILLION))?;
    let each = (probe::peak_resident_bytes() - before) as f64 / CHILDREN_MILLION as f64;
    Ok(vec![ns_each(starting, CHILDREN_MILLION), ns_each(stopping, CHILDREN_MILLION), each])
}

/// Takes every broadcast, and says at last what they have summed up to.
struct Subscriber {
    missing: u64,
    total: u64,
}

/// What is broadcast.
struct News(u64);

impl Actor for Subscriber {
    type Args = u64;
    type Error = Infallible;

    async fn on_start(broadcasts: u64, _: ActorRef<Subscriber>) -> Result<Subscriber, Infallible> {
        STARTED.count_down();
        Ok(Subscriber { missing: broadcasts, total: 0 })
    }
}

impl Message<News> for Subscriber {
    type Reply = ();

    async fn handle(&mut self, News(number): News, context: &mut Context<Subscriber, ()>) {
        self.total += number;
        self.missing -= 1;
        if self.missing == 0 {
            stopped_with(self.total);
            context.stop();
        }
    }
}

/// A loop over the actors; what publishes for them is an actor of a crate of its own, which makes a task per message.
async fn broadcasts(count: u64, in_turn: bool) -> Result<f64, Wrong> {
    HELD.store(0, Ordering::Relaxed);
    STARTED.set(SUBSCRIBERS);
    STOPPED.set(SUBSCRIBERS);
    let subscribers: Vec<_> = (0..SUBSCRIBERS).map(|_| start::<Subscriber>(count)).collect();
    STARTED.wait().await;
    let begun = Instant::now();
    for number in 0..count {
        for subscriber in &subscribers {
            subscriber.tell(News(number)).try_send().map_err(failed)?;
        }
        if in_turn {
            yield_now().await;
        }
    }
    STOPPED.wait().await;
    let elapsed = begun.elapsed();
    equal("sum of all", HELD.load(Ordering::Relaxed), SUBSCRIBERS * sum_below(count))?;
    Ok(millions_per_second(elapsed, SUBSCRIBERS * count))
}

async fn fanout(in_turn: bool) -> Result<Vec<f64>, Wrong> {
    Ok(vec![broadcasts(BROADCASTS, in_turn).await?])
}

/// Nanoseconds that the registered actors took, each for its own call.
static REGISTERING: AtomicU64 = AtomicU64::new(0);
static UNREGISTERING: AtomicU64 = AtomicU64::new(0);

/// An actor with a name. Names are texts here, made before the clock starts.
struct Named(String);

/// To a named actor: gives the name back and ends.
struct Leave;

impl Actor for Named {
    type Args = u64;
    type Error = Infallible;

    async fn on_start(key: u64, myself: ActorRef<Named>) -> Result<Named, Infallible> {
        let (name, given) = (key.to_string(), key.to_string());
        let begun = Instant::now();
        let registered = myself.register(given).is_ok();
        REGISTERING.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        HELD.fetch_add(if registered { key } else { 0 }, Ordering::Relaxed);
        STARTED.count_down();
        Ok(Named(name))
    }
}

impl Message<Leave> for Named {
    type Reply = ();

    async fn handle(&mut self, _: Leave, context: &mut Context<Named, ()>) {
        let begun = Instant::now();
        if let Ok(mut registry) = ACTOR_REGISTRY.lock() {
            registry.remove(self.0.as_str());
        }
        UNREGISTERING.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        STOPPED.count_down();
        context.stop();
    }
}

async fn registry() -> Result<Vec<f64>, Wrong> {
    STARTED.set(REGISTERED);
    let owners: Vec<_> = (0..REGISTERED).map(start::<Named>).collect();
    STARTED.wait().await;
    equal("registered keys", HELD.load(Ordering::Relaxed), sum_below(REGISTERED))?;
    let names: Arc<[String]> = (0..REGISTERED).map(|key| key.to_string()).collect();
    let begun = Instant::now();
    let reader = |reader: u64, names: Arc<[String]>| async move {
        let (mut state, mut found) = (reader, 0);
        for _ in 0..LOOKUPS_PER_READER {
            let name = names[random_below(&mut state, REGISTERED) as usize].as_str();
            let actor = ActorRef::<Named>::lookup(name).map_err(|error| Wrong::failed("look-up", error))?;
            found += u64::from(actor.is_some());
        }
        Ok(found)
    };
    let readers: Vec<_> = (0..READERS).map(|i| tokio::spawn(reader(i, Arc::clone(&names)))).collect();
    for reader in readers {
        equal("found", joined(reader).await?, LOOKUPS_PER_READER)?;
    }
    let reading = begun.elapsed();
    STOPPED.set(REGISTERED);
    for owner in owners {
        owner.tell(Leave).try_send().map_err(failed)?;
    }
    STOPPED.wait().await;
    let each = |sum: &AtomicU64| sum.load(Ordering::Relaxed) as f64 / REGISTERED as f64;
    Ok(vec![
        each(&REGISTERING),
        millions_per_second(reading, READERS * LOOKUPS_PER_READER),
        each(&UNREGISTERING),
        broadcasts(DISPATCHES, true).await?,
    ])
}

//! ibeam: processes and GenServers, as a user would write them.
//!
//! The runtime is the threads driver with two workers. The clients are processes, so they run on the workers and not on
//! the main thread.

pub(super) mod scaling;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ibeam::prelude::*;
use ibeam::registry::Duplicate;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tracing::{Event, Id, Level, Metadata, Subscriber, span};

use crate::check::{Wrong, equal};
use crate::probe;
use crate::systems::Plan;
use crate::systems::shared::{HELD, Latch, STARTED, STOPPED, echo_back, round_trip, stopped_with};
use crate::workloads::*;

const NO_TABLES: &str = "it has no tables yet";

/// What ibeam does for a workload.
///
/// # Errors
/// Why it does not do it.
pub(super) fn plan(workload: Workload) -> Plan {
    match workload {
        Workload::Table => Err(NO_TABLES),
        _ => Ok(Box::new(move || run(workload))),
    }
}

fn run(workload: Workload) -> Result<Vec<f64>, Wrong> {
    let runtime = runtime(WORKERS)?;
    match workload {
        Workload::CallSeq => runtime.block_on(call_seq(Timeout::Infinity)),
        Workload::CallSeqTimeout => runtime.block_on(call_seq(Timeout::After(CALL_TIMEOUT))),
        Workload::CallConc => runtime.block_on(call_conc()),
        Workload::Cast1to1 => runtime.block_on(cast(1)),
        Workload::Cast100to1 => runtime.block_on(cast(SENDERS)),
        Workload::Pairs => runtime.block_on(pairs()),
        Workload::Ring => runtime.block_on(ring(RING, HOPS)),
        Workload::Skynet => runtime.block_on(skynet()),
        // A process always has its mailbox: the same work, beside another figure of plain tokio.
        Workload::SpawnExit | Workload::SpawnExitBare => runtime.block_on(spawn_exit(SPAWN_BATCH)),
        Workload::SpawnIdle => idle::<Holder>(&runtime, IDLE),
        Workload::SpawnIdleServer => idle::<Sum>(&runtime, IDLE),
        Workload::Echo1 => runtime.block_on(echo(1, ECHO_TRIPS)),
        Workload::Echo64 => runtime.block_on(echo(ECHO_CONNECTIONS, ECHO_TRIPS_PER_CONNECTION)),
        Workload::Fairness => runtime.block_on(fairness()),
        Workload::IdleCpu => idle_cpu(&runtime),
        Workload::Restart => runtime.block_on(restart()),
        Workload::Children => runtime.block_on(children()),
        Workload::ChildrenMillion => runtime.block_on(children_million()),
        Workload::TaskAwait => runtime.block_on(task_await()),
        Workload::TaskStream => runtime.block_on(task_stream()),
        Workload::Fanout => runtime.block_on(fanout(SUBSCRIBERS, BROADCASTS, false)),
        Workload::FanoutInTurn => runtime.block_on(fanout(SUBSCRIBERS, BROADCASTS, true)),
        Workload::Registry => runtime.block_on(registry()),
        Workload::Table => Err(Wrong::failed("table", NO_TABLES)),
    }
}

fn runtime(workers: usize) -> Result<Runtime, Wrong> {
    let builder = Runtime::builder().workers(workers).max_processes(2 * IDLE as usize);
    builder.build().map_err(|error| Wrong::failed("runtime", error))
}

/// Spawns a process whose result is waited for. If it crashes, the channel closes without one.
fn spawn_joined<T: Send + 'static>(
    body: impl Future<Output = Result<T, Wrong>> + Send + 'static,
) -> oneshot::Receiver<Result<T, Wrong>> {
    let (done, result) = oneshot::channel();
    process::spawn(async move {
        // The one who waits may be gone already when another result was wrong.
        let _ = done.send(body.await);
    });
    result
}

async fn joined<T>(result: oneshot::Receiver<Result<T, Wrong>>) -> Result<T, Wrong> {
    result.await.map_err(|_| Wrong::failed("process", "crashed"))?
}

/// A server with one number.
struct Sum {
    total: u64,
}

#[gen_server]
impl Sum {
    async fn init(total: u64) -> Init<Self> {
        Init::ok(Sum { total })
    }

    /// Adds and replies with the total.
    #[call]
    async fn add(&mut self, by: u64) -> u64 {
        self.total += by;
        self.total
    }

    /// Adds.
    #[cast]
    async fn feed(&mut self, by: u64) {
        self.total += by;
    }

    /// Adds and ends.
    #[cast]
    async fn finish(&mut self, by: u64) -> Next {
        stopped_with(self.total + by);
        Next::stop(ExitReason::Normal)
    }
}

async fn start_server() -> Result<ServerRef<Sum>, Wrong> {
    Sum::start(0).await.map_err(|error| Wrong::failed("start", error))
}

/// Calls are written out where they are counted, as in plain tokio's column: an async fn in between would be measured too.
fn failed(error: CallError) -> Wrong {
    Wrong::failed("call", error)
}

async fn call_seq(timeout: Timeout) -> Result<Vec<f64>, Wrong> {
    let server = start_server().await?;
    for _ in 0..WARM_UP {
        server.add(0).timeout(timeout).await.map_err(failed)?;
    }
    let start = Instant::now();
    for i in 0..SEQUENTIAL_CALLS {
        let reply = server.add(i).timeout(timeout).await.map_err(failed)?;
        equal("reply", reply, sum_below(i + 1))?;
    }
    Ok(vec![ns_each(start.elapsed(), SEQUENTIAL_CALLS)])
}

async fn call_conc() -> Result<Vec<f64>, Wrong> {
    let server = start_server().await?;
    let start = Instant::now();
    let client = |server: ServerRef<Sum>| async move {
        for i in 0..CALLS_PER_CLIENT {
            server.add(i).timeout(CALL_TIMEOUT).await.map_err(failed)?;
        }
        Ok(())
    };
    let clients: Vec<_> = (0..CLIENTS).map(|_| spawn_joined(client(server.clone()))).collect();
    for client in clients {
        joined(client).await?;
    }
    let elapsed = start.elapsed();
    let total = server.add(0).await.map_err(failed)?;
    equal("total", total, CLIENTS * sum_below(CALLS_PER_CLIENT))?;
    Ok(vec![millions_per_second(elapsed, CLIENTS * CALLS_PER_CLIENT)])
}

/// The closing call is answered after the last cast has been handled.
async fn cast(senders: u64) -> Result<Vec<f64>, Wrong> {
    let server = start_server().await?;
    let each = CASTS / senders;
    let start = Instant::now();
    let sender = |server: ServerRef<Sum>| async move {
        for i in 0..each {
            server.feed(i);
            if i % CASTS_PER_TURN == CASTS_PER_TURN - 1 {
                process::yield_now().await;
            }
        }
        Ok(())
    };
    let tasks: Vec<_> = (0..senders).map(|_| spawn_joined(sender(server.clone()))).collect();
    for task in tasks {
        joined(task).await?;
    }
    let total = server.add(0).await.map_err(failed)?;
    equal("total", total, senders * sum_below(each))?;
    Ok(vec![millions_per_second(start.elapsed(), CASTS)])
}

async fn pairs() -> Result<Vec<f64>, Wrong> {
    let start = Instant::now();
    let pair = || async {
        let server = start_server().await?;
        for i in 0..TRIPS_PER_PAIR {
            let reply = server.add(i).timeout(Timeout::Infinity).await.map_err(failed)?;
            equal("reply", reply, sum_below(i + 1))?;
        }
        Ok(())
    };
    let pairs: Vec<_> = (0..PAIRS).map(|_| spawn_joined(pair())).collect();
    for pair in pairs {
        joined(pair).await?;
    }
    Ok(vec![millions_per_second(start.elapsed(), PAIRS * TRIPS_PER_PAIR)])
}

/// What goes round in the ring: how many hops are left.
struct Token(u64);
/// Closes the ring: who comes after the first node.
struct Successor(Pid);
/// The place of the node that got the token with no hop left.
struct LastPlace(usize);

/// The token counts down, one per hop; whoever gets zero reports its own place in the ring.
async fn ring(nodes: usize, hops: u64) -> Result<Vec<f64>, Wrong> {
    async fn node(place: usize, next: Pid, report: Pid) {
        loop {
            receive! {
                Token(0) => report.send(LastPlace(place)),
                Token(left) => next.send(Token(left - 1)),
            }
        }
    }
    let report = process::self_pid();
    let first = process::spawn(async move {
        let next = receive! { Successor(pid) => pid };
        node(0, next, report).await;
    });
    let mut next = first;
    for place in (1..nodes).rev() {
        next = process::spawn(node(place, next, report));
    }
    first.send(Successor(next));
    // A lap first, so that every node has run before the clock starts.
    let mut elapsed = Duration::ZERO;
    for hops in [nodes as u64, hops] {
        let start = Instant::now();
        first.send(Token(hops));
        let place = receive! { LastPlace(place) => place };
        elapsed = start.elapsed();
        equal("the token's last place", place, hops as usize % nodes)?;
    }
    Ok(vec![ns_each(elapsed, hops)])
}

/// What a process of the tree has summed up, for the one above it.
struct Summed(u64);

fn skynet_node(first: u64, leaves: u64, above: Pid) {
    // A leaf is a process of its own kind, so that it does not carry what only the others need.
    if leaves == 1 {
        process::spawn(async move { above.send(Summed(first)) });
        return;
    }
    process::spawn(async move {
        let (me, below) = (process::self_pid(), leaves / SKYNET_BRANCHES);
        for i in 0..SKYNET_BRANCHES {
            skynet_node(first + i * below, below, me);
        }
        let mut sum = 0;
        for _ in 0..SKYNET_BRANCHES {
            sum += receive! { Summed(part) => part };
        }
        above.send(Summed(sum));
    });
}

async fn skynet() -> Result<Vec<f64>, Wrong> {
    let before = probe::resident_bytes();
    let start = Instant::now();
    skynet_node(0, SKYNET_LEAVES, process::self_pid());
    let sum = receive! { Summed(sum) => sum };
    let elapsed = start.elapsed();
    equal("sum of the leaves", sum, sum_below(SKYNET_LEAVES))?;
    Ok(skynet_figures(elapsed, probe::peak_resident_bytes() - before))
}

async fn spawn_exit(batch: u64) -> Result<Vec<f64>, Wrong> {
    static RUNNING: Latch = Latch::new();
    static ENDED: AtomicU64 = AtomicU64::new(0);
    let start = Instant::now();
    for _ in 0..SPAWNS / batch {
        RUNNING.set(batch);
        for _ in 0..batch {
            process::spawn(async {
                ENDED.fetch_add(1, Ordering::Relaxed);
                RUNNING.count_down();
            });
        }
        RUNNING.wait().await;
    }
    let elapsed = start.elapsed();
    equal("processes ended", ENDED.load(Ordering::Relaxed), SPAWNS)?;
    Ok(vec![ns_each(elapsed, SPAWNS)])
}

/// Something that holds a number and waits until it is stopped with another, which it adds.
trait Idle: 'static {
    type Handle: Send + 'static;
    /// Counts `STARTED` down once it runs.
    fn spawn(state: u64) -> impl Future<Output = Result<Self::Handle, Wrong>> + Send;
    fn stop(handle: &Self::Handle);
}

/// A bare process.
struct Holder;
/// Ends a [`Holder`].
struct Stop(u64);

impl Idle for Holder {
    type Handle = Pid;

    async fn spawn(state: u64) -> Result<Pid, Wrong> {
        Ok(process::spawn(async move {
            STARTED.count_down();
            receive! { Stop(by) => stopped_with(state + by) }
        }))
    }

    fn stop(handle: &Pid) {
        handle.send(Stop(1));
    }
}

impl Idle for Sum {
    type Handle = ServerRef<Sum>;

    async fn spawn(state: u64) -> Result<ServerRef<Sum>, Wrong> {
        let server = Sum::start(state).await.map_err(|error| Wrong::failed("start", error))?;
        // `start` returns when `init` has.
        STARTED.count_down();
        Ok(server)
    }

    fn stop(handle: &ServerRef<Sum>) {
        handle.finish(1);
    }
}

async fn spawn_all<I: Idle>(count: u64) -> Result<(Vec<I::Handle>, Duration), Wrong> {
    STARTED.set(count);
    let mut handles = Vec::with_capacity(count as usize);
    let start = Instant::now();
    for i in 0..count {
        handles.push(I::spawn(i).await?);
        if i % IDLE_PER_TURN == IDLE_PER_TURN - 1 {
            process::yield_now().await;
        }
    }
    STARTED.wait().await;
    Ok((handles, start.elapsed()))
}

async fn stop_all<I: Idle>(handles: Vec<I::Handle>) -> Result<Duration, Wrong> {
    let count = handles.len() as u64;
    STOPPED.set(count);
    let start = Instant::now();
    for (i, handle) in (0..).zip(handles) {
        I::stop(&handle);
        if i % IDLE_PER_TURN == IDLE_PER_TURN - 1 {
            process::yield_now().await;
        }
    }
    STOPPED.wait().await;
    let elapsed = start.elapsed();
    equal("state of all", HELD.load(Ordering::Relaxed), sum_below(count) + count)?;
    Ok(elapsed)
}

/// The main thread sleeps while memory settles, so that nothing but the idle processes is there.
fn idle<I: Idle>(runtime: &Runtime, count: u64) -> Result<Vec<f64>, Wrong> {
    let before = probe::resident_bytes();
    let (handles, spawning) = runtime.block_on(spawn_all::<I>(count))?;
    thread::sleep(SETTLE);
    let bytes = probe::resident_bytes() - before;
    let stopping = runtime.block_on(stop_all::<I>(handles))?;
    Ok(vec![ns_each(spawning, count), bytes as f64 / count as f64, ns_each(stopping, count)])
}

fn idle_cpu(runtime: &Runtime) -> Result<Vec<f64>, Wrong> {
    let (handles, _) = runtime.block_on(spawn_all::<Holder>(IDLE))?;
    thread::sleep(SETTLE);
    let (start, before) = (Instant::now(), probe::cpu_time());
    thread::sleep(IDLE_WATCH);
    let share = (probe::cpu_time() - before).as_secs_f64() / start.elapsed().as_secs_f64();
    runtime.block_on(stop_all::<Holder>(handles))?;
    Ok(vec![share * 100.0])
}

/// One process per connection on the server's side, one per client on the other.
async fn echo(connections: u64, trips: u64) -> Result<Vec<f64>, Wrong> {
    let broken = |error| Wrong::failed("echo", error);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(broken)?;
    let address = listener.local_addr().map_err(broken)?;
    process::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            process::spawn(echo_back(socket));
        }
    });
    let mut sockets = Vec::new();
    for _ in 0..connections {
        let mut socket = TcpStream::connect(address).await.map_err(broken)?;
        socket.set_nodelay(true).map_err(broken)?;
        // The first round trip, so that both ends run before the clock starts.
        round_trip(&mut socket, u64::MAX).await?;
        sockets.push(socket);
    }
    let start = Instant::now();
    let client = |mut socket: TcpStream| async move {
        for i in 0..trips {
            round_trip(&mut socket, i).await?;
        }
        Ok(())
    };
    let clients: Vec<_> = sockets.into_iter().map(|socket| spawn_joined(client(socket))).collect();
    for client in clients {
        joined(client).await?;
    }
    Ok(vec![ns_each(start.elapsed(), connections * trips)])
}

/// Sleeps until `due`; at once when it has passed.
async fn sleep_until(due: Instant) {
    process::sleep(due.saturating_duration_since(Instant::now())).await;
}

/// Latency counts from when a call was due: counting from the send would hide that the client itself did not run.
async fn fairness() -> Result<Vec<f64>, Wrong> {
    let begin = Instant::now() + Duration::from_millis(100);
    let client = || async move {
        let server = start_server().await?;
        let mut latencies = Vec::with_capacity(FAIR_CALLS as usize);
        for i in 0..FAIR_CALLS {
            let due = begin + FAIR_PERIOD * i as u32;
            sleep_until(due).await;
            let total = server.add(1).timeout(Timeout::Infinity).await.map_err(failed)?;
            equal("reply", total, i + 1)?;
            latencies.push(due.elapsed());
        }
        Ok(latencies)
    };
    let clients: Vec<_> = (0..FAIR_PAIRS).map(|_| spawn_joined(client())).collect();
    sleep_until(begin).await;
    let hogs: Vec<_> = (0..HOGS).map(|_| spawn_joined(async { Ok(compute(HOG_TIME)) })).collect();
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

/// Listens to crash reports, so that they are not printed, and counts them.
struct Reports;

static REPORTS: AtomicU64 = AtomicU64::new(0);

const CRASH: &str = "ibeam::crash";

impl Subscriber for Reports {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The runtime asks whether anybody listens, which is neither a span nor an event.
        !metadata.is_span() && *metadata.level() == Level::ERROR && metadata.target() == CRASH
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() == CRASH {
            REPORTS.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A server that crashes when it is told to.
struct Fragile {
    total: u64,
}

/// A [`Fragile`] has started: its pid.
struct Up(Pid);

#[gen_server]
impl Fragile {
    async fn init(client: Pid) -> Init<Self> {
        client.send(Up(process::self_pid()));
        Init::ok(Fragile { total: 0 })
    }

    #[call]
    fn add(&mut self, by: u64) -> u64 {
        self.total += by;
        self.total
    }

    #[cast]
    fn crash(&mut self) {
        panic!("as it was told");
    }
}

/// From now on crash reports are counted and not printed. Once a program.
pub(crate) fn silence_reports() -> Result<(), Wrong> {
    tracing::subscriber::set_global_default(Reports).map_err(|error| Wrong::failed("subscriber", error))
}

async fn restart() -> Result<Vec<f64>, Wrong> {
    silence_reports()?;
    let client = process::self_pid();
    let spec = ChildSpec::server("fragile", move || Fragile::start_link(client));
    let supervisor = Supervisor::new(Strategy::OneForOne)
        .intensity(2 * RESTARTS as usize, Duration::from_secs(3_600))
        .child(spec)
        .start_link()
        .await
        .map_err(|error| Wrong::failed("start", error))?;
    let mut server = ServerRef::<Fragile>::of(receive! { Up(pid) => pid });
    let mut start = Instant::now();
    for i in 0..WARM_UP + RESTARTS {
        if i == WARM_UP {
            start = Instant::now();
        }
        server.crash();
        server = ServerRef::of(receive! { Up(pid) => pid });
        equal("reply", server.add(i).await.map_err(failed)?, i)?;
    }
    let elapsed = start.elapsed();
    equal("crash reports", REPORTS.load(Ordering::Relaxed), WARM_UP + RESTARTS)?;
    supervisor.stop(ExitReason::Normal, CALL_TIMEOUT).await.map_err(failed)?;
    Ok(vec![ns_each(elapsed, RESTARTS)])
}

/// A server that says at its end what it held.
struct Child {
    state: u64,
}

#[gen_server]
impl Child {
    async fn init(state: u64) -> Init<Self> {
        Init::ok(Child { state })
    }

    #[call]
    async fn held(&mut self) -> u64 {
        self.state
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        HELD.fetch_add(self.state, Ordering::Relaxed);
    }
}

/// Starts so many, each when the one before it has started; how long that took.
async fn start_children(
    supervisor: &DynamicSupervisorRef,
    count: u64,
    mut started: impl FnMut(Pid),
) -> Result<Duration, Wrong> {
    let start = Instant::now();
    for i in 0..count {
        let child = supervisor.start_child(Child::child(i).restart(Restart::Temporary)).await;
        let child = child.map_err(|error| Wrong::failed("start_child", error))?;
        started(child.pid().ok_or_else(|| Wrong::failed("start_child", "no pid"))?);
    }
    let elapsed = start.elapsed();
    let counts = supervisor.count_children().await.map_err(failed)?;
    equal("children", counts.active as u64, count)?;
    Ok(elapsed)
}

async fn start_supervisor() -> Result<DynamicSupervisorRef, Wrong> {
    DynamicSupervisor::spec().start_link().await.map_err(|error| Wrong::failed("start", error))
}

async fn children() -> Result<Vec<f64>, Wrong> {
    let supervisor = start_supervisor().await?;
    let mut pids = Vec::with_capacity(CHILDREN as usize);
    let starting = start_children(&supervisor, CHILDREN, |pid| pids.push(pid)).await?;
    let last = ServerRef::<Child>::of(pids[pids.len() - 1]);
    equal("reply", last.held().await.map_err(failed)?, CHILDREN - 1)?;
    let start = Instant::now();
    for pid in pids {
        supervisor.terminate_child(pid).await.map_err(|error| Wrong::failed("terminate_child", error))?;
    }
    let stopping = start.elapsed();
    equal("state of all", HELD.load(Ordering::Relaxed), sum_below(CHILDREN))?;
    Ok(vec![ns_each(starting, CHILDREN), ns_each(stopping, CHILDREN)])
}

async fn children_million() -> Result<Vec<f64>, Wrong> {
    let supervisor = start_supervisor().await?;
    let before = probe::resident_bytes();
    let starting = start_children(&supervisor, CHILDREN_MILLION, drop).await?;
    let start = Instant::now();
    supervisor.stop(ExitReason::Normal, Timeout::Infinity).await.map_err(failed)?;
    let stopping = start.elapsed();
    equal("state of all", HELD.load(Ordering::Relaxed), sum_below(CHILDREN_MILLION))?;
    let bytes = probe::peak_resident_bytes() - before;
    let each = bytes as f64 / CHILDREN_MILLION as f64;
    Ok(vec![ns_each(starting, CHILDREN_MILLION), ns_each(stopping, CHILDREN_MILLION), each])
}

async fn task_await() -> Result<Vec<f64>, Wrong> {
    let failed = |error| Wrong::failed("task", error);
    for _ in 0..WARM_UP {
        Task::spawn(async {}).await.map_err(failed)?;
    }
    let start = Instant::now();
    let mut sum = 0;
    for i in 0..TASKS {
        sum += Task::spawn(async move { i }).await.map_err(failed)?;
    }
    let elapsed = start.elapsed();
    equal("sum of all", sum, sum_below(TASKS))?;
    Ok(vec![ns_each(elapsed, TASKS)])
}

async fn task_stream() -> Result<Vec<f64>, Wrong> {
    let start = Instant::now();
    let mut stream = Task::stream(0..TASKS, |i| async move { i }).max_concurrency(STREAM_WIDTH);
    let mut next = 0;
    while let Some(outcome) = stream.next().await {
        equal("outcome", outcome.map_err(|reason| Wrong::failed("task", reason))?, next)?;
        next += 1;
    }
    let elapsed = start.elapsed();
    equal("outcomes", next, TASKS)?;
    Ok(vec![millions_per_second(elapsed, TASKS)])
}

/// What is broadcast.
#[derive(Clone)]
struct News(u64);

/// Takes every broadcast, and says at last what they have summed up to.
async fn subscriber(news: PubSub, broadcasts: u64) {
    if let Err(error) = news.subscribe("news") {
        process::exit(ExitReason::error(error));
    }
    STARTED.count_down();
    let mut total = 0;
    for _ in 0..broadcasts {
        total += receive! { News(number) => number };
    }
    stopped_with(total);
}

async fn fanout(subscribers: u64, broadcasts: u64, in_turn: bool) -> Result<Vec<f64>, Wrong> {
    let news = PubSub::new("news").start_link().await.map_err(|error| Wrong::failed("start", error))?;
    STARTED.set(subscribers);
    STOPPED.set(subscribers);
    for _ in 0..subscribers {
        process::spawn(subscriber(news.clone(), broadcasts));
    }
    STARTED.wait().await;
    let start = Instant::now();
    for number in 0..broadcasts {
        news.broadcast("news", News(number)).map_err(|error| Wrong::failed("broadcast", error))?;
        if in_turn {
            process::yield_now().await;
        }
    }
    STOPPED.wait().await;
    let elapsed = start.elapsed();
    equal("sum of all", HELD.load(Ordering::Relaxed), subscribers * sum_below(broadcasts))?;
    Ok(vec![millions_per_second(elapsed, subscribers * broadcasts)])
}

/// Nanoseconds that the registered processes took, each for its own call.
static REGISTERING: AtomicU64 = AtomicU64::new(0);
static UNREGISTERING: AtomicU64 = AtomicU64::new(0);

async fn registered(names: Registry<u64, ()>, key: u64) {
    let start = Instant::now();
    let registered = names.register(key, ()).is_ok();
    REGISTERING.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    HELD.fetch_add(if registered { key } else { 0 }, Ordering::Relaxed);
    STARTED.count_down();
    receive! { Leave => {} }
    let start = Instant::now();
    names.unregister(&key);
    UNREGISTERING.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    STOPPED.count_down();
}

/// To a registered process: unregister and end.
struct Leave;

/// So many processes, each of which registers itself under a key of its own.
async fn register_all(count: u64) -> Result<(Registry<u64, ()>, Vec<Pid>), Wrong> {
    let failed = |error| Wrong::failed("registry", error);
    let names = Registry::<u64, ()>::unique("names").start_link().await.map_err(failed)?;
    STARTED.set(count);
    let owners = (0..count).map(|key| process::spawn(registered(names.clone(), key))).collect();
    STARTED.wait().await;
    equal("registered keys", HELD.load(Ordering::Relaxed), sum_below(count))?;
    Ok((names, owners))
}

/// So many readers at once, each of which looks up keys here and there; how long until the last is done.
async fn look_up(names: &Registry<u64, ()>, keys: u64, readers: u64, each: u64) -> Result<Duration, Wrong> {
    let start = Instant::now();
    let readers: Vec<_> = (0..readers)
        .map(|reader| {
            let names = names.clone();
            spawn_joined(async move {
                let (mut state, mut found) = (reader, 0);
                for _ in 0..each {
                    found += u64::from(names.whereis(&random_below(&mut state, keys)).is_some());
                }
                Ok(found)
            })
        })
        .collect();
    for reader in readers {
        equal("found", joined(reader).await?, each)?;
    }
    Ok(start.elapsed())
}

async fn registry() -> Result<Vec<f64>, Wrong> {
    let (names, owners) = register_all(REGISTERED).await?;
    let reading = look_up(&names, REGISTERED, READERS, LOOKUPS_PER_READER).await?;

    STOPPED.set(REGISTERED);
    owners.into_iter().for_each(|owner| owner.send(Leave));
    STOPPED.wait().await;
    equal("left", names.count() as u64, 0)?;
    let each = |sum: &AtomicU64| sum.load(Ordering::Relaxed) as f64 / REGISTERED as f64;
    Ok(vec![
        each(&REGISTERING),
        millions_per_second(reading, READERS * LOOKUPS_PER_READER),
        each(&UNREGISTERING),
        dispatch().await?,
    ])
}

async fn dispatch() -> Result<f64, Wrong> {
    let failed = |error| Wrong::failed("registry", error);
    let topics = Registry::<&'static str, ()>::duplicate("topics").start_link().await.map_err(failed)?;
    let subscriber = |topics: Registry<&'static str, (), Duplicate>| async move {
        // A failed one misses in what is counted at the end.
        let _ = topics.register("news", ());
        STARTED.count_down();
        let mut sum = 0;
        for _ in 0..DISPATCHES {
            sum += receive! { number: u64 => number };
        }
        stopped_with(sum);
    };
    HELD.store(0, Ordering::Relaxed);
    STARTED.set(SUBSCRIBERS);
    STOPPED.set(SUBSCRIBERS);
    for _ in 0..SUBSCRIBERS {
        process::spawn(subscriber(topics.clone()));
    }
    STARTED.wait().await;
    let start = Instant::now();
    for number in 0..DISPATCHES {
        topics.dispatch(&"news", |pid, ()| pid.send(number));
        process::yield_now().await;
    }
    STOPPED.wait().await;
    let elapsed = start.elapsed();
    equal("received", HELD.load(Ordering::Relaxed), SUBSCRIBERS * sum_below(DISPATCHES))?;
    Ok(millions_per_second(elapsed, SUBSCRIBERS * DISPATCHES))
}

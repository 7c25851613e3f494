//! Plain tokio: a task, an unbounded mpsc channel as its mailbox and a oneshot channel per reply, written by hand.
//!
//! It is the yardstick, so nothing here is slower than it has to be: no boxing, no locks, no join handle where a counter
//! does. The runtime is `multi_thread` with two workers, the clients run on them and not on the main thread.

pub(super) mod scaling;
mod table;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::error::Elapsed;
use tokio::time::{sleep_until, timeout};

use crate::check::{Wrong, equal};
use crate::probe;
use crate::systems::shared::{HELD, Latch, STARTED, STOPPED, echo_back, round_trip, stopped_with};
use crate::workloads::*;

/// Does the work and returns its figures.
///
/// # Errors
/// When a result was wrong.
pub(super) fn run(workload: Workload) -> Result<Vec<f64>, Wrong> {
    let runtime = runtime(WORKERS)?;
    match workload {
        Workload::CallSeq => on_worker(&runtime, call_seq()),
        Workload::CallSeqTimeout => on_worker(&runtime, call_seq_timeout()),
        Workload::CallConc => on_worker(&runtime, call_conc()),
        Workload::Cast1to1 => on_worker(&runtime, cast(1)),
        Workload::Cast100to1 => on_worker(&runtime, cast(SENDERS)),
        Workload::Pairs => on_worker(&runtime, pairs()),
        Workload::Ring => on_worker(&runtime, ring(RING, HOPS)),
        Workload::Skynet => on_worker(&runtime, skynet()),
        Workload::SpawnExit => on_worker(&runtime, spawn_exit(Mailbox::Made, SPAWN_BATCH)),
        Workload::SpawnExitBare => on_worker(&runtime, spawn_exit(Mailbox::None, SPAWN_BATCH)),
        Workload::SpawnIdle => idle(&runtime, IDLE, spawn_holder, |holder| holder.send(1).is_ok()),
        Workload::SpawnIdleServer => {
            idle(&runtime, IDLE, spawn_idle_server, |server| server.send(Request::Finish(1)).is_ok())
        }
        Workload::Echo1 => on_worker(&runtime, echo(1, ECHO_TRIPS)),
        Workload::Echo64 => on_worker(&runtime, echo(ECHO_CONNECTIONS, ECHO_TRIPS_PER_CONNECTION)),
        Workload::Fairness => on_worker(&runtime, fairness()),
        Workload::IdleCpu => idle_cpu(&runtime),
        Workload::Restart => on_worker(&runtime, restart()),
        Workload::Children => on_worker(&runtime, children()),
        Workload::ChildrenMillion => on_worker(&runtime, children_million()),
        Workload::TaskAwait => on_worker(&runtime, task_await()),
        Workload::TaskStream => on_worker(&runtime, task_stream()),
        Workload::Fanout => on_worker(&runtime, fanout(SUBSCRIBERS, BROADCASTS, false)),
        Workload::FanoutInTurn => on_worker(&runtime, fanout(SUBSCRIBERS, BROADCASTS, true)),
        Workload::Registry => on_worker(&runtime, registry()),
        Workload::Table => on_worker(&runtime, table::run()),
    }
}

fn runtime(workers: usize) -> Result<Runtime, Wrong> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).enable_all().build().map_err(|error| Wrong::failed("runtime", error))
}

/// Runs `client` as a task, so that it is measured on a worker.
fn on_worker<T: Send + 'static>(
    runtime: &Runtime,
    client: impl Future<Output = Result<T, Wrong>> + Send + 'static,
) -> Result<T, Wrong> {
    runtime.block_on(joined(runtime.spawn(client)))
}

async fn joined<T>(task: JoinHandle<Result<T, Wrong>>) -> Result<T, Wrong> {
    task.await.map_err(|error| Wrong::failed("task", error))?
}

/// What a server understands; the same three things as the `GenServer` of the ibeam side.
enum Request {
    /// Adds and replies with the total.
    Add(u64, oneshot::Sender<u64>),
    /// Adds.
    Feed(u64),
    /// Adds and ends.
    Finish(u64),
}

type Server = mpsc::UnboundedSender<Request>;

fn spawn_server() -> Server {
    let (server, mut mailbox) = mpsc::unbounded_channel();
    tokio::spawn(async move { serve(0, &mut mailbox).await });
    server
}

/// Serves until `Finish` or until nobody can send any more; returns the total.
async fn serve(mut total: u64, mailbox: &mut mpsc::UnboundedReceiver<Request>) -> u64 {
    while let Some(request) = mailbox.recv().await {
        match request {
            Request::Add(by, reply) => {
                total += by;
                // A caller that has given up does not want its answer any more.
                let _ = reply.send(total);
            }
            Request::Feed(by) => total += by,
            Request::Finish(by) => return total + by,
        }
    }
    total
}

/// The server has ended. Empty, so that the yardstick's call carries no more than it must.
struct Gone;

impl From<Gone> for Wrong {
    fn from(_: Gone) -> Wrong {
        Wrong::failed("call", "the server has ended")
    }
}

async fn add(server: &Server, by: u64) -> Result<u64, Gone> {
    let (reply, answer) = oneshot::channel();
    server.send(Request::Add(by, reply)).map_err(|_| Gone)?;
    answer.await.map_err(|_| Gone)
}

fn late(elapsed: Elapsed) -> Wrong {
    Wrong::failed("call", elapsed)
}

async fn call_seq() -> Result<Vec<f64>, Wrong> {
    let server = spawn_server();
    for _ in 0..WARM_UP {
        add(&server, 0).await?;
    }
    let start = Instant::now();
    for i in 0..SEQUENTIAL_CALLS {
        equal("reply", add(&server, i).await?, sum_below(i + 1))?;
    }
    Ok(vec![ns_each(start.elapsed(), SEQUENTIAL_CALLS)])
}

async fn call_seq_timeout() -> Result<Vec<f64>, Wrong> {
    let server = spawn_server();
    for _ in 0..WARM_UP {
        timeout(CALL_TIMEOUT, add(&server, 0)).await.map_err(late)??;
    }
    let start = Instant::now();
    for i in 0..SEQUENTIAL_CALLS {
        // Written out here: in an async fn of its own the timer is moved once more, which costs a tenth.
        let reply = timeout(CALL_TIMEOUT, add(&server, i)).await.map_err(late)??;
        equal("reply", reply, sum_below(i + 1))?;
    }
    Ok(vec![ns_each(start.elapsed(), SEQUENTIAL_CALLS)])
}

async fn call_conc() -> Result<Vec<f64>, Wrong> {
    let server = spawn_server();
    let start = Instant::now();
    let client = |server: Server| async move {
        for i in 0..CALLS_PER_CLIENT {
            timeout(CALL_TIMEOUT, add(&server, i)).await.map_err(late)??;
        }
        Ok(())
    };
    let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(client(server.clone()))).collect();
    for client in clients {
        joined(client).await?;
    }
    let elapsed = start.elapsed();
    equal("total", add(&server, 0).await?, CLIENTS * sum_below(CALLS_PER_CLIENT))?;
    Ok(vec![millions_per_second(elapsed, CLIENTS * CALLS_PER_CLIENT)])
}

/// The closing call is answered after the last cast has been handled.
async fn cast(senders: u64) -> Result<Vec<f64>, Wrong> {
    let server = spawn_server();
    add(&server, 0).await?;
    let each = CASTS / senders;
    let start = Instant::now();
    let sender = |server: Server| async move {
        for i in 0..each {
            server.send(Request::Feed(i)).map_err(|error| Wrong::failed("cast", error))?;
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
    equal("total", add(&server, 0).await?, senders * sum_below(each))?;
    Ok(vec![millions_per_second(start.elapsed(), CASTS)])
}

async fn pairs() -> Result<Vec<f64>, Wrong> {
    let start = Instant::now();
    let pair = || async {
        let server = spawn_server();
        for i in 0..TRIPS_PER_PAIR {
            equal("reply", add(&server, i).await?, sum_below(i + 1))?;
        }
        Ok(())
    };
    let pairs: Vec<_> = (0..PAIRS).map(|_| tokio::spawn(pair())).collect();
    for pair in pairs {
        joined(pair).await?;
    }
    Ok(vec![millions_per_second(start.elapsed(), PAIRS * TRIPS_PER_PAIR)])
}

/// The token counts down, one per hop; whoever gets zero reports its own place in the ring.
async fn ring(count: usize, hops: u64) -> Result<Vec<f64>, Wrong> {
    let (done, mut finished) = mpsc::unbounded_channel();
    let channels: Vec<_> = (0..count).map(|_| mpsc::unbounded_channel::<u64>()).collect();
    let nodes: Vec<_> = channels.iter().map(|(node, _)| node.clone()).collect();
    for (place, (_, mut mailbox)) in channels.into_iter().enumerate() {
        let (next, done) = (nodes[(place + 1) % count].clone(), done.clone());
        tokio::spawn(async move {
            while let Some(left) = mailbox.recv().await {
                let sent = match left {
                    0 => done.send(place).is_ok(),
                    _ => next.send(left - 1).is_ok(),
                };
                if !sent {
                    break;
                }
            }
        });
    }
    // A lap first, so that every node has run before the clock starts.
    let mut elapsed = Duration::ZERO;
    for hops in [count as u64, hops] {
        let start = Instant::now();
        nodes[0].send(hops).map_err(|error| Wrong::failed("ring", error))?;
        let place = finished.recv().await;
        elapsed = start.elapsed();
        equal("the token's last place", place, Some(hops as usize % count))?;
    }
    Ok(vec![ns_each(elapsed, hops)])
}

/// Sums the leaves from `first` on. A join handle carries the sum: no channel where a handle does.
fn skynet_node(first: u64, leaves: u64) -> JoinHandle<u64> {
    tokio::spawn(async move {
        if leaves == 1 {
            return first;
        }
        let below = leaves / SKYNET_BRANCHES;
        let children: [_; SKYNET_BRANCHES as usize] =
            std::array::from_fn(|i| skynet_node(first + i as u64 * below, below));
        let mut sum = 0;
        for child in children {
            // A child that panicked is missing from the sum, which is checked.
            sum += child.await.unwrap_or(0);
        }
        sum
    })
}

async fn skynet() -> Result<Vec<f64>, Wrong> {
    let before = probe::resident_bytes();
    let start = Instant::now();
    let sum = skynet_node(0, SKYNET_LEAVES).await.map_err(|error| Wrong::failed("skynet", error))?;
    let elapsed = start.elapsed();
    equal("sum of the leaves", sum, sum_below(SKYNET_LEAVES))?;
    Ok(skynet_figures(elapsed, probe::peak_resident_bytes() - before))
}

/// Whether a spawned task gets a channel, as everything that can be sent to needs one.
#[derive(Clone, Copy)]
enum Mailbox {
    Made,
    None,
}

async fn spawn_exit(mailbox: Mailbox, batch: u64) -> Result<Vec<f64>, Wrong> {
    static RUNNING: Latch = Latch::new();
    static ENDED: AtomicU64 = AtomicU64::new(0);
    let start = Instant::now();
    for _ in 0..SPAWNS / batch {
        RUNNING.set(batch);
        for _ in 0..batch {
            let ended = || {
                ENDED.fetch_add(1, Ordering::Relaxed);
                RUNNING.count_down();
            };
            match mailbox {
                Mailbox::None => {
                    tokio::spawn(async move { ended() });
                }
                Mailbox::Made => {
                    let (_sender, mailbox) = mpsc::unbounded_channel::<Request>();
                    tokio::spawn(async move {
                        drop(mailbox);
                        ended();
                    });
                }
            }
        }
        RUNNING.wait().await;
    }
    let elapsed = start.elapsed();
    equal("processes ended", ENDED.load(Ordering::Relaxed), SPAWNS)?;
    Ok(vec![ns_each(elapsed, SPAWNS)])
}

/// A task that holds `state` until it gets a message, which it adds.
fn spawn_holder(state: u64) -> mpsc::UnboundedSender<u64> {
    let (holder, mut mailbox) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        STARTED.count_down();
        let by = mailbox.recv().await.unwrap_or(0);
        stopped_with(state + by);
    });
    holder
}

fn spawn_idle_server(state: u64) -> Server {
    let (server, mut mailbox) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        STARTED.count_down();
        stopped_with(serve(state, &mut mailbox).await);
    });
    server
}

async fn spawn_all<H>(count: u64, spawn: fn(u64) -> H) -> Result<(Vec<H>, Duration), Wrong> {
    STARTED.set(count);
    let mut handles = Vec::with_capacity(count as usize);
    let start = Instant::now();
    for i in 0..count {
        handles.push(spawn(i));
        if i % IDLE_PER_TURN == IDLE_PER_TURN - 1 {
            yield_now().await;
        }
    }
    STARTED.wait().await;
    Ok((handles, start.elapsed()))
}

async fn stop_all<H>(handles: Vec<H>, stop: fn(&H) -> bool) -> Result<Duration, Wrong> {
    let count = handles.len() as u64;
    STOPPED.set(count);
    let start = Instant::now();
    for (i, handle) in (0..).zip(handles) {
        equal("was there to be stopped", stop(&handle), true)?;
        if i % IDLE_PER_TURN == IDLE_PER_TURN - 1 {
            yield_now().await;
        }
    }
    STOPPED.wait().await;
    let elapsed = start.elapsed();
    equal("state of all", HELD.load(Ordering::Relaxed), sum_below(count) + count)?;
    Ok(elapsed)
}

/// The main thread sleeps while memory settles, so that nothing but the idle tasks is there.
fn idle<H: Send + 'static>(
    runtime: &Runtime,
    count: u64,
    spawn: fn(u64) -> H,
    stop: fn(&H) -> bool,
) -> Result<Vec<f64>, Wrong> {
    let before = probe::resident_bytes();
    let (handles, spawning) = on_worker(runtime, spawn_all(count, spawn))?;
    thread::sleep(SETTLE);
    let bytes = probe::resident_bytes() - before;
    let stopping = on_worker(runtime, stop_all(handles, stop))?;
    Ok(vec![ns_each(spawning, count), bytes as f64 / count as f64, ns_each(stopping, count)])
}

fn idle_cpu(runtime: &Runtime) -> Result<Vec<f64>, Wrong> {
    let (handles, _) = on_worker(runtime, spawn_all(IDLE, spawn_holder))?;
    thread::sleep(SETTLE);
    let (start, before) = (Instant::now(), probe::cpu_time());
    thread::sleep(IDLE_WATCH);
    let share = (probe::cpu_time() - before).as_secs_f64() / start.elapsed().as_secs_f64();
    on_worker(runtime, stop_all(handles, |holder| holder.send(1).is_ok()))?;
    Ok(vec![share * 100.0])
}

/// One task per connection on the server's side, one per client on the other.
async fn echo(connections: u64, trips: u64) -> Result<Vec<f64>, Wrong> {
    let broken = |error| Wrong::failed("echo", error);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(broken)?;
    let address = listener.local_addr().map_err(broken)?;
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(echo_back(socket));
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
    let clients: Vec<_> = sockets.into_iter().map(|socket| tokio::spawn(client(socket))).collect();
    for client in clients {
        joined(client).await?;
    }
    Ok(vec![ns_each(start.elapsed(), connections * trips)])
}

/// Latency counts from when a call was due: counting from the send would hide that the client itself did not run.
async fn fairness() -> Result<Vec<f64>, Wrong> {
    let begin = tokio::time::Instant::now() + Duration::from_millis(100);
    let client = || async move {
        let server = spawn_server();
        let mut latencies = Vec::with_capacity(FAIR_CALLS as usize);
        for i in 0..FAIR_CALLS {
            let due = begin + FAIR_PERIOD * i as u32;
            sleep_until(due).await;
            equal("reply", add(&server, 1).await?, i + 1)?;
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

/// What a server understands that crashes when it is told to.
enum ToFragile {
    Add(u64, oneshot::Sender<u64>),
    Crash,
}

/// Says where to reach it, once it runs.
async fn fragile(up: mpsc::UnboundedSender<mpsc::UnboundedSender<ToFragile>>) {
    let (server, mut mailbox) = mpsc::unbounded_channel();
    let _ = up.send(server);
    let mut total = 0;
    while let Some(request) = mailbox.recv().await {
        match request {
            ToFragile::Add(by, reply) => {
                total += by;
                let _ = reply.send(total);
            }
            ToFragile::Crash => panic!("as it was told"),
        }
    }
}

/// The supervisor is a loop around a join handle.
async fn restart() -> Result<Vec<f64>, Wrong> {
    // Each panic would be printed.
    std::panic::set_hook(Box::new(|_| {}));
    let (up, mut starts) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while tokio::spawn(fragile(up.clone())).await.is_err_and(|error| error.is_panic()) {}
    });
    let gone = || Wrong::failed("restart", "there is no server");
    let mut server = starts.recv().await.ok_or_else(gone)?;
    let mut start = Instant::now();
    for i in 0..WARM_UP + RESTARTS {
        if i == WARM_UP {
            start = Instant::now();
        }
        server.send(ToFragile::Crash).map_err(|_| gone())?;
        server = starts.recv().await.ok_or_else(gone)?;
        let (reply, answer) = oneshot::channel();
        server.send(ToFragile::Add(i, reply)).map_err(|_| gone())?;
        equal("reply", answer.await, Ok(i))?;
    }
    Ok(vec![ns_each(start.elapsed(), RESTARTS)])
}

/// Says at its end, however it comes, what a child held.
struct Held(u64);

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_add(self.0, Ordering::Relaxed);
    }
}

type Children = HashMap<u64, (Server, JoinHandle<u64>)>;

/// A server among others, by its number. Returns when it runs.
async fn start_child(children: &mut Children, number: u64) -> Result<(), Wrong> {
    let (server, mut mailbox) = mpsc::unbounded_channel();
    let (starts, started) = oneshot::channel();
    let task = tokio::spawn(async move {
        let held = Held(number);
        let _ = starts.send(());
        serve(held.0, &mut mailbox).await
    });
    started.await.map_err(|error| Wrong::failed("start", error))?;
    children.insert(number, (server, task));
    Ok(())
}

async fn start_children(count: u64) -> Result<(Children, Duration), Wrong> {
    let mut children = Children::new();
    let start = Instant::now();
    for number in 0..count {
        start_child(&mut children, number).await?;
    }
    Ok((children, start.elapsed()))
}

/// Ends a child and waits for its end.
async fn ended(task: JoinHandle<u64>) -> Result<(), Wrong> {
    task.abort();
    equal("aborted", task.await.is_err_and(|error| error.is_cancelled()), true)
}

async fn children() -> Result<Vec<f64>, Wrong> {
    let (mut children, starting) = start_children(CHILDREN).await?;
    equal("reply", add(&children[&(CHILDREN - 1)].0, 0).await?, CHILDREN - 1)?;
    let start = Instant::now();
    for number in 0..CHILDREN {
        let (_server, task) = children.remove(&number).ok_or_else(|| Wrong::failed("child", "not there"))?;
        ended(task).await?;
    }
    let stopping = start.elapsed();
    equal("state of all", HELD.load(Ordering::Relaxed), sum_below(CHILDREN))?;
    Ok(vec![ns_each(starting, CHILDREN), ns_each(stopping, CHILDREN)])
}

async fn children_million() -> Result<Vec<f64>, Wrong> {
    let before = probe::resident_bytes();
    let (children, starting) = start_children(CHILDREN_MILLION).await?;
    let start = Instant::now();
    // All are told before the first is waited for.
    children.values().for_each(|(_, task)| task.abort());
    for (_server, task) in children.into_values() {
        ended(task).await?;
    }
    let stopping = start.elapsed();
    equal("state of all", HELD.load(Ordering::Relaxed), sum_below(CHILDREN_MILLION))?;
    let bytes = probe::peak_resident_bytes() - before;
    let each = bytes as f64 / CHILDREN_MILLION as f64;
    Ok(vec![ns_each(starting, CHILDREN_MILLION), ns_each(stopping, CHILDREN_MILLION), each])
}

async fn task_await() -> Result<Vec<f64>, Wrong> {
    let failed = |error| Wrong::failed("task", error);
    for _ in 0..WARM_UP {
        tokio::spawn(async {}).await.map_err(failed)?;
    }
    let start = Instant::now();
    let mut sum = 0;
    for i in 0..TASKS {
        sum += tokio::spawn(async move { i }).await.map_err(failed)?;
    }
    let elapsed = start.elapsed();
    equal("sum of all", sum, sum_below(TASKS))?;
    Ok(vec![ns_each(elapsed, TASKS)])
}

/// A window of join handles, awaited in order: no time limit, and a slow item holds up those behind it.
async fn task_stream() -> Result<Vec<f64>, Wrong> {
    let start = Instant::now();
    let mut items = 0..TASKS;
    let mut window: VecDeque<JoinHandle<u64>> = VecDeque::with_capacity(STREAM_WIDTH);
    let mut next = 0;
    loop {
        while window.len() < STREAM_WIDTH
            && let Some(i) = items.next()
        {
            window.push_back(tokio::spawn(async move { i }));
        }
        let Some(first) = window.pop_front() else { break };
        equal("outcome", first.await.map_err(|error| Wrong::failed("task", error))?, next)?;
        next += 1;
    }
    let elapsed = start.elapsed();
    equal("outcomes", next, TASKS)?;
    Ok(vec![millions_per_second(elapsed, TASKS)])
}

/// Takes every broadcast, and says at last what they have summed up to.
async fn subscriber(mut mailbox: mpsc::UnboundedReceiver<u64>, broadcasts: u64) {
    STARTED.count_down();
    let mut total = 0;
    for _ in 0..broadcasts {
        total += mailbox.recv().await.unwrap_or_default();
    }
    stopped_with(total);
}

/// tokio's own broadcast channel drops what a slow subscriber has not taken in time, so this is a loop over senders.
async fn fanout(count: u64, broadcasts: u64, in_turn: bool) -> Result<Vec<f64>, Wrong> {
    STARTED.set(count);
    STOPPED.set(count);
    let subscribers: Vec<_> = (0..count)
        .map(|_| {
            let (sender, mailbox) = mpsc::unbounded_channel();
            tokio::spawn(subscriber(mailbox, broadcasts));
            sender
        })
        .collect();
    STARTED.wait().await;
    let start = Instant::now();
    for number in 0..broadcasts {
        for subscriber in &subscribers {
            subscriber.send(number).map_err(|error| Wrong::failed("send", error))?;
        }
        if in_turn {
            yield_now().await;
        }
    }
    STOPPED.wait().await;
    let elapsed = start.elapsed();
    equal("sum of all", HELD.load(Ordering::Relaxed), count * sum_below(broadcasts))?;
    Ok(vec![millions_per_second(elapsed, count * broadcasts)])
}

/// Nanoseconds that the registered tasks took, each for its own call.
static REGISTERING: AtomicU64 = AtomicU64::new(0);
static UNREGISTERING: AtomicU64 = AtomicU64::new(0);

/// Plain tokio has no registry: a sharded map from key to the task's number.
type Names = Arc<DashMap<u64, u64, foldhash::fast::RandomState>>;

async fn registered(names: Names, key: u64, stop: oneshot::Receiver<()>) {
    let start = Instant::now();
    let registered = names.insert(key, key).is_none();
    REGISTERING.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    HELD.fetch_add(if registered { key } else { 0 }, Ordering::Relaxed);
    STARTED.count_down();
    let _ = stop.await;
    let start = Instant::now();
    names.remove(&key);
    UNREGISTERING.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    STOPPED.count_down();
}

/// So many tasks, each of which puts itself under a key of its own; what stops each of them.
async fn register_all(count: u64) -> Result<(Names, Vec<oneshot::Sender<()>>), Wrong> {
    let names = Names::default();
    STARTED.set(count);
    let mut owners = Vec::new();
    for key in 0..count {
        let (owner, stop) = oneshot::channel();
        tokio::spawn(registered(Arc::clone(&names), key, stop));
        owners.push(owner);
    }
    STARTED.wait().await;
    equal("registered keys", HELD.load(Ordering::Relaxed), sum_below(count))?;
    Ok((names, owners))
}

/// So many readers at once, each of which looks up keys here and there; how long until the last is done.
async fn look_up(names: &Names, keys: u64, readers: u64, each: u64) -> Result<Duration, Wrong> {
    let start = Instant::now();
    let readers: Vec<_> = (0..readers)
        .map(|reader| {
            let names = Arc::clone(names);
            tokio::spawn(async move {
                let (mut state, mut found) = (reader, 0);
                for _ in 0..each {
                    let key = random_below(&mut state, keys);
                    found += u64::from(names.get(&key).is_some_and(|number| *number == key));
                }
                found
            })
        })
        .collect();
    for reader in readers {
        let found = reader.await.map_err(|error| Wrong::failed("reader", error))?;
        equal("found", found, each)?;
    }
    Ok(start.elapsed())
}

async fn registry() -> Result<Vec<f64>, Wrong> {
    let (names, owners) = register_all(REGISTERED).await?;
    let reading = look_up(&names, REGISTERED, READERS, LOOKUPS_PER_READER).await?;

    STOPPED.set(REGISTERED);
    for owner in owners {
        owner.send(()).map_err(|()| Wrong::failed("registered task", "gone"))?;
    }
    STOPPED.wait().await;
    equal("left", names.len(), 0)?;
    let each = |sum: &AtomicU64| sum.load(Ordering::Relaxed) as f64 / REGISTERED as f64;
    Ok(vec![
        each(&REGISTERING),
        millions_per_second(reading, READERS * LOOKUPS_PER_READER),
        each(&UNREGISTERING),
        dispatch().await?,
    ])
}

/// The bare loop over senders that a program would write instead.
async fn dispatch() -> Result<f64, Wrong> {
    HELD.store(0, Ordering::Relaxed);
    STOPPED.set(SUBSCRIBERS);
    let mut senders = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let (sender, mut receiver) = mpsc::unbounded_channel::<u64>();
        tokio::spawn(async move {
            let mut sum = 0;
            for _ in 0..DISPATCHES {
                sum += receiver.recv().await.unwrap_or(0);
            }
            stopped_with(sum);
        });
        senders.push(sender);
    }
    let start = Instant::now();
    for number in 0..DISPATCHES {
        for sender in &senders {
            sender.send(number).map_err(|error| Wrong::failed("subscriber", error))?;
        }
        yield_now().await;
    }
    STOPPED.wait().await;
    let elapsed = start.elapsed();
    equal("received", HELD.load(Ordering::Relaxed), SUBSCRIBERS * sum_below(DISPATCHES))?;
    Ok(millions_per_second(elapsed, SUBSCRIBERS * DISPATCHES))
}

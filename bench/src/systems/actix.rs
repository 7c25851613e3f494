//! actix: an actor per process, each pinned to the thread of its arbiter; two arbiters are the two workers.
//!
//! Where partners talk to each other they share an arbiter, as actix advises; where work is independent each arbiter has
//! half. The casts cross from one to the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, MailboxError, Message, System};
use actix_rt::{Arbiter, ArbiterHandle};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::sleep_until;

use crate::check::{Wrong, equal};
use crate::probe;
use crate::systems::Plan;
use crate::systems::shared::{HELD, Latch, STARTED, STOPPED, stopped_with};
use crate::workloads::*;

/// What actix does for a workload.
///
/// # Errors
/// Why it does not do it.
pub(super) fn plan(workload: Workload) -> Plan {
    match workload {
        Workload::CallSeq => on_arbiter(|_| call_seq()),
        Workload::CallSeqTimeout => on_arbiter(|_| call_seq_timeout()),
        Workload::CallConc => on_arbiter(|_| call_conc()),
        Workload::Cast1to1 => on_arbiter(|other| cast(other, 1)),
        Workload::Cast100to1 => on_arbiter(|other| cast(other, SENDERS)),
        Workload::Pairs => on_arbiter(pairs),
        Workload::Ring => on_arbiter(|_| ring()),
        Workload::Skynet => on_arbiter(skynet),
        Workload::SpawnExit => on_arbiter(|_| spawn_exit()),
        Workload::SpawnExitBare => Err("an actor always has its mailbox: see spawn_exit"),
        Workload::SpawnIdle => Err("an actor is always a server: see spawn_idle_server"),
        Workload::SpawnIdleServer => on_arbiter(|_| idle()),
        Workload::Echo1 | Workload::Echo64 => Err("sockets are plain tokio's: see there"),
        Workload::Fairness => on_arbiter(fairness),
        Workload::IdleCpu => Err("what parks is a task of tokio: see there"),
        Workload::Restart => {
            Err("its Supervisor restarts an actor that has stopped; a panic takes the supervisor along")
        }
        Workload::Children | Workload::ChildrenMillion => Err("it has no supervisor of many children"),
        Workload::TaskAwait | Workload::TaskStream => Err("its tasks are plain tokio's: see there"),
        Workload::Fanout => on_arbiter(|other| fanout(other, false)),
        Workload::FanoutInTurn => on_arbiter(|other| fanout(other, true)),
        Workload::Registry => Err("it has names for one actor of a type, and none for many"),
        Workload::Table => Err("a table is a map beside the actors: see plain tokio"),
    }
}

/// Runs the client on the first of two arbiters; it is told the other.
fn on_arbiter<F>(client: impl FnOnce(ArbiterHandle) -> F + Send + 'static) -> Plan
where
    F: Future<Output = Result<Vec<f64>, Wrong>> + 'static,
{
    Ok(Box::new(move || {
        System::new().block_on(async move {
            let (first, second) = (Arbiter::new(), Arbiter::new());
            let other = second.handle();
            joined(start_on(&first.handle(), move || client(other))).await
        })
    }))
}

/// Starts `future` on the arbiter's thread, which it need not be able to leave.
fn start_on<T, F>(
    arbiter: &ArbiterHandle,
    future: impl FnOnce() -> F + Send + 'static,
) -> oneshot::Receiver<Result<T, Wrong>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Wrong>> + 'static,
{
    let (done, result) = oneshot::channel();
    arbiter.spawn_fn(move || {
        actix_rt::spawn(async move {
            // The one who waits may be gone already when another result was wrong.
            let _ = done.send(future().await);
        });
    });
    result
}

async fn joined<T>(result: oneshot::Receiver<Result<T, Wrong>>) -> Result<T, Wrong> {
    result.await.map_err(|_| Wrong::failed("arbiter", "gone"))?
}

/// Both arbiters, the client's own first.
fn both(other: ArbiterHandle) -> [ArbiterHandle; 2] {
    [Arbiter::current(), other]
}

/// So that no caller waits for a place: there are at most 100.
const MAILBOX: usize = 1_024;

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

impl Message for Add {
    type Result = u64;
}

impl Message for Feed {
    type Result = ();
}

impl Message for Finish {
    type Result = ();
}

impl Actor for Sum {
    type Context = Context<Sum>;

    fn started(&mut self, context: &mut Context<Sum>) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Add> for Sum {
    type Result = u64;

    fn handle(&mut self, Add(by): Add, _: &mut Context<Sum>) -> u64 {
        self.total += by;
        self.total
    }
}

impl Handler<Feed> for Sum {
    type Result = ();

    fn handle(&mut self, Feed(by): Feed, _: &mut Context<Sum>) {
        self.total += by;
    }
}

fn start_server() -> Addr<Sum> {
    Sum { total: 0 }.start()
}

fn failed(error: MailboxError) -> Wrong {
    Wrong::failed("call", error)
}

async fn call_seq() -> Result<Vec<f64>, Wrong> {
    let server = start_server();
    for _ in 0..WARM_UP {
        server.send(Add(0)).await.map_err(failed)?;
    }
    let start = Instant::now();
    for i in 0..SEQUENTIAL_CALLS {
        equal("reply", server.send(Add(i)).await.map_err(failed)?, sum_below(i + 1))?;
    }
    Ok(vec![ns_each(start.elapsed(), SEQUENTIAL_CALLS)])
}

async fn call_seq_timeout() -> Result<Vec<f64>, Wrong> {
    let server = start_server();
    for _ in 0..WARM_UP {
        server.send(Add(0)).timeout(CALL_TIMEOUT).await.map_err(failed)?;
    }
    let start = Instant::now();
    for i in 0..SEQUENTIAL_CALLS {
        let total = server.send(Add(i)).timeout(CALL_TIMEOUT).await.map_err(failed)?;
        equal("reply", total, sum_below(i + 1))?;
    }
    Ok(vec![ns_each(start.elapsed(), SEQUENTIAL_CALLS)])
}

async fn call_conc() -> Result<Vec<f64>, Wrong> {
    let server = start_server();
    let start = Instant::now();
    let client = |server: Addr<Sum>| async move {
        for i in 0..CALLS_PER_CLIENT {
            server.send(Add(i)).timeout(CALL_TIMEOUT).await.map_err(failed)?;
        }
        Ok(())
    };
    let here = Arbiter::current();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let server = server.clone();
            start_on(&here, move || client(server))
        })
        .collect();
    for client in clients {
        joined(client).await?;
    }
    let elapsed = start.elapsed();
    let total = server.send(Add(0)).await.map_err(failed)?;
    equal("total", total, CLIENTS * sum_below(CALLS_PER_CLIENT))?;
    Ok(vec![millions_per_second(elapsed, CLIENTS * CALLS_PER_CLIENT)])
}

/// The senders are here, the receiver is on the other arbiter. The closing call is answered after the last cast has been
/// handled.
async fn cast(other: ArbiterHandle, senders: u64) -> Result<Vec<f64>, Wrong> {
    let server = Sum::start_in_arbiter(&other, |_| Sum { total: 0 });
    server.send(Add(0)).await.map_err(failed)?;
    let each = CASTS / senders;
    let start = Instant::now();
    let sender = move |server: Addr<Sum>| async move {
        for i in 0..each {
            server.do_send(Feed(i));
            if i % CASTS_PER_TURN == CASTS_PER_TURN - 1 {
                yield_now().await;
            }
        }
        Ok(())
    };
    let here = Arbiter::current();
    let tasks: Vec<_> = (0..senders)
        .map(|_| {
            let server = server.clone();
            start_on(&here, move || sender(server))
        })
        .collect();
    for task in tasks {
        joined(task).await?;
    }
    let total = server.send(Add(0)).await.map_err(failed)?;
    equal("total", total, senders * sum_below(each))?;
    Ok(vec![millions_per_second(start.elapsed(), CASTS)])
}

async fn pairs(other: ArbiterHandle) -> Result<Vec<f64>, Wrong> {
    let start = Instant::now();
    let pair = || async {
        let server = start_server();
        for i in 0..TRIPS_PER_PAIR {
            equal("reply", server.send(Add(i)).await.map_err(failed)?, sum_below(i + 1))?;
        }
        Ok(())
    };
    let arbiters = both(other);
    let pairs: Vec<_> = (0..PAIRS).map(|i| start_on(&arbiters[i as usize % arbiters.len()], pair)).collect();
    for pair in pairs {
        joined(pair).await?;
    }
    Ok(vec![millions_per_second(start.elapsed(), PAIRS * TRIPS_PER_PAIR)])
}

/// One of the ring: where it stands, who comes next, and whom it tells about the token's end.
struct Node {
    place: usize,
    next: Option<Addr<Node>>,
    done: tokio::sync::mpsc::UnboundedSender<usize>,
}

/// Closes the ring: who comes next.
struct Next(Addr<Node>);
/// How many hops are left.
struct Token(u64);

impl Message for Next {
    type Result = ();
}

impl Message for Token {
    type Result = ();
}

impl Actor for Node {
    type Context = Context<Node>;
}

impl Handler<Next> for Node {
    type Result = ();

    fn handle(&mut self, Next(node): Next, _: &mut Context<Node>) {
        self.next = Some(node);
    }
}

impl Handler<Token> for Node {
    type Result = ();

    fn handle(&mut self, Token(left): Token, _: &mut Context<Node>) {
        if left == 0 {
            let _ = self.done.send(self.place);
        } else if let Some(next) = &self.next {
            next.do_send(Token(left - 1));
        }
    }
}

/// The token counts down, one per hop; whoever gets zero reports its own place in the ring.
async fn ring() -> Result<Vec<f64>, Wrong> {
    let (done, mut finished) = tokio::sync::mpsc::unbounded_channel();
    let node = |place, next| Node { place, next, done: done.clone() }.start();
    let first = node(0, None);
    let next = (1..RING).rev().fold(first.clone(), |next, place| node(place, Some(next)));
    first.do_send(Next(next));
    // A lap first, so that every node has run before the clock starts.
    let mut elapsed = Duration::ZERO;
    for hops in [RING as u64, HOPS] {
        let start = Instant::now();
        first.do_send(Token(hops));
        let place = finished.recv().await;
        elapsed = start.elapsed();
        equal("the token's last place", place, Some(hops as usize % RING))?;
    }
    Ok(vec![ns_each(elapsed, HOPS)])
}

/// Whom an actor of the tree tells its sum.
enum Above {
    Tree(Addr<Tree>),
    Client(Option<oneshot::Sender<u64>>),
}

impl Above {
    /// A sum that does not arrive leaves the client waiting, which ends the cell with an error.
    fn tell(&mut self, sum: u64) {
        match self {
            Above::Tree(above) => above.do_send(Summed(sum)),
            Above::Client(done) => {
                let _ = done.take().map(|done| done.send(sum));
            }
        }
    }
}

/// One of the tree.
struct Tree {
    above: Above,
    first: u64,
    leaves: u64,
    sum: u64,
    missing: u64,
    /// Where half of the children go; only the root sends any away.
    other: Option<ArbiterHandle>,
}

impl Tree {
    fn new(above: Above, first: u64, leaves: u64, other: Option<ArbiterHandle>) -> Tree {
        Tree { above, first, leaves, sum: 0, missing: SKYNET_BRANCHES, other }
    }
}

/// What an actor of the tree has summed up, for the one above it.
struct Summed(u64);

impl Message for Summed {
    type Result = ();
}

impl Actor for Tree {
    type Context = Context<Tree>;

    fn started(&mut self, context: &mut Context<Tree>) {
        if self.leaves == 1 {
            self.above.tell(self.first);
            context.stop();
            return;
        }
        let below = self.leaves / SKYNET_BRANCHES;
        for i in 0..SKYNET_BRANCHES {
            let (above, first) = (Above::Tree(context.address()), self.first + i * below);
            match &self.other {
                Some(other) if i % 2 == 1 => {
                    Tree::start_in_arbiter(other, move |_| Tree::new(above, first, below, None))
                }
                _ => Tree::new(above, first, below, None).start(),
            };
        }
    }
}

impl Handler<Summed> for Tree {
    type Result = ();

    fn handle(&mut self, Summed(part): Summed, context: &mut Context<Tree>) {
        self.sum += part;
        self.missing -= 1;
        if self.missing == 0 {
            self.above.tell(self.sum);
            context.stop();
        }
    }
}

async fn skynet(other: ArbiterHandle) -> Result<Vec<f64>, Wrong> {
    let before = probe::resident_bytes();
    let (done, sum) = oneshot::channel();
    let start = Instant::now();
    let root = Tree::new(Above::Client(Some(done)), 0, SKYNET_LEAVES, Some(other)).start();
    let sum = sum.await.map_err(|error| Wrong::failed("skynet", error))?;
    let elapsed = start.elapsed();
    drop(root);
    equal("sum of the leaves", sum, sum_below(SKYNET_LEAVES))?;
    Ok(skynet_figures(elapsed, probe::peak_resident_bytes() - before))
}

static RUNNING: Latch = Latch::new();
static ENDED: AtomicU64 = AtomicU64::new(0);

/// Ends as soon as it has started.
struct Ephemeral;

impl Actor for Ephemeral {
    type Context = Context<Ephemeral>;

    fn started(&mut self, context: &mut Context<Ephemeral>) {
        context.stop();
    }

    fn stopped(&mut self, _: &mut Context<Ephemeral>) {
        ENDED.fetch_add(1, Ordering::Relaxed);
        RUNNING.count_down();
    }
}

async fn spawn_exit() -> Result<Vec<f64>, Wrong> {
    let start = Instant::now();
    for _ in 0..SPAWNS / SPAWN_BATCH {
        RUNNING.set(SPAWN_BATCH);
        for _ in 0..SPAWN_BATCH {
            Ephemeral.start();
        }
        RUNNING.wait().await;
    }
    let elapsed = start.elapsed();
    equal("actors ended", ENDED.load(Ordering::Relaxed), SPAWNS)?;
    Ok(vec![ns_each(elapsed, SPAWNS)])
}

/// A server that waits for its end and says what it held.
struct Idle {
    total: u64,
}

impl Actor for Idle {
    type Context = Context<Idle>;

    fn started(&mut self, _: &mut Context<Idle>) {
        STARTED.count_down();
    }
}

impl Handler<Finish> for Idle {
    type Result = ();

    fn handle(&mut self, Finish(by): Finish, context: &mut Context<Idle>) {
        stopped_with(self.total + by);
        context.stop();
    }
}

/// Memory settles while this thread sleeps; what its arbiter would do meanwhile is nothing.
async fn idle() -> Result<Vec<f64>, Wrong> {
    let before = probe::resident_bytes();
    STARTED.set(IDLE);
    let mut servers = Vec::with_capacity(IDLE as usize);
    let start = Instant::now();
    for i in 0..IDLE {
        servers.push(Idle { total: i }.start());
        if i % IDLE_PER_TURN == IDLE_PER_TURN - 1 {
            yield_now().await;
        }
    }
    STARTED.wait().await;
    let spawning = start.elapsed();
    thread::sleep(SETTLE);
    let bytes = probe::resident_bytes() - before;
    STOPPED.set(IDLE);
    let start = Instant::now();
    for (i, server) in (0..).zip(servers) {
        server.do_send(Finish(1));
        if i % IDLE_PER_TURN == IDLE_PER_TURN - 1 {
            yield_now().await;
        }
    }
    STOPPED.wait().await;
    let stopping = start.elapsed();
    equal("state of all", HELD.load(Ordering::Relaxed), sum_below(IDLE) + IDLE)?;
    Ok(vec![ns_each(spawning, IDLE), bytes as f64 / IDLE as f64, ns_each(stopping, IDLE)])
}

/// Half of the pairs and of the hogs is on each arbiter. Latency counts from when a call was due: counting from the send
/// would hide that the client itself did not run.
async fn fairness(other: ArbiterHandle) -> Result<Vec<f64>, Wrong> {
    let begin = tokio::time::Instant::now() + Duration::from_millis(100);
    let client = move || async move {
        let server = start_server();
        let mut latencies = Vec::with_capacity(FAIR_CALLS as usize);
        for i in 0..FAIR_CALLS {
            let due = begin + FAIR_PERIOD * i as u32;
            sleep_until(due).await;
            equal("reply", server.send(Add(1)).await.map_err(failed)?, i + 1)?;
            latencies.push(due.elapsed());
        }
        Ok(latencies)
    };
    let arbiters = both(other);
    let arbiter = |i: u64| &arbiters[i as usize % arbiters.len()];
    let clients: Vec<_> = (0..FAIR_PAIRS).map(|i| start_on(arbiter(i), client)).collect();
    sleep_until(begin).await;
    let hogs: Vec<_> = (0..HOGS).map(|i| start_on(arbiter(i), || async { Ok(compute(HOG_TIME)) })).collect();
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

/// Takes every broadcast, and says at last what they have summed up to.
#[derive(Default)]
struct Subscriber {
    received: u64,
    total: u64,
}

/// What is broadcast.
struct News(u64);

impl Message for News {
    type Result = ();
}

impl Actor for Subscriber {
    type Context = Context<Subscriber>;

    fn started(&mut self, _: &mut Context<Subscriber>) {
        STARTED.count_down();
    }
}

impl Handler<News> for Subscriber {
    type Result = ();

    fn handle(&mut self, News(number): News, context: &mut Context<Subscriber>) {
        self.total += number;
        self.received += 1;
        if self.received == BROADCASTS {
            stopped_with(self.total);
            context.stop();
        }
    }
}

/// A loop over the addresses, half of them on each arbiter.
async fn fanout(other: ArbiterHandle, in_turn: bool) -> Result<Vec<f64>, Wrong> {
    STARTED.set(SUBSCRIBERS);
    STOPPED.set(SUBSCRIBERS);
    let arbiters = both(other);
    let subscribers: Vec<_> = (0..SUBSCRIBERS as usize)
        .map(|i| Subscriber::start_in_arbiter(&arbiters[i % arbiters.len()], |_| Subscriber::default()))
        .collect();
    STARTED.wait().await;
    let start = Instant::now();
    for number in 0..BROADCASTS {
        for subscriber in &subscribers {
            subscriber.do_send(News(number));
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

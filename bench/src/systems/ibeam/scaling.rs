//! The sweeps: the workloads' own functions at other sizes, and what only a sweep does.

use super::*;
use crate::scaling::{CALLS, DELIVERIES, LOOKUPS, OPERATIONS, STARTS, Sweep, TRIPS, selections};

/// Does the work of one point and returns its figures.
///
/// # Errors
/// When a result was wrong.
pub(in crate::systems) fn run(sweep: Sweep, workers: usize, size: u64) -> Result<Vec<f64>, Wrong> {
    let runtime = runtime(workers)?;
    match sweep {
        Sweep::Memory => Err(Wrong::failed("memory", "not done here")),
        Sweep::Call => runtime.block_on(call_one_of(size)),
        Sweep::Pairs => runtime.block_on(pairs(size / 2)),
        Sweep::Ring => runtime.block_on(ring(size as usize, HOPS)),
        Sweep::SpawnExit => runtime.block_on(spawn_exit(size)),
        Sweep::SpawnIdle => {
            // What few of them need besides, code and stacks and the allocator's own, is in memory then.
            let (few, _) = runtime.block_on(spawn_all::<Holder>(10))?;
            runtime.block_on(stop_all::<Holder>(few))?;
            HELD.store(0, Ordering::Relaxed);
            idle::<Holder>(&runtime, size)
        }
        Sweep::Fanout => runtime.block_on(fanout(size)),
        Sweep::Lookup => runtime.block_on(lookup(size, workers as u64)),
        Sweep::Children => runtime.block_on(children(size)),
        Sweep::Cast => runtime.block_on(cast(size)),
        Sweep::Receive => runtime.block_on(receive(size)),
        Sweep::Selective => runtime.block_on(selective(size)),
        Sweep::CallWithMail => runtime.block_on(call_with_mail(size)),
    }
}

/// Each server holds its own number, so that its reply says who it is.
async fn call_one_of(count: u64) -> Result<Vec<f64>, Wrong> {
    let (servers, _) = spawn_all::<Sum>(count).await?;
    let mut state = 0;
    let start = Instant::now();
    for _ in 0..CALLS {
        let number = random_below(&mut state, count);
        let reply = servers[number as usize].add(0).timeout(CALL_TIMEOUT).await.map_err(failed)?;
        equal("reply", reply, number)?;
    }
    Ok(vec![ns_each(start.elapsed(), CALLS)])
}

/// To a client: begin.
struct Go;

/// All clients and servers run before the first client begins.
async fn pairs(count: u64) -> Result<Vec<f64>, Wrong> {
    let each = TRIPS / count;
    STARTED.set(count);
    STOPPED.set(count);
    let client = || async move {
        let Ok(server) = start_server().await else { return };
        STARTED.count_down();
        receive! { Go => {} }
        let mut total = 0;
        for _ in 0..each {
            // A failed one misses in the sum.
            total = server.add(1).timeout(Timeout::Infinity).await.unwrap_or(0);
        }
        stopped_with(total);
    };
    let clients: Vec<Pid> = (0..count).map(|_| process::spawn(client())).collect();
    STARTED.wait().await;
    let start = Instant::now();
    clients.into_iter().for_each(|client| client.send(Go));
    STOPPED.wait().await;
    let elapsed = start.elapsed();
    equal("trips", HELD.load(Ordering::Relaxed), count * each)?;
    Ok(vec![ns_each(elapsed, count * each)])
}

async fn fanout(subscribers: u64) -> Result<Vec<f64>, Wrong> {
    let rate = super::fanout(subscribers, DELIVERIES / subscribers, true).await?;
    Ok(rate.into_iter().map(|millions_per_second| 1e3 / millions_per_second).collect())
}

async fn lookup(keys: u64, readers: u64) -> Result<Vec<f64>, Wrong> {
    let (names, _owners) = register_all(keys).await?;
    let reading = look_up(&names, keys, readers, LOOKUPS).await?;
    Ok(vec![REGISTERING.load(Ordering::Relaxed) as f64 / keys as f64, ns_each(reading, LOOKUPS)])
}

/// Those that are terminated stand all over the supervisor's children.
async fn children(count: u64) -> Result<Vec<f64>, Wrong> {
    let supervisor = start_supervisor().await?;
    let (mut starting, mut stopping) = (Duration::ZERO, Duration::ZERO);
    let (laps, stopped) = (STARTS.div_ceil(count), count.min(STARTS));
    let mut held = 0;
    for _ in 0..laps {
        let mut pids = Vec::with_capacity(count as usize);
        starting += start_children(&supervisor, count, |pid| pids.push(pid)).await?;
        let start = Instant::now();
        for (number, pid) in (0..count).zip(pids).step_by((count / stopped) as usize) {
            supervisor.terminate_child(pid).await.map_err(|error| Wrong::failed("terminate_child", error))?;
            held += number;
        }
        stopping += start.elapsed();
    }
    equal("state of all", HELD.load(Ordering::Relaxed), held)?;
    Ok(vec![ns_each(starting, laps * count), ns_each(stopping, laps * stopped)])
}

/// A call closes each batch, and is the last message of it.
async fn cast(batch: u64) -> Result<Vec<f64>, Wrong> {
    let server = start_server().await?;
    let mut expected = 0;
    let start = Instant::now();
    for _ in 0..OPERATIONS / batch {
        (1..batch).for_each(|i| server.feed(i));
        expected += sum_below(batch);
        let total = server.add(0).timeout(Timeout::Infinity).await.map_err(failed)?;
        equal("total", total, expected)?;
    }
    Ok(vec![ns_each(start.elapsed(), OPERATIONS)])
}

async fn receive(waiting: u64) -> Result<Vec<f64>, Wrong> {
    let me = process::self_pid();
    (0..waiting).for_each(|i| me.send(i));
    let start = Instant::now();
    for i in 0..OPERATIONS {
        let oldest = receive! { number: u64 => number };
        equal("message", oldest, i)?;
        me.send(i + waiting);
    }
    Ok(vec![ns_each(start.elapsed(), OPERATIONS)])
}

/// Waits in a mailbox while others are received.
struct Waiting(#[expect(dead_code, reason = "nobody wants it")] u64);
/// What is received instead.
struct Wanted(u64);

async fn selective(waiting: u64) -> Result<Vec<f64>, Wrong> {
    let me = process::self_pid();
    (0..waiting).for_each(|i| me.send(Wanted(i)));
    let start = Instant::now();
    for i in 0..OPERATIONS {
        receive! { Wanted(number) if number == i => equal("oldest", number, i)? }
        me.send(Wanted(i + waiting));
    }
    let oldest = start.elapsed();
    for i in 0..waiting {
        receive! { Wanted(number) => equal("left", number, OPERATIONS + i)? }
    }

    let receives = selections(waiting);
    (0..waiting).for_each(|i| me.send(Waiting(i)));
    let start = Instant::now();
    for i in 0..receives {
        me.send(Wanted(i));
        receive! { Wanted(number) => equal("youngest", number, i)? }
    }
    let youngest = ns_each(start.elapsed(), receives);
    Ok(vec![ns_each(oldest, OPERATIONS), youngest, youngest / (waiting + 1) as f64])
}

async fn call_with_mail(waiting: u64) -> Result<Vec<f64>, Wrong> {
    let server = start_server().await?;
    let me = process::self_pid();
    (0..waiting).for_each(|i| me.send(Waiting(i)));
    let start = Instant::now();
    for i in 0..CALLS {
        let reply = server.add(i).timeout(CALL_TIMEOUT).await.map_err(failed)?;
        equal("reply", reply, sum_below(i + 1))?;
    }
    Ok(vec![ns_each(start.elapsed(), CALLS)])
}

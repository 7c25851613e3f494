//! The sweeps: the workloads' own functions at other sizes, and what only a sweep does.

use super::*;
use crate::scaling::{CALLS, DELIVERIES, LOOKUPS, OPERATIONS, STARTS, Sweep, TRIPS};
use crate::systems::shared::read_blocks;

/// Does the work of one point and returns its figures.
///
/// # Errors
/// When a result was wrong.
pub(in crate::systems) fn run(sweep: Sweep, workers: usize, size: u64) -> Result<Vec<f64>, Wrong> {
    let runtime = runtime(workers)?;
    match sweep {
        Sweep::Memory => read_blocks(size),
        Sweep::Call => on_worker(&runtime, call_one_of(size)),
        Sweep::Pairs => on_worker(&runtime, pairs(size / 2)),
        Sweep::Ring => on_worker(&runtime, ring(size as usize, HOPS)),
        Sweep::SpawnExit => on_worker(&runtime, spawn_exit(Mailbox::Made, size)),
        Sweep::SpawnIdle => {
            let stop = |holder: &mpsc::UnboundedSender<u64>| holder.send(1).is_ok();
            // What few of them need besides, code and stacks and the allocator's own, is in memory then.
            let (few, _) = on_worker(&runtime, spawn_all(10, spawn_holder))?;
            on_worker(&runtime, stop_all(few, stop))?;
            HELD.store(0, Ordering::Relaxed);
            idle(&runtime, size, spawn_holder, stop)
        }
        Sweep::Fanout => on_worker(&runtime, fanout(size)),
        Sweep::Lookup => on_worker(&runtime, lookup(size, workers as u64)),
        Sweep::Children => on_worker(&runtime, children(size)),
        Sweep::Cast => on_worker(&runtime, cast(size)),
        Sweep::Receive => on_worker(&runtime, receive(size)),
        Sweep::Selective | Sweep::CallWithMail => Err(Wrong::failed("mailbox", "not done here")),
    }
}

/// Each server holds its own number, so that its reply says who it is.
async fn call_one_of(count: u64) -> Result<Vec<f64>, Wrong> {
    let (servers, _) = spawn_all(count, spawn_idle_server).await?;
    let mut state = 0;
    let start = Instant::now();
    for _ in 0..CALLS {
        let number = random_below(&mut state, count);
        let reply = timeout(CALL_TIMEOUT, add(&servers[number as usize], 0)).await.map_err(late)??;
        equal("reply", reply, number)?;
    }
    Ok(vec![ns_each(start.elapsed(), CALLS)])
}

/// All clients and servers run before the first client begins.
async fn pairs(count: u64) -> Result<Vec<f64>, Wrong> {
    let each = TRIPS / count;
    STARTED.set(count);
    STOPPED.set(count);
    let client = |begin: oneshot::Receiver<()>| async move {
        let server = spawn_server();
        // The server's first turn.
        let mut total = add(&server, 0).await.unwrap_or(0);
        STARTED.count_down();
        let _ = begin.await;
        for _ in 0..each {
            // A failed one misses in the sum.
            total = add(&server, 1).await.unwrap_or(0);
        }
        stopped_with(total);
    };
    let mut clients = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let (go, begin) = oneshot::channel();
        tokio::spawn(client(begin));
        clients.push(go);
    }
    STARTED.wait().await;
    let start = Instant::now();
    for go in clients {
        go.send(()).map_err(|()| Wrong::failed("client", "gone"))?;
    }
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

/// Those that are ended stand all over the map.
async fn children(count: u64) -> Result<Vec<f64>, Wrong> {
    let (mut starting, mut stopping) = (Duration::ZERO, Duration::ZERO);
    let (laps, stopped) = (STARTS.div_ceil(count), count.min(STARTS));
    // Those that are left would end with their channels, and say what they held.
    let mut left = Vec::new();
    let mut held = 0;
    for _ in 0..laps {
        let (mut children, took) = start_children(count).await?;
        starting += took;
        let start = Instant::now();
        for number in (0..count).step_by((count / stopped) as usize) {
            let (_server, task) =
                children.remove(&number).ok_or_else(|| Wrong::failed("child", "not there"))?;
            ended(task).await?;
            held += number;
        }
        stopping += start.elapsed();
        left.push(children);
    }
    equal("state of all", HELD.load(Ordering::Relaxed), held)?;
    Ok(vec![ns_each(starting, laps * count), ns_each(stopping, laps * stopped)])
}

/// A call closes each batch, and is the last message of it.
async fn cast(batch: u64) -> Result<Vec<f64>, Wrong> {
    let server = spawn_server();
    let mut expected = 0;
    let start = Instant::now();
    for _ in 0..OPERATIONS / batch {
        for i in 1..batch {
            server.send(Request::Feed(i)).map_err(|error| Wrong::failed("cast", error))?;
        }
        expected += sum_below(batch);
        equal("total", add(&server, 0).await?, expected)?;
    }
    Ok(vec![ns_each(start.elapsed(), OPERATIONS)])
}

async fn receive(waiting: u64) -> Result<Vec<f64>, Wrong> {
    let (me, mut mailbox) = mpsc::unbounded_channel();
    let send = |number| me.send(number).map_err(|error| Wrong::failed("send", error));
    (0..waiting).try_for_each(send)?;
    let start = Instant::now();
    for i in 0..OPERATIONS {
        equal("message", mailbox.recv().await, Some(i))?;
        send(i + waiting)?;
    }
    Ok(vec![ns_each(start.elapsed(), OPERATIONS)])
}

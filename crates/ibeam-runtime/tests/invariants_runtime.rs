//! Invariants 12 to 14 of ARCHITECTURE.md: hogs, idleness, and the end of a runtime. They are about threads, so they run on
//! the threads driver alone.

mod common;

use std::fs;
use std::future::pending;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ibeam_runtime::{Exit, ExitReason, Metrics, Pid, Runtime, SpawnError, process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use common::{end_of, next, on_threads_with, until, until_it_waits};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits, outside of any process, for what others bring about.
#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < give_up, "still not: {what}");
        thread::yield_now();
    }
}

/// Something that hogs wait for without an await.
#[derive(Default)]
struct Gate {
    open: AtomicBool,
    lock: Mutex<()>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        self.open.store(true, SeqCst);
        let _lock = self.lock.lock().unwrap();
        self.opened.notify_all();
    }

    /// As one who computes.
    fn spin(&self) {
        while !self.open.load(SeqCst) {
            // The system may run others; the runtime cannot.
            thread::yield_now();
        }
    }

    /// As one who calls what blocks.
    fn block(&self) {
        let mut lock = self.lock.lock().unwrap();
        while !self.open.load(SeqCst) {
            lock = self.opened.wait(lock).unwrap();
        }
    }
}

/// Opens when dropped, so that a test that fails ends.
struct OpenAtEnd(Arc<Gate>);

impl Drop for OpenAtEnd {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// A hog has begun.
struct Begun;

/// A process that answers whoever sends it their pid.
async fn echo() {
    loop {
        next::<Pid>().await.send("answer");
    }
}

/// What others do meanwhile: messages, processes, timers, sockets. Returns when all of it has worked.
async fn ordinary_life() {
    let me = process::self_pid();
    let echo = process::spawn(echo());
    for _ in 0..100 {
        echo.send(me);
        assert_eq!(next::<&str>().await, "answer");
    }
    for _ in 0..10 {
        assert!(matches!(
            end_of(process::spawn(process::yield_now())).await,
            ExitReason::Normal | ExitReason::NoProc
        ));
        process::sleep(Duration::from_millis(1)).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    process::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"over a socket").await.unwrap();
    });
    let mut got = String::new();
    listener.accept().await.unwrap().0.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "over a socket");
}

/// 64 hogs run at the same time on two workers, and none of them ends before the others have lived their ordinary life.
#[test]
fn invariant_12_sixty_four_hogs_at_once_hold_nobody_up() {
    const HOGS: usize = 64;
    on_threads_with(Runtime::builder().workers(2), || async {
        let gate = Arc::new(Gate::default());
        let _open = OpenAtEnd(Arc::clone(&gate));
        let me = process::self_pid();
        let hogs: Vec<_> = (0..HOGS)
            .map(|number| {
                let gate = Arc::clone(&gate);
                process::spawn_monitor(async move {
                    // The receiver now stands in the LIFO slot of the hog's worker, which only a spare gets at.
                    me.send(Begun);
                    if number % 2 == 0 { gate.spin() } else { gate.block() }
                })
            })
            .collect();
        for _ in 0..HOGS {
            next::<Begun>().await;
        }
        ordinary_life().await;
        // 64 hogs and this process ran at once, two of them in the places that there were.
        assert!(Metrics::current().threads > HOGS, "{:?}", Metrics::current());
        // Counted after the spare was woken.
        until(|| Metrics::current().compensations >= HOGS as u64 - 1).await;
        until(|| Metrics::current().long_turns >= HOGS as u64 - 1).await;
        gate.open();
        for (pid, monitor) in hogs {
            assert_eq!(common::down(monitor).await.reason, ExitReason::Normal, "{pid}");
        }
        // The places are in order again: no more than two workers, who still do everything.
        ordinary_life().await;
    });
}

/// What stands in the queue of a hog, at any place, is run by others.
#[test]
fn invariant_12_what_stands_behind_a_hog_is_run() {
    const BEHIND: usize = 500;
    on_threads_with(Runtime::builder().workers(1).hog_threshold(Duration::from_millis(1)), || async {
        let me = process::self_pid();
        for _ in 0..5 {
            let count = Arc::new(AtomicUsize::new(0));
            let hog = process::spawn(async move {
                for _ in 0..BEHIND {
                    let count = Arc::clone(&count);
                    process::spawn(async move {
                        count.fetch_add(1, SeqCst);
                    });
                }
                while count.load(SeqCst) < BEHIND {
                    thread::yield_now();
                }
                me.send(Begun);
            });
            next::<Begun>().await;
            end_of(hog).await;
        }
    });
}

/// A hog that computes keeps its place where there is another worker. That one sees to what waits behind the hog, however much it has to
/// do itself.
#[test]
fn invariant_12_what_stands_behind_a_hog_is_run_by_a_worker_that_is_never_idle() {
    const BEHIND: usize = 500;
    on_threads_with(Runtime::builder().workers(2).hog_threshold(Duration::from_millis(1)), || async {
        let me = process::self_pid();
        let over = Arc::new(AtomicBool::new(false));
        for _ in 0..2 {
            let over = Arc::clone(&over);
            process::spawn(async move {
                while !over.load(SeqCst) {
                    process::yield_now().await;
                }
            });
        }
        for _ in 0..3 {
            let count = Arc::new(AtomicUsize::new(0));
            let hog = process::spawn(async move {
                let bear = |count: &Arc<AtomicUsize>| {
                    let count = Arc::clone(count);
                    process::spawn(async move {
                        count.fetch_add(1, SeqCst);
                    });
                };
                (0..BEHIND).for_each(|_| bear(&count));
                while count.load(SeqCst) < BEHIND {
                    thread::yield_now();
                }
                // As a hog, by now.
                (0..BEHIND).for_each(|_| bear(&count));
                while count.load(SeqCst) < 2 * BEHIND {
                    thread::yield_now();
                }
                me.send(Begun);
            });
            next::<Begun>().await;
            end_of(hog).await;
        }
        over.store(true, SeqCst);
    });
}

/// It loses the place as soon as it is seen to block.
#[test]
fn invariant_12_a_hog_that_computes_and_then_blocks_is_replaced() {
    on_threads_with(Runtime::builder().workers(2).hog_threshold(Duration::from_millis(1)), || async {
        for round in 0..5 {
            let gate = Arc::new(Gate::default());
            let _open = OpenAtEnd(Arc::clone(&gate));
            let blocking = Arc::clone(&gate);
            let hog = process::spawn(async move {
                while Metrics::current().long_turns <= round {
                    thread::yield_now();
                }
                blocking.block();
            });
            until(|| Metrics::current().compensations > round).await;
            ordinary_life().await;
            gate.open();
            end_of(hog).await;
        }
    });
}

/// On one worker, which no pause of the machine gets out of step.
fn on_one_worker<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce() -> F + Send + 'static) {
    on_threads_with(Runtime::builder().workers(1).hog_threshold(PATIENCE), test);
}

/// As long as turns are short, what is woken is left to the worker that woke it; when one of them takes long, it is not.
#[test]
fn what_stands_behind_a_turn_that_has_become_long_is_run_by_others() {
    const BEHIND: usize = 20;
    // No hogs here: what comes after them is another matter.
    on_threads_with(Runtime::builder().workers(2).hog_threshold(PATIENCE), || async {
        let (me, answers) = (process::self_pid(), Arc::new(AtomicUsize::new(0)));
        let sleepers: Vec<_> = (0..BEHIND)
            .map(|_| {
                let answers = Arc::clone(&answers);
                process::spawn(async move {
                    loop {
                        next::<Begun>().await;
                        answers.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        for &sleeper in &sleepers {
            until_it_waits(sleeper).await;
        }
        process::spawn(async move {
            for round in 1..=20 {
                for _ in 0..1_000 {
                    process::yield_now().await;
                }
                for &sleeper in &sleepers {
                    sleeper.send(Begun);
                }
                // The last one is to run next, after this turn.
                while answers.load(SeqCst) < round * BEHIND - 1 {
                    thread::yield_now();
                }
                process::yield_now().await;
                until(|| answers.load(SeqCst) == round * BEHIND).await;
            }
            me.send("done");
        });
        assert_eq!(next::<&str>().await, "done");
    });
}

/// A branch of a tree of processes has run before the next one begins, siblings in the order in which they were spawned.
#[test]
fn a_tree_of_processes_runs_branch_by_branch() {
    fn node(name: String, depth: usize, to: Pid) {
        process::spawn(async move {
            to.send(name.clone());
            if depth > 0 {
                for branch in 'a'..='c' {
                    node(format!("{name}{branch}"), depth - 1, to);
                }
            }
        });
    }
    on_one_worker(|| async {
        let me = process::self_pid();
        process::spawn(async move { node(String::new(), 2, me) });
        let mut order = Vec::new();
        while order.len() < 13 {
            order.push(next::<String>().await);
        }
        assert_eq!(order, ["", "a", "aa", "ab", "ac", "b", "ba", "bb", "bc", "c", "ca", "cb", "cc"]);
    });
}

/// Each of them spawns the next one, which goes before all others: these have their turns nevertheless.
#[test]
fn an_endless_line_of_newborns_shuts_nobody_out() {
    fn next_of_the_line(over: Arc<AtomicBool>) {
        process::spawn(async move {
            if !over.load(SeqCst) {
                next_of_the_line(over);
            }
        });
    }
    on_one_worker(|| async {
        let me = process::self_pid();
        let over = Arc::new(AtomicBool::new(false));
        let line = Arc::clone(&over);
        process::spawn(async move {
            next_of_the_line(line);
            // Born after the first of the line, so it stands behind all of them.
            process::spawn(async move {
                for _ in 0..100 {
                    // Stands in the queue from then on.
                    process::yield_now().await;
                }
                me.send("sibling");
            });
            for _ in 0..100 {
                process::yield_now().await;
            }
            me.send("parent");
        });
        let mut came = [next::<&str>().await, next::<&str>().await];
        came.sort_unstable();
        assert_eq!(came, ["parent", "sibling"]);
        over.store(true, SeqCst);
    });
}

/// Threads that have been hogs take over from the next ones.
#[test]
fn invariant_12_former_hogs_are_the_spares_of_the_next() {
    const ROUNDS: usize = 40;
    on_threads_with(Runtime::builder().workers(1).hog_threshold(Duration::from_millis(1)), || async {
        for _ in 0..ROUNDS {
            let gate = Arc::new(Gate::default());
            let (waiting, me) = (Arc::clone(&gate), process::self_pid());
            let hog = process::spawn(async move {
                me.send(Begun);
                waiting.spin();
            });
            next::<Begun>().await;
            gate.open();
            end_of(hog).await;
        }
        until(|| Metrics::current().compensations >= ROUNDS as u64).await;
        let metrics = Metrics::current();
        // One is enough, mostly: a hog may be told to go on before its thread has become a spare again.
        assert!(metrics.threads < ROUNDS / 2, "{metrics:?}");
    });
}

/// Without spares the others wait, and it is counted.
#[test]
fn invariant_12_without_spares_a_hog_is_counted() {
    let settings = Runtime::builder().workers(1).spare_threads(0).hog_threshold(Duration::from_millis(1));
    on_threads_with(settings, || async {
        process::spawn(async {
            while Metrics::current().long_turns == 0 {
                thread::yield_now();
            }
        });
        ordinary_life().await;
        let metrics = Metrics::current();
        assert_eq!((metrics.compensations, metrics.threads), (0, 1), "{metrics:?}");
    });
}

/// Nor do they wait when a worker sleeps, though its peer has told nobody of what stands behind the hog.
#[test]
fn invariant_12_without_spares_a_sleeping_worker_helps() {
    let settings = Runtime::builder().workers(2).spare_threads(0).hog_threshold(Duration::from_millis(1));
    on_threads_with(settings, || async {
        for _ in 0..20 {
            // Turns so short that waking another worker for one process would not pay.
            for _ in 0..1_000 {
                process::yield_now().await;
            }
            let ran = Arc::new(AtomicBool::new(false));
            let runs = Arc::clone(&ran);
            process::spawn(async move { runs.store(true, SeqCst) });
            while !ran.load(SeqCst) {
                thread::yield_now();
            }
        }
    });
}

/// The same for what a hog starts late in its turn, when the spare that has its place sleeps already.
#[test]
fn invariant_12_what_a_hog_starts_later_is_run() {
    on_threads_with(Runtime::builder().workers(1).hog_threshold(Duration::from_millis(1)), || async {
        for _ in 0..20 {
            for _ in 0..1_000 {
                process::yield_now().await;
            }
            let before = Metrics::current();
            while Metrics::current().compensations == before.compensations
                || Metrics::current().parks == before.parks
            {
                thread::yield_now();
            }
            let ran = Arc::new(AtomicBool::new(false));
            let runs = Arc::clone(&ran);
            process::spawn(async move { runs.store(true, SeqCst) });
            while !ran.load(SeqCst) {
                thread::yield_now();
            }
        }
    });
}

/// What the system knows of a thread: how often it ran, and for how long.
#[cfg(target_os = "linux")]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ThreadState {
    name: String,
    switches: Vec<String>,
    /// Nanoseconds on a core, nanoseconds in the queue for one, time slices.
    schedstat: String,
}

/// The state of all threads of this program whose name begins like this.
#[cfg(target_os = "linux")]
fn thread_states(prefix: &str) -> Vec<ThreadState> {
    let mut states: Vec<_> = threads_named(prefix)
        .into_iter()
        .map(|(name, path)| {
            let status = fs::read_to_string(path.join("status")).unwrap();
            let switches = status.lines().filter(|line| line.contains("ctxt_switches")).map(str::to_owned);
            let schedstat = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
            ThreadState { name, switches: switches.collect(), schedstat }
        })
        .collect();
    states.sort();
    states
}

/// The threads of this program whose name begins like this; none where the system does not say.
fn threads_named(prefix: &str) -> Vec<(String, std::path::PathBuf)> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| {
            // It may be gone by now.
            let name = fs::read_to_string(task.path().join("comm")).ok()?;
            name.starts_with(prefix).then(|| (name.trim_end().to_owned(), task.path()))
        })
        .collect()
}

/// For as long as it takes another runtime to tick a hundred times, no thread of the runtime gets on a core. That it comes
/// to rest may take a while; something that wakes up again and again leaves no such window, however long one looks.
#[cfg(target_os = "linux")]
#[track_caller]
fn assert_comes_to_rest(runtime: &Runtime, prefix: &str) {
    let other = Runtime::builder().workers(1).name("ticks").build().unwrap();
    let look = || {
        let metrics = runtime.metrics();
        (thread_states(prefix), metrics.parks, metrics.steals, metrics.compensations)
    };
    let give_up = Instant::now() + PATIENCE;
    let mut before = look();
    assert!(before.0.len() >= 3, "two workers and the monitor: {before:?}");
    loop {
        other.block_on(async {
            for _ in 0..100 {
                process::sleep(Duration::from_millis(3)).await;
            }
        });
        let after = look();
        if before == after {
            return;
        }
        assert!(Instant::now() < give_up, "it does not come to rest: {before:?} and then {after:?}");
        before = after;
    }
}

#[cfg(target_os = "linux")]
#[test]
fn invariant_13_with_everything_parked_nothing_wakes_up() {
    // The system keeps 15 letters of a name: `rest-13-monitor`.
    let runtime = Runtime::builder().workers(2).name("rest-13").build().unwrap();
    let (echo, listener, sockets) = runtime.block_on(async {
        // Things that have happened, and are over: timers, hogs, sockets, processes of all kinds.
        ordinary_life().await;
        let echo = process::spawn(echo());
        for _ in 0..1_000 {
            process::spawn(async { drop(process::recv().await) });
        }
        process::spawn(pending::<()>());
        process::spawn(process::hibernate());
        // Somebody waits for a client.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = process::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            stream.write_all(&byte).await.unwrap();
        });
        // A timer that is cancelled leaves nothing to wake up for.
        process::send_after(echo, "never", Duration::from_millis(2)).cancel();
        until_it_waits(accepting).await;
        (echo, address, accepting)
    });
    assert_comes_to_rest(&runtime, "rest-13");
    // It rests and is not dead: a message, a client, and then it comes to rest once more, with a timer that is far away.
    let mut client = std::net::TcpStream::connect(listener).unwrap();
    {
        use std::io::{Read, Write};
        client.write_all(b"x").unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"x");
    }
    runtime.block_on(async move {
        assert!(matches!(end_of(sockets).await, ExitReason::Normal | ExitReason::NoProc));
        echo.send(process::self_pid());
        assert_eq!(next::<&str>().await, "answer");
        let _far = process::send_after(echo, process::self_pid(), Duration::from_secs(24 * 3_600));
        process::spawn(process::sleep(Duration::from_secs(3_600)));
    });
    assert_comes_to_rest(&runtime, "rest-13");
}

/// Counts itself from its making to its drop.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// A thread that was joined stands in the system's list for a moment yet.
#[track_caller]
fn assert_no_threads(prefix: &str) {
    wait_until(&format!("no thread is called {prefix}"), || threads_named(prefix).is_empty());
}

/// A timeout that is not reached.
const AMPLE: Duration = Duration::from_secs(60);

static DICTIONARY: process::Key<Alive> = process::Key::new("alive");

/// Of tokio's, in [`populate`].
const TASKS: usize = 10;

/// Processes in all states, each with something that counts itself: parked, in a queue, waiting for I/O, timers, calls,
/// messages in mailboxes, and a task of tokio's.
async fn populate(count: Arc<AtomicUsize>) {
    let alive = || Alive::new(&count);
    for _ in 0..100 {
        let (mine, message) = (alive(), alive());
        let pid = process::spawn(async move {
            let _mine = mine;
            pending::<()>().await;
        });
        pid.send(message);
        process::send_after(pid, alive(), Duration::from_secs(3_600));
    }
    for _ in 0..TASKS {
        let mine = alive();
        process::spawn(async move {
            let _mine = mine;
            loop {
                process::yield_now().await;
            }
        });
        let mine = alive();
        process::spawn(async move {
            let _mine = mine;
            process::sleep(Duration::from_secs(3_600)).await;
        });
        let mine = alive();
        process::spawn(async move {
            let _mine = mine;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            drop(listener.accept().await);
        });
        let mine = alive();
        tokio::spawn(async move {
            let _mine = mine;
            pending::<()>().await;
        });
        let (mine, dictionary) = (alive(), alive());
        let tidy = process::spawn(async move {
            let _mine = mine;
            process::put(DICTIONARY, dictionary);
            process::trap_exit(true);
            // Stops in order, and takes a few turns for it.
            assert_eq!(next::<Exit>().await.reason, ExitReason::Shutdown);
            process::sleep(Duration::from_millis(1)).await;
            process::yield_now().await;
        });
        until_it_waits(tidy).await;
    }
}

#[test]
fn invariant_14_a_shutdown_leaves_no_future_and_no_thread() {
    let count = Arc::new(AtomicUsize::new(0));
    for round in 0..5 {
        let runtime = Runtime::builder().workers(1 + round % 3).name("end-14a").build().unwrap();
        runtime.block_on(populate(Arc::clone(&count)));
        assert!(count.load(SeqCst) >= 300, "{count:?}");
        runtime.shutdown(AMPLE).unwrap();
        assert_eq!(count.load(SeqCst), 0);
        assert_no_threads("end-14a");
    }
}

#[test]
fn invariant_14_dropping_a_runtime_is_a_shutdown() {
    let count = Arc::new(AtomicUsize::new(0));
    let runtime = Runtime::builder().workers(2).name("end-14b").build().unwrap();
    runtime.block_on(populate(Arc::clone(&count)));
    drop(runtime);
    assert_eq!(count.load(SeqCst), 0);
    assert_no_threads("end-14b");
}

/// One after the other, each with a name that the one before had, and with processes that its end meets at any moment.
#[test]
fn invariant_14_many_in_a_row() {
    let count = Arc::new(AtomicUsize::new(0));
    for round in 0..200 {
        let runtime = Runtime::builder().workers(1 + round % 4).name("end-14c").build().unwrap();
        let alive = Arc::clone(&count);
        runtime.block_on(async move {
            process::register("the one", process::self_pid()).unwrap();
            for _ in 0..20 {
                let (mine, alive) = (Alive::new(&alive), Arc::clone(&alive));
                process::spawn(async move {
                    let _mine = mine;
                    // Processes that are just being made when the end comes.
                    loop {
                        let mine = Alive::new(&alive);
                        let child = process::builder().try_spawn(async move {
                            let _mine = mine;
                            process::yield_now().await;
                        });
                        if let Err(refused) = child {
                            assert!(matches!(refused, SpawnError::ShuttingDown), "{refused}");
                        }
                        process::yield_now().await;
                    }
                });
            }
        });
        runtime.shutdown(AMPLE).unwrap();
        assert_eq!(count.load(SeqCst), 0, "round {round}");
    }
    assert_no_threads("end-14c");
}

#[test]
fn invariant_14_one_ends_and_the_other_lives() {
    let [one, two] =
        ["end-14d", "run-14d"].map(|name| Runtime::builder().workers(1).name(name).build().unwrap());
    let [of_one, of_two] = [&one, &two].map(|runtime| runtime.block_on(async { process::spawn(echo()) }));
    two.block_on(async move {
        let monitor = process::monitor(of_one);
        process::link(of_one);
        process::trap_exit(true);
        let ending = thread::spawn(move || one.shutdown(AMPLE));
        assert_eq!(common::down(monitor).await.reason, ExitReason::Shutdown);
        let exit = common::first::<Exit>().await;
        assert_eq!((exit.pid, exit.reason), (of_one, ExitReason::Shutdown));
        ending.join().unwrap().unwrap();
        of_one.send("nobody is there");
        of_two.send(process::self_pid());
        assert_eq!(next::<&str>().await, "answer");
    });
    assert_no_threads("end-14d");
    assert!(!threads_named("run-14d").is_empty() || !cfg!(target_os = "linux"));
}

/// Who traps exits and does not stop is killed when half of the time is over.
#[test]
fn invariant_14_who_does_not_stop_is_killed() {
    let count = Arc::new(AtomicUsize::new(0));
    let runtime = Runtime::builder().workers(1).name("end-14e").build().unwrap();
    let mine = Alive::new(&count);
    let stubborn = runtime.block_on(async move {
        let stubborn = process::spawn(async move {
            let _mine = mine;
            process::trap_exit(true);
            loop {
                drop(process::recv().await);
            }
        });
        until_it_waits(stubborn).await;
        stubborn
    });
    let other = Runtime::builder().workers(1).name("watch-14e").build().unwrap();
    let reason = other.block_on(async move {
        let monitor = process::monitor(stubborn);
        until_it_waits(stubborn).await;
        let ending = thread::spawn(move || runtime.shutdown(Duration::from_secs(6)));
        let reason = common::down(monitor).await.reason;
        ending.join().unwrap().unwrap();
        reason
    });
    assert_eq!(reason, ExitReason::Killed);
    assert_eq!(count.load(SeqCst), 0);
    assert_no_threads("end-14e");
}

/// Hogs cannot be ended. They are named, and go when they come back from their poll; so do their threads.
#[test]
fn invariant_14_hogs_are_left_behind_until_they_come_back() {
    let count = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Gate::default());
    let _open = OpenAtEnd(Arc::clone(&gate));
    let runtime = Runtime::builder().workers(2).name("end-14f").build().unwrap();
    let (alive, waiting) = (Arc::clone(&count), Arc::clone(&gate));
    let hogs = runtime.block_on(async move {
        let me = process::self_pid();
        populate(Arc::clone(&alive)).await;
        let mut hogs = Vec::new();
        for number in 0..4 {
            let (mine, gate) = (Alive::new(&alive), Arc::clone(&waiting));
            hogs.push(process::builder().name(format!("hog {number}")).spawn(async move {
                let _mine = mine;
                me.send(Begun);
                if number % 2 == 0 {
                    gate.spin()
                } else {
                    gate.block()
                }
                pending::<()>().await;
            }));
            next::<Begun>().await;
        }
        hogs
    });
    let error = runtime.shutdown(Duration::from_secs(6)).unwrap_err();
    let mut left: Vec<_> =
        error.left.iter().map(|(pid, name)| (*pid, name.as_ref().unwrap().to_string())).collect();
    left.sort();
    let mut expected: Vec<_> =
        hogs.iter().enumerate().map(|(number, pid)| (*pid, format!("hog {number}"))).collect();
    expected.sort();
    assert_eq!(left, expected, "{error}");
    assert!(error.to_string().starts_with("4 processes did not end in time: "), "{error}");
    // All other processes are gone; tokio's tasks go with the last thread. Another runtime can start meanwhile.
    assert_eq!(count.load(SeqCst), 4 + TASKS);
    Runtime::builder().workers(1).name("next-14f").build().unwrap().block_on(ordinary_life());
    gate.open();
    wait_until("the hogs are gone", || count.load(SeqCst) == 0);
    assert_no_threads("end-14f");
    assert_no_threads("next-14f");
}

/// A process ends the runtime that it runs in: all others are gone when `shutdown` returns, and it goes at its next await.
#[test]
fn invariant_14_from_inside() {
    for workers in 1..4 {
        let count = Arc::new(AtomicUsize::new(0));
        let runtime = Runtime::builder().workers(workers).name("end-14g").build().unwrap();
        runtime.block_on(populate(Arc::clone(&count)));
        let (tell, told) = std::sync::mpsc::channel();
        let (mine, alive) = (Alive::new(&count), Arc::clone(&count));
        let entered = runtime.enter();
        let runtime = Arc::new(Mutex::new(Some(runtime)));
        let inside = Arc::clone(&runtime);
        process::spawn(async move {
            let _mine = mine;
            // It need not stop for others, who asks them to.
            process::trap_exit(true);
            let runtime = inside.lock().unwrap().take().unwrap();
            let ended = runtime.shutdown(AMPLE);
            tell.send((ended.map_err(|error| error.to_string()), alive.load(SeqCst))).unwrap();
            pending::<()>().await;
        });
        drop(entered);
        assert_eq!(told.recv_timeout(2 * AMPLE).unwrap(), (Ok(()), 1));
        wait_until("it is gone as well", || count.load(SeqCst) == 0);
        assert_no_threads("end-14g");
    }
}

/// The last owner of the runtime is a process that lives in it, and whose end therefore is the runtime's.
#[test]
fn invariant_14_owned_by_its_own_process() {
    let count = Arc::new(AtomicUsize::new(0));
    let runtime = Runtime::builder().workers(2).name("end-14h").build().unwrap();
    runtime.block_on(populate(Arc::clone(&count)));
    let entered = runtime.enter();
    let place = Arc::new(Mutex::new(None));
    let owner = Arc::clone(&place);
    let pid = process::spawn(async move {
        let _owner = owner;
        pending::<()>().await;
    });
    drop(entered);
    *place.lock().unwrap() = Some(runtime);
    drop(place);
    process::kill(pid);
    wait_until("all are gone", || count.load(SeqCst) == 0);
    assert_no_threads("end-14h");
}

//! Random streams of tasks, under the simulator.
//!
//! A run makes one stream after the other, plain ones and under a supervisor, linked and not, with all options at random. Their tasks take
//! their time, give a value, crash, are killed by others, take too long; and the streams are dropped in the middle, before the first
//! poll, or while tasks start. Whatever happens: the outcomes are those of the items, in order where that was asked for, each once; never
//! more tasks run than allowed; and after the stream no task is left, no link, and no message in the mailbox.
//!
//! `IBEAM_SEED=n` runs one seed. `IBEAM_SEEDS=n` sets how many of them, 1,000 by default.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ibeam::TaskStream;
use ibeam::prelude::*;
use ibeam::sim::Simulation;
use ibeam::task::stream::{Input, ItemAndReason};

/// Longer than any task may take that is not to take too long.
const LIMIT: Duration = Duration::from_millis(60);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % count
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What the task of an item does.
#[derive(Clone, Copy, Debug)]
struct Item {
    number: u64,
    takes: Duration,
    ends: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Value,
    Crash,
    /// It is killed by somebody.
    Kill,
    /// Never by itself.
    TooLate,
}

impl Item {
    fn any(number: u64, random: &mut Random) -> Self {
        let ends = match random.below(10) {
            0 => End::Crash,
            1 => End::Kill,
            2 => End::TooLate,
            _ => End::Value,
        };
        let takes = if random.chance(50) { 0 } else { random.below(30) };
        Self { number, takes: Duration::from_millis(takes), ends }
    }

    fn outcome(self) -> Result<u64, (u64, ExitReason)> {
        match self.ends {
            End::Value => Ok(self.number),
            End::Crash => Err((self.number, ExitReason::other(self.number))),
            End::Kill => Err((self.number, ExitReason::Killed)),
            End::TooLate => Err((self.number, ExitReason::Timeout)),
        }
    }

    async fn run(self, running: Running) -> u64 {
        let _running = running;
        if !self.takes.is_zero() {
            process::sleep(self.takes).await;
        }
        match self.ends {
            End::Value => self.number,
            End::Crash => process::exit(ExitReason::other(self.number)),
            End::Kill => {
                let me = process::self_pid();
                process::spawn(async move { process::kill(me) });
                std::future::pending().await
            }
            End::TooLate => std::future::pending().await,
        }
    }
}

/// How many tasks run, and how many did so at most.
#[derive(Clone, Default)]
struct Count {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct Running(Count);

impl Count {
    fn one(&self) -> Running {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
        Running(self.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
    }
}

/// One stream from its start to its end.
async fn stream(random: &mut Random, supervisor: &TaskSupervisorRef) {
    let items: Vec<_> = (0..random.below(25)).map(|number| Item::any(number, random)).collect();
    let (width, ordered) = (1 + random.below(8) as usize, random.chance(50));
    let buffered = if random.chance(30) { 1 + random.below(4) as usize } else { usize::MAX };
    let taken = if random.chance(40) { random.below(items.len() as u64 + 1) as usize } else { usize::MAX };
    let count = Count::default();
    let counter = count.clone();
    let run = move |item: Item| item.run(counter.one());
    let parent = random.below(3);
    let source = items.clone();
    let stream = match parent {
        0 => Task::stream(source, run),
        1 => supervisor.stream(source, run),
        _ => supervisor.stream_nolink(source, run),
    };
    let mut stream = stream
        .max_concurrency(width)
        .ordered(ordered)
        .max_buffered(buffered)
        .timeout(LIMIT)
        .on_timeout(OnTimeout::KillTask)
        .zip_input_on_exit();
    let said = take(&mut stream, taken, random).await;
    drop(stream);
    process::yield_now().await;
    let what =
        format!("{items:?}, {width} at once, ordered: {ordered}, parent {parent}, {taken} taken, {said:?}");
    assert_eq!(count.now.load(SeqCst), 0, "tasks are left: {what}");
    assert!(count.most.load(SeqCst) <= width, "{} at once: {what}", count.most.load(SeqCst));
    let message = process::try_recv();
    assert!(message.is_none(), "{message:?} is left: {what}");
    let expected: Vec<_> = items.iter().map(|item| item.outcome()).collect();
    if ordered {
        assert_eq!(said, expected[..said.len()], "{what}");
    } else {
        assert!(said.iter().all(|outcome| expected.contains(outcome)), "{what}");
        let once: BTreeSet<u64> = said.iter().map(number).collect();
        assert_eq!(once.len(), said.len(), "{what}");
    }
    if taken == usize::MAX {
        assert_eq!(said.len(), items.len(), "{what}");
    }
}

fn number(outcome: &Result<u64, (u64, ExitReason)>) -> u64 {
    match outcome {
        Ok(number) | Err((number, _)) => *number,
    }
}

/// The first outcomes, at most `count`, looked at more or less often.
async fn take<I, F, Fut>(
    stream: &mut TaskStream<I, F, u64, ItemAndReason>,
    count: usize,
    random: &mut Random,
) -> Vec<Result<u64, (u64, ExitReason)>>
where
    I: Input<Item = Item>,
    F: FnMut(Item) -> Fut,
    Fut: Future<Output = u64> + Send + 'static,
{
    let mut said = Vec::new();
    while said.len() < count {
        if random.chance(20) {
            // Looked at once, and left alone for a while.
            tokio::select! {
                biased;
                outcome = stream.next() => match outcome {
                    Some(outcome) => said.push(outcome.map_err(|(item, reason)| (item.number, reason))),
                    None => break,
                },
                () = process::yield_now() => {}
            }
            continue;
        }
        match stream.next().await {
            Some(outcome) => said.push(outcome.map_err(|(item, reason)| (item.number, reason))),
            None => break,
        }
    }
    said
}

/// Some streams, one after the other.
async fn run(seed: u64) {
    process::trap_exit(true);
    let random = &mut Random(seed);
    let tasks = TaskSupervisor::spec().start_link().await.unwrap();
    let supervisor = tasks.pid().unwrap();
    for _ in 0..1 + random.below(4) {
        stream(random, &tasks).await;
        let links = process::info(process::self_pid()).await.unwrap().links;
        assert_eq!(links, [supervisor]);
    }
    while !tasks.children().await.unwrap().is_empty() {
        process::yield_now().await;
    }
    tasks.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
    assert!(matches!(process::recv().await.downcast::<Exit>(), Ok(exit) if exit.pid == supervisor));
    assert!(process::try_recv().is_none());
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match number("IBEAM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("IBEAM_SEEDS").unwrap_or(1_000),
    }
}

#[test]
fn random_streams_leave_nothing_behind() {
    // The crashes of the tasks are many, and on purpose.
    tracing::subscriber::set_global_default(Silent).unwrap();
    for seed in seeds() {
        let failed = Arc::new(Mutex::new(None));
        let told = Arc::clone(&failed);
        Simulation::new(seed).run(async move {
            let (_, monitor) = process::spawn_monitor(run(seed));
            receive! {
                Down { monitor: gone, reason, .. } if gone == monitor && !reason.is_normal() => {
                    *told.lock().unwrap() = Some(reason);
                }
                Down { .. } => {}
            }
        });
        if let Some(reason) = failed.lock().unwrap().take() {
            panic!("IBEAM_SEED={seed}: {reason}");
        }
    }
}

/// Listens to crash reports, and keeps silent.
struct Silent;

impl tracing::Subscriber for Silent {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
        tracing::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::Id) {}
    fn exit(&self, _: &tracing::Id) {}
}

//! A registry under churn: processes register, change, unregister and die at any moment, for ten seconds of virtual time, once for
//! each of 10,000 seeds (`IBEAM_SEEDS` sets another number, `IBEAM_SEED` runs one only).
//!
//! Every process keeps its own account of what it has, and finds all of it later: no key is lost. Whoever hears of a death
//! finds nothing of the dead. When all are dead nothing is left.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ibeam::prelude::*;
use ibeam::registry::{Duplicate, PartitionBy};
use ibeam::sim::Simulation;

const PROCESSES: u64 = 100;
const KEYS: u64 = 12;
const TOPICS: u64 = 2;
const SEEDS: u64 = 10_000;
/// More keys than a process lets go of in one turn, in one run of so many.
const HEAVY: u64 = 1_200;
const HEAVY_EVERY: u64 = 500;

#[derive(Clone)]
struct Registries {
    /// Values that need a destructor, so that they are their owners'.
    names: Registry<u64, Arc<u64>>,
    topics: Registry<u64, u64, Duplicate>,
    /// Those whose end somebody has heard of.
    dead: Arc<Mutex<HashSet<Pid>>>,
}

/// A choice by chance, from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % n
    }
}

/// Registers, lives for a while, holds its entries to account, and ends. Short: it is done a million times.
async fn live(registries: Registries, mut chance: Chance, heavy: bool) {
    let me = process::self_pid();
    let Registries { names, topics, dead } = registries;
    process::sleep(Duration::from_millis(chance.below(9_000))).await;
    if heavy {
        for key in 0..HEAVY {
            names.register(KEYS + key, Arc::default()).unwrap();
        }
    }
    let (key, topic) = (chance.below(KEYS), chance.below(TOPICS));
    let owns = match names.register(key, Arc::new(key)) {
        Ok(_) => true,
        Err(RegisterError::AlreadyRegistered { pid, .. }) => {
            assert!(!dead.lock().unwrap().contains(&pid), "{pid} is dead, and blocks {key}");
            false
        }
        Err(error) => panic!("{error}"),
    };
    let subscriptions = chance.below(3) as usize;
    for _ in 0..subscriptions {
        topics.register(topic, key).unwrap();
    }
    process::sleep(Duration::from_millis(chance.below(1_000))).await;
    if owns {
        assert_eq!(names.whereis(&key), Some(me), "{key} was lost");
    }
    assert_eq!(topics.values(&topic, me).len(), subscriptions, "subscriptions of {topic} were lost");
    match chance.below(4) {
        0 if owns => {
            let (new, former) = names.update_value(&key, |value| Arc::new(**value + 1)).unwrap();
            assert_eq!((*new, *former), (key + 1, key));
        }
        1 if owns => {
            names.unregister(&key);
            assert_ne!(names.whereis(&key), Some(me), "it was unregistered");
        }
        2 => {
            topics.unregister(&topic);
            assert_eq!(topics.values(&topic, me), []);
        }
        _ => {}
    }
}

/// Nothing of a process whose end is known is to be seen. `everywhere`: look at all keys, not only at its account.
fn nothing_is_left_of(dead: Pid, registries: &Registries, everywhere: bool) {
    let Registries { names, topics, .. } = registries;
    assert_eq!((names.keys(dead), topics.keys(dead)), (vec![], vec![]));
    if everywhere {
        for key in 0..KEYS {
            assert_ne!(names.whereis(&key), Some(dead), "{dead} is dead, and still has {key}");
        }
        for topic in 0..TOPICS {
            let here = |pid, _: &_| assert_ne!(pid, dead, "it is dead, and still subscribed to {topic}");
            topics.dispatch(&topic, here);
        }
    }
}

async fn churn(seed: u64) {
    let mut chance = Chance(seed);
    let partitions = 1 + chance.below(3) as usize;
    let by = if chance.below(2) == 0 { PartitionBy::Pid } else { PartitionBy::Key };
    let topics = Registry::duplicate("topics").partitions(partitions).partition_by(by);
    let registries = Registries {
        names: Registry::unique("names").partitions(partitions).start_link().await.unwrap(),
        topics: topics.start_link().await.unwrap(),
        dead: Arc::default(),
    };
    let mut living = Vec::new();
    for number in 0..PROCESSES {
        let chance = Chance(seed << 8 | number);
        let heavy = number == 0 && seed.is_multiple_of(HEAVY_EVERY);
        let (pid, _) = process::spawn_monitor(live(registries.clone(), chance, heavy));
        living.push(pid);
    }
    // One in four is killed, at any moment.
    for victim in living.iter().step_by(4) {
        process::kill_after(*victim, Duration::from_millis(chance.below(10_000)));
    }
    for number in 0..PROCESSES {
        let (pid, reason) = receive! { Down { target, reason, .. } => (pid_of(&target), reason) };
        let expected = matches!(reason, ExitReason::Normal | ExitReason::Killed);
        assert!(expected, "{reason}");
        registries.dead.lock().unwrap().insert(pid);
        nothing_is_left_of(pid, &registries, number % 10 == seed % 10);
    }
    let Registries { names, topics, .. } = &registries;
    assert_eq!((names.count(), topics.count()), (0, 0));
    assert_eq!(names.select(|key, _, _| Some(*key)), []);
    assert_eq!(topics.select(|key, _, _| Some(*key)), []);
}

fn pid_of(target: &ibeam::Target) -> Pid {
    match target {
        ibeam::Target::Pid(pid) => *pid,
        other => panic!("only pids are monitored here, got {other:?}"),
    }
}

fn seeds() -> Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match number("IBEAM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("IBEAM_SEEDS").unwrap_or(SEEDS),
    }
}

#[test]
fn nobody_is_lost_and_nobody_stays() {
    let Range { start, end } = seeds();
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64).min(8);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for seed in (start..end).filter(|seed| seed % threads == thread) {
                    let ended = Simulation::new(seed).run(async move {
                        let (_, monitor) = process::spawn_monitor(churn(seed));
                        receive! { Down { monitor: m, reason, .. } if m == monitor => reason }
                    });
                    assert_eq!(ended, ExitReason::Normal, "IBEAM_SEED={seed}");
                }
            });
        }
    });
}

/// The same at full speed on two workers, where registering, looking up and dying really meet.
#[test]
fn on_two_workers_at_once() {
    let runtime = Runtime::builder().workers(2).build().unwrap();
    for round in 0..20 {
        runtime.block_on(async move {
            let registry = Registry::<u64, u64>::unique(format!("names {round}")).start_link().await.unwrap();
            let topics = Registry::<u64, Arc<u64>>::duplicate(format!("topics {round}")).partitions(2);
            let topics = topics.start_link().await.unwrap();
            for _ in 0..500 {
                let (registry, topics) = (registry.clone(), topics.clone());
                let _ = process::spawn_monitor(async move {
                    let me = process::self_pid();
                    for key in 0..8 {
                        topics.register(key % 2, Arc::new(key)).unwrap();
                        if registry.register(key, 0).is_ok() {
                            assert_eq!(registry.update_value(&key, |value| value + 1), Some((1, 0)));
                            process::yield_now().await;
                            assert_eq!(registry.lookup(&key), Some((me, 1)));
                        }
                        assert!(topics.values(&(key % 2), me).len() as u64 > key / 2);
                    }
                });
            }
            for _ in 0..500 {
                let (pid, reason) = receive! { Down { target, reason, .. } => (pid_of(&target), reason) };
                assert_eq!(reason, ExitReason::Normal);
                for key in 0..8 {
                    assert_ne!(registry.whereis(&key), Some(pid));
                    topics.dispatch(&key, |owner, _| assert_ne!(owner, pid));
                }
            }
            assert_eq!((registry.count(), topics.count()), (0, 0));
        });
    }
}

/// Who registers while the partition's process ends has its entry and hears of that end, or is refused: nobody is left with an
/// entry that nobody takes away.
#[test]
fn a_partition_ends_while_others_register() {
    const OWNERS: u64 = 200;
    let runtime = Runtime::builder().workers(2).build().unwrap();
    for round in 0..50_usize {
        runtime.block_on(async move {
            let names = Registry::<u64, ()>::unique(format!("names {round}"));
            let names = names.partitions(1 + round % 2).start().await.unwrap();
            let supervisor = SupervisorRef::named(names.name().clone());
            let over = Arc::new(AtomicBool::new(false));
            for key in 0..OWNERS {
                let (names, over) = (names.clone(), Arc::clone(&over));
                let _ = process::spawn_monitor(async move {
                    while !over.load(Relaxed) {
                        if names.register(key, ()).is_ok() {
                            std::future::pending::<()>().await;
                        }
                        process::yield_now().await;
                    }
                });
            }
            for _ in 0..round % 5 {
                process::yield_now().await;
            }
            let children = supervisor.which_children().await.unwrap();
            children.into_iter().filter_map(|child| child.pid).for_each(process::kill);
            supervisor.stop(ExitReason::Shutdown, Timeout::Infinity).await.unwrap();
            assert_eq!((names.count(), names.select(|key, _, _| Some(*key))), (0, vec![]));
            over.store(true, Relaxed);
            for _ in 0..OWNERS {
                let (pid, reason) = receive! { Down { target, reason, .. } => (pid_of(&target), reason) };
                assert!(
                    matches!(reason, ExitReason::Normal | ExitReason::Killed | ExitReason::Shutdown),
                    "{reason}"
                );
                assert_eq!(names.keys(pid), []);
            }
        });
    }
}

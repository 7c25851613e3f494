//! Random lives of a dynamic supervisor against a small model, under the simulator.
//!
//! A run starts children, terminates them, lets them crash or end, breaks and mends their starts, sometimes several of these at
//! once. When nothing moves any more, supervisor and model have to agree: how many children there are, which of them run; no child
//! has two processes, none has a process without being a child; and what was started is gone when the supervisor is.
//!
//! `IBEAM_SEED=n` runs one seed. `IBEAM_SEEDS=n` sets how many of them, 2,000 by default.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ibeam::dynamic_supervisor::Template;
use ibeam::prelude::*;
use ibeam::sim::Simulation;
use ibeam::supervisor::{Backoff, ServerChild};

const HOUR: Duration = Duration::from_secs(3600);
/// So long that nothing moves any more after it.
const SETTLED: Duration = Duration::from_secs(100);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % count as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// What really happens to the children, written down by themselves.
#[derive(Default)]
struct World {
    /// Their starts fail: most stop, some panic, which takes longer where a backtrace is asked for.
    broken: BTreeSet<u64>,
    failed: u64,
    /// Which processes each child has now.
    processes: BTreeMap<u64, Vec<Pid>>,
    twice: Option<u64>,
}

/// What a child is started with: its number, how it is restarted and stopped, whether it takes its time.
type Args = (u64, Restart, Shutdown, bool);
type Shared = Arc<Mutex<World>>;

struct Child {
    number: u64,
    world: Shared,
    slow: bool,
}

/// Ends with its child's process, whatever ends that.
impl Drop for Child {
    fn drop(&mut self) {
        let mut world = self.world.lock().unwrap();
        let me = process::self_pid();
        let processes = world.processes.get_mut(&self.number).expect("it was born");
        processes.retain(|pid| *pid != me);
    }
}

impl GenServer for Child {
    type Args = (u64, Shared, bool);

    async fn init((number, world, slow): Self::Args) -> Init<Self> {
        process::trap_exit(true);
        if slow {
            process::sleep(Duration::from_millis(3)).await;
        }
        let me = process::self_pid();
        let broken = {
            let mut world = world.lock().unwrap();
            let processes = world.processes.entry(number).or_default();
            processes.push(me);
            if processes.len() > 1 {
                world.twice = Some(number);
            }
            world.failed += 1;
            world.broken.contains(&number).then_some(world.failed)
        };
        let child = Child { number, world, slow };
        match broken {
            None => Init::ok(child),
            Some(failed) if failed.is_multiple_of(16) => panic!("broken"),
            Some(_) => Init::stop(ExitReason::other("broken")),
        }
    }

    async fn handle_info(&mut self, message: Message) -> Next {
        match message.downcast::<ExitReason>() {
            Ok(reason) => Next::stop(reason),
            Err(message) => match message.downcast::<Exit>() {
                Ok(Exit { reason, .. }) => Next::stop(reason),
                Err(_) => Next::go_on(),
            },
        }
    }

    async fn terminate(&mut self, _: &ExitReason) {
        if self.slow {
            process::sleep(Duration::from_millis(3)).await;
        }
    }
}

/// What is known of a child.
struct Known {
    restart: Restart,
    /// The last process that was seen.
    pid: Pid,
}

fn check(seed: u64) {
    let simulation = Simulation::new(seed);
    let world = Shared::default();
    simulation.run(run(seed, Arc::clone(&world)));
}

async fn run(seed: u64, world: Shared) {
    let random = &mut Random(seed);
    process::trap_exit(true);
    let limit = random.one_of(&[3, 8, 100]);
    // Few tries until all is settled.
    let backoff = Backoff::new(Duration::from_secs(20), Duration::from_secs(60));
    let make = Arc::clone(&world);
    let supervisor = DynamicSupervisor::spec()
        .max_children(limit)
        .intensity(usize::MAX, HOUR)
        .backoff(backoff)
        .template(move |(number, restart, shutdown, slow): Args| {
            Child::child((number, Arc::clone(&make), slow)).restart(restart).shutdown(shutdown)
        })
        .start_link()
        .await
        .unwrap();

    let mut model: BTreeMap<u64, Known> = BTreeMap::new();
    let mut numbers = 0..;
    for _ in 0..random.below(30) + 5 {
        // Some things at once, then time to settle.
        for _ in 0..random.below(4) + 1 {
            let known: Vec<u64> = model.keys().copied().collect();
            match (random.below(10), known.is_empty()) {
                (0..=3, _) | (_, true) => {
                    let number = numbers.next().unwrap();
                    let restart =
                        random.one_of(&[Restart::Permanent, Restart::Transient, Restart::Temporary]);
                    let shutdown = random.one_of(&[
                        Shutdown::BrutalKill,
                        Shutdown::Infinity,
                        Shutdown::Timeout(Duration::from_millis(1)),
                        Shutdown::Timeout(HOUR),
                    ]);
                    let broken = random.chance(20);
                    if broken {
                        world.lock().unwrap().broken.insert(number);
                    }
                    let started =
                        supervisor.start_child((number, restart, shutdown, random.chance(30))).await;
                    match started {
                        Ok(child) => {
                            assert!(!broken && model.len() < limit);
                            model.insert(number, Known { restart, pid: child.pid().unwrap() });
                        }
                        Err(DynamicStartError::MaxChildren { .. }) => {}
                        Err(error) => assert!(broken, "{error}"),
                    }
                }
                (4, false) => {
                    let number = random.one_of(&known);
                    let mut world = world.lock().unwrap();
                    if !world.broken.remove(&number) {
                        world.broken.insert(number);
                    }
                }
                (5 | 6, false) => {
                    let number = random.one_of(&known);
                    // Its last pid, which is out of date if it was restarted a moment ago: then it is not found, and goes on.
                    if supervisor.terminate_child(model[&number].pid).await.is_ok() {
                        model.remove(&number);
                    }
                }
                (kind, false) => {
                    let number = random.one_of(&known);
                    let Known { restart, pid } = model[&number];
                    let reason = match kind {
                        7 => ExitReason::Normal,
                        8 => ExitReason::other("crash"),
                        _ => ExitReason::Kill,
                    };
                    // Only one that surely gets it: whom something else ends first, ends by that.
                    let runs = world.lock().unwrap().processes[&number].contains(&pid);
                    if !runs {
                        continue;
                    }
                    let monitor = process::monitor(pid);
                    let crash = reason != ExitReason::Normal;
                    if reason == ExitReason::Kill {
                        process::kill(pid)
                    } else {
                        pid.send(reason)
                    }
                    receive! { Down { monitor: gone, .. } if gone == monitor => {} }
                    match restart {
                        Restart::Permanent => {}
                        Restart::Transient if crash => {}
                        _ => drop(model.remove(&number)),
                    }
                }
            }
        }
        process::sleep(SETTLED).await;
        agree(&supervisor, &world, &mut model).await;
    }
    // Some stop while others are being restarted.
    if random.chance(50) {
        model.values().for_each(|known| process::kill(known.pid));
    }
    supervisor.stop(ExitReason::Shutdown, None).await.unwrap();
    let left: Vec<_> = world.lock().unwrap().processes.values().flatten().copied().collect();
    assert_eq!(left, [], "no orphans");
}

/// Nothing moves: do supervisor, model and world agree?
async fn agree(
    supervisor: &DynamicSupervisorRef<Template<Args, ServerChild<Child>>>,
    world: &Shared,
    model: &mut BTreeMap<u64, Known>,
) {
    let counts = supervisor.count_children().await.unwrap();
    let mut listed: Vec<_> =
        supervisor.which_children().await.unwrap().iter().map(|child| child.pid).collect();
    let world = world.lock().unwrap();
    assert_eq!(world.twice, None, "two processes of one child at once");
    let mut expected = Vec::new();
    for (number, known) in &mut *model {
        let pid = world.processes[number].first().copied();
        // One whose starts fail now may have been running since before.
        assert!(pid.is_some() || world.broken.contains(number), "child {number} does not run");
        known.pid = pid.unwrap_or(known.pid);
        expected.push(pid);
    }
    for (number, processes) in &world.processes {
        assert!(processes.is_empty() || model.contains_key(number), "an orphan of child {number}");
    }
    expected.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, expected);
    let active = expected.iter().flatten().count();
    assert_eq!((counts.specs, counts.active, counts.workers), (model.len(), active, model.len()));
}

#[test]
fn random_lives_agree_with_the_model() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("IBEAM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("IBEAM_SEEDS").unwrap_or(2_000),
    };
    seeds.for_each(check);
}

//! Supervision trees whose processes are killed, fail to start, are slow.

use std::sync::{Arc, Mutex};

use ibeam::prelude::*;
use ibeam::supervisor::AutoShutdown;
use ibeam_testkit::prelude::*;

use crate::*;

const NAMES: [&str; 3] = ["a", "b", "c"];

fn tree(strategy: Strategy, starts: &Starts) -> Supervisor {
    Supervisor::new(strategy).intensity(OFTEN.0, OFTEN.1).children(NAMES.map(|name| worker(name, starts)))
}

async fn start(tree: Supervisor) {
    started(|| tree.clone()).await;
}

/// The life that each worker is in, as it says itself.
async fn lives() -> [u64; 3] {
    let mut lives = [0; 3];
    for (life, name) in lives.iter_mut().zip(NAMES) {
        *life = named(name).life().wait_for_name().timeout(60_000 * MS).await.unwrap();
    }
    lives
}

#[ibeam::simulate(faults = Faults::rough().failed_starts(0).kills(5).kill_only(with_a_name))]
async fn one_for_one_restarts_those_that_were_killed_and_no_others() {
    let starts = Starts::default();
    start(tree(Strategy::OneForOne, &starts)).await;
    let before = NAMES.map(|name| starts.of(name));
    let pids = NAMES.map(|name| named(name).pid());
    until_quiet().await;
    for (at, (life, name)) in lives().await.into_iter().zip(NAMES).enumerate() {
        assert_eq!(life, starts.of(name), "`{name}` answers in its last life");
        // `None`: it was being restarted when the others had just started.
        let same = pids[at].is_none() || named(name).pid() == pids[at];
        assert!(life != before[at] || same, "`{name}` was not restarted, so it is the same process");
    }
    let restarts: u64 = NAMES.iter().zip(before).map(|(name, before)| starts.of(name) - before).sum();
    assert!(restarts <= 5, "{restarts} restarts after at most 5 kills");
}

#[ibeam::simulate(faults = Faults::rough().failed_starts(0).kills(4).kill_only(with_a_name))]
async fn one_for_all_keeps_its_children_in_step() {
    let starts = Starts::default();
    start(tree(Strategy::OneForAll, &starts)).await;
    until_quiet().await;
    let lives = lives().await;
    // A kill in the middle of a restart leaves those behind it one start short, never ahead.
    assert!(lives[0] >= lives[1] && lives[1] >= lives[2], "{lives:?}");
    assert!(lives[2] >= 1);
}

#[ibeam::simulate(faults = Faults::rough().failed_starts(0).kills(4).kill_only(with_a_name))]
async fn rest_for_one_restarts_what_came_later() {
    let starts = Starts::default();
    start(tree(Strategy::RestForOne, &starts)).await;
    until_quiet().await;
    let lives = lives().await;
    assert!(lives.iter().sum::<u64>() <= 3 + 4 * 3, "{lives:?}");
    let tree = ibeam_testkit::test_supervisor().unwrap();
    let pid = tree.which_child("supervisor").await.unwrap().pid.unwrap();
    let running: Vec<_> = SupervisorRef::of(pid).which_children().await.unwrap();
    assert!(running.iter().all(|child| child.pid.is_some() && !child.restarting), "{running:?}");
}

#[ibeam::simulate(faults = Faults::rough().kills(6))]
async fn a_tree_heals_whoever_is_killed() {
    let starts = Starts::default();
    let inner = Supervisor::new(Strategy::OneForOne)
        .intensity(OFTEN.0, OFTEN.1)
        .child(worker("b", &starts))
        .child(worker("c", &starts));
    let outer = Supervisor::new(Strategy::RestForOne)
        .intensity(OFTEN.0, OFTEN.1)
        .child(worker("a", &starts))
        .child(inner.into_child("inner"));
    start(outer).await;
    until_quiet().await;
    for (life, name) in lives().await.into_iter().zip(NAMES) {
        assert_eq!(life, starts.of(name), "`{name}`: the last that was started is the one that runs");
    }
    // Nobody is left from trees that are gone: test, warden, test supervisor, two supervisors, three workers.
    assert_eq!(process::list().len(), 8);
}

#[ibeam::simulate(faults = Faults::none().delay(20 * MS).slow(20 * MS))]
async fn too_many_restarts_are_passed_upwards() {
    let starts = Starts::default();
    let inner = Supervisor::new(Strategy::OneForOne)
        .intensity(1, Duration::from_secs(100))
        .child(worker("a", &starts));
    let outer = Supervisor::new(Strategy::OneForOne)
        .intensity(OFTEN.0, OFTEN.1)
        .child(inner.into_child("inner").restart(Restart::Transient));
    let outer = start_supervised(outer).await.unwrap();
    let inner = outer.which_child("inner").await.unwrap().pid.unwrap();
    let monitor = process::monitor(inner);
    for life in 1..=2 {
        wait_until(|| async { named("a").life().await == Ok(life) }).await;
        process::kill(named("a").pid().unwrap());
    }
    // The second kill is one too many: the supervisor ends, by a shutdown, after which a transient child stays away.
    assert_receive!(Down { monitor: m, reason: ExitReason::Shutdown, .. } if m == monitor, within: 10_000 * MS);
    assert_eq!(starts.of("a"), 2);
    assert_eq!(process::whereis("a"), None);
}

struct Noting(&'static str, Arc<Mutex<Vec<&'static str>>>);

#[gen_server]
impl Noting {
    async fn init(name: &'static str, notes: Arc<Mutex<Vec<&'static str>>>) -> Init<Self> {
        process::trap_exit(true);
        Init::ok(Noting(name, notes))
    }

    async fn terminate(&mut self, _: &ExitReason) {
        process::sleep(MS).await;
        self.1.lock().unwrap().push(self.0);
    }
}

#[ibeam::simulate(faults = Faults::none().delay(50 * MS).slow(50 * MS).late_timers(20 * MS))]
async fn children_stop_in_reverse_order_one_after_the_other() {
    let notes: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let child = |name: &'static str| Noting::child((name, Arc::clone(&notes))).id(name);
    let inner = Supervisor::new(Strategy::OneForOne).child(child("b1")).child(child("b2"));
    let outer =
        Supervisor::new(Strategy::OneForOne).child(child("a")).child(inner.into_child("b")).child(child("c"));
    start_supervised(outer).await.unwrap();
    stop_supervised("supervisor").await.unwrap();
    assert_eq!(*notes.lock().unwrap(), ["c", "b2", "b1", "a"]);
}

struct Refusing;

#[gen_server]
impl Refusing {
    async fn init(_: ()) -> Init<Self> {
        Init::stop(ExitReason::other("no"))
    }
}

#[ibeam::simulate(faults = Faults::none().delay(20 * MS).slow(20 * MS))]
async fn a_start_that_fails_takes_back_what_was_started_before() {
    let starts = Starts::default();
    let tree = tree(Strategy::OneForOne, &starts).child(Refusing::child(()).id("refusing"));
    start_supervised(tree).await.unwrap_err();
    assert_eq!(NAMES.map(|name| (starts.of(name), process::whereis(name))), [(1, None); 3]);
    assert_eq!(process::list().len(), 3, "test, warden and test supervisor");
}

#[ibeam::simulate(faults = Faults::none().kills(3).kill_only(with_a_name).delay(20 * MS).slow(20 * MS))]
async fn temporary_children_are_forgotten_and_transient_ones_come_back() {
    let starts = Starts::default();
    let children = Supervisor::new(Strategy::OneForOne)
        .intensity(OFTEN.0, OFTEN.1)
        .child(worker("a", &starts).restart(Restart::Temporary))
        .child(worker("b", &starts).restart(Restart::Transient));
    let children = started(|| children.clone()).await;
    let first = starts.of("a");
    until_quiet().await;
    assert_eq!(starts.of("a"), first, "a temporary child is not started again");
    let counts = children.count_children().await.unwrap();
    assert_eq!(counts.active, usize::from(process::whereis("a").is_some()) + 1);
    assert_eq!(named("b").life().await, Ok(starts.of("b")));
    // Normally, which is how it stays away.
    named("b").stop(ExitReason::Normal, 10_000 * MS).await.unwrap();
    until_quiet().await;
    assert_eq!(process::whereis("b"), None);
    assert!(children.which_child("b").await.unwrap().pid.is_none());
}

#[ibeam::simulate(faults = Faults::none().delay(30 * MS).slow(30 * MS))]
async fn the_last_significant_child_ends_its_supervisor() {
    let starts = Starts::default();
    let significant = ibeam::supervisor::Significant::Transient;
    let tree = Supervisor::new(Strategy::OneForOne)
        .auto_shutdown(AutoShutdown::AllSignificant)
        .child(worker("a", &starts).significant(significant))
        .child(worker("b", &starts).significant(significant))
        .child(worker("c", &starts));
    let tree = start_supervised(tree.into_child("tree").restart(Restart::Temporary)).await.unwrap();
    let monitor = process::monitor(tree);
    named("b").stop(ExitReason::Normal, 10_000 * MS).await.unwrap();
    refute_receive!(Down { monitor: m, .. } if m == monitor, within: 1_000 * MS);
    named("a").stop(ExitReason::Normal, 10_000 * MS).await.unwrap();
    assert_receive!(Down { monitor: m, reason: ExitReason::Shutdown, .. } if m == monitor, within: 10_000 * MS);
    assert_eq!(process::whereis("c"), None);
}

//! Kills and panics at random over a tree of supervisors, while clients call its workers by name.
//!
//! Goal: afterwards each worker is there, once, under its name and in its place, and answers; nothing is left of the
//! incarnations before. Method: one process picks names by chance and ends who has them in all the ways there are, now and then a
//! whole supervisor. Clients check each reply; a call may fail, but only because its server went.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ibeam::{Metrics, prelude::*};

use crate::common::until;
use crate::scale::{Chance, alone, crash_reports, on_threads, pick};

/// More restarts than there will be: the storm is no reason to give up.
const NO_LIMIT: usize = 1 << 40;
const CLIENTS: u64 = 8;
/// How long the tree is given to stand again.
const PATIENCE: Duration = Duration::from_secs(60);

struct Worker {
    number: u64,
}

#[gen_server]
impl Worker {
    async fn init(number: u64) -> Init<Self> {
        Init::ok(Worker { number })
    }

    /// Who it is, and what it was asked.
    #[call]
    async fn ask(&mut self, question: u64) -> (u64, u64) {
        (self.number, question)
    }

    #[call]
    async fn crash_in_a_call(&mut self) -> u64 {
        panic!("worker {} was asked to", self.number)
    }

    #[cast]
    async fn crash(&mut self) {
        panic!("worker {} was told to", self.number)
    }

    #[cast]
    async fn leave(&mut self, reason: ExitReason) -> Next {
        Next::stop(reason)
    }
}

fn worker_name(number: u64) -> String {
    format!("worker {number}")
}

fn group_name(group: u64) -> String {
    format!("group {group}")
}

fn worker(number: u64) -> ServerRef<Worker> {
    ServerRef::named(worker_name(number))
}

/// One group: its strategy depends on its number.
fn group(group: u64, size: u64) -> Supervisor {
    let strategy = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne][group as usize % 3];
    let workers = (group * size..(group + 1) * size)
        .map(|number| Worker::child(number).id(worker_name(number)).name(worker_name(number)));
    Supervisor::new(strategy)
        .name(group_name(group))
        .intensity(NO_LIMIT, Duration::from_millis(1))
        .children(workers)
}

async fn client(seed: u64, workers: u64, stop: Arc<AtomicBool>, replies: Arc<AtomicU64>) {
    let mut chance = Chance::new(seed);
    while !stop.load(Ordering::Relaxed) {
        let (number, question) = (chance.below(workers as usize) as u64, chance.below(1 << 30) as u64);
        match worker(number).ask(question).timeout(PATIENCE).await {
            Ok(reply) => {
                assert_eq!(reply, (number, question), "the reply of whom was asked");
                replies.fetch_add(1, Ordering::Relaxed);
            }
            Err(CallError::NoProc { .. } | CallError::Exited { .. }) => process::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Ends whoever has the name now, one way or another. `false`: nobody has it.
fn strike(chance: &mut Chance, number: u64) -> bool {
    let Some(pid) = process::whereis(worker_name(number)) else { return false };
    let worker = ServerRef::<Worker>::of(pid);
    match chance.below(7) {
        0 => process::kill(pid),
        1 => process::exit_signal(pid, ExitReason::other("a storm")),
        2 => process::exit_signal(pid, ExitReason::Shutdown),
        3 => worker.crash(),
        4 => worker.leave(ExitReason::Normal),
        5 => worker.leave(ExitReason::other("enough")),
        // Nobody waits for the answer, which will not come.
        _ => drop(ibeam::gen_server::send_request(worker.crash_in_a_call())),
    }
    true
}

#[test]
fn a_tree_stands_after_kills_and_panics_at_random() {
    let _alone = alone();
    let (groups, size, strikes) = pick((15, 20, 6_000_u64), (100, 100, 1_000_000));
    let reports_before = crash_reports();
    on_threads(move || async move {
        let me = process::self_pid();
        let before = Metrics::current().processes;
        let workers = groups * size;
        let children = (0..groups).map(|number| group(number, size).into_child(group_name(number)));
        let tree = Supervisor::new(Strategy::OneForOne)
            .intensity(NO_LIMIT, Duration::from_millis(1))
            .children(children)
            .start_link()
            .await
            .unwrap();
        let (stop, replies) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|seed| process::spawn_link(client(seed, workers, Arc::clone(&stop), Arc::clone(&replies))))
            .collect();

        let mut chance = Chance::new(4711);
        let mut struck = 0;
        while struck < strikes {
            if chance.below(1_000) == 0
                && let Some(group) = process::whereis(group_name(chance.below(groups as usize) as u64))
            {
                process::kill(group);
                struck += 1;
            } else if strike(&mut chance, chance_of(struck, workers)) {
                struck += 1;
            } else {
                process::yield_now().await;
            }
            if struck % 64 == 0 {
                process::yield_now().await;
            }
        }

        stop.store(true, Ordering::Relaxed);
        until(|| !clients.iter().any(|&client| process::list().contains(&client))).await;
        assert!(replies.load(Ordering::Relaxed) > 0, "there was load");

        // Everybody is there again, and answers.
        for number in 0..workers {
            let reply = loop {
                match worker(number).ask(number).wait_for_name().timeout(PATIENCE).await {
                    // One of the last strikes was still under way.
                    Err(CallError::Exited { .. }) => {}
                    reply => break reply,
                }
            };
            assert_eq!(reply, Ok((number, number)));
        }
        // Nobody else is: the tree, the groups, the workers.
        let all = before + (1 + groups + workers) as usize;
        until(|| Metrics::current().processes == all).await;
        for group in tree.which_children().await.unwrap() {
            assert_eq!(group.pid, process::whereis(group.id.as_str()), "{}", group.id);
            let children = SupervisorRef::of(group.pid.unwrap()).which_children().await.unwrap();
            let number: u64 = group.id.as_str().rsplit(' ').next().unwrap().parse().unwrap();
            let expected: Vec<_> = (number * size..(number + 1) * size).rev().map(worker_name).collect();
            let ids: Vec<_> = children.iter().map(|child| child.id.as_str()).collect();
            assert_eq!(ids, expected, "the youngest first");
            for child in children {
                assert_eq!(child.pid, process::whereis(child.id.as_str()), "{}", child.id);
                let info = process::info(child.pid.unwrap()).await.unwrap();
                assert_eq!(
                    (info.links, info.monitored_by),
                    (vec![group.pid.unwrap()], vec![]),
                    "{}",
                    child.id
                );
            }
        }
        assert_eq!(process::registered().len() as u64, groups + workers);

        tree.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
        until(|| Metrics::current().processes == before).await;
        assert_eq!(process::registered(), Vec::<Name>::new());
        let info = process::info(me).await.unwrap();
        assert_eq!((info.links, info.monitors, info.message_queue_len), (vec![], vec![], 0));
    });
    // Two of seven strikes are panics; what ends meanwhile for another reason does not get to them.
    let reports = crash_reports() - reports_before;
    assert!((strikes / 20..strikes).contains(&reports), "{reports} reports of {strikes} strikes");
}

/// Everybody's turn comes, in an order without a pattern.
fn chance_of(struck: u64, workers: u64) -> u64 {
    struck.wrapping_mul(0x9e37_79b9_7f4a_7c15) % workers
}

//! The table of processes, and turns by priority: rows OTP-PS-13 to 16.

mod common;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};

use common::{Driver, down, idle, next, on_each_driver, on_each_driver_with, on_threads_with};
use ibeam_runtime::process::{self, Call};
use ibeam_runtime::{Down, ExitReason, Pid, Priority, Runtime};

/// As many busy processes of normal as of low priority, until the normal ones together have had `turns`.
async fn turns_by_priority(turns: u64) -> (u64, u64) {
    let (normal, low) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let me = process::self_pid();
    let mut started = Vec::new();
    for number in 0..8 {
        let (normal, low, stop) = (Arc::clone(&normal), Arc::clone(&low), Arc::clone(&stop));
        let priority = if number % 2 == 0 { Priority::Normal } else { Priority::Low };
        let (_, monitor) = process::builder().priority(priority).spawn_monitor(async move {
            while !stop.load(SeqCst) {
                match priority {
                    Priority::Low => _ = low.fetch_add(1, SeqCst),
                    _ if normal.fetch_add(1, SeqCst) + 1 == turns => me.send((turns, low.load(SeqCst))),
                    _ => {}
                }
                process::yield_now().await;
            }
        });
        started.push(monitor.reference());
    }
    let counted = next().await;
    stop.store(true, SeqCst);
    for monitor in started {
        assert_eq!(down(monitor).await.reason, ExitReason::Normal);
    }
    counted
}

/// On one worker, and no spare that could take over: the row is about processes that share one thread. Counted by turns, not by seconds, so that a slow
/// machine tells the same; the normal ones get as many as they get in a part of the row's two seconds.
#[test]
fn otp_ps_13_low_priority_gets_about_an_eighth_of_the_turns_of_normal() {
    fn check(driver: Driver, (normal, low): (u64, u64)) {
        assert!((normal / 16..=normal / 4).contains(&low), "{driver}: {low} turns beside {normal}");
    }
    on_threads_with(Runtime::builder().workers(1).spare_threads(0), || async {
        check(Driver::Threads, turns_by_priority(100_000).await);
    });
    on_each_driver(|driver| async move {
        // With two workers the shares are the machine's own affair; that nobody starves is ours.
        let (normal, low) = turns_by_priority(driver.rounds(100_000, 4_000) as u64).await;
        if driver.is_threads() {
            assert!(low > 0, "{low} turns beside {normal}");
        } else {
            check(driver, (normal, low));
        }
    });
}

#[test]
fn otp_ps_14_the_list_holds_who_lives_all_the_while_and_nobody_who_does_not() {
    on_each_driver(|driver| async move {
        let (long, rounds) = (driver.rounds(1_000, 50), driver.rounds(100, 20));
        let live: Vec<Pid> = (0..long).map(|_| process::spawn(idle())).collect();
        // Others come and go all the time.
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..3 {
            let stop = Arc::clone(&stop);
            process::spawn(async move {
                while !stop.load(SeqCst) {
                    for _ in 0..20 {
                        process::spawn(async { process::yield_now().await });
                    }
                    process::yield_now().await;
                }
            });
        }
        let mut live: HashSet<Pid> = live.into_iter().collect();
        let mut ended: HashSet<Pid> = HashSet::new();
        for round in 0..rounds {
            let list = process::list();
            let later = process::spawn(idle());
            let listed: HashSet<Pid> = list.iter().copied().collect();
            assert_eq!(listed.len(), list.len(), "no duplicates");
            assert!(listed.is_superset(&live), "{} that live are missing", live.difference(&listed).count());
            assert!(listed.is_disjoint(&ended), "some had ended before");
            assert!(!listed.contains(&later), "it has begun after the list was made");
            assert!(listed.contains(&process::self_pid()));
            live.insert(later);
            // Some of the long-lived ones end: from the notice on they are not to be listed.
            let victims: Vec<Pid> = live.iter().copied().take(1 + round % 3).collect();
            for pid in victims {
                let monitor = process::monitor(pid);
                process::kill(pid);
                assert_eq!(down(monitor).await.reason, ExitReason::Killed);
                live.remove(&pid);
                ended.insert(pid);
            }
        }
        stop.store(true, SeqCst);
    });
}

struct Poke;

#[test]
fn otp_ps_15_a_message_to_a_newborn_out_of_the_list_is_not_lost() {
    on_each_driver(|driver| async move {
        let infants = driver.rounds(2_000, 60);
        let me = process::self_pid();
        let others: HashSet<Pid> = process::list().into_iter().collect();
        let spawner = process::spawn(async move {
            let mut born = Vec::new();
            while born.len() < infants {
                // Each counts what it gets until it is asked.
                born.push(process::spawn(async {
                    let mut pokes = 0_usize;
                    loop {
                        match process::recv().await.take_call::<(), usize>() {
                            Ok((_, from)) => {
                                from.reply(pokes);
                                return;
                            }
                            Err(message) => message.downcast::<Poke>().map(|Poke| pokes += 1).unwrap(),
                        }
                    }
                }));
                if born.len() == 20 {
                    // Until somebody was found.
                    next::<()>().await;
                } else if born.len() % 20 == 0 {
                    process::yield_now().await;
                }
            }
            me.send(born);
        });
        let mut sent: HashMap<Pid, usize> = HashMap::new();
        let born: Vec<Pid> = loop {
            for pid in process::list() {
                if !others.contains(&pid) && pid != spawner {
                    pid.try_send(Poke).expect("a listed process is there");
                    if sent.is_empty() {
                        spawner.send(());
                    }
                    *sent.entry(pid).or_default() += 1;
                }
            }
            process::yield_now().await;
            if let Some(message) = process::try_recv() {
                break message.downcast().unwrap();
            }
        };
        for pid in born {
            let got = Call::<(), usize>::new(pid, ()).await.unwrap();
            assert_eq!(got, sent.remove(&pid).unwrap_or(0));
        }
        assert!(sent.is_empty(), "somebody unknown was listed: {sent:?}");
    });
}

/// The row spawns for minutes. A pid here is a slot and the number of the process in its slot (of 38 bits: a slot that
/// gets a new process each microsecond repeats a pid after three days); what can go wrong shows with the first reuses.
#[test]
fn otp_ps_16_a_pid_is_not_used_again() {
    on_each_driver_with(
        || Runtime::builder().max_processes(200),
        |driver| async move {
            let (dead, monitor) = process::spawn_monitor(async {});
            down(monitor).await;
            let mut seen = HashSet::from([dead]);
            for round in 0..driver.rounds(2_000, 30) {
                let mut batch = HashSet::new();
                for _ in 0..50 {
                    let (pid, monitor) = process::spawn_monitor(async {});
                    assert!(seen.insert(pid), "{pid} comes for the second time, round {round}");
                    batch.insert(monitor);
                }
                while !batch.is_empty() {
                    assert!(batch.remove(&next::<Down>().await.monitor));
                }
                assert!(process::info(dead).await.is_none());
                assert!(dead.try_send("nobody").is_err());
            }
            // There were not as many slots as processes: the slots were reused, the pids were not.
            assert!(seen.len() > 200, "{}", seen.len());
        },
    );
}

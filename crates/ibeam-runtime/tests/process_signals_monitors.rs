//! Monitors: rows OTP-PS-24, 26, 34, 35, 38, 40, 41 and 48.

mod common;

use std::time::Duration;

use common::{at_hand, down, end_of, idle, next, nothing_comes, on_each_driver, on_every_driver};
use ibeam_runtime::process::{self, monitor_builder};
use ibeam_runtime::{Down, Exit, ExitReason, Pid, Reference, TaggedDown, Target};

/// Ends with the reason that it is sent.
async fn ends_as_told() -> ExitReason {
    next().await
}

fn down_of(monitor: Reference, target: impl Into<Target>, reason: ExitReason) -> Down {
    Down { monitor, target: target.into(), reason }
}

#[derive(Clone, Debug, PartialEq)]
struct Tag {
    name: String,
    numbers: Vec<u32>,
}

#[test]
fn otp_ps_24_a_tag_stands_in_the_place_of_down() {
    async fn check<T: Clone + std::fmt::Debug + PartialEq + Send + 'static>(tag: T) {
        for reason in [ExitReason::Normal, ExitReason::shutdown_with(vec!["structured"])] {
            // The target exits.
            let target = process::spawn(ends_as_told());
            let monitor = monitor_builder(target).tag(tag.clone()).start();
            assert_eq!(monitor.alias(), None);
            target.send(reason.clone());
            let down = down_of(monitor.reference(), target, reason.clone());
            assert_eq!(next::<TaggedDown<T>>().await, TaggedDown { tag: tag.clone(), down });

            // It is dead already.
            let monitor = monitor_builder(target).tag(tag.clone()).start();
            let down = down_of(monitor.reference(), target, ExitReason::NoProc);
            assert_eq!(next::<TaggedDown<T>>().await, TaggedDown { tag: tag.clone(), down });

            // It is spawned with the monitor.
            let (target, monitor) = process::builder().monitor_tag(tag.clone()).spawn_monitor(ends_as_told());
            target.send(reason.clone());
            let down = down_of(monitor.reference(), target, reason.clone());
            assert_eq!(next::<TaggedDown<T>>().await, TaggedDown { tag: tag.clone(), down });

            // It is known by its name.
            let target = process::builder().name("otp_ps_24").spawn(ends_as_told());
            let monitor = monitor_builder("otp_ps_24").tag(tag.clone()).start();
            target.send(reason.clone());
            let down = down_of(monitor.reference(), "otp_ps_24", reason.clone());
            assert_eq!(next::<TaggedDown<T>>().await, TaggedDown { tag: tag.clone(), down });
        }
        // Taken back, it does not come; with the flush it is left where it is once it has come.
        let target = process::spawn(ends_as_told());
        let monitor = monitor_builder(target).tag(tag.clone()).start();
        assert!(process::demonitor(monitor.reference()));
        target.send(ExitReason::Normal);
        assert!([ExitReason::Normal, ExitReason::NoProc].contains(&end_of(target).await));
        assert!(process::try_recv().is_none());
        let monitor = monitor_builder(target).tag(tag.clone()).start();
        assert!(!process::demonitor_flush(monitor.reference()));
        assert_eq!(at_hand::<TaggedDown<T>>().down.monitor, monitor.reference());
    }
    on_every_driver(|| async {
        check("simple").await;
        check(Tag { name: "structured".to_owned(), numbers: (0..100).collect() }).await;
    });
}

#[test]
fn otp_ps_26_two_messages_come_before_the_notice_of_their_senders_end() {
    on_each_driver(|driver| async move {
        let me = process::self_pid();
        for senders in [1, 20] {
            for round in 0..driver.rounds(1000 / senders, 20 / senders) {
                let mut started = Vec::new();
                for _ in 0..senders {
                    started.push(process::spawn_monitor(async move {
                        let pid = process::self_pid();
                        me.send((pid, 0_u8));
                        if round % 2 == 0 {
                            process::yield_now().await;
                        }
                        me.send((pid, 1_u8));
                    }));
                }
                // How many messages each has sent by now.
                let mut seen = vec![0_u8; senders];
                while !started.is_empty() {
                    let message = process::recv().await;
                    match message.downcast::<(Pid, u8)>() {
                        Ok((pid, number)) => {
                            let at = started.iter().position(|(sender, _)| *sender == pid).expect("it lives");
                            assert_eq!(number, seen[at], "its messages come in order");
                            seen[at] += 1;
                        }
                        Err(other) => {
                            let down = other.downcast::<Down>().unwrap();
                            let at =
                                started.iter().position(|(_, monitor)| *monitor == down.monitor).unwrap();
                            assert_eq!((seen[at], &down.reason), (2, &ExitReason::Normal));
                            assert_eq!(down.target, Target::Pid(started[at].0));
                            started.swap_remove(at);
                            seen.swap_remove(at);
                        }
                    }
                }
                assert!(process::try_recv().is_none());
            }
        }
    });
}

#[test]
fn otp_ps_34_demonitor_with_the_reference_of_another_has_no_effect() {
    on_every_driver(|| async {
        let (pid, monitor) = process::spawn_monitor(async {
            let theirs: Reference = next().await;
            // OTP's `demonitor/1` is always true; here the answer is whether there was such a monitor.
            assert!(!process::demonitor(theirs));
            assert!(!process::demonitor_flush(theirs));
            process::exit(ExitReason::shutdown_with("after demonitor"));
        });
        pid.send(monitor);
        assert_eq!(next::<Down>().await, down_of(monitor, pid, ExitReason::shutdown_with("after demonitor")));

        // A third one, who neither watches nor is watched.
        let (pid, monitor) = process::spawn_monitor(ends_as_told());
        let third = process::spawn_monitor(async move { assert!(!process::demonitor(monitor)) });
        assert_eq!(down(third.1).await.reason, ExitReason::Normal);
        pid.send(ExitReason::Shutdown);
        assert_eq!(next::<Down>().await, down_of(monitor, pid, ExitReason::Shutdown));
    });
}

#[test]
fn otp_ps_35_demonitor_twice_and_of_what_is_no_monitor_does_nothing() {
    on_each_driver(|driver| async move {
        let unknown = process::make_ref();
        let oneself = process::monitor(process::self_pid());
        let target = process::spawn(ends_as_told());
        let live = process::monitor(target);
        for (number, reference) in [unknown, oneself, live].into_iter().enumerate() {
            for time in 0..2 {
                let was_one = process::demonitor(reference);
                assert_eq!(was_one, number == 2 && time == 0, "reference {number}, time {time}");
                assert!(!process::demonitor_flush(reference));
            }
        }
        target.send(ExitReason::Shutdown);
        // Watched anew, to know when it has ended; the old monitors say nothing.
        assert!([ExitReason::Shutdown, ExitReason::NoProc].contains(&end_of(target).await));
        nothing_comes(driver.window(Duration::from_millis(100))).await;
        assert!(!process::demonitor(live));
    });
}

#[test]
fn otp_ps_38_the_notice_names_the_target_as_it_was_asked_for() {
    on_every_driver(|| async {
        for reason in [ExitReason::Normal, ExitReason::other("abnormal"), ExitReason::other(vec![(1, "x")])] {
            // By pid: alive, and dead.
            let pid = process::spawn(ends_as_told());
            let monitor = process::monitor(pid);
            pid.send(reason.clone());
            assert_eq!(next::<Down>().await, down_of(monitor, pid, reason.clone()));
            let monitor = process::monitor(pid);
            assert_eq!(at_hand::<Down>(), down_of(monitor, pid, ExitReason::NoProc));

            // By name: alive, and nobody.
            let pid = process::builder().name("otp_ps_38").spawn(ends_as_told());
            let monitor = process::monitor("otp_ps_38");
            let by_pid = process::monitor(pid);
            pid.send(reason.clone());
            assert_eq!(next::<Down>().await, down_of(monitor, "otp_ps_38", reason.clone()));
            assert_eq!(next::<Down>().await, down_of(by_pid, pid, reason.clone()));
            let monitor = process::monitor("otp_ps_38");
            assert_eq!(at_hand::<Down>(), down_of(monitor, "otp_ps_38", ExitReason::NoProc));

            // The monitor stays with the process when the name goes to another one.
            let first = process::builder().name("otp_ps_38").spawn(ends_as_told());
            let monitor = process::monitor("otp_ps_38");
            process::unregister("otp_ps_38").unwrap();
            let second = process::builder().name("otp_ps_38").spawn(ends_as_told());
            let of_second = process::monitor(second);
            second.send(ExitReason::Shutdown);
            assert_eq!(next::<Down>().await, down_of(of_second, second, ExitReason::Shutdown));
            first.send(reason.clone());
            assert_eq!(next::<Down>().await, down_of(monitor, "otp_ps_38", reason));
        }
        assert!(process::try_recv().is_none());
    });
}

#[test]
fn otp_ps_40_down_carries_a_structured_reason_exactly() {
    #[derive(Clone, Debug, PartialEq)]
    enum Tree {
        Leaf(u64, String),
        Node(Vec<Tree>),
    }
    fn tree(depth: u64) -> Tree {
        match depth {
            0 => Tree::Leaf(7, "leaf".to_owned()),
            _ => Tree::Node(vec![tree(depth - 1), Tree::Leaf(depth, depth.to_string()), tree(depth - 1)]),
        }
    }
    on_each_driver(|driver| async move {
        for round in 0..driver.rounds(100, 5) {
            let value = (round, tree(6));
            let reason = ExitReason::shutdown_with(value.clone());
            let (pid, monitor) = process::spawn_monitor(async move { process::exit(reason) });
            let down: Down = next().await;
            assert_eq!((down.monitor, down.target), (monitor, Target::Pid(pid)));
            assert_eq!(down.reason.downcast_ref(), Some(&value));
        }
    });
}

/// Which processes this one monitors and which monitor it, as inspection says; order does not matter.
async fn lists(pid: Pid) -> (Vec<Target>, Vec<Pid>) {
    let mut info = process::info(pid).await.expect("a live process");
    info.monitors.sort_by_key(|target| format!("{target:?}"));
    info.monitored_by.sort_unstable();
    (info.monitors, info.monitored_by)
}

/// Monitors and stops doing so as it is told to, and says when it has.
enum Order {
    Monitor(Target),
    Demonitor(Target),
    Leave,
}

async fn follower() {
    let mut monitors: Vec<(Target, Reference)> = Vec::new();
    loop {
        let message = process::recv().await;
        let (order, from) = match message.take_call::<Order, ()>() {
            Ok(call) => call,
            Err(notice) => {
                let down = notice.downcast::<Down>().unwrap();
                monitors.retain(|(_, monitor)| *monitor != down.monitor);
                continue;
            }
        };
        match order {
            Order::Monitor(target) => monitors.push((target.clone(), process::monitor(target))),
            Order::Demonitor(target) => {
                let at = monitors.iter().position(|(other, _)| *other == target).expect("it is monitored");
                assert!(process::demonitor(monitors.remove(at).1));
            }
            Order::Leave => return,
        }
        from.reply(());
    }
}

async fn tell(pid: Pid, order: Order) {
    let _ = process::Call::<Order, ()>::new(pid, order).await;
}

#[test]
fn otp_ps_41_the_lists_show_exactly_the_live_monitors_at_every_step() {
    on_every_driver(|| async {
        let by_name = Target::from("otp_ps_41");
        let (a, b) = (process::spawn(follower()), process::builder().name("otp_ps_41").spawn(follower()));
        let none = || (Vec::<Target>::new(), Vec::<Pid>::new());
        assert_eq!((lists(a).await, lists(b).await), (none(), none()));

        // One after the other, in both directions, by pid and by name, and several of one kind.
        tell(a, Order::Monitor(b.into())).await;
        assert_eq!((lists(a).await, lists(b).await), ((vec![b.into()], vec![]), (vec![], vec![a])));
        tell(a, Order::Monitor(by_name.clone())).await;
        let name_first = {
            let mut both = vec![by_name.clone(), Target::from(b)];
            both.sort_by_key(|target| format!("{target:?}"));
            both
        };
        assert_eq!((lists(a).await, lists(b).await), ((name_first.clone(), vec![]), (vec![], vec![a, a])));
        tell(b, Order::Monitor(a.into())).await;
        tell(b, Order::Monitor(a.into())).await;
        assert_eq!(lists(a).await, (name_first.clone(), vec![b, b]));
        assert_eq!(lists(b).await, (vec![a.into(), a.into()], vec![a, a]));

        // Taken back, one after the other.
        tell(a, Order::Demonitor(by_name.clone())).await;
        assert_eq!((lists(a).await.0, lists(b).await.1), (vec![b.into()], vec![a]));
        tell(a, Order::Demonitor(b.into())).await;
        tell(b, Order::Demonitor(a.into())).await;
        assert_eq!((lists(a).await, lists(b).await), ((vec![], vec![b]), (vec![a.into()], vec![])));
        tell(b, Order::Demonitor(a.into())).await;
        assert_eq!((lists(a).await, lists(b).await), (none(), none()));

        // They fire.
        for _ in 0..3 {
            tell(a, Order::Monitor(by_name.clone())).await;
        }
        let end = process::monitor(b);
        assert_eq!((lists(a).await.0.len(), lists(b).await.1.len()), (3, 4));
        tell(b, Order::Leave).await;
        assert_eq!(down(end).await.reason, ExitReason::Normal);
        assert_eq!(lists(a).await, none());

        // The monitoring side crashes. Who knows of its end finds it in no list.
        let targets: Vec<Pid> = (0..5).map(|_| process::spawn(follower())).collect();
        for reason in [ExitReason::Kill, ExitReason::Shutdown] {
            let (watcher, end) = process::spawn_monitor(follower());
            for target in &targets {
                tell(watcher, Order::Monitor((*target).into())).await;
                tell(*target, Order::Monitor(watcher.into())).await;
            }
            for target in &targets {
                assert_eq!(lists(*target).await, (vec![watcher.into()], vec![watcher]));
            }
            process::exit_signal(watcher, reason);
            down(end).await;
            for target in &targets {
                assert_eq!(lists(*target).await, none());
            }
        }
    });
}

/// The model of a mix of many: who monitors whom, how often. Chosen by the round's number, so that a failure says which.
#[test]
fn otp_ps_41_the_lists_stay_true_in_a_mix_of_many() {
    on_each_driver(|driver| async move {
        const PROCESSES: usize = 6;
        let pids: Vec<Pid> = (0..PROCESSES)
            .map(|number| process::builder().name(format!("otp_ps_41_{number}")).spawn(follower()))
            .collect();
        let mut alive = [true; PROCESSES];
        let mut model: Vec<(usize, usize, Target)> = Vec::new();
        let mut random = 0x9E37_79B9_u64;
        let mut below = |limit: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % limit
        };
        for round in 0..driver.rounds(150, 40) {
            let (from, to) = (below(PROCESSES), below(PROCESSES));
            let choice = below(8);
            if alive[from] && from != to {
                if choice < 5 && alive[to] {
                    let by_name = choice % 2 == 0;
                    let target = if by_name {
                        Target::from(format!("otp_ps_41_{to}"))
                    } else {
                        Target::from(pids[to])
                    };
                    tell(pids[from], Order::Monitor(target.clone())).await;
                    model.push((from, to, target));
                } else if choice < 7
                    && let Some(at) = model.iter().position(|(watcher, _, _)| *watcher == from)
                {
                    let (_, _, target) = model.remove(at);
                    tell(pids[from], Order::Demonitor(target)).await;
                } else if choice == 7 && alive.iter().filter(|alive| **alive).count() > 2 {
                    let end = process::monitor(pids[from]);
                    process::kill(pids[from]);
                    assert_eq!(down(end).await.reason, ExitReason::Killed);
                    alive[from] = false;
                    model.retain(|(watcher, watched, _)| *watcher != from && *watched != from);
                }
            }
            for number in (0..PROCESSES).filter(|number| alive[*number]) {
                let mut monitors: Vec<Target> =
                    model.iter().filter(|entry| entry.0 == number).map(|entry| entry.2.clone()).collect();
                monitors.sort_by_key(|target| format!("{target:?}"));
                let mut watchers: Vec<Pid> =
                    model.iter().filter(|entry| entry.1 == number).map(|entry| pids[entry.0]).collect();
                watchers.sort_unstable();
                assert_eq!(
                    lists(pids[number]).await,
                    (monitors, watchers),
                    "process {number}, round {round}"
                );
            }
        }
    });
}

#[test]
fn otp_ps_48_no_notice_is_added_once_demonitor_has_returned() {
    on_each_driver(|driver| async move {
        for round in 0..driver.rounds(400, 30) {
            let target = process::spawn(idle());
            let monitor = process::monitor(target);
            if round % 3 == 0 {
                // A third one sends the signal, beside us.
                process::spawn(async move { process::exit_signal(target, ExitReason::Shutdown) });
                for _ in 0..round % 7 {
                    process::yield_now().await;
                }
            } else {
                process::exit_signal(target, ExitReason::Shutdown);
                for _ in 0..round % 4 {
                    process::yield_now().await;
                }
            }
            let was_in_force = process::demonitor(monitor);
            // What is there now is all there will ever be: nothing, or the one notice.
            let there = process::info(process::self_pid()).await.unwrap().message_queue_len;
            assert_eq!(there, usize::from(!was_in_force), "round {round}");
            let end = process::monitor(target);
            if !was_in_force {
                assert_eq!(next::<Down>().await, down_of(monitor, target, ExitReason::Shutdown));
            }
            let last: Down = next().await;
            assert_eq!(last.monitor, end);
            assert!(process::try_recv().is_none());
        }
        nothing_comes(driver.window(Duration::from_millis(100))).await;
    });
}

/// With the flush, nothing is left, whichever came first.
#[test]
fn otp_ps_48_with_the_flush_no_notice_is_left() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        for round in 0..driver.rounds(300, 30) {
            let target = process::spawn_link(idle());
            let monitor = process::monitor(target);
            process::exit_signal(target, ExitReason::Shutdown);
            if round % 2 == 0 {
                next::<Exit>().await;
            }
            for _ in 0..round % 4 {
                process::yield_now().await;
            }
            process::demonitor_flush(monitor);
            if round % 2 == 1 {
                next::<Exit>().await;
            }
            assert!(process::try_recv().is_none(), "round {round}");
        }
    });
}

//! What one process can see of others, names and flags: rows OTP-PS-06 to 12.

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::{down, end_of, first, idle, next, on_each_driver, on_every_driver};
use ibeam_runtime::process::{self, Call, Key, Status, receive_with};
use ibeam_runtime::{Destination, ExitReason, NameError, Pid, Priority, Target};

#[test]
fn otp_ps_06_a_dead_pid_and_an_empty_name_are_not_registered() {
    on_every_driver(|| async {
        let (dead, monitor) = process::spawn_monitor(async {});
        down(monitor).await;
        assert_eq!(process::register("otp_ps_06", dead), Err(NameError::NoProc { pid: dead }));
        assert_eq!(process::whereis("otp_ps_06"), None);
        assert!(!process::registered().iter().any(|name| *name == "otp_ps_06"));
        assert_eq!(process::register("", process::self_pid()), Err(NameError::Empty));
        assert_eq!((process::name(), process::whereis("")), (None, None));

        // A message to the name is an error of the sender's, with the message; to the dead pid it is silent.
        let error = Destination::from("otp_ps_06").send("lost").unwrap_err();
        assert_eq!(error.destination, Destination::from("otp_ps_06"));
        assert_eq!(error.into_inner(), "lost");
        dead.send("lost");
        assert!(Destination::from(dead).send("lost").is_ok());

        // A failed attempt leaves nothing that stands in the way of a later one, for name or process.
        process::register("otp_ps_06", process::self_pid()).unwrap();
        Destination::from("otp_ps_06").send("found").unwrap();
        assert_eq!(next::<&str>().await, "found");
        process::unregister("otp_ps_06").unwrap();
        let error = Destination::from("otp_ps_06").send(7_u32).unwrap_err();
        assert_eq!(error.into_inner(), 7);
    });
}

#[test]
fn otp_ps_07_flags_are_typed_and_say_their_former_value() {
    on_every_driver(|| async {
        let info = || async { process::info(process::self_pid()).await.unwrap() };
        assert!(!process::trap_exit(true));
        assert!(info().await.trap_exit);
        assert!(process::trap_exit(true));
        assert!(process::trap_exit(false));
        assert!(!info().await.trap_exit);
        let mut former = Priority::Normal;
        for priority in [Priority::High, Priority::Max, Priority::Low, Priority::Normal] {
            assert_eq!(process::set_priority(priority), former);
            assert_eq!(info().await.priority, priority);
            former = priority;
        }
        assert_eq!(process::set_activity(Some("testing")), None);
        assert_eq!(info().await.activity, Some("testing"));
        assert_eq!(process::set_activity(None), Some("testing"));
        assert_eq!(info().await.activity, None);
    });
    // A flag is a process' own: elsewhere setting one is an error that names it.
    let set: [(&str, fn()); 3] = [
        ("trap_exit", || _ = process::trap_exit(true)),
        ("set_priority", || _ = process::set_priority(Priority::Low)),
        ("set_label", || process::set_label("label")),
    ];
    for (name, set) in set {
        let payload = std::panic::catch_unwind(set).unwrap_err();
        let message = payload.downcast_ref::<String>().unwrap();
        assert!(message.starts_with(&format!("`{name}` needs a process")), "{message}");
    }
}

const COLOUR: Key<&str> = Key::new("colour");

#[test]
fn otp_ps_08_absent_values_have_a_defined_answer_and_a_dead_pid_has_none() {
    on_every_driver(|| async {
        let pid = process::spawn(idle());
        let info = process::info(pid).await.unwrap();
        assert_eq!((info.pid, info.parent), (pid, Some(process::self_pid())));
        assert_eq!((info.name, info.label, info.activity), (None, None, None));
        assert_eq!((info.links, info.monitors, info.monitored_by), (vec![], vec![], vec![]));
        assert_eq!((info.dictionary_keys, info.callers, info.mailbox_limit), (vec![], vec![], None));
        assert_eq!((info.message_queue_len, info.trap_exit, info.priority), (0, false, Priority::Normal));
        assert!(info.memory_bytes >= 128 && info.initial_call.contains("idle"), "{}", info.initial_call);

        // The root has no parent: here the process of the harness, of which this one is the child.
        let root = process::parent().expect("the harness has spawned this process");
        assert_eq!(process::info(root).await.unwrap().parent, None);
        assert_eq!(process::info(root).await.unwrap().ancestors, []);

        // The same, with values, from outside and by itself.
        let label = "otp_ps_08 label";
        let pid = process::builder()
            .name("otp_ps_08")
            .label(label)
            .callers([process::self_pid()])
            .priority(Priority::High)
            .mailbox(10, ibeam_runtime::Overflow::Reject)
            .trap_exit()
            .link()
            .spawn(async {
                process::put(COLOUR, "blue");
                process::set_activity(Some("waiting"));
                let asks: Pid = next().await;
                process::monitor(asks);
                asks.send(process::info(process::self_pid()).await.unwrap());
                idle().await;
            });
        process::trap_exit(true);
        pid.send(process::self_pid());
        let by_itself: process::ProcessInfo = next().await;
        let from_outside = process::info(pid).await.unwrap();
        for (info, status) in [(by_itself, Status::Running), (from_outside, Status::Waiting)] {
            assert_eq!((info.pid, info.status), (pid, status));
            assert_eq!(info.name.as_ref().map(process::Name::as_str), Some("otp_ps_08"));
            assert_eq!((info.label.as_deref(), info.activity), (Some(label), Some("waiting")));
            assert_eq!((info.parent, info.callers), (Some(process::self_pid()), vec![process::self_pid()]));
            assert_eq!(info.links, [process::self_pid()]);
            assert_eq!(info.monitors, [Target::Pid(process::self_pid())]);
            assert_eq!(info.dictionary_keys, ["colour"]);
            assert_eq!((info.trap_exit, info.priority, info.mailbox_limit), (true, Priority::High, Some(10)));
            assert!(info.reductions > 0);
        }
        process::kill(pid);
        end_of(pid).await;
        assert!(process::info(pid).await.is_none());
    });
}

/// A question is ordered after messages: what the asker sent before stands in the mailbox, or has had its effect. (On
/// OTP 25 too the question overtakes the *handling* of the message, never the message: 2,000 times out of 2,000.)
#[test]
fn otp_ps_08_a_question_comes_after_the_askers_messages() {
    on_each_driver(|driver| async move {
        for round in 0..driver.rounds(500, 30) {
            let pid = process::spawn(async {
                loop {
                    match next::<Option<&str>>().await {
                        Some(colour) => drop(process::put(COLOUR, colour)),
                        None => drop(process::take(COLOUR)),
                    }
                }
            });
            if round % 2 == 0 {
                process::yield_now().await;
            }
            pid.send(Some("blue"));
            let info = process::info(pid).await.unwrap();
            let handled = info.dictionary_keys == ["colour"];
            assert_eq!(info.message_queue_len, usize::from(!handled));
            // Its answer is sent when it has seen the message: the next question comes after the handling.
            let info = process::info(pid).await.unwrap();
            assert_eq!((info.message_queue_len, info.dictionary_keys.len()), (0, 1), "round {round}");
            process::kill(pid);
        }
    });
}

/// The states in which the process of the next test can be while it has this label, in the order in which it takes
/// them: does it trap exits, how many monitors and how many values has it?
fn states(number: usize) -> Vec<(bool, usize, usize)> {
    let (former, odd) = ((number + 3) % 4, |number: usize| number % 2 == 1);
    let values = |number| usize::from(number > 0);
    let mut states = vec![(odd(former), former, values(former))];
    states.extend((0..=former).rev().map(|monitors| (odd(number), monitors, values(former))));
    states.extend((0..=number).map(|monitors| (odd(number), monitors, values(former))));
    states.push((odd(number), number, values(number)));
    states
}

#[test]
fn otp_ps_09_all_that_one_answer_says_was_true_at_one_moment() {
    on_each_driver(|driver| async move {
        let stop = Arc::new(AtomicBool::new(false));
        let pid = process::spawn({
            let stop = Arc::clone(&stop);
            async move {
                // One change after the other; questions may be answered between any two.
                let mut number = 0_usize;
                let mut monitors = Vec::new();
                let parent = process::parent().unwrap();
                while !stop.load(SeqCst) {
                    number = (number + 1) % 4;
                    process::set_label(number.to_string());
                    process::trap_exit(number % 2 == 1);
                    monitors.drain(..).for_each(|monitor| assert!(process::demonitor(monitor)));
                    monitors.extend((0..number).map(|_| process::monitor(parent)));
                    if number == 0 {
                        process::take(COLOUR);
                    } else {
                        process::put(COLOUR, "blue");
                    }
                    process::self_pid().send(number);
                    process::yield_now().await;
                    assert_eq!(next::<usize>().await, number);
                }
            }
        });
        let mut seen = [false; 4];
        let mut rounds = 0;
        while rounds < driver.rounds(300, 20) || seen.contains(&false) {
            rounds += 1;
            assert!(rounds < 10_000, "only {seen:?} of four states were seen");
            let info = process::info(pid).await.unwrap();
            let Some(label) = info.label else { continue };
            let number: usize = label.parse().unwrap();
            let state = (info.trap_exit, info.monitors.len(), info.dictionary_keys.len());
            assert!(states(number).contains(&state), "{number}: {state:?}");
            seen[number] = true;
            // Not in step with it.
            for _ in 0..rounds % 5 {
                process::yield_now().await;
            }
        }
        stop.store(true, SeqCst);
        assert!([ExitReason::Normal, ExitReason::NoProc].contains(&end_of(pid).await));
    });
}

#[test]
fn otp_ps_10_serving_an_inspection_does_not_count_as_running() {
    on_each_driver(|driver| async move {
        let waits = [
            process::spawn(async { drop(process::recv().await) }),
            process::spawn(async { _ = next::<u64>().await }),
            process::spawn(async {
                receive_with(|m| m.arm(Ok::<u64, u64>)).after(Duration::from_secs(3600)).await;
            }),
            process::spawn(process::sleep(Duration::from_secs(3600))),
            process::spawn(idle()),
        ];
        for pid in waits {
            common::until_it_waits(pid).await;
            // By callers of each priority, with all that makes it work for the answer.
            for priority in [Priority::Low, Priority::Normal, Priority::High, Priority::Max] {
                process::set_priority(priority);
                for _ in 0..driver.rounds(50, 5) {
                    let info = process::info(pid).await.unwrap();
                    assert_eq!((info.status, info.message_queue_len), (Status::Waiting, 0), "{priority}");
                }
            }
            process::set_priority(Priority::Normal);
            // Several questions at once.
            let askers: Vec<_> = (0..5)
                .map(|_| {
                    process::spawn_monitor(async move {
                        assert_eq!(process::info(pid).await.unwrap().status, Status::Waiting);
                    })
                })
                .collect();
            for (_, monitor) in askers {
                assert_eq!(down(monitor).await.reason, ExitReason::Normal);
            }
        }
        let hibernates = process::spawn(process::hibernate());
        common::until_it_waits(hibernates).await;
        assert_eq!(process::info(hibernates).await.unwrap().status, Status::Hibernating);
    });
}

/// Sends all kinds of signals until it is ended.
async fn floods(pid: Pid) {
    loop {
        process::link(pid);
        let monitor = process::monitor(pid);
        process::unlink(pid);
        process::demonitor(monitor);
        drop(process::info(pid).await);
    }
}

#[test]
fn otp_ps_11_a_message_to_oneself_is_seen_at_once_under_a_flood_of_signals() {
    on_each_driver(|driver| async move {
        let me = process::self_pid();
        let flood: Vec<Pid> = (0..4).map(|_| process::spawn(floods(me))).collect();
        for round in 0..driver.rounds(500, 30) {
            let count = round % 4;
            for number in 0..count {
                me.send(number);
            }
            let info = process::info(me).await.unwrap();
            assert_eq!((info.message_queue_len, info.status), (count, Status::Running));
            // The length and what is there agree: OTP's list of messages is what can be taken.
            for number in 0..count {
                assert_eq!(common::at_hand::<usize>(), number);
                assert_eq!(process::info(me).await.unwrap().message_queue_len, count - number - 1);
            }
            assert!(process::try_recv().is_none());
            process::yield_now().await;
        }
        flood.into_iter().for_each(process::kill);
    });
}

#[test]
fn otp_ps_12_a_message_is_counted_though_its_receiver_does_not_run() {
    on_each_driver(|driver| async move {
        let receivers = [
            process::spawn(idle()),
            process::spawn(async { _ = first::<u64>().await }),
            process::spawn(process::sleep(Duration::from_secs(3600))),
        ];
        for pid in receivers {
            common::until_it_waits(pid).await;
            let turns = process::info(pid).await.unwrap().reductions;
            pid.send("one");
            process::sleep(driver.window(Duration::from_millis(100))).await;
            let info = process::info(pid).await.unwrap();
            assert_eq!((info.message_queue_len, info.status), (1, Status::Waiting));
            assert!(
                info.reductions <= turns + 4,
                "{} turns, for a message that it does not want",
                info.reductions - turns
            );
        }
        // One that has not run at all.
        let pid = process::builder().priority(Priority::Low).spawn(idle());
        pid.send("one");
        assert_eq!(process::info(pid).await.unwrap().message_queue_len, 1);
        let _: Result<(), _> = Call::new(pid, ()).timeout(Duration::ZERO).await;
        assert_eq!(process::info(pid).await.unwrap().message_queue_len, 2, "a call is a message too");
    });
}

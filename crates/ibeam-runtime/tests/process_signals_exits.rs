//! Exit signals and exit reasons: rows OTP-PS-01 to 05, 17, 25 and 33.

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::{
    at_hand, down, end_of, first, idle, is_alive, next, nothing_comes, on_each_driver, on_every_driver,
    until_it_waits_or_ends,
};
use ibeam_runtime::process::{self, receive_with};
use ibeam_runtime::{Down, Exit, ExitReason, Pid};

/// A large value with some structure.
#[derive(Clone, Debug, PartialEq)]
struct Report {
    title: String,
    rows: Vec<(u64, Option<Box<Report>>)>,
    bits: Vec<u8>,
}

fn report(depth: u32) -> Report {
    Report {
        title: format!("level {depth}"),
        rows: (0..40).map(|n| (n, (n < 2 && depth > 0).then(|| Box::new(report(depth - 1))))).collect(),
        bits: vec![0xA5; 10_000],
    }
}

#[test]
fn otp_ps_01_exit_carries_a_large_structured_reason() {
    let value = report(5);
    on_every_driver(move || {
        let value = value.clone();
        async move {
            process::trap_exit(true);
            let mine = value.clone();
            let by_itself = process::spawn_link(async move { process::exit(ExitReason::other(mine)) });
            let exit: Exit = next().await;
            assert_eq!((exit.pid, exit.reason.downcast_ref()), (by_itself, Some(&value)));

            let by_signal = process::spawn_link(idle());
            process::exit_signal(by_signal, ExitReason::other(value.clone()));
            let exit: Exit = next().await;
            assert_eq!((exit.pid, exit.reason.downcast_ref()), (by_signal, Some(&value)));
            assert!(process::try_recv().is_none());
        }
    });
}

#[test]
fn otp_ps_02_a_normal_exit_signal_of_another_is_ignored() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        let target = process::spawn_link(async {
            process::link(process::spawn(idle()));
            idle().await;
        });
        let monitor = process::monitor(target);
        process::exit_signal(target, ExitReason::Normal);
        nothing_comes(driver.window(Duration::from_millis(1000))).await;
        let info = process::info(target).await.expect("it lives");
        assert_eq!((info.message_queue_len, info.links.len(), info.monitored_by.len()), (0, 2, 1));
        for partner in info.links {
            assert!(is_alive(partner).await);
        }
        // The way the test would have seen it end.
        process::exit_signal(target, ExitReason::Shutdown);
        assert_eq!(down(monitor).await.reason, ExitReason::Shutdown);
        assert_eq!(first::<Exit>().await, Exit { pid: target, reason: ExitReason::Shutdown });
    });
}

#[test]
fn otp_ps_03_a_signal_to_oneself_is_received_when_trapped() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let me = process::self_pid();
        for round in 0..200_u32 {
            process::exit_signal(me, ExitReason::other(round));
            // It is there when the call has returned.
            assert_eq!(at_hand::<Exit>(), Exit { pid: me, reason: ExitReason::other(round) });
        }
        for reason in [ExitReason::Normal, ExitReason::Shutdown, ExitReason::Killed] {
            process::exit_signal(me, reason.clone());
            assert_eq!(next::<Exit>().await, Exit { pid: me, reason });
        }
        assert!(process::try_recv().is_none());
    });
}

/// What a panic may carry that is not a text.
#[derive(Clone, Debug, PartialEq)]
struct Payload(Vec<u32>);

#[test]
fn otp_ps_04_a_crash_in_the_code_is_the_exit_reason_with_its_place_and_payload() {
    async fn crashes_at_once() {
        panic!("at once: {}", process::self_pid());
    }
    async fn crashes_later() {
        process::yield_now().await;
        std::panic::panic_any(Payload(vec![1, 2, 3]));
    }
    async fn fails() -> Result<(), std::num::ParseIntError> {
        "x".parse::<u32>()?;
        Ok(())
    }

    on_every_driver(|| async {
        process::trap_exit(true);
        // The very function that was spawned.
        let pid = process::spawn_link(crashes_at_once());
        let exit: Exit = next().await;
        assert_eq!(exit.pid, pid);
        let ExitReason::Panic(panic) = exit.reason else {
            panic!("a panic is the reason, not {}", exit.reason)
        };
        assert_eq!(panic.message(), format!("at once: {pid}"));
        assert_eq!(panic.payload::<String>(), Some(format!("at once: {pid}")));
        assert!(panic.location().is_some_and(|place| place.contains("process_signals_exits.rs:")), "{panic}");

        // Something that it calls, after an await.
        let pid = process::spawn_link(async { crashes_later().await });
        let exit: Exit = next().await;
        assert_eq!(exit.pid, pid);
        let ExitReason::Panic(panic) = exit.reason else {
            panic!("a panic is the reason, not {}", exit.reason)
        };
        assert_eq!(panic.payload::<Payload>(), Some(Payload(vec![1, 2, 3])));

        // An error that it returns.
        let pid = process::spawn_link(fails());
        let exit: Exit = next().await;
        assert_eq!(exit.pid, pid);
        assert_eq!(exit.reason.downcast_ref(), "x".parse::<u32>().as_ref().err());

        // Who does not trap dies of the same value.
        let partner = process::spawn_monitor(async {
            process::spawn_link(crashes_later());
            idle().await;
        });
        let ExitReason::Panic(panic) = down(partner.1).await.reason else { panic!("a panic is the reason") };
        assert_eq!(panic.payload::<Payload>(), Some(Payload(vec![1, 2, 3])));
    });
}

#[test]
fn otp_ps_05_an_exit_signal_ends_a_timed_receive_whose_time_out_then_does_nothing() {
    on_each_driver(|driver| async move {
        let mut limit = driver.window(Duration::from_millis(500));
        let expired = loop {
            let (start, expired) = (process::now(), Arc::new(AtomicU32::new(0)));
            let (pid, monitor) = process::spawn_monitor({
                let expired = Arc::clone(&expired);
                async move {
                    receive_with(|message| message.arm(Ok::<u64, u64>)).after(limit).await;
                    expired.fetch_add(1, SeqCst);
                }
            });
            until_it_waits_or_ends(pid).await;
            process::exit_signal(pid, ExitReason::other("enough"));
            let reason = down(monitor).await.reason;
            if process::now() - start < limit {
                assert_eq!(reason, ExitReason::other("enough"));
                break expired;
            }
            assert!(driver.has_real_clock(), "it does not wait for the time-out");
            // Or the machine was too slow to tell: once more, with more time.
            limit *= 2;
        };
        // Its slot's next processes are not disturbed when the time has come.
        let after: Vec<_> = (0..8)
            .map(|_| {
                process::spawn_monitor(async {
                    next::<u64>().await;
                })
            })
            .collect();
        nothing_comes(limit * 2).await;
        assert_eq!(expired.load(SeqCst), 0);
        for (pid, monitor) in after {
            pid.send(0_u64);
            assert_eq!(down(monitor).await.reason, ExitReason::Normal);
        }
    });
}

#[test]
fn otp_ps_17_a_huge_argument_is_the_exit_reason_by_every_form_of_spawn() {
    let argument: Vec<u64> = (0..50_000).collect();
    on_every_driver(move || {
        let argument = argument.clone();
        async move {
            process::trap_exit(true);
            // Each waits until it is watched.
            let leaves = || {
                let argument = argument.clone();
                async move {
                    next::<()>().await;
                    process::exit(ExitReason::shutdown_with(argument))
                }
            };
            let link = |spawn: Pid| (spawn, None);
            let monitor = |(pid, monitor)| (pid, Some(monitor));
            let started = [
                link(process::spawn(leaves())),
                link(process::spawn_link(leaves())),
                monitor(process::spawn_monitor(leaves())),
                link(process::builder().spawn(leaves())),
                link(process::builder().link().try_spawn(leaves()).unwrap()),
                {
                    let (pid, monitor) = process::builder().link().spawn_monitor(leaves());
                    (pid, Some(monitor.reference()))
                },
                {
                    let (pid, monitor) = process::builder().try_spawn_monitor(leaves()).unwrap();
                    (pid, Some(monitor.reference()))
                },
            ];
            for (number, (pid, monitor)) in started.into_iter().enumerate() {
                let linked = process::info(pid).await.unwrap().links.contains(&process::self_pid());
                let monitor = monitor.unwrap_or_else(|| process::monitor(pid));
                pid.send(());
                let notice = down(monitor).await;
                assert_eq!(notice.reason.downcast_ref(), Some(&argument), "form {number}");
                assert_eq!(linked, [1, 4, 5].contains(&number), "form {number}");
                if linked {
                    let exit: Exit = next().await;
                    assert_eq!(
                        (exit.pid, exit.reason.downcast_ref()),
                        (pid, Some(&argument)),
                        "form {number}"
                    );
                }
            }
            assert!(process::try_recv().is_none());
        }
    });
}

#[derive(Debug, PartialEq)]
enum Kind {
    A,
    B,
}

#[test]
fn otp_ps_25_an_exit_signal_keeps_its_place_among_the_messages() {
    on_each_driver(|driver| async move {
        for _ in 0..driver.rounds(1000, 50) {
            let (receiver, monitor) = process::spawn_monitor(async {
                let mut taken = 0;
                loop {
                    assert_eq!(next::<Kind>().await, Kind::A, "after {taken}");
                    taken += 1;
                }
            });
            // A sender of its own: it may run beside the receiver.
            process::spawn(async move {
                (0..3).for_each(|_| receiver.send(Kind::A));
                process::exit_signal(receiver, ExitReason::shutdown_with("between A and B"));
                (0..3).for_each(|_| receiver.send(Kind::B));
            });
            assert_eq!(down(monitor).await.reason, ExitReason::shutdown_with("between A and B"));
        }
    });
}

/// As above for a receiver that takes what it can get, and one that waits for something else.
#[test]
fn otp_ps_25_whatever_kind_of_receive_the_signal_meets() {
    on_each_driver(|driver| async move {
        for round in 0..driver.rounds(300, 20) {
            let seen = Arc::new(AtomicU32::new(0));
            let (receiver, monitor) = process::spawn_monitor({
                let seen = Arc::clone(&seen);
                async move {
                    loop {
                        let kind = match round % 3 {
                            0 => match process::try_recv() {
                                Some(message) => message.downcast::<Kind>().unwrap(),
                                None => {
                                    process::yield_now().await;
                                    continue;
                                }
                            },
                            1 => {
                                receive_with(|m| m.arm(|k: Kind| if k == Kind::B { Ok(k) } else { Err(k) }))
                                    .await
                            }
                            _ => {
                                process::sleep(Duration::from_micros(50)).await;
                                next().await
                            }
                        };
                        if kind == Kind::B {
                            seen.fetch_add(1, SeqCst);
                        }
                    }
                }
            });
            process::spawn(async move {
                for _ in 0..3 {
                    receiver.send(Kind::A);
                    process::yield_now().await;
                }
                process::exit_signal(receiver, ExitReason::Shutdown);
                (0..3).for_each(|_| receiver.send(Kind::B));
            });
            assert_eq!(down(monitor).await.reason, ExitReason::Shutdown);
            assert_eq!(seen.load(SeqCst), 0, "a B was handled");
        }
    });
}

#[test]
fn otp_ps_33_the_monitored_one_kills_its_watcher_and_exits() {
    on_every_driver(|| async {
        for by_kill in [true, false] {
            let me = process::self_pid();
            let (watcher, of_watcher) = process::spawn_monitor(async move {
                let watched = process::spawn(async move {
                    let (watcher, reason) = next::<(Pid, ExitReason)>().await;
                    process::exit_signal(watcher, reason);
                    process::exit(ExitReason::shutdown_with("done"));
                });
                process::monitor(watched);
                me.send(watched);
                next::<Down>().await;
                unreachable!("it is dead when the notice comes");
            });
            let watched = next::<Pid>().await;
            let of_watched = process::monitor(watched);
            let (sent, expected) = match by_kill {
                true => (ExitReason::Kill, ExitReason::Killed),
                false => (ExitReason::other("off"), ExitReason::other("off")),
            };
            watched.send((watcher, sent));
            assert_eq!(down(of_watcher).await.reason, expected);
            assert_eq!(down(of_watched).await.reason, ExitReason::shutdown_with("done"));
            assert_eq!(end_of(watcher).await, ExitReason::NoProc);
            assert_eq!(end_of(watched).await, ExitReason::NoProc);
        }
    });
}

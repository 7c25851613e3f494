//! Bare processes that are waited for. Names begin with the row of the conformance list that the test is for.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
#[path = "../../ibeam-runtime/tests/common_tracing/mod.rs"]
mod common_tracing;

use std::time::Duration;

use common::{down, idle, is_alive, next, nothing_comes, on_each_driver, on_every_driver, until_it_waits};
use common_tracing::{record, reports_of};
use ibeam::prelude::*;
use ibeam::proc_lib::{self, Starter};
use ibeam::process::Status;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn otp_pl_01_ordinary_ends_are_not_reported() {
    record();
    on_each_driver(|_| async {
        process::trap_exit(true);
        for reason in [ExitReason::Shutdown, ExitReason::shutdown_with("x"), ExitReason::Normal] {
            let ends = reason.clone();
            let start = proc_lib::start_link(|starter: Starter<()>| async move {
                starter.init_ack(());
                ends
            });
            let (pid, ()) = start.await.unwrap();
            assert_eq!(next::<Exit>().await, Exit { pid, reason });
            assert!(reports_of(pid).is_empty());
        }
    });
}

#[test]
fn otp_pl_02_the_report_tells_who_it_was_and_who_stood_beside() {
    record();
    on_every_driver(|| async {
        process::trap_exit(true);
        let me = process::self_pid();
        let start = proc_lib::start_link(|starter: Starter<Pid>| async move {
            let (child, ()) = proc_lib::start_link(|starter: Starter<()>| async move {
                starter.init_ack(());
                idle().await;
            })
            .options(process::builder().name("beside"))
            .await
            .unwrap();
            starter.init_ack(child);
            process::exit(ExitReason::other("abnormal"));
        });
        let (pid, child) = start.options(process::builder().label("the label")).await.unwrap();
        next::<Exit>().await;
        let reports = reports_of(pid);
        assert_eq!(reports.len(), 1, "{reports:?}");
        let fields = &reports[0].fields;
        assert_eq!((&fields["label"], &fields["reason"]), ("the label", "\"abnormal\""));
        assert!(fields["initial_call"].contains("proc_lib"), "{fields:?}");
        assert!(fields["ancestors"].starts_with(&format!("[{me}, ")), "{fields:?}");
        assert!(fields["neighbours"].contains(&format!("`beside` {child}")), "{fields:?}");
        // The neighbour died of it, which is no crash of its own.
        common::end_of(child).await;
        assert!(reports_of(child).is_empty());
    });
}

#[test]
fn otp_pl_03_an_exit_is_bare_and_a_panic_has_its_place() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let crash = |how: fn()| {
            proc_lib::start_link(move |starter: Starter<()>| async move {
                starter.init_ack(());
                how();
            })
        };
        crash(|| panic!("e")).await.unwrap();
        let ExitReason::Panic(panic) = next::<Exit>().await.reason else { panic!("expected a panic") };
        assert_eq!(panic.message(), "e");
        assert!(panic.location().unwrap().starts_with(file!()));
        crash(|| process::exit(ExitReason::other("r"))).await.unwrap();
        assert_eq!(next::<Exit>().await.reason, ExitReason::other("r"));
        crash(|| std::panic::panic_any(28)).await.unwrap();
        let ExitReason::Panic(thrown) = next::<Exit>().await.reason else { panic!("expected a panic") };
        assert_eq!(thrown.payload::<i32>(), Some(28));
    });
}

#[test]
fn otp_pl_04_a_start_waits_for_the_acknowledgement() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        for form in 0..3 {
            let me = process::self_pid();
            let starter = process::spawn(async move {
                process::trap_exit(true);
                let run = move |starter: Starter<&'static str>| async move {
                    me.send(process::self_pid());
                    receive! { "acknowledge" => starter.init_ack("value") }
                    receive! { "end" => {} }
                };
                let mut notices = 0;
                match form {
                    0 => me.send(proc_lib::start(run).await.unwrap().1),
                    1 => {
                        me.send(proc_lib::start_link(run).await.unwrap().1);
                        next::<Exit>().await;
                        notices += 1;
                    }
                    _ => {
                        let (_, value, monitor) = proc_lib::start(run).monitored().await.unwrap();
                        me.send(value);
                        assert_eq!(down(monitor).await.reason, ExitReason::Normal);
                        notices += 1;
                    }
                }
                nothing_comes(driver.window(SECOND)).await;
                me.send(notices);
            });
            let child = next::<Pid>().await;
            nothing_comes(driver.window(SECOND)).await;
            assert!(is_alive(starter).await);
            child.send("acknowledge");
            assert_eq!(next::<&str>().await, "value");
            child.send("end");
            assert_eq!(next::<i32>().await, i32::from(form > 0));
        }
    });
}

#[test]
fn otp_pl_05_a_link_and_a_monitor_both_tell() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let start = proc_lib::start_link(|starter: Starter<()>| async move { starter.init_ack(()) });
        let (pid, (), monitor) = start.monitored().await.unwrap();
        assert_eq!(down(monitor).await.reason, ExitReason::Normal);
        assert_eq!(common::first::<Exit>().await, Exit { pid, reason: ExitReason::Normal });
    });
}

#[test]
fn otp_pl_06_a_crash_before_the_acknowledgement_ends_the_start() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        let crash = |_: Starter<()>| async { panic!("crash") };
        let errors = [
            proc_lib::start(crash).await.unwrap_err(),
            proc_lib::start(crash).timeout(Duration::from_secs(60)).await.unwrap_err(),
            proc_lib::start_link(crash).await.unwrap_err(),
            proc_lib::start_link(crash).monitored().await.unwrap_err(),
        ];
        let StartError::Init { reason: ExitReason::Panic(panic) } = &errors[0] else { panic!("{errors:?}") };
        assert_eq!(panic.message(), "crash");
        assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
        // What it says itself, and a start that takes too long.
        let fails = |starter: Starter<()>| async {
            starter.init_fail(ExitReason::other("no port"), ExitReason::Normal);
        };
        let error = proc_lib::start_link(fails).await.unwrap_err();
        assert_eq!(error, StartError::Init { reason: ExitReason::other("no port") });
        let after = driver.window(SECOND);
        let never = |starter: Starter<()>| async move {
            let _starter = starter;
            idle().await;
        };
        let error = proc_lib::start_link(never).timeout(after).await.unwrap_err();
        assert_eq!(error, StartError::Timeout { after });
        nothing_comes(Duration::ZERO).await;
    });
}

#[test]
fn otp_pl_07_a_message_wakes_and_is_still_there() {
    record();
    on_every_driver(|| async {
        process::trap_exit(true);
        let me = process::self_pid();
        let start = proc_lib::start_link(move |starter: Starter<()>| async move {
            starter.init_ack(());
            process::hibernate().await;
            me.send("awake");
            receive! { number: i32 => me.send(number) }
            panic!("later");
        });
        let (pid, ()) = start.await.unwrap();
        until_it_waits(pid).await;
        assert_eq!(process::info(pid).await.unwrap().status, Status::Hibernating);
        pid.send(7);
        assert_eq!(next::<&str>().await, "awake");
        assert_eq!(next::<i32>().await, 7);
        assert!(next::<Exit>().await.reason.is_abnormal());
        assert_eq!(reports_of(pid).len(), 1);
    });
}

/// Ends when it is asked to: at once, with another reason, never.
async fn polite(starter: Starter<()>, ends: fn(ExitReason) -> Option<ExitReason>) -> ExitReason {
    starter.init_ack(());
    loop {
        let Ok(asked) = proc_lib::terminate_asked(process::recv().await) else { continue };
        if let Some(reason) = ends(asked) {
            return reason;
        }
    }
}

#[test]
fn otp_pl_08_stop_returns_when_the_process_is_gone() {
    on_every_driver(|| async {
        for reason in [ExitReason::Normal, ExitReason::other("another")] {
            let start = || proc_lib::start(|starter| polite(starter, Some));
            let (pid, (), monitor) = start().monitored().await.unwrap();
            assert_eq!(proc_lib::stop(pid, reason.clone(), Timeout::Infinity).await, Ok(()));
            assert!(!is_alive(pid).await);
            assert_eq!(down(monitor).await.reason, reason);
            let (pid, ()) = start().options(process::builder().name("polite")).await.unwrap();
            assert_eq!(proc_lib::stop("polite", reason, Timeout::Infinity).await, Ok(()));
            assert!(!is_alive(pid).await);
            assert_eq!(process::whereis("polite"), None);
        }
    });
}

#[test]
fn otp_pl_09_a_stop_that_fails_says_why() {
    on_each_driver(|driver| async move {
        let stop = async |pid: Pid, timeout: Timeout| {
            let error = proc_lib::stop(pid, ExitReason::Normal, timeout).await.unwrap_err();
            error.into_exit_reason()
        };
        let (pid, ()) = proc_lib::start(|starter| polite(starter, Some)).await.unwrap();
        process::kill(pid);
        common::end_of(pid).await;
        assert_eq!(stop(pid, Timeout::Infinity).await, ExitReason::NoProc);
        let dies = |_| Some(ExitReason::other("die"));
        let (pid, ()) = proc_lib::start(move |starter| polite(starter, dies)).await.unwrap();
        assert_eq!(stop(pid, Timeout::Infinity).await, ExitReason::other("die"));
        let (slow, ()) = proc_lib::start(|starter| polite(starter, |_| None)).await.unwrap();
        assert_eq!(stop(slow, driver.window(SECOND).into()).await, ExitReason::Timeout);
        let error = proc_lib::stop("unknown", ExitReason::Normal, Timeout::Infinity).await.unwrap_err();
        assert_eq!(error, CallError::NoProc { destination: "unknown".into() });
    });
}

#[test]
fn otp_pl_10_a_crash_on_the_way_out_is_what_stop_says() {
    on_every_driver(|| async {
        let crashes = |_| panic!("on the way out");
        let (pid, ()) = proc_lib::start(move |starter| polite(starter, crashes)).await.unwrap();
        let error = proc_lib::stop(pid, ExitReason::other("crash"), Timeout::Infinity).await.unwrap_err();
        let CallError::Exited { reason: ExitReason::Panic(panic), .. } = &error else { panic!("{error}") };
        assert_eq!(panic.message(), "on the way out");
        assert!(!is_alive(pid).await);
    });
}

#[test]
fn otp_pl_11_the_initial_call_is_known_while_the_process_lives() {
    on_every_driver(|| async {
        async fn serves(starter: Starter<()>) {
            starter.init_ack(());
            process::set_label("something else");
            idle().await;
        }
        let (pid, ()) = proc_lib::start(serves).await.unwrap();
        until_it_waits(pid).await;
        let info = process::info(pid).await.unwrap();
        assert!(info.initial_call.contains("otp_pl_11") && info.initial_call.contains("serves"), "{info:?}");
        process::kill(pid);
        common::end_of(pid).await;
        assert!(process::info(pid).await.is_none());
    });
}

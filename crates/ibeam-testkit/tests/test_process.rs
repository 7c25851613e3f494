//! `#[ibeam::test]` itself: what passes, what fails and with which words, and what is cleaned up.

mod common;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{DRIVERS, check_failure, failure_on, said};
use ibeam::prelude::*;
use ibeam_testkit::prelude::*;

#[ibeam::test]
async fn the_body_is_a_process() {
    process::self_pid().send("hello");
    assert_received!("hello");
    assert_eq!(process::ancestors().len(), 0);
}

#[ibeam::test(every, seeds = 0..3)]
async fn names_are_the_tests_own() {
    process::register("the same in every run", process::self_pid()).unwrap();
}

#[ibeam::test(paused)]
async fn a_paused_clock_jumps() {
    process::sleep(Duration::from_secs(3600)).await;
}

#[ibeam::test(inline, timeout = Duration::from_secs(5))]
async fn a_test_may_return_a_result() -> Result<(), ExitReason> {
    let (_pid, monitor) = process::spawn_monitor(async {});
    assert_receive!(Down { monitor: m, .. } if m == monitor);
    Ok(())
}

#[ibeam::test]
#[should_panic(expected = "this is why")]
async fn a_panic_fails_the_test() {
    panic!("this is why");
}

#[test]
fn failures_say_what_happened() {
    check_failure(|| async { panic!("boom") }, &["`the test` failed ", "panic: boom at", "test_process.rs"]);
    check_failure(|| async { process::exit(ExitReason::Shutdown) }, &["the test process exited: shutdown"]);
    // An exit is no return, even a normal one: what comes after it was not tested.
    check_failure(|| async { process::exit(ExitReason::Normal) }, &["the test process exited: normal"]);
    check_failure(
        || async { Err::<(), _>(ExitReason::other("no luck")) },
        &["the test returned: \"no luck\""],
    );
}

#[test]
fn the_crash_of_a_linked_process_fails_the_test() {
    check_failure(
        || async {
            process::spawn_link(async { process::exit(ExitReason::other("the link's reason")) });
            std::future::pending::<()>().await;
        },
        &["the test process exited: \"the link's reason\""],
    );
}

#[ibeam::test(every, seeds = 0..3)]
async fn the_crash_of_another_process_does_not() {
    let (_pid, monitor) = process::spawn_monitor(async { process::exit(ExitReason::other("alone")) });
    assert_receive!(Down { monitor: m, .. } if m == monitor);
}

#[test]
fn a_test_that_hangs_is_ended_and_says_where_it_was() {
    for driver in DRIVERS {
        let test =
            Test::new("hangs", "ibeam-testkit").driver(driver).timeout(Duration::from_millis(20)).seeds(0..1);
        let said = said(|| {
            test.run(|| async {
                process::self_pid().send("unread");
                std::future::pending::<()>().await;
            });
        });
        let said = said.expect("it fails");
        let expected = "the test did not end within 20ms: it is waiting, with 1 messages in its mailbox";
        assert!(said.contains(expected), "on {driver}: {said}");
    }
}

/// Says that it was dropped.
struct Dropped(Sender<&'static str>, &'static str);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

#[test]
fn what_a_test_leaves_behind_is_ended() {
    for driver in DRIVERS {
        let (sender, dropped) = channel();
        Test::new("leaves", "ibeam-testkit").driver(driver).seeds(0..1).run(|| {
            let value = Dropped(sender.clone(), "left");
            async move {
                process::spawn(async move {
                    let _value = value;
                    std::future::pending::<()>().await;
                });
            }
        });
        assert_eq!(dropped.try_recv(), Ok("left"), "on {driver}");
    }
}

#[test]
fn the_log_is_shown_with_a_failure() {
    let body = || async {
        tracing::info!(order = 7, "stored");
        tracing::debug!("a detail");
        process::spawn(async { tracing::warn!("from another process") });
        process::yield_now().await;
        let (_pid, monitor) = process::spawn_monitor(async { panic!("its own affair") });
        assert_receive!(Down { monitor: m, .. } if m == monitor);
        panic!("boom");
    };
    for driver in DRIVERS {
        let said = failure_on(driver, body);
        let log = said.split("log of its processes:").nth(1).unwrap_or_else(|| panic!("no log in:\n{said}"));
        assert!(log.contains("[info] test_process: stored order=7"), "on {driver}: {said}");
        assert!(log.contains("crashed: panic: its own affair"), "on {driver}: {said}");
        assert!(!log.contains("a detail"), "on {driver}: {said}");
    }
}

/// A list that tests write to in order.
#[derive(Clone, Default)]
struct Order(Arc<Mutex<Vec<&'static str>>>);

impl Order {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    fn noted(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

/// A setup is a function that the test calls: what fails in it fails the test.
async fn setup(works: bool) {
    assert!(works, "the setup's own words");
}

#[test]
fn tst_034_a_setup_that_fails_is_reported_and_the_run_goes_on() {
    check_failure(|| setup(false), &["the setup's own words"]);
    Test::new("the next", "ibeam-testkit").run(|| setup(true));
}

#[test]
fn tst_037_a_clean_up_that_fails_is_reported() {
    check_failure(
        || async { on_exit(async { panic!("the clean-up's own words") }) },
        &["a function of `on_exit` failed: panic: the clean-up's own words"],
    );
}

#[test]
fn tst_039_every_clean_up_runs_after_a_failure_the_last_first() {
    for driver in DRIVERS {
        let order = Order::default();
        let said = failure_on(driver, || {
            let order = order.clone();
            async move {
                for name in ["suite", "setup", "test"] {
                    let order = order.clone();
                    on_exit(async move {
                        order.note(name);
                        if name == "setup" {
                            panic!("one of them fails");
                        }
                    });
                }
                panic!("boom");
            }
        });
        assert!(
            said.contains("panic: boom") && said.contains("and a function of `on_exit` failed"),
            "{said}"
        );
        let noted = order.noted();
        assert_eq!(noted[..3], ["test", "setup", "suite"], "on {driver}");
    }
}

#[test]
fn clean_ups_run_when_the_children_are_gone() {
    struct Server(Order);
    #[gen_server]
    impl Server {
        async fn init(order: Order) -> Init<Self> {
            process::trap_exit(true);
            Init::ok(Server(order))
        }
        async fn terminate(&mut self, _: &ExitReason) {
            self.0.note("a child");
        }
    }
    for driver in DRIVERS {
        let order = Order::default();
        Test::new("clean", "ibeam-testkit").driver(driver).seeds(0..1).run(|| {
            let order = order.clone();
            async move {
                let hook = order.clone();
                on_exit(async move { hook.note("on_exit") });
                start_supervised(Server::child(order)).await.unwrap();
            }
        });
        assert_eq!(order.noted(), ["a child", "on_exit"], "on {driver}");
    }
}

#[test]
fn outside_of_the_test_process_they_say_so() {
    let expected = "can be called in the test process only";
    assert!(said(|| on_exit(async {})).is_some_and(|said| said.contains(expected)));
    let called = Arc::new(AtomicBool::new(false));
    let inside = Arc::clone(&called);
    Test::check(async move {
        let (_pid, monitor) = process::spawn_monitor(async { on_exit(async {}) });
        let reason = assert_receive!(Down { monitor: m, reason, .. } if m == monitor).1;
        assert!(reason.to_string().contains(expected), "{reason}");
        inside.store(true, SeqCst);
    });
    assert!(called.load(SeqCst));
}

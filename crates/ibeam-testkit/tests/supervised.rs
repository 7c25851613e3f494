//! Children of a test: how they start, stop, and what a test hears of that.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ibeam::prelude::*;
use ibeam::supervisor::{ChildError, StartChildError};
use ibeam_testkit::prelude::*;
use ibeam_testkit::test_supervisor;

struct Server(&'static str, Arc<Mutex<Vec<&'static str>>>);

#[gen_server]
impl Server {
    async fn init(name: &'static str, log: Arc<Mutex<Vec<&'static str>>>) -> Init<Self> {
        process::trap_exit(true);
        match name {
            "fails" => Init::stop(ExitReason::other("some error")),
            "panics" => panic!("this is an error"),
            "ignores" => Init::ignore(),
            _ => Init::ok(Server(name, log)),
        }
    }

    #[call]
    async fn name(&mut self) -> &'static str {
        self.0
    }

    async fn terminate(&mut self, _: &ExitReason) {
        self.1.lock().unwrap().push(self.0);
    }
}

fn server(name: &'static str) -> ibeam::supervisor::ServerChild<Server> {
    Server::child((name, Arc::default())).id(name)
}

async fn is_alive(pid: Pid) -> bool {
    process::info(pid).await.is_some()
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_001_a_start_that_fails_is_an_error_with_the_child_and_the_reason() {
    let error = start_supervised(server("fails")).await.unwrap_err();
    let StartChildError::Start { id, error: StartError::Init { reason } } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((id.as_str(), reason), ("fails", &ExitReason::other("some error")));
    assert_eq!(error.to_string(), "child `fails` did not start: `init` failed: \"some error\"");
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_002_a_start_that_panics_is_an_error_with_the_panic() {
    let error = start_supervised(server("panics")).await.unwrap_err();
    let StartChildError::Start { error: StartError::Init { reason: ExitReason::Panic(panic) }, .. } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(panic.message(), "this is an error");
    assert!(error.to_string().contains("panic: this is an error at "), "{error}");
}

#[ibeam::test(every, seeds = 0..5)]
async fn a_start_that_ignores_is_an_error() {
    let error = start_supervised(server("ignores")).await.unwrap_err();
    assert!(matches!(error, StartChildError::Start { error: StartError::Ignored, .. }), "{error:?}");
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_003_a_temporary_child_is_not_restarted() {
    let child = server("temporary").name("temporary").restart(Restart::Temporary);
    let server = start_supervised(child).await.unwrap();
    server.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
    assert_eq!(process::whereis("temporary"), None);
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_004_the_test_is_the_last_ancestor_of_a_child() {
    let test = process::self_pid();
    let child = ChildSpec::new("task", move || async move {
        Ok(process::spawn_link(async move {
            test.send(process::ancestors().last().map(|ancestor| ancestor.pid));
            std::future::pending::<()>().await;
        }))
    });
    start_supervised(child).await.unwrap();
    let last = assert_receive!(last: Option<Pid>);
    assert_eq!(last, Some(test));
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_005_a_child_that_was_stopped_is_gone_when_the_call_returns() {
    let pid = start_supervised(server("worker")).await.unwrap().pid().unwrap();
    assert!(is_alive(pid).await);
    stop_supervised("worker").await.unwrap();
    assert!(!is_alive(pid).await);
    assert!(test_supervisor().unwrap().which_children().await.unwrap().is_empty());
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_006_a_linked_child_can_be_stopped_without_harm() {
    let pid = start_link_supervised(server("worker")).await.unwrap().pid().unwrap();
    stop_supervised("worker").await.unwrap();
    assert!(!is_alive(pid).await);
}

#[test]
fn the_crash_of_a_linked_child_fails_the_test() {
    common::check_failure(
        || async {
            let pid = start_link_supervised(server("worker")).await.unwrap().pid().unwrap();
            process::kill(pid);
            std::future::pending::<()>().await;
        },
        &["the test process exited: killed"],
    );
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_007_a_temporary_child_can_be_stopped() {
    let pid = start_supervised(server("worker").restart(Restart::Temporary)).await.unwrap().pid().unwrap();
    assert_eq!(stop_supervised("worker").await, Ok(()));
    assert!(!is_alive(pid).await);
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_008_stopping_and_unwrapping_is_the_variant_that_panics() {
    let pid = start_supervised(server("worker")).await.unwrap().pid().unwrap();
    stop_supervised("worker").await.unwrap();
    assert!(!is_alive(pid).await);
    let panic = catch_panic(async { stop_supervised("worker").await.unwrap() }).await;
    assert!(panic.message().contains("worker"), "{panic}");
}

#[ibeam::test(every, seeds = 0..5)]
async fn tst_009_what_does_not_run_is_not_found() {
    let not_found = Err(ChildError::NotFound { id: "unknown".into() });
    assert_eq!(stop_supervised("unknown").await, not_found);
    start_supervised(server("worker")).await.unwrap();
    assert_eq!(stop_supervised("unknown").await, not_found);
}

#[ibeam::test(every, seeds = 0..5)]
async fn a_child_that_crashes_is_restarted() {
    let child = server("worker").name("worker");
    start_supervised(child).await.unwrap();
    let worker = ServerRef::<Server>::named("worker");
    let monitor = process::monitor(worker.pid().unwrap());
    process::kill(worker.pid().unwrap());
    assert_receive!(Down { monitor: m, reason: ExitReason::Killed, .. } if m == monitor);
    let name = worker.name().wait_for_name().timeout(Duration::from_secs(5)).await;
    assert_eq!(name, Ok("worker"));
}

#[test]
fn children_are_stopped_the_last_first() {
    for driver in common::DRIVERS {
        let log: Arc<Mutex<Vec<&'static str>>> = Arc::default();
        Test::new("stops", "ibeam-testkit").driver(driver).seeds(0..1).run(|| {
            let log = Arc::clone(&log);
            async move {
                for name in ["first", "second", "third"] {
                    start_supervised(Server::child((name, Arc::clone(&log))).id(name)).await.unwrap();
                }
            }
        });
        assert_eq!(*log.lock().unwrap(), ["third", "second", "first"], "on {driver}");
    }
}

#[ibeam::test(every, seeds = 0..5)]
async fn supervisors_are_children_too() {
    let tree = Supervisor::new(Strategy::OneForAll).child(server("a")).child(server("b"));
    let tree = start_supervised(tree).await.unwrap();
    assert_eq!(tree.count_children().await.unwrap().active, 2);
    let rooms = start_supervised(DynamicSupervisor::new("rooms")).await.unwrap();
    rooms.start_child(server("room")).await.unwrap();
    assert_eq!(rooms.count_children().await.unwrap().active, 1);
}

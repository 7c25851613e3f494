//! What is said of a task that crashes: rows TASK-078 to 080, 084 and 086.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
#[path = "../../ibeam-runtime/tests/common_tracing/mod.rs"]
mod common_tracing;
mod tasks;

use std::fmt;
use std::future::Future;

use common::{end_of, on_every_driver};
use common_tracing::{Seen, record, reports_of};
use ibeam::prelude::*;
use tasks::Go;
use tracing::Level;

#[track_caller]
fn with_reports<B: Future<Output = ()> + Send + 'static>(body: impl Fn() -> B) {
    record();
    on_every_driver(body);
}

async fn oops() {
    receive! { Go => panic!("oops") }
}

/// The one report of a task that was started by the calling process and told to go.
async fn report_of(task: Pid) -> Seen {
    task.send(Go);
    end_of(task).await;
    let mut reports = reports_of(task);
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports.remove(0)
}

#[test]
fn task_078_a_linked_task_that_crashes_is_reported_once() {
    with_reports(|| async {
        process::trap_exit(true);
        let me = process::self_pid();
        let report = report_of(Task::start_link(oops())).await;
        assert_eq!(report.level, Level::ERROR);
        assert_eq!(&report.fields["callers"], format!("[{me}]"));
        assert!(report.fields["initial_call"].contains("task_reports::oops"));
        assert!(report.fields["reason"].starts_with("panic: oops"));
        assert!(report.fields["location"].contains("task_reports.rs"));
        // One that is spawned is a process of the same kind.
        let report = report_of(Task::spawn(oops()).pid().unwrap()).await;
        assert_eq!(&report.fields["callers"], format!("[{me}]"));
        assert!(report.fields["initial_call"].contains("task_reports::oops"));
    });
}

async fn labelled() {
    process::set_label("carrying letters");
    oops().await;
}

#[test]
fn task_079_the_report_of_a_linked_task_carries_its_label() {
    with_reports(|| async {
        process::trap_exit(true);
        let report = report_of(Task::start_link(labelled())).await;
        assert_eq!(&report.fields["label"], "carrying letters");
    });
}

#[test]
fn task_080_a_task_that_crashes_is_reported_with_its_callers() {
    with_reports(|| async {
        let me = process::self_pid();
        let task = Task::start(oops());
        let report = report_of(task).await;
        assert_eq!(&report.fields["pid"], task.to_string());
        assert_eq!(&report.fields["callers"], format!("[{me}]"));
        assert!(report.fields["ancestors"].starts_with(&format!("[{me}")));
        assert!(report.fields["message"].contains("crashed: panic: oops"));
    });
}

/// An error that wraps another one.
#[derive(Debug)]
struct Wrapped(std::num::ParseIntError);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the other side says: {}", self.0)
    }
}

impl std::error::Error for Wrapped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn task_084_an_error_keeps_what_it_wraps() {
    with_reports(|| async {
        let task = Task::start(async {
            receive! { Go => {} }
            Err::<(), _>(Wrapped("x".parse::<u32>().unwrap_err()))
        });
        let watching = process::monitor(task);
        let report = report_of(task).await;
        assert_eq!(&report.fields["reason"], "the other side says: invalid digit found in string");
        let reason = receive! { Down { monitor: gone, reason, .. } if gone == watching => reason };
        let wrapped: &Wrapped = reason.downcast_ref().expect("the wrapper");
        assert_eq!(wrapped.0, "x".parse::<u32>().unwrap_err());
    });
}

#[test]
fn task_086_the_report_of_a_task_carries_its_label() {
    with_reports(|| async {
        let report = report_of(Task::start(labelled())).await;
        assert_eq!(&report.fields["label"], "carrying letters");
        assert!(report.fields["message"].contains("(carrying letters)"));
    });
}

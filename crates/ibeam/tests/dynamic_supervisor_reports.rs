//! What dynamic supervisors say through `tracing`: Elixir's `translator_test.exs`, rows DSUP-031 and 032.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
#[path = "../../ibeam-runtime/tests/common_tracing/mod.rs"]
mod common_tracing;
mod dynamic;

use common::{end_of, on_every_driver};
use common_tracing::{Seen, record, with};
use dynamic::{answers, end, pid, sleeper};
use ibeam::prelude::*;
use tracing::Level;

/// The only event of a supervisor that has this field with this value.
#[track_caller]
fn only(supervisor: Pid, field: &str, value: &str) -> Seen {
    let said = with("supervisor_pid", supervisor, "ibeam::supervisor");
    let mut said: Vec<_> = said.into_iter().filter(|seen| seen.fields.get(field) == Some(value)).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    said.remove(0)
}

#[track_caller]
fn with_reports<B: Future<Output = ()> + Send + 'static>(body: impl Fn() -> B) {
    record();
    on_every_driver(body);
}

#[test]
fn dsup_031_a_child_that_does_not_stop_as_asked() {
    with_reports(|| async {
        process::trap_exit(true);
        let supervisor = DynamicSupervisor::new("rooms").start_link().await.unwrap();
        let child = answers(ExitReason::other("stop")).module("Room");
        let child = pid(supervisor.start_child(child).await.unwrap());
        let top = supervisor.pid().unwrap();
        // A parent's normal exit signal ends a supervisor.
        process::exit_signal(top, ExitReason::Normal);
        assert_eq!(end_of(top).await, ExitReason::Normal);
        let report = only(top, "error_context", "shutdown_error");
        assert_eq!(report.level, Level::ERROR);
        assert_eq!(&report.fields["child_pid"], child.to_string());
        assert_eq!(report.fields.get("child"), None, "it has no id");
        let told = ["supervisor", "reason", "restart", "shutdown", "kind", "module"];
        let told = told.map(|field| &report.fields[field]);
        assert_eq!(told[0], "rooms");
        assert_eq!(told[2..], ["permanent", "5s", "worker", "Room"]);
        assert_eq!(&report.fields["message"], format!("Room {child} did not stop as asked: {}", told[1]));
    });
}

#[test]
fn dsup_032_with_a_template_the_same() {
    with_reports(|| async {
        process::trap_exit(true);
        let reason = ExitReason::other("stop");
        let supervisor = DynamicSupervisor::spec()
            .template(move |(): ()| answers(reason.clone()).module("Room"))
            .start_link()
            .await
            .unwrap();
        pid(supervisor.start_child(()).await.unwrap());
        let top = supervisor.pid().unwrap();
        process::exit_signal(top, ExitReason::Normal);
        end_of(top).await;
        assert_eq!(&only(top, "error_context", "shutdown_error").fields["module"], "Room");
    });
}

#[test]
fn starts_ends_and_the_last_restart_are_told() {
    with_reports(|| async {
        process::trap_exit(true);
        let supervisor = DynamicSupervisor::spec().intensity(0, std::time::Duration::from_secs(5));
        let supervisor = supervisor.start_link().await.unwrap();
        let (top, child) = (supervisor.pid().unwrap(), pid(supervisor.start_child(sleeper()).await.unwrap()));
        let progress = only(top, "progress", "true");
        assert_eq!((progress.level, &progress.fields["child_pid"]), (Level::DEBUG, &*child.to_string()));
        end(child, ExitReason::other("crash")).await;
        end_of(top).await;
        assert_eq!(&only(top, "error_context", "child_terminated").fields["child_pid"], child.to_string());
        let last = only(top, "error_context", "shutdown");
        assert!(last.fields["reason"].contains("more than 0 restarts within 5s"), "{last:?}");
        assert!(last.fields["reason"].contains(&child.to_string()), "{last:?}");
    });
}

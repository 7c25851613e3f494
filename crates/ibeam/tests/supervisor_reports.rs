//! What supervisors say through `tracing`: Elixir's `translator_test.exs`, rows `SUP-017` and on of tests/CONFORMANCE.md.

use std::time::Duration;

use ibeam::prelude::*;
use tracing::Level;

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
#[path = "../../ibeam-runtime/tests/common_tracing/mod.rs"]
mod common_tracing;
mod supervisors;

use common::on_every_driver;
use common_tracing::{Seen, record, reports_of, with};
use supervisors::*;

/// What a supervisor has said.
fn said_by(supervisor: Pid) -> Vec<Seen> {
    with("supervisor_pid", supervisor, "ibeam::supervisor")
}

/// The only event of a supervisor that has this field with this value.
#[track_caller]
fn only(supervisor: Pid, field: &str, value: &str) -> Seen {
    let said = said_by(supervisor);
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
fn sup_017_progress() {
    with_reports(|| async {
        let supervisor = start(one_for_one().child(worker("first"))).await;
        let top = supervisor.pid().unwrap();
        let added = supervisor.start_child(worker("second")).await.unwrap().pid.unwrap();
        let report = only(top, "child", "second");
        assert_eq!((report.level, &report.fields["progress"]), (Level::DEBUG, "true"));
        assert_eq!(&report.fields["supervisor"], top.to_string());
        assert_eq!(&report.fields["supervisor_module"], std::any::type_name::<Supervisor>());
        assert_eq!(&report.fields["child_pid"], added.to_string());
        assert_eq!(&report.fields["message"], format!("child `second` started as {added}"));
        // One that was started with the supervisor.
        assert_eq!(only(top, "child", "first").level, Level::INFO);
    });
}

#[test]
fn sup_018_progress_names_the_supervisor() {
    with_reports(|| async {
        let supervisor = start(one_for_one().name("namely").child(worker("a"))).await;
        assert_eq!(&only(supervisor.pid().unwrap(), "child", "a").fields["supervisor"], "namely");
        let via = Phonebook::default().via("key");
        let supervisor = start(one_for_one().name(via.clone()).child(worker("a"))).await;
        assert_eq!(&only(supervisor.pid().unwrap(), "child", "a").fields["supervisor"], via.to_string());
    });
}

#[test]
fn sup_019_progress_tells_the_specification() {
    with_reports(|| async {
        let supervisor = start(one_for_one().child(worker("a"))).await;
        let fields = only(supervisor.pid().unwrap(), "child", "a").fields;
        let told = ["restart", "shutdown", "kind", "significant"].map(|field| &fields[field]);
        assert_eq!(told, ["permanent", "5s", "worker", "false"]);
    });
}

#[test]
fn sup_020_a_child_ends_and_with_it_the_supervisor() {
    with_reports(|| async {
        let supervisor = start(one_for_one().intensity(0, HOUR).child(worker("a"))).await;
        let (top, a) = (supervisor.pid().unwrap(), pid(&supervisor, "a").await);
        end(a, ExitReason::other("stop")).await;
        assert_eq!(exit_of(top).await, ExitReason::Shutdown);
        assert_eq!(reports_of(a).len(), 1, "the child's own crash");
        let ended = only(top, "error_context", "child_terminated");
        assert_eq!(ended.level, Level::ERROR);
        let told = ["child", "child_pid", "reason"].map(|field| ended.fields[field].to_owned());
        assert_eq!(told, ["a".to_owned(), a.to_string(), "\"stop\"".to_owned()]);
        let gave_up = only(top, "error_context", "shutdown");
        assert_eq!(&gave_up.fields["child"], "a");
        // The reasons that used the budget up.
        assert_eq!(
            &gave_up.fields["reason"],
            "reached_max_restart_intensity, more than 0 restarts within 3600s: `a` (\"stop\")"
        );
    });
}

#[test]
fn sup_021_a_child_that_stops_otherwise_than_asked() {
    with_reports(|| async {
        let child = ends_with("a", ExitReason::other("stop"));
        let supervisor = start(one_for_one().child(child).child(worker("b"))).await;
        let top = supervisor.pid().unwrap();
        supervisor.terminate_child("a").await.unwrap();
        supervisor.terminate_child("b").await.unwrap();
        let fields = only(top, "error_context", "shutdown_error").fields;
        let told = ["child", "reason", "restart", "shutdown", "kind"].map(|field| &fields[field]);
        assert_eq!(told, ["a", "\"stop\"", "permanent", "5s", "worker"]);
    });
}

/// Why it had ended is known from its link.
#[test]
fn a_child_that_had_ended_before_it_was_to_stop() {
    struct Stuck;
    struct Go;
    with_reports(|| async {
        let supervisor = start(one_for_one().child(worker("a"))).await;
        let (top, a) = (supervisor.pid().unwrap(), pid(&supervisor, "a").await);
        let (me, starting, stopping) = (process::self_pid(), supervisor.clone(), supervisor.clone());
        let busy = ChildSpec::new("busy", move || async move {
            me.send(Stuck);
            receive! { Go => {} }
            Ok(process::spawn_link(obey()))
        });
        process::spawn(async move { drop(starting.start_child(busy).await) });
        receive! { Stuck => {} }
        // The request comes first, and finds the child dead.
        let asks = process::spawn(async move { drop(stopping.terminate_child("a").await) });
        common::until_it_waits(asks).await;
        end(a, ExitReason::other("by itself")).await;
        top.send(Go);
        common::end_of(asks).await;
        assert_eq!(&only(top, "error_context", "shutdown_error").fields["reason"], "\"by itself\"");
    });
}

#[test]
fn each_failed_start_is_reported() {
    with_reports(|| async {
        let (switch, log) = (Switch::on(), Log::default());
        let supervisor =
            start(one_for_one().intensity(2, HOUR).child(switched("a", &switch, &log)).child(worker("b")))
                .await;
        let top = supervisor.pid().unwrap();
        switch.set(false);
        crash_child(&supervisor, "a").await;
        assert_eq!(exit_of(top).await, ExitReason::Shutdown);
        let contexts: Vec<_> = said_by(top)
            .iter()
            .filter_map(|seen| seen.fields.get("error_context").map(str::to_owned))
            .collect();
        assert_eq!(contexts, ["child_terminated", "start_error", "start_error", "shutdown"]);
        let gave_up = only(top, "error_context", "shutdown");
        assert!(
            gave_up.fields["reason"].ends_with("`a` (\"crash\"), `a` (\"off\"), `a` (\"off\")"),
            "{gave_up:?}"
        );
    });
}

/// Ends that were meant are no errors.
#[test]
fn ordinary_ends_are_not_reported() {
    with_reports(|| async {
        let children = [Restart::Transient, Restart::Temporary]
            .map(|restart| worker(&restart.to_string()).restart(restart));
        let supervisor = start(one_for_one().children(children).child(worker("asked"))).await;
        let top = supervisor.pid().unwrap();
        end(pid(&supervisor, "transient").await, ExitReason::Normal).await;
        end(pid(&supervisor, "temporary").await, ExitReason::shutdown_with(1)).await;
        supervisor.terminate_child("asked").await.unwrap();
        supervisor.stop(ExitReason::Normal, Duration::from_secs(60)).await.unwrap();
        assert!(said_by(top).iter().all(|seen| seen.fields.get("error_context").is_none()));
    });
}

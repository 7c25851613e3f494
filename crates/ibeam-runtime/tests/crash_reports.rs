//! A crash is reported once, with all that one needs to find its cause; an ordinary end is not reported at all.
//!
//! The report is there before anybody is told of the end, so who waits for `Down` can look for it. Names begin with the
//! row of the conformance list that the test is for.

mod common;
mod common_tracing;

use std::error::Error;
use std::fmt;

use common::{down, end_of, first, idle, next, on_every_driver, until_it_waits};
use common_tracing::{Seen, record, reports_of};
use ibeam_runtime::process::{self, Spawn};
use ibeam_runtime::{ExitReason, Pid};
use tracing::Level;

/// Runs the body on every driver; what is reported is kept.
#[track_caller]
fn with_reports<B: Future<Output = ()> + Send + 'static>(body: impl Fn() -> B) {
    record();
    on_every_driver(body);
}

/// Starts the process, waits for its end and gives its only report.
async fn crash(builder: Spawn, future: impl Future<Output = ()> + Send + 'static) -> (Pid, ExitReason, Seen) {
    let (pid, monitor) = builder.spawn_monitor(future);
    let reason = down(monitor.reference()).await.reason;
    (pid, reason, only_report_of(pid))
}

#[track_caller]
fn only_report_of(pid: Pid) -> Seen {
    let mut reports = reports_of(pid);
    assert_eq!(reports.len(), 1, "one crash, one report: {reports:?}");
    reports.remove(0)
}

#[test]
fn proc_018_a_bare_process_crashes() {
    with_reports(|| async {
        let line = line!() + 1;
        let (pid, reason, report) = crash(process::builder(), async { panic!("oops") }).await;
        let location = format!("{}:{line}:", file!());

        assert_eq!(report.level, Level::ERROR);
        assert_eq!(&report.fields["pid"], pid.to_string());
        assert!(report.fields["location"].starts_with(&location), "{report:?}");
        assert_eq!(&report.fields["reason"], format!("panic: oops at {}", &report.fields["location"]));
        assert_eq!(&report.fields["message"], format!("process {pid} crashed: {}", &report.fields["reason"]));
        // The reason itself has the same, in parts.
        let ExitReason::Panic(panic) = &reason else { panic!("expected a panic, got {reason:?}") };
        assert_eq!((panic.message(), panic.location()), ("oops", Some(&report.fields["location"])));
        assert_eq!(&report.fields["reason"], reason.to_string());
        // Where a backtrace is asked for, both have it.
        assert_eq!(panic.backtrace(), report.fields.get("backtrace"));
        assert!(report.spans.is_empty());
    });
}

#[test]
fn proc_019_the_report_tells_where_the_process_comes_from_and_what_it_logs_with() {
    with_reports(|| async {
        let me = process::self_pid();
        process::register("starter", me).unwrap();
        let above = process::ancestors()[0].pid;
        let builder = process::builder()
            .span(tracing::info_span!("request", foo = "bar"))
            .callers([me, above])
            .label("with bookkeeping");
        let (pid, reason, report) = crash(builder, crashes_when_told_to(me)).await;

        assert_eq!(&report.fields["pid"], pid.to_string());
        assert_eq!(&report.fields["reason"], reason.to_string());
        assert!(report.fields["initial_call"].contains("crashes_when_told_to"), "{report:?}");
        assert_eq!(&report.fields["ancestors"], format!("[starter {me}, {above}]"));
        assert_eq!(&report.fields["callers"], format!("[{me}, {above}]"));
        assert_eq!(&report.fields["neighbours"], "[]");
        assert_eq!(&report.fields["message_queue_len"], "0");
        let spans: Vec<_> = report.spans.iter().map(|span| span.get("foo")).collect();
        assert_eq!(spans, [Some("bar")]);
    });
}

async fn crashes_when_told_to(by: Pid) {
    assert_eq!(process::ancestors()[0].pid, by);
    panic!("told to");
}

#[test]
fn proc_020_the_report_shows_the_name() {
    with_reports(|| async {
        let (pid, _, report) = crash(process::builder(), async {
            process::register("the crashing one", process::self_pid()).unwrap();
            panic!("oops");
        })
        .await;
        assert_eq!(&report.fields["name"], "the crashing one");
        assert_eq!(&report.fields["pid"], pid.to_string());
        assert!(
            report.fields["message"].starts_with(&format!("process `the crashing one` {pid} crashed: ")),
            "{report:?}"
        );
        // The name is free again although the report still had it.
        assert_eq!(process::whereis("the crashing one"), None);

        let (_, _, report) = crash(process::builder(), async { panic!("oops") }).await;
        assert_eq!((report.fields.get("name"), report.fields.get("label")), (None, None));
    });
}

#[test]
fn proc_021_the_report_carries_the_label() {
    with_reports(|| async {
        let (pid, _, report) = crash(process::builder(), async {
            process::set_label("worker 7");
            process::set_activity(Some("packing"));
            panic!("oops");
        })
        .await;
        assert_eq!(&report.fields["label"], "worker 7");
        assert_eq!(&report.fields["activity"], "packing");
        assert!(
            report.fields["message"].starts_with(&format!("process (worker 7) {pid} crashed: ")),
            "{report:?}"
        );
    });
}

#[test]
fn proc_023_neighbours_are_shown_with_their_names() {
    with_reports(|| async {
        let me = process::self_pid();
        let (pid, _, report) = crash(process::builder(), async move {
            let child = process::builder().name("neighbour").link().spawn(idle());
            let stranger = process::builder().link().spawn(idle());
            me.send((child, stranger));
            panic!("oops");
        })
        .await;
        let (child, stranger) = next::<(Pid, Pid)>().await;
        assert_eq!(&report.fields["neighbours"], format!("[`neighbour` {child}, {stranger}]"));

        // They die of it, and that is no crash of theirs.
        for neighbour in [child, stranger] {
            end_of(neighbour).await;
            assert!(reports_of(neighbour).is_empty(), "{neighbour} was ended by {pid}");
        }
    });
}

#[test]
fn messages_that_nobody_took_are_counted_in_the_report() {
    with_reports(|| async {
        let (pid, monitor) = process::spawn_monitor(async {
            // It takes one out, and skips two others.
            let order = process::receive_with(|message| message.arm(Ok::<&str, &str>)).await;
            panic!("{order}");
        });
        until_it_waits(pid).await;
        pid.send(1);
        pid.send(2);
        pid.send("oops");
        down(monitor).await;
        assert_eq!(&only_report_of(pid).fields["message_queue_len"], "2");
    });
}

#[test]
fn ordinary_ends_are_silent() {
    with_reports(|| async {
        let ended = [
            process::spawn_monitor(async {}),
            process::spawn_monitor(async { Ok::<(), fmt::Error>(()) }),
            process::spawn_monitor(async { ExitReason::Normal }),
            process::spawn_monitor(async { ExitReason::Shutdown }),
            process::spawn_monitor(async { ExitReason::shutdown_with("for today") }),
            process::spawn_monitor(async { process::exit(ExitReason::Shutdown) }),
            process::spawn_monitor(async { process::exit(ExitReason::Normal) }),
        ];
        for (pid, monitor) in ended {
            let reason = down(monitor).await.reason;
            assert!(!reason.is_abnormal(), "{reason}");
            assert!(reports_of(pid).is_empty(), "{reason}");
        }
        // Who is ended from outside has done nothing that could be looked for in it.
        for reason in [ExitReason::Kill, ExitReason::Shutdown, ExitReason::other("enough")] {
            let (pid, monitor) = process::spawn_monitor(idle());
            process::exit_signal(pid, reason.clone());
            down(monitor).await;
            assert!(reports_of(pid).is_empty(), "{reason}");
        }
    });
}

#[test]
fn every_abnormal_end_of_its_own_is_reported_with_its_reason() {
    #[derive(Debug)]
    struct DiskFull;
    impl fmt::Display for DiskFull {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the disk is full")
        }
    }
    impl Error for DiskFull {}

    with_reports(|| async {
        let ended = [
            (process::spawn_monitor(async { Err::<(), _>(DiskFull) }), "the disk is full"),
            (process::spawn_monitor(async { ExitReason::other(28) }), "28"),
            (process::spawn_monitor(async { process::exit(ExitReason::Timeout) }), "timeout"),
            (process::spawn_monitor(async { ExitReason::Killed }), "killed"),
        ];
        for ((pid, monitor), reason) in ended {
            assert_eq!(down(monitor).await.reason.to_string(), reason);
            let report = only_report_of(pid);
            assert_eq!(&report.fields["reason"], reason);
            assert_eq!((report.fields.get("location"), report.fields.get("backtrace")), (None, None));
        }
    });
}

#[test]
fn a_destructor_that_panics_is_reported_and_the_reason_stays() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("while dropped");
        }
    }
    with_reports(|| async {
        // One in the future, one among its local values, one in its mailbox.
        let (pid, monitor) = process::spawn_monitor(async {
            let _bomb = Bomb;
            process::put(process::Key::new("bomb"), Bomb);
            first::<()>().await;
        });
        until_it_waits(pid).await;
        pid.send(Bomb);
        process::exit_signal(pid, ExitReason::other("enough"));
        assert_eq!(down(monitor).await.reason, ExitReason::other("enough"));
        let reports = reports_of(pid);
        assert_eq!(reports.len(), 3, "{reports:?}");
        for report in reports {
            assert_eq!(report.level, Level::ERROR);
            let message = &report.fields["message"];
            assert!(
                message.starts_with(&format!("a destructor of process {pid} panicked: panic: while dropped")),
                "{message}"
            );
        }
    });
}

#[test]
fn the_span_of_a_process_is_around_all_that_it_does() {
    with_reports(|| async {
        let (pid, monitor) =
            process::builder().span(tracing::info_span!("request", id = 7)).spawn_monitor(async {
                let id = process::self_pid().to_string();
                tracing::error!(target: "ibeam::crash", pid = %id, "before the wait");
                process::yield_now().await;
                tracing::error!(target: "ibeam::crash", pid = %id, "after it");
                panic!("oops");
            });
        down(monitor.reference()).await;
        let ids: Vec<_> =
            reports_of(pid).iter().map(|seen| seen.spans[0].get("id").map(str::to_owned)).collect();
        assert_eq!(ids, vec![Some("7".to_owned()); 3]);
    });
}

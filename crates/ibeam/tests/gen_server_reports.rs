//! What is said when a server crashes. Names begin with the row of the conformance list that the test is for.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
#[path = "../../ibeam-runtime/tests/common_tracing/mod.rs"]
mod common_tracing;

use std::time::Duration;

use common::{down, on_every_driver};
use common_tracing::{Seen, about, record, reports_of};
use ibeam::Start;
use ibeam::gen_server::ServerStatus;
use ibeam::prelude::*;

/// What `format_status` does.
#[derive(Clone, Copy, PartialEq)]
enum Shows {
    TypeOnly,
    State,
    Redacted,
    Panics,
    Exits,
}

struct Crashing {
    items: Vec<u8>,
    shows: Shows,
}

#[gen_server(client = pub(crate) CrashingClient)]
impl Crashing {
    async fn init(shows: Shows) -> Init<Self> {
        Init::ok(Crashing { items: vec![1, 2, 3], shows })
    }

    #[call]
    async fn raise(&mut self) {
        panic!("oops");
    }

    #[call]
    async fn exit(&mut self) {
        process::exit(ExitReason::other("crashed"));
    }

    #[call]
    async fn label(&mut self, label: &'static str) {
        process::set_label(label);
    }

    #[cast]
    async fn feed(&mut self) {
        panic!("oops");
    }

    fn format_status(&self, status: &mut ServerStatus) {
        match self.shows {
            Shows::TypeOnly => {}
            Shows::State => status.state = format!("{:?}", self.items),
            Shows::Redacted => {
                status.state = "state hidden".to_owned();
                status.message = status.message.take().map(|_| "message hidden".to_owned());
                status.reason = Some("reason hidden".to_owned());
            }
            Shows::Panics => panic!("in `format_status`"),
            Shows::Exits => process::exit(ExitReason::other("from `format_status`")),
        }
    }
}

/// What is said of a server that `crashes`: its own record, and its process'. And why it ended.
async fn crash(
    start: Start<Crashing>,
    crashes: impl AsyncFnOnce(&ServerRef<Crashing>),
) -> (Seen, Seen, ExitReason) {
    let (server, monitor) = start.monitored().await.unwrap();
    crashes(&server).await;
    let reason = down(monitor).await.reason;
    let pid = server.pid().unwrap();
    let (mut of_server, mut of_process) = (about(pid, "ibeam::gen_server"), reports_of(pid));
    assert_eq!((of_server.len(), of_process.len()), (1, 1), "{of_server:?} {of_process:?}");
    (of_server.remove(0), of_process.remove(0), reason)
}

async fn raises(server: &ServerRef<Crashing>) {
    let error = server.raise().await.unwrap_err();
    assert!(matches!(error, CallError::Exited { reason: ExitReason::Panic(_), .. }), "{error}");
}

#[track_caller]
fn with_reports<B: Future<Output = ()> + Send + 'static>(body: impl Fn() -> B) {
    record();
    on_every_driver(body);
}

#[test]
fn gsv_014_a_crash_is_reported_by_the_server_and_by_its_process() {
    with_reports(|| async {
        let (server, process, reason) = crash(Crashing::start(Shows::TypeOnly), raises).await;
        for seen in [&server, &process] {
            assert_eq!(&seen.fields["reason"], reason.to_string());
            assert!(seen.fields["reason"].starts_with("panic: oops at "), "{seen:?}");
            assert_eq!(seen.fields.get("name"), None);
            assert_eq!(seen.level, tracing::Level::ERROR);
        }
        assert_eq!(&server.fields["message"], "server terminating");
        assert_eq!(&server.fields["server"], std::any::type_name::<Crashing>());
        assert_eq!(server.fields.get("initial_call"), None);
        assert!(process.fields["initial_call"].contains("Crashing"), "{process:?}");
    });
}

#[test]
fn gsv_015_both_records_carry_the_name() {
    with_reports(|| async {
        let (server, process, _) = crash(Crashing::start(Shows::TypeOnly).name("named"), raises).await;
        assert_eq!((&server.fields["name"], &process.fields["name"]), ("named", "named"));
    });
}

#[test]
fn gsv_016_the_record_carries_the_label_and_the_last_message() {
    with_reports(|| async {
        let me = process::self_pid().to_string();
        let labelled = async |server: &ServerRef<Crashing>| {
            server.label("labelled").await.unwrap();
            raises(server).await;
        };
        let (server, process, _) = crash(Crashing::start(Shows::TypeOnly), labelled).await;
        assert_eq!((&server.fields["label"], &process.fields["label"]), ("labelled", "labelled"));
        let last = &server.fields["last_message"];
        assert!(last.starts_with("call ") && last.ends_with("__Crashing_raise"), "{last}");
        assert_eq!(&server.fields["client"], me);
    });
}

#[test]
fn gsv_018_the_record_has_state_message_and_client() {
    with_reports(|| async {
        let me = process::self_pid().to_string();
        let (server, _, _) = crash(Crashing::start(Shows::State), raises).await;
        assert_eq!(&server.fields["state"], "[1, 2, 3]");
        assert_eq!(&server.fields["client"], me);
        let (server, _, _) = crash(Crashing::start(Shows::TypeOnly), raises).await;
        assert_eq!(&server.fields["state"], std::any::type_name::<Crashing>());
    });
}

#[test]
fn gsv_019_a_crash_in_a_cast_names_no_client() {
    with_reports(|| async {
        let feeds = async |server: &ServerRef<Crashing>| server.feed();
        let (server, _, _) = crash(Crashing::start(Shows::State), feeds).await;
        let last = &server.fields["last_message"];
        assert!(last.starts_with("cast ") && last.ends_with("__Crashing_feed"), "{last}");
        assert_eq!(&server.fields["state"], "[1, 2, 3]");
        assert_eq!(server.fields.get("client"), None);
    });
}

#[test]
fn gsv_020_a_crash_in_a_cast_has_both_records() {
    with_reports(|| async {
        let feeds = async |server: &ServerRef<Crashing>| server.feed();
        let (server, process, reason) = crash(Crashing::start(Shows::TypeOnly), feeds).await;
        assert_eq!(server.fields.get("client"), None);
        assert_eq!(
            (&server.fields["reason"], &process.fields["reason"]),
            (&*reason.to_string(), &*reason.to_string())
        );
    });
}

#[test]
fn otp_gs_12_an_exit_in_a_callback_is_reported_as_it_is() {
    with_reports(|| async {
        let exits = async |server: &ServerRef<Crashing>| {
            let error = server.exit().await.unwrap_err();
            assert_eq!(error.into_exit_reason(), ExitReason::other("crashed"));
        };
        let me = process::self_pid().to_string();
        let (server, process, reason) = crash(Crashing::start(Shows::State), exits).await;
        assert_eq!(reason, ExitReason::other("crashed"));
        for field in ["pid", "reason"] {
            assert_eq!(&server.fields[field], &process.fields[field]);
        }
        assert_eq!(&server.fields["client"], me);
        assert!(server.fields["last_message"].ends_with("__Crashing_exit"), "{server:?}");
        // Neither is said of a server that ends as it should.
        let (server, monitor) = Crashing::start(Shows::State).monitored().await.unwrap();
        server.stop(ExitReason::shutdown_with("for today"), Duration::from_secs(5)).await.unwrap();
        down(monitor).await;
        assert!(about(server.pid().unwrap(), "ibeam::gen_server").is_empty());
    });
}

#[test]
fn otp_gs_37_a_format_status_that_fails_is_replaced() {
    with_reports(|| async {
        for shows in [Shows::Panics, Shows::Exits] {
            let (server, _, reason) = crash(Crashing::start(shows), raises).await;
            assert_eq!(&server.fields["state"], "(`format_status` panicked)");
            assert_eq!(&server.fields["reason"], reason.to_string());
            assert!(reason.to_string().starts_with("panic: oops"), "{reason}");
        }
    });
}

#[test]
fn otp_gs_38_the_record_shows_what_format_status_leaves() {
    with_reports(|| async {
        let stops = async |server: &ServerRef<Crashing>| {
            server.stop(ExitReason::other("secret"), Duration::from_secs(5)).await.unwrap();
        };
        for (server, _, _) in [
            crash(Crashing::start(Shows::Redacted), stops).await,
            crash(Crashing::start(Shows::Redacted), raises).await,
        ] {
            assert_eq!(&server.fields["state"], "state hidden");
            assert_eq!(&server.fields["last_message"], "message hidden");
            assert_eq!(&server.fields["reason"], "reason hidden");
        }
    });
}

//! Supervisors as OTP's `supervisor_SUITE` and Elixir's `supervisor_test.exs` have them: rows `OTP-SV` and `SUP` of
//! tests/CONFORMANCE.md, without those of `simple_one_for_one`. Each body runs on every driver.

use std::sync::Arc;
use std::time::Duration;

use ibeam::Value;
use ibeam::prelude::*;
use ibeam::supervisor::{
    AutoShutdown, Backoff, ChildError, DeleteChildError, FailedToStartChild, Kind, RestartChildError,
    Shutdown, Significant, SpecError, StartChildError, check_child_specs,
};

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod supervisors;

use common::{end_of, nothing_comes, on_every_driver};
use supervisors::*;

fn reasons() -> [ExitReason; 4] {
    [ExitReason::Normal, ExitReason::Shutdown, ExitReason::shutdown_with(1), crash()]
}

/// A server whose `init` says what its argument tells it to.
struct Server;

#[derive(Clone, Copy, PartialEq)]
enum Told {
    Run,
    Ignore,
    Stop,
    Panic,
}

impl GenServer for Server {
    type Args = Told;

    async fn init(told: Told) -> Init<Self> {
        match told {
            Told::Run => Init::ok(Server),
            Told::Ignore => Init::ignore(),
            Told::Stop => Init::stop(ExitReason::other("stopped")),
            Told::Panic => panic!("in init"),
        }
    }
}

/// A supervisor that is a type.
struct Module;

impl Supervise for Module {
    type Args = Told;

    async fn init(told: Told) -> SupervisorInit {
        match told {
            Told::Run => one_for_one().child(worker("in module")).into(),
            Told::Ignore => SupervisorInit::Ignore,
            Told::Stop => process::exit(ExitReason::other("stopped")),
            Told::Panic => panic!("in init"),
        }
    }
}

// Starting.

#[test]
fn otp_sv_01_starts_and_ends_with_its_parent() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one()).await;
        assert_eq!(shut_down(&supervisor).await, ExitReason::Shutdown);
    });
}

/// Of a start that fails nothing is left: no process, no notice.
async fn no_trace(processes: usize) {
    nothing_comes(Duration::ZERO).await;
    assert_eq!(process::list().len(), processes);
}

#[test]
fn otp_sv_02_an_init_that_ignores() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let before = process::list().len();
        assert_eq!(Module::start_link(Told::Ignore).await.unwrap_err(), StartError::Ignored);
        no_trace(before).await;
    });
}

#[test]
fn otp_sv_03_an_init_that_crashes() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let before = process::list().len();
        let Err(StartError::Init { reason }) = Module::start_link(Told::Panic).await else {
            panic!("a panic")
        };
        assert!(matches!(reason, ExitReason::Panic(panic) if panic.message() == "in init"));
        let Err(StartError::Init { reason }) = Module::start_link(Told::Stop).await else {
            panic!("an exit")
        };
        assert_eq!(reason, ExitReason::other("stopped"));
        no_trace(before).await;
    });
}

#[test]
fn otp_sv_04_a_child_that_ignores_is_kept_without_a_process() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one()).await;
        let ignored = supervisor.start_child(Server::child(Told::Ignore).id("ignored")).await.unwrap();
        assert_eq!(ignored.pid, None);
        supervisor.start_child(worker("runs")).await.unwrap();
        assert_eq!(ids(&supervisor).await, ["runs", "ignored"]);
        assert_eq!(info(&supervisor, "ignored").await.pid, None);
        assert_eq!(counts(&supervisor).await, [2, 1, 0, 2]);

        let temporary = Server::child(Told::Ignore).id("temporary").restart(Restart::Temporary);
        assert_eq!(supervisor.start_child(temporary).await.unwrap().pid, None);
        assert_eq!(counts(&supervisor).await, [2, 1, 0, 2]);
    });
}

#[test]
fn otp_sv_05_a_child_that_does_not_start_is_not_kept() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one()).await;
        for (told, expected) in [(Told::Stop, "stopped"), (Told::Panic, "in init")] {
            let error = supervisor.start_child(Server::child(told).id("server")).await.unwrap_err();
            let StartChildError::Start { id, error: StartError::Init { reason } } = &error else {
                panic!("got {error:?}")
            };
            assert_eq!(id, &"server");
            assert!(reason.to_string().contains(expected), "{reason}");
        }
        let throws = ChildSpec::new("panics", || async { panic!("in the start function") });
        let error = supervisor.start_child(throws).await.unwrap_err();
        assert!(error.to_string().starts_with("child `panics` did not start"), "{error}");
        let exits = ChildSpec::new("exits", || -> std::future::Ready<Result<Pid, StartError>> {
            process::exit(ExitReason::Normal)
        });
        let error = supervisor.start_child(exits).await.unwrap_err();
        let expected = StartError::Init { reason: ExitReason::Normal };
        assert_eq!(error, StartChildError::Start { id: "exits".into(), error: expected });
        assert_eq!(counts(&supervisor).await, [0, 0, 0, 0]);
    });
}

#[test]
fn otp_sv_07_a_restart_by_hand_that_fails_keeps_the_child() {
    on_every_driver(|| async {
        let (switch, log) = (Switch::on(), Log::default());
        let supervisor = start(one_for_one().child(switched("a", &switch, &log))).await;
        supervisor.terminate_child("a").await.unwrap();
        switch.set(false);
        let error = supervisor.restart_child("a").await.unwrap_err();
        let expected = StartError::Init { reason: ExitReason::other("off") };
        assert_eq!(error, RestartChildError::Start { id: "a".into(), error: expected });
        let a = info(&supervisor, "a").await;
        assert_eq!((a.pid, a.restarting), (None, false));
        assert_eq!(counts(&supervisor).await, [1, 0, 0, 1]);
    });
}

#[test]
fn otp_sv_08_defaults_are_read_back() {
    on_every_driver(|| async {
        let five_seconds = Shutdown::Timeout(Duration::from_secs(5));
        let supervisor = start(
            one_for_one()
                .child(worker("worker"))
                .child(one_for_one().into_child("supervisor"))
                .child(worker("kind").kind(Kind::Supervisor))
                .child(worker("restart").restart(Restart::Temporary))
                .child(worker("shutdown").shutdown(Shutdown::BrutalKill)),
        )
        .await;
        let expected = [
            ("worker", Restart::Permanent, five_seconds, Kind::Worker),
            ("supervisor", Restart::Permanent, Shutdown::Infinity, Kind::Supervisor),
            ("kind", Restart::Permanent, Shutdown::Infinity, Kind::Supervisor),
            ("restart", Restart::Temporary, five_seconds, Kind::Worker),
            ("shutdown", Restart::Permanent, Shutdown::BrutalKill, Kind::Worker),
        ];
        for (id, restart, shutdown, kind) in expected {
            let settings = supervisor.child_spec(id).await.unwrap().settings();
            assert_eq!(
                (settings.restart, settings.shutdown, settings.kind),
                (restart, shutdown, kind),
                "{id}"
            );
            assert_eq!((&settings.id, settings.significant), (&id.into(), false));
        }
        let error = supervisor.child_spec("nobody").await.unwrap_err();
        assert_eq!(error, ChildError::NotFound { id: "nobody".into() });
        let start = supervisor.child_spec("restart").await.unwrap().id("again");
        assert!(supervisor.start_child(start).await.is_err(), "a temporary child's start is not kept");
        let start = supervisor.child_spec("worker").await.unwrap().id("again");
        assert!(supervisor.start_child(start).await.is_ok());
    });
}

/// The reason for which a supervisor did not start.
async fn refused(supervisor: Supervisor) -> SpecError {
    let Err(StartError::Init { reason }) = supervisor.start().await else {
        panic!("expected it not to start")
    };
    reason.downcast_ref::<SpecError>().unwrap_or_else(|| panic!("got {reason}")).clone()
}

#[test]
fn otp_sv_09_what_types_let_through_is_refused_at_the_start() {
    on_every_driver(|| async {
        let twice = one_for_one().child(worker("a")).child(worker("b")).child(worker("a"));
        assert_eq!(refused(twice).await, SpecError::DuplicateId { child: "a".into() });
        let supervisor = start(one_for_one().child(worker(""))).await;
        assert_eq!(counts(&supervisor).await, [1, 1, 0, 1]);
    });
}

#[test]
fn otp_sv_19_faults_name_child_and_field() {
    on_every_driver(|| async {
        let second = Duration::from_secs(1);
        let permanent = || worker("a").significant(Significant::Transient).restart(Restart::Permanent);
        let backoff = || worker("a").backoff(Backoff::new(second, Duration::ZERO));
        let supervisor = start(one_for_one()).await;
        for (spec, field) in [(permanent(), "significant"), (backoff(), "backoff")] {
            let error = spec.check().unwrap_err();
            assert_eq!((error.child(), error.field()), (Some(&"a".into()), field));
            assert!(
                error.to_string().starts_with(&format!("child `a`, field `{field}`: expected ")),
                "{error}"
            );
            assert_eq!(supervisor.start_child(&spec).await, Err(StartChildError::Spec(error.clone())));
            assert_eq!(check_child_specs([&spec], None), Err(error.clone()));
            assert_eq!(refused(one_for_one().child(spec)).await, error);
        }
        assert_eq!(counts(&supervisor).await, [0, 0, 0, 0]);

        let error = check_child_specs([worker("a"), worker("a")], None).unwrap_err();
        assert_eq!(error, SpecError::DuplicateId { child: "a".into() });
        assert_eq!((error.child(), error.field()), (Some(&"a".into()), "id"));

        let shutdowns =
            [Shutdown::BrutalKill, Duration::ZERO.into(), Duration::MAX.into(), Shutdown::Infinity];
        for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
            for shutdown in shutdowns {
                for kind in [Kind::Worker, Kind::Supervisor] {
                    let spec = worker("a").restart(restart).shutdown(shutdown).kind(kind).module("m");
                    assert_eq!(spec.check(), Ok(()));
                }
            }
        }
    });
}

#[test]
fn otp_sv_20_significance_needs_a_mode_and_a_restart_type() {
    on_every_driver(|| async {
        let modes = [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];
        for mode in modes {
            for significant in [Significant::Transient, Significant::Temporary] {
                let checked = check_child_specs([worker("a").significant(significant)], Some(mode));
                assert_eq!(checked.is_ok(), mode != AutoShutdown::Never, "{mode:?} {significant:?}");
            }
            let permanent = worker("a").significant(Significant::Transient).restart(Restart::Permanent);
            let error = check_child_specs([permanent], Some(mode)).unwrap_err();
            assert_eq!(error, SpecError::SignificantPermanent { child: "a".into() });
            for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
                assert_eq!(check_child_specs([worker("a").restart(restart)], Some(mode)), Ok(()));
            }
        }
        let significant = || worker("a").significant(Significant::Temporary);
        let error = refused(one_for_one().child(significant())).await;
        assert_eq!(error, SpecError::SignificantWithoutAutoShutdown { child: "a".into() });
        let supervisor = start(one_for_one()).await;
        assert_eq!(supervisor.start_child(significant()).await, Err(StartChildError::Spec(error)));
    });
}

#[test]
fn otp_sv_21_a_period_of_0_is_refused() {
    on_every_driver(|| async {
        assert_eq!(refused(one_for_one().intensity(1, Duration::ZERO)).await, SpecError::ZeroPeriod);
        assert_eq!(
            SpecError::ZeroPeriod.to_string(),
            "supervisor, field `intensity`: expected a period longer than 0 s"
        );
        let backoff = Backoff::new(Duration::ZERO, HOUR);
        let error = refused(one_for_one().backoff(backoff)).await;
        assert_eq!((error.child(), error.field()), (None, "backoff"));
        start(one_for_one().intensity(usize::MAX, Duration::MAX)).await;
    });
}

#[test]
fn otp_sv_43_a_name_that_is_taken() {
    on_every_driver(|| async {
        let stranger = process::builder().name("taken").spawn(obey());
        let supervisor = start(one_for_one()).await;
        let error = supervisor.start_child(Server::child(Told::Run).id("a").name("taken")).await.unwrap_err();
        let taken = StartError::AlreadyStarted { name: "taken".into(), pid: stranger };
        assert_eq!(error, StartChildError::Start { id: "a".into(), error: taken });
        assert_eq!(counts(&supervisor).await, [0, 0, 0, 0]);
    });
}

/// A start that fails in the middle: those before it are stopped again, in reverse order.
#[test]
fn a_start_that_fails_in_the_middle_stops_those_before_it() {
    on_every_driver(|| async {
        let log = Log::default();
        let (off, good) = (Switch::on(), |id| polite(id, &log));
        off.set(false);
        let supervisor =
            one_for_one().child(good("a")).child(good("b")).child(switched("c", &off, &log)).child(good("d"));
        let Err(StartError::Init { reason }) = supervisor.start().await else { panic!("c does not start") };
        assert_eq!(log.take(), ["+a", "+b", "!c", "-b", "-a"]);
        let failed = reason.downcast_ref::<FailedToStartChild>().unwrap();
        assert_eq!((&failed.id, reason.is_shutdown()), (&"c".into(), true));
        assert_eq!(failed.error, StartError::Init { reason: ExitReason::other("off") });
    });
}

// Stopping.

#[test]
fn otp_sv_10_infinity_is_legal_for_workers_too() {
    on_every_driver(|| async {
        let supervisor = start(
            one_for_one()
                .child(worker("worker").shutdown(Shutdown::Infinity))
                .child(one_for_one().into_child("supervisor")),
        )
        .await;
        let ends = [watch(pid(&supervisor, "worker").await), watch(pid(&supervisor, "supervisor").await)];
        assert_eq!(shut_down(&supervisor).await, ExitReason::Shutdown);
        for end in ends {
            assert_eq!(end.await, ExitReason::Shutdown);
        }
    });
}

#[test]
fn otp_sv_11_who_does_not_stop_in_time_is_killed() {
    on_every_driver(|| async {
        // A real clock has to wait for this too.
        let patience = Duration::from_millis(100);
        let children = [worker("idle"), deaf("busy")].map(|child| child.shutdown(patience));
        let supervisor = start(one_for_one().children(children)).await;
        let [idle, busy] = [watch(pid(&supervisor, "idle").await), watch(pid(&supervisor, "busy").await)];
        let begun = process::now();
        assert_eq!(shut_down(&supervisor).await, ExitReason::Shutdown);
        assert!(process::now() - begun >= patience);
        assert_eq!((idle.await, busy.await), (ExitReason::Shutdown, ExitReason::Killed));
    });
}

#[test]
fn otp_sv_12_brutal_kill() {
    on_every_driver(|| async {
        let children = [worker("asked"), worker("killed").shutdown(Shutdown::BrutalKill)];
        let supervisor = start(one_for_one().children(children)).await;
        let [asked, killed] =
            [watch(pid(&supervisor, "asked").await), watch(pid(&supervisor, "killed").await)];
        assert_eq!(shut_down(&supervisor).await, ExitReason::Shutdown);
        assert_eq!((asked.await, killed.await), (ExitReason::Shutdown, ExitReason::Killed));
    });
}

/// The static part of the row: what a child answers to the request to stop is its own reason.
#[test]
fn children_that_stop_with_reasons_of_their_own() {
    on_every_driver(|| async {
        for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
            let log = Log::default();
            let children = reasons().into_iter().enumerate();
            let children = children.map(|(at, reason)| ends_with(&at.to_string(), reason).restart(restart));
            let supervisor = start(one_for_one().children(children).child(logged("last", &log))).await;
            let mut ends = Vec::new();
            for (at, reason) in reasons().into_iter().enumerate() {
                ends.push((reason, watch(pid(&supervisor, &at.to_string()).await)));
            }
            assert_eq!(shut_down(&supervisor).await, ExitReason::Shutdown);
            for (reason, end) in ends {
                assert_eq!(end.await, reason);
            }
            assert_eq!(log.take(), ["+last"]);
        }
    });
}

/// It waits for the one, and hears of the other afterwards.
#[test]
fn a_child_that_ends_while_another_one_stops_is_restarted() {
    on_every_driver(|| async {
        let log = Log::default();
        let slow = ChildSpec::new("slow", || async {
            Ok(process::builder().link().trap_exit().spawn(async {
                receive! { Exit { .. } => {} }
                receive! { Do(reason) => process::exit(reason) }
            }))
        });
        let supervisor = start(one_for_one().child(slow).child(logged("a", &log))).await;
        let (slow, a) = (pid(&supervisor, "slow").await, pid(&supervisor, "a").await);
        let asking = supervisor.clone();
        process::spawn(async move { asking.terminate_child("slow").await });
        // It has been asked to stop when it has taken the request from its mailbox, and waits for us.
        let asked = |info: process::ProcessInfo| info.monitored_by.contains(&supervisor.pid().unwrap());
        while !asked(process::info(slow).await.unwrap()) {
            process::yield_now().await;
        }
        end(a, crash()).await;
        slow.send(Do(ExitReason::Shutdown));
        assert_eq!(info(&supervisor, "slow").await.pid, None);
        assert_ne!(pid(&supervisor, "a").await, a);
        assert_eq!(log.take(), ["+a", "+a"]);
    });
}

#[test]
fn children_are_stopped_in_reverse_order() {
    on_every_driver(|| async {
        let log = Log::default();
        let supervisor = start(one_for_one().children(["a", "b", "c"].map(|id| polite(id, &log)))).await;
        crash_child(&supervisor, "a").await;
        supervisor.start_child(polite("d", &log)).await.unwrap();
        log.take();
        supervisor.stop(ExitReason::Normal, None).await.unwrap();
        assert_eq!(log.take(), ["-d", "-c", "-b", "-a"]);
    });
}

// What the API does.

#[test]
fn otp_sv_14_what_a_start_says_besides_the_pid() {
    on_every_driver(|| async {
        let starts = Log::default();
        let spec = |id: &str| {
            let starts = starts.clone();
            ChildSpec::with_info(id, move || {
                starts.write("start");
                async { Ok((process::spawn_link(obey()), Value::new("info"))) }
            })
        };
        let supervisor = start(one_for_one().child(spec("listed"))).await;
        let said = |info: Option<Value>| info.and_then(|info| info.downcast_ref::<&str>().copied());
        let added = supervisor.start_child(spec("added")).await.unwrap();
        assert_eq!(said(added.info), Some("info"));
        supervisor.terminate_child("added").await.unwrap();
        let again = supervisor.restart_child("added").await.unwrap();
        assert_eq!((again.pid, said(again.info)), (Some(pid(&supervisor, "added").await), Some("info")));
        crash_child(&supervisor, "added").await;
        assert_eq!(counts(&supervisor).await, [2, 2, 0, 2]);
        assert_eq!(starts.take().len(), 4);
    });
}

#[test]
fn otp_sv_15_an_id_is_taken_once() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one().child(worker("a"))).await;
        let running = pid(&supervisor, "a").await;
        let error = supervisor.start_child(worker("a")).await.unwrap_err();
        assert_eq!(error, StartChildError::AlreadyStarted { id: "a".into(), pid: running });
        supervisor.terminate_child("a").await.unwrap();
        let error = supervisor.start_child(worker("a")).await.unwrap_err();
        assert_eq!(error, StartChildError::AlreadyPresent { id: "a".into() });
    });
}

#[test]
fn otp_sv_16_terminate_restart_delete() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one().child(worker("a"))).await;
        let a = pid(&supervisor, "a").await;
        let ended = watch(a);
        let running = |pid| RestartChildError::Running { id: "a".into(), pid };
        assert_eq!(supervisor.restart_child("a").await, Err(running(a)));
        let error = supervisor.delete_child("a").await.unwrap_err();
        assert_eq!(error, DeleteChildError::Running { id: "a".into(), pid: a });

        assert_eq!(supervisor.terminate_child("a").await, Ok(()));
        assert_eq!(ended.await, ExitReason::Shutdown);
        assert_eq!(info(&supervisor, "a").await.pid, None);
        assert_eq!(counts(&supervisor).await, [1, 0, 0, 1]);
        assert_eq!(supervisor.terminate_child("a").await, Ok(()));

        let again = supervisor.restart_child("a").await.unwrap().pid.unwrap();
        assert_ne!(again, a);
        supervisor.terminate_child("a").await.unwrap();
        assert_eq!(supervisor.delete_child("a").await, Ok(()));
        assert_eq!(counts(&supervisor).await, [0, 0, 0, 0]);

        let id = || "a".into();
        assert_eq!(supervisor.terminate_child("a").await, Err(ChildError::NotFound { id: id() }));
        assert_eq!(supervisor.restart_child("a").await, Err(RestartChildError::NotFound { id: id() }));
        assert_eq!(supervisor.delete_child("a").await, Err(DeleteChildError::NotFound { id: id() }));
    });
}

#[test]
fn otp_sv_17_no_supervisor() {
    on_every_driver(|| async {
        let nobody = SupervisorRef::named("nobody");
        let no_proc = |error: &CallError| matches!(error, CallError::NoProc { .. });
        assert!(nobody.which_children().await.is_err_and(|error| no_proc(&error)));
        assert!(nobody.count_children().await.is_err_and(|error| no_proc(&error)));
        let child = |error| matches!(&error, ChildError::Call(error) if no_proc(error));
        assert!(nobody.terminate_child("a").await.is_err_and(child));
        assert!(nobody.which_child("a").await.is_err_and(child));
        assert!(nobody.child_spec("a").await.is_err_and(child));
        let start = nobody.start_child(worker("a")).await;
        assert!(start.is_err_and(|error| matches!(&error, StartChildError::Call(error) if no_proc(error))));
        let restart = nobody.restart_child("a").await;
        assert!(
            restart.is_err_and(|error| matches!(&error, RestartChildError::Call(error) if no_proc(error)))
        );
        let delete = nobody.delete_child("a").await;
        assert!(delete.is_err_and(|error| matches!(&error, DeleteChildError::Call(error) if no_proc(error))));
    });
}

#[test]
fn otp_sv_44_listed_and_looked_up() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one().child(worker("a")).child(worker("b"))).await;
        assert_eq!(ids(&supervisor).await, ["b", "a"]);
        supervisor.terminate_child("a").await.unwrap();
        assert_eq!(ids(&supervisor).await, ["b", "a"]);
        assert_eq!(info(&supervisor, "a").await.pid, None);
        supervisor.delete_child("a").await.unwrap();
        assert_eq!(ids(&supervisor).await, ["b"]);
        let error = supervisor.which_child("a").await.unwrap_err();
        assert_eq!(error, ChildError::NotFound { id: "a".into() });
    });
}

// Restarting.

#[test]
fn otp_sv_22_permanent() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one().intensity(9, HOUR).child(worker("a"))).await;
        for reason in reasons() {
            let before = pid(&supervisor, "a").await;
            end(before, reason).await;
            assert_ne!(pid(&supervisor, "a").await, before);
            assert_eq!(counts(&supervisor).await, [1, 1, 0, 1]);
        }
    });
}

#[test]
fn otp_sv_23_transient() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one().child(worker("a").restart(Restart::Transient))).await;
        for reason in reasons() {
            let before = pid(&supervisor, "a").await;
            end(before, reason.clone()).await;
            if reason.is_abnormal() {
                assert_ne!(pid(&supervisor, "a").await, before);
            } else {
                assert_eq!(counts(&supervisor).await, [1, 0, 0, 1], "{reason}");
                supervisor.restart_child("a").await.unwrap();
            }
        }
    });
}

#[test]
fn otp_sv_24_temporary() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one()).await;
        for reason in reasons() {
            let spec = worker("a").restart(Restart::Temporary);
            let a = supervisor.start_child(spec).await.unwrap().pid.unwrap();
            end(a, reason).await;
            assert_eq!(counts(&supervisor).await, [0, 0, 0, 0]);
        }
        supervisor.start_child(worker("a").restart(Restart::Temporary)).await.unwrap();
        supervisor.terminate_child("a").await.unwrap();
        assert_eq!(counts(&supervisor).await, [0, 0, 0, 0]);
    });
}

#[test]
fn otp_sv_25_one_for_one() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one().intensity(2, HOUR).child(worker("a")).child(worker("b"))).await;
        let top = supervisor.pid().unwrap();
        let [a, b] = [pid(&supervisor, "a").await, pid(&supervisor, "b").await];
        end(a, crash()).await;
        assert_ne!(pid(&supervisor, "a").await, a);
        assert_eq!(pid(&supervisor, "b").await, b);
        assert_eq!(counts(&supervisor).await, [2, 2, 0, 2]);
        end(b, crash()).await;
        assert_ne!(pid(&supervisor, "b").await, b);
        crash_child(&supervisor, "a").await;
        assert_eq!(exit_of(top).await, ExitReason::Shutdown);
    });
}

#[test]
fn otp_sv_26_one_for_all() {
    on_every_driver(|| async {
        let log = Log::default();
        let children = ["a", "b"].map(|id| polite(id, &log));
        let supervisor =
            start(Supervisor::new(Strategy::OneForAll).intensity(2, HOUR).children(children)).await;
        let top = supervisor.pid().unwrap();
        let [a, b] = [pid(&supervisor, "a").await, pid(&supervisor, "b").await];
        log.take();
        end(a, crash()).await;
        let now = [pid(&supervisor, "a").await, pid(&supervisor, "b").await];
        assert_eq!(log.take(), ["-a", "-b", "+a", "+b"]);
        assert!(now.iter().all(|pid| *pid != a && *pid != b));
        assert_eq!(end_of(b).await, ExitReason::NoProc);
        crash_child(&supervisor, "b").await;
        crash_child(&supervisor, "a").await;
        assert_eq!(exit_of(top).await, ExitReason::Shutdown);
    });
}

#[test]
fn otp_sv_27_a_restart_that_keeps_failing_ends_the_supervisor() {
    on_every_driver(|| async {
        for strategy in [Strategy::OneForAll, Strategy::RestForOne, Strategy::OneForOne] {
            let (switch, log) = (Switch::on(), Log::default());
            let supervisor = start(
                Supervisor::new(strategy)
                    .intensity(4, HOUR)
                    .child(worker("healthy"))
                    .child(switched("fails", &switch, &log)),
            )
            .await;
            switch.set(false);
            log.take();
            let crashes = if strategy == Strategy::OneForOne { "fails" } else { "healthy" };
            let ends = watch(pid(&supervisor, "fails").await);
            let top = watch(supervisor.pid().unwrap());
            crash_child(&supervisor, crashes).await;
            ends.await;
            assert_eq!(top.await, ExitReason::Shutdown);
            assert_eq!(log.take(), ["!fails"; 4], "{strategy:?}: each try has used up one restart");
        }
    });
}

#[test]
fn otp_sv_28_rest_for_one() {
    on_every_driver(|| async {
        let log = Log::default();
        let children = ["a", "b", "c"].map(|id| polite(id, &log));
        let supervisor =
            start(Supervisor::new(Strategy::RestForOne).intensity(2, HOUR).children(children)).await;
        let top = supervisor.pid().unwrap();
        let before = [pid(&supervisor, "a").await, pid(&supervisor, "b").await, pid(&supervisor, "c").await];
        log.take();
        end(before[1], crash()).await;
        let now = [pid(&supervisor, "a").await, pid(&supervisor, "b").await, pid(&supervisor, "c").await];
        assert_eq!(log.take(), ["-b", "-c", "+b", "+c"]);
        assert_eq!(now[0], before[0]);
        assert!(now[1] != before[1] && now[2] != before[2]);
        assert_eq!(counts(&supervisor).await, [3, 3, 0, 3]);
        crash_child(&supervisor, "c").await;
        crash_child(&supervisor, "a").await;
        assert_eq!(exit_of(top).await, ExitReason::Shutdown);
    });
}

/// As OTP does: what was stopped by hand, or had ended and was kept, is started with the others; temporary ones are gone.
#[test]
fn a_restart_of_several_starts_what_was_stopped() {
    on_every_driver(|| async {
        for (strategy, started) in [
            (Strategy::OneForAll, vec!["+a", "+b", "+c", "+e"]),
            (Strategy::RestForOne, vec!["+b", "+c", "+e"]),
        ] {
            let log = Log::default();
            let supervisor = start(
                Supervisor::new(strategy)
                    .child(logged("a", &log))
                    .child(logged("b", &log))
                    .child(logged("c", &log).restart(Restart::Transient))
                    .child(logged("d", &log).restart(Restart::Temporary))
                    .child(logged("e", &log)),
            )
            .await;
            supervisor.terminate_child("e").await.unwrap();
            end(pid(&supervisor, "c").await, ExitReason::Normal).await;
            assert_eq!(counts(&supervisor).await, [5, 3, 0, 5]);
            log.take();
            crash_child(&supervisor, "b").await;
            assert_eq!(ids(&supervisor).await, ["e", "c", "b", "a"], "{strategy:?}");
            assert_eq!(log.take(), started, "{strategy:?}");
        }
    });
}

#[test]
fn otp_sv_31_what_a_temporary_child_started_from_is_not_kept() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one()).await;
        for (restart, kept) in [(Restart::Permanent, 1), (Restart::Transient, 1), (Restart::Temporary, 0)] {
            let argument = Arc::new([0_u8; 1024]);
            let given = Arc::clone(&argument);
            let spec = ChildSpec::new(restart.to_string(), move || {
                let _used = given.len();
                async { Ok(process::spawn_link(obey())) }
            });
            supervisor.start_child(spec.restart(restart)).await.unwrap();
            // The supervisor answers behind what it does about the child.
            assert_eq!(counts(&supervisor).await[1], counts(&supervisor).await[0]);
            assert_eq!(Arc::strong_count(&argument) - 1, kept, "{restart}");
        }
    });
}

#[test]
fn otp_sv_32_a_tree() {
    on_every_driver(|| async {
        let (switch, log) = (Switch::on(), Log::default());
        let static_children = one_for_one().intensity(4, HOUR).children(["a", "b"].map(worker));
        let dynamic_children = one_for_one().intensity(4, HOUR);
        let top = start(
            Supervisor::new(Strategy::OneForAll)
                .intensity(4, HOUR)
                .child(static_children.into_child("s1"))
                .child(dynamic_children.into_child("s2")),
        )
        .await;
        let [s1, s2] = [pid(&top, "s1").await, pid(&top, "s2").await];
        let [first, second] = [SupervisorRef::of(s1), SupervisorRef::of(s2)];
        let c = second.start_child(worker("c")).await.unwrap().pid.unwrap();
        let d = second.start_child(switched("d", &switch, &log)).await.unwrap().pid.unwrap();

        end(c, crash()).await;
        assert_ne!(pid(&second, "c").await, c);
        assert_eq!(pid(&second, "d").await, d);
        assert_eq!([pid(&top, "s1").await, pid(&top, "s2").await], [s1, s2]);

        switch.set(false);
        let old = [pid(&first, "a").await, pid(&first, "b").await];
        let gone = watch(s2);
        end(d, crash()).await;
        assert_eq!(gone.await, ExitReason::Shutdown);
        let [first, second] = [pid(&top, "s1").await, pid(&top, "s2").await].map(SupervisorRef::of);
        assert_ne!([first.pid(), second.pid()], [Some(s1), Some(s2)]);
        assert_eq!(counts(&first).await, [2, 2, 0, 2]);
        assert!(!old.contains(&pid(&first, "a").await));
        assert_eq!(counts(&second).await, [0, 0, 0, 0]);
        assert_eq!(counts(&top).await, [2, 2, 2, 0]);
    });
}

#[test]
fn otp_sv_36_names_pass_to_the_next_incarnation() {
    on_every_driver(|| async {
        let middle =
            one_for_one().intensity(9, HOUR).name("middle").child(ChildSpec::new("server", || async {
                Ok(process::builder().name("server").link().spawn(obey()))
            }));
        let top = start(one_for_one().child(middle.into_child("middle"))).await;
        let named = |name: &'static str| process::whereis(name).unwrap();
        let middle = SupervisorRef::named("middle");

        let before = [named("middle"), named("server")];
        // The old server ends by itself, beside the start of the new one, which waits for its name.
        let old = watch(before[1]);
        end(before[0], ExitReason::Kill).await;
        old.await;
        while counts(&top).await != [1, 1, 1, 0] {
            process::yield_now().await;
        }
        let killed = [named("middle"), named("server")];
        assert!(killed[0] != before[0] && killed[1] != before[1]);

        for reason in [ExitReason::Kill, crash()] {
            let server = named("server");
            end(server, reason).await;
            assert_eq!(counts(&middle).await, [1, 1, 0, 1]);
            assert_ne!(named("server"), server);
        }
        middle.terminate_child("server").await.unwrap();
        assert_eq!(process::whereis("server"), None);
        middle.restart_child("server").await.unwrap();
        let last = [watch(named("server")), watch(named("middle"))];
        process::kill(top.pid().unwrap());
        for end in last {
            end.await;
        }
        assert_eq!((process::whereis("server"), process::whereis("middle")), (None, None));
    });
}

#[test]
fn otp_sv_35_children_are_started_and_stopped_one_by_one() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one()).await;
        for number in 0..200 {
            supervisor.start_child(worker(&number.to_string())).await.unwrap();
        }
        assert_eq!(counts(&supervisor).await, [200, 200, 0, 200]);
        for number in 0..200 {
            supervisor.terminate_child(number.to_string()).await.unwrap();
            supervisor.delete_child(number.to_string()).await.unwrap();
        }
        assert_eq!(counts(&supervisor).await, [0, 0, 0, 0]);
    });
}

// Automatic shutdown.

const MODES: [AutoShutdown; 3] =
    [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];

#[test]
fn otp_sv_39_a_child_that_is_not_significant_ends_nobody() {
    on_every_driver(|| async {
        for mode in MODES {
            for restart in [Restart::Temporary, Restart::Transient] {
                let supervisor = start(one_for_one().intensity(9, HOUR).auto_shutdown(mode)).await;
                for reason in [None, Some(ExitReason::Kill), Some(crash()), Some(ExitReason::Normal)] {
                    let id = format!("{reason:?}");
                    supervisor.start_child(worker(&id).restart(restart)).await.unwrap();
                    match reason {
                        None => supervisor.terminate_child(id).await.unwrap(),
                        Some(reason) => drop(end(pid(&supervisor, &id).await, reason).await),
                    }
                }
                assert!(supervisor.count_children().await.is_ok());
            }
        }
    });
}

#[test]
fn otp_sv_40_significant_temporary_children() {
    on_every_driver(|| async {
        let significant = |id| worker(id).significant(Significant::Temporary);
        let children = || [significant("a"), significant("b"), worker("c").restart(Restart::Temporary)];
        for reason in [ExitReason::Kill, crash(), ExitReason::Normal] {
            for mode in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
                let supervisor = start(one_for_one().auto_shutdown(mode).children(children())).await;
                let top = supervisor.pid().unwrap();
                let sibling = watch(pid(&supervisor, "c").await);
                let b = pid(&supervisor, "b").await;
                if mode == AutoShutdown::AnySignificant {
                    supervisor.terminate_child("a").await.unwrap();
                } else {
                    end(pid(&supervisor, "a").await, reason.clone()).await;
                }
                assert_eq!(counts(&supervisor).await, [2, 2, 0, 2]);
                end(b, reason.clone()).await;
                assert_eq!(exit_of(top).await, ExitReason::Shutdown);
                assert_eq!(sibling.await, ExitReason::Shutdown);
            }
        }
    });
}

/// A transient child counts when it has ended for good; one that is restarted has not.
#[test]
fn significant_transient_children() {
    on_every_driver(|| async {
        let significant = |id| worker(id).significant(Significant::Transient);
        for (mode, first_ends) in
            [(AutoShutdown::AnySignificant, true), (AutoShutdown::AllSignificant, false)]
        {
            let children = [significant("a"), significant("b")];
            let supervisor = start(one_for_one().auto_shutdown(mode).children(children)).await;
            let top = supervisor.pid().unwrap();
            crash_child(&supervisor, "a").await;
            assert_eq!(counts(&supervisor).await, [2, 2, 0, 2]);
            end(pid(&supervisor, "a").await, ExitReason::Normal).await;
            if !first_ends {
                assert_eq!(counts(&supervisor).await, [2, 1, 0, 2]);
                end(pid(&supervisor, "b").await, ExitReason::Shutdown).await;
            }
            assert_eq!(exit_of(top).await, ExitReason::Shutdown);
        }
    });
}

#[test]
fn otp_sv_42_automatic_shutdown_escalates_through_significant_supervisors() {
    on_every_driver(|| async {
        for significant in [true, false] {
            let any = || one_for_one().auto_shutdown(AutoShutdown::AnySignificant);
            let b = any().child(worker("worker").significant(Significant::Transient)).into_child("b");
            let b = if significant {
                b.significant(Significant::Transient)
            } else {
                b.restart(Restart::Transient)
            };
            let a = start(any().child(b)).await;
            let top = a.pid().unwrap();
            let b = pid(&a, "b").await;
            let b_ended = watch(b);
            end(pid(&SupervisorRef::of(b), "worker").await, ExitReason::Normal).await;
            assert_eq!(b_ended.await, ExitReason::Shutdown);
            if significant {
                assert_eq!(exit_of(top).await, ExitReason::Shutdown);
            } else {
                assert_eq!(counts(&a).await, [1, 0, 1, 0]);
            }
        }
    });
}

// Elixir's suite.

/// A type with another child specification than the default one.
struct Task;

impl GenServer for Task {
    type Args = u32;

    async fn init(_: u32) -> Init<Self> {
        Init::ok(Task)
    }

    fn child(args: u32) -> ibeam::supervisor::ServerChild<Self> {
        ibeam::supervisor::ServerChild::new(args).restart(Restart::Temporary)
    }
}

struct Custom;

impl Supervise for Custom {
    type Args = ();

    async fn init((): ()) -> SupervisorInit {
        one_for_one().into()
    }

    fn child((): ()) -> ChildSpec {
        ChildSpec::supervisor("custom", || Self::start_link(())).restart(Restart::Temporary)
    }
}

#[test]
fn sup_001_a_supervisor_type_makes_its_child_specification() {
    on_every_driver(|| async {
        let settings = Module::child(Told::Run).settings();
        let name = std::any::type_name::<Module>();
        assert_eq!((settings.id.as_str(), settings.module), (name, Some(name)));
        assert_eq!((settings.restart, settings.shutdown), (Restart::Permanent, Shutdown::Infinity));
        assert_eq!(settings.kind, Kind::Supervisor);
        let settings = Custom::child(()).settings();
        assert_eq!((settings.id.as_str(), settings.restart), ("custom", Restart::Temporary));
        assert_eq!(settings.kind, Kind::Supervisor);

        let supervisor = start(one_for_one().child(Module::child(Told::Run)).child(Custom::child(()))).await;
        assert_eq!(ids(&SupervisorRef::of(pid(&supervisor, name).await)).await, ["in module"]);
        assert_eq!(counts(&supervisor).await, [2, 2, 2, 0]);
    });
}

#[test]
fn sup_002_specifications_are_overridden_field_by_field() {
    on_every_driver(|| async {
        let own: ChildSpec = Task::child(7).into();
        assert_eq!(own.settings().restart, Restart::Temporary);
        assert_eq!(own.settings().id.as_str(), std::any::type_name::<Task>());
        assert_eq!(own.clone().id("a").id(own.settings().id).settings(), own.settings());

        let started = Log::default();
        let starts = started.clone();
        let other = own.id("b").restart(Restart::Transient).shutdown(Duration::ZERO).start(move || {
            starts.write("other start");
            async { Ok(process::spawn_link(obey())) }
        });
        let settings = other.settings();
        assert_eq!((settings.id.as_str(), settings.restart), ("b", Restart::Transient));
        assert_eq!(settings.shutdown, Shutdown::Timeout(Duration::ZERO));
        assert_eq!((settings.kind, settings.module), (Kind::Worker, Some(std::any::type_name::<Task>())));
        start(one_for_one().child(other)).await;
        assert_eq!(started.take(), ["other start"]);
    });
}

#[test]
fn sup_004_settings_and_their_defaults() {
    on_every_driver(|| async {
        // As many restarts as are allowed by default.
        let supervisor = start(one_for_one().child(worker("a"))).await;
        let top = supervisor.pid().unwrap();
        for _ in 0..3 {
            crash_child(&supervisor, "a").await;
        }
        assert_eq!(counts(&supervisor).await, [1, 1, 0, 1]);
        crash_child(&supervisor, "a").await;
        assert_eq!(exit_of(top).await, ExitReason::Shutdown);

        let supervisor =
            start(Supervisor::new(Strategy::OneForAll).intensity(1, HOUR).child(worker("a"))).await;
        let top = supervisor.pid().unwrap();
        crash_child(&supervisor, "a").await;
        crash_child(&supervisor, "a").await;
        assert_eq!(exit_of(top).await, ExitReason::Shutdown);
    });
}

#[test]
fn sup_006_an_empty_supervisor_in_a_registry() {
    on_every_driver(|| async {
        let registry = Phonebook::default();
        start(one_for_one().name(registry.via("empty"))).await;
        assert_eq!(SupervisorRef::via(&registry, "empty").which_children().await, Ok(vec![]));
        let error = one_for_one().name(registry.via("empty")).start().await.unwrap_err();
        assert!(matches!(error, StartError::AlreadyStarted { .. }), "{error}");
    });
}

#[test]
fn sup_008_an_empty_supervisor_with_a_name() {
    on_every_driver(|| async {
        start(one_for_one().name("empty")).await;
        assert_eq!(SupervisorRef::named("empty").which_children().await, Ok(vec![]));
        let error = one_for_one().name("empty").start().await.unwrap_err();
        assert!(matches!(error, StartError::AlreadyStarted { .. }), "{error}");
        Custom::start_link(()).name("by type").await.unwrap();
        assert_eq!(SupervisorRef::named("by type").which_children().await, Ok(vec![]));
    });
}

/// Its name is its own choice.
struct NamesItself;

impl Supervise for NamesItself {
    type Args = &'static str;

    async fn init(name: &'static str) -> SupervisorInit {
        one_for_one().name(name).into()
    }
}

#[test]
fn a_type_that_names_itself() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let supervisor = NamesItself::start_link("own").await.unwrap();
        assert_eq!(process::whereis("own"), supervisor.pid());
        let Err(StartError::Init { reason }) = NamesItself::start("own").await else { panic!("it is taken") };
        assert!(reason.to_string().contains("own"), "{reason}");
    });
}

/// A stack, as in Elixir's suite.
struct Stack(Vec<&'static str>);

#[gen_server]
impl Stack {
    async fn init(items: Vec<&'static str>) -> Init<Self> {
        Init::ok(Stack(items))
    }

    #[call]
    async fn pop(&mut self) -> Option<&'static str> {
        self.0.pop()
    }
}

struct StackSupervisor;

impl Supervise for StackSupervisor {
    type Args = &'static str;

    async fn init(name: &'static str) -> SupervisorInit {
        let stack = ChildSpec::server("stack", move || Stack::start_link(vec!["hello"]).name(name));
        one_for_one().child(stack).into()
    }
}

#[test]
fn sup_010_a_type_whose_init_uses_its_argument() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let supervisor = StackSupervisor::start_link("my_stack").await.unwrap();
        assert_eq!(ServerRef::<Stack>::named("my_stack").pop().await, Ok(Some("hello")));
        assert_eq!(supervisor.stop(ExitReason::Normal, Timeout::CALL).await, Ok(()));
        assert_eq!(process::whereis("my_stack"), None);
    });
}

#[test]
fn sup_012_a_temporary_child_that_is_done_at_once() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one()).await;
        let child = child("done", || async {}).restart(Restart::Temporary);
        let done = supervisor.start_child(child).await.unwrap().pid.unwrap();
        assert!(matches!(end_of(done).await, ExitReason::Normal | ExitReason::NoProc));
        assert_eq!(counts(&supervisor).await, [0, 0, 0, 0]);
    });
}

#[test]
fn sup_013_a_child_by_type_and_argument() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one()).await;
        let pid = supervisor.start_child(Server::child(Told::Run)).await.unwrap().pid.unwrap();
        assert!(process::info(pid).await.is_some());
    });
}

#[test]
fn sup_014_bad_specifications_harm_nobody() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one()).await;
        let bad = worker("a").significant(Significant::Temporary);
        let error = supervisor.start_child(bad).await.unwrap_err();
        assert!(error.to_string().contains("`auto_shutdown`"), "{error}");
        assert_eq!(counts(&supervisor).await, [0, 0, 0, 0]);
    });
}

#[test]
fn sup_015_a_timeout_of_0_is_legal() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one().intensity(9, HOUR)).await;
        for ms in [0, 1] {
            let spec = worker("a").shutdown(Duration::from_millis(ms)).restart(Restart::Temporary);
            let a = supervisor.start_child(spec).await.unwrap().pid.unwrap();
            let ended = watch(a);
            process::exit_signal(a, ExitReason::Shutdown);
            assert_eq!(ended.await, ExitReason::Shutdown);
        }
        supervisor.start_child(deaf("b").shutdown(Duration::ZERO)).await.unwrap();
        let ended = watch(pid(&supervisor, "b").await);
        supervisor.terminate_child("b").await.unwrap();
        assert_eq!(ended.await, ExitReason::Killed);
        assert!(supervisor.count_children().await.is_ok());
    });
}

#[test]
fn sup_016_listed_and_counted() {
    on_every_driver(|| async {
        let supervisor = start(one_for_one()).await;
        assert_eq!(supervisor.which_children().await, Ok(vec![]));
        assert_eq!(counts(&supervisor).await, [0, 0, 0, 0]);
        let pid = supervisor.start_child(Server::child(Told::Run).id("a")).await.unwrap().pid;
        let [child] = &supervisor.which_children().await.unwrap()[..] else { panic!("one child") };
        assert_eq!((&child.id, child.pid, child.restarting), (&"a".into(), pid, false));
        assert_eq!((child.kind, child.module), (Kind::Worker, Some(std::any::type_name::<Server>())));
        assert_eq!(counts(&supervisor).await, [1, 1, 0, 1]);
    });
}

// While a child is restarted.

#[test]
fn a_child_whose_restart_fails_is_visible_and_can_be_terminated() {
    on_every_driver(|| async {
        for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
            let (switch, log) = (Switch::on(), Log::default());
            let supervisor = start(
                Supervisor::new(strategy)
                    .intensity(usize::MAX, HOUR)
                    .child(switched("a", &switch, &log))
                    .child(logged("b", &log)),
            )
            .await;
            switch.set(false);
            crash_child(&supervisor, "a").await;
            let a = info(&supervisor, "a").await;
            assert_eq!((a.pid, a.restarting), (None, true));
            let alone = strategy == Strategy::OneForOne;
            assert_eq!(counts(&supervisor).await, [2, usize::from(alone), 0, 2]);
            let restarting = || "a".into();
            assert_eq!(
                supervisor.restart_child("a").await,
                Err(RestartChildError::Restarting { id: restarting() })
            );
            assert_eq!(
                supervisor.delete_child("a").await,
                Err(DeleteChildError::Restarting { id: restarting() })
            );
            let error = supervisor.start_child(worker("a")).await.unwrap_err();
            assert_eq!(error, StartChildError::AlreadyPresent { id: "a".into() });

            log.take();
            assert_eq!(supervisor.terminate_child("a").await, Ok(()));
            // Who waited for it does not wait any more.
            assert_eq!(counts(&supervisor).await[0], 2);
            assert_eq!(counts(&supervisor).await, [2, 1, 0, 2], "{strategy:?}");
            let started = log.take().into_iter().filter(|entry| entry != "!a").collect::<Vec<_>>();
            assert_eq!(started, if alone { vec![] } else { vec!["+b"] });
            switch.set(true);
            assert_eq!(supervisor.delete_child("a").await, Ok(()));
            assert_eq!(ids(&supervisor).await, ["b"]);
            assert!(log.take().is_empty());
        }
    });
}

#[test]
fn a_supervisor_can_be_stopped_while_it_restarts() {
    on_every_driver(|| async {
        let (switch, log) = (Switch::on(), Log::default());
        let supervisor =
            start(one_for_one().intensity(usize::MAX, HOUR).child(switched("a", &switch, &log))).await;
        switch.set(false);
        crash_child(&supervisor, "a").await;
        assert_eq!(shut_down(&supervisor).await, ExitReason::Shutdown);
    });
}

//! Elixir's suite of the dynamic supervisor: rows DSUP-001 to 033.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod dynamic;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::{down, first, idle, is_alive, on_each_driver, on_every_driver};
use dynamic::{Keeper, KeeperClient, answers, counts, end, pid, pids, sleeper};
use ibeam::Priority;
use ibeam::dynamic_supervisor::{AnyChild, DynamicInit, SuperviseDynamic};
use ibeam::prelude::*;
use ibeam::supervisor::{Backoff, Kind, SpecError, StartChildError, StartedChild};
use ibeam::{ReasonValue, Value};

const MANY: usize = 100_000;
const SECOND: Duration = Duration::from_secs(1);

/// A dynamic supervisor that restarts as often as need be.
async fn patient() -> DynamicSupervisorRef {
    DynamicSupervisor::spec().intensity(MANY, 5 * SECOND).start_link().await.unwrap()
}

async fn start<R: ReasonValue + PartialEq>(
    supervisor: &DynamicSupervisorRef,
    child: ChildSpec,
    end_with: Option<R>,
) -> Pid {
    let child = pid(supervisor.start_child(child).await.unwrap());
    if let Some(reason) = end_with {
        end(child, ExitReason::other(reason)).await;
    }
    child
}

#[test]
fn dsup_001_is_a_child_as_it_is() {
    on_every_driver(|| async {
        let top = Supervisor::new(Strategy::OneForOne).child(DynamicSupervisor::new("n"));
        top.start_link().await.unwrap();
        assert!(process::whereis("n").is_some());
        assert_eq!(DynamicSupervisorRef::<AnyChild>::named("n").which_children().await, Ok(vec![]));
    });
}

#[test]
fn dsup_002_the_name_is_the_id() {
    on_every_driver(|| async {
        let names = ["one", "two", "three"];
        let top = names
            .into_iter()
            .fold(Supervisor::new(Strategy::OneForOne), |top, name| top.child(DynamicSupervisor::new(name)));
        let top = top.start_link().await.unwrap();
        for name in names {
            assert_eq!(DynamicSupervisorRef::<AnyChild>::named(name).which_children().await, Ok(vec![]));
        }
        top.start_child(DynamicSupervisor::spec()).await.unwrap();
        let Err(StartChildError::AlreadyStarted { id, pid }) =
            top.start_child(DynamicSupervisor::spec()).await
        else {
            panic!("two unnamed ones have the same id");
        };
        let first = top.which_children().await.unwrap().into_iter().find(|child| child.id == id).unwrap();
        assert_eq!(first.pid, Some(pid));
    });
}

/// A type of its own.
struct Rooms;

impl SuperviseDynamic for Rooms {
    type Args = Option<usize>;
    type Recipe = AnyChild;

    async fn init(limit: Option<usize>) -> DynamicInit<AnyChild> {
        match limit {
            Some(limit) => DynamicSupervisor::spec().max_children(limit).into(),
            None => DynamicInit::Ignore,
        }
    }
}

#[test]
fn dsup_003_a_type_has_its_child_spec() {
    on_every_driver(|| async {
        let plain = Rooms::child(Some(3)).settings();
        assert!(plain.id.as_str().ends_with("Rooms"));
        assert_eq!((plain.kind, plain.restart), (Kind::Supervisor, Restart::Permanent));
        assert_eq!(plain.shutdown, Shutdown::Infinity, "the default of supervisors");
        let other = Rooms::child(Some(3)).id("other").restart(Restart::Temporary).shutdown(SECOND).settings();
        assert_eq!((other.id.as_str(), other.kind), ("other", Kind::Supervisor));
        assert_eq!((other.restart, other.shutdown), (Restart::Temporary, Shutdown::Timeout(SECOND)));

        let top = Supervisor::new(Strategy::OneForOne).child(Rooms::child(Some(0)).start(|| async {
            let rooms = Rooms::start_link(Some(0)).name("rooms").await?;
            Ok(rooms.pid().expect("it was just started"))
        }));
        top.start_link().await.unwrap();
        let refused = DynamicSupervisorRef::named("rooms").start_child(sleeper()).await;
        assert_eq!(refused, Err(DynamicStartError::MaxChildren { limit: 0 }));
        assert_eq!(Rooms::start_link(None).await.unwrap_err(), StartError::Ignored);
    });
}

#[test]
fn dsup_004_defaults() {
    let settings = DynamicSupervisor::spec().settings();
    assert_eq!((settings.max_restarts, settings.within), (3, 5 * SECOND));
    assert_eq!((settings.max_children, settings.backoff), (None, None));
}

#[test]
fn dsup_005_a_type_with_a_name() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let rooms = Rooms::start_link(Some(1)).name("rooms").await.unwrap();
        let pid = rooms.pid().unwrap();
        assert_eq!(process::whereis("rooms"), Some(pid));
        let info = process::info(pid).await.unwrap();
        assert!(info.links.contains(&process::self_pid()));
        assert!(info.label.unwrap().ends_with("Rooms"));
        let rooms = DynamicSupervisorRef::<AnyChild>::named("rooms");
        assert_eq!(rooms.stop(ExitReason::Normal, Timeout::Infinity).await, Ok(()));
        assert_eq!(first::<Exit>().await, Exit { pid, reason: ExitReason::Normal });
        assert_eq!(process::whereis("rooms"), None);
    });
}

#[test]
fn dsup_006_a_priority() {
    on_every_driver(|| async {
        let supervisor = DynamicSupervisor::spec().start_link().priority(Priority::High).await.unwrap();
        let info = process::info(supervisor.pid().unwrap()).await.unwrap();
        assert_eq!(info.priority, Priority::High);
    });
}

#[test]
fn dsup_010_a_full_specification() {
    on_every_driver(|| async {
        let supervisor = patient().await;
        let task = ChildSpec::new("task", || async { Ok(process::spawn_link(idle())) })
            .restart(Restart::Temporary)
            .shutdown(SECOND)
            .kind(Kind::Worker);
        assert!(pid(supervisor.start_child(task).await.unwrap()) != process::self_pid());
        assert_eq!(counts(&supervisor).await, (1, 1, 0, 1));
    });
}

#[test]
fn dsup_011_a_type_and_its_argument() {
    on_every_driver(|| async {
        let supervisor = patient().await;
        let keeper: ServerRef<Keeper> = supervisor.start_child(Keeper::child(7)).await.unwrap();
        assert_eq!(keeper.number().await, Ok(7));
    });
}

#[test]
fn dsup_012_what_all_children_have_comes_first() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let extra = Arc::new(move || me.send(process::self_pid()));
        let template = DynamicSupervisor::spec().template(move |(): ()| {
            let extra = Arc::clone(&extra);
            ChildSpec::new("child", move || {
                let extra = Arc::clone(&extra);
                async move {
                    Ok(process::spawn_link(async move {
                        extra();
                        idle().await;
                    }))
                }
            })
        });
        let supervisor = template.start_link().await.unwrap();
        let child = pid(supervisor.start_child(()).await.unwrap());
        assert_eq!(first::<Pid>().await, child, "it runs in the child");
    });
}

#[test]
fn dsup_013_what_start_functions_return() {
    struct Ignores;
    #[gen_server(client = IgnoresClient)]
    impl Ignores {
        async fn init() -> Init<Self> {
            Init::ignore()
        }
    }
    on_every_driver(|| async {
        let supervisor = patient().await;
        let with_info =
            ChildSpec::with_info("info", || async { Ok((process::spawn_link(idle()), Value::new("extra"))) });
        let started = supervisor.start_child(with_info).await.unwrap();
        assert_eq!(started.info, Some(Value::new("extra")));
        assert!(is_alive(pid(started)).await);
        let StartedChild { pid, info, .. } = supervisor.start_child(sleeper()).await.unwrap();
        assert_eq!((pid.is_some(), info), (true, None));

        let ignored = DynamicStartError::Start(StartError::Ignored);
        assert_eq!(supervisor.start_child(Ignores::child(())).await.unwrap_err(), ignored);
        let ignored = ChildSpec::server("ignores", Ignores::start_link);
        assert_eq!(supervisor.start_child(ignored).await.unwrap().pid, None);

        let found = ExitReason::other("found");
        let fails = |reason: ExitReason| {
            ChildSpec::new("fails", move || {
                let reason = reason.clone();
                async move { Err(StartError::Init { reason }) }
            })
        };
        let error = supervisor.start_child(fails(found.clone())).await.unwrap_err();
        assert_eq!(error, DynamicStartError::Start(StartError::Init { reason: found }));
        let panics = ChildSpec::new("panics", || async { panic!("no child") });
        let Err(DynamicStartError::Start(StartError::Init { reason: ExitReason::Panic(panic) })) =
            supervisor.start_child(panics).await
        else {
            panic!("a start function that panics is a start that failed");
        };
        assert_eq!(panic.message(), "no child");
        assert_eq!(counts(&supervisor).await, (2, 2, 0, 2));
    });
}

#[test]
fn dsup_014_no_more_than_max_children() {
    on_every_driver(|| async {
        let supervisor = DynamicSupervisor::spec().max_children(0).start_link().await.unwrap();
        let child = ChildSpec::new("child", || async { panic!("it is not called") });
        let refused = supervisor.start_child(child).await.unwrap_err();
        assert_eq!(refused, DynamicStartError::MaxChildren { limit: 0 });
        assert_eq!(
            refused.to_string(),
            "expected at most 0 children (`max_children`), this would be one more"
        );
    });
}

#[test]
fn dsup_015_a_temporary_child_is_not_restarted() {
    on_every_driver(|| async {
        let supervisor = patient().await;
        for reason in [ExitReason::Shutdown, ExitReason::other("whatever")] {
            let child = start::<u8>(&supervisor, sleeper().restart(Restart::Temporary), None).await;
            end(child, reason).await;
            assert_eq!(counts(&supervisor).await, (0, 0, 0, 0));
        }
    });
}

#[test]
fn dsup_016_a_permanent_child_is_restarted() {
    on_every_driver(|| async {
        let supervisor = patient().await;
        let reasons =
            [ExitReason::Shutdown, ExitReason::shutdown_with("signal"), ExitReason::other("whatever")];
        for (number, reason) in (1..).zip(reasons) {
            let child = start::<u8>(&supervisor, sleeper(), None).await;
            end(child, reason).await;
            assert_eq!(counts(&supervisor).await, (number, number, 0, number));
            assert!(!pids(&supervisor).await.contains(&child));
        }
    });
}

#[test]
fn dsup_017_children_have_no_ids() {
    on_each_driver(|_| async {
        let supervisor = patient().await;
        let broken = Arc::new(AtomicU32::new(0));
        let breaks = {
            let broken = Arc::clone(&broken);
            ChildSpec::new("breaks", move || {
                let starts = broken.fetch_add(1, SeqCst);
                async move {
                    match starts {
                        0 => Ok(process::spawn_link(idle())),
                        _ => Err(StartError::Init { reason: ExitReason::other("broken") }),
                    }
                }
            })
        };
        let nested = supervisor.start_child(DynamicSupervisor::spec()).await.unwrap();
        let keeper = supervisor.start_child(Keeper::child(1)).await.unwrap();
        start(&supervisor, breaks.module("broken"), Some("crash")).await;
        let mut children = supervisor.which_children().await.unwrap();
        children.sort_by_key(|child| child.module.map(str::len));
        let seen: Vec<_> = children.iter().map(|child| (child.pid, child.kind)).collect();
        assert_eq!(
            seen,
            [(None, Kind::Worker), (keeper.pid(), Kind::Worker), (nested.pid(), Kind::Supervisor),]
        );
        assert!(children[1].module.unwrap().ends_with("Keeper"));
        assert!(children[2].module.unwrap().contains("DynamicSupervisor"));
    });
}

#[test]
fn dsup_018_children_that_restart_count() {
    on_every_driver(|| async {
        let supervisor =
            DynamicSupervisor::spec().max_children(1).intensity(MANY, 5 * SECOND).start_link().await.unwrap();
        start(&supervisor, sleeper(), Some("crash")).await;
        assert_eq!(counts(&supervisor).await, (1, 1, 0, 1));
        let refused = supervisor.start_child(sleeper()).await;
        assert_eq!(refused, Err(DynamicStartError::MaxChildren { limit: 1 }));
    });
}

#[test]
fn dsup_019_a_restart_gets_it_all_again() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let template = DynamicSupervisor::spec().template(move |(): ()| {
            ChildSpec::new("child", move || async move {
                Ok(process::spawn_link(async move {
                    me.send(process::self_pid());
                    idle().await;
                }))
            })
            .restart(Restart::Transient)
        });
        let supervisor = template.start_link().await.unwrap();
        let child = pid(supervisor.start_child(()).await.unwrap());
        assert_eq!(first::<Pid>().await, child);
        end(child, ExitReason::other("crash")).await;
        assert_ne!(first::<Pid>().await, child);
        assert_eq!(counts(&supervisor).await, (1, 1, 0, 1));
    });
}

#[test]
fn dsup_020_tries_use_up_the_intensity() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let supervisor = DynamicSupervisor::spec().intensity(10, 5 * SECOND).start_link().await.unwrap();
        let starts = Arc::new(AtomicU32::new(0));
        let tries = Arc::clone(&starts);
        let child = ChildSpec::new("child", move || {
            let started = tries.fetch_add(1, SeqCst);
            async move {
                match started {
                    0 => Ok(process::spawn_link(idle())),
                    _ => Err(StartError::Init { reason: ExitReason::other("again") }),
                }
            }
        });
        start(&supervisor, child, Some("crash")).await;
        let exit = first::<Exit>().await;
        assert_eq!((Some(exit.pid), exit.reason), (supervisor.pid(), ExitReason::Shutdown));
        assert_eq!(starts.load(SeqCst), 1 + 10);
    });
}

#[test]
fn dsup_021_children_with_short_limits_end_by_a_signal() {
    on_every_driver(|| async {
        let supervisor = patient().await;
        for limit in [0, 1] {
            let child = sleeper().restart(Restart::Temporary).shutdown(Duration::from_millis(limit));
            let child = start::<u8>(&supervisor, child, None).await;
            let monitor = process::monitor(child);
            process::exit_signal(child, ExitReason::Shutdown);
            assert_eq!(down(monitor).await.reason, ExitReason::Shutdown);
        }
        assert_eq!(counts(&supervisor).await, (0, 0, 0, 0));
    });
}

#[test]
fn dsup_022_a_bad_specification_is_refused_before_anybody_is_asked() {
    on_every_driver(|| async {
        let nobody = DynamicSupervisorRef::named("nobody");
        let bad = sleeper().backoff(Backoff::new(Duration::ZERO, SECOND));
        let Err(DynamicStartError::Spec(error)) = nobody.start_child(bad).await else {
            panic!("a wait of no time is refused");
        };
        assert_eq!(error.field(), "backoff");
        let Err(DynamicStartError::Call(CallError::NoProc { .. })) = nobody.start_child(sleeper()).await
        else {
            panic!("a good one is not");
        };
        let zero = DynamicSupervisor::spec().intensity(1, Duration::ZERO).start().await.unwrap_err();
        let StartError::Init { reason: ExitReason::Error(error) } = zero else { panic!("{zero}") };
        assert_eq!(error.as_error().downcast_ref(), Some(&SpecError::ZeroPeriod));
    });
}

/// Three children (or as many as there are specifications), watched; then the supervisor is told to shut down.
async fn reasons_at_shutdown(children: Vec<ChildSpec>) -> Vec<ExitReason> {
    process::trap_exit(true);
    let supervisor = patient().await;
    let mut monitors = Vec::new();
    for child in children {
        monitors.push(process::monitor(start::<u8>(&supervisor, child, None).await));
    }
    let began = process::now();
    process::exit_signal(supervisor.pid().unwrap(), ExitReason::Shutdown);
    assert_eq!(first::<Exit>().await.reason, ExitReason::Shutdown);
    assert!(process::now() - began < 5 * SECOND, "nobody waited for a limit");
    let mut reasons = Vec::new();
    for monitor in monitors {
        reasons.push(down(monitor).await.reason);
    }
    reasons
}

fn three(child: impl Fn() -> ChildSpec) -> Vec<ChildSpec> {
    vec![child(), child(), child()]
}

#[test]
fn dsup_023_shutdown_with_brutal_kill() {
    on_every_driver(|| async {
        let children = three(|| sleeper().shutdown(Shutdown::BrutalKill));
        assert_eq!(reasons_at_shutdown(children).await, vec![ExitReason::Killed; 3]);
    });
}

#[test]
fn dsup_024_shutdown_with_infinity() {
    on_every_driver(|| async {
        let children = three(|| sleeper().shutdown(Shutdown::Infinity));
        assert_eq!(reasons_at_shutdown(children).await, vec![ExitReason::Shutdown; 3]);
    });
}

#[test]
fn dsup_025_shutdown_with_infinity_and_another_reason() {
    on_every_driver(|| async {
        let oops = ExitReason::shutdown_with("oops");
        let children = three(|| answers(oops.clone()).shutdown(Shutdown::Infinity));
        assert_eq!(reasons_at_shutdown(children).await, vec![oops; 3]);
    });
}

#[test]
fn dsup_026_shutdown_with_a_limit() {
    on_every_driver(|| async {
        // A limit of a minute, and done in less than five seconds.
        let children = three(|| sleeper().shutdown(60 * SECOND));
        assert_eq!(reasons_at_shutdown(children).await, vec![ExitReason::Shutdown; 3]);
    });
}

#[test]
fn dsup_027_permanent_children_that_end_normally_at_shutdown() {
    on_every_driver(|| async {
        let children = three(|| answers(ExitReason::Normal).shutdown(Shutdown::Infinity));
        assert_eq!(reasons_at_shutdown(children).await, vec![ExitReason::Normal; 3]);
    });
}

#[test]
fn dsup_028_shutdown_of_mixed_children() {
    on_every_driver(|| async {
        let children = vec![sleeper().shutdown(Shutdown::Infinity), sleeper().shutdown(Shutdown::BrutalKill)];
        assert_eq!(reasons_at_shutdown(children).await, [ExitReason::Shutdown, ExitReason::Killed]);
    });
}

async fn terminated_twice(child: ChildSpec) -> ExitReason {
    let supervisor = patient().await;
    let child = start::<u8>(&supervisor, child, None).await;
    let monitor = process::monitor(child);
    assert_eq!(supervisor.terminate_child(child).await, Ok(()));
    let reason = down(monitor).await.reason;
    let again = supervisor.terminate_child(child).await;
    assert_eq!(again, Err(DynamicChildError::NotFound { pid: child }));
    assert_eq!(counts(&supervisor).await, (0, 0, 0, 0));
    reason
}

#[test]
fn dsup_029_terminate_with_brutal_kill() {
    on_every_driver(|| async {
        let reason = terminated_twice(sleeper().shutdown(Shutdown::BrutalKill)).await;
        assert_eq!(reason, ExitReason::Killed);
    });
}

#[test]
fn dsup_030_terminate_with_a_limit() {
    on_every_driver(|| async {
        assert_eq!(terminated_twice(sleeper().shutdown(SECOND)).await, ExitReason::Shutdown);
    });
}

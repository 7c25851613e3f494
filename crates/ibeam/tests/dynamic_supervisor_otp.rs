//! OTP's suite of the supervisor, as far as it is about `simple_one_for_one`; and what a dynamic supervisor does differently.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod dynamic;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Duration;

use common::{down, end_of, first, idle, is_alive, on_each_driver, on_every_driver};
use dynamic::{answers, counts, deaf, down_of, end, pid, pids, sleeper};
use ibeam::dynamic_supervisor::Template;
use ibeam::prelude::*;
use ibeam::supervisor::{Kind, Significant, SpecError};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A supervisor whose children are made by `child` from a number.
async fn templated(
    intensity: usize,
    child: impl Fn(u32) -> ChildSpec + Send + Sync + 'static,
) -> DynamicSupervisorRef<Template<u32>> {
    DynamicSupervisor::spec().intensity(intensity, HOUR).template(child).start_link().await.unwrap()
}

async fn start(supervisor: &DynamicSupervisorRef, child: ChildSpec) -> Pid {
    pid(supervisor.start_child(child).await.unwrap())
}

async fn plain() -> DynamicSupervisorRef {
    DynamicSupervisor::spec().intensity(1_000, HOUR).start_link().await.unwrap()
}

/// Tells the supervisor to shut down; says why it and its children ended, and how long that took.
async fn shut_down(
    supervisor: &DynamicSupervisorRef,
    children: &[Pid],
) -> (ExitReason, Vec<ExitReason>, Duration) {
    process::trap_exit(true);
    let monitors: Vec<_> = children.iter().map(|child| process::monitor(*child)).collect();
    let (top, began) = (supervisor.pid().unwrap(), process::now());
    process::exit_signal(top, ExitReason::Shutdown);
    let reason = end_of(top).await;
    let took = process::now() - began;
    let mut reasons = Vec::new();
    for monitor in monitors {
        reasons.push(down(monitor).await.reason);
    }
    (reason, reasons, took)
}

/// A child that starts `good` times, and not again until `mended`.
fn breaks(good: u32, mended: &Arc<AtomicBool>) -> ChildSpec {
    let (starts, mended) = (Arc::new(AtomicU32::new(0)), Arc::clone(mended));
    ChildSpec::new("breaks", move || {
        let starts = starts.fetch_add(1, SeqCst) < good || mended.load(SeqCst);
        async move {
            match starts {
                true => Ok(process::spawn_link(idle())),
                false => Err(StartError::Init { reason: ExitReason::other("broken") }),
            }
        }
    })
}

#[test]
fn otp_sv_06_a_start_that_fails_is_not_kept() {
    on_every_driver(|| async {
        let supervisor = templated(0, |_| {
            ChildSpec::new("fails", || async { Err(StartError::Init { reason: ExitReason::other("why") }) })
        });
        let supervisor = supervisor.await;
        let error = supervisor.start_child(1).await.unwrap_err();
        let reason = ExitReason::other("why");
        assert_eq!(error, DynamicStartError::Start(StartError::Init { reason }));
        assert_eq!(supervisor.which_children().await, Ok(vec![]));
    });
}

#[test]
fn otp_sv_08_defaults_by_pid() {
    on_every_driver(|| async {
        let supervisor = plain().await;
        let worker = start(&supervisor, sleeper()).await;
        let info = supervisor.which_child(worker).await.unwrap();
        assert_eq!((info.restart, info.shutdown), (Restart::Permanent, Shutdown::Timeout(5 * SECOND)));
        assert_eq!((info.pid, info.kind, info.module), (Some(worker), Kind::Worker, None));
        let nested = start(&supervisor, sleeper().kind(Kind::Supervisor)).await;
        assert_eq!(supervisor.which_child(nested).await.unwrap().shutdown, Shutdown::Infinity);
        let me = process::self_pid();
        assert_eq!(supervisor.which_child(me).await, Err(DynamicChildError::NotFound { pid: me }));
    });
}

#[test]
fn otp_sv_11_a_child_that_does_not_stop_in_time_is_killed() {
    on_every_driver(|| async {
        let supervisor = plain().await;
        let mut children = Vec::new();
        for child in [sleeper(), deaf(), deaf()] {
            children.push(start(&supervisor, child.shutdown(SECOND)).await);
        }
        let (reason, reasons, took) = shut_down(&supervisor, &children).await;
        assert_eq!(reason, ExitReason::Shutdown);
        assert_eq!(reasons, [ExitReason::Shutdown, ExitReason::Killed, ExitReason::Killed]);
        assert!(took >= SECOND, "side by side, and not before the limit: {took:?}");
    });
}

#[test]
fn each_child_has_its_own_limit() {
    on_each_driver(|driver| async move {
        let supervisor = plain().await;
        let limits = [30, 10, 20].map(Duration::from_millis);
        let mut children = Vec::new();
        for limit in limits {
            children.push(start(&supervisor, deaf().shutdown(limit)).await);
        }
        children.push(start(&supervisor, deaf().shutdown(Shutdown::BrutalKill)).await);
        process::trap_exit(true);
        let began = process::now();
        for child in &children {
            process::monitor(*child);
        }
        process::exit_signal(supervisor.pid().unwrap(), ExitReason::Shutdown);
        let mut order = Vec::new();
        for _ in 0..4 {
            let gone = first::<Down>().await;
            assert_eq!(gone.reason, ExitReason::Killed);
            order.push((gone.pid(), process::now() - began));
        }
        if !driver.has_real_clock() {
            let order: Vec<_> = order.iter().map(|(pid, _)| *pid).collect();
            assert_eq!(order, [3, 1, 2, 0].map(|child: usize| Some(children[child])));
        }
        for (pid, took) in order {
            let child = children.iter().position(|child| Some(*child) == pid).unwrap();
            assert!(limits.get(child).is_none_or(|limit| took >= *limit), "{child} after {took:?}");
        }
        assert_eq!(first::<Exit>().await.reason, ExitReason::Shutdown);
    });
}

#[test]
fn otp_sv_12_ten_children_are_killed() {
    on_every_driver(|| async {
        let supervisor = plain().await;
        let mut children = Vec::new();
        for _ in 0..10 {
            children
                .push(start(&supervisor, answers(ExitReason::Normal).shutdown(Shutdown::BrutalKill)).await);
        }
        let (reason, reasons, _) = shut_down(&supervisor, &children).await;
        assert_eq!((reason, reasons), (ExitReason::Shutdown, vec![ExitReason::Killed; 10]));
    });
}

#[test]
fn otp_sv_13_children_that_stop_with_another_reason() {
    on_every_driver(|| async {
        for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
            let supervisor = plain().await;
            let answer = [
                ExitReason::Normal,
                ExitReason::Shutdown,
                ExitReason::shutdown_with("detail"),
                ExitReason::other("reason"),
            ];
            let mut children = Vec::new();
            for reason in answer.clone() {
                children.push(start(&supervisor, answers(reason).restart(restart)).await);
            }
            let (reason, reasons, _) = shut_down(&supervisor, &children).await;
            assert_eq!((reason, reasons), (ExitReason::Shutdown, answer.to_vec()), "{restart}");
        }
    });
}

/// Here the rule is Elixir's, where it differs: a former child is not found.
#[test]
fn otp_sv_18_administration() {
    on_every_driver(|| async {
        let supervisor = templated(0, |_| sleeper()).await;
        assert_eq!(supervisor.which_children().await, Ok(vec![]));
        assert_eq!(counts(&supervisor).await, (0, 0, 0, 0));
        let child = pid(supervisor.start_child(1).await.unwrap());
        assert_eq!(counts(&supervisor).await, (1, 1, 0, 1));
        assert_eq!(supervisor.terminate_child(child).await, Ok(()));
        assert!(!is_alive(child).await);
        assert_eq!(supervisor.which_children().await, Ok(vec![]));
        assert_eq!(supervisor.terminate_child(child).await, Err(DynamicChildError::NotFound { pid: child }));

        let stranger = process::spawn(idle());
        let refused = supervisor.terminate_child(stranger).await;
        assert_eq!(refused, Err(DynamicChildError::NotFound { pid: stranger }));
        assert!(is_alive(stranger).await);
    });
}

#[test]
fn otp_sv_29_only_the_crashed_one_is_replaced() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let me = process::self_pid();
        let supervisor = templated(2, move |number| {
            ChildSpec::new("child", move || async move {
                me.send(number);
                Ok(process::spawn_link(idle()))
            })
        });
        let supervisor = supervisor.await;
        let one = pid(supervisor.start_child(1).await.unwrap());
        let two = pid(supervisor.start_child(2).await.unwrap());
        assert_eq!((first::<u32>().await, first::<u32>().await), (1, 2));
        end(one, ExitReason::other("crash")).await;
        assert_eq!(first::<u32>().await, 1, "with the arguments of its own start");
        assert_eq!(counts(&supervisor).await, (2, 2, 0, 2));
        let now = pids(&supervisor).await;
        assert!(now.contains(&two) && !now.contains(&one));
        for _ in 0..2 {
            let child = pids(&supervisor).await[0];
            end(child, ExitReason::other("crash")).await;
        }
        let exit = first::<Exit>().await;
        assert_eq!((Some(exit.pid), exit.reason), (supervisor.pid(), ExitReason::Shutdown));
    });
}

#[test]
fn otp_sv_30_a_restart_that_keeps_failing_ends_all() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let never = Arc::new(AtomicBool::new(false));
        let supervisor = DynamicSupervisor::spec().intensity(4, HOUR).start_link().await.unwrap();
        let healthy = process::monitor(start(&supervisor, sleeper()).await);
        end(start(&supervisor, breaks(1, &never)).await, ExitReason::other("crash")).await;
        assert_eq!(down(healthy).await.reason, ExitReason::Shutdown);
        assert_eq!(first::<Exit>().await.reason, ExitReason::Shutdown);
    });
}

#[test]
fn otp_sv_31_arguments_of_temporary_children_are_not_kept() {
    on_every_driver(|| async {
        let large = Arc::new([0_u8; 1024]);
        let of = |restart| {
            move |large: Arc<[u8; 1024]>| {
                ChildSpec::new("child", move || {
                    let _ = large.len();
                    async { Ok(process::spawn_link(idle())) }
                })
                .restart(restart)
            }
        };
        let temporary =
            DynamicSupervisor::spec().template(of(Restart::Temporary)).start_link().await.unwrap();
        let permanent =
            DynamicSupervisor::spec().template(of(Restart::Permanent)).start_link().await.unwrap();
        let died = pid(temporary.start_child(Arc::clone(&large)).await.unwrap());
        end(died, ExitReason::Kill).await;
        for _ in 0..3 {
            temporary.start_child(Arc::clone(&large)).await.unwrap();
        }
        assert_eq!((counts(&temporary).await.0, Arc::strong_count(&large)), (3, 1));
        for _ in 0..3 {
            permanent.start_child(Arc::clone(&large)).await.unwrap();
        }
        assert_eq!((counts(&permanent).await.0, Arc::strong_count(&large)), (3, 1 + 3));
        // The same without a template.
        let kept = Arc::clone(&large);
        start(&plain().await, of(Restart::Temporary)(kept)).await;
        assert_eq!(Arc::strong_count(&large), 1 + 3);
    });
}

#[test]
fn otp_sv_33_many_children_are_counted() {
    on_each_driver(|driver| async move {
        let many = driver.rounds(1_000, 100);
        for kind in [Kind::Worker, Kind::Supervisor] {
            let child = move |_| sleeper().restart(Restart::Temporary).kind(kind);
            let supervisor = templated(0, child).await;
            let by_kind = |n| if kind == Kind::Worker { (n, n, 0, n) } else { (n, n, n, 0) };
            for count in [many, 2 * many] {
                while counts(&supervisor).await.0 < count {
                    supervisor.start_child(0).await.unwrap();
                }
                for _ in 0..3 {
                    assert_eq!(counts(&supervisor).await, by_kind(count));
                    assert_eq!(pids(&supervisor).await.len(), count);
                }
            }
            let pids = pids(&supervisor).await;
            let monitors: Vec<_> = pids.iter().map(|pid| process::monitor(*pid)).collect();
            pids.into_iter().for_each(process::kill);
            for monitor in monitors {
                assert_eq!(down_of(monitor).await, ExitReason::Killed);
            }
            assert_eq!(counts(&supervisor).await, (0, 0, 0, 0));
        }
    });
}

#[test]
fn otp_sv_34_restarting_children_are_counted() {
    on_every_driver(|| async {
        let mended = Arc::new(AtomicBool::new(false));
        let supervisor = DynamicSupervisor::spec().intensity(10_000_000, HOUR).start_link().await.unwrap();
        let healthy = start(&supervisor, sleeper()).await;
        let mut broken = Vec::new();
        for _ in 0..2 {
            let child = start(&supervisor, breaks(1, &mended)).await;
            end(child, ExitReason::other("crash")).await;
            broken.push(child);
        }
        assert_eq!(counts(&supervisor).await, (3, 1, 0, 3));
        mended.store(true, SeqCst);
        while counts(&supervisor).await.1 < 3 {
            process::yield_now().await;
        }
        assert_eq!(counts(&supervisor).await, (3, 3, 0, 3));
        let now = pids(&supervisor).await;
        assert!(now.contains(&healthy) && !now.contains(&broken[0]) && !now.contains(&broken[1]));
        for (left, child) in (0..3).rev().zip(now) {
            supervisor.terminate_child(child).await.unwrap();
            assert_eq!(counts(&supervisor).await, (left, left, 0, left));
        }
    });
}

/// Counted in steps of the simulation: 10 times the children cost at most some 10 times as many.
#[test]
fn otp_sv_35_many_children_cost_as_many_times_as_much() {
    use ibeam::sim::Simulation;
    let steps = |count: u32| {
        let simulation = Simulation::new(u64::from(count));
        simulation.run(async move {
            let supervisor = templated(0, |_| sleeper().restart(Restart::Temporary)).await;
            let mut children = Vec::new();
            for number in 0..count {
                children.push(pid(supervisor.start_child(number).await.unwrap()));
            }
            for child in &children[..children.len() / 2] {
                supervisor.terminate_child(*child).await.unwrap();
            }
            supervisor.stop(ExitReason::Normal, None).await.unwrap();
        });
        simulation.steps()
    };
    let (few, many) = (steps(300), steps(3_000));
    assert!(many < 15 * few, "300 children: {few} steps, 3,000: {many}");
}

#[test]
fn otp_sv_37_a_child_in_an_endless_restart_loop() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let never = Arc::new(AtomicBool::new(false));
        for terminated in [true, false] {
            let supervisor =
                DynamicSupervisor::spec().intensity(usize::MAX, HOUR).start_link().await.unwrap();
            let child = start(&supervisor, breaks(1, &never)).await;
            end(child, ExitReason::other("crash")).await;
            assert_eq!(supervisor.which_children().await.unwrap()[0].pid, None);
            assert_eq!(supervisor.which_child(child).await.unwrap().pid, None);
            if terminated {
                assert_eq!(supervisor.terminate_child(child).await, Ok(()));
                assert_eq!(counts(&supervisor).await, (0, 0, 0, 0));
            }
            assert_eq!(supervisor.stop(ExitReason::Shutdown, None).await, Ok(()));
        }
    });
}

#[test]
fn otp_sv_41_significant_children_are_refused() {
    on_every_driver(|| async {
        let supervisor = plain().await;
        let child = sleeper().significant(Significant::Transient);
        let Err(DynamicStartError::Spec(error)) = supervisor.start_child(child).await else {
            panic!("it was accepted")
        };
        assert!(matches!(error, SpecError::SignificantWithoutAutoShutdown { .. }), "{error}");
    });
}

#[test]
fn otp_sv_44_looked_up_by_pid() {
    on_every_driver(|| async {
        let supervisor = plain().await;
        let (one, two) = (start(&supervisor, sleeper()).await, start(&supervisor, sleeper()).await);
        assert_eq!(pids(&supervisor).await, [one, two]);
        assert_eq!(supervisor.which_child(two).await.unwrap().pid, Some(two));
        supervisor.terminate_child(one).await.unwrap();
        assert_eq!(supervisor.which_child(one).await, Err(DynamicChildError::NotFound { pid: one }));
        assert_eq!(pids(&supervisor).await, [two]);
    });
}

#[test]
fn the_supervisor_goes_on_while_a_child_stops() {
    on_every_driver(|| async {
        let supervisor = plain().await;
        let slow = start(&supervisor, deaf().shutdown(SECOND)).await;
        let me = process::self_pid();
        for _ in 0..2 {
            let supervisor = supervisor.clone();
            process::spawn(async move { me.send(supervisor.terminate_child(slow).await) });
        }
        // Both have asked when both wait; which one was the first they say themselves.
        while process::info(slow).await.is_some_and(|info| info.message_queue_len == 0) {
            process::yield_now().await;
        }
        let quick = start(&supervisor, sleeper()).await;
        assert_eq!(supervisor.terminate_child(quick).await, Ok(()));
        assert!(is_alive(slow).await);
        assert_eq!(counts(&supervisor).await, (1, 1, 0, 1));
        let mut answers = Vec::new();
        for _ in 0..2 {
            answers.push(first::<Result<(), DynamicChildError>>().await);
            assert!(!is_alive(slow).await, "nobody is told before it is gone");
        }
        answers.sort_by_key(Result::is_err);
        assert_eq!(answers, [Ok(()), Err(DynamicChildError::NotFound { pid: slow })]);
    });
}

/// Who asks for the end of a child that somebody else has asked to end hears of that child's end, and of no other.
#[test]
fn each_end_is_told_to_those_who_asked_for_it() {
    on_each_driver(|driver| async move {
        if driver.has_real_clock() {
            return;
        }
        let supervisor = plain().await;
        let me = process::self_pid();
        let mut children = Vec::new();
        for limit in [10, 30, 20] {
            children.push(start(&supervisor, deaf().shutdown(limit * SECOND)).await);
        }
        let began = process::now();
        for child in children.iter().chain(&children) {
            let (supervisor, child) = (supervisor.clone(), *child);
            process::spawn(async move {
                let answer = supervisor.terminate_child(child).await;
                let took = (process::now() - began).as_secs();
                me.send((answer.is_ok(), child, took));
            });
        }
        for (child, after) in [(0, 10), (2, 20), (1, 30)] {
            let mut told = [first::<(bool, Pid, u64)>().await, first::<(bool, Pid, u64)>().await];
            told.sort_unstable();
            assert_eq!(told, [false, true].map(|first| (first, children[child], after)));
        }
    });
}

/// Limits on both sides of the time after which a child is looked after, and more children than are asked in one go.
#[test]
fn a_limit_is_what_it_says() {
    on_each_driver(|driver| async move {
        if driver.has_real_clock() {
            return;
        }
        process::trap_exit(true);
        for at_the_end in [false, true] {
            let supervisor = plain().await;
            let mut children = BTreeMap::new();
            for number in 0..600_u32 {
                let limit = [500, 1_000, 1_500, 3_000][number as usize % 4];
                let child = deaf().shutdown(Duration::from_millis(limit));
                children.insert(start(&supervisor, child).await, limit);
            }
            let began = process::now();
            for child in children.keys() {
                process::monitor(*child);
            }
            if at_the_end {
                process::exit_signal(supervisor.pid().unwrap(), ExitReason::Shutdown);
            } else {
                for child in children.keys().copied() {
                    let supervisor = supervisor.clone();
                    process::spawn(async move { supervisor.terminate_child(child).await });
                }
            }
            for _ in 0..600 {
                let gone = first::<Down>().await;
                let (took, limit) = ((process::now() - began).as_millis(), children[&gone.pid().unwrap()]);
                assert!((limit..limit + 50).contains(&(took as u64)), "{limit} ms: {took}");
            }
        }
    });
}

/// What is known about limits is tidied up then, but for this one.
#[test]
fn a_limit_holds_though_many_others_have_stopped() {
    on_every_driver(|| async {
        let supervisor = plain().await;
        let slow = start(&supervisor, deaf().shutdown(Duration::from_millis(20))).await;
        let (asking, monitor) = (supervisor.clone(), process::monitor(slow));
        process::spawn(async move { asking.terminate_child(slow).await });
        for _ in 0..200 {
            let quick = start(&supervisor, sleeper()).await;
            assert_eq!(supervisor.terminate_child(quick).await, Ok(()));
        }
        assert_eq!(down(monitor).await.reason, ExitReason::Killed);
    });
}

/// A child that removes its link: nothing tells of its end, unless it is watched.
fn slips_away(after_the_signal: bool) -> ChildSpec {
    ChildSpec::new("slips away", move || async move {
        let parent = process::self_pid();
        let child = process::builder().link().trap_exit().spawn(async move {
            if after_the_signal {
                process::recv().await;
                process::unlink(parent);
                return;
            }
            process::unlink(parent);
            process::recv().await;
        });
        Ok(child)
    })
}

#[test]
fn a_child_that_removes_its_link_is_stopped_all_the_same() {
    on_each_driver(|driver| async move {
        // It takes a second each time.
        if driver.has_real_clock() {
            return;
        }
        for shutdown in [Shutdown::Infinity, Shutdown::Timeout(HOUR), Shutdown::BrutalKill] {
            for after in [true, false] {
                let supervisor = plain().await;
                let one = start(&supervisor, slips_away(after).shutdown(shutdown)).await;
                let two = start(&supervisor, slips_away(after).shutdown(shutdown)).await;
                let began = process::now();
                assert_eq!(supervisor.terminate_child(one).await, Ok(()));
                assert_eq!(supervisor.stop(ExitReason::Normal, None).await, Ok(()));
                assert!(!is_alive(one).await && !is_alive(two).await);
                assert!(process::now() - began < 3 * SECOND, "it is looked after, whatever its limit");
            }
        }
    });
}

#[test]
fn requests_left_at_the_end_are_answered_with_its_reason() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let supervisor = plain().await;
        for _ in 0..20 {
            start(&supervisor, answers(ExitReason::Shutdown).shutdown(Shutdown::Infinity)).await;
        }
        let me = process::self_pid();
        process::exit_signal(supervisor.pid().unwrap(), ExitReason::Shutdown);
        for _ in 0..50 {
            let supervisor = supervisor.clone();
            process::spawn(async move { me.send(supervisor.start_child(sleeper()).await.map(|_| ())) });
        }
        for _ in 0..50 {
            match first::<Result<(), DynamicStartError>>().await {
                Err(DynamicStartError::Call(CallError::Exited { reason, .. })) => {
                    assert_eq!(reason, ExitReason::Shutdown);
                }
                Err(DynamicStartError::Call(CallError::NoProc { .. })) => {}
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_restart_that_ignores_forgets_the_child() {
    on_every_driver(|| async {
        let supervisor = plain().await;
        let starts = AtomicU32::new(0);
        let child = ChildSpec::new("once", move || {
            let first = starts.fetch_add(1, SeqCst) == 0;
            async move { if first { Ok(process::spawn_link(idle())) } else { Err(StartError::Ignored) } }
        });
        end(start(&supervisor, child).await, ExitReason::other("crash")).await;
        assert_eq!(counts(&supervisor).await, (0, 0, 0, 0));
    });
}

#[test]
fn tries_under_a_back_off_wait_and_do_not_count() {
    on_each_driver(|driver| async move {
        if driver.has_real_clock() {
            return;
        }
        let backoff = ibeam::supervisor::Backoff::new(SECOND, 8 * SECOND).jitter(0.0);
        let mended = Arc::new(AtomicBool::new(false));
        let of_all = DynamicSupervisor::spec().intensity(1, HOUR).backoff(backoff.clone());
        let of_one = DynamicSupervisor::spec().intensity(1, HOUR);
        for (supervisor, child) in
            [(of_all, breaks(1, &mended)), (of_one, breaks(1, &mended).backoff(backoff.clone()))]
        {
            mended.store(false, SeqCst);
            let supervisor = supervisor.start_link().await.unwrap();
            let child = start(&supervisor, child).await;
            end(child, ExitReason::other("crash")).await;
            for _ in 0..10 {
                process::sleep(10 * SECOND).await;
                assert_eq!(counts(&supervisor).await, (1, 0, 0, 1), "it is tried, and not given up");
            }
            mended.store(true, SeqCst);
            process::sleep(9 * SECOND).await;
            assert_eq!(counts(&supervisor).await, (1, 1, 0, 1));
            // One that waits can be terminated, and does not come back.
            mended.store(false, SeqCst);
            process::sleep(2 * HOUR).await;
            let child = pids(&supervisor).await[0];
            end(child, ExitReason::other("crash")).await;
            supervisor.terminate_child(child).await.unwrap();
            mended.store(true, SeqCst);
            process::sleep(20 * SECOND).await;
            assert_eq!(counts(&supervisor).await, (0, 0, 0, 0));
        }
    });
}

//! Elixir's suite of tasks, without streams and crash reports: rows TASK-001 to 055, 088 and 089; and what it leaves out.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod tasks;

use std::future::{IntoFuture, pending};
use std::time::Duration;

use common::{down, end_of, idle, is_alive, next, nothing_comes, on_each_driver, on_every_driver, until};
use ibeam::prelude::*;
use ibeam::task::OnYieldTimeout;
use tasks::{Caller, double, ended, links, of_another, panic_of, unknown, waits_for_go};

const SECOND: Duration = Duration::from_secs(1);
const NOW: Duration = Duration::ZERO;

#[test]
fn task_001_a_task_is_a_child_of_a_supervisor() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let task = Task::child(move || async move { me.send("ran") });
        let top = Supervisor::new(Strategy::OneForOne).child(task).start_link().await;
        assert_eq!(next::<&str>().await, "ran");
        assert!(top.is_ok());
    });
}

struct Import;

impl RunTask for Import {
    type Args = (Pid, u32);
    type Output = ();

    async fn run((told, number): (Pid, u32)) {
        told.send(number);
    }
}

struct Overridden;

impl RunTask for Overridden {
    type Args = u32;
    type Output = ExitReason;

    async fn run(_: u32) -> ExitReason {
        ExitReason::Normal
    }

    fn child(_: u32) -> ChildSpec {
        let start = || async { Ok(Task::start_link(async {})) };
        ChildSpec::new("overridden", start).restart(Restart::Permanent).shutdown(Shutdown::BrutalKill)
    }
}

#[test]
fn task_002_a_task_type_has_a_child_specification_of_its_own() {
    on_every_driver(|| async {
        let plain = Import::child((process::self_pid(), 7));
        let settings = plain.settings();
        assert_eq!(settings.id, std::any::type_name::<Import>());
        assert_eq!(
            (settings.restart, settings.module),
            (Restart::Temporary, Some(std::any::type_name::<Import>()))
        );
        assert_eq!(settings.shutdown, Shutdown::Timeout(5 * SECOND));
        let _top = Supervisor::new(Strategy::OneForOne).child(plain).start_link().await.unwrap();
        assert_eq!(next::<u32>().await, 7);

        let settings = Overridden::child(1).settings();
        assert_eq!(settings.id, "overridden");
        assert_eq!((settings.restart, settings.shutdown), (Restart::Permanent, Shutdown::BrutalKill));
    });
}

#[test]
fn task_003_a_spawned_task_is_linked_and_known_by_its_function() {
    on_every_driver(|| async {
        let task = Task::spawn(double(21));
        let pid = task.pid().unwrap();
        assert_eq!(links().await, [pid]);
        let info = process::info(pid).await.unwrap();
        assert!(info.initial_call.contains("tasks::double"), "{}", info.initial_call);
        pid.send(tasks::Go);
        assert_eq!(task.await, Ok(42));
    });
}

#[test]
fn task_004_a_started_task_is_linked_to_nobody_and_sends_no_reply() {
    on_each_driver(|driver| async move {
        let me = process::self_pid();
        let pid = Task::start(waits_for_go(move || me.send("effect")));
        assert_eq!(links().await, []);
        let monitor = process::monitor(pid);
        pid.send(tasks::Go);
        assert_eq!(next::<&str>().await, "effect");
        assert_eq!(down(monitor).await.reason, ExitReason::Normal);
        nothing_comes(driver.window(SECOND)).await;
    });
}

#[test]
fn task_005_a_started_task_runs_a_function_with_arguments() {
    on_every_driver(|| async {
        let pid = Task::start(tasks::tell(process::self_pid(), "done"));
        assert_eq!(links().await, []);
        assert_eq!(next::<&str>().await, "done");
        assert!(matches!(end_of(pid).await, ExitReason::Normal | ExitReason::NoProc));
    });
}

#[test]
fn task_006_a_completed_task_has_no_process_and_its_value_at_once() {
    on_every_driver(|| async {
        let task = Task::completed("value");
        assert_eq!(task.pid(), None);
        assert_eq!(task.timeout(NOW).await, Ok("value"));
    });
}

#[test]
fn task_007_start_link_links() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let pid = Task::start_link(waits_for_go(move || me.send("effect")));
        assert_eq!(links().await, [pid]);
        pid.send(tasks::Go);
        assert_eq!(next::<&str>().await, "effect");
    });
}

#[test]
fn task_008_start_link_runs_a_function_with_arguments() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let pid = Task::start_link(tasks::tell(process::self_pid(), "done"));
        assert_eq!(next::<&str>().await, "done");
        assert_eq!(next::<Exit>().await, Exit { pid, reason: ExitReason::Normal });
    });
}

#[test]
fn task_009_the_callers_of_a_task_are_its_owner_and_those_of_its_owner() {
    on_every_driver(|| async {
        let p0 = process::self_pid();
        let p1 = Task::start_link(async move {
            p0.send(Caller(process::callers()));
            Task::start_link(async move { p0.send(Caller(process::callers())) });
            idle().await;
        });
        assert_eq!(next::<Caller>().await.0, [p0]);
        assert_eq!(next::<Caller>().await.0, [p1, p0]);
        // As for a task that is started in any other way.
        assert_eq!(Task::spawn(async { process::callers() }).await, Ok(vec![p0]));
        Task::start(async move { p0.send(Caller(process::callers())) });
        assert_eq!(next::<Caller>().await.0, [p0]);
    });
}

#[test]
fn task_010_ignoring_a_task_that_has_ended_gives_its_value_once() {
    on_every_driver(|| async {
        let task = ended(async { "ok" }).await;
        assert_eq!(task.ignore(), Some(Ok("ok")));

        // The handle is gone with that; what was taken by other means is not there either.
        let mut task = ended(async { "ok" }).await;
        let pid = task.pid();
        assert_eq!(task.yield_for(NOW).await, Some(Ok("ok")));
        let error = task.timeout(NOW).await.unwrap_err();
        assert_eq!(error, TaskError::Taken { pid });
        assert_eq!(error.into_exit_reason(), ExitReason::NoProc);
    });
}

#[test]
fn task_012_a_completed_task_can_be_ignored() {
    on_every_driver(|| async {
        assert_eq!(Task::completed("done").ignore(), Some(Ok("done")));
    });
}

#[test]
fn task_013_awaiting_longer_than_the_limit_is_a_timeout() {
    on_every_driver(|| async {
        let task = Task::spawn(pending::<()>());
        let pid = task.pid().unwrap();
        let error = task.timeout(NOW).await.unwrap_err();
        assert_eq!(error, TaskError::Timeout { pid, after: NOW });
        assert_eq!(error.to_string(), format!("task {pid} did not end within 0ns"));

        // As an exit of the owner, which takes the task with it.
        let (owner, monitor) = process::spawn_monitor(async {
            Task::spawn(pending::<()>()).timeout(NOW).await.or_exit();
        });
        let gone = down(monitor).await;
        assert_eq!((gone.target, gone.reason), (ibeam::Target::Pid(owner), ExitReason::Timeout));
    });
}

#[test]
fn task_014_a_trapping_owner_sees_that_the_task_has_thrown() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let task = Task::spawn(async { std::panic::panic_any(unknown()) as () });
        let pid = task.pid().unwrap();
        let Err(TaskError::Exited { pid: gone, reason: ExitReason::Panic(panic) }) = task.await else {
            panic!("expected a panic")
        };
        assert_eq!((gone, panic.payload::<&str>()), (pid, Some(unknown())));
    });
}

#[test]
fn task_017_a_trapping_owner_sees_why_the_task_has_exited() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let task = Task::spawn(async { process::exit(ExitReason::other(unknown())) as () });
        let pid = task.pid().unwrap();
        let error = task.await.unwrap_err();
        assert_eq!(error, TaskError::Exited { pid, reason: ExitReason::other(unknown()) });
        assert_eq!(error.to_string(), format!("task {pid} ended without a value: \"unknown\""));
        assert_eq!(next::<Exit>().await, Exit { pid, reason: ExitReason::other(unknown()) });
    });
}

#[test]
fn task_020_await_many_returns_the_values_in_order() {
    on_every_driver(|| async {
        let tasks = [1, 3, 9].map(|value| Task::spawn(async move { value }));
        assert_eq!(Task::await_many(tasks).await, Ok(vec![1, 3, 9]));
        // Whatever ends first.
        let slow = Task::spawn(async {
            receive! { number: u32 => number }
        });
        let pid = slow.pid().unwrap();
        let fast = Task::spawn(async move {
            pid.send(1_u32);
            2
        });
        assert_eq!(Task::await_many([slow, fast]).await, Ok(vec![1, 2]));
    });
}

#[test]
fn task_021_await_many_of_nothing_does_not_wait() {
    on_every_driver(|| async {
        let none: [Task<()>; 0] = [];
        assert_eq!(Task::await_many(none).timeout(Timeout::Infinity).await, Ok(vec![]));
    });
}

#[test]
fn task_022_await_many_has_a_limit_for_all_together() {
    on_every_driver(|| async {
        let done = Task::completed(1);
        let endless = Task::spawn(pending());
        let pid = endless.pid().unwrap();
        let error = Task::await_many([done, endless]).timeout(NOW).await.unwrap_err();
        assert_eq!(error, TaskError::Timeout { pid, after: NOW });
        assert_eq!(error.into_exit_reason(), ExitReason::Timeout);
    });
}

#[test]
fn task_023_await_many_fails_where_a_task_exits_even_normally() {
    on_every_driver(|| async {
        let task = Task::spawn(async { process::exit(ExitReason::Normal) as () });
        let pid = task.pid().unwrap();
        assert_eq!(
            Task::await_many([task]).await,
            Err(TaskError::Exited { pid, reason: ExitReason::Normal })
        );
    });
}

#[test]
fn task_024_await_many_fails_at_once_when_any_task_throws() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let failing = Task::spawn(async { std::panic::panic_any(unknown()) });
        let pid = failing.pid().unwrap();
        let failed =
            Task::await_many([Task::spawn(pending::<()>()), failing]).timeout(Timeout::Infinity).await;
        let Err(TaskError::Exited { pid: gone, reason: ExitReason::Panic(panic) }) = failed else {
            panic!("expected a panic")
        };
        assert_eq!((gone, panic.payload::<&str>()), (pid, Some(unknown())));
    });
}

#[test]
fn task_025_await_many_fails_at_once_on_any_error() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let failing = Task::spawn(async { panic!("oops") });
        let failed =
            Task::await_many([Task::spawn(pending::<()>()), failing]).timeout(Timeout::Infinity).await;
        let Err(TaskError::Exited { reason: ExitReason::Panic(panic), .. }) = failed else {
            panic!("expected a panic")
        };
        assert_eq!(panic.message(), "oops");
        assert!(panic.location().is_some_and(|place| place.contains("task.rs")));
    });
}

#[test]
fn task_028_await_many_names_a_task_of_another_process() {
    on_every_driver(|| async {
        let (foreign, owner) = of_another().await;
        let pid = foreign.pid().unwrap();
        let me = process::self_pid();
        let own = Task::spawn(pending::<()>());
        let panic = panic_of(|| drop(Task::await_many([own, foreign]).timeout(Duration::from_millis(1))));
        assert_eq!(
            panic,
            format!("`await_many` of task {pid} needs its owner {owner}, and was called by {me}")
        );
    });
}

#[test]
fn task_029_yield_gives_nothing_on_timeout_and_can_be_called_again() {
    on_every_driver(|| async {
        let mut task = Task::spawn(waits_for_go(|| 7));
        assert_eq!(task.yield_for(NOW).await, None);
        assert_eq!(task.yield_for(NOW).await, None);
        task.pid().unwrap().send(tasks::Go);
        assert_eq!(task.yield_for(Timeout::Infinity).await, Some(Ok(7)));
    });
}

#[test]
fn task_030_yield_gives_a_normal_exit_as_a_value() {
    on_every_driver(|| async {
        let mut task = Task::spawn(async { process::exit(ExitReason::Normal) as () });
        assert_eq!(task.yield_for(5 * SECOND).await, Some(Err(ExitReason::Normal)));
    });
}

#[test]
fn task_032_yield_names_a_task_of_another_process_and_who_called() {
    on_every_driver(|| async {
        let (mut foreign, owner) = of_another().await;
        let (pid, me) = (foreign.pid().unwrap(), process::self_pid());
        let panic = panic_of(|| drop(foreign.yield_for(Duration::from_millis(1))));
        assert_eq!(
            panic,
            format!("`yield_for` of task {pid} needs its owner {owner}, and was called by {me}")
        );
        let panic = panic_of(|| drop(foreign.into_future()));
        assert_eq!(panic, format!("`await` of task {pid} needs its owner {owner}, and was called by {me}"));
    });
}

#[test]
fn task_033_yield_many_gives_the_value_of_a_task_that_has_ended() {
    on_each_driver(|driver| async move {
        let mut tasks = [ended(async { "result" }).await];
        assert_eq!(Task::yield_many(&mut tasks).timeout(NOW).await, [Some(Ok("result"))]);
        nothing_comes(driver.window(SECOND)).await;
    });
}

#[test]
fn task_034_yield_many_gives_nothing_on_timeout() {
    on_every_driver(|| async {
        let mut tasks = [Task::spawn(pending::<()>())];
        assert_eq!(Task::yield_many(&mut tasks).timeout(NOW).await, [None]);
        assert_eq!(tasks[0].yield_for(NOW).await, None, "it can be waited for again");

        let pid = tasks[0].pid().unwrap();
        let ignored = Task::yield_many(&mut tasks).timeout(NOW).on_timeout(OnYieldTimeout::Ignore).await;
        assert_eq!(ignored, [None]);
        assert!(is_alive(pid).await);
        assert_eq!(
            Task::yield_many(&mut tasks).timeout(SECOND).await,
            [None],
            "nothing comes of it any more"
        );

        let mut tasks = [Task::spawn(pending::<()>()), Task::spawn(pending::<()>())];
        let pids = tasks.each_ref().map(|task| task.pid().unwrap());
        let killed = Task::yield_many(&mut tasks).timeout(NOW).on_timeout(OnYieldTimeout::KillTask).await;
        assert_eq!(killed, [None, None]);
        for pid in pids {
            assert!(!is_alive(pid).await);
        }
    });
}

#[test]
fn task_035_yield_many_gives_a_normal_exit_as_a_value() {
    on_every_driver(|| async {
        let mut tasks = [Task::spawn(async { process::exit(ExitReason::Normal) as () })];
        assert_eq!(Task::yield_many(&mut tasks).await, [Some(Err(ExitReason::Normal))]);
    });
}

#[test]
fn task_037_yield_many_names_a_task_of_another_process_and_who_called() {
    on_every_driver(|| async {
        let (foreign, owner) = of_another().await;
        let (pid, me) = (foreign.pid().unwrap(), process::self_pid());
        let panic = panic_of(|| drop(Task::yield_many(&mut [foreign]).timeout(Duration::from_millis(1))));
        assert_eq!(
            panic,
            format!("`yield_many` of task {pid} needs its owner {owner}, and was called by {me}")
        );
    });
}

#[test]
fn task_038_yield_many_returns_once_as_many_as_the_limit_have_ended() {
    on_every_driver(|| async {
        let mut tasks = [Task::spawn(async { "done" })];
        let all = Task::yield_many(&mut tasks).limit(2).timeout(Timeout::Infinity).await;
        assert_eq!(all, [Some(Ok("done"))]);

        let mut tasks = [Task::spawn(pending()), Task::spawn(async { "done" })];
        let pid = tasks[0].pid().unwrap();
        let some = Task::yield_many(&mut tasks).limit(1).on_timeout(OnYieldTimeout::KillTask);
        assert_eq!(some.timeout(Timeout::Infinity).await, [None, Some(Ok("done"))]);
        assert!(is_alive(pid).await, "the limit is no timeout");
    });
}

#[test]
fn task_039_yield_many_without_limit_gives_all_in_order() {
    on_every_driver(|| async {
        let mut tasks = [
            Task::spawn(async { 1 }),
            Task::spawn(async { 2 }),
            Task::spawn(async { process::exit(ExitReason::Normal) as i32 }),
        ];
        let outcomes = Task::yield_many(&mut tasks).timeout(Timeout::Infinity).await;
        assert_eq!(outcomes, [Some(Ok(1)), Some(Ok(2)), Some(Err(ExitReason::Normal))]);
    });
}

/// A task that has given its value is told to end, with this reason, at whatever point of its own end it is.
async fn told_to_end_after_its_value(reason: ExitReason, how: Shutdown) {
    let task = Task::spawn(async { "result" });
    let pid = task.pid().unwrap();
    until(|| !process::list().contains(&pid)).await;
    process::unlink(pid);
    process::exit_signal(pid, reason);
    assert_eq!(task.shutdown(how).await, Some(Ok("result")));
}

#[test]
fn task_040_shutdown_gives_the_value_of_a_task_that_has_ended() {
    on_each_driver(|driver| async move {
        let task = ended(async { "result" }).await;
        assert_eq!(task.shutdown(5 * SECOND).await, Some(Ok("result")));
        nothing_comes(driver.window(SECOND)).await;
    });
}

#[test]
fn task_041_shutdown_gives_the_value_of_a_task_that_was_shut_down_after_it() {
    on_each_driver(|driver| async move {
        told_to_end_after_its_value(ExitReason::Shutdown, Shutdown::Timeout(5 * SECOND)).await;
        nothing_comes(driver.window(SECOND)).await;
    });
}

#[test]
fn task_042_shutdown_of_an_endless_task_gives_nothing_at_once() {
    on_every_driver(|| async {
        let task = Task::spawn(pending::<()>());
        let pid = task.pid().unwrap();
        let (took, outcome) = process::measure(task.shutdown(5 * SECOND)).await;
        assert_eq!(outcome, None);
        assert!(took < 4 * SECOND, "{took:?}");
        assert!(!is_alive(pid).await);
    });
}

#[test]
fn task_043_shutdown_gives_an_abnormal_end_that_came_before() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let task = ended(async { process::exit(ExitReason::other("abnormal")) as () }).await;
        assert_eq!(task.shutdown(5 * SECOND).await, Some(Err(ExitReason::other("abnormal"))));
    });
}

#[test]
fn task_044_shutdown_gives_a_normal_end_that_came_before() {
    on_every_driver(|| async {
        let task = ended(async { process::exit(ExitReason::Normal) as () }).await;
        assert_eq!(task.shutdown(5 * SECOND).await, Some(Err(ExitReason::Normal)));
    });
}

#[test]
fn task_045_shutdown_gives_nothing_for_a_shutdown_that_came_before() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let task = ended(async { process::exit(ExitReason::Shutdown) as () }).await;
        assert_eq!(task.shutdown(5 * SECOND).await, None);
    });
}

#[test]
fn task_047_shutdown_names_a_task_of_another_process_and_who_called() {
    on_every_driver(|| async {
        let (foreign, owner) = of_another().await;
        let (pid, me) = (foreign.pid().unwrap(), process::self_pid());
        let panic = panic_of(|| drop(foreign.shutdown(5 * SECOND)));
        assert_eq!(
            panic,
            format!("`shutdown` of task {pid} needs its owner {owner}, and was called by {me}")
        );
        assert!(is_alive(pid).await);
    });
}

#[test]
fn task_048_a_brutal_kill_gives_the_value_of_a_task_that_was_ended_abnormally_after_it() {
    on_each_driver(|driver| async move {
        told_to_end_after_its_value(ExitReason::other("abnormal"), Shutdown::BrutalKill).await;
        nothing_comes(driver.window(SECOND)).await;
    });
}

#[test]
fn task_049_a_brutal_kill_gives_the_value_of_a_task_that_has_ended() {
    on_each_driver(|driver| async move {
        let task = ended(async { "result" }).await;
        assert_eq!(task.shutdown(Shutdown::BrutalKill).await, Some(Ok("result")));
        nothing_comes(driver.window(SECOND)).await;
    });
}

#[test]
fn task_050_a_brutal_kill_gives_the_value_of_a_task_that_was_shut_down_after_it() {
    on_each_driver(|driver| async move {
        told_to_end_after_its_value(ExitReason::Shutdown, Shutdown::BrutalKill).await;
        nothing_comes(driver.window(SECOND)).await;
    });
}

#[test]
fn task_051_a_brutal_kill_gives_nothing_for_a_kill_that_came_before() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let task = Task::spawn(pending::<()>());
        let pid = task.pid().unwrap();
        let monitor = process::monitor(pid);
        process::kill(pid);
        assert_eq!(down(monitor).await.reason, ExitReason::Killed);
        assert_eq!(task.shutdown(Shutdown::BrutalKill).await, None);
    });
}

#[test]
fn task_052_a_brutal_kill_gives_an_abnormal_end_that_came_before() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let task = ended(async { process::exit(ExitReason::other("abnormal")) as () }).await;
        assert_eq!(task.shutdown(Shutdown::BrutalKill).await, Some(Err(ExitReason::other("abnormal"))));
    });
}

#[test]
fn task_053_a_brutal_kill_gives_a_normal_end_that_came_before() {
    on_every_driver(|| async {
        let task = ended(async { process::exit(ExitReason::Normal) as () }).await;
        assert_eq!(task.shutdown(Shutdown::BrutalKill).await, Some(Err(ExitReason::Normal)));
    });
}

#[test]
fn task_055_shutdown_of_a_task_whose_outcome_was_taken_is_noproc() {
    on_every_driver(|| async {
        let mut task = Task::spawn(async { 1 });
        assert_eq!(task.yield_for(SECOND).await, Some(Ok(1)));
        assert_eq!(task.shutdown(Shutdown::BrutalKill).await, Some(Err(ExitReason::NoProc)));
    });
}

#[test]
fn task_088_await() {
    on_every_driver(|| async {
        assert_eq!(Task::spawn(async { 1 + 1 }).await, Ok(2));
    });
}

#[test]
fn task_089_await_many() {
    on_every_driver(|| async {
        let tasks = [Task::spawn(async { 1 + 1 }), Task::spawn(async { 2 + 3 })];
        assert_eq!(Task::await_many(tasks).await, Ok(vec![2, 5]));
    });
}

#[test]
fn a_crash_takes_the_owner_with_it_before_it_sees_the_error() {
    on_each_driver(|driver| async move {
        for _ in 0..driver.rounds(500, 3) {
            let me = process::self_pid();
            let (_, monitor) = process::spawn_monitor(async move {
                let failed = Task::spawn(async { process::exit(ExitReason::other("crash")) as () }).await;
                me.send(failed.is_err());
            });
            assert_eq!(down(monitor).await.reason, ExitReason::other("crash"));
            assert!(process::try_recv().is_none(), "the owner went on");
        }
    });
}

#[test]
fn the_end_of_the_owner_ends_the_task() {
    on_every_driver(|| async {
        let me = process::self_pid();
        process::spawn(async move {
            let task = Task::spawn(idle());
            me.send(task.pid().unwrap());
            process::exit(ExitReason::other("enough"));
        });
        let task = next::<Pid>().await;
        let reason = end_of(task).await;
        assert!(reason == ExitReason::other("enough") || reason == ExitReason::NoProc, "{reason}");
    });
}

#[test]
fn a_task_that_traps_exits_is_killed_when_it_does_not_end_in_time() {
    on_every_driver(|| async {
        let task = Task::spawn(async {
            process::trap_exit(true);
            tasks::tell(process::callers()[0], "trapping").await;
            idle().await;
        });
        assert_eq!(next::<&str>().await, "trapping");
        let stopped = task.shutdown(Duration::from_millis(10)).await;
        assert_eq!(stopped, Some(Err(ExitReason::Killed)));

        let polite = Task::spawn(async {
            process::trap_exit(true);
            tasks::tell(process::callers()[0], "trapping").await;
            receive! { Exit { .. } => "the last word" }
        });
        assert_eq!(next::<&str>().await, "trapping");
        assert_eq!(polite.shutdown(Shutdown::Infinity).await, Some(Ok("the last word")));
    });
}

#[test]
fn a_shutdown_leaves_no_exit_in_a_trapping_owners_mailbox() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        assert_eq!(Task::spawn(idle()).shutdown(5 * SECOND).await, None);
        assert_eq!(Task::spawn(idle()).shutdown(Shutdown::BrutalKill).await, None);
        nothing_comes(driver.window(SECOND)).await;
        assert_eq!(links().await, []);
    });
}

#[test]
fn an_ignored_task_goes_on_and_stays_linked() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let task = Task::spawn(waits_for_go(move || me.send("still here")));
        let pid = task.pid().unwrap();
        assert_eq!(task.ignore(), None);
        assert_eq!(links().await, [pid]);
        pid.send(tasks::Go);
        assert_eq!(next::<&str>().await, "still here");
    });
}

#[test]
fn the_outcome_as_a_message() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        let task = Task::spawn(async { 42 });
        let pid = task.pid();
        let reference = task.into_message();
        let message = receive! { ended: TaskEnded<i32> => ended };
        assert_eq!(message, TaskEnded { task: reference, pid, outcome: Ok(42) });

        let task = Task::spawn(async { process::exit(ExitReason::other("crash")) as i32 }).into_message();
        let message = receive! { ended: TaskEnded<i32> => ended };
        assert_eq!((message.task, message.outcome), (task, Err(ExitReason::other("crash"))));

        let early = ended(async { 7 }).await.into_message();
        assert_eq!(receive! { ended: TaskEnded<i32> => (ended.task, ended.outcome) }, (early, Ok(7)));

        let known = Task::completed(1).into_message();
        let message = at_hand_ended();
        assert_eq!(message, TaskEnded { task: known, pid: None, outcome: Ok(1) });
        while process::try_recv().is_some_and(|message| message.is::<Exit>()) {}
        nothing_comes(driver.window(SECOND)).await;
    });
}

/// Behind the notices of the tasks that have ended.
fn at_hand_ended() -> TaskEnded<i32> {
    loop {
        match process::try_recv().expect("a message").downcast() {
            Ok(ended) => return ended,
            Err(message) => assert!(message.is::<Exit>(), "{message:?}"),
        }
    }
}

#[test]
fn a_task_needs_a_process_that_owns_it() {
    let panic = panic_of(|| drop(Task::spawn(async {})));
    assert!(panic.starts_with("`spawn_link` needs a process to act on"), "{panic}");
}

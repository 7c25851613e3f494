//! Elixir's suite of the task supervisor, without streams: rows TSUP-001 to 016; and what it leaves out.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod supervisors;
mod tasks;

use std::future::pending;
use std::time::Duration;

use common::{down, end_of, idle, is_alive, next, nothing_comes, on_each_driver, on_every_driver, until};
use ibeam::dynamic_supervisor::AnyChild;
use ibeam::prelude::*;
use ibeam::supervisor::{ChildCounts, StartChildError};
use ibeam::{Priority, Target};
use supervisors::Phonebook;
use tasks::{Caller, double, links, panic_of, tell, unknown, waits_for_go};

const SECOND: Duration = Duration::from_secs(1);

async fn start() -> TaskSupervisorRef {
    TaskSupervisor::spec().start_link().await.unwrap()
}

async fn counts(tasks: &TaskSupervisorRef) -> [usize; 4] {
    let ChildCounts { specs, active, supervisors, workers, .. } = tasks.count_children().await.unwrap();
    [active, specs, supervisors, workers]
}

/// Waits until the supervisor has no task any more.
async fn until_empty(tasks: &TaskSupervisorRef) {
    while !tasks.children().await.unwrap().is_empty() {
        process::yield_now().await;
    }
}

#[test]
fn tsup_001_is_a_child_as_it_is() {
    on_every_driver(|| async {
        let top = Supervisor::new(Strategy::OneForOne).child(TaskSupervisor::new("n"));
        top.start_link().await.unwrap();
        assert!(process::whereis("n").is_some());
    });
}

#[test]
fn tsup_002_starts_with_a_priority() {
    on_every_driver(|| async {
        let tasks = TaskSupervisor::spec().start_link().priority(Priority::High).await.unwrap();
        let info = process::info(tasks.pid().unwrap()).await.unwrap();
        assert_eq!(info.priority, Priority::High);
    });
}

#[test]
fn tsup_003_the_name_is_the_id() {
    on_every_driver(|| async {
        let registry = Phonebook::default();
        let top = Supervisor::new(Strategy::OneForOne)
            .child(TaskSupervisor::new("local"))
            .child(TaskSupervisor::new(registry.via("key")));
        let top = top.start_link().await.unwrap();
        assert_eq!(TaskSupervisorRef::named("local").children().await, Ok(vec![]));
        assert_eq!(TaskSupervisorRef::via(&registry, "key").children().await, Ok(vec![]));
        let first = top.start_child(TaskSupervisor::spec()).await.unwrap().pid.unwrap();
        let second = top.start_child(TaskSupervisor::spec()).await;
        let Err(StartChildError::AlreadyStarted { id, pid }) = second else { panic!("{second:?}") };
        assert_eq!((id.to_string(), pid), ("TaskSupervisor".to_owned(), first));
    });
}

#[test]
fn tsup_004_counts_and_lists() {
    on_every_driver(|| async {
        let tasks = start().await;
        assert_eq!(tasks.children().await, Ok(vec![]));
        assert_eq!(counts(&tasks).await, [0; 4]);
        // The same as any dynamic supervisor.
        let same = DynamicSupervisorRef::<AnyChild>::of(tasks.pid().unwrap());
        assert_eq!(same.which_children().await, Ok(vec![]));
        assert_eq!(same.count_children().await, tasks.count_children().await);
    });
}

#[test]
fn tsup_005_a_task_under_the_supervisor_is_linked_to_its_owner_too() {
    on_each_driver(|driver| async move {
        let tasks = start().await;
        let task = tasks.spawn(waits_for_go(|| "result")).await.unwrap();
        let pid = task.pid().unwrap();
        assert_eq!(tasks.children().await, Ok(vec![pid]));
        assert_eq!(links().await, [tasks.pid().unwrap(), pid]);
        assert_eq!(process::info(pid).await.unwrap().links.len(), 2);
        let reference = task.into_message();
        let monitor = process::monitor(pid);
        pid.send(tasks::Go);
        let ended: TaskEnded<&str> = next().await;
        assert_eq!(ended, TaskEnded { task: reference, pid: Some(pid), outcome: Ok("result") });
        assert_eq!(down(monitor).await.reason, ExitReason::Normal);
        until_empty(&tasks).await;
        nothing_comes(driver.window(SECOND)).await;
    });
}

#[test]
fn tsup_006_the_limit_is_an_error_of_who_starts_one_too_many() {
    on_every_driver(|| async {
        let tasks = TaskSupervisor::spec().max_children(1).start_link().await.unwrap();
        let first = tasks.spawn(pending::<()>()).await.unwrap();
        let refused = tasks.spawn(async {}).await.unwrap_err();
        assert_eq!(refused, DynamicStartError::MaxChildren { limit: 1 });
        assert_eq!(
            refused.to_string(),
            "expected at most 1 children (`max_children`), this would be one more"
        );
        assert_eq!(tasks.children().await, Ok(vec![first.pid().unwrap()]));
        assert_eq!(first.shutdown(SECOND).await, None);
    });
}

#[test]
fn tsup_007_a_task_is_known_by_its_function() {
    on_every_driver(|| async {
        let tasks = start().await;
        let task = tasks.spawn(double(21)).await.unwrap();
        let pid = task.pid().unwrap();
        assert_eq!(tasks.children().await, Ok(vec![pid]));
        let info = process::info(pid).await.unwrap();
        assert!(info.initial_call.contains("tasks::double"), "{}", info.initial_call);
        pid.send(tasks::Go);
        assert_eq!(task.await, Ok(42));
    });
}

/// The supervisor is told to shut down: why its task has ended.
async fn end_with_supervisor(tasks: &TaskSupervisorRef, task: Pid) -> ExitReason {
    process::trap_exit(true);
    let monitor = process::monitor(task);
    process::exit_signal(tasks.pid().unwrap(), ExitReason::Shutdown);
    down(monitor).await.reason
}

#[test]
fn tsup_008_a_shutdown_of_its_own() {
    on_every_driver(|| async {
        let tasks = start().await;
        let killed = tasks.spawn_nolink(pending::<()>()).shutdown(Shutdown::BrutalKill).await.unwrap();
        assert_eq!(end_with_supervisor(&tasks, killed.pid().unwrap()).await, ExitReason::Killed);
        let tasks = start().await;
        let asked = tasks.spawn_nolink(pending::<()>()).await.unwrap();
        assert_eq!(end_with_supervisor(&tasks, asked.pid().unwrap()).await, ExitReason::Shutdown);
    });
}

#[test]
fn tsup_009_a_task_that_is_not_linked_is_known_by_its_function() {
    on_every_driver(|| async {
        let tasks = start().await;
        let task = tasks.spawn_nolink(double(21)).await.unwrap();
        let pid = task.pid().unwrap();
        assert_eq!(tasks.children().await, Ok(vec![pid]));
        assert_eq!(links().await, [tasks.pid().unwrap()]);
        pid.send(tasks::Go);
        assert_eq!(task.await, Ok(42));
    });
}

#[test]
fn tsup_010_a_child_that_nobody_waits_for() {
    on_every_driver(|| async {
        let tasks = start().await;
        let me = process::self_pid();
        let pid = tasks.start_child(waits_for_go(move || me.send("effect"))).await.unwrap();
        assert_eq!(tasks.children().await, Ok(vec![pid]));
        assert_eq!(links().await, [tasks.pid().unwrap()]);
        pid.send(tasks::Go);
        assert_eq!(next::<&str>().await, "effect");
    });
}

#[test]
fn tsup_011_a_child_with_a_shutdown_of_its_own() {
    on_every_driver(|| async {
        let tasks = start().await;
        let pid = tasks.start_child(idle()).shutdown(Shutdown::BrutalKill).await.unwrap();
        assert_eq!(end_with_supervisor(&tasks, pid).await, ExitReason::Killed);
    });
}

#[test]
fn tsup_012_callers_are_who_started_it_and_ancestors_the_supervisor_and_its_own() {
    on_every_driver(|| async {
        let p0 = process::self_pid();
        let tasks = start().await;
        let supervisor = tasks.pid().unwrap();
        let ancestors = || process::ancestors().iter().take(2).map(|ancestor| ancestor.pid).collect();
        let inner = tasks.clone();
        let p1 = tasks.start_child(async move {
            p0.send((Caller(process::callers()), Caller(ancestors())));
            let told = async move { p0.send((Caller(process::callers()), Caller(ancestors()))) };
            inner.start_child(told).await.unwrap();
            idle().await;
        });
        let p1 = p1.await.unwrap();
        let (callers, ancestors) = next::<(Caller, Caller)>().await;
        assert_eq!((callers.0, ancestors.0), (vec![p0], vec![supervisor, p0]));
        let (callers, ancestors) = next::<(Caller, Caller)>().await;
        assert_eq!((callers.0, ancestors.0), (vec![p1, p0], vec![supervisor, p0]));
    });
}

#[test]
fn tsup_013_terminate_child() {
    on_every_driver(|| async {
        let tasks = start().await;
        let pid = tasks.start_child(idle()).await.unwrap();
        assert_eq!(tasks.terminate_child(pid).await, Ok(()));
        assert_eq!(tasks.children().await, Ok(vec![]));
        assert_eq!(tasks.terminate_child(pid).await, Err(DynamicChildError::NotFound { pid }));
    });
}

#[test]
fn tsup_014_a_trapping_owner_sees_that_the_task_has_thrown() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let tasks = start().await;
        let task = tasks.spawn(async { std::panic::panic_any(unknown()) as () }).await.unwrap();
        let Err(TaskError::Exited { reason: ExitReason::Panic(panic), .. }) = task.await else {
            panic!("expected a panic")
        };
        assert_eq!(panic.payload::<&str>(), Some(unknown()));
    });
}

#[test]
fn tsup_015_a_trapping_owner_sees_that_the_task_has_panicked() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let tasks = start().await;
        let task = tasks.spawn(async { panic!("oops") as () }).await.unwrap();
        let Err(TaskError::Exited { reason: ExitReason::Panic(panic), .. }) = task.await else {
            panic!("expected a panic")
        };
        assert_eq!(panic.message(), "oops");
        assert!(panic.location().is_some_and(|place| place.contains("task_supervisor.rs")));
    });
}

#[test]
fn tsup_016_a_trapping_owner_sees_why_the_task_has_exited() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let tasks = start().await;
        let task = tasks.spawn(async { process::exit(ExitReason::other(unknown())) as () }).await.unwrap();
        let pid = task.pid().unwrap();
        assert_eq!(task.await, Err(TaskError::Exited { pid, reason: ExitReason::other(unknown()) }));
        assert_eq!(next::<Exit>().await, Exit { pid, reason: ExitReason::other(unknown()) });
    });
}

#[test]
fn a_crash_of_a_linked_task_takes_the_owner_with_it_and_leaves_the_supervisor() {
    on_each_driver(|driver| async move {
        let tasks = start().await;
        for _ in 0..driver.rounds(300, 3) {
            let (me, tasks) = (process::self_pid(), tasks.clone());
            let (_, owner) = process::spawn_monitor(async move {
                let task = tasks.spawn(async { process::exit(ExitReason::other("crash")) as () }).await;
                me.send(task.unwrap().await.is_err());
            });
            assert_eq!(down(owner).await.reason, ExitReason::other("crash"));
            assert!(process::try_recv().is_none(), "the owner went on");
        }
        assert!(is_alive(tasks.pid().unwrap()).await);
    });
}

#[test]
fn the_end_of_an_owner_ends_a_linked_task_even_if_it_comes_first() {
    on_each_driver(|driver| async move {
        let tasks = start().await;
        for _ in 0..driver.rounds(300, 5) {
            let owners_tasks = tasks.clone();
            let (owner, monitor) = process::spawn_monitor(async move {
                let _task = owners_tasks.spawn(pending::<()>()).await;
                idle().await;
            });
            process::yield_now().await;
            process::exit_signal(owner, ExitReason::other("enough"));
            assert_eq!(down(monitor).await.reason, ExitReason::other("enough"));
            until_empty(&tasks).await;
        }
    });
}

#[test]
fn a_task_that_is_not_linked_outlives_its_owner_and_its_crash_is_an_error() {
    on_every_driver(|| async {
        let tasks = start().await;
        let crash = tasks.spawn_nolink(async { process::exit(ExitReason::other("crash")) as () });
        let crash = crash.await.unwrap();
        let pid = crash.pid().unwrap();
        assert_eq!(crash.await, Err(TaskError::Exited { pid, reason: ExitReason::other("crash") }));

        let (me, owners_tasks) = (process::self_pid(), tasks.clone());
        let (_, owner) = process::spawn_monitor(async move {
            let task = owners_tasks.spawn_nolink(waits_for_go(move || me.send("outlived"))).await.unwrap();
            me.send(task.pid().unwrap());
            process::exit(ExitReason::other("enough"));
        });
        let pid = next::<Pid>().await;
        down(owner).await;
        pid.send(tasks::Go);
        assert_eq!(next::<&str>().await, "outlived");
    });
}

#[test]
fn a_crash_as_a_message() {
    on_every_driver(|| async {
        let tasks = start().await;
        let task = tasks.spawn_nolink(async { process::exit(ExitReason::other("crash")) as u32 });
        let task = task.await.unwrap();
        let (pid, reference) = (task.pid(), task.into_message());
        let ended: TaskEnded<u32> = next().await;
        assert_eq!(ended, TaskEnded { task: reference, pid, outcome: Err(ExitReason::other("crash")) });
    });
}

#[test]
fn a_task_can_be_restarted_and_is_given_up_like_any_child() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let tasks = TaskSupervisor::spec().intensity(2, 5 * SECOND).start_link().await.unwrap();
        let supervisor = tasks.pid().unwrap();
        let me = process::self_pid();
        let run = move || async move {
            me.send(process::callers());
            receive! { reason: ExitReason => process::exit(reason) }
        };
        let first = tasks.start_child_with(Restart::Transient, run).await.unwrap();
        assert_eq!(next::<Vec<Pid>>().await, [me]);
        first.send(ExitReason::other("crash"));
        assert_eq!(next::<Vec<Pid>>().await, [me], "it works for the same after a restart");
        let second = tasks.children().await.unwrap()[0];
        assert_ne!(first, second);
        second.send(ExitReason::Normal);
        until_empty(&tasks).await;

        let hopeless = || async { process::exit(ExitReason::other("crash")) as () };
        tasks.start_child_with(Restart::Permanent, hopeless).await.unwrap();
        assert_eq!(next::<Exit>().await, Exit { pid: supervisor, reason: ExitReason::Shutdown });
    });
}

#[test]
fn a_value_that_was_computed_before_the_supervisor_ended_is_kept() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let tasks = start().await;
        let done = tasks.spawn_nolink(async { 42 }).await.unwrap();
        let endless = tasks.spawn_nolink(pending::<u32>()).await.unwrap();
        let (done_pid, pid) = (done.pid().unwrap(), endless.pid().unwrap());
        until(|| !process::list().contains(&done_pid)).await;
        tasks.stop(ExitReason::Normal, SECOND).await.unwrap();
        assert_eq!(done.await, Ok(42));
        assert_eq!(endless.await, Err(TaskError::Exited { pid, reason: ExitReason::Shutdown }));
        let gone = tasks.spawn_nolink(async {}).await.unwrap_err();
        assert!(matches!(gone, DynamicStartError::Call(CallError::NoProc { .. } | CallError::Exited { .. })));
    });
}

#[test]
fn from_outside_of_processes_anybody_may_wait_for_a_task() {
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let tasks = runtime.block_on(async { TaskSupervisor::spec().start().await.unwrap() });
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    tokio.block_on(async {
        let mut task = tasks.spawn_nolink(double(4)).await.unwrap();
        assert_eq!(task.owner(), None);
        assert_eq!(task.yield_for(Duration::from_millis(1)).await, None);
        task.pid().unwrap().send(tasks::Go);
        assert_eq!(task.await, Ok(8));
        let endless = tasks.spawn_nolink(pending::<()>()).await.unwrap();
        assert_eq!(endless.shutdown(SECOND).await, None);
        tasks.start_child(async {}).await.unwrap();
    });
    let panic = panic_of(|| drop(tokio.block_on(async { tasks.spawn(async {}).await })));
    assert!(panic.starts_with("`self_pid` needs a process to act on"), "{panic}");
}

#[test]
fn task_supervisors_behind_a_partition_supervisor() {
    on_every_driver(|| async {
        let shards = PartitionSupervisor::new("task shards", TaskSupervisor::spec());
        let shards = shards.partitions(2).start_link().await.unwrap();
        let me = process::self_pid();
        for number in 0..4_u64 {
            shards.key(number).start_child(tell(me, "ran")).await.unwrap();
            assert_eq!(next::<&str>().await, "ran");
        }
        let task = shards.key(1_u64).spawn(async { process::ancestors()[0].pid }).await.unwrap();
        assert_eq!(task.await.ok(), shards.key(1_u64).pid());
    });
}

#[test]
fn a_linked_task_whose_owner_is_gone_before_it_begins_ends_with_noproc() {
    on_every_driver(|| async {
        let gone = process::spawn(async {});
        end_of(gone).await;
        let (pid, monitor) = process::builder().link_to(gone).spawn_monitor(idle());
        let end = down(monitor.reference()).await;
        assert_eq!((end.target, end.reason), (Target::Pid(pid), ExitReason::NoProc));
    });
}

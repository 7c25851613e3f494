//! Tasks, streams of them, task supervisors.

use std::time::Duration;

use ibeam::prelude::*;
use ibeam::task::OnYieldTimeout;

use super::{A_SECOND, Case, Try};

/// What the tasks here compute.
const VALUE: u32 = 7;

async fn in_a_second() -> u32 {
    process::sleep(A_SECOND).await;
    VALUE
}

fn soon() -> Task<u32> {
    Task::spawn(in_a_second())
}

fn never() -> Task<u32> {
    Task::spawn(std::future::pending())
}

/// One that takes a second to end when it is asked to.
fn reluctant() -> Task<u32> {
    Task::spawn(async {
        process::trap_exit(true);
        receive! { Exit { .. } => {} }
        in_a_second().await
    })
}

async fn tasks() -> TaskSupervisorRef {
    TaskSupervisor::spec().start().await.expect("it starts")
}

/// The tasks of a stream end in another order than they begin.
async fn later_the_smaller(number: u64) -> u64 {
    process::sleep(Duration::from_millis(100 - 10 * number)).await;
    number
}

/// A stream that is dropped kills its tasks, and its owner goes on when they are gone.
async fn the_owner_is_alone(others: usize) {
    process::yield_now().await;
    assert_eq!(process::list().len(), 1 + others, "tasks of a stream that was dropped");
}

/// Takes the first outcome out of the stream, or not; none of them may be lost with the future that was to take it.
macro_rules! next_loses_nothing {
    ($with:expr, $stream:expr) => {{
        let mut stream = $stream.max_concurrency(2);
        let over = $with.this(stream.next()).await;
        let mut rest: Vec<u64> = stream.collect::<Vec<_>>().await.into_iter().map(Result::unwrap).collect();
        rest.sort_unstable();
        let left = if over { 3 } else { 4 };
        assert_eq!(rest.len(), left, "outcomes after a `next` that was dropped: {rest:?}");
        rest.dedup();
        assert_eq!(rest.len(), left, "an outcome came twice");
        over
    }};
}

cases! {
    "a task": |with: Try| async move { with.this(soon()).await };
    "a task that takes too long": |with: Try| async move { with.this(never().timeout(A_SECOND)).await };
    "a task that crashes": |with: Try| async move {
        with.this(Task::spawn(async { process::sleep(A_SECOND).await; process::exit(ExitReason::other("crash")) })).await
    };
    "yield_for": |with: Try| async move {
        let mut task = soon();
        let over = with.this(task.yield_for(A_SECOND * 2)).await;
        assert_eq!(task.yield_for(A_SECOND * 2).await.is_some(), !over, "what a dropped future did not take is there");
        over
    };
    "yield_for that is too short": |with: Try| async move {
        let mut task = soon();
        let over = with.this(task.yield_for(A_SECOND / 2)).await;
        assert_eq!(task.await, Ok(VALUE));
        over
    };
    "await_many": |with: Try| async move { with.this(Task::await_many([soon(), Task::completed(1), soon()])).await };
    "await_many that takes too long": |with: Try| async move {
        with.this(Task::await_many([soon(), never()]).timeout(A_SECOND * 2)).await
    };
    "yield_many": |with: Try| async move { with.this(Task::yield_many(&mut [soon(), soon()])).await };
    "yield_many that kills": |with: Try| async move {
        let mut tasks = [soon(), never(), never()];
        with.this(Task::yield_many(&mut tasks).timeout(A_SECOND * 2).on_timeout(OnYieldTimeout::KillTask)).await
    };
    "shutdown": |with: Try| async move { with.this(never().shutdown(A_SECOND)).await };
    "shutdown of one that takes its time": |with: Try| async move {
        let task = reluctant();
        process::yield_now().await;
        with.this(task.shutdown(A_SECOND * 2)).await
    };
    "shutdown of one that takes too long": |with: Try| async move {
        let task = reluctant();
        process::yield_now().await;
        with.this(task.shutdown(A_SECOND / 2)).await
    };
    "a brutal shutdown": |with: Try| async move { with.this(never().shutdown(Shutdown::BrutalKill)).await };
    "shutdown of one that has ended": |with: Try| async move {
        let task = soon();
        process::sleep(A_SECOND * 2).await;
        with.this(task.shutdown(A_SECOND)).await
    };
    "a stream of tasks": |with: Try| async move {
        let over = with.this(Task::stream(1..=4_u64, later_the_smaller).max_concurrency(2).collect::<Vec<_>>()).await;
        the_owner_is_alone(0).await;
        over
    };
    "a stream of tasks in any order": |with: Try| async move {
        let stream = Task::stream(1..=4_u64, later_the_smaller).max_concurrency(3).ordered(false).timeout(Timeout::Infinity);
        let over = with.this(stream.collect::<Vec<_>>()).await;
        the_owner_is_alone(0).await;
        over
    };
    "a stream of tasks that are killed": |with: Try| async move {
        let stream = Task::stream(1..=4_u64, later_the_smaller).timeout(Duration::from_millis(75)).on_timeout(OnTimeout::KillTask);
        let over = with.this(stream.max_concurrency(2).collect::<Vec<_>>()).await;
        the_owner_is_alone(0).await;
        over
    };
    "a stream of the tasks of a stream": |with: Try| async move {
        let inner = Task::stream(1..=3_u64, later_the_smaller).max_concurrency(2);
        let outer = Task::stream_from(inner, |number| later_the_smaller(number.unwrap())).max_concurrency(2);
        let over = with.this(outer.collect::<Vec<_>>()).await;
        the_owner_is_alone(0).await;
        over
    };
    "the next of a stream": |with: Try| async move {
        next_loses_nothing!(with, Task::stream(1..=4_u64, later_the_smaller))
    };
    "the next of a stream in any order": |with: Try| async move {
        next_loses_nothing!(with, Task::stream(1..=4_u64, later_the_smaller).ordered(false))
    };
    "the next of a stream under a supervisor": |with: Try| async move {
        let tasks = tasks().await;
        next_loses_nothing!(with, tasks.stream(1..=4_u64, later_the_smaller))
    };
    "a task supervisor's start": |with: Try| async move { with.this(TaskSupervisor::new("tasks").start_link()).await };
    "a task supervisor's spawn": |with: Try| async move {
        let tasks = tasks().await;
        with.this(tasks.spawn(in_a_second())).await
    };
    "a task supervisor's spawn_nolink, awaited": |with: Try| async move {
        let tasks = tasks().await;
        with.this(async { tasks.spawn_nolink(in_a_second()).await.expect("it starts").await }).await
    };
    "shutdown under a supervisor": |with: Try| async move {
        let task = tasks().await.spawn(std::future::pending::<u32>()).await.expect("it starts");
        with.this(task.shutdown(A_SECOND)).await
    };
    "a task supervisor's start_child": |with: Try| async move {
        let tasks = tasks().await;
        with.this(tasks.start_child(std::future::pending::<()>())).await
    };
    "a task supervisor's start_child_with": |with: Try| async move {
        let tasks = tasks().await;
        with.this(tasks.start_child_with(Restart::Permanent, std::future::pending::<()>)).await
    };
    "a task supervisor's children": |with: Try| async move { with.this(tasks().await.children()).await };
    "a task supervisor's which_children": |with: Try| async move { with.this(tasks().await.which_children()).await };
    "a task supervisor's count_children": |with: Try| async move { with.this(tasks().await.count_children()).await };
    "a task supervisor's terminate_child": |with: Try| async move {
        let tasks = tasks().await;
        let child = tasks.start_child(std::future::pending::<()>()).await.expect("it starts");
        with.this(tasks.terminate_child(child)).await
    };
    "a task supervisor's stop": |with: Try| async move {
        let tasks = tasks().await;
        tasks.start_child(std::future::pending::<()>()).await.expect("it starts");
        with.this(tasks.stop(ExitReason::Normal, Timeout::Infinity)).await
    };
    "a stream under a supervisor": |with: Try| async move {
        let tasks = tasks().await;
        let over = with.this(tasks.stream(1..=4_u64, later_the_smaller).max_concurrency(2).collect::<Vec<_>>()).await;
        the_owner_is_alone(1).await;
        over
    };
    "a stream under a supervisor, not linked": |with: Try| async move {
        let tasks = tasks().await;
        let stream = tasks.stream_nolink(1..=4_u64, later_the_smaller).max_concurrency(2).ordered(false);
        let over = with.this(stream.collect::<Vec<_>>()).await;
        the_owner_is_alone(1).await;
        over
    };
}

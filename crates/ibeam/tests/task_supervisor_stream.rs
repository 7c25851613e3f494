//! Elixir's suite of streams under a task supervisor: rows TSUP-017 to 031; and what it leaves out.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod tasks;

use std::future::pending;
use std::time::Duration;

use common::{down, next, nothing_comes, on_each_driver, on_every_driver};
use ibeam::prelude::*;
use tasks::{Caller, links};

const SECOND: Duration = Duration::from_secs(1);

type Outcomes<T> = Vec<Result<T, ExitReason>>;

async fn start() -> TaskSupervisorRef {
    TaskSupervisor::spec().start_link().await.unwrap()
}

async fn sleep(ms: u64) -> u64 {
    process::sleep(Duration::from_millis(ms)).await;
    ms
}

/// Ends at once for 0, and never for others.
async fn zero(item: u64) -> u64 {
    if item > 0 {
        pending::<()>().await;
    }
    item
}

fn values(items: impl IntoIterator<Item = u64>) -> Outcomes<u64> {
    items.into_iter().map(Ok).collect()
}

/// No task of the supervisor is left.
async fn is_empty(tasks: &TaskSupervisorRef) -> bool {
    tasks.children().await.unwrap().is_empty()
}

#[test]
fn tsup_017_items_with_a_closure() {
    on_every_driver(|| async {
        let stream = start().await.stream(1..=4, |ms| async move { sleep(ms).await });
        assert_eq!(stream.collect::<Outcomes<u64>>().await, values(1..=4));
    });
}

#[test]
fn tsup_018_items_with_a_function() {
    on_every_driver(|| async {
        let stream = start().await.stream(1..=4, sleep);
        assert_eq!(stream.collect::<Outcomes<u64>>().await, values(1..=4));
    });
}

#[test]
fn tsup_019_nothing_is_left_in_the_mailbox() {
    on_each_driver(|driver| async move {
        for trapping in [false, true] {
            process::trap_exit(trapping);
            let tasks = start().await;
            assert_eq!(tasks.stream(1..=4, sleep).collect::<Outcomes<u64>>().await, values(1..=4));
            nothing_comes(driver.window(SECOND)).await;
            assert!(is_empty(&tasks).await);
        }
    });
}

#[test]
fn tsup_020_the_slowest_first() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let stream = start().await.stream((1..=4).rev(), sleep).max_concurrency(4);
        assert_eq!(stream.collect::<Outcomes<u64>>().await, values([4, 3, 2, 1]));
    });
}

#[test]
fn tsup_021_failures() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        let exit = |item: u64| async move { process::exit(ExitReason::other(item.to_string())) as u64 };
        let outcomes: Outcomes<u64> = start().await.stream(1..=4, exit).max_concurrency(4).collect().await;
        let expected: Outcomes<u64> = (1..=4).map(|item| Err(ExitReason::other(item.to_string()))).collect();
        assert_eq!(outcomes, expected);
        nothing_comes(driver.window(SECOND)).await;
    });
}

#[test]
fn tsup_022_what_is_not_used_is_stopped() {
    on_every_driver(|| async {
        let tasks = start().await;
        let mut stream = tasks.stream(0..4, zero).max_concurrency(4);
        assert_eq!(stream.next().await, Some(Ok(0)));
        drop(stream);
        assert_eq!(links().await, [tasks.pid().unwrap()]);
        while !is_empty(&tasks).await {
            process::yield_now().await;
        }
    });
}

#[test]
fn tsup_023_the_callers_and_ancestors_of_a_streams_tasks() {
    on_every_driver(|| async {
        let p0 = process::self_pid();
        let tasks = start().await;
        let supervisor = tasks.pid().unwrap();
        let ancestors = || process::ancestors().iter().take(2).map(|ancestor| ancestor.pid).collect();
        let inner = tasks.clone();
        let outer = tasks.stream([()], move |()| {
            let inner = inner.clone();
            async move {
                p0.send((process::self_pid(), Caller(process::callers()), Caller(ancestors())));
                let told = move |()| async move {
                    p0.send((process::self_pid(), Caller(process::callers()), Caller(ancestors())));
                };
                inner.stream([()], told).collect::<Vec<_>>().await;
            }
        });
        outer.collect::<Vec<_>>().await;
        let (p1, callers, ancestors) = next::<(Pid, Caller, Caller)>().await;
        assert_eq!((callers.0, ancestors.0), (vec![p0], vec![supervisor, p0]));
        let (_, callers, ancestors) = next::<(Pid, Caller, Caller)>().await;
        assert_eq!((callers.0, ancestors.0), (vec![p1, p0], vec![supervisor, p0]));
    });
}

#[test]
fn tsup_024_a_timeout_with_the_item_that_caused_it() {
    on_every_driver(|| async {
        let stream = start().await.stream([1, 10_000], sleep).max_concurrency(4).zip_input_on_exit();
        let stream = stream.timeout(Duration::from_millis(500)).on_timeout(OnTimeout::KillTask);
        assert_eq!(stream.collect::<Vec<_>>().await, [Ok(1), Err((10_000, ExitReason::Timeout))]);
    });
}

#[test]
fn tsup_025_a_consumer_that_halts_and_failures_with_their_items() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let exit = |item: u64| async move { process::exit(ExitReason::other(item)) as u64 };
        let mut stream = start().await.stream(1..=8, exit).max_concurrency(4).zip_input_on_exit();
        for item in 1..=4 {
            assert_eq!(stream.next().await, Some(Err((item, ExitReason::other(item)))));
        }
    });
}

#[test]
fn tsup_026_a_shutdown_of_its_own() {
    on_every_driver(|| async {
        process::trap_exit(true);
        for (how, reason) in
            [(Shutdown::BrutalKill, ExitReason::Killed), (Shutdown::from(SECOND), ExitReason::Shutdown)]
        {
            let tasks = start().await;
            let mut stream = tasks.stream_nolink(0..2, zero).max_concurrency(2).shutdown(how);
            assert_eq!(stream.next().await, Some(Ok(0)));
            tasks.stop(ExitReason::Normal, SECOND).await.unwrap();
            assert_eq!(stream.next().await, Some(Err(reason)));
        }
    });
}

#[test]
fn tsup_027_items_with_a_closure_not_linked() {
    on_every_driver(|| async {
        let stream = start().await.stream_nolink(1..=4, |ms| async move { sleep(ms).await });
        assert_eq!(stream.max_concurrency(4).collect::<Outcomes<u64>>().await, values(1..=4));
    });
}

#[test]
fn tsup_028_items_with_a_function_not_linked() {
    on_every_driver(|| async {
        let stream = start().await.stream_nolink(1..=4, sleep);
        assert_eq!(stream.collect::<Outcomes<u64>>().await, values(1..=4));
    });
}

#[test]
fn tsup_029_nothing_is_left_in_the_mailbox_not_linked() {
    on_each_driver(|driver| async move {
        let outcomes: Outcomes<u64> = start().await.stream_nolink(1..=4, sleep).collect().await;
        assert_eq!(outcomes, values(1..=4));
        nothing_comes(driver.window(SECOND)).await;
    });
}

#[test]
fn tsup_030_what_is_not_used_is_stopped_and_leaves_no_message() {
    on_each_driver(|driver| async move {
        let tasks = start().await;
        let mut stream = tasks.stream_nolink(0..4, zero).max_concurrency(4);
        assert_eq!(stream.next().await, Some(Ok(0)));
        drop(stream);
        nothing_comes(driver.window(SECOND)).await;
        assert!(is_empty(&tasks).await);
    });
}

#[test]
fn tsup_031_the_limit_ends_the_stream_with_an_error() {
    on_each_driver(|driver| async move {
        let tasks = TaskSupervisor::spec().max_children(1).start_link().await.unwrap();
        let stream = tasks.stream_nolink(1..=3, zero).max_concurrency(2);
        let outcomes: Outcomes<u64> = stream.collect().await;
        assert_eq!(outcomes, [Err(ExitReason::error(DynamicStartError::MaxChildren { limit: 1 }))]);
        assert_eq!(links().await, [tasks.pid().unwrap()]);
        nothing_comes(driver.window(SECOND)).await;
        assert!(is_empty(&tasks).await);
    });
}

#[test]
fn a_crash_ends_an_owner_that_waits_for_something_else() {
    on_each_driver(|driver| async move {
        let tasks = start().await;
        for _ in 0..driver.rounds(100, 3) {
            let owners_tasks = tasks.clone();
            let (_, owner) = process::spawn_monitor(async move {
                let crash = |item: u64| async move {
                    if item > 0 {
                        receive! { tasks::Go => process::exit(ExitReason::other("crash")) }
                    }
                };
                let mut stream = owners_tasks.stream(0..2, crash).max_concurrency(2);
                assert_eq!(stream.next().await, Some(Ok(())));
                let other = loop {
                    // The second may not have been started yet.
                    if let Some(Some(_)) = poll_once(stream.next()).await {
                        unreachable!("it waits");
                    }
                    if let [pid] = owners_tasks.children().await.unwrap()[..] {
                        break pid;
                    }
                };
                other.send(tasks::Go);
                pending::<()>().await;
            });
            assert_eq!(down(owner).await.reason, ExitReason::other("crash"));
        }
    });
}

async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = process::yield_now() => None,
    }
}

#[test]
fn a_stream_that_is_dropped_while_a_task_starts_leaves_none() {
    on_each_driver(|driver| async move {
        let tasks = start().await;
        for owner_ends in [false, true] {
            for polls in 0..driver.rounds(50, 8) {
                let owners_tasks = tasks.clone();
                let (_, owner) = process::spawn_monitor(async move {
                    let mut stream = owners_tasks.stream_nolink(1.., zero).max_concurrency(3);
                    for _ in 0..polls % 8 {
                        assert!(poll_once(stream.next()).await.is_none());
                    }
                    if owner_ends {
                        process::exit(ExitReason::other("enough"));
                    }
                    drop(stream);
                    process::yield_now().await;
                    assert!(is_empty(&owners_tasks).await);
                });
                let reason = down(owner).await.reason;
                assert_eq!(reason.is_normal(), !owner_ends, "{reason}");
                while !is_empty(&tasks).await {
                    process::yield_now().await;
                }
            }
        }
    });
}

//! Elixir's suite of task streams: rows TASK-056 to 077 and 087; and what it leaves out.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod tasks;

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::time::Duration;

use common::{down, idle, is_alive, next, nothing_comes, on_each_driver, on_every_driver, until};
use futures_core::Stream;
use ibeam::TaskStream;
use ibeam::prelude::*;
use ibeam::task::stream::{Input, OnExit};
use tasks::{Caller, links, panic_of};

const SECOND: Duration = Duration::from_secs(1);
const WIDTHS: [usize; 3] = [4, 2, 8];

type Outcomes<T> = Vec<Result<T, ExitReason>>;

/// Sleeps for so many milliseconds and returns them.
async fn sleep(ms: u64) -> u64 {
    process::sleep(Duration::from_millis(ms)).await;
    ms
}

/// Exits with the item.
async fn exit(item: u64) -> u64 {
    process::exit(ExitReason::other(item))
}

fn exits(items: impl IntoIterator<Item = u64>) -> Outcomes<u64> {
    items.into_iter().map(|item| Err(ExitReason::other(item))).collect()
}

fn values(items: impl IntoIterator<Item = u64>) -> Outcomes<u64> {
    items.into_iter().map(Ok).collect()
}

/// So many of the first outcomes; the stream is dropped then.
async fn first<I, F, Fut, Z>(
    count: usize,
    mut stream: TaskStream<I, F, Fut::Output, Z>,
) -> Vec<Result<Fut::Output, Z::Error>>
where
    I: Input,
    F: FnMut(I::Item) -> Fut,
    Fut: Future<Output: Send + 'static> + Send + 'static,
    Z: OnExit<I::Item>,
{
    let mut outcomes = Vec::new();
    while outcomes.len() < count {
        outcomes.push(stream.next().await.expect("another outcome"));
    }
    outcomes
}

#[test]
fn task_056_without_a_time_limit() {
    on_every_driver(|| async {
        let stream = Task::stream([()], |()| async { "ok" }).timeout(Timeout::Infinity);
        assert_eq!(stream.collect::<Vec<_>>().await, [Ok("ok")]);
    });
}

#[test]
fn task_057_at_least_one_task_at_a_time() {
    on_every_driver(|| async {
        let panic = panic_of(|| drop(Task::stream([1], sleep).max_concurrency(0)));
        assert_eq!(panic, "expected `max_concurrency` to be greater than zero, it is 0");
    });
}

#[test]
fn task_060_the_callers_of_a_streams_tasks() {
    on_every_driver(|| async {
        let p0 = process::self_pid();
        let outer = Task::stream([()], move |()| async move {
            let p1 = process::self_pid();
            p0.send((p1, Caller(process::callers())));
            let inner = Task::stream([()], move |()| async move { p0.send(Caller(process::callers())) });
            inner.collect::<Vec<_>>().await;
        });
        outer.collect::<Vec<_>>().await;
        let (p1, callers) = next::<(Pid, Caller)>().await;
        assert_eq!(callers.0, [p0]);
        assert_eq!(next::<Caller>().await.0, [p1, p0]);
    });
}

#[test]
fn task_061_an_input_that_halts_a_part_of_itself_is_not_cut_short() {
    on_every_driver(|| async {
        let input = [10, 20].into_iter().take(1).chain([1, 2]);
        let outcomes: Outcomes<u64> = Task::stream(input, |item| async move { item }).collect().await;
        assert_eq!(outcomes, values([10, 1, 2]));
    });
}

#[test]
fn task_062_items_with_a_closure() {
    on_every_driver(|| async {
        for width in WIDTHS {
            let stream = Task::stream(1..=4, |ms| async move { sleep(ms).await }).max_concurrency(width);
            assert_eq!(stream.collect::<Outcomes<u64>>().await, values(1..=4));
        }
    });
}

#[test]
fn task_063_items_with_a_function_and_more_arguments() {
    async fn add(item: u64, more: u64) -> u64 {
        sleep(item).await + more
    }
    on_every_driver(|| async {
        for width in WIDTHS {
            let stream = Task::stream(1..=4, |item| add(item, 10)).max_concurrency(width);
            assert_eq!(stream.collect::<Outcomes<u64>>().await, values(11..=14));
        }
    });
}

#[test]
fn task_064_nothing_is_left_in_the_mailbox() {
    on_each_driver(|driver| async move {
        for trapping in [false, true] {
            process::trap_exit(trapping);
            for width in WIDTHS {
                let outcomes: Outcomes<u64> =
                    Task::stream(1..=4, sleep).max_concurrency(width).collect().await;
                assert_eq!(outcomes, values(1..=4));
            }
            nothing_comes(driver.window(SECOND)).await;
        }
        assert_eq!(links().await, []);
    });
}

#[test]
fn task_065_the_slowest_first() {
    on_every_driver(|| async {
        process::trap_exit(true);
        for width in WIDTHS {
            let stream = Task::stream((1..=4).rev(), sleep).max_concurrency(width);
            assert_eq!(stream.collect::<Outcomes<u64>>().await, values([4, 3, 2, 1]));
        }
    });
}

/// Ends at once for 0, and never for others.
async fn zero(item: u64) -> u64 {
    if item > 0 {
        pending::<()>().await;
    }
    item
}

#[test]
fn task_066_what_is_not_used_is_stopped_and_leaves_no_message() {
    on_each_driver(|driver| async move {
        for width in WIDTHS {
            assert_eq!(first(1, Task::stream(0..4, zero).max_concurrency(width)).await, values([0]));
            nothing_comes(driver.window(SECOND)).await;
            assert_eq!(links().await, []);
        }
    });
}

/// Two streams at once, item by item.
async fn zip<I, F, Fut>(mut one: TaskStream<I, F, u64>, mut two: TaskStream<I, F, u64>) -> Vec<(u64, u64)>
where
    I: Input,
    F: FnMut(I::Item) -> Fut,
    Fut: Future<Output = u64> + Send + 'static,
{
    let mut pairs = Vec::new();
    while let (Some(one), Some(two)) = (one.next().await, two.next().await) {
        pairs.push((one.unwrap(), two.unwrap()));
    }
    pairs
}

#[test]
fn task_067_two_streams_item_by_item() {
    on_every_driver(|| async {
        for width in WIDTHS {
            let stream = || Task::stream(1..=4, sleep).max_concurrency(width);
            assert_eq!(zip(stream(), stream()).await, [(1, 1), (2, 2), (3, 3), (4, 4)]);
        }
    });
}

#[test]
fn task_068_two_streams_with_the_slowest_first() {
    on_every_driver(|| async {
        for width in WIDTHS {
            let stream = || Task::stream((1..=4).rev(), sleep).max_concurrency(width);
            assert_eq!(zip(stream(), stream()).await, [(4, 4), (3, 3), (2, 2), (1, 1)]);
        }
    });
}

#[test]
fn task_069_an_input_that_halts() {
    on_every_driver(|| async {
        for width in WIDTHS {
            let stream = Task::stream((1..=8).take(4), sleep).max_concurrency(width);
            assert_eq!(stream.collect::<Outcomes<u64>>().await, values(1..=4));
        }
    });
}

#[test]
fn task_070_an_input_that_halts_and_failures() {
    on_every_driver(|| async {
        process::trap_exit(true);
        for width in WIDTHS {
            let stream = Task::stream((1..=8).take(4), exit).max_concurrency(width);
            assert_eq!(stream.collect::<Outcomes<u64>>().await, exits(1..=4));
        }
    });
}

#[test]
fn task_071_an_input_that_halts_with_the_slowest_first() {
    on_every_driver(|| async {
        for width in WIDTHS {
            let stream = Task::stream((1..=8).rev().take(4), sleep).max_concurrency(width);
            assert_eq!(stream.collect::<Outcomes<u64>>().await, values([8, 7, 6, 5]));
        }
    });
}

#[test]
fn task_072_a_consumer_that_halts() {
    on_every_driver(|| async {
        for width in WIDTHS {
            assert_eq!(first(4, Task::stream(1..=8, sleep).max_concurrency(width)).await, values(1..=4));
        }
    });
}

#[test]
fn task_073_a_consumer_that_halts_and_failures() {
    on_every_driver(|| async {
        process::trap_exit(true);
        for width in WIDTHS {
            assert_eq!(first(4, Task::stream(1..=8, exit).max_concurrency(width)).await, exits(1..=4));
        }
    });
}

#[test]
fn task_074_a_consumer_that_halts_with_the_slowest_first() {
    on_every_driver(|| async {
        for width in WIDTHS {
            let stream = Task::stream((1..=8).rev(), sleep).max_concurrency(width);
            assert_eq!(first(4, stream).await, values([8, 7, 6, 5]));
        }
    });
}

#[test]
fn task_075_a_stage_behind_the_stream_comes_to_its_end() {
    struct Finished(Pid);
    impl Drop for Finished {
        fn drop(&mut self) {
            self.0.send("finished");
        }
    }
    on_every_driver(|| async {
        for width in WIDTHS {
            let hook = Finished(process::self_pid());
            let mut stream = Task::stream(1..=4, sleep).max_concurrency(width);
            let behind = async move {
                let _hook = hook;
                let mut outcomes = Vec::new();
                while let Some(outcome) = stream.next().await {
                    outcomes.push(outcome);
                }
                outcomes
            };
            assert_eq!(behind.await, values(1..=4));
            assert_eq!(next::<&str>().await, "finished");
        }
    });
}

#[test]
fn task_076_a_timeout_with_the_item_that_caused_it() {
    on_each_driver(|driver| async move {
        for width in WIDTHS {
            let stream = Task::stream([1, 10_000], sleep).max_concurrency(width).zip_input_on_exit();
            let stream = stream.timeout(Duration::from_millis(500)).on_timeout(OnTimeout::KillTask);
            assert_eq!(stream.collect::<Vec<_>>().await, [Ok(1), Err((10_000, ExitReason::Timeout))]);
            nothing_comes(driver.window(SECOND)).await;
        }
    });
}

#[test]
fn task_077_a_consumer_that_halts_and_failures_with_their_items() {
    on_every_driver(|| async {
        process::trap_exit(true);
        for width in WIDTHS {
            let stream = Task::stream(1..=8, exit).max_concurrency(width).zip_input_on_exit();
            let expected: Vec<_> = (1..=4).map(|item| Err((item, ExitReason::other(item)))).collect();
            assert_eq!(first(4, stream).await, expected);
        }
    });
}

#[test]
fn task_087_the_sum_of_three_lengths() {
    on_every_driver(|| async {
        let strings = ["long string", "longer string", "there are many of these"];
        let lengths: Vec<_> = Task::stream(strings, |text| async move { text.len() }).collect().await;
        assert_eq!(lengths.into_iter().flatten().sum::<usize>(), 47);
    });
}

#[test]
fn as_they_come() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let mut stream = Task::stream(1..=3_u64, move |item| async move {
            me.send((item, process::self_pid()));
            receive! { tasks::Go => item }
        });
        stream = stream.ordered(false).max_concurrency(3);
        let outcomes = async move {
            let mut outcomes = Vec::new();
            while let Some(outcome) = stream.next().await {
                outcomes.push(outcome.unwrap());
            }
            outcomes
        };
        let go = async {
            let mut pids = [(0, me); 3];
            for place in &mut pids {
                *place = next::<(u64, Pid)>().await;
            }
            pids.sort();
            for (_, pid) in pids.into_iter().rev() {
                let monitor = process::monitor(pid);
                pid.send(tasks::Go);
                down(monitor).await;
            }
        };
        let (outcomes, ()) = tokio::join!(outcomes, go);
        assert_eq!(outcomes, [3, 2, 1]);
    });
}

#[test]
fn a_slow_item_holds_up_outcomes_but_no_tasks() {
    on_every_driver(|| async {
        for (limit, started) in [(usize::MAX, 100), (5, 6)] {
            let count = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&count);
            let mut stream = Task::stream(0..100, move |item| {
                counter.fetch_add(1, SeqCst);
                async move {
                    if item == 0 {
                        receive! { tasks::Go => {} }
                    }
                    item
                }
            })
            .max_concurrency(2)
            .max_buffered(limit)
            .timeout(Timeout::Infinity);
            tokio::select! {
                outcome = stream.next() => panic!("{outcome:?} overtook the first"),
                () = until(|| count.load(SeqCst) == started) => {}
            }
            // As far as it goes: nothing more is started.
            assert_eq!(links().await, []);
            assert_eq!(count.load(SeqCst), started);
        }
    });
}

/// Says how many of its kind there are.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn one(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, SeqCst);
        Self(Arc::clone(all))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[test]
fn of_a_stream_that_was_dropped_nothing_is_seen_after_the_next_await() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        for round in 0..driver.rounds(500, 10) {
            let (running, me) = (Arc::new(AtomicUsize::new(0)), process::self_pid());
            let counter = Arc::clone(&running);
            let mut stream = Task::stream(0.., move |item: u64| {
                let counted = Counted::one(&counter);
                async move {
                    let _counted = counted;
                    if item == 0 {
                        return;
                    }
                    loop {
                        me.send(item);
                        process::yield_now().await;
                    }
                }
            })
            .max_concurrency(2 + round % 8);
            assert_eq!(stream.next().await, Some(Ok(())));
            drop(stream);
            process::yield_now().await;
            assert_eq!(running.load(SeqCst), 0, "on {driver}");
            while process::try_recv().is_some() {}
            process::yield_now().await;
            assert!(process::try_recv().is_none(), "on {driver}");
        }
        assert_eq!(links().await, []);
    });
}

#[test]
fn a_crash_ends_an_owner_that_waits_for_something_else() {
    on_each_driver(|driver| async move {
        for _ in 0..driver.rounds(100, 3) {
            let running = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&running);
            let (_, owner) = process::spawn_monitor(async move {
                let mut stream = Task::stream(0..4_u64, move |item| {
                    let counted = Counted::one(&counter);
                    async move {
                        let _counted = counted;
                        match item {
                            0 => {}
                            1 => process::exit(ExitReason::other("crash")),
                            _ => idle().await,
                        }
                    }
                });
                stream = stream.max_concurrency(4);
                assert_eq!(stream.next().await, Some(Ok(())));
                idle().await;
            });
            assert_eq!(down(owner).await.reason, ExitReason::other("crash"));
            until(|| running.load(SeqCst) == 0).await;
        }
    });
}

#[test]
fn a_trapping_owner_gets_no_exit_message_and_a_shutdown_is_a_failure_too() {
    on_each_driver(|driver| async move {
        process::trap_exit(true);
        let stream = Task::stream(0..3_u64, |item| async move {
            match item {
                0 => process::exit(ExitReason::Normal),
                1 => process::exit(ExitReason::Shutdown),
                _ => process::kill(process::self_pid()),
            }
        });
        let outcomes: Vec<_> = stream.collect().await;
        assert_eq!(outcomes, [Err(ExitReason::Normal), Err(ExitReason::Shutdown), Err(ExitReason::Killed)]);
        nothing_comes(driver.window(SECOND)).await;
    });
}

#[test]
fn the_end_of_the_owner_ends_the_tasks_whatever_its_reason() {
    on_every_driver(|| async {
        for reason in [ExitReason::Normal, ExitReason::other("enough")] {
            let me = process::self_pid();
            let (_, owner) = process::spawn_monitor(async move {
                let mut stream = Task::stream(0..2_u64, move |item| async move {
                    if item > 0 {
                        me.send(process::self_pid());
                        idle().await;
                    }
                });
                stream = stream.max_concurrency(2);
                stream.next().await;
                receive! { tasks::Go => {} }
                process::exit(reason);
            });
            let task = next::<Pid>().await;
            assert!(is_alive(task).await);
            let monitor = process::monitor(task);
            let [owner_pid] = process::info(task).await.unwrap().callers[..] else { panic!("one caller") };
            owner_pid.send(tasks::Go);
            down(owner).await;
            assert_eq!(down(monitor).await.reason, ExitReason::Killed);
        }
    });
}

#[test]
fn a_timeout_ends_the_owner_unless_it_is_told_otherwise() {
    on_every_driver(|| async {
        let (_, owner) = process::spawn_monitor(async {
            let stream = Task::stream([0, 1], zero).timeout(Duration::from_millis(10));
            stream.collect::<Vec<_>>().await;
        });
        assert_eq!(down(owner).await.reason, ExitReason::Timeout);
    });
}

#[test]
fn timeouts_count_from_each_tasks_own_start() {
    on_every_driver(|| async {
        // One at a time: 8 × 100 ms in all, and each within its second.
        let stream = Task::stream([100; 8], sleep).max_concurrency(1).timeout(SECOND);
        assert_eq!(stream.collect::<Outcomes<u64>>().await, values([100; 8]));
        let stream = Task::stream([20_000, 1, 20_000, 1], sleep).max_concurrency(2);
        let stream = stream.timeout(Duration::from_millis(400)).on_timeout(OnTimeout::KillTask);
        let late = || Err(ExitReason::Timeout);
        assert_eq!(stream.collect::<Outcomes<u64>>().await, [late(), Ok(1), late(), Ok(1)]);
    });
}

#[test]
fn only_one_process_may_poll_a_stream() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let (me, mut stream) = (process::self_pid(), Task::stream(0..2_u64, zero));
        assert_eq!(stream.next().await, Some(Ok(0)));
        let other = Task::spawn(async move {
            stream.next().await;
        });
        let pid = other.pid().unwrap();
        let Err(TaskError::Exited { reason: ExitReason::Panic(panic), .. }) = other.await else {
            panic!("expected a panic")
        };
        assert_eq!(panic.message(), format!("a stream of tasks of {me} was polled by {pid}"));
    });
}

#[test]
fn a_stream_may_be_dropped_by_somebody_else() {
    on_each_driver(|driver| async move {
        let running = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&running);
        let mut stream = Task::stream(0..4_u64, move |item| {
            let counted = Counted::one(&counter);
            async move {
                let _counted = counted;
                zero(item).await
            }
        });
        stream = stream.max_concurrency(4);
        assert_eq!(stream.next().await, Some(Ok(0)));
        let (_, monitor) = process::spawn_monitor(async move { drop(stream) });
        assert_eq!(down(monitor).await.reason, ExitReason::Normal);
        until(|| running.load(SeqCst) == 0).await;
        nothing_comes(driver.window(SECOND)).await;
    });
}

/// The numbers that come through a channel.
struct Numbers(tokio::sync::mpsc::UnboundedReceiver<u64>);

impl Stream for Numbers {
    type Item = u64;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Option<u64>> {
        self.0.poll_recv(cx)
    }
}

#[test]
fn a_stream_as_input_is_asked_when_there_is_room() {
    on_every_driver(|| async {
        let (numbers, input) = tokio::sync::mpsc::unbounded_channel();
        let mut stream = Task::stream_from(Numbers(input), |n| async move { n * n }).max_concurrency(2);
        let feeder = process::spawn(async move {
            for number in 1..=3 {
                receive! { tasks::Go => {} }
                numbers.send(number).unwrap();
            }
        });
        for square in [1, 4, 9] {
            tokio::select! {
                biased;
                early = stream.next() => panic!("{early:?} came before its number"),
                () = process::yield_now() => {}
            }
            feeder.send(tasks::Go);
            assert_eq!(stream.next().await, Some(Ok(square)));
        }
        assert_eq!(stream.next().await, None);
        assert_eq!(stream.next().await, None, "as often as one likes");
    });
}

#[test]
fn a_thousand_at_once() {
    on_each_driver(|driver| async move {
        let count = driver.rounds(10_000, 2_000) as u64;
        for ordered in [true, false] {
            let running = Arc::new(AtomicUsize::new(0));
            let (most, counter) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&running));
            let high = Arc::clone(&most);
            let stream = Task::stream(0..count, move |item| {
                let counted = Counted::one(&counter);
                high.fetch_max(counter.load(SeqCst), SeqCst);
                async move {
                    let _counted = counted;
                    process::yield_now().await;
                    item
                }
            });
            let outcomes: Outcomes<u64> = stream.max_concurrency(1_000).ordered(ordered).collect().await;
            let mut outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
            outcomes.sort_unstable();
            assert_eq!(outcomes, (0..count).collect::<Vec<_>>());
            assert!((2..=1_000).contains(&most.load(SeqCst)), "{most:?} at once");
        }
    });
}

#[test]
fn beside_other_futures_of_its_owner() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let stream = Task::stream(1..=20, sleep).max_concurrency(3).collect::<Outcomes<u64>>();
        let messages = async {
            for number in 0..20_u64 {
                me.send(number);
                assert_eq!(next::<u64>().await, number);
                process::sleep(Duration::from_millis(3)).await;
            }
        };
        let (outcomes, ()) = tokio::join!(stream, messages);
        assert_eq!(outcomes, values(1..=20));
        assert!(poll_fn(|_| Poll::Ready(process::try_recv().is_none())).await);
    });
}

//! Very many timers, and cancels that race against the firing: nothing is early, lost, or there twice, and a cancel tells
//! the truth.

mod common;
mod common_time;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::{next, on_threads, until};
use common_time::Random;
use ibeam_runtime::inline::Inline;
use ibeam_runtime::process::{self, receive_with, self_pid};
use ibeam_runtime::sim::Simulation;
use ibeam_runtime::{Instant, Metrics, Pid, Timer};

/// How many timers are armed at once where time is real; where it is not, a debug build takes its time, not the clock's.
const MANY: usize = 1_000_000;
const MANY_ELSEWHERE: usize = if cfg!(debug_assertions) { 100_000 } else { MANY };

/// Arms `many` timers, which fire within `span` after as long, for a few receivers, and takes what comes.
async fn very_many(many: usize, span: Duration) {
    const RECEIVERS: usize = 10;
    let me = self_pid();
    let before = Metrics::current().timers;
    let receivers: Vec<Pid> = (0..RECEIVERS)
        .map(|_| {
            process::spawn(async move {
                let mut seen = Vec::with_capacity(many / RECEIVERS);
                while seen.len() < many / RECEIVERS {
                    let (number, due) = next::<(usize, Instant)>().await;
                    assert!(process::now() >= due, "timer {number} is early");
                    seen.push(number);
                }
                me.send(seen);
            })
        })
        .collect();
    // Armed long before the first one is due, so that all of them are armed at the same time.
    let (start, mut random) = (process::now() + span, Random(1));
    let timers: Vec<Timer> = (0..many)
        .map(|number| {
            let due = start + Duration::from_micros(random.pick(0..u64::try_from(span.as_micros()).unwrap()));
            process::send_at(receivers[number % RECEIVERS], (number, due), due)
        })
        .collect();
    let (armed, now) = (Metrics::current().timers - before, process::now());
    assert!(armed == many || now > start, "{armed} at {now:?}, before {start:?}");
    let mut seen = Vec::with_capacity(many);
    for _ in 0..RECEIVERS {
        seen.extend(next::<Vec<usize>>().await);
    }
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(0..many), "each once");
    assert_eq!(Metrics::current().timers, before);
    assert!(timers.iter().all(|timer| timer.cancel().is_none()));
}

#[test]
fn a_million_timers_none_early_on_threads() {
    on_threads(2, || very_many(MANY, Duration::from_secs(3)));
}

#[test]
fn a_million_timers_none_early_inline() {
    let tokio =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    tokio.block_on(Inline::new().run(very_many(MANY_ELSEWHERE, Duration::from_secs(3600))));
}

#[test]
fn a_million_timers_none_early_in_a_simulation() {
    Simulation::new(1).run(very_many(MANY_ELSEWHERE, Duration::from_secs(3600)));
}

#[test]
fn very_many_timers_cancelled() {
    on_threads(2, || async {
        let before = Metrics::current().timers;
        let mut random = Random(2);
        let mut timers: Vec<Timer> = (0..MANY_ELSEWHERE)
            .map(|_| process::send_after(self_pid(), (), Duration::from_millis(random.pick(60_000..1 << 40))))
            .collect();
        assert_eq!(Metrics::current().timers - before, MANY_ELSEWHERE);
        random.shuffle(&mut timers);
        assert!(timers.iter().all(|timer| timer.cancel().is_some()));
        assert_eq!(Metrics::current().timers, before);
        assert!(timers.iter().all(|timer| timer.cancel().is_none()));
    });
}

/// The message of this number, which must be in the mailbox.
async fn at_hand(number: usize) -> bool {
    let is_it = |n: usize| if n == number { Ok(()) } else { Err(n) };
    receive_with(|message| message.arm(is_it)).after(Duration::ZERO).await.is_some()
}

const ROUNDS: usize = if cfg!(debug_assertions) { 10 } else { 40 };

#[test]
fn a_cancel_and_a_message_never_both_and_never_neither() {
    on_threads(2, || async {
        for round in 0..ROUNDS {
            const COUNT: usize = 1000;
            let mut random = Random(round as u64);
            let timers: Arc<[Timer]> = (0..COUNT)
                .map(|number| {
                    process::send_after(self_pid(), number, Duration::from_micros(random.pick(0..6_000)))
                })
                .collect();
            // Two others, one of them no process, cancel the same timers in orders of their own.
            let me = self_pid();
            let cancel = move |timers: Arc<[Timer]>, seed| {
                let mut order: Vec<usize> = (0..COUNT).collect();
                Random(seed).shuffle(&mut order);
                order.retain(|&number| number % 3 != 0 && timers[number].cancel().is_some());
                me.send(order);
            };
            let theirs = Arc::clone(&timers);
            process::spawn(async move { cancel(theirs, 7) });
            let theirs = Arc::clone(&timers);
            let thread = std::thread::spawn(move || cancel(theirs, 8));

            // Every third is only ours: what we do not cancel in time is in the mailbox by then.
            let mut seen = vec![0; COUNT];
            let mut order: Vec<usize> = (0..COUNT).collect();
            random.shuffle(&mut order);
            for number in order {
                if timers[number].cancel().is_some() {
                    seen[number] += 1;
                } else if number % 3 == 0 {
                    assert!(at_hand(number).await, "round {round}: {number} is neither cancelled nor there");
                    seen[number] += 1;
                }
            }
            thread.join().unwrap();
            for _ in 0..2 {
                let cancelled = receive_with(|message| message.arm(Ok::<Vec<usize>, Vec<usize>>)).await;
                cancelled.into_iter().for_each(|number| seen[number] += 1);
            }
            // All have cancelled all: what was not cancelled has been sent.
            while let Some(message) = process::try_recv() {
                seen[message.downcast::<usize>().expect("nothing else")] += 1;
            }
            assert!(seen.iter().all(|count| *count == 1), "round {round}: {seen:?}");
            assert!(timers.iter().all(|timer| timer.read().is_none()));
        }
    });
}

#[test]
fn a_process_that_was_to_be_started_is_cancelled_or_starts() {
    on_threads(2, || async {
        let (processes, started) = (Metrics::current().processes, Arc::new(AtomicUsize::new(0)));
        let mut cancelled = 0;
        for round in 0..ROUNDS {
            let mut random = Random(round as u64);
            let timers: Vec<Timer> = (0..500)
                .map(|_| {
                    let started = Arc::clone(&started);
                    process::apply_after(Duration::from_micros(random.pick(0..6_000)), async move {
                        started.fetch_add(1, SeqCst);
                    })
                })
                .collect();
            // At once, so that some of the timers are still armed.
            cancelled += timers.iter().filter(|timer| timer.cancel().is_some()).count();
        }
        until(|| Metrics::current().processes == processes).await;
        assert_eq!(started.load(SeqCst) + cancelled, ROUNDS * 500);
        assert!(cancelled > 0);
    });
}

#[test]
fn nothing_comes_of_an_interval_after_its_cancel() {
    on_threads(2, || async {
        for round in 0..ROUNDS {
            let intervals: Vec<_> = (0..100_usize)
                .map(|n| process::send_interval(self_pid(), n, Duration::from_millis(1)))
                .collect();
            // A few periods, so that the cancels meet the firing.
            for _ in 0..300 {
                next::<usize>().await;
            }
            let (theirs, me) = (intervals.clone(), self_pid());
            process::spawn(async move {
                let ended = theirs.iter().rev().filter(|interval| interval.cancel()).count();
                me.send(("they", ended));
            });
            let ours = intervals.iter().filter(|interval| interval.cancel()).count();
            let ("they", theirs) = receive_with(|message| message.arm(Ok::<_, (&str, usize)>)).await else {
                unreachable!("nobody else sends such");
            };
            assert_eq!(ours + theirs, 100, "each was ended once");
            while process::try_recv().is_some() {}
            common::nothing_comes(Duration::from_millis(5)).await;
            assert_eq!(Metrics::current().timers, 0, "round {round}");
        }
    });
}

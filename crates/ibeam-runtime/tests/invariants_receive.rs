//! Receiving under combinators, and wakers that come too late: invariants 7 and 8.

mod common;

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use common::{Driver, at_hand, down, first, idle, next, on_each_driver, on_every_driver};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use ibeam_runtime::process::{self, receive_with};
use ibeam_runtime::{ExitReason, Message, Pid};

struct Random(u64);

impl Random {
    fn of(driver: Driver) -> Self {
        Self(if let Driver::Sim { seed } = driver { seed } else { 7 })
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A waker that counts, and passes on.
struct Counts {
    to: Waker,
    woken: AtomicUsize,
}

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, SeqCst);
        self.to.wake_by_ref();
    }
}

/// Polls once, with a waker of its own that wakes the process.
fn poll_with_another_waker<F: Future + ?Sized>(
    future: Pin<&mut F>,
    cx: &Context<'_>,
) -> (Poll<F::Output>, Arc<Counts>) {
    let counts = Arc::new(Counts { to: cx.waker().clone(), woken: AtomicUsize::new(0) });
    let waker = Waker::from(Arc::clone(&counts));
    (future.poll(&mut Context::from_waker(&waker)), counts)
}

/// The receives of this test: the next message, or the first with a certain remainder by three.
fn receive(kind: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    match kind {
        0..3 => Box::pin(receive_with(move |message| {
            message.arm(|number: u64| if number % 3 == kind { Ok(number) } else { Err(number) })
        })),
        _ => Box::pin(async { process::recv().await.downcast().unwrap() }),
    }
}

/// Invariant 7: receives under `join!`, `select!` and `FuturesUnordered`, with changing wakers and dropped half-way,
/// neither lose nor swallow a message, nor wait for one that is there.
#[test]
fn invariant_7_receives_under_combinators_lose_nothing() {
    on_each_driver(|driver| async move {
        let mut random = Random::of(driver);
        let total = driver.rounds(6_000, 300) as u64;
        let me = process::self_pid();
        // Several senders, at their own pace, so that messages come at every moment of a poll.
        for sender in 0..3 {
            let mut random = Random(random.below(1 << 30));
            process::spawn(async move {
                for number in (sender..total).step_by(3) {
                    // Remainders mixed: each sender has all of them.
                    me.send(number / 3 * 3 + (number + number / 3) % 3);
                    match random.below(5) {
                        0 => process::yield_now().await,
                        1 => process::sleep(Duration::from_micros(random.below(20))).await,
                        _ => {}
                    }
                }
            });
        }
        let mut got = Vec::new();
        while (got.len() as u64) < total {
            let left = total - got.len() as u64;
            match random.below(6) {
                // Two that want the same.
                0 if left >= 2 => {
                    let (one, other) = tokio::join!(receive(3), receive(3));
                    got.extend([one, other]);
                }
                // One of two, by pattern; the loser is dropped half-way.
                1 => {
                    let (a, b) = (random.below(4), random.below(4));
                    tokio::select! {
                        number = receive(a) => got.push(number),
                        number = receive(b) => got.push(number),
                        () = process::sleep(Duration::from_micros(50)) => {}
                    }
                }
                // All kinds at once, each with a waker of its own; dropped when some have come.
                2 => {
                    let mut receives: FuturesUnordered<_> = (0..4).map(receive).collect();
                    for _ in 0..random.below(4) {
                        if let Ok(number) = within(Duration::from_micros(50), receives.next()).await {
                            got.push(number.unwrap());
                        }
                    }
                }
                // Polled with a foreign waker, then dropped, or awaited with the process' own.
                3 => {
                    let mut receive = receive(random.below(4));
                    let polled =
                        poll_fn(|cx| Poll::Ready(poll_with_another_waker(receive.as_mut(), cx).0)).await;
                    if let Poll::Ready(number) = polled {
                        got.push(number);
                    } else if random.below(2) == 0
                        && let Ok(number) = within(Duration::from_micros(50), receive).await
                    {
                        got.push(number);
                    }
                }
                // The waker changes with every poll.
                4 => {
                    let mut receive = receive(random.below(4));
                    let mut polls = random.below(5);
                    let polled = poll_fn(|cx| {
                        polls = polls.saturating_sub(1);
                        match poll_with_another_waker(receive.as_mut(), cx).0 {
                            Poll::Ready(number) => Poll::Ready(Some(number)),
                            Poll::Pending if polls == 0 => Poll::Ready(None),
                            Poll::Pending => {
                                cx.waker().wake_by_ref();
                                Poll::Pending
                            }
                        }
                    });
                    got.extend(polled.await);
                }
                // Others of the process' own look into the mailbox in between.
                _ => {
                    let monitor = process::monitor(me);
                    let looks = async {
                        process::yield_now().await;
                        process::demonitor_flush(monitor);
                        assert!(process::info(me).await.is_some());
                    };
                    got.push(tokio::join!(receive(3), looks).0);
                }
            }
        }
        let all: BTreeSet<u64> = got.iter().copied().collect();
        assert_eq!((all.len() as u64, got.len() as u64), (total, total), "each number once");
        assert!(process::try_recv().is_none());
    });
}

async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, ()> {
    tokio::select! {
        output = future => Ok(output),
        () = process::sleep(limit) => Err(()),
    }
}

/// A receive waits; another one of the process finds its message first and skips it. The one that waits must hear of it:
/// no message that comes later may be needed for that.
#[test]
fn invariant_7_a_message_that_another_receive_skips_wakes_the_one_that_waits_for_it() {
    /// Sends from another thread, in the middle of the turn.
    fn sends<M: Send + 'static>(to: Pid, message: M) {
        std::thread::spawn(move || to.send(message)).join().unwrap();
    }
    on_every_driver(|| async {
        let me = process::self_pid();
        for another in 0..5 {
            // With the process' own waker, and with one of its own.
            for own in [true, false] {
                let looks = async {
                    // The other receive has been polled, and waits.
                    process::yield_now().await;
                    sends(me, "wanted");
                    match another {
                        0 => drop(process::demonitor_flush(process::make_ref())),
                        1 => _ = first_now::<u64>().await,
                        2 => {
                            let mut skips = pin!(first::<u64>());
                            let polled = poll_fn(|cx| Poll::Ready(skips.as_mut().poll(cx))).await;
                            assert!(polled.is_pending());
                        }
                        3 => assert_eq!(process::info(me).await.unwrap().message_queue_len, 1),
                        _ => {
                            // The skipped one stands before another that is taken.
                            sends(me, 4_u64);
                            assert_eq!(first::<u64>().await, 4);
                        }
                    }
                };
                if own {
                    assert_eq!(tokio::join!(first::<&str>(), looks).0, "wanted", "by {another}");
                } else {
                    let mut receives: FuturesUnordered<_> =
                        (0..3).map(|_| Box::pin(first::<&str>())).collect();
                    assert_eq!(tokio::join!(receives.next(), looks).0, Some("wanted"), "by {another}");
                }
                assert!(process::try_recv().is_none());
            }
        }
    });
}

async fn first_now<T: Send + 'static>() -> Option<T> {
    receive_with(|message| message.arm(Ok::<T, T>)).after(Duration::ZERO).await
}

/// Invariant 7: a receive that waits with a waker of its own is woken by what comes, exactly when there is something; one
/// that is dropped leaves no waker behind.
#[test]
fn invariant_7_a_waker_of_its_own_is_used_while_the_receive_waits_and_not_after() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let mut receive = pin!(process::recv());
        let (polled, counts) = poll_fn(|cx| Poll::Ready(poll_with_another_waker(receive.as_mut(), cx))).await;
        assert!(polled.is_pending());
        process::yield_now().await;
        assert_eq!(counts.woken.load(SeqCst), 0);
        me.send(1_u8);
        process::yield_now().await;
        assert_eq!(counts.woken.load(SeqCst), 1);
        let (polled, second) = poll_fn(|cx| Poll::Ready(poll_with_another_waker(receive.as_mut(), cx))).await;
        let Poll::Ready(message) = polled else { panic!("it was woken for a message") };
        assert_eq!((message.downcast().ok(), second.woken.load(SeqCst)), (Some(1_u8), 0));

        // Polled twice with two wakers: the second one counts.
        let mut receive = Box::pin(process::recv());
        let (_, first_waker) = poll_fn(|cx| Poll::Ready(poll_with_another_waker(receive.as_mut(), cx))).await;
        let (_, second_waker) =
            poll_fn(|cx| Poll::Ready(poll_with_another_waker(receive.as_mut(), cx))).await;
        me.send(2_u8);
        process::yield_now().await;
        assert_eq!((first_waker.woken.load(SeqCst), second_waker.woken.load(SeqCst)), (0, 1));
        drop(receive);
        assert_eq!(at_hand::<u8>(), 2);

        // Dropped half-way: its waker goes, the message stays.
        let mut receive = Box::pin(process::recv());
        let (_, counts) = poll_fn(|cx| Poll::Ready(poll_with_another_waker(receive.as_mut(), cx))).await;
        drop(receive);
        assert_eq!(Arc::strong_count(&counts), 1);
        me.send(3_u8);
        process::yield_now().await;
        assert_eq!(counts.woken.load(SeqCst), 0);
        assert_eq!(at_hand::<u8>(), 3);
    });
}

/// Invariant 7: dropped at any point, a receive leaves every message where it is, in order.
#[test]
fn invariant_7_a_receive_that_is_dropped_leaves_all_in_order() {
    on_each_driver(|driver| async move {
        let me = process::self_pid();
        let mut random = Random::of(driver);
        for _ in 0..driver.rounds(200, 20) {
            let count = 1 + random.below(600);
            for number in 0..count {
                if random.below(10) == 0 {
                    // Looks at all, takes none: more than a turn's worth of them.
                    let mut receive = pin!(first::<&str>());
                    for _ in 0..random.below(3) {
                        let polled = poll_fn(|cx| Poll::Ready(receive.as_mut().poll(cx))).await;
                        assert!(polled.is_pending());
                    }
                }
                me.send(number);
            }
            tokio::select! {
                biased;
                _ = first::<&str>() => unreachable!(),
                () = process::yield_now() => {}
            }
            for number in 0..count {
                assert_eq!(next::<u64>().await, number);
            }
        }
    });
}

/// Hands its waker out at every poll, and waits for what it is made of.
async fn shows_its_waker<F: Future>(to: Pid, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        to.send(cx.waker().clone());
        future.as_mut().poll(cx)
    })
    .await
}

/// Invariant 8: a stale waker is at most a spurious poll of the slot's next process, whatever that waits for.
#[test]
fn invariant_8_a_stale_waker_is_harmless_after_the_slot_has_a_new_process() {
    on_each_driver(|driver| async move {
        let me = process::self_pid();
        let mut stale: Vec<Waker> = Vec::new();
        for _ in 0..20 {
            let (pid, monitor) = process::spawn_monitor(shows_its_waker(me, idle()));
            stale.push(first().await);
            process::kill(pid);
            assert_eq!(down(monitor).await.reason, ExitReason::Killed);
        }
        // Nobody has the slots now.
        stale.iter().for_each(Waker::wake_by_ref);
        for round in 0..driver.rounds(100, 5) {
            let limit = Duration::from_millis(2);
            let start = process::now();
            let waits: Vec<_> = (0..10)
                .map(|number| match number % 5 {
                    0 => process::spawn_monitor(async { assert_eq!(next::<&str>().await, "go") }),
                    1 => process::spawn_monitor(async { assert_eq!(first::<&str>().await, "go") }),
                    2 => process::spawn_monitor(async move {
                        let none = receive_with(|m| m.arm(Ok::<u8, u8>)).after(limit).await;
                        assert_eq!(none, None);
                        assert!(process::now() - start >= limit, "the time-out came early");
                        assert_eq!(next::<&str>().await, "go");
                    }),
                    3 => process::spawn_monitor(async move {
                        process::sleep(limit).await;
                        assert!(process::now() - start >= limit, "it has slept too short");
                        assert_eq!(next::<&str>().await, "go");
                    }),
                    _ => process::spawn_monitor(async {
                        process::hibernate().await;
                        assert_eq!(at_hand::<&str>(), "go");
                    }),
                })
                .collect();
            // From this process, from another thread, in their turns and out of them.
            if round % 2 == 0 {
                let wakers = stale.clone();
                std::thread::spawn(move || wakers.into_iter().for_each(Waker::wake)).join().unwrap();
            }
            for _ in 0..5 {
                stale.iter().for_each(Waker::wake_by_ref);
                process::yield_now().await;
            }
            for (pid, _) in &waits {
                assert!(process::info(*pid).await.is_some(), "nobody has ended by now");
            }
            stale.iter().for_each(Waker::wake_by_ref);
            process::sleep(limit).await;
            waits.iter().for_each(|(pid, _)| pid.send("go"));
            for (pid, monitor) in waits {
                stale.iter().for_each(Waker::wake_by_ref);
                assert_eq!(down(monitor).await.reason, ExitReason::Normal, "{pid}");
            }
        }
        assert!(process::try_recv().is_none_or(|message: Message| message.is::<Waker>()));
    });
}

/// Invariant 8: a waker is used while its process ends and the slot changes hands, over and over.
#[test]
fn invariant_8_wakers_are_used_while_slots_change_hands() {
    on_each_driver(|driver| async move {
        let me = process::self_pid();
        let rounds = driver.rounds(3_000, 60);
        let wakes = process::spawn(async {
            let mut wakers: Vec<Waker> = Vec::new();
            loop {
                while let Some(message) = process::try_recv() {
                    wakers.push(message.downcast().unwrap());
                }
                wakers.drain(..wakers.len().saturating_sub(50));
                wakers.iter().for_each(Waker::wake_by_ref);
                process::yield_now().await;
            }
        });
        for round in 0..rounds {
            let answers = shows_its_waker(wakes, async move {
                me.send(next::<usize>().await);
            });
            let (pid, monitor) = process::spawn_monitor(answers);
            pid.send(round);
            assert_eq!(next::<usize>().await, round);
            assert_eq!(down(monitor).await.reason, ExitReason::Normal);
        }
    });
}

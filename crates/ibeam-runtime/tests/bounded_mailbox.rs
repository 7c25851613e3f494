//! Mailboxes with a bound: what each policy does with a message too many, that signals pass, that those who wait are served
//! in order, and that no message is lost without being counted.

mod common;
mod common_time;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::time::Duration;

use common::{
    Driver, down, first, idle, is_alive, next, on_each_driver, on_every_driver, on_threads, until_it_waits,
    until_it_waits_or_ends,
};
use common_time::Random;
use ibeam_runtime::process::{self, Call, self_pid};
use ibeam_runtime::{
    Alias, AliasMode, CallError, Down, Exit, ExitReason, Metrics, Overflow, Pid, Reference, TaggedDown,
    Timeout, TrySendError,
};
use tokio::sync::Notify;

/// Tells a process to take a message out of its mailbox and send it back.
struct Take;

/// A process with a bounded mailbox, which is empty, that takes a number out of it when it is told to; and whom to tell. It
/// is told in a way that takes no place in its mailbox.
async fn bounded(limit: u32, overflow: Overflow) -> (Pid, Pid) {
    let (parent, notify) = (self_pid(), Arc::new(Notify::new()));
    let told = Arc::clone(&notify);
    let pid = process::builder().mailbox(limit, overflow).spawn(async move {
        loop {
            told.notified().await;
            parent.send(next::<u64>().await);
        }
    });
    let teller = process::spawn(async move {
        loop {
            next::<Take>().await;
            notify.notify_one();
        }
    });
    until_it_waits(pid).await;
    (pid, teller)
}

async fn len(pid: Pid) -> usize {
    process::info(pid).await.expect("it lives").message_queue_len
}

async fn taken(teller: Pid) -> u64 {
    teller.send(Take);
    first().await
}

fn overflow() -> u64 {
    Metrics::current().undelivered.overflow
}

#[test]
fn up_to_the_bound_all_policies_are_alike() {
    for policy in [Overflow::Wait, Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
        on_every_driver(|| async move {
            let (pid, teller) = bounded(4, policy).await;
            assert_eq!(process::info(pid).await.expect("it lives").mailbox_limit, Some(4));
            let before = overflow();
            pid.send(0_u64);
            assert_eq!(pid.try_send(1_u64), Ok(()));
            assert_eq!(pid.send_wait(2_u64).await, Ok(()));
            pid.send(3_u64);
            assert_eq!(len(pid).await, 4);
            for number in 0..4 {
                assert_eq!(taken(teller).await, number);
            }
            assert_eq!((len(pid).await, overflow()), (0, before));
        });
    }
}

#[test]
fn reject_hands_back_and_counts_what_cannot_be_handed_back() {
    on_every_driver(|| async {
        let (pid, teller) = bounded(2, Overflow::Reject).await;
        let before = overflow();
        (0..2_u64).for_each(|number| pid.send(number));
        let error = pid.try_send(2_u64).unwrap_err();
        assert_eq!((error.is_full(), error.to_string()), (true, format!("the mailbox of {pid} is full")));
        assert_eq!(error.into_inner(), 2);
        assert_eq!(pid.send_wait(3_u64).await, Err(TrySendError::Full(pid, 3)));
        let call = Call::<u64, ()>::new(pid, 4).await;
        assert_eq!(call, Err(CallError::Full { pid }));
        assert_eq!(overflow(), before, "who sent these knows");
        pid.send(5_u64);
        assert_eq!(overflow(), before + 1);

        assert_eq!(taken(teller).await, 0);
        assert_eq!(pid.try_send(6_u64), Ok(()));
        assert_eq!((taken(teller).await, taken(teller).await), (1, 6));
    });
}

#[test]
fn drop_newest_takes_no_more_and_tells_nobody() {
    on_every_driver(|| async {
        let (pid, teller) = bounded(2, Overflow::DropNewest).await;
        let before = overflow();
        for number in 0..4_u64 {
            assert_eq!(pid.try_send(number), Ok(()));
        }
        assert_eq!(pid.send_wait(4_u64).await, Ok(()));
        pid.send(5_u64);
        assert_eq!((len(pid).await, overflow()), (2, before + 4));
        assert_eq!((taken(teller).await, taken(teller).await), (0, 1));
        pid.send(6_u64);
        assert_eq!(taken(teller).await, 6);
    });
}

#[test]
fn drop_oldest_keeps_the_newest() {
    on_every_driver(|| async {
        let (pid, teller) = bounded(3, Overflow::DropOldest).await;
        let before = overflow();
        for number in 0..100_u64 {
            assert_eq!(pid.try_send(number), Ok(()));
            // It has to get its turn, or what comes is dropped once twice the bound stands there.
            if number % 3 == 0 {
                assert!(len(pid).await <= 3);
            }
        }
        assert_eq!((len(pid).await, overflow()), (3, before + 97));
        for number in 97..100 {
            assert_eq!(taken(teller).await, number);
        }
        assert_eq!(len(pid).await, 0);
    });
}

#[test]
fn drop_oldest_without_a_turn_holds_twice_the_bound_and_drops_the_newest_beyond() {
    // One thread runs everything else while we run.
    common::on_sim(|_| async {
        let (pid, teller) = bounded(3, Overflow::DropOldest).await;
        let before = overflow();
        (0..100_u64).for_each(|number| pid.send(number));
        assert_eq!(overflow(), before + 94, "beyond twice the bound");
        assert_eq!((len(pid).await, overflow()), (3, before + 97));
        for number in 3..6 {
            assert_eq!(taken(teller).await, number);
        }
    });
}

#[test]
fn signals_pass_a_full_mailbox_and_their_messages_neither_take_places_nor_are_dropped() {
    for policy in [Overflow::Wait, Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
        on_every_driver(|| async move {
            let me = self_pid();
            let others = [(); 3].map(|()| process::spawn(idle()));
            let go = Arc::new(Notify::new());
            let goes = Arc::clone(&go);
            let pid = process::builder().mailbox(2, policy).trap_exit().spawn(async move {
                process::monitor(others[0]);
                process::monitor_builder(others[1]).tag("tag").start();
                process::link(others[2]);
                goes.notified().await;
                let reasons = [
                    first::<Down>().await.reason,
                    first::<TaggedDown<&str>>().await.down.reason,
                    first::<Exit>().await.reason,
                    first::<Exit>().await.reason,
                ];
                me.send(reasons);
                goes.notified().await;
                me.send([next::<u64>().await, next::<u64>().await]);
                idle().await;
            });
            // It has its monitors and its link before anything happens.
            until_it_waits(pid).await;
            pid.send(0_u64);
            pid.send(1_u64);
            let (before, reason) = (overflow(), ExitReason::other("over"));
            others.into_iter().for_each(|other| process::exit_signal(other, reason.clone()));
            process::exit_signal(pid, reason.clone());
            while len(pid).await < 6 {
                process::yield_now().await;
            }
            assert_eq!(overflow(), before, "two messages and four notices");

            // What comes now cannot push the notices out.
            let tried =
                if matches!(policy, Overflow::DropOldest | Overflow::DropNewest) { 2..12_u64 } else { 0..0 };
            for number in tried.clone() {
                pid.send(number);
                assert_eq!(len(pid).await, 6);
            }
            go.notify_one();
            assert_eq!(next::<[ExitReason; 4]>().await, [(); 4].map(|()| reason.clone()));

            // The notices are out, and that has made no room.
            assert_eq!(len(pid).await, 2);
            if tried.is_empty() {
                assert!(pid.try_send(7_u64).unwrap_err().is_full());
            }
            go.notify_one();
            let kept = if policy == Overflow::DropOldest { [10, 11] } else { [0, 1] };
            assert_eq!(next::<[u64; 2]>().await, kept);
            assert_eq!(overflow(), before + (tried.end - tried.start));
        });
    }
}

/// Starts a process that sends `number` with `send_wait`, and lets it come so far that it stands in line.
async fn stands_in_line(pid: Pid, number: u64) -> (Pid, Reference) {
    let waiter = process::spawn_monitor(async move {
        match pid.send_wait(number).await {
            Ok(()) => Ok(()),
            Err(error) => Err(ExitReason::other(error)),
        }
    });
    until_it_waits(waiter.0).await;
    waiter
}

#[test]
fn those_who_wait_are_served_in_the_order_in_which_they_came() {
    on_every_driver(|| async {
        let (pid, teller) = bounded(1, Overflow::Wait).await;
        let before = overflow();
        pid.send(0_u64);
        let mut waiters = Vec::new();
        for number in 1..6 {
            waiters.push(stands_in_line(pid, number).await);
        }
        // Who does not wait is told, or counted, as with `Reject`.
        assert!(pid.try_send(7_u64).unwrap_err().is_full());
        pid.send(8_u64);
        assert_eq!(overflow(), before + 1);
        for number in 0..6 {
            assert_eq!(taken(teller).await, number);
        }
        for (_, monitor) in waiters {
            assert!(down(monitor).await.reason.is_normal());
        }
        assert_eq!(len(pid).await, 0);
    });
}

#[test]
fn calls_wait_in_the_same_line() {
    on_every_driver(|| async {
        let (me, go) = (self_pid(), Arc::new(Notify::new()));
        let goes = Arc::clone(&go);
        let pid = process::builder().mailbox(1, Overflow::Wait).spawn(async move {
            goes.notified().await;
            for _ in 0..4 {
                let message = process::recv().await;
                match message.downcast::<u64>() {
                    Ok(number) => me.send(number),
                    Err(message) => {
                        let (number, from) = message.take_call::<u64, u64>().unwrap();
                        me.send(number);
                        from.reply(number * 10);
                    }
                }
            }
        });
        pid.send(0_u64);
        let call = |number, timeout: Timeout| {
            process::spawn_monitor(async move {
                let reply = Call::<u64, u64>::new(pid, number).timeout(timeout).await;
                ExitReason::other(reply)
            })
        };
        let one = call(1, Timeout::Infinity);
        until_it_waits(one.0).await;
        let impatient = call(2, Timeout::After(Duration::from_millis(5)));
        until_it_waits_or_ends(impatient.0).await;
        let three = stands_in_line(pid, 3).await;
        let four = call(4, Timeout::Infinity);
        until_it_waits(four.0).await;
        // One has left before its turn came, and the line closes up.
        let after = Duration::from_millis(5);
        let timed_out: Result<u64, _> = Err(CallError::Timeout { pid, after });
        assert_eq!(down(impatient.1).await.reason, ExitReason::other(timed_out));
        go.notify_one();
        for number in [0, 1, 3, 4] {
            assert_eq!(first::<u64>().await, number);
        }
        assert_eq!(down(one.1).await.reason, ExitReason::other(Ok::<u64, CallError>(10)));
        assert_eq!(down(four.1).await.reason, ExitReason::other(Ok::<u64, CallError>(40)));
        assert!(down(three.1).await.reason.is_normal());
    });
}

#[test]
fn a_place_that_is_not_used_goes_to_the_next_one() {
    on_every_driver(|| async {
        let (pid, teller) = bounded(1, Overflow::Wait).await;
        pid.send(0_u64);
        let (go, me) = (Arc::new(Notify::new()), self_pid());
        let goes = Arc::clone(&go);
        // Stands in line, but then looks at something else, and goes when its turn has come.
        let fickle = process::spawn(async move {
            let mut send = pin!(pid.send_wait(1_u64));
            assert!(poll_fn(|cx| Poll::Ready(send.as_mut().poll(cx).is_pending())).await);
            goes.notified().await;
            me.send("gone");
        });
        until_it_waits(fickle).await;
        let patient = stands_in_line(pid, 2).await;
        // The place that becomes free is the first one's.
        assert_eq!(taken(teller).await, 0);
        assert!(pid.try_send(9_u64).unwrap_err().is_full());
        assert!(is_alive(patient.0).await);
        go.notify_one();
        assert_eq!(next::<&str>().await, "gone");
        assert!(down(patient.1).await.reason.is_normal());
        assert_eq!(taken(teller).await, 2);
        // Nobody is in line any more, and the place is free.
        assert_eq!(pid.try_send(3_u64), Ok(()));
        assert_eq!(taken(teller).await, 3);
    });
}

#[test]
fn those_who_wait_learn_of_the_end() {
    on_every_driver(|| async {
        for reason in [ExitReason::Kill, ExitReason::Shutdown] {
            let (pid, _) = bounded(1, Overflow::Wait).await;
            pid.send(0_u64);
            let mut waiters = Vec::new();
            for number in 1..4_u64 {
                waiters.push((number, stands_in_line(pid, number).await.1));
            }
            let (_, call) = process::spawn_monitor(async move {
                ExitReason::other(Call::<u64, u64>::new(pid, 4).timeout(Timeout::Infinity).await)
            });
            process::exit_signal(pid, reason);
            for (number, monitor) in waiters {
                let error = TrySendError::NoProc(pid, number);
                assert_eq!(down(monitor).await.reason, ExitReason::other(error));
            }
            let error: Result<u64, _> = Err(CallError::NoProc { destination: pid.into() });
            assert_eq!(down(call).await.reason, ExitReason::other(error));
            assert_eq!(pid.send_wait(5_u64).await, Err(TrySendError::NoProc(pid, 5)));
            assert_eq!(pid.try_send(6_u64), Err(TrySendError::NoProc(pid, 6)));
        }
    });
}

#[test]
fn who_is_no_process_can_wait_for_room_too() {
    on_threads(2, || async {
        let (pid, teller) = bounded(1, Overflow::Wait).await;
        pid.send(0_u64);
        let thread = std::thread::spawn(move || {
            let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
            tokio.block_on(pid.send_wait(1_u64))
        });
        assert_eq!(taken(teller).await, 0);
        assert_eq!(taken(teller).await, 1);
        assert_eq!(thread.join().unwrap(), Ok(()));
    });
}

#[test]
fn what_comes_through_an_alias_that_is_off_takes_no_place() {
    on_every_driver(|| async {
        let me = self_pid();
        let pid = process::builder().mailbox(2, Overflow::Reject).spawn(async move {
            let (on, off) = (process::alias(AliasMode::Explicit), process::alias(AliasMode::Explicit));
            process::unalias(off);
            me.send([on, off]);
            idle().await;
        });
        let [on, off] = next::<[Alias; 2]>().await;
        let before = Metrics::current().undelivered;
        for number in 0..10_u64 {
            off.send(number);
            assert_eq!(len(pid).await, 0);
        }
        on.send(0_u64);
        assert_eq!(pid.try_send(1_u64), Ok(()));
        on.send(2_u64);
        let counts = Metrics::current().undelivered;
        assert_eq!(
            (counts.alias_inactive, counts.overflow),
            (before.alias_inactive + 10, before.overflow + 1)
        );
        assert_eq!(len(pid).await, 2);
    });
}

/// A message of one of many senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Numbered {
    sender: usize,
    number: u64,
}

/// Eight processes and a plain thread's worth of messages to one receiver that takes some, sleeps, and is killed at the
/// end with what it has.
async fn many_senders(driver: Driver, policy: Overflow, limit: u32) {
    const SENDERS: usize = 8;
    let each = driver.rounds(1000, 100) as u64;
    let (me, before) = (self_pid(), Metrics::current().undelivered);
    let received = Arc::new(AtomicU64::new(0));
    let (pid, monitor) = process::builder().mailbox(limit, policy).spawn_monitor({
        let received = Arc::clone(&received);
        async move {
            let mut last = [None; SENDERS];
            let mut random = Random(u64::from(limit));
            loop {
                let Numbered { sender, number } = next().await;
                // Each sender's messages come in order, those that come.
                assert!(last[sender].replace(number) < Some(number));
                received.fetch_add(1, SeqCst);
                if random.pick(0..10) == 0 {
                    let len = process::info(self_pid()).await.expect("it lives").message_queue_len;
                    assert!(len <= limit as usize, "{len} messages in a mailbox for {limit}");
                }
            }
        }
    });
    for sender in 0..SENDERS {
        process::spawn(async move {
            let mut random = Random(sender as u64);
            let (mut accepted, mut handed_back) = (0_u64, 0_u64);
            for number in 0..each {
                let message = Numbered { sender, number };
                let waits = policy == Overflow::Wait || random.pick(0..3) == 0;
                match if waits { pid.send_wait(message).await } else { pid.try_send(message) } {
                    Ok(()) => accepted += 1,
                    Err(error) => {
                        assert!(error.is_full() && policy == Overflow::Reject);
                        assert_eq!(error.into_inner(), message);
                        handed_back += 1;
                    }
                }
                if random.pick(0..20) == 0 {
                    process::yield_now().await;
                }
            }
            me.send([accepted, handed_back]);
        });
    }
    let mut totals = [0, 0];
    for _ in 0..SENDERS {
        let [accepted, handed_back] = next::<[u64; 2]>().await;
        totals = [totals[0] + accepted, totals[1] + handed_back];
    }
    process::kill(pid);
    assert_eq!(down(monitor.reference()).await.reason, ExitReason::Killed);
    let counts = Metrics::current().undelivered;
    let (dropped, left) = (counts.overflow - before.overflow, counts.left_at_death - before.left_at_death);
    let received = received.load(SeqCst);
    assert_eq!(totals[0] + totals[1], SENDERS as u64 * each);
    assert_eq!(received + dropped + left, totals[0], "{policy:?}: {received} {dropped} {left} {totals:?}");
    assert!(left <= 2 * u64::from(limit));
    match policy {
        Overflow::Wait => assert_eq!((dropped, totals[1]), (0, 0)),
        Overflow::Reject => assert_eq!(dropped, 0),
        Overflow::DropOldest | Overflow::DropNewest => assert_eq!(totals[1], 0),
    }
}

#[test]
fn with_many_senders_every_message_is_received_or_counted() {
    for (policy, limit) in [
        (Overflow::Wait, 1),
        (Overflow::Wait, 5),
        (Overflow::Reject, 3),
        (Overflow::DropOldest, 3),
        (Overflow::DropNewest, 3),
    ] {
        on_each_driver(|driver| many_senders(driver, policy, limit));
    }
}

//! Mailboxes: order within a pair, bounds, what is refused.

use ibeam::Overflow;
use ibeam::prelude::*;
use ibeam_testkit::prelude::*;

use crate::*;

#[ibeam::simulate(faults = Faults::none().delay(30 * MS).slow(30 * MS))]
async fn who_waits_for_room_loses_nothing() {
    let test = process::self_pid();
    let consumer = process::builder().mailbox(3, Overflow::Wait).spawn(async move {
        let mut next = [0_u64; 4];
        for _ in 0..40 {
            let length = process::info(process::self_pid()).await.unwrap().message_queue_len;
            assert!(length <= 3, "{length} messages in a mailbox for 3");
            receive! {
                (sender, n): (usize, u64) => {
                    assert_eq!(n, next[sender], "the order of sender {sender}");
                    next[sender] += 1;
                }
            }
            process::yield_now().await;
        }
        test.send(next);
    });
    for sender in 0..4_usize {
        process::spawn(async move {
            for n in 0..10_u64 {
                consumer.send_wait((sender, n)).await.unwrap();
            }
        });
    }
    assert_receive!([10, 10, 10, 10]: [u64; 4], within: 60_000 * MS);
}

#[ibeam::simulate(faults = Faults::none().kills(1).kill_only(with_a_name).delay(30 * MS).slow(30 * MS))]
async fn what_is_refused_comes_back() {
    let test = process::self_pid();
    let consumer = process::builder().name("consumer").mailbox(2, Overflow::Reject).spawn(async move {
        let mut count = 0_u64;
        loop {
            receive! {
                _: (usize, u64) => count += 1,
                after 5_000 * MS => break,
            }
        }
        test.send(("got", count));
    });
    let monitor = process::monitor(consumer);
    for sender in 0..3_usize {
        process::spawn(async move {
            let mut sent = 0_u64;
            for n in 0..10_u64 {
                match consumer.try_send((sender, n)) {
                    Ok(()) => sent += 1,
                    Err(refused) => assert_eq!(refused.into_inner(), (sender, n)),
                }
                process::yield_now().await;
            }
            test.send(("sent", sent));
        });
    }
    let sent: u64 = {
        let mut sum = 0;
        for _ in 0..3 {
            sum += assert_receive!(("sent", n): (&str, u64), within: 60_000 * MS);
        }
        sum
    };
    let (_, reason) = assert_receive!(Down { monitor: m, reason, .. } if m == monitor, within: 60_000 * MS);
    if reason == ExitReason::Normal {
        let got = assert_received!(("got", n): (&str, u64));
        assert_eq!(got, sent, "what was taken arrives");
    }
}

#[ibeam::simulate(faults = Faults::none().slow(30 * MS))]
async fn the_oldest_make_room_for_the_newest() {
    let consumer = process::builder().mailbox(3, Overflow::DropOldest).spawn(async {
        receive! { "go" => {}, after 1_000 * MS => {} }
        let mut last = None;
        while let Some(n) = receive! { n: u64 => Some(n), after Duration::ZERO => None } {
            assert!(last.is_none_or(|last| n > last), "{n} after {last:?}");
            last = Some(n);
        }
        // Up to twice the bound while it had no turn to make room; at least those.
        assert!(last.is_some_and(|last| last >= 5), "{last:?}");
    });
    let monitor = process::monitor(consumer);
    for n in 0..30_u64 {
        consumer.send(n);
        if n % 4 == 0 {
            process::yield_now().await;
        }
    }
    let (_, reason) = assert_receive!(Down { monitor: m, reason, .. } if m == monitor, within: 60_000 * MS);
    assert_eq!(reason, ExitReason::Normal);
}

/// Commands and their order, over two ways: what goes through a relay may be overtaken, what goes directly may not.
#[ibeam::simulate(faults = Faults::rough().kills(0).failed_starts(0))]
async fn selective_receives_keep_what_they_skip() {
    let test = process::self_pid();
    for n in 0..3_u64 {
        process::spawn(async move {
            for k in 0..5_u64 {
                test.send((n, k));
                process::sleep(MS).await;
            }
        });
    }
    for n in [2_u64, 0, 1] {
        for k in 0..5_u64 {
            assert_eq!(assert_receive!((m, k): (u64, u64) if m == n, within: 60_000 * MS), (n, k));
        }
    }
    assert!(process::try_recv().is_none());
}

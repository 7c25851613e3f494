//! Calls: each ends, once, with what has happened.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use ibeam::gen_server::{Collected, RequestIds};
use ibeam::prelude::*;
use ibeam_testkit::prelude::*;

use crate::*;

async fn start_worker(starts: &Starts) {
    let tree = Supervisor::new(Strategy::OneForOne).intensity(OFTEN.0, OFTEN.1).child(worker("w", starts));
    started(|| tree.clone()).await;
}

#[ibeam::simulate(faults = Faults::rough().kills(4).kill_only(with_a_name))]
async fn every_call_ends_in_time() {
    let starts = Starts::default();
    start_worker(&starts).await;
    let test = process::self_pid();
    for client in 0..8_u64 {
        process::builder().label("client").spawn(async move {
            for _ in 0..4 {
                let start = process::now();
                let ended = named("w").add(1).timeout(200 * MS).await;
                let took = process::now() - start;
                if matches!(ended, Err(CallError::Timeout { .. })) {
                    assert!(took >= 200 * MS, "a timeout after {took:?}");
                }
                // Slow processes, late timers and jumps of the clock come on top, each more than once.
                assert!(took <= 200 * MS + 2_000 * MS, "{ended:?} after {took:?}");
                process::sleep(5 * MS).await;
            }
            test.send(client);
        });
    }
    let done: BTreeSet<u64> = {
        let mut done = BTreeSet::new();
        // A client's own start may have been let fail: then it says nothing.
        while let Some(client) = receive! { n: u64 => Some(n), after Duration::from_secs(60) => None } {
            assert!(done.insert(client));
        }
        done
    };
    assert!(done.len() >= 7, "{done:?}");
}

#[ibeam::simulate(faults = Faults::none().delay(30 * MS).slow(30 * MS).late_timers(20 * MS))]
async fn a_late_reply_is_heard_by_nobody() {
    let starts = Starts::default();
    start_worker(&starts).await;
    for _ in 0..5 {
        let late = named("w").slowly(50 * MS).timeout(10 * MS).await;
        assert!(matches!(late, Ok(1) | Err(CallError::Timeout { .. })), "{late:?}");
    }
    until_quiet().await;
    assert!(process::try_recv().is_none(), "replies do not come as messages");
    assert_eq!(named("w").add(1).await, Ok((1, 1)));
}

#[ibeam::simulate(faults = Faults::rough().kills(5).failed_starts(2))]
async fn a_reply_that_another_process_owes_comes_or_is_known_not_to() {
    let starts = Starts::default();
    start_worker(&starts).await;
    for _ in 0..6 {
        match named("w").later().wait_for_name().timeout(5_000 * MS).await {
            Ok(life) => assert!(life <= starts.of("w")),
            // Who owed it was killed; or the server, before it took the call; or the clock jumped.
            Err(
                CallError::NoReply { .. }
                | CallError::Exited { .. }
                | CallError::NoProc { .. }
                | CallError::Timeout { .. },
            ) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[ibeam::simulate(faults = Faults::rough().kills(4).kill_only(with_a_name))]
async fn a_call_that_waits_for_the_name_gets_through_a_restart() {
    let starts = Starts::default();
    start_worker(&starts).await;
    let mut last = (0, 0);
    for _ in 0..10 {
        // A server that took the call and died may have acted on it; who was not reached is asked again.
        let answer = named("w").add(1).wait_for_name().timeout(60_000 * MS).await;
        if let Ok((life, value)) = answer {
            assert!(
                life > last.0 || (life == last.0 && value > last.1),
                "{last:?}, then {:?}",
                (life, value)
            );
            last = (life, value);
        }
    }
    assert!(last.0 > 0, "at least the calls after the last kill get through");
}

#[ibeam::simulate(faults = Faults::rough().kills(3).kill_only(with_a_name))]
async fn each_request_has_one_response() {
    let starts = Starts::default();
    start_worker(&starts).await;
    let mut requests = RequestIds::new();
    for n in 0..10_u64 {
        requests.add(ibeam::gen_server::send_request(named("w").add(n)), n);
    }
    let mut seen = BTreeSet::new();
    while !requests.is_empty() {
        match requests.receive_response(60_000 * MS).await {
            Collected::Response { label, .. } => assert!(seen.insert(label), "{label} twice"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen.len(), 10);
}

/// Two servers that pass a sum on to each other, and clients that count what they got confirmed.
#[ibeam::simulate(faults = Faults::none().delay(30 * MS).slow(30 * MS).clock_jumps(50 * MS))]
async fn what_is_confirmed_was_done() {
    let starts = Starts::default();
    start_worker(&starts).await;
    let confirmed = Arc::new(AtomicU64::new(0));
    let mut clients = Vec::new();
    for _ in 0..5 {
        let confirmed = Arc::clone(&confirmed);
        let (_pid, monitor) = process::spawn_monitor(async move {
            for _ in 0..4 {
                if named("w").add(1).timeout(40 * MS).await.is_ok() {
                    confirmed.fetch_add(1, SeqCst);
                }
            }
        });
        clients.push(monitor);
    }
    for client in clients {
        assert_receive!(Down { monitor, .. } if monitor == client, within: 60_000 * MS);
    }
    until_quiet().await;
    let (_, sum) = named("w").add(0).await.unwrap();
    let confirmed = confirmed.load(SeqCst);
    assert!((confirmed..=20).contains(&sum), "{confirmed} confirmed, {sum} done");
}

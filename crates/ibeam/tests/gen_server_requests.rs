//! Requests whose responses are taken later. Names begin with the row of the conformance list that the test is for.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod gen_server_common;

use std::time::Duration;

use common::{next, nothing_comes, on_each_driver, on_every_driver};
use gen_server_common::{Probe, ProbeClient, call, ok, reply_after};
use ibeam::gen_server::{Collected, RequestIds, send_request};
use ibeam::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[track_caller]
fn response<L, R>(collected: Collected<L, R>) -> (L, Result<R, CallError>) {
    match collected {
        Collected::Response { label, response } => (label, response),
        Collected::Timeout => panic!("no response in time"),
        Collected::NoReply(message) => panic!("{message:?} is no response"),
        Collected::NoRequest(_) => panic!("there is no request"),
    }
}

#[test]
fn otp_gs_16_requests_are_sent_at_once_and_waited_for_later() {
    on_each_driver(|driver| async move {
        let server = Probe::start(ok()).await.unwrap();
        let first = send_request(server.count());
        let second = send_request(server.count());
        assert_eq!(first.receive_response(Timeout::Infinity).await, Ok(1));
        assert_eq!(second.receive_response(Timeout::Infinity).await, Ok(2));

        // A wait that is over does not give the request up.
        let mut slow = send_request(server.ask(reply_after(driver.window(SECOND), 7)));
        assert_eq!(slow.wait_response(Duration::ZERO).await, None);
        assert_eq!(slow.wait_response(Timeout::Infinity).await, Some(Ok(7)));

        // A receive that is over does, and nothing of it comes later.
        let pid = server.pid().unwrap();
        let slow = send_request(server.ask(reply_after(driver.window(SECOND), 7)));
        let late = slow.receive_response(Duration::ZERO).await.unwrap_err();
        assert_eq!(late, CallError::Timeout { pid, after: Duration::ZERO });
        nothing_comes(driver.window(SECOND) * 2).await;
    });
}

#[test]
fn otp_gs_17_messages_are_checked_against_a_request() {
    on_every_driver(|| async {
        let server = Probe::start(ok()).await.unwrap();
        let mut request = send_request(server.count());
        let mut other = send_request(server.count());
        process::self_pid().send("unrelated");
        let mut seen = Vec::new();
        for _ in 0..3 {
            match request.check_response(process::recv().await) {
                Ok(response) => seen.push(response),
                Err(message) => match other.check_response(message) {
                    Ok(response) => seen.push(response),
                    Err(message) => assert_eq!(message.downcast::<&str>().unwrap(), "unrelated"),
                },
            }
        }
        assert_eq!(seen, [Ok(1), Ok(2)]);
        nothing_comes(Duration::ZERO).await;
    });
}

/// Three requests that are answered after 400, 1 and 200 ms, labelled so.
fn three(server: &ServerRef<Probe>) -> RequestIds<u64, u64> {
    let mut requests = RequestIds::new();
    for ms in [400, 1, 200] {
        requests.add(send_request(server.ask(reply_after(Duration::from_millis(ms), ms))), ms);
    }
    requests
}

#[test]
fn otp_gs_18_responses_are_received_in_the_order_in_which_they_come() {
    on_each_driver(|driver| async move {
        if driver.has_real_clock() {
            return;
        }
        let server = Probe::start(ok()).await.unwrap();
        let outside = send_request(server.ask(reply_after(Duration::from_millis(100), 5)));
        let mut requests = three(&server);
        for (left, ms) in [(2, 1), (1, 200), (0, 400)] {
            let got = response(requests.receive_response(Timeout::Infinity).await);
            assert_eq!((got, requests.len()), ((ms, Ok(ms)), left));
        }
        assert!(matches!(requests.receive_response(Timeout::Infinity).await, Collected::NoRequest(None)));
        assert_eq!(outside.receive_response(Timeout::Infinity).await, Ok(5));

        // Too late: all of them are given up.
        let mut requests = three(&server);
        assert!(matches!(requests.receive_response(Duration::ZERO).await, Collected::Timeout));
        assert!(requests.is_empty());
        nothing_comes(SECOND).await;
        // A wait gives up none.
        let mut requests = three(&server);
        assert!(matches!(requests.wait_response(Duration::ZERO).await, Collected::Timeout));
        assert_eq!(response(requests.wait_response(Timeout::Infinity).await), (1, Ok(1)));
    });
}

#[test]
fn otp_gs_19_messages_are_checked_against_a_set() {
    on_each_driver(|driver| async move {
        if driver.has_real_clock() {
            return;
        }
        let server = Probe::start(ok()).await.unwrap();
        let mut foreign = send_request(server.ask(reply_after(Duration::from_millis(100), 5)));
        let mut requests = three(&server);
        for (left, ms) in [(2, 1), (2, 100), (1, 200), (0, 400)] {
            let message = process::recv().await;
            match requests.check_response(message) {
                Collected::NoReply(message) => {
                    assert_eq!(ms, 100);
                    assert_eq!(foreign.check_response(message).unwrap(), Ok(5));
                }
                other => assert_eq!(response(other), (ms, Ok(ms))),
            }
            assert_eq!(requests.len(), left);
        }
        process::self_pid().send("unrelated");
        match requests.check_response(process::recv().await) {
            Collected::NoRequest(Some(message)) => assert!(message.is::<&str>()),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn otp_gs_20_a_request_that_fails_has_its_label_and_leaves_the_others_alone() {
    on_every_driver(|| async {
        let (ends, lives) = (Probe::start(ok()).await.unwrap(), Probe::start(ok()).await.unwrap());
        let pid = ends.pid().unwrap();
        let stop = call(|probe, from| {
            probe.waiting = Some(from);
            Reply::later().stop(ExitReason::Shutdown)
        });
        let mut requests = RequestIds::new();
        requests.add(send_request(ends.ask(stop)), "ends");
        requests.add(send_request(lives.count()), "lives");
        // Nobody is there: the failure is a response like any other.
        requests.add(send_request(ServerRef::<Probe>::named("nobody").count()), "nobody");
        let mut got = Vec::new();
        while let Collected::Response { label, response } = requests.receive_response(Timeout::Infinity).await
        {
            got.push((label, response));
        }
        got.sort_by_key(|(label, _)| *label);
        assert_eq!(
            got,
            [
                ("ends", Err(CallError::Exited { pid, reason: ExitReason::Shutdown })),
                ("lives", Ok(1)),
                ("nobody", Err(CallError::NoProc { destination: "nobody".into() })),
            ]
        );
        drop(next::<gen_server_common::Terminated>().await);
        nothing_comes(Duration::ZERO).await;
    });
}

/// Where the mailbox is full the request waits, and is not lost.
#[test]
fn a_request_for_a_full_mailbox_is_sent_while_it_is_waited_for() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let server = Probe::start(ok()).mailbox(1, ibeam::Overflow::Wait).await.unwrap();
        let requests: Vec<_> = (0..5).map(|_| send_request(server.count())).collect();
        let mut sum = 0;
        for request in requests {
            sum += request.receive_response(Timeout::Infinity).await.unwrap();
        }
        assert_eq!((sum, me), (15, process::self_pid()));
    });
}

/// Dropped before and after its response was announced.
#[test]
fn a_request_that_is_dropped_leaves_nothing_in_the_mailbox() {
    on_each_driver(|driver| async move {
        let server = Probe::start(ok()).await.unwrap();
        process::self_pid().send("older");
        let early = send_request(ServerRef::<Probe>::named("nobody").count());
        let answered = send_request(server.count());
        let late = send_request(server.ask(reply_after(driver.window(SECOND), 7)));
        assert_eq!(server.count().await, Ok(2));
        process::self_pid().send("younger");
        drop((early, answered, late));
        assert_eq!((next::<&str>().await, next::<&str>().await), ("older", "younger"));
        nothing_comes(driver.window(SECOND) * 2).await;
    });
}

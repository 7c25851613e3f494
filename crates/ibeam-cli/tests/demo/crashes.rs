//! Processes crash, and come back.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::Duration;

use super::harness::{Client, Reply, Server, until};

const WHILE_IT_HAD_IT: &str =
    "-ERR shard 0: crashed while it had this request; whether it was done is not known";

/// Sets keys and crashes shard 0: those that are gone were its.
fn keys_by_shard(client: &mut Client) -> (Vec<String>, Vec<String>) {
    let keys: Vec<String> = (0..40).map(|number| format!("key:{number}")).collect();
    for key in &keys {
        client.check(&format!("SET {key} 0"), "+OK");
    }
    client.check("DEBUG CRASH shard", "+OK");
    // In the same mailbox behind the crash: answered by the next incarnation, or in flight at the crash.
    until("the crash is over", || client.ask("DBSIZE").starts_with(':').then_some(()));
    keys.into_iter().partition(|key| client.ask(&format!("EXISTS {key}")) == ":0")
}

#[test]
fn a_crashed_shard_takes_its_own_keys_and_no_others() {
    let server = Server::start(&["--shards", "2"]);
    let mut client = server.client();
    let (gone, kept) = keys_by_shard(&mut client);
    assert!(!gone.is_empty() && !kept.is_empty());
    for key in &kept {
        client.check(&format!("GET {key}"), "0");
    }
    for key in &gone {
        client.check(&format!("SET {key} again"), "+OK");
        client.check(&format!("GET {key}"), "again");
    }
    client.check("DEBUG CRASH shard 1", "+OK");
    until("the crash is over", || client.ask("DBSIZE").starts_with(':').then_some(()));
    client.check("DBSIZE", &format!(":{}", gone.len()));
    client.check("DEBUG CRASH shard 2", "-ERR expected a shard from 0 to 1");
    // A crash is reported.
    server.until_logged("DEBUG CRASH shard 0");
}

#[test]
fn a_crashed_connection_is_closed_and_the_others_live() {
    let server = Server::start(&[]);
    let [mut one, mut two] = [server.client(), server.client()];
    let id = one.ask("CLIENT ID").replace(':', "");
    two.check(&format!("DEBUG CRASH connection {id}"), "+OK");
    assert!(matches!(one.try_read(), Ok(None) | Err(_)));
    two.check("PING", "+PONG");
    // Its socket goes a moment before its name.
    until("nobody has its name", || {
        let again = two.ask(&format!("DEBUG CRASH connection {id}"));
        (again == format!("-ERR there is no connection {id}")).then_some(())
    });
    let mut three = server.client();
    three.send(b"DEBUG CRASH connection\r\n");
    assert!(matches!(three.try_read(), Ok(None) | Err(_)));
    two.check("PING", "+PONG");
    until("their places are free", || {
        two.ask("INFO clients").contains("connected_clients:1\r\n").then_some(())
    });
}

/// Counts up under `key` until told to stop; how many requests failed and succeeded.
///
/// Each reply must be the last one plus 1, or 1 if the shard lost its keys; after a failure only 1 is possible.
fn count_up(mut client: Client, key: &str, may_crash: bool, stop: &AtomicBool) -> (usize, usize) {
    let (mut last, mut failed, mut done) = (0, 0, 0);
    let command = format!("INCR {key}");
    while !stop.load(Relaxed) {
        client.send(&super::harness::line(&command));
        match client.read() {
            Reply::Integer(number) => {
                assert!(number == last + 1 || (may_crash && number == 1), "{key}: {number} after {last}");
                last = number;
                done += 1;
            }
            error => {
                assert!(may_crash, "{key}: {error}");
                assert_eq!(error.to_string(), WHILE_IT_HAD_IT);
                // Its keys are lost: the next reply must be 1.
                last = 0;
                failed += 1;
            }
        }
    }
    (failed, done)
}

#[test]
fn crashes_under_load_fail_only_what_was_in_flight() {
    const CRASHES: usize = 20;
    const CLIENTS: usize = 3;
    let server = Server::start(&["--shards", "2"]);
    let mut client = server.client();
    let (crashing, safe) = keys_by_shard(&mut client);
    client.check("FLUSHALL", "+OK");
    let stop = AtomicBool::new(false);
    let (mut failed, mut done) = (0, 0);
    std::thread::scope(|scope| {
        let start = |key, may_crash| {
            let (client, stop) = (server.client(), &stop);
            scope.spawn(move || count_up(client, key, may_crash, stop))
        };
        let hit: Vec<_> = crashing[..CLIENTS].iter().map(|key| start(key, true)).collect();
        let spared: Vec<_> = safe[..CLIENTS].iter().map(|key| start(key, false)).collect();
        // Nobody sends: this is the clock.
        let (_sender, clock) = mpsc::channel::<()>();
        for _ in 0..CRASHES {
            let _tick = clock.recv_timeout(Duration::from_millis(100));
            client.check("DEBUG CRASH shard 0", "+OK");
        }
        stop.store(true, Relaxed);
        for counting in spared {
            let (failed, done) = counting.join().expect("no error");
            assert_eq!(failed, 0);
            assert!(done > CRASHES, "{done}");
        }
        for counting in hit {
            let (failed_here, done_here) = counting.join().expect("no other error");
            failed += failed_here;
            done += done_here;
        }
    });
    assert!(failed <= CRASHES * CLIENTS, "{failed} failed of {done}");
    assert!(done > CRASHES * CLIENTS, "{done}");
    client.check("PING", "+PONG");
}

//! The end of connections and of the server.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::harness::{PATIENCE, Server, line, request};

#[test]
fn signals_under_load_end_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&["--shards", "2"]);
        let mut idle = server.client();
        idle.check("PING", "+PONG");
        std::thread::scope(|scope| {
            let (ready, started) = std::sync::mpsc::channel();
            for index in 0..4 {
                let (mut client, ready) = (server.client(), ready.clone());
                scope.spawn(move || {
                    let incr = line(&format!("INCR counter:{index}"));
                    for expected in 1.. {
                        use std::io::Write;
                        if client.socket().write_all(&incr).is_err() {
                            break;
                        }
                        match client.try_read() {
                            Ok(Some(reply)) => assert_eq!(reply.to_string(), format!(":{expected}")),
                            // A request that came after the end of the server.
                            Ok(None) => break,
                            Err(error) => {
                                assert_ne!(error.kind(), std::io::ErrorKind::UnexpectedEof, "half a reply");
                                break;
                            }
                        }
                        if expected == 100 {
                            ready.send(()).expect("somebody waits");
                        }
                    }
                });
            }
            for _ in 0..4 {
                started.recv_timeout(PATIENCE).expect("all are under way");
            }
            server.signal(signal);
        });
        idle.expect_end();
        server.wait_for_success();
        assert!(server.log().contains("stopped"), "{}", server.log());
    }
}

#[test]
fn what_had_arrived_is_answered() {
    let mut server = Server::start(&["--shards", "2"]);
    let mut client = server.client();
    client.check("PING", "+PONG");
    client.send(&line("INCR n").repeat(2_000));
    server.signal(Signal::TERM);
    for number in 1..=2_000 {
        assert_eq!(client.read().to_string(), format!(":{number}"));
    }
    client.expect_end();
    server.wait_for_success();
}

#[test]
fn clients_that_do_not_read_hold_it_up_once_and_not_each() {
    let mut server = Server::start(&["--shutdown-timeout", "4s"]);
    let value = vec![b'v'; 8 << 20];
    let mut client = server.client();
    client.send(&request(&[b"SET", b"k", &value]));
    assert_eq!(client.read().to_string(), "+OK");
    let mut stuck: Vec<_> = (0..10).map(|_| server.client()).collect();
    for client in &mut stuck {
        client.send(&line("GET k").repeat(4));
        // The first bytes of the first reply have come: it is under way.
        client.socket().peek(&mut [0]).expect("a byte");
    }
    client.send(&line("SHUTDOWN NOSAVE"));
    client.expect_end();
    // One after the other would take longer than this waits.
    const { assert!(10 * 4 > PATIENCE.as_secs()) };
    server.wait_for_success();
    assert!(server.log().contains("10 clients were cut off"), "{}", server.log());
    // They have given up by themselves: nobody had to be killed.
    assert!(!server.log().contains("did not stop as asked"), "{}", server.log());
}

#[test]
fn idle_clients_are_closed_and_subscribers_are_not() {
    let server = Server::start(&["--idle-timeout", "2s"]);
    let [mut idle, mut subscriber] = [server.client(), server.client()];
    subscriber.check("SUBSCRIBE c", "[subscribe c :1]");
    // It is idle from some moment after this.
    let before = Instant::now();
    idle.check("PING", "+PONG");
    idle.expect_end();
    assert!(before.elapsed() >= Duration::from_secs(2), "{:?}", before.elapsed());
    subscriber.check("PING", "[pong ]");
}

#[test]
fn two_hundred_idle_clients_stop_side_by_side() {
    let mut server = Server::start(&[]);
    let mut clients: Vec<_> = (0..200).map(|_| server.client()).collect();
    for client in &mut clients {
        client.check("PING", "+PONG");
    }
    server.signal(Signal::TERM);
    for client in &mut clients {
        client.expect_end();
    }
    drop(clients);
    server.wait_for_success();
    assert!(!server.log().contains("cut off"), "{}", server.log());
}

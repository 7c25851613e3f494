//! Random bytes never kill the server.

use std::io::{Read, Write};
use std::net::Shutdown;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::harness::{Server, line};

/// Bytes without sense, pieces of requests, and requests.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"SET".to_vec()),
        Just(b"GET".to_vec()),
        Just(b"MGET".to_vec()),
        Just(b"MSET".to_vec()),
        Just(b"SCAN".to_vec()),
        Just(b"SUBSCRIBE".to_vec()),
        Just(b"UNSUBSCRIBE".to_vec()),
        Just(b"PUBLISH".to_vec()),
        Just(b"INCRBY".to_vec()),
        Just(b"EXPIRE".to_vec()),
        Just(b"CLIENT".to_vec()),
        Just(b"LIST".to_vec()),
        Just(b"INFO".to_vec()),
        Just(b"RESET".to_vec()),
        Just(b"QUIT".to_vec()),
        Just(b"-1".to_vec()),
        Just(b"99999999999".to_vec()),
        Just(b"k".to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    let request = prop::collection::vec(word, 1..6).prop_map(|words| {
        let words: Vec<&[u8]> = words.iter().map(|word| &word[..]).collect();
        super::harness::request(&words)
    });
    let piece = prop_oneof![
        6 => request,
        1 => prop::collection::vec(any::<u8>(), 0..100),
        1 => prop_oneof![
            Just(b"*3\r\n".to_vec()), Just(b"$5\r\n".to_vec()), Just(b"\r\n".to_vec()), Just(b"*1000000\r\n".to_vec()),
            Just(b"$400000000\r\n".to_vec()), Just(b"PING \"\r\n".to_vec()),
        ],
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

#[test]
fn noise_kills_nobody_else() {
    let server = Server::start(&["--shards", "2", "--max-request", "16MiB"]);
    let mut witness = server.client();
    witness.check("PING", "+PONG");
    let mut runner = TestRunner::new(ProptestConfig { cases: 200, ..ProptestConfig::default() });
    let witness = std::cell::RefCell::new(witness);
    runner
        .run(&noise(), |bytes| {
            let client = server.client();
            // It may close before everything is written.
            let mut socket = client.socket();
            let _closed_early = socket.write_all(&bytes);
            let _gone = socket.shutdown(Shutdown::Write);
            // Until it closes, which it must: there is no more to come.
            let mut replies = Vec::new();
            if let Err(error) = socket.read_to_end(&mut replies) {
                prop_assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
            }
            let mut witness = witness.borrow_mut();
            witness.send(&line("PING"));
            prop_assert_eq!(witness.read().to_string(), "+PONG");
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    drop(witness);
    let log = server.stop();
    assert!(!log.contains("crash"), "{log}");
}

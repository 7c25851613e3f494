//! Input that is wrong or too much.

use super::harness::{Client, Server, line, until};

#[test]
fn protocol_errors_get_redis_words_and_a_closed_connection() {
    let server = Server::start(&["--max-bulk", "1000", "--max-args", "10", "--max-request", "3000"]);
    for (bytes, error) in [
        (&b"*x\r\n"[..], "invalid multibulk length"),
        (b"*11\r\n", "invalid multibulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$1001\r\n", "invalid bulk length"),
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"SET \"a\r\n", "unbalanced quotes in request"),
        (&[b'x'; 70_000], "too big inline request"),
        (
            &[&b"*4\r\n"[..], b"$1000\r\n", &[b'x'; 1000], b"\r\n$1000\r\n", &[b'x'; 1000], b"\r\n$1000\r\n"]
                .concat(),
            "too big request",
        ),
    ] {
        let mut client = server.client();
        // What comes before it is answered, what comes behind it is not.
        client.send(b"PING\r\n");
        client.send(bytes);
        client.send(b"PING\r\nPING\r\n");
        assert_eq!(client.read().to_string(), "+PONG");
        assert_eq!(client.read().to_string(), format!("-ERR Protocol error: {error}"));
        client.expect_end();
    }
    // At the limits all is well.
    let mut client = server.client();
    let value = "x".repeat(1000);
    client.check(&format!("SET k {value}"), "+OK");
    client.check("EXISTS 1 2 3 4 5 6 7 8 9", ":0");
    client.check("APPEND k x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)");
}

#[test]
fn requests_that_make_no_sense_get_an_error_and_no_more() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (words, reply) in [
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("get a b", "-ERR wrong number of arguments for 'get' command"),
        ("MSET a", "-ERR wrong number of arguments for 'mset' command"),
        ("NOPE x", "-ERR unknown command 'NOPE', with args beginning with: 'x' "),
        ("SET k v EX 0", "-ERR invalid expire time in 'set' command"),
        ("SET k v FOO", "-ERR syntax error"),
        ("SELECT 1", "-ERR DB index is out of range"),
        ("SET k text", "+OK"),
        ("INCR k", "-ERR value is not an integer or out of range"),
        ("PING", "+PONG"),
    ] {
        client.check(words, reply);
    }
}

#[test]
fn one_client_too_many_is_told() {
    let server = Server::start(&["--max-clients", "2"]);
    let [mut first, mut second] = [server.client(), server.client()];
    first.check("PING", "+PONG");
    second.check("PING", "+PONG");
    let mut third = server.client();
    // Even if it has asked something already: the words must not be lost to a reset.
    third.send(&line("PING"));
    assert_eq!(third.read().to_string(), "-ERR max number of clients reached");
    third.expect_end();
    assert!(first.ask("INFO stats").contains("\r\nrejected_connections:1\r\n"));
    drop(second);
    until("its place is free again", || {
        let mut client = server.client();
        client.send(&line("PING"));
        (client.read().to_string() == "+PONG").then_some(())
    });
}

#[test]
fn announced_sizes_cost_nothing_before_they_arrive() {
    let server = Server::start(&[]);
    let before = server.memory_bytes();
    let mut clients: Vec<Client> = (0..50).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(b"*1000000\r\n$500000000\r\nabc");
    }
    server.client().check("PING", "+PONG");
    assert!(server.memory_bytes() < before + (64 << 20));
}

/// Clients for whom there is no descriptor wait until there is one.
#[cfg(target_os = "linux")]
#[test]
fn without_descriptors_clients_wait() {
    let server = Server::start(&[]);
    server.limit_files(32);
    let mut clients: Vec<Client> = (0..60).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(b"PING\r\n");
    }
    server.until_logged("clients cannot be accepted");
    for mut client in clients {
        assert_eq!(client.read().to_string(), "+PONG");
        // Dropped here: the next one gets its place.
    }
    server.client().check("PING", "+PONG");
    server.until_logged("clients are accepted again");
    // Once each time, not at each try.
    let log = server.stop();
    assert!(log.matches("clients cannot be accepted").count() < 60, "{log}");
}

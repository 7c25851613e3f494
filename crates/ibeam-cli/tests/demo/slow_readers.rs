//! Clients that do not read what they get.

use std::io::{ErrorKind, Write};

use super::harness::{Server, line, request, until};

const MIB: usize = 1 << 20;

/// Sends GETs without reading until the server takes no more. Long keys, so that the sockets' buffers hold few requests; a
/// server without back-pressure would take all and keep four times as much in replies.
#[test]
fn who_does_not_read_replies_is_not_read_from() {
    let server = Server::start(&[]);
    let [mut slow, mut other] = [server.client(), server.client()];
    let (key, value) = ([b'k'; 4_000], vec![b'v'; 16_000]);
    slow.send(&request(&[b"SET", &key, &value]));
    assert_eq!(slow.read().to_string(), "+OK");
    let before = server.memory_bytes();
    let get = request(&[b"GET", &key]);
    let limit = 128 * MIB / get.len();
    slow.socket().set_nonblocking(true).expect("a socket");
    let (mut sent, mut refused) = (0, 0);
    // Taken up again after others were served many times: then it is the server that does not read.
    while refused < 200 {
        match slow.socket().write(&get[sent % get.len()..]) {
            Ok(count) => {
                sent += count;
                refused = 0;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                refused += 1;
                other.check("PING", "+PONG");
            }
            Err(error) => panic!("{error}"),
        }
        assert!(sent / get.len() < limit, "it reads on and on");
    }
    let more = server.memory_bytes().saturating_sub(before);
    assert!(more < 64 * MIB, "{} MiB more", more / MIB);
    // Nothing is lost: as soon as it reads, it is served.
    slow.socket().set_nonblocking(false).expect("a socket");
    let rest = get[sent % get.len()..].to_vec();
    let requests = sent.div_ceil(get.len());
    let mut socket = slow.socket().try_clone().expect("a second handle");
    let writing = std::thread::spawn(move || socket.write_all(&rest).expect("it reads again"));
    for _ in 0..requests - usize::from(sent % get.len() == 0) {
        assert!(matches!(slow.read(), super::harness::Reply::Bulk(got) if got == value));
    }
    writing.join().expect("written");
}

#[test]
fn a_subscriber_that_does_not_read_is_disconnected() {
    let server = Server::start(&["--pubsub-buffer", "1MiB"]);
    let [mut slow, mut good, mut publisher] = [server.client(), server.client(), server.client()];
    slow.check("SUBSCRIBE c", "[subscribe c :1]");
    good.check("SUBSCRIBE c", "[subscribe c :1]");
    let before = server.memory_bytes();
    let message = vec![b'm'; 64 << 10];
    let mut sent = 0;
    until("one subscriber is left", || {
        publisher.send(&request(&[b"PUBLISH", b"c", &message]));
        sent += 1;
        assert!(sent < 2_000, "it is never disconnected");
        let count = publisher.read().to_string();
        // The other one reads, and stays.
        good.read();
        (count == ":1").then_some(())
    });
    let more = server.memory_bytes().saturating_sub(before);
    assert!(more < 64 * MIB, "{} MiB more", more / MIB);
    server.until_logged("does not read");
    good.check("PING", "[pong ]");
    publisher.send(&line("PING"));
    assert_eq!(publisher.read().to_string(), "+PONG");
    // What was written before is still there; then the stream ends.
    while let Ok(Some(_)) = slow.try_read() {}
}

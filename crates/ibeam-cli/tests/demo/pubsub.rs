//! Messages from connection to connection.

use super::harness::{Server, line, until};

#[test]
fn channels_and_patterns() {
    let server = Server::start(&[]);
    let [mut one, mut two, mut publisher] = [server.client(), server.client(), server.client()];
    publisher.check("PUBLISH news 0", ":0");
    one.check("SUBSCRIBE news", "[subscribe news :1]");
    two.check("PSUBSCRIBE n*", "[psubscribe n* :1]");
    two.check("SUBSCRIBE news", "[subscribe news :2]");
    publisher.check("PUBLISH news 1", ":3");
    publisher.check("PUBLISH nose 2", ":1");
    publisher.check("PUBLISH other 3", ":0");
    assert_eq!(one.read().to_string(), "[message news 1]");
    let mut got = [two.read().to_string(), two.read().to_string()];
    got.sort();
    assert_eq!(got, ["[message news 1]", "[pmessage n* news 1]"]);
    assert_eq!(two.read().to_string(), "[pmessage n* nose 2]");
    publisher.check("PUBSUB CHANNELS", "[news]");
    publisher.check("PUBSUB NUMSUB news", "[news :2]");
    publisher.check("PUBSUB NUMPAT", ":1");

    one.check("PING", "[pong ]");
    one.check(
        "GET a",
        "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
    );
    two.check("UNSUBSCRIBE news", "[unsubscribe news :1]");
    publisher.check("PUBLISH news 4", ":2");
    assert_eq!(two.read().to_string(), "[pmessage n* news 4]");
    two.check("PUNSUBSCRIBE", "[punsubscribe n* :0]");
    two.check("GET a", "nil");
    assert_eq!(one.read().to_string(), "[message news 4]");
    one.check("RESET", "+RESET");
    publisher.check("PUBLISH news 5", ":0");
    one.check("GET a", "nil");
}

#[test]
fn a_subscriber_that_goes_is_forgotten() {
    let server = Server::start(&[]);
    let [mut gone, mut publisher] = [server.client(), server.client()];
    gone.check("SUBSCRIBE news", "[subscribe news :1]");
    publisher.check("PUBLISH news 1", ":1");
    drop(gone);
    until("nobody listens any more", || (publisher.ask("PUBLISH news 2") == ":0").then_some(()));
    publisher.check("PUBSUB CHANNELS", "[]");
}

#[test]
fn messages_keep_their_order_behind_each_other() {
    let server = Server::start(&[]);
    let [mut subscriber, mut publisher] = [server.client(), server.client()];
    subscriber.check("SUBSCRIBE c", "[subscribe c :1]");
    let requests: Vec<u8> = (0..5_000).flat_map(|number| line(&format!("PUBLISH c {number}"))).collect();
    publisher.send(&requests);
    for number in 0..5_000 {
        assert_eq!(subscriber.read().to_string(), format!("[message c {number}]"));
        assert_eq!(publisher.read().to_string(), ":1");
    }
}

/// Each connection gets a message once per pattern that matches, and once for the channel.
#[test]
fn patterns_count_and_deliver_one_by_one() {
    let server = Server::start(&[]);
    let [mut one, mut two, mut publisher] = [server.client(), server.client(), server.client()];
    for (number, pattern) in ["n*", "*s", "n?ws", "x*"].into_iter().enumerate() {
        one.check(&format!("PSUBSCRIBE {pattern}"), &format!("[psubscribe {pattern} :{}]", number + 1));
    }
    one.check("PSUBSCRIBE n*", "[psubscribe n* :4]");
    two.check("PSUBSCRIBE n*", "[psubscribe n* :1]");
    publisher.check("PUBSUB NUMPAT", ":4");
    publisher.check("PUBLISH news 1", ":4");
    let mut got: Vec<_> = (0..3).map(|_| one.read().to_string()).collect();
    got.sort();
    assert_eq!(got, ["[pmessage *s news 1]", "[pmessage n* news 1]", "[pmessage n?ws news 1]"]);
    assert_eq!(two.read().to_string(), "[pmessage n* news 1]");
    // Who goes takes along what only it wanted.
    drop(one);
    until("its patterns are gone", || (publisher.ask("PUBSUB NUMPAT") == ":1").then_some(()));
    until("it is gone", || (publisher.ask("PUBLISH news 2") == ":1").then_some(()));
    assert_eq!(two.read().to_string(), "[pmessage n* news 2]");
}

/// What one client publishes comes in its order, whatever it is published to and why it is received.
#[test]
fn several_publishers_keep_their_orders() {
    const EACH: usize = 1_000;
    let server = Server::start(&[]);
    let mut subscriber = server.client();
    subscriber.check("SUBSCRIBE a", "[subscribe a :1]");
    subscriber.check("PSUBSCRIBE b*", "[psubscribe b* :2]");
    let mut publishers: Vec<_> = (0..3).map(|_| server.client()).collect();
    for (who, publisher) in publishers.iter_mut().enumerate() {
        let publish = |number: usize| {
            line(&format!("PUBLISH {} {who}:{number}", if number.is_multiple_of(2) { "a" } else { "bb" }))
        };
        publisher.send(&(0..EACH).flat_map(publish).collect::<Vec<u8>>());
    }
    let mut next = [0; 3];
    for _ in 0..3 * EACH {
        let message = subscriber.read().to_string();
        let (who, number) =
            message.trim_end_matches(']').rsplit_once(' ').expect("words").1.split_once(':').expect("two");
        let next: &mut usize = &mut next[who.parse::<usize>().expect("a number")];
        assert_eq!(number, next.to_string(), "{message}");
        let channel = if next.is_multiple_of(2) { "[message a " } else { "[pmessage b* bb " };
        assert!(message.starts_with(channel), "{message}");
        *next += 1;
    }
    assert_eq!(next, [EACH; 3]);
    for publisher in &mut publishers {
        for _ in 0..EACH {
            assert_eq!(publisher.read().to_string(), ":1");
        }
    }
}

#[test]
fn subscriptions_outlive_a_crash_of_the_hub() {
    let server = Server::start(&[]);
    let mut publisher = server.client();
    let mut subscribers: Vec<_> = (0..20).map(|_| server.client()).collect();
    for subscriber in &mut subscribers {
        subscriber.check("SUBSCRIBE c", "[subscribe c :1]");
    }
    publisher.check("DEBUG CRASH hub", "+OK");
    until("all are subscribed again", || (publisher.ask("PUBSUB NUMSUB c") == "[c :20]").then_some(()));
    publisher.check("PUBLISH c after", ":20");
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.read().to_string(), "[message c after]");
        subscriber.check("PING", "[pong ]");
        subscriber.check("UNSUBSCRIBE c", "[unsubscribe c :0]");
    }
    publisher.check("PUBLISH c nobody", ":0");
}

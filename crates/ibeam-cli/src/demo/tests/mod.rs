//! The whole server without sockets, processes and a clock, compared with what redis-server 7.0.15 answered.
//!
//! `redis-7.0.15.txt` holds the dialogues. To record or check them against a server:
//! `IBEAM_REDIS=127.0.0.1:6379 cargo test -p ibeam-cli -- --ignored redis` (it flushes that server's keys).

mod server;
mod transcript;

use proptest::prelude::*;
use server::Server;
use transcript::{Dialogue, Line, dialogues};

use super::small_bytes::SmallBytes;

const RECORDED: &str = include_str!("redis-7.0.15.txt");

/// What the dialogue's lines were answered with here.
fn play(dialogue: &Dialogue) -> Vec<Line> {
    let mut server = Server::new(3);
    let client = server.connect();
    dialogue
        .lines
        .iter()
        .map(|line| {
            let reply = server.send(client, &line.request);
            Line { request: line.request.clone(), reply, closed: server.is_closed(client) }
        })
        .collect()
}

#[test]
fn answers_as_redis_does() {
    let dialogues = dialogues(RECORDED);
    assert!(dialogues.len() > 20, "the file was read");
    for dialogue in dialogues {
        for (got, recorded) in play(&dialogue).iter().zip(&dialogue.lines) {
            assert_eq!(got.to_string(), recorded.to_string(), "in `{}`", dialogue.title);
        }
    }
}

/// Not a test of ours, but of the recording: that a real server still says the same.
#[test]
#[ignore = "needs a redis-server; see the module"]
fn redis_says_what_was_recorded() {
    let address = std::env::var("IBEAM_REDIS").expect("IBEAM_REDIS is a server's address");
    for dialogue in dialogues(RECORDED) {
        let spoken = transcript::speak(&address, &dialogue);
        for (got, recorded) in spoken.iter().zip(&dialogue.lines) {
            assert_eq!(got.to_string(), recorded.to_string(), "in `{}`", dialogue.title);
        }
    }
}

#[test]
fn messages_reach_subscribers_in_order_and_never_after_unsubscribe() {
    let mut server = Server::new(2);
    let [listener, speaker] = [server.connect(), server.connect()];
    server.send(listener, b"SUBSCRIBE a b\r\nPSUBSCRIBE a*\r\n");
    assert_eq!(server.send(speaker, b"PUBLISH a 1\r\nPUBLISH b 2\r\nPUBLISH c 3\r\n"), b":2\r\n:1\r\n:0\r\n");
    let expected = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n*4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$1\r\na\r\n$1\r\n1\r\n\
                     *3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$1\r\n2\r\n";
    assert_eq!(server.receive(listener).escape_ascii().to_string(), expected.escape_ascii().to_string());

    // On its way when the client unsubscribes.
    server.send(speaker, b"PUBLISH b 4\r\n");
    let confirmation = b"*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:2\r\n";
    assert_eq!(server.send(listener, b"UNSUBSCRIBE b\r\n"), confirmation);
    assert_eq!(server.receive(listener), b"");
    assert_eq!(server.send(speaker, b"PUBSUB NUMSUB a b\r\n"), b"*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:0\r\n");
    assert_eq!(server.send(listener, b"RESET\r\n"), b"+RESET\r\n");
    assert_eq!(server.send(speaker, b"PUBSUB CHANNELS\r\nPUBSUB NUMPAT\r\n"), b"*0\r\n:0\r\n");
}

#[test]
fn who_goes_takes_its_subscriptions_along() {
    let mut server = Server::new(1);
    let [listener, speaker] = [server.connect(), server.connect()];
    server.send(listener, b"SUBSCRIBE a\r\nPSUBSCRIBE b*\r\n");
    assert_eq!(server.send(speaker, b"PUBLISH a 1\r\nPUBLISH bb 1\r\n"), b":1\r\n:1\r\n");
    server.disconnect(listener);
    assert_eq!(server.send(speaker, b"PUBLISH a 1\r\n"), b":0\r\n");
}

#[test]
fn connections_describe_themselves() {
    let mut server = Server::new(1);
    let [first, second] = [server.connect(), server.connect()];
    assert_eq!(server.send(first, b"CLIENT ID\r\n"), b":1\r\n");
    server.send(first, b"CLIENT SETNAME one\r\n");
    server.send(second, b"SUBSCRIBE a b\r\nPSUBSCRIBE c\r\n");
    server.now += 12_000;
    let [one, two] = [
        "id=1 addr=127.0.0.1:50001 laddr=127.0.0.1:6399 name=one age=12 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 \
         cmd=client|list user=default redir=-1 resp=2\n",
        "id=2 addr=127.0.0.1:50002 laddr=127.0.0.1:6399 name= age=12 idle=12 flags=P db=0 sub=2 psub=1 ssub=0 multi=-1 \
         cmd=psubscribe user=default redir=-1 resp=2\n",
    ];
    for (filter, expected) in [
        ("", format!("{one}{two}")),
        ("TYPE normal", one.into()),
        ("TYPE pubsub", two.into()),
        ("TYPE replica", String::new()),
        ("ID 2 3", two.into()),
    ] {
        let reply = server.send(first, format!("CLIENT LIST {filter}\r\n").as_bytes());
        let expected = format!("${}\r\n{expected}\r\n", expected.len());
        assert_eq!(String::from_utf8_lossy(&reply), expected, "{filter}");
    }
    let info = server.send(first, b"CLIENT INFO\r\n");
    assert!(String::from_utf8_lossy(&info).contains("id=1 addr=127.0.0.1:50001"));
}

#[test]
fn what_differs_from_redis_on_purpose() {
    let mut server = Server::new(2);
    let client = server.connect();
    for (request, reply) in [
        ("HELLO 3", "-NOPROTO unsupported protocol version\r\n"),
        ("SELECT 1", "-ERR DB index is out of range\r\n"),
        ("CLIENT SETINFO LIB-NAME x", "+OK\r\n"),
        (
            "CONFIG SET port 1",
            "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config\r\n",
        ),
        ("CONFIG GET port MAXCL*", "*4\r\n$4\r\nport\r\n$4\r\n6399\r\n$10\r\nmaxclients\r\n$5\r\n10000\r\n"),
        ("COMMAND INFO nope", "*1\r\n$-1\r\n"),
        ("DEBUG CRASH SHARD 9", "-ERR no such shard\r\n"),
    ] {
        let got = server.send(client, format!("{request}\r\n").as_bytes());
        assert_eq!(String::from_utf8_lossy(&got), reply, "{request}");
    }
}

#[test]
fn help_and_command_lists_are_well_formed() {
    let mut server = Server::new(1);
    let client = server.connect();
    for request in [
        "COMMAND",
        "COMMAND DOCS",
        "COMMAND LIST",
        "CLIENT HELP",
        "CONFIG HELP",
        "PUBSUB HELP",
        "DEBUG HELP",
        "INFO",
    ] {
        let reply = server.send(client, format!("{request}\r\n").as_bytes());
        assert_eq!(transcript::reply_len(&reply), Some(reply.len()), "{request}");
        assert!(reply.len() > 100, "{request}");
    }
    let get = "*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n";
    let reply = server.send(client, b"COMMAND INFO get\r\n");
    assert!(String::from_utf8_lossy(&reply).contains(get));
}

#[test]
fn a_crashed_shard_fails_its_keys_and_no_others() {
    let mut server = Server::new(2);
    let client = server.connect();
    let keys: String = (0..20).map(|number| format!("SET k{number} v\r\n")).collect();
    assert_eq!(server.send(client, keys.as_bytes()), b"+OK\r\n".repeat(20));
    assert_eq!(server.send(client, b"DEBUG CRASH SHARD 1\r\n"), b"+OK\r\n");
    let gets: String = (0..20).map(|number| format!("GET k{number}\r\n")).collect();
    let reply = server.send(client, gets.as_bytes());
    let text = String::from_utf8_lossy(&reply);
    let (found, failed) =
        (text.matches("$1\r\nv\r\n").count(), text.matches("-ERR shard 1 is down\r\n").count());
    assert_eq!(found + failed, 20, "{text}");
    assert!(found > 0 && failed > 0);
}

#[test]
fn expiry_comes_with_the_clock_and_with_the_timer() {
    let mut server = Server::new(2);
    let client = server.connect();
    server.send(client, b"SET a 1 PX 100\r\nSET b 2 PX 200\r\nSET c 3\r\n");
    server.now += 101;
    assert_eq!(server.send(client, b"GET a\r\nPTTL b\r\nDBSIZE\r\n"), b"$-1\r\n:99\r\n:2\r\n");
    server.now += 100;
    assert_eq!(server.expire_due(), 1);
    assert_eq!(server.send(client, b"DBSIZE\r\n"), b":1\r\n");
    let info = server.send(client, b"INFO stats keyspace\r\n");
    let info = String::from_utf8_lossy(&info);
    assert!(info.contains("expired_keys:1\r\n") && info.contains("db0:keys=1,expires=0"), "{info}");
}

/// The same requests give the same replies however their bytes are cut into reads and however many shards there are.
fn request() -> impl Strategy<Value = String> {
    let key = || prop::sample::select(vec!["a", "b", "c", "d", "{a long key that does not fit inline}"]);
    let value = || prop::sample::select(vec!["1", "-7", "text", "a somewhat longer value, in \"quotes\""]);
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\\\""));
    prop_oneof![
        (key(), value()).prop_map(move |(key, value)| format!("SET {} {}", quoted(key), quoted(value))),
        (key(), value()).prop_map(move |(key, value)| format!("APPEND {} {}", quoted(key), quoted(value))),
        (key(), key(), value()).prop_map(move |(one, two, value)| {
            format!("MSET {} {} {} x", quoted(one), quoted(value), quoted(two))
        }),
        (key(), key()).prop_map(move |(one, two)| format!("MGET {} {} none", quoted(one), quoted(two))),
        (key(), key()).prop_map(move |(one, two)| format!("DEL {} {}", quoted(one), quoted(two))),
        key().prop_map(move |key| format!("GET {}", quoted(key))),
        key().prop_map(move |key| format!("INCRBY {} 5", quoted(key))),
        key().prop_map(move |key| format!("PEXPIRE {} 1000", quoted(key))),
        key().prop_map(move |key| format!("PTTL {}", quoted(key))),
        key().prop_map(move |key| format!("EXISTS {0} {0}", quoted(key))),
        Just("DBSIZE".to_owned()),
        Just("PING".to_owned()),
        Just("nonsense".to_owned()),
        Just("SET a".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn replies_do_not_depend_on_cuts_and_shards(
        requests in prop::collection::vec(request(), 1..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        shards in 1..5_usize,
    ) {
        let bytes: String = requests.iter().map(|request| format!("{request}\r\n")).collect();
        let bytes = bytes.as_bytes();
        let mut whole = Server::new(1);
        let client = whole.connect();
        let expected: Vec<u8> =
            requests.iter().flat_map(|request| whole.send(client, format!("{request}\r\n").as_bytes())).collect();

        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
        at.sort_unstable();
        let mut server = Server::new(shards);
        let client = server.connect();
        let got: Vec<u8> = at.windows(2).flat_map(|pair| server.send(client, &bytes[pair[0]..pair[1]])).collect();
        prop_assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(&expected));
    }
}

#[test]
fn a_large_value_goes_in_and_out() {
    let mut server = Server::new(2);
    let client = server.connect();
    let value = SmallBytes::from(vec![b'x'; 3_000_000]);
    let mut request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3000000\r\n".to_vec();
    request.extend_from_slice(&value);
    request.extend_from_slice(b"\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    let reply: Vec<u8> = request.chunks(16 * 1024).flat_map(|chunk| server.send(client, chunk)).collect();
    assert_eq!(reply.len(), b"+OK\r\n$3000000\r\n\r\n".len() + value.len());
    assert!(reply.starts_with(b"+OK\r\n$3000000\r\nxxx"));
}

//! Commands over the wire. What each replies in detail is compared with Redis in `src/demo/tests`.

use std::collections::HashMap;

use super::harness::{Client, Reply, Server, line, request, until};

#[test]
fn every_kind_of_command_works() {
    let server = Server::start(&["--shards", "3"]);
    let mut client = server.client();
    for (words, reply) in [
        ("PING", "+PONG"),
        ("ping hello", "hello"),
        ("ECHO x", "x"),
        ("SET a 1", "+OK"),
        ("SET a 2 NX", "nil"),
        ("SET a 2 XX GET", "1"),
        ("GET a", "2"),
        ("GETDEL a", "2"),
        ("GET a", "nil"),
        ("MSET a 1 b 2 c 3 d 4", "+OK"),
        ("MGET a b nope c d", "[1 2 nil 3 4]"),
        ("EXISTS a b a nope", ":3"),
        ("INCR a", ":2"),
        ("DECRBY a 5", ":-3"),
        ("APPEND a 9", ":3"),
        ("STRLEN a", ":3"),
        ("EXPIRE a 100", ":1"),
        ("TTL a", ":100"),
        ("PERSIST a", ":1"),
        ("TYPE a", "+string"),
        ("TYPE nope", "+none"),
        ("DBSIZE", ":4"),
        ("DEL a b nope", ":2"),
        ("SELECT 0", "+OK"),
        ("CONFIG GET maxclients", "[maxclients 10000]"),
        ("CLIENT SETNAME me", "+OK"),
        ("CLIENT GETNAME", "me"),
        ("FLUSHALL", "+OK"),
        ("DBSIZE", ":0"),
        ("RESET", "+RESET"),
        ("CLIENT GETNAME", "nil"),
        ("QUIT", "+OK"),
    ] {
        client.check(words, reply);
    }
    client.expect_end();
}

#[test]
fn scan_and_keys_find_all_keys() {
    let server = Server::start(&["--shards", "4"]);
    let mut client = server.client();
    for number in 0..500 {
        client.send(&line(&format!("SET key:{number} v")));
    }
    for _ in 0..500 {
        assert_eq!(client.read().to_string(), "+OK");
    }
    let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
    loop {
        client.send(&line(&format!("SCAN {cursor} COUNT 50")));
        let Reply::Array(parts) = client.read() else { panic!("not an array") };
        let [next, Reply::Array(keys)] = &parts[..] else { panic!("not a scan") };
        found.extend(keys.iter().map(ToString::to_string));
        cursor = next.to_string();
        if cursor == "0" {
            break;
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 500);
    client.send(&line("KEYS key:?"));
    assert!(matches!(client.read(), Reply::Array(keys) if keys.len() == 10));
}

#[test]
fn ten_thousand_requests_in_one_go() {
    let server = Server::start(&["--shards", "2"]);
    let client = server.client();
    let mut writer = Client::new(client.socket().try_clone().expect("a second handle"));
    let requests: Vec<u8> = (0..10_000).flat_map(|number| line(&format!("SET {number} {number}"))).collect();
    let reads: Vec<u8> = (0..10_000).flat_map(|number| line(&format!("GET {number}"))).collect();
    // Written beside the reading: replies that nobody reads hold requests back, as they should.
    let writing = std::thread::spawn(move || {
        writer.send(&requests);
        writer.send(&reads);
    });
    let mut client = client;
    for _ in 0..10_000 {
        assert_eq!(client.read().to_string(), "+OK");
    }
    for number in 0..10_000 {
        assert_eq!(client.read().to_string(), number.to_string());
    }
    writing.join().expect("written");
}

#[test]
fn requests_may_arrive_byte_by_byte() {
    let server = Server::start(&["--shards", "2"]);
    let mut client = server.client();
    let value = "x".repeat(300);
    let mut bytes = line(&format!("SET key {value}"));
    bytes.extend_from_slice(b"GET key\r\n");
    bytes.extend_from_slice(&line("MGET key nope"));
    for byte in bytes {
        client.send(&[byte]);
    }
    for reply in ["+OK", &value, &format!("[{value} nil]")] {
        assert_eq!(client.read().to_string(), reply);
    }
}

#[test]
fn values_are_any_bytes_of_any_length() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for len in [0, 1, 23, 24, 16_383, 16_384, 40_000, 3_000_000] {
        let value: Vec<u8> = (0..len).map(|index| (index * 7 % 256) as u8).collect();
        client.send(&request(&[b"SET", b"a key\r\n\0", &value]));
        assert_eq!(client.read().to_string(), "+OK");
        client.send(&request(&[b"GET", b"a key\r\n\0"]));
        assert!(client.read() == Reply::Bulk(value), "{len}");
    }
}

#[test]
fn keys_expire_without_being_looked_at() {
    let server = Server::start(&["--shards", "2"]);
    let mut client = server.client();
    for number in 0..100 {
        client.check(&format!("SET volatile:{number} v PX {}", 1 + number), "+OK");
    }
    client.check("SET lasting v EX 1000", "+OK");
    until("only the lasting key is left", || (client.ask("DBSIZE") == ":1").then_some(()));
    client.check("GET lasting", "v");
    let expired = info(&mut client, "stats")["expired_keys"].parse::<usize>().expect("a number");
    assert_eq!(expired, 100);
}

fn info(client: &mut Client, section: &str) -> HashMap<String, String> {
    let text = client.ask(&format!("INFO {section}"));
    let mut fields = HashMap::new();
    for line in text.split("\r\n").filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        let (name, value) = line.split_once(':').expect("name:value");
        assert!(fields.insert(name.to_owned(), value.to_owned()).is_none(), "{name} twice");
    }
    fields
}

#[test]
fn info_has_redis_fields_and_our_own() {
    let server = Server::start(&["--shards", "2", "--max-clients", "77"]);
    let mut client = server.client();
    let _other = server.client();
    client.check("MSET a 1 b 2 c 3", "+OK");
    client.check("EXPIRE a 100", ":1");
    client.check("GET a", "1");
    client.check("GET nope", "nil");
    let all = client.ask("INFO");
    for section in ["Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "Keyspace", "Ibeam"]
    {
        assert!(all.contains(&format!("# {section}\r\n")), "{section}: {all}");
    }
    until("both clients are counted", || {
        (info(&mut client, "clients")["connected_clients"] == "2").then_some(())
    });
    let fields = info(&mut client, "everything");
    for (name, value) in [
        ("redis_version", "7.0.15"),
        ("tcp_port", &server.address.port().to_string()),
        ("maxclients", "77"),
        ("role", "master"),
        ("db0", "keys=3,expires=1,avg_ttl=0"),
        ("keyspace_hits", "1"),
        ("keyspace_misses", "1"),
    ] {
        assert_eq!(fields[name], value, "{name}");
    }
    assert!(fields["processes"].parse::<usize>().expect("a number") >= 8);
}

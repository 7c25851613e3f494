//! CLIENT LIST, and Redis' own tools where they are installed.

use std::process::{Command, Output};

use super::harness::Server;

#[test]
fn client_list_shows_everyone() {
    let server = Server::start(&["--max-clients", "100"]);
    let mut clients: Vec<_> = (0..30).map(|_| server.client()).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        client.check(&format!("CLIENT SETNAME client-{index}"), "+OK");
    }
    clients[7].check("SUBSCRIBE c", "[subscribe c :1]");
    let list = clients[0].ask("CLIENT LIST");
    assert_eq!(list.lines().count(), 30, "{list}");
    for index in 0..30 {
        let line = list.lines().find(|line| line.contains(&format!(" name=client-{index} ")));
        let line = line.unwrap_or_else(|| panic!("client-{index} in {list}"));
        assert_eq!(line.contains(" flags=P ") && line.contains(" sub=1 "), index == 7, "{line}");
    }
    let subscribers = clients[0].ask("CLIENT LIST TYPE pubsub");
    assert!(subscribers.lines().count() == 1 && subscribers.contains("name=client-7 "), "{subscribers}");

    let [third, fifth] = [3, 5].map(|index| clients[index].ask("CLIENT ID").replace(':', ""));
    for asking in [0, 3] {
        let some = clients[asking].ask(&format!("CLIENT LIST ID {fifth} {third} {fifth} 1000"));
        let ids: Vec<_> =
            some.lines().filter_map(|line| line.strip_prefix("id=")?.split(' ').next()).collect();
        assert_eq!(ids, [&third[..], &fifth], "{some}");
    }
}

/// Those who ask at the same time answer each other.
#[test]
fn client_list_at_the_same_time() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = (0..10).map(|_| server.client()).collect();
    for client in &mut clients {
        client.check("PING", "+PONG");
    }
    for client in &mut clients {
        client.send(b"CLIENT LIST\r\n");
    }
    for client in &mut clients {
        let list = client.read().to_string();
        assert_eq!(list.lines().count(), 10, "{list}");
    }
}

/// Runs a tool of Redis' against the server; `None` if it is not installed.
fn tool(server: &Server, name: &str, args: &[&str]) -> Option<Output> {
    let port = server.address.port().to_string();
    Command::new(name).args(["-p", &port]).args(args).output().ok()
}

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn skipped(tool: &str) {
    println!("skipped: {tool} is not installed (Debian: redis-tools)");
}

#[test]
fn redis_cli() {
    let server = Server::start(&["--shards", "2"]);
    for (args, expected) in [
        (&["set", "greeting", "hello there", "ex", "60"][..], "OK\n"),
        (&["get", "greeting"], "hello there\n"),
        (&["incr", "n"], "1\n"),
        (&["get", "nope"], "\n"),
        (&["--scan", "--pattern", "gr*"], "greeting\n"),
        (&["publish", "news", "hi"], "0\n"),
        (&["debug", "crash", "shard"], "OK\n"),
    ] {
        let Some(output) = tool(&server, "redis-cli", args) else { return skipped("redis-cli") };
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{args:?}");
    }
}

#[test]
fn redis_benchmark() {
    let server = Server::start(&["--shards", "2"]);
    for pipeline in ["1", "16"] {
        let args =
            ["-t", "ping,set,get,incr,mset", "-n", "2000", "-c", "20", "-q", "-P", pipeline, "-r", "1000"];
        let Some(output) = tool(&server, "redis-benchmark", &args) else { return skipped("redis-benchmark") };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(text.matches("requests per second").count(), 6, "{text}");
        assert!(output.stderr.is_empty() && !text.contains("WARN"), "{output:?}");
    }
}

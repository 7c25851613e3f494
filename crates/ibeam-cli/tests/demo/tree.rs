//! INFO tree, and what the tree does when its processes crash.

use super::harness::{Client, Server, line, until};

/// The lines of INFO tree behind its title.
fn tree(client: &mut Client) -> Vec<String> {
    let text = client.ask("INFO tree");
    let lines = text.strip_prefix("# Tree\r\n").unwrap_or_else(|| panic!("{text}"));
    lines.lines().map(str::to_owned).collect()
}

/// With `_` for each pid.
fn without_pids(lines: &[String]) -> Vec<String> {
    let hide = |line: &String| {
        let (before, rest) = line.split_once('<')?;
        Some(format!("{before}_{}", rest.split_once('>')?.1))
    };
    lines.iter().map(|line| hide(line).unwrap_or_else(|| line.clone())).collect()
}

/// The pid in the line of this process.
#[track_caller]
fn pid_of(lines: &[String], who: &str) -> String {
    let line = lines.iter().find(|line| line.contains(who)).unwrap_or_else(|| panic!("{who}: {lines:#?}"));
    line[line.find('<').expect("a pid")..=line.find('>').expect("its end")].to_owned()
}

#[test]
fn it_shows_who_is_there() {
    let server = Server::start(&["--shards", "3"]);
    let [mut one, mut two] = [server.client(), server.client()];
    // Asked and answered: both have their processes.
    one.check("PING", "+PONG");
    two.check("PING", "+PONG");
    assert_eq!(
        without_pids(&tree(&mut one)),
        [
            "demo _ supervisor, 4 children",
            "├─ shards _ supervisor, 3 children",
            "│  ├─ 0 (shard-0) _ worker",
            "│  ├─ 1 (shard-1) _ worker",
            "│  └─ 2 (shard-2) _ worker",
            "├─ pubsub _ supervisor, 1 child",
            "│  └─ channels (channels.supervisor) _ supervisor, 1 child",
            "│     └─ channels _ supervisor, 1 child",
            "│        └─ 0 _ worker",
            "├─ walks _ supervisor, 0 children",
            "└─ clients _ supervisor, 4 children",
            "   ├─ client-ids _ supervisor, 1 child",
            "   │  └─ 0 _ worker",
            "   ├─ refusals _ supervisor, 0 children",
            "   ├─ connections _ supervisor, 2 children",
            "   │  ├─ connection-1 _ worker",
            "   │  └─ connection-2 _ worker",
            "   └─ listener _ worker",
        ]
    );
    drop(two);
    until("its process is gone", || {
        let lines = without_pids(&tree(&mut one));
        lines.contains(&"   ├─ connections _ supervisor, 1 child".to_owned()).then_some(())
    });
}

/// It is no field that a tool could read, so only who asks for it gets it.
#[test]
fn it_is_shown_when_it_is_asked_for() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for sections in ["", " all", " everything", " default", " clients"] {
        let text = client.ask(&format!("INFO{sections}"));
        assert!(text.contains("# Clients") && !text.contains("Tree"), "{text}");
    }
    let text = client.ask("INFO clients TREE");
    let (clients, tree) = text.split_once("\r\n\r\n").expect("two sections");
    assert!(clients.starts_with("# Clients\r\n") && tree.starts_with("# Tree\r\ndemo <"), "{text}");
}

#[test]
fn crashes_replace_one_process_and_no_other() {
    let server = Server::start(&["--shards", "2"]);
    let [mut client, mut other] = [server.client(), server.client()];
    client.check("PING", "+PONG");
    other.check("PING", "+PONG");
    let mut before = tree(&mut client);
    for (crash, who) in [("shard 1", "1 (shard-1) <"), ("hub", "│        └─ 0 <")] {
        client.check(&format!("DEBUG CRASH {crash}"), "+OK");
        let old = pid_of(&before, who);
        let after = until("it is back", || {
            let lines = tree(&mut client);
            lines
                .iter()
                .any(|line| line.contains(who) && line.contains('<') && !line.contains(&old))
                .then_some(lines)
        });
        // But for its pid nothing has changed.
        let new = pid_of(&after, who);
        assert_eq!(after, before.iter().map(|line| line.replace(&old, &new)).collect::<Vec<_>>());
        before = after;
    }
    // A connection is not started again: its client is the one who comes again.
    other.send(&line("DEBUG CRASH connection"));
    assert!(matches!(other.try_read(), Ok(None) | Err(_)));
    let gone = pid_of(&before, "connection-2");
    let after = until("it is gone", || {
        let lines = tree(&mut client);
        (!lines.iter().any(|line| line.contains(&gone))).then_some(lines)
    });
    let mut expected: Vec<_> = before.into_iter().filter(|line| !line.contains(&gone)).collect();
    for line in &mut expected {
        if line.contains(" connections ") {
            *line = line.replace("2 children", "1 child");
        }
        *line = line.replace("├─ connection-1", "└─ connection-1");
    }
    assert_eq!(after, expected);
    let mut again = server.client();
    again.check("PING", "+PONG");
    assert!(pid_of(&tree(&mut client), "connection-3") != gone);
}

#[test]
fn many_children_are_counted_and_some_shown() {
    const SHOWN: usize = 16;
    let server = Server::start(&["--shards", "40"]);
    let mut clients: Vec<_> = (0..300).map(|_| server.client()).collect();
    for client in &mut clients {
        client.check("PING", "+PONG");
    }
    let lines = tree(&mut clients[0]);
    for (supervisor, children) in [("shards", 40), ("connections", 300)] {
        let at = lines.iter().position(|line| line.contains(&format!("─ {supervisor} "))).expect(supervisor);
        assert!(lines[at].ends_with(&format!(" supervisor, {children} children")), "{}", lines[at]);
        assert!(lines[at + 1..][..SHOWN].iter().all(|line| line.ends_with(" worker")), "{lines:#?}");
        assert!(lines[at + 1 + SHOWN].ends_with(&format!("└─ … {} more", children - SHOWN)), "{lines:#?}");
    }
    // Root, four parts, three of PubSub's, client-ids and its partition, refusals, connections, listener; and what is shown of the two that have many.
    assert_eq!(lines.len(), 13 + 2 * (SHOWN + 1), "{lines:#?}");
}

#[test]
fn no_more_clients_than_there_may_be_children() {
    const PLACES: usize = 5;
    let server = Server::start(&["--max-clients", &PLACES.to_string()]);
    let mut all: Vec<_> = (0..60).map(|_| server.client()).collect();
    for client in &mut all {
        client.send(&line("PING"));
    }
    let (mut served, mut refused) = (Vec::new(), 0);
    for mut client in all {
        match client.read().to_string().as_str() {
            "+PONG" => served.push(client),
            "-ERR max number of clients reached" => {
                client.expect_end();
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!((served.len(), refused), (PLACES, 60 - PLACES));
    let lines = without_pids(&tree(&mut served[0]));
    assert!(lines.contains(&format!("   ├─ connections _ supervisor, {PLACES} children")), "{lines:#?}");
    let info = served[0].ask("INFO");
    for field in [
        format!("connected_clients:{PLACES}"),
        format!("total_connections_received:{PLACES}"),
        format!("rejected_connections:{}", 60 - PLACES),
    ] {
        assert!(info.contains(&format!("{field}\r\n")), "{field}: {info}");
    }
    // A crash frees a place as well as a good-bye.
    for end in ["DEBUG CRASH connection", "QUIT"] {
        let mut client = served.pop().expect("there are five");
        client.send(&line(end));
        while let Ok(Some(_)) = client.try_read() {}
        until("its place is free", || {
            let mut client = server.client();
            (client.ask("PING") == "+PONG").then(|| served.insert(0, client))
        });
    }
}

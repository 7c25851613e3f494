//! How it starts, and what it says of itself.

use super::harness::{Server, ibeam};

#[test]
fn the_greeting_says_where_it_listens_and_what_to_try() {
    let server = Server::start(&[]);
    let port = server.address.port();
    assert_ne!(port, 0);
    for words in ["redis-cli", "subscribe", "debug crash shard", "redis-benchmark"] {
        let line = server.greeting.lines().find(|line| line.contains(words)).expect(words);
        assert!(line.contains(&format!("-p {port}")), "{line}");
    }
    server.client().check("PING", "+PONG");
}

#[test]
fn the_subcommand_may_be_said() {
    let server = Server::start(&["demo", "--shards", "3", "--workers", "1"]);
    server.client().check("PING", "+PONG");
}

#[test]
fn help_explains_every_option() {
    for args in [&["--help"][..], &["demo", "--help"]] {
        let output = ibeam(args).output().expect("it starts");
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).expect("text");
        for option in [
            "listen",
            "shards",
            "workers",
            "max-clients",
            "max-bulk",
            "max-args",
            "max-request",
            "output-buffer",
            "pubsub-buffer",
            "shutdown-timeout",
            "idle-timeout",
        ] {
            let rest = text.split_once(&format!("--{option} <")).expect(option).1;
            // The next line explains it.
            let explanation = rest.lines().nth(1).unwrap_or_default().trim();
            assert!(explanation.len() > 20 && !explanation.starts_with('-'), "{option}: {explanation}");
        }
    }
}

#[test]
fn a_wrong_option_is_an_error_that_names_it() {
    for (args, words) in
        [(&["--port", "1"][..], "--port"), (&["--max-bulk", "1x"], "expected bytes"), (&["serve"], "serve")]
    {
        let output = ibeam(args).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{output:?}");
    }
}

#[test]
fn a_port_that_is_taken_is_an_error_that_says_so() {
    let server = Server::start(&[]);
    let output = ibeam(&["--listen", &server.address.to_string()]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    let address = server.address.to_string();
    assert!(text.contains("cannot serve on") && text.contains(&address) && text.contains("in use"), "{text}");
    assert!(output.stdout.is_empty(), "it must not say that it listens");
}

#[test]
fn what_is_logged_begins_after_the_greeting() {
    let server = Server::start(&[]);
    server.client().check("DEBUG CRASH shard", "+OK");
    // That the tree has started is what the greeting says; that a shard is back is news.
    server.until_logged("child `0` started as");
    let log = server.stop();
    assert_eq!(log.matches(" started as").count(), 1, "{log}");
}

//! What the tree does when one of its supervisors, or the listener, is gone: no command of the demo's can cause that.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use ibeam::prelude::*;
use ibeam::process::list;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::options::Cli;
use super::Demo;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Client(BufReader<TcpStream>);

impl Client {
    async fn new(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.expect("it listens")))
    }

    /// The first line of the reply; empty at the end of the stream.
    async fn ask(&mut self, request: &str) -> String {
        let request = format!("{request}\r\n");
        let mut line = String::new();
        // A connection that was killed may be reset.
        if self.0.get_mut().write_all(request.as_bytes()).await.is_ok() {
            let _reset = self.0.read_line(&mut line).await;
        }
        line.trim_end().to_owned()
    }
}

/// Runs the demo, and `body` in the process that has started it.
fn with_demo<B: Future<Output = ()> + Send + 'static>(body: impl FnOnce(SocketAddr) -> B + Send + 'static) {
    let options =
        Cli::try_parse_from(["ibeam", "--listen=127.0.0.1:0", "--shards=2"]).expect("valid").into_demo();
    let runtime = Runtime::builder().workers(2).build().expect("a runtime");
    runtime.block_on(async move {
        process::trap_exit(true);
        let demo = Demo::start(options).await.expect("it starts");
        let before = process::whereis(super::tree::ROOT);
        body(demo.address()).await;
        assert_eq!(process::whereis(super::tree::ROOT), before, "the root has not been restarted");
        demo.stop().await.expect("it stops");
        let nobody_else = async {
            while list().len() > 1 {
                process::yield_now().await;
            }
        };
        assert!(timeout(PATIENCE, nobody_else).await.is_ok(), "processes outlive the tree: {:?}", list());
    });
}

/// Kills the process of this name, and waits until it is back.
async fn kill(name: &str) {
    let old = process::whereis(name).expect(name);
    let monitor = process::monitor(old);
    process::kill(old);
    receive! { Down { monitor: gone, .. } if gone == monitor => {} }
    let is_back = async {
        while process::whereis(name).is_none_or(|pid| pid == old) {
            process::yield_now().await;
        }
    };
    assert!(timeout(PATIENCE, is_back).await.is_ok(), "`{name}` is not restarted");
}

#[test]
fn a_listener_that_is_gone_comes_back_and_closes_no_connection() {
    with_demo(|address| async move {
        let mut client = Client::new(address).await;
        assert_eq!(client.ask("SET k v").await, "+OK");
        let (connections, listener) = (process::whereis("connections"), process::whereis("listener"));
        kill("listener").await;
        assert_ne!(process::whereis("listener"), listener);
        assert_eq!(process::whereis("connections"), connections);
        assert_eq!(client.ask("GET k").await, "$1");
        assert_eq!(Client::new(address).await.ask("PING").await, "+PONG");
    });
}

#[test]
fn without_the_connections_supervisor_the_listener_starts_anew_too() {
    with_demo(|address| async move {
        let mut client = Client::new(address).await;
        assert_eq!(client.ask("SET k v").await, "+OK");
        let (refusals, listener) = (process::whereis("refusals"), process::whereis("listener"));
        let shard = process::whereis("shard-0");
        kill("connections").await;
        // Its children go with it; the keys are others' business.
        assert_eq!(client.ask("PING").await, "");
        let mut again = Client::new(address).await;
        assert_eq!(again.ask("GET k").await, "$1");
        assert_ne!(process::whereis("listener"), listener);
        assert_eq!((process::whereis("refusals"), process::whereis("shard-0")), (refusals, shard));
    });
}

#[test]
fn without_the_registry_of_clients_all_of_them_come_again() {
    with_demo(|address| async move {
        let mut client = Client::new(address).await;
        assert_eq!(client.ask("SET k v").await, "+OK");
        kill("client-ids").await;
        assert_eq!(client.ask("PING").await, "");
        let (mut one, mut two) = (Client::new(address).await, Client::new(address).await);
        assert_eq!(one.ask("GET k").await, "$1");
        assert_eq!(one.ask("").await, "v");
        let id = two.ask("CLIENT ID").await.replace(':', "");
        assert_eq!(one.ask(&format!("DEBUG CRASH connection {id}")).await, "+OK");
        assert_eq!(two.ask("").await, "");
    });
}

#[test]
fn without_the_shards_supervisor_connections_wait_for_the_next_one() {
    with_demo(|address| async move {
        let mut client = Client::new(address).await;
        assert_eq!(client.ask("SET k v").await, "+OK");
        kill("shards").await;
        // A killed supervisor's children die by themselves, so at first it may be an old shard that has the request.
        loop {
            match client.ask("GET k").await.as_str() {
                "$-1" => break,
                "$1" => assert_eq!(client.ask("").await, "v"),
                error => assert!(error.contains("crashed while it had this request"), "{error}"),
            }
        }
        assert_eq!(client.ask("SET k v").await, "+OK");
    });
}

#[test]
fn without_a_process_of_the_bus_connections_subscribe_anew() {
    with_demo(|address| async move {
        let mut publisher = Client::new(address).await;
        // The supervisor above it, its own, and that of its registry.
        for process in ["pubsub", "channels.supervisor", "channels"] {
            let mut subscriber = Client::new(address).await;
            assert_eq!(subscriber.ask("SUBSCRIBE c").await, "*3");
            assert_eq!(subscriber.ask("PSUBSCRIBE ?").await, "$9");
            kill(process).await;
            while publisher.ask("PUBLISH c m").await != ":2" {
                process::yield_now().await;
            }
            drop(subscriber);
            while publisher.ask("PUBLISH c m").await != ":0" {
                process::yield_now().await;
            }
            assert_eq!(publisher.ask("PUBSUB NUMPAT").await, ":0");
        }
    });
}

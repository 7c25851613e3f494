//! The demo's processes: one supervision tree.
//!
//! ```text
//! demo ─┬─ shards ─┬─ shard-0          keys, each shard a GenServer
//!       │          └─ shard-1 …
//!       ├─ hub                         who listens to what
//!       ├─ connections ─┬─ connection-1    one process per client
//!       │               └─ connection-2 …
//!       └─ listener                    accepts
//! ```
//!
//! A stop ([`Demo::stop`]) ends the listener, then asks all connections at once to finish what they are at; when they have,
//! or their time is over, the tree is stopped in the reverse order, which leaves the shards and the hub to the end.

mod connection;
mod context;
mod hub_server;
mod listener;
mod shard_server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ibeam::prelude::*;
use tokio::net::{TcpListener, TcpSocket};

use super::options::DemoOptions;

use self::context::Context;
use self::hub_server::HubServer;
use self::shard_server::ShardServer;

/// The server, running.
pub(crate) struct Demo {
    tree: SupervisorRef,
    context: Arc<Context>,
}

/// How often a shard may crash before the shards' supervisor gives up: DEBUG CRASH is there to be used.
const SHARD_RESTARTS: usize = 1_000;

impl Demo {
    /// Binds the address and starts the tree. Runs in a process.
    ///
    /// # Errors
    /// The address cannot be had, or a child does not start.
    pub(crate) async fn start(options: DemoOptions) -> Result<Self, ExitReason> {
        let listener = Arc::new(listen(options.listen)?);
        let context = Arc::new(Context::new(options, listener.local_addr()?));

        let mut shards =
            Supervisor::new(Strategy::OneForOne).intensity(SHARD_RESTARTS, Duration::from_secs(5));
        for index in 0..context.settings.router.shards() {
            shards = shards.child(ShardServer::child_spec(index, context.options.max_bulk.0));
        }
        let connections = Supervisor::new(Strategy::OneForOne).name(context::CONNECTIONS);
        let tree = Supervisor::new(Strategy::OneForOne)
            .name("demo")
            .child(shards.into_child("shards"))
            .child(ChildSpec::server("hub", || HubServer::start_link().name(hub_server::NAME)))
            .child(connections.into_child("connections"))
            .child(listener::child_spec(listener, Arc::clone(&context)))
            .start_link()
            .await?;
        Ok(Self { tree, context })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.context.address
    }

    /// Waits until a client asks for the end.
    pub(crate) async fn shutdown_asked(&self) {
        self.context.shutdown.notified().await;
    }

    /// Lets nobody in any more, has all connections finish what they are at, side by side, and stops the tree.
    ///
    /// # Errors
    /// The tree did not stop in time.
    pub(crate) async fn stop(&self) -> Result<(), CallError> {
        // It is not there while it is being restarted; then it finds its supervisor gone.
        let _ended = self.tree.terminate_child(listener::ID).await;
        if let Some(connections) = process::whereis(context::CONNECTIONS) {
            for child in SupervisorRef::of(connections).which_children().await? {
                if let Some(pid) = child.pid {
                    process::exit_signal(pid, ExitReason::Shutdown);
                }
            }
        }
        let all_gone = async {
            while self.context.clients() > 0 {
                self.context.vacant.notified().await;
            }
        };
        if tokio::time::timeout(self.context.options.shutdown_timeout.0, all_gone).await.is_err() {
            tracing::warn!("{} clients were cut off: their time was over", self.context.clients());
        }
        self.tree.stop(ExitReason::Shutdown, TREE_PATIENCE).await
    }
}

/// How long the tree may take to stop, without its connections: they are gone by then, or killed.
const TREE_PATIENCE: Duration = Duration::from_secs(10);

/// How many clients may wait to be accepted. Clients that come in a crowd while this program does not run, for a time slice of
/// the system's, must fit: one that does not tries again after a whole second. The system may allow fewer.
const BACKLOG: u32 = 4_096;

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a restarted server gets its port while old connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The wall clock in milliseconds: deadlines of keys are points in time that clients name.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

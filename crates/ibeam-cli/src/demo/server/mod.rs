//! The demo's processes: one supervision tree ([`tree`]), and the handle of who started it.

mod ask;
mod bus;
mod connection;
mod connections;
mod context;
mod listener;
mod shard_server;
mod tree;
mod walks;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ibeam::prelude::*;
use tokio::net::{TcpListener, TcpSocket};

use super::options::DemoOptions;

use self::connections::GRACE;
use self::context::Context;

/// The server, running.
pub(crate) struct Demo {
    tree: SupervisorRef,
    context: Arc<Context>,
}

impl Demo {
    /// Binds the address and starts the tree. Runs in a process.
    ///
    /// # Errors
    /// The address cannot be had, or a child does not start.
    pub(crate) async fn start(options: DemoOptions) -> Result<Self, ExitReason> {
        let listener = Arc::new(listen(options.listen)?);
        let context = Arc::new(Context::new(options, listener.local_addr()?));
        let tree = tree::demo(listener, &context).start_link().await?;
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

    /// Stops the tree from its end: nobody is let in any more, all connections finish what they are at, side by side, and all else
    /// goes last.
    ///
    /// # Errors
    /// The tree did not stop in time.
    pub(crate) async fn stop(&self) -> Result<(), CallError> {
        let connections = self.context.options.shutdown_timeout.0 + GRACE;
        let stopped = self.tree.stop(ExitReason::Shutdown, connections + TREE_PATIENCE).await;
        let cut_off = self.context.cut_off();
        if cut_off > 0 {
            tracing::warn!("{cut_off} clients were cut off: their time was over");
        }
        stopped
    }
}

/// How long the tree may take to stop beside its connections.
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

//! The supervisors of processes that serve one client each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ibeam::dynamic_supervisor::Template;
use ibeam::prelude::*;
use ibeam::supervisor::Shutdown;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connection::Connection;
use super::context::Context;

/// A client that was accepted, on its way to the process that serves it. Who takes the socket has it.
#[derive(Clone)]
pub(super) struct Client(Arc<Mutex<Option<(TcpStream, SocketAddr)>>>);

impl Client {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        Self(Arc::new(Mutex::new(Some((stream, peer)))))
    }

    /// There is one start of a child with it, so one that finds nothing is nobody's.
    fn take(&self) -> Result<(TcpStream, SocketAddr), StartError> {
        self.0.lock().take().ok_or(StartError::Ignored)
    }
}

/// A dynamic supervisor whose children serve a client each.
pub(super) type ClientsRef = DynamicSupervisorRef<Template<Client>>;
type Clients = DynamicSupervisor<Template<Client>>;

/// Which process serves the client with this number (CLIENT ID). A connection is in it while it can be found.
pub(super) type ClientIds = Registry<u64, ()>;

/// The name of the [`ClientIds`].
pub(super) const CLIENT_IDS: &str = "client-ids";
/// The name of the connections' supervisor.
pub(super) const CONNECTIONS: &str = "connections";
/// The name of the refusals' supervisor.
pub(super) const REFUSALS: &str = "refusals";

/// How much longer than its own patience a connection is left alone at the end: it says by itself when its time is over.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// One process per client, as many as there may be.
pub(super) fn connections(context: &Arc<Context>) -> Clients {
    let limit = context.options.max_clients as usize;
    let shutdown = context.options.shutdown_timeout.0 + GRACE;
    let context = Arc::clone(context);
    let connection = move |client: Client| {
        let context = Arc::clone(&context);
        ChildSpec::new("connection", move || {
            let (client, context) = (client.take(), Arc::clone(&context));
            async move {
                let (stream, peer) = client?;
                let id = context.next_connection();
                let process = process::builder().name(Context::connection_name(id)).link().trap_exit();
                Ok(process.spawn(Box::new(Connection::new(stream, peer, id, context)).serve()))
            }
        })
        .restart(Restart::Temporary)
        .shutdown(shutdown)
    };
    DynamicSupervisor::new(CONNECTIONS).max_children(limit).template(connection)
}

/// At most so many refusals are on their way at once; beyond that clients are dropped without a word.
const REFUSALS_MAX: usize = 64;

/// One process per client who has to be told that there is no room.
pub(super) fn refusals() -> Clients {
    let refusal = |client: Client| {
        ChildSpec::new("refusal", move || {
            let client = client.take();
            async move { Ok(process::spawn_link(refuse(client?.0))) }
        })
        .restart(Restart::Temporary)
        .shutdown(Shutdown::BrutalKill)
    };
    DynamicSupervisor::new(REFUSALS).max_children(REFUSALS_MAX).template(refusal)
}

async fn refuse(mut stream: TcpStream) {
    let tell = async {
        stream.write_all(b"-ERR max number of clients reached\r\n").await?;
        stream.shutdown().await?;
        // Until the client closes: a request that lies here unread would turn our closing into a reset, and the words
        // would be lost.
        let mut unread = [0; 256];
        while stream.read(&mut unread).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    let _told_or_gone = tokio::time::timeout(Duration::from_secs(1), tell).await;
}

//! The listener: accepts clients and has a process started for each.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use ibeam::prelude::*;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::connection::Connection;
use super::context::{self, Context};

/// How long it waits after a failure that will not be over at once, such as no more descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Its id in the tree.
pub(super) const ID: &str = "listener";

pub(super) fn child_spec(listener: Arc<TcpListener>, context: Arc<Context>) -> ChildSpec {
    ChildSpec::new(ID, move || {
        let (listener, context) = (Arc::clone(&listener), Arc::clone(&context));
        async move { Ok(process::builder().name(ID).link().spawn(accept(listener, context))) }
    })
}

async fn accept(listener: Arc<TcpListener>, context: Arc<Context>) -> ExitReason {
    let refusing = Arc::new(AtomicUsize::new(0));
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("clients are accepted again");
                }
                // Replies are whole; waiting for more to send with them only delays.
                let _best_effort = stream.set_nodelay(true);
                let Some((place, id)) = context.admit() else {
                    refuse(stream, &refusing);
                    continue;
                };
                let Some(connections) = process::whereis(context::CONNECTIONS).map(SupervisorRef::of) else {
                    // Being restarted: this client is dropped with its socket.
                    continue;
                };
                let connection = Connection::new(stream, peer, id, place);
                if let Err(error) = connections.start_child(connection_spec(id, connection)).await {
                    tracing::warn!(%peer, "a client was dropped: {error}");
                }
            }
            // This client is gone again; the next one may be fine.
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                // Once, not twenty times a second until somebody closes a descriptor.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!("clients cannot be accepted, trying again: {error}");
                }
                process::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// A connection is started once: its socket cannot be had again. Whoever stops the server has asked it to end before, together
/// with all others ([`Demo::stop`](super::Demo::stop)); asking one after the other would take each one's time.
fn connection_spec(id: u64, connection: Connection) -> ChildSpec {
    // Boxed: the supervisor keeps the spec, and this place in it, as long as the connection lives.
    let connection = Mutex::new(Some(Box::new(connection)));
    let name = Context::connection_name(id);
    ChildSpec::new(name.clone(), move || {
        let (connection, name) = (connection.lock().take(), name.clone());
        async move {
            let connection = connection.ok_or(StartError::Ignored)?;
            Ok(process::builder().name(name).link().trap_exit().spawn(connection.serve()))
        }
    })
    .restart(Restart::Temporary)
    .shutdown(Shutdown::BrutalKill)
}

/// At most so many refusals are on their way at once; beyond that clients are dropped without a word.
const REFUSALS_MAX: usize = 64;

fn refuse(mut stream: TcpStream, refusing: &Arc<AtomicUsize>) {
    if refusing.fetch_add(1, Relaxed) >= REFUSALS_MAX {
        refusing.fetch_sub(1, Relaxed);
        return;
    }
    let refusing = Arc::clone(refusing);
    process::spawn(async move {
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
        refusing.fetch_sub(1, Relaxed);
    });
}

//! The listener: accepts clients and has a process started for each.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use ibeam::prelude::*;
use tokio::net::TcpListener;

use super::connections::{Client, ClientsRef, REFUSALS};
use super::context::Context;

/// How long it waits after a failure that will not be over at once, such as no more descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

const NAME: &str = "listener";

pub(super) fn child_spec(socket: Arc<TcpListener>, context: &Arc<Context>) -> ChildSpec {
    let context = Arc::clone(context);
    ChildSpec::new(NAME, move || {
        let (socket, context) = (Arc::clone(&socket), Arc::clone(&context));
        async move { Ok(process::builder().name(NAME).link().spawn(accept(socket, context))) }
    })
}

async fn accept(socket: Arc<TcpListener>, context: Arc<Context>) -> ExitReason {
    let refusals = ClientsRef::named_template(REFUSALS);
    let mut failing = false;
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("clients are accepted again");
                }
                // Replies are whole; waiting for more to send with them only delays.
                let _best_effort = stream.set_nodelay(true);
                let client = Client::new(stream, peer);
                match context.connections.start_child(client.clone()).await {
                    Ok(_) => {}
                    Err(DynamicStartError::MaxChildren { .. }) => {
                        context.count_rejected();
                        // Too many of these, and it is dropped with its socket.
                        let _told_or_dropped = refusals.start_child(client).await;
                    }
                    Err(error) => tracing::warn!(%peer, "a client was dropped: {error}"),
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

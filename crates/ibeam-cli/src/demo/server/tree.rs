//! The supervision tree: who belongs together, who is restarted when, in which order things stop.
//!
//! ```text
//! demo             one_for_one    supervisor
//! ├─ shards        one_for_one    partition supervisor
//! │  ├─ 0          permanent      keys: one shard GenServer per partition
//! │  └─ 1 …
//! ├─ pubsub        one_for_one    supervisor
//! │  └─ channels   permanent      PubSub: who listens to what
//! ├─ walks         temporary …    task supervisor: who goes over all keys, for KEYS and SCAN
//! └─ clients       rest_for_one   supervisor
//!    ├─ client-ids                registry: which process serves whom
//!    ├─ refusals   temporary …    dynamic supervisor: those for whom there is no room are told so
//!    ├─ connections               dynamic supervisor, at most as many as `--max-clients`
//!    │  └─ temporary …            one process per client
//!    └─ listener   permanent      accepts
//! ```
//!
//! - **demo** restarts one part without the others: they find each other by name, and wait for one that is being restarted. Connections
//!   subscribe anew if PubSub was; nobody's client has to notice. Each part is a supervisor of its own, so that the
//!   crashes of one do not use up the restarts of another.
//! - **shards** share nothing: a crash costs the keys of one. They may crash often, because DEBUG CRASH is there to be used; in
//!   production a few times within seconds would be enough to give up. The same goes for PubSub.
//! - **walks** take long, and have a process each, so that neither a shard nor another client waits for them. One that crashes is an
//!   error for who has asked for it.
//! - **clients** start in order, and what comes later needs what is before it: without its supervisor there is nobody to whom the listener
//!   could give a client, so it does not outlive it, and a connection that is not in **client-ids** could not be found. The other way round, a crash of the listener closes no connection. Its socket is
//!   not its own, and stays open meanwhile.
//! - **connections** are temporary: a socket is gone with the process that had it, and it is the client who comes again.
//!
//! A stop goes the other way: nobody is accepted any more, connections finish what they are at, side by side, within their time, and
//! all else is there for them until the last has gone.

use std::sync::Arc;
use std::time::Duration;

use ibeam::prelude::*;
use ibeam::supervisor::ServerChild;
use tokio::net::TcpListener;

use super::bus::Bus;
use super::connections::ClientIds;
use super::context::Context;
use super::shard_server::ShardServer;
use super::{connections, listener, walks};

/// The root's name.
pub(super) const ROOT: &str = "demo";
const PUBSUB: &str = "pubsub";
const CLIENTS: &str = "clients";

/// How often shards, or PubSub, may crash within 5 s before their supervisor gives up.
const CRASHES: usize = 1_000;
const WITHIN: Duration = Duration::from_secs(5);

pub(super) fn demo(socket: Arc<TcpListener>, context: &Arc<Context>) -> Supervisor {
    let pubsub =
        Supervisor::new(Strategy::OneForOne).name(PUBSUB).intensity(CRASHES, WITHIN).child(Bus::processes());
    let clients = Supervisor::new(Strategy::RestForOne)
        .name(CLIENTS)
        .child(ClientIds::unique(connections::CLIENT_IDS))
        .child(connections::refusals())
        .child(connections::connections(context))
        .child(listener::child_spec(socket, context));
    Supervisor::new(Strategy::OneForOne)
        .name(ROOT)
        .child(shards(context))
        .child(pubsub.into_child(PUBSUB))
        .child(TaskSupervisor::new(walks::NAME))
        .child(clients.into_child(CLIENTS))
}

pub(super) fn shards(context: &Context) -> PartitionSupervisor<ServerChild<ShardServer>> {
    let value_bytes_max = context.options.max_bulk.0;
    let shard = move |index| ShardServer::partition(index, value_bytes_max);
    PartitionSupervisor::with_arguments(ShardServer::PARTITIONS, shard)
        .partitions(context.settings.router.shards())
        .intensity(CRASHES, WITHIN)
}

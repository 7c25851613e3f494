//! What all processes of the server share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use ibeam::prelude::*;
use tokio::sync::Notify;

use super::super::command::ClientFilter;
use super::super::info::Snapshot;
use super::super::options::DemoOptions;
use super::super::session::{ClientInfo, Settings};
use super::super::shard::{ShardReply, ShardRequest};
use super::connection::{Describe, send_all};
use super::hub_server::{self, HubServer, HubServerClient};
use super::shard_server::{ShardServer, ShardServerClient};

/// The name of the connections' supervisor.
pub(super) const CONNECTIONS: &str = "connections";

/// Settings that nobody changes, and counters.
pub(super) struct Context {
    pub(super) options: DemoOptions,
    pub(super) settings: Settings,
    pub(super) address: SocketAddr,
    /// A client has asked for the end.
    pub(super) shutdown: Notify,
    pub(super) hub: ServerRef<HubServer>,
    pub(super) shards: Vec<ServerRef<ShardServer>>,
    started: Instant,
    next_id: AtomicU64,
    clients: AtomicUsize,
    /// Told when the last client has gone.
    pub(super) vacant: Notify,
    rejected: AtomicU64,
    pub(super) commands: AtomicU64,
}

/// One of the places for clients; free again when it is dropped.
pub(super) struct Place(std::sync::Arc<Context>);

impl std::ops::Deref for Place {
    type Target = std::sync::Arc<Context>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.clients.fetch_sub(1, Relaxed) == 1 {
            self.0.vacant.notify_one();
        }
    }
}

impl Context {
    pub(super) fn new(options: DemoOptions, address: SocketAddr) -> Self {
        let settings = options.settings(address);
        let shards =
            (0..settings.router.shards()).map(|index| ServerRef::named(ShardServer::name(index))).collect();
        Self {
            settings,
            address,
            shutdown: Notify::new(),
            hub: ServerRef::named(hub_server::NAME),
            shards,
            started: Instant::now(),
            next_id: AtomicU64::new(1),
            clients: AtomicUsize::new(0),
            vacant: Notify::new(),
            rejected: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            options,
        }
    }

    /// A place for one more client, and its number; `None` if all are taken.
    pub(super) fn admit(self: &std::sync::Arc<Self>) -> Option<(Place, u64)> {
        let before = self.clients.fetch_add(1, Relaxed);
        let place = Place(std::sync::Arc::clone(self));
        if before >= self.options.max_clients as usize {
            self.rejected.fetch_add(1, Relaxed);
            return None;
        }
        Some((place, self.next_id.fetch_add(1, Relaxed)))
    }

    /// What INFO says. Who does not answer within a moment is left out.
    pub(super) async fn snapshot(&self) -> Snapshot {
        let stats = |shard: &ServerRef<ShardServer>| {
            shard.run(smallvec::smallvec![ShardRequest::Stats]).timeout(MOMENT)
        };
        let answers = all(self.shards.iter().map(stats).collect()).await;
        let shards = answers.into_iter().flatten().filter_map(|mut reply| match reply.pop() {
            Some(ShardReply::Stats(stats)) => Some(stats),
            _ => None,
        });
        let shards = shards.collect();
        let (channels, patterns) = self.hub.counts().timeout(MOMENT).await.unwrap_or_default();
        let metrics = ibeam::metrics();
        let undelivered = metrics.undelivered.total();
        Snapshot {
            process_id: std::process::id(),
            port: self.address.port(),
            uptime_s: self.started.elapsed().as_secs(),
            clients: self.clients(),
            clients_max: self.options.max_clients as usize,
            connections_received: self.next_id.load(Relaxed) - 1,
            connections_rejected: self.rejected.load(Relaxed),
            commands: self.commands.load(Relaxed),
            channels,
            patterns,
            shards,
            ibeam: vec![
                ("processes", metrics.processes.to_string()),
                ("processes_ended", metrics.processes_ended.to_string()),
                ("timers", metrics.timers.to_string()),
                ("workers", metrics.workers.to_string()),
                ("threads", metrics.threads.to_string()),
                ("run_queue", (metrics.run_queues.iter().sum::<usize>() + metrics.injected).to_string()),
                ("steals", metrics.steals.to_string()),
                ("parks", metrics.parks.to_string()),
                ("compensations", metrics.compensations.to_string()),
                ("undelivered", undelivered.to_string()),
            ],
        }
    }

    /// The other connections' lines in CLIENT LIST. One that does not answer within a moment, because it waits for something
    /// itself, is left out.
    pub(super) async fn other_clients(&self, filter: &ClientFilter) -> Vec<ClientInfo> {
        let myself = process::self_pid();
        let others = process::registered().into_iter().filter_map(|name| {
            let is_connection = name.as_str().starts_with(CONNECTION_PREFIX);
            is_connection.then(|| process::whereis(&name)).flatten().filter(|pid| *pid != myself)
        });
        let calls =
            others.map(|pid| process::Call::<Describe, ClientInfo>::new(pid, Describe).timeout(MOMENT));
        all(calls.collect()).await.into_iter().flatten().filter(|info| info.is_in(filter)).collect()
    }

    /// How many clients are connected.
    pub(super) fn clients(&self) -> usize {
        self.clients.load(Relaxed)
    }

    /// The name of a connection's process.
    pub(super) fn connection_name(id: u64) -> String {
        format!("{CONNECTION_PREFIX}{id}")
    }
}

/// The results of all calls, which run side by side.
async fn all<C: Future + Unpin>(mut calls: Vec<C>) -> Vec<C::Output> {
    let sent = send_all(&mut calls).await;
    let mut results = Vec::with_capacity(calls.len());
    for (call, early) in calls.into_iter().zip(sent) {
        results.push(match early {
            Some(result) => result,
            None => call.await,
        });
    }
    results
}

const CONNECTION_PREFIX: &str = "connection-";

/// How long INFO and CLIENT LIST wait for others.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(200);

//! What all processes of the server share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use ibeam::prelude::*;
use ibeam::supervisor::{self, ServerChild};
use tokio::sync::Notify;

use super::super::command::ClientFilter;
use super::super::info::{self, Snapshot};
use super::super::options::DemoOptions;
use super::super::session::{ClientInfo, Settings};
use super::super::shard::{ShardReply, ShardRequest};
use super::ask::send_all;
use super::bus::Bus;
use super::connection::Describe;
use super::connections::{CLIENT_IDS, CONNECTIONS, ClientIds, ClientsRef};
use super::shard_server::{ShardServer, ShardServerClient};
use super::{tree, walks};

/// Settings that nobody changes, and counters.
pub(super) struct Context {
    pub(super) options: DemoOptions,
    pub(super) settings: Settings,
    pub(super) address: SocketAddr,
    /// A client has asked for the end.
    pub(super) shutdown: Notify,
    pub(super) bus: Arc<Bus>,
    /// By partition. Each finds its process without asking the supervisor.
    pub(super) shards: Vec<ServerRef<ShardServer>>,
    pub(super) connections: ClientsRef,
    pub(super) client_ids: ClientIds,
    pub(super) walks: TaskSupervisorRef,
    started: Instant,
    last_id: AtomicU64,
    rejected: AtomicU64,
    cut_off: AtomicUsize,
    pub(super) commands: AtomicU64,
}

impl Context {
    pub(super) fn new(options: DemoOptions, address: SocketAddr) -> Self {
        let settings = options.settings(address);
        let shards = PartitionSupervisorRef::<ServerChild<ShardServer>>::named(ShardServer::PARTITIONS);
        let shards = (0..settings.router.shards()).map(|partition| shards.key(partition)).collect();
        Self {
            settings,
            address,
            shutdown: Notify::new(),
            bus: Arc::new(Bus::new()),
            shards,
            started: Instant::now(),
            connections: ClientsRef::named_template(CONNECTIONS),
            client_ids: ClientIds::named(CLIENT_IDS),
            walks: TaskSupervisorRef::named(walks::NAME),
            last_id: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            cut_off: AtomicUsize::new(0),
            commands: AtomicU64::new(0),
            options,
        }
    }

    /// The number of one more connection.
    pub(super) fn next_connection(&self) -> u64 {
        self.last_id.fetch_add(1, Relaxed) + 1
    }

    /// A client was refused.
    pub(super) fn count_rejected(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    /// A client was not done when the server stopped.
    pub(super) fn count_cut_off(&self) {
        self.cut_off.fetch_add(1, Relaxed);
    }

    /// How many clients were not done when the server stopped.
    pub(super) fn cut_off(&self) -> usize {
        self.cut_off.load(Relaxed)
    }

    /// What INFO says in these sections. Who does not answer within a moment is left out.
    pub(super) async fn snapshot(&self, sections: &[String]) -> Snapshot {
        let stats = |shard: &ServerRef<ShardServer>| {
            shard.run(smallvec::smallvec![ShardRequest::Stats]).timeout(MOMENT)
        };
        let answers = all(self.shards.iter().map(stats).collect()).await;
        let shards = answers.into_iter().flatten().filter_map(|mut reply| match reply.pop() {
            Some(ShardReply::Stats(stats)) => Some(stats),
            _ => None,
        });
        let shards = shards.collect();
        let (channels, patterns) = self.bus.counts();
        let connections = self.connections.count_children().await.unwrap_or_default();
        let tree = if info::shows_tree(sections) { Some(self.tree().await) } else { None };
        let metrics = ibeam::metrics();
        let undelivered = metrics.undelivered.total();
        Snapshot {
            process_id: std::process::id(),
            port: self.address.port(),
            uptime_s: self.started.elapsed().as_secs(),
            clients: connections.active,
            clients_max: self.options.max_clients as usize,
            connections_received: self.last_id.load(Relaxed),
            connections_rejected: self.rejected.load(Relaxed),
            commands: self.commands.load(Relaxed),
            channels,
            patterns,
            shards,
            tree,
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
        let mut others = match filter {
            ClientFilter::Ids(ids) => ids.iter().filter_map(|id| self.client_ids.whereis(id)).collect(),
            ClientFilter::None => Vec::new(),
            ClientFilter::All | ClientFilter::Subscribers(_) => {
                self.client_ids.select(|_, pid, ()| Some(pid))
            }
        };
        others.retain(|pid| *pid != myself);
        others.sort_unstable();
        others.dedup();
        let calls = others
            .into_iter()
            .map(|pid| process::Call::<Describe, ClientInfo>::new(pid, Describe).timeout(MOMENT));
        all(calls.collect()).await.into_iter().flatten().filter(|info| info.is_in(filter)).collect()
    }

    /// The supervision tree, as its supervisors tell it.
    async fn tree(&self) -> String {
        match supervisor::tree(tree::ROOT).children_max(TREE_CHILDREN_MAX).timeout(MOMENT).await {
            Ok(tree) => tree.to_string(),
            Err(error) => format!("there is no tree: {error}\n"),
        }
    }

    /// The name of a connection's process.
    pub(super) fn connection_name(id: u64) -> String {
        format!("connection-{id}")
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

/// How many children of one supervisor INFO tree lists; the others it counts.
const TREE_CHILDREN_MAX: usize = 16;

/// How long INFO and CLIENT LIST wait for others.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(200);

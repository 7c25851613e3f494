//! INFO: the server's numbers as Redis lays them out.
//!
//! Fields that clients and monitoring tools read are given under Redis' names; those that make no sense here are left
//! out rather than made up. What only ibeam has stands in the section `Ibeam`, and in `Tree`, which is only shown when it is asked for
//! by name: its lines are to be looked at, not fields.

use std::fmt::Write as _;

use super::shard::ShardStats;

/// The Redis whose behaviour the demo follows, as clients ask for it.
pub(crate) const REDIS_VERSION: &str = "7.0.15";

/// Everything INFO says, at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) process_id: u32,
    pub(crate) port: u16,
    pub(crate) uptime_s: u64,
    pub(crate) clients: usize,
    pub(crate) clients_max: usize,
    pub(crate) connections_received: u64,
    pub(crate) connections_rejected: u64,
    pub(crate) commands: u64,
    pub(crate) channels: usize,
    pub(crate) patterns: usize,
    /// Each shard's numbers; a shard that did not answer is missing here.
    pub(crate) shards: Vec<ShardStats>,
    /// The supervision tree, if it was [asked for](shows_tree).
    pub(crate) tree: Option<String>,
    /// Lines of the section `Ibeam`: processes, restarts, the runtime's metrics, …
    pub(crate) ibeam: Vec<(&'static str, String)>,
}

type Section = (&'static str, fn(&Snapshot) -> Vec<(&'static str, String)>);

const SECTIONS: [Section; 8] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("Keyspace", keyspace),
    ("Ibeam", |snapshot| snapshot.ibeam.clone()),
];

/// The section of the supervision tree, in lower case.
const TREE: &str = "tree";

/// Whether the sections with these names (in lower case) have the tree among them.
pub(crate) fn shows_tree(names: &[String]) -> bool {
    names.iter().any(|name| name == TREE)
}

/// The text of the sections with these names (in lower case); of all fields without names, and for `all`, `default`
/// and `everything`. Unknown names are passed over.
pub(crate) fn render(snapshot: &Snapshot, names: &[String]) -> String {
    let everything =
        names.is_empty() || names.iter().any(|name| matches!(&name[..], "all" | "default" | "everything"));
    let mut text = String::new();
    for (title, fields) in SECTIONS {
        if everything || names.iter().any(|name| name.eq_ignore_ascii_case(title)) {
            let separator = if text.is_empty() { "" } else { "\r\n" };
            write!(text, "{separator}# {title}\r\n").expect("a string takes everything");
            for (name, value) in fields(snapshot) {
                write!(text, "{name}:{value}\r\n").expect("a string takes everything");
            }
        }
    }
    if let Some(tree) = snapshot.tree.as_ref().filter(|_| shows_tree(names)) {
        let separator = if text.is_empty() { "" } else { "\r\n" };
        write!(text, "{separator}# Tree\r\n").expect("a string takes everything");
        for line in tree.lines() {
            write!(text, "{line}\r\n").expect("a string takes everything");
        }
    }
    text
}

impl Snapshot {
    fn total(&self) -> ShardStats {
        let mut total = ShardStats::default();
        for shard in &self.shards {
            total.add(shard);
        }
        total
    }
}

fn server(snapshot: &Snapshot) -> Vec<(&'static str, String)> {
    vec![
        ("redis_version", REDIS_VERSION.into()),
        ("redis_mode", "standalone".into()),
        ("ibeam_version", env!("CARGO_PKG_VERSION").into()),
        ("os", std::env::consts::OS.into()),
        ("arch_bits", usize::BITS.to_string()),
        ("process_id", snapshot.process_id.to_string()),
        ("tcp_port", snapshot.port.to_string()),
        ("uptime_in_seconds", snapshot.uptime_s.to_string()),
        ("uptime_in_days", (snapshot.uptime_s / 86_400).to_string()),
    ]
}

fn clients(snapshot: &Snapshot) -> Vec<(&'static str, String)> {
    vec![
        ("connected_clients", snapshot.clients.to_string()),
        ("maxclients", snapshot.clients_max.to_string()),
        ("blocked_clients", "0".into()),
    ]
}

/// An estimate of what keys and values use, not of the whole program.
fn memory(snapshot: &Snapshot) -> Vec<(&'static str, String)> {
    let used = snapshot.total().memory_bytes;
    vec![
        ("used_memory", used.to_string()),
        ("used_memory_human", human(used)),
        ("maxmemory", "0".into()),
        ("maxmemory_human", "0B".into()),
        ("maxmemory_policy", "noeviction".into()),
    ]
}

fn persistence(_: &Snapshot) -> Vec<(&'static str, String)> {
    vec![("loading", "0".into()), ("rdb_bgsave_in_progress", "0".into()), ("aof_enabled", "0".into())]
}

fn stats(snapshot: &Snapshot) -> Vec<(&'static str, String)> {
    let total = snapshot.total();
    vec![
        ("total_connections_received", snapshot.connections_received.to_string()),
        ("total_commands_processed", snapshot.commands.to_string()),
        ("rejected_connections", snapshot.connections_rejected.to_string()),
        ("expired_keys", total.expired.to_string()),
        ("evicted_keys", "0".into()),
        ("keyspace_hits", total.hits.to_string()),
        ("keyspace_misses", total.misses.to_string()),
        ("pubsub_channels", snapshot.channels.to_string()),
        ("pubsub_patterns", snapshot.patterns.to_string()),
    ]
}

fn replication(_: &Snapshot) -> Vec<(&'static str, String)> {
    vec![("role", "master".into()), ("connected_slaves", "0".into())]
}

fn keyspace(snapshot: &Snapshot) -> Vec<(&'static str, String)> {
    let total = snapshot.total();
    if total.keys == 0 {
        return Vec::new();
    }
    vec![("db0", format!("keys={},expires={},avg_ttl=0", total.keys, total.volatile))]
}

/// Bytes as Redis words them: `1.25M`.
fn human(bytes: usize) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "K", "M", "G"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes}B") } else { format!("{value:.2}{unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.2}T")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let shard = ShardStats { keys: 2, volatile: 1, memory_bytes: 1 << 20, ..ShardStats::default() };
        Snapshot { shards: vec![shard, shard], ibeam: vec![("shards", "2".into())], ..Snapshot::default() }
    }

    #[test]
    fn sections_are_chosen_by_name() {
        for (names, expected) in [
            (&["keyspace"][..], "# Keyspace\r\ndb0:keys=4,expires=2,avg_ttl=0\r\n"),
            (
                &["ibeam", "replication", "nope"],
                "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n\r\n# Ibeam\r\nshards:2\r\n",
            ),
            (&["nope"], ""),
        ] {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            assert_eq!(render(&snapshot(), &names), expected);
        }
        assert_eq!(render(&Snapshot::default(), &["keyspace".into()]), "# Keyspace\r\n");
    }

    #[test]
    fn everything_is_every_section_once() {
        let all = render(&snapshot(), &[]);
        for (title, _) in SECTIONS {
            assert_eq!(all.matches(&format!("# {title}\r\n")).count(), 1);
        }
        assert!(all.contains("used_memory:2097152\r\nused_memory_human:2.00M\r\n"));
        assert!(all.lines().all(|line| line.is_empty() || line.starts_with("# ") || line.contains(':')));
        for name in ["all", "default", "everything"] {
            assert_eq!(render(&snapshot(), &["server".into(), name.into()]), all);
        }
    }

    #[test]
    fn the_tree_is_shown_by_name_only() {
        let snapshot = Snapshot { tree: Some("demo\n└─ hub\n".into()), ..snapshot() };
        let text =
            |names: &[&str]| render(&snapshot, &names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(text(&["tree"]), "# Tree\r\ndemo\r\n└─ hub\r\n");
        assert_eq!(text(&["tree", "ibeam"]), "# Ibeam\r\nshards:2\r\n\r\n# Tree\r\ndemo\r\n└─ hub\r\n");
        for names in [&[][..], &["everything"], &["ibeam"]] {
            assert!(!text(names).contains("Tree"));
        }
    }

    #[test]
    fn bytes_are_worded_as_redis_words_them() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (1_311_296, "1.25M"),
            (3 << 30, "3.00G"),
            (1 << 41, "2.00T"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }
}

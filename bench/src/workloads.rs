//! What is measured: sizes, figures and floors. The one place all systems read.

use std::time::Duration;

use clap::ValueEnum;

/// A piece of work that every system does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Workload {
    /// One client, one server, a million calls one after the other, no timeout
    CallSeq,
    /// The same with a timeout of 5 s armed on each call
    CallSeqTimeout,
    /// 100 clients with 20,000 calls each to one server, timeout armed
    CallConc,
    /// Five million one-way messages from one sender, until the receiver has handled the last
    #[value(name = "cast_1to1")]
    Cast1to1,
    /// 100 senders with 50,000 one-way messages each
    #[value(name = "cast_100to1")]
    Cast100to1,
    /// 1,000 client and server pairs, 1,000 round trips each, all at the same time
    Pairs,
    /// A ring of 1,000 processes, one token, a million hops
    Ring,
    /// A tree of 1,111,111 processes, ten below each, whose million leaves are summed up to the root
    Skynet,
    /// A million processes with nothing to do, spawned and waited for 10,000 at a time
    SpawnExit,
    /// The same, where plain tokio spawns bare tasks without a mailbox
    SpawnExitBare,
    /// A million processes that hold a number and wait for a message
    SpawnIdle,
    /// A million servers that hold a number and wait for a request
    SpawnIdleServer,
    /// Round trips of 64 bytes over TCP, a process per connection: one connection
    #[value(name = "echo_1")]
    Echo1,
    /// The same on 64 connections at once
    #[value(name = "echo_64")]
    Echo64,
    /// 100 pairs with a call due every 10 ms, beside four processes that compute for 3 s without yielding
    Fairness,
    /// CPU use of the whole program with a million parked processes, over 5 s
    IdleCpu,
    /// One supervised server is told to panic, starts again and replies, 20,000 times
    Restart,
    /// 100,000 children of one dynamic supervisor, started one after the other, then terminated one after the other
    Children,
    /// A million children of one dynamic supervisor, started one after the other and stopped with it
    ChildrenMillion,
    /// 200,000 tasks, each spawned and awaited before the next, 5 s armed
    TaskAwait,
    /// A stream of tasks over 200,000 items, 4 at once
    TaskStream,
    /// 100 broadcasts to 10,000 subscribers, until the last has received them all
    Fanout,
    /// The same, the publisher giving way after each broadcast, so that all subscribers sleep before the next
    FanoutInTurn,
    /// 100,000 processes under a key each, two readers with two million random look-ups each, messages to all of a topic of 10,000
    Registry,
    /// A table of 1,000,000 integer keys: random look-ups, the same with one write in ten, inserts, and ranges of 100 of an ordered one
    Table,
}

pub(crate) const WORKERS: usize = 2;
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Calls before the clock starts, so that no figure holds the first touch of code and memory.
pub(crate) const WARM_UP: u64 = 1_000;

pub(crate) const SEQUENTIAL_CALLS: u64 = 1_000_000;
pub(crate) const CLIENTS: u64 = 100;
pub(crate) const CALLS_PER_CLIENT: u64 = 20_000;
pub(crate) const CASTS: u64 = 5_000_000;
pub(crate) const SENDERS: u64 = 100;
/// A sender gives way after so many messages: real ones await something, and none should be measured as a CPU hog.
pub(crate) const CASTS_PER_TURN: u64 = 256;
pub(crate) const PAIRS: u64 = 1_000;
pub(crate) const TRIPS_PER_PAIR: u64 = 1_000;
pub(crate) const RING: usize = 1_000;
pub(crate) const HOPS: u64 = 1_000_000;
/// Below each process of the tree that is no leaf.
pub(crate) const SKYNET_BRANCHES: u64 = 10;
pub(crate) const SKYNET_LEAVES: u64 = 1_000_000;
pub(crate) const SKYNET_PROCESSES: u64 = 1_111_111;
pub(crate) const SPAWNS: u64 = 1_000_000;
pub(crate) const SPAWN_BATCH: u64 = 10_000;
pub(crate) const IDLE: u64 = 1_000_000;
/// The spawner of idle processes gives way after so many, as the sender of casts does.
pub(crate) const IDLE_PER_TURN: u64 = 1_000;
/// How long idle processes are left alone before their memory is read.
pub(crate) const SETTLE: Duration = Duration::from_millis(500);
pub(crate) const ECHO_BYTES: usize = 64;
pub(crate) const ECHO_TRIPS: u64 = 50_000;
pub(crate) const ECHO_CONNECTIONS: u64 = 64;
pub(crate) const ECHO_TRIPS_PER_CONNECTION: u64 = 2_000;
pub(crate) const FAIR_PAIRS: u64 = 100;
pub(crate) const FAIR_CALLS: u64 = 300;
pub(crate) const FAIR_PERIOD: Duration = Duration::from_millis(10);
pub(crate) const HOGS: u64 = 4;
pub(crate) const HOG_TIME: Duration = Duration::from_secs(3);
pub(crate) const RESTARTS: u64 = 20_000;
pub(crate) const CHILDREN: u64 = 100_000;
pub(crate) const CHILDREN_MILLION: u64 = 1_000_000;
pub(crate) const TASKS: u64 = 200_000;
pub(crate) const STREAM_WIDTH: usize = 4;
pub(crate) const SUBSCRIBERS: u64 = 10_000;
pub(crate) const BROADCASTS: u64 = 100;
pub(crate) const REGISTERED: u64 = 100_000;
pub(crate) const READERS: u64 = 2;
pub(crate) const LOOKUPS_PER_READER: u64 = 2_000_000;
pub(crate) const DISPATCHES: u64 = 100;
pub(crate) const TABLE_KEYS: u64 = 1_000_000;
/// How many processes read, or write, a table at the same time.
pub(crate) const TABLE_USERS: u64 = 2;
pub(crate) const TABLE_LOOKUPS: u64 = 5_000_000;
/// Each so many-th is a write where both come.
pub(crate) const TABLE_WRITE_EVERY: u64 = 10;
pub(crate) const TABLE_INSERTS: u64 = 1_000_000;
pub(crate) const TABLE_RANGES: u64 = 100_000;
pub(crate) const TABLE_RANGE: u64 = 100;
pub(crate) const IDLE_WATCH: Duration = Duration::from_secs(5);

/// The sum of 0, 1, … `n` − 1: what a server holds that was sent each once.
pub(crate) const fn sum_below(n: u64) -> u64 {
    n * n.saturating_sub(1) / 2
}

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Nanoseconds,
    /// Millions per second.
    MillionsPerSecond,
    Bytes,
    Milliseconds,
    /// Of one core.
    Percent,
}

impl Unit {
    /// Whether a smaller figure is the better one.
    pub(crate) fn lower_is_better(self) -> bool {
        self != Unit::MillionsPerSecond
    }
}

/// What ibeam promises for a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Floor {
    /// No promise: the figure is reported.
    None,
    /// At least so many times as good as plain tokio in the same run.
    Times(f64),
    /// At most so much, in the figure's own unit.
    AtMost(f64),
}

/// One figure of a workload: a row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) floor: Floor,
}

pub(crate) const fn figure(name: &'static str, unit: Unit, floor: Floor) -> Figure {
    Figure { name, unit, floor }
}

impl Workload {
    /// Every workload, in the table's order.
    pub(crate) fn all() -> Vec<Workload> {
        Workload::value_variants().to_vec()
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("no workload is hidden").get_name().to_string()
    }

    /// The figures this workload gives, in the order in which a system returns them.
    pub(crate) fn figures(self) -> &'static [Figure] {
        use Unit::{Bytes, MillionsPerSecond, Milliseconds, Nanoseconds, Percent};
        match self {
            Workload::CallSeq => const { &[figure("sequential call", Nanoseconds, Floor::Times(2.5))] },
            Workload::CallSeqTimeout => {
                const { &[figure("sequential call, 5 s timeout", Nanoseconds, Floor::Times(5.0))] }
            }
            Workload::CallConc => {
                const { &[figure("100 clients, one server, calls", MillionsPerSecond, Floor::None)] }
            }
            Workload::Cast1to1 => {
                const { &[figure("cast 1 to 1, messages", MillionsPerSecond, Floor::None)] }
            }
            Workload::Cast100to1 => {
                const { &[figure("cast 100 to 1, messages", MillionsPerSecond, Floor::None)] }
            }
            Workload::Pairs => {
                const { &[figure("1,000 pairs, round trips", MillionsPerSecond, Floor::Times(1.8))] }
            }
            Workload::Ring => const { &[figure("ring of 1,000, per hop", Nanoseconds, Floor::Times(2.2))] },
            Workload::Skynet => {
                const {
                    &[
                        figure("skynet, 1,111,111 in a tree, each", Nanoseconds, Floor::None),
                        figure("skynet, peak each", Bytes, Floor::None),
                    ]
                }
            }
            Workload::SpawnExit => const { &[figure("spawn and exit", Nanoseconds, Floor::Times(4.0))] },
            Workload::SpawnExitBare => {
                const { &[figure("spawn and exit, tokio without mailbox", Nanoseconds, Floor::None)] }
            }
            Workload::SpawnIdle => {
                const {
                    &[
                        figure("a million idle processes, spawn", Nanoseconds, Floor::None),
                        figure("a million idle processes, each", Bytes, Floor::AtMost(200.0)),
                        figure("a million idle processes, stop", Nanoseconds, Floor::None),
                    ]
                }
            }
            Workload::SpawnIdleServer => {
                const {
                    &[
                        figure("a million idle servers, spawn", Nanoseconds, Floor::None),
                        figure("a million idle servers, each", Bytes, Floor::AtMost(350.0)),
                        figure("a million idle servers, stop", Nanoseconds, Floor::None),
                    ]
                }
            }
            // "Not slower by more than 10 %": at most 1.1 times the time.
            Workload::Echo1 => {
                const { &[figure("TCP echo, 1 connection", Nanoseconds, Floor::Times(1.0 / 1.1))] }
            }
            Workload::Echo64 => {
                const { &[figure("TCP echo, 64 connections", Nanoseconds, Floor::Times(1.0 / 1.1))] }
            }
            Workload::Fairness => {
                const {
                    &[
                        figure("fairness, p50", Milliseconds, Floor::None),
                        figure("fairness, p99", Milliseconds, Floor::AtMost(10.0)),
                        figure("fairness, maximum", Milliseconds, Floor::AtMost(25.0)),
                    ]
                }
            }
            Workload::IdleCpu => const { &[figure("a million parked, CPU", Percent, Floor::AtMost(1.0))] },
            // 200,000 cycles per second.
            Workload::Restart => {
                const { &[figure("crash to reply of the next one", Nanoseconds, Floor::AtMost(5_000.0))] }
            }
            Workload::Children => {
                const {
                    &[
                        figure("start_child, 100,000 in turn", Nanoseconds, Floor::AtMost(800.0)),
                        figure("terminate_child, 100,000 in turn", Nanoseconds, Floor::AtMost(500.0)),
                    ]
                }
            }
            Workload::ChildrenMillion => {
                const {
                    &[
                        figure("a million children, start_child", Nanoseconds, Floor::None),
                        figure("a million children, stop", Nanoseconds, Floor::None),
                        figure("a million children, peak each", Bytes, Floor::AtMost(600.0)),
                    ]
                }
            }
            Workload::TaskAwait => {
                const { &[figure("task, spawn and await", Nanoseconds, Floor::AtMost(200.0))] }
            }
            // 3 million items per second, where plain tokio does 2.9.
            Workload::TaskStream => {
                const { &[figure("task stream, 4 at once, items", MillionsPerSecond, Floor::Times(1.03))] }
            }
            Workload::Fanout => {
                const { &[figure("100 broadcasts to 10,000, deliveries", MillionsPerSecond, Floor::Times(1.0))] }
            }
            Workload::FanoutInTurn => {
                const { &[figure("the same, in turn with subscribers", MillionsPerSecond, Floor::Times(1.0))] }
            }
            // What two readers reach is what the machine's memory gives: the sharded map beside is the measure.
            Workload::Registry => {
                const {
                    &[
                        figure("register under 100,000 keys", Nanoseconds, Floor::AtMost(400.0)),
                        figure("two readers, look-ups", MillionsPerSecond, Floor::Times(0.9)),
                        figure("unregister", Nanoseconds, Floor::AtMost(400.0)),
                        figure("dispatch to 10,000, deliveries", MillionsPerSecond, Floor::None),
                    ]
                }
            }
            Workload::Table => {
                const {
                    &[
                        figure("table of 1,000,000 keys, look-ups by two", MillionsPerSecond, Floor::None),
                        figure("the same, a write in ten", MillionsPerSecond, Floor::None),
                        figure("table, inserts by two", MillionsPerSecond, Floor::None),
                        figure("ordered table, a range of 100", Nanoseconds, Floor::None),
                    ]
                }
            }
        }
    }
}

/// The figures of the tree: nanoseconds and peak bytes, each per process.
pub(crate) fn skynet_figures(elapsed: Duration, peak_bytes: u64) -> Vec<f64> {
    vec![ns_each(elapsed, SKYNET_PROCESSES), peak_bytes as f64 / SKYNET_PROCESSES as f64]
}

/// Nanoseconds per item.
pub(crate) fn ns_each(elapsed: Duration, items: u64) -> f64 {
    elapsed.as_nanos() as f64 / items as f64
}

/// Millions of items per second.
pub(crate) fn millions_per_second(elapsed: Duration, items: u64) -> f64 {
    items as f64 / elapsed.as_secs_f64() / 1e6
}

/// The next number of a sequence without a pattern, for readers that look here and there.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// One of 0, 1, … `n` − 1 by the next such number. Multiplied, as a division would cost as much as a look-up.
pub(crate) fn random_below(state: &mut u64, n: u64) -> u64 {
    (next_random(state) * n) >> 31
}

/// The fairness figures of all latencies: p50, p99 and maximum, in milliseconds.
///
/// # Panics
/// When there are none: the caller has checked their number.
pub(crate) fn latency_figures(mut latencies: Vec<Duration>) -> Vec<f64> {
    latencies.sort();
    let last = latencies.len() - 1;
    let at = |share: f64| latencies[(last as f64 * share).round() as usize].as_secs_f64() * 1e3;
    vec![at(0.5), at(0.99), at(1.0)]
}

/// Computes for `time` without giving way, as a runaway process does; returns how long it really took.
pub(crate) fn compute(time: Duration) -> Duration {
    let start = std::time::Instant::now();
    let mut x = 1_u64;
    while start.elapsed() < time {
        for _ in 0..10_000 {
            x = std::hint::black_box(x.wrapping_mul(31).wrapping_add(7));
        }
    }
    start.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_a_figure_and_a_name_of_its_own() {
        let mut names: Vec<_> = Workload::all().into_iter().map(Workload::name).collect();
        assert!(Workload::all().into_iter().all(|w| !w.figures().is_empty()));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Workload::all().len());
    }

    #[test]
    fn latencies_become_median_tail_and_maximum() {
        let latencies = (1..=101).rev().map(Duration::from_millis).collect();
        assert_eq!(latency_figures(latencies), [51.0, 100.0, 101.0]);
    }

    #[test]
    fn the_tree_has_as_many_processes_as_it_is_divided_by() {
        fn count(leaves: u64) -> u64 {
            1 + if leaves == 1 { 0 } else { SKYNET_BRANCHES * count(leaves / SKYNET_BRANCHES) }
        }
        assert_eq!(count(SKYNET_LEAVES), SKYNET_PROCESSES);
    }

    #[test]
    fn random_numbers_stay_below_and_reach_all() {
        let mut state = 0;
        let mut seen = [0; 10];
        (0..1_000).for_each(|_| seen[random_below(&mut state, 10) as usize] += 1);
        assert!(seen.into_iter().all(|times| times > 50), "{seen:?}");
    }

    #[test]
    fn the_sum_of_what_was_sent() {
        assert_eq!([sum_below(0), sum_below(1), sum_below(5)], [0, 0, 10]);
    }
}

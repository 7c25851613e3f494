//! What a workload cannot do without, whoever does it: the operations whose cost is its floor.
//!
//! Counted for one item (a call, a message, a process) in the best design we know: one word that is inbox and state, a
//! node per message that carries the reply too. What the workload itself counts (its latch, its sum) is in it.
//!
//! These operations are the floor, and the only one that a row is judged by. What memory costs on top of it, where a workload keeps
//! everything that it allocates or comes back to it after all else, stands beside it: it explains a distance, and excuses none.

use crate::costs::Costs;
use crate::workloads::{Unit, WORKERS, Workload};

/// Operations per item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Needs {
    /// Atomic read-modify-writes.
    pub(crate) atomics: u32,
    /// Allocations, each freed again.
    pub(crate) allocations: u32,
    /// Panics that are caught.
    pub(crate) panics: u32,
    /// Lines of memory, 64 bytes each, that the allocations take and nobody has touched before: what stays until the end is not there
    /// yet.
    pub(crate) fresh_lines: u32,
    /// Lines that nobody has touched while a million others were.
    pub(crate) cold_lines: u32,
    /// How many workers can share the work evenly.
    pub(crate) workers: u32,
    /// Where the numbers come from.
    pub(crate) why: &'static str,
}

/// A call to a process that waits, and back.
const CALL_ATOMICS: u32 = 5;
const CALL: &str = "the request is pushed and wakes the server (1), the caller parks (1), the server takes its inbox (1), \
                    replies and wakes the caller (1), and parks (1); request and reply share one node";

impl Needs {
    const fn new(atomics: u32, allocations: u32, why: &'static str) -> Self {
        Self { atomics, allocations, panics: 0, fresh_lines: 0, cold_lines: 0, workers: 1, why }
    }

    const fn shared_by_all_workers(self) -> Self {
        Self { workers: WORKERS as u32, ..self }
    }
}

/// What an idle process is kept in: ibeam's 189 bytes, the least of all systems.
const IDLE_LINES: u32 = 3;
/// What an idle server is kept in: ibeam's 301 bytes, the least of all systems.
const SERVER_LINES: u32 = 5;
const START_SERVER: &str = "a slot is taken (1), the process is queued (1), its word that `init` has returned (1) wakes who waits for it (1), \
                            who parks (1); its state, on lines that are new, and the place of the word: as for a task that is awaited";
const SPAWN_IDLE: &str = "a slot is taken (1), the process is queued (1); its state, on lines that are new";
const STOP_IDLE: &str = "push that wakes (1), take (1), the slot is given back (1), the two counters of the workload (2); the message; \
                         the lines of its state, which the others have driven out of the caches";

/// The needs of one figure of a workload, by its place in [`Workload::figures`]; `None` where it is no sum of such
/// operations (memory, latency, sockets) or nobody has counted them yet.
pub(crate) fn of(workload: Workload, figure: usize) -> Option<Needs> {
    Some(match (workload, figure) {
        (Workload::CallSeq, 0) => Needs::new(CALL_ATOMICS, 1, CALL),
        // Arming a timeout and taking it back needs neither, if it is a deadline that somebody looks at later.
        (Workload::CallSeqTimeout, 0) => Needs::new(CALL_ATOMICS, 1, CALL),
        (Workload::CallConc, 0) => Needs::new(
            3,
            1,
            "the server always has something to do and takes many at once: push (1), reply that wakes (1), the caller parks (1)",
        ),
        (Workload::Cast1to1 | Workload::Cast100to1, 0) => {
            Needs::new(1, 1, "push (1); the receiver takes many at once; a node per message")
        }
        (Workload::Pairs, 0) => Needs::new(CALL_ATOMICS, 1, CALL).shared_by_all_workers(),
        (Workload::Ring, 0) => Needs::new(3, 1, "push that wakes (1), take (1), park (1); a node per hop"),
        (Workload::Skynet, 0) => Needs::new(
            4,
            2,
            "a slot is taken (1) and given back (1), the process is queued (1), its sum is pushed (1); \
             its state and the message",
        )
        .shared_by_all_workers(),
        (Workload::SpawnExit, 0) => Needs::new(
            5,
            1,
            "a slot is taken (1) and given back (1), the process is queued (1), the two counters of the workload (2); its state",
        ),
        (Workload::SpawnIdle, 0) => Needs { fresh_lines: IDLE_LINES, ..Needs::new(2, 1, SPAWN_IDLE) },
        (Workload::SpawnIdleServer, 0) => {
            Needs { fresh_lines: SERVER_LINES, ..Needs::new(5, 2, START_SERVER) }
        }
        (Workload::SpawnIdle, 2) => Needs { cold_lines: IDLE_LINES, ..Needs::new(5, 1, STOP_IDLE) },
        (Workload::SpawnIdleServer, 2) => Needs { cold_lines: SERVER_LINES, ..Needs::new(5, 1, STOP_IDLE) },
        (Workload::Restart, 0) => Needs {
            panics: 1,
            ..Needs::new(
                13,
                5,
                "the order to crash (push, take), the news to the supervisor (push, take), a slot given back and taken, \
                 the new process queued, its word to the client (push), and a call (5)",
            )
        },
        (Workload::Children, 0) | (Workload::ChildrenMillion, 0) => Needs {
            fresh_lines: SERVER_LINES + 1,
            ..Needs::new(
                8,
                3,
                "a call to the supervisor (5), a slot taken (1), the child queued (1), its word that it runs (1); \
                 the request, the child's state, its entry in the supervisor; the lines of the last two are new",
            )
        },
        (Workload::Children, 1) => Needs::new(
            9,
            3,
            "a call to the supervisor (5), the exit signal (push, take), a slot given back (1), the news of the end (1); \
             request, signal, news",
        ),
        (Workload::TaskAwait | Workload::TaskStream, 0) => Needs::new(
            6,
            2,
            "a slot is taken (1) and given back (1), the task is queued (1), it replies (1) and wakes who waits (1), who parks (1); \
             its state, and the place of the reply",
        ),
        (Workload::Fanout, 0) => {
            Needs::new(1, 1, "push (1); the receiver takes many at once; a node per delivery")
                .shared_by_all_workers()
        }
        (Workload::FanoutInTurn, 0) => {
            Needs::new(3, 1, "push that wakes (1), take (1), park (1); a node per delivery")
                .shared_by_all_workers()
        }
        _ => return None,
    })
}

impl Needs {
    /// What the operations cost together, in nanoseconds per item: the floor.
    pub(crate) fn cost(&self, costs: &Costs) -> f64 {
        let sum = f64::from(self.atomics) * costs.atomic
            + f64::from(self.allocations) * costs.allocation
            + f64::from(self.panics) * costs.panic;
        sum / f64::from(self.workers)
    }

    /// What memory costs on top of that; `None` if it is neither fresh nor cold.
    pub(crate) fn memory(&self, costs: &Costs) -> Option<f64> {
        let sum = f64::from(self.fresh_lines) * costs.fresh + f64::from(self.cold_lines) * costs.cold;
        (sum > 0.0).then(|| sum / f64::from(self.workers))
    }

    /// In words, for the report.
    pub(crate) fn words(&self) -> String {
        let mut parts = vec![
            format!("{} atomic", self.atomics),
            format!(
                "{} {}",
                self.allocations,
                if self.allocations == 1 { "allocation" } else { "allocations" }
            ),
        ];
        if self.panics > 0 {
            parts.push(format!("{} panic", self.panics));
        }
        if self.fresh_lines > 0 {
            parts.push(format!("{} fresh lines", self.fresh_lines));
        }
        if self.cold_lines > 0 {
            parts.push(format!("{} cold lines", self.cold_lines));
        }
        if self.workers > 1 {
            parts.push(format!("over {} workers", self.workers));
        }
        parts.join(", ")
    }
}

/// A figure as nanoseconds per item, if it is a time or a rate.
pub(crate) fn ns_per_item(unit: Unit, figure: f64) -> Option<f64> {
    match unit {
        Unit::Nanoseconds => Some(figure),
        Unit::MillionsPerSecond => Some(1_000.0 / figure),
        Unit::Bytes | Unit::Milliseconds | Unit::Percent => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs =
        Costs { line: Some(50.0), atomic: 4.0, allocation: 6.0, panic: 3_000.0, fresh: 20.0, cold: 10.0 };

    #[test]
    fn the_floor_is_a_sum_shared_by_the_workers() {
        let needs = Needs {
            panics: 1,
            fresh_lines: 3,
            cold_lines: 2,
            ..Needs::new(5, 2, "").shared_by_all_workers()
        };
        assert_eq!(needs.cost(&COSTS), (20.0 + 12.0 + 3_000.0) / 2.0);
        assert_eq!(needs.memory(&COSTS), Some((60.0 + 20.0) / 2.0));
        assert_eq!(Needs::new(5, 2, "").memory(&COSTS), None);
        assert_eq!(
            needs.words(),
            "5 atomic, 2 allocations, 1 panic, 3 fresh lines, 2 cold lines, over 2 workers"
        );
    }

    #[test]
    fn a_rate_is_a_time_too() {
        assert_eq!(ns_per_item(Unit::MillionsPerSecond, 4.0), Some(250.0));
        assert_eq!(ns_per_item(Unit::Bytes, 4.0), None);
    }

    #[test]
    fn needs_are_stated_only_for_times_and_rates() {
        for workload in Workload::all() {
            for (place, figure) in workload.figures().iter().enumerate() {
                if let Some(needs) = of(workload, place) {
                    assert!(ns_per_item(figure.unit, 1.0).is_some(), "{}", figure.name);
                    assert!(needs.atomics > 0 && needs.why.len() > 20, "{}", figure.name);
                }
            }
            assert_eq!(of(workload, workload.figures().len()), None);
        }
    }
}

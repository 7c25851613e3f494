//! What a workload cannot do without, whoever does it: the operations whose cost is its floor.
//!
//! Counted for one item (a call, a message, a process) in the best design we know: one word that is inbox and state, a
//! node per message that carries the reply too. What the workload itself counts (its latch, its sum) is in it.

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
    /// How many workers can share the work evenly.
    pub(crate) workers: u32,
    /// Where the numbers come from.
    pub(crate) why: &'static str,
}

/// A call to a process that waits, and back.
const CALL_ATOMICS: u32 = 5;
const CALL: &str = "the request is pushed and wakes the server (1), the caller parks (1), the server takes its inbox (1), \
                    replies and wakes the caller (1), and parks (1); request and reply share one node";

const fn needs(atomics: u32, allocations: u32, why: &'static str) -> Option<Needs> {
    Some(Needs { atomics, allocations, panics: 0, workers: 1, why })
}

/// The needs of one figure of a workload, by its place in [`Workload::figures`]; `None` where it is no sum of such
/// operations (memory, latency, sockets) or nobody has counted them yet.
pub(crate) fn of(workload: Workload, figure: usize) -> Option<Needs> {
    match (workload, figure) {
        (Workload::CallSeq, 0) => needs(CALL_ATOMICS, 1, CALL),
        // Arming a timeout and taking it back needs neither, if it is a deadline that somebody looks at later.
        (Workload::CallSeqTimeout, 0) => needs(CALL_ATOMICS, 1, CALL),
        (Workload::CallConc, 0) => needs(
            3,
            1,
            "the server always has something to do and takes many at once: push (1), reply that wakes (1), the caller parks (1)",
        ),
        (Workload::Cast1to1 | Workload::Cast100to1, 0) => {
            needs(1, 1, "push (1); the receiver takes many at once; a node per message")
        }
        (Workload::Pairs, 0) => {
            Some(Needs { workers: WORKERS as u32, ..needs(CALL_ATOMICS, 1, CALL).expect("is some") })
        }
        (Workload::Ring, 0) => needs(3, 1, "push that wakes (1), take (1), park (1); a node per hop"),
        (Workload::Skynet, 0) => Some(Needs {
            atomics: 4,
            allocations: 2,
            panics: 0,
            workers: WORKERS as u32,
            why: "a slot is taken (1) and given back (1), the process is queued (1), its sum is pushed (1); \
                  its state and the message",
        }),
        (Workload::SpawnExit, 0) => needs(
            5,
            1,
            "a slot is taken (1) and given back (1), the process is queued (1), the two counters of the workload (2); its state",
        ),
        (Workload::SpawnIdle | Workload::SpawnIdleServer, 2) => needs(
            5,
            1,
            "push that wakes (1), take (1), the slot is given back (1), the two counters of the workload (2); the message",
        ),
        (Workload::Restart, 0) => Some(Needs {
            atomics: 13,
            allocations: 5,
            panics: 1,
            workers: 1,
            why: "the order to crash (push, take), the news to the supervisor (push, take), a slot given back and taken, \
                  the new process queued, its word to the client (push), and a call (5)",
        }),
        (Workload::Children, 0) | (Workload::ChildrenMillion, 0) => needs(
            8,
            3,
            "a call to the supervisor (5), a slot taken (1), the child queued (1), its word that it runs (1); \
             the request, the child's state, its entry in the supervisor",
        ),
        (Workload::Children, 1) => needs(
            9,
            3,
            "a call to the supervisor (5), the exit signal (push, take), a slot given back (1), the news of the end (1); \
             request, signal, news",
        ),
        (Workload::TaskAwait | Workload::TaskStream, 0) => needs(
            6,
            2,
            "a slot is taken (1) and given back (1), the task is queued (1), it replies (1) and wakes who waits (1), who parks (1); \
             its state, and the place of the reply",
        ),
        (Workload::Fanout, 0) => Some(Needs {
            atomics: 1,
            allocations: 1,
            panics: 0,
            workers: WORKERS as u32,
            why: "push (1); the receiver takes many at once; a node per delivery",
        }),
        (Workload::FanoutInTurn, 0) => Some(Needs {
            atomics: 3,
            allocations: 1,
            panics: 0,
            workers: WORKERS as u32,
            why: "push that wakes (1), take (1), park (1); a node per delivery",
        }),
        _ => None,
    }
}

impl Needs {
    /// What they cost together, in nanoseconds per item.
    pub(crate) fn cost(&self, costs: &Costs) -> f64 {
        let sum = f64::from(self.atomics) * costs.atomic
            + f64::from(self.allocations) * costs.allocation
            + f64::from(self.panics) * costs.panic;
        sum / f64::from(self.workers)
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

    const COSTS: Costs = Costs { line: Some(50.0), atomic: 4.0, allocation: 6.0, panic: 3_000.0 };

    #[test]
    fn the_floor_is_a_sum_shared_by_the_workers() {
        let needs = Needs { atomics: 5, allocations: 2, panics: 1, workers: 2, why: "" };
        assert_eq!(needs.cost(&COSTS), (20.0 + 12.0 + 3_000.0) / 2.0);
        assert_eq!(needs.words(), "5 atomic, 2 allocations, 1 panic, over 2 workers");
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

//! Scaling: what one operation costs when there is more of everything, with one worker and with two.
//!
//! A sweep does the same number of operations at four sizes, so that a cost that stays the same is a flat line. What grows is
//! the number of processes (or servers, keys, subscribers, children), or the number of messages in one mailbox.
//!
//! # Invariants
//! 1. A point is a cell: a process of its own, its result checked, the systems in turn.
//! 2. Setting up is not measured. All that grows has run once before the clock starts.
//! 3. A line of ibeam that is not flat is named in the report, with the reason that stands in [`Sweep::reason`].

mod curve;

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub(crate) use curve::{Curve, NOT_FLAT, findings, size_words, tables};

use crate::systems::System;
use crate::workloads::{Figure, Floor, Unit, figure};

/// A piece of work done at several sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sweep {
    /// What memory charges: a word read from one of so many blocks of 192 bytes, each read says where the next one is
    Memory,
    /// A client calls servers picked at random out of so many, 5 s armed
    Call,
    /// Round trips of so many processes, half of them clients with a server each, all at the same time
    Pairs,
    /// A ring of so many processes, one token
    Ring,
    /// So many processes that end at once, spawned before the first is waited for
    SpawnExit,
    /// So many idle processes: spawned, looked at, stopped
    SpawnIdle,
    /// Broadcasts to so many subscribers, the publisher giving way after each
    Fanout,
    /// So many processes register under a key each; a reader per worker looks random ones up
    Lookup,
    /// So many children of one dynamic supervisor, one after the other; then some of them are terminated
    Children,
    /// So many messages in a server's mailbox, casts and the call that closes them, until the reply
    Cast,
    /// A mailbox that always holds so many: its oldest message is taken, another sent
    Receive,
    /// The same with a pattern that fits one message only: the oldest, or the youngest
    Selective,
    /// Calls by a client in whose own mailbox so many other messages wait
    CallWithMail,
}

/// What a size counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grows {
    Processes,
    Messages,
}

impl Grows {
    pub(crate) const ALL: [Grows; 2] = [Grows::Processes, Grows::Messages];

    /// The sizes, the smallest first.
    pub(crate) const fn sizes(self) -> [u64; 4] {
        match self {
            Grows::Processes => [1_000, 10_000, 100_000, 1_000_000],
            Grows::Messages => [1, 100, 10_000, 1_000_000],
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Grows::Processes => "processes",
            Grows::Messages => "messages in the mailbox",
        }
    }
}

/// Reads, calls, messages: enough for a few tenths of a second where one costs a hundred nanoseconds.
pub(crate) const OPERATIONS: u64 = 1_000_000;
pub(crate) const CALLS: u64 = 250_000;
pub(crate) const TRIPS: u64 = 4_000_000;
pub(crate) const LOOKUPS: u64 = 1_000_000;
pub(crate) const DELIVERIES: u64 = 2_000_000;
/// So many children are started in all where there are fewer, and so many terminated at most.
pub(crate) const STARTS: u64 = 100_000;
pub(crate) const BLOCK_BYTES: usize = 192;
/// Messages that a selective receive passes over, in all of its receives together.
const LOOKS: u64 = 5_000_000;

/// How often a selective receive is done where it has to pass over `messages` each time.
pub(crate) fn selections(messages: u64) -> u64 {
    (LOOKS / messages).min(OPERATIONS)
}

impl Sweep {
    /// Every sweep, in the table's order.
    pub(crate) fn all() -> Vec<Sweep> {
        Sweep::value_variants().to_vec()
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("no sweep is hidden").get_name().to_string()
    }

    pub(crate) fn grows(self) -> Grows {
        match self {
            Sweep::Memory
            | Sweep::Call
            | Sweep::Pairs
            | Sweep::Ring
            | Sweep::SpawnExit
            | Sweep::SpawnIdle
            | Sweep::Fanout
            | Sweep::Lookup
            | Sweep::Children => Grows::Processes,
            Sweep::Cast | Sweep::Receive | Sweep::Selective | Sweep::CallWithMail => Grows::Messages,
        }
    }

    /// With how many workers it is measured.
    pub(crate) fn workers(self) -> &'static [usize] {
        match self {
            Sweep::Memory => &[1],
            _ => &[1, 2],
        }
    }

    /// The figures this sweep gives, in the order in which a system returns them: each a cost, the lower the better.
    pub(crate) fn figures(self) -> &'static [Figure] {
        use Unit::{Bytes, Nanoseconds};
        const fn cost(name: &'static str, unit: Unit) -> Figure {
            figure(name, unit, Floor::None)
        }
        match self {
            Sweep::Memory => const { &[cost("a read from a random block of 192 bytes", Nanoseconds)] },
            Sweep::Call => const { &[cost("call to a random server", Nanoseconds)] },
            Sweep::Pairs => const { &[cost("round trip in pairs", Nanoseconds)] },
            Sweep::Ring => const { &[cost("hop in a ring", Nanoseconds)] },
            Sweep::SpawnExit => const { &[cost("spawn and exit", Nanoseconds)] },
            Sweep::SpawnIdle => {
                const {
                    &[
                        cost("idle process, spawn", Nanoseconds),
                        cost("idle process, memory", Bytes),
                        cost("idle process, stop", Nanoseconds),
                    ]
                }
            }
            Sweep::Fanout => const { &[cost("broadcast, per subscriber", Nanoseconds)] },
            Sweep::Lookup => {
                const {
                    &[
                        cost("register under a key", Nanoseconds),
                        cost("look-up of a random key, per reader", Nanoseconds),
                    ]
                }
            }
            Sweep::Children => {
                const { &[cost("start_child", Nanoseconds), cost("terminate_child", Nanoseconds)] }
            }
            Sweep::Cast => const { &[cost("cast, sent and handled", Nanoseconds)] },
            Sweep::Receive => const { &[cost("send and receive in order", Nanoseconds)] },
            Sweep::Selective => {
                const {
                    &[
                        cost("selective receive, the oldest fits", Nanoseconds),
                        cost("selective receive, the youngest fits", Nanoseconds),
                        cost("the same, per message looked at", Nanoseconds),
                    ]
                }
            }
            Sweep::CallWithMail => const { &[cost("call with mail waiting", Nanoseconds)] },
        }
    }

    /// Why a system has no such line.
    pub(crate) fn absent(self, system: System) -> Option<&'static str> {
        match (self, system) {
            (Sweep::Memory, System::Ibeam) => Some("it is the machine's memory, without any system"),
            (Sweep::Selective, System::Tokio) => Some("a channel gives out its oldest message only"),
            (Sweep::CallWithMail, System::Tokio) => {
                Some("a reply has a channel of its own, and nothing waits in it")
            }
            (_, System::Tokio | System::Ibeam) => None,
            _ => Some("scaling is measured on ibeam and plain tokio"),
        }
    }

    /// Why a figure of ibeam's is not the same at all sizes.
    ///
    /// Instructions and misses are those of one operation, the setting up taken off: the difference between a run and one with
    /// twice the operations, one worker, by `valgrind --tool=cachegrind --cache-sim=yes --LL=2097152,16,64`; faults by `perf stat`.
    /// A miss is a line that is not within 2 MiB, a core's own cache; the row of `memory` is what one costs.
    pub(crate) fn reason(self, figure: usize) -> Option<&'static str> {
        match (self, figure) {
            (Sweep::Call, 0) => Some(
                "memory. 1,300 instructions at 1,000 servers and at 100,000; no miss becomes 5.4, of server, state, reference \
                 and what stands between",
            ),
            (Sweep::Pairs, 0) => Some(
                "memory. 1,041 instructions at 1,000 and at 100,000 processes; no miss becomes 1.1: a pair makes some trips \
                 each time it is brought in. At a million it has eight in all, and one time is most of them",
            ),
            (Sweep::Ring, 0) => Some(
                "memory. 507 instructions at 1,000 and 511 at 100,000 processes; no miss becomes 3.6, most of them of lines \
                 next to the ones before",
            ),
            (Sweep::SpawnExit, 0) => Some(
                "memory. 834 instructions at 1,000 and 858 at 100,000 in a batch; no miss becomes 5.6, as all that were \
                 spawned wait before the first has ended",
            ),
            (Sweep::SpawnIdle, 0) => Some(
                "memory. Each process touches new pages: 47,000 faults for a million, as 190 bytes each need",
            ),
            (Sweep::SpawnIdle, 1) => Some(
                "fixed: a thousand show the 50 kB of pages and blocks that do not belong to one of them alone",
            ),
            (Sweep::SpawnIdle, 2) => Some(
                "fixed: who has slept must be woken, 0.1 ms in all, of the 0.3 ms that a thousand take; ten thousand show a \
                 tenth of it",
            ),
            (Sweep::Fanout, 0) => Some(
                "memory. 575 instructions at 1,000 and 650 at 100,000 subscribers; no miss becomes 7.5: each is asleep, and \
                 its message is a new one. At a million those messages are 64 MB, of which the first touch is a page fault",
            ),
            (Sweep::Lookup, 0) => Some(
                "memory. The table grows while they register, and each of the million touches new pages (137,000 faults in all)",
            ),
            (Sweep::Lookup, 1) => Some(
                "memory. 135 instructions at 100,000 keys and 159 at 300,000; no miss becomes 0.9, as the table is larger than \
                 a core's own cache then",
            ),
            (Sweep::Children, 0 | 1) => Some(
                "memory. 7,150 instructions for both at 1,000 and 7,740 at 100,000 children, whose tables grow; no miss becomes 16",
            ),
            (Sweep::Cast, 0) => Some(
                "a mailbox of one is a call: the server wakes, replies and waits again for each message, 1,070 instructions. \
                 It is 255 at 100 messages and 246 at 10,000. A million messages are more memory than a core's own cache",
            ),
            (Sweep::Receive, 0) | (Sweep::Selective, 0) => Some(
                "the inbox is taken over as a whole: at one message with each receive, else once for all that wait; 214 \
                 instructions become 198. A million messages are more memory than a core's own cache",
            ),
            (Sweep::Selective, 1) => Some(
                "it is the rule: a receive looks at every message that came before the one that fits, as Erlang's does. The \
                 row below is what one look costs",
            ),
            (Sweep::Selective, 2) => Some(
                "at one message most of it is the receive itself, at a million each look is at a line that is in no cache",
            ),
            _ => None,
        }
    }
}

/// One cell of a sweep, but for its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) sweep: Sweep,
    pub(crate) system: System,
    pub(crate) workers: usize,
    pub(crate) size: u64,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Point { sweep, system, workers, size } = self;
        write!(f, "{:<14} {:<6} {workers} × {size:<9}", sweep.name(), system.name())
    }
}

impl Point {
    /// How the program is told to measure it.
    pub(crate) fn arguments(self) -> [String; 5] {
        let Point { sweep, system, workers, size } = self;
        ["point".into(), system.name(), sweep.name(), workers.to_string(), size.to_string()]
    }

    /// All points of a sweep in the order in which a round measures them: the systems take turns at each size.
    pub(crate) fn all(sweep: Sweep, systems: &[System]) -> Vec<Point> {
        let mut points = Vec::new();
        for size in sweep.grows().sizes() {
            for &workers in sweep.workers() {
                let here = systems.iter().filter(|&&system| sweep.absent(system).is_none());
                points.extend(here.map(|&system| Point { sweep, system, workers, size }));
            }
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sweep_has_a_cost_on_ibeam_or_a_reason_why_not() {
        for sweep in Sweep::all() {
            assert!(sweep.figures().iter().all(|figure| figure.unit.lower_is_better()), "{}", sweep.name());
            assert!(!sweep.figures().is_empty() && !sweep.workers().is_empty(), "{}", sweep.name());
            let absent = sweep.absent(System::Ibeam).or(sweep.absent(System::Tokio));
            assert!(absent.is_none_or(|why| why.len() > 20), "{}", sweep.name());
            assert!(sweep.absent(System::Elixir).is_some(), "{}", sweep.name());
        }
    }

    #[test]
    fn reasons_are_given_for_figures_that_exist() {
        for sweep in Sweep::all() {
            for place in 0..sweep.figures().len() {
                assert!(sweep.reason(place).is_none_or(|why| why.len() > 20), "{}", sweep.name());
            }
            assert_eq!(sweep.reason(sweep.figures().len()), None);
        }
    }

    #[test]
    fn sizes_grow_and_the_systems_take_turns_at_each() {
        assert!(Grows::ALL.into_iter().all(|grows| grows.sizes().is_sorted()));
        let points = Point::all(Sweep::Ring, &[System::Tokio, System::Ibeam]);
        assert_eq!(points.len(), 4 * 2 * 2);
        assert_eq!(
            points[..3],
            [(System::Tokio, 1), (System::Ibeam, 1), (System::Tokio, 2)].map(|(system, workers)| Point {
                sweep: Sweep::Ring,
                system,
                workers,
                size: 1_000
            })
        );
        assert!(Point::all(Sweep::Selective, &[System::Tokio]).is_empty());
    }

    #[test]
    fn selections_look_at_as_many_messages_in_all_until_they_are_too_few() {
        assert_eq!([1, 100, 10_000, 1_000_000].map(selections), [1_000_000, 50_000, 500, 5]);
    }
}

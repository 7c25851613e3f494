//! When to look after a child that was asked to stop. Decides nothing but the order; time is an argument.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ibeam_runtime::{Instant, Pid};

/// # Invariants
/// 1. What is due first comes first; of two that are due at once, the one that was added first.
/// 2. Children that have stopped stay in it, but for one that is [alone](Self::forget_if_alone), until they are due or
///    [`tidy`](Self::tidy) is called, which happens before they are the larger part.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<Deadline>>,
    added: u64,
}

/// What stands in the heap. The order of the fields is the order of the deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deadline {
    at: Instant,
    number: u64,
    pid: Pid,
    what: What,
}

/// What is to be done if the child is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// It may have unlinked itself, and then nothing tells of its end: watch it.
    Look,
    /// It has had all the time that its child spec gives it.
    Kill,
}

impl Deadlines {
    pub(super) fn add(&mut self, at: Instant, pid: Pid, what: What) {
        self.added += 1;
        self.heap.push(Reverse(Deadline { at, number: self.added, pid, what }));
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(deadline)| deadline.at)
    }

    /// The next one that is due now, and since when.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Instant, Pid, What)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(Deadline { at, pid, what, .. })| (at, pid, what))
    }

    /// This child has stopped: forgets it if there is no other. So where one child after the other is stopped nothing gathers.
    #[inline]
    pub(super) fn forget_if_alone(&mut self, pid: Pid) {
        if self.heap.len() == 1 && self.heap.peek().is_some_and(|Reverse(deadline)| deadline.pid == pid) {
            self.heap.clear();
        }
    }

    /// Forgets the children that have stopped, if they are most of what is here; `stopping` children still stop.
    pub(super) fn tidy(&mut self, stopping: usize, still_stops: impl Fn(Pid) -> bool) {
        if self.heap.len() > 64 && self.heap.len() / 2 > stopping {
            self.heap.retain(|Reverse(deadline)| still_stops(deadline.pid));
            if self.heap.capacity() > 4 * self.heap.len().max(64) {
                self.heap.shrink_to_fit();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ibeam_runtime::process;
    use ibeam_runtime::sim::Simulation;

    use super::*;

    #[test]
    fn the_first_due_comes_first_and_the_stopped_are_forgotten() {
        Simulation::new(0).run(async {
            let start = process::now();
            let at = |seconds| start + Duration::from_secs(seconds);
            let pids: Vec<Pid> = (0..200).map(|_| process::spawn(async {})).collect();
            let mut deadlines = Deadlines::default();
            deadlines.add(at(2), pids[0], What::Kill);
            deadlines.add(at(1), pids[2], What::Look);
            deadlines.add(at(1), pids[1], What::Kill);
            assert_eq!(deadlines.next(), Some(at(1)));
            assert_eq!(deadlines.due(start), None, "too early");
            assert_eq!(deadlines.due(at(1)), Some((at(1), pids[2], What::Look)));
            assert_eq!(deadlines.due(at(1)), Some((at(1), pids[1], What::Kill)));
            assert_eq!(deadlines.due(at(1)), None);

            pids.iter().for_each(|pid| deadlines.add(at(3), *pid, What::Look));
            deadlines.tidy(150, |_| false);
            assert_eq!(deadlines.heap.len(), 201, "most of them still stop");
            deadlines.tidy(1, |pid| pid == pids[0]);
            assert_eq!(deadlines.heap.len(), 2);
            assert_eq!(deadlines.due(at(9)), Some((at(2), pids[0], What::Kill)));
        });
    }

    #[test]
    fn one_that_is_alone_is_forgotten_at_once() {
        Simulation::new(0).run(async {
            let [first, second] = [(); 2].map(|()| process::spawn(async {}));
            let mut deadlines = Deadlines::default();
            deadlines.add(process::now(), first, What::Look);
            deadlines.forget_if_alone(second);
            assert!(deadlines.next().is_some(), "another one's");
            deadlines.forget_if_alone(first);
            assert_eq!(deadlines.next(), None);
            [first, second].into_iter().for_each(|pid| deadlines.add(process::now(), pid, What::Look));
            deadlines.forget_if_alone(first);
            assert_eq!(deadlines.heap.len(), 2, "not alone");
        });
    }

    /// So many deadlines, of one process.
    fn full(count: usize, pid: Pid) -> Deadlines {
        let mut deadlines = Deadlines::default();
        (0..count).for_each(|_| deadlines.add(process::now(), pid, What::Look));
        deadlines
    }

    #[test]
    fn it_is_tidied_when_it_is_large_and_most_have_stopped() {
        Simulation::new(0).run(async {
            let me = process::self_pid();
            // deadlines, children that still stop, deadlines after it was tidied
            for (count, stopping, expected) in [(64, 0, 64), (65, 0, 0), (66, 33, 66), (66, 32, 0)] {
                let mut deadlines = full(count, me);
                deadlines.tidy(stopping, |_| false);
                assert_eq!(deadlines.heap.len(), expected, "{count}, {stopping}");
            }
        });
    }

    #[test]
    fn memory_is_given_back_when_it_is_worth_it() {
        Simulation::new(0).run(async {
            let me = process::self_pid();
            for (count, gives_back) in [(200, false), (2_000, true)] {
                let mut deadlines = full(count, me);
                deadlines.tidy(0, |_| false);
                assert_eq!(deadlines.heap.capacity() < count, gives_back, "{count}");
            }
        });
    }
}

//! The tasks of a stream that run.
//!
//! # Invariants
//! 1. A task has a slot from its start until its end was seen; there are never more than the stream's limit.
//! 2. Deadlines come in the order of starts, for each task has the same time.

use std::collections::VecDeque;
use std::task::Waker;

use ibeam_runtime::__private::Answer;
use ibeam_runtime::process::{self, disown};
use ibeam_runtime::{ExitReason, Instant, Pid};

use crate::task::handle::{TaskOutcome, outcome};

/// See the module. `K` is what is kept of a task's item.
pub(super) struct Running<T, K> {
    slots: Vec<Option<Slot<T, K>>>,
    free: Vec<usize>,
    deadlines: VecDeque<Deadline>,
}

pub(super) struct Slot<T, K> {
    pub(super) pid: Pid,
    pub(super) answer: Answer<T>,
    pub(super) kept: K,
    /// Which item of the input it is, counted from 0.
    pub(super) position: u64,
    pub(super) timed_out: bool,
}

struct Deadline {
    at: Instant,
    slot: usize,
    position: u64,
}

/// A task that has ended.
pub(super) struct Ended<T, K> {
    pub(super) position: u64,
    pub(super) kept: K,
    pub(super) outcome: TaskOutcome<T>,
    pub(super) timed_out: bool,
}

impl<T, K> Running<T, K> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), deadlines: VecDeque::new() }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    #[inline]
    pub(super) fn add(&mut self, task: Slot<T, K>, deadline: Option<Instant>) {
        let position = task.position;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = Some(task);
                slot
            }
            None => {
                self.slots.push(Some(task));
                self.slots.len() - 1
            }
        };
        if let Some(at) = deadline {
            self.deadlines.push_back(Deadline { at, slot, position });
        }
    }

    /// Those that have ended since the last look; `waker` is woken by the others.
    #[inline]
    pub(super) fn sweep(&mut self, waker: &Waker, mut ended: impl FnMut(Ended<T, K>)) {
        for (at, place) in self.slots.iter_mut().enumerate() {
            let Some(task) = place else { continue };
            let std::task::Poll::Ready(answer) = task.answer.poll(waker) else { continue };
            let Some(Slot { kept, position, timed_out, .. }) = place.take() else { continue };
            self.free.push(at);
            let outcome = if timed_out { Err(ExitReason::Timeout) } else { outcome(answer) };
            ended(Ended { position, kept, outcome, timed_out });
        }
    }

    /// When the time of the next one is over that runs.
    #[inline]
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        loop {
            let Deadline { at, slot, position } = *self.deadlines.front()?;
            match &self.slots[slot] {
                Some(task) if task.position == position && !task.timed_out => return Some(at),
                _ => drop(self.deadlines.pop_front()),
            }
        }
    }

    /// Kills the one whose time is over first. Its end is still to be seen.
    #[cold]
    pub(super) fn kill_next(&mut self) {
        if let Some(Deadline { slot, .. }) = self.deadlines.pop_front()
            && let Some(task) = &mut self.slots[slot]
        {
            task.timed_out = true;
            kill(task.pid);
        }
    }

    /// Kills all: their pids, and what says that they are gone.
    pub(super) fn kill_all(&mut self) -> (Vec<Pid>, Vec<Answer<T>>) {
        self.free.clear();
        self.deadlines.clear();
        let tasks = self.slots.drain(..).flatten();
        tasks.map(|task| (task.pid, task.answer)).inspect(|(pid, _)| kill(*pid)).unzip()
    }
}

/// Ends a task whose end is nobody's affair.
pub(super) fn kill(pid: Pid) {
    disown(pid);
    process::kill(pid);
}

//! The tasks of a stream that run, and one that is being started.
//!
//! # Invariants
//! 1. A task has a slot from before its start until its end was seen; there are never more than the stream's limit.
//! 2. Deadlines come in the order of starts, for each task has the same time.
//! 3. What becomes of a task comes by itself, with its slot's number: those that run are not looked at.

use std::collections::VecDeque;
use std::task::Waker;

use ibeam_runtime::__private::Answers;
use ibeam_runtime::process::{self, disown};
use ibeam_runtime::{ExitReason, Instant, Pid};

use crate::task::handle::{TaskOutcome, outcome};

/// See the module. `K` is what is kept of a task's item.
pub(super) struct Running<T, K> {
    pub(super) answers: Answers<T>,
    slots: Vec<Option<Slot<K>>>,
    free: Vec<usize>,
    deadlines: VecDeque<Deadline>,
    /// A task that has ended before its start was known to have succeeded.
    early: Option<(usize, TaskOutcome<T>)>,
}

struct Slot<K> {
    /// `None` while it is being started.
    pid: Option<Pid>,
    kept: K,
    /// Which item of the input it is, counted from 0.
    position: u64,
    timed_out: bool,
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

impl<T: Send + 'static, K> Running<T, K> {
    /// For the calling process.
    pub(super) fn new() -> Self {
        Self {
            answers: Answers::new(),
            slots: Vec::new(),
            free: Vec::new(),
            deadlines: VecDeque::new(),
            early: None,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes a slot for a task. Its process has to answer with the slot's number.
    #[inline]
    pub(super) fn begin(&mut self, kept: K, position: u64) -> usize {
        let task = Some(Slot { pid: None, kept, position, timed_out: false });
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = task;
                slot
            }
            None => {
                self.slots.push(task);
                self.slots.len() - 1
            }
        }
    }

    /// The task of this slot runs.
    #[inline]
    pub(super) fn started(&mut self, slot: usize, pid: Pid, deadline: Option<Instant>) {
        let Some(task) = &mut self.slots[slot] else { return };
        task.pid = Some(pid);
        if let Some(at) = deadline {
            self.deadlines.push_back(Deadline { at, slot, position: task.position });
        }
    }

    /// The task of this slot does not run. What was kept for it.
    pub(super) fn not_started(&mut self, slot: usize) -> Option<K> {
        self.early = None;
        self.free.push(slot);
        self.slots[slot].take().map(|task| task.kept)
    }

    /// One that has ended, if there is one. `waker` is that of the poll.
    #[inline]
    pub(super) fn take_ended(&mut self, waker: &Waker) -> Option<Ended<T, K>> {
        let (slot, outcome) = match self.take_early() {
            Some(early) => early,
            None => loop {
                let (slot, answer) = self.answers.take(waker)?;
                match &self.slots[slot] {
                    Some(Slot { pid: Some(_), .. }) => break (slot, outcome(answer)),
                    _ => self.early = Some((slot, outcome(answer))),
                }
            },
        };
        let Slot { kept, position, timed_out, .. } = self.slots[slot].take()?;
        self.free.push(slot);
        let outcome = if timed_out { Err(ExitReason::Timeout) } else { outcome };
        Some(Ended { position, kept, outcome, timed_out })
    }

    #[inline]
    fn take_early(&mut self) -> Option<(usize, TaskOutcome<T>)> {
        if self.has_early() { self.early.take() } else { None }
    }

    /// Is the start of the task that has ended early known?
    #[inline]
    fn has_early(&self) -> bool {
        let started = |slot: usize| matches!(&self.slots[slot], Some(Slot { pid: Some(_), .. }));
        self.early.as_ref().is_some_and(|(slot, _)| started(*slot))
    }

    /// `waker` is woken when a task ends. `false`: one has ended, and can be taken.
    #[inline]
    pub(super) fn wait(&mut self, waker: &Waker) -> bool {
        !self.has_early() && self.answers.wait(waker)
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
            && let Some(pid) = task.pid
        {
            task.timed_out = true;
            kill(pid);
        }
    }

    /// Kills all: their pids, and what says that they are gone.
    pub(super) fn kill_all(self) -> (Vec<Pid>, Answers<T>) {
        let pids: Vec<_> = self.slots.into_iter().flatten().filter_map(|task| task.pid).collect();
        pids.iter().for_each(|pid| kill(*pid));
        (pids, self.answers)
    }
}

/// Ends a task whose end is nobody's affair.
pub(super) fn kill(pid: Pid) {
    disown(pid);
    process::kill(pid);
}

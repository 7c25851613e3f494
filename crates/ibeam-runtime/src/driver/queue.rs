//! A run queue with the four priorities, for drivers with one thread.

use std::collections::VecDeque;

use crate::process::Priority;
use crate::raw::ready::Ready;

/// Every how many turns a process of low priority goes before one of normal priority.
pub(crate) const LOW_EVERY: u32 = 8;

/// See the module. First in, first out within a priority.
#[derive(Default)]
pub(crate) struct Queue {
    max: VecDeque<Ready>,
    high: VecDeque<Ready>,
    normal: VecDeque<Ready>,
    low: VecDeque<Ready>,
    turns: u32,
}

impl Queue {
    pub(crate) fn push(&mut self, ready: Ready) {
        match ready.priority() {
            Priority::Max => self.max.push_back(ready),
            Priority::High => self.high.push_back(ready),
            Priority::Normal => self.normal.push_back(ready),
            Priority::Low => self.low.push_back(ready),
        }
    }

    /// The queue whose turn it is; `None`: all are empty.
    fn due(&mut self) -> Option<&mut VecDeque<Ready>> {
        if !self.max.is_empty() {
            return Some(&mut self.max);
        }
        if !self.high.is_empty() {
            return Some(&mut self.high);
        }
        self.turns = self.turns.wrapping_add(1);
        let low_first = self.turns.is_multiple_of(LOW_EVERY) || self.normal.is_empty();
        let queue = if low_first && !self.low.is_empty() { &mut self.low } else { &mut self.normal };
        (!queue.is_empty()).then_some(queue)
    }

    pub(crate) fn pop(&mut self) -> Option<Ready> {
        self.due()?.pop_front()
    }

    /// One of those that are due: `choose` gets their number.
    pub(crate) fn pop_any(&mut self, choose: impl FnOnce(usize) -> usize) -> Option<Ready> {
        let queue = self.due()?;
        let chosen = choose(queue.len());
        queue.swap_remove_back(chosen)
    }

    /// The one of those that are due for which `rank` is the highest.
    pub(crate) fn pop_highest(&mut self, mut rank: impl FnMut(&Ready) -> u64) -> Option<Ready> {
        let queue = self.due()?;
        let (highest, _) = queue.iter().enumerate().max_by_key(|(_, ready)| rank(ready))?;
        queue.remove(highest)
    }

    pub(crate) fn len(&self) -> usize {
        self.max.len() + self.high.len() + self.normal.len() + self.low.len()
    }
}

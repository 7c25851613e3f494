//! What a process may leave in the tables of its runtime, so that only a process that has something there looks there when
//! it ends.
//!
//! # Invariants
//! 1. Who puts something into a table notes it first, *then* asks the mailbox whether it is open, by a change of its word to what it
//!    is. The process, at its end, closes its mailbox, *then* reads the notes. Both are exchanges of one word: who comes second
//!    sees what the first has done before. So a process that has left nothing, as most, passes no fence at its end.
//! 2. Both hold the table's lock while they act on what they saw. So nothing stays in a table for a process that has ended.
//! 3. The process itself is the one who closes, so it needs no fence to see whether it has.
//! 4. A note for a process whose slot has a new one by now is one too many for that: it looks for nothing, once.

use crate::pid::Pid;
use crate::raw::life::Life;
use crate::raw::mailbox::MailboxWord;
use crate::sync::atomic::AtomicU8;
use crate::sync::atomic::Ordering::Relaxed;

/// See the module.
pub(crate) struct Leaves(AtomicU8);

/// The tables.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Table {
    Timers = 1,
    Names = 2,
    Keepers = 4,
}

impl Leaves {
    #[cfg(not(loom))]
    pub(crate) const fn nothing() -> Self {
        Self(AtomicU8::new(0))
    }

    #[cfg(loom)]
    pub(crate) fn nothing() -> Self {
        Self(AtomicU8::new(0))
    }

    /// A new process takes the slot.
    pub(crate) fn reset(&self) {
        self.0.store(0, Relaxed);
    }

    /// Notes, under the lock of the table, that something stands there for `pid`. `false`: that process has ended, and
    /// nothing may be left for it.
    pub(crate) fn note(&self, table: Table, pid: Pid, life: &Life, word: &MailboxWord) -> bool {
        // A note that we see here the process will see too, if it closes its mailbox behind us.
        if !self.noted(table) {
            self.0.fetch_or(table as u8, Relaxed);
        }
        // In this order: an open mailbox may be that of the slot's next process already, and then the pid has changed.
        word.is_open_behind_me() && life.is(pid)
    }

    /// The process notes, under the lock of the table, that something of its own stands there. `false`: it has closed its
    /// mailbox, and nothing may be left for it.
    #[inline]
    pub(crate) fn note_own(&self, table: Table, word: &MailboxWord) -> bool {
        if !self.noted(table) {
            self.0.fetch_or(table as u8, Relaxed);
        }
        !word.is_closed()
    }

    /// Has something been noted so far? A look without order.
    pub(crate) fn noted(&self, table: Table) -> bool {
        self.0.load(Relaxed) & table as u8 != 0
    }

    /// The process, after it has closed its mailbox: may something stand there?
    pub(crate) fn may_be_in(&self, table: Table) -> bool {
        self.noted(table)
    }
}

//! The life of a slot: which process, if any, has it.
//!
//! # Invariants
//! 1. The generation is odd while a process has the slot and even while it is free; each change adds one.
//! 2. A pid is the index with an odd generation, so a pid is current for one process only and never again.
//! 3. A look-up is no lease: the process may end right after it. What is pushed then meets a closed mailbox, or a later
//!    process of the slot, which drops what does not carry its own pid.

use crate::pid::Pid;
use crate::raw::mailbox::MailboxWord;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// See the module. Holds index and generation, in the bits of a [`Pid`].
pub(crate) struct Life(AtomicU64);

impl Life {
    #[cfg(not(loom))]
    pub(crate) const fn unborn() -> Self {
        Self(AtomicU64::new(0))
    }

    #[cfg(loom)]
    pub(crate) fn unborn() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The pid that the next process of this slot will have. Nobody can look it up before [`begin`](Self::begin).
    pub(crate) fn next(&self, index: u32) -> Pid {
        Pid::from_parts(index, Pid::from_bits(self.0.load(Relaxed)).generation() + 1)
    }

    /// The process of that pid is ready to be looked up, and who finds it can send to it: its mailbox opens first.
    pub(crate) fn begin(&self, pid: Pid, word: &MailboxWord) {
        debug_assert!(pid.generation() % 2 == 1);
        word.open();
        self.0.store(pid.to_bits(), Release);
    }

    /// The process is over: its pid is never found again.
    pub(crate) fn end(&self) {
        let pid = Pid::from_bits(self.0.load(Relaxed));
        self.0.store(Pid::from_parts(pid.index(), pid.generation() + 1).to_bits(), Release);
    }

    /// Does the process of this pid have the slot?
    #[inline(always)]
    pub(crate) fn is(&self, pid: Pid) -> bool {
        self.0.load(Acquire) == pid.to_bits()
    }

    /// The owner: the bits of its own pid.
    #[inline(always)]
    pub(crate) fn own_bits(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// The pid of the process that has the slot.
    #[inline(always)]
    pub(crate) fn current(&self) -> Option<Pid> {
        let pid = Pid::from_bits(self.0.load(Acquire));
        (pid.generation() % 2 == 1).then_some(pid)
    }
}

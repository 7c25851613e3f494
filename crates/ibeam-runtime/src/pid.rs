//! Process identifiers.

use std::fmt;

use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{Acquire, Release};

/// The identifier of a process: plain data, valid for one process only and never used again.
///
/// Sending to the pid of a process that has ended does nothing (and is counted). Pids can be compared and ordered; the
/// order has no meaning beyond being total.
///
/// ```
/// use ibeam_runtime::{Runtime, process};
///
/// Runtime::new().block_on(async {
///     let pid = process::self_pid();
///     assert_eq!(pid, process::self_pid());
///     assert!(pid.to_string().starts_with("<0."));
/// });
/// ```
///
/// # Erlang/OTP
/// `pid()`. Shown as `<0.Index.Generation>`: the slot of the process, and which process of that slot it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(u64);

const INDEX_BITS: u32 = 24;

/// How many processes there can be at once in a program.
pub(crate) const INDEX_LIMIT: u32 = 1 << INDEX_BITS;

impl Pid {
    // The top bit stays clear: it marks the id of an alias where a node's target is either.
    #[inline(always)]
    pub(crate) fn from_parts(index: u32, generation: u64) -> Self {
        Self((generation << INDEX_BITS | u64::from(index)) & !(1 << 63))
    }

    #[inline(always)]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline(always)]
    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    #[inline(always)]
    pub(crate) fn index(self) -> u32 {
        (self.0 & u64::from(INDEX_LIMIT - 1)) as u32
    }

    #[inline(always)]
    pub(crate) fn generation(self) -> u64 {
        self.0 >> INDEX_BITS
    }
}

/// A place for a pid that many read and few write. Read without a lock.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct PidCell(AtomicU64);

impl PidCell {
    /// Who is in it. What its writer did before is seen too.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<Pid> {
        // No pid has the bits 0: generations of processes begin with 1.
        Some(Pid(self.0.load(Acquire))).filter(|pid| pid.0 != 0)
    }

    /// Who is to be in it.
    pub fn set(&self, pid: Option<Pid>) {
        self.0.store(pid.map_or(0, Pid::to_bits), Release);
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Generations of live processes are odd; count the processes of the slot from 0.
        write!(f, "<0.{}.{}>", self.index(), self.generation() / 2)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

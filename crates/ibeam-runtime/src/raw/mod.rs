//! The only modules with `unsafe`: nodes, the mailbox word, the call node, process control blocks and their slab.
//!
//! Each module says its invariants; each lock-free part has a loom model in `tests/`.

#![allow(unsafe_code)] // What this module is for; each block carries its proof.

pub(crate) mod answering;
pub(crate) mod call;
#[cfg(not(loom))]
pub(crate) mod carver;
#[cfg(not(loom))]
pub(crate) mod catch;
#[cfg(not(loom))]
pub(crate) mod cpu_clock;
pub(crate) mod deadline;
pub(crate) mod gather;
pub(crate) mod leaves;
pub(crate) mod life;
pub(crate) mod lifo;
pub(crate) mod mailbox;
mod memory;
pub(crate) mod node;
pub(crate) mod tenure;

#[cfg(not(loom))]
pub(crate) mod future;
#[cfg(not(loom))]
pub(crate) mod keeping;
#[cfg(not(loom))]
pub(crate) mod pcb;
#[cfg(not(loom))]
pub(crate) mod ready;
#[cfg(not(loom))]
pub(crate) mod scoped;
#[cfg(not(loom))]
pub(crate) mod slab;

/// Begins to load what stands at this address, to be written. Any address will do: nothing is read.
#[inline(always)]
fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a hint, which reads nothing; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Has the system give all pages of this memory now, in one call: as single page faults they take half as long again. What stands
/// there stays. Where the system cannot do it, they come as they are touched.
///
/// # Safety
/// `bytes` from `memory` on are one allocation of the caller's.
unsafe fn populate(memory: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        use rustix::mm::{Advice, madvise};
        let page = rustix::param::page_size();
        let first = memory.align_offset(page);
        let whole = bytes.saturating_sub(first) / page * page;
        if whole > 0 {
            // SAFETY: `first + whole <= bytes`, so these are whole pages within the caller's allocation. Nothing that stands in them
            // changes: those that are there stay, the others would come at the first touch, as zeros.
            let _ = unsafe { madvise(memory.add(first).cast(), whole, Advice::LinuxPopulateWrite) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (memory, bytes);
}

#[cfg(all(test, loom))]
mod tests;

//! The only modules with `unsafe`: nodes, the mailbox word, the call node, process control blocks and their slab.
//!
//! Each module says its invariants; each lock-free part has a loom model in `tests/`.

#![allow(unsafe_code)] // What this module is for; each block carries its proof.

pub(crate) mod answering;
pub(crate) mod call;
#[cfg(not(loom))]
pub(crate) mod catch;
pub(crate) mod deadline;
pub(crate) mod leaves;
pub(crate) mod life;
pub(crate) mod lifo;
pub(crate) mod mailbox;
mod memory;
pub(crate) mod node;

#[cfg(not(loom))]
pub(crate) mod future;
#[cfg(not(loom))]
pub(crate) mod pcb;
#[cfg(not(loom))]
pub(crate) mod ready;
#[cfg(not(loom))]
pub(crate) mod scoped;
#[cfg(not(loom))]
pub(crate) mod slab;
#[cfg(not(loom))]
pub(crate) mod small;

#[cfg(all(test, loom))]
mod tests;

//! `ibeam demo`: a key-value and pub/sub server that speaks Redis' protocol, built the way a user builds on ibeam.
//!
//! ```text
//! socket ─▶ resp::Decoder ─▶ command::parse ─▶ session::Session ─▶ plan::Plan ─▶ shard::Shard (one per process)
//! socket ◀─ resp::Output  ◀───────────────────────────────────────┘      └─ effects: pub/sub, walk, info, crash, …
//! ```
//!
//! Everything below decides and computes only: bytes, the time and other processes' answers come in as arguments, and
//! what must be done comes out as a value. So the whole server can be run inside a test without a socket, a process
//! or a clock, and its replies are compared with those recorded from Redis 7.0.15 (`tests/`).
//!
//! # Invariants
//! 1. A request is answered exactly once, in the order of the requests on its connection.
//! 2. Bytes from the network never decide how much is allocated before they were received.
//! 3. After a protocol error nothing more is read from that connection.
//! 4. One key always belongs to one shard, so requests on it are seen in the order in which one client sent them.

pub(crate) mod command;
pub(crate) mod glob;
pub(crate) mod info;
pub(crate) mod keyspace;
pub(crate) mod number;
pub(crate) mod options;
pub(crate) mod plan;
pub(crate) mod resp;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod shard;
pub(crate) mod small_bytes;
pub(crate) mod topics;
pub(crate) mod walk;

#[cfg(test)]
mod tests;

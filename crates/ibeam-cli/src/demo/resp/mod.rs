//! Redis' protocol (RESP2): requests in, replies out.
//!
//! # Why not a crate
//! `redis-protocol` 6.0.0 is the best known one (MIT; written for clients). Tried and measured before this was
//! written:
//! - it parses from the start whenever bytes arrive: one request of 4.3 MB in packets of 1,460 bytes took 1.95 s of
//!   CPU, so one slow client could keep a core busy;
//! - it recurses into nested arrays without a limit: 800 KB of `*1\r\n` overflow the stack, which aborts the process;
//! - it has no limits on lengths and counts, no inline commands, and not Redis' error texts;
//! - it needs nom 7, an exactly pinned cookie-factory, and two more crates.
//!
//! Others that we found (`resp-rs`, `yo-resp`, `beyond-resp`) are young 0.x releases with the same gaps. A server needs
//! only the flat half of the protocol in its decoder, which is what stands here.
//!
//! # Specification
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>; where that is silent, what redis-server 7.0.15 does.

mod decode;
mod inline;
mod output;
mod reply;

pub(crate) use decode::{Args, Decoder, Limits, ProtocolError};
pub(crate) use output::{Output, message_frame, pmessage_frame};
pub(crate) use reply::{ErrorReply, Reply};

//! Storms: much at once, for long, and at the end everything is still there and nothing too much.
//!
//! Plain `cargo test` runs the short form. The long one:
//!
//! ```sh
//! IBEAM_STORMS=long cargo test --release -p ibeam --test storms -- --nocapture
//! ```
//!
//! | file | storm |
//! |---|---|
//! | `kills.rs` | kills and panics at random over a tree of supervisors under load |
//! | `messages.rs` | numbered messages over many pairs |
//! | `callers.rs` | very many callers of one server with a bounded mailbox, in flat memory |
//! | `drops.rs` | every future of the library, dropped after each number of polls |
//! | `panics.rs` | panics in destructors, in `terminate`, in `init`, in messages |
//! | `runtimes.rs` | a runtime started and stopped again and again in one program |
//!
//! One storm runs at a time: they look at the threads, the memory and the descriptors of the whole program.

#[path = "../../../ibeam-runtime/tests/common/mod.rs"]
mod common;

mod callers;
mod drops;
mod kills;
mod messages;
mod panics;
mod runtimes;
mod scale;

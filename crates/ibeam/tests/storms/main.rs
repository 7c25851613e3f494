//! Storms: much at once, for long, and at the end everything is still there and nothing too much.
//!
//! Plain `cargo test` runs the short form. The long one:
//!
//! ```sh
//! IBEAM_STORMS=long cargo test --profile long -p ibeam --test storms
//! ```
//!
//! | file | storm |
//! |---|---|
//! | `kills.rs` | kills and panics at random over a tree of supervisors under load |
//! | `messages.rs` | numbered messages over many pairs |
//! | `many_callers.rs` | very many callers of one server with a bounded mailbox, in flat memory |
//! | `drops/` | every future of the library, dropped after each number of polls |
//! | `panics.rs` | panics in destructors, in `terminate`, in `init`, in messages |
//! | `runtimes.rs` | a runtime started and stopped again and again in one program |
//!
//! One storm runs at a time: they look at the threads, the memory and the descriptors of the whole program. They come in the order of their
//! names, so `drops` is the first: who lists the processes looks at all slots that there ever were, and does that in each of its runs.

#[path = "../../../ibeam-runtime/tests/common/mod.rs"]
mod common;

mod drops;
mod kills;
mod many_callers;
mod messages;
mod panics;
mod runtimes;
mod scale;

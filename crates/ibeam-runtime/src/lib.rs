//! Processes with the semantics of Erlang/OTP, on a scheduler of their own.
//!
//! This is the ground that ibeam's behaviours stand on. Programs mostly use the `ibeam` crate, which re-exports all of it.
//!
//! ```
//! use ibeam_runtime::{Down, ExitReason, Runtime, process};
//!
//! Runtime::new().block_on(async {
//!     let (pid, monitor) = process::spawn_monitor(async {
//!         let name = process::recv().await.downcast::<String>().unwrap();
//!         process::exit(ExitReason::other(format!("{name} asked me to")));
//!     });
//!     pid.send("Joe".to_owned());
//!     let down = process::recv().await.downcast::<Down>().unwrap();
//!     assert_eq!(down.monitor, monitor);
//!     assert_eq!(down.reason, ExitReason::other("Joe asked me to".to_owned()));
//! });
//! ```

// The models drive parts of what a build with everything else uses.
#![cfg_attr(loom, allow(dead_code, unreachable_pub))]

pub(crate) mod exit_reason;
mod pid;
mod raw;
pub(crate) mod sync;

#[cfg(not(loom))]
mod driver;
// The one part of the drivers that has a model.
#[cfg(loom)]
#[path = "driver/threads/idle.rs"]
mod idle;
#[cfg(not(loom))]
pub mod inline;
#[cfg(not(loom))]
mod message;
#[cfg(not(loom))]
mod nearby;
#[cfg(not(loom))]
mod observe;
#[cfg(not(loom))]
pub mod process;
#[cfg(not(loom))]
mod reference;
#[cfg(not(loom))]
mod report;
#[cfg(not(loom))]
mod runtime;
#[cfg(not(loom))]
pub mod sim;
#[cfg(not(loom))]
mod stable_map;
#[cfg(not(loom))]
mod time;
#[cfg(not(loom))]
mod timeout;
#[cfg(not(loom))]
mod timer;

pub use exit_reason::{ErrorReason, ExitReason, PanicReason, ReasonValue, Value};
#[cfg(not(loom))]
pub use message::Message;
pub use pid::Pid;
#[cfg(not(loom))]
pub use process::{
    Alias, AliasMode, CallError, CallFrom, Destination, Down, Exit, Interval, KeyTaken, Monitor, Name,
    NameError, NameRegistry, Overflow, Priority, SendError, SpawnError, TaggedDown, Target, Termination,
    Timer, TimerFired, TrySendError, Via,
};
#[cfg(not(loom))]
pub use reference::Reference;
#[cfg(not(loom))]
pub use runtime::{Entered, Metrics, Runtime, RuntimeBuilder, ShutdownError, UndeliveredCounts, metrics};
#[cfg(not(loom))]
pub use time::Instant;
#[cfg(not(loom))]
pub use timeout::Timeout;

/// For ibeam's own layers.
#[cfg(not(loom))]
#[doc(hidden)]
pub mod __private {
    pub use crate::driver::threads::within;
    pub use crate::message::Described;
    pub use crate::nearby::Nearby;
    pub use crate::observe::{Heard, Traced, Tracing, trace};
    pub use crate::pid::PidCell;
    pub use crate::process::extra::SmallMap;
    pub use crate::process::keepers::{Keeper, Kept, Removed, may_keep, next_kept_by, slot_of};
    pub use crate::process::send::{sending_to_many, will_send};
    pub use crate::process::{
        Answer, Answers, Promise, answering, catch_exit, catch_failure, catch_failure_of, dropped_callers,
        flush_message, promise,
    };
    pub use crate::raw::future::Boxed;
    pub use crate::raw::keeping::Keeping;
    pub use crate::raw::node::{Meta, NoMeta};
    pub use crate::report::quietly;
    pub use crate::runtime::{extension, hash_seed, key as runtime_key};
    pub use crate::stable_map::{Numbered, StableMap};
    pub use crate::timer::alarm::Alarm;
}

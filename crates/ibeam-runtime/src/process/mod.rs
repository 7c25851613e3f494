//! Processes: what a program does with them, and what a process can do to itself and others.
//!
//! | question | file |
//! |---|---|
//! | how is a process started? | `spawn.rs` |
//! | what happens in one turn of a process? | `run.rs` |
//! | how does a message get in, how does a bound hold? | `send.rs`, `room.rs` |
//! | how does it get out: `recv`, `receive!`, skipped messages? | `mail.rs`, `receive.rs` |
//! | what do the signals between processes do? | `signal.rs`, `links.rs`, `monitors.rs` |
//! | how does a process end? | `exit.rs`, `death.rs` |
//! | how does a destructor wait for others? | `hold.rs` |
//! | calls; what a process owes to who starts it | `call.rs`, `answer.rs` |
//! | names, names of others' registries | `names.rs`, `via.rs` |
//! | tables that keep something for processes | `keepers.rs` |
//! | local values, inspection | `dictionary.rs`, `info.rs` |
//! | timers: messages, actions, intervals | `timers.rs`, `timers/` |
//!
//! Functions here act on the process that calls them. Those that need one say so: outside of a process they panic with
//! the name of what was called and what to do instead. [`Pid::send`](crate::Pid::send), [`spawn`], [`exit_signal`],
//! [`kill`], [`whereis`], [`info`], calls and timers work from any thread.

mod answer;
mod call;
mod death;
mod dictionary;
pub(crate) mod exit;
pub(crate) mod extra;
mod hold;
mod info;
pub(crate) mod keepers;
pub(crate) mod lineage;
mod links;
pub(crate) mod mail;
mod monitors;
pub(crate) mod names;
mod receive;
pub(crate) mod room;
pub(crate) mod run;
pub(crate) mod send;
pub(crate) mod signal;
pub(crate) mod spawn;
mod termination;
mod timers;
mod via;

use std::fmt;

#[doc(hidden)]
pub use answer::{Answer, Answers, Promise, answering, promise};
pub use call::{Call, CallError, CallFrom};
pub use dictionary::{Key, get, get_or, keys, put, take};
pub use exit::exit;
pub(crate) use exit::{abandon, abandon_own, install_panic_hook, unwound_message as exit_message};
#[doc(hidden)]
pub use exit::{catch_exit, catch_failure, catch_failure_of, dropped_callers};
#[doc(hidden)]
pub use hold::{Whom, disown, hold_until};
pub use info::{Activity, ProcessInfo, Status, info, label, list, parent, set_activity, set_label};
pub use lineage::{Ancestor, ancestors, callers};
pub use links::{Exit, exit_signal, kill, link, trap_exit, traps_exits, unlink};
pub use monitors::{
    Alias, AliasMode, Down, Monitor, MonitorBuilder, TaggedDown, Target, alias, demonitor, demonitor_flush,
    make_ref, monitor, monitor_builder, unalias,
};
pub use names::{Name, NameError, name, name_of, register, registered, unregister, whereis};
#[doc(hidden)]
pub use receive::flush_message;
pub use receive::{Candidate, Receive, ReceiveAfter, Recv, hibernate, receive_with, recv, try_recv};
pub use send::{Destination, SendError, SendWait, TrySendError};
pub use spawn::{Spawn, SpawnError, builder, spawn, spawn_link, spawn_monitor};
pub use termination::Termination;
pub use timers::{
    Interval, Sleep, Timer, TimerFired, YieldNow, apply_after, apply_interval, deadline_after, exit_after,
    kill_after, measure, now, send_after, send_at, send_interval, sleep, sleep_until, start_timer, yield_now,
};
pub use via::{KeyTaken, NameRegistry, Via};

use crate::pid::Pid;
use crate::raw::pcb::Owner;

/// The pid of the calling process.
///
/// # Panics
/// Outside of a process. [`try_self_pid`] asks without a panic.
///
/// # Erlang/OTP
/// `self/0`.
#[must_use]
#[track_caller]
pub fn self_pid() -> Pid {
    owner("self_pid").pid()
}

/// The pid of the calling process, or `None` outside of one.
#[must_use]
pub fn try_self_pid() -> Option<Pid> {
    Owner::current().map(Owner::pid)
}

/// The process that calls `function`, which needs one.
#[inline(always)]
#[track_caller]
pub(crate) fn owner(function: &str) -> Owner {
    match Owner::current() {
        Some(owner) => owner,
        None => no_process(function),
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn no_process(function: &str) -> ! {
    panic!(
        "`{function}` needs a process to act on, and this code runs outside of one: \
         start it with `process::spawn` or `Runtime::block_on`, not with `tokio::spawn` or on a thread of its own"
    )
}

/// How often a process gets its turn, next to others that want one.
///
/// # Erlang/OTP
/// `process_flag(priority, Level)`. `Low` gets about an eighth of the turns of `Normal`; while a process of a higher
/// level wants to run, `Normal` and `Low` wait. Use `High` rarely and `Max` not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Priority {
    /// What can wait.
    Low = 1,
    /// The default.
    #[default]
    Normal = 0,
    /// Runs before all of `Normal`.
    High = 2,
    /// Runs before everything.
    Max = 3,
}

impl Priority {
    pub(crate) fn from_bits(bits: u8) -> Self {
        match bits {
            1 => Self::Low,
            2 => Self::High,
            3 => Self::Max,
            _ => Self::Normal,
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Max => "max",
        })
    }
}

/// Sets the calling process' priority and returns the former one.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `process_flag(priority, Level)`.
#[track_caller]
pub fn set_priority(priority: Priority) -> Priority {
    let pcb = owner("set_priority").pcb();
    let former = pcb.priority();
    pcb.set_priority(priority);
    former
}

/// What happens to a message for a mailbox that is full.
///
/// Signals are never held up by a bound, and their messages ([`Down`], [`Exit`]) neither take a
/// place nor are they dropped to make room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Overflow {
    /// [`send_wait`](Pid::send_wait) and calls wait for room; [`send`](Pid::send), which cannot wait, and
    /// [`try_send`](Pid::try_send) do as with `Reject`.
    #[default]
    Wait = 0,
    /// The message is refused: [`try_send`](Pid::try_send) and [`send_wait`](Pid::send_wait) hand it back,
    /// [`send`](Pid::send) drops it and counts it as undelivered.
    Reject = 1,
    /// The oldest message makes room. The receiver drops it itself, when it next gets its turn; until then up to twice
    /// the bound can stand in the mailbox, and what comes beyond that is dropped as with `DropNewest`.
    DropOldest = 2,
    /// The message itself is dropped and counted; the sender is told nothing.
    DropNewest = 3,
}

impl Overflow {
    pub(crate) fn from_bits(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::Wait,
            1 => Self::Reject,
            2 => Self::DropOldest,
            _ => Self::DropNewest,
        }
    }
}

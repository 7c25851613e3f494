//! Inspection: what a process is and does, asked from anywhere and answered by the process itself, between two messages.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::pid::Pid;
use crate::process::lineage::{Ancestor, Lineage};
use crate::process::monitors::Target;
use crate::process::names::Name;
use crate::process::receive::may_go_on;
use crate::process::signal::{self, Signal};
use crate::process::{Priority, owner, try_self_pid};
use crate::raw::pcb::{Owner, Pcb};
use crate::raw::slab;
use crate::runtime;

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It asks about itself.
    Running,
    /// It has something to do, and waits for its turn.
    Runnable,
    /// It waits: for a message, a timer, I/O.
    Waiting,
    /// It waits in [`hibernate`](crate::process::hibernate).
    Hibernating,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Runnable => "runnable",
            Self::Waiting => "waiting",
            Self::Hibernating => "hibernating",
        })
    }
}

/// What a process said it is doing: set by behaviours, free for programs.
pub type Activity = &'static str;

/// One consistent look at a process: everything in it was true at the same moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// The process.
    pub pid: Pid,
    /// What it is doing. Answering this question does not count.
    pub status: Status,
    /// Its name.
    pub name: Option<Name>,
    /// Its [label](set_label).
    pub label: Option<Arc<str>>,
    /// The type of its future: the nearest thing to the name of what was spawned.
    pub initial_call: &'static str,
    /// What it said it is [doing](set_activity).
    pub activity: Option<Activity>,
    /// Messages in its mailbox.
    pub message_queue_len: usize,
    /// Messages that its mailbox takes at most.
    pub mailbox_limit: Option<u32>,
    /// Work done: turns, and messages taken out of the mailbox.
    pub reductions: u64,
    /// Linked processes.
    pub links: Vec<Pid>,
    /// What it monitors.
    pub monitors: Vec<Target>,
    /// The processes that monitor it; one entry per monitor.
    pub monitored_by: Vec<Pid>,
    /// Does it trap exits?
    pub trap_exit: bool,
    /// Its priority.
    pub priority: Priority,
    /// Bytes of its block, its future and its tables. Messages, and what the future points to, are not counted.
    pub memory_bytes: usize,
    /// Who spawned it; `None` if no process did.
    pub parent: Option<Pid>,
    /// The processes it comes from, nearest first.
    pub ancestors: Vec<Ancestor>,
    /// The processes on whose behalf it works, nearest first.
    pub callers: Vec<Pid>,
    /// The names of its [local values](crate::process::put).
    pub dictionary_keys: Vec<&'static str>,
}

/// What the process is and does, or `None` if there is no such process.
///
/// The question travels like a message: what the caller sent before it is counted in the answer. A process that computes
/// without an await answers when it is done with that.
///
/// # Cancel safety
/// Dropping the future drops the answer.
///
/// ```
/// use ibeam_runtime::{Runtime, process::{self, Status}};
///
/// Runtime::new().block_on(async {
///     let pid = process::builder().label("sleeper").spawn(std::future::pending::<()>());
///     pid.send("unread");
///     let info = process::info(pid).await.unwrap();
///     assert_eq!((info.label.as_deref(), info.message_queue_len), (Some("sleeper"), 1));
///     assert_eq!(info.parent, Some(process::self_pid()));
/// });
/// ```
///
/// # Erlang/OTP
/// `process_info/2` for all items at once.
pub async fn info(pid: Pid) -> Option<ProcessInfo> {
    let answer = if try_self_pid() == Some(pid) {
        None
    } else {
        let (reply, answer) = oneshot::channel();
        let asked = signal::send(pid, Signal::Info { reply });
        if asked.is_ok() { answer.await.ok() } else { None }
    };
    poll_fn(|cx| may_go_on(cx)).await;
    match Owner::current() {
        Some(owner) if owner.pid() == pid => {
            owner.fetch();
            Some(owner.info())
        }
        _ => answer,
    }
}

/// The pids of all processes of the current runtime.
///
/// Every process that lives during the whole call is in it, none that ended before or begins after it, and none twice. A
/// message to a process in it is not lost because the process is young.
///
/// # Erlang/OTP
/// `processes/0`.
#[must_use]
pub fn list() -> Vec<Pid> {
    runtime::with_current(|shared| {
        if let Some(sim) = &shared.sim {
            // The slots' order is an accident of what else the program does.
            return sim.in_order().into_iter().filter(|pid| is_open(*pid)).collect();
        }
        slab::all()
            .filter(|(_, pcb)| pcb.belongs_to(shared) && !pcb.word.is_closed())
            .map(|(pid, _)| pid)
            .collect()
    })
}

/// Is there such a process, whose end has not begun to be told?
fn is_open(pid: Pid) -> bool {
    slab::lookup(pid).is_some_and(|pcb| !pcb.word.is_closed())
}

/// Sets the calling process' label: a text that says what it is, for inspection and crash reports.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `proc_lib:set_label/1`, `Process.set_label/1`. Differs: a text, not any term.
#[track_caller]
pub fn set_label(label: impl Into<Arc<str>>) {
    let label = label.into();
    owner("set_label").with_rare(|rare| rare.label = Some(label));
}

/// The calling process' label.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `proc_lib:get_label/1` of oneself.
#[must_use]
#[track_caller]
pub fn label() -> Option<Arc<str>> {
    owner("label").with_rare_if_any(|rare| rare.label.clone()).flatten()
}

/// Says what the calling process is doing now, until the next call: what [`info`] and the warnings about busy processes
/// show. Returns what it was.
///
/// # Panics
/// Outside of a process.
#[track_caller]
pub fn set_activity(activity: Option<Activity>) -> Option<Activity> {
    owner("set_activity").with_rare(|rare| std::mem::replace(&mut rare.activity, activity))
}

/// Who spawned the calling process; `None` if no process did.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `process_info(self(), parent)`.
#[must_use]
#[track_caller]
pub fn parent() -> Option<Pid> {
    owner("parent").parent()
}

impl Owner {
    /// The look itself. In a turn that only handles signals the process counts as waiting.
    pub(crate) fn info(self) -> ProcessInfo {
        let (pid, cells, bits) = (self.pid(), self.cells(), self.bits());
        let due = bits.poll_due() || (bits.interested() && cells.mail_len.get() > 0);
        let status = if bits.polling() {
            Status::Running
        } else if due {
            Status::Runnable
        } else if bits.hibernating() {
            Status::Hibernating
        } else {
            Status::Waiting
        };
        let (initial_call, future_bytes) = self.future_kind().unwrap_or_default();
        let name = self.name();
        let message_queue_len = self.mailbox_len();
        let lineage = self.lineage();
        let mut info = ProcessInfo {
            pid,
            status,
            name,
            label: None,
            initial_call,
            activity: None,
            message_queue_len,
            mailbox_limit: self.pcb().bound.get().map(|(limit, _)| limit),
            reductions: self.reductions(),
            links: Vec::new(),
            monitors: Vec::new(),
            monitored_by: Vec::new(),
            trap_exit: bits.trap_exit(),
            priority: self.pcb().priority(),
            memory_bytes: size_of::<Pcb>() + future_bytes,
            parent: self.parent(),
            ancestors: lineage
                .as_deref()
                .map_or_else(Vec::new, |lineage: &Lineage| lineage.ancestors().to_vec()),
            callers: self.callers_in(None),
            dictionary_keys: Vec::new(),
        };
        if bits.parent_link() {
            info.links.extend(info.parent);
        }
        self.with_extra_if_any(|extra| {
            let active = extra.links.iter().filter(|(_, link)| link.is_active()).map(|(pid, _)| *pid);
            // See `links.rs`: some may have ended.
            let simulated = self.shared().sim.is_some();
            info.links.extend(active.filter(|pid| simulated || is_open(*pid)));
            info.memory_bytes += extra.bytes();
            let Some(rare) = extra.rare_if_any() else { return };
            info.label.clone_from(&rare.label);
            info.activity = rare.activity;
            info.monitors = rare.monitors.iter().map(|(_, monitored)| monitored.target.clone()).collect();
            info.monitored_by = rare.watchers.iter().map(|(_, watcher)| *watcher).collect();
            if let Some(callers) = &rare.callers {
                info.callers = callers.to_vec();
            }
            info.dictionary_keys = rare.dictionary.keys();
        });
        info
    }

    pub(crate) fn reductions(self) -> u64 {
        let more = self.with_rare_if_any(|rare| rare.turns).unwrap_or(0);
        let taken = self.cells().fetched.get() - u64::from(self.cells().mail_len.get());
        taken + more + u64::from(self.cells().turns.get())
    }
}

//! The children of a supervisor: in their order, by id and by process.
//!
//! # Invariants
//! 1. Keys grow in the order in which children were added, and are never reused: the order of keys is the start order.
//! 2. A child is `Running(pid)` if and only if `by_pid` leads from that pid to it. So a child has at most one process, and an
//!    exit that leads nowhere is nobody's.
//! 3. A child is `Restarting` if and only if a retry with its token is on its way, as a message or a timer. Tokens are
//!    never reused: a retry whose token is not the child's is out of date, and does nothing.
//! 4. If a child is `Due`, another one is `Restarting`, and when that is over, the `Due` ones are started.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use ibeam_runtime::{ExitReason, Instant, Monitor, Pid, Timer, process};

use super::child_spec::{ChildId, ChildSpec, Settings, StartChild};

/// Names a child as long as its supervisor lives.
pub(super) type Key = u64;

/// Tells one retry from another.
pub(super) type Token = u64;

#[derive(Default)]
pub(super) struct Children {
    by_key: BTreeMap<Key, Child>,
    by_id: HashMap<ChildId, Key>,
    by_pid: HashMap<Pid, Key>,
    next: u64,
}

pub(super) struct Child {
    pub(super) settings: Settings,
    /// `None` once a temporary child runs: its arguments are not kept.
    pub(super) start: Option<Arc<dyn StartChild>>,
    status: Status,
    /// Restarts in a row that did not help. Only counted under back-off.
    pub(super) failures: u32,
    /// Since when it runs. Only noted under back-off.
    pub(super) since: Option<Instant>,
    /// Whose end a restart of it has waited for already: see [`lingering`](super::child_start::lingering).
    pub(super) waited_for: Option<Pid>,
}

#[derive(Debug)]
pub(super) enum Status {
    Running(Pid),
    /// It has no process, and is not to get one by itself.
    Stopped,
    /// It was stopped because of another one, which is `Restarting`, and is started after that.
    Due,
    Restarting(Retry),
}

/// A start that is to come.
#[derive(Debug)]
pub(super) struct Retry {
    pub(super) token: Token,
    pub(super) how: How,
    /// The timer of a retry that waits, and the monitor of whom it waits for.
    pub(super) timer: Option<Timer>,
    pub(super) monitor: Option<Monitor>,
}

impl Retry {
    /// It is not to come. If that is too late, its message comes, whose token is out of date.
    fn cancel(self) {
        if let Some(timer) = self.timer {
            timer.cancel();
        }
        if let Some(monitor) = self.monitor {
            process::demonitor(monitor.reference());
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum How {
    /// As if it had just ended with this reason: counted, and with all that the strategy asks for.
    Afresh(ExitReason),
    /// The start of this child and of those that are due after it.
    GoOn,
}

impl Child {
    pub(super) fn status(&self) -> &Status {
        &self.status
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        match self.status {
            Status::Running(pid) => Some(pid),
            _ => None,
        }
    }

    /// Is it to be started by its supervisor?
    pub(super) fn is_restarting(&self) -> bool {
        matches!(self.status, Status::Due | Status::Restarting(_))
    }
}

impl Children {
    /// A number that this supervisor has not used yet.
    pub(super) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Adds a child behind all others. Its id is not in use.
    pub(super) fn add(&mut self, spec: ChildSpec) -> Key {
        let key = self.fresh();
        let ChildSpec { settings, start } = spec;
        let former = self.by_id.insert(settings.id.clone(), key);
        debug_assert!(former.is_none(), "two children `{}`", settings.id);
        let child = Child {
            settings,
            start: Some(start),
            status: Status::Stopped,
            failures: 0,
            since: None,
            waited_for: None,
        };
        self.by_key.insert(key, child);
        key
    }

    /// Takes a child out that does not run.
    pub(super) fn remove(&mut self, key: Key) {
        if let Some(child) = self.by_key.remove(&key) {
            debug_assert!(child.pid().is_none(), "child `{}` is forgotten while it runs", child.settings.id);
            self.by_id.remove(&child.settings.id);
        }
    }

    /// Changes where a child stands. A retry that it waited for is cancelled.
    pub(super) fn set(&mut self, key: Key, status: Status) {
        let Some(child) = self.by_key.get_mut(&key) else { return };
        if let Status::Running(pid) = status {
            self.by_pid.insert(pid, key);
        }
        match std::mem::replace(&mut child.status, status) {
            Status::Running(pid) => {
                self.by_pid.remove(&pid);
            }
            Status::Restarting(retry) => retry.cancel(),
            Status::Stopped | Status::Due => {}
        }
    }

    /// The retry of this child waits for the end of this process too: its token.
    pub(super) fn await_end(&mut self, key: Key, pid: Pid) -> Option<Token> {
        let child = self.by_key.get_mut(&key)?;
        child.waited_for = Some(pid);
        match &child.status {
            Status::Restarting(retry) => Some(retry.token),
            _ => None,
        }
    }

    /// The monitor of whom it waits for, so that it ends with the wait.
    pub(super) fn add_monitor(&mut self, key: Key, monitor: Option<Monitor>) {
        if let Some(Child { status: Status::Restarting(retry), .. }) = self.by_key.get_mut(&key) {
            retry.monitor = monitor;
        }
    }

    pub(super) fn get(&self, key: Key) -> Option<&Child> {
        self.by_key.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Child> {
        self.by_key.get_mut(&key)
    }

    pub(super) fn key_of(&self, id: &str) -> Option<Key> {
        self.by_id.get(id).copied()
    }

    pub(super) fn key_of_pid(&self, pid: Pid) -> Option<Key> {
        self.by_pid.get(&pid).copied()
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (Key, &Child)> {
        self.by_key.iter().map(|(&key, child)| (key, child))
    }

    /// The keys of those among these that there are, oldest first.
    pub(super) fn keys_in(&self, keys: RangeInclusive<Key>) -> Vec<Key> {
        self.by_key.range(keys).map(|(&key, _)| key).collect()
    }

    /// The first of these that is due.
    pub(super) fn next_due(&self, keys: RangeInclusive<Key>) -> Option<Key> {
        if keys.is_empty() {
            // Which `range` takes for a mistake.
            return None;
        }
        let mut among = self.by_key.range(keys);
        among.find(|(_, child)| matches!(child.status, Status::Due)).map(|(&key, _)| key)
    }
}

//! The children of a dynamic supervisor, and what is to happen to them. Nothing here touches a process.
//!
//! # Invariants
//! 1. A child stands under the pid of its last process: the one that runs, or the one that a restart is to replace.
//! 2. The counts are those of the entries; reading them looks at no child.
//! 3. A temporary child's start arguments are dropped as soon as it runs.
//!
//! An entry has 32 bytes beside what the start arguments need, and the table some 34 more: there can be a million.

use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use ibeam_runtime::__private::Nearby;
use ibeam_runtime::{ExitReason, Pid};
use indexmap::map::raw_entry_v1::{RawEntryApiV1, RawEntryMut};
use indexmap::{IndexMap, IndexSet};

use crate::supervisor::child_report::Reported;
use crate::supervisor::{Backoff, ChildCounts, Kind, Restart, Shutdown};

/// Iterates in the order of starts, until a child goes: then the newest takes its place.
type Table<K> = IndexMap<Pid, Child<K>, Nearby>;

#[derive(Debug)]
pub(super) struct Children<K> {
    table: Table<K>,
    /// The types that children are of: few, so that an entry needs a number only.
    types: IndexSet<Option<&'static str>, foldhash::fast::FixedState>,
    /// The number of the newest child's.
    latest_type: u32,
    supervisors: usize,
    restarting: usize,
    stopping: usize,
}

/// One child; `K` is what its restart begins with.
#[derive(Debug)]
pub(super) struct Child<K> {
    /// `None` for a temporary child.
    kept: Option<K>,
    shutdown: PackedShutdown,
    implemented_by: u32,
    restart: Restart,
    kind: Kind,
    state: State,
    watched: bool,
}

/// What a child is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// It has no process: its last start has failed, and is to be tried again.
    Restarting,
    /// Its process was asked to stop, or killed.
    Stopping,
}

/// What a child specification says of a child, apart from how it is started.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) kind: Kind,
    /// `None` if that is not known.
    pub(crate) implemented_by: Option<&'static str>,
    pub(crate) backoff: Option<Arc<Backoff>>,
}

impl From<&Terms> for Reported<'_> {
    fn from(terms: &Terms) -> Self {
        let Terms { restart, shutdown, kind, implemented_by: module, .. } = *terms;
        Self { id: None, significant: None, restart, shutdown, kind, module }
    }
}

/// A supervisor that had a million children for a moment gives their memory back: for how many to keep room, if there is too much.
fn room_to_keep(capacity: usize, len: usize) -> Option<usize> {
    (capacity > 1024 && len < capacity / 8).then_some(len * 2)
}

/// A child was stopped, and ended with `reason`: is that how it was to end? If not, it is reported.
pub(super) fn ended_as_asked(restart: Restart, shutdown: Shutdown, reason: &ExitReason) -> bool {
    match (shutdown, reason) {
        (Shutdown::BrutalKill, reason) => *reason == ExitReason::Killed,
        (_, ExitReason::Normal) => restart != Restart::Permanent,
        (_, reason) => !reason.is_abnormal(),
    }
}

impl<K> Children<K> {
    pub(super) fn new() -> Self {
        Self {
            table: Table::default(),
            types: IndexSet::default(),
            latest_type: 0,
            supervisors: 0,
            restarting: 0,
            stopping: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// How many of them stop.
    pub(super) fn stopping(&self) -> usize {
        self.stopping
    }

    pub(super) fn counts(&self) -> ChildCounts {
        let specs = self.table.len();
        let (active, workers) = (specs - self.restarting, specs - self.supervisors);
        ChildCounts { specs, active, supervisors: self.supervisors, workers }
    }

    /// A start function that returns the process of another child gives that one's place away.
    pub(super) fn add(&mut self, pid: Pid, kept: K, terms: Terms) {
        let Terms { restart, shutdown, kind, implemented_by, .. } = terms;
        let child = Child {
            kept: (restart != Restart::Temporary).then_some(kept),
            shutdown: PackedShutdown::new(shutdown),
            implemented_by: self.number_of(implemented_by),
            restart,
            kind,
            state: State::Running,
            watched: false,
        };
        self.insert(pid, child);
    }

    /// The number of a type. Most children are of the same as the one before: its name is in the same place.
    #[inline]
    fn number_of(&mut self, implemented_by: Option<&'static str>) -> u32 {
        let is_it = |latest: &Option<&'static str>| match (*latest, implemented_by) {
            (Some(latest), Some(name)) => ptr::eq(latest, name),
            (latest, name) => latest.is_none() && name.is_none(),
        };
        if !self.types.get_index(self.latest_type as usize).is_some_and(is_it) {
            let (number, _) = self.types.insert_full(implemented_by);
            // A program has fewer types than that.
            self.latest_type = u32::try_from(number).unwrap_or(u32::MAX);
        }
        self.latest_type
    }

    fn insert(&mut self, pid: Pid, child: Child<K>) {
        self.count(&child, 1);
        if let Some(former) = self.table.insert(pid, child) {
            self.count(&former, 1_usize.wrapping_neg());
        }
    }

    pub(super) fn remove(&mut self, pid: Pid) -> Option<Child<K>> {
        let child = self.table.swap_remove(&pid)?;
        Some(self.removed(child))
    }

    /// Removes the child if it was to stop.
    pub(super) fn remove_if_stopping(&mut self, pid: Pid) -> Option<Child<K>> {
        // Found once: what is removed by its index is looked for again.
        match self.table.raw_entry_mut_v1().from_key(&pid) {
            RawEntryMut::Occupied(entry) if entry.get().state == State::Stopping => {
                let child = entry.swap_remove();
                Some(self.removed(child))
            }
            _ => None,
        }
    }

    fn removed(&mut self, child: Child<K>) -> Child<K> {
        self.count(&child, 1_usize.wrapping_neg());
        if let Some(room) = room_to_keep(self.table.capacity(), self.table.len()) {
            self.table.shrink_to(room);
        }
        child
    }

    /// A restart has given the child another process.
    pub(super) fn replace(&mut self, former: Pid, pid: Pid) {
        let Some(child) = self.remove(former) else { return };
        self.insert(pid, Child { state: State::Running, watched: false, ..child });
    }

    pub(super) fn get(&self, pid: Pid) -> Option<&Child<K>> {
        self.table.get(&pid)
    }

    /// The `index`th child of the table.
    pub(super) fn at(&self, index: usize) -> Option<(Pid, &Child<K>)> {
        self.table.get_index(index).map(|(pid, child)| (*pid, child))
    }

    pub(super) fn set_state(&mut self, pid: Pid, state: State) {
        let Some(child) = self.table.get_mut(&pid) else { return };
        let former = std::mem::replace(&mut child.state, state);
        self.recount(former, state);
    }

    /// A child that runs is to stop. The state it was in, and how it is stopped; `None`: there is no such child.
    pub(super) fn stop(&mut self, pid: Pid) -> Option<(State, Shutdown)> {
        let child = self.table.get_mut(&pid)?;
        let former = child.state;
        let shutdown = child.shutdown();
        if former == State::Running {
            child.state = State::Stopping;
            self.recount(former, State::Stopping);
        }
        Some((former, shutdown))
    }

    fn recount(&mut self, former: State, state: State) {
        for (state, count) in [(former, 1_usize.wrapping_neg()), (state, 1)] {
            match state {
                State::Running => {}
                State::Restarting => self.restarting = self.restarting.wrapping_add(count),
                State::Stopping => self.stopping = self.stopping.wrapping_add(count),
            }
        }
    }

    /// From now on a monitor tells of its end too. `false`: one did so already.
    pub(super) fn watch(&mut self, pid: Pid) -> bool {
        self.table.get_mut(&pid).is_some_and(|child| !std::mem::replace(&mut child.watched, true))
    }

    /// The type that implements the child.
    pub(super) fn implemented_by(&self, child: &Child<K>) -> Option<&'static str> {
        self.types.get_index(child.implemented_by as usize).copied().flatten()
    }

    /// What is said about the child.
    pub(super) fn reported(&self, child: &Child<K>) -> Reported<'static> {
        let (restart, shutdown, kind) = (child.restart, child.shutdown(), child.kind);
        Reported { id: None, significant: None, restart, shutdown, kind, module: self.implemented_by(child) }
    }

    fn count(&mut self, child: &Child<K>, by: usize) {
        if child.kind == Kind::Supervisor {
            self.supervisors = self.supervisors.wrapping_add(by);
        }
        match child.state {
            State::Running => {}
            State::Restarting => self.restarting = self.restarting.wrapping_add(by),
            State::Stopping => self.stopping = self.stopping.wrapping_add(by),
        }
    }
}

impl<K> Child<K> {
    pub(super) fn kept(&self) -> Option<&K> {
        self.kept.as_ref()
    }

    pub(super) fn restart(&self) -> Restart {
        self.restart
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn shutdown(&self) -> Shutdown {
        self.shutdown.get()
    }
}

/// A [`Shutdown`] in eight bytes: nanoseconds, or one of two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PackedShutdown(u64);

impl PackedShutdown {
    const INFINITY: u64 = u64::MAX;
    const BRUTAL_KILL: u64 = u64::MAX - 1;

    fn new(shutdown: Shutdown) -> Self {
        Self(match shutdown {
            Shutdown::BrutalKill => Self::BRUTAL_KILL,
            Shutdown::Infinity => Self::INFINITY,
            // 584 years are as good as for ever.
            Shutdown::Timeout(limit) => u64::try_from(limit.as_nanos())
                .ok()
                .filter(|nanos| *nanos < Self::BRUTAL_KILL)
                .unwrap_or(Self::INFINITY),
        })
    }

    fn get(self) -> Shutdown {
        match self.0 {
            Self::INFINITY => Shutdown::Infinity,
            Self::BRUTAL_KILL => Shutdown::BrutalKill,
            nanos => Shutdown::Timeout(Duration::from_nanos(nanos)),
        }
    }
}

#[cfg(test)]
mod tests {
    use ibeam_runtime::process;
    use ibeam_runtime::sim::Simulation;

    use super::*;

    const WORKER: Terms = Terms {
        restart: Restart::Permanent,
        shutdown: Shutdown::Timeout(Duration::from_secs(5)),
        kind: Kind::Worker,
        implemented_by: Some("worker"),
        backoff: None,
    };

    #[test]
    fn an_entry_is_small() {
        // A million of them count: start function, shutdown, and the rest in eight bytes.
        assert!(size_of::<Child<Arc<dyn Send>>>() <= 32, "{}", size_of::<Child<Arc<dyn Send>>>());
    }

    #[test]
    fn shutdowns_are_packed_without_loss() {
        let cases = [
            Shutdown::BrutalKill,
            Shutdown::Infinity,
            Shutdown::Timeout(Duration::ZERO),
            Shutdown::Timeout(Duration::from_millis(1)),
            Shutdown::Timeout(Duration::from_secs(1 << 30)),
        ];
        for shutdown in cases {
            assert_eq!(PackedShutdown::new(shutdown).get(), shutdown);
        }
        assert_eq!(PackedShutdown::new(Shutdown::Timeout(Duration::MAX)).get(), Shutdown::Infinity);
    }

    #[test]
    fn each_type_has_one_number() {
        let mut children = Children::<()>::new();
        // The same name in another place, as two crates may have it.
        let again: &'static str = String::from("worker").leak();
        let types = [None, Some("worker"), Some("other"), None, Some(again), Some("worker"), Some("other")];
        let numbers = types.map(|name| children.number_of(name));
        assert_eq!(numbers, [0, 1, 2, 0, 1, 1, 2]);
        assert_eq!(children.types.len(), 3);
    }

    #[test]
    fn counts_follow_the_children() {
        Simulation::new(0).run(async {
            let pids: Vec<Pid> = (0..5000).map(|_| process::spawn(async {})).collect();
            let mut children = Children::new();
            for pid in &pids[..4000] {
                children.add(*pid, (), WORKER);
            }
            children.add(pids[4000], (), Terms { kind: Kind::Supervisor, ..WORKER });
            let counts = |children: &Children<()>| {
                let ChildCounts { specs, active, supervisors, workers } = children.counts();
                (specs, active, supervisors, workers)
            };
            assert_eq!(counts(&children), (4001, 4001, 1, 4000));
            assert_eq!((children.len(), children.is_empty()), (4001, false));
            children.set_state(pids[0], State::Restarting);
            children.set_state(pids[1], State::Stopping);
            assert_eq!((counts(&children), children.stopping()), ((4001, 4000, 1, 4000), 1));
            children.replace(pids[0], pids[4001]);
            assert_eq!(counts(&children), (4001, 4001, 1, 4000));
            assert_eq!(children.get(pids[4001]).map(Child::state), Some(State::Running));
            assert!(children.get(pids[0]).is_none());
            for pid in pids {
                children.remove(pid);
            }
            assert_eq!((counts(&children), children.stopping()), ((0, 0, 0, 0), 0));
            assert_eq!((children.len(), children.is_empty()), (0, true));
            assert!(children.table.capacity() < 2048, "the memory is given back");
        });
    }

    #[test]
    fn room_is_given_back_when_there_is_much_of_it_and_little_is_used() {
        let cases = [
            (1024, 0, None),
            (1025, 0, Some(0)),
            (8000, 1000, None),
            (8000, 999, Some(1998)),
            (8000, 8000, None),
        ];
        for (capacity, len, expected) in cases {
            assert_eq!(room_to_keep(capacity, len), expected, "{len} of {capacity}");
        }
    }

    #[test]
    fn each_process_of_a_child_is_watched_once() {
        Simulation::new(0).run(async {
            let [first, second] = [(); 2].map(|()| process::spawn(async {}));
            let mut children = Children::new();
            children.add(first, (), WORKER);
            assert_eq!([first, first, second].map(|pid| children.watch(pid)), [true, false, false]);
            children.replace(first, second);
            assert_eq!([first, second, second].map(|pid| children.watch(pid)), [false, true, false]);
            assert_eq!(children.at(0).map(|(pid, _)| pid), Some(second));
            assert!(children.at(1).is_none());
        });
    }

    #[test]
    fn a_child_is_what_it_was_added_as() {
        Simulation::new(0).run(async {
            let pid = process::spawn(async {});
            let mut children = Children::new();
            let terms = Terms { restart: Restart::Transient, kind: Kind::Supervisor, ..WORKER };
            children.add(pid, "arguments", terms);
            let child = children.get(pid).expect("it was added");
            assert_eq!(child.kept(), Some(&"arguments"));
            assert_eq!((child.restart(), child.kind()), (Restart::Transient, Kind::Supervisor));
            assert_eq!(child.shutdown(), WORKER.shutdown);
            assert_eq!(children.implemented_by(child), Some("worker"));
        });
    }

    #[test]
    fn a_temporary_child_keeps_no_arguments() {
        Simulation::new(0).run(async {
            let pid = process::spawn(async {});
            let mut children = Children::new();
            children.add(pid, "arguments", Terms { restart: Restart::Temporary, ..WORKER });
            assert_eq!(children.get(pid).and_then(Child::kept), None);
        });
    }

    #[test]
    fn ends_of_children_that_stop_are_judged_as_the_table_says() {
        let (limit, detailed) = (Shutdown::Timeout(Duration::ZERO), ExitReason::shutdown_with(1));
        let cases = [
            (Restart::Permanent, limit, ExitReason::Shutdown, true),
            (Restart::Permanent, limit, detailed, true),
            (Restart::Permanent, limit, ExitReason::Normal, false),
            (Restart::Transient, limit, ExitReason::Normal, true),
            (Restart::Temporary, limit, ExitReason::Normal, true),
            (Restart::Temporary, limit, ExitReason::Killed, false),
            (Restart::Temporary, Shutdown::BrutalKill, ExitReason::Killed, true),
            (Restart::Temporary, Shutdown::BrutalKill, ExitReason::Normal, false),
            (Restart::Temporary, Shutdown::Infinity, ExitReason::other("stop"), false),
        ];
        for (restart, shutdown, reason, as_asked) in cases {
            assert_eq!(ended_as_asked(restart, shutdown, &reason), as_asked, "{restart} {shutdown} {reason}");
        }
    }
}

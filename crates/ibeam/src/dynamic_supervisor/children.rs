//! The children of a dynamic supervisor, and what is to happen to them. Nothing here touches a process.
//!
//! # Invariants
//! 1. A child stands under the pid of its last process: the one that runs, or the one that a restart is to replace.
//! 2. The counts are those of the entries; reading them looks at no child.
//! 3. A temporary child's start arguments are dropped as soon as it runs.
//!
//! An entry has 32 bytes beside what the start arguments need, and the table some 18 more: there can be a million.

use std::sync::Arc;
use std::time::Duration;

use ibeam_runtime::__private::StableMap;
use ibeam_runtime::{ExitReason, Pid};
use indexmap::IndexSet;

use crate::supervisor::child_report::Reported;
use crate::supervisor::{Backoff, ChildCounts, Kind, Restart, Shutdown};

#[derive(Debug)]
pub(super) struct Children<K> {
    /// In the order of starts, until a child goes.
    table: StableMap<Pid, Child<K>>,
    /// The types that children are of: few, so that an entry needs a number only.
    types: IndexSet<Option<&'static str>, foldhash::fast::FixedState>,
    /// The type of the child that was added last, which the next one mostly has too.
    last_type: u32,
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
            table: StableMap::default(),
            types: IndexSet::default(),
            last_type: 0,
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
        let implemented_by = self.number_of(implemented_by);
        let child = Child {
            kept: (restart != Restart::Temporary).then_some(kept),
            shutdown: PackedShutdown::new(shutdown),
            implemented_by,
            restart,
            kind,
            state: State::Running,
            watched: false,
        };
        self.insert(pid, child);
    }

    fn number_of(&mut self, name: Option<&'static str>) -> u32 {
        // The same name has another address now and then, and then it is found by its text.
        let address = |name: Option<&'static str>| name.map(|name| (name.as_ptr(), name.len()));
        if self.types.get_index(self.last_type as usize).is_none_or(|last| address(*last) != address(name)) {
            let (number, _) = self.types.insert_full(name);
            // A program has fewer types than that.
            self.last_type = u32::try_from(number).unwrap_or(u32::MAX);
        }
        self.last_type
    }

    fn insert(&mut self, pid: Pid, child: Child<K>) {
        self.count(&child, 1);
        if let Some(former) = self.table.insert(pid, child) {
            self.count(&former, 1_usize.wrapping_neg());
        }
    }

    pub(super) fn remove(&mut self, pid: Pid) -> Option<Child<K>> {
        self.remove_if(pid, |_| true)
    }

    /// Removes the child if it was to stop.
    pub(super) fn remove_if_stopping(&mut self, pid: Pid) -> Option<Child<K>> {
        self.remove_if(pid, |child| child.state == State::Stopping)
    }

    fn remove_if(&mut self, pid: Pid, goes: impl FnOnce(&Child<K>) -> bool) -> Option<Child<K>> {
        let child = self.table.remove_if(&pid, goes)?;
        self.count(&child, 1_usize.wrapping_neg());
        Some(child)
    }

    /// A restart has given the child another process.
    pub(super) fn replace(&mut self, former: Pid, pid: Pid) {
        let Some(child) = self.remove(former) else { return };
        self.insert(pid, Child { state: State::Running, watched: false, ..child });
    }

    pub(super) fn get(&self, pid: Pid) -> Option<&Child<K>> {
        self.table.get(&pid)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Pid, &Child<K>)> {
        self.table.iter().map(|(_, pid, child)| (*pid, child))
    }

    /// The places of the table end before this one.
    pub(super) fn places(&self) -> usize {
        self.table.capacity()
    }

    /// The child in this place, if there is one: see [`StableMap::at`].
    pub(super) fn at(&self, place: usize) -> Option<(Pid, &Child<K>)> {
        self.table.at(place).map(|(pid, child)| (*pid, child))
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
    fn each_process_of_a_child_is_watched_once() {
        Simulation::new(0).run(async {
            let [first, second] = [(); 2].map(|()| process::spawn(async {}));
            let mut children = Children::new();
            children.add(first, (), WORKER);
            assert_eq!([first, first, second].map(|pid| children.watch(pid)), [true, false, false]);
            children.replace(first, second);
            assert_eq!([first, second, second].map(|pid| children.watch(pid)), [false, true, false]);
            assert_eq!(children.iter().map(|(pid, _)| pid).collect::<Vec<_>>(), [second]);
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
    fn types_are_numbered_once() {
        let mut children = Children::<()>::new();
        let names = [Some("worker"), Some("worker"), None, Some("other"), None, Some("worker")];
        assert_eq!(names.map(|name| children.number_of(name)), [0, 0, 1, 2, 1, 0]);
        // The same text from elsewhere.
        let elsewhere: &'static str = Box::leak("other".to_owned().into_boxed_str());
        assert_eq!(children.number_of(Some(elsewhere)), 2);
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

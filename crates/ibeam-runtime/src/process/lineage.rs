//! Where a process comes from: who spawned it, and on whose behalf it works.

use std::fmt;
use std::sync::Arc;

use crate::pid::Pid;
use crate::process::extra::Rare;
use crate::process::names::Name;
use crate::process::owner;
use crate::raw::leaves::Table;
use crate::raw::pcb::Owner;

/// How many ancestors are remembered: a chain of processes, each spawned by the one before, must not grow for ever.
const DEPTH: usize = 16;

/// A process that spawned another one, or an ancestor of such a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Its pid. It may have ended.
    pub pid: Pid,
    /// The name it had when it spawned.
    pub name: Option<Name>,
}

impl fmt::Display for Ancestor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} {}", self.pid),
            None => write!(f, "{}", self.pid),
        }
    }
}

/// The line that the children of one process share: the process itself, then its own ancestors, nearest first.
#[derive(Debug)]
pub(crate) struct Lineage {
    ancestors: Vec<Ancestor>,
    /// On whose behalf they work: nobody's, or that of the process itself and of those it works for.
    callers: Vec<Pid>,
}

impl Lineage {
    pub(crate) fn ancestors(&self) -> &[Ancestor] {
        &self.ancestors
    }

    pub(crate) fn callers(&self) -> &[Pid] {
        &self.callers
    }
}

/// For whom the children of a process work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnBehalf {
    /// For nobody.
    #[default]
    Nobody,
    /// For the process, and those it works for.
    Parent,
}

impl Owner {
    /// The line for a child of this process; made once for each name that the process has meanwhile.
    pub(crate) fn lineage_for_children(self, on_behalf: OnBehalf) -> Arc<Lineage> {
        // Most processes never have a name, and need not look for it.
        let name = if self.pcb().noted(Table::Names) { self.name() } else { None };
        self.with_rare(|rare| match &rare.children[on_behalf as usize] {
            Some(line) if line.ancestors[0].name == name => Arc::clone(line),
            _ => {
                let callers = match on_behalf {
                    OnBehalf::Nobody => Vec::new(),
                    OnBehalf::Parent => self.callers_for_children(rare),
                };
                let line = self.line(name, callers);
                Arc::clone(rare.children[on_behalf as usize].insert(Arc::new(line)))
            }
        })
    }

    #[cold]
    fn line(self, name: Option<Name>, callers: Vec<Pid>) -> Lineage {
        let above = self.lineage();
        let above = above.as_deref().map_or(&[][..], Lineage::ancestors);
        let mut ancestors = Vec::with_capacity((above.len() + 1).min(DEPTH));
        ancestors.push(Ancestor { pid: self.pid(), name });
        ancestors.extend(above.iter().take(DEPTH - 1).cloned());
        Lineage { ancestors, callers }
    }

    fn callers_for_children(self, rare: &Rare) -> Vec<Pid> {
        let mut callers = vec![self.pid()];
        callers.extend(self.callers_in(Some(rare)).into_iter().take(DEPTH - 1));
        callers
    }

    /// The first of the processes on whose behalf this one works.
    #[cold]
    pub(crate) fn caller(self) -> Option<Pid> {
        self.callers().first().copied()
    }

    fn callers(self) -> Vec<Pid> {
        let callers = self.with_rare_if_any(|rare| self.callers_in(Some(rare)));
        callers.unwrap_or_else(|| self.callers_in(None))
    }

    /// The processes on whose behalf this one works; `rare` is its own.
    pub(crate) fn callers_in(self, rare: Option<&Rare>) -> Vec<Pid> {
        match rare.and_then(|rare| rare.callers.as_deref()) {
            Some(callers) => callers.to_vec(),
            None => self.lineage().map_or_else(Vec::new, |lineage| lineage.callers().to_vec()),
        }
    }
}

/// The processes that the calling process comes from: its parent, the parent's parent and so on, up to 16. Empty for a
/// process that was spawned from outside of any.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// `get('$ancestors')`. Differs: plain `spawn` keeps it too, not only `proc_lib`.
#[must_use]
#[track_caller]
pub fn ancestors() -> Vec<Ancestor> {
    owner("ancestors").lineage().map_or_else(Vec::new, |lineage| lineage.ancestors().to_vec())
}

/// The processes on whose behalf the calling process works, nearest first, up to 16: empty unless its starter has said so, as
/// who starts a task does.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// Elixir's `Process.get(:"$callers")`.
#[must_use]
#[track_caller]
pub fn callers() -> Vec<Pid> {
    owner("callers").callers()
}

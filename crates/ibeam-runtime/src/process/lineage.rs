//! Where a process comes from: who spawned it, and on whose behalf it works.

use std::fmt;
use std::sync::Arc;

use crate::pid::Pid;
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
pub(crate) struct Lineage(Vec<Ancestor>);

impl Lineage {
    pub(crate) fn ancestors(&self) -> &[Ancestor] {
        &self.0
    }
}

impl Owner {
    /// The line for a child of this process; made once for each name that the process has meanwhile.
    pub(crate) fn lineage_for_children(self) -> Arc<Lineage> {
        let pid = self.pid();
        // Most processes never have a name, and need not look for it.
        let name = if self.pcb().noted(Table::Names) { self.name() } else { None };
        self.with_rare(|rare| match &rare.children {
            Some(line) if line.0[0].name == name => Arc::clone(line),
            _ => {
                let above = self.lineage();
                let above = above.as_deref().map_or(&[][..], Lineage::ancestors);
                let mut line = Vec::with_capacity((above.len() + 1).min(DEPTH));
                line.push(Ancestor { pid, name });
                line.extend(above.iter().take(DEPTH - 1).cloned());
                Arc::clone(rare.children.insert(Arc::new(Lineage(line))))
            }
        })
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

/// The processes on whose behalf the calling process works, nearest first: empty unless its starter set them.
///
/// # Panics
/// Outside of a process.
///
/// # Erlang/OTP
/// Elixir's `Process.get(:"$callers")`.
#[must_use]
#[track_caller]
pub fn callers() -> Vec<Pid> {
    owner("callers")
        .with_rare_if_any(|rare| rare.callers.clone())
        .flatten()
        .map_or_else(Vec::new, |callers| callers.to_vec())
}

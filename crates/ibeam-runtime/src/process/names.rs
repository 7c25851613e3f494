//! Registered names: one process per name, one name per process, free again before anyone hears of its owner's death.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::RwLock;

use crate::pid::Pid;
use crate::process::owner;
use crate::raw::leaves;
use crate::raw::pcb::Owner;
use crate::raw::slab;
use crate::runtime::{self, Shared};

/// The name of a process within its runtime. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<&Name> for Name {
    fn from(name: &Name) -> Self {
        name.clone()
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a name was not registered or unregistered. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    Empty,
    /// Another process, or this one, has the name.
    Taken {
        /// The name.
        name: Name,
        /// Who has it.
        pid: Pid,
    },
    /// The process has another name; it can have one only.
    AlreadyNamed {
        /// The process.
        pid: Pid,
        /// The name it has.
        name: Name,
    },
    /// There is no such process in this runtime.
    NoProc {
        /// The pid.
        pid: Pid,
    },
    /// Nobody has the name.
    NotRegistered {
        /// The name.
        name: Name,
    },
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("expected a name, got an empty string"),
            Self::Taken { name, pid } => write!(f, "the name `{name}` is taken by {pid}"),
            Self::AlreadyNamed { pid, name } => {
                write!(f, "{pid} is already named `{name}`, and can have one name only")
            }
            Self::NoProc { pid } => write!(f, "expected a live process of this runtime, got {pid}"),
            Self::NotRegistered { name } => write!(f, "nobody has the name `{name}`"),
        }
    }
}

impl std::error::Error for NameError {}

/// The names of one runtime.
#[derive(Default)]
pub(crate) struct Names(RwLock<Table>);

#[derive(Default)]
struct Table {
    pids: HashMap<Name, Pid, foldhash::fast::RandomState>,
    names: HashMap<Pid, Name, foldhash::fast::RandomState>,
    /// Who waits for a name to be had by somebody, each under a number of its own.
    waiting: HashMap<Name, Vec<(u64, Waker)>, foldhash::fast::RandomState>,
    waits: u64,
}

impl Names {
    /// Registers a process; `alive` is asked under the lock, so that no name is given to a process that has released its.
    pub(crate) fn register(
        &self,
        name: Name,
        pid: Pid,
        alive: impl FnOnce() -> bool,
    ) -> Result<(), NameError> {
        if name.0.is_empty() {
            return Err(NameError::Empty);
        }
        let mut table = self.0.write();
        if let Some(&taken) = table.pids.get(&name) {
            return Err(NameError::Taken { name, pid: taken });
        }
        if let Some(name) = table.names.get(&pid) {
            return Err(NameError::AlreadyNamed { pid, name: name.clone() });
        }
        if !alive() {
            return Err(NameError::NoProc { pid });
        }
        let waiting = table.waiting.remove(&name);
        table.pids.insert(name.clone(), pid);
        table.names.insert(pid, name);
        drop(table);
        waiting.into_iter().flatten().for_each(|(_, waker)| waker.wake());
        Ok(())
    }

    /// Waits until somebody else than `stale` has the name, under this number or a new one. Afterwards there is nothing to wait
    /// for (`None`), or `waker` is woken when the name is registered.
    fn wait(&self, name: &Name, stale: Option<Pid>, number: Option<u64>, waker: &Waker) -> Option<u64> {
        let mut table = self.0.write();
        if table.pids.get(name).is_some_and(|&pid| Some(pid) != stale) {
            return None;
        }
        let number = number.unwrap_or_else(|| {
            table.waits += 1;
            table.waits
        });
        let waiting = table.waiting.entry(name.clone()).or_default();
        let former = match waiting.iter_mut().find(|(other, _)| *other == number) {
            Some((_, former)) => Some(std::mem::replace(former, waker.clone())),
            None => {
                waiting.push((number, waker.clone()));
                None
            }
        };
        drop(table);
        drop(former);
        Some(number)
    }

    fn stop_waiting(&self, name: &Name, number: u64) {
        let mut table = self.0.write();
        let Some(waiting) = table.waiting.get_mut(name) else { return };
        let at = waiting.iter().position(|(other, _)| *other == number);
        let waker = at.map(|at| waiting.swap_remove(at));
        if waiting.is_empty() {
            table.waiting.remove(name);
        }
        drop(table);
        drop(waker);
    }

    fn unregister(&self, name: &str) -> Option<Pid> {
        let mut table = self.0.write();
        let pid = table.pids.remove(name)?;
        table.names.remove(&pid);
        Some(pid)
    }

    /// A process is dead, and had a name at some time: its mailbox is closed.
    pub(crate) fn release(&self, pid: Pid) {
        let mut table = self.0.write();
        if let Some(name) = table.names.remove(&pid) {
            table.pids.remove(&name);
        }
    }

    pub(crate) fn whereis(&self, name: &str) -> Option<Pid> {
        self.0.read().pids.get(name).copied()
    }

    pub(crate) fn name_of(&self, pid: Pid) -> Option<Name> {
        self.0.read().names.get(&pid).cloned()
    }

    fn all(&self) -> Vec<Name> {
        let mut names: Vec<_> = self.0.read().pids.keys().cloned().collect();
        names.sort_unstable();
        names
    }
}

/// Waits until a name is somebody's. Dropped, it waits no more.
pub(crate) struct NameWait {
    shared: Arc<Shared>,
    number: Option<(Name, u64)>,
}

impl NameWait {
    pub(crate) fn new() -> Self {
        Self { shared: runtime::current(), number: None }
    }

    /// Ready when somebody else than `stale` has the name.
    pub(crate) fn poll(&mut self, name: &Name, stale: Option<Pid>, cx: &Context<'_>) -> Poll<()> {
        let number = self.number.take().map(|(_, number)| number);
        match self.shared.names.wait(name, stale, number, cx.waker()) {
            Some(number) => {
                self.number = Some((name.clone(), number));
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

impl Drop for NameWait {
    fn drop(&mut self) {
        if let Some((name, number)) = self.number.take() {
            self.shared.names.stop_waiting(&name, number);
        }
    }
}

/// Registers `pid` under `name` in the current runtime.
///
/// # Errors
/// The name is empty or taken, the process has a name, or there is no such process: see [`NameError`].
///
/// ```
/// use ibeam_runtime::{Runtime, process};
///
/// Runtime::new().block_on(async {
///     process::register("main", process::self_pid()).unwrap();
///     assert_eq!(process::whereis("main"), Some(process::self_pid()));
///     let error = process::register("main", process::self_pid()).unwrap_err();
///     assert_eq!(error.to_string(), format!("the name `main` is taken by {}", process::self_pid()));
/// });
/// ```
///
/// # Erlang/OTP
/// `register/2`.
pub fn register(name: impl Into<Name>, pid: Pid) -> Result<(), NameError> {
    runtime::with_current(|shared| register_in(shared, name.into(), pid))
}

pub(crate) fn register_in(shared: &Shared, name: Name, pid: Pid) -> Result<(), NameError> {
    shared.names.register(name, pid, || {
        slab::lookup(pid).is_some_and(|pcb| pcb.belongs_to(shared) && pcb.note(leaves::Table::Names, pid))
    })
}

/// Frees a name.
///
/// # Errors
/// [`NameError::NotRegistered`]: nobody has it.
///
/// # Erlang/OTP
/// `unregister/1`.
pub fn unregister(name: impl AsRef<str>) -> Result<(), NameError> {
    let name = name.as_ref();
    match runtime::with_current(|shared| shared.names.unregister(name)) {
        Some(_) => Ok(()),
        None => Err(NameError::NotRegistered { name: name.into() }),
    }
}

/// The process of that name in the current runtime. It may end at any time.
///
/// # Erlang/OTP
/// `whereis/1`.
#[must_use]
pub fn whereis(name: impl AsRef<str>) -> Option<Pid> {
    runtime::with_current(|shared| shared.names.whereis(name.as_ref()))
}

/// The name of that process in the current runtime, if it has one.
///
/// ```
/// use ibeam_runtime::{Runtime, process};
///
/// Runtime::new().block_on(async {
///     let cache = process::builder().name("cache").spawn(std::future::pending::<()>());
///     assert_eq!(process::name_of(cache).unwrap(), "cache");
///     assert_eq!(process::name_of(process::self_pid()), None);
/// });
/// ```
///
/// # Erlang/OTP
/// `process_info(Pid, registered_name)`.
#[must_use]
pub fn name_of(pid: Pid) -> Option<Name> {
    runtime::with_current(|shared| shared.names.name_of(pid))
}

/// All registered names of the current runtime, sorted.
///
/// # Erlang/OTP
/// `registered/0`.
#[must_use]
pub fn registered() -> Vec<Name> {
    runtime::with_current(|shared| shared.names.all())
}

impl Owner {
    /// The name that this process has now.
    pub(crate) fn name(self) -> Option<Name> {
        self.shared().names.name_of(self.pid())
    }
}

/// The calling process' own name, if it has one.
///
/// # Panics
/// Outside of a process.
#[must_use]
#[track_caller]
pub fn name() -> Option<Name> {
    owner("name").name()
}

//! Tables that keep something for processes: a registry its entries, for one. What a process has there is released by the
//! process itself when it ends, before its links and monitors fire; so who is told of the end finds nothing of it.
//!
//! # Invariants
//! 1. Who keeps something for a process says so with [`keep`] first. It succeeds only while the mailbox is open, and then
//!    the keeper is asked at the process' end: see [`leaves`](crate::raw::leaves), whose rules both sides follow.
//! 2. A keeper's own lock comes before the lock here: a keeper may call [`keep`] and [`forget`] under its lock, and is
//!    asked to release without any.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use foldhash::fast::FixedState;
use parking_lot::Mutex;

use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::raw::leaves::Table;
use crate::raw::pcb::Owner;
use crate::raw::slab;
use crate::report;

/// A table that keeps something for processes.
pub trait Keeper: Send + Sync + 'static {
    /// `pid`, whose process runs this, is about to be over: its future is gone and its mailbox closed. Lets go of at most
    /// `limit` of its things. `true`: there are more, and the process asks again, after others had their turn.
    fn release(&self, pid: Pid, reason: &ExitReason, limit: usize) -> bool;
}

/// How many things a process that ends lets go of in one turn.
const SLICE: usize = 512;

/// Processes that begin and end at the same time on different workers rarely meet under one lock.
const SHARDS: usize = 64;

type Shard = Mutex<HashMap<Pid, Keepers, FixedState>>;

static KEPT: [Shard; SHARDS] = [const { Mutex::new(HashMap::with_hasher(FixedState::with_seed(0))) }; SHARDS];

/// Who keeps something for a process, in the order in which they began to. Hardly ever more than one.
enum Keepers {
    One(Arc<dyn Keeper>),
    Many(Vec<Arc<dyn Keeper>>),
}

impl Keepers {
    fn as_slice(&self) -> &[Arc<dyn Keeper>] {
        match self {
            Self::One(keeper) => std::slice::from_ref(keeper),
            Self::Many(keepers) => keepers,
        }
    }

    fn add(&mut self, keeper: Arc<dyn Keeper>) {
        *self = match std::mem::replace(self, Self::Many(Vec::new())) {
            Self::One(first) => Self::Many(vec![first, keeper]),
            Self::Many(mut keepers) => {
                keepers.push(keeper);
                Self::Many(keepers)
            }
        };
    }
}

/// As addresses: a type's table of functions may stand in a program more than once.
fn same(a: &Arc<dyn Keeper>, b: &Arc<dyn Keeper>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
}

fn shard(pid: Pid) -> &'static Shard {
    &KEPT[pid.index() as usize % SHARDS]
}

/// `keeper` will be asked to [release](Keeper::release) what it keeps for `pid`. `false`: that process is ending or has
/// ended, and nothing may be kept for it. To be called under the keeper's lock, before it keeps anything.
#[must_use]
pub fn keep(pid: Pid, keeper: Arc<dyn Keeper>) -> bool {
    let Some(pcb) = slab::lookup(pid) else { return false };
    let mut kept = shard(pid).lock();
    if !pcb.note(Table::Keepers, pid) {
        return false;
    }
    match kept.entry(pid) {
        Entry::Vacant(entry) => {
            entry.insert(Keepers::One(keeper));
        }
        Entry::Occupied(entry) if entry.get().as_slice().iter().any(|other| same(other, &keeper)) => {}
        Entry::Occupied(entry) => entry.into_mut().add(keeper),
    }
    true
}

/// May something still be kept for the process? To be asked under the keeper's lock, by one whom [`keep`] has told `true`
/// for this process before.
#[must_use]
pub fn may_keep(pid: Pid) -> bool {
    // Looked at in this order: an open mailbox may be that of the slot's next process already.
    slab::lookup(pid).is_some_and(|pcb| !pcb.word.is_closed() && pcb.life.is(pid))
}

/// `keeper` keeps nothing for `pid` any more. To be called under the keeper's lock.
pub fn forget(pid: Pid, keeper: &Arc<dyn Keeper>) {
    let mut kept = shard(pid).lock();
    let Entry::Occupied(mut entry) = kept.entry(pid) else { return };
    // Whatever is dropped here is not the last: the caller has one too.
    match entry.get_mut() {
        Keepers::One(only) if same(only, keeper) => drop(entry.remove()),
        Keepers::One(_) => {}
        Keepers::Many(keepers) => {
            keepers.retain(|other| !same(other, keeper));
            if keepers.is_empty() {
                entry.remove();
            }
        }
    }
}

/// The process, after it has closed its mailbox: has some of its things released. `true`: there are more.
#[cold]
pub(crate) fn release_some(owner: Owner, reason: &ExitReason) -> bool {
    let pid = owner.pid();
    let first = |kept: &Shard| kept.lock().get(&pid).and_then(|keepers| keepers.as_slice().first().cloned());
    let Some(keeper) = first(shard(pid)) else { return false };
    let mut more = false;
    // Values of the program are dropped there. Who panics is asked no more.
    report::quietly(Some(pid), || more = keeper.release(pid, reason, SLICE));
    if !more {
        forget(pid, &keeper);
    }
    more || first(shard(pid)).is_some()
}

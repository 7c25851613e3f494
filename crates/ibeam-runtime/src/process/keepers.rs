//! Tables that keep something for processes: a registry its entries, for one. What a process has there is released by the
//! process itself when it ends, before its links and monitors fire; so who is told of the end finds nothing of it.
//!
//! ```text
//! slot of a process ──▶ [ lock | keeper, things | more ] ──▶ keeper, things ──▶ …
//! ```
//!
//! # Invariants
//! 1. What is kept for a process stands in the place of its slot, under a lock of its own. It is added under that lock, after a
//!    look whether the process still lives ([`Kept::may_grow`]); the process closes its mailbox, *then* takes what is there. See
//!    [`leaves`](crate::raw::leaves), whose rules both sides follow. So a place is empty when its slot gets the next process.
//! 2. Under the lock of a place a keeper may take locks of its own, but neither that of another place nor the same again. It is
//!    asked to release without any.
//! 3. What is taken out is dropped by whoever took it, after the lock is free.
//!
//! # Why by slot
//! Slots are dense, and neighbours are mostly used by one thread. So a place is found without a search, and what is kept mostly
//! stands in it: the owner's side of an entry costs one lock and no allocation.

use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};

use crate::exit_reason::ExitReason;
use crate::pid::{INDEX_LIMIT, Pid};
use crate::raw::carver::Carver;
use crate::raw::keeping::{Entry, Keeping};
use crate::raw::leaves::Table;
use crate::raw::pcb::{Owner, Pcb};
use crate::raw::slab;
use crate::report;

/// A table that keeps something for processes.
pub trait Keeper: Send + Sync + Sized + 'static {
    /// What it keeps for one process.
    type Things: Send + 'static;

    /// `pid`, whose process runs this, is about to be over: its future is gone and its mailbox closed. Lets go of at most
    /// `limit` of its things. `true`: there are more, and the process asks again, after others had their turn.
    fn release(this: &Keeping<Self>, pid: Pid, reason: &ExitReason, limit: usize) -> bool;
}

/// How many things a process that ends lets go of in one turn.
const SLICE: usize = 512;

/// What is kept for one process, in the order in which its keepers came.
enum Entries {
    /// There is hardly ever more than one.
    One(Entry),
    /// `None` is nothing; a list is never empty.
    #[expect(clippy::box_collection, reason = "one word in every place, for what few processes have")]
    List(Option<Box<Vec<Entry>>>),
}

impl Entries {
    const NOTHING: Self = Self::List(None);

    #[inline]
    fn as_slice(&self) -> &[Entry] {
        match self {
            Self::One(entry) => std::slice::from_ref(entry),
            Self::List(list) => list.as_deref().map_or(&[], Vec::as_slice),
        }
    }

    #[inline]
    fn as_mut_slice(&mut self) -> &mut [Entry] {
        match self {
            Self::One(entry) => std::slice::from_mut(entry),
            Self::List(list) => list.as_deref_mut().map_or(&mut [], Vec::as_mut_slice),
        }
    }

    #[inline]
    fn add(&mut self, entry: Entry) {
        *self = match std::mem::replace(self, Self::NOTHING) {
            Self::List(None) => Self::One(entry),
            Self::One(first) => Self::List(Some(Box::new(vec![first, entry]))),
            Self::List(Some(mut list)) => {
                list.push(entry);
                Self::List(Some(list))
            }
        };
    }

    #[inline]
    fn remove(&mut self, keeper: *const ()) -> Option<Entry> {
        let at = self.as_slice().iter().position(|entry| entry.keeper() == keeper)?;
        match std::mem::replace(self, Self::NOTHING) {
            Self::One(entry) => Some(entry),
            Self::List(list) => {
                let mut list = list?;
                let entry = list.remove(at);
                if !list.is_empty() {
                    *self = Self::List(Some(list));
                }
                Some(entry)
            }
        }
    }
}

struct Place(Mutex<Entries>);

const _: () = assert!(size_of::<Place>() <= 40, "first touched by who registers: the fewer pages the better");

/// So many places are made at a time: as many as a thread takes slots, so that two threads rarely want the same to be made.
const CHUNK: usize = 128;
const CHUNKS: usize = INDEX_LIMIT as usize / CHUNK;

static KEPT: [OnceLock<&[Place; CHUNK]>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];

/// Held while a chunk is made. So who has had the lock knows each chunk that was made before, and what it did before is seen by all
/// that find a chunk that was not.
static MADE: Mutex<Made> = Mutex::new(Made { below: 0, carver: Carver::new() });

struct Made {
    /// All that have been made are below this one.
    below: usize,
    carver: Carver<Place, CHUNK>,
}

#[inline]
fn place(pid: Pid) -> &'static Place {
    let index = pid.index() as usize;
    let chunk = KEPT[index / CHUNK].get().map_or_else(|| make(index / CHUNK), |chunk| *chunk);
    &chunk[index % CHUNK]
}

#[cold]
fn make(chunk: usize) -> &'static [Place; CHUNK] {
    let mut made = MADE.lock();
    made.below = made.below.max(chunk + 1);
    KEPT[chunk].get_or_init(|| made.carver.cut(|| Place(Mutex::new(Entries::NOTHING))))
}

/// What is kept for a process, locked.
pub struct Kept {
    entries: MutexGuard<'static, Entries>,
    pcb: &'static Pcb,
    pid: Pid,
}

/// Was taken out: to be dropped when the lock is free.
#[must_use = "it is dropped after the lock is free"]
pub struct Removed(#[expect(dead_code, reason = "it is there to be dropped")] Option<Entry>);

impl Kept {
    /// Locks what is kept for a process. `None`: there is no such process.
    #[inline]
    #[must_use]
    pub fn of(pid: Pid) -> Option<Self> {
        let entries = place(pid).0.lock();
        let pcb = slab::lookup(pid)?;
        Some(Self { entries, pcb, pid })
    }

    /// May more be kept for the process? `false`: it is ending.
    #[inline]
    #[must_use]
    pub fn may_grow(&self) -> bool {
        match Owner::current() {
            Some(owner) if owner.pid() == self.pid => owner.note(Table::Keepers),
            _ => self.pcb.note(Table::Keepers, self.pid),
        }
    }

    /// What `keeper` keeps for the process.
    #[inline]
    #[must_use]
    pub fn get<K: Keeper>(&mut self, keeper: &Keeping<K>) -> Option<&mut K::Things> {
        self.entries.as_mut_slice().iter_mut().find_map(|entry| entry.things(keeper))
    }

    /// `keeper`, which kept nothing for the process so far, keeps this, and will be asked to [release](Keeper::release) it. Only if
    /// [more may be kept](Self::may_grow).
    #[inline]
    pub fn add<K: Keeper>(&mut self, keeper: Arc<Keeping<K>>, things: K::Things) {
        self.entries.add(Entry::new(keeper, things));
    }

    /// `keeper` keeps nothing for the process any more.
    #[inline]
    pub fn remove<K>(&mut self, keeper: &Keeping<K>) -> Removed {
        Removed(self.entries.remove(std::ptr::from_ref(keeper).cast()))
    }
}

/// May something be kept for the process, at this moment?
#[must_use]
pub fn may_keep(pid: Pid) -> bool {
    // Looked at in this order: an open mailbox may be that of the slot's next process already.
    slab::lookup(pid).is_some_and(|pcb| !pcb.word.is_closed() && pcb.life.is(pid))
}

/// The number of the slot that the process has, or had.
#[inline]
#[must_use]
pub fn slot_of(pid: Pid) -> u32 {
    pid.index()
}

/// The first process, from this slot on, for which one of these keepers keeps something. Locks place after place, so
/// it finds what was [added](Kept::add) before; and who adds later sees what the caller did before.
#[must_use]
pub fn next_kept_by<K: Keeper>(keepers: &[Arc<Keeping<K>>], from: u32) -> Option<Pid> {
    let made = MADE.lock().below;
    let from = from as usize;
    let is_one_of_them = |entry: &Entry| keepers.iter().any(|keeper| entry.is_of(keeper));
    for (number, chunk) in KEPT[..made].iter().enumerate().skip(from / CHUNK) {
        let Some(chunk) = chunk.get() else { continue };
        let first = number * CHUNK;
        for (place, index) in chunk.iter().zip(first..).skip(from.saturating_sub(first)) {
            let entries = place.0.lock();
            if entries.as_slice().iter().any(is_one_of_them) {
                return Some(
                    slab::pid_in(index as u32).expect("nothing is kept for a slot without a process"),
                );
            }
        }
    }
    None
}

/// The process, after it has closed its mailbox: has some of its things released. `true`: there are more.
#[cold]
pub(crate) fn release_some(owner: Owner, reason: &ExitReason) -> bool {
    let pid = owner.pid();
    let entries = || place(pid).0.lock();
    let first = || entries().as_slice().first().map(Entry::share);
    let Some(keeper) = first() else { return false };
    let mut more = false;
    // Values of the program are dropped there. Who panics is asked no more.
    report::quietly(Some(pid), || more = keeper.release(pid, reason, SLICE));
    if !more {
        let released = entries().remove(Arc::as_ptr(&keeper).cast());
        report::quietly(Some(pid), || drop(released));
    }
    more || first().is_some()
}

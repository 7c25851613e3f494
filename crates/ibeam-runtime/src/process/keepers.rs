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
//! Slots are dense, and mostly used by one thread at a time. So a place is found without a search, in a cache line that nobody
//! else wants, and what is kept mostly stands in it: the owner's side of an entry costs one lock and no allocation.

use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};

use crate::exit_reason::ExitReason;
use crate::pid::{INDEX_LIMIT, Pid};
use crate::raw::leaves::Table;
use crate::raw::pcb::{Owner, Pcb};
use crate::raw::slab;
use crate::raw::small::Small;
use crate::report;

/// A table that keeps something for processes.
pub trait Keeper: Send + Sync + 'static {
    /// `pid`, whose process runs this, is about to be over: its future is gone and its mailbox closed. Lets go of at most
    /// `limit` of its things. `true`: there are more, and the process asks again, after others had their turn.
    fn release(&self, pid: Pid, reason: &ExitReason, limit: usize) -> bool;
}

/// How many things a process that ends lets go of in one turn.
const SLICE: usize = 512;

/// What one keeper keeps for one process.
struct Entry {
    keeper: Arc<dyn Keeper>,
    things: Small,
}

impl Entry {
    /// As addresses: a type's table of functions may stand in a program more than once.
    #[inline]
    fn is_of(&self, keeper: *const ()) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.keeper), keeper)
    }
}

/// What is kept for one process, in the order in which its keepers came. There is hardly ever more than one.
#[derive(Default)]
struct Entries {
    first: Option<Entry>,
    /// Not empty, and only with a first one.
    #[expect(clippy::box_collection, reason = "one word in every place, for what few processes have")]
    more: Option<Box<Vec<Entry>>>,
}

impl Entries {
    fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.first.iter().chain(self.more.iter().flat_map(|more| more.iter()))
    }

    #[inline]
    fn get(&mut self, keeper: *const ()) -> Option<&mut Entry> {
        match &mut self.first {
            Some(first) if first.is_of(keeper) => Some(first),
            _ => self.more.as_mut()?.iter_mut().find(|entry| entry.is_of(keeper)),
        }
    }

    #[inline]
    fn add(&mut self, entry: Entry) {
        if self.first.is_none() {
            self.first = Some(entry);
        } else {
            self.more.get_or_insert_default().push(entry);
        }
    }

    #[inline]
    fn remove(&mut self, keeper: *const ()) -> Option<Entry> {
        let Some(more) = &mut self.more else { return self.first.take_if(|first| first.is_of(keeper)) };
        let removed = match &mut self.first {
            Some(first) if first.is_of(keeper) => std::mem::replace(first, more.remove(0)),
            _ => more.remove(more.iter().position(|entry| entry.is_of(keeper))?),
        };
        if more.is_empty() {
            self.more = None;
        }
        Some(removed)
    }
}

/// Neighbours do not share a cache line.
#[derive(Default)]
#[repr(align(64))]
struct Place(Mutex<Entries>);

const _: () = assert!(size_of::<Place>() == 64, "one cache line");

/// So many places are made at a time: as many as a thread takes slots, so that two threads rarely want the same to be made.
const CHUNK: usize = 128;
const CHUNKS: usize = INDEX_LIMIT as usize / CHUNK;

static KEPT: [OnceLock<Box<[Place; CHUNK]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];

/// Held while a chunk is made: all that have been made are below this one. So who has had the lock knows each chunk that was made
/// before, and what it did before is seen by all that find a chunk that was not.
static MADE: Mutex<usize> = Mutex::new(0);

#[inline]
fn place(pid: Pid) -> &'static Place {
    let index = pid.index() as usize;
    let chunk = KEPT[index / CHUNK].get().map_or_else(|| make(index / CHUNK), |chunk| &**chunk);
    &chunk[index % CHUNK]
}

#[cold]
fn make(chunk: usize) -> &'static [Place; CHUNK] {
    let mut made = MADE.lock();
    *made = (chunk + 1).max(*made);
    KEPT[chunk].get_or_init(|| {
        // One by one: an array is made on the stack, and moved as a whole.
        let places: Box<[Place]> = (0..CHUNK).map(|_| Place::default()).collect();
        places.try_into().unwrap_or_else(|_| unreachable!("so many were made"))
    })
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

    /// What `keeper` keeps for the process, if it is a `T`.
    #[inline]
    #[must_use]
    pub fn get<T: Send + 'static>(&mut self, keeper: &impl Keeper) -> Option<&mut T> {
        self.entries.get(std::ptr::from_ref(keeper).cast())?.things.get_mut()
    }

    /// `keeper`, which kept nothing for the process so far, keeps this, and will be asked to [release](Keeper::release) it. Only if
    /// [more may be kept](Self::may_grow).
    #[inline]
    pub fn add<T: Send + 'static>(&mut self, keeper: Arc<dyn Keeper>, things: T) {
        self.entries.add(Entry { keeper, things: Small::new(things) });
    }

    /// `keeper` keeps nothing for the process any more.
    #[inline]
    pub fn remove(&mut self, keeper: &impl Keeper) -> Removed {
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
pub fn next_kept_by(keepers: &[Arc<impl Keeper>], from: u32) -> Option<Pid> {
    let made = *MADE.lock();
    let from = from as usize;
    let is_one_of_them = |entry: &Entry| keepers.iter().any(|keeper| entry.is_of(Arc::as_ptr(keeper).cast()));
    for (number, chunk) in KEPT[..made].iter().enumerate().skip(from / CHUNK) {
        let Some(chunk) = chunk.get() else { continue };
        let first = number * CHUNK;
        for (place, index) in chunk.iter().zip(first..).skip(from.saturating_sub(first)) {
            let entries = place.0.lock();
            if entries.iter().any(is_one_of_them) {
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
    let first = || entries().first.as_ref().map(|entry| Arc::clone(&entry.keeper));
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

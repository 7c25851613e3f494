//! Where the blocks are: chunks of 1,024 that are never freed, so that a look-up is two loads and a compare and a
//! reference to a block never dangles.
//!
//! # Invariants
//! 1. A chunk, once published, stays.
//! 2. The index of a free slot stands in exactly one free list: a thread's own, or the one of all.
//!
//! All runtimes of a program share the slab: a [`Pid`] says by itself where its process is.

use std::alloc::{Layout, alloc, handle_alloc_error};
use std::cell::RefCell;
use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{Acquire, Release};

use parking_lot::Mutex;

use crate::pid::{INDEX_LIMIT, Pid};
use crate::raw::pcb::{Pcb, Unborn};

const CHUNK: usize = 1024;
const CHUNKS: usize = INDEX_LIMIT as usize / CHUNK;
/// How many slots a thread takes from, or gives to, the free list of all at a time.
const BATCH: usize = 128;
/// How many free slots a thread keeps at most.
const KEPT: usize = 4 * BATCH;

static TABLE: [AtomicPtr<Pcb>; CHUNKS] = [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS];
static FREE: Mutex<Free> = Mutex::new(Free { slots: Vec::new(), never_used: 0 });

struct Free {
    slots: Vec<u32>,
    /// Slots from here on have never had a process; their chunks may not exist yet.
    never_used: u32,
}

/// The free slots of this thread. Reuse is last in, first out: such a block is still in the cache, and the 39 bits of the
/// generation keep pids apart.
struct Mine(Vec<u32>);

impl Drop for Mine {
    fn drop(&mut self) {
        FREE.lock().slots.append(&mut self.0);
    }
}

thread_local!(static MINE: RefCell<Mine> = const { RefCell::new(Mine(Vec::new())) });

fn slot(index: u32) -> Option<&'static Pcb> {
    let chunk = TABLE.get(index as usize / CHUNK)?.load(Acquire);
    if chunk.is_null() {
        return None;
    }
    // SAFETY: a published chunk holds `CHUNK` blocks and stays (invariant 1).
    Some(unsafe { &*chunk.add(index as usize % CHUNK) })
}

/// The block of a process that lives. It may end right after the look-up: see [`Life`](crate::raw::life::Life).
#[inline]
pub(crate) fn lookup(pid: Pid) -> Option<&'static Pcb> {
    slot(pid.index()).filter(|pcb| pcb.life.is(pid))
}

/// The process that has this slot.
pub(crate) fn pid_in(index: u32) -> Option<Pid> {
    slot(index)?.life.current()
}

/// Begins to load the block of a process that is soon to be sent something: the line that senders write.
#[inline(always)]
pub(crate) fn prefetch(pid: Pid) {
    if let Some(pcb) = slot(pid.index()) {
        super::prefetch(ptr::from_ref(pcb));
    }
}

/// A free slot, or `None` if every slot has a process.
#[inline]
pub(crate) fn acquire() -> Option<Unborn> {
    let index = MINE
        .try_with(|mine| {
            let mine = &mut mine.borrow_mut().0;
            mine.pop().or_else(|| {
                refill(mine);
                mine.pop()
            })
        })
        // The thread is ending and has no list any more.
        .unwrap_or_else(|_| {
            let mut one = Vec::new();
            refill(&mut one);
            let index = one.pop();
            FREE.lock().slots.append(&mut one);
            index
        })?;
    let pcb = slot(index).expect("a slot in a free list has its chunk");
    // SAFETY: the index was in a free list and now is in none (invariant 2).
    Some(unsafe { Unborn::new(pcb, index) })
}

#[cold]
fn refill(mine: &mut Vec<u32>) {
    let mut free = FREE.lock();
    let kept = free.slots.len().saturating_sub(BATCH);
    mine.extend(free.slots.drain(kept..));
    if !mine.is_empty() || free.never_used == INDEX_LIMIT {
        return;
    }
    let first = free.never_used;
    if (first as usize).is_multiple_of(CHUNK) {
        TABLE[first as usize / CHUNK].store(new_chunk(), Release);
    }
    free.never_used += BATCH as u32;
    mine.extend((first..free.never_used).rev());
}

fn new_chunk() -> *mut Pcb {
    let layout = Layout::array::<Pcb>(CHUNK).expect("128 KiB");
    // SAFETY: the layout is not empty; the chunk is ours, and each of its `CHUNK` blocks is written before anyone sees it.
    unsafe {
        let chunk = alloc(layout).cast::<Pcb>();
        if chunk.is_null() {
            handle_alloc_error(layout);
        }
        super::populate(chunk.cast(), layout.size());
        for at in 0..CHUNK {
            chunk.add(at).write(Pcb::VACANT);
        }
        chunk
    }
}

/// Gives back a slot whose process is over.
pub(crate) fn release(index: u32) {
    let kept = MINE.try_with(|mine| {
        let mine = &mut mine.borrow_mut().0;
        mine.push(index);
        if mine.len() > KEPT {
            FREE.lock().slots.extend(mine.drain(..KEPT / 2));
        }
    });
    if kept.is_err() {
        FREE.lock().slots.push(index);
    }
}

/// The process whose block is at this address, if there is one. Looks through the chunks: for reports, not for messages.
pub(crate) fn pid_at(block: *const Pcb) -> Option<Pid> {
    let chunks = (FREE.lock().never_used as usize).div_ceil(CHUNK);
    let index = (0..chunks).find_map(|chunk| {
        let first = TABLE[chunk].load(Acquire);
        let bytes = block.addr().checked_sub(first.addr())?;
        let at = bytes / size_of::<Pcb>();
        (!first.is_null() && at < CHUNK && bytes % size_of::<Pcb>() == 0).then_some(chunk * CHUNK + at)
    })?;
    slot(index as u32)?.life.current()
}

/// The pids of all that live, over all runtimes, in the order of their slots. A process that lives during the whole
/// iteration is among them; one that ended before or begins after it is not; none comes twice.
pub(crate) fn all() -> impl Iterator<Item = (Pid, &'static Pcb)> {
    let end = FREE.lock().never_used;
    (0..end).filter_map(|index| {
        let pcb = slot(index)?;
        Some((pcb.life.current()?, pcb))
    })
}

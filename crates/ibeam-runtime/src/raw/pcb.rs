//! Process control blocks: a process is its block. 128 bytes, two cache lines: senders touch the first, only the owner
//! the second; what few processes need lies behind one box.
//!
//! # Invariants
//! 1. A block lives as long as the program (see `slab`), so a reference to one never dangles.
//! 2. *The owner* is the thread that runs the process' turn. There is at most one: a process is in at most one run queue,
//!    a turn ends by parking, requeueing or dying, and each of the three is the last thing the owner does. An [`Owner`]
//!    exists only during a turn and never leaves its thread.
//! 3. While a process lives, its runtime does: the runtime is taken apart after its last process has ended. Whoever has
//!    cleared `PARKED` owes the process a turn, so the process, and with it the runtime, lives until that turn.
//! 4. A process' waker is its block's address. Used after the process' death it is at most a spurious poll of the slot's
//!    next process (8).

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::driver::{self, Place};
use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::extra::{Extra, Rare};
use crate::process::lineage::Lineage;
use crate::process::{Overflow, Priority};
use crate::raw::deadline::Deadline;
use crate::raw::future::FutureBox;
use crate::raw::leaves::{Leaves, Table};
use crate::raw::life::Life;
use crate::raw::mailbox::{MailboxWord, Push};
use crate::raw::node::{Chain, OwnedNode};
use crate::raw::ready::Ready;
use crate::runtime::Shared;

/// See the module.
#[repr(C, align(128))]
pub(crate) struct Pcb {
    // The senders' line.
    pub(crate) word: MailboxWord,
    pub(crate) life: Life,
    runtime: AtomicPtr<Shared>,
    pub(crate) deadline: Deadline,
    pub(crate) bound: Bound,
    /// Senders that wait for room.
    pub(crate) waiting: AtomicU32,
    priority: AtomicU8,
    leaves: Leaves,
    hears_all: AtomicBool,
    lineage: Cell<Option<Arc<Lineage>>>,
    // The owner's line.
    cells: Cells,
}

const _: () = assert!(size_of::<Pcb>() == 128, "two cache lines; a million processes count on it");

/// The bound of a mailbox, where there is one.
pub(crate) struct Bound {
    /// Messages in the mailbox; counted only where there is a bound.
    queued: AtomicU32,
    /// 0: no bound. The two top bits say what to do when it is reached.
    limit: AtomicU32,
}

impl Bound {
    const LIMIT: u32 = (1 << 30) - 1;

    fn set(&self, bound: Option<(u32, Overflow)>) {
        self.queued.store(0, Relaxed);
        let limit =
            bound.map_or(0, |(limit, overflow)| limit.clamp(1, Self::LIMIT) | (overflow as u32) << 30);
        self.limit.store(limit, Relaxed);
    }

    /// How many messages the mailbox takes, and what happens to more; `None` is without bound.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<(u32, Overflow)> {
        let limit = self.limit.load(Relaxed);
        (limit != 0).then(|| (limit & Self::LIMIT, Overflow::from_bits(limit >> 30)))
    }

    /// A message has left the mailbox.
    pub(crate) fn left(&self) {
        // A message that was pushed for this slot's former process was perhaps not counted: never below zero.
        let _ = self.queued.fetch_update(SeqCst, Relaxed, |queued| Some(queued.saturating_sub(1)));
    }

    pub(crate) fn has_room(&self, limit: u32) -> bool {
        self.queued.load(SeqCst) < limit
    }

    /// Takes a place in the mailbox, if fewer than `limit` are taken; says how many were.
    pub(crate) fn reserve(&self, limit: u32) -> Result<u32, u32> {
        self.queued.fetch_update(SeqCst, Relaxed, |queued| (queued < limit).then_some(queued + 1))
    }
}

/// What only the owner touches.
pub(crate) struct Cells {
    mail: UnsafeCell<Chain>,
    future: Cell<Option<FutureBox>>,
    extra: Cell<Option<Box<Extra>>>,
    /// Nodes taken out of the inbox in all.
    pub(crate) fetched: Cell<u64>,
    /// Nodes in `mail`.
    pub(crate) mail_len: Cell<u32>,
    /// What the process may still do in this turn.
    pub(crate) budget: Cell<u32>,
    pub(crate) turns: Cell<u32>,
    pub(crate) bits: Cell<Bits>,
}

/// The owner's flags.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bits(u32);

macro_rules! bits {
    ($($(#[$doc:meta])* $get:ident, $set:ident = $bit:expr;)*) => {
        impl Bits { $(
            $(#[$doc])*
            #[inline(always)]
            pub(crate) const fn $get(self) -> bool { self.0 & (1 << $bit) != 0 }
            #[inline(always)]
            #[must_use]
            pub(crate) const fn $set(self, on: bool) -> Self {
                Self(if on { self.0 | 1 << $bit } else { self.0 & !(1 << $bit) })
            }
        )* }
        // Two flags in one bit are hard to find.
        const _: () = {
            let mut taken = 0_u32;
            $( assert!(taken & (1 << $bit) == 0); taken |= 1 << $bit; )*
            assert!(taken != 0);
        };
    };
}

impl Bits {
    /// What a poll says anew.
    const OF_LAST_POLL: Self =
        Self(0).with_interested(true).with_yielded(true).with_poll_due(true).with_skipped(true);
    /// What a turn has to look at before it polls.
    pub(crate) const BEFORE_POLL: Self =
        Self(0).with_exiting(true).with_waiters(true).with_held(true).with_observed(true);
    /// What a turn has to look at after a poll that did not end the process.
    pub(crate) const AFTER_POLL: Self = Self(0).with_doomed(true).with_orphans(true);
    /// What lets a poll go no further.
    pub(crate) const HELD_BACK: Self = Self(0).with_doomed(true).with_held(true);
    /// A message is waited for.
    pub(crate) const WAITING: Self = Self(0).with_interested(true).with_waiters(true);
    /// What makes the next message another one than the first of the inbox.
    pub(crate) const MAIL: Self = Self(0).with_saved(true).with_doomed(true).with_observed(true);

    #[inline(always)]
    pub(crate) const fn has_any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    #[inline(always)]
    const fn begin_poll(self) -> Self {
        Self(self.0 & !Self::OF_LAST_POLL.0).with_polling(true)
    }
}

bits! {
    /// Exit signals become messages.
    trap_exit, with_trap_exit = 0;
    /// The last poll ended in a wait for messages.
    interested, with_interested = 1;
    /// The turn ends at the back of the run queue.
    yielded, with_yielded = 2;
    /// The next turn polls, whatever woke it.
    poll_due, with_poll_due = 3;
    /// An exit signal has ended the process.
    doomed, with_doomed = 4;
    /// … with `Shutdown`; the reason is in the extra box otherwise.
    shut_down, with_shut_down = 17;
    /// The future is gone or going: what is left is taking the process apart.
    exiting, with_exiting = 5;
    /// Receives wait with wakers of their own.
    has_waiters, with_waiters = 6;
    /// Skipped messages stand in the extra box' queue.
    has_saved, with_saved = 7;
    /// Its future is being polled.
    polling, with_polling = 11;
    /// The process has dropped calls in this poll.
    has_orphans, with_orphans = 9;
    /// The process has caught its own end and will end, after some last words.
    fated, with_fated = 10;
    /// The process waits in `hibernate`.
    hibernating, with_hibernating = 8;
    /// A receive has skipped a new message after others had begun to wait: the next turn polls, for it may be theirs.
    skipped, with_skipped = 12;
    /// The process waits for the end of others, which stand in the extra box, and is not polled before.
    held, with_held = 13;
    /// If it ends otherwise than normally, the first of its callers is told, as by a link.
    crash_is_callers, with_crash_is_callers = 14;
    /// What it sends and gets is reported: see `observe`. While it runs, its budget says so too.
    observed, with_observed = 15;
    /// It is linked to its parent, as from its start on: this stands for the entry in its table. See `links.rs`.
    parent_link, with_parent_link = 16;
}

// SAFETY: the owner's part is touched by one thread at a time (invariant 2), whose hand-over goes through the mailbox
// word and a run queue, which order the accesses. What lies in it is `Send`: nodes, futures, `Extra`.
unsafe impl Sync for Pcb {}
// SAFETY: as above.
unsafe impl Send for Pcb {}

impl Pcb {
    /// A slot without a process.
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "written to each slot of a new chunk, never borrowed as it is"
    )]
    pub(super) const VACANT: Self = Self {
        word: MailboxWord::closed(),
        life: Life::unborn(),
        runtime: AtomicPtr::new(ptr::null_mut()),
        deadline: Deadline::new(),
        bound: Bound { queued: AtomicU32::new(0), limit: AtomicU32::new(0) },
        waiting: AtomicU32::new(0),
        priority: AtomicU8::new(0),
        leaves: Leaves::nothing(),
        hears_all: AtomicBool::new(false),
        lineage: Cell::new(None),
        cells: Cells {
            mail: UnsafeCell::new(Chain::EMPTY),
            future: Cell::new(None),
            extra: Cell::new(None),
            fetched: Cell::new(0),
            mail_len: Cell::new(0),
            budget: Cell::new(0),
            turns: Cell::new(0),
            bits: Cell::new(Bits(0)),
        },
    };

    /// Puts the message or signal into the mailbox and wakes the process if it waits for it. A closed mailbox gives the
    /// node back.
    #[inline]
    pub(crate) fn push(&'static self, node: OwnedNode, push: Push) -> Result<(), OwnedNode> {
        if self.word.push(node, push)? {
            self.schedule(Place::Next);
        }
        Ok(())
    }

    /// Asks for a poll.
    #[inline]
    pub(crate) fn wake(&'static self) {
        if self.word.wake() {
            self.schedule(Place::Next);
        }
    }

    /// As [`wake`](Self::wake), but puts the process behind those that are ready.
    #[inline]
    fn wake_behind(&'static self) {
        if self.word.wake() {
            self.schedule(Place::Back);
        }
    }

    /// The caller has just cleared `PARKED`, or begun the process.
    #[inline]
    fn schedule(&'static self, place: Place) {
        let runtime = self.runtime.load(Relaxed);
        let Some(ready) = driver::threads::schedule_here(runtime, Ready::new(self), place) else { return };
        // SAFETY: the process is owed a turn, so its runtime lives now (invariant 3). It may end as soon as the process is
        // in a queue, hence the count of our own.
        let shared = unsafe {
            Arc::increment_strong_count(runtime);
            Arc::from_raw(runtime)
        };
        shared.driver.schedule(ready, place);
    }

    #[inline(always)]
    pub(crate) fn belongs_to(&self, shared: &Shared) -> bool {
        ptr::eq(self.runtime.load(Acquire), shared)
    }

    #[inline(always)]
    pub(crate) fn priority_is_normal(&self) -> bool {
        self.priority.load(Relaxed) == Priority::Normal as u8
    }

    pub(crate) fn priority(&self) -> Priority {
        Priority::from_bits(self.priority.load(Relaxed))
    }

    pub(crate) fn set_priority(&self, priority: Priority) {
        self.priority.store(priority as u8, Relaxed);
    }

    /// Is the process told of the normal end of those that it has started, linked to itself? If not, that makes no difference to it: see
    /// `links.rs`. A look without order: who has caused an end after it began to hear all, hears of it.
    #[inline(always)]
    pub(crate) fn hears_all(&self) -> bool {
        self.hears_all.load(Relaxed)
    }

    /// From now on it is told.
    pub(crate) fn hear_all(&self) {
        self.hears_all.store(true, Relaxed);
    }

    /// Notes, under the table's lock, that something stands there for `pid`. `false`: nothing may, for it has ended.
    pub(crate) fn note(&self, table: Table, pid: Pid) -> bool {
        self.leaves.note(table, pid, &self.life, &self.word)
    }

    /// Has something been noted for that table so far? A look without order.
    pub(crate) fn noted(&self, table: Table) -> bool {
        self.leaves.noted(table)
    }

    /// After the mailbox was closed: may something stand in that table for the process?
    pub(crate) fn may_be_in(&self, table: Table) -> bool {
        self.leaves.may_be_in(table)
    }

    /// A waker of this process. Cloning and dropping it costs nothing.
    #[inline(always)]
    pub(crate) fn waker(&'static self) -> Waker {
        // SAFETY: the table's functions take any block's address, and blocks live for ever (invariant 1).
        unsafe { Waker::from_raw(raw_waker(self)) }
    }

    /// Another one, after which the process is behind those that are ready: for who would rather find all that these bring at once.
    pub(crate) fn waker_behind(&'static self) -> Waker {
        // SAFETY: as above.
        unsafe { Waker::from_raw(RawWaker::new(ptr::from_ref(self).cast(), &WAKER_BEHIND)) }
    }

    /// Is this waker the one of this process?
    #[inline(always)]
    pub(crate) fn is_own_waker(&'static self, waker: &Waker) -> bool {
        ptr::eq(waker.data(), ptr::from_ref(self).cast()) && ptr::eq(waker.vtable(), &WAKER)
    }
}

/// The process whose own waker consists of these two words.
pub(super) fn pid_of_waker(data: *mut (), vtable: *const RawWakerVTable) -> Option<Pid> {
    if !ptr::eq(vtable, &WAKER) {
        return None;
    }
    // Looked up, not followed: the words may be out of date.
    crate::raw::slab::pid_at(data.cast())
}

static WAKER: RawWakerVTable = RawWakerVTable::new(
    // SAFETY: `data` is the address of a block, which lives for ever.
    |data| raw_waker(unsafe { &*data.cast::<Pcb>() }),
    // SAFETY: as above.
    |data| unsafe { &*data.cast::<Pcb>() }.wake(),
    // SAFETY: as above.
    |data| unsafe { &*data.cast::<Pcb>() }.wake(),
    |_| {},
);

static WAKER_BEHIND: RawWakerVTable = RawWakerVTable::new(
    |data| RawWaker::new(data, &WAKER_BEHIND),
    // SAFETY: as for `WAKER`.
    |data| unsafe { &*data.cast::<Pcb>() }.wake_behind(),
    // SAFETY: as for `WAKER`.
    |data| unsafe { &*data.cast::<Pcb>() }.wake_behind(),
    |_| {},
);

#[inline(always)]
fn raw_waker(pcb: &'static Pcb) -> RawWaker {
    RawWaker::new(ptr::from_ref(pcb).cast(), &WAKER)
}

/// What a new process begins with.
pub(crate) struct Birth {
    pub(crate) lineage: Option<Arc<Lineage>>,
    pub(crate) extra: Option<Box<Extra>>,
    pub(crate) bound: Option<(u32, Overflow)>,
    pub(crate) priority: Priority,
    pub(crate) trap_exit: bool,
    pub(crate) crash_is_callers: bool,
    pub(crate) observed: bool,
    pub(crate) parent_link: bool,
}

/// A slot that is about to get its process: nobody else knows it yet.
pub(crate) struct Unborn {
    pcb: &'static Pcb,
    pid: Pid,
}

impl Unborn {
    /// # Safety
    /// The slot is free and nobody else has it.
    pub(super) unsafe fn new(pcb: &'static Pcb, index: u32) -> Self {
        Self { pcb, pid: pcb.life.next(index) }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Brings the process to life. `runtime` has counted it, which keeps the runtime alive.
    #[inline(always)]
    pub(crate) fn begin(self, runtime: RuntimePtr, future: FutureBox, birth: Birth) -> Newborn {
        let Self { pcb, pid } = self;
        let cells = &pcb.cells;
        pcb.runtime.store(runtime.0.cast_mut(), Relaxed);
        pcb.deadline.reset(pid.generation());
        pcb.bound.set(birth.bound);
        pcb.priority.store(birth.priority as u8, Relaxed);
        pcb.waiting.store(0, Relaxed);
        pcb.leaves.reset();
        pcb.hears_all.store(birth.trap_exit || birth.observed, Relaxed);
        pcb.lineage.set(birth.lineage);
        cells.future.set(Some(future));
        cells.extra.set(birth.extra);
        cells.fetched.set(0);
        cells.mail_len.set(0);
        cells.turns.set(0);
        let bits = Bits::default().with_poll_due(true).with_trap_exit(birth.trap_exit);
        let bits = bits.with_crash_is_callers(birth.crash_is_callers).with_parent_link(birth.parent_link);
        cells.bits.set(bits.with_observed(birth.observed));
        pcb.life.begin(pid, &pcb.word);
        Newborn(pcb)
    }
}

/// A process that can be looked up and sent to, and has not been put into a run queue yet.
#[must_use = "it has to be scheduled, once"]
pub(crate) struct Newborn(&'static Pcb);

impl Newborn {
    /// Lets it run.
    #[inline]
    pub(crate) fn schedule(self, place: Place) {
        self.0.schedule(place);
    }

    /// Ends it at its first turn, before its future is polled. A process that was not scheduled belongs to its maker.
    pub(crate) fn doom(&self, reason: ExitReason) {
        Owner { pcb: self.0, _this_thread: PhantomData }.doom(reason);
    }
}

/// The address of a runtime, as its processes know it.
#[derive(Clone, Copy)]
pub(crate) struct RuntimePtr(*const Shared);

impl RuntimePtr {
    #[inline(always)]
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self(Arc::as_ptr(shared))
    }
}

thread_local! {
    static CURRENT: Cell<Option<&'static Pcb>> = const { Cell::new(None) };
}

/// Makes this the process whose turn this thread runs again.
struct Reset(Option<&'static Pcb>);

impl Drop for Reset {
    #[inline(always)]
    fn drop(&mut self) {
        CURRENT.with(|current| current.set(self.0));
    }
}

/// The right to touch the owner's part of a block: exists only on the thread that runs the process' turn.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pcb: &'static Pcb,
    _this_thread: PhantomData<*const ()>,
}

impl Owner {
    /// The process whose turn this thread runs.
    #[inline(always)]
    pub(crate) fn current() -> Option<Self> {
        CURRENT.with(Cell::get).map(|pcb| Self { pcb, _this_thread: PhantomData })
    }

    /// Runs a turn of a process that was taken out of a run queue.
    ///
    /// # Safety
    /// `pcb` came out of a run queue, and this is its only turn (invariant 2).
    #[inline(always)]
    pub(super) unsafe fn run<R>(pcb: &'static Pcb, turn: impl FnOnce(Self) -> R) -> R {
        // An inline driver may run inside a process of another runtime: put back what was there.
        let _reset = Reset(CURRENT.with(|current| current.replace(Some(pcb))));
        turn(Self { pcb, _this_thread: PhantomData })
    }

    /// Runs `f` as code of no process, whoever's turn this thread runs.
    pub(crate) fn nobody<R>(f: impl FnOnce() -> R) -> R {
        let _reset = Reset(CURRENT.with(|current| current.replace(None)));
        f()
    }

    #[inline(always)]
    pub(crate) fn pcb(self) -> &'static Pcb {
        self.pcb
    }

    #[inline(always)]
    pub(crate) fn pid(self) -> Pid {
        Pid::from_bits(self.pcb.life.own_bits())
    }

    /// As [`Pcb::note`], for the process itself.
    #[inline]
    pub(crate) fn note(self, table: Table) -> bool {
        self.pcb.leaves.note_own(table, &self.pcb.word)
    }

    /// The runtime of this process.
    #[inline(always)]
    pub(crate) fn shared<'a>(self) -> &'a Shared {
        // SAFETY: the process lives during its turn, so its runtime does (invariant 3); an `Owner` does not outlive the
        // turn, and no caller keeps the reference beyond its own call.
        unsafe { &*self.pcb.runtime.load(Relaxed) }
    }

    #[inline(always)]
    pub(crate) fn runtime(self) -> RuntimePtr {
        RuntimePtr(self.pcb.runtime.load(Relaxed))
    }

    pub(crate) fn shared_arc(self) -> Arc<Shared> {
        let runtime = self.pcb.runtime.load(Relaxed);
        // SAFETY: as in `shared`; the pointer came from an `Arc`.
        unsafe {
            Arc::increment_strong_count(runtime);
            Arc::from_raw(runtime)
        }
    }

    #[inline(always)]
    pub(crate) fn cells(&self) -> &Cells {
        &self.pcb.cells
    }

    #[inline(always)]
    pub(crate) fn bits(self) -> Bits {
        self.pcb.cells.bits.get()
    }

    #[inline(always)]
    pub(crate) fn set_bits(self, change: impl FnOnce(Bits) -> Bits) {
        self.pcb.cells.bits.set(change(self.pcb.cells.bits.get()));
    }

    /// The messages that were taken out of the inbox and looked at by nobody. `f` must run no code of the program.
    #[inline(always)]
    pub(crate) fn with_mail<R>(self, f: impl FnOnce(&mut Chain) -> R) -> R {
        // SAFETY: we are the owner, and `f` is one of this crate's few chain operations, none of which comes back here.
        f(unsafe { &mut *self.pcb.cells.mail.get() })
    }

    /// Takes the future out for good: it is over, or to be dropped. `None` while it is being polled.
    pub(crate) fn take_future(self) -> Option<FutureBox> {
        if self.bits().polling() { None } else { self.pcb.cells.future.take() }
    }

    /// Polls the future, and catches its panics. It stays in the block, where nobody takes it out meanwhile; a panic leaves
    /// it there too.
    #[inline(always)]
    pub(crate) fn poll_future(self, cx: &mut Context<'_>) -> std::thread::Result<Poll<ExitReason>> {
        let bits = self.bits();
        assert!(!bits.polling() && !bits.exiting(), "a process that has a turn has its future");
        self.pcb.cells.bits.set(bits.begin_poll());
        // Unwind safety: after a panic the future is only dropped, and all else that it shares is this crate's own, which
        // keeps its invariants across panics of the program's code.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: a process has its future until it is exiting, and `take_future` leaves it alone while `polling` is set.
            unsafe { FutureBox::poll_in(&self.pcb.cells.future, cx) }
        }));
        self.set_bits(|bits| bits.with_polling(false));
        polled
    }

    /// The type and the size of the future, if it is not over.
    pub(crate) fn future_kind(self) -> Option<(&'static str, usize)> {
        // SAFETY: we are the owner, and nothing writes to the cell while we look; a poll that is under way holds no reference
        // into it.
        let future = unsafe { &*self.pcb.cells.future.as_ptr() };
        future.as_ref().map(|future| (future.type_name(), future.size()))
    }

    /// What few processes have; makes it if need be. `f` must run no code of the program.
    #[inline]
    pub(crate) fn with_extra<R>(self, f: impl FnOnce(&mut Extra) -> R) -> R {
        self.extra_in(self.pcb.cells.extra.take().unwrap_or_default(), f)
    }

    /// As [`with_extra`](Self::with_extra), but does nothing if there is none.
    #[inline]
    pub(crate) fn with_extra_if_any<R>(self, f: impl FnOnce(&mut Extra) -> R) -> Option<R> {
        Some(self.extra_in(self.pcb.cells.extra.take()?, f))
    }

    /// What fewer processes still have; makes it if need be. `f` must run no code of the program.
    #[inline]
    pub(crate) fn with_rare<R>(self, f: impl FnOnce(&mut Rare) -> R) -> R {
        self.with_extra(|extra| f(extra.rare()))
    }

    /// As [`with_rare`](Self::with_rare), but does nothing if there is none.
    #[inline]
    pub(crate) fn with_rare_if_any<R>(self, f: impl FnOnce(&mut Rare) -> R) -> Option<R> {
        self.with_extra_if_any(|extra| extra.rare_if_any().map(f)).flatten()
    }

    fn extra_in<R>(self, extra: Box<Extra>, f: impl FnOnce(&mut Extra) -> R) -> R {
        struct PutBack(Owner, Option<Box<Extra>>);
        impl Drop for PutBack {
            fn drop(&mut self) {
                let nested = self.0.pcb.cells.extra.replace(self.1.take());
                debug_assert!(nested.is_none(), "the extra box was asked for while it was in use");
            }
        }
        let mut guard = PutBack(self, Some(extra));
        f(guard.1.as_mut().expect("taken out only by the drop"))
    }

    /// Does the process have something that few processes have?
    #[inline(always)]
    pub(crate) fn has_extra(self) -> bool {
        // SAFETY: we are the owner, and nothing writes to the cell while we look.
        unsafe { &*self.pcb.cells.extra.as_ptr() }.is_some()
    }

    pub(crate) fn take_extra(self) -> Option<Box<Extra>> {
        self.pcb.cells.extra.take()
    }

    /// The line of this process' ancestors.
    pub(crate) fn lineage(self) -> Option<Arc<Lineage>> {
        let lineage = self.pcb.lineage.take();
        self.pcb.lineage.set(lineage.clone());
        lineage
    }

    /// The process that has spawned this one.
    pub(crate) fn parent(self) -> Option<Pid> {
        let lineage = self.pcb.lineage.take();
        let parent = lineage.as_ref().and_then(|lineage| Some(lineage.ancestors().first()?.pid));
        self.pcb.lineage.set(lineage);
        parent
    }

    pub(crate) fn take_lineage(self) -> Option<Arc<Lineage>> {
        self.pcb.lineage.take()
    }
}

//! One turn of a process: signals first, then its future, then sleep.

use std::any::Any;
use std::mem::ManuallyDrop;
use std::task::{Context, Poll};

use crate::driver::Place;
use crate::observe;
use crate::process::death;
use crate::process::exit::{self, Unwound};
use crate::process::mail::BUDGET;
use crate::raw::mailbox::{Due, Park};
use crate::raw::pcb::{Bits, Owner};
use crate::raw::ready::Next;

/// What a turn of another process within its own takes off a process' budget: sixteen of them fit into a turn.
const LENT: u32 = BUDGET / 16;

impl Owner {
    /// May another process have its turn within this one's poll? Takes its price off the budget.
    pub(crate) fn lends_its_turn(self) -> bool {
        let budget = self.cells().budget.get();
        let lends = self.bits().polling() && budget >= LENT && !std::thread::panicking()
            // The span is entered while it is polled, and what others log is none of its business.
            && self.with_rare_if_any(|rare| rare.span.is_none()).unwrap_or(true);
        if lends {
            self.cells().budget.set(budget - LENT);
        }
        lends
    }
}

/// Runs one turn.
///
/// 1. Signals that have arrived are handled, in order; one of them may end the process.
/// 2. If something happened that the future waits for, it is polled: once.
/// 3. The process parks, goes back into a queue because there is more to do, or is over.
#[inline(always)]
pub(crate) fn turn(owner: Owner) -> Next {
    owner.cells().budget.set(BUDGET);
    count_turn(owner);
    let due = owner.pcb().word.begin();
    if due.signals || owner.bits().has_any(Bits::BEFORE_POLL) {
        return unusual_turn(owner, due);
    }
    poll(owner)
}

#[inline(always)]
fn count_turn(owner: Owner) {
    let turns = owner.cells().turns.get().wrapping_add(1);
    owner.cells().turns.set(turns);
    if turns == 0 {
        count_round(owner);
    }
}

#[cold]
fn count_round(owner: Owner) {
    owner.with_rare(|rare| rare.turns += 1 << 32);
}

/// There is something to be looked at before the poll: signals, receives with wakers of their own, or death.
#[inline(never)]
fn unusual_turn(owner: Owner, due: Due) -> Next {
    let (cells, pcb) = (owner.cells(), owner.pcb());
    if owner.bits().exiting() {
        return death::go_on(owner);
    }
    if owner.bits().observed() {
        observe::turn_begins(owner);
    }
    if due.woken {
        owner.set_bits(|bits| bits.with_poll_due(true));
    }
    if due.signals {
        owner.fetch();
        if owner.bits().doomed() {
            return death::begin_by_signal(owner);
        }
        let bits = owner.bits();
        let mail = (bits.interested() || bits.has_waiters()) && cells.mail_len.get() > 0;
        if !mail && !bits.poll_due() {
            // Links, monitors and questions concern the process, not its future.
            return park(owner);
        }
    }
    let bits = owner.bits();
    if bits.held() && !owner.may_be_polled() {
        // Once they are gone, whatever wakes it.
        owner.set_bits(|bits| bits.with_poll_due(true));
        return park_held(owner);
    }
    if bits.has_waiters() && (cells.mail_len.get() > 0 || bits.skipped() || pcb.word.has_mail()) {
        owner.wake_waiters();
        // Their wake-ups are for the poll that comes now.
        pcb.word.begin();
    }
    poll(owner)
}

#[inline(always)]
fn poll(owner: Owner) -> Next {
    // It has nothing to drop.
    let waker = ManuallyDrop::new(owner.pcb().waker());
    match owner.poll_future(&mut Context::from_waker(&waker)) {
        Ok(Poll::Pending) if owner.bits().has_any(Bits::AFTER_POLL) => pending_unusually(owner),
        Ok(Poll::Pending) => park(owner),
        Ok(Poll::Ready(reason)) => death::begin(owner, reason),
        Err(payload) => unwound(owner, payload),
    }
}

#[cold]
fn pending_unusually(owner: Owner) -> Next {
    if owner.bits().doomed() {
        return death::begin_by_signal(owner);
    }
    exit::finish_orphans(owner);
    park(owner)
}

#[cold]
fn unwound(owner: Owner, payload: Box<dyn Any + Send>) -> Next {
    match exit::unwound(payload) {
        Unwound::Itself(reason) => death::begin(owner, reason),
        Unwound::BySignal => death::begin_by_signal(owner),
    }
}

/// The process waits for the end of others, and for no message.
fn park_held(owner: Owner) -> Next {
    match owner.pcb().word.park(false) {
        Park::Parked => Next::Done,
        Park::Woken => Next::Again(Place::Back),
        Park::Mail => Next::Again(Place::Next),
    }
}

#[inline(always)]
fn park(owner: Owner) -> Next {
    let bits = owner.bits();
    if bits.yielded() {
        owner.set_bits(|bits| bits.with_poll_due(true));
        return Next::Again(Place::Back);
    }
    let waits = bits.has_any(Bits::WAITING);
    if waits && (owner.cells().mail_len.get() > 0 || bits.skipped()) {
        // Delivered here, or skipped by another receive, after the one that waits had looked.
        owner.set_bits(|bits| bits.with_poll_due(true));
        return Next::Again(Place::Next);
    }
    match owner.pcb().word.park(waits) {
        Park::Parked => Next::Done,
        // Woken while it ran: by itself, most likely, which asks to let others run.
        Park::Woken => Next::Again(Place::Back),
        Park::Mail => Next::Again(Place::Next),
    }
}

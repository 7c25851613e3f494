//! Who waits for room in a mailbox with a bound, and who gets the places that become free.
//!
//! # Invariants
//! 1. First come, first served: a place that becomes free is given to the first of the line, and stays taken until the
//!    message is there. Nobody overtakes the line except by chance, in the moment between the two.
//! 2. A free place and somebody in line do not stay side by side. Who frees a place does so *before* looking whether there is a
//!    line; who joins it says so *before* looking for a free place, and gives what there is to the first.
//! 3. Who is not in line any more has a place, or the process has ended: a place that is not used is given back.
//! 4. Lines are for processes that live: the end of the process dissolves its line, and who joins after that sees the
//!    closed mailbox.

use std::collections::{HashMap, VecDeque};
use std::sync::LazyLock;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Waker;

use parking_lot::Mutex;

use crate::pid::Pid;
use crate::process::Overflow;
use crate::raw::pcb::Pcb;
use crate::raw::slab;
use crate::reference::Reference;

/// One line, the first to be served in front.
type Line = VecDeque<(Reference, Waker)>;

/// All lines of the program. They are rare: one lock will do.
static LINES: LazyLock<Mutex<HashMap<Pid, Line, foldhash::fast::FixedState>>> = LazyLock::new(Mutex::default);

/// A place has become free.
pub(crate) fn one_left(pcb: &Pcb, pid: Pid) {
    pcb.bound.left();
    if pcb.waiting.load(SeqCst) != 0 {
        give(pcb, pid);
    }
}

/// Gives what places there are to those who wait.
#[cold]
fn give(pcb: &Pcb, pid: Pid) {
    let Some((limit, _)) = pcb.bound.get() else { return };
    let mut served = Vec::new();
    let mut lines = LINES.lock();
    if let Some(line) = lines.get_mut(&pid) {
        while !line.is_empty() && pcb.bound.reserve(limit).is_ok() {
            served.extend(line.pop_front().map(|(_, waker)| waker));
        }
        if line.is_empty() {
            lines.remove(&pid);
            nobody_waits(pcb, pid);
        }
    }
    drop(lines);
    served.into_iter().for_each(Waker::wake);
}

/// Under the lock. A later process of the slot has its own: it can have no line before the lock is free.
fn nobody_waits(pcb: &Pcb, pid: Pid) {
    if pcb.life.is(pid) {
        pcb.waiting.store(0, SeqCst);
    }
}

/// The process has ended: all who wait learn that.
pub(crate) fn close(pid: Pid) {
    let line = LINES.lock().remove(&pid);
    line.into_iter().flatten().for_each(|(_, waker)| waker.wake());
}

/// Does the mailbox of this process let senders wait?
pub(crate) fn is_for_waiting(pid: Pid) -> bool {
    let bound = slab::lookup(pid).and_then(|pcb| pcb.bound.get());
    bound.is_some_and(|(_, overflow)| overflow == Overflow::Wait)
}

/// A place in line, or in the mailbox. Dropping it leaves the line, or gives the place back.
#[derive(Default)]
pub(crate) struct Ticket(Option<Box<(Pid, Reference)>>);

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Turn {
    /// The ticket's: it had a place, which is the caller's now. Or the process has ended.
    Ours,
    /// That of others: the waker will be used.
    Others,
    /// The ticket is for no line.
    None,
}

impl Ticket {
    /// Is it our turn in the line for this process?
    #[inline]
    pub(crate) fn turn(&mut self, pid: Pid, waker: &Waker) -> Turn {
        if self.0.is_none() { Turn::None } else { self.look(pid, waker) }
    }

    #[cold]
    fn look(&mut self, pid: Pid, waker: &Waker) -> Turn {
        if self.0.as_ref().is_some_and(|ticket| ticket.0 != pid) {
            // The name it was for has changed hands.
            self.leave();
            return Turn::None;
        }
        let Some(ticket) = &self.0 else { return Turn::None };
        let waker = waker.clone();
        let mut lines = LINES.lock();
        let mut standing = lines.get_mut(&pid).into_iter().flatten();
        let turn = match standing.find(|(reference, _)| *reference == ticket.1) {
            Some((_, former)) => {
                let former = std::mem::replace(former, waker);
                drop(lines);
                // A waker's destructor is code of the program.
                drop(former);
                Turn::Others
            }
            None => Turn::Ours,
        };
        if turn == Turn::Ours {
            self.0 = None;
        }
        turn
    }

    /// The mailbox was full: stands in line. `Ours`: not any more.
    #[cold]
    pub(crate) fn join(&mut self, pid: Pid, waker: &Waker) -> Turn {
        self.leave();
        let Some(pcb) = slab::lookup(pid) else { return Turn::Ours };
        let reference = Reference::unique();
        let waker = waker.clone();
        let mut lines = LINES.lock();
        lines.entry(pid).or_default().push_back((reference, waker));
        pcb.waiting.store(1, SeqCst);
        drop(lines);
        self.0 = Some(Box::new((pid, reference)));
        if !pcb.life.is(pid) || pcb.word.is_closed() {
            self.leave();
            return Turn::Ours;
        }
        if pcb.bound.get().is_some_and(|(limit, _)| pcb.bound.has_room(limit)) {
            give(pcb, pid);
        }
        // If the place is ours by now, our waker has been used.
        Turn::Others
    }

    fn leave(&mut self) {
        let Some(ticket) = self.0.take() else { return };
        let (pid, reference) = *ticket;
        let pcb = slab::lookup(pid);
        let mut lines = LINES.lock();
        let stood = lines.get_mut(&pid).and_then(|line| {
            let at = line.iter().position(|(other, _)| *other == reference)?;
            line.remove(at)
        });
        if lines.get(&pid).is_some_and(VecDeque::is_empty) {
            lines.remove(&pid);
            if let Some(pcb) = pcb {
                nobody_waits(pcb, pid);
            }
        }
        drop(lines);
        if let (None, Some(pcb)) = (stood, pcb) {
            one_left(pcb, pid);
        }
    }
}

impl Drop for Ticket {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_some() {
            self.leave();
        }
    }
}

//! The owner's side of a mailbox: taking the inbox over, handling the signals in it, and the messages that a selective
//! receive has skipped.
//!
//! ```text
//! inbox (any thread) ── fetch ──▶ mail (looked at by nobody) ── pop ──▶ a receive ── skipped ──▶ saved
//! ```
//!
//! # Invariants
//! 1. Every message has a sequence number: how many came out of the inbox before it. `mail` holds the newest ones in
//!    order, `saved` older ones in order, perhaps with gaps.
//! 2. A receive remembers the number up to which it has looked (its cursor) and never looks at the same message twice.
//!    Cursors stay valid whatever other receives of the process take out.
//! 3. A receive that waits hears of each new message, also of one that another receive of the process has found first and
//!    skipped.
//! 4. Signals are handled in the order in which they stand among the messages. Once one of them has ended the process, no
//!    receive gets anything any more, though the poll goes on to its next await: what stands behind that signal must not
//!    be handled, and nobody reads what stands before it.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use crate::exit_reason::ExitReason;
use crate::observe;
use crate::pid::Pid;
use crate::process::Overflow;
use crate::process::room;
use crate::process::signal::{Signal, refuse};
use crate::raw::mailbox::Single;
use crate::raw::node::{Chain, Kind, OwnedNode};
use crate::raw::pcb::{Bits, Owner};
use crate::reference::Reference;
use crate::runtime::metrics::Undelivered;

/// How many messages a process may handle, or send, in one turn before it goes to the back of the run queue.
pub(crate) const BUDGET: u32 = 256;

/// Set in the budget of an [observed](crate::observe) process: whoever sends has to look at the budget anyhow.
pub(crate) const OBSERVED: u32 = 1 << 31;

/// How many fresh references a process remembers the mailbox position of. A call has one under way, rarely two.
const MARKS: usize = 8;

/// The budget of this turn is used up: the process must yield.
pub(crate) struct Spent;

/// The messages that receives have skipped, by sequence number, and what references remember of them.
#[derive(Default)]
pub(crate) struct Saved {
    entries: VecDeque<(u64, Option<OwnedNode>)>,
    live: usize,
    /// The place that was found last. A receive goes from one to the next, and puts back what it has just taken: each would
    /// be a search otherwise. Only a guess, as places move when others are tidied away.
    found: usize,
    /// The last references made by this process, each with the number of the next message at that time.
    marks: VecDeque<(Reference, u64)>,
}

impl Saved {
    fn push(&mut self, sequence: u64, node: OwnedNode) {
        if self.entries.back().is_some_and(|(last, _)| *last > sequence) {
            // A guard has received meanwhile, and skipped later messages.
            return self.put_back(sequence, node);
        }
        self.entries.push_back((sequence, Some(node)));
        self.live += 1;
    }

    /// The place of the first entry whose number is at least `from`.
    fn place_of(&mut self, from: u64) -> usize {
        let is_below = |place: usize| self.entries.get(place).map(|(sequence, _)| *sequence < from);
        // That everything before a place is below `from`, and nothing from there on.
        let is_it = |place: usize| {
            place.checked_sub(1).is_none_or(|before| is_below(before) == Some(true))
                && is_below(place) != Some(true)
        };
        let guesses = [0, self.found, self.found + 1];
        let search = || self.entries.partition_point(|(sequence, _)| *sequence < from);
        self.found = guesses.into_iter().find(|&place| is_it(place)).unwrap_or_else(search);
        self.found
    }

    /// The first message whose number is at least `from`.
    fn take_from(&mut self, from: u64) -> Option<(u64, OwnedNode)> {
        let start = self.place_of(from);
        let (further, entry) =
            self.entries.range_mut(start..).enumerate().find(|(_, (_, node))| node.is_some())?;
        let taken = (entry.0, entry.1.take()?);
        self.found = start + further;
        self.live -= 1;
        Some(taken)
    }

    /// A message that was taken and not wanted goes back to its place.
    fn put_back(&mut self, sequence: u64, node: OwnedNode) {
        let at = self.place_of(sequence);
        match self.entries.get_mut(at) {
            Some((other, place)) if *other == sequence => *place = Some(node),
            // Its empty place was tidied away meanwhile.
            _ => self.entries.insert(at, (sequence, Some(node))),
        }
        self.live += 1;
    }

    /// A message was taken for good: empty places go, so that they cost at most as much as the messages.
    fn tidy(&mut self) {
        while let Some((_, None)) = self.entries.front() {
            self.entries.pop_front();
        }
        if self.entries.len() > 32 && self.live < self.entries.len() / 2 {
            self.entries.retain(|(_, node)| node.is_some());
        }
        if self.entries.is_empty() && self.entries.capacity() > 1024 {
            self.entries = VecDeque::new();
        }
    }

    /// Takes the oldest out for good.
    pub(crate) fn pop(&mut self) -> Option<OwnedNode> {
        loop {
            if let (_, Some(node)) = self.entries.pop_front()? {
                self.live -= 1;
                return Some(node);
            }
        }
    }

    pub(crate) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.marks.shrink_to_fit();
    }
}

impl Owner {
    /// Takes the inbox over: messages go to the mail, signals are handled.
    pub(crate) fn fetch(self) {
        let (mut chain, count, signals) = self.pcb().word.take();
        if chain.is_empty() {
            return;
        }
        let cells = self.cells();
        if !signals && !self.bits().observed() {
            cells.fetched.set(cells.fetched.get() + u64::from(count));
            cells.mail_len.set(cells.mail_len.get() + count);
            return self.with_mail(|mail| mail.append(chain));
        }
        // Dropped after the loop: a destructor that receives must find everything in its place.
        let mut dropped = Vec::new();
        while let Some(mut node) = chain.pop() {
            if node.kind() == Kind::Signal {
                let target = Pid::from_bits(node.header().target);
                match node.into_signal::<Signal>() {
                    Ok(signal) if target == self.pid() => self.handle(signal),
                    // Sent to a former process of this slot.
                    Ok(signal) => refuse(target, signal),
                    Err(_) => {}
                }
                continue;
            }
            if let Some(alias) = Reference::from_bits(node.header().target) {
                if !self.pass_alias(alias) {
                    self.left(&node);
                    dropped.push((node, Undelivered::AliasInactive));
                    continue;
                }
                node.set_target(self.pid().to_bits());
            }
            if self.bits().observed() {
                node = observe::message_arrives(self, node);
            }
            self.deliver_node_here(node);
            // One by one: a signal behind it must not find the mailbox over its bound.
            if let Some((limit, Overflow::DropOldest)) = self.pcb().bound.get()
                && self.bounded_len() > limit as usize
                && let Some(oldest) = self.pop_oldest_bounded()
            {
                dropped.push((oldest, Undelivered::Overflow));
            }
        }
        dropped.into_iter().for_each(|(node, why)| self.drop_undelivered(node, why));
    }

    /// Puts a notice, a message of the runtime's own, behind what has been fetched.
    pub(crate) fn notify_here(self, notice: OwnedNode) {
        if self.pcb().bound.get().is_some() {
            self.with_rare(|rare| rare.notices += 1);
        }
        self.deliver_node_here(notice);
    }

    fn deliver_node_here(self, node: OwnedNode) {
        let cells = self.cells();
        cells.fetched.set(cells.fetched.get() + 1);
        cells.mail_len.set(cells.mail_len.get() + 1);
        self.with_mail(|mail| mail.push(node));
    }

    /// Messages that nobody has taken, the inbox apart.
    pub(crate) fn mailbox_len(self) -> usize {
        let saved = if self.bits().has_saved() {
            self.with_rare_if_any(|rare| rare.saved.live).unwrap_or(0)
        } else {
            0
        };
        saved + self.cells().mail_len.get() as usize
    }

    /// Those of them that the bound is for.
    fn bounded_len(self) -> usize {
        self.mailbox_len() - self.with_rare_if_any(|rare| rare.notices as usize).unwrap_or(0)
    }

    /// The oldest message that is no notice.
    #[cold]
    fn pop_oldest_bounded(self) -> Option<OwnedNode> {
        let mut cursor = 0;
        let budget = self.cells().budget.replace(OBSERVED - 1);
        let oldest = self.scan(&mut cursor, |node| if node.is_notice() { Err(node) } else { Ok(node) });
        self.cells().budget.set(budget);
        oldest.ok()
    }

    /// The number that the next fetched message will get.
    fn next_sequence(self) -> u64 {
        self.cells().fetched.get()
    }

    /// The message that is alone in the inbox. What arrives at an observed process has to be fetched.
    #[inline(always)]
    fn take_single(self) -> Single {
        match self.bits().observed() {
            true if self.pcb().word.has_mail() => Single::More,
            true => Single::Nothing,
            false => self.pcb().word.take_single(),
        }
    }

    /// The next message nobody has looked at, with its number.
    #[inline(always)]
    fn pop_fresh(self) -> Option<(u64, OwnedNode)> {
        let cells = self.cells();
        if self.bits().doomed() {
            return None;
        }
        loop {
            let node = match self.with_mail(Chain::pop) {
                Some(node) => node,
                None => match self.take_single() {
                    Single::Nothing => return None,
                    Single::Message(node) => {
                        cells.fetched.set(cells.fetched.get() + 1);
                        cells.mail_len.set(cells.mail_len.get() + 1);
                        node
                    }
                    Single::More => {
                        self.fetch();
                        if self.bits().doomed() {
                            return None;
                        }
                        self.with_mail(Chain::pop)?
                    }
                },
            };
            let left = cells.mail_len.get() - 1;
            cells.mail_len.set(left);
            if node.header().target == self.pid().to_bits() {
                return Some((cells.fetched.get() - u64::from(left) - 1, node));
            }
            self.left(&node);
            self.drop_stray(node);
        }
    }

    /// The oldest message. Not charged to the budget.
    #[inline]
    pub(crate) fn pop(self) -> Option<OwnedNode> {
        if self.bits().has_saved()
            && !self.bits().doomed()
            && let Some((_, node)) = self.take_saved(0)
        {
            self.tidy_saved();
            self.left(&node);
            return Some(node);
        }
        let (_, node) = self.pop_fresh()?;
        self.left(&node);
        Some(node)
    }

    /// The oldest message, for one unit of the budget; to find that there is none costs none. `Err`: it is used up.
    #[inline(always)]
    pub(crate) fn pop_charged(self) -> Result<Option<OwnedNode>, Spent> {
        let cells = self.cells();
        let budget = cells.budget.get();
        if budget == 0 || self.bits().has_any(Bits::MAIL) {
            return self.pop_charged_slowly();
        }
        let node = match self.with_mail(Chain::pop) {
            Some(node) => {
                cells.mail_len.set(cells.mail_len.get() - 1);
                node
            }
            None => match self.pcb().word.take_single() {
                Single::Nothing => return Ok(None),
                Single::Message(node) => {
                    cells.fetched.set(cells.fetched.get() + 1);
                    node
                }
                Single::More => return self.pop_charged_slowly(),
            },
        };
        self.left(&node);
        if node.header().target != self.pid().to_bits() {
            return self.pop_after_stray(node);
        }
        cells.budget.set(budget - 1);
        Ok(Some(node))
    }

    #[inline(never)]
    fn pop_charged_slowly(self) -> Result<Option<OwnedNode>, Spent> {
        if self.charge() { Ok(self.pop()) } else { Err(Spent) }
    }

    #[cold]
    fn pop_after_stray(self, stray: OwnedNode) -> Result<Option<OwnedNode>, Spent> {
        self.drop_stray(stray);
        self.pop_charged_slowly()
    }

    /// Drops a message that was sent to a former process of this slot: between the look-up and the push the slot has changed hands.
    /// A call ends as that of any process that is not there.
    #[cold]
    pub(crate) fn drop_stray(self, node: OwnedNode) {
        let former = Pid::from_bits(node.header().target);
        self.shared().undelivered(former, node, Undelivered::NoProc, Some(&ExitReason::NoProc));
    }

    fn take_saved(self, from: u64) -> Option<(u64, OwnedNode)> {
        self.with_rare_if_any(|rare| rare.saved.take_from(from)).flatten()
    }

    fn tidy_saved(self) {
        let any = self.with_rare(|rare| {
            rare.saved.tidy();
            !rare.saved.entries.is_empty()
        });
        self.set_bits(|bits| bits.with_saved(any));
    }

    /// Offers each message from the cursor on, oldest first, until one is taken. `Err(true)`: the budget is used up;
    /// `Err(false)`: there are no more.
    pub(crate) fn scan<R>(
        self,
        cursor: &mut u64,
        mut offer: impl FnMut(OwnedNode) -> Result<R, OwnedNode>,
    ) -> Result<R, bool> {
        while self.bits().has_saved() && !self.bits().doomed() {
            if !self.charge() {
                return Err(true);
            }
            let Some((sequence, node)) = self.take_saved(*cursor) else { break };
            let notice = node.is_notice();
            match offer(node) {
                Ok(taken) => {
                    self.tidy_saved();
                    self.one_left(notice);
                    return Ok(taken);
                }
                Err(node) => {
                    *cursor = sequence + 1;
                    self.with_rare(|rare| rare.saved.put_back(sequence, node));
                }
            }
        }
        loop {
            if !self.charge() {
                return Err(true);
            }
            let Some((sequence, node)) = self.pop_fresh() else { return Err(false) };
            // Older than the reference that the receive waits for.
            let (skip, notice) = (sequence < *cursor, node.is_notice());
            match if skip { Err(node) } else { offer(node) } {
                Ok(taken) => {
                    self.one_left(notice);
                    return Ok(taken);
                }
                Err(node) => {
                    *cursor = (*cursor).max(sequence + 1);
                    self.with_rare(|rare| rare.saved.push(sequence, node));
                    self.set_bits(|bits| {
                        let others_wait = bits.interested() || bits.has_waiters();
                        bits.with_saved(true).with_skipped(bits.skipped() || others_wait)
                    });
                }
            }
        }
    }

    /// Takes one unit from the budget of this turn. `false`: it is used up, and the process must yield.
    #[inline(always)]
    pub(crate) fn charge(self) -> bool {
        self.charge_usual() || self.charge_unusual()
    }

    /// The same for what the process sends, which it does whether or not there is something left. `false`: the process is
    /// observed.
    #[inline(always)]
    pub(crate) fn charge_send(self) -> bool {
        self.charge_usual() || self.cells().budget.get() == 0
    }

    /// `false`: the budget is used up, or that of an observed process. 0 wraps, so one comparison is enough for both.
    #[inline(always)]
    fn charge_usual(self) -> bool {
        let budget = &self.cells().budget;
        let left = budget.get().wrapping_sub(1);
        let usual = left < OBSERVED - 1;
        if usual {
            budget.set(left);
        }
        usual
    }

    #[cold]
    #[inline(never)]
    fn charge_unusual(self) -> bool {
        let budget = &self.cells().budget;
        let left = budget.get();
        let any = left > OBSERVED;
        if any {
            budget.set(left - 1);
        }
        any
    }

    /// This message has left the mailbox.
    #[inline(always)]
    fn left(self, node: &OwnedNode) {
        if self.pcb().bound.get().is_some() {
            self.left_bounded(node.is_notice());
        }
    }

    /// A message has left the mailbox: where there is a bound, a place is free.
    #[inline(always)]
    fn one_left(self, notice: bool) {
        if self.pcb().bound.get().is_some() {
            self.left_bounded(notice);
        }
    }

    /// Notices take no place.
    #[inline(never)]
    fn left_bounded(self, notice: bool) {
        if notice {
            self.with_rare(|rare| rare.notices -= 1);
        } else {
            room::one_left(self.pcb(), self.pid());
        }
    }

    /// Waits for a message: the process is scheduled, and `cx`'s waker used if it is another one than the process' own.
    #[inline(always)]
    pub(crate) fn wait_for_mail(self, cx: &mut Context<'_>, waiter: &mut Option<Reference>) {
        if self.pcb().is_own_waker(cx.waker()) {
            self.set_bits(|bits| bits.with_interested(true));
        } else {
            self.wait_with_waker(cx, waiter);
        }
    }

    #[inline(never)]
    fn wait_with_waker(self, cx: &mut Context<'_>, waiter: &mut Option<Reference>) {
        let id = *waiter.get_or_insert_with(Reference::unique);
        let waker = cx.waker().clone();
        let former = self.with_rare(|rare| match rare.waiters.iter_mut().find(|(other, _)| *other == id) {
            Some((_, former)) => Some(std::mem::replace(former, waker)),
            None => {
                rare.waiters.push((id, waker));
                None
            }
        });
        drop(former);
        self.set_bits(|bits| bits.with_waiters(true));
    }

    /// A receive that waited with a waker of its own is gone.
    pub(crate) fn stop_waiting(self, waiter: Reference) {
        let gone = self.with_rare_if_any(|rare| {
            let at = rare.waiters.iter().position(|(other, _)| *other == waiter)?;
            Some((rare.waiters.swap_remove(at), rare.waiters.is_empty()))
        });
        if let Some(Some((_, true))) = gone {
            self.set_bits(|bits| bits.with_waiters(false));
        }
    }

    /// Wakes all receives that wait with wakers of their own: there is mail for one of them.
    pub(crate) fn wake_waiters(self) {
        let waiters = self.with_rare_if_any(|rare| std::mem::take(&mut rare.waiters)).unwrap_or_default();
        self.set_bits(|bits| bits.with_waiters(false));
        waiters.into_iter().map(|(_, waker)| waker).for_each(Waker::wake);
    }

    /// Remembers what is in the mailbox now: a receive with [`since`](crate::process::Receive::since) skips it.
    pub(crate) fn mark(self, reference: Reference) {
        // What is in the inbox is older than the reference too.
        if self.pcb().word.has_mail() {
            self.fetch();
        }
        let next = self.next_sequence();
        // Nothing to skip: not worth a box.
        if self.mailbox_len() == 0 {
            return;
        }
        self.with_rare(|rare| {
            let marks = &mut rare.saved.marks;
            if marks.len() == MARKS {
                marks.pop_front();
            }
            marks.push_back((reference, next));
        });
    }

    /// The number of the first message that came after the reference was made; 0 if that is not known.
    pub(crate) fn sequence_since(self, reference: Reference) -> u64 {
        self.with_rare_if_any(|rare| {
            rare.saved.marks.iter().find(|(marked, _)| *marked == reference).map(|(_, sequence)| *sequence)
        })
        .flatten()
        .unwrap_or(0)
    }

    /// Removes the first message of this type that fits, from this number on. `false`: there is none.
    pub(crate) fn remove_message<T: Send + 'static>(self, mut from: u64, is_it: impl Fn(&T) -> bool) -> bool {
        let budget = self.cells().budget.replace(OBSERVED - 1);
        let removed = self.scan(&mut from, |node| {
            node.offer(|message: T| if is_it(&message) { Ok(()) } else { Err(message) })
        });
        self.cells().budget.set(budget);
        removed.is_ok()
    }

    pub(crate) fn drop_undelivered(self, node: OwnedNode, why: Undelivered) {
        self.shared().undelivered(self.pid(), node, why, None);
    }
}

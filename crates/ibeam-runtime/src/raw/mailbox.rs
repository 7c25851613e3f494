//! The mailbox word: the inbox of a process and its scheduling state, in one atomic pointer.
//!
//! ```text
//! senders ── push ──▶ [ newest → … → oldest | tags ] ── take ──▶ the process' own list
//! ```
//!
//! The pointer is a Treiber stack of nodes, the low four bits are tags:
//!
//! | tag | set by | means |
//! |---|---|---|
//! | `PARKED` | the owner, when it goes to sleep | nobody runs the process and it is in no run queue |
//! | `WOKEN` | a waker | a poll is due for another reason than a message |
//! | `NOINT` | the owner, together with `PARKED` | it waits for something else than messages: a message does not wake it |
//! | `SIGNALS` | who pushes a signal | the stack holds a signal, to be handled before the process is polled |
//! | `ROUSED` | the waker that clears `PARKED` | `WOKEN` and `NOINT`: a poll is due, and the turn to come knows it. Unlike `WOKEN` it may stay until the next park, which saves the turn an exchange |
//! | `CLOSED` | the owner, at death | `NOINT` without all others and without nodes: nothing can be pushed |
//!
//! # Invariants
//! 1. A push succeeds as one compare-exchange, or reports that the mailbox is closed and gives the node back.
//! 2. `PARKED` is cleared by exactly one party per sleep, and exactly that party schedules the process (4).
//! 3. The owner parks by compare-exchange from the very word in which it saw no work, so that a message between the
//!    look and the park is seen (5).
//! 4. After [`park`](MailboxWord::park) has succeeded the owner is no owner any more (6).
//! 5. Once closed, the word stays closed until the slot is used again; [`close`](MailboxWord::close) sees each node once.

use std::ptr::{self, NonNull};

use crate::raw::node::{Chain, Header, Node, OwnedNode};
use crate::sync::atomic::AtomicPtr;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const PARKED: usize = 1;
const WOKEN: usize = 2;
const NOINT: usize = 4;
const SIGNALS: usize = 8;
const TAGS: usize = 15;
const CLOSED: usize = NOINT;
const ROUSED: usize = WOKEN | NOINT;

const _: () = assert!(align_of::<Node<()>>() > TAGS, "the tags live in the low bits of a node's address");

/// See the module.
pub(crate) struct MailboxWord(AtomicPtr<Header>);

/// What is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    /// Wakes a process that waits for messages.
    Message,
    /// Wakes a process that sleeps, whatever it waits for.
    Signal,
}

/// What [`begin`](MailboxWord::begin) found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    /// A waker was used since the last turn.
    pub(crate) woken: bool,
    /// Signals wait to be handled.
    pub(crate) signals: bool,
}

/// What [`take_single`](MailboxWord::take_single) found.
pub(crate) enum Single {
    /// Nothing.
    Nothing,
    /// One message, which was alone.
    Message(OwnedNode),
    /// More than that, or signals: to be [taken](MailboxWord::take) together.
    More,
}

/// What became of an attempt to [`park`](MailboxWord::park).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Park {
    /// The process sleeps; whoever wakes it may already run it.
    Parked,
    /// It was woken while it ran.
    Woken,
    /// Messages or signals wait.
    Mail,
}

/// `WOKEN`, if a waker was used since the process was scheduled.
#[inline(always)]
fn woken_since(tags: usize) -> usize {
    if tags & ROUSED == WOKEN { WOKEN } else { 0 }
}

fn tags(word: *mut Header) -> usize {
    word.addr() & TAGS
}

fn node(word: *mut Header) -> *mut Header {
    word.map_addr(|addr| addr & !TAGS)
}

fn with_tags(node: *mut Header, tags: usize) -> *mut Header {
    node.map_addr(|addr| addr | tags)
}

impl MailboxWord {
    /// A closed mailbox: that of a slot without a process.
    #[cfg(not(loom))]
    pub(crate) const fn closed() -> Self {
        Self(AtomicPtr::new(ptr::without_provenance_mut(CLOSED)))
    }

    #[cfg(loom)]
    pub(crate) fn closed() -> Self {
        Self(AtomicPtr::new(ptr::without_provenance_mut(CLOSED)))
    }

    /// Opens the mailbox of a slot that gets a new process, which is awake: to be put into a run queue by the caller.
    pub(crate) fn open(&self) {
        self.0.store(ptr::null_mut(), Release);
    }

    /// Puts `new` into the mailbox.
    ///
    /// `Ok(true)`: the process slept, and the caller must schedule it now. A closed mailbox gives the node back.
    #[inline]
    pub(crate) fn push(&self, new: OwnedNode, push: Push) -> Result<bool, OwnedNode> {
        let new = new.into_raw();
        let mut current = self.0.load(Relaxed);
        loop {
            let old = tags(current);
            if current.addr() == CLOSED {
                // SAFETY: it was given to us and is in no chain.
                return Err(unsafe { OwnedNode::from_raw(new) });
            }
            // SAFETY: until the exchange succeeds the new node is ours.
            unsafe { new.as_ref().next.with_mut(|next| *next = node(current)) };
            let (set, wakes) = match push {
                Push::Message => (old, old & (PARKED | NOINT) == PARKED),
                Push::Signal => (old | SIGNALS, old & PARKED != 0),
            };
            let set = if wakes { set & !(PARKED | NOINT) } else { set };
            // Release: the receiver sees the payload. Acquire: the waker of `PARKED` sees what the sleeper wrote.
            match self.0.compare_exchange_weak(current, with_tags(new.as_ptr(), set), AcqRel, Relaxed) {
                Ok(_) => return Ok(wakes),
                Err(changed) => current = changed,
            }
        }
    }

    /// Asks for a poll. `true`: the process slept, and the caller must schedule it now.
    #[inline]
    pub(crate) fn wake(&self) -> bool {
        let mut current = self.0.load(Relaxed);
        loop {
            if current.addr() == CLOSED {
                return false;
            }
            let slept = tags(current) & PARKED != 0;
            let awake = current.map_addr(|addr| addr & !(PARKED | NOINT));
            let next = with_tags(awake, if slept { ROUSED } else { WOKEN });
            // Also when `WOKEN` is set already: what was written before this wake-up must be seen by the poll to come.
            match self.0.compare_exchange_weak(current, next, AcqRel, Relaxed) {
                Ok(_) => return slept,
                Err(changed) => current = changed,
            }
        }
    }

    /// Owner: a turn begins. Clears `WOKEN`.
    #[inline]
    pub(crate) fn begin(&self) -> Due {
        let mut current = self.0.load(Acquire);
        loop {
            let old = tags(current);
            let due = Due { woken: old & WOKEN != 0, signals: old & SIGNALS != 0 };
            #[cfg(not(loom))]
            if !node(current).is_null() {
                // Another thread has written it, mostly, and the poll to come will look at it.
                super::prefetch(node(current));
            }
            if woken_since(old) == 0 {
                return due;
            }
            match self.0.compare_exchange_weak(current, current.map_addr(|a| a & !WOKEN), AcqRel, Acquire) {
                Ok(_) => return due,
                Err(changed) => current = changed,
            }
        }
    }

    /// Owner, awake: is there something in the inbox? A look without order: `park` looks again.
    #[inline(always)]
    pub(crate) fn has_mail(&self) -> bool {
        !node(self.0.load(Relaxed)).is_null()
    }

    /// Owner, awake: is there a signal in the inbox? Sees all that was pushed before something that this thread has read
    /// with `Acquire`.
    #[inline(always)]
    #[cfg(not(loom))]
    pub(crate) fn has_signals(&self) -> bool {
        tags(self.0.load(Relaxed)) & SIGNALS != 0
    }

    /// Is a poll due for another reason than a message? For who holds the process' turn.
    #[cfg(not(loom))]
    pub(crate) fn is_woken(&self) -> bool {
        tags(self.0.load(Acquire)) & WOKEN != 0
    }

    /// Owner, awake: takes the message that is alone in the inbox. As [`take`](Self::take) for the most frequent case.
    #[inline(always)]
    pub(crate) fn take_single(&self) -> Single {
        let current = self.0.load(Acquire);
        let Some(only) = NonNull::new(node(current)) else { return Single::Nothing };
        // SAFETY: only we take nodes out, so this one is alive; its link was written before the push that the load above
        // has acquired, and nobody writes it any more.
        let alone = unsafe { only.as_ref().next.with(|next| (*next).is_null()) };
        if !alone || tags(current) & SIGNALS != 0 {
            return Single::More;
        }
        let rest = ptr::without_provenance_mut(woken_since(tags(current)));
        match self.0.compare_exchange(current, rest, AcqRel, Relaxed) {
            // SAFETY: the exchange made the whole chain ours, and it is this node.
            Ok(_) => Single::Message(unsafe { OwnedNode::from_raw(only) }),
            Err(_) => Single::More,
        }
    }

    /// Owner, awake: takes all that is in the inbox, oldest first, with the count and whether signals are among it.
    #[inline]
    pub(crate) fn take(&self) -> (Chain, u32, bool) {
        let mut current = self.0.load(Relaxed);
        loop {
            if node(current).is_null() {
                return (Chain::EMPTY, 0, false);
            }
            let old = tags(current);
            let rest = ptr::without_provenance_mut(woken_since(old));
            match self.0.compare_exchange_weak(current, rest, AcqRel, Relaxed) {
                Ok(_) => {
                    // SAFETY: the exchange made the whole chain ours.
                    let (chain, count) = unsafe { Chain::from_newest(node(current)) };
                    return (chain, count, old & SIGNALS != 0);
                }
                Err(changed) => current = changed,
            }
        }
    }

    /// Owner, awake: sleeps, unless there is work. `interested`: a message is work.
    #[inline]
    pub(crate) fn park(&self, interested: bool) -> Park {
        let mut current = self.0.load(Relaxed);
        loop {
            let old = tags(current);
            if woken_since(old) != 0 {
                return Park::Woken;
            }
            if old & SIGNALS != 0 || (interested && !node(current).is_null()) {
                return Park::Mail;
            }
            let parked = with_tags(node(current), if interested { PARKED } else { PARKED | NOINT });
            match self.0.compare_exchange_weak(current, parked, AcqRel, Relaxed) {
                Ok(_) => return Park::Parked,
                Err(changed) => current = changed,
            }
        }
    }

    /// Owner: closes the mailbox for good and takes what is in it.
    pub(crate) fn close(&self) -> (Chain, u32) {
        let last = self.0.swap(ptr::without_provenance_mut(CLOSED), AcqRel);
        // SAFETY: the swap made the whole chain ours.
        unsafe { Chain::from_newest(node(last)) }
    }

    /// Is the mailbox open? If so, who closes it sees what this thread has written before.
    pub(crate) fn is_open_behind_me(&self) -> bool {
        let mut current = self.0.load(Relaxed);
        while current.addr() != CLOSED {
            match self.0.compare_exchange_weak(current, current, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(changed) => current = changed,
            }
        }
        false
    }

    /// Is the mailbox closed?
    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Acquire).addr() == CLOSED
    }
}

/// Nobody owns the nodes of a word that goes away (only in tests: slots are never freed).
impl Drop for MailboxWord {
    fn drop(&mut self) {
        drop(self.close());
    }
}

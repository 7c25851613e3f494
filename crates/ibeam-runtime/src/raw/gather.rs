//! The answers of many to one: each puts its own into a single list when it is there, and who gathers them looks at nothing else.
//!
//! ```text
//! part ── finish ──▶ [ inbox: newest → … → oldest ] ── take ──▶ the gatherer, oldest first
//! ```
//!
//! # The inbox' word
//! | value | means |
//! |---|---|
//! | a node | this has come, and those behind it; who gathers is awake or has been woken |
//! | 0 | nothing has come; who gathers is awake |
//! | `WAITS` | nothing has come; who gathers sleeps, and is to be woken by its usual waker |
//! | `WAITS_ELSEWHERE` | the same, by the waker that stands under the lock |
//! | `CLOSED` | nobody gathers any more |
//!
//! # Invariants
//! 1. A node belongs to its part until it is in the inbox, and then to the gatherer. Each part finishes exactly once.
//! 2. Who puts a node into the place of one of the two `WAITS` wakes the gatherer, after that; nobody else does.
//! 3. The hub lives until the gatherer is gone and all parts have finished. A part touches it until its node is in the inbox, or,
//!    if it has met `CLOSED`, until it has left `left`; what it wakes with it has by then.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::Waker;

use crate::raw::call::{Orphan, Outcome};
use crate::raw::memory;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use crate::sync::atomic::{AtomicPtr, AtomicUsize};
use crate::sync::{Mutex, UnsafeCell};

const WAITS: usize = 1;
const WAITS_ELSEWHERE: usize = 2;
const CLOSED: usize = 3;

/// `left` before the gatherer has gone: parts that have met `CLOSED` cannot bring it to 0 alone.
const OPEN: usize = 1 << (usize::BITS - 1);

struct Hub<T> {
    inbox: AtomicPtr<Node<T>>,
    /// From the close on: how many parts have not finished yet.
    left: AtomicUsize,
    usual: Waker,
    wakes_usual: Waker,
    elsewhere: Arc<Mutex<Option<Waker>>>,
}

/// Aligned, so that no node's address is one of the words.
#[repr(align(16))]
struct Node<T> {
    next: UnsafeCell<*mut Node<T>>,
    hub: NonNull<Hub<T>>,
    tag: usize,
    outcome: UnsafeCell<Option<Outcome<T>>>,
    /// The models see by it whether each node is freed, once.
    #[cfg(loom)]
    _allocated: loom::alloc::Track<()>,
}

fn word<T>(value: usize) -> *mut Node<T> {
    ptr::without_provenance_mut(value)
}

fn is_node<T>(current: *mut Node<T>) -> bool {
    current.addr() > CLOSED
}

/// # Safety
/// The caller owns the node, and gives it up.
#[inline]
unsafe fn take_node<T>(node: NonNull<Node<T>>) -> (usize, Option<Outcome<T>>) {
    // SAFETY: by the caller's word; it came from `memory::new`, and all of it is moved out before its memory goes.
    unsafe {
        let Node { tag, outcome, .. } = node.read();
        memory::free(node.cast(), const { &memory::Place::of::<Node<T>>() });
        (tag, outcome.with_mut(|outcome| (*outcome).take()))
    }
}

/// What one of many owes: to be finished exactly once.
pub(crate) struct Part<T> {
    node: NonNull<Node<T>>,
    _outcome: PhantomData<T>,
}

// SAFETY: it carries the right to write one `T`, from whatever thread; of the hub it touches what is made for many threads.
unsafe impl<T: Send> Send for Part<T> {}

/// Who is to be woken once the node is in the inbox.
enum Wake {
    Nobody,
    Usual(Waker),
    Elsewhere(Arc<Mutex<Option<Waker>>>),
}

impl<T> Part<T> {
    /// `false`: nobody gathers any more, and the outcome was dropped.
    pub(crate) fn finish(self, outcome: Outcome<T>) -> bool {
        let this = self.node;
        // SAFETY: until the exchange below the node is ours (invariant 1) and the hub alive (3). After it only what was copied
        // before is used.
        unsafe {
            let hub = this.as_ref().hub;
            this.as_ref().outcome.with_mut(|place| *place = Some(outcome));
            let mut current = hub.as_ref().inbox.load(Acquire);
            loop {
                let (next, wake) = match current.addr() {
                    CLOSED => {
                        let (_, outcome) = take_node(this);
                        if hub.as_ref().left.fetch_sub(1, AcqRel) == 1 {
                            drop(Box::from_raw(hub.as_ptr()));
                        }
                        drop(outcome);
                        return false;
                    }
                    WAITS => (ptr::null_mut(), Wake::Usual(hub.as_ref().wakes_usual.clone())),
                    WAITS_ELSEWHERE => {
                        (ptr::null_mut(), Wake::Elsewhere(Arc::clone(&hub.as_ref().elsewhere)))
                    }
                    _ => (current, Wake::Nobody),
                };
                this.as_ref().next.with_mut(|place| *place = next);
                match hub.as_ref().inbox.compare_exchange_weak(current, this.as_ptr(), AcqRel, Acquire) {
                    Ok(_) => {
                        match wake {
                            Wake::Nobody => {}
                            Wake::Usual(waker) => waker.wake(),
                            Wake::Elsewhere(place) => {
                                // Copied out first: what is woken may come back here.
                                let waker = place.lock().clone();
                                if let Some(waker) = waker {
                                    waker.wake();
                                }
                            }
                        }
                        return true;
                    }
                    Err(changed) => current = changed,
                }
            }
        }
    }

    /// Puts the right to finish into a plain pointer, to be finished later. `target`: the bits of the pid with whose end it ends.
    pub(crate) fn into_orphan(self, target: u64) -> Orphan {
        let finish = |node: NonNull<()>, reason| {
            Self { node: node.cast(), _outcome: PhantomData }.finish(Outcome::Gone(reason))
        };
        Orphan::of_no_call(self.node.cast(), target, finish)
    }
}

/// Who gathers.
pub(crate) struct Gatherer<T> {
    hub: NonNull<Hub<T>>,
    /// Those that have been taken out of the inbox, oldest first.
    came: *mut Node<T>,
    /// Parts whose nodes have not been taken out of the inbox.
    missing: usize,
}

// SAFETY: it carries the right to read `T`s, from whatever thread; of the hub it touches what is made for many threads.
unsafe impl<T: Send> Send for Gatherer<T> {}
// SAFETY: a shared reference offers the number of parts only.
unsafe impl<T: Send> Sync for Gatherer<T> {}

impl<T> Gatherer<T> {
    /// `usual` is the waker that it is nearly always polled with, and `wakes_usual` is used then.
    pub(crate) fn new(usual: Waker, wakes_usual: Waker) -> Self {
        let hub = Hub {
            inbox: AtomicPtr::new(ptr::null_mut()),
            left: AtomicUsize::new(OPEN),
            usual,
            wakes_usual,
            elsewhere: Arc::new(Mutex::new(None)),
        };
        Self { hub: NonNull::from(Box::leak(Box::new(hub))), came: ptr::null_mut(), missing: 0 }
    }

    #[inline(always)]
    fn hub(&self) -> &Hub<T> {
        // SAFETY: it lives as long as we do (invariant 3).
        unsafe { self.hub.as_ref() }
    }

    /// One more part. What it is finished with comes with `tag`.
    #[inline]
    pub(crate) fn part(&mut self, tag: usize) -> Part<T> {
        let node = memory::new(Node {
            next: UnsafeCell::new(ptr::null_mut()),
            hub: self.hub,
            tag,
            outcome: UnsafeCell::new(None),
            #[cfg(loom)]
            _allocated: loom::alloc::Track::new(()),
        });
        self.missing += 1;
        Part { node, _outcome: PhantomData }
    }

    /// How many parts have not come.
    pub(crate) fn missing(&self) -> usize {
        self.missing
    }

    /// Has something come?
    #[inline]
    pub(crate) fn has_some(&self) -> bool {
        !self.came.is_null() || is_node(self.hub().inbox.load(Relaxed))
    }

    /// The oldest of what has come.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<(usize, Outcome<T>)> {
        if self.came.is_null() {
            self.fetch();
        }
        let node = NonNull::new(self.came)?;
        // SAFETY: what has come is ours (invariant 1), and this one leaves the list.
        let (tag, outcome) = unsafe {
            self.came = node.as_ref().next.with(|next| *next);
            take_node(node)
        };
        outcome.map(|outcome| (tag, outcome))
    }

    /// Takes over what is in the inbox.
    fn fetch(&mut self) {
        if is_node(self.hub().inbox.load(Relaxed)) {
            let newest = self.hub().inbox.swap(ptr::null_mut(), AcqRel);
            self.receive(newest);
        }
    }

    /// Turns round what has come, so that the oldest is first, and puts it before what we have.
    fn receive(&mut self, newest: *mut Node<T>) {
        let mut current = newest;
        while let Some(node) = NonNull::new(current).filter(|_| is_node(current)) {
            // SAFETY: it came out of the inbox, so it is ours (invariant 1).
            current = unsafe { node.as_ref().next.with_mut(|next| ptr::replace(next, self.came)) };
            self.came = node.as_ptr();
            self.missing -= 1;
        }
    }

    /// `waker` is woken when something comes. `false`: something has come.
    #[inline]
    pub(crate) fn wait(&mut self, waker: &Waker) -> bool {
        if !self.came.is_null() {
            return false;
        }
        let waits = if self.hub().usual.will_wake(waker) { WAITS } else { self.wait_elsewhere(waker) };
        let mut current = self.hub().inbox.load(Relaxed);
        loop {
            if is_node(current) {
                return false;
            }
            if current.addr() == waits {
                return true;
            }
            match self.hub().inbox.compare_exchange_weak(current, word(waits), AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(changed) => current = changed,
            }
        }
    }

    #[cold]
    fn wait_elsewhere(&self, waker: &Waker) -> usize {
        let former = self.hub().elsewhere.lock().replace(waker.clone());
        drop(former);
        WAITS_ELSEWHERE
    }
}

/// What has come is dropped, and what comes later too.
impl<T> Drop for Gatherer<T> {
    fn drop(&mut self) {
        /// Drops what has come. If a destructor panics, the others are dropped all the same.
        struct Rest<T>(*mut Node<T>);
        impl<T> Drop for Rest<T> {
            fn drop(&mut self) {
                while let Some(node) = NonNull::new(self.0) {
                    // SAFETY: as in `take`.
                    let (next, (_, outcome)) =
                        unsafe { (node.as_ref().next.with(|next| *next), take_node(node)) };
                    // Whoever unwinds through here drops this one, which goes on behind the node.
                    let behind = Self(next);
                    drop(outcome);
                    self.0 = ManuallyDrop::new(behind).0;
                }
            }
        }
        let newest = self.hub().inbox.swap(word(CLOSED), AcqRel);
        self.receive(newest);
        let rest = Rest(self.came);
        let gone = OPEN - self.missing;
        if self.hub().left.fetch_sub(gone, AcqRel) == gone {
            // SAFETY: all parts have finished, and the gatherer is going (invariant 3).
            drop(unsafe { Box::from_raw(self.hub.as_ptr()) });
        }
        drop(rest);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    /// Three answers have come, and the destructor of the second panics: the third is dropped too.
    #[test]
    fn a_destructor_that_panics_keeps_nothing_alive() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        struct Answer {
            panics: bool,
        }
        impl Drop for Answer {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Relaxed);
                assert!(!self.panics, "as it was told");
            }
        }
        let mut gatherer = Gatherer::new(Waker::noop().clone(), Waker::noop().clone());
        for tag in 0..3 {
            assert!(gatherer.part(tag).finish(Outcome::Replied(Answer { panics: tag == 1 })));
        }
        assert!(catch_unwind(AssertUnwindSafe(|| drop(gatherer))).is_err());
        assert_eq!(DROPPED.load(Relaxed), 3);
    }
}

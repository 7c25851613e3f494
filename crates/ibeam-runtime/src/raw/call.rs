//! The call node: request, reply slot and the caller's waker in one allocation.
//!
//! ```text
//! caller ── request ──▶ mailbox ── take ──▶ server ── reply ──▶ the same node ──▶ caller
//! ```
//!
//! # State
//! | bit | set by | means |
//! |---|---|---|
//! | `REPLIED` | the server | the slot holds the reply |
//! | `SERVER_GONE` | the server's side | there will be no reply; the slot holds the reason, if one is known |
//! | `CALLER_GONE` | the caller | nobody waits any more |
//! | `CHANGING` | the caller | it writes another waker; the rest of the word counts these changes |
//!
//! # Invariants
//! 1. Each side finishes exactly once: the server's side sets `REPLIED` or `SERVER_GONE`, the caller takes the result or
//!    sets `CALLER_GONE`. Whoever comes second frees the node.
//! 2. The slot holds the request until the server takes it, and from the finishing on the result. Only the holder of
//!    the node's current phase touches it.
//! 3. The server copies the waker before it finishes, because after that the node may be gone. The copy is valid if the
//!    word has not changed since: each change of the waker changes the count.
//! 4. After a finish that met `CHANGING`, the waker stays the caller's, who sees the result when it ends its change.

use std::any::TypeId;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::task::{Poll, RawWakerVTable, Waker};

use crate::exit_reason::ExitReason;
use crate::raw::memory;
use crate::raw::node::{Header, Kind, Meta, NoMeta, NodeType, OwnedNode};
use crate::sync::UnsafeCell;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use crate::sync::atomic::{AtomicPtr, AtomicU32};

const REPLIED: u32 = 1;
const SERVER_GONE: u32 = 2;
const CALLER_GONE: u32 = 4;
const CHANGING: u32 = 8;
const CHANGE: u32 = 16;

#[repr(C)]
struct CallHead {
    header: Header,
    state: AtomicU32,
    // The caller's waker as its two words, so that the server may read them while the caller changes them.
    waker_data: AtomicPtr<()>,
    waker_vtable: AtomicPtr<RawWakerVTable>,
    /// Takes no room: stands for the slot, whose type is forgotten, in the eyes of the models.
    slot_access: UnsafeCell<()>,
}

#[repr(C)]
union Slot<Q, P> {
    request: ManuallyDrop<Q>,
    result: ManuallyDrop<Outcome<P>>,
}

/// How a call ended for its caller.
#[derive(Debug)]
pub(crate) enum Outcome<P> {
    /// The reply.
    Replied(P),
    /// There is none: the receiver ended with this reason, or dropped the call without one.
    Gone(Option<ExitReason>),
}

#[repr(C, align(16))]
struct CallNode<Q, P> {
    head: CallHead,
    slot: std::cell::UnsafeCell<Slot<Q, P>>,
}

impl<Q, P> CallNode<Q, P> {
    const SLOT: usize = std::mem::offset_of!(Self, slot);
}

struct CallType<Q, P, X>(PhantomData<(Q, P, X)>);

impl<Q: Send + 'static, P: Send + 'static, X: Meta> CallType<Q, P, X> {
    const TYPE: &'static NodeType = &NodeType {
        kind: Kind::Call,
        notice: false,
        type_id: TypeId::of::<(Q, P)>,
        type_name: std::any::type_name::<Q>,
        meta: X::META,
        slot_offset: CallNode::<Q, P>::SLOT,
        place: memory::Place::of::<CallNode<Q, P>>(),
        discard: discard_call::<Q, P>,
    };
}

/// The request was never read: drops it and tells the caller.
unsafe fn discard_call<Q, P: 'static>(node: NonNull<Header>, reason: Option<&ExitReason>) {
    /// Also if the destructor of the request panics.
    struct Tells<'a, P: 'static>(Option<Replier<P>>, Option<&'a ExitReason>);
    impl<P> Drop for Tells<'_, P> {
        fn drop(&mut self) {
            let Some(replier) = self.0.take() else { return };
            match self.1 {
                Some(reason) => drop(replier.finish(Outcome::Gone(Some(reason.clone())))),
                #[cfg(not(loom))]
                None => crate::process::abandon(replier),
                #[cfg(loom)]
                None => drop(replier.finish(Outcome::Gone(None))),
            }
        }
    }
    let node = node.cast();
    let _tells = Tells::<P>(Some(Replier { node, _reply: PhantomData }), reason);
    // SAFETY: the caller of `discard` owns the server's side of the node, and the slot still holds the request.
    drop(unsafe { take_slot::<Q>(node, CallNode::<Q, P>::SLOT) });
}

impl CallHead {
    fn set_waker(&self, waker: Waker) {
        let waker = ManuallyDrop::new(waker);
        self.waker_data.store(waker.data().cast_mut(), Relaxed);
        self.waker_vtable.store(ptr::from_ref(waker.vtable()).cast_mut(), Relaxed);
    }

    /// # Safety
    /// The words are those of one `set_waker`, and the caller takes the waker over.
    unsafe fn waker_from(data: *mut (), vtable: *mut RawWakerVTable) -> Waker {
        // SAFETY: by the caller's word these come from one live waker, whose table is `'static`.
        unsafe { Waker::new(data, &*vtable) }
    }

    /// # Safety
    /// The caller of this function owns the waker in the node.
    unsafe fn take_waker(&self) -> Waker {
        // SAFETY: the owner is the only one who changes the words.
        unsafe { Self::waker_from(self.waker_data.load(Relaxed), self.waker_vtable.load(Relaxed)) }
    }
}

/// Takes what is in the slot out.
///
/// # Safety
/// The slot of this call node lies at this offset, holds a `T`, and is the caller's in this phase. It is empty afterwards.
#[inline(always)]
unsafe fn take_slot<T>(node: NonNull<CallHead>, offset: usize) -> T {
    // SAFETY: by the caller's word; the fields of a union start where it starts.
    unsafe { node.as_ref().slot_access.with_mut(|_| node.cast::<u8>().add(offset).cast::<T>().read()) }
}

/// # Safety
/// This call node is for replies of type `P`, and its slot is empty and the caller's in this phase.
#[inline(always)]
unsafe fn put_outcome<P>(node: NonNull<CallHead>, outcome: Outcome<P>) {
    // SAFETY: by the caller's word, and as in `take_slot`.
    unsafe {
        let head = node.as_ref();
        let slot = node.cast::<u8>().add(head.header.node_type.slot_offset).cast::<Outcome<P>>();
        head.slot_access.with_mut(|_| slot.write(outcome));
    }
}

/// # Safety
/// This call node is for replies of type `P`, and its slot holds the outcome and is the caller's in this phase.
#[inline(always)]
unsafe fn take_outcome<P>(node: NonNull<CallHead>) -> Outcome<P> {
    // SAFETY: by the caller's word.
    unsafe { take_slot(node, node.as_ref().header.node_type.slot_offset) }
}

/// # Safety
/// Both sides are done with the node, and the slot and the waker are empty.
unsafe fn free(node: NonNull<CallHead>) {
    // SAFETY: `place` is the place of the node's own type, which came from `memory::new`. Nothing in it needs to be
    // dropped any more but, under loom, the model's atomics, whose bookkeeping is freed with the model.
    unsafe {
        let place = node.as_ref().header.node_type.place;
        #[cfg(loom)]
        ptr::drop_in_place(node.as_ptr());
        memory::free(node.cast(), place);
    }
}

/// The server's side of a call: to be finished exactly once.
pub(crate) struct Replier<P> {
    node: NonNull<CallHead>,
    _reply: PhantomData<P>,
}

// SAFETY: it carries the right to write one `P`, from whatever thread.
unsafe impl<P: Send> Send for Replier<P> {}
// SAFETY: a shared reference to it offers nothing but the target's bits.
unsafe impl<P: Send> Sync for Replier<P> {}

impl<P> Replier<P> {
    /// The bits of the pid that was called.
    pub(crate) fn target(&self) -> u64 {
        // SAFETY: the node lives until we finish.
        unsafe { self.node.as_ref() }.header.target
    }

    /// Has the caller stopped waiting?
    pub(crate) fn is_abandoned(&self) -> bool {
        // SAFETY: the node lives until we finish.
        unsafe { self.node.as_ref() }.state.load(Relaxed) & CALLER_GONE != 0
    }

    /// Ends the call. `false`: nobody waited any more, and the outcome was dropped.
    #[inline]
    pub(crate) fn finish(self, outcome: Outcome<P>) -> bool {
        let node = self.node;
        let bit = if matches!(outcome, Outcome::Replied(_)) { REPLIED } else { SERVER_GONE };
        // SAFETY: until the exchange below the node is alive and the slot is ours (invariants 1 and 2); after it only
        // local copies are used, unless the caller was gone before, which leaves the node to us.
        unsafe {
            put_outcome(node, outcome);
            let head = node.as_ref();
            let mut state = head.state.load(Acquire);
            loop {
                if state & CALLER_GONE != 0 {
                    // Order against the caller's last look: it has none after `CALLER_GONE`.
                    drop(take_outcome::<P>(node));
                    drop(head.take_waker());
                    free(node);
                    return false;
                }
                let (data, vtable) = (head.waker_data.load(Relaxed), head.waker_vtable.load(Relaxed));
                match head.state.compare_exchange_weak(state, state | bit, AcqRel, Acquire) {
                    Ok(_) => {
                        if state & CHANGING == 0 {
                            CallHead::waker_from(data, vtable).wake();
                        }
                        return true;
                    }
                    Err(changed) => state = changed,
                }
            }
        }
    }

    /// Puts the right to finish into a plain node pointer, to be finished later. `target`: the bits of the pid with whose
    /// end it ends.
    pub(crate) fn into_orphan(self, target: u64) -> Orphan
    where
        P: 'static,
    {
        let finish = |node: NonNull<()>, reason| {
            Self { node: node.cast(), _reply: PhantomData }.finish(Outcome::Gone(reason))
        };
        Orphan { node: self.node.cast(), target, reply: Some(TypeId::of::<P>()), finish }
    }

    /// Tells calls apart, while they are not finished.
    pub(crate) fn key(&self) -> usize {
        self.node.addr().get()
    }
}

/// The server's side of a call whose reply will never come, with its type forgotten.
pub(crate) struct Orphan {
    /// A call node, if there is a type of replies.
    node: NonNull<()>,
    target: u64,
    reply: Option<TypeId>,
    finish: fn(NonNull<()>, Option<ExitReason>) -> bool,
}

// SAFETY: as `Replier`, which it was made from: the reply is `Send`, or the call could not have been made.
unsafe impl Send for Orphan {}

impl Orphan {
    /// What is owed to somebody otherwise than by a call: see [`gather`](crate::raw::gather). `finish` finishes it, and is safe to call
    /// once with `node`, from whatever thread.
    pub(super) fn of_no_call(
        node: NonNull<()>,
        target: u64,
        finish: fn(NonNull<()>, Option<ExitReason>) -> bool,
    ) -> Self {
        Self { node, target, reply: None, finish }
    }

    pub(crate) fn is(&self, key: usize) -> bool {
        self.node.addr().get() == key
    }

    /// The call again, if it is answered with a `P`.
    pub(crate) fn reclaim<P: 'static>(self) -> Option<Replier<P>> {
        (self.reply == Some(TypeId::of::<P>()))
            .then_some(Replier { node: self.node.cast(), _reply: PhantomData })
    }

    /// The bits of the pid that was called.
    pub(crate) fn target(&self) -> u64 {
        self.target
    }

    /// The process that waits, if one does, with a waker of its own.
    #[cfg(not(loom))]
    pub(crate) fn caller(&self) -> Option<crate::pid::Pid> {
        self.reply?;
        // SAFETY: a call node, which lives until we finish.
        let head = unsafe { self.node.cast::<CallHead>().as_ref() };
        if head.state.load(Acquire) & CALLER_GONE != 0 {
            return None;
        }
        crate::raw::pcb::pid_of_waker(head.waker_data.load(Relaxed), head.waker_vtable.load(Relaxed))
    }

    pub(crate) fn finish(self, reason: Option<ExitReason>) {
        (self.finish)(self.node, reason);
    }
}

/// The caller's side of a call.
pub(crate) struct Waiting<P> {
    node: NonNull<CallHead>,
    _reply: PhantomData<P>,
}

// SAFETY: it carries the right to read one `P`, from whatever thread.
unsafe impl<P: Send> Send for Waiting<P> {}
// SAFETY: a shared reference offers nothing.
unsafe impl<P: Send> Sync for Waiting<P> {}

/// A call node, to be pushed, and the side of it that waits.
#[inline]
pub(crate) fn call<Q: Send + 'static, P: Send + 'static, X: Meta>(
    target: u64,
    request: Q,
    waker: Waker,
) -> (OwnedNode, Waiting<P>) {
    let waker = ManuallyDrop::new(waker);
    let node = memory::new(CallNode::<Q, P> {
        head: CallHead {
            header: Header::new(target, CallType::<Q, P, X>::TYPE),
            state: AtomicU32::new(0),
            waker_data: AtomicPtr::new(waker.data().cast_mut()),
            waker_vtable: AtomicPtr::new(ptr::from_ref(waker.vtable()).cast_mut()),
            slot_access: UnsafeCell::new(()),
        },
        slot: std::cell::UnsafeCell::new(Slot { request: ManuallyDrop::new(request) }),
    });
    // SAFETY: a fresh node; the server's side goes with the owned node, the caller's with `Waiting`.
    (unsafe { OwnedNode::from_raw(node.cast()) }, Waiting { node: node.cast(), _reply: PhantomData })
}

/// A call that goes through no mailbox: both sides are made at once, and whoever gets the replier knows what to do.
#[inline]
pub(crate) fn open<P: Send + 'static>(waker: Waker) -> (Replier<P>, Waiting<P>) {
    let (node, waiting) = call::<(), P, NoMeta>(0, (), waker);
    // The slot holds a request of no size, which is as good as an empty one.
    (Replier { node: node.into_raw().cast(), _reply: PhantomData }, waiting)
}

/// Takes the request out of a call node of these types, most likely one with the attachment `X`.
#[inline]
pub(crate) fn take_call<Q: Send + 'static, P: Send + 'static, X: Meta>(
    node: OwnedNode,
) -> Result<(Q, Replier<P>), OwnedNode> {
    let node_type = node.header().node_type;
    let fits = ptr::eq(node_type, CallType::<Q, P, X>::TYPE)
        || (node_type.kind == Kind::Call && (node_type.type_id)() == TypeId::of::<(Q, P)>());
    if !fits {
        return Err(node);
    }
    let node = node.into_raw().cast();
    // SAFETY: a call node of these types, whose slot still holds the request; from here on the slot is empty.
    let request = unsafe { take_slot(node, CallNode::<Q, P>::SLOT) };
    Ok((request, Replier { node, _reply: PhantomData }))
}

impl<P> Waiting<P> {
    /// Looks for the outcome: `Ready` says that it is there to be [taken](Self::take). `waker` is woken when it comes.
    #[inline]
    pub(crate) fn poll_ref(&self, waker: &Waker) -> Poll<()> {
        // SAFETY: the node lives until our side is done with it.
        let head = unsafe { self.node.as_ref() };
        let state = head.state.load(Acquire);
        if state & (REPLIED | SERVER_GONE) != 0 {
            return Poll::Ready(());
        }
        let same = ptr::eq(head.waker_data.load(Relaxed), waker.data().cast_mut())
            && ptr::eq(head.waker_vtable.load(Relaxed), ptr::from_ref(waker.vtable()).cast_mut());
        if same { Poll::Pending } else { self.change_waker(state, waker) }
    }

    /// Is the outcome there?
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        // SAFETY: the node lives until our side is done with it.
        unsafe { self.node.as_ref() }.state.load(Acquire) & (REPLIED | SERVER_GONE) != 0
    }

    #[cold]
    fn change_waker(&self, mut state: u32, waker: &Waker) -> Poll<()> {
        // SAFETY: the node lives until our side is done with it.
        let head = unsafe { self.node.as_ref() };
        // While `CHANGING` is not set the server may finish, which takes the waker.
        while let Err(changed) = head.state.compare_exchange_weak(state, state | CHANGING, AcqRel, Acquire) {
            state = changed;
            if state & (REPLIED | SERVER_GONE) != 0 {
                return Poll::Ready(());
            }
        }
        // SAFETY: `CHANGING` keeps the server's hands off the waker, so it is ours.
        drop(unsafe { head.take_waker() });
        head.set_waker(waker.clone());
        // Clears `CHANGING` and counts the change, so that a copy of the old words cannot pass for valid.
        let before = head.state.fetch_add(CHANGE - CHANGING, AcqRel);
        if before & (REPLIED | SERVER_GONE) == 0 {
            return Poll::Pending;
        }
        // The server finished meanwhile and left the waker to us (invariant 4).
        // SAFETY: see above.
        drop(unsafe { head.take_waker() });
        Poll::Ready(())
    }

    /// The outcome, after [`poll_ref`](Self::poll_ref) said that it is there.
    #[inline]
    pub(crate) fn take(self) -> Outcome<P> {
        let node = ManuallyDrop::new(self).node;
        // SAFETY: the server finished first, so the slot holds the outcome, the waker is gone and we are the second.
        unsafe {
            let outcome = take_outcome(node);
            free(node);
            outcome
        }
    }
}

/// Stops waiting. A reply that came in time is dropped.
impl<P> Drop for Waiting<P> {
    fn drop(&mut self) {
        // SAFETY: the node lives until our side is done; if the server was first, slot and node are ours.
        unsafe {
            let before = self.node.as_ref().state.fetch_or(CALLER_GONE, AcqRel);
            if before & (REPLIED | SERVER_GONE) != 0 {
                drop(take_outcome::<P>(self.node));
                free(self.node);
            }
        }
    }
}

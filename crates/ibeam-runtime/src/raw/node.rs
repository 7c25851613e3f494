//! Nodes: what stands in a mailbox. One allocation holds the header and the payload.
//!
//! # Invariants
//! 1. An [`OwnedNode`] is the only owner of its node. A node in a mailbox belongs to the mailbox.
//! 2. The header comes first (`repr(C)`), so a pointer to the node is a pointer to its header.
//! 3. All kinds of nodes are aligned to 16 bytes: the mailbox word keeps four tag bits in the low bits of a node's address.
//! 4. `NodeType` says what the node is: two nodes with one `NodeType` have one payload type.

use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use crate::exit_reason::ExitReason;
use crate::raw::memory;
use crate::sync::UnsafeCell;

/// The first part of every node.
#[repr(C)]
pub(crate) struct Header {
    /// The next node of the chain this one stands in, or null.
    pub(super) next: UnsafeCell<*mut Header>,
    /// The bits of the pid or, with the top bit set, of the alias that this is for. The *receiver* drops what is not
    /// for it: its slot may have changed hands between the sender's look-up and the push.
    pub(crate) target: u64,
    pub(crate) node_type: &'static NodeType,
    /// The models see by it whether each node is freed, once.
    #[cfg(loom)]
    _allocated: loom::alloc::Track<()>,
}

/// What a node is, shared by all nodes of one payload type.
pub(crate) struct NodeType {
    pub(crate) kind: Kind,
    /// A message of the runtime's own, which no bound concerns.
    pub(super) notice: bool,
    pub(crate) type_id: fn() -> TypeId,
    pub(crate) type_name: fn() -> &'static str,
    /// What the layer above attached to this type of message.
    pub(crate) meta: Option<&'static (dyn Any + Send + Sync)>,
    /// Where in a call node the request or reply lies, from the node's start; 0 in other nodes.
    pub(super) slot_offset: usize,
    pub(super) place: memory::Place,
    /// Takes the node apart unread. The reason is the receiver's, if it is gone.
    pub(super) discard: unsafe fn(NonNull<Header>, Option<&ExitReason>),
}

/// The three kinds of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message of the program.
    Message,
    /// A message of the program that holds the place of its reply.
    Call,
    /// A signal between processes, handled before the process itself runs.
    Signal,
}

/// A node with a payload that needs nothing but its type.
#[repr(C, align(16))]
pub(crate) struct Node<M> {
    header: Header,
    payload: M,
}

/// What the layer above attaches to the messages of one type.
pub trait Meta: 'static {
    /// The attached value.
    const META: Option<&'static (dyn Any + Send + Sync)>;
}

/// Nothing attached.
pub struct NoMeta;
impl Meta for NoMeta {
    const META: Option<&'static (dyn Any + Send + Sync)> = None;
}

struct PlainType<M, X>(PhantomData<(M, X)>);

impl<M: Send + 'static, X: Meta> PlainType<M, X> {
    const MESSAGE: &'static NodeType = &Self::of(Kind::Message, false);
    const NOTICE: &'static NodeType = &Self::of(Kind::Message, true);
    const SIGNAL: &'static NodeType = &Self::of(Kind::Signal, false);

    const fn of(kind: Kind, notice: bool) -> NodeType {
        NodeType {
            kind,
            notice,
            type_id: TypeId::of::<M>,
            type_name: std::any::type_name::<M>,
            meta: X::META,
            slot_offset: 0,
            place: memory::Place::of::<Node<M>>(),
            discard: discard_plain::<M>,
        }
    }
}

unsafe fn discard_plain<M>(node: NonNull<Header>, _: Option<&ExitReason>) {
    // SAFETY: the caller owns the node, which is a `Node<M>`.
    drop(unsafe { OwnedNode(node).into_payload::<M>() });
}

impl Header {
    pub(super) fn new(target: u64, node_type: &'static NodeType) -> Self {
        Self {
            next: UnsafeCell::new(ptr::null_mut()),
            target,
            node_type,
            #[cfg(loom)]
            _allocated: loom::alloc::Track::new(()),
        }
    }
}

/// A node that belongs to nobody else. Dropped unread, its payload is dropped and, if it is a call, its caller told.
pub(crate) struct OwnedNode(NonNull<Header>);

// SAFETY: payloads are `Send` (every constructor asks for it) and an owned node has one owner (invariant 1).
unsafe impl Send for OwnedNode {}

impl OwnedNode {
    #[inline]
    pub(crate) fn message<M: Send + 'static, X: Meta>(target: u64, payload: M) -> Self {
        Self::boxed(target, PlainType::<M, X>::MESSAGE, payload)
    }

    /// A message that says what has happened: for the receiver like any other.
    pub(crate) fn notice<M: Send + 'static>(target: u64, payload: M) -> Self {
        Self::boxed(target, PlainType::<M, NoMeta>::NOTICE, payload)
    }

    #[inline]
    pub(crate) fn signal<S: Send + 'static>(target: u64, payload: S) -> Self {
        Self::boxed(target, PlainType::<S, NoMeta>::SIGNAL, payload)
    }

    #[inline]
    fn boxed<M>(target: u64, node_type: &'static NodeType, payload: M) -> Self {
        Self(memory::new(Node { header: Header::new(target, node_type), payload }).cast())
    }

    /// # Safety
    /// The caller owns the node, and gives that up.
    #[inline(always)]
    pub(super) unsafe fn from_raw(node: NonNull<Header>) -> Self {
        Self(node)
    }

    /// Gives the node to the caller.
    #[inline(always)]
    pub(super) fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0
    }

    #[inline(always)]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the node is alive as long as its owner.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn kind(&self) -> Kind {
        self.header().node_type.kind
    }

    #[inline(always)]
    pub(crate) fn is_notice(&self) -> bool {
        self.header().node_type.notice
    }

    /// Readdresses the node: what came through an alias is for the process behind it.
    pub(crate) fn set_target(&mut self, target: u64) {
        // SAFETY: the node is ours alone.
        unsafe { self.0.as_mut() }.target = target;
    }

    /// Takes the node apart unread; `reason` says why its receiver is gone, if it is.
    pub(crate) fn discard(self, reason: Option<&ExitReason>) {
        let node = self.into_raw();
        // SAFETY: the node was ours, and `discard` belongs to its type.
        unsafe { (node.as_ref().node_type.discard)(node, reason) }
    }

    #[inline]
    pub(crate) fn is_plain<M: 'static>(&self, kind: Kind) -> bool {
        let node_type = self.header().node_type;
        node_type.kind == kind && (node_type.type_id)() == TypeId::of::<M>()
    }

    /// The payload of a message of type `M`, most likely one with the attachment `X`.
    #[inline]
    pub(crate) fn into_message<M: Send + 'static, X: Meta>(self) -> Result<M, Self> {
        if ptr::eq(self.header().node_type, PlainType::<M, X>::MESSAGE) || self.is_plain::<M>(Kind::Message) {
            // SAFETY: a plain node whose payload is an `M`.
            Ok(unsafe { self.into_payload() })
        } else {
            Err(self)
        }
    }

    /// A look at the payload of a message of type `M`.
    pub(crate) fn message_ref<M: Send + 'static>(&self) -> Option<&M> {
        if !self.is_plain::<M>(Kind::Message) {
            return None;
        }
        // SAFETY: a plain node whose payload is an `M` (invariant 4); it lives as long as its owner, which is borrowed.
        Some(unsafe { &self.0.cast::<Node<M>>().as_ref().payload })
    }

    /// The payload of a signal of type `S`.
    #[inline]
    pub(crate) fn into_signal<S: Send + 'static>(self) -> Result<S, Self> {
        if ptr::eq(self.header().node_type, PlainType::<S, NoMeta>::SIGNAL)
            || self.is_plain::<S>(Kind::Signal)
        {
            // SAFETY: a plain node whose payload is an `S`.
            Ok(unsafe { self.into_payload() })
        } else {
            Err(self)
        }
    }

    /// # Safety
    /// The node is a `Node<M>`.
    #[inline]
    unsafe fn into_payload<M>(self) -> M {
        // SAFETY: by the caller's word; the node is ours, and its parts are moved out before its memory goes.
        unsafe {
            let node = self.into_raw().cast::<Node<M>>();
            let Node { header: _header, payload } = node.read();
            memory::free(node.cast(), const { &memory::Place::of::<Node<M>>() });
            payload
        }
    }

    /// Offers the payload of a message of type `M` by value; what comes back goes back into the node.
    #[inline]
    pub(crate) fn offer<M: Send + 'static, R>(self, take: impl FnOnce(M) -> Result<R, M>) -> Result<R, Self> {
        if !self.is_plain::<M>(Kind::Message) {
            return Err(self);
        }
        /// Frees the node without its payload, which `take` has, if `take` panics.
        struct Emptied<M>(NonNull<Node<M>>);
        impl<M> Drop for Emptied<M> {
            fn drop(&mut self) {
                // SAFETY: ours; the payload is gone, the header is dropped here, and nothing else is in it.
                unsafe {
                    (&raw mut (*self.0.as_ptr()).header).drop_in_place();
                    memory::free(self.0.cast(), const { &memory::Place::of::<Node<M>>() });
                }
            }
        }
        let node = Emptied::<M>(self.into_raw().cast());
        // SAFETY: a plain node whose payload is an `M`; it is read once and, on `Err`, written back once.
        unsafe {
            let payload = &raw mut (*node.0.as_ptr()).payload;
            match take(payload.read()) {
                Ok(taken) => Ok(taken),
                Err(back) => {
                    payload.write(back);
                    Err(Self(ManuallyDrop::new(node).0.cast()))
                }
            }
        }
    }
}

impl Drop for OwnedNode {
    fn drop(&mut self) {
        // SAFETY: we own the node, and `discard` belongs to its type.
        unsafe { (self.0.as_ref().node_type.discard)(self.0, None) }
    }
}

/// A chain of nodes, owned: first in, first out. Appending and popping touch one node each.
pub(crate) struct Chain {
    head: *mut Header,
    tail: *mut Header,
}

// SAFETY: as for `OwnedNode`: the chain owns its nodes.
unsafe impl Send for Chain {}

impl Chain {
    pub(crate) const EMPTY: Self = Self { head: ptr::null_mut(), tail: ptr::null_mut() };

    /// The chain in `newest`, turned round so that the oldest comes first, and how many nodes it has.
    ///
    /// # Safety
    /// `newest` is null or the first of a null-ended chain of nodes that the caller owns and gives up.
    #[inline]
    pub(super) unsafe fn from_newest(newest: *mut Header) -> (Self, u32) {
        let (mut count, mut head, mut node) = (0u32, ptr::null_mut(), newest);
        while !node.is_null() {
            // SAFETY: a live node of the chain; nobody else has it.
            let next = unsafe { (*node).next.with_mut(|next| ptr::replace(next, head)) };
            head = node;
            node = next;
            count = count.wrapping_add(1);
        }
        (Self { head, tail: newest }, count)
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<OwnedNode> {
        let head = NonNull::new(self.head)?;
        // SAFETY: the chain's nodes are alive and ours; this one leaves it.
        unsafe {
            self.head = head.as_ref().next.with(|next| *next);
            Some(OwnedNode::from_raw(head))
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, node: OwnedNode) {
        let node = node.into_raw();
        // SAFETY: ours from here on.
        unsafe { node.as_ref().next.with_mut(|next| *next = ptr::null_mut()) };
        self.append(Chain { head: node.as_ptr(), tail: node.as_ptr() });
    }

    #[inline]
    pub(crate) fn append(&mut self, other: Chain) {
        let other = ManuallyDrop::new(other);
        if self.head.is_null() {
            self.head = other.head;
        } else if !other.head.is_null() {
            // SAFETY: our last node is alive and ours.
            unsafe { (*self.tail).next.with_mut(|next| *next = other.head) };
        } else {
            return;
        }
        self.tail = other.tail;
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        while let Some(node) = self.pop() {
            // Whoever unwinds out of a destructor drops the rest.
            let rest = std::mem::replace(self, Self::EMPTY);
            drop(node);
            *self = rest;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn a_destructor_that_panics_keeps_no_other_message_of_a_chain() {
        static DROPPED: AtomicU32 = AtomicU32::new(0);
        struct Letter {
            panics: bool,
        }
        impl Drop for Letter {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Relaxed);
                assert!(!self.panics, "as it was told");
            }
        }
        let mut chain = Chain::EMPTY;
        for letter in 0..3 {
            chain.push(OwnedNode::message::<_, NoMeta>(0, Letter { panics: letter == 1 }));
        }
        assert!(catch_unwind(AssertUnwindSafe(|| drop(chain))).is_err());
        assert_eq!(DROPPED.load(Relaxed), 3);
    }
}

//! Messages whose type is not known yet.

use std::any::{Any, TypeId};
use std::fmt;

use crate::pid::Pid;
use crate::process::CallFrom;
use crate::process::send::post;
use crate::raw::call;
use crate::raw::node::{Kind, Meta, NoMeta, NodeType, OwnedNode};

/// A received message, to be taken apart by its type.
///
/// Dropped as it is, the message is dropped; if it is a call, its caller learns that no reply will come.
///
/// ```
/// use ibeam_runtime::{Runtime, process};
///
/// Runtime::new().block_on(async {
///     process::self_pid().send(7_u64);
///     let message = process::recv().await;
///     assert!(message.is::<u64>());
///     let message = message.downcast::<String>().unwrap_err();
///     assert_eq!(message.downcast::<u64>().unwrap(), 7);
/// });
/// ```
pub struct Message(OwnedNode);

impl Message {
    #[inline(always)]
    pub(crate) fn new(node: OwnedNode) -> Self {
        Self(node)
    }

    #[inline(always)]
    pub(crate) fn into_node(self) -> OwnedNode {
        self.0
    }

    #[doc(hidden)]
    #[must_use]
    pub fn from_value<T: Send + 'static>(value: T) -> Self {
        Self(OwnedNode::message::<T, NoMeta>(0, value))
    }

    /// Is this a message of type `T`? A call is none, whatever its request.
    #[must_use]
    pub fn is<T: Send + 'static>(&self) -> bool {
        self.0.is_plain::<T>(Kind::Message)
    }

    /// The message, if it is a `T`.
    ///
    /// # Errors
    /// The message itself, if it is something else.
    #[inline]
    pub fn downcast<T: Send + 'static>(self) -> Result<T, Self> {
        self.downcast_as::<T, NoMeta>()
    }

    /// A look at the message, if it is a `T`. A call is none, whatever its request.
    #[must_use]
    pub fn downcast_ref<T: Send + 'static>(&self) -> Option<&T> {
        self.0.message_ref()
    }

    /// The type of the message; `None` for a call.
    #[doc(hidden)]
    #[must_use]
    pub fn type_id_of_message(&self) -> Option<TypeId> {
        let node_type = self.0.header().node_type;
        (node_type.kind == Kind::Message).then(|| (node_type.type_id)())
    }

    /// The request and the place of its reply, if this is a call with a `Q` for an `R`.
    ///
    /// # Errors
    /// The message itself, if it is something else.
    #[inline]
    pub fn take_call<Q: Send + 'static, R: Send + 'static>(self) -> Result<(Q, CallFrom<R>), Self> {
        self.take_call_as::<Q, R, NoMeta>()
    }

    #[doc(hidden)]
    #[inline]
    pub fn downcast_as<T: Send + 'static, X: Meta>(self) -> Result<T, Self> {
        if TypeId::of::<T>() == TypeId::of::<Self>() {
            // A message of any type is a message.
            let mut message = Some(self);
            let this: &mut dyn Any = &mut message;
            let this = this.downcast_mut::<Option<T>>().and_then(Option::take);
            return Ok(this.expect("`T` is `Message`"));
        }
        self.0.into_message::<T, X>().map_err(Self)
    }

    #[doc(hidden)]
    #[inline]
    pub fn take_call_as<Q: Send + 'static, R: Send + 'static, X: Meta>(
        self,
    ) -> Result<(Q, CallFrom<R>), Self> {
        match call::take_call::<Q, R, X>(self.0) {
            Ok((request, replier)) => Ok((request, CallFrom::new(replier))),
            Err(node) => Err(Self(node)),
        }
    }

    /// Is this a call, whose sender waits for a reply?
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.0.kind() == Kind::Call
    }

    /// Sends the message on to another process, as it is: the reply to a call goes to its caller, from whoever gives it. If
    /// there is no such process, the message is dropped and counted; the caller of a call learns that there will be no reply.
    ///
    /// ```
    /// use ibeam_runtime::{Runtime, process::{self, Call}};
    ///
    /// Runtime::new().block_on(async {
    ///     let server = process::spawn(async {
    ///         let (number, from) = process::recv().await.take_call::<u64, u64>().unwrap();
    ///         from.reply(number + 1);
    ///     });
    ///     let front = process::spawn(async move { process::recv().await.forward(server) });
    ///     assert_eq!(Call::<u64, u64>::new(front, 41).await, Ok(42));
    /// });
    /// ```
    pub fn forward(self, to: Pid) {
        let mut node = self.0;
        node.set_target(to.to_bits());
        post(to, node);
    }

    /// The name of the message's type, for people to read.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        (self.0.header().node_type.type_name)()
    }

    /// What kind of message this is, to be remembered without the message.
    #[doc(hidden)]
    #[inline(always)]
    #[must_use]
    pub fn described(&self) -> Described {
        Described(self.0.header().node_type)
    }

    /// What the sender's layer attached to this type of message.
    #[doc(hidden)]
    #[must_use]
    pub fn meta(&self) -> Option<&'static (dyn Any + Send + Sync)> {
        self.0.header().node_type.meta
    }
}

/// What kind of message one was: one word.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Described(&'static NodeType);

impl Described {
    /// The name of the message's type.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        (self.0.type_name)()
    }

    /// Was it a call?
    #[must_use]
    pub fn is_call(self) -> bool {
        self.0.kind == Kind::Call
    }

    /// What the sender's layer attached.
    #[must_use]
    pub fn meta(self) -> Option<&'static (dyn Any + Send + Sync)> {
        self.0.meta
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_call() { "Call" } else { "Message" };
        write!(f, "{kind}({})", self.type_name())
    }
}

//! What carries broadcasts to other nodes.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use ibeam_runtime::Name;

use super::BroadcastError;
use crate::supervisor::ChildSpec;

/// The name of a node. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for NodeName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for NodeName {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Carries broadcasts to other nodes, and lets those of others in: on the other side the adapter calls
/// [`local_broadcast`](super::PubSub::local_broadcast) of the bus with the same name.
///
/// It is not concerned with the subscribers of its own node: they have a broadcast's message after it has said `Ok`.
///
/// # Erlang/OTP
/// The behaviour `Phoenix.PubSub.Adapter`.
pub trait Adapter: fmt::Debug + Send + Sync + 'static {
    /// The name of this node.
    fn node_name(&self) -> NodeName;

    /// The processes that it needs: children of the bus' supervisor, behind the subscriptions. By default none.
    fn children(&self, options: &AdapterOptions) -> Vec<ChildSpec> {
        let _ = options;
        Vec::new()
    }

    /// May there be other nodes? Where there are none, [`broadcast`](Self::broadcast) is not called. By default `true`.
    fn has_others(&self) -> bool {
        true
    }

    /// Sends to all other nodes, as far as they are known. It must not wait.
    ///
    /// # Errors
    /// [`BroadcastError::Adapter`]: then this node's subscribers get nothing either.
    fn broadcast(&self, outgoing: &Outgoing<'_>) -> Result<(), BroadcastError>;

    /// Sends to one other node. It must not wait.
    ///
    /// # Errors
    /// [`BroadcastError::NoNode`] or [`BroadcastError::Adapter`].
    fn direct_broadcast(&self, node: &NodeName, outgoing: &Outgoing<'_>) -> Result<(), BroadcastError>;
}

/// What an adapter's processes start from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdapterOptions {
    /// The bus.
    pub pubsub: Name,
    /// How many processes receive from other nodes.
    pub pool_size: usize,
    /// How many processes of other nodes broadcasts are spread over: while a cluster changes its `pool_size`, the smaller of the
    /// two numbers.
    pub broadcast_pool_size: usize,
}

/// A broadcast that leaves the node. Topic, message and dispatcher have the types that they were given with; what an
/// adapter sends between nodes it has to know by its type.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Outgoing<'a> {
    /// The bus.
    pub pubsub: &'a Name,
    /// The topic.
    pub topic: &'a dyn Any,
    /// The message.
    pub message: &'a dyn Any,
    /// The name of the message's type, for people to read.
    pub message_type: &'static str,
    /// What decides there what subscribers get.
    pub dispatcher: &'a dyn Any,
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("pubsub", &self.pubsub)
            .field("message_type", &self.message_type)
            .finish_non_exhaustive()
    }
}

/// There is this node, and no other: the default.
///
/// # Erlang/OTP
/// A node that is not distributed, whose name is `nonode@nohost`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Adapter for Local {
    fn node_name(&self) -> NodeName {
        "nonode@nohost".into()
    }

    fn has_others(&self) -> bool {
        false
    }

    fn broadcast(&self, _: &Outgoing<'_>) -> Result<(), BroadcastError> {
        Ok(())
    }

    fn direct_broadcast(&self, node: &NodeName, _: &Outgoing<'_>) -> Result<(), BroadcastError> {
        Err(BroadcastError::NoNode { node: node.clone() })
    }
}

//! Why a subscription or a broadcast failed.

use std::fmt;

use ibeam_runtime::{ExitReason, Name};

use super::NodeName;

/// Why a process was not subscribed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// No bus with these types of topics and metadata runs under that name.
    NotRunning {
        /// The bus.
        pubsub: Name,
    },
    /// The process is ending.
    Ending {
        /// The bus.
        pubsub: Name,
    },
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning { pubsub } => not_running(pubsub, f),
            Self::Ending { pubsub } => {
                write!(f, "expected a live process to subscribe to `{pubsub}`, got one that ends")
            }
        }
    }
}

impl std::error::Error for SubscribeError {}

/// Why a message was not broadcast. Nobody on this node got it, unless it says otherwise.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BroadcastError {
    /// No bus with these types of topics and metadata runs under that name.
    NotRunning {
        /// The bus.
        pubsub: Name,
    },
    /// The adapter knows no such node.
    NoNode {
        /// The node.
        node: NodeName,
    },
    /// The adapter could not bring it to the other nodes.
    Adapter {
        /// Why.
        reason: ExitReason,
    },
}

impl fmt::Display for BroadcastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning { pubsub } => not_running(pubsub, f),
            Self::NoNode { node } => write!(f, "expected the name of a connected node, got `{node}`"),
            Self::Adapter { reason } => {
                write!(f, "the adapter did not broadcast it to other nodes: {reason}")
            }
        }
    }
}

impl std::error::Error for BroadcastError {}

fn not_running(pubsub: &Name, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "unknown pubsub `{pubsub}`: expected one that runs and has these types of topics and metadata")
}

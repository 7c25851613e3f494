//! SUBSCRIBE, PSUBSCRIBE and PUBLISH: a [`PubSub`] whose topics are channels and patterns, and a table of those that there are.
//!
//! Who publishes looks up which patterns match, and broadcasts to the channel and to each of these: in its own process, so that nobody
//! stands between it and those who listen.
//!
//! # Invariants
//! 1. When [`Listener::change`] returns `Ok` its subscriptions hold, and when [`Bus::publish`] returns the message is in the mailboxes of
//!    all who listen. So each gets what one client publishes in that order; between two clients there is none.
//! 2. A topic is in the table before somebody is subscribed to it and until nobody is: the [`Listener`] is dropped with its process'
//!    future, before the bus lets go of the process.
//! 3. A process whose subscriptions are lost, because the bus has crashed, gets an [`Exit`] of a process that is not its supervisor,
//!    before the bus takes subscriptions again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ibeam::prelude::*;
use ibeam::pubsub::{BroadcastError, Dispatcher, PubSubBuilder, SubscribeError};
use parking_lot::RwLock;

use super::super::command::PubsubQuery;
use super::super::resp::Reply as RespReply;
use super::super::small_bytes::SmallBytes;
use super::super::topics::{Change, Delivery, Subscription, Topics};

/// The name of the bus.
pub(super) const NAME: &str = "channels";

/// See the module.
pub(super) struct Bus {
    pubsub: PubSub<Subscription>,
    topics: RwLock<Topics>,
}

impl Bus {
    /// The bus of the server, whenever it runs.
    pub(super) fn new() -> Self {
        Self { pubsub: PubSub::typed_named(NAME), topics: RwLock::default() }
    }

    /// The processes of the bus. One partition: clients subscribe rarely, and publish without it.
    pub(super) fn processes() -> PubSubBuilder<Subscription, ()> {
        PubSub::typed(NAME).registry_size(1)
    }

    /// Sends a message to all who listen, once for each of their subscriptions that match; how many it were.
    ///
    /// While the bus is being restarted nobody listens.
    pub(super) fn publish(&self, channel: &SmallBytes, message: &[u8]) -> Result<usize, BroadcastError> {
        let deliveries = self.topics.read().deliveries(channel, message);
        let counted = Counted::default();
        for delivery in deliveries {
            let topic = delivery.subscription.clone();
            match self.pubsub.through(counted.clone()).broadcast(topic, delivery) {
                Ok(()) | Err(BroadcastError::NotRunning { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(counted.0.load(Relaxed))
    }

    /// Answers PUBSUB.
    pub(super) fn query(&self, query: PubsubQuery) -> RespReply {
        self.topics.read().query(query, |topic| self.pubsub.subscribers(topic).len())
    }

    /// How many channels and patterns are listened to.
    pub(super) fn counts(&self) -> (usize, usize) {
        self.topics.read().counts()
    }

    /// Ends the process on which the subscriptions rest, so that one can watch it come back. When this returns, nobody is
    /// subscribed any more. `false`: there is none now.
    pub(super) async fn crash(&self) -> bool {
        let partitions = SupervisorRef::named(NAME).which_children().await.unwrap_or_default();
        let Some(partition) = partitions.into_iter().find_map(|child| child.pid) else { return false };
        let monitor = process::monitor(partition);
        process::exit_signal(partition, ExitReason::other("DEBUG CRASH hub"));
        receive! { Down { monitor: gone, .. } if gone == monitor => true }
    }
}

/// Delivers, and counts.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl Dispatcher<Delivery, ()> for Counted {
    fn dispatch(&self, subscriber: Pid, (): &(), _: Option<Pid>, delivery: &Delivery) {
        subscriber.send(delivery.clone());
        self.0.fetch_add(1, Relaxed);
    }
}

/// The subscriptions of a process.
pub(super) struct Listener {
    bus: Arc<Bus>,
    held: HashSet<Subscription>,
}

impl Listener {
    pub(super) fn new(bus: &Arc<Bus>) -> Self {
        Self { bus: Arc::clone(bus), held: HashSet::new() }
    }

    /// Begins and ends subscriptions of the calling process, which is always the same.
    ///
    /// # Errors
    /// The bus does not run: then none of its subscriptions hold, and it wants [`anew`](Self::anew).
    pub(super) fn change(&mut self, changes: Vec<Change>) -> Result<(), SubscribeError> {
        let mut result = Ok(());
        for change in changes {
            match change {
                Change::Subscribe(subscription) => {
                    if self.held.insert(subscription.clone()) {
                        self.bus.topics.write().begin(&subscription);
                        result = result.and(self.bus.pubsub.subscribe(subscription));
                    }
                }
                Change::Unsubscribe(subscription) => {
                    if self.held.remove(&subscription) {
                        self.bus.pubsub.unsubscribe(subscription.clone());
                        self.bus.topics.write().end(&subscription);
                    }
                }
            }
        }
        result
    }

    /// Begins all of its subscriptions once more. Those that hold already end first, so that none is there twice.
    ///
    /// # Errors
    /// The bus does not run.
    pub(super) fn anew(&self) -> Result<(), SubscribeError> {
        for subscription in &self.held {
            self.bus.pubsub.unsubscribe(subscription.clone());
            self.bus.pubsub.subscribe(subscription.clone())?;
        }
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut topics = self.bus.topics.write();
        for subscription in &self.held {
            topics.end(subscription);
        }
    }
}

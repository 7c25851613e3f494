//! What one asks of a bus.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use ibeam_runtime::__private::sending_to_many;
use ibeam_runtime::{Name, Pid};

use super::adapter::{Adapter, NodeName, Outgoing};
use super::builder::PubSubBuilder;
use super::dispatcher::{Deliver, Dispatcher};
use super::topic_name::TopicName;
use super::{BroadcastError, SubscribeError};
use crate::registry::{Duplicate, RegisterError, Registry, RegistryKey, RegistryValue};

/// A bus, by name. Cheap to clone; finds whichever run of it there is at each use, so such a handle outlives restarts. See the
/// [module](super).
///
/// `K` is the type of its topics, `V` that of the metadata of subscriptions. Broadcasting works from anywhere; what subscribes does so for the
/// calling process, and panics outside of one.
pub struct PubSub<K: RegistryKey = String, V: RegistryValue = ()> {
    subscriptions: Registry<K, V, Duplicate>,
}

/// Under which key the subscriptions have the adapter.
pub(super) const ADAPTER: &str = "$pubsub_adapter";

#[derive(Clone)]
pub(super) struct SharedAdapter(pub(super) Arc<dyn Adapter>);

impl PubSub {
    /// A bus that is to be started, with texts for topics and no metadata.
    #[expect(
        clippy::new_ret_no_self,
        reason = "as `Supervisor::new`: what is made is a bus, not yet started"
    )]
    pub fn new(name: impl Into<Name>) -> PubSubBuilder<String, ()> {
        Self::typed(name)
    }

    /// The bus of this name in the current runtime, whenever it runs.
    #[must_use]
    pub fn named(name: impl Into<Name>) -> Self {
        Self::typed_named(name)
    }
}

impl<K: RegistryKey, V: RegistryValue> PubSub<K, V> {
    /// A bus that is to be started, with topics of type `K` and metadata of type `V`.
    pub fn typed(name: impl Into<Name>) -> PubSubBuilder<K, V> {
        PubSubBuilder::new(name.into())
    }

    /// The bus of this name and with these types in the current runtime, whenever it runs.
    #[must_use]
    pub fn typed_named(name: impl Into<Name>) -> Self {
        Self { subscriptions: Registry::named(name) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        self.subscriptions.name()
    }

    /// Subscribes the calling process to a topic, with this metadata for [dispatchers](Dispatcher). Once more, if it is subscribed.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    ///
    /// # Panics
    /// Outside of a process.
    ///
    /// # Erlang/OTP
    /// `Phoenix.PubSub.subscribe/3` with `metadata`.
    #[track_caller]
    pub fn subscribe_with(&self, topic: impl Into<K>, metadata: V) -> Result<(), SubscribeError> {
        match self.subscriptions.register(topic.into(), metadata) {
            Ok(_) => Ok(()),
            Err(RegisterError::NoProc { registry, .. }) => Err(SubscribeError::Ending { pubsub: registry }),
            Err(
                RegisterError::NotRunning { registry } | RegisterError::AlreadyRegistered { registry, .. },
            ) => Err(SubscribeError::NotRunning { pubsub: registry }),
        }
    }

    /// Subscribes the calling process to a topic, with the default metadata. Once more, if it is subscribed.
    ///
    /// ```
    /// # use ibeam::prelude::*;
    /// # Runtime::new().block_on(async {
    /// let chat = PubSub::new("chat").start_link().await.unwrap();
    /// chat.subscribe("room:1").unwrap();
    /// chat.subscribe("room:1").unwrap();
    /// chat.broadcast("room:1", 7_u8).unwrap();
    /// assert_eq!(process::recv().await.downcast::<u8>().unwrap(), 7);
    /// assert_eq!(process::recv().await.downcast::<u8>().unwrap(), 7);
    /// # });
    /// ```
    ///
    /// # Errors
    /// See [`SubscribeError`].
    ///
    /// # Panics
    /// Outside of a process.
    ///
    /// # Erlang/OTP
    /// `Phoenix.PubSub.subscribe/2`.
    #[track_caller]
    pub fn subscribe(&self, topic: impl Into<K>) -> Result<(), SubscribeError>
    where
        V: Default,
    {
        self.subscribe_with(topic, V::default())
    }

    /// Ends all subscriptions that the calling process has to a topic. Messages that are in its mailbox stay there.
    ///
    /// # Panics
    /// Outside of a process.
    ///
    /// # Erlang/OTP
    /// `Phoenix.PubSub.unsubscribe/2`.
    #[track_caller]
    pub fn unsubscribe<T>(&self, topic: T)
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
    {
        self.subscriptions.unregister(topic.key());
    }

    /// The subscriptions to a topic on this node, with their metadata: in the order of subscription within a partition.
    #[must_use]
    pub fn subscribers<T>(&self, topic: T) -> Vec<(Pid, V)>
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
    {
        self.subscriptions.lookup(topic.key())
    }

    /// The name of this node.
    ///
    /// # Errors
    /// [`BroadcastError::NotRunning`].
    ///
    /// # Erlang/OTP
    /// `Phoenix.PubSub.node_name/1`.
    pub fn node_name(&self) -> Result<NodeName, BroadcastError> {
        self.adapter().map(|adapter| adapter.node_name())
    }

    /// The same bus, where `dispatcher` decides what each subscriber gets.
    pub fn through<D>(&self, dispatcher: D) -> Through<'_, K, V, D> {
        Through { pubsub: self, dispatcher }
    }

    /// Sends a message to all who are subscribed to the topic, on all nodes.
    ///
    /// # Errors
    /// See [`BroadcastError`].
    ///
    /// # Erlang/OTP
    /// `Phoenix.PubSub.broadcast/3`; `broadcast!/3` is this with `unwrap`.
    pub fn broadcast<T, M>(&self, topic: T, message: M) -> Result<(), BroadcastError>
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
        M: Clone + Send + 'static,
    {
        self.through(Deliver).broadcast(topic, message)
    }

    /// As [`broadcast`](Self::broadcast), but not to the process `from`, which is mostly the calling one.
    ///
    /// ```
    /// # use ibeam::prelude::*;
    /// # Runtime::new().block_on(async {
    /// let chat = PubSub::new("chat").start_link().await.unwrap();
    /// chat.subscribe("room:1").unwrap();
    /// chat.broadcast_from(process::self_pid(), "room:1", "I have said it").unwrap();
    /// assert!(process::try_recv().is_none());
    /// # });
    /// ```
    ///
    /// # Errors
    /// See [`BroadcastError`].
    ///
    /// # Erlang/OTP
    /// `Phoenix.PubSub.broadcast_from/4`.
    pub fn broadcast_from<T, M>(&self, from: Pid, topic: T, message: M) -> Result<(), BroadcastError>
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
        M: Clone + Send + 'static,
    {
        self.through(Deliver).broadcast_from(from, topic, message)
    }

    /// Sends a message to all who are subscribed to the topic on this node.
    ///
    /// # Errors
    /// [`BroadcastError::NotRunning`].
    ///
    /// # Erlang/OTP
    /// `Phoenix.PubSub.local_broadcast/3`.
    pub fn local_broadcast<T, M>(&self, topic: T, message: M) -> Result<(), BroadcastError>
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
        M: Clone + Send + 'static,
    {
        self.through(Deliver).local_broadcast(topic, message)
    }

    /// As [`local_broadcast`](Self::local_broadcast), but not to the process `from`.
    ///
    /// # Errors
    /// [`BroadcastError::NotRunning`].
    ///
    /// # Erlang/OTP
    /// `Phoenix.PubSub.local_broadcast_from/4`.
    pub fn local_broadcast_from<T, M>(&self, from: Pid, topic: T, message: M) -> Result<(), BroadcastError>
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
        M: Clone + Send + 'static,
    {
        self.through(Deliver).local_broadcast_from(from, topic, message)
    }

    /// Sends a message to all who are subscribed to the topic on that node.
    ///
    /// # Errors
    /// See [`BroadcastError`].
    ///
    /// # Erlang/OTP
    /// `Phoenix.PubSub.direct_broadcast/4`. Differs: a node that is not there is an error.
    pub fn direct_broadcast<T, M>(&self, node: &NodeName, topic: T, message: M) -> Result<(), BroadcastError>
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
        M: Clone + Send + 'static,
    {
        self.through(Deliver).direct_broadcast(node, topic, message)
    }

    fn adapter(&self) -> Result<Arc<dyn Adapter>, BroadcastError> {
        match self.subscriptions.meta::<SharedAdapter>(ADAPTER) {
            Some(SharedAdapter(adapter)) => Ok(adapter),
            None => Err(BroadcastError::NotRunning { pubsub: self.name().clone() }),
        }
    }
}

impl<K: RegistryKey, V: RegistryValue> Clone for PubSub<K, V> {
    fn clone(&self) -> Self {
        Self { subscriptions: self.subscriptions.clone() }
    }
}

impl<K: RegistryKey, V: RegistryValue> fmt::Debug for PubSub<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PubSub").field(self.name()).finish()
    }
}

/// A bus with a [`Dispatcher`]: [`PubSub::through`]. Its functions are those of the bus.
#[derive(Debug)]
#[must_use = "it says how to broadcast, and broadcasts nothing"]
pub struct Through<'a, K: RegistryKey, V: RegistryValue, D> {
    pubsub: &'a PubSub<K, V>,
    dispatcher: D,
}

impl<K: RegistryKey, V: RegistryValue, D> Through<'_, K, V, D> {
    /// See [`PubSub::broadcast`].
    ///
    /// # Errors
    /// See [`BroadcastError`].
    pub fn broadcast<T, M: 'static>(&self, topic: T, message: M) -> Result<(), BroadcastError>
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
        D: Dispatcher<M, V>,
    {
        self.to_all(None, &topic, &message)
    }

    /// See [`PubSub::broadcast_from`].
    ///
    /// # Errors
    /// See [`BroadcastError`].
    pub fn broadcast_from<T, M: 'static>(&self, from: Pid, topic: T, message: M) -> Result<(), BroadcastError>
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
        D: Dispatcher<M, V>,
    {
        self.to_all(Some(from), &topic, &message)
    }

    /// See [`PubSub::local_broadcast`].
    ///
    /// # Errors
    /// [`BroadcastError::NotRunning`].
    pub fn local_broadcast<T, M: 'static>(&self, topic: T, message: M) -> Result<(), BroadcastError>
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
        D: Dispatcher<M, V>,
    {
        self.pubsub.adapter()?;
        self.dispatch(None, &topic, &message);
        Ok(())
    }

    /// See [`PubSub::local_broadcast_from`].
    ///
    /// # Errors
    /// [`BroadcastError::NotRunning`].
    pub fn local_broadcast_from<T, M: 'static>(
        &self,
        from: Pid,
        topic: T,
        message: M,
    ) -> Result<(), BroadcastError>
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
        D: Dispatcher<M, V>,
    {
        self.pubsub.adapter()?;
        self.dispatch(Some(from), &topic, &message);
        Ok(())
    }

    /// See [`PubSub::direct_broadcast`].
    ///
    /// # Errors
    /// See [`BroadcastError`].
    pub fn direct_broadcast<T, M: 'static>(
        &self,
        node: &NodeName,
        topic: T,
        message: M,
    ) -> Result<(), BroadcastError>
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
        D: Dispatcher<M, V>,
    {
        let adapter = self.pubsub.adapter()?;
        if adapter.node_name() == *node {
            self.dispatch(None, &topic, &message);
            return Ok(());
        }
        adapter.direct_broadcast(node, &self.outgoing(&topic.to_topic(), &message))
    }

    /// Other nodes first: their subscribers and ours have it both, or neither.
    fn to_all<T, M: 'static>(&self, from: Option<Pid>, topic: &T, message: &M) -> Result<(), BroadcastError>
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
        D: Dispatcher<M, V>,
    {
        let adapter = self.pubsub.adapter()?;
        if adapter.has_others() {
            adapter.broadcast(&self.outgoing(&topic.to_topic(), message))?;
        }
        self.dispatch(from, topic, message);
        Ok(())
    }

    fn outgoing<'a, M: 'static>(&'a self, topic: &'a K, message: &'a M) -> Outgoing<'a>
    where
        D: Dispatcher<M, V>,
    {
        Outgoing {
            pubsub: self.pubsub.name(),
            topic,
            message,
            message_type: std::any::type_name::<M>(),
            dispatcher: &self.dispatcher,
        }
    }

    fn dispatch<T, M>(&self, from: Option<Pid>, topic: &T, message: &M)
    where
        K: Borrow<T::Key>,
        T: TopicName<K>,
        D: Dispatcher<M, V>,
    {
        let subscriptions = &self.pubsub.subscriptions;
        let each = |pid: Pid, metadata: &V| self.dispatcher.dispatch(pid, metadata, from, message);
        sending_to_many(|| subscriptions.dispatch(topic.key(), each));
    }
}

//! Who listens to what: the state of the pub/sub process.
//!
//! # Invariants
//! 1. `subscribers` is the reverse of `channels` and `patterns` together, so that a connection's end costs what it had
//!    subscribed to.
//! 2. No channel, pattern or subscriber is kept without a subscription.
//!
//! # Limits
//! None of its own: a subscription costs its bytes once in a connection that had to send them.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use bytes::Bytes;

use super::command::PubsubQuery;
use super::glob;
use super::resp::{Reply, message_frame, pmessage_frame};
use super::small_bytes::SmallBytes;

/// A subscription or its end, as a connection tells the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HubChange {
    Subscribe(Subscription),
    Unsubscribe(Subscription),
}

/// What is listened to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subscription {
    Channel(SmallBytes),
    Pattern(SmallBytes),
}

/// A message for one subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Why it gets this; a connection that unsubscribed meanwhile drops it.
    pub(crate) subscription: Subscription,
    /// What goes to the client, encoded once for all.
    pub(crate) frame: Bytes,
}

/// All subscriptions; `S` names a connection's process.
#[derive(Debug)]
pub(crate) struct Hub<S> {
    channels: HashMap<SmallBytes, HashSet<S>>,
    patterns: HashMap<SmallBytes, HashSet<S>>,
    subscribers: HashMap<S, HashSet<Subscription>>,
}

impl<S: Copy + Eq + Hash> Hub<S> {
    /// A hub that nobody listens to.
    pub(crate) fn new() -> Self {
        Self { channels: HashMap::new(), patterns: HashMap::new(), subscribers: HashMap::new() }
    }

    /// Does what a connection tells. True if it is the subscriber's first subscription (now it should be monitored) or
    /// was its last one (no longer).
    pub(crate) fn apply(&mut self, subscriber: S, change: HubChange) -> bool {
        match change {
            HubChange::Subscribe(subscription) => {
                self.listeners(&subscription).insert(subscriber);
                let had = self.subscribers.entry(subscriber).or_default();
                let first = had.is_empty();
                had.insert(subscription);
                first
            }
            HubChange::Unsubscribe(subscription) => {
                let Some(had) = self.subscribers.get_mut(&subscriber) else { return false };
                if !had.remove(&subscription) {
                    return false;
                }
                let last = had.is_empty();
                if last {
                    self.subscribers.remove(&subscriber);
                }
                self.forget(subscriber, &subscription);
                last
            }
        }
    }

    /// Removes a connection that is gone.
    pub(crate) fn remove(&mut self, subscriber: S) {
        for subscription in self.subscribers.remove(&subscriber).unwrap_or_default() {
            self.forget(subscriber, &subscription);
        }
    }

    fn listeners(&mut self, subscription: &Subscription) -> &mut HashSet<S> {
        match subscription {
            Subscription::Channel(name) => self.channels.entry(name.clone()),
            Subscription::Pattern(name) => self.patterns.entry(name.clone()),
        }
        .or_default()
    }

    fn forget(&mut self, subscriber: S, subscription: &Subscription) {
        let (map, name) = match subscription {
            Subscription::Channel(name) => (&mut self.channels, name),
            Subscription::Pattern(name) => (&mut self.patterns, name),
        };
        if let Some(listeners) = map.get_mut(name) {
            listeners.remove(&subscriber);
            if listeners.is_empty() {
                map.remove(name);
            }
        }
    }

    /// Hands a message to `deliver` for everyone who listens, once per matching subscription; how many it were.
    ///
    /// Costs a look at every pattern. Who gets it first is not promised.
    pub(crate) fn publish(
        &self,
        channel: &SmallBytes,
        message: &[u8],
        mut deliver: impl FnMut(S, Delivery),
    ) -> usize {
        let mut count = 0;
        let mut to_all = |listeners: &HashSet<S>, subscription: Subscription, frame: Bytes| {
            count += listeners.len();
            for listener in listeners {
                deliver(*listener, Delivery { subscription: subscription.clone(), frame: frame.clone() });
            }
        };
        if let Some(listeners) = self.channels.get(channel) {
            to_all(listeners, Subscription::Channel(channel.clone()), message_frame(channel, message));
        }
        for (pattern, listeners) in &self.patterns {
            if glob::matches(pattern, channel) {
                let frame = pmessage_frame(pattern, channel, message);
                to_all(listeners, Subscription::Pattern(pattern.clone()), frame);
            }
        }
        count
    }

    /// Answers PUBSUB.
    pub(crate) fn query(&self, query: PubsubQuery) -> Reply {
        match query {
            PubsubQuery::Channels { pattern } => Reply::bulks(
                self.channels
                    .keys()
                    .filter(|name| pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, name)))
                    .cloned(),
            ),
            PubsubQuery::Numsub(channels) => Reply::Array(
                channels
                    .into_iter()
                    .flat_map(|name| {
                        let count = self.channels.get(&name).map_or(0, HashSet::len);
                        [Reply::Bulk(name), Reply::Integer(count as i64)]
                    })
                    .collect(),
            ),
            PubsubQuery::Numpat => Reply::Integer(self.patterns.len() as i64),
        }
    }

    /// How many channels and how many patterns are listened to, for INFO.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.channels.len(), self.patterns.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &'static str) -> Subscription {
        Subscription::Channel(name.into())
    }

    fn pattern(name: &'static str) -> Subscription {
        Subscription::Pattern(name.into())
    }

    /// Who gets what, sorted.
    fn published(hub: &Hub<u32>, to: &'static str) -> Vec<(u32, String)> {
        let mut got = Vec::new();
        let count = hub.publish(&to.into(), b"hi", |subscriber, delivery| {
            let (Subscription::Channel(name) | Subscription::Pattern(name)) = delivery.subscription;
            assert!(delivery.frame.ends_with(b"$2\r\nhi\r\n"));
            got.push((subscriber, String::from_utf8(name.to_vec()).expect("text")));
        });
        assert_eq!(count, got.len());
        got.sort_unstable();
        got
    }

    #[test]
    fn messages_go_to_channels_and_matching_patterns() {
        let mut hub = Hub::new();
        assert!(hub.apply(1, HubChange::Subscribe(channel("news"))));
        assert!(!hub.apply(1, HubChange::Subscribe(channel("news"))), "twice is once");
        assert!(!hub.apply(1, HubChange::Subscribe(pattern("n*"))));
        assert!(hub.apply(2, HubChange::Subscribe(pattern("n*"))));
        assert!(hub.apply(3, HubChange::Subscribe(channel("other"))));
        assert_eq!(published(&hub, "news"), [(1, "n*".into()), (1, "news".into()), (2, "n*".into())]);
        assert_eq!(published(&hub, "nothing"), [(1, "n*".into()), (2, "n*".into())]);
        assert_eq!(published(&hub, "x"), []);
        assert_eq!(hub.counts(), (2, 1));
    }

    #[test]
    fn nothing_is_left_of_those_who_go() {
        let mut hub = Hub::new();
        for subscriber in [1, 2] {
            hub.apply(subscriber, HubChange::Subscribe(channel("a")));
            hub.apply(subscriber, HubChange::Subscribe(pattern("a*")));
        }
        assert!(!hub.apply(1, HubChange::Unsubscribe(channel("a"))));
        assert!(!hub.apply(1, HubChange::Unsubscribe(channel("a"))), "not subscribed");
        assert!(hub.apply(1, HubChange::Unsubscribe(pattern("a*"))));
        assert!(!hub.apply(1, HubChange::Unsubscribe(pattern("a*"))), "not a subscriber");
        assert_eq!(published(&hub, "a"), [(2, "a".into()), (2, "a*".into())]);
        hub.remove(2);
        hub.remove(2);
        assert_eq!(published(&hub, "a"), []);
        assert!(hub.channels.is_empty() && hub.patterns.is_empty() && hub.subscribers.is_empty());
    }

    #[test]
    fn questions() {
        let mut hub = Hub::new();
        hub.apply(1, HubChange::Subscribe(channel("a")));
        hub.apply(2, HubChange::Subscribe(channel("a")));
        hub.apply(2, HubChange::Subscribe(channel("b")));
        hub.apply(2, HubChange::Subscribe(pattern("x*")));
        let numsub = hub.query(PubsubQuery::Numsub(vec!["a".into(), "c".into()]));
        let [two, zero] = [2, 0].map(Reply::Integer);
        assert_eq!(numsub, Reply::Array(vec![Reply::bulk("a"), two, Reply::bulk("c"), zero]));
        assert_eq!(hub.query(PubsubQuery::Numpat), Reply::Integer(1));
        let channels = |pattern| match hub.query(PubsubQuery::Channels { pattern }) {
            Reply::Array(channels) => channels.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!((channels(None), channels(Some("[b-c]".into()))), (2, 1));
    }
}

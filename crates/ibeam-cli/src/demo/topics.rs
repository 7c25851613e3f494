//! Channels and patterns: which there are, and what a message is to those who listen.
//!
//! Who listens is known to the [bus](super::server); a message goes there once for its channel, and once for each pattern that this
//! table finds to match.
//!
//! # Invariants
//! 1. A channel or pattern is in the table while somebody is subscribed to it: it comes before the first subscription and goes after the
//!    last one. It may be there a moment longer or without anybody: then nobody gets what is sent to it.
//! 2. Nothing is kept of a channel or pattern that nobody wants.
//!
//! # Limits
//! None of its own: a subscription costs its bytes once in a connection that had to send them.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use smallvec::SmallVec;

use super::command::PubsubQuery;
use super::glob;
use super::resp::{Reply, message_frame, pmessage_frame};
use super::small_bytes::SmallBytes;

/// A subscription or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Subscribe(Subscription),
    Unsubscribe(Subscription),
}

/// What is listened to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subscription {
    Channel(SmallBytes),
    Pattern(SmallBytes),
}

/// A message for those who have a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Why they get this; a connection that unsubscribed meanwhile drops it.
    pub(crate) subscription: Subscription,
    /// What goes to the client, encoded once for all.
    pub(crate) frame: Bytes,
}

/// How many connections want which channel and which pattern.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    channels: HashMap<SmallBytes, usize>,
    patterns: BTreeMap<SmallBytes, usize>,
}

impl Topics {
    /// A connection, which has not had it, wants this.
    pub(crate) fn begin(&mut self, subscription: &Subscription) {
        *match subscription {
            Subscription::Channel(name) => self.channels.entry(name.clone()).or_default(),
            Subscription::Pattern(name) => self.patterns.entry(name.clone()).or_default(),
        } += 1;
    }

    /// A connection, which has had it, does not want this any more.
    ///
    /// # Panics
    /// If nobody has wanted it.
    pub(crate) fn end(&mut self, subscription: &Subscription) {
        let (Subscription::Channel(name) | Subscription::Pattern(name)) = subscription;
        let is_channel = matches!(subscription, Subscription::Channel(_));
        let count = if is_channel { self.channels.get_mut(name) } else { self.patterns.get_mut(name) };
        let count = count.expect("what ends has begun");
        *count -= 1;
        match (*count, is_channel) {
            (0, true) => drop(self.channels.remove(name)),
            (0, false) => drop(self.patterns.remove(name)),
            _ => {}
        }
    }

    /// What a message to this channel is: one delivery for those who listen to the channel, and one for each pattern that matches,
    /// as long as there are any.
    ///
    /// Costs a look at every pattern.
    pub(crate) fn deliveries(&self, channel: &SmallBytes, message: &[u8]) -> SmallVec<[Delivery; 2]> {
        let mut deliveries = SmallVec::new();
        if self.channels.contains_key(channel) {
            let (subscription, frame) =
                (Subscription::Channel(channel.clone()), message_frame(channel, message));
            deliveries.push(Delivery { subscription, frame });
        }
        let matching = self.patterns.keys().filter(|pattern| glob::matches(pattern, channel));
        deliveries.extend(matching.map(|pattern| Delivery {
            subscription: Subscription::Pattern(pattern.clone()),
            frame: pmessage_frame(pattern, channel, message),
        }));
        deliveries
    }

    /// Answers PUBSUB; `listeners` knows how many have a subscription.
    pub(crate) fn query(&self, query: PubsubQuery, listeners: impl Fn(Subscription) -> usize) -> Reply {
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
                        let count = listeners(Subscription::Channel(name.clone()));
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

    fn topics(begun: &[Subscription]) -> Topics {
        let mut topics = Topics::default();
        for subscription in begun {
            topics.begin(subscription);
        }
        topics
    }

    /// To whom a message goes, in this order.
    fn deliveries(topics: &Topics, to: &'static str) -> Vec<Subscription> {
        let deliveries = topics.deliveries(&to.into(), b"hi");
        assert!(deliveries.iter().all(|delivery| delivery.frame.ends_with(b"$2\r\nhi\r\n")));
        deliveries.into_iter().map(|delivery| delivery.subscription).collect()
    }

    #[test]
    fn messages_go_to_their_channel_and_once_to_each_matching_pattern() {
        let topics = topics(&[
            channel("news"),
            pattern("n*"),
            pattern("n*"),
            pattern("*s"),
            pattern("x"),
            channel("other"),
        ]);
        assert_eq!(deliveries(&topics, "news"), [channel("news"), pattern("*s"), pattern("n*")]);
        assert_eq!(deliveries(&topics, "nothing"), [pattern("n*")]);
        assert_eq!(deliveries(&topics, "y"), []);
        assert_eq!(topics.counts(), (2, 3));
    }

    #[test]
    fn nothing_is_left_of_what_nobody_wants() {
        let mut topics = topics(&[channel("a"), pattern("a"), channel("a"), pattern("a")]);
        topics.end(&channel("a"));
        topics.end(&pattern("a"));
        assert_eq!(deliveries(&topics, "a"), [channel("a"), pattern("a")]);
        topics.end(&channel("a"));
        assert_eq!(deliveries(&topics, "a"), [pattern("a")]);
        topics.end(&pattern("a"));
        assert_eq!(deliveries(&topics, "a"), []);
        assert!(topics.channels.is_empty() && topics.patterns.is_empty());
    }

    #[test]
    fn questions() {
        let topics = topics(&[channel("a"), channel("a"), channel("b"), pattern("x*"), pattern("x*")]);
        let listeners = |of| if of == channel("a") { 2 } else { 0 };
        let numsub = topics.query(PubsubQuery::Numsub(vec!["a".into(), "c".into()]), listeners);
        let [two, zero] = [2, 0].map(Reply::Integer);
        assert_eq!(numsub, Reply::Array(vec![Reply::bulk("a"), two, Reply::bulk("c"), zero]));
        assert_eq!(topics.query(PubsubQuery::Numpat, listeners), Reply::Integer(1));
        let channels = |pattern| match topics.query(PubsubQuery::Channels { pattern }, listeners) {
            Reply::Array(channels) => channels.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!((channels(None), channels(Some("[b-c]".into()))), (2, 1));
    }
}

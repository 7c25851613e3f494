//! What names a topic.

use std::hash::Hash;
use std::sync::Arc;

use ibeam_runtime::Name;

use crate::registry::RegistryKey;

/// What names a topic of type `K` where it is only looked up: the topic, a reference to one, or a `&str` where topics are texts. So
/// a broadcast to `"room:1"` makes no `String`.
///
/// ```
/// use ibeam::prelude::*;
///
/// Runtime::new().block_on(async {
///     let chat = PubSub::new("chat").start_link().await.unwrap();
///     let topic = format!("room:{}", 1);
///     chat.subscribe(&topic).unwrap();
///     chat.broadcast("room:1", 1_u8).unwrap();
///     chat.broadcast(&topic, 2_u8).unwrap();
///     chat.broadcast(topic, 3_u8).unwrap();
///     for number in 1..=3 {
///         assert_eq!(process::recv().await.downcast::<u8>().unwrap(), number);
///     }
/// });
/// ```
pub trait TopicName<K> {
    /// What it is looked up by. The topic can be borrowed as such a key.
    type Key: Hash + Eq + ?Sized;

    /// The key.
    fn key(&self) -> &Self::Key;

    /// The topic itself, for who carries it to other nodes.
    fn to_topic(&self) -> K;
}

impl<K: RegistryKey> TopicName<K> for K {
    type Key = K;

    fn key(&self) -> &K {
        self
    }

    fn to_topic(&self) -> K {
        self.clone()
    }
}

impl<K: RegistryKey> TopicName<K> for &K {
    type Key = K;

    fn key(&self) -> &K {
        self
    }

    fn to_topic(&self) -> K {
        (*self).clone()
    }
}

macro_rules! texts {
    ($($text:ty),*) => { $(
        impl TopicName<$text> for &str {
            type Key = str;

            fn key(&self) -> &str {
                self
            }

            fn to_topic(&self) -> $text {
                (*self).into()
            }
        }
    )* };
}

texts!(String, Box<str>, Arc<str>, Name);

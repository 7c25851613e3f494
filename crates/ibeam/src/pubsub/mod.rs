//! PubSub: messages for all who have subscribed to a topic.
//!
//! # When to use it, and when not
//! Where who speaks does not know who listens: chat rooms, live pages, caches that are to be emptied. Nobody learns whether a message was
//! received, and who subscribes later misses what was sent before; what must arrive is a call, or a job that is stored. To find *one*
//! process by a key use a [`Registry`](crate::registry).
//!
//! ```
//! use ibeam::prelude::*;
//!
//! #[derive(Clone, Debug, PartialEq)]
//! struct Joined {
//!     user: &'static str,
//! }
//!
//! Runtime::new().block_on(async {
//!     let top = Supervisor::new(Strategy::OneForOne).child(PubSub::new("chat"));
//!     let _top = top.start_link().await.unwrap();
//!
//!     let chat = PubSub::named("chat");
//!     chat.subscribe("room:1").unwrap();
//!     chat.broadcast("room:1", Joined { user: "joe" }).unwrap();
//!     let user = receive! { Joined { user } => user };
//!     assert_eq!(user, "joe");
//! });
//! ```
//!
//! A GenServer subscribes in its `init`, and has an `#[info]` function for each type of message.
//!
//! # Topics, messages, metadata
//! Topics are texts unless they are given another type: [`PubSub::typed`]. So is what a subscription carries besides, its metadata, which is
//! nothing by default.
//!
//! A message is any value that can be cloned: each subscriber gets a clone, as a message of its type. One that is large, or expensive to
//! clone, is sent as an [`Arc`](std::sync::Arc), and received as one: `receive! { page: Arc<Page> => … }` shares it.
//!
//! ```
//! use ibeam::prelude::*;
//!
//! #[derive(Clone, Debug, PartialEq, Eq, Hash)]
//! enum Topic {
//!     Room(u64),
//!     Everybody,
//! }
//!
//! Runtime::new().block_on(async {
//!     let chat: PubSub<Topic> = PubSub::typed("chat").start_link().await.unwrap();
//!     chat.subscribe(Topic::Room(7)).unwrap();
//!     chat.subscribe(Topic::Everybody).unwrap();
//!     chat.broadcast(Topic::Room(8), "not for us").unwrap();
//!     chat.broadcast(Topic::Everybody, "good morning").unwrap();
//!     assert_eq!(process::recv().await.downcast::<&str>().unwrap(), "good morning");
//! });
//! ```
//!
//! # Who decides what a subscriber gets
//! A [`Dispatcher`] sees each subscriber with its metadata, and sends what it likes. Without one each subscriber gets the message
//! ([`Deliver`]). It is chosen by who broadcasts: see [`PubSub::through`].
//!
//! # Rules
//! 1. `subscribe` and `unsubscribe` hold when they return. Who is subscribed when a broadcast begins, and until it returns, gets its
//!    message; who is not all that time does not.
//! 2. A broadcast has put its messages into the subscribers' mailboxes, on this node, when it returns. So what one process broadcasts,
//!    whatever the topics, each subscriber gets in that order; between two that broadcast there is none.
//! 3. Who subscribes twice to a topic gets everything twice, until it unsubscribes, from all of them at once.
//! 4. A subscription ends with its process. Before a `Down` of that process arrives anywhere, it is gone.
//! 5. If the process of a partition ends, its subscribers get the exit signal that a link would have brought: nobody goes on
//!    waiting for messages that will not come.
//!
//! # More than one node
//! An [`Adapter`] carries broadcasts to other nodes. Without one ([`Local`]) there are none.
//!
//! # Erlang/OTP
//! Elixir's `Phoenix.PubSub`. Differs: topics, messages and metadata have types; a dispatcher is called for each subscriber, not with the list of
//! a partition; the functions with a `!` are these with `unwrap`.

mod adapter;
mod builder;
mod dispatcher;
mod error;
mod handle;
mod topic_name;

pub use adapter::{Adapter, AdapterOptions, Local, NodeName, Outgoing};
pub use builder::{PoolSizeError, PubSubBuilder, StartPubSub};
pub use dispatcher::{Deliver, Dispatcher};
pub use error::{BroadcastError, SubscribeError};
pub use handle::{PubSub, Through};
pub use topic_name::TopicName;

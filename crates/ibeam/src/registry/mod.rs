//! Registry: processes by key, for as long as they live.
//!
//! # When to use it, and when not
//! For processes that come and go and are found by something the program knows: a room by its number, a connection by its user
//! ([`unique`](Registry::unique)), or all who want to hear of a topic ([`duplicate`](Registry::duplicate)). For a handful
//! of processes that are always there, names of the runtime ([`Start::name`](crate::Start::name)) do. It is no store for data: an entry
//! goes with its process.
//!
//! ```
//! use ibeam::prelude::*;
//!
//! struct Room;
//!
//! #[gen_server]
//! impl Room {
//!     async fn init((): ()) -> Init<Self> {
//!         Init::ok(Room)
//!     }
//!
//!     #[call]
//!     async fn greet(&mut self, who: String) -> String {
//!         format!("hello, {who}")
//!     }
//! }
//!
//! Runtime::new().block_on(async {
//!     let rooms = Registry::<u32, ()>::unique("rooms").start_link().await.unwrap();
//!     Room::start_link(()).name(rooms.via(7_u32)).await.unwrap();
//!
//!     // Anywhere else, also after restarts of the room and of the registry:
//!     let rooms = Registry::<u32, ()>::named("rooms");
//!     let room = ServerRef::<Room>::via(&rooms, 7_u32);
//!     assert_eq!(room.greet("Joe".into()).await.unwrap(), "hello, Joe");
//!     assert_eq!(rooms.whereis(&7), room.pid());
//!     assert_eq!(rooms.whereis(&8), None);
//! });
//! ```
//!
//! # Many under one key
//! ```
//! # use ibeam::prelude::*;
//! # Runtime::new().block_on(async {
//! let topics = Registry::<&'static str, u8>::duplicate("topics").start_link().await.unwrap();
//! topics.register("news", 1).unwrap();
//! topics.dispatch(&"news", |pid, _importance| pid.send("something new"));
//! assert_eq!(process::recv().await.downcast::<&str>().unwrap(), "something new");
//! # });
//! ```
//!
//! # What holds
//! 1. A process has its entries until it unregisters or ends. At its end it lets go of them itself, before its links and
//!    monitors fire: who has heard of the end finds no entry, and finds the key free.
//! 2. A process that is ending does not block a key either: who registers it meanwhile gets it.
//! 3. Looking up, matching, selecting and dispatching take no lock, and closures run under none. What is never taken away is
//!    always found.
//! 4. A registry has a process per partition. If it ends, those who had registered in it lose their entries, and get the exit
//!    signal that a link would send: they end, unless they trap exits, and their supervisors start them again.
//! 5. A value whose type has a destructor is dropped when its entry goes, or when the last look at it ends. Any other, and the memory
//!    of the first, may stay until others take its place.
//! 6. Where a key is only looked up it can be anything that the key can be borrowed as, a `&str` for a `String`.
//! 7. A handle is by name: it finds the registry again after a restart, empty.
//!
//! # Erlang/OTP
//! Elixir's `Registry`. Differs:
//! - owner and partition are not linked. The exit signal is the same, with the partition's pid as its sender, but
//!   [`unlink`](crate::process::unlink) does not hold it off, and [`info`](crate::process::info) shows no link;
//! - the end of a partition concerns the owners in it alone, with unique keys too, where all partitions restart there;
//! - reading a registry that does not run finds nothing, where the caller exits there;
//! - keys and values have types, and closures take the place of patterns, guards and match specifications;
//! - listeners are not told of entries that go with a partition.

mod any_key;
mod builder;
mod cell;
mod core;
mod duplicate;
mod error;
mod event;
mod handle;
mod held;
mod index;
mod list;
mod lock;
mod meta;
mod store;
mod stored;
mod unique;
mod via;

use std::fmt::Debug;
use std::hash::Hash;

pub use builder::{RegistryBuilder, RegistryPartitionsError, StartRegistry};
pub use duplicate::{Duplicate, PartitionBy};
pub use error::RegisterError;
pub use event::RegistryEvent;
pub use handle::Registry;
pub use unique::Unique;
pub use via::WithValue;

/// What can be a key of a [`Registry`]: implemented for all types that fit.
pub trait RegistryKey: Clone + Debug + Eq + Hash + Send + Sync + 'static {}

impl<K: Clone + Debug + Eq + Hash + Send + Sync + 'static> RegistryKey for K {}

/// What can be a value of a [`Registry`]: implemented for all types that fit.
pub trait RegistryValue: Clone + Send + Sync + 'static {}

impl<V: Clone + Send + Sync + 'static> RegistryValue for V {}

/// A registry in which a key has any number of entries.
pub type DuplicateRegistry<K, V> = Registry<K, V, Duplicate>;

/// How many entries a key may have: [`Unique`] or [`Duplicate`].
pub trait Keys: store::Stores {}

//! Registry: processes by key.

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

/// How many entries a key may have: [`Unique`] or [`Duplicate`].
pub trait Keys: store::Stores {}

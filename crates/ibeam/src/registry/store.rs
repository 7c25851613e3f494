//! What differs between unique and duplicate keys: where the entries of a key are.

use std::borrow::Borrow;
use std::hash::Hash;

use foldhash::fast::FixedState;
use ibeam_runtime::Pid;

use super::stored::Stored;
use super::{RegistryKey, RegistryValue};

/// How entries are stored, by key. Functions instead of methods, so that a store is `Send` whatever the keys are: a bound of
/// keys that live for ever would keep those who hold a `Registry<&'static str, _>` across an await from being spawned.
pub trait Stores: Sized + Send + Sync + 'static {
    /// The entries of a registry.
    type Store<K: Send + Sync, V: Send + Sync>: Send + Sync;

    /// What the owner remembers of an entry, to find it again.
    type Mark: PartialEq + Send + Sync + 'static;

    /// `by_key`: entries with the same key are in one partition, not in that of their owner.
    fn store<K: RegistryKey, V: RegistryValue>(
        hasher: &FixedState,
        partitions: usize,
        by_key: bool,
    ) -> Self::Store<K, V>;

    /// Adds an entry; `partition` is the owner's. The key comes back if another process has it.
    fn insert<K: RegistryKey, V: RegistryValue>(
        store: &Self::Store<K, V>,
        key: K,
        partition: usize,
        pid: Pid,
        value: &Stored<V>,
    ) -> Result<Inserted<Self::Mark>, Refused<K>>;

    /// Takes an entry away. `false`: it was not there any more.
    fn remove<K: RegistryKey, V: RegistryValue>(
        store: &Self::Store<K, V>,
        key: &K,
        partition: usize,
        pid: Pid,
        mark: &Self::Mark,
    ) -> bool;

    /// Calls `f` for each entry of a key, under no lock.
    fn for_each<K, V, Q>(store: &Self::Store<K, V>, key: &Q, f: impl FnMut(Pid, &V))
    where
        K: RegistryKey + Borrow<Q>,
        V: RegistryValue,
        Q: Hash + Eq + ?Sized;

    /// Calls `f` for each entry, under no lock.
    fn for_all<K: RegistryKey, V: RegistryValue>(store: &Self::Store<K, V>, f: impl FnMut(&K, Pid, &V));

    /// Which of the process' own entries of this key have a value that is `right`?
    fn find<K, V, Q>(
        store: &Self::Store<K, V>,
        key: &Q,
        partition: usize,
        pid: Pid,
        right: impl FnMut(&V) -> bool,
    ) -> Vec<Self::Mark>
    where
        K: RegistryKey + Borrow<Q>,
        V: RegistryValue,
        Q: Hash + Eq + ?Sized;
}

/// An entry was added.
pub struct Inserted<M> {
    pub(super) mark: M,
    /// Who had the key, and is dead.
    pub(super) instead_of: Option<Pid>,
}

/// Another process, or this one, has the key.
pub struct Refused<K> {
    pub(super) key: K,
    pub(super) by: Pid,
}

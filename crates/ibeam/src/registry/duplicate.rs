//! Registries with duplicate keys: a key has any number of entries, of one process or of many.

use std::borrow::Borrow;
use std::future::{Future, IntoFuture};
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use foldhash::fast::FixedState;
use ibeam_runtime::{ExitReason, Name, Pid, Timeout, process};

use super::index::Index;
use super::list::List;
use super::store::{Inserted, Refused, Stores};
use super::stored::Stored;
use super::{Keys, Registry, RegistryBuilder, RegistryKey, RegistryValue};

/// A key has any number of entries: [`Registry::duplicate`].
#[derive(Clone, Copy, Debug)]
pub enum Duplicate {}

impl Keys for Duplicate {}

/// In which partition of a registry with duplicate keys an entry is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PartitionBy {
    /// In its owner's. A key with many entries is spread over all partitions: processes that register under it at the same
    /// time do not get in each other's way, and [`dispatch_parallel`](Registry::dispatch_parallel) has something to divide.
    #[default]
    Pid,
    /// In the key's: all its entries are in one. For many keys with few entries each: one place to look.
    Key,
}

/// The lists of the keys: one index per partition; by key only one, which spreads its keys by itself.
type Indexes<K, V> = Box<[Index<K, Arc<List<V>>>]>;

fn index_of<K, V>(indexes: &Indexes<K, V>, partition: usize) -> &Index<K, Arc<List<V>>> {
    indexes.get(partition).unwrap_or(&indexes[0])
}

/// The lists with entries of this key, one per index at most. They can be walked while they change.
fn lists<K, V, Q>(indexes: &Indexes<K, V>, key: &Q) -> impl Iterator<Item = Arc<List<V>>>
where
    K: RegistryKey + Borrow<Q>,
    V: RegistryValue,
    Q: Hash + Eq + ?Sized,
{
    indexes.iter().filter_map(|index| index.peek(key, Arc::clone))
}

impl Stores for Duplicate {
    type Store<K: Send + Sync, V: Send + Sync> = Indexes<K, V>;
    type Mark = u64;

    fn store<K: RegistryKey, V: RegistryValue>(
        hasher: &FixedState,
        partitions: usize,
        by_key: bool,
    ) -> Indexes<K, V> {
        let indexes = if by_key { 1 } else { partitions };
        (0..indexes).map(|_| Index::new(hasher)).collect()
    }

    fn insert<K: RegistryKey, V: RegistryValue>(
        indexes: &Indexes<K, V>,
        key: K,
        partition: usize,
        pid: Pid,
        value: &Stored<V>,
    ) -> Result<Inserted<u64>, Refused<K>> {
        let index = index_of(indexes, partition);
        let mut key = key;
        let mark = loop {
            match index.peek(&key, Arc::clone) {
                Some(list) => {
                    let replace = |next| lead(index, &key, &list, Some(next));
                    if let Some(number) = list.push(pid, value, replace) {
                        break number;
                    }
                }
                None => {
                    let (list, number) = List::new(pid, value.clone());
                    match index.insert(key, Arc::new(list)) {
                        Ok(()) => break number,
                        Err((back, _)) => key = back,
                    }
                }
            }
        };
        Ok(Inserted { mark, instead_of: None })
    }

    fn remove<K: RegistryKey, V: RegistryValue>(
        indexes: &Indexes<K, V>,
        key: &K,
        partition: usize,
        _: Pid,
        number: &u64,
    ) -> bool {
        let index = index_of(indexes, partition);
        while let Some(list) = index.peek(key, Arc::clone) {
            if list.remove(*number, |next| lead(index, key, &list, next)) {
                return true;
            }
        }
        false
    }

    fn for_each<K, V, Q>(indexes: &Indexes<K, V>, key: &Q, mut f: impl FnMut(Pid, &V))
    where
        K: RegistryKey + Borrow<Q>,
        V: RegistryValue,
        Q: Hash + Eq + ?Sized,
    {
        lists(indexes, key).for_each(|list| list.for_each(&mut f));
    }

    fn for_all<K: RegistryKey, V: RegistryValue>(indexes: &Indexes<K, V>, mut f: impl FnMut(&K, Pid, &V)) {
        for index in indexes {
            index.for_each(|key, list| list.for_each(|pid, value| f(key, pid, value)));
        }
    }

    fn find<K, V, Q>(
        indexes: &Indexes<K, V>,
        key: &Q,
        partition: usize,
        pid: Pid,
        mut right: impl FnMut(&V) -> bool,
    ) -> Vec<u64>
    where
        K: RegistryKey + Borrow<Q>,
        V: RegistryValue,
        Q: Hash + Eq + ?Sized,
    {
        let mut found = Vec::new();
        if let Some(list) = index_of(indexes, partition).peek(key, Arc::clone) {
            list.for_each_numbered(|number, owner, value| {
                if owner == pid && right(value) {
                    found.push(number);
                }
            });
        }
        found
    }
}

/// Lets the key lead to `next` instead of `list`, whose writer calls this: so nobody else does it.
fn lead<K: RegistryKey, V: RegistryValue>(
    index: &Index<K, Arc<List<V>>>,
    key: &K,
    list: &Arc<List<V>>,
    next: Option<List<V>>,
) {
    let this = |other: &Arc<List<V>>| Arc::ptr_eq(other, list);
    let led = match next {
        Some(next) => index.replace_if(key, Arc::new(next), this).is_ok(),
        None => index.remove_if(key, this),
    };
    debug_assert!(led, "a list that is not retired is the one that its key leads to");
}

impl<K: RegistryKey, V: RegistryValue> Registry<K, V> {
    /// A registry in which a key has any number of entries.
    ///
    /// # Erlang/OTP
    /// `keys: :duplicate`.
    pub fn duplicate(name: impl Into<Name>) -> RegistryBuilder<K, V, Duplicate> {
        RegistryBuilder::new(name.into())
    }
}

impl<K: RegistryKey, V: RegistryValue> RegistryBuilder<K, V, Duplicate> {
    /// In which partition an entry is. Default: [`PartitionBy::Pid`].
    ///
    /// # Erlang/OTP
    /// `keys: {:duplicate, :pid}` and `keys: {:duplicate, :key}`.
    pub fn partition_by(mut self, by: PartitionBy) -> Self {
        self.plan.by_key = by == PartitionBy::Key;
        self
    }
}

impl<K: RegistryKey, V: RegistryValue> Registry<K, V, Duplicate> {
    /// The entries of a key: in the order of registration within a partition, and partition after partition.
    ///
    /// Takes no lock. Entries that come or go meanwhile are among them or not.
    ///
    /// # Erlang/OTP
    /// `Registry.lookup/2`.
    #[must_use]
    pub fn lookup<Q>(&self, key: &Q) -> Vec<(Pid, V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut found = Vec::new();
        self.dispatch(key, |pid, value| found.push((pid, value.clone())));
        found
    }

    /// As [`dispatch`](Self::dispatch), each partition in a process of its own. Returns when all of them are done.
    ///
    /// With a single partition, or [by key](PartitionBy::Key), there is nothing to divide and no process is started.
    ///
    /// # Errors
    /// The reason with which one of the processes ended: `f` panicked or exited there. The others have done theirs.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting, not the processes.
    ///
    /// # Erlang/OTP
    /// `Registry.dispatch/4` with `parallel: true`. Differs: the processes are not linked to the caller, who gets an error where
    /// it would exit.
    pub async fn dispatch_parallel<Q, F>(&self, key: &Q, f: F) -> Result<(), ExitReason>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        F: Fn(Pid, &V) + Send + Sync + 'static,
    {
        let lists: Vec<_> =
            self.with_core(|core| lists(&core.entries.store, key).collect()).unwrap_or_default();
        if lists.len() < 2 {
            lists.into_iter().for_each(|list| list.for_each(&f));
            return Ok(());
        }
        let f = Arc::new(f);
        let mut parts: Vec<_> = lists
            .into_iter()
            .map(|list| {
                let f = Arc::clone(&f);
                let part = process::spawn(async move {
                    // Asked first: so a panic ends the call with its reason.
                    let asked = process::recv().await.take_call::<Go, ()>();
                    list.for_each(&*f);
                    if let Ok((Go, caller)) = asked {
                        caller.reply(());
                    }
                });
                Some(process::Call::<Go, ()>::new(part, Go).timeout(Timeout::Infinity).into_future())
            })
            .collect();
        let mut outcome = Ok(());
        std::future::poll_fn(|cx| {
            for part in &mut parts {
                let Some(call) = part else { continue };
                let Poll::Ready(replied) = pin!(call).poll(cx) else { continue };
                *part = None;
                if let Err(error) = replied {
                    outcome = std::mem::replace(&mut outcome, Ok(())).and(Err(error.into_exit_reason()));
                }
            }
            if parts.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        outcome
    }
}

/// A part of a parallel dispatch is to begin; answered when it is done.
struct Go;

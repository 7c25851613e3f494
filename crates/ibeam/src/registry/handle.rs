//! What one asks of a registry.

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use ibeam_runtime::{Name, Pid, process};

use super::cell::Cell;
use super::core::{Core, Entries};
use super::{Keys, RegisterError, RegistryKey, RegistryValue, Unique};

/// A registry, by name. Cheap to clone; finds whichever run of the registry there is at each use, so such a handle outlives
/// restarts. `M` is [`Unique`] or [`Duplicate`](super::Duplicate).
///
/// Reading works from anywhere. What registers or unregisters does so for the calling process, and panics outside of one. A registry
/// that does not run has no entries.
///
/// # Erlang/OTP
/// Elixir's `Registry`. Differs: asking a registry that does not run is no error there where the answer is "nothing"; `register` gives
/// one.
pub struct Registry<K: RegistryKey, V: RegistryValue, M: Keys = Unique> {
    cell: Arc<Cell<K, V, M>>,
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> Clone for Registry<K, V, M> {
    fn clone(&self) -> Self {
        Self { cell: Arc::clone(&self.cell) }
    }
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> fmt::Debug for Registry<K, V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.cell.name).finish()
    }
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> Registry<K, V, M> {
    /// The registry of this name in the current runtime, with these types of keys and values, whenever it runs.
    #[must_use]
    pub fn named(name: impl Into<Name>) -> Self {
        Self { cell: Cell::of(name.into()) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.cell.name
    }

    /// The run that there is, to be used for long.
    pub(super) fn core(&self) -> Option<Core<K, V, M>> {
        self.cell.with(Core::clone)
    }

    /// The entries that there are, to be used for long.
    fn entries(&self) -> Option<Arc<Entries<K, V, M>>> {
        self.cell.with(|core| Arc::clone(&core.entries))
    }

    /// The run that there is, for a quick look.
    #[inline]
    pub(super) fn with_core<R>(&self, f: impl FnOnce(&Core<K, V, M>) -> R) -> Option<R> {
        self.cell.with(f)
    }

    /// Registers the calling process under a key. Gives the pid of the process of its partition, with which the process is
    /// bound: if that process ends, the calling process loses its entries and gets the exit signal that a link would send.
    ///
    /// # Errors
    /// See [`RegisterError`].
    ///
    /// # Panics
    /// Outside of a process.
    ///
    /// # Erlang/OTP
    /// `Registry.register/3`. Differs: the process and the partition's are not linked, see the [module](super).
    #[track_caller]
    pub fn register(&self, key: K, value: V) -> Result<Pid, RegisterError<K>> {
        self.register_for(process::self_pid(), key, value)
    }

    pub(super) fn register_for(&self, pid: Pid, key: K, value: V) -> Result<Pid, RegisterError<K>> {
        let mut entry = Some((key, value));
        let registered = self.with_core(|core| {
            let (key, value) = entry.take()?;
            Some(core.register(key, value, pid))
        });
        registered
            .flatten()
            .unwrap_or_else(|| Err(RegisterError::NotRunning { registry: self.cell.name.clone() }))
    }

    /// Takes away all entries that the calling process has under a key. Does nothing if there is none.
    ///
    /// # Panics
    /// Outside of a process.
    ///
    /// # Erlang/OTP
    /// `Registry.unregister/2`.
    #[track_caller]
    pub fn unregister<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let pid = process::self_pid();
        self.with_core(|core| core.unregister(key, pid, None));
    }

    /// Takes away those entries that the calling process has under a key whose values are `wanted`, which is called under no lock.
    ///
    /// # Panics
    /// Outside of a process.
    ///
    /// # Erlang/OTP
    /// `Registry.unregister_match/4`, with a closure for pattern and guards.
    #[track_caller]
    pub fn unregister_match<Q>(&self, key: &Q, wanted: impl FnMut(&V) -> bool)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let pid = process::self_pid();
        if let Some(core) = self.core() {
            let marks = core.find(key, pid, wanted);
            core.unregister(key, pid, Some(&marks));
        }
    }

    /// Calls `f` for each entry of a key.
    ///
    /// No lock is held meanwhile, so `f` may do anything but wait: send, register, unregister. Entries that come or go meanwhile
    /// are met or not.
    ///
    /// # Erlang/OTP
    /// `Registry.dispatch/4`. Differs: `f` is called for each entry, not for each partition's list.
    pub fn dispatch<Q>(&self, key: &Q, f: impl FnMut(Pid, &V))
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if let Some(entries) = self.entries() {
            M::for_each(&entries.store, key, f);
        }
    }

    /// The keys that a process has, each as often as it has registered it. In the order of registration as long as they are
    /// few and none has been taken away. Locks the owners in a part of a partition while it copies.
    ///
    /// # Erlang/OTP
    /// `Registry.keys/2`.
    #[must_use]
    pub fn keys(&self, pid: Pid) -> Vec<K> {
        self.with_core(|core| core.change(pid, |held| held.keys())).flatten().unwrap_or_default()
    }

    /// The values that a process has registered under a key, in the order of registration.
    ///
    /// # Erlang/OTP
    /// `Registry.values/3`.
    #[must_use]
    pub fn values<Q>(&self, key: &Q, pid: Pid) -> Vec<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut values = Vec::new();
        self.dispatch(key, |owner, value| {
            if owner == pid {
                values.push(value.clone());
            }
        });
        values
    }

    /// The entries of a key with values that are `wanted`, in the order of [`dispatch`](Self::dispatch).
    ///
    /// # Erlang/OTP
    /// `Registry.match/4`, with a closure for pattern and guards.
    #[doc(alias = "match")]
    #[must_use]
    pub fn matching<Q>(&self, key: &Q, mut wanted: impl FnMut(&V) -> bool) -> Vec<(Pid, V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut found = Vec::new();
        self.dispatch(key, |pid, value| {
            if wanted(value) {
                found.push((pid, value.clone()));
            }
        });
        found
    }

    /// How many entries of a key have values that are `wanted`.
    ///
    /// # Erlang/OTP
    /// `Registry.count_match/4`.
    #[must_use]
    pub fn count_match<Q>(&self, key: &Q, mut wanted: impl FnMut(&V) -> bool) -> usize
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut count = 0;
        self.dispatch(key, |_, value| count += usize::from(wanted(value)));
        count
    }

    /// What `pick` makes of the entries, of all keys, in no order. Looks at every entry.
    ///
    /// # Erlang/OTP
    /// `Registry.select/2`, with a closure for the match specification.
    #[must_use]
    pub fn select<T>(&self, mut pick: impl FnMut(&K, Pid, &V) -> Option<T>) -> Vec<T> {
        let mut picked = Vec::new();
        if let Some(entries) = self.entries() {
            M::for_all(&entries.store, |key, pid, value| picked.extend(pick(key, pid, value)));
        }
        picked
    }

    /// How many entries, of all keys, are `wanted`. Looks at every entry.
    ///
    /// # Erlang/OTP
    /// `Registry.count_select/2`.
    #[must_use]
    pub fn count_select(&self, mut wanted: impl FnMut(&K, Pid, &V) -> bool) -> usize {
        let mut count = 0;
        if let Some(entries) = self.entries() {
            M::for_all(&entries.store, |key, pid, value| count += usize::from(wanted(key, pid, value)));
        }
        count
    }

    /// How many entries there are.
    ///
    /// # Erlang/OTP
    /// `Registry.count/1`.
    #[must_use]
    pub fn count(&self) -> usize {
        self.with_core(Core::count).unwrap_or_default()
    }

    /// Puts a value under a key of the registry itself, until the registry ends. Keys of different types are different keys.
    /// Does nothing if the registry does not run.
    ///
    /// # Erlang/OTP
    /// `Registry.put_meta/3`.
    pub fn put_meta<T: Send + Sync + 'static>(&self, key: impl Hash + Eq + Send + Sync + 'static, value: T) {
        self.with_core(|core| core.entries.meta.put(key, value));
    }

    /// A copy of the value that was put under this key, if it is a `T`. Takes no lock.
    ///
    /// # Erlang/OTP
    /// `Registry.meta/2`.
    #[must_use]
    pub fn meta<T: Clone + 'static>(&self, key: impl Hash + Eq + Send + Sync + 'static) -> Option<T> {
        self.with_core(|core| core.entries.meta.get(&key)).flatten()
    }

    /// Takes the value under this key away.
    ///
    /// # Erlang/OTP
    /// `Registry.delete_meta/2`.
    pub fn delete_meta(&self, key: impl Hash + Eq + Send + Sync + 'static) {
        self.with_core(|core| core.entries.meta.delete(&key));
    }

    /// Runs what `f` gives, in the calling process, while nobody else runs something with an equal lock key in this registry. Those
    /// who wait get their turn in the order in which they came. Lock keys have nothing to do with the registry's keys.
    ///
    /// Who asks for the same lock again in `f` waits for ever.
    ///
    /// # Cancel safety
    /// Dropping the future gives the lock back, or the place in the line.
    ///
    /// # Erlang/OTP
    /// `Registry.lock/3`. Differs: the registry need not run.
    pub async fn lock<F: Future>(
        &self,
        key: impl Hash + Eq + Send + Sync + 'static,
        f: impl FnOnce() -> F,
    ) -> F::Output {
        self.cell.locks.with(key, f).await
    }
}

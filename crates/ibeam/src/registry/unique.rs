//! Registries with unique keys: each key has one process.

use foldhash::fast::FixedState;
use ibeam_runtime::__private::may_keep;
use ibeam_runtime::Pid;
use ibeam_runtime::process;

use super::index::Index;
use super::store::{Inserted, Stores, Taken};
use super::stored::Stored;
use super::{Keys, Registry, RegistryBuilder, RegistryKey, RegistryValue};

/// Each key has one process: [`Registry::unique`].
#[derive(Clone, Copy, Debug)]
pub enum Unique {}

impl Keys for Unique {}

/// The entry of a key.
pub struct Entry<V> {
    pid: Pid,
    value: Stored<V>,
}

impl Stores for Unique {
    type Store<K: Send + Sync, V: Send + Sync> = Index<K, Entry<V>>;
    type Mark = ();

    fn store<K: RegistryKey, V: RegistryValue>(hasher: &FixedState, _: usize, _: bool) -> Index<K, Entry<V>> {
        Index::new(hasher)
    }

    fn insert<K: RegistryKey, V: RegistryValue>(
        index: &Index<K, Entry<V>>,
        key: K,
        _: usize,
        pid: Pid,
        value: &Stored<V>,
    ) -> Result<Inserted<()>, Taken<K>> {
        let (mut key, mut entry) = (key, Entry { pid, value: value.clone() });
        loop {
            (key, entry) = match index.insert(key, entry) {
                Ok(()) => return Ok(Inserted { mark: (), instead_of: None }),
                Err(both) => both,
            };
            let Some(by) = index.peek(&key, |entry| entry.pid) else { continue };
            // A process that has not come to its entries yet, on its way out, does not block the name.
            if may_keep(by) {
                return Err(Taken { key, by });
            }
            entry = match index.replace_if(&key, entry, |entry| entry.pid == by) {
                Ok(()) => return Ok(Inserted { mark: (), instead_of: Some(by) }),
                Err(entry) => entry,
            };
        }
    }

    fn remove<K: RegistryKey, V: RegistryValue>(
        index: &Index<K, Entry<V>>,
        key: &K,
        _: usize,
        pid: Pid,
        _: &(),
    ) -> bool {
        index.remove_if(key, |entry| entry.pid == pid)
    }

    fn for_each<K: RegistryKey, V: RegistryValue>(
        index: &Index<K, Entry<V>>,
        key: &K,
        mut f: impl FnMut(Pid, &V),
    ) {
        index.peek(key, |entry| entry.value.with(|value| f(entry.pid, value)));
    }

    fn for_all<K: RegistryKey, V: RegistryValue>(index: &Index<K, Entry<V>>, mut f: impl FnMut(&K, Pid, &V)) {
        index.for_each(|key, entry| {
            entry.value.with(|value| f(key, entry.pid, value));
        });
    }

    fn find<K: RegistryKey, V: RegistryValue>(
        index: &Index<K, Entry<V>>,
        key: &K,
        _: usize,
        pid: Pid,
        right: impl FnMut(&V) -> bool,
    ) -> Vec<()> {
        let own = |entry: &Entry<V>| (entry.pid == pid).then(|| entry.value.with(right)).flatten();
        Vec::from_iter(index.peek(key, own).flatten().filter(|right| *right).map(|_| ()))
    }
}

#[inline]
fn get<K: RegistryKey, V: RegistryValue, R>(
    index: &Index<K, Entry<V>>,
    key: &K,
    read: impl FnOnce(Pid, &V) -> R,
) -> Option<R> {
    index.peek(key, |entry| entry.value.with(|value| read(entry.pid, value))).flatten()
}

impl<K: RegistryKey, V: RegistryValue> Registry<K, V> {
    /// A registry in which each key has one process.
    ///
    /// # Erlang/OTP
    /// `keys: :unique`.
    pub fn unique(name: impl Into<ibeam_runtime::Name>) -> RegistryBuilder<K, V> {
        RegistryBuilder::new(name.into())
    }

    /// Whose key this is, with the value that it was registered with.
    ///
    /// Takes no lock. A process is found until it has let go of its entries at its end, which is before anybody hears of
    /// that end.
    ///
    /// # Erlang/OTP
    /// `Registry.lookup/2`.
    #[must_use]
    pub fn lookup(&self, key: &K) -> Option<(Pid, V)> {
        self.lookup_with(key, |pid, value| (pid, value.clone()))
    }

    /// As [`lookup`](Self::lookup), with a look at the value instead of a copy. `read` is called at most once, under no lock.
    pub fn lookup_with<R>(&self, key: &K, read: impl FnOnce(Pid, &V) -> R) -> Option<R> {
        self.with_core(|core| get(&core.store, key, read)).flatten()
    }

    /// Whose key this is.
    ///
    /// # Erlang/OTP
    /// `Registry.whereis_name/1`.
    #[must_use]
    pub fn whereis(&self, key: &K) -> Option<Pid> {
        self.lookup_with(key, |pid, _| pid)
    }

    /// Gives the calling process' own entry another value; returns the new one and the former. `None`: it has not
    /// registered this key. `update` is called once, under no lock.
    ///
    /// # Panics
    /// Outside of a process.
    ///
    /// # Erlang/OTP
    /// `Registry.update_value/3`. There is none for duplicate keys.
    #[track_caller]
    pub fn update_value(&self, key: &K, update: impl FnOnce(&V) -> V) -> Option<(V, V)> {
        let pid = process::self_pid();
        let core = self.core()?;
        let former = get(&core.store, key, |owner, value| (owner == pid).then(|| value.clone())).flatten()?;
        let new = update(&former);
        let (value, strong) = Stored::new(new.clone());
        let updated = core.change(pid, |held| {
            let registration = held.find(key)?;
            let entry = Entry { pid, value };
            core.store.replace_if(key, entry, |entry| entry.pid == pid).ok()?;
            Some(std::mem::replace(&mut registration.strong, strong))
        });
        // The former value is dropped here, under no lock.
        updated.flatten().map(|_| (new, former))
    }
}

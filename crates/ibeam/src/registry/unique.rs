//! Registries with unique keys: each key has one process.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Weak;

use foldhash::fast::FixedState;
use ibeam_runtime::__private::may_keep;
use ibeam_runtime::Pid;
use ibeam_runtime::process;

use super::index::Index;
use super::store::{Inserted, Refused, Stores};
use super::stored::Stored;
use super::{Keys, Registry, RegistryBuilder, RegistryKey, RegistryValue};

/// Each key has one process: [`Registry::unique`].
#[derive(Clone, Copy, Debug)]
pub enum Unique {}

impl Keys for Unique {}

/// The entries of a registry. Those of one registry all stand in the same index, which the type of its values decides: an entry then has
/// no more than it needs, and a table that grows has fewer pages to fill.
pub struct Entries<K, V> {
    plain: Index<K, Entry<V>>,
    lent: Index<K, Entry<Weak<V>>>,
}

/// The entry of a key.
struct Entry<T> {
    pid: Pid,
    value: T,
}

impl<K: RegistryKey, V: RegistryValue> Entries<K, V> {
    /// A look at the entry of a key. `None`: there is none.
    #[inline]
    fn get<Q, R>(&self, key: &Q, read: impl FnOnce(Pid, &V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if Stored::<V>::IS_LENT {
            self.lent.peek(key, |entry| Some(read(entry.pid, &*entry.value.upgrade()?))).flatten()
        } else {
            self.plain.peek(key, |entry| read(entry.pid, &entry.value))
        }
    }

    /// Whose entry this is.
    fn owner(&self, key: &K) -> Option<Pid> {
        if Stored::<V>::IS_LENT {
            self.lent.peek(key, |entry| entry.pid)
        } else {
            self.plain.peek(key, |entry| entry.pid)
        }
    }

    /// Adds an entry, where there is none; otherwise the key comes back.
    fn insert(&self, key: K, pid: Pid, value: &Stored<V>) -> Result<(), K> {
        match value {
            Stored::Plain(value) => {
                self.plain.insert(key, Entry { pid, value: value.clone() }).map_err(|(key, _)| key)
            }
            Stored::Lent(value) => {
                self.lent.insert(key, Entry { pid, value: value.clone() }).map_err(|(key, _)| key)
            }
        }
    }

    /// Puts an entry in the place of the one that `former` has.
    fn replace<Q>(&self, key: &Q, former: Pid, pid: Pid, value: &Stored<V>) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match value {
            Stored::Plain(value) => {
                let entry = Entry { pid, value: value.clone() };
                self.plain.replace_if(key, entry, |entry| entry.pid == former).is_ok()
            }
            Stored::Lent(value) => {
                let entry = Entry { pid, value: value.clone() };
                self.lent.replace_if(key, entry, |entry| entry.pid == former).is_ok()
            }
        }
    }
}

impl Stores for Unique {
    type Store<K: Send + Sync, V: Send + Sync> = Entries<K, V>;
    type Mark = ();

    fn store<K: RegistryKey, V: RegistryValue>(hasher: &FixedState, _: usize, _: bool) -> Entries<K, V> {
        Entries { plain: Index::new(hasher), lent: Index::new(hasher) }
    }

    fn insert<K: RegistryKey, V: RegistryValue>(
        entries: &Entries<K, V>,
        key: K,
        _: usize,
        pid: Pid,
        value: &Stored<V>,
    ) -> Result<Inserted<()>, Refused<K>> {
        let mut key = key;
        loop {
            match entries.insert(key, pid, value) {
                Ok(()) => return Ok(Inserted { mark: (), instead_of: None }),
                Err(back) => key = back,
            }
            let Some(by) = entries.owner(&key) else { continue };
            // A process that has not come to its entries yet, on its way out, does not block the name.
            if may_keep(by) {
                return Err(Refused { key, by });
            }
            if entries.replace(&key, by, pid, value) {
                return Ok(Inserted { mark: (), instead_of: Some(by) });
            }
        }
    }

    fn remove<K: RegistryKey, V: RegistryValue>(
        entries: &Entries<K, V>,
        key: &K,
        _: usize,
        pid: Pid,
        _: &(),
    ) -> bool {
        if Stored::<V>::IS_LENT {
            entries.lent.remove_if(key, |entry| entry.pid == pid)
        } else {
            entries.plain.remove_if(key, |entry| entry.pid == pid)
        }
    }

    fn for_each<K, V, Q>(entries: &Entries<K, V>, key: &Q, f: impl FnMut(Pid, &V))
    where
        K: RegistryKey + Borrow<Q>,
        V: RegistryValue,
        Q: Hash + Eq + ?Sized,
    {
        entries.get(key, f);
    }

    fn for_all<K: RegistryKey, V: RegistryValue>(entries: &Entries<K, V>, mut f: impl FnMut(&K, Pid, &V)) {
        if Stored::<V>::IS_LENT {
            entries.lent.for_each(|key, entry| {
                if let Some(value) = entry.value.upgrade() {
                    f(key, entry.pid, &value);
                }
            });
        } else {
            entries.plain.for_each(|key, entry| f(key, entry.pid, &entry.value));
        }
    }

    fn find<K, V, Q>(
        entries: &Entries<K, V>,
        key: &Q,
        _: usize,
        pid: Pid,
        mut right: impl FnMut(&V) -> bool,
    ) -> Vec<()>
    where
        K: RegistryKey + Borrow<Q>,
        V: RegistryValue,
        Q: Hash + Eq + ?Sized,
    {
        let found = entries.get(key, |owner, value| owner == pid && right(value));
        Vec::from_iter(found.filter(|right| *right).map(|_| ()))
    }
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
    pub fn lookup<Q>(&self, key: &Q) -> Option<(Pid, V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.lookup_with(key, |pid, value| (pid, value.clone()))
    }

    /// As [`lookup`](Self::lookup), with a look at the value instead of a copy. `read` is called at most once, under no lock.
    pub fn lookup_with<Q, R>(&self, key: &Q, read: impl FnOnce(Pid, &V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.with_core(|core| core.entries.store.get(key, read)).flatten()
    }

    /// Whose key this is.
    ///
    /// # Erlang/OTP
    /// `Registry.whereis_name/1`.
    #[must_use]
    pub fn whereis<Q>(&self, key: &Q) -> Option<Pid>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
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
    pub fn update_value<Q>(&self, key: &Q, update: impl FnOnce(&V) -> V) -> Option<(V, V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let pid = process::self_pid();
        let core = self.core()?;
        let store = &core.entries.store;
        let former = store.get(key, |owner, value| (owner == pid).then(|| value.clone())).flatten()?;
        let new = update(&former);
        let (value, strong) = Stored::new(new.clone());
        let updated = core.change(pid, |held| {
            let registration = held.find(key)?;
            store.replace(key, pid, pid, &value).then(|| std::mem::replace(&mut registration.strong, strong))
        });
        // The former value is dropped here, under no lock.
        updated.flatten().map(|_| (new, former))
    }
}

//! One run of a registry: its entries, and who has which.
//!
//! # Invariants
//! 1. An entry is in the [store](super::store) only while its owner's shard knows of it: both change under the lock of that shard when
//!    it comes, and the owner's side goes first when it goes.
//! 2. An owner that a shard knows of has promised the runtime to let go of its entries at its end
//!    ([`keep`]). So nothing stays of a process that has ended, and nobody is told of the end while something is there.
//! 3. A shard whose partition has no process takes no entries. When a partition's process ends, it takes away the entries of
//!    all owners in it and sends these the exit signal that a link would have sent.
//! 4. No code of the program but the `Clone` of keys, `Hash` and `Eq` runs under a shard's lock; what is taken out is dropped
//!    after it.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use ibeam_runtime::__private::{Keeper, forget, hash_seed, keep, may_keep};
use ibeam_runtime::{ExitReason, Name, Pid, process};
use indexmap::IndexMap;
use parking_lot::Mutex;

use super::builder::Plan;
use super::event::{RegistryEvent, tell};
use super::held::Held;
use super::meta::Meta;
use super::store::{Stores, Taken};
use super::stored::{Stored, Strong};
use super::{Keys, RegisterError, RegistryKey, RegistryValue};

/// See the module.
pub(super) struct Core<K: RegistryKey, V: RegistryValue, M: Keys> {
    pub(super) name: Name,
    pub(super) store: M::Store<K, V>,
    pub(super) meta: Meta,
    listeners: Arc<[Name]>,
    partitions: Box<[Partition<K, V, M>]>,
    hasher: FixedState,
}

type HeldBy<K, V, M> = Held<K, Registration<V, <M as Stores>::Mark>>;

/// What an owner has of one of its entries.
pub(super) struct Registration<V, M> {
    mark: M,
    pub(super) strong: Strong<V>,
}

/// Owners of one partition that are on different workers rarely meet under one lock.
const SHARDS: usize = 8;

type Partition<K, V, M> = [Shard<K, V, M>; SHARDS];

/// Shards of different workers do not share a cache line.
#[repr(align(128))]
struct Shard<K: RegistryKey, V: RegistryValue, M: Keys>(Mutex<Owners<K, V, M>>);

struct Owners<K: RegistryKey, V: RegistryValue, M: Keys> {
    /// The partition's process, while there is one.
    process: Option<Pid>,
    held: IndexMap<Pid, HeldBy<K, V, M>, FixedState>,
    /// How many entries these are.
    count: usize,
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> Core<K, V, M> {
    pub(super) fn new(plan: &Plan, partitions: usize) -> Arc<Self> {
        let hasher = FixedState::with_seed(hash_seed());
        let owners =
            || Owners { process: None, held: IndexMap::with_hasher(FixedState::default()), count: 0 };
        let shards = |_| std::array::from_fn(|_| Shard(Mutex::new(owners())));
        Arc::new(Self {
            name: plan.name.clone(),
            store: M::store(&hasher, partitions, plan.by_key),
            meta: plan.meta.clone(),
            listeners: plan.listeners.clone(),
            partitions: (0..partitions).map(shards).collect(),
            hasher,
        })
    }

    /// The partition of a process and its shard there.
    fn place(&self, pid: Pid) -> (usize, &Mutex<Owners<K, V, M>>) {
        let hash = FixedState::default().hash_one(pid);
        let partition = (hash >> 32) as usize % self.partitions.len();
        (partition, &self.partitions[partition][hash as usize % SHARDS].0)
    }

    /// Registers a process; gives the process of its partition.
    pub(super) fn register(self: &Arc<Self>, key: K, value: V, pid: Pid) -> Result<Pid, RegisterError<K>> {
        let told = (!self.listeners.is_empty()).then(|| (key.clone(), value.clone()));
        let indexed = key.clone();
        let (value, strong) = Stored::new(value);
        let (partition, shard) = self.place(pid);
        let mut owners = shard.lock();
        let Some(process) = owners.process else {
            drop(owners);
            return Err(RegisterError::NotRunning { registry: self.name.clone() });
        };
        let is_new = !owners.held.contains_key(&pid);
        let may = if is_new { keep(pid, Arc::clone(self) as Arc<dyn Keeper>) } else { may_keep(pid) };
        if !may {
            drop(owners);
            return Err(RegisterError::NoProc { registry: self.name.clone(), key, pid });
        }
        let inserted = match M::insert(&self.store, indexed, partition, pid, &value) {
            Ok(inserted) => inserted,
            Err(Taken { key: indexed, by }) => {
                if is_new {
                    self.forget(pid);
                }
                drop((owners, indexed));
                return Err(RegisterError::AlreadyRegistered { registry: self.name.clone(), key, pid: by });
            }
        };
        let registration = Registration { mark: inserted.mark, strong };
        owners.count += 1;
        match owners.held.get_mut(&pid) {
            Some(held) => held.push(key, registration, &self.hasher),
            None => drop(owners.held.insert(pid, Held::one(key, registration))),
        }
        drop(owners);
        if let Some((key, value)) = told {
            if let Some(dead) = inserted.instead_of {
                tell::<K, V>(&self.listeners, || self.gone(key.clone(), dead));
            }
            let registry = &self.name;
            tell(&self.listeners, || RegistryEvent::Registered {
                registry: registry.clone(),
                key: key.clone(),
                pid,
                value: value.clone(),
            });
        }
        Ok(process)
    }

    /// Takes away those entries of a process' key whose marks are `wanted`; all of them for `None`.
    pub(super) fn unregister(self: &Arc<Self>, key: &K, pid: Pid, wanted: Option<&[M::Mark]>) {
        let (partition, shard) = self.place(pid);
        let mut owners = shard.lock();
        let Some(held) = owners.held.get_mut(&pid) else { return };
        let taken = held.take(key, |r| wanted.is_none_or(|wanted| wanted.contains(&r.mark)));
        if held.len() == 0 {
            owners.held.swap_remove(&pid);
            self.forget(pid);
        }
        owners.count -= taken.len();
        drop(owners);
        self.let_go(partition, pid, taken, true);
    }

    /// Which entries of its own a process has under this key, with a value that is `right`.
    pub(super) fn find(&self, key: &K, pid: Pid, right: impl FnMut(&V) -> bool) -> Vec<M::Mark> {
        M::find(&self.store, key, self.place(pid).0, pid, right)
    }

    /// Looks at what a process has registered, under the lock of its shard.
    pub(super) fn change<R>(&self, pid: Pid, f: impl FnOnce(&mut HeldBy<K, V, M>) -> R) -> Option<R> {
        self.place(pid).1.lock().held.get_mut(&pid).map(f)
    }

    /// How many entries there are.
    pub(super) fn count(&self) -> usize {
        let shards = self.partitions.iter().flatten();
        shards.map(|shard| shard.0.lock().count).sum()
    }

    /// What the owner's side does not know any more goes from the store too, and listeners are told.
    fn let_go(&self, partition: usize, pid: Pid, taken: Vec<(K, Registration<V, M::Mark>)>, told: bool) {
        for (key, registration) in taken {
            let removed = M::remove(&self.store, &key, partition, pid, &registration.mark);
            if removed && told {
                tell::<K, V>(&self.listeners, || self.gone(key.clone(), pid));
            }
        }
    }

    fn gone(&self, key: K, pid: Pid) -> RegistryEvent<K, V> {
        RegistryEvent::Unregistered { registry: self.name.clone(), key, pid }
    }

    fn forget(self: &Arc<Self>, pid: Pid) {
        forget(pid, &(Arc::clone(self) as Arc<dyn Keeper>));
    }

    /// The partition has this process now, which calls this, and takes entries as long as the process lives.
    pub(super) fn open(self: &Arc<Self>, partition: usize) {
        let pid = process::self_pid();
        let keeper = PartitionKeeper { core: Arc::clone(self), partition };
        let kept = keep(pid, Arc::new(keeper));
        assert!(kept, "the process runs");
        for shard in &self.partitions[partition] {
            shard.0.lock().process = Some(pid);
        }
    }

    /// The partition's process ends. Takes away at most `limit` entries; `true`: there are more.
    fn close(self: &Arc<Self>, partition: usize, reason: &ExitReason, limit: usize) -> bool {
        let mut left = limit;
        for shard in &self.partitions[partition] {
            loop {
                let mut owners = shard.0.lock();
                owners.process = None;
                let Some((&pid, held)) = owners.held.last_mut() else { break };
                if left == 0 {
                    return true;
                }
                let taken = held.take_some(left);
                left = left.saturating_sub(taken.len().max(1));
                let all = held.len() == 0;
                owners.count -= taken.len();
                if all {
                    owners.held.pop();
                    self.forget(pid);
                }
                drop(owners);
                self.let_go(partition, pid, taken, false);
                if all {
                    process::exit_signal(pid, as_of_a_link(reason));
                }
            }
        }
        false
    }
}

/// An exit signal that nobody can survive does not come through a link.
fn as_of_a_link(reason: &ExitReason) -> ExitReason {
    if *reason == ExitReason::Kill { ExitReason::Killed } else { reason.clone() }
}

/// An owner ends.
impl<K: RegistryKey, V: RegistryValue, M: Keys> Keeper for Core<K, V, M> {
    fn release(&self, pid: Pid, _: &ExitReason, limit: usize) -> bool {
        let (partition, shard) = self.place(pid);
        let mut owners = shard.lock();
        let Some(held) = owners.held.get_mut(&pid) else { return false };
        let taken = held.take_some(limit);
        let more = held.len() > 0;
        if !more {
            owners.held.swap_remove(&pid);
        }
        owners.count -= taken.len();
        drop(owners);
        self.let_go(partition, pid, taken, true);
        more
    }
}

/// What a partition's process promises the runtime.
struct PartitionKeeper<K: RegistryKey, V: RegistryValue, M: Keys> {
    core: Arc<Core<K, V, M>>,
    partition: usize,
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> Keeper for PartitionKeeper<K, V, M> {
    fn release(&self, _: Pid, reason: &ExitReason, limit: usize) -> bool {
        self.core.close(self.partition, reason, limit)
    }
}

//! One run of a registry: its entries, and who has which.
//!
//! # Invariants
//! 1. What an owner has is [kept](ibeam_runtime::__private::Kept) for it by the runtime: so it is let go of at the owner's
//!    end, before anybody is told of that. An entry is in the [store](super::store) only while its owner's side knows of it:
//!    both change under the lock of the owner's place when it comes, and the owner's side goes first when it goes.
//! 2. A partition without a process takes no entries, which is looked at under that same lock. When a partition's process ends,
//!    it goes to the places of all owners in it, takes away their entries and sends them the exit signal that a link would
//!    have sent.
//! 3. No code of the program but `Hash` and `Eq` of keys runs under an owner's lock; what is taken out is dropped after it.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicUsize};

use foldhash::fast::FixedState;
use ibeam_runtime::__private::{Keeper, Keeping, Kept, PidCell, hash_seed, next_kept_by, quietly, slot_of};
use ibeam_runtime::{ExitReason, Name, Pid, process};

use super::builder::Plan;
use super::event::{RegistryEvent, tell};
use super::held::{Held, Taken};
use super::meta::Meta;
use super::store::{Refused, Stores};
use super::stored::{Stored, Strong};
use super::{Keys, RegisterError, RegistryKey, RegistryValue};

/// See the module. Cheap to clone.
pub(super) struct Core<K: RegistryKey, V: RegistryValue, M: Keys> {
    pub(super) entries: Arc<Entries<K, V, M>>,
    partitions: Arc<[Partition<K, V, M>]>,
}

/// The entries by key, and what they need to come and go.
pub(super) struct Entries<K: RegistryKey, V: RegistryValue, M: Keys> {
    pub(super) name: Name,
    pub(super) store: M::Store<K, V>,
    pub(super) meta: Meta,
    listeners: Arc<[Name]>,
    hasher: FixedState,
}

struct Partition<K: RegistryKey, V: RegistryValue, M: Keys> {
    /// Its process, while there is one.
    process: PidCell,
    homes: [HomeOf<K, V, M>; HOMES],
}

type HomeOf<K, V, M> = Arc<Keeping<Home<K, V, M>>>;

/// Who lets go of entries for the owners of a part of a partition.
struct Home<K: RegistryKey, V: RegistryValue, M: Keys> {
    entries: Arc<Entries<K, V, M>>,
    partition: usize,
    /// How many entries its owners have.
    count: AtomicUsize,
    /// Owners on different workers rarely have the same home, and no two homes the same cache line.
    _apart: [u64; 10],
}

const HOMES: usize = 8;
/// So many neighbours have the same home: a worker takes slots for its processes by so many at a time.
const NEIGHBOURS: u32 = 128;

type HeldBy<K, V, M> = Held<K, Registration<V, <M as Stores>::Mark>>;
type TakenFrom<K, V, M> = Taken<K, Registration<V, <M as Stores>::Mark>>;

/// What an owner has of one of its entries.
pub(super) struct Registration<V, M> {
    mark: M,
    pub(super) strong: Strong<V>,
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> Clone for Core<K, V, M> {
    fn clone(&self) -> Self {
        Self { entries: Arc::clone(&self.entries), partitions: Arc::clone(&self.partitions) }
    }
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> Partition<K, V, M> {
    fn home(&self, pid: Pid) -> &HomeOf<K, V, M> {
        &self.homes[(slot_of(pid) / NEIGHBOURS) as usize % HOMES]
    }
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> Core<K, V, M> {
    pub(super) fn new(plan: &Plan, partitions: usize) -> Self {
        let hasher = FixedState::with_seed(hash_seed());
        let entries = Arc::new(Entries {
            name: plan.name.clone(),
            store: M::store(&hasher, partitions, plan.by_key),
            meta: plan.meta.clone(),
            listeners: plan.listeners.clone(),
            hasher,
        });
        let home = |partition| {
            let entries = Arc::clone(&entries);
            Keeping::new(Home { entries, partition, count: AtomicUsize::new(0), _apart: [0; 10] })
        };
        let partition =
            |number| Partition { process: PidCell::default(), homes: std::array::from_fn(|_| home(number)) };
        let partitions = (0..partitions).map(partition).collect();
        Self { entries, partitions }
    }

    /// Are these the same run?
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries)
    }

    fn partition_of(&self, pid: Pid) -> &Partition<K, V, M> {
        if let [only] = &*self.partitions {
            return only;
        }
        let hash = FixedState::default().hash_one(pid);
        &self.partitions[(hash >> 32) as usize % self.partitions.len()]
    }

    /// Registers a process; gives the process of its partition.
    pub(super) fn register(&self, key: K, value: V, pid: Pid) -> Result<Pid, RegisterError<K>> {
        let entries = &*self.entries;
        let told = (!entries.listeners.is_empty()).then(|| (key.clone(), value.clone()));
        let indexed = key.clone();
        let (value, strong) = Stored::new(value);
        let partition = self.partition_of(pid);
        let home = partition.home(pid);
        let kept = Kept::of(pid);
        let Some(process) = partition.process.get() else {
            drop(kept);
            return Err(RegisterError::NotRunning { registry: entries.name.clone() });
        };
        let Some(mut kept) = kept.filter(Kept::may_grow) else {
            return Err(RegisterError::NoProc { registry: entries.name.clone(), key, pid });
        };
        let inserted = match M::insert(&entries.store, indexed, home.partition, pid, &value) {
            Ok(inserted) => inserted,
            Err(Refused { key: indexed, by }) => {
                drop((kept, indexed));
                return Err(RegisterError::AlreadyRegistered {
                    registry: entries.name.clone(),
                    key,
                    pid: by,
                });
            }
        };
        let registration = Registration { mark: inserted.mark, strong };
        match kept.get(home) {
            Some(held) => held.push(key, registration, &entries.hasher),
            None => kept.add(Arc::clone(home), Held::One(key, registration)),
        }
        // Before anybody can take it away again.
        home.count.fetch_add(1, Relaxed);
        drop(kept);
        if let Some((key, value)) = told {
            if let Some(dead) = inserted.instead_of {
                tell::<K, V>(&entries.listeners, || entries.gone(key.clone(), dead));
            }
            tell(&entries.listeners, || RegistryEvent::Registered {
                registry: entries.name.clone(),
                key: key.clone(),
                pid,
                value: value.clone(),
            });
        }
        Ok(process)
    }

    /// Takes away those entries of a process' key whose marks are `wanted`; all of them for `None`.
    pub(super) fn unregister<Q>(&self, key: &Q, pid: Pid, wanted: Option<&[M::Mark]>)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let home = self.partition_of(pid).home(pid);
        let wanted = |r: &Registration<_, M::Mark>| wanted.is_none_or(|wanted| wanted.contains(&r.mark));
        drop(take(home, pid, |held| held.take(key, wanted)).let_go(true));
    }

    /// Which entries of its own a process has under this key, with a value that is `right`.
    pub(super) fn find<Q>(&self, key: &Q, pid: Pid, right: impl FnMut(&V) -> bool) -> Vec<M::Mark>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        M::find(&self.entries.store, key, self.partition_of(pid).home(pid).partition, pid, right)
    }

    /// Looks at what a process has registered, under its lock.
    pub(super) fn change<R>(&self, pid: Pid, f: impl FnOnce(&mut HeldBy<K, V, M>) -> R) -> Option<R> {
        Kept::of(pid)?.get(self.partition_of(pid).home(pid)).map(f)
    }

    /// How many entries there are.
    pub(super) fn count(&self) -> usize {
        let homes = self.partitions.iter().flat_map(|partition| &partition.homes);
        homes.map(|home| home.count.load(Relaxed)).sum()
    }

    /// The partition has this process now, which calls this, and takes entries as long as the process lives.
    pub(super) fn open(&self, partition: usize) {
        let pid = process::self_pid();
        let keeper = PartitionKeeper { core: self.clone(), partition, reached: AtomicU32::new(0) };
        let mut kept = Kept::of(pid).filter(Kept::may_grow).expect("the process runs");
        kept.add(Keeping::new(keeper), ());
        drop(kept);
        self.partitions[partition].process.set(Some(pid));
    }
}

/// Takes some of what an owner has away from it.
fn take<K: RegistryKey, V: RegistryValue, M: Keys>(
    home: &Keeping<Home<K, V, M>>,
    pid: Pid,
    some: impl FnOnce(&mut HeldBy<K, V, M>) -> TakenFrom<K, V, M>,
) -> Leaving<'_, K, V, M> {
    let mut leaving = Leaving { home, pid, taken: Taken::new(), left: false };
    let Some(mut kept) = Kept::of(pid) else { return leaving };
    let Some(held) = kept.get(home) else { return leaving };
    leaving.taken = some(held);
    leaving.left = held.len() > 0;
    let emptied = (!leaving.left).then(|| kept.remove(home));
    drop(kept);
    drop(emptied);
    home.count.fetch_sub(leaving.taken.len(), Relaxed);
    leaving
}

/// Entries that their owner does not know any more.
#[must_use = "they are still in the store"]
struct Leaving<'a, K: RegistryKey, V: RegistryValue, M: Keys> {
    home: &'a Home<K, V, M>,
    pid: Pid,
    taken: TakenFrom<K, V, M>,
    /// The owner has others.
    left: bool,
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> Leaving<'_, K, V, M> {
    /// They go from the store too, and listeners are `told`. What is left is to be dropped, which may run code of the program.
    fn let_go(self, told: bool) -> TakenFrom<K, V, M> {
        let Entries { store, listeners, .. } = &*self.home.entries;
        for (key, registration) in &self.taken {
            let removed = M::remove(store, key, self.home.partition, self.pid, &registration.mark);
            if removed && told {
                tell::<K, V>(listeners, || self.home.entries.gone(key.clone(), self.pid));
            }
        }
        self.taken
    }

    /// The same at somebody's end, which no value of a program stops by a panic.
    fn let_go_quietly(self, told: bool) {
        let pid = self.pid;
        for taken in self.let_go(told) {
            quietly(Some(pid), || drop(taken));
        }
    }
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> Entries<K, V, M> {
    fn gone(&self, key: K, pid: Pid) -> RegistryEvent<K, V> {
        RegistryEvent::Unregistered { registry: self.name.clone(), key, pid }
    }
}

/// An owner ends.
impl<K: RegistryKey, V: RegistryValue, M: Keys> Keeper for Home<K, V, M> {
    type Things = HeldBy<K, V, M>;

    fn release(this: &Keeping<Self>, pid: Pid, _: &ExitReason, limit: usize) -> bool {
        let leaving = take(this, pid, |held| held.take_some(limit));
        let more = leaving.left;
        leaving.let_go_quietly(true);
        more
    }
}

/// What a partition's process promises the runtime.
struct PartitionKeeper<K: RegistryKey, V: RegistryValue, M: Keys> {
    core: Core<K, V, M>,
    partition: usize,
    /// Owners with slots below this one have nothing in the partition any more.
    reached: AtomicU32,
}

impl<K: RegistryKey, V: RegistryValue, M: Keys> Keeper for PartitionKeeper<K, V, M> {
    type Things = ();

    fn release(this: &Keeping<Self>, _: Pid, reason: &ExitReason, limit: usize) -> bool {
        let partition = &this.core.partitions[this.partition];
        partition.process.set(None);
        let mut left = limit;
        while let Some(owner) = next_kept_by(&partition.homes, this.reached.load(Relaxed)) {
            this.reached.store(slot_of(owner), Relaxed);
            if left == 0 {
                return true;
            }
            let leaving = take(partition.home(owner), owner, |held| held.take_some(left));
            let taken = leaving.taken.len();
            left = left.saturating_sub(taken.max(1));
            let all = !leaving.left;
            leaving.let_go_quietly(false);
            // Who has just let go of its entries by itself is not concerned.
            if all && taken > 0 {
                process::exit_signal(owner, as_of_a_link(reason));
            }
        }
        false
    }
}

/// An exit signal that nobody can survive does not come through a link.
fn as_of_a_link(reason: &ExitReason) -> ExitReason {
    if *reason == ExitReason::Kill { ExitReason::Killed } else { reason.clone() }
}

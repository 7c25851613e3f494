//! Keys and what they lead to: a map whose readers take no lock.
//!
//! # Invariants
//! 1. A key that is there all the time is found by every look-up. [`HashIndex`] replaces what a key leads to by adding the
//!    new and then removing the old, and a look-up that goes through the map meanwhile can come too early for the one and
//!    too late for the other. So replacements are counted, before and after, and a look-up that has found nothing
//!    while there was one looks again.
//! 2. A closure that a reader is given runs under no lock, so it may use the map. What it borrows stays until it returns.
//! 3. What was removed may stay in memory until others come into its place: it must be small, and nobody may care about
//!    when it is dropped.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::sync::atomic::{AtomicUsize, fence};

use foldhash::fast::FixedState;
use scc::{Guard, HashIndex};

/// See the module.
pub struct Index<K, T> {
    map: HashIndex<K, T, FixedState>,
    /// Replacements that were begun, and that are done.
    begun: AtomicUsize,
    done: AtomicUsize,
}

impl<K: Clone + Debug + Eq + Hash + 'static, T: 'static> Index<K, T> {
    pub(super) fn new(hasher: &FixedState) -> Self {
        Self {
            map: HashIndex::with_hasher(hasher.clone()),
            begun: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
        }
    }

    /// What the key leads to.
    #[inline]
    pub(super) fn peek<Q, R>(&self, key: &Q, read: impl FnOnce(&T) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let guard = Guard::new();
        loop {
            // In this order: if both are equal, nothing was under way when `begun` was read.
            let done = self.done.load(Acquire);
            let begun = self.begun.load(Acquire);
            if let Some(found) = self.map.peek(key, &guard) {
                return Some(read(found));
            }
            fence(Acquire);
            if done == begun && begun == self.begun.load(Acquire) {
                return None;
            }
            std::hint::spin_loop();
        }
    }

    /// Adds a key; one that is there already comes back.
    pub(super) fn insert(&self, key: K, to: T) -> Result<(), (K, T)> {
        self.map.insert_sync(key, to)
    }

    /// Removes a key, if what it leads to is the right one. Says whether it did.
    pub(super) fn remove_if(&self, key: &K, right: impl FnOnce(&T) -> bool) -> bool {
        self.map.remove_if_sync(key, right)
    }

    /// Lets a key lead somewhere else, if what it leads to is the right one; otherwise `to` comes back.
    pub(super) fn replace_if<Q>(&self, key: &Q, to: T, right: impl FnOnce(&T) -> bool) -> Result<(), T>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Some(mut entry) = self.map.get_sync(key) else { return Err(to) };
        if !right(entry.get()) {
            return Err(to);
        }
        self.begun.fetch_add(1, AcqRel);
        entry.update(to);
        self.done.fetch_add(1, AcqRel);
        Ok(())
    }

    /// Every key that is there all the time, once; those that come or go meanwhile, once or not at all.
    pub(super) fn for_each(&self, mut f: impl FnMut(&K, &T)) {
        let guard = Guard::new();
        // An entry that is moved because the map grows is met again.
        let mut met = HashSet::with_hasher(FixedState::default());
        for (key, to) in self.map.iter(&guard) {
            if met.insert(key) {
                f(key, to);
            }
        }
    }
}

//! What one process has registered.

use std::hash::Hash;

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use indexmap::map::Entry;

/// A process' keys with what belongs to each registration, in the order in which they came as long as they are few.
pub(super) enum Held<K, R> {
    Few(Vec<(K, R)>),
    Many { keys: IndexMap<K, Vec<R>, FixedState>, len: usize },
}

/// From how many registrations on hashing beats looking through a list.
const MANY: usize = 16;

impl<K: Hash + Eq + Clone, R> Held<K, R> {
    pub(super) fn one(key: K, registration: R) -> Self {
        Self::Few(vec![(key, registration)])
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(list) => list.len(),
            Self::Many { len, .. } => *len,
        }
    }

    pub(super) fn push(&mut self, key: K, registration: R, hasher: &FixedState) {
        match self {
            Self::Few(list) if list.len() < MANY => list.push((key, registration)),
            Self::Few(list) => {
                let mut many = Self::Many { keys: IndexMap::with_hasher(hasher.clone()), len: 0 };
                for (key, registration) in list.drain(..) {
                    many.push(key, registration, hasher);
                }
                many.push(key, registration, hasher);
                *self = many;
            }
            Self::Many { keys, len } => {
                *len += 1;
                match keys.entry(key) {
                    Entry::Occupied(entry) => entry.into_mut().push(registration),
                    Entry::Vacant(entry) => {
                        entry.insert(vec![registration]);
                    }
                }
            }
        }
    }

    /// Takes out those registrations of a key that are `wanted`.
    pub(super) fn take(&mut self, key: &K, mut wanted: impl FnMut(&R) -> bool) -> Vec<(K, R)> {
        match self {
            Self::Few(list) => list.extract_if(.., |(k, r)| k == key && wanted(r)).collect(),
            Self::Many { keys, len } => {
                let Some(registrations) = keys.get_mut(key) else { return Vec::new() };
                let taken: Vec<_> =
                    registrations.extract_if(.., |r| wanted(r)).map(|r| (key.clone(), r)).collect();
                *len -= taken.len();
                if registrations.is_empty() {
                    keys.swap_remove(key);
                }
                taken
            }
        }
    }

    /// Takes out at most so many.
    pub(super) fn take_some(&mut self, limit: usize) -> Vec<(K, R)> {
        match self {
            Self::Few(list) if list.len() <= limit => std::mem::take(list),
            Self::Few(list) => list.split_off(list.len() - limit),
            Self::Many { keys, len } => {
                let mut taken = Vec::with_capacity(limit.min(*len));
                while taken.len() < limit
                    && let Some((key, mut registrations)) = keys.pop()
                {
                    let kept = registrations.len().saturating_sub(limit - taken.len());
                    taken.extend(registrations.drain(kept..).map(|r| (key.clone(), r)));
                    if kept > 0 {
                        keys.insert(key, registrations);
                    }
                }
                *len -= taken.len();
                taken
            }
        }
    }

    /// Each key, as often as it is registered.
    pub(super) fn keys(&self) -> Vec<K> {
        match self {
            Self::Few(list) => list.iter().map(|(key, _)| key.clone()).collect(),
            Self::Many { keys, .. } => {
                keys.iter().flat_map(|(key, all)| std::iter::repeat_n(key, all.len())).cloned().collect()
            }
        }
    }

    /// The registration of a key that can have one only.
    pub(super) fn find(&mut self, key: &K) -> Option<&mut R> {
        match self {
            Self::Few(list) => list.iter_mut().find(|(k, _)| k == key).map(|(_, r)| r),
            Self::Many { keys, .. } => keys.get_mut(key)?.first_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Held;
    use foldhash::fast::FixedState;

    #[test]
    fn what_is_held_stays_right_while_it_grows_and_shrinks() {
        let mut held = Held::one(0, 0);
        for n in 1..100 {
            held.push(n % 10, n, &FixedState::default());
            assert_eq!((held.len(), held.keys().len()), (n + 1, n + 1));
        }
        assert_eq!(held.take(&3, |n| *n > 50).len(), 5);
        assert_eq!(held.take(&3, |_| true).iter().map(|(_, n)| *n).collect::<Vec<_>>(), [3, 13, 23, 33, 43]);
        assert!(held.take(&3, |_| true).is_empty() && held.find(&3).is_none());
        assert_eq!(held.find(&4), Some(&mut 4));
        let mut all = Vec::new();
        while held.len() > 0 {
            let some = held.take_some(7);
            assert!(!some.is_empty() && some.len() <= 7);
            assert!(some.iter().all(|(key, n)| n % 10 == *key));
            all.extend(some);
        }
        assert_eq!(all.len(), 90);
    }

    #[test]
    fn few_keep_their_order() {
        let mut held = Held::one("b", 1);
        held.push("a", 2, &FixedState::default());
        held.push("b", 3, &FixedState::default());
        assert_eq!(held.keys(), ["b", "a", "b"]);
        assert_eq!(held.take_some(2), [("a", 2), ("b", 3)]);
        assert_eq!(held.keys(), ["b"]);
    }
}

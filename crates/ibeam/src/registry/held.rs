//! What one process has registered.

use std::borrow::Borrow;
use std::hash::Hash;

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use indexmap::map::Entry;
use smallvec::SmallVec;

/// A process' keys with what belongs to each registration, in the order in which they came as long as they are few and none has
/// gone.
pub(super) enum Held<K, R> {
    /// What most processes have: it needs no memory of its own.
    One(K, R),
    Few(Vec<(K, R)>),
    Many(Box<Many<K, R>>),
}

pub(super) struct Many<K, R> {
    keys: IndexMap<K, SmallVec<[R; 1]>, FixedState>,
    len: usize,
}

/// Registrations that were taken out.
pub(super) type Taken<K, R> = SmallVec<[(K, R); 1]>;

/// From how many registrations on hashing beats looking through a list.
const MANY: usize = 16;

impl<K: Hash + Eq + Clone, R> Held<K, R> {
    const NOTHING: Self = Self::Few(Vec::new());

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Few(list) => list.len(),
            Self::Many(many) => many.len,
        }
    }

    pub(super) fn push(&mut self, key: K, registration: R, hasher: &FixedState) {
        if let Self::One(..) = self {
            *self = Self::Few(self.take_all().into_vec());
        }
        match self {
            Self::Few(list) if list.len() < MANY => list.push((key, registration)),
            Self::Many(many) => many.push(key, registration),
            _ => {
                let mut many = Many { keys: IndexMap::with_hasher(hasher.clone()), len: 0 };
                self.take_all().into_iter().for_each(|(key, registration)| many.push(key, registration));
                many.push(key, registration);
                *self = Self::Many(Box::new(many));
            }
        }
    }

    /// Takes out those registrations of a key that are `wanted`.
    pub(super) fn take<Q>(&mut self, key: &Q, mut wanted: impl FnMut(&R) -> bool) -> Taken<K, R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self {
            Self::One(only, registration) if (*only).borrow() == key && wanted(registration) => {
                self.take_all()
            }
            Self::One(..) => Taken::new(),
            Self::Few(list) => {
                list.extract_if(.., |(other, r)| (*other).borrow() == key && wanted(r)).collect()
            }
            Self::Many(many) => many.take(key, wanted),
        }
    }

    /// Takes out at most so many.
    pub(super) fn take_some(&mut self, limit: usize) -> Taken<K, R> {
        match self {
            Self::Many(many) => many.take_some(limit),
            _ if self.len() <= limit => self.take_all(),
            Self::Few(list) => list.drain(list.len() - limit..).collect(),
            Self::One(..) => Taken::new(),
        }
    }

    fn take_all(&mut self) -> Taken<K, R> {
        match std::mem::replace(self, Self::NOTHING) {
            Self::One(key, registration) => Taken::from_buf([(key, registration)]),
            Self::Few(list) => Taken::from_vec(list),
            Self::Many(mut many) => many.take_some(usize::MAX),
        }
    }

    /// Each key, as often as it is registered.
    pub(super) fn keys(&self) -> Vec<K> {
        match self {
            Self::One(key, _) => vec![key.clone()],
            Self::Few(list) => list.iter().map(|(key, _)| key.clone()).collect(),
            Self::Many(many) => {
                let each = many.keys.iter().flat_map(|(key, all)| std::iter::repeat_n(key, all.len()));
                each.cloned().collect()
            }
        }
    }

    /// The registration of a key that can have one only.
    pub(super) fn find<Q>(&mut self, key: &Q) -> Option<&mut R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self {
            Self::One(only, registration) => ((*only).borrow() == key).then_some(registration),
            Self::Few(list) => list.iter_mut().find(|(other, _)| (*other).borrow() == key).map(|(_, r)| r),
            Self::Many(many) => many.keys.get_mut(key)?.first_mut(),
        }
    }
}

impl<K: Hash + Eq + Clone, R> Many<K, R> {
    fn push(&mut self, key: K, registration: R) {
        self.len += 1;
        match self.keys.entry(key) {
            Entry::Occupied(entry) => entry.into_mut().push(registration),
            Entry::Vacant(entry) => {
                entry.insert(SmallVec::from_buf([registration]));
            }
        }
    }

    fn take<Q>(&mut self, key: &Q, mut wanted: impl FnMut(&R) -> bool) -> Taken<K, R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Some((at, key, registrations)) = self.keys.get_full_mut(key) else { return Taken::new() };
        let (taken, kept): (SmallVec<[R; 1]>, _) = registrations.drain(..).partition(|r| wanted(r));
        *registrations = kept;
        self.len -= taken.len();
        let taken = taken.into_iter().map(|r| (key.clone(), r)).collect();
        if registrations.is_empty() {
            self.keys.swap_remove_index(at);
        }
        taken
    }

    fn take_some(&mut self, limit: usize) -> Taken<K, R> {
        let mut taken = Taken::with_capacity(limit.min(self.len));
        while taken.len() < limit
            && let Some((key, mut registrations)) = self.keys.pop()
        {
            let kept = registrations.len().saturating_sub(limit - taken.len());
            taken.extend(registrations.drain(kept..).map(|r| (key.clone(), r)));
            if kept > 0 {
                self.keys.insert(key, registrations);
            }
        }
        self.len -= taken.len();
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Held;
    use foldhash::fast::FixedState;

    #[test]
    fn what_is_held_stays_right_while_it_grows_and_shrinks() {
        let mut held = Held::One(0, 0);
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

    /// The runtime keeps three words for a process without an allocation.
    #[test]
    fn one_registration_of_a_number_takes_three_words() {
        assert!(size_of::<Held<u64, Option<Arc<()>>>>() <= 3 * size_of::<usize>());
    }

    #[test]
    fn one_and_few_are_told_apart_by_key_and_registration() {
        let one = || Held::One("a", 1);
        assert!(one().take(&"b", |_| true).is_empty() && one().take(&"a", |n| *n != 1).is_empty());
        let mut held = one();
        assert_eq!(held.find(&"a"), Some(&mut 1));
        assert_eq!(held.find(&"b"), None);
        assert_eq!(*held.take(&"a", |n| *n == 1), [("a", 1)]);
        assert_eq!(held.len(), 0);

        let mut held = one();
        for (key, n) in [("b", 2), ("a", 3), ("b", 4), ("c", 5)] {
            held.push(key, n, &FixedState::default());
        }
        assert_eq!(held.find(&"c"), Some(&mut 5));
        assert_eq!(held.find(&"d"), None);
        assert_eq!(*held.take(&"b", |n| *n > 2), [("b", 4)]);
        assert_eq!(held.keys(), ["a", "b", "a", "c"]);
    }

    #[test]
    fn one_and_few_are_taken_from_the_end() {
        let mut held = Held::One("a", 1);
        assert_eq!((held.take_some(0).len(), held.len()), (0, 1));
        assert_eq!(*held.take_some(1), [("a", 1)]);
        for n in 0..7 {
            held.push("a", n, &FixedState::default());
        }
        assert_eq!(*held.take_some(2), [("a", 5), ("a", 6)]);
        assert_eq!(*held.take_some(9), [0, 1, 2, 3, 4].map(|n| ("a", n)));
        assert_eq!(held.take_some(9).len(), 0);
    }

    #[test]
    fn few_keep_their_order() {
        let mut held = Held::One("b", 1);
        held.push("a", 2, &FixedState::default());
        held.push("b", 3, &FixedState::default());
        assert_eq!(held.keys(), ["b", "a", "b"]);
        assert_eq!(*held.take_some(2), [("a", 2), ("b", 3)]);
        assert_eq!(held.keys(), ["b"]);
    }
}

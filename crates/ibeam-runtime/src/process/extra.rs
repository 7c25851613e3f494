//! What few processes have, behind one box that is made when it is first needed.

use std::sync::Arc;
use std::task::Waker;

use crate::exit_reason::ExitReason;
use crate::observe::Tracer;
use crate::pid::Pid;
use crate::process::dictionary::Dictionary;
use crate::process::hold::Held;
use crate::process::lineage::Lineage;
use crate::process::links::Link;
use crate::process::mail::Saved;
use crate::process::monitors::{AliasMode, Monitored};
use crate::process::signal::Signal;
use crate::raw::call::Orphan;
use crate::reference::Reference;
use crate::stable_map::{Numbered, StableMap};

/// What a supervised process has. No code of the program runs while it is borrowed: values of the program are moved out first.
///
/// A million children have one each, so all that fewer processes have is a box further away.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) links: SmallMap<Pid, Link>,
    /// Why an exit signal has ended the process, if not as most do, or the reason it is being taken apart with.
    pub(crate) reason: Option<ExitReason>,
    rare: Option<Box<Rare>>,
}

const _: () = assert!(size_of::<Extra>() <= 56, "a million children of supervisors count on it");

/// What few processes have.
#[derive(Default)]
pub(crate) struct Rare {
    pub(crate) label: Option<Arc<str>>,
    /// The processes this one monitors.
    pub(crate) monitors: SmallMap<Reference, Monitored>,
    /// The processes that monitor this one.
    pub(crate) watchers: SmallMap<Reference, Pid>,
    pub(crate) aliases: SmallMap<Reference, AliasMode>,
    pub(crate) dictionary: Dictionary,
    pub(crate) saved: Saved,
    /// How many of the runtime's own messages are in a mailbox with a bound.
    pub(crate) notices: u32,
    /// Receives that wait with a waker of their own: under `join!`, `FuturesUnordered` and the like.
    pub(crate) waiters: Vec<(Reference, Waker)>,
    /// The lines that this process' children share, once it has some: those who work for nobody, those who work for it.
    pub(crate) children: [Option<Arc<Lineage>>; 2],
    pub(crate) callers: Option<Arc<[Pid]>>,
    /// Links and monitors of those who asked for them after the end.
    pub(crate) too_late: Vec<Signal>,
    pub(crate) activity: Option<&'static str>,
    /// The span that the process runs in.
    pub(crate) span: Option<tracing::Span>,
    /// Those whose end the process waits for.
    pub(crate) held: Vec<Held>,
    /// Calls that the process has dropped while it was going to end: they end with it.
    pub(crate) orphans: Vec<Orphan>,
    /// Who hears of what the process sends and gets.
    pub(crate) tracers: Vec<(Reference, Box<Tracer>)>,
    /// Turns beyond what the block's own counter can count.
    pub(crate) turns: u64,
}

impl Extra {
    /// What few processes have; made if need be.
    pub(crate) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(crate) fn rare_if_any(&mut self) -> Option<&mut Rare> {
        self.rare.as_deref_mut()
    }

    pub(crate) fn take_rare(&mut self) -> Option<Box<Rare>> {
        self.rare.take()
    }

    /// Bytes of this box and what hangs on it.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.links.bytes() + self.rare.as_ref().map_or(0, |rare| rare.bytes())
    }
}

impl Rare {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.monitors.bytes() + self.watchers.bytes() + self.aliases.bytes()
    }
}

/// A map that is a short list as long as it is small, which it nearly always is, and needs no memory of its own for a single
/// entry. Iterates in a fixed order: that of insertion, until something is removed.
#[derive(Debug)]
pub enum SmallMap<K, V> {
    /// A single entry.
    One(K, V),
    /// A list.
    Few(Vec<(K, V)>),
    /// A table.
    Many(Box<StableMap<K, V>>),
}

/// From how many entries on hashing beats looking through a list.
const MANY: usize = 16;

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<K: Numbered + Copy, V> SmallMap<K, V> {
    fn bytes(&self) -> usize {
        let capacity = match self {
            Self::One(..) => 0,
            Self::Few(list) => list.capacity(),
            Self::Many(map) => return map.bytes(),
        };
        capacity * size_of::<(K, V)>()
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            Self::One(k, v) => (k == key).then_some(v),
            Self::Few(list) => list.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v),
            Self::Many(map) => map.get_mut(key),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        match self {
            Self::One(k, v) => (k == key).then_some(v),
            Self::Few(list) => list.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            Self::Many(map) => map.get(key),
        }
    }

    /// The former value of this key comes back.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(old) = self.get_mut(&key) {
            return Some(std::mem::replace(old, value));
        }
        self.insert_new(key, value);
        None
    }

    /// As [`insert`](Self::insert), for a key that is not there.
    #[inline]
    pub(crate) fn insert_new(&mut self, key: K, value: V) {
        match self {
            Self::Few(list) if list.is_empty() && list.capacity() == 0 => *self = Self::One(key, value),
            Self::One(..) => {
                let mut list = Vec::with_capacity(4);
                list.append(&mut self.drain());
                list.push((key, value));
                *self = Self::Few(list);
            }
            Self::Few(list) if list.len() < MANY => list.push((key, value)),
            Self::Few(list) => {
                let mut map = StableMap::default();
                list.drain(..).for_each(|(key, value)| map.insert_new(key, value));
                map.insert_new(key, value);
                *self = Self::Many(Box::new(map));
            }
            Self::Many(map) => map.insert_new(key, value),
        }
    }

    /// Is it a list, and will the next one make it more than that?
    pub(crate) fn is_full_list(&self) -> bool {
        matches!(self, Self::Few(list) if list.len() == MANY)
    }

    /// Is it more than a short list?
    pub(crate) fn is_large(&self) -> bool {
        matches!(self, Self::Many(_))
    }

    /// Keeps of a list those for which this is true.
    pub(crate) fn retain_in_list(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        if let Self::Few(list) = self {
            list.retain(|(key, value)| keep(key, value));
        }
    }

    /// The value of this key, which goes.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Self::One(k, _) if k != key => None,
            Self::One(..) => match std::mem::take(self) {
                Self::One(_, value) => Some(value),
                _ => None,
            },
            Self::Few(list) => {
                let at = list.iter().position(|(k, _)| k == key)?;
                Some(list.remove(at).1)
            }
            Self::Many(map) => {
                let value = map.remove(key);
                if map.is_empty() {
                    *self = Self::default();
                }
                value
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (one, few, many) = match self {
            Self::One(k, v) => (Some((k, v)), None, None),
            Self::Few(list) => (None, Some(list.iter().map(|(k, v)| (k, v))), None),
            Self::Many(map) => (None, None, Some(map.iter().map(|(_, k, v)| (k, v)))),
        };
        one.into_iter().chain(few.into_iter().flatten()).chain(many.into_iter().flatten())
    }

    /// Takes in what another one has.
    pub(crate) fn append(&mut self, mut other: Self) {
        if matches!(self, Self::Few(list) if list.is_empty()) {
            *self = other;
        } else {
            for (key, value) in other.drain() {
                self.insert(key, value);
            }
        }
    }

    /// Takes everything out.
    pub(crate) fn drain(&mut self) -> Vec<(K, V)> {
        match std::mem::take(self) {
            Self::One(key, value) => vec![(key, value)],
            Self::Few(list) => list,
            Self::Many(map) => map.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SmallMap;

    #[test]
    fn a_small_map_stays_right_while_it_grows_and_shrinks() {
        let mut map = SmallMap::default();
        for key in 0..100_u64 {
            assert_eq!(map.insert(key, key * 2), None);
        }
        assert_eq!(map.insert(7, 0), Some(14));
        assert_eq!((map.iter().count(), map.get(&99), map.get(&100)), (100, Some(&198), None));
        for key in (0..100).rev() {
            assert_eq!(map.remove(&key), Some(if key == 7 { 0 } else { key * 2 }));
            assert_eq!(map.iter().count() as u64, key);
        }
        assert!(matches!(map, SmallMap::Few(_)));
    }
}

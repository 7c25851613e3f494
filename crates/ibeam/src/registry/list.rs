//! The entries of one key in a registry with duplicate keys: a list that is walked without a lock while it changes.
//!
//! # Invariants
//! 1. Entries are written once, one after the other; the first empty place is the end. A reader needs nothing else.
//! 2. An entry that leaves is marked and stays where it is. When marked ones are in the majority, or there is no place left,
//!    the list is retired: those that live move to a new one, in their order. What a marked one was [lent](super::stored) is
//!    dropped by its owner meanwhile, so only memory waits for that.
//! 3. Numbers go up along the list and are given once per key, so an entry is found by its number in either list.
//! 4. Writers of one list exclude each other by its lock. A retired list changes no more: who finds it so takes the next one,
//!    which leads to by then.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};

use ibeam_runtime::__private::will_send;
use ibeam_runtime::Pid;
use parking_lot::Mutex;

use super::stored::Stored;

/// See the module.
pub struct List<V> {
    places: Box<[Place<V>]>,
    writer: Mutex<Writer>,
}

struct Place<V> {
    entry: OnceLock<Entry<V>>,
    gone: AtomicBool,
}

struct Entry<V> {
    number: u64,
    pid: Pid,
    value: Stored<V>,
}

struct Writer {
    /// Places that are taken, and those of them that are not marked.
    filled: usize,
    live: usize,
    next_number: u64,
    retired: bool,
}

/// Room for so many in the first list of a key.
const FIRST: usize = 4;
/// How far ahead mailboxes are loaded: a send takes a tenth of what a load from memory takes.
const AHEAD: usize = 8;
/// So many entries may be marked beyond those that live.
const MARKED: usize = 16;

impl<V: Clone> List<V> {
    /// A list with one entry, and that entry's number.
    pub(super) fn new(pid: Pid, value: Stored<V>) -> (Self, u64) {
        let mut list = Self::with_room(FIRST, 0);
        let number = list.fill(pid, value);
        (list, number)
    }

    fn with_room(places: usize, next_number: u64) -> Self {
        let place = |_| Place { entry: OnceLock::new(), gone: AtomicBool::new(false) };
        let writer = Writer { filled: 0, live: 0, next_number, retired: false };
        Self { places: (0..places).map(place).collect(), writer: Mutex::new(writer) }
    }

    fn fill(&mut self, pid: Pid, value: Stored<V>) -> u64 {
        let places = &self.places;
        self.writer.get_mut().fill(places, pid, value)
    }

    /// Adds an entry behind all others; says its number. `replace` puts a new list into this one's place, if there has to be one.
    pub(super) fn push(&self, pid: Pid, value: &Stored<V>, replace: impl FnOnce(List<V>)) -> Option<u64> {
        let mut writer = self.writer.lock();
        if writer.retired {
            return None;
        }
        if writer.filled < self.places.len() {
            return Some(writer.fill(&self.places, pid, value.clone()));
        }
        let mut next = self.successor(&writer);
        let number = next.fill(pid, value.clone());
        writer.retired = true;
        replace(next);
        Some(number)
    }

    /// Takes the entry with this number away. `replace` puts a new list, or none, into this one's place, if there has to be.
    pub(super) fn remove(&self, number: u64, replace: impl FnOnce(Option<List<V>>)) -> bool {
        let mut writer = self.writer.lock();
        if writer.retired {
            return false;
        }
        let filled = &self.places[..writer.filled];
        let at =
            filled.binary_search_by_key(&number, |place| place.entry.get().map_or(u64::MAX, |e| e.number));
        let Ok(at) = at else { return true };
        if filled[at].gone.swap(true, Release) {
            return true;
        }
        writer.live -= 1;
        if writer.live == 0 {
            writer.retired = true;
            replace(None);
        } else if writer.filled - writer.live > writer.live + MARKED {
            let next = self.successor(&writer);
            writer.retired = true;
            replace(Some(next));
        }
        true
    }

    /// A list with the entries that live, and room for as many more.
    fn successor(&self, writer: &Writer) -> Self {
        let mut next = Self::with_room((writer.live * 2).max(FIRST), writer.next_number);
        let filled = next.writer.get_mut();
        for (place, entry) in next.places.iter().zip(self.entries()) {
            let copy = Entry { number: entry.number, pid: entry.pid, value: entry.value.clone() };
            assert!(place.entry.set(copy).is_ok(), "the list is new");
            filled.filled += 1;
            filled.live += 1;
        }
        next
    }

    fn entries(&self) -> impl Iterator<Item = &Entry<V>> {
        let entries = self.places.iter().map_while(|place| Some((place.entry.get()?, &place.gone)));
        entries.filter(|(_, gone)| !gone.load(Acquire)).map(|(entry, _)| entry)
    }

    /// The entries, oldest first. Those that come or go meanwhile are met or not.
    ///
    /// Mostly their processes are sent something, so the mailboxes of those that come next are loaded meanwhile.
    #[inline]
    pub(super) fn for_each(&self, mut f: impl FnMut(Pid, &V)) {
        for (at, place) in self.places.iter().enumerate() {
            let Some(entry) = place.entry.get() else { return };
            if let Some(ahead) = self.places.get(at + AHEAD).and_then(|place| place.entry.get()) {
                will_send(ahead.pid);
            }
            if !place.gone.load(Acquire) {
                entry.value.with(|value| f(entry.pid, value));
            }
        }
    }

    /// The same, with the numbers of the entries.
    #[inline]
    pub(super) fn for_each_numbered(&self, mut f: impl FnMut(u64, Pid, &V)) {
        for entry in self.entries() {
            entry.value.with(|value| f(entry.number, entry.pid, value));
        }
    }
}

impl Writer {
    fn fill<V>(&mut self, places: &[Place<V>], pid: Pid, value: Stored<V>) -> u64 {
        let number = self.next_number;
        let entry = Entry { number, pid, value };
        assert!(places[self.filled].entry.set(entry).is_ok(), "there is one writer, and this place was free");
        self.next_number += 1;
        self.filled += 1;
        self.live += 1;
        number
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use ibeam_runtime::{Runtime, process};

    use super::*;

    /// What leads to a list, as an index does.
    struct Key {
        owner: Pid,
        list: RefCell<Option<Rc<List<u64>>>>,
    }

    impl Key {
        fn list(&self) -> Rc<List<u64>> {
            self.list.borrow().clone().expect("there are entries")
        }

        /// Adds an entry whose value is its number.
        fn push(&self, number: u64) {
            let list = self.list.borrow().clone();
            let value = Stored::Plain(number);
            let given = match list {
                Some(list) => {
                    let replace = |next| drop(self.list.replace(Some(Rc::new(next))));
                    let given = list.push(self.owner, &value, replace).expect("the list that is led to");
                    assert_eq!(self.list().numbers().last(), Some(&given));
                    given
                }
                None => {
                    let (list, given) = List::new(self.owner, value);
                    self.list.replace(Some(Rc::new(list)));
                    given
                }
            };
            assert_eq!(given, number);
        }

        fn remove(&self, number: u64) {
            let replace = |next: Option<_>| drop(self.list.replace(next.map(Rc::new)));
            assert!(self.list().remove(number, replace));
        }
    }

    impl List<u64> {
        fn numbers(&self) -> Vec<u64> {
            let (mut numbers, mut met) = (Vec::new(), Vec::new());
            self.for_each_numbered(|number, _, value| {
                assert_eq!(number, *value);
                numbers.push(number);
            });
            self.for_each(|_, value| met.push(*value));
            assert_eq!(met, numbers);
            numbers
        }
    }

    fn with_key(body: impl FnOnce(Key) + Send + 'static) {
        Runtime::new().block_on(async { body(Key { owner: process::self_pid(), list: RefCell::new(None) }) });
    }

    #[test]
    fn a_list_has_room_for_as_many_as_live_and_no_more() {
        with_key(|key| {
            let room = |key: &Key| key.list().places.len();
            for number in 0..100 {
                key.push(number);
                // 4 at first, and twice as many each time.
                assert_eq!(room(&key), (number as usize + 1).next_power_of_two().max(FIRST));
            }
            for number in 0..=58 {
                assert_eq!(room(&key), 128, "{number} are marked: no more than live, and {MARKED}");
                key.remove(number);
            }
            assert_eq!((room(&key), key.list().numbers()), (82, (59..100).collect()));
            for number in (59..100).rev() {
                key.remove(number);
            }
            assert!(key.list.borrow().is_none());
        });
    }

    #[test]
    fn a_list_that_is_full_of_marked_ones_is_none_the_larger_for_them() {
        with_key(|key| {
            key.push(0);
            for number in 1..1_000 {
                key.push(number);
                key.remove(number);
                assert_eq!((key.list().places.len(), key.list().numbers()), (FIRST, vec![0]));
            }
        });
    }

    #[test]
    fn a_retired_list_changes_no_more() {
        with_key(|key| {
            (0..4).for_each(|number| key.push(number));
            let former = key.list();
            key.remove(1);
            key.push(4);
            let unused = |_| panic!("it was replaced already");
            assert_eq!(former.push(key.owner, &Stored::Plain(5), unused), None);
            assert!(!former.remove(2, |_| panic!("it was replaced already")));
            // Whoever walks it meets those that were there.
            assert_eq!((former.numbers(), key.list().numbers()), (vec![0, 2, 3], vec![0, 2, 3, 4]));
            key.remove(2);
            // What has gone, and what was never there, changes nothing.
            key.remove(2);
            key.remove(9);
            assert_eq!(key.list().numbers(), [0, 3, 4]);
            [0, 3, 4].into_iter().for_each(|number| key.remove(number));
            assert!(key.list.borrow().is_none());
        });
    }
}

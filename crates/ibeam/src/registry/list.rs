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

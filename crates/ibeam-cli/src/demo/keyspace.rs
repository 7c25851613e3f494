//! The table of one shard: keys, values and deadlines, in an order that a cursor can follow.
//!
//! ```text
//! hash of a key ─▶ 32 bits: its position ─▶ directory (2^depth slots) ─▶ segment: up to 448 entries, one hash table
//!                  0 ────────────── position ──────────────▶ 2^32
//!                  [ segment 0 ][ 1 ][ 2 ][     segment 3      ]      a full segment splits into two halves
//! ```
//!
//! This is extendible hashing (Fagin, Nievergelt, Pippenger, Strong, 1979). It was chosen over one large hash table for
//! two reasons:
//! - the positions give the entries an order that never changes while the table grows, so that a scan's cursor is just
//!   a position (no state, no reversed bits as in Redis' `dictScan`) and no element is returned twice;
//! - the table grows by one segment at a time (some 10 µs), where doubling a table of millions of keys would stop a
//!   shard for as long as Redis needs its incremental rehashing to avoid.
//!
//! # Invariants
//! 1. An entry lies in the one segment whose range of positions holds its position.
//! 2. A segment of depth `d` owns `2^(depth - d)` neighbouring slots of the directory, and only those.
//! 3. `deadlines` counts, for each pair of deadline and hash, exactly the entries that have them: changing or removing
//!    a deadline leaves nothing behind.
//!
//! # Costs
//! A look-up is one index and one probe. Beside its key and value an entry costs 16 bytes, and some 24 more in
//! `deadlines` if it has one. A directory slot is 4 bytes; segments that became empty stay until [`Keyspace::clear`].

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;

use super::small_bytes::SmallBytes;

/// The deadline of an entry that does not expire.
pub(crate) const NEVER: u64 = u64::MAX;

/// A segment of this size splits: 7/8 of 512, what a table of 512 buckets holds.
const SEGMENT_MAX: usize = 448;

/// Beyond this depth segments grow instead of splitting. Good hashes would need 10^10 keys to get there.
const DEPTH_MAX: u32 = 26;

/// What an allocation costs beside its bytes, for the estimate of [`Keyspace::memory_bytes`].
const ALLOCATION: usize = 16;

/// A key with its hash.
///
/// Made once, by the connection, with the server's [`KeyHasher`]; the hash says both the shard and the place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    hash: u64,
    bytes: SmallBytes,
}

impl Key {
    /// The shard among `shards` that has this key.
    ///
    /// Takes the product's upper bits, which depend on all of the hash: the keys of one shard still differ in every
    /// bit that its table uses.
    #[inline]
    pub(crate) fn shard(&self, shards: usize) -> usize {
        let mixed = self.hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        ((mixed * shards as u64) >> 32) as usize
    }
}

/// Hashes keys with a secret of this server, so that nobody can choose keys that collide or that all go to one shard.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyHasher(RandomState);

impl KeyHasher {
    /// The key of `bytes`.
    #[inline]
    pub(crate) fn key(&self, bytes: SmallBytes) -> Key {
        let mut hasher = self.0.build_hasher();
        hasher.write(&bytes);
        Key { hash: hasher.finish(), bytes }
    }
}

/// A stored key.
#[derive(Debug)]
pub(crate) struct Entry {
    hash: u64,
    /// The last millisecond of its life, or [`NEVER`].
    deadline: u64,
    key: SmallBytes,
    value: SmallBytes,
}

impl Entry {
    /// Its key.
    pub(crate) fn key(&self) -> &SmallBytes {
        &self.key
    }

    /// Its value.
    pub(crate) fn value(&self) -> &SmallBytes {
        &self.value
    }

    /// The last millisecond of its life, or [`NEVER`].
    pub(crate) fn deadline(&self) -> u64 {
        self.deadline
    }

    #[inline]
    fn is(&self, key: &Key) -> bool {
        self.hash == key.hash && self.key == key.bytes
    }

    fn heap_bytes(&self) -> usize {
        heap_bytes(&self.key) + heap_bytes(&self.value)
    }
}

fn heap_bytes(bytes: &SmallBytes) -> usize {
    match bytes.heap_bytes() {
        0 => 0,
        len => len + ALLOCATION,
    }
}

/// An entry that may be changed; keeps the books right.
pub(crate) struct EntryMut<'a> {
    entry: &'a mut Entry,
    books: &'a mut Books,
}

impl EntryMut<'_> {
    /// The entry.
    pub(crate) fn get(&self) -> &Entry {
        self.entry
    }

    /// Puts another value in; the old one.
    #[inline]
    pub(crate) fn replace_value(&mut self, value: SmallBytes) -> SmallBytes {
        self.books.heap_bytes += heap_bytes(&value);
        self.books.heap_bytes -= heap_bytes(&self.entry.value);
        std::mem::replace(&mut self.entry.value, value)
    }

    /// Appends to the value; its new length.
    pub(crate) fn append(&mut self, more: &[u8]) -> usize {
        let old = self.replace_value(SmallBytes::EMPTY);
        let new = old.append(more);
        let len = new.len();
        self.replace_value(new);
        len
    }

    /// Changes the deadline.
    #[inline]
    pub(crate) fn set_deadline(&mut self, deadline: u64) {
        if deadline != self.entry.deadline {
            self.books.forget_deadline(self.entry);
            self.entry.deadline = deadline;
            self.books.note_deadline(self.entry);
        }
    }
}

/// What is counted over all segments.
#[derive(Debug, Default)]
struct Books {
    entries: usize,
    heap_bytes: usize,
    /// How many entries have this deadline and this hash: two keys with one hash are unlikely, but not impossible.
    deadlines: BTreeMap<(u64, u64), u32>,
    /// Entries with a deadline.
    volatile: usize,
}

impl Books {
    #[inline]
    fn note_deadline(&mut self, entry: &Entry) {
        if entry.deadline != NEVER {
            *self.deadlines.entry((entry.deadline, entry.hash)).or_default() += 1;
            self.volatile += 1;
        }
    }

    #[inline]
    fn forget_deadline(&mut self, entry: &Entry) {
        if entry.deadline != NEVER {
            let key = (entry.deadline, entry.hash);
            let count = self.deadlines.get_mut(&key).expect("invariant 3: a deadline in use is counted");
            *count -= 1;
            if *count == 0 {
                self.deadlines.remove(&key);
            }
            self.volatile -= 1;
        }
    }

    #[inline]
    fn added(&mut self, entry: &Entry) {
        self.entries += 1;
        self.heap_bytes += entry.heap_bytes();
        self.note_deadline(entry);
    }

    fn removed(&mut self, entry: &Entry) {
        self.entries -= 1;
        self.heap_bytes -= entry.heap_bytes();
        self.forget_deadline(entry);
    }
}

#[derive(Debug)]
struct Segment {
    depth: u32,
    table: HashTable<Entry>,
}

/// All keys of one shard.
#[derive(Debug)]
pub(crate) struct Keyspace {
    depth: u32,
    directory: Vec<u32>,
    segments: Vec<Segment>,
    books: Books,
}

/// The part of a hash that says the segment. Its lowest bits choose the bucket within a segment and its highest seven
/// are the tag that hashbrown compares first: they must differ within a segment, so they stay out of it.
#[inline]
fn position(hash: u64) -> u32 {
    (hash >> 16) as u32
}

/// The slot of `position` in a directory of `2^depth` slots.
#[inline]
fn slot(position: u32, depth: u32) -> usize {
    (u64::from(position) >> (32 - depth)) as usize
}

impl Keyspace {
    /// An empty table.
    pub(crate) fn new() -> Self {
        Self {
            depth: 0,
            directory: vec![0],
            segments: vec![Segment { depth: 0, table: HashTable::new() }],
            books: Books::default(),
        }
    }

    /// Entries, those included that expired but were not removed yet.
    pub(crate) fn len(&self) -> usize {
        self.books.entries
    }

    /// Entries with a deadline.
    pub(crate) fn volatile(&self) -> usize {
        self.books.volatile
    }

    /// Roughly what the table uses, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        let buckets: usize = self.segments.iter().map(|segment| segment.table.num_buckets()).sum();
        buckets * (size_of::<Entry>() + 1)
            + self.segments.len() * size_of::<Segment>()
            + self.directory.len() * size_of::<u32>()
            + self.books.heap_bytes
            + self.books.deadlines.len() * 30
    }

    #[inline]
    fn segment(&mut self, hash: u64) -> usize {
        self.directory[slot(position(hash), self.depth)] as usize
    }

    /// The entry of `key`; one that expired is removed first.
    #[inline]
    pub(crate) fn get(&mut self, key: &Key, now: u64) -> Option<EntryMut<'_>> {
        let segment = self.segment(key.hash);
        let table = &mut self.segments[segment].table;
        let found = table.find_entry(key.hash, |entry| entry.is(key)).ok()?;
        if found.get().deadline < now {
            let (entry, _) = found.remove();
            self.books.removed(&entry);
            return None;
        }
        Some(EntryMut { entry: found.into_mut(), books: &mut self.books })
    }

    /// Puts `value` under `key`, whatever was there.
    #[inline]
    pub(crate) fn put(&mut self, key: Key, value: SmallBytes, deadline: u64) {
        let mut segment = self.segment(key.hash);
        while self.segments[segment].table.len() >= SEGMENT_MAX && self.split(segment) {
            segment = self.segment(key.hash);
        }
        let table = &mut self.segments[segment].table;
        match table.entry(key.hash, |entry| entry.is(&key), |entry| entry.hash) {
            TableEntry::Occupied(found) => {
                let mut found = EntryMut { entry: found.into_mut(), books: &mut self.books };
                found.replace_value(value);
                found.set_deadline(deadline);
            }
            TableEntry::Vacant(free) => {
                let entry = Entry { hash: key.hash, deadline, key: key.bytes, value };
                self.books.added(&entry);
                free.insert(entry);
            }
        }
    }

    /// Removes `key`; its value, unless it had expired.
    pub(crate) fn remove(&mut self, key: &Key, now: u64) -> Option<SmallBytes> {
        let segment = self.segment(key.hash);
        let table = &mut self.segments[segment].table;
        let (entry, _) = table.find_entry(key.hash, |entry| entry.is(key)).ok()?.remove();
        self.books.removed(&entry);
        self.give_back(segment);
        (entry.deadline >= now).then_some(entry.value)
    }

    /// Removes everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// When the next entry must go: pass it to [`Keyspace::expire_due`] as `now`. `None` if no entry has a deadline.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        self.books.deadlines.first_key_value().map(|((deadline, _), _)| deadline + 1)
    }

    /// Removes at least one and about `limit` of the entries whose deadline is before `now`, if there are any; how
    /// many. Costs a search and a removal for each.
    pub(crate) fn expire_due(&mut self, now: u64, limit: usize) -> usize {
        let mut removed = 0;
        while removed < limit
            && let Some((&(deadline, hash), &count)) = self.books.deadlines.first_key_value()
            && deadline < now
        {
            let segment = self.segment(hash);
            for _ in 0..count {
                let (entry, _) = self.segments[segment]
                    .table
                    .find_entry(hash, |entry| entry.hash == hash && entry.deadline == deadline)
                    .expect("invariant 3: a counted deadline has its entry")
                    .remove();
                self.books.removed(&entry);
                removed += 1;
            }
            self.give_back(segment);
        }
        removed
    }

    /// Visits the entries from `from` on in the order of their positions until at least `count` were visited, those
    /// that expired included; the position to go on from, `None` at the end.
    ///
    /// An entry that is there during a whole series of calls is visited exactly once in it: its position never
    /// changes, and a call visits all entries of the positions it passes. Costs a look at each entry of the segments
    /// it touches (448 at most) and at `10 * count + 100` empty segments at most.
    pub(crate) fn scan(&self, from: u32, count: usize, mut visit: impl FnMut(&Entry)) -> Option<u32> {
        let mut from = from;
        let mut visited = 0;
        let mut entries = Vec::new();
        for _ in 0..count.saturating_mul(10).saturating_add(100) {
            let segment = &self.segments[self.directory[slot(from, self.depth)] as usize];
            entries.extend(segment.table.iter().filter(|entry| position(entry.hash) >= from));
            entries.sort_unstable_by_key(|entry| position(entry.hash));
            let mut last = None;
            for entry in entries.drain(..) {
                let position = position(entry.hash);
                if visited >= count && last != Some(position) {
                    return Some(position);
                }
                visit(entry);
                visited += 1;
                last = Some(position);
            }
            from = segment_end(from, segment.depth)?;
            if visited >= count {
                break;
            }
        }
        Some(from)
    }

    /// Splits a segment into two halves; false if it may not be split any more.
    #[cold]
    fn split(&mut self, segment: usize) -> bool {
        let depth = self.segments[segment].depth;
        if depth == DEPTH_MAX {
            return false;
        }
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|segment| [*segment, *segment]).collect();
            self.depth += 1;
        }
        let old = &mut self.segments[segment];
        old.depth += 1;
        let half = 1 << (32 - old.depth);
        let first = old.table.iter().next().map_or(0, |entry| position(entry.hash));
        let upper: Vec<_> = old
            .table
            .extract_if(|entry| position(entry.hash) & half != 0)
            .map(|entry| (entry.hash, entry))
            .collect();
        old.table.shrink_to(SEGMENT_MAX / 2, |entry| entry.hash);
        let mut table = HashTable::with_capacity(upper.len().max(SEGMENT_MAX / 2));
        for (hash, entry) in upper {
            table.insert_unique(hash, entry, |entry| entry.hash);
        }
        // Invariant 2: the upper half of the old segment's slots.
        let slots = 1 << (self.depth - depth);
        let start = slot(first, self.depth) & !(slots - 1);
        let new = u32::try_from(self.segments.len()).expect("at most 2^26 segments");
        self.directory[start + slots / 2..start + slots].fill(new);
        self.segments.push(Segment { depth: depth + 1, table });
        true
    }

    /// Shrinks a segment's table that became much too large.
    #[inline]
    fn give_back(&mut self, segment: usize) {
        let table = &mut self.segments[segment].table;
        if table.num_buckets() > 32 && table.len() < table.num_buckets() / 8 {
            table.shrink_to(table.len() * 2, |entry| entry.hash);
        }
    }

    /// Whether the invariants hold.
    #[cfg(test)]
    fn check(&self) {
        assert_eq!(self.directory.len(), 1 << self.depth);
        let (mut entries, mut bytes) = (0, 0);
        let mut deadlines = BTreeMap::new();
        for (index, segment) in self.segments.iter().enumerate() {
            let slots = self.directory.iter().filter(|slot| **slot as usize == index).count();
            assert_eq!(slots, 1 << (self.depth - segment.depth), "invariant 2");
            for entry in &segment.table {
                let slot = slot(position(entry.hash), self.depth);
                assert_eq!(self.directory[slot] as usize, index, "invariant 1");
                entries += 1;
                bytes += entry.heap_bytes();
                if entry.deadline != NEVER {
                    *deadlines.entry((entry.deadline, entry.hash)).or_default() += 1;
                }
            }
        }
        assert_eq!(self.books.entries, entries);
        assert_eq!(self.books.heap_bytes, bytes);
        assert_eq!(self.books.volatile, deadlines.values().map(|count| *count as usize).sum::<usize>());
        assert_eq!(self.books.deadlines, deadlines, "invariant 3");
    }
}

/// The first position behind a segment of this depth that holds `from`; `None` at the end of all positions.
fn segment_end(from: u32, depth: u32) -> Option<u32> {
    let len = 1_u64 << (32 - depth);
    u32::try_from((u64::from(from) & !(len - 1)) + len).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn name(number: usize) -> SmallBytes {
        format!("key:{number}").into()
    }

    fn filled(hasher: &KeyHasher, count: usize) -> Keyspace {
        let mut table = Keyspace::new();
        for number in 0..count {
            table.put(hasher.key(name(number)), name(number), NEVER);
        }
        table
    }

    /// All keys, in the order in which a scan finds them.
    fn scan_all(table: &Keyspace, count: usize) -> Vec<SmallBytes> {
        let mut keys = Vec::new();
        let mut from = Some(0);
        while let Some(position) = from {
            from = table.scan(position, count, |entry| keys.push(entry.key().clone()));
        }
        keys
    }

    #[test]
    fn grows_and_shrinks() {
        let hasher = KeyHasher::default();
        let mut table = filled(&hasher, 20_000);
        table.check();
        assert!(table.segments.len() > 20_000 / SEGMENT_MAX);
        for number in 0..20_000 {
            let key = hasher.key(name(number));
            assert_eq!(table.get(&key, 0).expect("stored").get().value(), &name(number));
        }
        assert!(table.get(&hasher.key(name(20_000)), 0).is_none());
        let full = table.memory_bytes();
        for number in 0..20_000 {
            assert_eq!(table.remove(&hasher.key(name(number)), 0), Some(name(number)));
        }
        table.check();
        assert_eq!(table.len(), 0);
        assert!(table.memory_bytes() < full / 10, "{full} → {}", table.memory_bytes());
        table.clear();
        assert_eq!(table.segments.len(), 1);
    }

    #[test]
    fn a_scan_finds_each_key_once() {
        let hasher = KeyHasher::default();
        for entries in [0, 1, 10, 449, 5000] {
            let table = filled(&hasher, entries);
            for count in [1, 10, 1000, usize::MAX] {
                let mut keys = scan_all(&table, count);
                assert_eq!(keys.len(), entries);
                keys.sort_unstable();
                keys.dedup();
                assert_eq!(keys.len(), entries);
            }
        }
    }

    #[test]
    fn a_scan_returns_about_as_many_as_it_was_asked_for() {
        let table = filled(&KeyHasher::default(), 5000);
        let (mut calls, mut from) = (0, Some(0));
        while let Some(position) = from {
            let mut visited = 0;
            from = table.scan(position, 10, |_| visited += 1);
            assert!(visited <= 20, "{visited}: keys with one position are rare");
            calls += 1;
        }
        assert!((490..=501).contains(&calls), "{calls}");
    }

    #[test]
    fn a_scan_over_emptied_segments_is_bounded_and_arrives() {
        let hasher = KeyHasher::default();
        let mut table = filled(&hasher, 300_000);
        for number in 1..300_000 {
            table.remove(&hasher.key(name(number)), 0);
        }
        assert!(table.segments.len() > 300, "or the test shows nothing");
        let mut calls = 0;
        let mut keys = Vec::new();
        let mut from = Some(0);
        while let Some(position) = from {
            from = table.scan(position, 1, |entry| keys.push(entry.key().clone()));
            calls += 1;
        }
        assert_eq!(keys, [name(0)]);
        assert!((5..100).contains(&calls), "{calls}");
    }

    #[test]
    fn deadlines_are_last_milliseconds() {
        let hasher = KeyHasher::default();
        let mut table = Keyspace::new();
        table.put(hasher.key("a".into()), "1".into(), 1000);
        assert!(table.get(&hasher.key("a".into()), 1000).is_some());
        assert_eq!(table.next_expiry(), Some(1001));
        assert_eq!(table.expire_due(1000, 10), 0);
        assert_eq!(table.len(), 1);
        assert!(table.get(&hasher.key("a".into()), 1001).is_none());
        assert_eq!((table.len(), table.next_expiry()), (0, None));
        table.check();
    }

    #[test]
    fn expiry_goes_in_order_and_in_portions() {
        let hasher = KeyHasher::default();
        let mut table = Keyspace::new();
        for number in 0..1000 {
            table.put(hasher.key(name(number)), SmallBytes::EMPTY, 10_000 + number as u64);
        }
        assert_eq!(table.expire_due(10_500, 100), 100);
        assert_eq!(table.next_expiry(), Some(10_101));
        assert_eq!(table.expire_due(10_500, 1000), 400);
        assert_eq!((table.len(), table.expire_due(10_500, 1000)), (500, 0));
        table.check();
    }

    #[test]
    fn changed_deadlines_leave_nothing_behind() {
        let hasher = KeyHasher::default();
        let mut table = Keyspace::new();
        for round in 0..1000 {
            table.put(hasher.key("a".into()), SmallBytes::EMPTY, 1000 + round);
            table.get(&hasher.key("a".into()), 0).expect("stored").set_deadline(5000 + round);
        }
        assert_eq!(table.books.deadlines.len(), 1);
        table.get(&hasher.key("a".into()), 0).expect("stored").set_deadline(NEVER);
        assert_eq!(table.next_expiry(), None);
        table.check();
    }

    /// Two keys with one hash cannot be found by trying, so their keys are put together by hand.
    #[test]
    fn keys_with_one_hash_stay_two_keys() {
        let [a, b] = ["a", "b"].map(|name| Key { hash: 42, bytes: name.into() });
        let mut table = Keyspace::new();
        table.put(a.clone(), "1".into(), 1000);
        table.put(b.clone(), "2".into(), 1000);
        table.check();
        assert_eq!(table.remove(&a, 0), Some("1".into()));
        table.check();
        assert_eq!(table.get(&b, 0).expect("stored").get().value(), &"2".into());
        table.put(a, "1".into(), 1000);
        assert_eq!(table.expire_due(1001, 10), 2);
        table.check();
    }

    #[test]
    fn a_segment_of_equal_positions_grows_instead_of_splitting_for_ever() {
        let mut table = Keyspace::new();
        for number in 0..1000_u64 {
            let key = Key { hash: number << 48, bytes: name(number as usize) };
            table.put(key, SmallBytes::EMPTY, NEVER);
        }
        assert_eq!(table.depth, DEPTH_MAX);
        assert_eq!(scan_all(&table, 10).len(), 1000);
    }

    #[test]
    fn shards_get_equal_shares() {
        let hasher = KeyHasher::default();
        for shards in [1, 2, 3, 8, 100] {
            let mut counts = vec![0; shards];
            for number in 0..10_000 {
                counts[hasher.key(name(number)).shard(shards)] += 1;
            }
            let fair = 10_000 / shards;
            for count in counts {
                assert!((fair / 2..=fair * 2).contains(&count), "{count} of {fair}");
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put(usize, u64),
        Remove(usize),
        Deadline(usize, u64),
        Append(usize, usize),
        Tick(u64),
        Expire(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0..1500_usize;
        let deadline = || prop_oneof![Just(NEVER), 0..300_u64];
        prop_oneof![
            8 => (key.clone(), deadline()).prop_map(|(key, deadline)| Step::Put(key, deadline)),
            2 => key.clone().prop_map(Step::Remove),
            2 => (key.clone(), deadline()).prop_map(|(key, deadline)| Step::Deadline(key, deadline)),
            1 => (key, 0..50_usize).prop_map(|(key, len)| Step::Append(key, len)),
            1 => (0..3_u64).prop_map(Step::Tick),
            1 => (1..20_usize).prop_map(Step::Expire),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Any steps, beside a plain map; with a scan that runs all the while and must miss nothing that stayed.
        #[test]
        fn agrees_with_a_plain_map(steps in prop::collection::vec(step(), 0..3000)) {
            let hasher = KeyHasher::default();
            let mut table = Keyspace::new();
            let mut model: HashMap<usize, (u64, usize)> = HashMap::new();
            for number in 1500..2000 {
                table.put(hasher.key(name(number)), SmallBytes::EMPTY, NEVER);
            }
            let mut now = 0;
            let mut cursor = Some(0);
            let mut scanned = Vec::new();
            for step in steps {
                match step {
                    Step::Put(number, deadline) => {
                        table.put(hasher.key(name(number)), SmallBytes::EMPTY, deadline);
                        model.insert(number, (deadline, 0));
                    }
                    Step::Remove(number) => {
                        let removed = table.remove(&hasher.key(name(number)), now).map(|value| value.len());
                        let expected = model.remove(&number).filter(|(deadline, _)| *deadline >= now);
                        prop_assert_eq!(removed, expected.map(|(_, len)| len));
                    }
                    Step::Deadline(number, deadline) => {
                        let found = table.get(&hasher.key(name(number)), now);
                        let expected = model.get_mut(&number).filter(|(deadline, _)| *deadline >= now);
                        prop_assert_eq!(found.is_some(), expected.is_some());
                        if let (Some(mut found), Some(expected)) = (found, expected) {
                            found.set_deadline(deadline);
                            expected.0 = deadline;
                        }
                    }
                    Step::Append(number, len) => {
                        let found = table.get(&hasher.key(name(number)), now);
                        let expected = model.get_mut(&number).filter(|(deadline, _)| *deadline >= now);
                        prop_assert_eq!(found.is_some(), expected.is_some());
                        if let (Some(mut found), Some(expected)) = (found, expected) {
                            expected.1 += len;
                            prop_assert_eq!(found.append(&vec![b'x'; len]), expected.1);
                        }
                    }
                    Step::Tick(step) => now += step,
                    Step::Expire(limit) => {
                        table.expire_due(now, limit);
                    }
                }
                if let Some(from) = cursor {
                    cursor = table.scan(from, 1, |entry| scanned.push(entry.key().clone()));
                }
            }
            table.check();
            while let Some(from) = cursor {
                cursor = table.scan(from, 100, |entry| scanned.push(entry.key().clone()));
            }
            for number in 1500..2000 {
                let times = scanned.iter().filter(|key| **key == name(number)).count();
                prop_assert_eq!(times, 1, "a key that was there all the time");
            }
            while table.expire_due(now, 1000) > 0 {}
            prop_assert_eq!(table.len() - 500, model.values().filter(|(deadline, _)| *deadline >= now).count());
            table.check();
        }
    }
}

//! The wheel against a sorted map: random histories, each step followed by a check of every invariant of the
//! module.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const ALL: usize = usize::MAX;

fn pop_all<T>(wheel: &mut Wheel<T>) -> Vec<T> {
    std::iter::from_fn(|| wheel.pop_expired()).collect()
}

/// Both sides of every level's boundaries, and the ends.
fn boundaries() -> impl Iterator<Item = u64> {
    (0..u64::BITS).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]).chain([u64::MAX - 1, u64::MAX])
}

// One entry.

#[test]
fn none_is_early_and_none_is_late() {
    for origin in [0, 1, 63, 64, 4_095, 1 << 33, u64::MAX - 70] {
        for deadline in boundaries().filter(|&deadline| deadline > origin) {
            let mut wheel = Wheel::new(origin);
            wheel.insert(deadline, ());
            assert_eq!(wheel.next_deadline(), Some(deadline));
            wheel.advance(deadline - 1, ALL);
            assert_eq!(wheel.pop_expired(), None, "from {origin}, due at {deadline}");
            assert_eq!(wheel.next_deadline(), Some(deadline));
            wheel.advance(deadline, ALL);
            assert_eq!(wheel.pop_expired(), Some(()), "from {origin}, due at {deadline}");
            assert_eq!((wheel.next_deadline(), wheel.len()), (None, 0));
        }
    }
}

#[test]
fn a_passed_deadline_is_due_at_once() {
    let mut wheel = Wheel::new(1_000);
    let key = wheel.insert(3, "late");
    assert_eq!(wheel.deadline(key), Some(3));
    assert_eq!(wheel.next_deadline(), Some(1_000));
    assert_eq!(wheel.pop_expired(), Some("late"));
}

#[test]
fn a_cancel_tells_whether_it_came_in_time() {
    let mut wheel = Wheel::new(0);
    let [ahead, due, popped] = [500, 20, 10].map(|deadline| wheel.insert(deadline, deadline));
    wheel.advance(20, ALL);
    assert_eq!(wheel.pop_expired(), Some(10));
    for (key, answer) in [(ahead, Some((500, 500))), (due, Some((20, 20))), (popped, None)] {
        assert_eq!(wheel.deadline(key), answer.map(|(deadline, _)| deadline));
        assert_eq!(wheel.cancel(key), answer);
        assert_eq!(wheel.cancel(key), None);
    }
    assert_eq!((wheel.pop_expired(), wheel.next_deadline()), (None, None));
}

#[test]
fn an_old_key_does_not_reach_the_entry_in_its_place() {
    let mut wheel = Wheel::new(0);
    let old = wheel.insert(5, 'a');
    wheel.cancel(old);
    let new = wheel.insert(5, 'b');
    assert_eq!(old.index, new.index);
    assert_eq!(wheel.deadline(old), None);
    assert_eq!(wheel.get_mut(old), None);
    assert_eq!(wheel.cancel(old), None);
    *wheel.get_mut(new).unwrap() = 'c';
    assert_eq!(wheel.cancel(new), Some((5, 'c')));
}

#[test]
fn a_dropped_wheel_drops_its_values() {
    let value = std::rc::Rc::new(());
    let mut wheel = Wheel::new(0);
    for deadline in [0, 70, 5_000] {
        wheel.insert(deadline, value.clone());
    }
    drop(wheel);
    assert_eq!(std::rc::Rc::strong_count(&value), 1);
}

// Order.

/// OTP-TM-03 and -04: whatever the order of insertion, deadlines decide.
#[test]
fn deadlines_decide_the_order() {
    let mut deadlines: Vec<u64> = (0..=5_000).step_by(100).chain(100..104).chain(boundaries()).collect();
    let mut wheel = Wheel::new(0);
    for n in 0..deadlines.len() {
        // 97 is prime to the number of deadlines, so this meets each once.
        let deadline = deadlines[n * 97 % deadlines.len()];
        wheel.insert(deadline, deadline);
    }
    wheel.advance(u64::MAX, ALL);
    deadlines.sort_unstable();
    assert_eq!(pop_all(&mut wheel), deadlines);
}

#[test]
fn equal_deadlines_keep_the_order_of_insertion_from_every_level() {
    for deadline in boundaries() {
        let mut wheel = Wheel::new(0);
        let mut inserted = 0;
        // Ever nearer to the deadline: each pair starts on a lower level than the pair before.
        for distance in (0..u64::BITS).rev().map(|bit| 1 << bit).filter(|&distance| distance <= deadline) {
            wheel.advance(deadline - distance, ALL);
            wheel.insert(deadline, inserted);
            wheel.insert(deadline, inserted + 1);
            inserted += 2;
        }
        wheel.advance(deadline, ALL);
        assert_eq!(pop_all(&mut wheel), (0..inserted).collect::<Vec<_>>());
    }
}

#[test]
fn an_unfinished_cascade_is_not_overtaken() {
    let mut wheel = Wheel::new(0);
    for n in 0..5 {
        wheel.insert(100, n);
    }
    wheel.advance(100, 3); // The slot is opened, two entries are due, three wait.
    wheel.insert(100, 5);
    wheel.insert(7, 6);
    wheel.insert(127, 8);
    wheel.insert(128, 9);
    assert_eq!(pop_all(&mut wheel), [0, 1]);
    assert_eq!(wheel.next_deadline(), Some(100));
    wheel.advance(100, ALL);
    wheel.insert(100, 7);
    assert_eq!(pop_all(&mut wheel), [2, 3, 4, 5, 6, 7]);
    wheel.advance(128, ALL);
    assert_eq!(pop_all(&mut wheel), [8, 9]);
}

// What a driver relies on.

#[test]
fn an_advance_does_no_more_than_its_steps() {
    const ENTRIES: usize = 1_000;
    let mut wheel = Wheel::new(0);
    for n in 0..ENTRIES {
        wheel.insert(1 << 33, n);
    }
    let (mut calls, mut popped) = (0, Vec::new());
    while wheel.next_deadline().is_some() {
        wheel.advance(1 << 33, 10);
        let due = pop_all(&mut wheel);
        assert!(due.len() <= 10);
        popped.extend(due);
        calls += 1;
    }
    assert_eq!(popped, (0..ENTRIES).collect::<Vec<_>>());
    // One step opens the slot, one moves each entry.
    assert_eq!(calls, (1 + ENTRIES).div_ceil(10));
}

#[test]
fn a_cancellation_costs_one_early_wake_up_at_most() {
    let mut wheel = Wheel::new(0);
    let first = wheel.insert(1_000_000, "first");
    wheel.insert(1_000_500, "second");
    wheel.cancel(first);
    assert_eq!(wheel.next_deadline(), Some(1_000_000));
    wheel.advance(1_000_000, ALL);
    assert_eq!(wheel.pop_expired(), None);
    assert_eq!(wheel.next_deadline(), Some(1_000_500));
}

// Owners.

/// OTP-TM-10: the timers of a dead process go with it, whatever state they are in.
#[test]
fn an_owner_takes_its_entries_along() {
    let mut wheel = Wheel::new(0);
    for n in 0..6 {
        wheel.insert_owned(10 + n * 1_000, 7, n);
        wheel.insert_owned(10 + n * 1_000, 8, 100 + n);
        wheel.insert(10 + n * 1_000, 200 + n);
    }
    wheel.advance(1_010, ALL);
    assert_eq!(wheel.pop_expired(), Some(0));
    assert_eq!(wheel.cancel_owned(7).take(2).collect::<Vec<_>>(), [5, 4]);
    assert_eq!(wheel.len(), 15);
    assert_eq!(wheel.cancel_owned(7).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(wheel.cancel_owned(7).count(), 0);
    assert_eq!(wheel.cancel_owned(NOBODY).count(), 0);
    assert_eq!(pop_all(&mut wheel), [100, 200, 101, 201]);
    check_invariants(&wheel);
}

// A million.

/// OTP-TM-08 on the way: fired or cancelled, nothing stays behind.
#[test]
fn a_million_entries() {
    const ENTRIES: u64 = 1_000_000;
    let mut wheel = Wheel::new(0);
    // The low bits of a full-period congruence: scattered over a minute, and the same in each run.
    let deadlines = (0..ENTRIES).scan(1_u64, |state, _| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((*state >> 33) % 60_000)
    });
    let keys: Vec<Key> = deadlines.map(|at| wheel.insert_owned(at, at % 1_000, at)).collect();
    assert_eq!(wheel.len(), keys.len());
    for &key in keys.iter().step_by(2) {
        assert!(wheel.cancel(key).is_some_and(|(deadline, at)| deadline == at));
    }
    let (mut now, mut last, mut fired) = (0, 0, 0);
    while let Some(next) = wheel.next_deadline() {
        now = next.max(now);
        wheel.advance(now, 256);
        while let Some(at) = wheel.pop_expired() {
            assert!(last <= at && at <= now);
            last = at;
            fired += 1;
        }
    }
    assert_eq!(fired, ENTRIES / 2);
    assert!(keys.iter().all(|&key| wheel.cancel(key).is_none()));
    check_invariants(&wheel);
}

// Random histories.

/// A point in time, so that boundaries, equal deadlines, the past and the far future are all common.
#[derive(Clone, Debug)]
enum When {
    In(u64),
    /// `offset` ticks after the next multiple of `2^bits`, less one.
    Boundary {
        bits: u32,
        offset: u64,
    },
    LikeEntry(Index),
    At(u64),
}

#[derive(Clone, Debug)]
enum Op {
    Insert(When, u64),
    Cancel(Index),
    CancelOwned(u64, usize),
    Pop(usize),
    Advance(When, usize),
    AdvanceToNext(usize),
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        6 => (0..200_u64).prop_map(When::In),
        4 => (0..64_u32, 0..3_u64).prop_map(|(bits, offset)| When::Boundary { bits: bits / 2, offset }),
        4 => any::<Index>().prop_map(When::LikeEntry),
        1 => (0..64_u32, 0..3_u64).prop_map(|(bits, offset)| When::Boundary { bits, offset }),
        1 => prop_oneof![Just(0), Just(u64::MAX), any::<u64>()].prop_map(When::At),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let near = prop_oneof![
        20 => (0..200_u64).prop_map(When::In),
        5 => any::<Index>().prop_map(When::LikeEntry),
        1 => when(),
    ];
    let steps = || prop_oneof![1..8_usize, Just(ALL)];
    prop_oneof![
        8 => (when(), 0..4_u64).prop_map(|(when, owner)| Op::Insert(when, owner)),
        3 => any::<Index>().prop_map(Op::Cancel),
        1 => (0..4_u64, 1..9_usize).prop_map(|(owner, some)| Op::CancelOwned(owner, some)),
        2 => (1..9_usize).prop_map(Op::Pop),
        2 => (near, steps()).prop_map(|(when, steps)| Op::Advance(when, steps)),
        3 => steps().prop_map(Op::AdvanceToNext),
    ]
}

/// The same promises, kept by a sorted map. A value in the wheel is its number in `keys`.
struct Model {
    wheel: Wheel<usize>,
    clock: u64,
    /// Whether the last `advance` had all the steps it wanted.
    finished: bool,
    /// Every key there ever was, with its order: the time it counts as due, and its number.
    keys: Vec<(Key, u64)>,
    entries: BTreeMap<(u64, usize), (u64, u64)>,
}

impl Model {
    fn new(origin: u64) -> Self {
        let wheel = Wheel::new(origin);
        Model { wheel, clock: origin, finished: true, keys: Vec::new(), entries: BTreeMap::new() }
    }

    fn resolve(&self, when: &When) -> u64 {
        match *when {
            When::In(ticks) => self.clock.saturating_add(ticks),
            When::Boundary { bits, offset } => ((self.clock >> bits).saturating_add(1))
                .checked_mul(1 << bits)
                .map_or(u64::MAX, |multiple| (multiple - 1).saturating_add(offset)),
            When::LikeEntry(_) if self.keys.is_empty() => self.clock,
            When::LikeEntry(index) => index.get(&self.keys).1,
            When::At(tick) => tick,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Insert(when, owner) => {
                let deadline = self.resolve(when);
                let number = self.keys.len();
                let due = deadline.max(self.wheel.time);
                self.keys.push((self.wheel.insert_owned(deadline, *owner, number), due));
                self.entries.insert((due, number), (deadline, *owner));
            }
            Op::Cancel(_) if self.keys.is_empty() => {}
            Op::Cancel(index) => {
                let number = index.index(self.keys.len());
                let (key, due) = self.keys[number];
                let entry = self.entries.remove(&(due, number));
                let deadline = entry.map(|(deadline, _)| deadline);
                assert_eq!(self.wheel.deadline(key), deadline);
                assert_eq!(self.wheel.get_mut(key).copied(), deadline.map(|_| number));
                assert_eq!(self.wheel.cancel(key), deadline.map(|deadline| (deadline, number)));
            }
            Op::CancelOwned(owner, some) => {
                let mut owned: Vec<_> = self
                    .entries
                    .iter()
                    .filter(|(_, (_, of))| *of != NOBODY && of == owner)
                    .map(|(&(_, number), _)| number)
                    .collect();
                owned.sort_unstable_by(|a, b| b.cmp(a));
                owned.truncate(*some);
                assert_eq!(self.wheel.cancel_owned(*owner).take(*some).collect::<Vec<_>>(), owned);
                self.entries.retain(|(_, number), _| !owned.contains(number));
            }
            Op::Pop(some) => {
                for _ in 0..*some {
                    self.pop();
                }
            }
            Op::Advance(when, steps) => self.advance(self.resolve(when), *steps),
            Op::AdvanceToNext(steps) => {
                let next = self.wheel.next_deadline().unwrap_or(self.clock);
                self.advance(next, *steps);
            }
        }
        self.check();
    }

    fn advance(&mut self, now: u64, steps: usize) {
        self.wheel.advance(now, steps);
        self.clock = self.clock.max(now);
        // An earlier `now` may leave undone what a later one before it had asked for.
        self.finished = steps == ALL && (now >= self.clock || self.finished);
    }

    fn pop(&mut self) -> bool {
        let Some(number) = self.wheel.pop_expired() else {
            let due = self.entries.keys().any(|&(due, _)| due <= self.clock);
            assert!(!due || !self.finished, "something due was not popped");
            return false;
        };
        let ((due, first), (deadline, _)) = self.entries.pop_first().unwrap();
        assert_eq!(number, first);
        assert!(due <= self.clock && deadline <= self.clock, "early");
        true
    }

    fn check(&self) {
        check_invariants(&self.wheel);
        assert_eq!(self.wheel.len(), self.entries.len());
        assert!(self.wheel.time <= self.clock);
        let first = self.entries.keys().next().map(|&(due, _)| due);
        let next = self.wheel.next_deadline();
        assert_eq!(next.is_none(), first.is_none());
        assert!(next <= first.map(|first| first.max(self.clock)));
        if self.finished && first > Some(self.clock) {
            assert!(next > Some(self.clock), "a driver would not sleep");
        }
    }

    /// As a driver does it: sleep until the answer, advance, pop.
    fn run_dry(&mut self) {
        let mut early = 0;
        while let Some(next) = self.wheel.next_deadline() {
            self.advance(next.max(self.clock), ALL);
            let mut popped = false;
            while self.pop() {
                popped = true;
            }
            self.check();
            early = if popped { 0 } else { early + 1 };
            assert!(early <= 1, "a second early wake-up without a cancellation");
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_a_sorted_map(
        origin in prop_oneof![Just(0), any::<u64>(), Just(u64::MAX - 300)],
        ops in prop::collection::vec(op(), 1..150),
    ) {
        let mut model = Model::new(origin);
        for op in &ops {
            model.apply(op);
        }
        model.run_dry();
    }

    #[test]
    fn without_cancellations_the_next_deadline_is_exact(
        origin in prop_oneof![Just(0), any::<u64>()],
        rounds in prop::collection::vec((prop::collection::vec(when(), 1..10), when()), 1..20),
    ) {
        let mut model = Model::new(origin);
        for (inserts, to) in rounds {
            for when in inserts {
                model.apply(&Op::Insert(when, NOBODY));
            }
            model.apply(&Op::Advance(to, ALL));
            while model.pop() {}
            let first = model.entries.keys().next().map(|&(due, _)| due);
            prop_assert_eq!(model.wheel.next_deadline(), first);
        }
    }
}

/// The module's invariants, and the rings themselves.
fn check_invariants<T>(wheel: &Wheel<T>) {
    let (mut seen, mut owned) = (0, 0);
    for list in 0..LISTS {
        let mut prev = SENTINEL | list as u32;
        let mut at = wheel.lists[list].sentinel.next;
        let mut serials = BTreeMap::new();
        while at & SENTINEL == 0 {
            let entry = &wheel.entries[at];
            assert_eq!(entry.link.prev, prev);
            if list < DUE {
                check_place(wheel, list, entry.deadline);
            } else if list == CASCADE {
                assert!(entry.deadline <= wheel.cascade_end);
            } else {
                assert!(entry.deadline <= wheel.time);
            }
            let earlier = serials.insert(entry.deadline, entry.serial);
            assert!(earlier < Some(entry.serial), "equal deadlines out of order");
            seen += 1;
            owned += usize::from(entry.owner != NOBODY);
            (prev, at) = (at, entry.link.next);
        }
        assert_eq!(at, SENTINEL | list as u32);
        assert_eq!(wheel.lists[list].sentinel.prev, prev);
        if list < DUE {
            let occupied = wheel.occupied[list / SLOTS] >> (list % SLOTS) & 1 == 1;
            assert_eq!(occupied, !wheel.is_empty(list));
        }
    }
    assert_eq!(seen, wheel.len());
    for (owner, newest) in wheel.owners.iter() {
        let (mut prev, mut at) = (NIL, newest);
        while at != NIL {
            let entry = &wheel.entries[at];
            assert_eq!((entry.owner, entry.siblings.prev), (owner, prev));
            owned -= 1;
            (prev, at) = (at, entry.siblings.next);
        }
        assert_ne!(prev, NIL, "an owner of nothing");
    }
    assert_eq!(owned, 0);
}

/// Invariants 1 and 4.
fn check_place<T>(wheel: &Wheel<T>, list: usize, deadline: u64) {
    assert!(deadline > wheel.time);
    let digits = |time: u64| (0..LEVELS).map(move |level| (time >> (6 * level)) as usize % SLOTS);
    let mut differing = digits(wheel.time).zip(digits(deadline)).enumerate().filter(|(_, (a, b))| a != b);
    let (level, (_, slot)) = differing.next_back().unwrap();
    assert_eq!(list, level * SLOTS + slot);
    let floor = wheel.lists[list].floor;
    assert!(floor <= deadline && floor >> (6 * level) == deadline >> (6 * level));
}

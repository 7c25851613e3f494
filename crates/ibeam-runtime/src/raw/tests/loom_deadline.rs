//! The lazy deadline against the timer service, which has one entry at a time in its hands.

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::explore;
use crate::raw::deadline::{Deadline, Due, Entry};

/// The timer service: entries behind a lock, and a clock that does not go back.
struct Timers {
    deadline: Deadline,
    wheel: Mutex<Wheel>,
}

#[derive(Default)]
struct Wheel {
    now: u64,
    /// Each with the generation of the process that asked for it.
    entries: Vec<(u64, Entry)>,
    /// At which times the process was woken.
    woken: Vec<u64>,
}

impl Timers {
    fn new(generation: u64) -> Arc<Self> {
        let deadline = Deadline::new();
        deadline.reset(generation);
        Arc::new(Self { deadline, wheel: Mutex::default() })
    }

    /// As the process does it: notes the deadline, and asks for an entry if it must.
    fn set(&self, generation: u64, at: u64) {
        if let Some(entry) = self.deadline.set(generation, at) {
            self.wheel.lock().unwrap().entries.push((generation, entry));
        }
    }

    /// As `Timers::fire` does it, at the time `now` or later, if the wheel has been turned further.
    fn fire(&self, now: u64) {
        let wheel = &mut *self.wheel.lock().unwrap();
        wheel.now = wheel.now.max(now);
        while let Some(first) = (0..wheel.entries.len()).min_by_key(|&index| wheel.entries[index].1.at)
            && wheel.entries[first].1.at <= wheel.now
        {
            let (generation, entry) = wheel.entries.remove(first);
            match self.deadline.fire(generation, entry, wheel.now) {
                Due::Wake => wheel.woken.push(wheel.now),
                Due::Rearm(entry) => wheel.entries.push((generation, entry)),
                Due::Nothing => {}
            }
        }
    }

    /// After all threads have ended: what is set still leads to a wake-up, in time and not later. Returns how many wake-ups
    /// there were.
    fn check(&self, at: u64) -> usize {
        self.fire(at - 1);
        let early = self.wheel.lock().unwrap().woken.len();
        self.fire(at);
        assert!(!self.deadline.is_set(), "the deadline was missed");
        let woken = self.wheel.lock().unwrap().woken.clone();
        assert!(woken.last().is_some_and(|&last| last >= at), "woken at {woken:?}, but not at {at}");
        assert!(woken.len() <= early + 1, "one wake-up per deadline");
        self.fire(1_000);
        let wheel = self.wheel.lock().unwrap();
        assert!(
            wheel.entries.is_empty() && wheel.woken == woken,
            "nothing is left once nothing is waited for"
        );
        woken.len()
    }
}

/// The process waits twice in a row, with what `first` and `second` say, while the timer fires at these times.
fn waits_twice(first: u64, second: u64, fires: [u64; 2]) {
    explore(5, move || {
        let timers = Timers::new(1);
        let timer = {
            let timers = Arc::clone(&timers);
            thread::spawn(move || fires.map(|now| timers.fire(now)))
        };
        timers.set(1, first);
        timers.deadline.clear(first);
        timers.set(1, second);
        timer.join().unwrap();
        // The timer was not yet so far when it last fired, so the wake-up is still to come.
        timers.check(second);
    });
}

/// The next deadline is a later one: the entry that is there looks again, or the process asks for one.
#[test]
fn a_later_deadline_against_the_timer() {
    waits_twice(5, 7, [5, 6]);
}

/// The next deadline is an earlier one, whose entry takes the other's place.
#[test]
fn an_earlier_deadline_against_the_timer() {
    waits_twice(7, 5, [3, 4]);
}

/// The timer may pass the deadline while it is being set: it is woken then, or the entry it asked for is due at once.
#[test]
fn a_deadline_that_passes_while_it_is_set() {
    waits_twice(7, 5, [4, 7]);
    waits_twice(5, 6, [5, 9]);
}

/// A short wait inside of a long one's entry, and then a long one again, as in a loop of calls and short sleeps: the entry for
/// later is still good, and no other is asked for.
#[test]
fn a_short_wait_leaves_the_entry_for_later() {
    explore(5, || {
        let timers = Timers::new(1);
        timers.set(1, 50);
        timers.deadline.clear(50);
        let timer = {
            let timers = Arc::clone(&timers);
            thread::spawn(move || [5, 6].map(|now| timers.fire(now)))
        };
        timers.set(1, 5);
        timer.join().unwrap();
        timers.fire(6);
        assert_eq!(timers.wheel.lock().unwrap().woken.len(), 1);
        assert_eq!(timers.deadline.set(1, 60), None, "the entry for 50 will look");
        timers.check(60);
    });
}

/// The slot changes hands while an entry of its former process fires: the new process' deadline is neither missed nor moved.
#[test]
fn the_next_process_of_the_slot() {
    for at in [5, 7] {
        explore(5, move || {
            let timers = Timers::new(1);
            timers.set(1, 5);
            let timer = {
                let timers = Arc::clone(&timers);
                thread::spawn(move || timers.fire(6))
            };
            timers.deadline.reset(3);
            timers.set(3, at);
            timer.join().unwrap();
            timers.check(at.max(6));
        });
    }
}

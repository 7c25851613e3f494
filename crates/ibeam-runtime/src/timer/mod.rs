//! The timer service of a runtime: a wheel behind a lock, and what its entries do when they are due.
//!
//! # Invariants
//! 1. No timer fires before its time: deadlines are rounded up to the next tick, the clock down.
//! 2. What an entry does it does under the wheel's lock (`entry.rs`), so that a cancel either finds the entry or finds the
//!    deed done: it tells exactly whether it came in time. Code of the program never runs under the lock.
//! 3. Timers for a pid go with the process: whoever arms one notes it in the block, and the process, at its end, looks there.
//! 4. `next` is never later than the earliest deadline; a driver sleeps until then, and is told when it becomes earlier.

pub(crate) mod alarm;
pub(crate) mod entry;
pub(crate) mod interval;
#[cfg(test)]
mod tests;
pub(crate) mod wheel;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Waker;

use parking_lot::{Mutex, MutexGuard};

use crate::pid::Pid;
use crate::raw::deadline::{self, Due};
use crate::raw::leaves::Table;
use crate::raw::pcb::Owner;
use crate::raw::slab;
use crate::runtime::Shared;
use crate::time::Instant;
use crate::timer::entry::{Entry, Fired, quietly};
use crate::timer::wheel::{Key, Wheel};

/// How many timers fire, and how many steps the wheel makes, before others get the lock.
const BATCH: usize = 256;

/// No timer is armed.
const NEVER: u64 = u64::MAX;

/// See the module.
pub(crate) struct Timers {
    wheel: Mutex<Box<Wheel<Entry>>>,
    next: AtomicU64,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self { wheel: Mutex::new(Box::new(Wheel::new(0))), next: AtomicU64::new(NEVER) }
    }

    /// When to call [`fire`](Self::fire) next.
    pub(crate) fn next(&self) -> Option<Instant> {
        let tick = self.next.load(SeqCst);
        (tick != NEVER).then(|| Instant::from_tick(tick))
    }

    pub(crate) fn len(&self) -> usize {
        self.wheel.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Box<Wheel<Entry>>> {
        self.wheel.lock()
    }

    /// Arms a timer that goes with the process `owner`, if there is one. What is due already goes off before this returns.
    pub(crate) fn arm(&self, shared: &Arc<Shared>, owner: Option<Pid>, entry: Entry, at: Instant) -> Key {
        let (key, due) = self.insert(shared, owner, entry, at, shared.now());
        if due {
            self.fire(shared, shared.now());
        }
        key
    }

    /// As [`arm`](Self::arm), but leaves it to the caller to fire what is due `now`: `true` says that it is.
    fn insert(
        &self,
        shared: &Arc<Shared>,
        owner: Option<Pid>,
        entry: Entry,
        at: Instant,
        now: Instant,
    ) -> (Key, bool) {
        // What is due already need not wait for the next tick.
        let (due, tick) = if at <= now { (true, now.tick()) } else { (false, at.tick_after()) };
        let mut wheel = self.wheel.lock();
        let over = interval::is_over(&entry);
        let pcb = owner.map(|pid| (pid, slab::lookup(pid)));
        let (key, alive) = match pcb {
            Some((pid, Some(pcb))) if pcb.belongs_to(shared) => {
                let alive = pcb.note(Table::Timers, pid);
                (wheel.insert_owned(tick, pid.to_bits(), entry), alive)
            }
            // A process of another runtime would not look here when it ends: its timers fire into nothing.
            Some((_, Some(_))) | None => (wheel.insert(tick, entry), true),
            Some((_, None)) => (wheel.insert(tick, entry), false),
        };
        if !alive || over {
            let entry = wheel.cancel(key);
            drop(wheel);
            if let Some((_, entry)) = entry {
                quietly("what a timer was to do for a process that has ended", || entry.too_late(shared));
            }
            return (key, false);
        }
        interval::inserted(&mut wheel, key);
        let next = wheel.next_deadline().unwrap_or(NEVER);
        if next < self.next.load(SeqCst) {
            self.next.store(next, SeqCst);
            if !due {
                shared.driver.timer_armed();
            }
        }
        (key, due)
    }

    /// Wakes `waker` at tick `at`.
    fn wake(&self, shared: &Shared, waker: Waker, at: u64) -> Key {
        let mut wheel = self.wheel.lock();
        let key = wheel.insert(at, Entry::Wake(waker));
        self.armed(shared, &wheel);
        key
    }

    /// Looks after a process' lazy deadline.
    fn watch(&self, shared: &Shared, pid: Pid, entry: deadline::Entry) {
        let mut wheel = self.wheel.lock();
        wheel.insert(entry.at, Entry::Deadline { pid, entry });
        self.armed(shared, &wheel);
    }

    /// Another waker for an entry of [`wake`](Self::wake). `false`: it has fired.
    fn rewake(&self, key: Key, waker: &Waker) -> bool {
        let mut former = None;
        let mut wheel = self.wheel.lock();
        let Some(Entry::Wake(current)) = wheel.get_mut(key) else { return false };
        if !current.will_wake(waker) {
            former = Some(std::mem::replace(current, waker.clone()));
        }
        drop(wheel);
        drop(former);
        true
    }

    /// An entry was added: is it the first one now?
    fn armed(&self, shared: &Shared, wheel: &Wheel<Entry>) {
        let next = wheel.next_deadline().unwrap_or(NEVER);
        if next < self.next.load(SeqCst) {
            self.next.store(next, SeqCst);
            shared.driver.timer_armed();
        }
    }

    /// `false`: it has gone off, or was cancelled before.
    pub(crate) fn cancel(&self, key: Key) -> bool {
        // The entry, with what is the program's in it, is dropped after the lock.
        let cancelled = self.wheel.lock().cancel(key);
        cancelled.is_some()
    }

    pub(crate) fn is_armed(&self, key: Key) -> bool {
        self.wheel.lock().deadline(key).is_some()
    }

    /// The process has ended: its timers go, some at a time.
    pub(crate) fn cancel_of(&self, pid: Pid) {
        loop {
            let some: Vec<Entry> = self.wheel.lock().cancel_owned(pid.to_bits()).take(BATCH).collect();
            if some.is_empty() {
                return;
            }
            some.into_iter().for_each(drop_entry);
        }
    }

    /// Fires what is due. `true`: something was.
    ///
    /// Whoever's turn this thread runs has no part in what the timers of others do.
    pub(crate) fn fire(&self, shared: &Arc<Shared>, now: Instant) -> bool {
        let due = self.next.load(SeqCst) <= now.tick();
        if due {
            Owner::nobody(|| self.fire_due(shared, now));
        }
        due
    }

    fn fire_due(&self, shared: &Arc<Shared>, now: Instant) {
        while self.next.load(SeqCst) <= now.tick() {
            let mut fired = Fired::default();
            let mut wheel = self.wheel.lock();
            wheel.advance(now.tick(), BATCH);
            for _ in 0..BATCH {
                match wheel.pop_expired() {
                    Some(entry) => fire_entry(shared, &mut wheel, entry, &mut fired),
                    None => break,
                }
            }
            self.next.store(wheel.next_deadline().unwrap_or(NEVER), SeqCst);
            drop(wheel);
            fired.finish(shared, now);
        }
    }

    /// The runtime is over: what is armed never fires.
    pub(crate) fn clear(&self) {
        let mut wheel = std::mem::replace(&mut *self.wheel.lock(), Box::new(Wheel::new(0)));
        self.next.store(NEVER, SeqCst);
        while wheel.len() > 0 {
            wheel.advance(u64::MAX, BATCH);
            while let Some(entry) = wheel.pop_expired() {
                drop_entry(entry);
            }
        }
    }
}

/// Drops an entry that never goes off.
fn drop_entry(entry: Entry) {
    quietly("what a timer was to do, as it was dropped,", || drop(entry));
}

fn fire_entry(shared: &Arc<Shared>, wheel: &mut Wheel<Entry>, entry: Entry, fired: &mut Fired) {
    match entry {
        Entry::Wake(waker) => fired.wakers.push(waker),
        Entry::Deadline { pid, entry } => {
            let Some(pcb) = slab::lookup(pid) else { return };
            // The wheel's time: unlike the clocks of those who turn it, it never goes back.
            match pcb.deadline.fire(pid.generation(), entry, wheel.time()) {
                Due::Wake => fired.processes.push(pcb),
                Due::Rearm(entry) => drop(wheel.insert(entry.at, Entry::Deadline { pid, entry })),
                Due::Nothing => {}
            }
        }
        Entry::Send { to, node } => {
            // One message: whether there will be others is no question.
            let _ = entry::send(shared, &to, node, fired);
        }
        Entry::Exit(exit) => {
            let (target, reason) = *exit;
            entry::exit(shared, &target, reason, fired);
        }
        Entry::Start(later) => entry::start(shared, *later, fired),
        Entry::Interval(ticker) => ticker.fire(shared, fired),
    }
}

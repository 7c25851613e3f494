//! One worker: takes the next ready process, runs its turn, and so on.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use super::io::Wait;
use super::queues::{Queues, Theft};
use super::{Slot, Threads};
use crate::driver::Place;
use crate::driver::queue::LOW_EVERY;
use crate::driver::sim::random::Random;
use crate::process::run;
use crate::raw::pcb::Owner;
use crate::raw::ready::{OwnSlot, Ready};
use crate::runtime::{self, Shared};
use crate::time::Instant;

/// Every how many turns a busy worker looks at what is not its own queue: the clock, with it timers and I/O, and the injector.
const LOOK_EVERY: u32 = 64;
/// How long a busy worker leaves I/O alone.
const IO_EVERY: Duration = Duration::from_micros(100);
/// How often the newborn who waits longest has its turn, come what may.
const LONGEST_WAITING_EVERY: Duration = Duration::from_millis(10);
/// How many processes in a row may come out of the LIFO slot: two that wake each other must not shut out the rest.
const LIFO_STREAK: u32 = 16;

/// Of how many processes that one turn wakes in a row others are told at once.
const TELL_EVERY: u32 = 32;

/// Where a process goes that becomes ready on this thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    /// It runs next.
    Usual,
    /// This thread is in the I/O driver.
    Io,
    /// One of many that one turn wakes.
    Many,
    /// It has its turn here and now, within the turn that wakes it.
    Within,
}

/// See the module. Belongs to its thread.
pub(super) struct Worker {
    threads: Arc<Threads>,
    shared: Arc<Shared>,
    index: usize,
    slot: Arc<Slot>,
    lifo: OwnSlot,
    queues: Queues,
    ticks: Cell<u32>,
    lifo_streak: Cell<u32>,
    /// When the clock was looked at last; later by what has been [no turn's time](Self::between_turns) since then.
    last_look: Cell<Instant>,
    searching: Cell<bool>,
    route: Cell<Route>,
    /// How many have become ready on [`Route::Many`].
    many: Cell<u32>,
    /// A turn within another one runs.
    within: Cell<bool>,
    last_io: Cell<Instant>,
    last_longest_waiting: Cell<Instant>,
    random: Cell<u64>,
    /// The last one of which it is not known yet what comes of it.
    theft: Cell<Option<Theft>>,
}

impl Worker {
    pub(super) fn new(
        threads: Arc<Threads>,
        shared: Arc<Shared>,
        index: usize,
        queues: Queues,
        searching: bool,
    ) -> Self {
        let slot = Arc::clone(&threads.slots[index]);
        let lifo = slot.lifo.own();
        Self {
            threads,
            shared,
            index,
            slot,
            lifo,
            queues,
            ticks: Cell::new(0),
            lifo_streak: Cell::new(0),
            last_look: Cell::new(Instant::START),
            searching: Cell::new(searching),
            route: Cell::new(Route::Usual),
            many: Cell::new(0),
            within: Cell::new(false),
            last_io: Cell::new(Instant::START),
            last_longest_waiting: Cell::new(Instant::START),
            random: Cell::new(index as u64),
            theft: Cell::new(None),
        }
    }

    #[inline(always)]
    pub(super) fn belongs_to(&self, runtime: *const Shared) -> bool {
        ptr::eq(Arc::as_ptr(&self.shared), runtime)
    }

    pub(super) fn is_of(&self, threads: &Threads) -> bool {
        ptr::eq(Arc::as_ptr(&self.threads), threads)
    }

    #[inline(always)]
    fn slot(&self) -> &Slot {
        &self.slot
    }

    /// A process has ended on this thread.
    #[inline(always)]
    pub(super) fn count_end(&self, reductions: u64) {
        let slot = self.slot();
        // Nobody else writes them, so an addition needs no lock, as it would among threads that share them.
        slot.ended.store(slot.ended.load(Relaxed) + 1, Relaxed);
        slot.reductions.store(slot.reductions.load(Relaxed) + reductions, Relaxed);
    }

    /// A process became ready on this thread.
    #[inline]
    pub(super) fn schedule(&self, ready: Ready, place: Place) {
        if !ready.priority_is_normal() {
            return self.schedule_special(ready);
        }
        match self.route.get() {
            Route::Usual => {}
            Route::Io => return self.schedule_in_io(ready),
            Route::Many => return self.schedule_one_of_many(ready),
            Route::Within => return self.run_within(ready),
        }
        match place {
            Place::Back => self.enqueue(ready, Queues::push),
            Place::Newborn => self.enqueue(ready, Queues::push_newborn),
            Place::Next => {
                if let Some(other) = self.lifo.put(ready) {
                    self.enqueue(other, Queues::push);
                }
            }
        }
    }

    /// Work was made visible here: somebody else should look for it, if it is worth it. A hog does not get there itself, and its
    /// spare may sleep already.
    #[inline]
    fn notify(&self) {
        if self.queues.has_for_others() || self.lifo.is_hog_by_now() {
            self.tell();
        }
    }

    #[inline]
    fn tell(&self) {
        if self.threads.idle.wants_searcher() {
            self.between_turns(|| self.threads.notify_slow());
        }
    }

    /// Does what takes time that is no turn's. To wake a worker takes longer than many a turn: counted as theirs it would make them
    /// long enough to have another one woken by the next, and so on.
    #[cold]
    fn between_turns(&self, f: impl FnOnce()) {
        let before = self.shared.now();
        f();
        self.last_look.set(self.last_look.get() + (self.shared.now() - before));
    }

    #[inline(never)]
    fn enqueue(&self, ready: Ready, push: impl FnOnce(&Queues, Ready)) {
        push(&self.queues, ready);
        self.notify();
    }

    /// Until [`end_many`](Self::end_many) the turn wakes many processes, one after the other: they go into the queue as they come, and
    /// others are told of them now and then. `false`: it is so already.
    pub(super) fn begin_many(&self) -> bool {
        let begins = self.route.get() == Route::Usual;
        if begins {
            self.route.set(Route::Many);
        }
        begins
    }

    pub(super) fn end_many(&self) {
        self.route.set(Route::Usual);
        if self.many.replace(0) > 0 {
            self.notify();
        }
    }

    #[inline(never)]
    fn schedule_one_of_many(&self, ready: Ready) {
        self.queues.push(ready);
        let many = self.many.get().wrapping_add(1);
        self.many.set(many);
        // A hog's spare may sleep again by now.
        if many % TELL_EVERY == 1 || self.lifo.is_hog_by_now() {
            self.notify();
        }
    }

    /// Until [`end_within`](Self::end_within) whoever becomes ready first has its turn at once, within the one of `outer`. `false`: it
    /// must not be, or is so already.
    pub(super) fn begin_within(&self, outer: Owner) -> bool {
        let begins = self.route.get() == Route::Usual
            && !self.within.get()
            && !self.lifo.is_hog_by_now()
            && outer.lends_its_turn();
        if begins {
            self.route.set(Route::Within);
        }
        begins
    }

    pub(super) fn end_within(&self) {
        self.route.set(Route::Usual);
    }

    #[inline(never)]
    fn run_within(&self, ready: Ready) {
        self.route.set(Route::Usual);
        self.within.set(true);
        let running = &self.slot().running;
        let outer = running.load(Relaxed);
        running.store(ready.pid_bits(), Relaxed);
        let again = ready.run(run::turn);
        running.store(outer, Relaxed);
        self.within.set(false);
        if let Some((ready, place)) = again {
            self.schedule(ready, place);
        }
    }

    /// An event fired here: this thread comes out of the driver and runs it.
    #[inline(never)]
    fn schedule_in_io(&self, ready: Ready) {
        self.queues.push(ready);
        if self.slot().wake.swap(1, SeqCst) == 0 {
            self.slot().wake_from_io();
        } else {
            self.notify();
        }
    }

    #[cold]
    fn schedule_special(&self, ready: Ready) {
        self.threads.inject(ready);
        if self.route.get() == Route::Io {
            self.slot().wake.store(1, SeqCst);
            self.slot().wake_from_io();
        }
        self.threads.notify();
    }

    pub(super) fn run(&self) {
        let _tokio = self.threads.io.handle().enter();
        let _runtime = runtime::enter(&self.shared);
        let slot = self.slot();
        loop {
            let Some(ready) = self.next() else {
                if self.threads.stopping.load(SeqCst) {
                    return;
                }
                self.between_turns(|| self.sleep());
                continue;
            };
            if self.searching.get() {
                self.end_search();
            }
            slot.running.store(ready.pid_bits(), Relaxed);
            let took_too_long = self.lifo.turn(|| {
                if let Some((ready, place)) = ready.run(run::turn) {
                    self.schedule(ready, place);
                }
            });
            self.queues.turn_ends();
            if took_too_long {
                self.was_a_hog();
            }
        }
    }

    #[cold]
    fn end_search(&self) {
        self.searching.set(false);
        if self.threads.idle.end_search() {
            self.tell();
        }
    }

    /// The next process to run, or `None` if a search has found nothing, or others search already.
    #[inline(always)]
    fn next(&self) -> Option<Ready> {
        let ticks = self.ticks.get().wrapping_add(1);
        self.ticks.set(ticks);
        if (ticks.is_multiple_of(LOOK_EVERY) || self.threads.special.load(Relaxed) != 0)
            && let Some(ready) = self.look_around(ticks)
        {
            return Some(ready);
        }
        if let Some(ready) = self.lifo.take() {
            let streak = self.lifo_streak.get();
            if streak < LIFO_STREAK {
                self.lifo_streak.set(streak + 1);
                return Some(ready);
            }
            self.lifo_streak.set(0);
            return match self.queues.pop(ticks) {
                Some(other) => {
                    self.queues.push(ready);
                    Some(other)
                }
                None => Some(ready),
            };
        }
        self.lifo_streak.set(0);
        self.queues.pop(ticks).or_else(|| self.find())
    }

    /// Now and then, and when there are processes of other priorities: what else is there to do?
    #[cold]
    fn look_around(&self, ticks: u32) -> Option<Ready> {
        let threads = &*self.threads;
        if ticks.is_multiple_of(LOOK_EVERY) {
            self.look_at_the_clock();
        }
        if let Some(ready) = threads.take_special(&threads.high) {
            return Some(ready);
        }
        if ticks.is_multiple_of(LOW_EVERY)
            && let Some(ready) = threads.take_special(&threads.low)
        {
            return Some(ready);
        }
        if ticks.is_multiple_of(LOOK_EVERY) {
            self.take_longest_waiting().or_else(|| self.take_injected()).or_else(|| self.take_from_hogs())
        } else {
            None
        }
    }

    /// Takes what waits for a hog that has kept its place. Without it that would wait for ever if all others are busy.
    fn take_from_hogs(&self) -> Option<Ready> {
        let threads = &*self.threads;
        if threads.kept.load(Relaxed) == 0 {
            return None;
        }
        let mut hogs = threads.slots.iter().filter(|slot| slot.tenure.is_kept());
        hogs.find_map(|slot| self.take_from(slot))
    }

    fn take_from(&self, slot: &Slot) -> Option<Ready> {
        let from_queue = slot.stealers.get().and_then(|stealers| {
            let (ready, theft) = self.queues.steal_from(slot.index, stealers, self.ticks.get())?;
            self.theft.set(theft);
            Some(ready)
        });
        let taken = from_queue.or_else(|| slot.lifo.take_from_hog())?;
        self.threads.counters.steals.fetch_add(1, Relaxed);
        Some(taken)
    }

    /// There is nothing left to do: what has come of what was taken last?
    fn judge_theft(&self) {
        let in_vain = self.theft.take().filter(|theft| theft.was_in_vain(self.ticks.get()));
        if let Some(stealers) = in_vain.and_then(|theft| self.threads.slots[theft.from].stealers.get()) {
            stealers.leave_alone(self.shared.now());
        }
    }

    fn take_longest_waiting(&self) -> Option<Ready> {
        let now = self.last_look.get();
        if now - self.last_longest_waiting.get() < LONGEST_WAITING_EVERY {
            return None;
        }
        self.last_longest_waiting.set(now);
        self.queues.pop_longest_waiting()
    }

    #[inline(never)]
    fn find(&self) -> Option<Ready> {
        self.take_injected().or_else(|| self.search())
    }

    fn search(&self) -> Option<Ready> {
        let threads = &*self.threads;
        self.judge_theft();
        if let Some(ready) = threads.take_special(&threads.low) {
            return Some(ready);
        }
        if !self.searching.get() {
            if !threads.idle.begin_search() {
                return None;
            }
            self.searching.set(true);
        }
        let started = threads.started.load(SeqCst);
        let mut random = Random::new(self.random.get());
        let first = random.below(started);
        self.random.set(random.0);
        let others = (first..started).chain(0..first).filter(|&index| index != self.index);
        let mut others = others.map(|index| &*threads.slots[index]);
        others.find_map(|slot| self.take_from(slot)).or_else(|| self.take_injected())
    }

    fn take_injected(&self) -> Option<Ready> {
        self.queues.take_from(&self.threads.injector)
    }

    fn look_at_the_clock(&self) {
        let now = self.shared.now();
        let taken = now - self.last_look.replace(now);
        self.queues.set_pace(LOOK_EVERY, taken, now);
        // What was not worth it may be by now.
        self.notify();
        if self.shared.timers.next().is_some_and(|at| at <= now) {
            self.shared.timers.fire(&self.shared, now);
        }
        if self.threads.io.is_free() && now - self.last_io.get() > IO_EVERY {
            self.last_io.set(now);
            // Events go to our queue without waking ourselves.
            let former = self.slot().wake.swap(1, SeqCst);
            self.route.set(Route::Io);
            self.threads.io.drive(self.index, Wait::No, || now, |_| true);
            self.route.set(Route::Usual);
            self.slot().wake.store(former, SeqCst);
        }
    }

    /// Nothing to do: sleeps until there is.
    fn sleep(&self) {
        let threads = &*self.threads;
        self.queues.forget_pace();
        if threads.idle.sleep(self.index, self.searching.replace(false), || threads.any_work()) {
            threads.notify_slow();
        }
        threads.counters.parks.fetch_add(1, Relaxed);
        let slot = self.slot();
        while slot.wake.load(SeqCst) == 0 {
            let now = self.shared.now();
            let next = self.shared.timers.next();
            if next.is_some_and(|at| at <= now) {
                // What it wakes goes into our queue.
                self.route.set(Route::Io);
                self.shared.timers.fire(&self.shared, now);
                self.route.set(Route::Usual);
                continue;
            }
            self.route.set(Route::Io);
            let drove = threads.io.drive(
                self.index,
                Wait::Until(next),
                || self.shared.now(),
                |waker| {
                    slot.set_io_waker(waker);
                    slot.wake.load(SeqCst) != 0 || self.shared.timers.next() != next
                },
            );
            self.route.set(Route::Usual);
            if !drove {
                // Another one keeps an eye on I/O and timers.
                std::thread::park();
            }
        }
        slot.wake.store(0, SeqCst);
        let by_itself = threads.idle.get_up(self.index);
        self.searching.set(!by_itself);
        if threads.monitor_parked.load(SeqCst) && threads.monitor_parked.swap(false, SeqCst) {
            threads.wake_monitor();
        }
    }

    /// The turn is over that made us a hog.
    #[cold]
    fn was_a_hog(&self) {
        if self.slot().tenure.turn_ends() {
            self.retire();
        } else {
            self.threads.kept.fetch_sub(1, Relaxed);
            self.lifo.revive();
        }
    }

    /// A spare has our place: hands over everything and becomes a spare.
    fn retire(&self) {
        let (threads, slot) = (&*self.threads, self.slot());
        while let Some(ready) = self.lifo.take().or_else(|| self.queues.pop(0)) {
            threads.injector.push(ready);
        }
        threads.spares.lock().push(self.index);
        threads.notify();
        while slot.wake.swap(0, SeqCst) == 0 {
            std::thread::park();
        }
        self.lifo.revive();
        // Whoever gave us a place has counted us as searching.
        self.searching.set(true);
    }
}

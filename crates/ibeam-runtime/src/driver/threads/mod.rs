//! The threads driver: workers that steal from each other, I/O in the idle one, and a monitor that gives a busy one's
//! place to a spare.
//!
//! ```text
//! wake, spawn ──▶ [LIFO slot][newborns][queue] ◀── steal ── other workers ──▶ [injector] ◀── other threads
//!                          │
//!                     worker: turn ── nothing to do ──▶ search ──▶ sleep: one in the I/O driver, the others parked
//! ```
//!
//! # Invariants
//! 1. A ready process stands in one queue: a LIFO slot (whose rules are in `raw::lifo`), one of a worker's two queues (see
//!    `queues`), or an injector.
//! 2. `idle` counts the workers that are awake and those of them that search. Whoever makes work visible wakes a worker only
//!    if none searches: the searcher that finds work wakes the next one. A queue whose worker gets through it before another one
//!    is awake counts as work for that worker alone, and so does one from which others have just taken some in vain (see `queues`); if
//!    its turns become longer, it says so itself after some, and the monitor within 2.5 ms. A turn that wakes many says so before (`Many`), and somebody is
//!    woken for every 32 of them and at the end.
//! 3. A worker that goes to sleep first takes itself out of the count, then looks at all queues once more: work that was made
//!    visible before it was out of the count is seen by it, later work by who made it.
//! 4. At most one worker is in the I/O driver; of the sleeping ones one is, so that I/O and timers wake somebody.
//! 5. A worker whose turn takes too long (a hog) has its place given to a spare, exactly once per turn; when the turn ends it hands over
//!    what it has and becomes a spare itself. If it computes and is the only one, beside other workers, it keeps its place: a spare would have
//!    no core. Then others take what waits there: sleeping ones are told of it, searching ones find it, busy ones look now and then.
//! 6. With nothing to do everything sleeps: no polling, no periodic wake-ups, the monitor included.

mod alarm;
mod idle;
mod io;
mod monitor;
mod queues;
mod worker;

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use std::task::Waker;
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use crossbeam_deque::Injector;
use parking_lot::{Condvar, Mutex};

use crate::driver::{Driver, Place};
use crate::process::Priority;
use crate::raw::cpu_clock::CpuClock;
use crate::raw::pcb::Owner;
use crate::raw::ready::{Ready, ReadySlot};
use crate::raw::scoped::Scoped;
use crate::raw::tenure::Tenure;
use crate::runtime::metrics::{DriverMetrics, Ended};
use crate::runtime::{Config, Shared};
use crate::time::Instant;

use self::idle::Idle;
use self::io::Io;
use self::queues::{Queues, Stealers};
use self::worker::Worker;

/// See the module.
pub(crate) struct Threads {
    slots: Box<[Arc<Slot>]>,
    /// How many of the slots have a thread.
    started: AtomicUsize,
    handles: Mutex<Vec<JoinHandle<()>>>,
    /// For what other threads schedule.
    injector: Injector<Ready>,
    /// Processes of high and maximal priority, and of low priority.
    high: Injector<Ready>,
    low: Injector<Ready>,
    /// How many stand in these two: nearly always none, which is all that a worker wants to know between two turns.
    special: AtomicUsize,
    idle: Idle,
    /// How many workers are hogs that have kept their place: what waits there is for the others, the busy ones too.
    kept: AtomicUsize,
    /// Threads whose place has been given away, or that wait to get one.
    spares: Mutex<Vec<usize>>,
    io: Io,
    monitor: OnceLock<Thread>,
    monitor_parked: AtomicBool,
    stopping: AtomicBool,
    /// How many threads are alive, for those who wait for the end.
    alive: Mutex<usize>,
    ended: Condvar,
    clock: Clock,
    config: Config,
    counters: Counters,
}

/// What all see of one worker thread.
#[repr(align(128))]
struct Slot {
    /// Where it stands among the slots.
    index: usize,
    stealers: OnceLock<Stealers>,
    /// The queues, until the thread has them.
    queues: Mutex<Option<Queues>>,
    lifo: ReadySlot,
    /// Whose the place is, if the turn takes too long.
    tenure: Tenure,
    /// How long the thread has run, for the monitor.
    clock: OnceLock<Option<CpuClock>>,
    /// The pid whose turn it is.
    running: AtomicU64,
    /// 1: get up. Set before the thread is unparked or its waker used.
    wake: AtomicU32,
    thread: OnceLock<Thread>,
    /// Gets the thread out of the I/O driver.
    io_waker: Mutex<Option<Waker>>,
    /// Processes that have ended on this thread, and what they had done. Only the thread itself writes.
    ended: AtomicU64,
    reductions: AtomicU64,
}

#[derive(Default)]
struct Counters {
    steals: AtomicU64,
    parks: AtomicU64,
    compensations: AtomicU64,
    io_stalls: AtomicU64,
}

thread_local! {
    static WORKER: Scoped<Worker> = const { Scoped::new() };
}

/// If this thread is a worker of that runtime, schedules the process here; otherwise it comes back.
#[inline]
pub(crate) fn schedule_here(runtime: *const Shared, ready: Ready, place: Place) -> Option<Ready> {
    WORKER.with(|worker| {
        worker.get(|worker| match worker {
            Some(worker) if worker.belongs_to(runtime) => {
                worker.schedule(ready, place);
                None
            }
            _ => Some(ready),
        })
    })
}

/// If this thread is a worker of that runtime, counts a process that ends here.
#[inline]
pub(crate) fn count_end_here(runtime: *const Shared, reductions: u64) -> bool {
    WORKER.with(|worker| {
        worker.get(|worker| match worker {
            Some(worker) if worker.belongs_to(runtime) => {
                worker.count_end(reductions);
                true
            }
            _ => false,
        })
    })
}

/// A turn wakes many processes: see [`Worker::begin_many`]. Elsewhere than on a worker it makes no difference.
pub(crate) struct Many {
    began: bool,
    _of_this_thread: PhantomData<*const ()>,
}

impl Many {
    pub(crate) fn begin() -> Self {
        let began = WORKER.with(|worker| worker.get(|worker| worker.is_some_and(Worker::begin_many)));
        Self { began, _of_this_thread: PhantomData }
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        if self.began {
            WORKER.with(|worker| worker.get(|worker| worker.into_iter().for_each(Worker::end_many)));
        }
    }
}

/// Whoever becomes ready first while `f` runs has its turn at once, on this thread and within the turn of the calling process, which
/// must be about to wait for it: then nobody sees a difference but that two ways through a queue are saved. `f` is told whether it is
/// so; if it is, nothing that the inner one does in that turn needs to wake the outer one.
///
/// It is so on workers only, not within such a turn, and not if the turn of the calling process is long enough already. The caller
/// holds no lock, and `f` runs no code of the program: either may wake somebody who needs what is locked.
pub fn within<R>(f: impl FnOnce(bool) -> R) -> R {
    struct Within;
    impl Drop for Within {
        fn drop(&mut self) {
            WORKER.with(|worker| worker.get(|worker| worker.into_iter().for_each(Worker::end_within)));
        }
    }
    let begins = Owner::current().is_some_and(|outer| {
        WORKER.with(|worker| worker.get(|worker| worker.is_some_and(|worker| worker.begin_within(outer))))
    });
    let _ends = begins.then_some(Within);
    f(begins)
}

impl Threads {
    /// Starts the workers and the monitor.
    pub(crate) fn start(
        config: &Config,
        shared: impl FnOnce(Arc<Self>) -> Arc<Shared>,
    ) -> std::io::Result<Arc<Shared>> {
        let io = Io::new(config)?;
        let threads = Arc::new(Self {
            slots: (0..config.workers + config.spare_threads)
                .map(|index| Arc::new(Slot::new(index)))
                .collect(),
            started: AtomicUsize::new(0),
            handles: Mutex::default(),
            injector: Injector::new(),
            high: Injector::new(),
            low: Injector::new(),
            special: AtomicUsize::new(0),
            idle: Idle::new(config.workers),
            kept: AtomicUsize::new(0),
            spares: Mutex::default(),
            io,
            monitor: OnceLock::new(),
            monitor_parked: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            alive: Mutex::new(0),
            ended: Condvar::new(),
            clock: Clock::start(),
            config: config.clone(),
            counters: Counters::default(),
        });
        let shared = shared(Arc::clone(&threads));
        let started = (0..config.workers)
            .try_for_each(|_| threads.start_worker(&shared, false).map(drop))
            .and_then(|()| monitor::start(&threads, &shared));
        match started {
            Ok(()) => Ok(shared),
            Err(error) => {
                // Those that have started must not stay behind. They have nothing to do, so they come at once.
                threads.stop(Duration::from_secs(1));
                Err(error)
            }
        }
    }

    /// One more thread, if there is a slot left for it.
    fn start_worker(self: &Arc<Self>, shared: &Arc<Shared>, searching: bool) -> std::io::Result<bool> {
        let index = self.started.load(SeqCst);
        let Some(slot) = self.slots.get(index) else { return Ok(false) };
        slot.stealers.get_or_init(|| {
            let (queues, stealers) = Queues::new();
            *slot.queues.lock() = Some(queues);
            stealers
        });
        // Before its thread runs: that one looks for work among all that are started, and is to find itself there. Nobody
        // else changes this meanwhile: slots are started by the builder or the monitor, one after the other.
        self.started.store(index + 1, SeqCst);
        let (threads, shared) = (Arc::clone(self), Arc::clone(shared));
        let spawned = self.spawn(format!("{}-{index}", self.config.name), move || {
            let slot = &threads.slots[index];
            // The thread says itself where to wake it, before it can sleep.
            let _set_once = slot.thread.set(thread::current());
            let _set_once = slot.clock.set(CpuClock::of_this_thread());
            let queues = slot.queues.lock().take().expect("each slot has one thread");
            let worker = Worker::new(threads, shared, index, queues, searching);
            WORKER.with(|current| current.set(&worker, || worker.run()));
        });
        match spawned {
            Ok(handle) => self.handles.lock().push(handle),
            Err(error) => {
                self.started.store(index, SeqCst);
                return Err(error);
            }
        }
        Ok(true)
    }

    fn spawn(
        self: &Arc<Self>,
        name: String,
        run: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        struct Alive(Arc<Threads>);
        impl Drop for Alive {
            fn drop(&mut self) {
                let mut alive = self.0.alive.lock();
                *alive -= 1;
                self.0.ended.notify_all();
                let last = *alive == 0;
                drop(alive);
                if last {
                    // Who stopped the driver may have given up before.
                    self.0.io.shut_down();
                }
            }
        }
        *self.alive.lock() += 1;
        let alive = Alive(Arc::clone(self));
        thread::Builder::new().name(name).spawn(move || {
            let _alive = alive;
            run();
        })
    }

    /// Puts a process where any worker finds it.
    fn inject(&self, ready: Ready) {
        let queue = match ready.priority() {
            Priority::Normal => return self.injector.push(ready),
            Priority::Low => &self.low,
            Priority::High | Priority::Max => &self.high,
        };
        // Counted first: whoever takes it out finds it counted.
        self.special.fetch_add(1, SeqCst);
        queue.push(ready);
    }

    /// Takes a process out of one of the two special queues.
    fn take_special(&self, queue: &Injector<Ready>) -> Option<Ready> {
        let ready = queues::insist(|| queue.steal())?;
        self.special.fetch_sub(1, SeqCst);
        Some(ready)
    }

    /// Is there work for a worker that has none?
    fn any_work(&self) -> bool {
        let started = self.started.load(SeqCst);
        !self.injector.is_empty()
            || !self.high.is_empty()
            || !self.low.is_empty()
            || self.slots[..started].iter().any(|slot| {
                slot.stealers.get().is_some_and(Stealers::has_for_others) || slot.lifo.has_for_others()
            })
    }

    /// Work was made visible: somebody should look for it.
    #[inline]
    fn notify(&self) {
        if self.idle.wants_searcher() {
            self.notify_slow();
        }
    }

    #[cold]
    fn notify_slow(&self) {
        if let Some(index) = self.idle.take_sleeper(|index| self.io.is_busy_in(index)) {
            self.unpark(index);
        }
    }

    fn unpark(&self, index: usize) {
        let slot = &self.slots[index];
        slot.wake.store(1, SeqCst);
        self.rouse(index);
        if self.monitor_parked.load(SeqCst) && self.monitor_parked.swap(false, SeqCst) {
            self.wake_monitor();
        }
    }

    /// Gets a sleeping thread to look at its `wake` word, and at the timers.
    fn rouse(&self, index: usize) {
        let slot = &self.slots[index];
        if self.io.holder() == Some(index) {
            slot.wake_from_io();
        }
        // Also when it seems to be in the I/O driver: it may just be leaving, or about to enter.
        if let Some(thread) = slot.thread.get() {
            thread.unpark();
        }
    }

    fn wake_monitor(&self) {
        if let Some(monitor) = self.monitor.get() {
            monitor.unpark();
        }
    }
}

impl Slot {
    fn new(index: usize) -> Self {
        Self {
            index,
            stealers: OnceLock::new(),
            queues: Mutex::new(None),
            lifo: ReadySlot::new(),
            tenure: Tenure::new(),
            clock: OnceLock::new(),
            running: AtomicU64::new(0),
            wake: AtomicU32::new(0),
            thread: OnceLock::new(),
            io_waker: Mutex::new(None),
            ended: AtomicU64::new(0),
            reductions: AtomicU64::new(0),
        }
    }

    /// Gets the thread out of the I/O driver, where it has said how.
    fn wake_from_io(&self) {
        if let Some(waker) = &*self.io_waker.lock() {
            waker.wake_by_ref();
        }
    }

    /// How to get the thread out of the I/O driver: the same each time, most likely.
    fn set_io_waker(&self, waker: &Waker) {
        let mut known = self.io_waker.lock();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }
}

impl Driver for Threads {
    fn repeats_runs(&self) -> bool {
        false
    }

    fn schedule(&self, ready: Ready, _place: Place) {
        self.inject(ready);
        self.notify();
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn now_coarse(&self) -> Instant {
        self.clock.now_coarse()
    }

    fn timer_armed(&self) {
        // Who sleeps in the driver sleeps until the former first timer. Without a sleeper there, workers look now and then.
        if let Some(index) = self.io.holder() {
            self.rouse(index);
        }
    }

    fn stop(&self, patience: Duration) -> bool {
        self.stopping.store(true, SeqCst);
        for index in 0..self.started.load(SeqCst) {
            self.slots[index].wake.store(1, SeqCst);
            self.rouse(index);
        }
        self.wake_monitor();
        // A worker cannot wait for itself: it ends when it comes back from here.
        let myself = usize::from(
            WORKER.with(|worker| worker.get(|worker| worker.is_some_and(|worker| worker.is_of(self)))),
        );
        let deadline = std::time::Instant::now() + patience;
        let mut alive = self.alive.lock();
        while *alive > myself {
            if self.ended.wait_until(&mut alive, deadline).timed_out() {
                return false;
            }
        }
        drop(alive);
        if myself == 0 {
            // All have ended; this only lets go of what the system keeps of them.
            self.handles.lock().drain(..).for_each(|handle| drop(handle.join()));
        }
        self.io.shut_down();
        true
    }

    fn metrics(&self) -> DriverMetrics {
        let started = self.started.load(SeqCst);
        let queues = |slot: &Arc<Slot>| {
            slot.stealers.get().map_or(0, Stealers::len) + usize::from(!slot.lifo.is_empty())
        };
        DriverMetrics {
            workers: self.config.workers,
            threads: started,
            run_queues: self.slots[..started].iter().map(queues).collect(),
            injected: self.injector.len() + self.high.len() + self.low.len(),
            steals: self.counters.steals.load(Relaxed),
            parks: self.counters.parks.load(Relaxed),
            compensations: self.counters.compensations.load(Relaxed),
            io_stalls: self.counters.io_stalls.load(Relaxed),
            ended: Ended {
                processes: self.slots.iter().map(|slot| slot.ended.load(Relaxed)).sum(),
                reductions: self.slots.iter().map(|slot| slot.reductions.load(Relaxed)).sum(),
            },
        }
    }
}

/// The monotonic clock, and a coarse view of it that costs a fifth.
struct Clock {
    start: std::time::Instant,
    /// The coarse clock's origin, taken before `start`: what it shows since is never too little.
    #[cfg(target_os = "linux")]
    coarse: (rustix::time::Timespec, Duration),
}

impl Clock {
    fn start() -> Self {
        #[cfg(target_os = "linux")]
        let coarse = {
            use rustix::time::{ClockId, clock_getres, clock_gettime};
            let resolution = clock_getres(ClockId::MonotonicCoarse);
            (
                clock_gettime(ClockId::Monotonic),
                Duration::new(resolution.tv_sec as u64, resolution.tv_nsec as u32),
            )
        };
        Self {
            #[cfg(target_os = "linux")]
            coarse,
            start: std::time::Instant::now(),
        }
    }

    fn now(&self) -> Instant {
        Instant::START + self.start.elapsed()
    }

    #[cfg(target_os = "linux")]
    fn now_coarse(&self) -> Instant {
        use rustix::time::{ClockId, clock_gettime};
        let (start, resolution) = &self.coarse;
        let now = clock_gettime(ClockId::MonotonicCoarse);
        let nanos = (now.tv_sec - start.tv_sec) * 1_000_000_000 + (now.tv_nsec - start.tv_nsec);
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(0)) + *resolution
    }

    #[cfg(not(target_os = "linux"))]
    fn now_coarse(&self) -> Instant {
        self.now()
    }
}

//! Workers that sleep and work that comes: `driver::threads::idle` with workers that do as `driver::threads::worker` does.

use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::sync::{Arc, Notify};
use loom::thread;

use super::explore;
use crate::idle::Idle;

const WORKERS: usize = 2;

/// What the workers share. Work is only counted, in one queue; that takes the place of all run queues.
struct Pool {
    idle: Idle,
    queue: AtomicUsize,
    /// What is still to be done until the workers may end.
    left: AtomicUsize,
    stopping: AtomicBool,
    wake: [AtomicBool; WORKERS],
    /// Stands for the threads' parking: loom's own forgets an `unpark` that comes while the thread waits for a lock.
    parked: [Notify; WORKERS],
}

impl Pool {
    fn new(work: usize) -> Arc<Self> {
        Arc::new(Self {
            idle: Idle::new(WORKERS),
            queue: AtomicUsize::new(0),
            left: AtomicUsize::new(work),
            stopping: AtomicBool::new(false),
            wake: [AtomicBool::new(false), AtomicBool::new(false)],
            parked: [Notify::new(), Notify::new()],
        })
    }

    fn push(&self) {
        self.queue.fetch_add(1, Release);
        self.notify();
    }

    fn take(&self) -> bool {
        self.queue.fetch_update(Acquire, Relaxed, |queued| queued.checked_sub(1)).is_ok()
    }

    fn notify(&self) {
        if self.idle.wants_searcher() {
            self.notify_slow();
        }
    }

    fn notify_slow(&self) {
        if let Some(index) = self.idle.take_sleeper(|_| false) {
            self.unpark(index);
        }
    }

    fn unpark(&self, index: usize) {
        // A swap, because loom does not conclude from a plain store that it comes after the swap in `sleep`.
        self.wake[index].swap(true, SeqCst);
        self.parked[index].notify();
    }

    fn work(&self, index: usize) {
        let mut searching = false;
        while !self.stopping.load(SeqCst) {
            if self.next(&mut searching) {
                if std::mem::take(&mut searching) && self.idle.end_search() {
                    self.notify();
                }
                if self.left.fetch_sub(1, SeqCst) == 1 {
                    self.stopping.store(true, SeqCst);
                    (0..WORKERS).for_each(|worker| self.unpark(worker));
                }
            } else {
                self.sleep(index, &mut searching);
            }
        }
    }

    fn next(&self, searching: &mut bool) -> bool {
        if !*searching {
            *searching = self.idle.begin_search();
        }
        *searching && self.take()
    }

    fn sleep(&self, index: usize, searching: &mut bool) {
        if self.idle.sleep(index, std::mem::take(searching), || self.queue.load(Relaxed) != 0) {
            self.notify_slow();
        }
        while !self.wake[index].load(SeqCst) {
            self.parked[index].wait();
        }
        self.wake[index].swap(false, SeqCst);
        *searching = !self.idle.get_up(index);
    }
}

/// Work comes, from outside, while the workers run out of it: it is never that all sleep and work is left. Loom sees that as
/// a deadlock (13, and what 4 and 5 rest on).
#[test]
fn work_comes_while_workers_go_to_sleep() {
    for work in [1, 2] {
        explore(2, move || {
            let pool = Pool::new(work);
            let workers = [0, 1].map(|index| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || pool.work(index))
            });
            (0..work).for_each(|_| pool.push());
            workers.into_iter().for_each(|worker| worker.join().unwrap());
            assert_eq!(pool.left.load(SeqCst), 0);
        });
    }
}

/// The same from a worker itself, which goes to sleep after it has made work, as when an event has woken two processes.
#[test]
fn a_worker_makes_work_and_goes_to_sleep() {
    explore(3, || {
        let pool = Pool::new(2);
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.work(1))
        };
        pool.push();
        pool.push();
        pool.work(0);
        other.join().unwrap();
        assert_eq!(pool.left.load(SeqCst), 0);
    });
}

//! Who sleeps, who searches: the protocol by which no work is overlooked and no worker woken for nothing.

use crate::sync::Mutex;
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::atomic::{AtomicUsize, fence};

const AWAKE: usize = 1 << 16;
const SEARCHING: usize = AWAKE - 1;

/// See the module, and invariants 2 and 3 of its parent.
pub(super) struct Idle {
    /// Workers awake (in units of [`AWAKE`]) and, of these, searching.
    count: AtomicUsize,
    sleepers: Mutex<Vec<usize>>,
    workers: usize,
}

impl Idle {
    pub(super) fn new(workers: usize) -> Self {
        Self { count: AtomicUsize::new(workers * AWAKE), sleepers: Mutex::new(Vec::new()), workers }
    }

    /// The caller has made work visible: does nobody search, and somebody sleep, who is to be [taken](Self::take_sleeper)?
    #[inline(always)]
    pub(super) fn wants_searcher(&self) -> bool {
        // Against the one in `sleep`: either we find that worker out of the count, or it finds our work.
        fence(SeqCst);
        let count = self.count.load(Relaxed);
        count & SEARCHING == 0 && count / AWAKE < self.workers
    }

    /// Counts a sleeper as awake and searching, for the caller to wake it. Who is `busy` is taken only if there is no other.
    pub(super) fn take_sleeper(&self, busy: impl Fn(usize) -> bool) -> Option<usize> {
        let mut sleepers = self.sleepers.lock();
        if !self.wants_searcher() {
            return None;
        }
        let at = sleepers.iter().rposition(|&index| !busy(index)).or(sleepers.len().checked_sub(1))?;
        let index = sleepers.remove(at);
        self.count.fetch_add(AWAKE + 1, SeqCst);
        Some(index)
    }

    /// May one more search? At most half of those awake do.
    pub(super) fn begin_search(&self) -> bool {
        let count = self.count.load(SeqCst);
        if 2 * (count & SEARCHING) >= count / AWAKE {
            return false;
        }
        self.count.fetch_add(1, SeqCst);
        true
    }

    /// A searcher has found work. `true`: it was the last one, and must wake another.
    pub(super) fn end_search(&self) -> bool {
        self.count.fetch_sub(1, SeqCst) & SEARCHING == 1
    }

    /// A worker goes to sleep. `true`: there is work after all, and somebody must be [taken](Self::take_sleeper) for it,
    /// perhaps this very worker.
    pub(super) fn sleep(&self, index: usize, searching: bool, any_work: impl FnOnce() -> bool) -> bool {
        let mut sleepers = self.sleepers.lock();
        self.count.fetch_sub(AWAKE + usize::from(searching), SeqCst);
        sleepers.push(index);
        drop(sleepers);
        // Who has made work visible before we were out of the count left it to us.
        fence(SeqCst);
        any_work()
    }

    /// A worker has got up. `true`: by itself, for an event of its own; `false`: it was woken to search, and is counted so.
    pub(super) fn get_up(&self, index: usize) -> bool {
        let mut sleepers = self.sleepers.lock();
        let Some(at) = sleepers.iter().position(|&sleeper| sleeper == index) else { return false };
        sleepers.swap_remove(at);
        self.count.fetch_add(AWAKE, SeqCst);
        true
    }

    /// A spare takes a hog's place: the hog leaves the count, the spare comes in searching.
    pub(super) fn replace_hog(&self) {
        self.count.fetch_add(1, SeqCst);
    }

    /// There was no spare after all.
    pub(super) fn keep_hog(&self) {
        self.count.fetch_sub(1, SeqCst);
    }

    pub(super) fn all_asleep(&self) -> bool {
        self.count.load(SeqCst) / AWAKE == 0
    }
}

//! Locks by key, for those who use one registry.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::hash::Hash;
use std::sync::Arc;
use std::task::{Poll, Waker};

use foldhash::fast::FixedState;
use parking_lot::Mutex;

use super::any_key::AnyKey;

/// The locks that somebody has or waits for. Each is a line in which the first one has the lock.
#[derive(Default)]
pub(super) struct Locks(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    lines: HashMap<Arc<dyn AnyKey>, Line, FixedState>,
    /// The number that was given last.
    last: u64,
}

/// Who has the lock and who waits for it, by number.
type Line = VecDeque<(u64, Option<Waker>)>;

/// A place in a line, left when it is dropped.
struct Place<'a> {
    locks: &'a Locks,
    key: Arc<dyn AnyKey>,
    number: u64,
}

impl Locks {
    /// Runs `f` while nobody else runs something under the same key.
    pub(super) async fn with<F: Future>(
        &self,
        key: impl Hash + Eq + Send + Sync + 'static,
        f: impl FnOnce() -> F,
    ) -> F::Output {
        let place = self.stand_in_line(Arc::new(key));
        poll_fn(|cx| place.poll(cx.waker())).await;
        f().await
    }

    fn stand_in_line(&self, key: Arc<dyn AnyKey>) -> Place<'_> {
        let mut lines = self.0.lock();
        lines.last += 1;
        let number = lines.last;
        lines.lines.entry(Arc::clone(&key)).or_default().push_back((number, None));
        Place { locks: self, key, number }
    }
}

impl Place<'_> {
    fn poll(&self, waker: &Waker) -> Poll<()> {
        let mut lines = self.locks.0.lock();
        let line = lines.lines.get_mut(&*self.key).expect("this place is in it");
        if line.front().is_some_and(|(number, _)| *number == self.number) {
            return Poll::Ready(());
        }
        let place = line.iter_mut().find(|(number, _)| *number == self.number);
        let former = place.expect("a place is left by its drop only").1.replace(waker.clone());
        drop(lines);
        drop(former);
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut lines = self.locks.0.lock();
        let line = lines.lines.get_mut(&*self.key).expect("this place is in it");
        let at = line.iter().position(|(number, _)| *number == self.number);
        let left = at.and_then(|at| line.remove(at));
        let next = if at == Some(0) { line.front_mut().and_then(|(_, waker)| waker.take()) } else { None };
        let removed = if line.is_empty() { lines.lines.remove_entry(&*self.key) } else { None };
        drop(lines);
        drop((left, removed));
        if let Some(next) = next {
            next.wake();
        }
    }
}

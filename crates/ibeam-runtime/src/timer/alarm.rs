//! An alarm: the time limit of a future, as cheap as it can be where it is polled.
//!
//! In a process, with the process' own waker and no other alarm set, it is a lazy deadline: two words in the block. Under
//! `join!` and the like, beside another alarm, or outside of processes, it is an entry of its own in the wheel.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::pid::Pid;
use crate::raw::pcb::Owner;
use crate::runtime::{self, Shared};
use crate::time::{Instant, nanos};
use crate::timeout::Timeout;
use crate::timer::wheel::Key;

/// From here on a time limit is taken from the coarse clock, which is a fifth of the price: it may then be late by one
/// tick of the kernel (4 ms), which nobody notices in half a second. Never early.
pub(crate) const COARSE: Duration = Duration::from_millis(500);
const COARSE_NANOS: u64 = nanos(COARSE);

/// See the module. Begins with its first poll.
#[must_use = "it rings only where it is polled"]
pub struct Alarm {
    when: When,
    state: State,
}

/// Both in nanoseconds, two whole words: a value that is built in one place and moved into another has no gaps to be copied with it.
#[derive(Clone, Copy)]
enum When {
    /// [`NEVER`], or for how long. What is longer than that is never waited for to its end: 584 years.
    After(u64),
    At(u64),
}

const NEVER: u64 = u64::MAX;

enum State {
    Unset,
    Lazy(Lazy),
    Entry(Box<Entry>),
    Rang,
}

/// The deadline of this process, for this tick. Dropped, it is taken back.
struct Lazy {
    pid: Pid,
    at: u64,
}

impl When {
    #[inline(always)]
    fn after(timeout: Timeout) -> Self {
        Self::After(match timeout {
            Timeout::Infinity => NEVER,
            Timeout::After(after) => nanos(after),
        })
    }
}

impl Drop for Lazy {
    fn drop(&mut self) {
        // Elsewhere than in its process the future cannot clear the deadline: the process wakes once for nothing, and until
        // then its other alarms are entries.
        if let Some(owner) = Owner::current()
            && owner.pid() == self.pid
        {
            owner.pcb().deadline.clear(self.at);
        }
    }
}

/// An entry in the wheel of this runtime, for this tick. Dropped, it is cancelled.
struct Entry {
    shared: Arc<Shared>,
    key: Key,
    at: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.timers.cancel(self.key);
    }
}

impl Alarm {
    /// For this long.
    #[inline]
    pub fn new(timeout: Timeout) -> Self {
        Self { when: When::after(timeout), state: State::Unset }
    }

    /// Another time limit than it was made with, counted from the next poll.
    #[inline(always)]
    pub(crate) fn limit(&mut self, timeout: Timeout) {
        self.silence();
        if let State::Rang = self.state {
            self.state = State::Unset;
        }
        self.when = When::after(timeout);
    }

    /// Until then.
    #[inline]
    pub fn until(at: Instant) -> Self {
        Self { when: When::At(at.as_nanos()), state: State::Unset }
    }

    /// Ready when the time has come, and from then on.
    #[inline(always)]
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let When::After(NEVER) = self.when {
            return Poll::Pending;
        }
        self.poll_limit(cx)
    }

    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.state {
            State::Unset => self.set(cx),
            State::Rang => Poll::Ready(()),
            State::Lazy(lazy) => {
                let (pid, at) = (lazy.pid, lazy.at);
                let owner = Owner::current().filter(|owner| owner.pid() == pid);
                match owner {
                    Some(owner) if owner.shared().now().tick() >= at => self.ring(),
                    Some(owner) if owner.pcb().is_own_waker(cx.waker()) => Poll::Pending,
                    // The future has moved: to another process, or below a `join!`.
                    _ => {
                        self.silence();
                        self.enter(cx, runtime::current(), at)
                    }
                }
            }
            State::Entry(entry) => {
                let Entry { shared, key, at } = &**entry;
                if shared.now().tick() >= *at || !shared.timers.rewake(*key, cx.waker()) {
                    self.ring()
                } else {
                    Poll::Pending
                }
            }
        }
    }

    fn ring(&mut self) -> Poll<()> {
        self.silence();
        self.state = State::Rang;
        Poll::Ready(())
    }

    #[inline]
    fn set(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let owner = Owner::current();
        let now = |coarse: bool| match owner {
            Some(owner) if coarse => owner.shared().now_coarse(),
            Some(owner) => owner.shared().now(),
            None => runtime::with_current(Shared::now),
        };
        let at = match self.when {
            When::After(NEVER) => return Poll::Pending,
            When::After(0) => return self.ring(),
            When::After(after) => now(after >= COARSE_NANOS).later_by(after),
            When::At(at) => match Instant::from_nanos(at) {
                at if at >= now(true).later_by(COARSE_NANOS) => at,
                at if at <= now(false) => return self.ring(),
                at => at,
            },
        };
        let at = at.tick_after();
        if let Some(owner) = owner {
            let pcb = owner.pcb();
            if pcb.is_own_waker(cx.waker()) && !pcb.deadline.is_set() {
                let pid = owner.pid();
                if let Some(entry) = pcb.deadline.set(pid.generation(), at) {
                    owner.shared().timers.watch(owner.shared(), pid, entry);
                }
                self.state = State::Lazy(Lazy { pid, at });
                return Poll::Pending;
            }
        }
        self.enter(cx, runtime::current(), at)
    }

    #[cold]
    fn enter(&mut self, cx: &Context<'_>, shared: Arc<Shared>, at: u64) -> Poll<()> {
        let key = shared.timers.wake(&shared, cx.waker().clone(), at);
        self.state = State::Entry(Box::new(Entry { shared, key, at }));
        Poll::Pending
    }

    /// The time limit it was made with.
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        match self.when {
            When::After(NEVER) | When::At(_) => None,
            When::After(after) => Some(Duration::from_nanos(after)),
        }
    }

    /// Takes back what was set.
    #[inline(always)]
    pub(crate) fn silence(&mut self) {
        if !matches!(self.state, State::Unset | State::Rang) {
            self.state = State::Unset;
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("after", &self.after()).finish_non_exhaustive()
    }
}

//! Timers that go off again and again.
//!
//! # Invariants
//! 1. The time of an occurrence is that of the one before and a period more, whatever happened between: lateness does not
//!    add up, and occurrences that are late all come, one after the other.
//! 2. What the next occurrence sends is made ready between two of them, outside of the wheel's lock: making it is code of
//!    the program. Meanwhile the interval is in no wheel, and whoever ends it leaves word in [`IntervalState`].
//! 3. A cancel under the wheel's lock is exact: what was not delivered before never is.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::pid::Pid;
use crate::process::Destination;
use crate::process::spawn::Later;
use crate::raw::node::OwnedNode;
use crate::runtime::Shared;
use crate::time::Instant;
use crate::timer::Timers;
use crate::timer::entry::{self, Entry, Fired, quietly};
use crate::timer::wheel::{Key, Wheel};

/// An interval, as the wheel has it.
pub(crate) struct Ticker {
    state: Arc<IntervalState>,
    /// When the next occurrence is due.
    at: Instant,
    period: Duration,
    /// The process that the interval goes with.
    owner: Option<Pid>,
    action: Action,
}

/// What an interval does, with what it does next time made ready.
pub(crate) enum Action {
    /// Sends a message.
    Send { to: Destination, next: Option<OwnedNode>, make: Box<dyn FnMut() -> OwnedNode + Send> },
    /// Starts a process.
    Start { next: Option<Later>, make: Box<dyn FnMut() -> Later + Send> },
}

/// Is there another occurrence?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Goes {
    On,
    Out,
}

/// What the handles of an interval see of it. Taken under the wheel's lock, or after the interval's end.
pub(crate) struct IntervalState(Mutex<State>);

enum State {
    /// In the wheel, due then.
    Armed(Key, Instant),
    /// Between two occurrences: due then.
    Between(Instant),
    Over,
}

impl Action {
    /// Makes the next occurrence ready. Code of the program.
    fn prepare(&mut self) {
        match self {
            Self::Send { next, make, .. } => *next = Some(make()),
            Self::Start { next, make } => *next = Some(make()),
        }
    }
}

impl Ticker {
    pub(super) fn state(&self) -> &Arc<IntervalState> {
        &self.state
    }

    /// Under the wheel's lock: it is due.
    pub(super) fn fire(mut self: Box<Self>, shared: &Arc<Shared>, fired: &mut Fired) {
        let goes = match &mut self.action {
            Action::Send { to, next, .. } => match next.take() {
                Some(node) => entry::send(shared, to, node, fired),
                None => Goes::Out,
            },
            Action::Start { next, .. } => match next.take() {
                Some(later) => {
                    entry::start(shared, later, fired);
                    Goes::On
                }
                None => Goes::Out,
            },
        };
        self.at = self.at + self.period;
        *self.state.0.lock() = match goes {
            Goes::On => State::Between(self.at),
            Goes::Out => State::Over,
        };
        fired.intervals.push(self);
    }
}

/// However it ends, its handles see it.
impl Drop for Ticker {
    fn drop(&mut self) {
        *self.state.0.lock() = State::Over;
    }
}

impl IntervalState {
    /// That of an interval that has never begun.
    pub(crate) fn over() -> Self {
        Self(Mutex::new(State::Over))
    }

    pub(super) fn armed(&self, key: Key, at: Instant) {
        *self.0.lock() = State::Armed(key, at);
    }

    fn is_over(&self) -> bool {
        matches!(*self.0.lock(), State::Over)
    }
}

impl Timers {
    /// Starts an interval. Its first occurrence is due after one period.
    pub(crate) fn begin(
        &self,
        shared: &Arc<Shared>,
        owner: Option<Pid>,
        period: Duration,
        mut action: Action,
    ) -> Arc<IntervalState> {
        let at = shared.now() + period;
        let state = Arc::new(IntervalState(Mutex::new(State::Between(at))));
        action.prepare();
        let ticker = Box::new(Ticker { state: Arc::clone(&state), at, period, owner, action });
        self.arm(shared, owner, Entry::Interval(ticker), at);
        state
    }

    /// After an occurrence: makes the next one ready. `now` is what the one who fires went by and will look at once more. By a
    /// later time the next one could be due and yet not be seen by that look, and by no other.
    pub(super) fn go_on(&self, shared: &Arc<Shared>, mut ticker: Box<Ticker>, now: Instant) {
        let goes = !ticker.state.is_over()
            && quietly("`clone` of the message of an interval", || ticker.action.prepare()).is_some();
        if goes {
            let (owner, at) = (ticker.owner, ticker.at);
            self.insert(shared, owner, Entry::Interval(ticker), at, now);
        } else {
            quietly("the message of an interval that is over", || drop(ticker));
        }
    }

    /// Ends an interval. `false`: it had ended.
    pub(crate) fn end(&self, interval: &IntervalState) -> bool {
        let mut wheel = self.lock();
        let former = std::mem::replace(&mut *interval.0.lock(), State::Over);
        let entry = match former {
            State::Armed(key, _) => wheel.cancel(key),
            State::Between(_) => None,
            State::Over => return false,
        };
        drop(wheel);
        // With it goes what is the program's, and that must not be under the lock.
        drop(entry);
        true
    }

    /// When the next occurrence is due, unless the interval is over.
    pub(crate) fn next_of(interval: &IntervalState) -> Option<Instant> {
        match *interval.0.lock() {
            State::Armed(_, at) | State::Between(at) => Some(at),
            State::Over => None,
        }
    }
}

/// Is this interval's word out that it is over, while it was in no wheel?
pub(super) fn is_over(entry: &Entry) -> bool {
    matches!(entry, Entry::Interval(ticker) if ticker.state.is_over())
}

/// The wheel has the entry now.
pub(super) fn inserted(wheel: &mut Wheel<Entry>, key: Key) {
    if let Some(Entry::Interval(ticker)) = wheel.get_mut(key) {
        ticker.state().armed(key, ticker.at);
    }
}

//! Messages and signals that are on their way for a while.
//!
//! # Invariants
//! 1. Between two processes the order stays: as long as something from A to B is held, all that A sends to B is held behind it.
//! 2. What reaches a process by another way than its mailbox (a reply, a waker) finds there all that was sent before: the
//!    simulation lets go of what is held for a process before it runs one that was woken.

use std::collections::VecDeque;

use indexmap::IndexMap;

use crate::pid::Pid;
use crate::raw::mailbox::Push;
use crate::raw::node::OwnedNode;
use crate::time::Instant;

/// A node on its way.
pub(super) struct Flight {
    pub(super) to: Pid,
    pub(super) node: OwnedNode,
    pub(super) push: Push,
}

/// See the module.
#[derive(Default)]
pub(super) struct Held {
    pairs: IndexMap<(Pid, Pid), (Instant, VecDeque<Flight>), foldhash::fast::FixedState>,
}

impl Held {
    /// Holds it if something from the one to the other is held already.
    pub(super) fn behind(&mut self, from: Pid, flight: Flight) -> Option<Flight> {
        match self.pairs.get_mut(&(from, flight.to)) {
            Some((_, flights)) => {
                flights.push_back(flight);
                None
            }
            None => Some(flight),
        }
    }

    pub(super) fn begin(&mut self, from: Pid, until: Instant, flight: Flight) {
        self.pairs.insert((from, flight.to), (until, VecDeque::from([flight])));
    }

    /// When the first is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.pairs.values().map(|(until, _)| *until).min()
    }

    /// Those of the pairs for which `is` holds, with their senders, in the order in which the pairs began to be held.
    pub(super) fn take(&mut self, is: impl Fn(Pid, Pid, Instant) -> bool) -> Vec<(Pid, VecDeque<Flight>)> {
        if self.pairs.is_empty() {
            return Vec::new();
        }
        let mut taken = Vec::new();
        self.pairs.retain(|(from, to), (until, flights)| {
            let go = is(*from, *to, *until);
            if go {
                taken.push((*from, std::mem::take(flights)));
            }
            !go
        });
        taken
    }
}

//! The answer that a process owes: a call that goes through no mailbox, with the process' future on the one side and its owner
//! on the other.
//!
//! As in the models of calls, each value and each waker is dropped exactly once and each node freed once.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use loom::sync::Arc;
use loom::thread;

use super::{Bell, explore};
use crate::exit_reason::ExitReason;
use crate::raw::answering::Answering;
use crate::raw::call::{self, Waiting};

struct Value(#[expect(dead_code, reason = "it is dropped, which loom counts")] Arc<()>);

/// What becomes of the process.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// It gives its value.
    Answers,
    /// It ends before it has run.
    EndsAtOnce,
    /// It has run, and ends while it waits.
    EndsWaiting,
}

/// The process' future: it has its value from the start, and waits once if it is to end while it waits.
fn body(fate: Fate, payload: &Arc<()>) -> impl Future<Output = Value> + Send + 'static {
    let value = Value(Arc::clone(payload));
    async move {
        if fate == Fate::EndsWaiting {
            std::future::pending::<()>().await;
        }
        value
    }
}

fn live(fate: Fate, process: Pin<&mut impl Future<Output = ExitReason>>) {
    if fate == Fate::EndsAtOnce {
        return;
    }
    let polled = process.poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, if fate == Fate::Answers { Poll::Ready(ExitReason::Normal) } else { Poll::Pending });
}

/// A process lives and ends while its owner looks for the answer with a waker of its own; then the owner leaves, or waits
/// until it is called.
fn an_owner(fate: Fate, leaves: bool) {
    explore(4, move || {
        let (first, second, payload) = (Bell::new(), Bell::new(), Arc::new(()));
        let (replier, waiting): (_, Waiting<Value>) = call::open(Bell::waker(&first));
        let process = Answering::new(body(fate, &payload), replier);
        let process = thread::spawn(move || live(fate, pin!(process)));
        let ready = waiting.poll_ref(&Bell::waker(&second)).is_ready();
        if leaves {
            drop(waiting);
            process.join().unwrap();
        } else {
            process.join().unwrap();
            assert!(ready || second.has_rung(), "the owner sleeps for ever");
            assert!(waiting.is_over());
            let answered = waiting.take(|_value| true, |reason| reason.is_some());
            assert_eq!(answered, fate == Fate::Answers);
        }
        assert_eq!(Arc::strong_count(&payload), 1, "values left");
        assert_eq!([first.wakers(), second.wakers()], [0; 2]);
    });
}

/// The value against an owner who changes its waker and waits: it finds the value, or the new waker is rung (9).
#[test]
fn a_value_against_an_owner_who_waits() {
    an_owner(Fate::Answers, false);
}

/// The value against an owner who gives up, as at a timeout (9).
#[test]
fn a_value_against_an_owner_who_leaves() {
    an_owner(Fate::Answers, true);
}

/// The end without a value, of a process that has run or not, against an owner who waits or gives up (9).
#[test]
fn an_end_without_a_value_against_the_owner() {
    for fate in [Fate::EndsAtOnce, Fate::EndsWaiting] {
        for leaves in [false, true] {
            an_owner(fate, leaves);
        }
    }
}

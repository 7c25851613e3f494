//! The call node: one caller and one server, who may be anywhere in between.
//!
//! In all models each request, reply and waker is dropped exactly once and each node freed once: loom's `Arc`s, the nodes'
//! own mark and the bells tell.

use std::task::{Poll, Waker};

use loom::sync::Arc;
use loom::thread;

use super::{Bell, explore, let_others_begin};
use crate::exit_reason::ExitReason;
use crate::raw::call::{self, Outcome, Replier, Waiting};
use crate::raw::node::{NoMeta, OwnedNode};

struct Request(#[expect(dead_code, reason = "it is dropped, which loom counts")] Arc<()>);
struct Reply(Arc<()>);

fn make_call(waker: Waker, payload: &Arc<()>) -> (OwnedNode, Waiting<Reply>) {
    call::call::<Request, Reply, NoMeta>(1, Request(Arc::clone(payload)), waker)
}

fn take(node: OwnedNode) -> Replier<Reply> {
    let Ok((_request, replier)) = call::take_call::<Request, Reply, NoMeta>(node) else {
        panic!("a call of these types")
    };
    replier
}

/// The server replies while `caller` does something with its side.
fn against_a_reply(
    caller: impl FnOnce(Waiting<Reply>, &Arc<Bell>) -> Option<Outcome<Reply>>,
) -> (bool, Option<Outcome<Reply>>, Arc<Bell>) {
    let (bell, payload) = (Bell::new(), Arc::new(()));
    let (node, waiting) = make_call(Bell::waker(&bell), &payload);
    let server = thread::spawn(move || take(node).finish(Outcome::Replied(Reply(payload))));
    let_others_begin();
    let outcome = caller(waiting, &bell);
    (server.join().unwrap(), outcome, bell)
}

/// The reply against a poll with the waker of before: the caller finds the reply, or is woken to find it (9).
#[test]
fn a_reply_against_a_poll() {
    explore(5, || {
        let (mut pending, mut polled) = (None, false);
        let (replied, outcome, bell) = against_a_reply(|waiting, bell| {
            // The same waker as in the node, so none is cloned.
            let again = std::mem::ManuallyDrop::new(unsafe { same_waker(bell) });
            polled = waiting.poll_ref(&again).is_ready();
            if polled {
                return Some(waiting.take(Outcome::Replied, Outcome::Gone));
            }
            pending = Some(waiting);
            None
        });
        assert!(replied, "the caller waited");
        let outcome = outcome.unwrap_or_else(|| {
            assert!(bell.has_rung(), "the caller sleeps for ever");
            pending.expect("it is ready or pending").take(Outcome::Replied, Outcome::Gone)
        });
        assert!(matches!(outcome, Outcome::Replied(Reply(_))));
        assert_eq!(bell.wakers(), 0);
    });
}

/// A second handle to the bell's waker, not counted: only to be compared.
unsafe fn same_waker(bell: &Arc<Bell>) -> Waker {
    // SAFETY: by the caller's word it is not dropped.
    unsafe { Waker::new(Arc::as_ptr(bell).cast(), &super::BELL) }
}

/// The reply against a timeout: the caller leaves at any moment. The server learns whether somebody waited (9).
#[test]
fn a_reply_against_a_caller_who_leaves() {
    explore(5, || {
        let (_replied, _, bell) = against_a_reply(|waiting, _| {
            drop(waiting);
            None
        });
        assert_eq!(bell.wakers(), 0);
    });
}

/// The reply against a change of the waker, twice, as a future that moves between tasks does: the last waker that was
/// given is rung, or the caller sees the reply; each waker is dropped once and none is used after that (8, 9).
#[test]
fn a_reply_against_a_change_of_waker() {
    explore(5, || {
        let bells = [Bell::new(), Bell::new()];
        let mut last = None;
        let mut pending = None;
        let (replied, outcome, first) = against_a_reply(|waiting, _| {
            for bell in &bells {
                let waker = Bell::waker(bell);
                if waiting.poll_ref(&waker).is_ready() {
                    return Some(waiting.take(Outcome::Replied, Outcome::Gone));
                }
                last = Some(bell);
            }
            pending = Some(waiting);
            None
        });
        assert!(replied, "the caller waited");
        let outcome = outcome.unwrap_or_else(|| {
            assert!(last.expect("it was pending").has_rung(), "the caller sleeps for ever");
            pending.expect("it is ready or pending").take(Outcome::Replied, Outcome::Gone)
        });
        assert!(matches!(outcome, Outcome::Replied(Reply(_))));
        assert_eq!([first.wakers(), bells[0].wakers(), bells[1].wakers()], [0; 3]);
    });
}

/// The reply against a caller who changes its waker and then leaves (8, 9).
#[test]
fn a_reply_against_a_change_of_waker_and_a_leave() {
    explore(5, || {
        let bell = Bell::new();
        let (_replied, _, first) = against_a_reply(|waiting, _| {
            let waker = Bell::waker(&bell);
            let _either: Poll<()> = waiting.poll_ref(&waker);
            drop(waiting);
            None
        });
        assert_eq!([first.wakers(), bell.wakers()], [0; 2]);
    });
}

/// The server ends with the call unread, while the caller polls with another waker, then leaves or waits: who waits is rung and
/// told the reason (9).
#[test]
fn a_call_left_unread_against_the_caller() {
    for leaves in [false, true] {
        explore(5, move || {
            let (first, bell, payload) = (Bell::new(), Bell::new(), Arc::new(()));
            let (node, waiting) = make_call(Bell::waker(&first), &payload);
            let server = thread::spawn(move || node.discard(Some(&ExitReason::Shutdown)));
            let_others_begin();
            let ready = waiting.poll_ref(&Bell::waker(&bell)).is_ready();
            if leaves {
                drop(waiting);
                server.join().unwrap();
            } else {
                server.join().unwrap();
                assert!(ready || bell.has_rung(), "the caller sleeps for ever");
                assert!(matches!(
                    waiting.take(Outcome::Replied, Outcome::Gone),
                    Outcome::Gone(Some(ExitReason::Shutdown))
                ));
            }
            assert_eq!(Arc::strong_count(&payload), 1);
            assert_eq!([first.wakers(), bell.wakers()], [0; 2]);
        });
    }
}

/// A node that is dropped, as by a mailbox that nobody reads any more, and a call that is given up after it was read: both
/// end for the caller without a reason (9).
#[test]
fn a_dropped_call_against_the_caller() {
    for read in [false, true] {
        explore(5, move || {
            let (bell, payload) = (Bell::new(), Arc::new(()));
            let (node, waiting) = make_call(Bell::waker(&bell), &payload);
            let server =
                thread::spawn(move || if read { take(node).into_orphan(1).finish(None) } else { drop(node) });
            let_others_begin();
            let again = std::mem::ManuallyDrop::new(unsafe { same_waker(&bell) });
            let ready = waiting.poll_ref(&again).is_ready();
            if ready {
                assert!(matches!(waiting.take(Outcome::Replied, Outcome::Gone), Outcome::Gone(None)));
                server.join().unwrap();
            } else {
                server.join().unwrap();
                assert!(bell.has_rung(), "the caller sleeps for ever");
                drop(waiting);
            }
            assert_eq!(bell.wakers(), 0);
        });
    }
}

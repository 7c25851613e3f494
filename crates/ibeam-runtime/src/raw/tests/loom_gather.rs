//! Answers of some threads to one, which takes them, sleeps until the next, or leaves.
//!
//! In all models each answer and waker is dropped exactly once and each node freed once: loom's `Arc`s, the nodes' own mark and
//! the bell tell.

use std::task::Waker;

use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

use super::{Bell, explore};
use crate::raw::call::Outcome;
use crate::raw::gather::Gatherer;

type Answer = (usize, Arc<()>);

/// A gatherer whose usual waker rings the bell, and threads that give one answer each.
fn gatherer(bell: &Arc<Bell>, payload: &Arc<()>, parts: usize) -> (Gatherer<Answer>, Vec<JoinHandle<bool>>) {
    let usual = Bell::waker(bell);
    let mut gatherer = Gatherer::new(usual.clone(), usual);
    let threads = (0..parts)
        .map(|tag| {
            let (part, payload) = (gatherer.part(tag), Arc::clone(payload));
            thread::spawn(move || part.finish(Outcome::Replied((tag, payload))))
        })
        .collect();
    (gatherer, threads)
}

/// Takes what has come: how many.
fn take_all(gatherer: &mut Gatherer<Answer>) -> usize {
    let mut taken = 0;
    while let Some((tag, outcome)) = gatherer.take() {
        let Outcome::Replied((same, _payload)) = outcome else { panic!("all have answered") };
        assert_eq!(tag, same, "an answer comes with its own tag");
        taken += 1;
    }
    taken
}

/// Two answers against one who takes and falls asleep: whatever comes after it has said that it sleeps wakes it.
#[test]
fn answers_against_one_who_waits() {
    explore(3, || {
        let (bell, payload) = (Bell::new(), Arc::new(()));
        let (mut gatherer, threads) = gatherer(&bell, &payload, 2);
        let usual = std::mem::ManuallyDrop::new(unsafe { same_waker(&bell) });
        let mut taken = take_all(&mut gatherer);
        let sleeps = gatherer.wait(&usual);
        if !sleeps {
            taken += take_all(&mut gatherer);
        }
        threads.into_iter().for_each(|thread| assert!(thread.join().unwrap(), "somebody gathered"));
        assert!(!sleeps || taken == 2 || bell.has_rung(), "it sleeps for ever");
        taken += take_all(&mut gatherer);
        assert_eq!((taken, gatherer.missing()), (2, 0));
        drop(gatherer);
        assert_eq!((bell.wakers(), Arc::strong_count(&payload)), (0, 1));
    });
}

/// The same with another waker, which is changed for a third one: the last counts.
#[test]
fn an_answer_against_another_waker() {
    explore(3, || {
        let (usual, former, bell, payload) = (Bell::new(), Bell::new(), Bell::new(), Arc::new(()));
        let (mut gatherer, threads) = gatherer(&usual, &payload, 1);
        let (first, second) = (Bell::waker(&former), Bell::waker(&bell));
        let sleeps = gatherer.wait(&first) && gatherer.wait(&second);
        threads.into_iter().for_each(|thread| assert!(thread.join().unwrap(), "somebody gathered"));
        assert!(!sleeps || bell.has_rung(), "it sleeps for ever");
        assert_eq!(take_all(&mut gatherer), 1);
        drop((gatherer, first, second));
        assert_eq!((usual.wakers(), former.wakers(), bell.wakers()), (0, 0, 0));
        assert_eq!(Arc::strong_count(&payload), 1);
    });
}

/// Two answers against one who leaves at any moment: they are dropped, by whoever comes second.
#[test]
fn answers_against_one_who_leaves() {
    explore(3, || {
        let (bell, payload) = (Bell::new(), Arc::new(()));
        let (mut gatherer, threads) = gatherer(&bell, &payload, 2);
        let usual = std::mem::ManuallyDrop::new(unsafe { same_waker(&bell) });
        gatherer.wait(&usual);
        drop(gatherer);
        threads.into_iter().for_each(|thread| {
            let _heard = thread.join().unwrap();
        });
        assert_eq!((bell.wakers(), Arc::strong_count(&payload)), (0, 1));
    });
}

/// A second handle to the bell's waker, not counted: only to be compared.
unsafe fn same_waker(bell: &Arc<Bell>) -> Waker {
    // SAFETY: by the caller's word it is not dropped.
    unsafe { Waker::new(Arc::as_ptr(bell).cast(), &super::BELL) }
}

//! A worker's LIFO slot while its turns end in time, take too long, or nearly so: `raw::lifo`.
//!
//! In the models both sides have a fence, as on systems without a barrier for all threads.

use std::ptr::NonNull;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::{explore, let_others_begin};
use crate::raw::lifo::{Lifo, LifoOwner, Marked};
use crate::raw::tenure::Tenure;

/// What stands in the slot: how often it was taken, in a cell in which loom sees two takers at once.
type Entry = UnsafeCell<u32>;

/// The entries of a model; they must outlive its threads.
struct Entries([Entry; 2]);

// SAFETY: loom checks the accesses, which is what the models are for.
unsafe impl Sync for Entries {}
// SAFETY: as above.
unsafe impl Send for Entries {}

fn count(entry: NonNull<Entry>) {
    // SAFETY: the entries outlive the threads, and loom watches the access.
    unsafe { entry.as_ref().with_mut(|taken| *taken += 1) }
}

/// Two turns that fill the slot once each, with what follows a turn: take, or retire and be revived.
fn work(owner: &LifoOwner<Entry>, entries: &Entries) {
    for entry in &entries.0 {
        let took_too_long = owner.turn(|| {
            if let Some(other) = owner.put(NonNull::from(entry)) {
                count(other);
            }
        });
        // Retired or not, the worker empties its slot now, into the queue of all or to run what it finds.
        if let Some(next) = owner.take() {
            count(next);
        }
        if took_too_long {
            owner.revive();
        }
    }
}

fn model(preemptions: usize, other: impl Fn(&Lifo<Entry>) + Copy + Send + Sync + 'static) {
    explore(preemptions, move || {
        let entries = Arc::new(Entries([UnsafeCell::new(0), UnsafeCell::new(0)]));
        let lifo = std::sync::Arc::new(Lifo::new());
        let worker = {
            let (lifo, entries) = (std::sync::Arc::clone(&lifo), Arc::clone(&entries));
            thread::spawn(move || work(&LifoOwner::new(lifo), &entries))
        };
        let_others_begin();
        other(&lifo);
        worker.join().unwrap();
        assert!(lifo.take_from_hog().is_none(), "left in the slot");
        for entry in &entries.0 {
            // SAFETY: the threads are done.
            let taken = entry.with(|taken| unsafe { *taken });
            assert_eq!(taken, 1, "an entry is taken once");
        }
    });
}

/// Marks the turn that runs, if one does, and takes what the hog has left.
fn mark_and_take(lifo: &Lifo<Entry>) -> Option<Marked> {
    let epoch = lifo.epoch();
    let marked = (epoch % 2 == 1).then(|| lifo.mark(epoch))?;
    if let Some(entry) = lifo.take_from_hog() {
        count(entry);
    }
    Some(marked)
}

/// The entry of a hog is taken by one of the two, and once.
#[test]
fn a_hog_and_a_thief() {
    model(3, |lifo| {
        mark_and_take(lifo);
    });
}

/// A mark that finds another turn than it was for.
#[test]
fn a_mark_that_comes_too_late() {
    model(3, |lifo| {
        let marked = lifo.mark(1);
        if let Some(entry) = lifo.take_from_hog() {
            assert_eq!(marked, Marked::Hog);
            count(entry);
        }
    });
}

/// A hog whose place is kept at first, and given to a spare after all, or given at once: the place has one worker.
#[test]
fn the_place_of_a_hog_has_one_worker() {
    for keeps in [false, true] {
        explore(3, move || {
            let lifo = std::sync::Arc::new(Lifo::<Entry>::new());
            let tenure = Arc::new(Tenure::new());
            let worker = {
                let (lifo, tenure) = (std::sync::Arc::clone(&lifo), Arc::clone(&tenure));
                thread::spawn(move || {
                    let owner = LifoOwner::new(lifo);
                    // How often it lost its place.
                    (0..2).filter(|_| owner.turn(|| {}) && tenure.turn_ends()).count()
                })
            };
            let mut spares = 0;
            let_others_begin();
            let epoch = lifo.epoch();
            if epoch % 2 == 1 {
                if keeps {
                    tenure.keep()
                } else {
                    tenure.give()
                }
                match lifo.mark(epoch) {
                    Marked::TooLate => tenure.take_back(),
                    _ if !keeps || tenure.give_after_all() => spares += 1,
                    _ => {}
                }
            }
            assert_eq!(worker.join().unwrap(), spares);
            assert!(!tenure.is_kept());
        });
    }
}

/// A hog that keeps its place revives itself, whatever the one who marks it is about to do, and a thief still looks.
#[test]
fn a_hog_that_keeps_its_place() {
    explore(5, || {
        let entries = Arc::new(Entries([UnsafeCell::new(0), UnsafeCell::new(0)]));
        let lifo = std::sync::Arc::new(Lifo::new());
        let worker = {
            let (lifo, entries) = (std::sync::Arc::clone(&lifo), Arc::clone(&entries));
            thread::spawn(move || {
                let owner = LifoOwner::new(lifo);
                for entry in &entries.0 {
                    let took_too_long =
                        owner.turn(|| owner.put(NonNull::from(entry)).into_iter().for_each(count));
                    if took_too_long {
                        owner.revive();
                    }
                    owner.take().into_iter().for_each(count);
                }
            })
        };
        let thief = {
            let lifo = std::sync::Arc::clone(&lifo);
            thread::spawn(move || lifo.take_from_hog().into_iter().for_each(count))
        };
        let_others_begin();
        let epoch = lifo.epoch();
        if epoch % 2 == 1 {
            lifo.mark(epoch);
        }
        worker.join().unwrap();
        thief.join().unwrap();
        assert!(lifo.take_from_hog().is_none(), "left in the slot");
        for entry in &entries.0 {
            // SAFETY: the threads are done.
            assert_eq!(entry.with(|taken| unsafe { *taken }), 1, "an entry is taken once");
        }
    });
}

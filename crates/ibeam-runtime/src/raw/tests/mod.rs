//! Models of the lock-free parts, run over all their interleavings by loom. They drive the code itself, not copies of it.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p ibeam-runtime --release --lib loom
//! ```
//!
//! The numbers in the models' descriptions are those of the invariants in ARCHITECTURE.md. A model that is new should be
//! seen to fail: take out the ordering, or the second look, that it is about.

mod loom_answer;
mod loom_call;
mod loom_deadline;
mod loom_gather;
mod loom_idle;
mod loom_life;
mod loom_lifo;
mod loom_mailbox;

use std::task::{RawWaker, RawWakerVTable, Waker};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use loom::sync::atomic::{AtomicBool, AtomicUsize};

/// Runs `model` over all interleavings with at most so many preemptions: where a thread is interrupted though it could go
/// on. Nearly all errors show with two.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let model = std::sync::Arc::new(model);
    let orders = [false, true].map(|others_begin| {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
        let orders = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (counted, model) = (std::sync::Arc::clone(&orders), std::sync::Arc::clone(&model));
        builder.check(move || {
            counted.fetch_add(1, Relaxed);
            OTHERS_BEGIN.set(others_begin);
            model();
        });
        orders.load(Relaxed)
    });
    assert!(
        orders.into_iter().any(|orders| orders > 1),
        "nothing has ever happened in another order: see `let_others_begin`"
    );
}

std::thread_local!(static OTHERS_BEGIN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });

/// What the thread that has started the others says before it does its own part.
///
/// loom looks for other orders from the last access to a value on. Where this thread reads it first, and then another one reads and
/// changes it, it does not see that this one could have read the change, and the model has a single order. So each model is run twice:
/// this thread is the first to be let run, and the last.
fn let_others_begin() {
    if OTHERS_BEGIN.get() {
        loom::thread::yield_now();
    }
}

/// What wakers of the models ring. It counts its wakers, and notices when one is used after it was dropped.
#[derive(Debug)]
struct Bell {
    wakers: AtomicUsize,
    rung: AtomicBool,
    /// Read by each use of a waker and written by the last drop, so that loom sees a use that is not ordered before it.
    alive: UnsafeCell<bool>,
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            wakers: AtomicUsize::new(0),
            rung: AtomicBool::new(false),
            alive: UnsafeCell::new(true),
        })
    }

    /// The bell's one waker; more come by cloning it. The bell must outlive them all.
    fn waker(bell: &Arc<Self>) -> Waker {
        assert_eq!(bell.wakers.swap(1, Relaxed), 0, "a bell has one first waker");
        // SAFETY: the table's functions expect the address of a bell, which by the models' design outlives its wakers.
        unsafe { Waker::from_raw(RawWaker::new(Arc::as_ptr(bell).cast(), &BELL)) }
    }

    fn has_rung(&self) -> bool {
        self.rung.load(Acquire)
    }

    fn wakers(&self) -> usize {
        self.wakers.load(Relaxed)
    }

    fn check(&self) {
        self.alive.with(|alive| assert!(unsafe { *alive }, "a waker was used after it was dropped"));
    }

    fn forget_one(&self) {
        self.check();
        match self.wakers.fetch_sub(1, AcqRel) {
            0 => panic!("a waker was dropped twice"),
            1 => self.alive.with_mut(|alive| unsafe { *alive = false }),
            _ => {}
        }
    }
}

static BELL: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY (here and below): a waker of a bell, which is alive.
        let bell = unsafe { &*data.cast::<Bell>() };
        bell.check();
        bell.wakers.fetch_add(1, Relaxed);
        RawWaker::new(data, &BELL)
    },
    |data| {
        let bell = unsafe { &*data.cast::<Bell>() };
        bell.check();
        bell.rung.store(true, Release);
        bell.forget_one();
    },
    |data| {
        let bell = unsafe { &*data.cast::<Bell>() };
        bell.check();
        bell.rung.store(true, Release);
    },
    |data| unsafe { &*data.cast::<Bell>() }.forget_one(),
);

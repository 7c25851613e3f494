//! Turns of one process within the turn of another one that waits for it anyhow.

mod common;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use ibeam_runtime::__private::within;
use ibeam_runtime::{Exit, ExitReason, Pid, Runtime, RuntimeBuilder, process};

use common::{down, next, on_each_driver_with, on_threads_with};

/// Without hogs: on a busy machine the system may take a core away for as long as one takes.
fn calm() -> RuntimeBuilder {
    Runtime::builder().hog_threshold(Duration::from_secs(60))
}

/// On one worker, which nobody else takes newborns from.
fn on_one_worker<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce() -> F) {
    on_threads_with(calm().workers(1), test);
}

/// Starts a process: had it its turn before this returned?
fn runs_at_once() -> bool {
    let ran = Arc::new(AtomicBool::new(false));
    let runs = Arc::clone(&ran);
    process::spawn(async move { runs.store(true, SeqCst) });
    ran.load(SeqCst)
}

#[test]
fn who_becomes_ready_first_has_its_turn_at_once_and_nobody_else() {
    on_one_worker(|| async {
        assert_eq!(within(|lends| (lends, runs_at_once(), runs_at_once())), (true, true, false));
        assert!(!runs_at_once());
        // Also who is woken: here by an exit signal, that ends it.
        let (pid, monitor) = process::spawn_monitor(std::future::pending::<()>());
        common::until_it_waits(pid).await;
        within(|_| process::exit_signal(pid, ExitReason::Shutdown));
        assert_eq!(common::at_hand::<ibeam_runtime::Down>().monitor, monitor);
    });
}

#[test]
fn each_process_is_itself_in_its_turn() {
    on_each_driver_with(calm, |driver| async move {
        let me = process::self_pid();
        process::trap_exit(true);
        let inner = within(|lends| {
            assert_eq!(lends, driver.is_threads());
            process::spawn_link(async move {
                me.send((process::self_pid(), process::parent()));
                next::<&str>().await;
                me.send("gone on");
                next::<&str>().await;
            })
        });
        assert_eq!(process::self_pid(), me);
        assert_eq!(next::<(Pid, Option<Pid>)>().await, (inner, Some(me)));
        inner.send("go on");
        assert_eq!(next::<&str>().await, "gone on");
        within(|_| inner.send("end"));
        assert_eq!(next::<Exit>().await.pid, inner);
    });
}

#[test]
fn the_ends_of_inner_ones_are_their_own() {
    on_each_driver_with(calm, |_| async {
        let panics = within(|_| process::spawn_monitor(async { panic!("as it was told") }));
        let exits = within(|_| process::spawn_monitor(async { process::exit(ExitReason::other("enough")) }));
        let killed = within(|_| process::spawn_monitor(async { process::kill(process::self_pid()) }));
        assert!(down(panics.1).await.reason.to_string().starts_with("panic: as it was told"));
        assert_eq!(down(exits.1).await.reason, ExitReason::other("enough"));
        assert_eq!(down(killed.1).await.reason, ExitReason::Killed);
    });
}

#[test]
fn one_turn_within_another_is_enough() {
    on_one_worker(|| async {
        let me = process::self_pid();
        within(|_| process::spawn(async move { me.send(within(|lends| (lends, runs_at_once()))) }));
        assert_eq!(next::<(bool, bool)>().await, (false, false));
        assert!(within(|_| runs_at_once()));
    });
}

#[test]
fn a_turn_does_not_become_longer_and_longer() {
    on_one_worker(|| async {
        for _ in 0..3 {
            process::yield_now().await;
            let lent = (0..1_000).filter(|_| within(|_| runs_at_once())).count();
            assert_eq!(lent, 16);
        }
    });
}

#[test]
fn what_others_log_is_in_no_span_of_the_outer_ones() {
    on_one_worker(|| async {
        let me = process::self_pid();
        let span = tracing::info_span!("outer");
        process::builder().span(span).spawn(async move { me.send(within(|lends| lends)) });
        assert!(!next::<bool>().await);
    });
}

#[test]
fn elsewhere_than_in_processes_it_makes_no_difference() {
    assert!(!within(|lends| lends));
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let (said, heard) = std::sync::mpsc::channel();
    let ended = said.clone();
    within(|lends| {
        assert!(!lends);
        process::builder().runtime(&runtime).spawn(async move { ended.send(()).unwrap() });
    });
    heard.recv().unwrap();
    runtime.shutdown(Duration::from_secs(5)).unwrap();
}

#[test]
fn others_go_on_beside_a_hog_within_a_turn() {
    on_threads_with(Runtime::builder().workers(1).hog_threshold(Duration::from_millis(1)), || async {
        let me = process::self_pid();
        let heard = Arc::new(AtomicBool::new(false));
        let hears = Arc::clone(&heard);
        let other = process::spawn(async move {
            next::<&str>().await;
            me.send("other");
            hears.store(true, SeqCst);
        });
        // Not within a turn that the system has made long already.
        while !within(|lends| {
            if lends {
                let heard = Arc::clone(&heard);
                process::spawn(async move {
                    other.send("go on");
                    while !heard.load(SeqCst) {
                        thread::yield_now();
                    }
                });
            }
            lends
        }) {
            process::yield_now().await;
        }
        assert_eq!(common::at_hand::<&str>(), "other");
        // This turn is too long already; the next one is not.
        assert!(!within(|lends| lends));
        while !within(|_| runs_at_once()) {
            process::yield_now().await;
        }
    });
}

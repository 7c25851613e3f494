//! How processes end: invariants 10 and 11, and what destructors that panic must not do.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::Duration;

use common::{
    Driver, down, end_of, first, idle, next, nothing_comes, on_each_driver, on_every_driver, on_threads_with,
};
use ibeam_runtime::process::{self, Call, Key, monitor_builder, receive_with};
use ibeam_runtime::{AliasMode, CallError, ExitReason, Overflow, Pid, Reference, Runtime, Timeout};

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counter() -> (Arc<AtomicUsize>, Counted) {
    let count = Arc::new(AtomicUsize::new(0));
    (Arc::clone(&count), Counted(count))
}

/// Invariant 10: kill works before the first poll. The future is dropped unpolled.
#[test]
fn invariant_10_kill_before_the_first_poll() {
    on_each_driver(|driver| async move {
        for round in 0..driver.rounds(200, 10) {
            let polled = Arc::new(AtomicBool::new(false));
            let (dropped, held) = counter();
            let sets = Arc::clone(&polled);
            let (pid, monitor) = process::builder().trap_exit().spawn_monitor(async move {
                let _held = held;
                sets.store(true, SeqCst);
                idle().await;
            });
            process::kill(pid);
            assert_eq!(down(monitor.reference()).await.reason, ExitReason::Killed, "round {round}");
            assert_eq!(dropped.load(SeqCst), 1);
            if !driver.is_threads() {
                assert!(!polled.load(SeqCst), "it has not had a turn when the signal comes");
            }
        }
    });
}

/// Invariant 10: kill works while the process stands in a run queue, again and again.
#[test]
fn invariant_10_kill_while_queued() {
    on_each_driver(|driver| async move {
        for round in 0..driver.rounds(200, 10) {
            let (dropped, held) = counter();
            let (pid, monitor) = process::builder().trap_exit().spawn_monitor(async move {
                let _held = held;
                loop {
                    process::yield_now().await;
                }
            });
            for _ in 0..round % 4 {
                process::yield_now().await;
            }
            process::kill(pid);
            assert_eq!(down(monitor.reference()).await.reason, ExitReason::Killed);
            assert_eq!(dropped.load(SeqCst), 1);
        }
    });
}

/// Invariant 10: kill works while the process runs: it ends at its next await, and goes on till there.
#[test]
fn invariant_10_kill_while_running() {
    on_every_driver(|| async {
        let (dropped, held) = counter();
        let reached = Arc::new(AtomicBool::new(false));
        let sets = Arc::clone(&reached);
        let (_, monitor) = process::builder().trap_exit().spawn_monitor(async move {
            let _held = held;
            let me = process::self_pid();
            std::thread::spawn(move || process::kill(me)).join().unwrap();
            sets.store(true, SeqCst);
            // Ready at once, if it were for the message.
            me.send(());
            next::<()>().await;
            unreachable!("it ends at its next await");
        });
        assert_eq!(down(monitor.reference()).await.reason, ExitReason::Killed);
        assert!(reached.load(SeqCst));
        assert_eq!(dropped.load(SeqCst), 1);
    });
}

/// Invariant 10: kill works while the process is parked, whatever for; more of that in invariant 2.
#[test]
fn invariant_10_kill_while_parked() {
    on_each_driver(|driver| async move {
        for round in 0..driver.rounds(200, 10) {
            let (dropped, held) = counter();
            let (pid, monitor) = process::builder().trap_exit().spawn_monitor(async move {
                let _held = held;
                match round % 3 {
                    0 => _ = process::recv().await,
                    1 => process::sleep(Duration::from_secs(3600)).await,
                    _ => idle().await,
                }
            });
            common::until_it_waits(pid).await;
            process::kill(pid);
            assert_eq!(down(monitor.reference()).await.reason, ExitReason::Killed);
            assert_eq!(dropped.load(SeqCst), 1);
        }
    });
}

/// Invariant 10: of two signals the first one counts; a second kill does nothing.
#[test]
fn invariant_10_kill_twice_and_after_another_signal() {
    on_each_driver(|driver| async move {
        let other = ExitReason::shutdown_with("other");
        for round in 0..driver.rounds(300, 20) {
            for (sent, expected) in [
                ([ExitReason::Kill, ExitReason::Kill], ExitReason::Killed),
                ([ExitReason::Kill, other.clone()], ExitReason::Killed),
                ([other.clone(), ExitReason::Kill], other.clone()),
            ] {
                let (dropped, held) = counter();
                let (pid, monitor) = process::spawn_monitor(async move {
                    let _held = held;
                    idle().await;
                });
                for reason in sent {
                    process::exit_signal(pid, reason);
                    if round % 3 == 0 {
                        process::yield_now().await;
                    }
                }
                assert_eq!(down(monitor).await.reason, expected);
                assert_eq!(dropped.load(SeqCst), 1);
                process::kill(pid);
                assert_eq!(end_of(pid).await, ExitReason::NoProc);
            }
            // From two sides at once: one of the reasons, and one end.
            let (dropped, held) = counter();
            let (pid, monitor) = process::spawn_monitor(async move {
                let _held = held;
                idle().await;
            });
            for reason in [ExitReason::Kill, ExitReason::Shutdown] {
                process::spawn(async move { process::exit_signal(pid, reason) });
            }
            let reason = down(monitor).await.reason;
            assert!([ExitReason::Killed, ExitReason::Shutdown].contains(&reason), "{reason}");
            assert_eq!(dropped.load(SeqCst), 1);
        }
        nothing_comes(driver.window(Duration::from_millis(50))).await;
    });
}

/// Invariant 10: kill works on oneself, from any depth, trapping or not, also where unwinding is caught.
#[test]
fn invariant_10_kill_oneself() {
    fn deep(depth: u32) {
        if depth > 0 {
            deep(depth - 1);
        }
        process::kill(process::self_pid());
        unreachable!("it does not return");
    }
    on_every_driver(|| async {
        for caught in [false, true] {
            for later in [false, true] {
                let (dropped, held) = counter();
                let (_, monitor) = process::builder().trap_exit().spawn_monitor(async move {
                    let _held = held;
                    if later {
                        process::yield_now().await;
                    }
                    if caught {
                        assert!(catch_unwind(|| deep(10)).is_err());
                        // It is as good as dead: receives give nothing, and the next await is its last.
                        process::self_pid().send(());
                        assert!(process::try_recv().is_none());
                        process::yield_now().await;
                        unreachable!("it ends at its next await");
                    }
                    deep(10);
                });
                assert_eq!(down(monitor.reference()).await.reason, ExitReason::Killed);
                assert_eq!(dropped.load(SeqCst), 1);
            }
        }

        // In a destructor, while the process ends already: the reason stays what it was.
        struct KillsItsProcess;
        impl Drop for KillsItsProcess {
            fn drop(&mut self) {
                process::kill(process::self_pid());
            }
        }
        let (_, monitor) = process::spawn_monitor(async {
            let _kills = KillsItsProcess;
            process::exit(ExitReason::shutdown_with("first"));
        });
        assert_eq!(down(monitor).await.reason, ExitReason::shutdown_with("first"));
    });
}

/// Invariant 10: kill ends a loop of awaits each of which is ready at once; and such a loop lets others run, or on one
/// thread nobody would be there to kill it.
#[test]
fn invariant_10_kill_a_loop_of_awaits_that_never_wait() {
    on_every_driver(|| async {
        let (dead, monitor) = process::spawn_monitor(async {});
        down(monitor).await;
        let full = process::builder().mailbox(1, Overflow::DropNewest).spawn(idle());
        for kind in 0..9 {
            let (pid, monitor) = process::spawn_monitor(async move {
                let me = process::self_pid();
                loop {
                    match kind {
                        0 => process::sleep(Duration::ZERO).await,
                        1 => assert!(process::info(dead).await.is_none()),
                        2 => assert!(process::info(me).await.is_some()),
                        3 => assert!(Call::<(), ()>::new(dead, ()).await.is_err()),
                        4 => assert!(Call::<(), ()>::new(me, ()).await.is_err()),
                        5 => assert!(Call::<(), ()>::new("no such name", ()).await.is_err()),
                        6 => full.send_wait(()).await.unwrap(),
                        7 => {
                            me.send(());
                            next::<()>().await;
                        }
                        _ => {
                            if process::info(me).await.unwrap().message_queue_len == 0 {
                                me.send(());
                            }
                            process::hibernate().await;
                        }
                    }
                }
            });
            for _ in 0..3 {
                process::yield_now().await;
            }
            process::kill(pid);
            assert_eq!(down(monitor).await.reason, ExitReason::Killed, "kind {kind}");
        }
    });
}

/// Invariant 10: at whatever moment the kill comes, there is one end, and everything the process had is dropped once.
#[test]
fn invariant_10_kill_at_any_moment() {
    on_each_driver(|driver| async move {
        let mut random = if let Driver::Sim { seed } = driver { seed } else { 10 };
        let mut below = move |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % limit
        };
        let dropped = Arc::new(AtomicUsize::new(0));
        let mut made = 0;
        for round in 0..driver.rounds(1_500, 60) {
            let hold = || Counted(Arc::clone(&dropped));
            let (local, message) = (hold(), hold());
            made += 2;
            let partner = process::spawn(idle());
            let (pid, monitor) = process::spawn_monitor(async move {
                let _local = local;
                process::self_pid().send(message);
                let mut kept = None;
                loop {
                    process::link(partner);
                    process::sleep(Duration::from_micros(20)).await;
                    let _monitor = process::monitor(partner);
                    process::yield_now().await;
                    kept = process::try_recv().or(kept);
                    process::unlink(partner);
                    first_within::<Counted>(Duration::from_micros(30)).await;
                }
            });
            for _ in 0..below(6) {
                process::yield_now().await;
            }
            if below(3) == 0 {
                process::sleep(Duration::from_micros(below(100))).await;
            }
            process::kill(pid);
            assert_eq!(down(monitor).await.reason, ExitReason::Killed);
            assert_eq!(dropped.load(SeqCst), made, "round {round}");
            // Linked or not at that moment: it has ended with the same reason, or lives.
            match process::info(partner).await {
                Some(info) => {
                    assert_eq!((info.links, info.monitored_by), (vec![], vec![]));
                    process::kill(partner);
                }
                None => assert_eq!(end_of(partner).await, ExitReason::NoProc),
            }
        }
    });
}

async fn first_within<T: Send + 'static>(limit: Duration) -> Option<T> {
    receive_with(|message| message.arm(Ok::<T, T>)).after(limit).await
}

/// Invariant 11: a mailbox of five million messages is drained at death without recursion, and without blocking a worker
/// for long: others get their turns all the while, even with one worker and no spare thread. (One thing cannot be done by
/// and by: turning round an inbox from which nothing was ever taken. That is 55 ms for five million, optimised; where there
/// are spare threads, one takes over meanwhile.)
#[test]
fn invariant_11_a_mailbox_of_five_million_messages_is_drained_while_others_go_on() {
    /// How many turns another process has had meanwhile.
    async fn drains(messages: usize, skipped: bool) -> u64 {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (pid, monitor) = process::spawn_monitor(async move {
            if skipped {
                // All of them wait behind a receive that has seen them.
                first::<Reference>().await;
            }
            idle().await;
        });
        for number in 0..messages {
            // Every 1,000th counts itself, so that the test is not about the counting.
            if number % 1_000 == 0 { pid.send(Counted(Arc::clone(&dropped))) } else { pid.send(number) }
        }
        if skipped {
            common::until_it_waits(pid).await;
        }
        // A call in the crowd ends too.
        let (caller, of_caller) = process::spawn_monitor(async move {
            let ended = Call::<(), ()>::new(pid, ()).timeout(Timeout::Infinity).await;
            assert_eq!(ended, Err(CallError::Exited { pid, reason: ExitReason::Killed }));
        });
        common::until_it_waits(caller).await;
        let (turns, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counts, stops) = (Arc::clone(&turns), Arc::clone(&stop));
        process::spawn(async move {
            while !stops.load(SeqCst) {
                process::yield_now().await;
                counts.fetch_add(1, SeqCst);
            }
        });
        process::yield_now().await;
        process::kill(pid);
        assert_eq!(down(monitor).await.reason, ExitReason::Killed);
        let turns = turns.load(SeqCst);
        stop.store(true, SeqCst);
        assert_eq!(dropped.load(SeqCst), messages.div_ceil(1_000));
        assert_eq!(down(of_caller).await.reason, ExitReason::Normal);
        turns
    }
    fn check(messages: usize, turns: u64) {
        // It is emptied by 1,024 messages at a time. A simulation does not take turns in order.
        assert!(turns >= messages as u64 / 1_024 / 4, "others had only {turns} turns meanwhile");
    }
    on_threads_with(Runtime::builder().workers(1).spare_threads(0), || async {
        check(5_000_000, drains(5_000_000, false).await);
    });
    on_each_driver(|driver| async move {
        let messages = driver.rounds(500_000, 20_000);
        for skipped in [false, true] {
            let turns = drains(messages, skipped).await;
            if !driver.is_threads() {
                check(messages, turns);
            }
        }
    });
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the destructor of a message");
    }
}

/// A destructor that panics harms nobody but its own process' reason, where it ends the process; what the runtime drops
/// is dropped quietly. Each of these took a worker thread with it once, or could have.
#[test]
fn destructors_that_panic_leave_everybody_else_alone() {
    const VALUE: Key<Bomb> = Key::new("bomb");
    on_each_driver(|driver| async move {
        let me = process::self_pid();
        // Through an alias that is switched off; the signals behind it still act.
        let (pid, monitor) = process::spawn_monitor(async move {
            let alias = process::alias(AliasMode::Explicit);
            process::unalias(alias);
            me.send(alias);
            idle().await;
        });
        let alias: ibeam_runtime::Alias = next().await;
        alias.send(Bomb);
        assert!(process::info(pid).await.is_some());
        alias.send(Bomb);
        process::exit_signal(pid, ExitReason::Shutdown);
        assert_eq!(down(monitor).await.reason, ExitReason::Shutdown);

        // Out of a full mailbox.
        for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
            let pid = process::builder().mailbox(1, overflow).spawn(idle());
            (0..3).for_each(|_| pid.send(Bomb));
            assert_eq!(process::info(pid).await.unwrap().message_queue_len, 1, "{overflow:?}");
            process::kill(pid);
            end_of(pid).await;
            // To nobody.
            pid.send(Bomb);
        }

        // By a timer: to nobody, and of a process that has ended.
        let nobody = process::spawn(async {});
        end_of(nobody).await;
        process::send_after("no such name", Bomb, Duration::from_millis(1));
        process::send_after(nobody, Bomb, Duration::from_millis(1));
        process::sleep(Duration::from_millis(3)).await;
        let timers = process::spawn(async { first::<()>().await });
        for _ in 0..3 {
            process::send_after(timers, Bomb, Duration::from_secs(3600));
        }
        let end = process::monitor(timers);
        timers.send(());
        assert_eq!(down(end).await.reason, ExitReason::Normal);

        // Left behind at death, everywhere.
        let (pid, monitor) = process::spawn_monitor(async move {
            process::put(VALUE, Bomb);
            let me = process::self_pid();
            me.send(Bomb);
            first_within::<()>(Duration::ZERO).await;
            me.send(Bomb);
            let _monitor = monitor_builder(process::parent().unwrap()).tag(Bomb).start();
            let _local = Bomb;
            idle().await;
        });
        common::until_it_waits(pid).await;
        process::exit_signal(pid, ExitReason::shutdown_with("still this"));
        assert_eq!(down(monitor).await.reason, ExitReason::shutdown_with("still this"));

        // In the process' own code it is a panic like any other.
        let (_, monitor) = process::spawn_monitor(async {
            process::self_pid().send(Bomb);
            drop(process::recv().await);
        });
        let ExitReason::Panic(panic) = down(monitor).await.reason else { panic!("it has panicked") };
        assert_eq!(panic.message(), "the destructor of a message");
        assert!(catch_unwind(AssertUnwindSafe(|| drop(Bomb))).is_err());
        nothing_comes(driver.window(Duration::from_millis(20))).await;
    });
}

/// What destructors do while their process ends is done, and nothing of it stays: no link, no monitor, no name.
#[test]
fn what_destructors_ask_for_goes_with_their_process() {
    struct Asks(Pid);
    impl Drop for Asks {
        fn drop(&mut self) {
            process::link(self.0);
            let _monitor = process::monitor(self.0);
            let _alias = process::alias(AliasMode::Explicit);
            let _ = process::register("what_destructors_ask_for", process::self_pid());
            process::spawn_link(idle());
        }
    }
    const VALUE: Key<Asks> = Key::new("asks");
    on_every_driver(|| async {
        process::trap_exit(true);
        let partner = process::builder().trap_exit().spawn(idle());
        let living = process::list().len();
        for place in 0..4 {
            let (_, monitor) = process::spawn_monitor(async move {
                let asks = Asks(partner);
                match place {
                    0 => drop(Some(asks)),
                    1 => process::self_pid().send(asks),
                    2 => _ = process::put(VALUE, asks),
                    _ => _ = monitor_builder(partner).tag(asks).start(),
                }
            });
            assert_eq!(down(monitor).await.reason, ExitReason::Normal);
            let info = process::info(partner).await.unwrap();
            assert_eq!((info.links, info.monitored_by), (vec![], vec![]), "place {place}");
            assert_eq!(process::whereis("what_destructors_ask_for"), None, "place {place}");
        }
        // The children that were linked live on: their parent's end was a normal one.
        assert_eq!(process::list().len(), living + 4);
    });
}

/// Many notices, so that the first is read while the others still have to be sent: with few, a name that is freed after them is
/// not seen.
#[test]
fn invariant_3_the_name_is_free_before_the_first_notice() {
    common::on_threads(2, || async {
        for _ in 0..20 {
            let named = process::builder().name("invariant_3_named").spawn(common::idle());
            for _ in 0..3_000 {
                process::monitor(named);
            }
            process::kill(named);
            common::next::<ibeam_runtime::Down>().await;
            assert_eq!(process::whereis("invariant_3_named"), None);
            for _ in 1..3_000 {
                common::next::<ibeam_runtime::Down>().await;
            }
        }
    });
}

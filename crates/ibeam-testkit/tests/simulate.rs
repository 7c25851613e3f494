//! `#[ibeam::simulate]`: seeds, replay, schedules, faults, and leaving the simulation.

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use common::said;
use ibeam::prelude::*;
use ibeam_testkit::prelude::*;
use ibeam_testkit::{Simulated, SimulationFailure};

fn simulate() -> Simulate {
    Simulate::new("simulate::the_test", "my-app")
}

const MS: Duration = Duration::from_millis(1);

struct Counter(u64);

#[gen_server]
impl Counter {
    async fn init(start: u64) -> Init<Self> {
        Init::ok(Counter(start))
    }
    #[call]
    async fn add(&mut self, by: u64) -> u64 {
        self.0 += by;
        self.0
    }
}

/// Workers under a supervisor, clients that call them, timers: something with everything in it.
async fn a_busy_system() {
    let children = (0..3).map(|n| Counter::child(n).name(format!("counter {n}")).id(format!("{n}")));
    let tree =
        Supervisor::new(Strategy::OneForOne).intensity(1_000, Duration::from_secs(1)).children(children);
    // A start may fail, or the tree be killed meanwhile: a few times.
    while start_supervised(tree.clone()).await.is_err() {}
    let test = process::self_pid();
    for n in 0..6_u64 {
        process::spawn(async move {
            let counter = ServerRef::<Counter>::named(format!("counter {}", n % 3));
            for _ in 0..3 {
                let _ = counter.add(1).timeout(20 * MS).await;
                process::sleep(Duration::from_millis(n)).await;
            }
            test.send(("done", n));
        });
    }
    let clients = process::list().len();
    assert!(clients > 6);
    // Clients may be killed.
    for _ in 0..6 {
        receive! { ("done", _): (&str, u64) => {}, after 1_000 * MS => {} }
    }
}

#[ibeam::simulate(seeds = 0..10, faults = Faults::rough())]
async fn the_attribute_runs_seeds() {
    a_busy_system().await;
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let simulate = simulate().faults(Faults::rough()).trace_len(100_000);
    for seed in 0..10 {
        let first = simulate.trace(seed, a_busy_system());
        assert!(first.len() > 50, "{first:#?}");
        let again = simulate.trace(seed, a_busy_system());
        assert_eq!(first, again, "seed {seed}");
    }
    let run = |seeds| {
        simulate.clone().seeds(seeds).check(a_busy_system).map_err(|failure| failure.to_string()).unwrap()
    };
    let digests: HashSet<u64> = (0..10).map(|seed| run(seed..seed + 1).digest).collect();
    assert_eq!(digests.len(), 10, "seeds differ");
    // Beside others, which take slots and pids, on threads whose stacks lie elsewhere.
    let alone = run(0..10);
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..3).map(|_| scope.spawn(|| run(0..10))).collect();
        others.into_iter().for_each(|other| assert_eq!(other.join().unwrap(), alone));
    });
}

/// This number is the same on every machine and in every build; it changes only when the runtime, the supervisor or this test
/// do something else than before.
#[test]
fn a_simple_run_has_the_same_digest_everywhere() {
    let simulated = simulate().seeds(0..20).faults(Faults::none().delay(5 * MS)).check(|| async {
        let test = process::self_pid();
        for n in 0..3_u64 {
            process::spawn(async move {
                process::sleep(Duration::from_millis(n)).await;
                test.send(n);
            });
        }
        for _ in 0..3 {
            assert_receive!(_: u64);
        }
    });
    let Simulated { seeds, events, digest, .. } = simulated.unwrap();
    assert_eq!((seeds, events, digest), (20, 366, 13_537_337_802_492_524_943));
}

fn failure<B>(simulate: &Simulate, body: impl Fn() -> B) -> SimulationFailure
where
    B: Future<Output = ()> + Send + 'static,
{
    *simulate.check(body).expect_err("some seed fails")
}

async fn first_come() {
    let test = process::self_pid();
    for name in ["first", "second"] {
        process::spawn(async move { test.send(name) });
    }
    assert_eq!(assert_receive!(name: &str), "first");
}

#[test]
fn a_failure_names_seed_command_and_last_events() {
    let failure = failure(&simulate(), first_come);
    assert!(failure.repeatable, "{failure}");
    let text = failure.to_string();
    let seed = failure.seed;
    for expected in [
        format!("`simulate::the_test` failed with seed {seed}: panic: assertion `left == right` failed"),
        format!("to make this run again: IBEAM_SEED={seed} cargo test -p my-app the_test -- --exact"),
        "(test simulate::the_test): \"second\": &str".to_owned(),
        "exits: panic: assertion".to_owned(),
    ] {
        assert!(text.contains(&expected), "expected {expected:?} in:\n{text}");
    }
    // The seed alone makes the same run.
    let again = simulate().seeds(seed..seed + 1).check(first_come).unwrap_err();
    assert_eq!(again.trace, failure.trace);
}

#[test]
fn what_does_not_come_from_the_seed_is_found_out() {
    let runs = Arc::new(AtomicU32::new(0));
    let failure = failure(&simulate(), || {
        let run = runs.fetch_add(1, SeqCst);
        async move {
            for _ in 0..run {
                process::spawn(async {});
            }
            panic!("boom");
        }
    });
    assert!(!failure.repeatable);
    assert!(
        failure.to_string().contains("something decides here that is no part of the simulation"),
        "{failure}"
    );
}

#[test]
fn every_order_of_independent_senders_is_met() {
    for schedule in [Schedule::Random, Schedule::PCT, Schedule::Mixed] {
        let orders = Arc::new(std::sync::Mutex::new(HashSet::new()));
        let seen = Arc::clone(&orders);
        let passed = simulate().schedule(schedule).seeds(0..200).check(move || {
            let seen = Arc::clone(&seen);
            async move {
                let test = process::self_pid();
                for n in 0..3_u8 {
                    process::spawn(async move { test.send(n) });
                }
                let order = [assert_receive!(n: u8), assert_receive!(n: u8), assert_receive!(n: u8)];
                seen.lock().unwrap().insert(order);
            }
        });
        passed.unwrap();
        assert_eq!(orders.lock().unwrap().len(), 6, "{schedule:?}");
    }
}

#[test]
fn round_robin_has_one_order() {
    simulate().schedule(Schedule::RoundRobin).seeds(0..50).check(first_come).unwrap();
}

/// Fails if a process that is spawned first has its first turn late, at a certain stage of another one's work. In an order of
/// chance it never waits that long.
async fn needs_a_late_start() {
    let test = process::self_pid();
    let stage = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&stage);
    process::spawn(async move { test.send(seen.load(SeqCst)) });
    let echo = process::spawn(async move {
        loop {
            let (n, from) = process::recv().await.take_call::<u64, u64>().unwrap();
            from.reply(n);
        }
    });
    process::spawn(async move {
        for n in 0..60 {
            stage.store(u32::from((20..40).contains(&n)), SeqCst);
            process::Call::<u64, u64>::new(echo, n).await.unwrap();
        }
        stage.store(0, SeqCst);
    });
    assert_eq!(assert_receive!(stage: u32), 0);
}

#[test]
fn pct_finds_what_an_order_of_chance_does_not() {
    let simulate = simulate().seeds(0..200);
    simulate.clone().schedule(Schedule::Random).check(needs_a_late_start).unwrap();
    let found = simulate.schedule(Schedule::Pct { depth: 2, turns: 150 }).check(needs_a_late_start);
    assert!(found.is_err());
}

/// What one process sends to another arrives in order, replies and exits included, whatever is late.
async fn in_order() {
    process::trap_exit(true);
    let test = process::self_pid();
    let server = process::spawn(async move {
        let mut expected = 0_u64;
        for _ in 0..20 {
            receive! {
                n: u64 => {
                    assert_eq!(n, expected);
                    expected += 1;
                }
            }
        }
    });
    let sender = process::spawn_link(async move {
        for n in 0..20_u64 {
            server.send(n);
            test.send(n);
            if n % 5 == 0 {
                process::yield_now().await;
            }
        }
        process::exit(ExitReason::other("sent"));
    });
    let monitor = process::monitor(server);
    for n in 0..20_u64 {
        let (pid, got) = receive! {
            got: u64 => (sender, got),
            Exit { pid, .. } => panic!("{pid} was overtaken by its own exit at {n}"),
        };
        assert_eq!((pid, got), (sender, n));
    }
    assert_receive!(Exit { pid, .. } if pid == sender, within: 10_000 * MS);
    // `NoProc` where the monitor itself was late.
    assert_receive!(Down { monitor: m, .. } if m == monitor, within: 10_000 * MS);
}

#[test]
fn late_messages_keep_the_order_of_their_sender() {
    let faults = Faults::none().delay(30 * MS).slow(30 * MS).clock_jumps(5 * MS).late_timers(5 * MS);
    simulate().faults(faults).seeds(0..300).check(in_order).unwrap();
}

/// A message that was sent before the reply is there when the reply is.
#[test]
fn a_reply_does_not_overtake_what_was_sent_before() {
    let passed = simulate().faults(Faults::none().delay(30 * MS)).seeds(0..300).check(|| async {
        let test = process::self_pid();
        let server = process::spawn(async move {
            loop {
                let (n, from) = process::recv().await.take_call::<u64, u64>().unwrap();
                test.send(("before", n));
                from.reply(n);
            }
        });
        for n in 0..10 {
            assert_eq!(process::Call::<u64, u64>::new(server, n).await, Ok(n));
            assert_received!(("before", m): (&str, u64) if m == n);
        }
    });
    passed.unwrap();
}

#[test]
fn late_messages_are_overtaken_by_those_of_others() {
    let ordered = || async {
        let test = process::self_pid();
        let relay = process::spawn(async move {
            receive! { "go" => test.send("relayed") }
        });
        process::spawn(async move {
            test.send("direct");
            relay.send("go");
        });
        assert_eq!(assert_receive!(name: &str), "direct");
        assert_receive!("relayed");
    };
    simulate().seeds(0..200).check(ordered).expect("nothing is late");
    let failure = failure(&simulate().faults(Faults::none().delay(30 * MS)).seeds(0..200), ordered);
    assert!(failure.trace.iter().any(|line| line.contains("late")), "{failure}");
}

#[test]
fn processes_are_killed_but_not_those_that_are_protected() {
    let kills = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&kills);
    let body = move || {
        let seen = Arc::clone(&seen);
        async move {
            let mine = process::builder().label("mine").spawn(std::future::pending::<()>());
            let other =
                process::monitor(process::builder().label("other").spawn(std::future::pending::<()>()));
            let protected = process::spawn(std::future::pending::<()>());
            ibeam::sim::protect(protected);
            for _ in 0..50 {
                process::sleep(MS).await;
            }
            let killed = process::info(mine).await.is_none();
            seen.fetch_add(u32::from(killed), SeqCst);
            refute_received!(Down { monitor: m, .. } if m == other);
            assert!(process::info(protected).await.is_some());
        }
    };
    let faults = Faults::none().kills(5).kill_only(|victim| victim.label.as_deref() == Some("mine"));
    simulate().faults(faults).seeds(0..50).check(body).unwrap();
    assert!(kills.load(SeqCst) > 20, "{kills:?}");
}

#[test]
fn starts_fail() {
    let failed = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&failed);
    let body = move || {
        let seen = Arc::clone(&seen);
        async move {
            match start_supervised(Counter::child(1)).await {
                Ok(counter) => assert_eq!(counter.add(1).await, Ok(2)),
                Err(error) => {
                    assert!(error.to_string().contains("the simulation lets this start fail"), "{error}");
                    seen.fetch_add(1, SeqCst);
                }
            }
        }
    };
    simulate().faults(Faults::none().failed_starts(1)).seeds(0..100).check(body).unwrap();
    let failed = failed.load(SeqCst);
    assert!((5..80).contains(&failed), "{failed} of 100");
}

#[test]
fn clocks_jump_and_timers_are_late_but_never_early() {
    let late = Arc::new(AtomicU32::new(0));
    for faults in [
        Faults::none().clock_jumps(50 * MS),
        Faults::none().late_timers(50 * MS),
        Faults::none().slow(50 * MS),
    ] {
        let seen = Arc::clone(&late);
        late.store(0, SeqCst);
        let passed = simulate().faults(faults.clone()).seeds(0..100).check(move || {
            let seen = Arc::clone(&seen);
            async move {
                process::spawn(async {
                    for _ in 0..500 {
                        process::yield_now().await;
                    }
                });
                // Not in the test process, which is protected.
                let (_pid, monitor) = process::spawn_monitor(async move {
                    for _ in 0..5 {
                        let start = process::now();
                        process::sleep(10 * MS).await;
                        let took = process::now() - start;
                        assert!(took >= 10 * MS, "{took:?}");
                        seen.fetch_add(u32::from(took > 12 * MS), SeqCst);
                    }
                });
                assert_receive!(Down { monitor: m, reason: ExitReason::Normal, .. } if m == monitor, within: 10_000 * MS);
            }
        });
        passed.unwrap();
        let late = late.load(SeqCst);
        assert!((5..500).contains(&late), "{faults:?}: {late} of 500 sleeps were late");
    }
}

#[track_caller]
fn check_outside<B>(body: impl Fn() -> B, expected: &str)
where
    B: Future<Output = ()> + Send + 'static,
{
    let failure = failure(&simulate().seeds(0..1), body);
    assert!(failure.reason.contains("this run has left the simulation"), "{failure}");
    assert!(failure.reason.contains(expected), "{failure}");
}

#[test]
fn leaving_the_simulation_is_an_error_that_says_how() {
    let tokio = "needs a tokio runtime, for a socket, a timer, a task or a blocking call";
    check_outside(|| async { tokio::time::sleep(MS).await }, tokio);
    check_outside(|| async { drop(tokio::spawn(async {})) }, tokio);
    check_outside(|| async { drop(tokio::task::spawn_blocking(|| {})) }, tokio);
    // Also in a process whose crash harms nobody.
    check_outside(
        || async {
            process::spawn(async { tokio::time::sleep(MS).await });
            process::sleep(Duration::from_secs(1)).await;
        },
        tokio,
    );
    check_outside(
        || async {
            let waiting = process::spawn(async {
                receive! { "from outside" => {} }
            });
            process::sleep(MS).await;
            std::thread::spawn(move || waiting.send("from outside")).join().unwrap();
            process::sleep(Duration::from_secs(1)).await;
        },
        "was woken by another thread",
    );
}

#[test]
fn a_test_that_waits_for_ever_is_ended_by_the_virtual_clock() {
    let stuck = failure(&simulate().seeds(0..1), std::future::pending);
    assert!(stuck.reason.contains("the test did not end within 86400s: it is waiting"), "{stuck}");
}

#[test]
fn a_run_without_end_is_ended() {
    let endless = failure(&simulate().seeds(0..1).max_steps(1_000), || async {
        loop {
            process::yield_now().await;
        }
    });
    assert!(endless.reason.contains("not done after 1000 steps"), "{endless}");
}

#[test]
fn the_attribute_panics_with_the_failure() {
    let said = said(|| Simulate::new("x::y", "p").run(first_come)).expect("it fails");
    assert!(said.contains("to make this run again: IBEAM_SEED="), "{said}");
}

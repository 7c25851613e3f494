//! Simulations: how a run ends, what is written down of it, and that it can be repeated.

use std::time::Duration;

use ibeam_runtime::sim::{Faults, Schedule, Settings, Simulation, SimulationError};
use ibeam_runtime::{Message, Runtime, process};

const MS: Duration = Duration::from_millis(1);

fn simulation(seed: u64, settings: Settings) -> Simulation {
    Simulation::with_settings(seed, Runtime::builder(), settings)
}

fn name(message: &Message) -> String {
    message.type_name().to_owned()
}

#[test]
fn a_run_without_a_way_on_says_who_waits() {
    let stuck = simulation(1, Settings::default()).try_run(async {
        process::builder().name("one").spawn(std::future::pending::<()>());
        process::builder().label("other").spawn(std::future::pending::<()>());
        std::future::pending::<()>().await;
    });
    let Err(SimulationError::Stuck { waiting }) = stuck else { panic!("{stuck:?}") };
    assert_eq!(waiting, ["p1 (run)", "p2 \"one\"", "p3 (other)"]);
}

#[test]
fn a_run_whose_process_ends_says_so() {
    let ended = simulation(1, Settings::default()).try_run(async {
        process::exit(ibeam_runtime::ExitReason::Shutdown);
    });
    assert_eq!(ended, Err(SimulationError::Ended));
}

#[test]
fn a_run_has_limits() {
    let settings = Settings::default().max_steps(100);
    let endless: Result<(), _> = simulation(1, settings).try_run(async {
        loop {
            process::yield_now().await;
        }
    });
    assert_eq!(endless, Err(SimulationError::TooManySteps { steps: 100 }));
    let settings = Settings::default().max_time(Duration::from_secs(1));
    let long = simulation(1, settings).try_run(process::sleep(Duration::from_secs(2)));
    assert_eq!(long, Err(SimulationError::TooLong { time: Duration::from_secs(1) }));
}

/// Processes that spawn, link, send and end; the order of what they did.
async fn busy() -> Vec<(u64, u64)> {
    let me = process::self_pid();
    process::trap_exit(true);
    for n in 0..4_u64 {
        process::spawn_link(async move {
            for k in 0..3_u64 {
                me.send((n, k));
                process::sleep(Duration::from_millis(n)).await;
            }
        });
    }
    let mut got = Vec::new();
    while got.len() < 12 {
        if let Ok(pair) = process::recv().await.downcast::<(u64, u64)>() {
            got.push(pair);
        }
    }
    got
}

#[test]
fn the_same_seed_makes_the_same_run_with_every_schedule() {
    for schedule in [Schedule::Random, Schedule::RoundRobin, Schedule::PCT, Schedule::Mixed] {
        let mut digests = Vec::new();
        for seed in 0..8 {
            let run = || {
                let faults =
                    Faults::none().delay(5 * MS).slow(5 * MS).clock_jumps(5 * MS).late_timers(5 * MS);
                let settings = Settings::default().schedule(schedule).faults(faults).trace(1_000, name);
                let simulation = simulation(seed, settings);
                let got = simulation.run(busy());
                (got, simulation.trace(), simulation.digest(), simulation.events(), simulation.steps())
            };
            let first = run();
            assert_eq!(first, run(), "{schedule:?}, seed {seed}");
            digests.push(first.2);
        }
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 8, "{schedule:?}: each seed is another run");
    }
}

#[test]
fn a_trace_does_not_change_the_run() {
    let digest = |settings: Settings| {
        let simulation = simulation(3, settings.faults(Faults::none().delay(5 * MS)));
        simulation.run(busy());
        (simulation.digest(), simulation.events())
    };
    assert_eq!(digest(Settings::default()), digest(Settings::default().trace(10, name)));
}

#[test]
fn a_trace_keeps_the_last_events_and_counts_those_before() {
    let simulation = simulation(3, Settings::default().trace(5, name));
    simulation.run(busy());
    assert_eq!(simulation.trace().len(), 5);
    assert_eq!(simulation.dropped_lines() + 5, simulation.events());
}

#[test]
fn processes_are_listed_in_the_order_of_their_spawn() {
    // Slots that are free again come in any order.
    for _ in 0..3 {
        Simulation::new(1).run(async {
            let mut spawned = vec![process::self_pid()];
            spawned.extend((0..20).map(|_| process::spawn(std::future::pending::<()>())));
            assert_eq!(process::list(), spawned);
            for pid in spawned.drain(5..9).collect::<Vec<_>>() {
                process::kill(pid);
            }
            process::sleep(MS).await;
            assert_eq!(process::list(), spawned);
        });
    }
}

#[test]
fn faults_end_where_the_program_says_so() {
    for seed in 0..20 {
        let settings = Settings::default().faults(Faults::none().kills(1_000).delay(100 * MS).slow(100 * MS));
        simulation(seed, settings).run(async {
            ibeam_runtime::sim::calm();
            let me = process::self_pid();
            let start = process::now();
            for n in 0..10_u64 {
                process::spawn(async move { me.send(n) });
            }
            for _ in 0..10 {
                process::recv().await;
            }
            assert!(process::now() - start < MS);
        });
    }
}

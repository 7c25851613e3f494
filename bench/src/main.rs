//! The same work done by ibeam, plain tokio, actor libraries and the BEAM, in one table.
//!
//! ```text
//! main ──▶ cell::measure ── one child process per (workload, round, system) ──▶ systems::{tokio, ibeam, …, elixir}
//!   │                                                                              │ checks its result
//!   ├──▶ table: median, minimum, maximum, ratio, floor  ◀── records ◀── figures ───┘
//!   └──▶ JSON lines ──▶ report: docs/benchmarks.md and its charts
//! main ──▶ scaling: the same cells at growing sizes, in the same table, lines and report
//! main ──▶ gate: instructions of the hot paths under callgrind, against limits in the repository
//! ```
//!
//! # Invariants
//! 1. A figure is printed only for work whose result was checked: a wrong result makes the run end with an error.
//! 2. No two cells share a process, so no cell inherits another's warm allocator, timers or threads.
//! 3. All systems read their sizes from [`workloads`] and [`scaling`]; none can do less than another.
//! 4. The systems take turns within a round, so a machine that slows down slows all.
//! 5. What a system does not do is in the results with its reason. Nothing is left out without a word.

mod cell;
mod check;
mod costs;
mod gate;
mod machine;
mod needs;
mod probe;
mod record;
mod report;
mod scaling;
mod spread;
mod systems;
mod table;
mod workloads;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::machine::Machine;
use crate::record::{Record, Results, Run, Writer};
use crate::scaling::{Point, Sweep};
use crate::systems::System;
use crate::workloads::Workload;

/// Measures ibeam beside plain tokio, actor libraries and the BEAM, and prints one table.
#[derive(Parser)]
#[command(version, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
struct Options {
    /// What to measure; everything when none is named.
    #[arg(value_enum)]
    workloads: Vec<Workload>,
    /// How often each cell is measured, each time in a fresh process. Five is the least that should be quoted.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// The systems to measure, separated by commas; all that are here when none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    systems: Vec<System>,
    /// Also writes every cell into this file, a line of JSON each: what `report` reads.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Other>,
}

#[derive(Subcommand)]
enum Other {
    /// Measures what an operation costs as processes and waiting messages grow, with one worker and with two.
    Scaling {
        /// What to measure; everything when none is named.
        #[arg(value_enum)]
        sweeps: Vec<Sweep>,
        /// How often each point is measured, each time in a fresh process.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
        rounds: u32,
        /// The systems to measure, separated by commas.
        #[arg(long, value_enum, value_delimiter = ',', default_values_t = [System::Tokio, System::Ibeam])]
        systems: Vec<System>,
        /// Also writes every point into this file, a line of JSON each: what `report` reads.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Writes docs/benchmarks.md and its charts from JSON lines.
    Report {
        /// What `--json` has written: the workloads' file, then that of the scaling.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The directory to write into.
        #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"))]
        to: PathBuf,
    },
    /// Counts the instructions of the hot paths under callgrind and compares them with the limits in bench/gate.txt.
    Gate {
        /// Writes the counts as the new limits instead of comparing.
        #[arg(long)]
        write: bool,
    },
    /// Measures one cell in this process: how the program calls itself.
    #[command(hide = true)]
    Cell { system: System, workload: Workload },
    /// Measures one point of a sweep in this process.
    #[command(hide = true)]
    Point { system: System, sweep: Sweep, workers: usize, size: u64 },
    /// Goes a hot path so many times: how the gate calls this program.
    #[command(hide = true)]
    Path { path: gate::HotPath, count: u64 },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.command {
        Some(Other::Cell { system, workload }) => cell::child(system.plan(workload)),
        Some(Other::Point { system, sweep, workers, size }) => {
            cell::child(Point { sweep, system, workers, size }.plan())
        }
        Some(Other::Scaling { sweeps, rounds, systems, json }) => {
            measure_scaling(sweeps, rounds, &systems, json.as_deref())
        }
        Some(Other::Report { files, to }) => report::write(&files, &to),
        Some(Other::Gate { write }) => gate::run(write),
        Some(Other::Path { path, count }) => gate::go(path, count),
        None => measure(options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what was asked for and prints the table.
fn measure(options: Options) -> Result<(), String> {
    let workloads = if options.workloads.is_empty() { Workload::all() } else { options.workloads };
    let (run, systems) = describe(&options.systems, options.rounds)?;
    let rounds = run.rounds;
    if rounds < 5 {
        println!("{rounds} rounds: a quick look, not figures to quote");
    }
    let results = collect(run, options.json.as_deref(), |note| {
        workloads.into_iter().try_for_each(|workload| cell::measure(workload, &systems, rounds, &mut *note))
    })?;
    println!("\n{}", table::render(&results));
    no_failures(&results)
}

/// Measures the sweeps that were asked for and prints their tables.
fn measure_scaling(
    sweeps: Vec<Sweep>,
    rounds: u32,
    systems: &[System],
    json: Option<&Path>,
) -> Result<(), String> {
    let sweeps = if sweeps.is_empty() { Sweep::all() } else { sweeps };
    let (run, systems) = describe(systems, rounds)?;
    let results = collect(run, json, |note| {
        sweeps.into_iter().try_for_each(|sweep| cell::measure_sweep(sweep, &systems, rounds, &mut *note))
    })?;
    println!("\n{}\n{}", scaling::tables(&results), scaling::findings(&results));
    no_failures(&results)
}

/// Where records go as they come.
type Note<'a> = &'a mut dyn FnMut(Record) -> Result<(), String>;

/// Prints the run's head, and keeps and writes whatever `measure` notes.
fn collect(
    run: Run,
    json: Option<&Path>,
    measure: impl FnOnce(Note<'_>) -> Result<(), String>,
) -> Result<Results, String> {
    print_head(&run);
    let mut writer = Writer::new(json)?;
    let mut results = Results::default();
    let mut note = |record| {
        writer.write(&record)?;
        results.push(record);
        Ok(())
    };
    note(Record::Run(run))?;
    measure(&mut note)?;
    Ok(results)
}

/// # Errors
/// When a cell has failed.
fn no_failures(results: &Results) -> Result<(), String> {
    let failures = results.failures();
    match failures.is_empty() {
        true => Ok(()),
        false => Err(format!("{} cells failed:\n{}", failures.len(), failures.join("\n"))),
    }
}

/// What will be measured, where, and which systems are missing.
///
/// # Errors
/// When a system that was named cannot be measured.
fn describe(asked: &[System], rounds: u32) -> Result<(Run, Vec<System>), String> {
    let named = !asked.is_empty();
    let asked = if named { asked } else { System::value_variants() };
    let mut run = Run {
        date: machine::now(),
        machine: Machine::this(),
        systems: Vec::new(),
        missing: Vec::new(),
        rounds,
    };
    let mut systems = Vec::new();
    for &system in asked {
        match system.version() {
            Ok(version) => {
                systems.push(system);
                run.systems.push((system.name(), version));
            }
            Err(why) if named => return Err(format!("{}: {why}", system.name())),
            Err(why) => run.missing.push((system.name(), why)),
        }
    }
    Ok((run, systems))
}

fn print_head(run: &Run) {
    let Machine { cpu, cores, memory_gib, kernel, rustc, commit } = &run.machine;
    println!("{}, {cpu}, {cores} cores, {memory_gib} GiB, {kernel}, {rustc}, commit {commit}", run.date);
    for (name, version) in &run.systems {
        println!("{name:<6} {version}");
    }
    for (name, why) in &run.missing {
        println!("{name:<6} is missing: {why}");
    }
    println!("cache line there and back between two threads: {}", probe::cache_line_ping_pong());
    println!();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_options_are_well_formed() {
        Options::command().debug_assert();
    }

    #[test]
    fn workloads_rounds_and_systems_narrow_the_run() {
        let options =
            Options::parse_from(["bench", "ring", "pairs", "--rounds", "2", "--systems", "tokio,elixir"]);
        assert_eq!(options.workloads, [Workload::Ring, Workload::Pairs]);
        assert_eq!(options.rounds, 2);
        assert_eq!(options.systems, [System::Tokio, System::Elixir]);
        assert!(options.command.is_none());
    }

    #[test]
    fn a_report_has_files_and_a_directory() {
        let options = Options::parse_from(["bench", "report", "run.jsonl", "scaling.jsonl", "--to", "there"]);
        let Some(Other::Report { files, to }) = options.command else { panic!("not a report") };
        assert_eq!((files, to), (vec!["run.jsonl".into(), "scaling.jsonl".into()], "there".into()));
        assert!(Options::try_parse_from(["bench", "report"]).is_err());
    }

    #[test]
    fn scaling_takes_sweeps_and_measures_two_systems() {
        let options = Options::parse_from(["bench", "scaling", "ring", "call_with_mail"]);
        let Some(Other::Scaling { sweeps, rounds, systems, json }) = options.command else {
            panic!("no scaling")
        };
        assert_eq!(sweeps, [Sweep::Ring, Sweep::CallWithMail]);
        assert_eq!((rounds, json), (3, None));
        assert_eq!(systems, [System::Tokio, System::Ibeam]);
    }

    /// What a point is started with is what this program reads.
    #[test]
    fn a_point_goes_through_the_command_line() {
        let point = Point { sweep: Sweep::SpawnIdle, system: System::Ibeam, workers: 2, size: 1_000_000 };
        let arguments = ["bench".to_string()].into_iter().chain(point.arguments());
        let Some(Other::Point { system, sweep, workers, size }) = Options::parse_from(arguments).command
        else {
            panic!("not a point")
        };
        assert_eq!(Point { sweep, system, workers, size }, point);
    }
}

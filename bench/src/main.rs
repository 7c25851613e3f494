//! The same work done by ibeam, plain tokio, actor libraries and the BEAM, in one table.
//!
//! ```text
//! main ──▶ cell::measure ── one child process per (workload, round, system) ──▶ systems::{tokio, ibeam, …, elixir}
//!   │                                                                              │ checks its result
//!   ├──▶ table: median, minimum, maximum, ratio, floor  ◀── records ◀── figures ───┘
//!   └──▶ JSON lines ──▶ report: docs/benchmarks.md and its charts
//! main ──▶ gate: instructions of the hot paths under callgrind, against limits in the repository
//! ```
//!
//! # Invariants
//! 1. A figure is printed only for work whose result was checked: a wrong result makes the run end with an error.
//! 2. No two cells share a process, so no cell inherits another's warm allocator, timers or threads.
//! 3. All systems read their sizes from [`workloads`]; none can do less than another.
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
mod spread;
mod systems;
mod table;
mod workloads;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::machine::Machine;
use crate::record::{Record, Results, Run, Writer};
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
    /// Writes docs/benchmarks.md and its charts from a run's JSON lines.
    Report {
        /// What `--json` has written.
        file: PathBuf,
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
    /// Goes a hot path so many times: how the gate calls this program.
    #[command(hide = true)]
    Path { path: gate::HotPath, count: u64 },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.command {
        Some(Other::Cell { system, workload }) => cell::child(system, workload),
        Some(Other::Report { file, to }) => report::write(&file, &to),
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
fn measure(mut options: Options) -> Result<(), String> {
    if options.workloads.is_empty() {
        options.workloads = Workload::all();
    }
    let (run, systems) = describe(&options)?;
    print_head(&run);
    let mut writer = Writer::new(options.json.as_deref())?;
    let mut results = Results::default();
    writer.write(&Record::Run(run))?;
    for &workload in &options.workloads {
        cell::measure(workload, &systems, options.rounds, |record| {
            writer.write(&record)?;
            results.push(record);
            Ok(())
        })?;
    }
    println!("\n{}", table::render(&results));
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
fn describe(options: &Options) -> Result<(Run, Vec<System>), String> {
    let named = !options.systems.is_empty();
    let asked = if named { &options.systems[..] } else { System::value_variants() };
    let mut run = Run {
        date: machine::now(),
        machine: Machine::this(),
        systems: Vec::new(),
        missing: Vec::new(),
        rounds: options.rounds,
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
    if run.rounds < 5 {
        println!("{} rounds: a quick look, not figures to quote", run.rounds);
    }
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
    fn a_report_has_a_file_and_a_directory() {
        let options = Options::parse_from(["bench", "report", "run.jsonl", "--to", "there"]);
        let Some(Other::Report { file, to }) = options.command else { panic!("not a report") };
        assert_eq!((file, to), ("run.jsonl".into(), "there".into()));
    }
}

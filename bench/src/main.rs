//! The same work done by plain tokio and by ibeam, in one table.
//!
//! ```text
//! main ──▶ cell::measure ── one child process per (workload, round, system) ──▶ systems::{tokio, ibeam}
//!   │                                                                              │ checks its result
//!   └──▶ table: median, minimum, maximum, ratio, floor  ◀── figures on stdout ─────┘
//! ```
//!
//! # Invariants
//! 1. A figure is printed only for work whose result was checked: a wrong result ends the whole run with an error.
//! 2. No two cells share a process, so no cell inherits another's warm allocator, timers or threads.
//! 3. Both systems read their sizes from [`workloads`]; neither can do less than the other.
//! 4. The systems take turns within a round, so a machine that slows down slows both.

mod cell;
mod check;
mod probe;
mod systems;
mod table;
mod workloads;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::systems::System;
use crate::workloads::Workload;

/// Measures ibeam beside plain tokio and prints one table.
#[derive(Parser)]
#[command(version, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
struct Options {
    /// What to measure; everything when none is named.
    #[arg(value_enum)]
    workloads: Vec<Workload>,
    /// How often each cell is measured, each time in a fresh process. Five is the least that should be quoted.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// The systems to measure, separated by commas; all that were built in when none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    systems: Vec<System>,
    #[command(subcommand)]
    cell: Option<Child>,
}

#[derive(Subcommand)]
enum Child {
    /// Measures one cell in this process: how the program calls itself.
    #[command(hide = true, name = "cell")]
    Cell { system: System, workload: Workload },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.cell {
        Some(Child::Cell { system, workload }) => cell::child(system, workload),
        None => report(options),
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
fn report(mut options: Options) -> Result<(), String> {
    if options.workloads.is_empty() {
        options.workloads = Workload::all();
    }
    if options.systems.is_empty() {
        options.systems = System::built_in();
    }
    println!("cache line there and back between two threads: {}", probe::cache_line_ping_pong());
    if options.rounds < 5 {
        println!("{} rounds: a quick look, not figures to quote", options.rounds);
    }
    if !System::built_in().contains(&System::Ibeam) {
        println!("built without the feature `ibeam`: its column stays empty");
    }
    println!();
    let mut rows = Vec::new();
    for &workload in &options.workloads {
        rows.extend(table::rows(workload, &cell::measure(workload, &options.systems, options.rounds)?));
    }
    println!("\n{}", table::render(&rows));
    Ok(())
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
        let options = Options::parse_from(["bench", "ring", "pairs", "--rounds", "2", "--systems", "tokio"]);
        assert_eq!(options.workloads, [Workload::Ring, Workload::Pairs]);
        assert_eq!(options.rounds, 2);
        assert_eq!(options.systems, [System::Tokio]);
        assert!(options.cell.is_none());
    }
}

//! One cell: a system, a workload and a round, measured in a fresh child process.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::probe;
use crate::systems::System;
use crate::workloads::Workload;

/// The figures of one system over all rounds: `rounds[r][f]` is figure `f` of round `r`.
pub(crate) struct Measured {
    pub(crate) system: System,
    pub(crate) rounds: Vec<Vec<f64>>,
}

/// Longer than any cell takes on a slow machine. A lost message must end the run, not hang it.
const LIMIT: Duration = Duration::from_secs(120);

/// Before each figure on the child's output, so that a stray print is not taken for one.
const MARK: &str = "figure ";

/// Measures `workload` on each of `systems`, `rounds` times, the systems taking turns.
///
/// # Errors
/// When a child could not be started, found a wrong result, crashed or ran out of time; nothing is measured further.
pub(crate) fn measure(workload: Workload, systems: &[System], rounds: u32) -> Result<Vec<Measured>, String> {
    let mut measured: Vec<Measured> =
        systems.iter().map(|&system| Measured { system, rounds: Vec::new() }).collect();
    for round in 1..=rounds {
        for cell in &mut measured {
            let (name, system) = (workload.name(), cell.system.name());
            let line = probe::cache_line_ping_pong();
            let figures = run_child(cell.system, workload)
                .map_err(|error| format!("{name} on {system}, round {round}: {error}"))?;
            let shown: Vec<String> = figures.iter().map(|figure| format!("{figure:.2}")).collect();
            println!("{name:<18} {system:<6} round {round}: {:<28} cache line {line}", shown.join("  "));
            cell.rounds.push(figures);
        }
    }
    Ok(measured)
}

fn run_child(system: System, workload: Workload) -> Result<Vec<f64>, String> {
    let program = std::env::current_exe().map_err(|error| format!("own path unknown: {error}"))?;
    let output = Command::new(program)
        .args(["cell", &system.name(), &workload.name()])
        // The stack of an intended panic costs a thousand times the panic.
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("child process not started: {error}"))?;
    if !output.status.success() {
        return Err(format!("child process ended with {}", output.status));
    }
    parse(&String::from_utf8_lossy(&output.stdout), workload.figures().len())
}

/// Reads the figures a child has printed.
fn parse(output: &str, expected: usize) -> Result<Vec<f64>, String> {
    let figures = output
        .lines()
        .filter_map(|line| line.strip_prefix(MARK))
        .map(|text| match text.parse::<f64>() {
            Ok(figure) if figure.is_finite() => Ok(figure),
            _ => Err(format!("`{text}` is not a figure")),
        })
        .collect::<Result<Vec<f64>, String>>()?;
    if figures.len() != expected {
        return Err(format!("expected {expected} figures, got {}", figures.len()));
    }
    Ok(figures)
}

/// Does the work of one cell in this process and prints its figures.
///
/// # Errors
/// When the work's result was wrong; no figure has been printed then.
pub(crate) fn child(system: System, workload: Workload) -> Result<(), String> {
    thread::spawn(move || {
        // Not a wait for an event: the event is that nothing happened for so long.
        thread::sleep(LIMIT);
        eprintln!("error: not done after {} s", LIMIT.as_secs());
        std::process::exit(2);
    });
    let figures = system.run(workload).map_err(|wrong| wrong.to_string())?;
    for figure in figures {
        println!("{MARK}{figure}");
    }
    // What still runs is not measured: leave without taking a million processes down one by one.
    std::process::exit(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_and_counted() {
        assert_eq!(parse("figure 1.5\nnoise\nfigure 2\n", 2), Ok(vec![1.5, 2.0]));
        assert_eq!(parse("figure 1.5\n", 2), Err("expected 2 figures, got 1".into()));
        assert_eq!(parse("figure NaN\n", 1), Err("`NaN` is not a figure".into()));
    }
}

//! One cell: a system, a workload or a point of a sweep, and a round, measured in a fresh child process.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::costs::Costs;
use crate::record::Record;
use crate::scaling::{Point, Sweep};
use crate::systems::{Plan, System};
use crate::workloads::Workload;

/// Longer than any cell takes on a slow machine. A lost message must end the cell, not hang it.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Before each figure on the child's output, so that a stray print is not taken for one.
const MARK: &str = "figure ";

/// Measures `workload` on each of `systems`, `rounds` times, the systems taking turns. Each outcome goes to `note`.
///
/// A system that fails in a cell is not asked for more rounds of this workload; the others go on.
///
/// # Errors
/// When `note` has failed.
pub(crate) fn measure(
    workload: Workload,
    systems: &[System],
    rounds: u32,
    mut note: impl FnMut(Record) -> Result<(), String>,
) -> Result<(), String> {
    let name = workload.name();
    let mut measured = Vec::new();
    for &system in systems {
        match system.plan(workload) {
            Ok(_) => measured.push(system),
            Err(reason) => {
                println!("{name:<18} {:<6} not measured: {reason}", system.name());
                note(Record::Absent {
                    workload: workload.name(),
                    system: system.name(),
                    reason: reason.into(),
                })?;
            }
        }
    }
    in_rounds(measured, rounds, |system, round| {
        let label = format!("{name:<18} {:<6} round {round}", system.name());
        let costs = Costs::measure();
        let arguments = ["cell".into(), system.name(), workload.name()];
        let outcome = run_child(&label, &arguments, workload.figures().len(), &costs);
        let measured = outcome.is_ok();
        let (workload, system) = (workload.name(), system.name());
        note(match outcome {
            Ok(figures) => Record::Cell { workload, system, round, figures, costs },
            Err(error) => Record::Failed { workload, system, round, error },
        })?;
        Ok(measured)
    })
}

/// Measures every point of `sweep` on `systems`, `rounds` times. Each outcome goes to `note`.
///
/// # Errors
/// When `note` has failed.
pub(crate) fn measure_sweep(
    sweep: Sweep,
    systems: &[System],
    rounds: u32,
    mut note: impl FnMut(Record) -> Result<(), String>,
) -> Result<(), String> {
    let name = sweep.name();
    for &system in systems {
        if let Some(reason) = sweep.absent(system) {
            println!("{name:<14} {:<6} not measured: {reason}", system.name());
        }
    }
    in_rounds(Point::all(sweep, systems), rounds, |point, round| {
        let label = format!("{point} round {round}");
        let costs = Costs::measure();
        let outcome = run_child(&label, &point.arguments(), sweep.figures().len(), &costs);
        let measured = outcome.is_ok();
        note(match outcome {
            Ok(figures) => Record::Point { point, round, figures, costs },
            Err(error) => Record::FailedPoint { point, round, error },
        })?;
        Ok(measured)
    })
}

/// Measures one after the other, round by round. What was not measured in one round is left out of the next ones.
fn in_rounds<C: Copy>(
    mut all: Vec<C>,
    rounds: u32,
    mut measure: impl FnMut(C, u32) -> Result<bool, String>,
) -> Result<(), String> {
    for round in 1..=rounds {
        let mut measured = Vec::with_capacity(all.len());
        for &one in &all {
            if measure(one, round)? {
                measured.push(one);
            }
        }
        all = measured;
    }
    Ok(())
}

/// Runs this program with `arguments`, prints under `label` how it went, and returns its figures.
fn run_child(label: &str, arguments: &[String], expected: usize, costs: &Costs) -> Result<Vec<f64>, String> {
    let outcome = figures_of_child(arguments, expected);
    let line = costs.line.map_or("not measured, the machine is too busy".into(), |ns| format!("{ns:.0} ns"));
    match &outcome {
        Ok(figures) => {
            let shown: Vec<String> = figures.iter().map(|figure| format!("{figure:.2}")).collect();
            println!("{label}: {:<28} cache line {line}", shown.join("  "));
        }
        Err(error) => println!("{label}: FAILED: {error}"),
    }
    outcome
}

fn figures_of_child(arguments: &[String], expected: usize) -> Result<Vec<f64>, String> {
    let program = std::env::current_exe().map_err(|error| format!("own path unknown: {error}"))?;
    let output = Command::new(program)
        .args(arguments)
        // The stack of an intended panic costs a thousand times the panic.
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("child process not started: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        eprint!("{said}");
        let said = said.lines().last().unwrap_or("it said nothing");
        return Err(format!("{}: {}", output.status, said.trim_start_matches("error: ")));
    }
    parse(&String::from_utf8_lossy(&output.stdout), expected)
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
pub(crate) fn child(plan: Plan) -> Result<(), String> {
    let work = plan?;
    thread::spawn(move || {
        // Not a wait for an event: the event is that nothing happened for so long.
        thread::sleep(LIMIT);
        eprintln!("error: not done after {} s", LIMIT.as_secs());
        std::process::exit(2);
    });
    let figures = work().map_err(|wrong| wrong.to_string())?;
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

    #[test]
    fn what_failed_once_is_left_out_of_the_next_rounds() {
        let mut measured = Vec::new();
        let outcome = in_rounds(vec!["a", "b", "c"], 3, |one, round| {
            measured.push((one, round));
            Ok((one, round) != ("b", 2))
        });
        assert_eq!(outcome, Ok(()));
        let expected = [("a", 1), ("b", 1), ("c", 1), ("a", 2), ("b", 2), ("c", 2), ("a", 3), ("c", 3)];
        assert_eq!(measured, expected);
        assert_eq!(
            in_rounds(vec![1], 2, |_, _| Err("the file is gone".into())),
            Err("the file is gone".into())
        );
    }

    /// A workload that a system does not do gives a reason and starts nothing.
    #[test]
    fn what_is_absent_is_noted() {
        if !System::present().contains(&System::Actix) {
            return;
        }
        let mut notes = Vec::new();
        measure(Workload::Restart, &[System::Actix], 3, |record| {
            notes.push(record);
            Ok(())
        })
        .unwrap();
        assert!(matches!(&notes[..], [Record::Absent { system, .. }] if system == "actix"), "{notes:?}");
    }
}

//! The page itself.

use std::fmt::Write;

use crate::needs;
use crate::record::{Results, Run};
use crate::report::promise::{self, DISTANCE, Rival, TIMES};
use crate::systems::{Kind, System};
use crate::table;
use crate::workloads::{Figure, WORKERS, Workload};

/// The page of a run; `charts` are the links to its charts.
pub(super) fn page(run: &Run, results: &Results, charts: &[String]) -> String {
    [
        "# Benchmarks\n\nWritten by `bench/run report` from one run's JSON lines; not edited by hand.\n"
            .to_string(),
        misses(results),
        medians(results),
        distances(results),
        section("Charts", &charts.join("\n\n")),
        circumstances(run),
        method(),
        repeat(),
        not_comparable(run, results),
    ]
    .join("\n")
}

fn section(title: &str, text: &str) -> String {
    format!("## {title}\n\n{}\n", text.trim_end())
}

/// Every row of the run.
fn rows(results: &Results) -> impl Iterator<Item = (Workload, usize, &'static Figure)> {
    let of = |workload: Workload| {
        workload.figures().iter().enumerate().map(move |(place, f)| (workload, place, f))
    };
    results.workloads().into_iter().flat_map(of)
}

/// What was promised and not held comes first.
fn misses(results: &Results) -> String {
    let mut text = format!(
        "ibeam promises to be the best in every row, to be at least {TIMES} times as good as the best actor library and \
         as the BEAM in some, and to be at most {DISTANCE} times its floor where one is known.\n\n"
    );
    let mut count = 0;
    for (workload, place, figure) in rows(results) {
        let Some(standing) = promise::standing(results, workload, place, figure.unit) else { continue };
        if !standing.missed.is_empty() {
            count += 1;
            let _ = writeln!(
                text,
                "- **{}** (`{}`): {}",
                figure.name,
                workload.name(),
                standing.missed.join("; ")
            );
        }
    }
    if count == 0 {
        text.push_str("No row misses it.\n");
    }
    section("Rows that miss what is promised", &text)
}

fn medians(results: &Results) -> String {
    let text = format!(
        "Median over the rounds, with minimum and maximum; behind it how many times as good ibeam is. Above one, ibeam is \
         the better one.\n\n{}",
        table::render(results)
    );
    section("Results", &text)
}

fn distances(results: &Results) -> String {
    let rival = |rival: Option<Rival>| {
        rival.map_or("–".into(), |rival| format!("{:.2}× ({})", rival.times, rival.system.title()))
    };
    let head = ["workload", "ibeam beside the best library", "beside the BEAM", "needs", "floor", "distance"];
    let mut table = vec![head.map(String::from).to_vec()];
    let mut reasons = String::new();
    for (workload, place, figure) in rows(results) {
        let Some(standing) = promise::standing(results, workload, place, figure.unit) else { continue };
        let needs = needs::of(workload, place);
        let floor = needs
            .zip(promise::costs(results, Some(workload)))
            .map(|(needs, costs)| format!("{:.1} ns", needs.cost(&costs)));
        table.push(vec![
            figure.name.into(),
            rival(standing.best_library),
            rival(standing.beam),
            needs.map_or("–".into(), |needs| needs.words()),
            floor.unwrap_or("–".into()),
            standing.distance.map_or("–".into(), |distance| format!("{distance:.1}×")),
        ]);
        if let Some(needs) = needs {
            let _ = writeln!(reasons, "- {}: {}", figure.name, needs.why);
        }
    }
    let mut text = String::from(
        "The floor is what the machine charges, in this run, for the atomic operations, allocations and panics that one \
         item needs in the best design we know; the distance is ibeam's time over it.\n\n",
    );
    if let Some(costs) = promise::costs(results, None) {
        for (name, cost) in costs.named() {
            let cost =
                cost.map_or("not measured, the machine was too busy".into(), |ns| format!("{ns:.1} ns"));
            let _ = writeln!(text, "- {name}: {cost}");
        }
    }
    let _ = write!(text, "\n{}\nWhat is counted:\n\n{reasons}", table::align(&table));
    section("Distance to the floor", &text)
}

fn circumstances(run: &Run) -> String {
    let machine = &run.machine;
    let mut text = format!(
        "{}, {} rounds, commit `{}`.\n\n- {}, {} cores, {} GiB\n- {}\n- {}\n",
        run.date,
        run.rounds,
        machine.commit,
        machine.cpu,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.rustc
    );
    for (system, version) in &run.systems {
        let _ = writeln!(text, "- {system} {version}");
    }
    for (system, why) in &run.missing {
        let _ = writeln!(text, "- {system} is missing: {why}");
    }
    section("Machine and versions", &text)
}

fn method() -> String {
    let text = format!(
        "Each system, workload and round has a fresh process; within a round the systems take turns, so that a machine that \
         slows down slows all. Every runtime has {WORKERS} workers, and the client runs on one. Every \
         program checks its result (sums, replies, counts) and gives no figure when one is wrong. Before each cell the \
         machine's costs are measured; they stand in the JSON beside the cell's figures. The programs are built with thin \
         LTO, one codegen unit, unwinding panics, and the system's allocator. Sizes are constants in \
         `bench/src/workloads.rs` that all systems read, Elixir's program too."
    );
    section("Method", &text)
}

fn repeat() -> String {
    let text = "On an otherwise idle Linux machine with Rust and, for the BEAM's column, `elixir`:\n\n\
                ```sh\nbench/run --json run.jsonl\nbench/run report run.jsonl\n```\n\n\
                `bench/run --help` says how to choose workloads and systems.";
    section("How to repeat it", text)
}

fn not_comparable(run: &Run, results: &Results) -> String {
    let mut text = String::new();
    for workload in results.workloads() {
        for system in results.systems() {
            if let Some(why) = results.trouble(workload, system) {
                let _ = writeln!(text, "- `{}` on {}: {why}", workload.name(), system.title());
            }
        }
    }
    let measured = |kind: Kind| {
        results
            .systems()
            .into_iter()
            .any(|system| system.kind() == kind && run.systems.iter().any(|(name, _)| *name == system.name()))
    };
    if measured(Kind::Plain) {
        text.push_str(
            "- Plain tokio is written by hand for each workload and has no links, monitors, names or supervisors: what is \
             compared is the work, not what stands behind it.\n",
        );
    }
    if results.systems().contains(&System::Actix) {
        text.push_str(
            "- actix keeps an actor on its arbiter's thread. Where partners talk they share one, so no message crosses \
             threads; the casts do cross. The other systems move processes between workers.\n",
        );
    }
    if measured(Kind::Beam) {
        text.push_str(
            "- The BEAM copies messages, collects each process' garbage by itself and takes turns away from who computes; \
             its processes have a heap from the start, which their memory includes.\n\
             - Elixir's supervisor keeps one timestamp per restart within its window and walks them at each restart: with a \
             limit as high as `restart` needs, a restart costs the more the more there were.\n",
        );
    }
    section("What is not comparable, and why", &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::record::Record;
    use crate::record::tests::{cell, results};

    fn run() -> Run {
        Run {
            date: "2026-11-27 20:15:00 UTC".into(),
            machine: Machine {
                cpu: "a CPU".into(),
                cores: 2,
                memory_gib: 23.4,
                kernel: "Linux 6.1".into(),
                rustc: "rustc 1.95.0".into(),
                commit: "abcdef".into(),
            },
            systems: vec![("tokio".into(), "1.54.1".into()), ("ibeam".into(), "0.1.0".into())],
            missing: vec![("elixir".into(), "not installed".into())],
            rounds: 5,
        }
    }

    #[test]
    fn misses_come_before_everything_else() {
        let all = results([
            cell(Workload::Ring, System::Tokio, 1, &[40.0]),
            cell(Workload::Ring, System::Ibeam, 1, &[50.0]),
        ]);
        let page = page(&run(), &all, &["![ring](benchmarks/ring_1.svg)".into()]);
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("`{text}` is not in\n{page}"));
        assert!(at("plain tokio is 1.25 times as good") < at("## Results"));
        for text in [
            "| ring of 1,000, per hop ",
            "3 atomic, 1 allocation",
            "18.0 ns",
            "2.8×",
            "benchmarks/ring_1.svg",
            "a CPU, 2 cores, 23.4 GiB",
            "- tokio 1.54.1",
            "- elixir is missing: not installed",
        ] {
            at(text);
        }
    }

    #[test]
    fn what_was_not_measured_is_said_with_its_reason() {
        let all = results([
            cell(Workload::Restart, System::Ibeam, 1, &[5_000.0]),
            Record::Absent {
                workload: "restart".into(),
                system: "actix".into(),
                reason: "no restarts".into(),
            },
            Record::Failed {
                workload: "restart".into(),
                system: "kameo".into(),
                round: 2,
                error: "lost".into(),
            },
        ]);
        let page = page(&run(), &all, &[]);
        assert!(page.contains("- `restart` on actix: no restarts"), "{page}");
        assert!(page.contains("- `restart` on kameo: lost"), "{page}");
    }
}

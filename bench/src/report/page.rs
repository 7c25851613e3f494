//! The page itself.

use std::fmt::Write;

use crate::needs;
use crate::record::{Results, Run};
use crate::report::causes::{self, Cause};
use crate::report::promise::{self, DISTANCE, Rival, TIMES};
use crate::scaling::{self, NOT_FLAT};
use crate::systems::{Kind, System};
use crate::table;
use crate::workloads::{Figure, WORKERS, Workload};

/// Links to charts.
#[derive(Default)]
pub(super) struct Links {
    pub(super) workloads: Vec<String>,
    pub(super) sweeps: Vec<String>,
}

/// The page of a run, and of the one that has measured the sweeps. What neither has measured has no section.
pub(super) fn page(run: &Run, results: &Results, links: &Links) -> String {
    let mut sections = vec![
        "# Benchmarks\n\nWritten by `bench/run report` from JSON lines; not edited by hand.\n".to_string(),
    ];
    if !results.workloads().is_empty() {
        sections.extend([
            misses(results),
            medians(results),
            distances(results),
            section("Charts", &links.workloads.join("\n\n")),
        ]);
    }
    if let Some(run) = results.scaling_run() {
        sections.push(scaling(run, results, &links.sweeps));
    }
    sections.extend([circumstances(run), method(), repeat(), not_comparable(run, results)]);
    sections.join("\n")
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
            let _ = match causes::of(workload, place) {
                Some(Cause { profile, needed }) => writeln!(text, "  - {profile}\n  - needed: {needed}"),
                None => writeln!(text, "  - not looked into yet"),
            };
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
    let head = [
        "workload",
        "ibeam beside the best library",
        "beside the BEAM",
        "needs",
        "floor",
        "distance",
        "memory beside it",
    ];
    let mut table = vec![head.map(String::from).to_vec()];
    let mut reasons = String::new();
    for (workload, place, figure) in rows(results) {
        let Some(standing) = promise::standing(results, workload, place, figure.unit) else { continue };
        let needs = needs::of(workload, place);
        let costs = needs.zip(promise::costs(results, Some(workload)));
        let ns = |ns: Option<f64>| ns.map_or("–".into(), |ns| format!("{ns:.1} ns"));
        let floor = ns(costs.map(|(needs, costs)| needs.cost(&costs)));
        let memory = ns(costs.and_then(|(needs, costs)| needs.memory(&costs)));
        table.push(vec![
            figure.name.into(),
            rival(standing.best_library),
            rival(standing.beam),
            needs.map_or("–".into(), |needs| needs.words()),
            floor,
            standing.distance.map_or("–".into(), |distance| format!("{distance:.1}×")),
            memory,
        ]);
        if let Some(needs) = needs {
            let _ = writeln!(reasons, "- {}: {}", figure.name, needs.why);
        }
    }
    let mut text = String::from(
        "The floor is what the machine charges, in this run, for the atomic operations, allocations and panics that one \
         item needs in the best design we know; the distance is ibeam's time over it. What memory costs on top, where it is \
         touched for the first time or comes from beyond the caches, is no part of the floor.\n\n",
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

fn scaling(run: &Run, results: &Results, charts: &[String]) -> String {
    let mut text = format!(
        "What one operation costs when there is more of everything, with one worker and with two: the median of {} rounds \
         ({}, commit `{}`), and how many times as much as at the smallest size. The first row is the machine's own: a read \
         from memory that is that large, at one read after the other.\n\n{}\n",
        run.rounds,
        run.date,
        run.machine.commit,
        scaling::tables(results)
    );
    let _ = write!(
        text,
        "Not flat, which is to say that the worst size costs more than {NOT_FLAT} times the best:\n\n{}\n",
        scaling::findings(results)
    );
    for sweep in results.sweeps() {
        for system in [System::Tokio, System::Ibeam] {
            if let Some(why) = sweep.absent(system) {
                let _ = writeln!(text, "`{}` has no line of {}: {why}.", sweep.name(), system.title());
            }
        }
    }
    let _ = write!(text, "\n{}", charts.join("\n\n"));
    section("Scaling", &text)
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
         `bench/src/workloads.rs` and `bench/src/scaling.rs` that all systems read, Elixir's program too."
    );
    section("Method", &text)
}

fn repeat() -> String {
    let text = "On an otherwise idle Linux machine with Rust and, for the BEAM's column, `elixir`:\n\n\
                ```sh\nbench/run --json run.jsonl\nbench/run scaling --json scaling.jsonl\n\
                bench/run report run.jsonl scaling.jsonl\n```\n\n\
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
    use crate::record::tests::{cell, point, results};
    use crate::scaling::Sweep;

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
        let links = Links { workloads: vec!["![ring](benchmarks/ring_1.svg)".into()], sweeps: Vec::new() };
        let page = page(&run(), &all, &links);
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("`{text}` is not in\n{page}"));
        assert!(at("plain tokio is 1.25 times as good") < at("  - not looked into yet"));
        assert!(at("  - not looked into yet") < at("## Results"));
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
        assert!(!page.contains("## Scaling"), "{page}");
    }

    #[test]
    fn sweeps_have_a_section_of_their_own_with_their_own_run() {
        let sizes = Sweep::Ring.grows().sizes();
        let ring = |size| point(Sweep::Ring, System::Ibeam, 2, size, &[size as f64 / 1e3]);
        let selective = |size| point(Sweep::Selective, System::Ibeam, 1, size, &[1.0, 1.0, 1.0]);
        let mut records = vec![cell(Workload::Ring, System::Ibeam, 1, &[50.0])];
        records.push(Record::Run(Run { date: "the day after".into(), rounds: 3, ..run() }));
        records.extend(sizes.map(ring).into_iter().chain(Sweep::Selective.grows().sizes().map(selective)));
        let all = results(records);
        let links = Links { workloads: Vec::new(), sweeps: vec!["![a curve](scaling.svg)".into()] };
        let text = page(&run(), &all, &links);
        for part in [
            "## Results",
            "## Scaling",
            "the median of 3 rounds (the day after, commit `abcdef`)",
            "| hop in a ring ",
            "- **hop in a ring** (`ring`), worst size over best: 1000.00 with 2",
            "`selective` has no line of plain tokio: a channel",
            "![a curve](scaling.svg)",
            "bench/run report run.jsonl scaling.jsonl",
        ] {
            assert!(text.contains(part), "`{part}` is not in\n{text}");
        }
        let only = results([Record::Run(run()), point(Sweep::Ring, System::Ibeam, 1, 1_000, &[1.0])]);
        let text = page(&run(), &only, &Links::default());
        assert!(text.contains("## Scaling") && !text.contains("## Results"), "{text}");
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
        let page = page(&run(), &all, &Links::default());
        assert!(page.contains("- `restart` on actix: no restarts"), "{page}");
        assert!(page.contains("- `restart` on kameo: lost"), "{page}");
    }
}

//! The table: medians with their range, how many times as good ibeam is, and whether the floor against plain tokio held.

use crate::record::Results;
use crate::spread::{Spread, times_as_good};
use crate::systems::System;
use crate::workloads::{Figure, Floor, Unit, Workload};

/// All results as a Markdown table, the columns aligned for reading as it is.
pub(crate) fn render(results: &Results) -> String {
    let systems = results.systems();
    let mut rows = vec![head(&systems)];
    for workload in results.workloads() {
        for (place, figure) in workload.figures().iter().enumerate() {
            rows.push(row(results, &systems, workload, place, figure));
        }
    }
    align(&rows)
}

fn head(systems: &[System]) -> Vec<String> {
    let names = systems.iter().map(|system| system.title());
    ["workload"].into_iter().chain(names).chain(["floor", "verdict"]).map(String::from).collect()
}

fn row(
    results: &Results,
    systems: &[System],
    workload: Workload,
    place: usize,
    figure: &Figure,
) -> Vec<String> {
    let spread = |system| results.spread(workload, system, place);
    let (ours, tokio) = (spread(System::Ibeam), spread(System::Tokio));
    let mut row = vec![figure.name.to_string()];
    row.extend(systems.iter().map(|&system| show(figure.unit, spread(system), ours, system)));
    let ratio =
        ours.zip(tokio).and_then(|(ours, tokio)| times_as_good(figure.unit, ours.median, tokio.median));
    row.push(match figure.floor {
        Floor::None => "–".into(),
        Floor::Times(least) => format!("≥ {least:.2}×"),
        Floor::AtMost(most) => format!("≤ {}", most_words(most, figure.unit)),
    });
    row.push(verdict(figure.floor, ratio, ours).into());
    row
}

/// A figure, and behind one of another system how many times as good ibeam's is.
fn show(unit: Unit, spread: Option<Spread>, ours: Option<Spread>, system: System) -> String {
    let Some(spread) = spread else { return "–".into() };
    let ratio = ours.filter(|_| system != System::Ibeam);
    let ratio = ratio.and_then(|ours| times_as_good(unit, ours.median, spread.median));
    spread.show(unit) + &ratio.map_or(String::new(), |ratio| format!(" {ratio:.2}×"))
}

fn most_words(most: f64, unit: Unit) -> String {
    match unit {
        Unit::Nanoseconds => format!("{most:.0} ns"),
        Unit::Bytes => format!("{most:.0} B"),
        Unit::MillionsPerSecond => format!("{most:.2} M/s"),
        Unit::Milliseconds => format!("{most:.0} ms"),
        Unit::Percent => format!("{most:.0} %"),
    }
}

fn verdict(floor: Floor, ratio: Option<f64>, ours: Option<Spread>) -> &'static str {
    let held = match floor {
        Floor::None => None,
        Floor::Times(least) => ratio.map(|ratio| ratio >= least),
        Floor::AtMost(most) => ours.map(|ours| ours.median <= most),
    };
    match held {
        None => "–",
        Some(true) => "ok",
        Some(false) => "missed",
    }
}

/// The first row is the head.
pub(crate) fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String]| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!(" {cell:<width$} ")).collect();
        format!("|{}|\n", cells.join("|"))
    };
    let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    let mut table = String::new();
    for (number, row) in rows.iter().enumerate() {
        table.push_str(&line(row));
        if number == 0 {
            table.push_str(&line(&rule));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{cell, results};

    fn spread(figure: f64) -> Option<Spread> {
        Spread::of(vec![figure])
    }

    #[test]
    fn a_floor_against_tokio_is_held_or_missed() {
        assert_eq!(verdict(Floor::Times(2.5), Some(2.5), spread(1.0)), "ok");
        assert_eq!(verdict(Floor::Times(2.5), Some(2.48), spread(1.0)), "missed");
        assert_eq!(verdict(Floor::Times(2.5), None, spread(1.0)), "–");
    }

    #[test]
    fn an_absolute_floor_asks_only_ibeam() {
        assert_eq!(verdict(Floor::AtMost(1.0), None, spread(1.5)), "missed");
        assert_eq!(verdict(Floor::AtMost(1.0), Some(9.0), None), "–");
    }

    #[test]
    fn a_row_has_every_system_beside_ibeam() {
        let all = results([
            cell(Workload::CallSeq, System::Tokio, 1, &[250.0]),
            cell(Workload::CallSeq, System::Ibeam, 1, &[100.0]),
            cell(Workload::CallSeq, System::Elixir, 1, &[500.0]),
        ]);
        let table = render(&all);
        let lines: Vec<Vec<&str>> =
            table.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect();
        assert_eq!(lines[0], ["workload", "plain tokio", "ibeam", "Elixir", "floor", "verdict"]);
        assert_eq!(
            lines[2],
            [
                "sequential call",
                "250 ns (250–250) 2.50×",
                "100 ns (100–100)",
                "500 ns (500–500) 5.00×",
                "≥ 2.50×",
                "ok"
            ]
        );
    }

    #[test]
    fn the_table_is_aligned_markdown() {
        let table = align(&[vec!["a".into(), "b".into()], vec!["longer".into(), "c".into()]]);
        assert_eq!(table, "| a      | b |\n| ------ | - |\n| longer | c |\n");
    }
}

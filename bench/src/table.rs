//! The table: medians with their range, the ratio to plain tokio, and whether the floor held.

use crate::cell::Measured;
use crate::systems::System;
use crate::workloads::{Figure, Floor, Unit, Workload};

const HEAD: [&str; 6] = ["workload", "plain tokio", "ibeam", "ratio", "floor", "verdict"];

/// The rows of one workload, one per figure.
pub(crate) fn rows(workload: Workload, measured: &[Measured]) -> Vec<[String; 6]> {
    let spread = |system: System, index: usize| -> Option<Spread> {
        let cell = measured.iter().find(|cell| cell.system == system)?;
        Spread::of(cell.rounds.iter().map(|round| round[index]).collect())
    };
    let figures = workload.figures().iter().enumerate();
    figures.map(|(i, figure)| row(figure, spread(System::Tokio, i), spread(System::Ibeam, i))).collect()
}

/// Median, minimum and maximum of one figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// `None` without a single round.
    fn of(mut figures: Vec<f64>) -> Option<Spread> {
        figures.sort_by(f64::total_cmp);
        let (&min, &max) = (figures.first()?, figures.last()?);
        let middle = figures.len() / 2;
        let median = match figures.len() % 2 {
            1 => figures[middle],
            _ => (figures[middle - 1] + figures[middle]) / 2.0,
        };
        Some(Spread { median, min, max })
    }

    fn show(self, unit: Unit) -> String {
        let Spread { median, min, max } = self;
        match unit {
            Unit::Nanoseconds => format!("{median:.0} ns ({min:.0}–{max:.0})"),
            Unit::Bytes => format!("{median:.0} B ({min:.0}–{max:.0})"),
            Unit::MillionsPerSecond => format!("{median:.2} M/s ({min:.2}–{max:.2})"),
            Unit::Milliseconds => format!("{median:.1} ms ({min:.1}–{max:.1})"),
            Unit::Percent => format!("{median:.2} % ({min:.2}–{max:.2})"),
        }
    }
}

fn row(figure: &Figure, tokio: Option<Spread>, ibeam: Option<Spread>) -> [String; 6] {
    let show = |spread: Option<Spread>| spread.map_or("–".into(), |spread| spread.show(figure.unit));
    let ratio = tokio.zip(ibeam).and_then(|(tokio, ibeam)| times_as_good(figure.unit, tokio, ibeam));
    [
        figure.name.into(),
        show(tokio),
        show(ibeam),
        ratio.map_or("–".into(), |ratio| format!("{ratio:.2}×")),
        match figure.floor {
            Floor::None => "–".into(),
            Floor::Times(least) => format!("≥ {least:.2}×"),
            Floor::AtMost(most) => format!("≤ {}", most_words(most, figure.unit)),
        },
        verdict(figure.floor, ratio, ibeam).into(),
    ]
}

/// How many times as good as plain tokio; `None` where plain tokio's own figure is zero.
fn times_as_good(unit: Unit, tokio: Spread, ibeam: Spread) -> Option<f64> {
    let ratio = match unit.lower_is_better() {
        true => tokio.median / ibeam.median,
        false => ibeam.median / tokio.median,
    };
    ratio.is_finite().then_some(ratio)
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

fn verdict(floor: Floor, ratio: Option<f64>, ibeam: Option<Spread>) -> &'static str {
    let held = match floor {
        Floor::None => None,
        Floor::Times(least) => ratio.map(|ratio| ratio >= least),
        Floor::AtMost(most) => ibeam.map(|ibeam| ibeam.median <= most),
    };
    match held {
        None => "–",
        Some(true) => "ok",
        Some(false) => "missed",
    }
}

/// The rows under their head as a Markdown table, the columns aligned for reading as it is.
pub(crate) fn render(rows: &[[String; 6]]) -> String {
    let head = HEAD.map(String::from);
    let widths: [usize; 6] = std::array::from_fn(|column| {
        rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let line = |row: &[String; 6]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!(" {cell:<width$} ")).collect();
        format!("|{}|\n", cells.join("|"))
    };
    let rule = widths.map(|width| "-".repeat(width));
    let mut table = line(&head) + &line(&rule);
    rows.iter().for_each(|row| table.push_str(&line(row)));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(figures: &[f64]) -> Option<Spread> {
        Spread::of(figures.to_vec())
    }

    #[test]
    fn the_median_is_the_middle_one_or_between_the_two() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn a_floor_against_tokio_is_held_or_missed() {
        let figure = Figure { name: "call", unit: Unit::Nanoseconds, floor: Floor::Times(2.5) };
        let held = row(&figure, spread(&[250.0]), spread(&[100.0]));
        assert_eq!(held, ["call", "250 ns (250–250)", "100 ns (100–100)", "2.50×", "≥ 2.50×", "ok"]);
        let missed = row(&figure, spread(&[250.0]), spread(&[101.0]));
        assert_eq!(missed[3..], ["2.48×", "≥ 2.50×", "missed"]);
    }

    #[test]
    fn more_per_second_is_better() {
        let figure = Figure { name: "cast", unit: Unit::MillionsPerSecond, floor: Floor::Times(1.8) };
        assert_eq!(row(&figure, spread(&[10.0]), spread(&[20.0]))[3..], ["2.00×", "≥ 1.80×", "ok"]);
    }

    #[test]
    fn an_absolute_floor_asks_only_ibeam() {
        let figure = Figure { name: "idle", unit: Unit::Percent, floor: Floor::AtMost(1.0) };
        assert_eq!(row(&figure, None, spread(&[1.5]))[3..], ["–", "≤ 1 %", "missed"]);
        assert_eq!(row(&figure, spread(&[0.1]), None)[3..], ["–", "≤ 1 %", "–"]);
    }

    #[test]
    fn the_table_is_markdown() {
        let table = render(&[["a", "b", "c", "d", "e", "ok"].map(String::from)]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("| workload | plain tokio |"));
        assert!(lines[1].starts_with("| -------- |"));
    }
}

//! Curves: a figure of a sweep by size, and whether it is flat.

use std::fmt::Write;

use crate::record::Results;
use crate::scaling::{Grows, Point, Sweep};
use crate::spread::Spread;
use crate::systems::System;
use crate::table;
use crate::workloads::{Figure, Unit};

/// A curve is not flat when its worst size costs more than so many times its best.
pub(crate) const NOT_FLAT: f64 = 1.5;

/// One line of a table and of a chart.
#[derive(Debug, PartialEq)]
pub(crate) struct Curve {
    pub(crate) sweep: Sweep,
    /// Which of [`Sweep::figures`].
    pub(crate) place: usize,
    pub(crate) system: System,
    pub(crate) workers: usize,
    /// By size, the smallest first; `None` where nothing was measured.
    pub(crate) spreads: [Option<Spread>; 4],
}

impl Curve {
    /// Everything that was measured, in the table's order.
    pub(crate) fn all(results: &Results) -> Vec<Curve> {
        let mut curves = Vec::new();
        for sweep in results.sweeps() {
            for place in 0..sweep.figures().len() {
                for system in [System::Tokio, System::Ibeam] {
                    for &workers in sweep.workers() {
                        let spreads = sweep
                            .grows()
                            .sizes()
                            .map(|size| results.point(Point { sweep, system, workers, size }, place));
                        if spreads.iter().any(Option::is_some) {
                            curves.push(Curve { sweep, place, system, workers, spreads });
                        }
                    }
                }
            }
        }
        curves
    }

    pub(crate) fn figure(&self) -> &'static Figure {
        &self.sweep.figures()[self.place]
    }

    pub(crate) fn label(&self) -> String {
        match (self.sweep, self.workers) {
            (Sweep::Memory, _) => "the machine".into(),
            (_, 1) => format!("{}, 1 worker", self.system.title()),
            (_, workers) => format!("{}, {workers} workers", self.system.title()),
        }
    }

    /// How many times the best size the worst one costs.
    pub(crate) fn bend(&self) -> Option<f64> {
        let medians = || self.spreads.iter().flatten().map(|spread| spread.median);
        let bend = medians().fold(0.0, f64::max) / medians().fold(f64::INFINITY, f64::min);
        bend.is_finite().then_some(bend)
    }

    fn is_flat(&self) -> bool {
        self.bend().is_none_or(|bend| bend <= NOT_FLAT)
    }

    /// The cells of its row: each cost, and behind it how many times that of the smallest size.
    fn cells(&self) -> impl Iterator<Item = String> {
        let smallest = self.spreads[0].map(|spread| spread.median).filter(|&median| median > 0.0);
        self.spreads.iter().enumerate().map(move |(place, spread)| {
            let Some(spread) = spread else { return "–".into() };
            let cost = words(self.figure().unit, spread.median);
            match smallest.filter(|_| place > 0) {
                Some(smallest) => format!("{cost} {:.2}×", spread.median / smallest),
                None => cost,
            }
        })
    }
}

/// A cost in words: a decimal where it is small.
fn words(unit: Unit, cost: f64) -> String {
    let unit = if unit == Unit::Bytes { "B" } else { "ns" };
    if cost < 10.0 { format!("{cost:.1} {unit}") } else { format!("{cost:.0} {unit}") }
}

/// Ten to the so-manieth, as the heads of columns and the axes of charts have it.
pub(crate) fn size_words(size: u64) -> String {
    match size {
        1_000_000.. => format!("{} million", size / 1_000_000),
        1_000.. => format!("{},000", size / 1_000),
        _ => size.to_string(),
    }
}

/// A table for each of what grows, as aligned Markdown.
pub(crate) fn tables(results: &Results) -> String {
    let curves = Curve::all(results);
    let mut tables = Vec::new();
    for grows in Grows::ALL {
        let rows: Vec<_> = curves.iter().filter(|curve| curve.sweep.grows() == grows).collect();
        if rows.is_empty() {
            continue;
        }
        let mut table = vec![head(grows)];
        table.extend(rows.into_iter().map(|curve| {
            [curve.figure().name.into(), curve.label()].into_iter().chain(curve.cells()).collect()
        }));
        tables.push(table::align(&table));
    }
    tables.join("\n")
}

fn head(grows: Grows) -> Vec<String> {
    let sizes = grows.sizes().map(size_words);
    [format!("by {}", grows.title()), String::new()].into_iter().chain(sizes).collect()
}

/// Every figure of ibeam's that is not flat, with its reason.
pub(crate) fn findings(results: &Results) -> String {
    let curves = Curve::all(results);
    let bends = |of: &Curve, system: System| {
        let alike = curves
            .iter()
            .filter(|curve| curve.sweep == of.sweep && curve.place == of.place && curve.system == system);
        let each: Vec<_> =
            alike.filter_map(|curve| Some(format!("{:.2} with {}", curve.bend()?, curve.workers))).collect();
        each.join(" and ")
    };
    let mut text = String::new();
    let mut named = Vec::new();
    for curve in curves.iter().filter(|curve| curve.system == System::Ibeam && !curve.is_flat()) {
        if named.contains(&(curve.sweep, curve.place)) {
            continue;
        }
        named.push((curve.sweep, curve.place));
        let beside = match bends(curve, System::Tokio) {
            none if none.is_empty() => none,
            some => format!("; plain tokio {some}"),
        };
        let reason = curve.sweep.reason(curve.place).unwrap_or("no reason is known");
        let _ = writeln!(
            text,
            "- **{}** (`{}`), worst size over best: {}{beside}. Reason: {reason}",
            curve.figure().name,
            curve.sweep.name(),
            bends(curve, System::Ibeam)
        );
    }
    if text.is_empty() {
        text.push_str("Every line of ibeam's is flat.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{point, results};

    fn sweep_of(sweep: Sweep, system: System, workers: usize, costs: [f64; 4]) -> Vec<crate::record::Record> {
        let sizes = sweep.grows().sizes();
        sizes
            .into_iter()
            .zip(costs)
            .map(|(size, cost)| point(sweep, system, workers, size, &[cost]))
            .collect()
    }

    #[test]
    fn a_curve_is_flat_until_its_worst_size_is_half_as_much_again_as_its_best() {
        let bend_of = |costs| {
            let curves = Curve::all(&results(sweep_of(Sweep::Ring, System::Ibeam, 1, costs)));
            let [curve] = &curves[..] else { panic!("{curves:?}") };
            (curve.bend(), curve.is_flat())
        };
        assert_eq!(bend_of([100.0, 120.0, 150.0, 110.0]), (Some(1.5), true));
        // The best size need not be the smallest.
        assert_eq!(bend_of([150.0, 50.0, 100.0, 100.0]), (Some(3.0), false));
        assert_eq!(bend_of([0.0, 0.0, 0.0, 0.0]), (None, true));
    }

    #[test]
    fn rows_say_each_cost_and_its_ratio_to_the_smallest_size() {
        let mut records = sweep_of(Sweep::Ring, System::Tokio, 2, [100.0, 110.0, 150.0, 400.0]);
        records.extend(sweep_of(Sweep::Receive, System::Ibeam, 1, [5.25, 5.25, 10.5, 21.0]));
        records.pop();
        let text = tables(&results(records));
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect();
        assert_eq!(rows[0], ["by processes", "", "1,000", "10,000", "100,000", "1 million"]);
        assert_eq!(
            rows[2],
            [
                "hop in a ring",
                "plain tokio, 2 workers",
                "100 ns",
                "110 ns 1.10×",
                "150 ns 1.50×",
                "400 ns 4.00×"
            ]
        );
        assert_eq!(rows[4], ["by messages in the mailbox", "", "1", "100", "10,000", "1 million"]);
        assert_eq!(
            rows[6],
            ["send and receive in order", "ibeam, 1 worker", "5.2 ns", "5.2 ns 1.00×", "10 ns 2.00×", "–"]
        );
    }

    #[test]
    fn what_is_not_flat_is_named_once_with_all_it_stands_beside() {
        let mut records = sweep_of(Sweep::Ring, System::Ibeam, 1, [100.0, 100.0, 100.0, 100.0]);
        records.extend(sweep_of(Sweep::Ring, System::Ibeam, 2, [100.0, 100.0, 100.0, 200.0]));
        records.extend(sweep_of(Sweep::Ring, System::Tokio, 1, [100.0, 100.0, 100.0, 300.0]));
        records.extend(sweep_of(Sweep::SpawnExit, System::Tokio, 1, [100.0, 100.0, 100.0, 300.0]));
        let text = findings(&results(records));
        let expected = "- **hop in a ring** (`ring`), worst size over best: 1.00 with 1 and 2.00 with 2; plain tokio 3.00 with 1. \
             Reason: ";
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn without_a_bend_there_is_nothing_to_explain() {
        let text = findings(&results(sweep_of(Sweep::Ring, System::Ibeam, 1, [100.0, 99.0, 98.0, 110.0])));
        assert_eq!(text, "Every line of ibeam's is flat.\n");
    }
}

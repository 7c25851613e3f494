//! A bar per system for each figure, as SVG.

use plotters::prelude::*;

use crate::record::Results;
use crate::spread::Spread;
use crate::systems::{Kind, System};
use crate::workloads::Figure;

/// A system's bar.
pub(super) struct Bar {
    pub(super) system: System,
    pub(super) spread: Spread,
}

/// File name, figure and bars of each chart: one per figure that two systems have.
pub(super) fn all(results: &Results) -> Vec<(String, &'static Figure, Vec<Bar>)> {
    let mut charts = Vec::new();
    for workload in results.workloads() {
        for (place, figure) in workload.figures().iter().enumerate() {
            let bars: Vec<Bar> = results
                .systems()
                .into_iter()
                .filter_map(|system| Some(Bar { system, spread: results.spread(workload, system, place)? }))
                .collect();
            if bars.len() > 1 {
                charts.push((format!("{}_{}", workload.name(), place + 1), figure, bars));
            }
        }
    }
    charts
}

const WIDTH: u32 = 760;
const BAR: u32 = 20;
const STEP: u32 = 30;
const TOP: u32 = 46;
const LEFT: u32 = 110;
/// For the words behind the longest bar.
const RIGHT: u32 = 210;

/// Above this ratio the short bars would not be seen on a linear scale.
const LINEAR_UP_TO: f64 = 40.0;

/// How long a value's bar is, in pixels.
struct Scale {
    min: f64,
    max: f64,
    logarithmic: bool,
}

impl Scale {
    fn of(bars: &[Bar]) -> Scale {
        let medians = || bars.iter().map(|bar| bar.spread.median);
        let max = bars.iter().map(|bar| bar.spread.max).fold(0.0, f64::max);
        let min = medians().filter(|&median| median > 0.0).fold(f64::INFINITY, f64::min);
        Scale { min, max, logarithmic: min.is_finite() && max / min > LINEAR_UP_TO }
    }

    fn pixels(&self, value: f64) -> i32 {
        let room = f64::from(WIDTH - LEFT - RIGHT);
        let share = match self.logarithmic {
            // The smallest has a tenth of the room, so that it is seen.
            true => 0.1 + 0.9 * (value.max(self.min) / self.min).ln() / (self.max / self.min).ln(),
            false => value / self.max,
        };
        if share.is_finite() { (share.clamp(0.0, 1.0) * room) as i32 } else { 0 }
    }
}

fn color(system: System) -> RGBColor {
    match system.kind() {
        Kind::Ours => RGBColor(198, 70, 30),
        Kind::Plain => RGBColor(90, 100, 115),
        Kind::Library => RGBColor(120, 160, 200),
        Kind::Beam => RGBColor(110, 75, 150),
    }
}

/// Draws one chart.
///
/// # Errors
/// When the plotting crate could not.
pub(super) fn draw(figure: &Figure, bars: &[Bar]) -> Result<String, String> {
    let mut svg = String::new();
    let height = TOP + STEP * bars.len() as u32 + 8;
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        paint(&area, figure, bars).map_err(|error| format!("chart of `{}`: {error}", figure.name))?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn paint(area: &Area<'_>, figure: &Figure, bars: &[Bar]) -> Result<(), Box<dyn std::error::Error>> {
    let scale = Scale::of(bars);
    let better = if figure.unit.lower_is_better() { "less is better" } else { "more is better" };
    let scale_words = if scale.logarithmic { ", logarithmic" } else { "" };
    let font = |size: u32| ("sans-serif", size).into_font();
    area.fill(&WHITE)?;
    area.draw(&Text::new(figure.name, (12, 10), font(20)))?;
    area.draw(&Text::new(format!("{better}{scale_words}"), (12, 29), font(15)))?;
    for (place, bar) in bars.iter().enumerate() {
        let top = (TOP + STEP * place as u32) as i32;
        let (left, middle) = (LEFT as i32, top + BAR as i32 / 2);
        let end = left + scale.pixels(bar.spread.median);
        area.draw(&Text::new(bar.system.title(), (12, top + 4), font(17)))?;
        area.draw(&Rectangle::new([(left, top), (end, top + BAR as i32)], color(bar.system).filled()))?;
        let (min, max) = (left + scale.pixels(bar.spread.min), left + scale.pixels(bar.spread.max));
        area.draw(&PathElement::new([(min, middle), (max, middle)], BLACK))?;
        for x in [min, max] {
            area.draw(&PathElement::new([(x, middle - 4), (x, middle + 4)], BLACK))?;
        }
        area.draw(&Text::new(bar.spread.show(figure.unit), (max.max(end) + 8, top + 4), font(16)))?;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{cell, results};
    use crate::workloads::Workload;

    fn bars(figures: &[f64]) -> Vec<Bar> {
        let systems = [System::Tokio, System::Ibeam, System::Elixir];
        let spread = |figure| Spread { median: figure, min: figure, max: figure };
        systems.iter().zip(figures).map(|(&system, &figure)| Bar { system, spread: spread(figure) }).collect()
    }

    #[test]
    fn a_figure_of_one_system_alone_has_no_chart() {
        let all = results([
            cell(Workload::Ring, System::Tokio, 1, &[100.0]),
            cell(Workload::Ring, System::Ibeam, 1, &[50.0]),
            cell(Workload::Pairs, System::Ibeam, 1, &[10.0]),
        ]);
        let names: Vec<String> = super::all(&all).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["ring_1"]);
    }

    #[test]
    fn bars_are_as_long_as_their_figures_until_the_short_ones_would_vanish() {
        let linear = Scale::of(&bars(&[100.0, 50.0]));
        assert!(!linear.logarithmic);
        assert_eq!(linear.pixels(50.0), linear.pixels(100.0) / 2);
        let logarithmic = Scale::of(&bars(&[6_000.0, 5.0]));
        assert!(logarithmic.logarithmic);
        assert_eq!(logarithmic.pixels(5.0), logarithmic.pixels(6_000.0) / 10);
        assert_eq!(Scale::of(&bars(&[0.0, 0.0])).pixels(0.0), 0);
    }

    #[test]
    fn a_chart_names_every_system_and_figure() {
        let svg = draw(&Workload::Ring.figures()[0], &bars(&[101.0, 52.0, 228.0])).unwrap();
        for text in ["ring of 1,000, per hop", "plain tokio", "ibeam", "Elixir", "101 ns", "less is better"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    }
}

//! A line per system and number of workers for each figure of a sweep, the size on a logarithmic axis, as SVG.

use plotters::prelude::*;

use crate::record::Results;
use crate::scaling::{Curve, size_words};
use crate::systems::System;
use crate::workloads::{Figure, Unit};

/// File name, figure and curves of each chart.
pub(super) fn all(results: &Results) -> Vec<(String, &'static Figure, Vec<Curve>)> {
    let mut charts: Vec<(String, &'static Figure, Vec<Curve>)> = Vec::new();
    for curve in Curve::all(results) {
        let name = format!("scaling_{}_{}", curve.sweep.name(), curve.place + 1);
        match charts.last_mut() {
            Some((last, _, curves)) if *last == name => curves.push(curve),
            _ => charts.push((name, curve.figure(), vec![curve])),
        }
    }
    charts
}

const WIDTH: u32 = 760;
const HEIGHT: u32 = 340;
/// Left of the legend.
const PLOT_WIDTH: u32 = 560;

/// Above this ratio a linear scale would show the highest line only.
const LINEAR_UP_TO: f64 = 40.0;

fn style(curve: &Curve) -> ShapeStyle {
    let color = match curve.system {
        System::Ibeam => RGBColor(198, 70, 30),
        _ => RGBColor(90, 100, 115),
    };
    // Of two lines of one system the thin one is that of one worker.
    color.stroke_width(if curve.workers == 1 { 1 } else { 3 })
}

/// Draws one chart.
///
/// # Errors
/// When the plotting crate could not.
pub(super) fn draw(figure: &Figure, curves: &[Curve]) -> Result<String, String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        paint(&area, figure, curves).map_err(|error| format!("chart of `{}`: {error}", figure.name))?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn paint(area: &Area<'_>, figure: &Figure, curves: &[Curve]) -> Result<(), Box<dyn std::error::Error>> {
    let Some(first) = curves.first() else { return Err("no curves".into()) };
    let grows = first.sweep.grows();
    let sizes = grows.sizes();
    let costs = || curves.iter().flat_map(|curve| curve.spreads.iter().flatten());
    let most = costs().map(|spread| spread.max).fold(0.0, f64::max);
    let least = costs().map(|spread| spread.min).filter(|&cost| cost > 0.0).fold(most, f64::min);
    let logarithmic = most > LINEAR_UP_TO * least;
    let unit = if figure.unit == Unit::Bytes { "bytes" } else { "ns" };
    let scale = if logarithmic { ", logarithmic" } else { "" };

    area.fill(&WHITE)?;
    let font = |size: u32| ("sans-serif", size).into_font();
    area.draw(&Text::new(figure.name, (12, 10), font(20)))?;
    area.draw(&Text::new(
        format!("{unit} each{scale}, by {}; less is better", grows.title()),
        (12, 31),
        font(15),
    ))?;
    let (left, _) = area.split_horizontally(PLOT_WIDTH);
    let mut builder = ChartBuilder::on(&left);
    builder.margin_top(56).margin_bottom(8).x_label_area_size(28).y_label_area_size(76).margin_right(24);
    let by_size = (sizes[0] as f64..sizes[3] as f64).log_scale();
    // Two coordinate systems are two types of chart: what is drawn into both is the same.
    macro_rules! fill {
        ($chart:expr) => {{
            let mut chart = $chart;
            chart
                .configure_mesh()
                .x_labels(sizes.len())
                .x_label_formatter(&|size| size_words(*size as u64))
                .y_label_formatter(&|cost| format!("{cost:.0}"))
                .light_line_style(TRANSPARENT)
                .label_style(font(14))
                .draw()?;
            for curve in curves {
                let at =
                    || sizes.iter().zip(&curve.spreads).filter_map(|(&size, s)| Some((size as f64, (*s)?)));
                chart.draw_series(LineSeries::new(at().map(|(x, s)| (x, s.median)), style(curve)))?;
                chart.draw_series(at().map(|(x, s)| {
                    PathElement::new([(x, s.min.max(least)), (x, s.max.max(least))], style(curve))
                }))?;
            }
        }};
    }
    if logarithmic {
        fill!(builder.build_cartesian_2d(by_size, (least * 0.8..most * 1.2).log_scale())?);
    } else {
        fill!(builder.build_cartesian_2d(by_size, 0.0..most * 1.1)?);
    }
    for (place, curve) in (0..).zip(curves) {
        let y = 70 + 24 * place;
        let x = PLOT_WIDTH as i32;
        area.draw(&PathElement::new([(x, y), (x + 24, y)], style(curve)))?;
        area.draw(&Text::new(curve.label(), (x + 32, y - 8), font(16)))?;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{point, results};
    use crate::scaling::Sweep;

    fn measured() -> Results {
        let cost = |workers: usize, size: u64| 50.0 + (size as f64).sqrt() / workers as f64;
        let mut records = Vec::new();
        for size in Sweep::Ring.grows().sizes() {
            for workers in [1, 2] {
                records.push(point(Sweep::Ring, System::Ibeam, workers, size, &[cost(workers, size)]));
                records.push(point(Sweep::Lookup, System::Tokio, workers, size, &[1.0, 1e6]));
            }
        }
        results(records)
    }

    #[test]
    fn each_figure_of_a_sweep_has_a_chart_with_all_its_curves() {
        let charts = super::all(&measured());
        let names: Vec<_> = charts.iter().map(|(name, _, curves)| (name.as_str(), curves.len())).collect();
        assert_eq!(names, [("scaling_ring_1", 2), ("scaling_lookup_1", 2), ("scaling_lookup_2", 2)]);
    }

    #[test]
    fn a_chart_names_its_curves_and_sizes() {
        for (_, figure, curves) in super::all(&measured()) {
            let svg = draw(figure, &curves).unwrap();
            let curve = curves[1].label();
            for text in [figure.name, &curve, "by processes; less is better", "1,000", "1 million"] {
                assert!(svg.contains(text), "{text} is not in {svg}");
            }
            assert!(svg.matches("<polyline").count() >= 2 && svg.trim_end().ends_with("</svg>"), "{svg}");
        }
    }
}

//! What ibeam promises beside the others, row by row, and where a run has missed it.

use crate::costs::Costs;
use crate::needs;
use crate::record::Results;
use crate::spread::times_as_good;
use crate::systems::{Kind, System};
use crate::workloads::{Unit, Workload};

/// How many times as good as the best actor library and as the BEAM, in the rows that promise it.
pub(super) const TIMES: f64 = 2.0;
/// The most that a row may be away from its floor.
pub(super) const DISTANCE: f64 = 4.0;

/// Whether a row promises to be [`TIMES`] as good. The others promise to be the best.
fn promises_times(workload: Workload, figure: usize) -> bool {
    matches!(
        (workload, figure),
        (Workload::SpawnExit | Workload::CallSeqTimeout | Workload::Pairs | Workload::Ring, 0)
            | (Workload::SpawnIdle | Workload::SpawnIdleServer, 1)
            | (Workload::Restart | Workload::Children | Workload::Fanout, 0)
            | (Workload::Registry, 1)
    )
}

/// Another system's figure in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rival {
    pub(super) system: System,
    /// How many times as good ibeam is.
    pub(super) times: f64,
}

/// How ibeam does in one row.
#[derive(Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) best_library: Option<Rival>,
    pub(super) beam: Option<Rival>,
    /// The best of all others, plain tokio too.
    pub(super) best: Option<Rival>,
    /// How many times its physical floor.
    pub(super) distance: Option<f64>,
    /// What it promised and did not hold, in words.
    pub(super) missed: Vec<String>,
}

/// The machine's costs while a workload was measured: medians.
pub(super) fn costs(results: &Results, workload: Option<Workload>) -> Option<Costs> {
    let median = |of: fn(&Costs) -> Option<f64>| results.cost(workload, of).map(|spread| spread.median);
    Some(Costs {
        line: median(|costs| costs.line),
        atomic: median(|costs| Some(costs.atomic))?,
        allocation: median(|costs| Some(costs.allocation))?,
        panic: median(|costs| Some(costs.panic))?,
        fresh: median(|costs| Some(costs.fresh))?,
        cold: median(|costs| Some(costs.cold))?,
    })
}

/// `None` when ibeam has no figure here.
pub(super) fn standing(results: &Results, workload: Workload, place: usize, unit: Unit) -> Option<Standing> {
    let ours = results.spread(workload, System::Ibeam, place)?.median;
    let rivals: Vec<Rival> = results
        .systems()
        .into_iter()
        .filter(|&system| system != System::Ibeam)
        .filter_map(|system| {
            let theirs = results.spread(workload, system, place)?.median;
            Some(Rival { system, times: times_as_good(unit, ours, theirs)? })
        })
        .collect();
    let best_of = |wanted: &dyn Fn(Kind) -> bool| {
        let of_kind = rivals.iter().copied().filter(|rival| wanted(rival.system.kind()));
        of_kind.min_by(|a, b| a.times.total_cmp(&b.times))
    };
    let distance = needs::of(workload, place)
        .zip(needs::ns_per_item(unit, ours))
        .zip(costs(results, Some(workload)))
        .map(|((needs, ns), costs)| ns / needs.cost(&costs));
    let mut standing = Standing {
        best_library: best_of(&|kind| kind == Kind::Library),
        beam: best_of(&|kind| kind == Kind::Beam),
        best: best_of(&|_| true),
        distance,
        missed: Vec::new(),
    };
    standing.missed = missed(&standing, promises_times(workload, place));
    Some(standing)
}

fn missed(standing: &Standing, promises_times: bool) -> Vec<String> {
    let mut missed = Vec::new();
    if let Some(best) = standing.best.filter(|best| best.times < 1.0) {
        missed.push(format!("{} is {:.2} times as good", best.system.title(), 1.0 / best.times));
    }
    for rival in [standing.best_library, standing.beam].into_iter().flatten() {
        // One that is better has been named already.
        if promises_times && rival.times < TIMES && rival.times >= 1.0 {
            missed.push(format!("{:.2} times as good as {}, not {TIMES}", rival.times, rival.system.title()));
        }
    }
    if let Some(distance) = standing.distance.filter(|&distance| distance > DISTANCE) {
        missed.push(format!("{distance:.1} times its floor, not {DISTANCE}"));
    }
    missed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{cell, results};

    fn standing_of(workload: Workload, figures: &[(System, f64)]) -> Standing {
        let all = results(figures.iter().map(|&(system, figure)| cell(workload, system, 1, &[figure])));
        standing(&all, workload, 0, workload.figures()[0].unit).unwrap()
    }

    #[test]
    fn the_best_of_each_kind_is_the_one_that_comes_nearest() {
        let standing = standing_of(
            Workload::Ring,
            &[
                (System::Tokio, 300.0),
                (System::Ibeam, 50.0),
                (System::Ractor, 500.0),
                (System::Actix, 200.0),
                (System::Elixir, 250.0),
            ],
        );
        assert_eq!(standing.best_library, Some(Rival { system: System::Actix, times: 4.0 }));
        assert_eq!(standing.beam, Some(Rival { system: System::Elixir, times: 5.0 }));
        assert_eq!(standing.best, standing.best_library);
        // 3 atomics of 4 ns and an allocation of 6 ns.
        assert_eq!(standing.distance, Some(50.0 / 18.0));
        assert_eq!(standing.missed, Vec::<String>::new());
    }

    #[test]
    fn a_row_that_misses_says_by_how_much() {
        let standing = standing_of(
            Workload::Ring,
            &[(System::Tokio, 80.0), (System::Ibeam, 100.0), (System::Kameo, 150.0), (System::Elixir, 199.0)],
        );
        assert_eq!(
            standing.missed,
            [
                "plain tokio is 1.25 times as good",
                "1.50 times as good as kameo, not 2",
                "1.99 times as good as Elixir, not 2",
                "5.6 times its floor, not 4"
            ]
        );
    }

    #[test]
    fn a_row_without_the_promise_has_to_be_the_best_only() {
        let figures = [(System::Ibeam, 20.0), (System::Kameo, 19.0)];
        assert_eq!(standing_of(Workload::CallConc, &figures).missed, Vec::<String>::new());
        let figures = [(System::Ibeam, 19.0), (System::Kameo, 20.0)];
        assert_eq!(standing_of(Workload::CallConc, &figures).missed, ["kameo is 1.05 times as good"]);
    }
}

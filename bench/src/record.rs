//! What a run writes down, a line of JSON each, and what is read from such lines again.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::costs::Costs;
use crate::machine::Machine;
use crate::scaling::{Point, Sweep};
use crate::spread::Spread;
use crate::systems::System;
use crate::workloads::Workload;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Record {
    /// The first line: where and with what.
    Run(Run),
    /// A measured cell. `figures` are in the workload's order.
    Cell { workload: String, system: String, round: u32, figures: Vec<f64>, costs: Costs },
    /// A cell that ended with a wrong result, a crash, or not in time.
    Failed { workload: String, system: String, round: u32, error: String },
    /// A system does not do a workload.
    Absent { workload: String, system: String, reason: String },
    /// A measured point of a sweep. `figures` are in the sweep's order.
    Point { point: Point, round: u32, figures: Vec<f64>, costs: Costs },
    /// A point that ended with a wrong result, a crash, or not in time.
    FailedPoint { point: Point, round: u32, error: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// UTC, to the second.
    pub(crate) date: String,
    pub(crate) machine: Machine,
    /// Name and version of each system that was measured.
    pub(crate) systems: Vec<(String, String)>,
    /// Name of each system that was not, and why.
    pub(crate) missing: Vec<(String, String)>,
    pub(crate) rounds: u32,
}

/// All lines of a run, with the questions that the table and the report ask.
#[derive(Default)]
pub(crate) struct Results {
    records: Vec<Record>,
}

impl Results {
    pub(crate) fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Reads a file that [`Writer`] has written.
    ///
    /// # Errors
    /// When it cannot be read, a line is none of ours, or names what this program does not know.
    pub(crate) fn read(path: &Path) -> Result<Results, String> {
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(|error| at(&error))?;
        let mut results = Results::default();
        for (number, line) in (1..).zip(BufReader::new(file).lines()) {
            let line = line.map_err(|error| at(&error))?;
            let record = parse(&line).map_err(|error| at(&format!("line {number}: {error}")))?;
            results.push(record);
        }
        Ok(results)
    }

    /// Takes the lines of another run in behind its own.
    pub(crate) fn append(&mut self, other: Results) {
        self.records.extend(other.records);
    }

    /// The first run.
    pub(crate) fn run(&self) -> Option<&Run> {
        self.records.iter().find_map(Record::run)
    }

    /// The run that has measured the sweeps.
    pub(crate) fn scaling_run(&self) -> Option<&Run> {
        let is_point = |record: &Record| matches!(record, Record::Point { .. } | Record::FailedPoint { .. });
        let first = self.records.iter().position(is_point)?;
        self.records[..first].iter().rev().find_map(Record::run)
    }

    /// The workloads of which there is any line, in the table's order.
    pub(crate) fn workloads(&self) -> Vec<Workload> {
        let has =
            |workload: &Workload| self.records.iter().any(|record| record.is_of(&workload.name(), None));
        Workload::all().into_iter().filter(has).collect()
    }

    /// The systems of which there is any line, in the table's order.
    pub(crate) fn systems(&self) -> Vec<System> {
        let name_of = |record: &Record| match record {
            Record::Run(_) | Record::Point { .. } | Record::FailedPoint { .. } => None,
            Record::Cell { system, .. } | Record::Failed { system, .. } | Record::Absent { system, .. } => {
                Some(system.clone())
            }
        };
        let names: Vec<String> = self.records.iter().filter_map(name_of).collect();
        System::value_variants().iter().copied().filter(|system| names.contains(&system.name())).collect()
    }

    /// One figure of a workload over all rounds.
    pub(crate) fn spread(&self, workload: Workload, system: System, figure: usize) -> Option<Spread> {
        let of_cell = |record: &Record| match record {
            Record::Cell { figures, .. } if record.is_of(&workload.name(), Some(&system.name())) => {
                figures.get(figure).copied()
            }
            _ => None,
        };
        Spread::of(self.records.iter().filter_map(of_cell).collect())
    }

    /// Why there is no figure, or not of all rounds.
    pub(crate) fn trouble(&self, workload: Workload, system: System) -> Option<&str> {
        self.records.iter().find_map(|record| match record {
            Record::Failed { error: why, .. } | Record::Absent { reason: why, .. }
                if record.is_of(&workload.name(), Some(&system.name())) =>
            {
                Some(why.as_str())
            }
            _ => None,
        })
    }

    /// The sweeps of which there is any line, in the table's order.
    pub(crate) fn sweeps(&self) -> Vec<Sweep> {
        let has = |sweep: &Sweep| {
            self.records.iter().any(|record| record.point().is_some_and(|point| point.sweep == *sweep))
        };
        Sweep::all().into_iter().filter(has).collect()
    }

    /// One figure of a point over all rounds.
    pub(crate) fn point(&self, at: Point, figure: usize) -> Option<Spread> {
        let of_point = |record: &Record| match record {
            Record::Point { point, figures, .. } if *point == at => figures.get(figure).copied(),
            _ => None,
        };
        Spread::of(self.records.iter().filter_map(of_point).collect())
    }

    /// The cells and points that failed: which, in which round, and the error.
    pub(crate) fn failures(&self) -> Vec<String> {
        let of_failed = |record: &Record| match record {
            Record::Failed { workload, system, round, error } => {
                Some(format!("{workload} on {system}, round {round}: {error}"))
            }
            Record::FailedPoint { point, round, error } => Some(format!("{point}, round {round}: {error}")),
            _ => None,
        };
        self.records.iter().filter_map(of_failed).collect()
    }

    /// One of the machine's costs over all cells of a workload, or of all workloads.
    pub(crate) fn cost(
        &self,
        workload: Option<Workload>,
        of: impl Fn(&Costs) -> Option<f64>,
    ) -> Option<Spread> {
        let of_cell = |record: &Record| match record {
            Record::Cell { costs, .. } if workload.is_none_or(|w| record.is_of(&w.name(), None)) => of(costs),
            _ => None,
        };
        Spread::of(self.records.iter().filter_map(of_cell).collect())
    }
}

impl Record {
    fn run(&self) -> Option<&Run> {
        match self {
            Record::Run(run) => Some(run),
            _ => None,
        }
    }

    fn point(&self) -> Option<&Point> {
        match self {
            Record::Point { point, .. } | Record::FailedPoint { point, .. } => Some(point),
            _ => None,
        }
    }

    fn is_of(&self, its_workload: &str, its_system: Option<&str>) -> bool {
        match self {
            Record::Run(_) | Record::Point { .. } | Record::FailedPoint { .. } => false,
            Record::Cell { workload, system, .. }
            | Record::Failed { workload, system, .. }
            | Record::Absent { workload, system, .. } => {
                workload == its_workload && its_system.is_none_or(|its_system| system == its_system)
            }
        }
    }
}

fn parse(line: &str) -> Result<Record, String> {
    let record: Record = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let (workload, system) = match &record {
        Record::Run(_) | Record::FailedPoint { .. } => return Ok(record),
        Record::Point { point, figures, .. } => {
            let (name, expected) = (point.sweep.name(), point.sweep.figures().len());
            return match figures.len() == expected {
                true => Ok(record),
                false => Err(format!("`{name}` has {expected} figures, this line {}", figures.len())),
            };
        }
        Record::Cell { workload, system, .. }
        | Record::Failed { workload, system, .. }
        | Record::Absent { workload, system, .. } => (workload, system),
    };
    let known = Workload::from_str(workload, false).map_err(|_| format!("unknown workload `{workload}`"))?;
    System::from_str(system, false).map_err(|_| format!("unknown system `{system}`"))?;
    if let Record::Cell { figures, .. } = &record {
        let expected = known.figures().len();
        if figures.len() != expected {
            return Err(format!("`{workload}` has {expected} figures, this line {}", figures.len()));
        }
    }
    Ok(record)
}

/// Writes records to a file, each at once, so that a run that is cut short leaves what it had.
pub(crate) struct Writer(Option<File>);

impl Writer {
    /// Without a path nothing is written.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(crate) fn new(path: Option<&Path>) -> Result<Writer, String> {
        let create = |path: &Path| File::create(path).map_err(|error| format!("{}: {error}", path.display()));
        path.map(create).transpose().map(Writer)
    }

    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(&mut self, record: &Record) -> Result<(), String> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        let mut line = serde_json::to_string(record).map_err(|error| error.to_string())?;
        line.push('\n');
        file.write_all(line.as_bytes()).map_err(|error| format!("JSON not written: {error}"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const COSTS: Costs =
        Costs { line: None, atomic: 4.0, allocation: 6.0, panic: 3_000.0, fresh: 20.0, cold: 10.0 };

    pub(crate) fn cell(workload: Workload, system: System, round: u32, figures: &[f64]) -> Record {
        Record::Cell {
            workload: workload.name(),
            system: system.name(),
            round,
            figures: figures.to_vec(),
            costs: COSTS,
        }
    }

    pub(crate) fn results(records: impl IntoIterator<Item = Record>) -> Results {
        Results { records: records.into_iter().collect() }
    }

    pub(crate) fn point(sweep: Sweep, system: System, workers: usize, size: u64, figures: &[f64]) -> Record {
        let point = Point { sweep, system, workers, size };
        Record::Point { point, round: 1, figures: figures.to_vec(), costs: COSTS }
    }

    #[test]
    fn a_record_is_the_same_after_the_way_through_json() {
        let failed = Record::Failed {
            workload: "ring".into(),
            system: "kameo".into(),
            round: 2,
            error: "a \"quoted\"\nerror".into(),
        };
        let ring = Point { sweep: Sweep::Ring, system: System::Tokio, workers: 1, size: 1_000 };
        let failed_point = Record::FailedPoint { point: ring, round: 3, error: "lost".into() };
        for record in [
            cell(Workload::CallSeq, System::Ibeam, 1, &[62.5]),
            failed,
            point(Sweep::CallWithMail, System::Ibeam, 2, 1_000_000, &[70.5]),
            failed_point,
        ] {
            let line = serde_json::to_string(&record).unwrap();
            assert!(!line.contains('\n'), "one line each: {line}");
            assert_eq!(parse(&line), Ok(record));
        }
    }

    #[test]
    fn a_line_of_another_program_is_refused() {
        let line = |workload: &str, figures: &str| {
            format!(
                r#"{{"kind":"cell","workload":"{workload}","system":"tokio","round":1,"figures":{figures},"costs":{{"line":null,"atomic":4.0,"allocation":6.0,"panic":3000.0,"fresh":20.0,"cold":10.0}}}}"#
            )
        };
        assert!(parse(&line("ring", "[1.0]")).is_ok());
        assert_eq!(parse(&line("rang", "[1.0]")), Err("unknown workload `rang`".into()));
        assert_eq!(parse(&line("ring", "[1.0, 2.0]")), Err("`ring` has 1 figures, this line 2".into()));
        assert!(parse("{}").is_err());
        let line = |sweep: &str, figures: &str| {
            format!(
                r#"{{"kind":"point","point":{{"sweep":"{sweep}","system":"tokio","workers":1,"size":10}},"round":1,"figures":{figures},"costs":{{"line":null,"atomic":4.0,"allocation":6.0,"panic":3000.0,"fresh":20.0,"cold":10.0}}}}"#
            )
        };
        assert!(parse(&line("spawn_idle", "[1.0, 2.0, 3.0]")).is_ok());
        assert_eq!(
            parse(&line("spawn_idle", "[1.0]")),
            Err("`spawn_idle` has 3 figures, this line 1".into())
        );
        assert!(parse(&line("rang", "[1.0]")).unwrap_err().starts_with("unknown variant `rang`"));
    }

    #[test]
    fn points_are_kept_apart_from_cells_and_belong_to_their_own_run() {
        let run = |date: &str| {
            Record::Run(Run {
                date: date.into(),
                machine: Machine {
                    cpu: String::new(),
                    cores: 2,
                    memory_gib: 1.0,
                    kernel: String::new(),
                    rustc: String::new(),
                    commit: String::new(),
                },
                systems: Vec::new(),
                missing: Vec::new(),
                rounds: 1,
            })
        };
        let mut all = results([run("first"), cell(Workload::Ring, System::Elixir, 1, &[7.0])]);
        assert!(all.scaling_run().is_none());
        all.append(results([
            run("second"),
            point(Sweep::Ring, System::Tokio, 1, 1_000, &[40.0]),
            point(Sweep::Ring, System::Tokio, 1, 1_000, &[60.0]),
            point(Sweep::Ring, System::Tokio, 2, 1_000, &[90.0]),
        ]));
        assert_eq!(all.run().map(|run| run.date.as_str()), Some("first"));
        assert_eq!(all.scaling_run().map(|run| run.date.as_str()), Some("second"));
        assert_eq!(all.systems(), [System::Elixir]);
        assert_eq!(all.sweeps(), [Sweep::Ring]);
        let at = Point { sweep: Sweep::Ring, system: System::Tokio, workers: 1, size: 1_000 };
        assert_eq!(all.point(at, 0), Some(Spread { median: 50.0, min: 40.0, max: 60.0 }));
        assert_eq!(all.point(at, 1), None);
    }

    #[test]
    fn results_answer_by_workload_system_and_figure() {
        let all = results([
            cell(Workload::Children, System::Tokio, 1, &[1.0, 10.0]),
            cell(Workload::Children, System::Tokio, 2, &[3.0, 30.0]),
            cell(Workload::Ring, System::Tokio, 1, &[7.0]),
            Record::Absent { workload: "children".into(), system: "actix".into(), reason: "none".into() },
        ]);
        let spread = all.spread(Workload::Children, System::Tokio, 1).unwrap();
        assert_eq!(spread, Spread { median: 20.0, min: 10.0, max: 30.0 });
        assert_eq!(all.spread(Workload::Children, System::Actix, 1), None);
        assert_eq!(all.trouble(Workload::Children, System::Actix), Some("none"));
        assert_eq!(all.workloads(), [Workload::Ring, Workload::Children]);
        assert_eq!(all.systems(), [System::Tokio, System::Actix]);
        assert_eq!(all.cost(Some(Workload::Ring), |costs| Some(costs.atomic)).unwrap().median, 4.0);
    }
}

//! What a run writes down, a line of JSON each, and what is read from such lines again.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::costs::Costs;
use crate::machine::Machine;
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

    pub(crate) fn run(&self) -> Option<&Run> {
        self.records.iter().find_map(|record| match record {
            Record::Run(run) => Some(run),
            _ => None,
        })
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
            Record::Run(_) => None,
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

    /// The cells that failed: workload, system, round and error.
    pub(crate) fn failures(&self) -> Vec<String> {
        let of_failed = |record: &Record| match record {
            Record::Failed { workload, system, round, error } => {
                Some(format!("{workload} on {system}, round {round}: {error}"))
            }
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
    fn is_of(&self, its_workload: &str, its_system: Option<&str>) -> bool {
        match self {
            Record::Run(_) => false,
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
        Record::Run(_) => return Ok(record),
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

    pub(crate) const COSTS: Costs = Costs { line: None, atomic: 4.0, allocation: 6.0, panic: 3_000.0 };

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

    #[test]
    fn a_record_is_the_same_after_the_way_through_json() {
        let failed = Record::Failed {
            workload: "ring".into(),
            system: "kameo".into(),
            round: 2,
            error: "a \"quoted\"\nerror".into(),
        };
        for record in [cell(Workload::CallSeq, System::Ibeam, 1, &[62.5]), failed] {
            let line = serde_json::to_string(&record).unwrap();
            assert!(!line.contains('\n'), "one line each: {line}");
            assert_eq!(parse(&line), Ok(record));
        }
    }

    #[test]
    fn a_line_of_another_program_is_refused() {
        let line = |workload: &str, figures: &str| {
            format!(
                r#"{{"kind":"cell","workload":"{workload}","system":"tokio","round":1,"figures":{figures},"costs":{{"line":null,"atomic":4.0,"allocation":6.0,"panic":3000.0}}}}"#
            )
        };
        assert!(parse(&line("ring", "[1.0]")).is_ok());
        assert_eq!(parse(&line("rang", "[1.0]")), Err("unknown workload `rang`".into()));
        assert_eq!(parse(&line("ring", "[1.0, 2.0]")), Err("`ring` has 1 figures, this line 2".into()));
        assert!(parse("{}").is_err());
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

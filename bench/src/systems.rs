//! The systems that are compared. Each does every workload in the way its own users would write it.
//!
//! A new workload needs an arm in each of them, which the compiler asks for, and a clause in Elixir's program, which is looked for
//! by the workload's name. A system that does not do it answers with a reason; the table and the report show that where the figure
//! would be.

#[cfg(feature = "actix")]
mod actix;
mod elixir;
#[cfg(feature = "ibeam")]
pub(crate) mod ibeam;
#[cfg(feature = "kameo")]
mod kameo;
#[cfg(feature = "ractor")]
mod ractor;
mod shared;
mod tokio;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::check::Wrong;
use crate::scaling::Point;
use crate::workloads::Workload;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum System {
    /// Tasks, unbounded mpsc channels and oneshot replies, by hand
    Tokio,
    /// ibeam's processes and GenServers
    Ibeam,
    /// The actor library ractor
    Ractor,
    /// The actor library kameo
    Kameo,
    /// The actor library actix
    Actix,
    /// Elixir on the BEAM, if `elixir` is installed
    Elixir,
}

/// What a system belongs to, where it is compared with its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By hand, without the guarantees of the others.
    Plain,
    /// What this repository builds.
    Ours,
    /// Another actor library in Rust.
    Library,
    /// The original.
    Beam,
}

/// The work of one cell: runs in a process of its own and returns one value for each figure of its workload or sweep.
pub(crate) type Work = Box<dyn FnOnce() -> Result<Vec<f64>, Wrong>>;

/// The work, or why this system has none.
pub(crate) type Plan = Result<Work, &'static str>;

impl System {
    /// The systems this program can measure here.
    #[cfg(test)]
    pub(crate) fn present() -> Vec<System> {
        System::value_variants().iter().copied().filter(|system| system.version().is_ok()).collect()
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("no system is hidden").get_name().to_string()
    }

    /// The name at the head of a column.
    pub(crate) fn title(self) -> &'static str {
        match self {
            System::Tokio => "plain tokio",
            System::Ibeam => "ibeam",
            System::Ractor => "ractor",
            System::Kameo => "kameo",
            System::Actix => "actix",
            System::Elixir => "Elixir",
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            System::Tokio => Kind::Plain,
            System::Ibeam => Kind::Ours,
            System::Ractor | System::Kameo | System::Actix => Kind::Library,
            System::Elixir => Kind::Beam,
        }
    }

    /// The version that is measured.
    ///
    /// # Errors
    /// Why this system cannot be measured here.
    pub(crate) fn version(self) -> Result<String, String> {
        let built_in = match self {
            System::Tokio => true,
            System::Ibeam => cfg!(feature = "ibeam"),
            System::Ractor => cfg!(feature = "ractor"),
            System::Kameo => cfg!(feature = "kameo"),
            System::Actix => cfg!(feature = "actix"),
            System::Elixir => return elixir::version(),
        };
        match built_in {
            true => locked_version(&self.name()).ok_or_else(|| "not in Cargo.lock".into()),
            false => Err(format!("built without the feature `{}`", self.name())),
        }
    }

    /// What this system does for a workload. Nothing is run yet.
    ///
    /// # Errors
    /// Why it does not do it.
    pub(crate) fn plan(self, workload: Workload) -> Plan {
        match self {
            System::Tokio => Ok(Box::new(move || tokio::run(workload))),
            #[cfg(feature = "ibeam")]
            System::Ibeam => ibeam::plan(workload),
            #[cfg(feature = "ractor")]
            System::Ractor => ractor::plan(workload),
            #[cfg(feature = "kameo")]
            System::Kameo => kameo::plan(workload),
            #[cfg(feature = "actix")]
            System::Actix => actix::plan(workload),
            System::Elixir => elixir::plan(workload),
            #[allow(unreachable_patterns, reason = "with all features on none is left")]
            _ => Err("not built in"),
        }
    }
}

impl Point {
    /// What is done at this point. Nothing is run yet.
    ///
    /// # Errors
    /// Why this system does not do it.
    pub(crate) fn plan(self) -> Plan {
        let Point { sweep, system, workers, size } = self;
        if let Some(reason) = sweep.absent(system) {
            return Err(reason);
        }
        match system {
            System::Tokio => Ok(Box::new(move || tokio::scaling::run(sweep, workers, size))),
            #[cfg(feature = "ibeam")]
            System::Ibeam => Ok(Box::new(move || ibeam::scaling::run(sweep, workers, size))),
            _ => Err("not built in"),
        }
    }
}

/// The version of a crate that this program was linked with.
fn locked_version(name: &str) -> Option<String> {
    let lock = include_str!("../Cargo.lock");
    let (_, after) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    after.split_once('"').map(|(version, _)| version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        assert!(locked_version("tokio").is_some_and(|version| version.starts_with("1.")));
        assert_eq!(locked_version("no-such-crate"), None);
    }

    #[test]
    fn what_is_present_has_a_version_and_a_plan_for_the_simplest_workload() {
        let present = System::present();
        assert!(present.contains(&System::Tokio));
        for system in present {
            assert!(system.plan(Workload::CallSeq).is_ok(), "{}", system.name());
        }
    }

    #[test]
    fn what_a_system_does_not_do_has_a_reason() {
        for system in System::present() {
            for reason in Workload::all().into_iter().filter_map(|workload| system.plan(workload).err()) {
                assert!(reason.len() > 10, "{}: `{reason}` says nothing", system.name());
            }
        }
    }
}

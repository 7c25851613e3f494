//! The systems that are compared. Each does every workload in the way its own users would write it.

#[cfg(feature = "ibeam")]
mod ibeam;
mod shared;
mod tokio;

use clap::ValueEnum;

use crate::check::Wrong;
use crate::workloads::Workload;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// Tasks, unbounded mpsc channels and oneshot replies, by hand
    Tokio,
    /// ibeam's processes and GenServers
    Ibeam,
}

impl System {
    /// The systems this program was built with.
    pub(crate) fn built_in() -> Vec<System> {
        match cfg!(feature = "ibeam") {
            true => vec![System::Tokio, System::Ibeam],
            false => vec![System::Tokio],
        }
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("no system is hidden").get_name().to_string()
    }

    /// Does the work and returns one value for each of [`Workload::figures`].
    ///
    /// # Errors
    /// When a result was wrong, or the system is not built in.
    pub(crate) fn run(self, workload: Workload) -> Result<Vec<f64>, Wrong> {
        match self {
            System::Tokio => tokio::run(workload),
            #[cfg(feature = "ibeam")]
            System::Ibeam => ibeam::run(workload),
            #[cfg(not(feature = "ibeam"))]
            System::Ibeam => Err(Wrong::failed("ibeam", "not built in, enable the feature `ibeam`")),
        }
    }
}

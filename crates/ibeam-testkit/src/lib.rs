#![doc = include_str!("guide.md")]

mod asserts;
mod catch;
mod driver;
mod log;
pub mod prelude;
mod probe;
mod session;
mod show;
mod simulate;
mod supervised;
mod test;
mod trace;
mod wait;

pub use asserts::RECEIVE_TIMEOUT;
pub use catch::{catch_exit, catch_panic};
pub use driver::Driver;
pub use ibeam::sim::{Faults, Schedule, Victim};
pub use ibeam_macros::{assert_receive, assert_received, refute_receive, refute_received, simulate, test};
pub use log::{LogCapture, LogRecord, capture_log, with_log};
pub use probe::{Probe, ProbeStart, Probed, RequestKind};
pub use session::on_exit;
pub use show::show;
pub use simulate::{Simulate, Simulated, SimulationFailure};
pub use supervised::{Supervised, start_link_supervised, start_supervised, stop_supervised, test_supervisor};
pub use test::Test;
pub use trace::{Heard, Traced, Tracing, trace, with_trace};
pub use wait::{wait_until, wait_until_within};

/// What the macros' expansions use. Not for programs.
#[doc(hidden)]
pub mod __private {
    pub use crate::asserts::{Failure, mailbox, not_received, note, noted, refuted, within};
    pub use crate::show::{ShowDebug, ShowType, Shown};
}

/// The examples of the guide "Testing a supervised system", which are tests here.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/testing.md")]
struct Guide;

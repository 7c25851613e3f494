//! What most tests use, beside `ibeam::prelude`: `use ibeam_testkit::prelude::*;`.

pub use crate::{
    Driver, Faults, Heard, Probe, Probed, Schedule, Simulate, Test, Traced, assert_receive, assert_received,
    capture_log, catch_exit, catch_panic, on_exit, refute_receive, refute_received, start_link_supervised,
    start_supervised, stop_supervised, trace, wait_until, with_log, with_trace,
};

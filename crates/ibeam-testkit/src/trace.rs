//! Tracing: what chosen processes send and get, as messages to the test.

use ibeam::Pid;
pub use ibeam_runtime::__private::{Heard, Traced, Tracing};

use crate::show::describe;

/// From now on the calling process gets a [`Traced`] for each message that `pid` sends or gets, calls included, and for its
/// end, until the returned value is dropped. Messages are described as in failures: see [`show`](crate::show).
///
/// A message that arrives is reported when the process next has its turn. Reports come in the order of what they report.
/// Replies to calls are no messages, and are not reported. A process that nobody traces pays nothing for this.
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam_testkit::prelude::*;
///
/// Test::check(async {
///     let echo = process::spawn(async {
///         receive! { (text, from): (&str, Pid) => from.send(text) }
///     });
///     let _tracing = trace(echo);
///     echo.send(("hello", process::self_pid()));
///     assert_receive!(Traced { pid, heard: Heard::Received { .. } } if pid == echo);
///     let message = assert_receive!(Traced { heard: Heard::Sent { message, .. }, .. });
///     assert_eq!(message, "\"hello\": &str");
///     assert_receive!(Traced { heard: Heard::Exited { reason: ExitReason::Normal }, .. });
/// });
/// ```
///
/// # Panics
/// Outside of a process, and if a process traces itself.
///
/// # Erlang/OTP
/// `erlang:trace/3` with `send`, `'receive'` and `procs`, as far as that is possible without terms.
#[track_caller]
pub fn trace(pid: Pid) -> Tracing {
    ibeam_runtime::__private::trace(pid, describe)
}

/// Traces `pid` while `future` runs, and returns what it returns.
///
/// # Panics
/// As [`trace`].
///
/// # Cancel safety
/// Dropping the future ends the trace.
#[track_caller]
pub fn with_trace<F: Future>(pid: Pid, future: F) -> impl Future<Output = F::Output> {
    let tracing = trace(pid);
    async move {
        let output = future.await;
        drop(tracing);
        output
    }
}

//! Catching what would end the process: for tests of code that exits or panics.

use ibeam::{ExitReason, PanicReason, process};
use ibeam_runtime::__private::catch_failure;

/// The reason for which `future` exits.
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam_testkit::prelude::*;
///
/// Test::check(async {
///     let reason = catch_exit(async { process::exit(ExitReason::Shutdown) }).await;
///     assert_eq!(reason, ExitReason::Shutdown);
/// });
/// ```
///
/// # Panics
/// If it returns, or panics.
///
/// # Erlang/OTP
/// `catch_exit/1` of ExUnit.
#[track_caller]
pub fn catch_exit<F: Future>(future: F) -> impl Future<Output = ExitReason> {
    let place = std::panic::Location::caller();
    async move {
        match catch_failure(future).await {
            Ok(_) => panic!("expected to catch an exit, and got nothing ({place})"),
            Err(reason @ ExitReason::Panic(_)) => process::exit(reason),
            Err(reason) => reason,
        }
    }
}

/// What `future` panics with.
///
/// ```
/// use ibeam_testkit::prelude::*;
///
/// Test::check(async {
///     let panic = catch_panic(async { panic!("enough") }).await;
///     assert_eq!(panic.message(), "enough");
/// });
/// ```
///
/// # Panics
/// If it returns. An exit is passed on.
///
/// # Erlang/OTP
/// `catch_error/1` of ExUnit. There is no `throw`, and so no `catch_throw/1`.
#[track_caller]
pub fn catch_panic<F: Future>(future: F) -> impl Future<Output = PanicReason> {
    let place = std::panic::Location::caller();
    async move {
        match catch_failure(future).await {
            Ok(_) => panic!("expected to catch a panic, and got nothing ({place})"),
            Err(ExitReason::Panic(panic)) => panic,
            Err(reason) => process::exit(reason),
        }
    }
}

//! What the end of a process' future says about the process.

use std::convert::Infallible;

use crate::exit_reason::ExitReason;

/// What a process' future may return.
///
/// `()` and `Ok` are a normal exit, an `Err` is the exit reason it converts into: any error, or an [`ExitReason`].
///
/// ```
/// use ibeam_runtime::{ExitReason, process::Termination};
///
/// assert_eq!(().into_exit_reason(), ExitReason::Normal);
/// assert_eq!(Err::<(), _>(ExitReason::Shutdown).into_exit_reason(), ExitReason::Shutdown);
/// ```
#[diagnostic::on_unimplemented(
    message = "a process cannot end with `{Self}`",
    label = "this future returns `{Self}`",
    note = "a process' future returns `()`, an `ExitReason`, or a `Result` of these with an error"
)]
pub trait Termination {
    /// The reason the process exits with.
    fn into_exit_reason(self) -> ExitReason;
}

impl Termination for () {
    #[inline]
    fn into_exit_reason(self) -> ExitReason {
        ExitReason::Normal
    }
}

/// The type of expressions that do not return, which has no name on stable Rust but as what such a function returns.
#[doc(hidden)]
pub trait Returns {
    /// What it returns.
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

/// So that a process may end in [`exit`](crate::process::exit), or loop for ever.
impl Termination for <fn() -> ! as Returns>::Output {
    fn into_exit_reason(self) -> ExitReason {
        self
    }
}

impl Termination for Infallible {
    fn into_exit_reason(self) -> ExitReason {
        match self {}
    }
}

impl Termination for ExitReason {
    fn into_exit_reason(self) -> ExitReason {
        self
    }
}

impl<T: Termination, E: Into<ExitReason>> Termination for Result<T, E> {
    fn into_exit_reason(self) -> ExitReason {
        match self {
            Ok(value) => value.into_exit_reason(),
            Err(error) => error.into(),
        }
    }
}

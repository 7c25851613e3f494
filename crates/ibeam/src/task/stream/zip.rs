//! Whether a failure of an item comes with the item.

use std::fmt::Debug;

use ibeam_runtime::ExitReason;

/// What the `Err` of an item is: see [`TaskStream::zip_input_on_exit`](super::TaskStream::zip_input_on_exit).
pub trait OnExit<T>: sealed::OnExit<T> {}

/// The exit reason. The default.
#[derive(Clone, Copy, Debug)]
pub struct Reason;

/// The item and the exit reason.
#[derive(Clone, Copy, Debug)]
pub struct ItemAndReason;

impl<T> OnExit<T> for Reason {}
impl<T: Clone + Send> OnExit<T> for ItemAndReason {}

pub(super) mod sealed {
    use super::ExitReason;

    pub trait OnExit<T> {
        /// What is kept of an item while its task runs.
        type Kept: Send;
        type Error;

        fn keep(item: &T) -> Self::Kept;
        fn error(kept: Self::Kept, reason: ExitReason) -> Self::Error;
    }
}

impl<T> sealed::OnExit<T> for Reason {
    type Kept = ();
    type Error = ExitReason;

    #[inline(always)]
    fn keep(_: &T) {}

    fn error((): (), reason: ExitReason) -> ExitReason {
        reason
    }
}

impl<T: Clone + Send> sealed::OnExit<T> for ItemAndReason {
    type Kept = T;
    type Error = (T, ExitReason);

    fn keep(item: &T) -> T {
        item.clone()
    }

    fn error(item: T, reason: ExitReason) -> (T, ExitReason) {
        (item, reason)
    }
}

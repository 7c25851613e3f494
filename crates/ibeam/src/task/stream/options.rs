//! How a stream runs its tasks.

use ibeam_runtime::process::deadline_after;
use ibeam_runtime::{Instant, Timeout, metrics};

use super::{Input, OnExit, Parent, TaskStream};
use crate::supervisor::Shutdown;

/// What happens where the task of an item takes too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnTimeout {
    /// The stream's owner exits, with [`ExitReason::Timeout`](crate::ExitReason::Timeout).
    #[default]
    Exit,
    /// The task is killed, and the item's outcome is an `Err` with [`ExitReason::Timeout`](crate::ExitReason::Timeout).
    KillTask,
}

#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) max_concurrency: usize,
    pub(super) max_buffered: usize,
    pub(super) ordered: bool,
    pub(super) timeout: Timeout,
    pub(super) on_timeout: OnTimeout,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_concurrency: metrics().workers.max(1),
            max_buffered: usize::MAX,
            ordered: true,
            timeout: Timeout::CALL,
            on_timeout: OnTimeout::default(),
        }
    }
}

impl Options {
    /// By when a task that starts now has to be over.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.timeout {
            Timeout::After(timeout) => Some(deadline_after(timeout)),
            Timeout::Infinity => None,
        }
    }
}

impl<I, F, T, Z> TaskStream<I, F, T, Z>
where
    I: Input,
    T: Send + 'static,
    Z: OnExit<I::Item>,
{
    /// How many tasks run at once. Default: as many as the runtime has workers.
    ///
    /// # Panics
    /// If it is 0.
    ///
    /// # Erlang/OTP
    /// The option `max_concurrency`.
    #[track_caller]
    pub fn max_concurrency(mut self, tasks: usize) -> Self {
        assert!(tasks > 0, "expected `max_concurrency` to be greater than zero, it is 0");
        self.options.max_concurrency = tasks;
        self
    }

    /// Are the outcomes delivered in the order of the items, or as they come? Default: in order.
    ///
    /// An item that takes long does not hold up the tasks of those behind it, only their outcomes, which wait for it: as many as the input
    /// has and [`max_buffered`](Self::max_buffered) lets through.
    ///
    /// # Erlang/OTP
    /// The option `ordered`.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.options.ordered = ordered;
        self
    }

    /// How many outcomes may wait to be delivered before no more tasks are started. Default: any number.
    ///
    /// # Erlang/OTP
    /// Elixir has no such limit.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn max_buffered(mut self, outcomes: usize) -> Self {
        assert!(outcomes > 0, "expected `max_buffered` to be greater than zero, it is 0");
        self.options.max_buffered = outcomes;
        self
    }

    /// How long each task may take, from its start on. Default: 5 s.
    ///
    /// The time is looked at when the stream is polled: an owner that does something else meanwhile gives the tasks more.
    ///
    /// # Erlang/OTP
    /// The option `timeout`.
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.options.timeout = timeout.into();
        self
    }

    /// What happens where a task takes longer. Default: [`OnTimeout::Exit`], as in Elixir.
    ///
    /// # Erlang/OTP
    /// The option `on_timeout`.
    pub fn on_timeout(mut self, on_timeout: OnTimeout) -> Self {
        self.options.on_timeout = on_timeout;
        self
    }

    /// How the supervisor of the tasks ends one, where they have a supervisor. Default: 5 s.
    ///
    /// # Erlang/OTP
    /// The option `shutdown`.
    pub fn shutdown(mut self, how: impl Into<Shutdown>) -> Self {
        if let Parent::Supervisor { shutdown, .. } = &mut self.parent {
            *shutdown = how.into();
        }
        self
    }
}

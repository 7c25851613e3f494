//! A runtime without threads: processes run inside the future that the program polls, on the program's own executor.
//!
//! For tests under tokio's paused clock, for programs with one thread, and for embedding.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::oneshot;
use tokio::time::Sleep;

use crate::driver::Driver;
use crate::driver::inline::Inline as InlineDriver;
use crate::exit_reason::ExitReason;
use crate::process;
use crate::runtime::{self, Entered, Metrics, Runtime, RuntimeBuilder, Shared};
use crate::time::Instant;

/// See the [module](self). Needs a tokio runtime with time around it.
///
/// Processes run only while [`run`](Self::run) is polled. Dropping it ends them.
///
/// ```
/// use ibeam_runtime::{inline::Inline, process};
/// use std::time::Duration;
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() {
///     let inline = Inline::new();
///     let answer = inline.run(async {
///         let me = process::self_pid();
///         process::spawn(async move {
///             process::sleep(Duration::from_millis(1)).await;
///             me.send(42_u64);
///         });
///         process::recv().await.downcast::<u64>().unwrap()
///     });
///     assert_eq!(answer.await, 42);
/// }
/// ```
pub struct Inline {
    driver: Arc<InlineDriver>,
    shared: Arc<Shared>,
}

impl Inline {
    /// With the default settings.
    ///
    /// # Panics
    /// If the program was built with `panic = "abort"`.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Runtime::builder())
    }

    /// With settings; those that concern threads have no meaning here.
    ///
    /// # Panics
    /// If the program was built with `panic = "abort"`.
    #[must_use]
    pub fn with(builder: RuntimeBuilder) -> Self {
        runtime::refuse_abort();
        let driver = Arc::new(InlineDriver::new());
        let shared = Arc::new(Shared::new(Arc::clone(&driver) as Arc<dyn Driver>, builder.config()));
        Self { driver, shared }
    }

    /// Runs `future` as a process, and with it all other processes, until it returns.
    ///
    /// # Panics
    /// If the process ends without returning.
    ///
    /// # Cancel safety
    /// Dropping the future stops everything where it is; a later `run` goes on with it.
    pub async fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (returned, mut outcome) = oneshot::channel();
        {
            let _entered = runtime::enter(&self.shared);
            process::spawn(async move { drop(returned.send(future.await)) });
        }
        let mut alarm = None;
        poll_fn(|cx| {
            let _entered = runtime::enter(&self.shared);
            loop {
                let more = self.driver.poll_turns(&self.shared, cx).is_pending();
                if let Poll::Ready(returned) = pin!(&mut outcome).poll(cx) {
                    return Poll::Ready(returned);
                }
                if more || !self.timer_is_due(&mut alarm, cx) {
                    return Poll::Pending;
                }
            }
        })
        .await
        .unwrap_or_else(|_| panic!("the process of `run` ended without returning: see its crash report"))
    }

    /// Sleeps until the first timer; `alarm` keeps what it sleeps on.
    fn timer_is_due(&self, alarm: &mut Option<(Instant, Pin<Box<Sleep>>)>, cx: &mut Context<'_>) -> bool {
        let Some(next) = self.shared.timers.next() else { return false };
        if alarm.as_ref().is_none_or(|(at, _)| *at != next) {
            *alarm = Some((next, Box::pin(tokio::time::sleep_until(self.driver.on_tokio(next)))));
        }
        alarm.as_mut().is_some_and(|(_, sleep)| sleep.as_mut().poll(cx).is_ready())
    }

    /// Makes this the runtime of the calling thread until the guard is dropped: what is spawned from there belongs to it.
    pub fn enter(&self) -> Entered {
        runtime::enter(&self.shared)
    }

    /// What the runtime is doing, and has done.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.shared.metrics()
    }
}

impl Default for Inline {
    fn default() -> Self {
        Self::new()
    }
}

/// Kills what is left.
impl Drop for Inline {
    fn drop(&mut self) {
        let _entered = runtime::enter(&self.shared);
        self.shared.refuse_processes();
        self.shared.signal_all(&ExitReason::Kill);
        let cx = Context::from_waker(Waker::noop());
        while !self.shared.is_empty() {
            let _more = self.driver.poll_turns(&self.shared, &cx);
        }
        self.shared.timers.clear();
    }
}

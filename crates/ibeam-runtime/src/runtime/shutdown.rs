//! The end of a runtime: every process ends, every thread is joined.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::time::{Duration, Instant};

use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::exit_signal;
use crate::process::names::Name;
use crate::raw::slab;
use crate::runtime::{Runtime, Shared};

/// How long dropping a runtime waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the threads get to end, once no process is left.
const THREADS: Duration = Duration::from_secs(5);

/// Processes that did not end in time: they compute or block without an await, even after a kill. Their threads, and the
/// runtime's memory, stay behind.
#[derive(Clone, Debug)]
pub struct ShutdownError {
    /// The processes that are left, with their names.
    pub left: Vec<(Pid, Option<Name>)>,
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} processes did not end in time:", self.left.len())?;
        for (pid, name) in self.left.iter().take(10) {
            match name {
                Some(name) => write!(f, " {pid} (`{name}`)")?,
                None => write!(f, " {pid}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ShutdownError {}

impl Runtime {
    /// Ends the runtime: refuses new processes, asks all processes to stop with [`ExitReason::Shutdown`], waits, kills those
    /// that are left when half of `timeout` is over, and joins the threads.
    ///
    /// # Errors
    /// Processes that never come back from a poll are left when the time is over.
    pub fn shutdown(self, timeout: Duration) -> Result<(), ShutdownError> {
        self.shared().shut_down(timeout)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Err(error) = self.shared().shut_down(PATIENCE) {
            tracing::error!(target: "ibeam::runtime", runtime = self.shared().config.name, "{error}");
        }
    }
}

impl Shared {
    /// Also a second time, when it does nothing.
    pub(crate) fn shut_down(self: &Arc<Self>, timeout: Duration) -> Result<(), ShutdownError> {
        if self.stopping.swap(true, AcqRel) {
            return Ok(());
        }
        let start = Instant::now();
        self.signal_all(&ExitReason::Shutdown);
        if !self.wait_until_empty(start + timeout / 2) {
            self.signal_all(&ExitReason::Kill);
            if !self.wait_until_empty(start + timeout) {
                let left = self.live().into_iter().map(|pid| (pid, self.names.name_of(pid))).collect();
                // The processes that are left know this address.
                std::mem::forget(Arc::clone(self));
                self.driver.stop(Duration::ZERO);
                return Err(ShutdownError { left });
            }
        }
        self.timers.clear();
        self.driver.stop(THREADS);
        Ok(())
    }

    /// Begins to refuse processes without waiting for anything: for drivers that the caller has to run.
    pub(crate) fn refuse_processes(&self) {
        self.stopping.store(true, Release);
    }

    pub(crate) fn signal_all(&self, reason: &ExitReason) {
        for pid in self.live() {
            exit_signal(pid, reason.clone());
        }
    }

    pub(crate) fn live(&self) -> Vec<Pid> {
        slab::all().filter(|(_, pcb)| pcb.belongs_to(self)).map(|(pid, _)| pid).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.processes.load(Acquire) == 0
    }

    fn wait_until_empty(&self, deadline: Instant) -> bool {
        let (lock, empty) = &self.empty;
        let mut guard = lock.lock();
        while !self.is_empty() {
            if empty.wait_until(&mut guard, deadline).timed_out() {
                return self.is_empty();
            }
        }
        true
    }
}

//! The end of a runtime: every process ends, every thread is joined.

use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::time::{Duration, Instant};

use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::exit_signal;
use crate::process::names::Name;
use crate::process::signal::{self, Signal};
use crate::raw::pcb::Owner;
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
    /// A process may end the runtime that it runs in. It blocks its thread meanwhile, is not asked to stop itself, and is
    /// killed at its first await after this returns.
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
        // Who calls this cannot wait for its own end.
        let caller =
            Owner::current().filter(|owner| ptr::eq(owner.shared(), &raw const **self)).map(Owner::pid);
        let ended = self.end_all(&ExitReason::Shutdown, caller, after(start, timeout / 2))
            || self.end_all(&ExitReason::Kill, caller, after(start, timeout));
        let left: Vec<_> = if ended { Vec::new() } else { self.others(caller).collect() };
        let left: Vec<_> = left.into_iter().map(|pid| (pid, self.names.name_of(pid))).collect();
        if let Some(caller) = caller {
            // Not by `exit_signal`, with which it would not come back from here. Its thread holds the runtime until it has met
            // its end.
            let _ = signal::send(caller, Signal::Exit { from: Some(caller), reason: ExitReason::Kill });
        }
        if !ended {
            // The processes that are left know this address.
            std::mem::forget(Arc::clone(self));
            self.driver.stop(Duration::ZERO);
            return Err(ShutdownError { left });
        }
        self.timers.clear();
        self.driver.stop(THREADS);
        Ok(())
    }

    /// Sends `reason` to all processes but `caller`, once, and waits for their end. `false`: some are left at the deadline.
    fn end_all(&self, reason: &ExitReason, caller: Option<Pid>, deadline: Instant) -> bool {
        let mut told = foldhash::HashSet::default();
        let mut pause = Duration::from_millis(1);
        loop {
            for pid in self.others(caller) {
                if told.insert(pid) {
                    exit_signal(pid, reason.clone());
                }
            }
            if self.wait_until_left(usize::from(caller.is_some()), deadline.min(Instant::now() + pause)) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            // Once more: a process that was just being made, and was counted already, stood in no list yet.
            pause *= 4;
        }
    }

    fn others(&self, caller: Option<Pid>) -> impl Iterator<Item = Pid> {
        self.live().into_iter().filter(move |pid| Some(*pid) != caller)
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

    /// `left` is 0, or 1 for a process that waits itself.
    fn wait_until_left(&self, left: usize, deadline: Instant) -> bool {
        let (lock, empty) = &self.empty;
        let mut guard = lock.lock();
        while self.processes.load(Acquire) > left {
            if empty.wait_until(&mut guard, deadline).timed_out() {
                return self.processes.load(Acquire) <= left;
            }
        }
        true
    }
}

/// Durations may be as long as they like.
fn after(start: Instant, timeout: Duration) -> Instant {
    start.checked_add(timeout).unwrap_or_else(|| start + Duration::from_secs(1 << 32))
}

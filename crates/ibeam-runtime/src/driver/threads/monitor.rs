//! The monitor: a thread that sees when a turn takes too long, gives the worker's place to a spare, and says who it was.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::Threads;
use crate::pid::Pid;
use crate::raw::lifo::Marked;
use crate::runtime::Shared;

/// Starts the monitor's thread.
pub(super) fn start(threads: &Arc<Threads>, shared: &Arc<Shared>) -> std::io::Result<()> {
    let (ours, shared) = (Arc::clone(threads), Arc::clone(shared));
    let handle = threads.spawn(format!("{}-monitor", threads.config.name), move || run(&ours, &shared))?;
    let _set_once = threads.monitor.set(handle.thread().clone());
    threads.handles.lock().push(handle);
    Ok(())
}

/// What was seen of one worker at the last look.
#[derive(Clone, Copy, Default)]
struct Seen {
    epoch: u64,
    looks: u32,
}

fn run(threads: &Arc<Threads>, shared: &Arc<Shared>) {
    let mut seen = vec![Seen::default(); threads.slots.len()];
    let mut io_looks = 0;
    while !threads.stopping.load(SeqCst) {
        if threads.idle.all_asleep() && !threads.io.is_busy() {
            threads.monitor_parked.store(true, SeqCst);
            if threads.idle.all_asleep() && !threads.stopping.load(SeqCst) {
                std::thread::park();
            }
            threads.monitor_parked.store(false, SeqCst);
        }
        // Half the threshold: a turn is found out after once to one and a half times the threshold.
        std::thread::park_timeout(threads.config.hog_threshold / 2);
        for (index, seen) in seen.iter_mut().enumerate().take(threads.started.load(SeqCst)) {
            look(threads, shared, index, seen);
        }
        io_looks = if threads.io.is_busy() { io_looks + 1 } else { 0 };
        if io_looks == 4 {
            threads.counters.io_stalls.fetch_add(1, Relaxed);
            tracing::warn!(
                target: "ibeam::runtime",
                "a task started with `tokio::spawn` computes or blocks inside the I/O driver: sockets and tokio's timers of this \
                 runtime stand still meanwhile. Run it as a process, or with `spawn_blocking`"
            );
        }
    }
}

fn look(threads: &Arc<Threads>, shared: &Arc<Shared>, index: usize, seen: &mut Seen) {
    let slot = &threads.slots[index];
    let epoch = slot.lifo.epoch();
    let same_turn = epoch % 2 == 1 && epoch == seen.epoch;
    *seen = Seen { epoch, looks: if same_turn { seen.looks + 1 } else { 0 } };
    if same_turn && slot.stealers.get().is_some_and(|stealers| !stealers.is_empty()) {
        // It may have put off telling the others (invariant 2), and does not get there itself.
        threads.notify();
    }
    if seen.looks != 1 || slot.lifo.is_hog() {
        return;
    }
    let pid = Pid::from_bits(slot.running.load(Relaxed));
    let spare = threads.spares.lock().pop();
    if spare.is_none() && threads.started.load(SeqCst) == threads.slots.len() {
        return shared.long_turn(pid, threads.config.hog_threshold, false);
    }
    if slot.lifo.mark(epoch) == Marked::TooLate {
        return threads.spares.lock().extend(spare);
    }
    threads.idle.replace_hog();
    let spare = match spare {
        Some(spare) => Some(spare),
        None => match threads.start_worker(shared, true) {
            Ok(_) => None,
            // The system gives no more threads. The hog keeps its place, or gets it back if it has retired by now.
            Err(_) if slot.lifo.unmark() => {
                threads.idle.keep_hog();
                return shared.long_turn(pid, threads.config.hog_threshold, false);
            }
            Err(_) => threads.spares.lock().pop(),
        },
    };
    if let Some(spare) = spare {
        threads.slots[spare].wake.store(1, SeqCst);
        threads.rouse(spare);
    }
    threads.counters.compensations.fetch_add(1, Relaxed);
    shared.long_turn(pid, threads.config.hog_threshold, true);
}

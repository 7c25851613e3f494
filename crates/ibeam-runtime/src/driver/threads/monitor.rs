//! The monitor: a thread that sees when a turn takes too long, gives the worker's place to a spare, and says who it was.
//!
//! | the hog | its place |
//! |---|---|
//! | computes, is the only one for a while, and not the only worker | it keeps: others take what waits there |
//! | blocks, or there are others | is a spare's: at once, or as soon as that is seen |

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use super::queues::SHORT_TURN;
use super::{Slot, Threads};
use crate::pid::Pid;
use crate::raw::lifo::Marked;
use crate::runtime::Shared;
use crate::time::Instant;

/// When it looks, while anybody is awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rhythm {
    pause: Duration,
    /// So many looks after the first a turn has lasted as long as the threshold: it is found out after once to 1.5 times that.
    looks: u32,
}

impl Rhythm {
    fn of(hog_threshold: Duration) -> Self {
        // On a virtual machine a look costs the others some 15 µs, so there are no more than need be.
        let pause = Duration::from_micros(2_500).min(hog_threshold / 2);
        let looks = hog_threshold.as_nanos().div_ceil(pause.as_nanos());
        Self { pause, looks: u32::try_from(looks).unwrap_or(u32::MAX) }
    }

    /// So many turns since the last look: were they [`SHORT_TURN`]s?
    fn are_short(self, turns: u64) -> bool {
        u128::from(turns) * SHORT_TURN.as_nanos() >= self.pause.as_nanos()
    }
}

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
    /// How long it had had a core by then; looked at when a turn may turn out to be too long.
    on_core: Option<OnCore>,
}

#[derive(Clone, Copy)]
struct OnCore {
    time: Duration,
    at: Instant,
}

impl OnCore {
    fn of(slot: &Slot, now: Instant) -> Option<Self> {
        let clock = (*slot.clock.get()?)?;
        Some(Self { time: clock.time()?, at: now })
    }

    /// Has it computed since then, for the most part?
    fn is_busy_since(self, before: Self) -> bool {
        (self.time.saturating_sub(before.time)) * 2 >= self.at - before.at
    }
}

/// A hog with none before it in this time is the only one.
const ALONE: Duration = Duration::from_millis(100);

/// May a hog that computes keep its place, so long after the last one was found? Where they are many, the next one holds up what waits for
/// the last worker that is left, until it is found out.
fn may_keep(workers: usize, last: Option<Duration>) -> bool {
    workers > 1 && last.is_none_or(|last| last >= ALONE)
}

fn run(threads: &Arc<Threads>, shared: &Arc<Shared>) {
    let mut seen = vec![Seen::default(); threads.slots.len()];
    let mut last_hog = None;
    let mut io_looks = 0;
    let rhythm = Rhythm::of(threads.config.hog_threshold);
    while !threads.stopping.load(SeqCst) {
        if threads.idle.all_asleep() && !threads.io.is_busy() {
            threads.monitor_parked.store(true, SeqCst);
            if threads.idle.all_asleep() && !threads.stopping.load(SeqCst) {
                std::thread::park();
            }
            threads.monitor_parked.store(false, SeqCst);
        }
        std::thread::park_timeout(rhythm.pause);
        for (index, seen) in seen.iter_mut().enumerate().take(threads.started.load(SeqCst)) {
            look(threads, shared, index, rhythm, seen, &mut last_hog);
        }
        io_looks = if threads.io.is_busy() { io_looks + 1 } else { 0 };
        if io_looks == rhythm.looks.saturating_mul(4) {
            threads.counters.io_stalls.fetch_add(1, Relaxed);
            tracing::warn!(
                target: "ibeam::runtime",
                "a task started with `tokio::spawn` computes or blocks inside the I/O driver: sockets and tokio's timers of this \
                 runtime stand still meanwhile. Run it as a process, or with `spawn_blocking`"
            );
        }
    }
}

fn look(
    threads: &Arc<Threads>,
    shared: &Arc<Shared>,
    index: usize,
    rhythm: Rhythm,
    seen: &mut Seen,
    last_hog: &mut Option<Instant>,
) {
    let slot = &threads.slots[index];
    let epoch = slot.lifo.epoch();
    let same_turn = epoch % 2 == 1 && epoch == seen.epoch;
    // An epoch for its begin, one for its end.
    let turns = (epoch - seen.epoch) / 2;
    *seen = Seen { epoch, looks: if same_turn { seen.looks + 1 } else { 0 }, on_core: seen.on_core };
    if let Some(stealers) = slot.stealers.get()
        && (same_turn && !stealers.is_empty() || !rhythm.are_short(turns) && stealers.has_for_itself())
    {
        // It has not told others, as it was going to get there soon (invariant 2), and now it is not.
        stealers.open();
        threads.notify();
    }
    let kept = slot.tenure.is_kept();
    let due = !slot.lifo.is_hog() && seen.looks == rhythm.looks;
    if !kept && !due && seen.looks + 1 != rhythm.looks {
        return;
    }
    let now = shared.now();
    let on_core = OnCore::of(slot, now);
    let before = std::mem::replace(&mut seen.on_core, on_core);
    let computes = on_core.zip(before).is_some_and(|(on_core, before)| on_core.is_busy_since(before));
    if !due {
        if kept && !computes {
            give_away(threads, shared, index, None);
        }
        return;
    }
    let last = last_hog.replace(now).map(|at| now - at);
    if computes && may_keep(threads.config.workers, last) {
        return keep(threads, shared, index, epoch, "other workers see to what waits for its worker");
    }
    give_away(threads, shared, index, Some(epoch));
    for other in (0..threads.slots.len()).filter(|&other| threads.slots[other].tenure.is_kept()) {
        give_away(threads, shared, other, None);
    }
}

/// What waits for this worker, who keeps its place, is for others.
fn keep(threads: &Threads, shared: &Shared, index: usize, epoch: u64, others: &str) {
    let slot = &threads.slots[index];
    let pid = Pid::from_bits(slot.running.load(Relaxed));
    threads.kept.fetch_add(1, Relaxed);
    slot.tenure.keep();
    if slot.lifo.mark(epoch) == Marked::TooLate {
        slot.tenure.take_back();
        threads.kept.fetch_sub(1, Relaxed);
        return;
    }
    if let Some(stealers) = slot.stealers.get() {
        stealers.open();
    }
    threads.notify();
    shared.long_turn(pid, threads.config.hog_threshold, others);
}

/// Gives this worker's place to a spare: in this turn, or, without one, although it has kept it so far.
fn give_away(threads: &Arc<Threads>, shared: &Arc<Shared>, index: usize, epoch: Option<u64>) {
    const NO_SPARE: &str = "no spare thread is left to take its worker's place";
    let slot = &threads.slots[index];
    let pid = Pid::from_bits(slot.running.load(Relaxed));
    let tell = |others| {
        // Of one that had kept its place it was told then.
        if epoch.is_some() {
            shared.long_turn(pid, threads.config.hog_threshold, others);
        }
    };
    let spare = threads.spares.lock().pop();
    if spare.is_none() && threads.started.load(SeqCst) == threads.slots.len() {
        if let Some(epoch) = epoch {
            keep(threads, shared, index, epoch, NO_SPARE);
        }
        return;
    }
    let given = match epoch {
        Some(epoch) => {
            slot.tenure.give();
            let marked = slot.lifo.mark(epoch) != Marked::TooLate;
            if !marked {
                slot.tenure.take_back();
            }
            marked
        }
        None => {
            let given = slot.tenure.give_after_all();
            threads.kept.fetch_sub(usize::from(given), Relaxed);
            given
        }
    };
    if !given {
        return threads.spares.lock().extend(spare);
    }
    threads.idle.replace_hog();
    let spare = match spare {
        Some(spare) => Some(spare),
        None => match threads.start_worker(shared, true) {
            Ok(_) => None,
            // The system gives no more threads. The hog keeps its place, or gets it back if it has retired by now.
            Err(_) => {
                threads.kept.fetch_add(1, Relaxed);
                if slot.tenure.keep_after_all() {
                    threads.idle.keep_hog();
                    threads.notify();
                    return tell(NO_SPARE);
                }
                threads.kept.fetch_sub(1, Relaxed);
                Some(await_spare(threads))
            }
        },
    };
    if let Some(spare) = spare {
        threads.slots[spare].wake.store(1, SeqCst);
        threads.rouse(spare);
    }
    threads.counters.compensations.fetch_add(1, Relaxed);
    tell("a spare thread has taken its worker's place");
}

/// The worker that has just retired, or another spare.
fn await_spare(threads: &Threads) -> usize {
    loop {
        if let Some(spare) = threads.spares.lock().pop() {
            return spare;
        }
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_twice_within_the_threshold_and_every_two_and_a_half_milliseconds() {
        let rhythm = |millis| Rhythm::of(Duration::from_millis(millis));
        let micros = Duration::from_micros;
        assert_eq!(rhythm(1), Rhythm { pause: micros(500), looks: 2 });
        assert_eq!(rhythm(5), Rhythm { pause: micros(2_500), looks: 2 });
        assert_eq!(rhythm(60_000), Rhythm { pause: micros(2_500), looks: 24_000 });
    }

    #[test]
    fn one_that_is_alone_may_keep_its_place_beside_another_worker() {
        let millis = |millis| Some(Duration::from_millis(millis));
        assert!(may_keep(2, None) && may_keep(2, millis(100)) && may_keep(64, millis(1_000)));
        assert!(!may_keep(2, millis(99)) && !may_keep(64, millis(0)));
        assert!(!may_keep(1, None));
    }

    #[test]
    fn who_has_had_a_core_half_of_the_time_computes() {
        let on_core = |time, at: u64| OnCore {
            time: Duration::from_millis(time),
            at: Instant::from_nanos(at * 1_000_000),
        };
        assert!(on_core(13, 25).is_busy_since(on_core(10, 20)));
        assert!(!on_core(12, 25).is_busy_since(on_core(10, 20)));
        assert!(!on_core(10, 25).is_busy_since(on_core(10, 20)));
    }

    #[test]
    fn turns_are_short_if_there_were_enough_of_them() {
        let rhythm = Rhythm::of(Duration::from_millis(5));
        assert!(!rhythm.are_short(0) && !rhythm.are_short(1_249));
        assert!(rhythm.are_short(1_250) && rhythm.are_short(u64::MAX));
    }
}

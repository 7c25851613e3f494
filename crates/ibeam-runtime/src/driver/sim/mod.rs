//! The sim driver: one thread, the next process chosen by a seed, a clock that stands still while anything can run, and
//! faults on demand.
//!
//! | question | file |
//! |---|---|
//! | who goes next? | `schedule.rs` |
//! | what goes wrong, and when? | `mischief.rs` |
//! | how are messages late without overtaking those of the same sender? | `held.rs` |
//! | what has happened? | `trace.rs` |
//!
//! # Invariants
//! 1. Every choice comes from the seed, or from what processes do: never from an address, a pid or the real time.
//! 2. No lock is held while code of the program, or a push, runs: both come back here.
//! 3. Faults break no promise of OTP's: what is late keeps its place among what the same sender sends to the same receiver,
//!    and no timer is early.

mod held;
mod mischief;
pub(crate) mod random;
mod schedule;
mod trace;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use parking_lot::Mutex;

use self::held::{Flight, Held};
use self::mischief::{Fault, Mischief};
use self::schedule::Scheduler;
pub(crate) use self::trace::Lines;
use self::trace::Trace;
use crate::driver::queue::Queue;
use crate::driver::{Driver, Place};
use crate::exit_reason::ExitReason;
use crate::message::Message;
use crate::observe;
use crate::pid::Pid;
use crate::process::run;
use crate::process::signal::{self, Signal};
use crate::raw::mailbox::Push;
use crate::raw::node::OwnedNode;
use crate::raw::ready::Ready;
use crate::runtime::Shared;
use crate::runtime::metrics::DriverMetrics;
use crate::sim::{Faults, Schedule, Victim};
use crate::time::Instant;

/// What a turn costs on the virtual clock, so that who looks at the clock in a loop sees it go on.
const TURN_NANOS: u64 = 1_000;

thread_local! {
    /// The simulation whose step this thread makes.
    static STEPPING: Cell<usize> = const { Cell::new(0) };
}

/// See the module.
pub(crate) struct Sim {
    nanos: AtomicU64,
    state: Mutex<State>,
}

struct State {
    queue: Queue,
    scheduler: Scheduler,
    mischief: Mischief,
    held: Held,
    /// Processes that are slow: they have their turn, and take it later.
    slowed: Vec<(Instant, Ready)>,
    trace: Trace,
    steps: u64,
    stepping: bool,
    outside: Option<Outside>,
}

/// How the run has left the simulation.
#[derive(Clone, Debug)]
pub(crate) enum Outside {
    /// A process used what needs a tokio runtime.
    Tokio { who: String, message: String },
    /// Another thread woke a process.
    Thread { who: String },
}

/// What one step of the simulation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A process had its turn.
    Turn,
    /// Nobody could run, and the clock went on to the next timer.
    Time,
    /// Nobody can run and no timer is armed: nothing will ever happen again.
    Stuck,
}

impl Sim {
    pub(crate) fn new(seed: u64, schedule: Schedule, faults: Faults, lines: Option<Lines>) -> Self {
        let state = State {
            queue: Queue::default(),
            scheduler: Scheduler::new(schedule, seed),
            mischief: Mischief::new(faults, seed),
            held: Held::default(),
            slowed: Vec::new(),
            trace: Trace::new(lines),
            steps: 0,
            stepping: false,
            outside: None,
        };
        Self { nanos: AtomicU64::new(0), state: Mutex::new(state) }
    }

    pub(crate) fn step(self: &Arc<Self>, shared: &Arc<Shared>) -> Step {
        let former = STEPPING.replace(Arc::as_ptr(self).addr());
        self.state.lock().stepping = true;
        let step = self.make_step(shared);
        self.state.lock().stepping = false;
        STEPPING.set(former);
        step
    }

    fn make_step(self: &Arc<Self>, shared: &Arc<Shared>) -> Step {
        let now = self.now();
        let lag = self.state.lock().mischief.lag();
        shared.timers.fire(shared, now.earlier_by(lag));
        self.release(shared, |_, _, until| until <= now);
        self.go_on_with_slow_ones(now);
        self.do_mischief(shared);
        let ready = {
            let State { queue, scheduler, steps, .. } = &mut *self.state.lock();
            *steps += 1;
            scheduler.pop(queue, *steps)
        };
        match ready {
            Some(ready) => {
                self.run(shared, ready);
                Step::Turn
            }
            None => self.let_time_pass(shared),
        }
    }

    fn run(self: &Arc<Self>, shared: &Arc<Shared>, ready: Ready) {
        self.nanos.fetch_add(TURN_NANOS, SeqCst);
        let pid = Pid::from_bits(ready.pid_bits());
        match self.before_turn(pid) {
            Some(Fault::Slow(time)) => {
                let until = self.now() + time;
                self.state.lock().slowed.push((until, ready));
                return;
            }
            Some(Fault::FailStart) => {
                let reason = ExitReason::other("the simulation lets this start fail");
                // It stands in the queue, so it is there.
                let _ = signal::send_unobserved(pid, Signal::Exit { from: None, reason });
            }
            _ => {}
        }
        if ready.is_woken() {
            // Invariant 2 of `held`.
            self.release(shared, |_, to, _| to == pid);
        }
        let Some((ready, place)) = ready.run(run::turn) else { return };
        if place != Place::Next {
            self.state.lock().scheduler.yielded(&ready);
        }
        self.schedule(ready, place);
    }

    /// Nobody can run: the clock goes on to what comes next.
    fn let_time_pass(&self, shared: &Shared) -> Step {
        let mut state = self.state.lock();
        let timer = shared.timers.next().map(|at| at + state.mischief.lag());
        let slow = state.slowed.iter().map(|(until, _)| *until).min();
        match [timer, slow, state.held.next()].into_iter().flatten().min() {
            Some(at) => {
                state.mischief.draw_lag();
                self.nanos.fetch_max(at.as_nanos(), SeqCst);
                Step::Time
            }
            None => Step::Stuck,
        }
    }

    fn go_on_with_slow_ones(&self, now: Instant) {
        let State { slowed, queue, .. } = &mut *self.state.lock();
        if slowed.is_empty() {
            return;
        }
        let (due, later): (Vec<_>, Vec<_>) = slowed.drain(..).partition(|(until, _)| *until <= now);
        *slowed = later;
        due.into_iter().for_each(|(_, ready)| queue.push(ready));
    }

    /// What goes wrong at the beginning of this process' turn.
    fn before_turn(&self, pid: Pid) -> Option<Fault> {
        let now = self.now();
        let State { mischief, trace, .. } = &mut *self.state.lock();
        let known = trace.known.get_mut(&pid)?;
        let first = !std::mem::replace(&mut known.begun, true);
        if known.protected {
            return None;
        }
        let fault = mischief.before_turn(first)?;
        match fault {
            Fault::Slow(time) => {
                trace.note(now, "slow", [Some(pid), None], |trace| {
                    format!("fault: {} is slow for {time:?}", trace.who(pid))
                });
            }
            _ => {
                trace.note(now, "fail start", [Some(pid), None], |trace| {
                    format!("fault: the start of {} fails", trace.who(pid))
                });
            }
        }
        Some(fault)
    }

    fn do_mischief(self: &Arc<Self>, shared: &Shared) {
        let now = self.now();
        let mut state = self.state.lock();
        let jump = state.mischief.jump();
        if let Some(time) = jump {
            state.trace.note(now, "jump", [None, None], |_| format!("fault: the clock jumps by {time:?}"));
            self.nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(0), SeqCst);
        }
        if !state.mischief.kills_now() {
            return;
        }
        let faults = state.mischief.faults().clone();
        let candidates: Vec<Pid> = state
            .trace
            .alive
            .iter()
            .copied()
            .filter(|pid| {
                let known = &state.trace.known[pid];
                let name = shared.names.name_of(*pid);
                !known.protected && faults.may_kill(&Victim::new(*pid, name, known.label(), known.what()))
            })
            .collect();
        let Some(victim) = state.mischief.victim(&candidates) else { return };
        state.trace.seen(victim, shared.names.name_of(victim).map(|name| name.to_string()));
        state.trace.note(now, "kill", [Some(victim), None], |trace| {
            format!("fault: {} is killed", trace.who(victim))
        });
        drop(state);
        let _ = signal::send_unobserved(victim, Signal::Exit { from: None, reason: ExitReason::Kill });
    }

    /// Lets go of what is held.
    fn release(self: &Arc<Self>, shared: &Shared, which: impl Fn(Pid, Pid, Instant) -> bool) {
        let now = self.now();
        let flights = self.state.lock().held.take(which);
        for (from, flights) in flights {
            let (to, count) = (flights.front().map(|flight| flight.to), flights.len());
            self.state.lock().trace.note(now, "late", [Some(from), to], |trace| {
                let to = to.map_or_else(String::new, |to| trace.who(to));
                format!("{} → {to}: {count} arrive that were late", trace.who(from))
            });
            for Flight { to, node, push } in flights {
                observe::deliver(self, shared, to, node, push);
            }
        }
    }

    /// Lets go of all that this process has sent.
    pub(crate) fn release_all_from(self: &Arc<Self>, shared: &Shared, sender: Pid) {
        self.release(shared, |from, _, _| from == sender);
    }

    /// From now on nothing goes wrong any more: for the end of the run.
    pub(crate) fn calm(self: &Arc<Self>, shared: &Shared) {
        {
            let State { mischief, slowed, queue, .. } = &mut *self.state.lock();
            mischief.calm();
            slowed.drain(..).for_each(|(_, ready)| queue.push(ready));
        }
        self.release(shared, |_, _, _| true);
    }

    pub(crate) fn steps(&self) -> u64 {
        self.state.lock().steps
    }

    pub(crate) fn digest(&self) -> u64 {
        self.state.lock().trace.digest()
    }

    pub(crate) fn events(&self) -> u64 {
        self.state.lock().trace.events()
    }

    pub(crate) fn dropped_lines(&self) -> u64 {
        self.state.lock().trace.dropped
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.state.lock().trace.kept().cloned().collect()
    }

    pub(crate) fn end_trace(&self) {
        self.state.lock().trace.end_lines();
    }

    pub(crate) fn outside(&self) -> Option<Outside> {
        self.state.lock().outside.clone()
    }

    /// Those that live, in the order of their spawn.
    pub(crate) fn in_order(&self) -> Vec<Pid> {
        self.state.lock().trace.alive.clone()
    }

    /// Those that live, for people to read.
    pub(crate) fn alive(&self, shared: &Shared) -> Vec<String> {
        let trace = &mut self.state.lock().trace;
        for pid in trace.alive.clone() {
            trace.seen(pid, shared.names.name_of(pid).map(|name| name.to_string()));
        }
        trace.alive.iter().map(|pid| trace.who(*pid)).collect()
    }

    pub(crate) fn protect(&self, pid: Pid) {
        if let Some(known) = self.state.lock().trace.known.get_mut(&pid) {
            known.protected = true;
        }
    }

    pub(crate) fn protect_children(&self, parent: Pid, on: bool) {
        if let Some(known) = self.state.lock().trace.known.get_mut(&parent) {
            known.protects = on;
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn spawned(&self, pid: Pid, parent: Option<Pid>, what: &'static str, label: Option<Arc<str>>) {
        let now = self.now();
        self.state.lock().trace.spawned(now, pid, parent, what, label);
    }

    pub(crate) fn exited(&self, shared: &Shared, pid: Pid, reason: &ExitReason) {
        let (now, name) = (self.now(), shared.names.name_of(pid));
        let State { trace, scheduler, outside, .. } = &mut *self.state.lock();
        trace.seen(pid, name.map(|name| name.to_string()));
        trace.note(now, "exited", [Some(pid), None], |trace| format!("{} exits: {reason}", trace.who(pid)));
        if let ExitReason::Panic(panic) = reason
            && needs_tokio(panic.message())
        {
            *outside = Some(Outside::Tokio { who: trace.who(pid), message: reason.to_string() });
        }
        trace.ended(pid);
        scheduler.ended(pid.to_bits());
    }

    pub(crate) fn sent(&self, shared: &Shared, from: Pid, to: Pid, message: &Message) {
        let now = self.now();
        let describe = self.state.lock().trace.describe();
        // Code of the program: without the lock.
        let text = describe.map(|describe| {
            let names = [from, to].map(|pid| shared.names.name_of(pid).map(|name| name.to_string()));
            (observe::described(describe, message), names)
        });
        let trace = &mut self.state.lock().trace;
        let text = text.map(|(text, [from_name, to_name])| {
            trace.seen(from, from_name);
            trace.seen(to, to_name);
            text
        });
        trace.note(now, "sent", [Some(from), Some(to)], |trace| {
            format!("{} → {}: {}", trace.who(from), trace.who(to), text.unwrap_or_default())
        });
    }

    pub(crate) fn signal_sent(&self, from: Pid, to: Pid, signal: &Signal) {
        let now = self.now();
        let (kind, reason) = match signal {
            Signal::Link { .. } => ("links", None),
            Signal::Unlink { .. } => ("unlinks", None),
            Signal::LinkExit { reason, .. } => ("link exit", Some(reason)),
            Signal::Exit { reason, .. } => ("exit signal", Some(reason)),
            Signal::CallersCrash { reason, .. } => ("task crash", Some(reason)),
            Signal::Monitor { .. } => ("monitors", None),
            Signal::Demonitor { .. } => ("demonitors", None),
            Signal::Down { reason, .. } => ("down", Some(reason)),
            Signal::UnlinkAck { .. } | Signal::Disown | Signal::Info { .. } | Signal::Trace { .. } => return,
        };
        self.state.lock().trace.note(now, kind, [Some(from), Some(to)], |trace| {
            let reason = reason.map_or_else(String::new, |reason| format!(" {}", start_of(reason)));
            format!("{} → {}: {kind}{reason}", trace.who(from), trace.who(to))
        });
    }

    /// Holds back what one process sends to another, if it is to be late; otherwise it comes back.
    pub(crate) fn hold(&self, from: Pid, to: Pid, node: OwnedNode, push: Push) -> Option<OwnedNode> {
        let now = self.now();
        let State { held, mischief, trace, .. } = &mut *self.state.lock();
        // Messages to oneself are not on their way.
        if from == to {
            return Some(node);
        }
        let Flight { node, .. } = held.behind(from, Flight { to, node, push })?;
        let Some(time) = mischief.delay() else { return Some(node) };
        trace.note(now, "held", [Some(from), Some(to)], |_| {
            format!("fault: this, and what follows it there, is {time:?} late")
        });
        held.begin(from, now + time, Flight { to, node, push });
        None
    }

    fn woken_from_elsewhere(state: &mut State, ready: &Ready) {
        let who = state.trace.who(Pid::from_bits(ready.pid_bits()));
        state.outside.get_or_insert(Outside::Thread { who });
    }
}

/// What has ended a process is told in full where it ends; from then on this is enough.
fn start_of(reason: &ExitReason) -> String {
    let text = reason.to_string();
    match text.char_indices().nth(40) {
        None => text,
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// Does this panic say that there is no tokio runtime around?
fn needs_tokio(message: &str) -> bool {
    message.contains("there is no reactor running")
        || message.contains("must be called from the context of a Tokio 1.x runtime")
}

impl Driver for Sim {
    fn schedule(&self, ready: Ready, _place: Place) {
        let mut state = self.state.lock();
        if state.stepping && STEPPING.get() != std::ptr::from_ref(self).addr() {
            Self::woken_from_elsewhere(&mut state, &ready);
        }
        state.queue.push(ready);
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.nanos.load(SeqCst))
    }

    fn timer_armed(&self) {}

    fn stop(&self, _patience: Duration) -> bool {
        true
    }

    fn metrics(&self) -> DriverMetrics {
        DriverMetrics { run_queues: vec![self.state.lock().queue.len()], ..DriverMetrics::default() }
    }
}

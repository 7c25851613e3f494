//! Runs a program on ibeam, in the simulation: the twin of `erlang/processes.erl`.
//!
//! That nothing is under way any more is easily seen here: the clock goes on only then.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ibeam::prelude::*;
use ibeam::process::{self, Candidate, receive_with};
use ibeam::sim::Simulation;
use ibeam::{Alias, AliasMode, Destination, Down, Exit, ExitReason, Message, Pid, Reference, Target, Timer};

use super::program::{Delay, Ending, How, Id, Mode, Op, Ops, Pattern, Reason, Script, Step};

/// Over which every short timer and every short wait is.
const A_MOMENT: Duration = Duration::from_millis(1);
const STEP: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(3600);

/// What all actors know, as in the table `world` of the other side.
#[derive(Default)]
struct World {
    log: Vec<String>,
    step: usize,
    pids: BTreeMap<usize, Pid>,
    indices: BTreeMap<Pid, usize>,
    live: BTreeSet<usize>,
    /// Who lived when the step began.
    lived: BTreeSet<usize>,
    monitors: BTreeMap<Id, Reference>,
    monitor_ids: BTreeMap<Reference, Id>,
    aliases: BTreeMap<Id, Alias>,
    timers: BTreeMap<Id, Timer>,
    watcher: Option<Pid>,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<World>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("nobody panics while it is locked")
    }
}

/// To an actor: do this.
struct Do(Ops);
/// To the watcher: an actor was spawned, by this one, who waits for `Watched`.
struct Spawned(usize, Pid, Pid);
struct Watched;
struct Sent(usize, Id);
struct Tick(Id);

pub(super) fn run(script: &Script, seed: u64) -> String {
    let script = script.clone();
    Simulation::new(seed).run(async move {
        let world = Shared(Arc::default());
        let watcher = process::spawn(watch(world.clone()));
        world.lock().watcher = Some(watcher);
        for index in 0..script.actors {
            let pid = process::spawn(actor(world.clone(), index));
            watcher.send(Spawned(index, pid, process::self_pid()));
            receive! { Watched => {} }
        }
        for (number, step) in script.steps.iter().enumerate() {
            {
                let mut world = world.lock();
                world.step = number;
                world.lived = world.live.clone();
                if let Step::Actors(parts) = step {
                    for (index, ops) in parts {
                        if world.live.contains(index) {
                            world.pids[index].send(Do(ops.clone()));
                        }
                    }
                }
            }
            if let Step::Advance = step {
                process::sleep(2 * LONG).await;
            }
            process::sleep(STEP).await;
        }
        let log = std::mem::take(&mut world.lock().log);
        log.join(" ")
    })
}

/// Sees every actor end.
async fn watch(world: Shared) {
    loop {
        receive! {
            Spawned(index, pid, by) => {
                process::monitor(pid);
                {
                    let mut world = world.lock();
                    world.pids.insert(index, pid);
                    world.indices.insert(pid, index);
                    world.live.insert(index);
                }
                by.send(Watched);
            },
            Down { target: Target::Pid(pid), reason, .. } => {
                let mut world = world.lock();
                let index = world.indices[&pid];
                world.live.remove(&index);
                let word = format!("d{}.{index}={}", world.step, reason_word(&reason));
                world.log.push(word);
            },
        }
    }
}

/// Boxed, because actors spawn actors.
fn actor(world: Shared, me: usize) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        loop {
            let Do(ops) = receive_with(|message| message.arm(Ok::<Do, Do>)).await;
            for (id, op) in ops {
                if let Some(result) = perform(&world, me, id, op).await {
                    world.lock().log.push(format!("{id}={result}"));
                }
            }
        }
    })
}

async fn perform(world: &Shared, me: usize, id: Id, op: Op) -> Option<String> {
    let nobody = || Some("nobody".to_owned());
    let unknown = || Some("unknown".to_owned());
    let pid = |index: usize| world.lock().pids.get(&index).copied();
    match op {
        Op::Spawn(index, how) => {
            let body = actor(world.clone(), index);
            let new = match how {
                How::Plain => process::spawn(body),
                How::Link => process::spawn_link(body),
                How::Monitor => {
                    let (new, monitor) = process::spawn_monitor(body);
                    world.lock().note_monitor(id, monitor);
                    new
                }
            };
            let watcher = world.lock().watcher.expect("it was the first");
            watcher.send(Spawned(index, new, process::self_pid()));
            receive! { Watched => None }
        }
        Op::Send(to) => pid(to).map_or_else(nobody, |pid| {
            pid.send(Sent(me, id));
            None
        }),
        Op::SendName(number) => Some(ok(Destination::from(name(number).as_str()).send(Sent(me, id)))),
        Op::SendAlias(alias) => {
            let alias = world.lock().aliases.get(&alias).copied();
            alias.map_or_else(unknown, |alias| {
                alias.send(Sent(me, id));
                None
            })
        }
        Op::ExitSignal(to, reason) => pid(to).map_or_else(nobody, |pid| {
            process::exit_signal(pid, reason.into());
            None
        }),
        Op::Exit(reason) => process::exit(reason.into()),
        Op::Crash(value) => panic!("{value}"),
        Op::Link(to) => pid(to).map_or_else(nobody, |pid| {
            process::link(pid);
            None
        }),
        Op::LinkLive(to) if !world.lock().lived.contains(&to) => Some("dead".to_owned()),
        Op::LinkLive(to) => pid(to).map_or_else(nobody, |pid| {
            process::link(pid);
            None
        }),
        Op::Unlink(to) => pid(to).map_or_else(nobody, |pid| {
            process::unlink(pid);
            None
        }),
        Op::Monitor(to) => pid(to).map_or_else(nobody, |pid| {
            let monitor = process::monitor(pid);
            {
                world.lock().note_monitor(id, monitor);
                None
            }
        }),
        Op::MonitorName(number) => {
            let monitor = process::monitor(name(number).as_str());
            {
                world.lock().note_monitor(id, monitor);
                None
            }
        }
        Op::MonitorAlias(to, mode) => pid(to).map_or_else(nobody, |pid| {
            let monitor = process::monitor_builder(pid).alias(mode.into()).start();
            let mut world = world.lock();
            world.note_monitor(id, monitor.reference());
            world.aliases.insert(id, monitor.alias().expect("one was asked for"));
            None
        }),
        Op::Demonitor(monitor, ending) => {
            let monitor = world.lock().monitors.get(&monitor).copied();
            let Some(monitor) = monitor else { return unknown() };
            match ending {
                Ending::Plain => Some(process::demonitor(monitor).to_string()),
                Ending::Flush => Some(process::demonitor_flush(monitor).to_string()),
                Ending::Quiet => {
                    process::demonitor_flush(monitor);
                    None
                }
            }
        }
        Op::Trap(trap) => Some(process::trap_exit(trap).to_string()),
        Op::Alias(mode) => {
            let alias = process::alias(mode.into());
            world.lock().aliases.insert(id, alias);
            None
        }
        Op::Unalias(alias) => {
            let alias = world.lock().aliases.get(&alias).copied();
            alias.map_or_else(unknown, |alias| Some(process::unalias(alias).to_string()))
        }
        Op::Register(number, index) => {
            pid(index).map_or_else(nobody, |pid| Some(ok(process::register(name(number), pid))))
        }
        Op::Unregister(number) => Some(ok(process::unregister(name(number)))),
        Op::Whereis(number) => match process::whereis(name(number)) {
            Some(pid) => Some(world.lock().index(pid)),
            None => nobody(),
        },
        Op::Timer(to, delay) => pid(to).map_or_else(nobody, |pid| {
            let timer = process::send_after(pid, Tick(id), delay.into());
            world.lock().timers.insert(id, timer);
            None
        }),
        Op::TimerName(number, delay) => {
            let timer = process::send_after(name(number).as_str(), Tick(id), delay.into());
            world.lock().timers.insert(id, timer);
            None
        }
        Op::Cancel(timer) => {
            let timer = world.lock().timers.get(&timer).cloned();
            let in_time = |timer: Timer| timer.cancel().map_or("late", |_| "in_time").to_owned();
            timer.map_or_else(unknown, |timer| Some(in_time(timer)))
        }
        Op::Recv(pattern, wait) => {
            let pattern = world.lock().wanted(pattern);
            let wait = if wait { A_MOMENT } else { Duration::ZERO };
            let found = match pattern {
                Some(wanted) => receive_with(|message| wanted.take(message)).after(wait).await,
                None => None,
            };
            Some(found.map_or_else(|| "none".to_owned(), |found| world.lock().message(found)))
        }
        Op::Drain => {
            let mut all = Vec::new();
            while let Some(message) = process::try_recv() {
                all.push(world.lock().message(message));
            }
            Some(format!("[{}]", all.join(",")))
        }
        Op::Info => {
            let info = process::info(process::self_pid()).await?;
            let mut names = Vec::new();
            let mut monitors = Vec::new();
            for target in info.monitors {
                match target {
                    Target::Pid(pid) => monitors.push(pid),
                    Target::Name(name) => names.push(name.to_string()),
                }
            }
            names.sort_unstable();
            let world = world.lock();
            Some(format!(
                "links{}by{}monitors{}names{}",
                world.indices(&info.links),
                world.indices(&info.monitored_by),
                world.indices(&monitors),
                names.join(",")
            ))
        }
        Op::Alive(index) => match pid(index) {
            Some(pid) => Some(process::info(pid).await.is_some().to_string()),
            None => nobody(),
        },
    }
}

/// What a receive looks for.
enum Wanted {
    From(usize),
    Id(Id),
    Down(Reference),
    Exit(Pid),
}

impl Wanted {
    fn take(&self, message: &mut Candidate) -> Option<Message> {
        fn only<T: Send + 'static>(message: &mut Candidate, fits: impl Fn(&T) -> bool) -> Option<Message> {
            message.arm(|value: T| if fits(&value) { Ok(value) } else { Err(value) }).map(Message::from_value)
        }
        match *self {
            Self::From(actor) => only(message, |Sent(from, _)| *from == actor),
            Self::Id(id) => only(message, |Sent(_, sent)| *sent == id)
                .or_else(|| only(message, |Tick(timer)| *timer == id)),
            Self::Down(monitor) => only(message, |down: &Down| down.monitor == monitor),
            Self::Exit(pid) => only(message, |exit: &Exit| exit.pid == pid),
        }
    }
}

impl World {
    fn note_monitor(&mut self, id: Id, monitor: Reference) {
        self.monitors.insert(id, monitor);
        self.monitor_ids.insert(monitor, id);
    }

    fn index(&self, pid: Pid) -> String {
        self.indices.get(&pid).map_or_else(|| "?".to_owned(), ToString::to_string)
    }

    fn indices(&self, pids: &[Pid]) -> String {
        let mut indices: Vec<usize> = pids.iter().filter_map(|pid| self.indices.get(pid)).copied().collect();
        indices.sort_unstable();
        let indices: Vec<String> = indices.iter().map(ToString::to_string).collect();
        format!("[{}]", indices.join(","))
    }

    fn wanted(&self, pattern: Pattern) -> Option<Wanted> {
        Some(match pattern {
            Pattern::From(actor) => Wanted::From(actor),
            Pattern::Id(id) => Wanted::Id(id),
            Pattern::Down(monitor) => Wanted::Down(*self.monitors.get(&monitor)?),
            Pattern::Exit(actor) => Wanted::Exit(*self.pids.get(&actor)?),
        })
    }

    fn message(&self, message: Message) -> String {
        let message = match message.downcast::<Sent>() {
            Ok(Sent(from, id)) => return format!("m.{from}.{id}"),
            Err(message) => message,
        };
        let message = match message.downcast::<Tick>() {
            Ok(Tick(id)) => return format!("t.{id}"),
            Err(message) => message,
        };
        let message = match message.downcast::<Exit>() {
            Ok(exit) => return format!("x.{}.{}", self.index(exit.pid), reason_word(&exit.reason)),
            Err(message) => message,
        };
        match message.downcast::<Down>() {
            Ok(Down { monitor, target, reason }) => {
                let who = match target {
                    Target::Pid(pid) => self.index(pid),
                    Target::Name(name) => name.to_string(),
                };
                format!("n.{who}.{}.{}", self.monitor_ids[&monitor], reason_word(&reason))
            }
            Err(other) => format!("unexpected:{}", other.type_name()),
        }
    }
}

fn name(number: usize) -> String {
    format!("differential_{number}")
}

fn ok<T, E>(result: Result<T, E>) -> String {
    if result.is_ok() { "ok" } else { "badarg" }.to_owned()
}

/// The reason as one word, the same that `differential:reason/1` writes.
pub(crate) fn reason_word(reason: &ExitReason) -> String {
    match reason {
        ExitReason::Normal => "normal".to_owned(),
        ExitReason::Shutdown => "shutdown".to_owned(),
        ExitReason::Kill => "kill".to_owned(),
        ExitReason::Killed => "killed".to_owned(),
        ExitReason::NoProc => "noproc".to_owned(),
        ExitReason::NoConnection => "noconnection".to_owned(),
        ExitReason::Timeout => "timeout".to_owned(),
        ExitReason::ShutdownWith(value) => format!("shutdown({value})"),
        ExitReason::Panic(panic) => format!("crash({})", panic.message()),
        other => format!("v({other})"),
    }
}

impl From<Reason> for ExitReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Normal => Self::Normal,
            Reason::Shutdown => Self::Shutdown,
            Reason::ShutdownWith(value) => Self::shutdown_with(value),
            Reason::Kill => Self::Kill,
            Reason::Killed => Self::Killed,
            Reason::NoProc => Self::NoProc,
            Reason::NoConnection => Self::NoConnection,
            Reason::Timeout => Self::Timeout,
            Reason::Value(value) => Self::other(value),
        }
    }
}

impl From<Mode> for AliasMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Explicit => Self::Explicit,
            Mode::Reply => Self::Reply,
            Mode::Demonitor => Self::Demonitor,
            Mode::ReplyDemonitor => Self::ReplyDemonitor,
        }
    }
}

impl From<Delay> for Duration {
    fn from(delay: Delay) -> Self {
        match delay {
            Delay::Short => A_MOMENT,
            Delay::Long => LONG,
        }
    }
}

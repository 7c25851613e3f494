//! Programs over processes: the operations, and which sequences of them have one outcome.
//!
//! A program is a number of steps. In a step actors run operations, each its own in order; then both sides wait until nothing is
//! under way any more. An operation has an id, unique in the program, which also names what it makes: a message, a monitor, an
//! alias, a timer.
//!
//! # Rules
//! Signals from one process to another keep their order, and nothing else is promised. A program may therefore contain only what
//! comes out the same in every order of signals from different senders:
//!
//! 1. A step of one actor: first what concerns itself and asks about others, then signals to others.
//! 2. The first signal that may end somebody says whose turn it is to end: after it come only signals to this process, and messages.
//!    An actor that goes on after it traps exits, so that what comes back does not end it half-way.
//! 3. What asks whether something has come (receive, `demonitor`, `unlink`) does not ask for what this step has caused, for it may
//!    be still on its way.
//! 4. In a step of several actors nobody can end and no name changes, and of two actors only the first links to the second.

use std::fmt;

use super::{run, trace};
use crate::comparison::Program;
use crate::random::Random;

pub(crate) type Id = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Normal,
    Shutdown,
    ShutdownWith(u32),
    Kill,
    Killed,
    NoProc,
    NoConnection,
    Timeout,
    Value(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Plain,
    Link,
    Monitor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Explicit,
    Reply,
    Demonitor,
    ReplyDemonitor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Says whether there was one; its notice may stay in the mailbox.
    Plain,
    /// Says whether there was one; its notice is gone.
    Flush,
    /// As `Flush`, and says nothing.
    Quiet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delay {
    /// Fires before the step is over.
    Short,
    /// Fires with the next `Step::Advance`.
    Long,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// A message from this actor.
    From(usize),
    /// This message.
    Id(Id),
    /// The notice of this monitor.
    Down(Id),
    /// An exit of this actor.
    Exit(usize),
}

/// Actors are numbers from 0, those that are spawned later follow; names are numbers too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Spawn(usize, How),
    Send(usize),
    SendName(usize),
    SendAlias(Id),
    ExitSignal(usize, Reason),
    Exit(Reason),
    Crash(u32),
    Link(usize),
    /// A link, if the other lived when the step began.
    LinkLive(usize),
    Unlink(usize),
    Monitor(usize),
    MonitorName(usize),
    MonitorAlias(usize, Mode),
    Demonitor(Id, Ending),
    Trap(bool),
    Alias(Mode),
    Unalias(Id),
    Register(usize, usize),
    Unregister(usize),
    Whereis(usize),
    Timer(usize, Delay),
    TimerName(usize, Delay),
    Cancel(Id),
    /// Waits for a moment (`true`) or not at all.
    Recv(Pattern, bool),
    Drain,
    /// The actor's own links, monitors, and who monitors it.
    Info,
    Alive(usize),
}

pub(crate) type Ops = Vec<(Id, Op)>;
/// Actors and what each does.
pub(crate) type Parts = Vec<(usize, Ops)>;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Actors(Parts),
    /// All timers fire.
    Advance,
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Actors that are there from the beginning.
    pub(crate) actors: usize,
    pub(crate) steps: Vec<Step>,
}

impl Program for Script {
    const INTERPRETER: &'static str = "processes";

    fn generate(random: &mut Random) -> Self {
        Generator {
            random,
            actors: 0,
            id: 0,
            monitors: vec![],
            aliases: vec![],
            timers: vec![],
            messages: vec![],
        }
        .script()
    }

    fn run(&self, seed: u64) -> String {
        run::run(self, seed)
    }

    fn canonical(trace: &str) -> Vec<String> {
        trace::canonical(trace)
    }

    fn smaller(&self) -> Vec<Self> {
        let mut smaller = Vec::new();
        for at in 0..self.steps.len() {
            let mut less = self.clone();
            less.steps.remove(at);
            smaller.push(less);
        }
        for (at, step) in self.steps.iter().enumerate() {
            let Step::Actors(parts) = step else { continue };
            for (part, (_, ops)) in parts.iter().enumerate() {
                let mut with = |change: &dyn Fn(&mut Parts)| {
                    let mut less = self.clone();
                    let Step::Actors(parts) = &mut less.steps[at] else { return };
                    change(parts);
                    if is_determined(parts) {
                        smaller.push(less);
                    }
                };
                if parts.len() > 1 {
                    with(&|parts| drop(parts.remove(part)));
                }
                for op in 0..ops.len() {
                    with(&|parts| {
                        parts[part].1.remove(op);
                    });
                }
            }
        }
        smaller
    }
}

/// Do the rules above hold for this step?
fn is_determined(parts: &[(usize, Ops)]) -> bool {
    match parts {
        [(actor, ops)] => is_determined_alone(*actor, ops),
        parts => parts.iter().all(|(actor, ops)| {
            ops.iter().all(|(_, op)| op.only_looks()) || ops.iter().all(|(_, op)| op.disturbs_nobody(*actor))
        }),
    }
}

fn is_determined_alone(actor: usize, ops: &[(Id, Op)]) -> bool {
    let mut sending = false;
    let mut traps = false;
    let mut ending = None;
    let mut linked = Vec::new();
    let mut made = Vec::new();
    let mut through_aliases = false;
    for (at, (id, op)) in ops.iter().enumerate() {
        let is_last = at + 1 == ops.len();
        if op.is_signal() {
            sending = true;
        } else if sending {
            return false;
        }
        if ending.is_some_and(|ending| !op.may_follow_the_end_of(ending)) {
            return false;
        }
        match *op {
            Op::Trap(trap) => traps = trap,
            Op::Exit(_) | Op::Crash(_) if !is_last => return false,
            Op::ExitSignal(target, reason) if target == actor || reason != Reason::Normal => {
                if !is_last && (!traps || target == actor) || through_aliases {
                    return false;
                }
                ending = Some(target);
            }
            Op::Link(target) => {
                if !is_last && !traps {
                    return false;
                }
                linked.push(target);
            }
            Op::Unlink(target) if linked.contains(&target) => return false,
            Op::MonitorAlias(..) => made.push(*id),
            // In OTP what a process has sent to itself through an alias is on its way still, and is lost; here it has come.
            Op::Demonitor(..) if through_aliases => return false,
            Op::SendAlias(alias) => {
                if made.contains(&alias) {
                    return false;
                }
                through_aliases = true;
            }
            _ => {}
        }
    }
    true
}

impl Op {
    /// Rule 1: everything that is not sent to others, or waited for, by the actor itself.
    fn is_signal(self) -> bool {
        matches!(
            self,
            Self::Spawn(..)
                | Self::Send(_)
                | Self::SendName(_)
                | Self::SendAlias(_)
                | Self::ExitSignal(..)
                | Self::Exit(_)
                | Self::Crash(_)
                | Self::Link(_)
                | Self::LinkLive(_)
                | Self::Unlink(_)
                | Self::Monitor(_)
                | Self::MonitorName(_)
                | Self::MonitorAlias(..)
                | Self::Demonitor(_, Ending::Quiet)
                | Self::Timer(..)
                | Self::TimerName(..)
        )
    }

    /// Rule 2.
    fn may_follow_the_end_of(self, ending: usize) -> bool {
        match self {
            Self::Send(_) | Self::Timer(..) => true,
            Self::Monitor(target) | Self::ExitSignal(target, _) => target == ending,
            _ => false,
        }
    }

    /// Rule 4.
    fn disturbs_nobody(self, actor: usize) -> bool {
        match self {
            Self::Send(_)
            | Self::SendName(_)
            | Self::Monitor(_)
            | Self::MonitorName(_)
            | Self::Demonitor(_, Ending::Quiet)
            | Self::Timer(..) => true,
            Self::ExitSignal(target, Reason::Normal) => target != actor,
            Self::LinkLive(target) | Self::Unlink(target) => target > actor,
            _ => false,
        }
    }

    fn only_looks(self) -> bool {
        matches!(self, Self::Info | Self::Drain | Self::Alive(_) | Self::Whereis(_))
    }
}

struct Generator<'a> {
    random: &'a mut Random,
    actors: usize,
    id: Id,
    /// Who made which.
    monitors: Vec<(usize, Id)>,
    aliases: Vec<(usize, Id)>,
    timers: Vec<Id>,
    messages: Vec<Id>,
}

const NAMES: usize = 3;
const REASONS: [Reason; 9] = [
    Reason::Normal,
    Reason::Shutdown,
    Reason::ShutdownWith(3),
    Reason::Kill,
    Reason::Killed,
    Reason::NoProc,
    Reason::NoConnection,
    Reason::Timeout,
    Reason::Value(7),
];
const MODES: [Mode; 3] = [Mode::Explicit, Mode::Demonitor, Mode::ReplyDemonitor];

impl Generator<'_> {
    fn script(mut self) -> Script {
        let actors = self.random.between(2, 4);
        self.actors = actors;
        let mut steps = Vec::new();
        for _ in 0..self.random.between(4, 16) {
            steps.push(match self.random.below(20) {
                0 => Step::Advance,
                1..5 => self.until_determined(Self::storm),
                _ => self.until_determined(Self::alone),
            });
        }
        steps.push(self.everybody(Op::Info));
        steps.push(Step::Advance);
        steps.push(self.everybody(Op::Drain));
        Script { actors, steps }
    }

    fn until_determined(&mut self, make: fn(&mut Self) -> Parts) -> Step {
        loop {
            let before = (self.actors, self.id);
            let made = [self.monitors.len(), self.aliases.len(), self.timers.len(), self.messages.len()];
            let parts = make(self);
            if is_determined(&parts) {
                return Step::Actors(parts);
            }
            (self.actors, self.id) = before;
            self.monitors.truncate(made[0]);
            self.aliases.truncate(made[1]);
            self.timers.truncate(made[2]);
            self.messages.truncate(made[3]);
        }
    }

    fn everybody(&mut self, op: Op) -> Step {
        Step::Actors((0..self.actors).map(|actor| (actor, vec![(self.next_id(), op)])).collect())
    }

    fn next_id(&mut self) -> Id {
        self.id += 1;
        self.id
    }

    fn storm(&mut self) -> Parts {
        let known = self.actors;
        let mut parts = Vec::new();
        for actor in 0..known {
            if self.random.chance(70) {
                let count = self.random.between(1, 5);
                let mut ops = Vec::new();
                while ops.len() < count {
                    let before = (self.actors, self.id);
                    let (id, op) = self.signal(actor, None);
                    if op.disturbs_nobody(actor) {
                        ops.push((id, op));
                    } else {
                        (self.actors, self.id) = before;
                        self.forget(id);
                    }
                }
                parts.push((actor, ops));
            }
        }
        if parts.is_empty() { self.storm() } else { parts }
    }

    fn forget(&mut self, id: Id) {
        self.monitors.retain(|(_, other)| *other != id);
        self.aliases.retain(|(_, other)| *other != id);
        self.timers.retain(|other| *other != id);
        self.messages.retain(|other| *other != id);
    }

    fn alone(&mut self) -> Parts {
        let actor = self.random.below(self.actors);
        let mut ops = Vec::new();
        for _ in 0..self.random.below(4) {
            let id = self.next_id();
            ops.push((id, self.own(actor, id)));
        }
        // Most of what has an order has it towards one other process.
        let target = self.random.below(self.actors);
        if self.random.chance(50) {
            ops.push((self.next_id(), Op::Trap(true)));
        }
        for _ in 0..self.random.below(7) {
            let op = self.signal(actor, Some(target));
            ops.push(op);
        }
        if ops.is_empty() { self.alone() } else { vec![(actor, ops)] }
    }

    /// What concerns the actor itself.
    fn own(&mut self, actor: usize, id: Id) -> Op {
        let other = self.random.below(self.actors);
        let name = self.random.below(NAMES);
        let mine = |made: &[(usize, Id)]| -> Vec<Id> {
            made.iter().filter(|(owner, _)| *owner == actor).map(|(_, id)| *id).collect()
        };
        let (monitors, aliases) = (mine(&self.monitors), mine(&self.aliases));
        loop {
            return match self.random.below(22) {
                0..4 => Op::Trap(self.random.chance(70)),
                4 | 5 if !monitors.is_empty() => Op::Demonitor(
                    self.random.one_of(&monitors),
                    self.random.one_of(&[Ending::Plain, Ending::Flush]),
                ),
                6 => {
                    self.aliases.push((actor, id));
                    Op::Alias(self.random.one_of(&[Mode::Explicit, Mode::Reply]))
                }
                7 | 8 if !aliases.is_empty() => Op::Unalias(self.random.one_of(&aliases)),
                9 | 10 => Op::Register(name, other),
                11 => Op::Unregister(name),
                12 => Op::Whereis(name),
                13 if !self.timers.is_empty() => Op::Cancel(self.random.one_of(&self.timers)),
                14 => Op::Info,
                15 => Op::Alive(other),
                16 if !monitors.is_empty() => self.recv(Pattern::Down(monitors[0])),
                17 => self.recv(Pattern::Exit(other)),
                18 | 19 => self.recv(Pattern::From(other)),
                20 if !self.messages.is_empty() => {
                    let id = self.random.one_of(&self.messages);
                    self.recv(Pattern::Id(id))
                }
                21 if self.random.chance(30) => Op::Drain,
                _ => continue,
            };
        }
    }

    fn recv(&mut self, pattern: Pattern) -> Op {
        Op::Recv(pattern, self.random.chance(30))
    }

    /// What goes to others: mostly to `target`.
    fn signal(&mut self, actor: usize, target: Option<usize>) -> (Id, Op) {
        let id = self.next_id();
        let any = self.random.below(self.actors);
        let to = target.filter(|_| self.random.chance(85)).unwrap_or(any);
        let name = self.random.below(NAMES);
        let delay = self.random.one_of(&[Delay::Short, Delay::Long]);
        let op = loop {
            break match self.random.below(30) {
                0 | 1 => {
                    self.actors += 1;
                    let how = self.random.one_of(&[How::Plain, How::Link, How::Monitor]);
                    if how == How::Monitor {
                        self.monitors.push((actor, id));
                    }
                    Op::Spawn(self.actors - 1, how)
                }
                2..8 => {
                    self.messages.push(id);
                    Op::Send(to)
                }
                8 => {
                    self.messages.push(id);
                    Op::SendName(name)
                }
                9 | 10 if !self.aliases.is_empty() => {
                    let (_, alias) = self.aliases[self.random.below(self.aliases.len())];
                    self.messages.push(id);
                    Op::SendAlias(alias)
                }
                11..15 => Op::ExitSignal(to, self.random.one_of(&REASONS)),
                15 => Op::Exit(self.random.one_of(&REASONS)),
                16 if self.random.chance(30) => Op::Crash(self.random.below(3) as u32),
                17 => Op::Link(to),
                18 | 19 => Op::LinkLive(to),
                20 | 21 => Op::Unlink(to),
                22 | 23 => {
                    self.monitors.push((actor, id));
                    Op::Monitor(to)
                }
                24 => {
                    self.monitors.push((actor, id));
                    Op::MonitorName(name)
                }
                25 => {
                    self.monitors.push((actor, id));
                    self.aliases.push((actor, id));
                    Op::MonitorAlias(to, self.random.one_of(&MODES))
                }
                26 | 27 => {
                    let mine: Vec<Id> = self
                        .monitors
                        .iter()
                        .filter(|(owner, _)| *owner == actor)
                        .map(|(_, id)| *id)
                        .collect();
                    if mine.is_empty() {
                        continue;
                    }
                    Op::Demonitor(self.random.one_of(&mine), Ending::Quiet)
                }
                28 => {
                    self.timers.push(id);
                    self.messages.push(id);
                    Op::Timer(to, delay)
                }
                29 => {
                    self.timers.push(id);
                    self.messages.push(id);
                    Op::TimerName(name, delay)
                }
                _ => continue,
            };
        };
        (id, op)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}, [", self.actors)?;
        for (at, step) in self.steps.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            match step {
                Step::Advance => write!(f, "{comma}advance")?,
                Step::Actors(parts) => {
                    let parts: Vec<String> = parts
                        .iter()
                        .map(|(actor, ops)| {
                            let ops: Vec<String> =
                                ops.iter().map(|(id, op)| format!("{{{id}, {op}}}")).collect();
                            format!("{{{actor}, [{}]}}", ops.join(", "))
                        })
                        .collect();
                    write!(f, "{comma}[{}]", parts.join(", "))?;
                }
            }
        }
        f.write_str("]}")
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn(actor, how) => write!(f, "{{spawn, {actor}, {}}}", how.word()),
            Self::Send(to) => write!(f, "{{send, {to}}}"),
            Self::SendName(name) => write!(f, "{{send_name, {name}}}"),
            Self::SendAlias(alias) => write!(f, "{{send_alias, {alias}}}"),
            Self::ExitSignal(to, reason) => write!(f, "{{exit_signal, {to}, {reason}}}"),
            Self::Exit(reason) => write!(f, "{{exit, {reason}}}"),
            Self::Crash(value) => write!(f, "{{crash, {value}}}"),
            Self::Link(to) => write!(f, "{{link, {to}}}"),
            Self::LinkLive(to) => write!(f, "{{link_live, {to}}}"),
            Self::Unlink(to) => write!(f, "{{unlink, {to}}}"),
            Self::Monitor(to) => write!(f, "{{monitor, {to}}}"),
            Self::MonitorName(name) => write!(f, "{{monitor_name, {name}}}"),
            Self::MonitorAlias(to, mode) => write!(f, "{{monitor_alias, {to}, {}}}", mode.word()),
            Self::Demonitor(monitor, ending) => write!(f, "{{demonitor, {monitor}, {}}}", ending.word()),
            Self::Trap(trap) => write!(f, "{{trap, {trap}}}"),
            Self::Alias(mode) => write!(f, "{{alias, {}}}", mode.word()),
            Self::Unalias(alias) => write!(f, "{{unalias, {alias}}}"),
            Self::Register(name, actor) => write!(f, "{{register, {name}, {actor}}}"),
            Self::Unregister(name) => write!(f, "{{unregister, {name}}}"),
            Self::Whereis(name) => write!(f, "{{whereis, {name}}}"),
            Self::Timer(to, delay) => write!(f, "{{timer, {to}, {}}}", delay.word()),
            Self::TimerName(name, delay) => write!(f, "{{timer_name, {name}, {}}}", delay.word()),
            Self::Cancel(timer) => write!(f, "{{cancel, {timer}}}"),
            Self::Recv(pattern, wait) => {
                let wait = if *wait { "short" } else { "zero" };
                match pattern {
                    Pattern::From(actor) => write!(f, "{{recv, {{from, {actor}}}, {wait}}}"),
                    Pattern::Id(id) => write!(f, "{{recv, {{id, {id}}}, {wait}}}"),
                    Pattern::Down(monitor) => write!(f, "{{recv, {{down, {monitor}}}, {wait}}}"),
                    Pattern::Exit(actor) => write!(f, "{{recv, {{exit, {actor}}}, {wait}}}"),
                }
            }
            Self::Drain => f.write_str("drain"),
            Self::Info => f.write_str("info"),
            Self::Alive(actor) => write!(f, "{{alive, {actor}}}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::ShutdownWith(value) => write!(f, "{{shutdown, {value}}}"),
            Self::Kill => f.write_str("kill"),
            Self::Killed => f.write_str("killed"),
            Self::NoProc => f.write_str("noproc"),
            Self::NoConnection => f.write_str("noconnection"),
            Self::Timeout => f.write_str("timeout"),
            Self::Value(value) => write!(f, "{{v, {value}}}"),
        }
    }
}

impl How {
    fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Link => "link",
            Self::Monitor => "monitor",
        }
    }
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Explicit => "explicit_unalias",
            Self::Reply => "reply",
            Self::Demonitor => "demonitor",
            Self::ReplyDemonitor => "reply_demonitor",
        }
    }
}

impl Ending {
    fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Flush => "flush",
            Self::Quiet => "quiet",
        }
    }
}

impl Delay {
    fn word(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
        }
    }
}

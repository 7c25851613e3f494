//! Programs over one supervisor and its children.
//!
//! A supervisor is started with some children; then steps follow, one after the other: a child ends by itself, or the supervisor is
//! asked for something. After each, both sides wait until nothing moves any more, and write down who is there. At the end the
//! supervisor is asked to stop.
//!
//! Starts and stops are written down in the order in which they happen, for a supervisor does one after the other: nothing of the
//! order is left out of the comparison.
//!
//! # Left out
//! - Backoff, and a child whose name lingers: there is neither in OTP.
//! - `terminate_child` of a child that is being restarted, on which others wait: ibeam starts these, OTP leaves them stopped
//!   ([`SupervisorRef::terminate_child`](ibeam::SupervisorRef::terminate_child)). It cannot happen, since a step ends only when
//!   no restart is under way.
//! - A period: all restarts of a program count.

use std::fmt;

use super::run;
use crate::comparison::Program;
use crate::processes::program::Reason;
use crate::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    Permanent,
    Transient,
    Temporary,
}

/// How a child is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shutdown {
    BrutalKill,
    /// In time, unless the child is deaf.
    Timeout,
    Infinity,
}

/// What a child does when it is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// It does not trap exits.
    Plain,
    /// Ends with the reason that it is given.
    Obeys,
    /// Ends with another.
    Lies,
    /// Ends normally.
    Leaves,
    /// Does not hear it.
    Deaf,
}

/// What one start of a child comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Ok,
    Ignore,
    Error(u32),
    Crash,
}

#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) id: u32,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) significant: bool,
    pub(crate) body: Body,
    /// Its first starts; the later ones work.
    pub(crate) plan: Vec<Start>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    OneForOne,
    OneForAll,
    RestForOne,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AutoShutdown {
    Never,
    Any,
    All,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The child's last process ends, if it has not yet: by itself, or killed.
    Exit(u32, Reason),
    Start(Child),
    Terminate(u32),
    Restart(u32),
    Delete(u32),
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: usize,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) children: Vec<Child>,
    pub(crate) steps: Vec<Step>,
}

/// How many ids there are: few, so that they are used twice.
const IDS: usize = 6;

impl Program for Script {
    const INTERPRETER: &'static str = "supervisors";

    fn generate(random: &mut Random) -> Self {
        let auto_shutdown = match random.below(10) {
            0 => AutoShutdown::Any,
            1 => AutoShutdown::All,
            _ => AutoShutdown::Never,
        };
        let mut ids: Vec<u32> = (0..IDS as u32).collect();
        let mut children = Vec::new();
        for _ in 0..random.below(5) {
            let id = ids.remove(random.below(ids.len()));
            // A supervisor that does not start is seen often enough with a few of these.
            children.push(Child::generate(random, id, auto_shutdown, 4));
        }
        let steps = (0..random.between(1, 12)).map(|_| Step::generate(random, auto_shutdown)).collect();
        Self {
            strategy: random.one_of(&[Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne]),
            intensity: random.below(6),
            auto_shutdown,
            children,
            steps,
        }
    }

    fn run(&self, seed: u64) -> String {
        run::run(self, seed)
    }

    fn canonical(trace: &str) -> Vec<String> {
        // Why a child has ended is known a little later than that it has; all else has its order.
        let mut words: Vec<String> = trace.split_ascii_whitespace().map(str::to_owned).collect();
        words.sort_by_key(|word| match word.split_once(":r") {
            Some((step, _)) => (step.parse().unwrap_or(usize::MAX), word.clone()),
            None => (0, String::new()),
        });
        words
    }

    fn smaller(&self) -> Vec<Self> {
        let mut smaller = Vec::new();
        for at in 0..self.steps.len() {
            let mut less = self.clone();
            less.steps.remove(at);
            smaller.push(less);
        }
        for at in 0..self.children.len() {
            let mut less = self.clone();
            less.children.remove(at);
            smaller.push(less);
            let mut simpler = self.clone();
            if simpler.children[at].plan.pop().is_some() {
                smaller.push(simpler);
            }
        }
        smaller
    }
}

impl Child {
    fn generate(random: &mut Random, id: u32, auto_shutdown: AutoShutdown, failing: usize) -> Self {
        let restart = random.one_of(&[Restart::Permanent, Restart::Transient, Restart::Temporary]);
        let body = match random.below(12) {
            0..4 => Body::Plain,
            4..8 => Body::Obeys,
            8 => Body::Lies,
            9 | 10 => Body::Leaves,
            _ => Body::Deaf,
        };
        let shutdown = match random.below(4) {
            0 => Shutdown::BrutalKill,
            // It would be waited for for ever.
            1 if body != Body::Deaf => Shutdown::Infinity,
            _ => Shutdown::Timeout,
        };
        let mut plan = vec![Start::generate(random, failing)];
        for _ in 0..random.below(4) {
            plan.push(Start::generate(random, 35));
        }
        // What cannot be said in ibeam is refused by OTP: a significant child of a supervisor that does not care, or that is permanent.
        let may_be = auto_shutdown != AutoShutdown::Never && restart != Restart::Permanent;
        Self { id, restart, shutdown, significant: may_be && random.chance(60), body, plan }
    }
}

impl Start {
    fn generate(random: &mut Random, failing: usize) -> Self {
        if !random.chance(failing) {
            return Self::Ok;
        }
        random.one_of(&[Self::Ignore, Self::Error(1), Self::Error(2), Self::Crash])
    }
}

impl Step {
    fn generate(random: &mut Random, auto_shutdown: AutoShutdown) -> Self {
        let id = random.below(IDS) as u32;
        match random.below(10) {
            0..5 => Self::Exit(
                id,
                random.one_of(&[
                    Reason::Normal,
                    Reason::Shutdown,
                    Reason::ShutdownWith(1),
                    Reason::Kill,
                    Reason::Killed,
                    Reason::Value(3),
                ]),
            ),
            5 | 6 => Self::Start(Child::generate(random, id, auto_shutdown, 25)),
            7 => Self::Terminate(id),
            8 => Self::Restart(id),
            _ => Self::Delete(id),
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategy = match self.strategy {
            Strategy::OneForOne => "one_for_one",
            Strategy::OneForAll => "one_for_all",
            Strategy::RestForOne => "rest_for_one",
        };
        let auto_shutdown = match self.auto_shutdown {
            AutoShutdown::Never => "never",
            AutoShutdown::Any => "any_significant",
            AutoShutdown::All => "all_significant",
        };
        let children: Vec<String> = self.children.iter().map(ToString::to_string).collect();
        let steps: Vec<String> = self.steps.iter().map(ToString::to_string).collect();
        write!(
            f,
            "{{{{{strategy}, {}, {auto_shutdown}}}, [{}], [{}]}}",
            self.intensity,
            children.join(", "),
            steps.join(", ")
        )
    }
}

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let restart = match self.restart {
            Restart::Permanent => "permanent",
            Restart::Transient => "transient",
            Restart::Temporary => "temporary",
        };
        let shutdown = match self.shutdown {
            Shutdown::BrutalKill => "brutal_kill",
            // Long enough for every child that hears it, on a busy machine too.
            Shutdown::Timeout if self.body != Body::Deaf => "5000",
            Shutdown::Timeout => "1",
            Shutdown::Infinity => "infinity",
        };
        let body = match self.body {
            Body::Plain => "plain",
            Body::Obeys => "obeys",
            Body::Lies => "lies",
            Body::Leaves => "leaves",
            Body::Deaf => "deaf",
        };
        let plan: Vec<String> = self.plan.iter().map(ToString::to_string).collect();
        write!(
            f,
            "{{{}, {restart}, {shutdown}, {}, {body}, [{}]}}",
            self.id,
            self.significant,
            plan.join(", ")
        )
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Ignore => f.write_str("ignore"),
            Self::Error(value) => write!(f, "{{error, {value}}}"),
            Self::Crash => f.write_str("crash"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(id, reason) => write!(f, "{{exit_child, {id}, {reason}}}"),
            Self::Start(child) => write!(f, "{{start_child, {child}}}"),
            Self::Terminate(id) => write!(f, "{{terminate_child, {id}}}"),
            Self::Restart(id) => write!(f, "{{restart_child, {id}}}"),
            Self::Delete(id) => write!(f, "{{delete_child, {id}}}"),
        }
    }
}

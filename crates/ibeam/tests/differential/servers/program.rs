//! Programs over one GenServer.
//!
//! Each request says itself how it is answered and what the callback returns. A call is made by a client of its own, so that it may
//! wait while others go on; after each step both sides wait until nothing moves any more. Short times, of calls and of the server, are over
//! then. At the end the server is stopped.
//!
//! # Left out
//! - A call that the server drops without a reply: its caller is told so in ibeam, and waits for ever in OTP.
//! - Whether who traps exits gets an exit of a start that failed: up to OTP 25 it does, from 26 on it does not, as here.

use std::fmt;

use super::run;
use crate::comparison::Program;
use crate::processes::program::Reason;
use crate::random::Random;

pub(crate) type Id = u32;

/// How a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// By what the callback returns.
    Now,
    /// By hand, before it returns.
    First,
    /// By a later `Step::Reply`, if at all.
    Later,
}

/// What a callback returns, or does instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    GoOn,
    Timeout,
    Hibernate,
    /// Goes on; stops; waits with a timeout; continues once more: by the number.
    Continue(u32),
    Stop(Reason),
    Exit(Reason),
    Crash(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Then(Then),
    Ignore,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Call {
        id: Id,
        short: bool,
        answer: Answer,
        then: Then,
    },
    Cast(Id, Then),
    Info(Id, Then),
    /// The server replies to this call, if it has not yet.
    Reply(Id),
    Stop(Reason),
    /// An exit signal of its parent.
    Exit(Reason),
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) trap_exit: bool,
    pub(crate) start: Start,
    pub(crate) steps: Vec<Step>,
}

/// Not `timeout` or `noproc`: a caller in OTP could not tell them from the failures of the call itself.
const REASONS: [Reason; 5] =
    [Reason::Normal, Reason::Shutdown, Reason::ShutdownWith(2), Reason::Kill, Reason::Value(5)];

impl Program for Script {
    const INTERPRETER: &'static str = "servers";

    fn generate(random: &mut Random) -> Self {
        let start = if random.chance(3) { Start::Ignore } else { Start::Then(Then::generate(random, 5)) };
        let mut later = Vec::new();
        let mut steps = Vec::new();
        for id in 1..=random.between(2, 12) as u32 {
            let then = Then::generate(random, 8);
            steps.push(match random.below(20) {
                0..8 => {
                    let answer = random.one_of(&[Answer::Now, Answer::First, Answer::Later, Answer::Later]);
                    if answer == Answer::Later {
                        later.push(id);
                    }
                    // Only who is not answered in time may be in a hurry, or a busy machine would decide.
                    Step::Call { id, short: answer == Answer::Later && random.chance(50), answer, then }
                }
                8..11 => Step::Cast(id, then),
                11..14 => Step::Info(id, then),
                14..18 if !later.is_empty() => Step::Reply(random.one_of(&later)),
                18 => Step::Exit(random.one_of(&REASONS)),
                19 if random.chance(50) => Step::Stop(random.one_of(&REASONS)),
                _ => Step::Cast(id, Then::GoOn),
            });
        }
        Self { trap_exit: random.chance(50), start, steps }
    }

    fn run(&self, seed: u64) -> String {
        run::run(self, seed)
    }

    fn canonical(trace: &str) -> Vec<String> {
        // What the server does has its order; when callers hear of it within a step has none.
        let mut words: Vec<String> = trace.split_ascii_whitespace().map(str::to_owned).collect();
        words.sort_by_key(|word| {
            let (step, rest) = word.split_once(':').unwrap_or(("", word));
            let of_caller = rest.starts_with('c');
            (step.parse::<usize>().ok(), of_caller, if of_caller { rest.to_owned() } else { String::new() })
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
        smaller
    }
}

impl Then {
    fn generate(random: &mut Random, ends: usize) -> Self {
        if random.chance(ends) {
            return match random.below(3) {
                0 => Self::Stop(random.one_of(&REASONS)),
                1 => Self::Exit(random.one_of(&REASONS)),
                _ => Self::Crash(4),
            };
        }
        match random.below(8) {
            0 => Self::Timeout,
            1 => Self::Hibernate,
            2 => Self::Continue(random.one_of(&[0, 0, 1, 2, 3])),
            _ => Self::GoOn,
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}, ", self.trap_exit)?;
        match self.start {
            Start::Then(then) => then.fmt(f)?,
            Start::Ignore => f.write_str("ignore")?,
        }
        let steps: Vec<String> = self.steps.iter().map(ToString::to_string).collect();
        write!(f, ", [{}]}}", steps.join(", "))
    }
}

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GoOn => f.write_str("go_on"),
            Self::Timeout => f.write_str("timeout"),
            Self::Hibernate => f.write_str("hibernate"),
            Self::Continue(how) => write!(f, "{{continue, {how}}}"),
            Self::Stop(reason) => write!(f, "{{stop, {reason}}}"),
            Self::Exit(reason) => write!(f, "{{exit, {reason}}}"),
            Self::Crash(value) => write!(f, "{{crash, {value}}}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { id, short, answer, then } => {
                let time = if *short { "short" } else { "infinity" };
                let answer = match answer {
                    Answer::Now => "now",
                    Answer::First => "first",
                    Answer::Later => "later",
                };
                write!(f, "{{call, {id}, {time}, {answer}, {then}}}")
            }
            Self::Cast(id, then) => write!(f, "{{cast, {id}, {then}}}"),
            Self::Info(id, then) => write!(f, "{{info, {id}, {then}}}"),
            Self::Reply(id) => write!(f, "{{reply, {id}}}"),
            Self::Stop(reason) => write!(f, "{{stop, {reason}}}"),
            Self::Exit(reason) => write!(f, "{{exit, {reason}}}"),
        }
    }
}

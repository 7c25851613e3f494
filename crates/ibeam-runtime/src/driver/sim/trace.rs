//! What has happened in a simulation: a digest always, and lines for people when they are asked for.
//!
//! Pids differ from run to run, for runs beside each other share the slots. So processes are numbered in the order of their
//! spawn, and only numbers, kinds and times go into the digest.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::observe::Describe;
use crate::pid::Pid;
use crate::time::Instant;

/// A process of the run.
pub(super) struct Known {
    number: u64,
    /// The type of its future.
    what: &'static str,
    label: Option<Arc<str>>,
    /// The last name that it was seen with.
    name: Option<String>,
    pub(super) protected: bool,
    /// What it spawns is protected.
    pub(super) protects: bool,
    pub(super) begun: bool,
}

impl Known {
    pub(super) fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    pub(super) fn what(&self) -> &'static str {
        self.what
    }
}

/// How the lines are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    pub(crate) describe: Describe,
    /// How many of the last ones are kept.
    pub(crate) len: usize,
}

/// See the module.
pub(super) struct Trace {
    digest: u64,
    events: u64,
    pub(super) known: HashMap<Pid, Known, foldhash::fast::FixedState>,
    /// In the order of their spawn.
    pub(super) alive: Vec<Pid>,
    spawned: u64,
    lines: Option<Lines>,
    kept: VecDeque<String>,
    pub(super) dropped: u64,
}

impl Trace {
    pub(super) fn new(lines: Option<Lines>) -> Self {
        Self {
            digest: 0xCBF2_9CE4_8422_2325,
            events: 0,
            known: HashMap::default(),
            alive: Vec::new(),
            spawned: 0,
            lines,
            kept: VecDeque::new(),
            dropped: 0,
        }
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn kept(&self) -> impl Iterator<Item = &String> {
        self.kept.iter()
    }

    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Keeps the lines that are there, and adds none.
    pub(super) fn end_lines(&mut self) {
        self.lines = None;
    }

    /// How a message is described, if lines are wanted.
    pub(super) fn describe(&self) -> Option<Describe> {
        self.lines.map(|lines| lines.describe)
    }

    fn mix(&mut self, value: u64) {
        self.digest = (self.digest ^ value).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(23);
    }

    fn number(&self, pid: Pid) -> u64 {
        self.known.get(&pid).map_or(0, |known| known.number)
    }

    /// Notes an event: what it is, whom it concerns, and, if lines are wanted, its line.
    pub(super) fn note(
        &mut self,
        now: Instant,
        kind: &'static str,
        pids: [Option<Pid>; 2],
        line: impl FnOnce(&Self) -> String,
    ) {
        self.events += 1;
        self.mix(now.as_nanos());
        self.mix(kind.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte)));
        for pid in pids.into_iter().flatten() {
            self.mix(self.number(pid));
        }
        let Some(Lines { len, .. }) = self.lines else { return };
        let mut text = format!("{:>12} ", format!("{:?}", now - Instant::START));
        // One event, one line.
        text.push_str(&self.numbered(&line(self)).replace('\n', " "));
        if self.kept.len() == len {
            self.kept.pop_front();
            self.dropped += 1;
        }
        self.kept.push_back(text);
    }

    pub(super) fn spawned(
        &mut self,
        now: Instant,
        pid: Pid,
        parent: Option<Pid>,
        what: &'static str,
        label: Option<Arc<str>>,
    ) {
        self.spawned += 1;
        let protected =
            parent.and_then(|parent| self.known.get(&parent)).is_some_and(|parent| parent.protects);
        let known =
            Known { number: self.spawned, what, label, name: None, protected, protects: false, begun: false };
        self.known.insert(pid, known);
        self.alive.push(pid);
        self.note(now, "spawned", [parent, Some(pid)], |trace| {
            let by = parent.map_or_else(String::new, |parent| format!(" by {}", trace.who(parent)));
            let known = &trace.known[&pid];
            format!("{} spawned{by}: {}", trace.who(pid), short(known.what))
        });
    }

    pub(super) fn ended(&mut self, pid: Pid) {
        if let Ok(at) = self.alive.binary_search_by_key(&self.number(pid), |alive| self.number(*alive)) {
            self.alive.remove(at);
        }
    }

    /// The names that processes have now, so that the lines can say them.
    pub(super) fn seen(&mut self, pid: Pid, name: Option<String>) {
        if let Some(known) = self.known.get_mut(&pid)
            && name.is_some()
        {
            known.name = name;
        }
    }

    /// The text with the numbers of this run's processes in the place of their pids: exit reasons have some.
    fn numbered(&self, mut text: &str) -> String {
        let mut numbered = String::new();
        while let Some((before, rest)) = text.split_once(PID) {
            numbered.push_str(before);
            text = match pid_before(rest) {
                Some((pid, rest)) if self.known.contains_key(&pid) => {
                    numbered.push_str(&self.who(pid));
                    rest
                }
                _ => {
                    numbered.push_str(PID);
                    rest
                }
            };
        }
        numbered + text
    }

    /// `p3 "counter"`, `p3 (label)`, `p3`.
    pub(super) fn who(&self, pid: Pid) -> String {
        let Some(known) = self.known.get(&pid) else { return format!("{pid}") };
        let mut who = format!("p{}", known.number);
        // Writing to a string does not fail.
        let _ = match (&known.name, &known.label) {
            (Some(name), _) => write!(who, " \"{name}\""),
            (None, Some(label)) => write!(who, " ({label})"),
            (None, None) => Ok(()),
        };
        who
    }
}

/// How a pid begins.
const PID: &str = "<0.";

/// The pid that ends here, after its beginning, and what comes after it.
fn pid_before(text: &str) -> Option<(Pid, &str)> {
    let (parts, rest) = text.split_once('>')?;
    let (index, generation) = parts.split_once('.')?;
    let generation: u64 = generation.parse().ok()?;
    // As the generations of live processes are printed.
    let generation = generation.checked_mul(2)?.checked_add(1)?;
    Some((Pid::from_parts(index.parse().ok()?, generation), rest))
}

/// A future's type without modules: `run<Counter>`.
fn short(name: &str) -> String {
    let name = name.replace("::{{closure}}", "");
    let mut short = String::new();
    let mut part = String::new();
    for c in name.chars() {
        match c {
            ':' => part.clear(),
            c if c.is_alphanumeric() || c == '_' => part.push(c),
            c => {
                short.push_str(&part);
                part.clear();
                short.push(c);
            }
        }
    }
    short + &part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids_in_a_text_are_numbers_of_the_run() {
        let mut trace = Trace::new(None);
        let [first, second] = [Pid::from_parts(7, 3), Pid::from_parts(70_000, 2 * 123_456 + 1)];
        for pid in [first, second] {
            trace.spawned(Instant::START, pid, None, "child", None);
        }
        let stranger = Pid::from_parts(9, 1);
        let text = format!("{first:?} and <0.x>, <0.1.2 {second}, {stranger}: a < b > <0.7.1>");
        assert_eq!(trace.numbered(&text), format!("p1 and <0.x>, <0.1.2 p2, {stranger}: a < b > p1"));
        // No pids, whatever they look like.
        for text in [format!("<0.7.{}>", u64::MAX), "<0.4294967295.1>".to_owned(), "<0.".to_owned()] {
            assert_eq!(trace.numbered(&text), text);
        }
        assert_eq!(trace.numbered(""), "");
    }
}

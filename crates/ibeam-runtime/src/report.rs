//! Crash reports: one event per crash, with what one needs to find its cause.

use std::any::Any;
use std::fmt::{self, Display, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::exit_message;
use crate::process::names::Name;
use crate::raw::pcb::Owner;

/// The target of crash reports.
const TARGET: &str = "ibeam::crash";

/// A process has ended itself with an abnormal reason. Called while it still has all that it had.
#[cold]
pub(crate) fn crash(owner: Owner, reason: &ExitReason) {
    // A subscriber is code of the program: its panic must not become the process' second one.
    let reported = catch_unwind(AssertUnwindSafe(|| report(owner, reason)));
    if let Err(payload) = reported {
        drop(payload);
    }
}

fn report(owner: Owner, reason: &ExitReason) {
    owner.fetch();
    let info = owner.info();
    let span = owner.with_rare_if_any(|rare| rare.span.clone()).flatten();
    let _entered = span.as_ref().map(tracing::Span::enter);
    let location = match reason {
        ExitReason::Panic(panic) => panic.location(),
        _ => None,
    };
    let backtrace = match reason {
        ExitReason::Panic(panic) => panic.stack(),
        _ => None,
    };
    let names = &owner.shared().names;
    let neighbours =
        List(info.links.iter().map(|&pid| Neighbour { pid, name: names.name_of(pid) }).collect());
    let ancestors = List(info.ancestors);
    let callers = List(info.callers);
    if !tracing::enabled!(target: TARGET, tracing::Level::ERROR) {
        // Nobody listens to tracing: a crash must be seen all the same.
        let name = info.name.as_ref().map_or(String::new(), |name| format!(" `{name}`"));
        // In one piece: another's crash must not stand in between.
        let stack = backtrace.map_or(String::new(), |stack| format!("\nstack backtrace:\n{stack}"));
        return print(format_args!("process {}{name} crashed: {reason}{stack}", info.pid));
    }
    tracing::error!(
        target: TARGET,
        pid = %info.pid,
        name = info.name.as_ref().map(tracing::field::display),
        label = info.label.as_deref(),
        reason = %reason,
        location,
        backtrace = backtrace.map(tracing::field::display),
        initial_call = info.initial_call,
        activity = info.activity,
        %ancestors,
        %callers,
        %neighbours,
        message_queue_len = info.message_queue_len,
        "process {} crashed: {reason}",
        Who { pid: info.pid, name: info.name.as_ref(), label: info.label.as_deref() },
    );
}

/// Runs the program's destructors where a panic of theirs must go no further: it is reported, and that is all. `pid`:
/// whose value or message it is, if anybody's.
pub fn quietly(pid: Option<Pid>, destructors: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(destructors)) {
        panicked_while_dropped(pid, payload);
    }
}

#[cold]
fn panicked_while_dropped(pid: Option<Pid>, payload: Box<dyn Any + Send>) {
    let message = exit_message(payload);
    let whose = pid.map_or_else(|| "of a message to nobody".to_owned(), |pid| format!("of process {pid}"));
    if tracing::enabled!(target: TARGET, tracing::Level::ERROR) {
        let pid = pid.map(tracing::field::display);
        tracing::error!(target: TARGET, pid, "a destructor {whose} panicked: {message}");
    } else {
        print(format_args!("a destructor {whose} panicked: {message}"));
    }
}

/// Code of the program that ran because of a timer, outside of any process, has panicked.
#[cold]
pub(crate) fn panicked_in_a_timer(what: &str, payload: Box<dyn Any + Send>) {
    // In a process that ends the panic hook has kept silent for its crash report; elsewhere it has printed the panic.
    let printed = Owner::current().is_none();
    let message = exit_message(payload);
    if tracing::enabled!(target: TARGET, tracing::Level::ERROR) {
        tracing::error!(target: TARGET, "{what} panicked: {message}");
    } else if !printed {
        print(format_args!("{what} panicked: {message}"));
    }
}

#[expect(clippy::print_stderr, reason = "the last resort, as for any panic in Rust")]
fn print(text: fmt::Arguments<'_>) {
    // As one string: stderr has no buffer, and would be written to once per piece of the text.
    let line = format!("{text}\n");
    eprint!("{line}");
}

struct Who<'a> {
    pid: Pid,
    name: Option<&'a Name>,
    label: Option<&'a str>,
}

impl Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name, self.label) {
            (Some(name), _) => write!(f, "`{name}` {}", self.pid),
            (None, Some(label)) => write!(f, "({label}) {}", self.pid),
            (None, None) => self.pid.fmt(f),
        }
    }
}

struct Neighbour {
    pid: Pid,
    name: Option<Name>,
}

impl Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Who { pid: self.pid, name: self.name.as_ref(), label: None }.fmt(f)
    }
}

struct List<T>(Vec<T>);

impl<T: Display> Display for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (at, item) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            item.fmt(f)?;
        }
        f.write_char(']')
    }
}

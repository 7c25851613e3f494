//! What the four message asserts do at run time: looking at the mailbox, and saying what was wrong.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use ibeam::Message;
use ibeam::process::receive_with;

use crate::show::describe;

/// How long [`assert_receive!`](crate::assert_receive) and [`refute_receive!`](crate::refute_receive) wait without `within`:
/// 100 ms, on the clock that the test sees.
///
/// A time is a [`Duration`]; anything else does not compile:
///
/// ```compile_fail
/// use ibeam_testkit::prelude::*;
/// Test::check(async {
///     assert_receive!("hello", within: 100);
/// });
/// ```
pub const RECEIVE_TIMEOUT: Duration = Duration::from_millis(100);

/// How many messages of a mailbox a failure shows: the newest ones.
const SHOWN: usize = 10;

/// What an assert was about, for its failure.
#[derive(Debug)]
pub struct Failure<'a> {
    /// The macro.
    pub what: &'static str,
    /// Pattern and guard, as written.
    pub pattern: &'a str,
    /// The guard's variables, each with its value.
    pub pinned: &'a [(&'a str, String)],
    /// The caller's own words.
    pub message: Option<String>,
}

impl Failure<'_> {
    fn text(&self, said: &str) -> String {
        let own = self.message.as_ref().map_or_else(String::new, |message| format!("{message}\n"));
        let mut text = format!("{own}{}: {said}", self.what);
        for (at, (name, value)) in self.pinned.iter().enumerate() {
            let head = if at == 0 { "\nwith" } else { "\n    " };
            // Writing to a string does not fail.
            let _ = write!(text, "{head} {name} = {value}");
        }
        text
    }
}

/// The messages of the calling process' mailbox, described: how many there are, and the newest of them in order.
#[derive(Debug)]
pub struct Mailbox {
    len: usize,
    newest: std::collections::VecDeque<String>,
}

/// Looks at the mailbox of the calling process, and leaves it as it is.
pub async fn mailbox() -> Mailbox {
    let mut mailbox = Mailbox { len: 0, newest: std::collections::VecDeque::new() };
    let looked = receive_with(|message| {
        message.any(|message| {
            mailbox.len += 1;
            if mailbox.newest.len() == SHOWN {
                mailbox.newest.pop_front();
            }
            mailbox.newest.push_back(describe(&message));
            Err::<(), Message>(message)
        })
    });
    let _nothing = looked.after(Duration::ZERO).await;
    mailbox
}

impl Mailbox {
    pub(crate) fn text(&self) -> String {
        if self.len == 0 {
            return "the mailbox is empty".to_owned();
        }
        let mut text = format!("mailbox, showing {} of {}, the oldest first:", self.newest.len(), self.len);
        for message in &self.newest {
            text.push_str("\n    ");
            text.push_str(message);
        }
        text
    }
}

/// How long to wait. A wrong type is an error of the compiler.
#[must_use]
pub fn within(time: Duration) -> Duration {
    time
}

/// Remembers that the message fits; `false`, so that it stays whole.
pub fn note(fits: &AtomicBool) -> bool {
    fits.store(true, Relaxed);
    false
}

/// Has the last message fitted?
pub fn noted(fits: &AtomicBool) -> bool {
    fits.load(Relaxed)
}

/// Nothing has come that matches.
///
/// # Panics
/// Always.
#[track_caller]
pub fn not_received(failure: &Failure<'_>, within: Duration, mailbox: &Mailbox) -> ! {
    let pattern = failure.pattern;
    let said = match within.is_zero() {
        true => format!("found no message matching `{pattern}`"),
        false => format!("no message matching `{pattern}` came within {within:?}"),
    };
    panic!("{}\n{}", failure.text(&said), mailbox.text());
}

/// A message has come that should not.
///
/// # Panics
/// Always.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "it was taken out of the mailbox, and ends here")]
pub fn refuted(failure: &Failure<'_>, within: Duration, message: Message) -> ! {
    let (pattern, message) = (failure.pattern, describe(&message));
    let said = match within.is_zero() {
        true => format!("unexpectedly found {message}, which matches `{pattern}`"),
        false => format!("unexpectedly received {message}, which matches `{pattern}`"),
    };
    panic!("{}", failure.text(&said));
}

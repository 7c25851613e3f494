//! What the processes of a test log: kept for its failure, and captured on demand.
//!
//! # Invariants
//! 1. An event belongs to the test in whose runtime it was made: by one of its processes, or on a thread that runs them.
//! 2. Events of nobody's runtime are none of ours: without a test the program logs as it would without this crate.
//! 3. What is kept is bounded ([`KEPT`]): the newest records stay, and a failure says how many went.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::sync::{Arc, LazyLock, Once};
use std::time::Duration;

use ibeam::{Pid, process};
use ibeam_runtime::__private::runtime_key;
use parking_lot::{Mutex, RwLock};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

/// How many records are kept of a test, and of a capture.
const KEPT: usize = 10_000;

/// The target of crash reports.
const CRASH: &str = "ibeam::crash";

/// One event that a process of a test has logged.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogRecord {
    /// Its level.
    pub level: Level,
    /// Where it comes from: a module, or `ibeam::crash` for crash reports.
    pub target: &'static str,
    /// Its text.
    pub message: String,
    /// Its other fields, in the order in which they were given; a crash report's backtrace is left out, as naming its
    /// functions would keep the others waiting for the end of the process. The exit reason has it.
    pub fields: Vec<(&'static str, String)>,
    /// Whose event it is; `None` if no process was running.
    pub pid: Option<Pid>,
    /// When, on the clock of the test.
    pub time: Duration,
}

impl LogRecord {
    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| &**value)
    }
}

/// `[error] ibeam::crash: process <0.7> crashed: .. reason=..`
impl fmt::Display for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}: {}", self.level.as_str().to_lowercase(), self.target, self.message)?;
        self.fields.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

/// The records that one listener has asked for.
#[derive(Debug, Default)]
struct Records {
    records: VecDeque<LogRecord>,
    dropped: usize,
}

impl Records {
    fn push(&mut self, record: LogRecord) {
        if self.records.len() == KEPT {
            self.records.pop_front();
            self.dropped += 1;
        }
        self.records.push_back(record);
    }
}

/// Who listens to a test's log, each with the least important level that it hears of.
#[derive(Debug)]
pub(crate) struct Recorder {
    level: Level,
    kept: Mutex<Records>,
    captures: Mutex<Vec<(u64, Level, Records)>>,
}

impl Recorder {
    pub(crate) fn new(level: Level) -> Arc<Self> {
        Arc::new(Self { level, kept: Mutex::default(), captures: Mutex::default() })
    }

    fn wants(&self, level: Level) -> bool {
        level <= self.level || self.captures.lock().iter().any(|(_, limit, _)| level <= *limit)
    }

    fn record(&self, record: &LogRecord) {
        for (_, limit, records) in &mut *self.captures.lock() {
            if record.level <= *limit {
                records.push(record.clone());
            }
        }
        if record.level <= self.level {
            self.kept.lock().push(record.clone());
        }
    }

    /// What is kept, for a failure; empty if nothing was logged. Not of `except`, whose end the failure tells anyhow.
    pub(crate) fn text(&self, except: &[Pid]) -> String {
        let kept = self.kept.lock();
        let mut text = String::new();
        if kept.dropped > 0 {
            let _ = write!(text, "\n    ({} older records were dropped)", kept.dropped);
        }
        let of_the_end = |record: &&LogRecord| {
            record.target.starts_with("ibeam::") && record.pid.is_some_and(|pid| except.contains(&pid))
        };
        for record in kept.records.iter().filter(|record| !of_the_end(record)) {
            // A crash report's text says all that is needed here.
            let _ = match record.target {
                CRASH => write!(text, "\n    [error] {}", record.message),
                _ => write!(text, "\n    {record}"),
            };
        }
        text
    }
}

static RECORDERS: LazyLock<RwLock<HashMap<usize, Arc<Recorder>>>> = LazyLock::new(RwLock::default);

fn recorder() -> Option<Arc<Recorder>> {
    let key = runtime_key()?;
    RECORDERS.read().get(&key).cloned()
}

/// From now on the events of the thread's current runtime go to `recorder`, until the guard is dropped. The runtime must
/// outlive that.
pub(crate) fn listen(recorder: &Arc<Recorder>) -> Listening {
    static ONCE: Once = Once::new();
    // The program may have a subscriber of its own; then that one hears everything, and captures say so.
    ONCE.call_once(|| drop(tracing::subscriber::set_global_default(Listener)));
    let key = runtime_key().expect("a runtime was entered");
    RECORDERS.write().insert(key, Arc::clone(recorder));
    Listening(key)
}

/// See [`listen`].
pub(crate) struct Listening(usize);

impl Drop for Listening {
    fn drop(&mut self) {
        RECORDERS.write().remove(&self.0);
    }
}

/// Our subscriber. It knows no spans: events are told by their process.
struct Listener;

impl Subscriber for Listener {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !metadata.is_span() && recorder().is_some_and(|recorder| recorder.wants(*metadata.level()))
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(recorder) = recorder() else { return };
        let mut record = LogRecord {
            level: *event.metadata().level(),
            target: event.metadata().target(),
            message: String::new(),
            fields: Vec::new(),
            pid: process::try_self_pid(),
            time: process::now().duration_since(ibeam::Instant::START),
        };
        event.record(&mut Fields(&mut record));
        recorder.record(&record);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Fields<'a>(&'a mut LogRecord);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.0.message = format!("{value:?}"),
            // To name its functions takes longer than tests wait for a process' end, and is said after the report.
            "backtrace" if self.0.target == CRASH => {}
            name => self.0.fields.push((name, format!("{value:?}"))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// What [`capture_log`] and [`with_log`] listen to, and how it is written.
///
/// ```
/// use ibeam_testkit::{LogCapture, prelude::*};
/// use tracing::Level;
///
/// Test::check(async {
///     let capture = LogCapture::new(Level::INFO)
///         .format(|record| format!("{}|{}", record.message, record.field("id").unwrap_or("-")));
///     let (four, log) = with_log(capture, async {
///         tracing::info!(id = 123, "stored");
///         tracing::debug!("not heard");
///         4
///     })
///     .await;
///     assert_eq!((four, log.as_str()), (4, "stored|123\n"));
/// });
/// ```
#[must_use]
pub struct LogCapture {
    level: Level,
    format: Box<dyn Fn(&LogRecord) -> String + Send>,
}

impl LogCapture {
    /// Everything that is at least as important as `level`, a line each.
    pub fn new(level: Level) -> Self {
        Self { level, format: Box::new(ToString::to_string) }
    }

    /// Another way to write a record.
    pub fn format(mut self, format: impl Fn(&LogRecord) -> String + Send + 'static) -> Self {
        self.format = Box::new(format);
        self
    }
}

impl From<Level> for LogCapture {
    fn from(level: Level) -> Self {
        Self::new(level)
    }
}

impl fmt::Debug for LogCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogCapture").field("level", &self.level).finish_non_exhaustive()
    }
}

/// What the processes of this test log while `future` runs, those that it does not start included.
///
/// # Panics
/// Outside of a test, and where the program has set a `tracing` subscriber of its own: that one gets the events then.
///
/// # Cancel safety
/// Dropping the future ends the capture.
///
/// ```
/// use ibeam::prelude::*;
/// use ibeam_testkit::prelude::*;
/// use tracing::Level;
///
/// Test::check(async {
///     let log = capture_log(Level::ERROR, async {
///         let (_pid, monitor) = process::spawn_monitor(async { panic!("too much") });
///         assert_receive!(Down { monitor: m, .. } if m == monitor);
///     });
///     assert!(log.await.contains("crashed: panic: too much"));
/// });
/// ```
///
/// # Erlang/OTP
/// `capture_log/2` of ExUnit. Differs: only the test's own log is captured, so tests may run beside each other.
pub async fn capture_log<F: Future>(capture: impl Into<LogCapture>, future: F) -> String {
    with_log(capture, future).await.1
}

/// As [`capture_log`], with what `future` returns.
///
/// # Panics
/// As [`capture_log`].
///
/// # Erlang/OTP
/// `with_log/2` of ExUnit.
pub async fn with_log<F: Future>(capture: impl Into<LogCapture>, future: F) -> (F::Output, String) {
    let LogCapture { level, format } = capture.into();
    let Some(recorder) = recorder() else {
        panic!(
            "`capture_log` needs a test around it: a function with `#[ibeam::test]` or `#[ibeam::simulate]`"
        )
    };
    let ours = tracing::dispatcher::get_default(tracing::Dispatch::is::<Listener>);
    assert!(
        ours,
        "the program has a `tracing` subscriber of its own, which gets all events: tests whose log is to be captured \
         must not set one"
    );
    let capturing = Capturing::begin(recorder, level);
    let output = future.await;
    let records = capturing.end();
    let mut log = String::new();
    for record in &records.records {
        log.push_str(&format(record));
        log.push('\n');
    }
    (output, log)
}

/// A capture that is under way.
struct Capturing {
    recorder: Arc<Recorder>,
    id: u64,
}

impl Capturing {
    fn begin(recorder: Arc<Recorder>, level: Level) -> Self {
        let mut captures = recorder.captures.lock();
        let id = captures.last().map_or(0, |(last, ..)| last + 1);
        captures.push((id, level, Records::default()));
        drop(captures);
        Self { recorder, id }
    }

    fn end(self) -> Records {
        self.take().expect("a capture is ended once")
    }

    fn take(&self) -> Option<Records> {
        let mut captures = self.recorder.captures.lock();
        let at = captures.iter().position(|(id, ..)| *id == self.id)?;
        Some(captures.remove(at).2)
    }
}

impl Drop for Capturing {
    fn drop(&mut self) {
        drop(self.take());
    }
}

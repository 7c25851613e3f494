//! What the runtime says through `tracing`, kept for the tests of one program to look at.
//!
//! There is one subscriber per program and the tests run beside each other, so events are asked for by the process that
//! they are about.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, Once};

use ibeam_runtime::Pid;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The fields of an event, or of a span, as text. What is said to `Debug` or `Display` is not told apart.
#[derive(Clone, Debug, Default)]
pub struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    /// A field, or `None` if it was not recorded.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// So that `event["field"]` reads well where the field has to be there.
impl std::ops::Index<&str> for Fields {
    type Output = str;

    #[track_caller]
    fn index(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("there is no field `{name}` in {self:?}"))
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

/// One event, with the spans it happened in, the outermost first.
#[derive(Clone, Debug)]
pub struct Seen {
    pub target: &'static str,
    pub level: Level,
    pub fields: Fields,
    pub spans: Vec<Fields>,
}

static SEEN: Mutex<Vec<Seen>> = Mutex::new(Vec::new());

struct Recorder;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_span() || metadata.target().starts_with("ibeam")
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        context.span(id).expect("it was made just now").extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(fields) = context.span(id).expect("it is alive").extensions_mut().get_mut::<Fields>() {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let spans = spans.filter_map(|span| span.extensions().get::<Fields>().cloned()).collect();
        let (target, level) = (event.metadata().target(), *event.metadata().level());
        SEEN.lock().unwrap().push(Seen { target, level, fields, spans });
    }
}

/// From now on events are kept.
pub fn record() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Recorder);
        tracing::subscriber::set_global_default(subscriber).expect("nobody else sets one");
    });
}

/// The crash reports, and whatever else there is under their target, about a process.
pub fn reports_of(pid: Pid) -> Vec<Seen> {
    about(pid, "ibeam::crash")
}

/// What was said under a target about a process.
pub fn about(pid: Pid, target: &str) -> Vec<Seen> {
    with("pid", pid, target)
}

/// What was said under a target with this process in this field.
pub fn with(field: &str, pid: Pid, target: &str) -> Vec<Seen> {
    let pid = pid.to_string();
    let seen = SEEN.lock().unwrap();
    seen.iter()
        .filter(|seen| seen.target == target && seen.fields.get(field) == Some(&pid))
        .cloned()
        .collect()
}

/// How often something that begins like this was said under a target.
pub fn said(target: &str, beginning: &str) -> usize {
    let seen = SEEN.lock().unwrap();
    let is = |seen: &&Seen| {
        seen.target == target && seen.fields.get("message").is_some_and(|m| m.starts_with(beginning))
    };
    seen.iter().filter(is).count()
}

//! Why a process ended.

use std::any::Any;
use std::backtrace::Backtrace;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

/// Why a process ended, or is asked to end.
///
/// Reasons are cheap to clone (a counter at most), can be compared, displayed, and taken apart with
/// [`downcast_ref`](ExitReason::downcast_ref).
///
/// | reason | as an exit signal from outside | as a link's exit |
/// |---|---|---|
/// | [`Normal`](ExitReason::Normal) | ignored unless trapped or sent to oneself | ignored unless trapped |
/// | [`Kill`](ExitReason::Kill) | ends the receiver with [`Killed`](ExitReason::Killed), trapping or not | like any other |
/// | any other | ends the receiver with it unless trapped | ends the receiver with it unless trapped |
///
/// ```
/// use ibeam_runtime::ExitReason;
///
/// let reason = ExitReason::other(("disk full", 28));
/// assert_eq!(reason.downcast_ref::<(&str, i32)>(), Some(&("disk full", 28)));
/// assert_eq!(reason, ExitReason::other(("disk full", 28)));
/// assert!(!reason.is_normal());
/// assert_eq!(ExitReason::Shutdown.to_string(), "shutdown");
/// ```
///
/// # Erlang/OTP
/// The terms `normal`, `shutdown`, `{shutdown, Term}`, `kill`, `killed`, `noproc`, `noconnection` and `timeout` have
/// their own variants. `{Error, Stacktrace}` of a crash is [`Panic`](ExitReason::Panic) or
/// [`Error`](ExitReason::Error); every other term is [`Other`](ExitReason::Other).
#[derive(Clone)]
#[non_exhaustive]
pub enum ExitReason {
    /// The process did what it was there for.
    Normal,
    /// A supervisor, or the runtime, asked it to stop.
    Shutdown,
    /// A stop that was asked for and carries a value; not a crash either.
    #[doc(alias = "{shutdown, Term}")]
    ShutdownWith(Value),
    /// Sent by [`kill`](crate::process::kill): cannot be trapped. Who dies of it dies with [`Killed`](Self::Killed).
    Kill,
    /// The process was killed. As a link's exit this is an ordinary reason and can be trapped.
    Killed,
    /// There is no such process.
    NoProc,
    /// The node of the process cannot be reached.
    NoConnection,
    /// Something took too long.
    Timeout,
    /// The process panicked.
    Panic(PanicReason),
    /// The process returned an error.
    Error(ErrorReason),
    /// Any other value.
    Other(Value),
}

impl ExitReason {
    /// A reason that is a value of the program's own.
    ///
    /// ```
    /// use ibeam_runtime::ExitReason;
    /// assert_eq!(ExitReason::other("no_disk").to_string(), "\"no_disk\"");
    /// ```
    pub fn other<T: ReasonValue + PartialEq>(value: T) -> Self {
        Self::Other(Value::new(value))
    }

    /// A stop that was asked for and says more: not reported as a crash.
    ///
    /// ```
    /// use ibeam_runtime::ExitReason;
    /// assert!(ExitReason::shutdown_with("upgrade").is_shutdown());
    /// ```
    pub fn shutdown_with<T: ReasonValue + PartialEq>(value: T) -> Self {
        Self::ShutdownWith(Value::new(value))
    }

    /// A reason that is an error.
    ///
    /// ```
    /// use ibeam_runtime::ExitReason;
    /// let reason = ExitReason::error("x".parse::<i32>().unwrap_err());
    /// assert_eq!(reason.to_string(), "invalid digit found in string");
    /// assert!(reason.downcast_ref::<std::num::ParseIntError>().is_some());
    /// ```
    pub fn error(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Error(ErrorReason(Arc::new(error)))
    }

    /// Is this `Normal`?
    #[must_use]
    pub fn is_normal(&self) -> bool {
        matches!(self, Self::Normal)
    }

    /// Is this a stop that was asked for: `Shutdown`, with or without a value?
    #[must_use]
    pub fn is_shutdown(&self) -> bool {
        matches!(self, Self::Shutdown | Self::ShutdownWith(_))
    }

    /// Is this neither `Normal` nor a shutdown? Such ends are reported, and make a transient child restart.
    #[must_use]
    pub fn is_abnormal(&self) -> bool {
        !self.is_normal() && !self.is_shutdown()
    }

    /// The value inside `ShutdownWith`, `Other` or `Error`, if it is a `T`.
    ///
    /// A panic's payload is asked for with [`PanicReason::payload`].
    #[must_use]
    pub fn downcast_ref<T: Any>(&self) -> Option<&T> {
        match self {
            Self::ShutdownWith(value) | Self::Other(value) => value.downcast_ref(),
            Self::Error(error) => (*error.0).as_any().downcast_ref(),
            _ => None,
        }
    }
}

impl PartialEq for ExitReason {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Normal, Self::Normal)
            | (Self::Shutdown, Self::Shutdown)
            | (Self::Kill, Self::Kill)
            | (Self::Killed, Self::Killed)
            | (Self::NoProc, Self::NoProc)
            | (Self::NoConnection, Self::NoConnection)
            | (Self::Timeout, Self::Timeout) => true,
            (Self::ShutdownWith(a), Self::ShutdownWith(b)) | (Self::Other(a), Self::Other(b)) => a == b,
            (Self::Panic(a), Self::Panic(b)) => a == b,
            (Self::Error(a), Self::Error(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::ShutdownWith(value) => write!(f, "shutdown: {value}"),
            Self::Kill => f.write_str("kill"),
            Self::Killed => f.write_str("killed"),
            Self::NoProc => f.write_str("noproc"),
            Self::NoConnection => f.write_str("noconnection"),
            Self::Timeout => f.write_str("timeout"),
            Self::Panic(panic) => panic.fmt(f),
            Self::Error(error) => error.fmt(f),
            Self::Other(value) => value.fmt(f),
        }
    }
}

impl fmt::Debug for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("Normal"),
            Self::Shutdown => f.write_str("Shutdown"),
            Self::ShutdownWith(value) => f.debug_tuple("ShutdownWith").field(value).finish(),
            Self::Kill => f.write_str("Kill"),
            Self::Killed => f.write_str("Killed"),
            Self::NoProc => f.write_str("NoProc"),
            Self::NoConnection => f.write_str("NoConnection"),
            Self::Timeout => f.write_str("Timeout"),
            Self::Panic(panic) => f.debug_tuple("Panic").field(panic).finish(),
            Self::Error(error) => f.debug_tuple("Error").field(error).finish(),
            Self::Other(value) => f.debug_tuple("Other").field(value).finish(),
        }
    }
}

/// So that `?` works in a process that returns `Result<_, ExitReason>`.
impl<E: Error + Send + Sync + 'static> From<E> for ExitReason {
    fn from(error: E) -> Self {
        Self::error(error)
    }
}

/// What a value needs to be an exit reason. Implemented for every fitting type.
pub trait ReasonValue: Any + Send + Sync + fmt::Debug {}
impl<T: Any + Send + Sync + fmt::Debug> ReasonValue for T {}

/// A value of the program's own inside an [`ExitReason`]: shared, comparable, shown with `Debug`.
#[derive(Clone)]
pub struct Value(Arc<dyn DynValue>);

trait DynValue: ReasonValue {
    fn as_any(&self) -> &(dyn Any + Send + Sync);
    fn dyn_eq(&self, other: &dyn DynValue) -> bool;
}

impl<T: ReasonValue + PartialEq> DynValue for T {
    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn dyn_eq(&self, other: &dyn DynValue) -> bool {
        other.as_any().downcast_ref::<T>() == Some(self)
    }
}

impl Value {
    /// Wraps `value`.
    pub fn new<T: ReasonValue + PartialEq>(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// The value, if it is a `T`.
    #[must_use]
    pub fn downcast_ref<T: Any>(&self) -> Option<&T> {
        (*self.0).as_any().downcast_ref()
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        (*self.0).dyn_eq(&*other.0)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An error as an exit reason. Two are equal if they are the same one, or of one type and read the same.
#[derive(Clone)]
pub struct ErrorReason(Arc<dyn DynError>);

trait DynError: Error + Send + Sync {
    fn as_any(&self) -> &(dyn Any + Send + Sync);
    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static);
}

impl<E: Error + Send + Sync + 'static> DynError for E {
    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }
}

impl ErrorReason {
    /// The error itself, to walk its sources.
    #[must_use]
    pub fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        (*self.0).as_error()
    }
}

impl PartialEq for ErrorReason {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || ((*self.0).as_any().type_id() == (*other.0).as_any().type_id()
                && self.0.to_string() == other.0.to_string())
    }
}

impl fmt::Debug for ErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A panic as an exit reason: message, place, backtrace and payload. Two are equal if message and place are.
#[derive(Clone)]
pub struct PanicReason(Arc<Panic>);

struct Panic {
    message: String,
    location: Option<String>,
    backtrace: Option<Stack>,
    payload: Mutex<Box<dyn Any + Send>>,
}

/// Where a panic happened, as addresses until somebody reads it.
pub(crate) struct Stack {
    backtrace: Backtrace,
    text: OnceLock<String>,
}

impl Stack {
    fn text(&self) -> &str {
        self.text.get_or_init(|| self.backtrace.to_string())
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl PanicReason {
    pub(crate) fn new(
        payload: Box<dyn Any + Send>,
        location: Option<String>,
        backtrace: Option<Backtrace>,
    ) -> Self {
        let message = match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "a panic payload that is not a string".to_owned(),
        };
        let backtrace = backtrace.map(|backtrace| Stack { backtrace, text: OnceLock::new() });
        Self(Arc::new(Panic { message, location, backtrace, payload: Mutex::new(payload) }))
    }

    /// What the panic said; a payload that is not a string is named as such.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// `file:line:column` of the panic, where the panic hook saw it.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// The stack of the panic, where `RUST_BACKTRACE` asks for one.
    ///
    /// The names of its functions are looked for when this is first called, which takes about 100 ms in a program that has
    /// not done so before.
    #[must_use]
    pub fn backtrace(&self) -> Option<&str> {
        self.0.backtrace.as_ref().map(Stack::text)
    }

    /// The same for who may not read it: named when it is written.
    pub(crate) fn stack(&self) -> Option<&Stack> {
        self.0.backtrace.as_ref()
    }

    /// A copy of the payload, if it is a `T`.
    #[must_use]
    pub fn payload<T: Any + Clone>(&self) -> Option<T> {
        self.0.payload.lock().downcast_ref::<T>().cloned()
    }
}

impl PartialEq for PanicReason {
    fn eq(&self, other: &Self) -> bool {
        self.0.message == other.0.message && self.0.location == other.0.location
    }
}

impl fmt::Debug for PanicReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PanicReason")
            .field("message", &self.0.message)
            .field("location", &self.0.location)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for PanicReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panic: {}", self.0.message)?;
        match &self.0.location {
            Some(location) => write!(f, " at {location}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::backtrace::Backtrace;

    use super::{ExitReason, PanicReason};

    #[test]
    fn the_functions_of_a_stack_are_named_for_who_reads_it_and_nobody_else() {
        let panic = PanicReason::new(Box::new("oops"), None, Some(Backtrace::force_capture()));
        let named = || panic.stack().expect("it was given").text.get().is_some();
        let reason = ExitReason::Panic(panic.clone());
        assert_eq!((format!("{reason}"), reason.clone()), ("panic: oops".to_owned(), reason.clone()));
        assert!(format!("{reason:?}").contains("oops"));
        assert!(!named());
        let text = panic.backtrace().expect("it was given");
        assert!(text.contains("the_functions_of_a_stack_are_named"), "{text}");
        assert!(named());
        assert_eq!(panic.stack().expect("it was given").to_string(), text);
    }
}

//! How messages are shown: by their values where the testkit knows how to, by their types otherwise.
//!
//! A message in a mailbox has forgotten all traits of its type but its name. So values are shown of the types that stand in
//! the table here, and of those that a test has added.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::LazyLock;

use ibeam::{Down, Exit, Message, Pid, Reference, TimerFired};
use parking_lot::RwLock;

type Formatter = fn(&Message) -> Option<String>;

static FORMATTERS: LazyLock<RwLock<HashMap<TypeId, Formatter>>> = LazyLock::new(|| RwLock::new(known()));

/// The longest text of a value, in characters.
const LONGEST: usize = 200;

macro_rules! formatters {
    ($($type:ty),* $(,)?) => {
        HashMap::from([$((TypeId::of::<$type>(), format_as::<$type> as Formatter)),*])
    };
}

fn known() -> HashMap<TypeId, Formatter> {
    formatters![
        (),
        bool,
        char,
        u8,
        u16,
        u32,
        u64,
        u128,
        usize,
        i8,
        i16,
        i32,
        i64,
        i128,
        isize,
        f32,
        f64,
        &'static str,
        String,
        crate::Probed,
        crate::Traced,
        Pid,
        Reference,
        Down,
        Exit,
        TimerFired<()>,
        std::time::Duration,
    ]
}

fn format_as<T: Debug + Send + 'static>(message: &Message) -> Option<String> {
    message.downcast_ref::<T>().map(|value| shortened(format!("{value:?}")))
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// From now on messages of type `T` are shown by their value, in failures, probes and traces of the whole program. Numbers,
/// texts, pids, references and the runtime's own messages are so anyhow; others are shown by the name of their type.
///
/// ```
/// #[derive(Debug)]
/// struct Ordered { item: &'static str }
///
/// ibeam_testkit::show::<Ordered>();
/// ```
pub fn show<T: Debug + Send + 'static>() {
    FORMATTERS.write().insert(TypeId::of::<T>(), format_as::<T>);
}

/// A message for people to read.
pub(crate) fn describe(message: &Message) -> String {
    let name = short(message.type_name());
    if message.is_call() {
        return format!("call {name}");
    }
    let formatter = message.type_id_of_message().and_then(|id| FORMATTERS.read().get(&id).copied());
    match formatter.and_then(|format| format(message)) {
        // A `{:?}` of a struct begins with its name.
        Some(value) if value.starts_with(&name) => value,
        Some(value) => format!("{value}: {name}"),
        None => name,
    }
}

/// A type's name without the modules; a request of `#[gen_server]` as the function that it stands for.
pub(crate) fn short(name: &str) -> String {
    let (mut short, mut part) = (String::new(), String::new());
    let flush = |part: &mut String, short: &mut String| {
        match part.strip_prefix("__").and_then(|request| request.split_once('_')) {
            Some((server, function)) => short.push_str(&format!("{server}::{function}")),
            None => short.push_str(part),
        }
        part.clear();
    };
    for c in name.chars() {
        match c {
            // The module that the next part stands in.
            ':' => part.clear(),
            c if c.is_alphanumeric() || c == '_' => part.push(c),
            c => {
                flush(&mut part, &mut short);
                short.push(c);
            }
        }
    }
    flush(&mut part, &mut short);
    short
}

/// A value to be shown by its `Debug`, if its type has one.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a, T>(pub &'a T);

/// Shows what has `Debug`: found first by method lookup.
pub trait ShowDebug {
    /// The value's text.
    fn show(&self) -> String;
}

impl<T: Debug> ShowDebug for Shown<'_, T> {
    fn show(&self) -> String {
        shortened(format!("{:?}", self.0))
    }
}

/// Shows anything else: found last, because it needs one more reference.
pub trait ShowType {
    /// The type's name.
    fn show(&self) -> String;
}

impl<T> ShowType for &Shown<'_, T> {
    fn show(&self) -> String {
        format!("a value of type `{}`", short(std::any::type_name::<T>()))
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn names_are_shown_without_their_modules() {
        let cases = [
            ("my_app::orders::Ordered", "Ordered"),
            ("core::option::Option<alloc::string::String>", "Option<String>"),
            ("(u8, &str)", "(u8, &str)"),
            ("my_app::__Counter_add", "Counter::add"),
            ("my_app::__Cache_get<alloc::string::String, 4>", "Cache::get<String, 4>"),
            ("my_app::main::{{closure}}", "{{closure}}"),
        ];
        for (name, expected) in cases {
            assert_eq!(short(name), expected);
        }
    }
}

//! The errors of requests that make no sense, in Redis' words.

use std::fmt::Write as _;

use super::super::resp::{Args, ErrorReply};
use super::super::small_bytes::SmallBytes;

pub(super) const SYNTAX: ErrorReply = ErrorReply::new("ERR syntax error");
pub(super) const NOT_AN_INTEGER: ErrorReply = ErrorReply::new("ERR value is not an integer or out of range");
pub(super) const DECREMENT_OVERFLOW: ErrorReply = ErrorReply::new("ERR decrement would overflow");
pub(super) const INVALID_CURSOR: ErrorReply = ErrorReply::new("ERR invalid cursor");
pub(super) const DB_INDEX: ErrorReply = ErrorReply::new("ERR DB index is out of range");
pub(super) const CLIENT_ID: ErrorReply = ErrorReply::new("ERR Invalid client ID");
pub(super) const CLIENT_NAME: ErrorReply =
    ErrorReply::new("ERR Client names cannot contain spaces, newlines or special characters.");
pub(super) const EXPIRE_NX: ErrorReply =
    ErrorReply::new("ERR NX and XX, GT or LT options at the same time are not compatible");
pub(super) const EXPIRE_GT_LT: ErrorReply =
    ErrorReply::new("ERR GT and LT options at the same time are not compatible");
pub(super) const PROTOCOL_VERSION: ErrorReply =
    ErrorReply::new("ERR Protocol version is not an integer or out of range");
pub(super) const NO_PROTOCOL: ErrorReply = ErrorReply::new("NOPROTO unsupported protocol version");
pub(super) const WRONG_PASSWORD: ErrorReply =
    ErrorReply::new("WRONGPASS invalid username-password pair or user is disabled.");
pub(super) const NO_PASSWORD: ErrorReply = ErrorReply::new(
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
     configuration is correct?",
);
pub(super) const NO_SHUTDOWN: ErrorReply = ErrorReply::new("ERR No shutdown in progress.");

/// So many bytes of a word are repeated in an error; Redis' number.
const WORD_BYTES_MAX: usize = 128;

/// A word as C prints it with a precision: up to its first zero byte, and not more than `max` bytes.
fn printed(word: &[u8], max: usize) -> &[u8] {
    let end = word.iter().take(max).position(|byte| *byte == 0).unwrap_or(word.len().min(max));
    &word[..end]
}

fn with_word(before: &str, word: &[u8], after: &str) -> ErrorReply {
    let mut line = before.as_bytes().to_vec();
    line.extend_from_slice(printed(word, WORD_BYTES_MAX));
    line.extend_from_slice(after.as_bytes());
    ErrorReply::with_words(line)
}

pub(super) fn unknown_command(args: &Args) -> ErrorReply {
    let mut beginning = Vec::new();
    for arg in &args[1..] {
        let Some(room) = WORD_BYTES_MAX.checked_sub(beginning.len()).filter(|room| *room > 0) else { break };
        beginning.push(b'\'');
        beginning.extend_from_slice(printed(arg, room));
        beginning.extend_from_slice(b"' ");
    }
    let mut line = b"ERR unknown command '".to_vec();
    line.extend_from_slice(printed(&args[0], WORD_BYTES_MAX));
    line.extend_from_slice(b"', with args beginning with: ");
    line.extend_from_slice(&beginning);
    ErrorReply::with_words(line)
}

pub(super) fn unknown_subcommand(container: &str, word: &SmallBytes) -> ErrorReply {
    let try_help = format!("'. Try {} HELP.", container.to_ascii_uppercase());
    with_word("ERR unknown subcommand '", word, &try_help)
}

/// The error of the containers that check their own subcommands.
pub(super) fn subcommand_or_arguments(container: &str, word: &SmallBytes) -> ErrorReply {
    let try_help = format!("'. Try {container} HELP.");
    with_word("ERR unknown subcommand or wrong number of arguments for '", word, &try_help)
}

pub(super) fn arguments(name: &str) -> ErrorReply {
    format!("ERR wrong number of arguments for '{name}' command").into()
}

pub(super) fn expire_time(name: &str) -> ErrorReply {
    format!("ERR invalid expire time in '{name}' command").into()
}

pub(super) fn unsupported_option(word: &SmallBytes) -> ErrorReply {
    with_word("ERR Unsupported option ", word, "")
}

pub(super) fn hello_option(word: &SmallBytes) -> ErrorReply {
    with_word("ERR Syntax error in HELLO option '", word, "'")
}

pub(super) fn client_type(word: &SmallBytes) -> ErrorReply {
    with_word("ERR Unknown client type '", word, "'")
}

/// What a connection with subscriptions gets for any other command.
pub(crate) struct PubsubOnly(pub(crate) &'static str);

impl From<PubsubOnly> for ErrorReply {
    fn from(error: PubsubOnly) -> Self {
        let mut line = String::new();
        write!(
            line,
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
             context",
            error.0
        )
        .expect("a string takes everything");
        line.into()
    }
}

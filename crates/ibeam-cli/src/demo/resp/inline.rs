//! Inline commands: a line of words, as one types it into a terminal.
//!
//! Words are separated by white space. Within `"…"` the escapes `\n \r \t \b \a \xHH` stand for bytes and any other
//! escaped character for itself; within `'…'` only `\'` is one. A closing quote must end its word.

use super::decode::{Args, ProtocolError};
use crate::demo::small_bytes::SmallBytes;

/// Splits a line (a final `\r` is white space) into its words; empty if there is none.
///
/// # Errors
/// [`ProtocolError::UnbalancedQuotes`].
pub(super) fn split(line: &[u8]) -> Result<Args, ProtocolError> {
    let mut args = Args::new();
    let mut rest = line;
    loop {
        rest = skip_spaces(rest);
        if rest.is_empty() {
            return Ok(args);
        }
        let plain = rest.iter().position(|byte| is_space(*byte) || matches!(byte, b'"' | b'\''));
        match plain {
            // The usual word: no quotes in it.
            None => {
                args.push(SmallBytes::copy_from_slice(rest));
                return Ok(args);
            }
            Some(end) if is_space(rest[end]) => {
                args.push(SmallBytes::copy_from_slice(&rest[..end]));
                rest = &rest[end..];
            }
            Some(_) => {
                let mut word = Vec::new();
                rest = quoted_word(rest, &mut word)?;
                args.push(SmallBytes::from(word));
            }
        }
    }
}

/// C's `isspace`, which Redis uses.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn skip_spaces(rest: &[u8]) -> &[u8] {
    let start = rest.iter().position(|byte| !is_space(*byte)).unwrap_or(rest.len());
    &rest[start..]
}

/// Reads a word with quotes somewhere in it; what follows the word.
fn quoted_word<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        match *rest {
            [] => return Ok(rest),
            [byte, ..] if is_space(byte) => return Ok(rest),
            [quote @ (b'"' | b'\''), ref inner @ ..] => {
                rest = if quote == b'"' { double(inner, word)? } else { single(inner, word)? };
                if rest.first().is_some_and(|byte| !is_space(*byte)) {
                    return Err(ProtocolError::UnbalancedQuotes);
                }
                return Ok(rest);
            }
            [byte, ref after @ ..] => {
                word.push(byte);
                rest = after;
            }
        }
    }
}

/// Reads up to the closing `"`.
fn double<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, after) = match *rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'"', ref after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, ref after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex(high) << 4 | hex(low), after)
            }
            [b'\\', escaped, ref after @ ..] => {
                let byte = match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => other,
                };
                (byte, after)
            }
            [byte, ref after @ ..] => (byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

/// Reads up to the closing `'`.
fn single<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, after) = match *rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'\'', ref after @ ..] => return Ok(after),
            [b'\\', b'\'', ref after @ ..] => (b'\'', after),
            [byte, ref after @ ..] => (byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line was sent to redis-server 7.0.15 behind `ECHO`, or as it stands where it has several words.
    #[test]
    fn splits_as_redis_does() {
        for (line, words) in [
            (&b""[..], Some(&[][..])),
            (b" \t\x0b\x0c\r", Some(&[][..])),
            (b"a", Some(&[&b"a"[..]][..])),
            (b" a  b\tc\r", Some(&[b"a", b"b", b"c"])),
            (b"\"a b\"", Some(&[b"a b"])),
            (b"\"\" ''", Some(&[b"", b""])),
            (b"a\"b c\"", Some(&[b"ab c"])),
            (b"a'b c'", Some(&[b"ab c"])),
            (b"'a\\'b' 'a\\nb'", Some(&[b"a'b", b"a\\nb"])),
            (b"\"\\n\\r\\t\\b\\a\\\\\\\"\\q\"", Some(&[b"\n\r\t\x08\x07\\\"q"])),
            (b"\"\\x41\\xfF\\x4\\xg0\"", Some(&[b"A\xffx4xg0"])),
            (b"\\x41", Some(&[b"\\x41"])),
            (b"\"a", None),
            (b"'a", None),
            (b"\"a\\\"", None),
            (b"\"a\"b", None),
            (b"'a'b", None),
            (b"\"a\"\"b\"", None),
        ] {
            let got = split(line);
            let got = got.as_ref().map(|args| args.iter().map(|arg| arg.as_slice()).collect::<Vec<_>>());
            match words {
                Some(words) => assert_eq!(got, Ok(words.to_vec()), "{}", line.escape_ascii()),
                None => assert_eq!(got, Err(&ProtocolError::UnbalancedQuotes), "{}", line.escape_ascii()),
            }
        }
    }
}

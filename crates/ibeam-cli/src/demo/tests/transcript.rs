//! Dialogues with a server as text.
//!
//! ```text
//! == title            a new connection to an empty server
//! > SET k v           a request: an inline command, escapes as in Rust, `\r\n` follows; or
//! >> *1\r\n$4…        raw bytes, nothing follows
//! < +OK               its reply, line by line, `\r\n` follows each
//! closed              the server closed the connection
//! # comment
//! ```

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;

pub(super) struct Dialogue {
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
}

/// A request and what came of it.
pub(super) struct Line {
    pub(super) request: Vec<u8>,
    pub(super) reply: Vec<u8>,
    pub(super) closed: bool,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, ">> {}", self.request.escape_ascii())?;
        for line in self.reply.split_inclusive(|byte| *byte == b'\n') {
            writeln!(f, "< {}", line.escape_ascii())?;
        }
        if self.closed { f.write_str("closed") } else { Ok(()) }
    }
}

/// Reads a file of dialogues.
pub(super) fn dialogues(text: &str) -> Vec<Dialogue> {
    let mut dialogues: Vec<Dialogue> = Vec::new();
    for line in text.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix("== ") {
            dialogues.push(Dialogue { title: title.to_owned(), lines: Vec::new() });
            continue;
        }
        let lines = &mut dialogues.last_mut().expect("a title comes first").lines;
        if let Some(raw) = line.strip_prefix(">> ") {
            lines.push(Line { request: unescape(raw), reply: Vec::new(), closed: false });
        } else if let Some(command) = line.strip_prefix("> ") {
            let request = [&unescape(command)[..], b"\r\n"].concat();
            lines.push(Line { request, reply: Vec::new(), closed: false });
        } else {
            let last = lines.last_mut().expect("a request comes first");
            if let Some(reply) = line.strip_prefix("< ") {
                last.reply.extend(unescape(reply));
                last.reply.extend_from_slice(b"\r\n");
            } else {
                assert_eq!(line, "closed");
                last.closed = true;
            }
        }
    }
    dialogues
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'\\', [b'n', after @ ..]) => (b'\n', after),
            (b'\\', [b'r', after @ ..]) => (b'\r', after),
            (b'\\', [b't', after @ ..]) => (b'\t', after),
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = str::from_utf8(&digits).expect("hexadecimal");
                (u8::from_str_radix(digits, 16).expect("hexadecimal"), after)
            }
            (b'\\', [escaped, after @ ..]) => (*escaped, after),
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    bytes
}

/// How long the reply at the start of `bytes` is; `None` if it is not complete.
pub(super) fn reply_len(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let number = || str::from_utf8(&bytes[1..end - 2]).ok()?.parse::<i64>().ok();
    match bytes[0] {
        b'$' => {
            let len = usize::try_from(number()?).map_or(end, |len| end + len + 2);
            (bytes.len() >= len).then_some(len)
        }
        b'*' => {
            let mut len = end;
            for _ in 0..number()? {
                len += reply_len(&bytes[len..])?;
            }
            Some(len)
        }
        b'+' | b'-' | b':' => Some(end),
        other => panic!("not a reply: {}", other.escape_ascii()),
    }
}

/// Has the dialogue with a real server. A PING with a word of its own marks the end of each reply.
pub(super) fn speak(address: &str, dialogue: &Dialogue) -> Vec<Line> {
    const MARK: &[u8] = b"$4\r\n-xx-\r\n";
    let mut stream = TcpStream::connect(address).expect("a server listens");
    stream.write_all(b"FLUSHALL\r\n").expect("sent");
    let mut flushed = [0; 5];
    stream.read_exact(&mut flushed).expect("read");
    let mut spoken = Vec::new();
    for line in &dialogue.lines {
        let request = line.request.clone();
        // A server that closes meanwhile resets the connection; what it said can still be read.
        let sent = stream.write_all(&request).and_then(|()| stream.write_all(b"PING -xx-\r\n"));
        let (mut reply, mut buffer, mut closed) = (Vec::new(), [0; 4096], sent.is_err());
        while !reply.ends_with(MARK) {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => {
                    closed = true;
                    break;
                }
                Ok(len) => reply.extend_from_slice(&buffer[..len]),
            }
        }
        if !closed {
            let pong = b"*2\r\n$4\r\npong\r\n";
            reply.truncate(reply.len() - MARK.len());
            if reply.ends_with(pong) {
                reply.truncate(reply.len() - pong.len());
            }
        }
        spoken.push(Line { request, reply, closed });
    }
    spoken
}

//! What is to be written to a connection: encoded replies, and large values without a copy.
//!
//! # Invariants
//! 1. Bytes leave in the order in which they were put in: `queue` first, then `tail`.
//! 2. `remaining` is what a slow reader costs; the connection stops reading requests while it is over its limit.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use super::reply::{ErrorReply, Reply};
use crate::demo::small_bytes::SmallBytes;

/// From this length on a value is queued as it is instead of being copied.
const SHARE: usize = 16 * 1024;

/// An empty output keeps at most this much memory for the next replies.
const KEEP: usize = 64 * 1024;

/// Encoded replies that were not written yet; read it as a [`Buf`].
#[derive(Debug, Default)]
pub(crate) struct Output {
    queue: VecDeque<Bytes>,
    queued: usize,
    tail: Vec<u8>,
    /// The start of `tail` that was written already.
    written: usize,
}

impl Output {
    /// Appends a reply.
    #[inline]
    pub(crate) fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::Simple(text) => self.line(b'+', text.as_bytes()),
            Reply::Error(error) => self.error(&error),
            Reply::Integer(number) => self.number(b':', number),
            Reply::Bulk(value) => self.bulk(value),
            Reply::Nil => self.tail.extend_from_slice(b"$-1\r\n"),
            Reply::Array(items) => {
                self.array(items.len());
                for item in items {
                    self.reply(item);
                }
            }
        }
    }

    /// Appends an error.
    pub(crate) fn error(&mut self, error: &ErrorReply) {
        self.line(b'-', error.as_bytes());
    }

    /// Appends an array's head; its `len` items follow.
    #[inline]
    pub(crate) fn array(&mut self, len: usize) {
        self.number(b'*', len as i64);
    }

    /// Appends a value.
    #[inline]
    pub(crate) fn bulk(&mut self, value: SmallBytes) {
        self.number(b'$', value.len() as i64);
        if value.len() < SHARE {
            self.tail.extend_from_slice(&value);
        } else {
            self.share(value.into_bytes());
        }
        self.tail.extend_from_slice(b"\r\n");
    }

    /// Appends what is encoded already, such as a [`message_frame`].
    pub(crate) fn frame(&mut self, frame: Bytes) {
        if frame.len() < SHARE {
            self.tail.extend_from_slice(&frame);
        } else {
            self.share(frame);
        }
    }

    fn share(&mut self, bytes: Bytes) {
        let mut before = Bytes::from(std::mem::take(&mut self.tail));
        before.advance(std::mem::take(&mut self.written));
        for chunk in [before, bytes] {
            if !chunk.is_empty() {
                self.queued += chunk.len();
                self.queue.push_back(chunk);
            }
        }
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.tail.reserve(text.len() + 3);
        self.tail.push(kind);
        self.tail.extend_from_slice(text);
        self.tail.extend_from_slice(b"\r\n");
    }

    #[inline]
    fn number(&mut self, kind: u8, number: i64) {
        number_line(&mut self.tail, kind, number);
    }
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        self.queued + self.tail.len() - self.written
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map_or(&self.tail[self.written..], |first| first)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = Some(&self.tail[self.written..]).filter(|tail| !tail.is_empty());
        let chunks = self.queue.iter().map(|chunk| &chunk[..]).chain(tail);
        slices.iter_mut().zip(chunks).map(|(slice, chunk)| *slice = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining(), "advanced by {count} of {} bytes", self.remaining());
        while let Some(first) = self.queue.front_mut() {
            if count < first.len() {
                first.advance(count);
                self.queued -= count;
                return;
            }
            count -= first.len();
            self.queued -= first.len();
            self.queue.pop_front();
        }
        self.written += count;
        if self.written == self.tail.len() {
            self.written = 0;
            self.tail.clear();
            if self.tail.capacity() > KEEP {
                self.tail = Vec::new();
            }
        }
    }
}

#[inline]
fn number_line(out: &mut Vec<u8>, kind: u8, number: i64) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number).as_bytes();
    // One copy of a line that was put together in place is cheaper than three appends.
    let mut line = [0; 24];
    line[0] = kind;
    line[1..=digits.len()].copy_from_slice(digits);
    line[digits.len() + 1..digits.len() + 3].copy_from_slice(b"\r\n");
    out.extend_from_slice(&line[..digits.len() + 3]);
}

/// A published message as each subscriber of its channel gets it.
pub(crate) fn message_frame(channel: &[u8], message: &[u8]) -> Bytes {
    frame(&[b"message", channel, message])
}

/// A published message as each subscriber of a matching pattern gets it.
pub(crate) fn pmessage_frame(pattern: &[u8], channel: &[u8], message: &[u8]) -> Bytes {
    frame(&[b"pmessage", pattern, channel, message])
}

fn frame(items: &[&[u8]]) -> Bytes {
    let len: usize = items.iter().map(|item| item.len() + 25).sum();
    let mut frame = Vec::with_capacity(len + 5);
    number_line(&mut frame, b'*', items.len() as i64);
    for item in items {
        number_line(&mut frame, b'$', item.len() as i64);
        frame.extend_from_slice(item);
        frame.extend_from_slice(b"\r\n");
    }
    frame.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(output: &mut Output) -> Vec<u8> {
        let len = output.remaining();
        let bytes = output.copy_to_bytes(len).to_vec();
        assert!(!output.has_remaining());
        bytes
    }

    #[test]
    fn encodes_every_kind() {
        for (reply, bytes) in [
            (Reply::OK, &b"+OK\r\n"[..]),
            (ErrorReply::new("ERR syntax error").into(), b"-ERR syntax error\r\n"),
            (Reply::Integer(0), b":0\r\n"),
            (Reply::Integer(i64::MIN), b":-9223372036854775808\r\n"),
            (Reply::bulk(""), b"$0\r\n\r\n"),
            (Reply::bulk("a\r\nb"), b"$4\r\na\r\nb\r\n"),
            (Reply::Nil, b"$-1\r\n"),
            (Reply::Array(vec![]), b"*0\r\n"),
            (
                Reply::Array(vec![Reply::bulk("a"), Reply::Array(vec![Reply::Nil]), Reply::Integer(-1)]),
                b"*3\r\n$1\r\na\r\n*1\r\n$-1\r\n:-1\r\n",
            ),
        ] {
            let mut output = Output::default();
            output.reply(reply);
            assert_eq!(drain(&mut output).escape_ascii().to_string(), bytes.escape_ascii().to_string());
        }
    }

    #[test]
    fn encodes_messages() {
        assert_eq!(&message_frame(b"ch", b"hi")[..], b"*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n");
        assert_eq!(
            &pmessage_frame(b"c*", b"ch", b"")[..],
            b"*4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$2\r\nch\r\n$0\r\n\r\n"
        );
    }

    #[test]
    fn large_values_are_not_copied_and_keep_their_place() {
        let large = Bytes::from(vec![b'x'; SHARE]);
        let mut output = Output::default();
        output.reply(Reply::Integer(1));
        output.reply(Reply::Bulk(large.clone().into()));
        output.reply(Reply::Integer(2));
        output.frame(large.clone());
        let mut expected = b":1\r\n$16384\r\n".to_vec();
        expected.extend_from_slice(&large);
        expected.extend_from_slice(b"\r\n:2\r\n");
        expected.extend_from_slice(&large);
        assert_eq!(output.remaining(), expected.len());
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(output.chunks_vectored(&mut slices), 4);
        assert_eq!(slices[1].as_ptr(), large.as_ptr(), "shared");
        assert_eq!(drain(&mut output), expected);
    }

    #[test]
    fn writes_may_stop_anywhere() {
        for step in [1, 3, 1000, 20_000] {
            let mut output = Output::default();
            let (mut expected, mut got) = (Vec::new(), Vec::new());
            for round in 0..4 {
                let value = vec![b'a' + round; if round % 2 == 0 { 10 } else { SHARE }];
                expected.extend_from_slice(format!("${}\r\n", value.len()).as_bytes());
                expected.extend_from_slice(&value);
                expected.extend_from_slice(b"\r\n");
                output.bulk(value.into());
                let count = step.min(output.remaining());
                got.extend_from_slice(&output.copy_to_bytes(count));
            }
            got.extend_from_slice(&drain(&mut output));
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn an_empty_output_keeps_little_memory() {
        let mut output = Output::default();
        for _ in 0..1000 {
            output.bulk(vec![b'x'; 1000].into());
        }
        drain(&mut output);
        assert_eq!(output.tail.capacity(), 0);
    }
}

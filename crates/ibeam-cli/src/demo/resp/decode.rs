//! The request decoder: bytes as they arrive in, whole requests out.
//!
//! # Invariants
//! 1. Each byte is looked at a constant number of times, however it is cut into reads: what was decoded is taken out
//!    of the input at once, and `scanned` remembers how far a line without an end was searched.
//! 2. Memory follows what was received, not what was announced: arguments are pushed as they arrive, and
//!    [`Decoder::make_room`] at most doubles what is there.
//! 3. No argument shares memory with the read buffer (a stored byte would keep all of it alive), except that an
//!    argument of at least [`OWN_BUFFER`] bytes gets the buffer for itself, without a copy.
//! 4. After an error every further call returns that error.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use smallvec::SmallVec;

use super::inline;
use crate::demo::number::parse_i64;
use crate::demo::small_bytes::SmallBytes;

/// The words of one request, its command's name first; never empty.
///
/// Three need no allocation, which is a plain SET; with a fourth each move would be over 128 bytes and a call.
pub(crate) type Args = SmallVec<[SmallBytes; 3]>;

/// From this length on an incomplete argument is received into a buffer of its own. Redis uses the same number
/// (`PROTO_MBULK_BIG_ARG`); below it a copy is cheaper than a buffer.
const OWN_BUFFER: usize = 32 * 1024;

/// How much room a read should find.
const READ: usize = 16 * 1024;

/// A line of the protocol (`*3`, `$12`) or an inline command may be this long: Redis' `PROTO_INLINE_MAX_SIZE`.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// What a request costs beside its bytes, counted against [`Limits::request_bytes_max`].
const ARG_OVERHEAD: usize = size_of::<SmallBytes>();

/// How large a request may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of one argument; Redis' `proto-max-bulk-len`.
    pub(crate) bulk_bytes_max: usize,
    /// Arguments of one request, its name included.
    pub(crate) args_max: usize,
    /// Bytes of all arguments of one request, 32 for each argument included. Redis bounds the same thing by
    /// `client-query-buffer-limit`.
    pub(crate) request_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bulk_bytes_max: 512 << 20, args_max: 1 << 20, request_bytes_max: 1 << 30 }
    }
}

/// Why a stream cannot be read any further. Displayed as Redis words it, without `-ERR Protocol error: `.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    /// The number after `*` is none, or over the limit.
    MultibulkLength,
    /// The number after `$` is none, negative, or over the limit.
    BulkLength,
    /// An argument starts with this byte instead of `$`.
    ExpectedDollar { got: u8 },
    /// No end of an inline command.
    InlineTooBig,
    /// No end of a line that starts with `*`.
    MultibulkCountTooBig,
    /// No end of a line that should start with `$`.
    BulkCountTooBig,
    /// An inline command's quotes do not match.
    UnbalancedQuotes,
    /// All arguments together are over the limit. Redis closes such a connection without a word.
    RequestTooBig,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MultibulkLength => "invalid multibulk length",
            Self::BulkLength => "invalid bulk length",
            Self::ExpectedDollar { got } => return write!(f, "expected '$', got '{}'", char::from(*got)),
            Self::InlineTooBig => "too big inline request",
            Self::MultibulkCountTooBig => "too big mbulk count string",
            Self::BulkCountTooBig => "too big bulk count string",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::RequestTooBig => "too big request",
        })
    }
}

impl std::error::Error for ProtocolError {}

/// Decodes the requests of one connection.
#[derive(Debug)]
pub(crate) struct Decoder {
    limits: Limits,
    /// What arrived of the current request.
    args: Args,
    /// How many arguments of the current request are still to come; 0 between requests.
    missing: usize,
    /// The announced length of the argument that is arriving.
    bulk: Option<usize>,
    /// The input's first bytes that are known to hold no end of line.
    scanned: usize,
    request_bytes: usize,
    /// The input holds nothing but the arriving argument and was allocated for it.
    owns_input: bool,
    failed: Option<ProtocolError>,
}

/// What a look for a line found.
enum Line {
    /// The line's end without its terminator.
    Until(usize),
    Incomplete,
    TooLong,
}

impl Decoder {
    /// A decoder for a new connection.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            args: Args::new(),
            missing: 0,
            bulk: None,
            scanned: 0,
            request_bytes: 0,
            owns_input: false,
            failed: None,
        }
    }

    /// Takes the next request off `input`; `None` if more bytes are needed.
    ///
    /// Between two calls `input` may only be appended to. Empty requests (`*0`, an empty line) are skipped, as Redis
    /// does.
    ///
    /// # Errors
    /// The stream cannot be trusted any more: answer with the error and close the connection.
    #[inline]
    pub(crate) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Args>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.step(input).inspect_err(|error| {
            self.failed = Some(*error);
            self.args = Args::new();
        })
    }

    fn step(&mut self, input: &mut BytesMut) -> Result<Option<Args>, ProtocolError> {
        let mut at = 0;
        loop {
            // Between two requests.
            if self.missing == 0 {
                match input.get(at) {
                    None => break,
                    Some(b'*') => match self.line(input, at) {
                        Line::Incomplete => break,
                        Line::TooLong => return Err(ProtocolError::MultibulkCountTooBig),
                        Line::Until(end) => {
                            let count =
                                parse_i64(&input[at + 1..end]).ok_or(ProtocolError::MultibulkLength)?;
                            at = end + 2;
                            if count <= 0 {
                                continue;
                            }
                            self.missing = usize::try_from(count)
                                .ok()
                                .filter(|count| *count <= self.limits.args_max)
                                .ok_or(ProtocolError::MultibulkLength)?;
                            self.request_bytes = 0;
                        }
                    },
                    Some(_) => {
                        let Some(end) = self.inline_line(&input[at..])? else { break };
                        let args = inline::split(&input[at..at + end])?;
                        at += end + 1;
                        if args.is_empty() {
                            continue;
                        }
                        input.advance(at);
                        return Ok(Some(args));
                    }
                }
            }
            // An argument's length,
            let len = match self.bulk {
                Some(len) => len,
                None => match self.line(input, at) {
                    Line::Incomplete => break,
                    Line::TooLong => return Err(ProtocolError::BulkCountTooBig),
                    Line::Until(end) => {
                        let len = self.bulk_length(&input[at..end], input[at])?;
                        at = end + 2;
                        self.bulk = Some(len);
                        len
                    }
                },
            };
            // and the argument.
            if input.len() - at < len + 2 {
                if len >= OWN_BUFFER && !self.owns_input {
                    let mut own = BytesMut::with_capacity((input.len() - at).max(READ));
                    own.extend_from_slice(&input[at..]);
                    *input = own;
                    self.owns_input = true;
                    return Ok(None);
                }
                break;
            }
            let arg = if self.owns_input {
                // `at` is 0 here: nothing but this argument was in the buffer when it was set.
                self.owns_input = false;
                take_buffer(input, len)
            } else {
                let arg = SmallBytes::copy_from_slice(&input[at..at + len]);
                at += len + 2;
                arg
            };
            self.bulk = None;
            self.args.push(arg);
            self.missing -= 1;
            if self.missing == 0 {
                input.advance(at);
                return Ok(Some(std::mem::take(&mut self.args)));
            }
        }
        input.advance(at);
        Ok(None)
    }

    /// Looks for the `\r` that ends the line at `at` and for the byte behind it, which Redis does not look at either.
    #[inline]
    fn line(&mut self, input: &[u8], at: usize) -> Line {
        let rest = &input[at..];
        // Lengths are short: a plain loop beats a call to `memchr`.
        match rest[self.scanned..].iter().position(|byte| *byte == b'\r') {
            Some(found) if self.scanned + found > LINE_BYTES_MAX => Line::TooLong,
            Some(found) if self.scanned + found + 1 < rest.len() => {
                let end = at + self.scanned + found;
                self.scanned = 0;
                Line::Until(end)
            }
            Some(found) => {
                self.scanned += found;
                Line::Incomplete
            }
            None if rest.len() > LINE_BYTES_MAX => Line::TooLong,
            None => {
                self.scanned = rest.len();
                Line::Incomplete
            }
        }
    }

    /// Where the inline command at the start of `rest` ends (its `\n`).
    fn inline_line(&mut self, rest: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let found = memchr::memchr(b'\n', &rest[self.scanned..]).map(|found| self.scanned + found);
        if found.unwrap_or(rest.len()) > LINE_BYTES_MAX {
            return Err(ProtocolError::InlineTooBig);
        }
        self.scanned = if found.is_some() { 0 } else { rest.len() };
        Ok(found)
    }

    #[inline]
    fn bulk_length(&mut self, line: &[u8], first: u8) -> Result<usize, ProtocolError> {
        if first != b'$' {
            return Err(ProtocolError::ExpectedDollar { got: first });
        }
        let len = parse_i64(&line[1..])
            .and_then(|len| usize::try_from(len).ok())
            .filter(|len| *len <= self.limits.bulk_bytes_max)
            .ok_or(ProtocolError::BulkLength)?;
        self.request_bytes += len + ARG_OVERHEAD;
        if self.request_bytes > self.limits.request_bytes_max {
            return Err(ProtocolError::RequestTooBig);
        }
        Ok(len)
    }

    /// Whether an `input` without bytes may be replaced by another one: it was not allocated for an argument.
    pub(crate) fn takes_any_input(&self) -> bool {
        !self.owns_input
    }

    /// Makes room in `input` for the next read: usually 16 KiB; within a large argument as much as is missing, but not
    /// more than what has arrived of it already.
    pub(crate) fn make_room(&self, input: &mut BytesMut) {
        match self.bulk {
            Some(len) if self.owns_input => {
                // Exact at the end, so that the argument's buffer becomes the value without spare bytes.
                let wanted = (len + 2).min((2 * input.len()).max(READ));
                if input.capacity() - input.len() < READ / 4 && input.capacity() < wanted {
                    let mut larger = BytesMut::with_capacity(wanted);
                    larger.extend_from_slice(input);
                    *input = larger;
                }
            }
            _ if input.is_empty() && input.capacity() > 4 * READ => {
                *input = BytesMut::with_capacity(READ);
            }
            _ if input.capacity() - input.len() < READ / 4 => input.reserve(READ),
            _ => {}
        }
    }
}

/// Makes `input`'s first `len` bytes a value and leaves what follows them and their `\r\n`.
fn take_buffer(input: &mut BytesMut, len: usize) -> SmallBytes {
    if input.capacity() / 2 > len {
        // Somebody gave the buffer more room than `make_room` does: not worth keeping.
        let value = SmallBytes::from(Bytes::copy_from_slice(&input[..len]));
        input.advance(len + 2);
        return value;
    }
    let mut rest = BytesMut::with_capacity((input.len() - len - 2).max(READ));
    rest.extend_from_slice(&input[len + 2..]);
    input.truncate(len);
    SmallBytes::from(std::mem::replace(input, rest).freeze())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: Limits = Limits { bulk_bytes_max: 1000, args_max: 10, request_bytes_max: 5000 };

    /// Feeds `reads` one by one; all requests and how it ended.
    fn feed<'a>(
        limits: Limits,
        reads: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<Vec<Vec<u8>>>, Result<(), ProtocolError>) {
        let mut decoder = Decoder::new(limits);
        let mut input = BytesMut::new();
        let mut requests = Vec::new();
        for read in reads {
            decoder.make_room(&mut input);
            input.extend_from_slice(read);
            loop {
                match decoder.decode(&mut input) {
                    Ok(Some(args)) => requests.push(args.iter().map(|arg| arg.to_vec()).collect()),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(decoder.decode(&mut input), Err(error), "invariant 4");
                        return (requests, Err(error));
                    }
                }
            }
        }
        (requests, Ok(()))
    }

    /// `bytes` at once and byte by byte give `requests`, joined with spaces.
    #[track_caller]
    fn check(bytes: &[u8], requests: &[&str], end: Result<(), ProtocolError>) {
        for (got, got_end) in [feed(SMALL, [bytes]), feed(SMALL, bytes.chunks(1))] {
            let got: Vec<_> =
                got.iter().map(|args| String::from_utf8(args.join(&b' ')).expect("ascii")).collect();
            assert_eq!((got, got_end), (requests.iter().map(ToString::to_string).collect(), end));
        }
    }

    #[test]
    fn decodes_arrays_of_bulk_strings() {
        check(b"*1\r\n$4\r\nPING\r\n", &["PING"], Ok(()));
        check(b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n", &["GET ", "PING"], Ok(()));
        check(b"*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\r\n\r\n", &["ECHO \r\n\r\n"], Ok(()));
        check(b"*0\r\n*-1\r\n*-5\r\n*1\r\n$4\r\nPING\r\n", &["PING"], Ok(()));
        check(b"*2\r\n$4\r\nPING\r\n$1", &[], Ok(()));
        // Redis does not look at the bytes where it expects `\n` and `\r\n`.
        check(b"*1\rX$4\rYPINGxxPING\r\n", &["PING", "PING"], Ok(()));
    }

    #[test]
    fn decodes_inline_commands() {
        check(b"PING\r\n", &["PING"], Ok(()));
        check(b"\r\n\n   \r\n set  a\t'b c' \n*1\r\n$4\r\nPING\r\n", &["set a b c", "PING"], Ok(()));
    }

    #[test]
    fn refuses_what_redis_refuses() {
        use ProtocolError::*;
        for (bytes, error) in [
            (&b"*x\r\n"[..], MultibulkLength),
            (b"*\r\n", MultibulkLength),
            (b"*+1\r\n", MultibulkLength),
            (b"*01\r\n", MultibulkLength),
            (b"*11\r\n", MultibulkLength),
            (b"*99999999999999999999\r\n", MultibulkLength),
            (b"*1\r\n$-1\r\n", BulkLength),
            (b"*1\r\n$\r\n", BulkLength),
            (b"*1\r\n$x\r\n", BulkLength),
            (b"*1\r\n$1001\r\n", BulkLength),
            (b"*1\r\nfoo\r\n", ExpectedDollar { got: b'f' }),
            (b"*1\r\n\r\n", ExpectedDollar { got: b'\r' }),
            (b"*1\r\n*1\r\n$1\r\na\r\n", ExpectedDollar { got: b'*' }),
            (b"PING \"a\r\n", UnbalancedQuotes),
        ] {
            check(bytes, &[], Err(error));
            check(&[b"PING\r\n", bytes].concat(), &["PING"], Err(error));
        }
        // Ten arguments fit, but not their bytes.
        let mut request = b"*10\r\n".to_vec();
        for _ in 0..10 {
            request.extend_from_slice(b"$900\r\n");
            request.extend_from_slice(&[b'x'; 900]);
            request.extend_from_slice(b"\r\n");
        }
        check(&request, &[], Err(RequestTooBig));
    }

    #[test]
    fn lines_end_or_are_refused_at_the_same_byte_however_they_arrive() {
        for (start, error) in [
            (&b"*"[..], ProtocolError::MultibulkCountTooBig),
            (b"*1\r\n$", ProtocolError::BulkCountTooBig),
            (b"x", ProtocolError::InlineTooBig),
        ] {
            let mut bytes = start.to_vec();
            bytes.resize(start.len() - 1 + LINE_BYTES_MAX, b'1');
            check(&bytes, &[], Ok(()));
            bytes.extend_from_slice(b"11\r\n");
            check(&bytes, &[], Err(error));
        }
        let mut longest = vec![b'x'; LINE_BYTES_MAX - 1];
        longest.extend_from_slice(b"\r\n");
        assert_eq!(feed(SMALL, [&longest[..]]).0.len(), 1);
    }

    #[test]
    fn a_large_argument_gets_its_own_buffer_and_only_as_it_arrives() {
        const LEN: usize = 1_000_000;
        let mut decoder = Decoder::new(Limits::default());
        let mut input = BytesMut::new();
        input.extend_from_slice(format!("*2\r\n$4\r\nECHO\r\n${LEN}\r\nabc").as_bytes());
        assert_eq!(decoder.decode(&mut input), Ok(None));
        let (mut received, mut buffers) = (3, 0);
        while received < LEN + 2 {
            let before = input.as_ptr();
            decoder.make_room(&mut input);
            buffers += usize::from(input.as_ptr() != before);
            assert!(input.capacity() <= (2 * received).max(READ), "invariant 2");
            let read = (input.capacity() - input.len()).min(1460).min(LEN + 2 - received);
            assert!(read > 0);
            input.extend_from_slice(&[b'x'; 1460][..read]);
            received += read;
            if received < LEN + 2 {
                assert_eq!(decoder.decode(&mut input), Ok(None));
            }
        }
        assert!(buffers < 10, "doubles: {buffers} buffers");
        let (pointer, capacity) = (input.as_ptr(), input.capacity());
        assert_eq!(capacity, LEN + 2);
        let args = decoder.decode(&mut input).expect("valid").expect("complete");
        assert_eq!(args[1].len(), LEN);
        assert_eq!(args[1].as_ptr(), pointer, "not copied");
        assert!(args[1].starts_with(b"abcxxx"));
        input.extend_from_slice(b"PING\r\n");
        assert_eq!(decoder.decode(&mut input).expect("valid").expect("complete")[0].as_slice(), b"PING");
    }

    #[test]
    fn small_arguments_do_not_keep_the_read_buffer() {
        let mut decoder = Decoder::new(Limits::default());
        let mut input = BytesMut::with_capacity(READ);
        let buffer = input.as_ptr_range();
        input.extend_from_slice(&[b"*1\r\n$100\r\n", &[b'x'; 100][..], b"\r\n"].concat());
        let args = decoder.decode(&mut input).expect("valid").expect("complete");
        assert!(!buffer.contains(&args[0].as_ptr()));
        drop(input);
        assert_eq!(args[0].as_slice(), [b'x'; 100]);
    }

    #[test]
    fn a_connection_that_is_idle_gives_a_large_buffer_back() {
        let decoder = Decoder::new(Limits::default());
        let mut input = BytesMut::with_capacity(1 << 20);
        decoder.make_room(&mut input);
        assert_eq!(input.capacity(), READ);
    }

    /// A slow client's request costs as much as a fast one's: no rescans. Fails by running for minutes.
    #[test]
    fn a_request_cut_into_single_bytes_is_linear() {
        let mut request = b"*50000\r\n".to_vec();
        for _ in 0..50_000 {
            request.extend_from_slice(b"$20\r\n01234567890123456789\r\n");
        }
        let (requests, end) = feed(Limits::default(), request.chunks(1));
        assert_eq!((requests.len(), requests[0].len(), end), (1, 50_000, Ok(())));
    }

    fn encode(args: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            bytes.extend_from_slice(arg);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }

    /// Cuts `bytes` at `cuts` (any numbers).
    fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let mut at: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
    }

    fn argument() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            8 => prop::collection::vec(any::<u8>(), 0..40),
            1 => (0..100_000_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn requests_survive_any_cut(
            requests in prop::collection::vec(prop::collection::vec(argument(), 1..6), 1..8),
            cuts in prop::collection::vec(any::<usize>(), 0..20),
        ) {
            let bytes: Vec<u8> = requests.iter().flat_map(|args| encode(args)).collect();
            let (got, end) = feed(Limits::default(), cut(&bytes, &cuts));
            prop_assert_eq!(end, Ok(()));
            prop_assert_eq!(got, requests);
        }

        #[test]
        fn any_bytes_end_the_same_however_they_are_cut(
            bytes in prop::collection::vec(
                prop_oneof![Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'"'), b'0'..b'4', any::<u8>()],
                0..200,
            ),
            cuts in prop::collection::vec(any::<usize>(), 0..20),
        ) {
            prop_assert_eq!(feed(SMALL, cut(&bytes, &cuts)), feed(SMALL, [&bytes[..]]));
        }
    }
}

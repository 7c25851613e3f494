//! The demo's protocol, compiled into a fuzz target as it stands: `ibeam-cli` is a program, so there is no library to ask for it.

#![allow(dead_code, unused_imports, reason = "a target uses a part of it")]

#[path = "../../crates/ibeam-cli/src/demo/number.rs"]
pub(crate) mod number;
#[path = "../../crates/ibeam-cli/src/demo/resp/mod.rs"]
pub(crate) mod resp;
#[path = "../../crates/ibeam-cli/src/demo/small_bytes.rs"]
pub(crate) mod small_bytes;

use bytes::BytesMut;
use resp::{Decoder, Limits, ProtocolError};

/// Small ones, so that inputs reach them.
pub(crate) const LIMITS: Limits = Limits { bulk_bytes_max: 40_000, args_max: 64, request_bytes_max: 50_000 };

/// What a read may find room for beside twice what has arrived; the decoder asks for 16 KiB.
const SPARE: usize = 64 * 1024;

/// What a connection makes of a stream that arrives in these pieces: its requests, and the error that ended it. Checks on the
/// way what the decoder promises of its memory.
pub(crate) fn decode<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
    let mut decoder = Decoder::new(LIMITS);
    let mut input = BytesMut::new();
    let mut requests = Vec::new();
    let mut received = 0;
    for piece in pieces {
        decoder.make_room(&mut input);
        assert!(input.capacity() <= 2 * received + SPARE, "{} bytes for {received}", input.capacity());
        input.extend_from_slice(piece);
        received += piece.len();
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(args)) => {
                    let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.to_vec()).collect();
                    assert!(!args.is_empty(), "a request has a name");
                    requests.push(args);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.decode(&mut input), Err(error), "an error stays");
                    return (requests, Some(error));
                }
            }
        }
    }
    (requests, None)
}

/// Cuts `stream` where `cuts` says: each byte is the length of a piece, again and again; none gives it as it is.
pub(crate) fn cut<'a>(mut stream: &'a [u8], cuts: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if stream.is_empty() {
            return None;
        }
        let length = if cuts.is_empty() { stream.len() } else { 1 + usize::from(cuts[at % cuts.len()]) };
        at += 1;
        let (piece, rest) = stream.split_at(length.min(stream.len()));
        stream = rest;
        Some(piece)
    })
}

/// The first byte says how many bytes of cuts follow; the rest is the stream.
pub(crate) fn cuts_and_stream(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((&count, rest)) = data.split_first() else { return (&[], &[]) };
    rest.split_at((usize::from(count) % 16).min(rest.len()))
}

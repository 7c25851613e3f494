//! Any bytes: the decoder does not panic, keeps its limits, and it does not matter how the bytes were cut into reads.

#![no_main]

mod demo;

use demo::LIMITS;
use libfuzzer_sys::fuzz_target;

/// Redis' limit of a line, and so of an inline command.
const LINE_BYTES_MAX: usize = 64 * 1024;

fuzz_target!(|data: &[u8]| {
    let (cuts, stream) = demo::cuts_and_stream(data);
    let whole = demo::decode(std::iter::once(stream));
    for request in &whole.0 {
        let bytes: usize = request.iter().map(Vec::len).sum();
        assert!(bytes <= stream.len(), "{bytes} bytes out of {}", stream.len());
        // An inline command is bounded by its line.
        assert!(bytes <= LIMITS.request_bytes_max.max(LINE_BYTES_MAX), "{bytes} bytes");
    }
    assert_eq!(demo::decode(demo::cut(stream, cuts)), whole);
    // Byte by byte is slow, and tells of a large argument nothing more.
    if stream.len() <= 1024 {
        assert_eq!(demo::decode(stream.chunks(1)), whole);
    }
});

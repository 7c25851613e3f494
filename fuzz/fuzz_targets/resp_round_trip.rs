//! Requests as a client writes them come out as they went in, however they are cut into reads.

#![no_main]

mod demo;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (cuts, words) = demo::cuts_and_stream(data);
    // A line is a request, with its words between zeros.
    let requests: Vec<Vec<Vec<u8>>> = words
        .split(|byte| *byte == b'\n')
        .map(|line| line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect::<Vec<_>>())
        .take_while(|words| words.len() <= demo::LIMITS.args_max)
        .collect();
    let mut stream = Vec::new();
    for request in &requests {
        stream.extend_from_slice(format!("*{}\r\n", request.len()).as_bytes());
        for word in request {
            stream.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            stream.extend_from_slice(word);
            stream.extend_from_slice(b"\r\n");
        }
    }
    assert_eq!(demo::decode(std::iter::once(&*stream)), (requests.clone(), None));
    assert_eq!(demo::decode(demo::cut(&stream, cuts)), (requests, None));
});

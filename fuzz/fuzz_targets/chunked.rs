//! Chunked bodies: no input panics, cuts change nothing, a simple reference decoder agrees, and what we write we read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlane::{
    http::{ChunkDecoder, ChunkError, ChunkEvent, LAST_CHUNK, encode_chunk_size},
    limits::{CHUNK_LINE_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX},
};

/// Data, trailers, and bytes consumed when the body ended.
#[derive(Debug, Default, PartialEq)]
struct Decoded {
    data: Vec<u8>,
    trailers: Vec<u8>,
    consumed: Option<usize>,
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    // Below every limit, which the reference does not know.
    if bytes.len() >= CHUNK_LINE_BYTES_MAX {
        return;
    }
    let whole = decode(bytes, bytes.len().max(1));
    assert_eq!(decode(bytes, usize::from(step).max(1)), whole);
    assert_eq!(decode(bytes, 1), whole);
    match (reference(bytes), whole) {
        (Some(expected), Ok(found)) => {
            assert_eq!((found.data, found.consumed), (expected.data, expected.consumed));
            if expected.consumed.is_some() {
                // Each line passed on is one of those received.
                let received = expected.trailers.split_inclusive(|byte| *byte == b'\n').collect::<Vec<_>>();
                for line in found.trailers.split_inclusive(|byte| *byte == b'\n') {
                    assert!(received.contains(&line) && line.ends_with(b"\r\n"));
                }
            }
        }
        (None, Err(_)) => {}
        (expected, found) => panic!("{expected:?} but {found:?}"),
    }
    round_trip(usize::from(step).max(1), bytes);
});

/// Decodes in pieces of `step` bytes.
fn decode(bytes: &[u8], step: usize) -> Result<Decoded, ChunkError> {
    let mut decoder = ChunkDecoder::new();
    let mut decoded = Decoded::default();
    let mut consumed = 0;
    for piece in bytes.chunks(step) {
        let mut rest = piece;
        loop {
            let (used, event) = decoder.next(rest)?;
            consumed += used;
            match event {
                ChunkEvent::More => {
                    assert_eq!(used, rest.len());
                    break;
                }
                ChunkEvent::Data(range) => {
                    assert!(!range.is_empty());
                    decoded.data.extend_from_slice(&rest[range]);
                }
                ChunkEvent::End => {
                    assert_eq!(decoder.next(b"GET /"), Ok((0, ChunkEvent::End)));
                    decoded.trailers = decoder.trailers().to_vec();
                    decoded.consumed = Some(consumed);
                    return Ok(decoded);
                }
            }
            rest = &rest[used..];
        }
    }
    Ok(decoded)
}

/// A decoder that needs no state, because it sees all bytes. `None` for a body that is malformed as far as it goes.
fn reference(bytes: &[u8]) -> Option<Decoded> {
    let mut decoded = Decoded::default();
    let mut rest = bytes;
    loop {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if digits > CHUNK_SIZE_DIGITS_MAX || (digits == 0 && !rest.is_empty()) {
            return None;
        }
        let Some(after) = size_line_end(&rest[digits..])? else { return Some(decoded) };
        let text = std::str::from_utf8(&rest[..digits]).ok()?;
        let size = usize::from_str_radix(text, 16).ok()?;
        rest = &rest[digits + after..];
        if size == 0 {
            break;
        }
        decoded.data.extend_from_slice(&rest[..size.min(rest.len())]);
        match rest.get(size..) {
            None | Some([] | b"\r") => return Some(decoded),
            Some([b'\r', b'\n', after @ ..]) => rest = after,
            Some(_) => return None,
        }
    }
    // The trailer section, line by line.
    loop {
        let Some(len) = rest.iter().position(|byte| *byte == b'\n') else { return Some(decoded) };
        let (line, after) = rest.split_at(len + 1);
        rest = after;
        let line = line.strip_suffix(b"\r\n")?;
        if line.is_empty() {
            decoded.consumed = Some(bytes.len() - rest.len());
            return Some(decoded);
        }
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if name.is_empty() || !name.iter().all(token) || value.iter().any(is_control) {
            return None;
        }
        decoded.trailers.extend_from_slice(line);
        decoded.trailers.extend_from_slice(b"\r\n");
    }
}

/// What follows the digits: `Some(Some(len))` to the end of the line, `Some(None)` when more is needed.
fn size_line_end(rest: &[u8]) -> Option<Option<usize>> {
    let blank = rest.iter().take_while(|byte| **byte == b' ' || **byte == b'\t').count();
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in rest.iter().enumerate().skip(blank) {
        if at == blank && *byte != b';' && (*byte != b'\r' || blank > 0) {
            return None;
        }
        match byte {
            b'\r' if !quoted => {
                return match rest.get(at + 1) {
                    None => Some(None),
                    Some(b'\n') => Some(Some(at + 2)),
                    Some(_) => None,
                };
            }
            byte if is_control(byte) => return None,
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    Some(None)
}

fn is_control(byte: &u8) -> bool {
    (*byte < b' ' && *byte != b'\t') || *byte == 0x7f
}

/// Any data cut into any chunks comes back.
fn round_trip(step: usize, data: &[u8]) {
    let mut out = Vec::new();
    for chunk in data.chunks(step) {
        encode_chunk_size(&mut out, chunk.len());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(LAST_CHUNK);
    out.extend_from_slice(b"\r\n");
    let expected = Decoded { data: data.to_vec(), trailers: Vec::new(), consumed: Some(out.len()) };
    assert_eq!(decode(&out, 7), Ok(expected));
}

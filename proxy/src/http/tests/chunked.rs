//! Chunked bodies: every malformed one, at every cut.

use crate::{
    http::{ChunkDecoder, ChunkError, ChunkEvent, LAST_CHUNK, encode_chunk_size},
    limits::{CHUNK_EXTENSION_BYTES_TOTAL_MAX, CHUNK_LINE_BYTES_MAX},
};

/// Data, trailers, and the number of bytes consumed when the body ended.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Decoded {
    pub(super) data: Vec<u8>,
    pub(super) trailers: Vec<u8>,
    pub(super) consumed: Option<usize>,
}

/// Decodes in pieces of `step` bytes.
pub(super) fn decode(bytes: &[u8], step: usize) -> Result<Decoded, ChunkError> {
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
                    assert!(!decoder.is_done() && decoder.trailers().is_empty());
                    break;
                }
                ChunkEvent::Data(range) => decoded.data.extend_from_slice(&rest[range]),
                ChunkEvent::End => {
                    assert!(decoder.is_done());
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

#[test]
fn whole_bodies() {
    let cases: &[(&str, &str, &str)] = &[
        ("0\r\n\r\n", "", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello", ""),
        ("5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "hello", "GET / HTTP/1.1\r\n"),
        ("1\r\na\r\n2\r\nbc\r\n000\r\n\r\n", "abc", ""),
        ("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", ""),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", ""),
        ("000000000000005\r\nhello\r\n000000000000000\r\n\r\n", "hello", ""),
        ("5;a\r\nhello\r\n0;b=c\r\n\r\n", "hello", ""),
        ("5;a=\"b;\\\"c\"\t;d\r\nhello\r\n0\r\n\r\n", "hello", ""),
        ("5 \t;a\r\nhello\r\n0 ;b\r\n\r\n", "hello", ""),
        ("5;\u{e9}\r\nhello\r\n0\r\n\r\n", "hello", ""),
        ("0\r\n\r\n\r\n", "", "\r\n"),
    ];
    for (bytes, data, rest) in cases {
        for step in 1..=bytes.len() {
            let decoded = decode(bytes.as_bytes(), step).unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
            assert_eq!(decoded.data, data.as_bytes(), "{bytes:?} by {step}");
            assert_eq!(decoded.consumed, Some(bytes.len() - rest.len()), "{bytes:?} by {step}");
        }
    }
}

#[test]
fn malformed_bodies() {
    let (hex, blank) = ("chunk size is not hexadecimal", "white space after the chunk size");
    let crlf = "chunk data is not followed by CRLF";
    let control = "control byte in a chunk extension";
    let name = "a trailer's name is not a token followed by a colon";
    let cases: &[(&[u8], &str)] = &[
        (b"\r\n", hex),
        (b"\r\n5\r\nhello\r\n", hex),
        (b" 5\r\nhello\r\n", hex),
        (b"\t5\r\n", hex),
        (b"+5\r\n", hex),
        (b"-5\r\n", hex),
        (b"-1\r\n", hex),
        (b"0x5\r\n", hex),
        (b"g\r\n", hex),
        (b";a\r\n", hex),
        (b"5_0\r\n", hex),
        (b"5,\r\n", hex),
        (b"5\0\r\n", hex),
        (b"5\xa0\r\n", hex),
        (b"5\x0b\r\n", hex),
        (b"\xef\xbc\x95\r\n", hex),
        (b"5 \r\nhello\r\n", blank),
        (b"5\t\r\nhello\r\n", blank),
        (b"5 a\r\nhello\r\n", blank),
        (b"5 5\r\nhello\r\n", blank),
        (b"5\nhello\n", "bare LF after the chunk size"),
        (b"5\rhello\r", "bare CR after the chunk size"),
        (b"5\r\rhello", "bare CR after the chunk size"),
        (b"0000000000000005\r\nhello\r\n", "chunk size has too many digits"),
        (b"ffffffffffffffff\r\n", "chunk size has too many digits"),
        (b"10000000000000005\r\n", "chunk size has too many digits"),
        (b"5;a\nhello\r\n", control),
        (b"5;a\0\r\nhello\r\n", control),
        (b"5;a\x7f\r\nhello\r\n", control),
        (b"5;a=\"\r\nhello\r\n", control),
        (b"5;a=\"\n\"\r\nhello\r\n", control),
        (b"5;a=\"\\\r\n\"\r\nhello\r\n", control),
        (b"5;a=\"b\r\nhello\r\n", control),
        (b"5;a\rb\r\nhello\r\n", "bare CR after the chunk size"),
        (b"5\r\nhello!\r\n", crlf),
        (b"5\r\nhello\n0\r\n\r\n", crlf),
        (b"5\r\nhello\r0\r\n", crlf),
        (b"5\r\nhello0\r\n", crlf),
        (b"5\r\nhello\r\n\r\n", hex),
        (b"0\r\nA: b\n\r\n", "bare LF in a trailer"),
        (b"0\r\n\n", "bare LF in a trailer"),
        (b"0\r\nA: b\rc\r\n\r\n", "control byte in a trailer"),
        (b"0\r\nA: b\0\r\n\r\n", "control byte in a trailer"),
        (b"0\r\nA: b\r\r\n\r\n", "control byte in a trailer"),
        (b"0\r\nA: b\r\n c\r\n\r\n", "line folding in a trailer"),
        (b"0\r\n A: b\r\n\r\n", "line folding in a trailer"),
        (b"0\r\nA : b\r\n\r\n", name),
        (b"0\r\nA\r\n\r\n", name),
        (b"0\r\n: b\r\n\r\n", name),
        (b"0\r\nA(: b\r\n\r\n", name),
        (b"0\r\n\rA: b\r\n\r\n", name),
        (b"0\r\nGET / HTTP/1.1\r\n\r\n", name),
    ];
    for (bytes, why) in cases {
        for step in 1..=bytes.len() {
            assert_eq!(
                decode(bytes, step),
                Err(ChunkError::Malformed(why)),
                "{} by {step}",
                bytes.escape_ascii()
            );
        }
    }
}

#[test]
fn unfinished_bodies_are_not_done() {
    let body = "5;a=\"b\"\r\nhello\r\n0\r\nA: b\r\n\r\n";
    for len in 0..body.len() {
        let decoded = decode(&body.as_bytes()[..len], 3).expect("a prefix of a good body");
        assert_eq!(decoded.consumed, None, "{len}");
    }
}

#[test]
fn extensions_are_bounded() {
    let line = |len: usize| format!("0;{}\r\n\r\n", "x".repeat(len - 2));
    for step in [1, 7, usize::MAX] {
        assert!(decode(line(CHUNK_LINE_BYTES_MAX).as_bytes(), step).is_ok());
        let refused = decode(line(CHUNK_LINE_BYTES_MAX + 1).as_bytes(), step);
        assert_eq!(refused, Err(ChunkError::TooLarge("chunk extension is too long")));
    }
    let each = 16;
    let chunks = |count: usize| format!("1;{}\r\nx\r\n", "y".repeat(each - 1)).repeat(count) + "0\r\n\r\n";
    let most = CHUNK_EXTENSION_BYTES_TOTAL_MAX / each;
    assert!(decode(chunks(most).as_bytes(), usize::MAX).is_ok());
    let refused = decode(chunks(most + 1).as_bytes(), usize::MAX);
    assert_eq!(refused, Err(ChunkError::TooLarge("too many chunk extensions in one body")));
}

#[test]
fn data_comes_in_the_largest_pieces_there_are() {
    let mut decoder = ChunkDecoder::new();
    let head = b"fffffffffffffff\r\n".len();
    let input = [&b"fffffffffffffff\r\n"[..], &[b'x'; 100_000]].concat();
    assert_eq!(decoder.next(&input), Ok((input.len(), ChunkEvent::Data(head..input.len()))));
    assert_eq!(decoder.next(&input), Ok((input.len(), ChunkEvent::Data(0..input.len()))));
    assert_eq!(decoder.next(b""), Ok((0, ChunkEvent::More)));
}

#[test]
fn chunk_sizes_are_written_in_hexadecimal() {
    let cases = [
        (0, "0"),
        (1, "1"),
        (9, "9"),
        (10, "a"),
        (15, "f"),
        (16, "10"),
        (255, "ff"),
        (65_536, "10000"),
        (usize::MAX, "ffffffffffffffff"),
    ];
    for (len, digits) in cases {
        let mut out = Vec::new();
        encode_chunk_size(&mut out, len);
        assert_eq!(out, format!("{digits}\r\n").into_bytes());
    }
    assert_eq!(LAST_CHUNK, b"0\r\n");
}

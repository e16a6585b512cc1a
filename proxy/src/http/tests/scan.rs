//! Where a head ends, and what is refused before it has.

use crate::http::{HeadError, HeadScan, Scan};

const MAX: usize = 64;

/// Scans bytes that come all at once.
fn scan(mut scan: HeadScan, bytes: &[u8]) -> Result<Scan, HeadError> {
    scan.advance(bytes, MAX)
}

/// The same for bytes that come one by one.
fn scan_slowly(mut scan: HeadScan, bytes: &[u8]) -> Result<Scan, HeadError> {
    for len in 0..bytes.len() {
        match scan.advance(&bytes[..len], MAX) {
            Ok(Scan::Partial) => {}
            done => return done,
        }
    }
    scan.advance(bytes, MAX)
}

fn check(scanner: &HeadScan, bytes: &[u8], expected: Result<Scan, HeadError>) {
    let shown = bytes.escape_ascii();
    assert_eq!(scan(scanner.clone(), bytes), expected, "{shown}");
    assert_eq!(scan_slowly(scanner.clone(), bytes), expected, "byte by byte: {shown}");
}

#[test]
fn requests_end_where_the_empty_line_ends() {
    let cases: &[(&str, Scan)] = &[
        ("", Scan::Partial),
        ("G", Scan::Partial),
        ("\r", Scan::Partial),
        ("\r\n", Scan::Partial),
        ("\r\n\r\nGET", Scan::Partial),
        ("GET / HTTP/1.1\r", Scan::Partial),
        ("GET / HTTP/1.1\r\n", Scan::Partial),
        ("GET / HTTP/1.1\r\nA: b\r\n\r", Scan::Partial),
        ("GET / HTTP/1.1\r\n\r\n", Scan::Complete { start: 0, end: 18 }),
        ("\r\nGET / HTTP/1.1\r\n\r\n", Scan::Complete { start: 2, end: 20 }),
        ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", Scan::Complete { start: 4, end: 22 }),
        ("GET / HTTP/1.1\r\nA: b\r\n\r\nrest", Scan::Complete { start: 0, end: 24 }),
        // What follows the head is not looked at.
        ("GET / HTTP/1.1\r\n\r\n\0\n\r", Scan::Complete { start: 0, end: 18 }),
        // A later version is for the parser to judge.
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Scan::Complete { start: 0, end: 18 }),
    ];
    for (bytes, expected) in cases {
        check(&HeadScan::request(), bytes.as_bytes(), Ok(*expected));
    }
}

#[test]
fn requests_that_can_never_be_valid_are_refused_at_once() {
    let cases: &[(&[u8], &str)] = &[
        (b"GET / HTTP/1.1\n", "bare LF in the head"),
        (b"GET / HTTP/1.1\r\nA: b\n", "bare LF in the head"),
        (b"GET / HTTP/1.1\r\nA: b\r\n\n", "bare LF in the head"),
        (b"GET / HTTP/1.1\n\nA: b\r\n\r\n", "bare LF in the head"),
        (b"\n", "bare LF in the head"),
        (b"GET / HTTP/1.1\r\r", "bare CR in the head"),
        (b"GET / HTTP/1.1\r\nA: \rb", "bare CR in the head"),
        (b"GET / HTTP/1.1\r\nA: b\r\n\rx", "bare CR in the head"),
        (b"\rG", "bare CR in the head"),
        (b"GET /\0", "NUL in the head"),
        (b"GET / HTTP/1.1\r\nA: \0", "NUL in the head"),
        (b"\r\n\r\n\r\n", "too many empty lines before the request line"),
        (b" ", "the request does not start with a method"),
        (b"\r\n GET", "the request does not start with a method"),
        (b"\x16\x03\x01\x02\x00", "the request does not start with a method"),
        (b"\0", "the request does not start with a method"),
        (b"GET /\r\n", "the request line does not end in an HTTP version"),
        (b"GET / HTTP/1.1 \r\n", "the request line does not end in an HTTP version"),
        (b"GET / http/1.1\r\n", "the request line does not end in an HTTP version"),
        (b"GET / HTTP/11\r\n", "the request line does not end in an HTTP version"),
    ];
    for (bytes, why) in cases {
        check(&HeadScan::request(), bytes, Err(HeadError::Malformed(why)));
    }
}

#[test]
fn responses_start_with_their_first_byte() {
    let ok = HeadScan::response();
    check(&ok, b"HTT", Ok(Scan::Partial));
    check(&ok, b"HTTP/1.1 200 OK\r\n\r\n", Ok(Scan::Complete { start: 0, end: 19 }));
    check(&ok, b"HTTP/1.1 200\r\n\r\nbody", Ok(Scan::Complete { start: 0, end: 16 }));
    let cases: &[(&[u8], &str)] = &[
        (b"SSH-2.0-OpenSSH\r\n", "the response does not start with HTTP/"),
        (b"HTTQ", "the response does not start with HTTP/"),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "the response does not start with HTTP/"),
        (b"HTTP/1.1 200 OK\n\n", "bare LF in the head"),
        (b"HTTP/1.1 200 OK\r\nA: \rb", "bare CR in the head"),
        (b"HTTP/1.1 200 \0", "NUL in the head"),
    ];
    for (bytes, why) in cases {
        check(&HeadScan::response(), bytes, Err(HeadError::Malformed(why)));
    }
}

#[test]
fn a_head_may_have_so_many_bytes_and_not_one_more() {
    let of_len = |len: usize| {
        let mut bytes = b"GET / HTTP/1.1\r\nA: ".to_vec();
        bytes.resize(len - 4, b'x');
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes
    };
    check(&HeadScan::request(), &of_len(MAX), Ok(Scan::Complete { start: 0, end: MAX }));
    check(&HeadScan::request(), &of_len(MAX + 1), Err(HeadError::TooLarge));
    check(&HeadScan::request(), &of_len(MAX + 1)[..MAX - 1], Ok(Scan::Partial));
    check(&HeadScan::request(), &of_len(MAX + 1)[..MAX], Err(HeadError::TooLarge));
    // Empty lines in front do not count.
    let led = [b"\r\n\r\n".to_vec(), of_len(MAX)].concat();
    check(&HeadScan::request(), &led, Ok(Scan::Complete { start: 4, end: MAX + 4 }));
    // The request line alone: 414 rather than 431.
    check(&HeadScan::request(), &[b'x'; MAX], Err(HeadError::TargetTooLong));
    check(&HeadScan::request(), &[b'x'; MAX - 1], Ok(Scan::Partial));
    let mut line = [b'x'; MAX + 1];
    line[MAX - 1] = b'\r';
    line[MAX] = b'\n';
    check(&HeadScan::request(), &line, Err(HeadError::TargetTooLong));
    let mut status = b"HTTP/1.1 200 ".to_vec();
    status.resize(MAX, b'x');
    check(&HeadScan::response(), &status, Err(HeadError::TooLarge));
}

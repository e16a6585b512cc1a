//! Status lines and field lines of responses.

use ::http::{Method, StatusCode, Version};

use super::support::{parse_response, parse_unscanned};
use crate::http::HeadError;

#[test]
fn status_lines() {
    let version = "the HTTP version is not written HTTP/1.1";
    let status = "the status is not three digits after one space";
    let cases = [
        ("HTTP/1 200 OK", version),
        ("HTTP/11 200 OK", version),
        ("HTTP/1.x 200 OK", version),
        ("HTTP/1.10 200 OK", status),
        ("HTTP/2.0 200 OK", "the HTTP version is not 1.x"),
        ("HTTP/1.1  200 OK", status),
        ("HTTP/1.1\t200 OK", status),
        ("HTTP/1.1 20 OK", status),
        ("HTTP/1.1 099 OK", status),
        ("HTTP/1.1 2OO OK", status),
        ("HTTP/1.1 +20 OK", status),
        ("HTTP/1.1", status),
        ("HTTP/1.1 ", status),
        ("HTTP/1.1 2000 OK", "the status is not followed by a space"),
        ("HTTP/1.1 200\tOK", "the status is not followed by a space"),
        ("HTTP/1.1 200OK", "the status is not followed by a space"),
        ("HTTP/1.1 200 O\u{1}K", "control byte in the head"),
    ];
    for (line, why) in cases {
        let refused = parse_response(format!("{line}\r\nX: y\r\n\r\n"), &Method::GET);
        let refused = refused.map_err(|error| error.to_string()).err();
        assert_eq!(refused.as_deref(), Some(why), "{line}");
    }
    let cases: &[(&str, u16, &str)] = &[
        ("HTTP/1.1 200 OK", 200, "OK"),
        ("HTTP/1.1 200 ", 200, ""),
        ("HTTP/1.1 200", 200, ""),
        ("HTTP/1.1 404 Not  Here, (really)\t!", 404, "Not  Here, (really)\t!"),
        ("HTTP/1.1 500 Fehler \u{e4}", 500, "Fehler \u{e4}"),
        ("HTTP/1.1 999 X", 999, "X"),
        ("HTTP/1.7 200 OK", 200, "OK"),
    ];
    for (line, status, reason) in cases {
        let head = parse_response(format!("{line}\r\nX: y\r\n\r\n"), &Method::GET).expect(line);
        assert_eq!((head.status.as_u16(), head.reason()), (*status, reason.as_bytes()), "{line}");
        assert_eq!(head.version, Version::HTTP_11);
    }
    let head = parse_response("HTTP/1.0 200 OK\r\n\r\n", &Method::GET).expect("1.0");
    assert_eq!((head.version, head.status), (Version::HTTP_10, StatusCode::OK));
}

#[test]
fn interim_and_date() {
    let parse = |text: &str| parse_response(text, &Method::GET).expect(text);
    let interim = |status: u16| parse(&format!("HTTP/1.1 {status} X\r\n\r\n")).is_interim();
    assert_eq!(
        [100, 101, 102, 103, 199, 200, 304].map(interim),
        [true, false, true, true, true, false, false]
    );
    assert!(parse("HTTP/1.1 200 OK\r\ndATE: x\r\n\r\n").has_date());
    assert!(!parse("HTTP/1.1 200 OK\r\nDated: x\r\n\r\n").has_date());
}

#[test]
fn too_many_fields() {
    let with = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert_eq!(parse_response(with(96), &Method::GET).map(|head| head.headers().len()).ok(), Some(96));
    assert_eq!(parse_response(with(97), &Method::GET).err(), Some(HeadError::TooLarge));
}

#[test]
fn a_parser_does_not_trust_the_scan() {
    let cases: &[(&[u8], &str)] = &[
        (b"GET / HTTP/1.1\r\nHost: a\r\n", "the head does not end in an empty line"),
        (b"GET / HTTP/1.1\r\nHost: a", "the head does not end in an empty line"),
        (b"GET / HTTP/1.1\r\nHos", "the head does not end in an empty line"),
        (b"GET / HTTP/1.1\r\n", "the head does not end in an empty line"),
        (b"GET / HTTP/1.1", "the request line does not end after its HTTP version"),
        (b"GET /", "the request line does not end in an HTTP version"),
        (b"GET", "the method is not a token followed by one space"),
        (b"", "the method is not a token followed by one space"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nX: y\r\n\r\n", "empty line in the head"),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n", "bare LF in the head"),
        (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "bare CR in the head"),
        (b"GET / HTTP/1.1\n\r\n", "the request line does not end after its HTTP version"),
        (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "the method is not a token followed by one space"),
    ];
    for (bytes, why) in cases {
        let refused = parse_unscanned(bytes, 0, bytes.len()).map_err(|error| error.to_string()).err();
        assert_eq!(refused.as_deref(), Some(*why), "{}", bytes.escape_ascii());
    }
    let (whole, not_whole) = (b"GET / HTTP/1.0\r\n\r\n", "the head is not whole");
    for (start, end) in [(0, 19), (2, 1), (20, 30), (0, usize::MAX)] {
        let refused = parse_unscanned(whole, start, end).map_err(|error| error.to_string()).err();
        assert_eq!(refused.as_deref(), Some(not_whole), "{start}..{end}");
    }
    let huge = format!("GET /{} HTTP/1.0\r\n\r\n", "x".repeat(70_000));
    assert_eq!(parse_unscanned(huge.as_bytes(), 0, huge.len()).err(), Some(HeadError::TooLarge));
}

//! Which trailer fields are passed on.

use super::chunked::decode;
use crate::{http::ChunkError, limits::TRAILER_BYTES_MAX};

fn trailers(section: &str) -> String {
    let body = format!("1\r\nx\r\n0\r\n{section}\r\n");
    let whole = decode(body.as_bytes(), usize::MAX).unwrap_or_else(|error| panic!("{section:?}: {error}"));
    for step in 1..body.len() {
        assert_eq!(decode(body.as_bytes(), step).as_ref(), Ok(&whole), "{section:?} by {step}");
    }
    assert_eq!(whole.consumed, Some(body.len()));
    String::from_utf8_lossy(&whole.trailers).into_owned()
}

#[test]
fn what_is_passed_on() {
    let cases = [
        ("", ""),
        ("Grpc-Status: 0\r\n", "Grpc-Status: 0\r\n"),
        ("A:b\r\nDigest: \tx \r\nA: c\r\n", "A:b\r\nDigest: \tx \r\nA: c\r\n"),
        ("A: 1\r\nContent-Length: 5\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n"),
        ("HOST: evil\r\nB: 2\r\n", "B: 2\r\n"),
        ("Transfer-Encoding: chunked\r\n", ""),
        ("ETag: \"x\"\r\nServer-Timing: a\r\n", "ETag: \"x\"\r\nServer-Timing: a\r\n"),
    ];
    for (section, expected) in cases {
        assert_eq!(trailers(section), expected);
    }
}

#[test]
fn what_is_dropped() {
    let names = [
        "Transfer-Encoding",
        "Content-Length",
        "Host",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Proxy-Connection",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Authentication-Info",
        "Proxy-X",
        "Authorization",
        "Authentication-Info",
        "WWW-Authenticate",
        "Cookie",
        "Set-Cookie",
        "Content-Encoding",
        "Content-Type",
        "Content-Range",
        "Max-Forwards",
        "Expect",
        "Cache-Control",
        "Range",
        "If-Match",
        "If-None-Match",
        "If-Modified-Since",
        "Location",
        "Vary",
        "Date",
        "Age",
        "Expires",
        "Warning",
        "Pragma",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X_Forwarded_For",
        "X-Real-IP",
        "Via",
        "Retry-After",
        "Sec-WebSocket-Key",
        "Access-Control-Allow-Origin",
        "HTTP2-Settings",
        "Accept-Encoding",
        "Strict-Transport-Security",
    ];
    for name in names {
        for name in [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
            assert_eq!(trailers(&format!("A: 1\r\n{name}: x\r\n")), "A: 1\r\n", "{name}");
        }
    }
}

#[test]
fn the_section_is_bounded_and_what_is_dropped_counts() {
    for name in ["A", "Cookie"] {
        let line = format!("{name}: {}\r\n", "x".repeat(100));
        let of_len = |len: usize| {
            let mut section = line.repeat(len / line.len() - 1);
            let rest = len - section.len() - 2 - name.len() - 4;
            section.push_str(&format!("{name}: {}\r\n", "x".repeat(rest)));
            format!("0\r\n{section}\r\n")
        };
        for step in [1, 1000, usize::MAX] {
            assert!(decode(of_len(TRAILER_BYTES_MAX).as_bytes(), step).is_ok());
            let refused = decode(of_len(TRAILER_BYTES_MAX + 1).as_bytes(), step);
            assert_eq!(refused, Err(ChunkError::TooLarge("trailer section is too large")));
        }
    }
    // A line that never ends.
    let endless = format!("0\r\n{}", "x".repeat(TRAILER_BYTES_MAX + 1));
    assert!(decode(endless.as_bytes(), 100).is_err());
}

//! Requests as they go upstream.

use ::http::{HeaderName, HeaderValue};

use super::support::{encoded, parse, untrusted};
use crate::http::{HeaderEdits, OwnField, RequestEncoding, encode_request};

/// What we add for an untrusted client that asked for `Host: a`.
const OURS: &str =
    "Via: 1.1 ringlane\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n";

fn encode(text: &str, how: &RequestEncoding<'_>) -> String {
    let head = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let mut out = b"kept".to_vec();
    encode_request(&mut out, &head, how);
    String::from_utf8_lossy(&out).strip_prefix("kept").expect("appended").to_owned()
}

fn edits(
    remove: &[&'static str],
    set: &[(&'static str, &'static str)],
    add: &[(&'static str, &'static str)],
) -> HeaderEdits {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    HeaderEdits {
        remove: remove.iter().map(|name| HeaderName::from_static(name)).collect(),
        set: set.iter().map(pair).collect(),
        add: add.iter().map(pair).collect(),
    }
}

#[test]
fn lines_stay_as_they_came() {
    let cases = [
        // Order, repeats, case, spacing and bytes beyond ASCII.
        (
            "Host: a\r\nB: 1\r\na:2\r\nB:   3  \r\nc: \u{e9}\r\n",
            "Host: a\r\nB: 1\r\na:2\r\nB:   3  \r\nc: \u{e9}\r\n",
        ),
        ("X: 1\r\nhost: a\r\nY: 2\r\n", "X: 1\r\nhost: a\r\nY: 2\r\n"),
        // Fields of the connection end here, wherever they stand.
        (
            "Connection: keep-alive\r\nHost: a\r\nKeep-Alive: 5\r\nX: 1\r\nProxy-Connection: close\r\n",
            "Host: a\r\nX: 1\r\n",
        ),
        (
            "Host: a\r\nProxy-Authorization: x\r\nProxy-Authenticate: x\r\nAuthorization: y\r\n",
            "Host: a\r\nAuthorization: y\r\n",
        ),
        ("Host: a\r\nUpgrade: websocket\r\nTE: gzip\r\nTrailer: X\r\n", "Host: a\r\nTrailer: X\r\n"),
        // Framing is written in the one way that cannot be mistaken.
        ("Host: a\r\nContent-Length: 5\r\n", "Host: a\r\nContent-Length: 5\r\n"),
        ("Host: a\r\ncontent-length:\t005 \r\n", "Host: a\r\ncontent-length: 5\r\n"),
        ("Host: a\r\nContent-Length:000\r\n", "Host: a\r\nContent-Length: 0\r\n"),
        (
            "Host: a\r\nTransfer-encoding:  CHUNKED\r\nX: 1\r\n",
            "Host: a\r\nX: 1\r\nTransfer-Encoding: chunked\r\n",
        ),
        ("Host:a\t\r\n", "Host: a\r\n"),
        ("Host:a\r\n", "Host: a\r\n"),
        ("Host:\ta\r\nContent-Length:\t5\r\n", "Host: a\r\nContent-Length: 5\r\n"),
        ("hOST:  a\r\ncontent-length:5\r\n", "hOST: a\r\ncontent-length: 5\r\n"),
        // What an untrusted client says of where it comes from.
        ("X-Forwarded-For: 1\r\nHost: a\r\nx-forwarded-proto: ftp\r\nX-FORWARDED-HOST: b\r\n", "Host: a\r\n"),
        (
            "Host: a\r\nForwarded: for=x\r\nX-Forwarded-Port: 1\r\nX_Forwarded_For: 1\r\nx-forwarded_for: 1\r\n",
            "Host: a\r\n",
        ),
        (
            "Host: a\r\nX-Forwarded: 1\r\nX-Forward-For: 1\r\n",
            "Host: a\r\nX-Forwarded: 1\r\nX-Forward-For: 1\r\n",
        ),
        ("Host: a\r\nVia: 1.0 x\r\nVia: 1.1 y\r\n", "Host: a\r\nVia: 1.0 x\r\nVia: 1.1 y\r\n"),
    ];
    for (fields, expected) in cases {
        let out = encoded(format!("PUT /x?y HTTP/1.1\r\n{fields}\r\n"));
        assert_eq!(out, format!("PUT /x?y HTTP/1.1\r\n{expected}{OURS}\r\n"), "{fields:?}");
    }
}

#[test]
fn request_lines() {
    let none = HeaderEdits::default();
    let plain = untrusted(&none);
    let line = |text: &str, how: &RequestEncoding<'_>| {
        let out = encode(text, how);
        out.lines().take_while(|line| !line.starts_with("Via")).collect::<Vec<_>>().join("|")
    };
    let cases = [
        ("GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n", "GET /x?y HTTP/1.1|Host: b:81|X: 1"),
        ("GET http://b HTTP/1.1\r\nX: 1\r\nHOST: a\r\n\r\n", "GET / HTTP/1.1|X: 1|HOST: b"),
        ("GET http://b?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?y HTTP/1.1|Host: b"),
        ("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1|Host: b"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1|Host: a"),
        ("get /%7e HTTP/1.9\r\nHost: a\r\n\r\n", "get /%7e HTTP/1.1|Host: a"),
        ("GET / HTTP/1.0\r\nX: 1\r\n\r\n", "GET / HTTP/1.1|Host: |X: 1"),
        ("GET http://b/ HTTP/1.0\r\n\r\n", "GET / HTTP/1.1|Host: b"),
    ];
    for (text, expected) in cases {
        assert_eq!(line(text, &plain), expected);
    }
    let rewritten = RequestEncoding { target: Some(b"/new?z"), host: Some("up:9"), ..plain };
    let cases = [
        ("GET /x?y HTTP/1.1\r\nX: 1\r\nHost: a\r\nY: 2\r\n\r\n", "GET /new?z HTTP/1.1|X: 1|Host: up:9|Y: 2"),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET /new?z HTTP/1.1|Host: up:9"),
        ("GET / HTTP/1.0\r\n\r\n", "GET /new?z HTTP/1.1|Host: up:9"),
    ];
    for (text, expected) in cases {
        assert_eq!(line(text, &rewritten), expected);
    }
    let out = encode("GET / HTTP/1.1\r\nHost: a:1\r\n\r\n", &rewritten);
    assert!(out.contains("X-Forwarded-Host: a:1\r\n"), "the host that the client named: {out}");
}

#[test]
fn max_forwards_counts_down() {
    let cases = [
        ("OPTIONS", "Max-Forwards: 10", "Max-Forwards: 9"),
        ("TRACE", "max-forwards:  1", "max-forwards: 0"),
        ("TRACE", "Max-Forwards: 99999999999999999999999", "Max-Forwards: 9223372036854775806"),
        ("GET", "Max-Forwards: 10", "Max-Forwards: 10"),
    ];
    for (method, field, expected) in cases {
        let out = encoded(format!("{method} / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"));
        assert_eq!(out, format!("{method} / HTTP/1.1\r\nHost: a\r\n{expected}\r\n{OURS}\r\n"));
    }
}

#[test]
fn forwarded_fields() {
    let none = HeaderEdits::default();
    let trusted = RequestEncoding { trusted: true, proto: "https", ..untrusted(&none) };
    let fields = |version: &str, fields: &str, how: &RequestEncoding<'_>| {
        let out = encode(&format!("GET / HTTP/{version}\r\n{fields}\r\n"), how);
        let wanted = |line: &&str| line.to_ascii_lowercase().contains("forwarded") || line.starts_with("Via");
        out.lines().filter(wanted).collect::<Vec<_>>().join("|")
    };
    let cases = [
        (
            "Host: a\r\n",
            "Via: 1.1 ringlane|X-Forwarded-For: 192.0.2.1|X-Forwarded-Proto: https|X-Forwarded-Host: a",
        ),
        (
            "X-Forwarded-For: 1\r\nHost: a\r\nx-forwarded-for: 2, 3\r\nX-Forwarded-For:\r\n",
            "Via: 1.1 ringlane|X-Forwarded-For: 1, 2, 3, 192.0.2.1|X-Forwarded-Proto: https|X-Forwarded-Host: a",
        ),
        (
            "Host: a\r\nX-Forwarded-Proto: x\r\nX-Forwarded-Host: y\r\nForwarded: z\r\nX-Forwarded-Port: 1\r\n",
            "X-Forwarded-Proto: x|X-Forwarded-Host: y|Forwarded: z|X-Forwarded-Port: 1|Via: 1.1 ringlane|X-Forwarded-For: 192.0.2.1",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(fields("1.1", text, &trusted), expected);
    }
    let unknown = RequestEncoding { client_ip: "unknown", ..untrusted(&none) };
    assert_eq!(
        fields("1.0", "X-Forwarded-For: 1\r\n", &unknown),
        "Via: 1.0 ringlane|X-Forwarded-For: unknown|X-Forwarded-Proto: http"
    );
}

#[test]
fn edits_come_last() {
    let with = |edits: &HeaderEdits, fields: &str| {
        encode(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), &untrusted(edits))
            .strip_prefix("GET / HTTP/1.1\r\nHost: a\r\n")
            .expect("the same start")
            .to_owned()
    };
    let out = with(&edits(&["x-a", "x-none"], &[], &[]), "X-A: 1\r\nB: 2\r\nx-a: 3\r\n");
    assert_eq!(out, format!("B: 2\r\n{OURS}\r\n"));
    let out = with(&edits(&[], &[("x-a", "9")], &[]), "X-A: 1\r\nB: 2\r\nx-a: 3\r\n");
    assert_eq!(out, format!("B: 2\r\n{OURS}x-a: 9\r\n\r\n"));
    let out = with(&edits(&[], &[], &[("x-a", "8"), ("x-a", "9")]), "X-A: 1\r\n");
    assert_eq!(out, format!("X-A: 1\r\n{OURS}x-a: 8\r\nx-a: 9\r\n\r\n"));
    let out = with(&edits(&["x-a"], &[], &[("x-a", "9")]), "X-A: 1\r\n");
    assert_eq!(out, format!("{OURS}x-a: 9\r\n\r\n"));
    // Ours go too when a route says so.
    let ours = ["via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
    assert_eq!(with(&edits(&ours, &[], &[]), "Via: 1.1 x\r\n"), "\r\n");
    let out = with(&edits(&[], &[("x-forwarded-proto", "https")], &[]), "");
    assert_eq!(
        out,
        format!("{}x-forwarded-proto: https\r\n\r\n", OURS.replace("X-Forwarded-Proto: http\r\n", ""))
    );
}

#[test]
fn own_fields_replace_the_clients() {
    let none = HeaderEdits::default();
    let lines = "GET / HTTP/1.1\r\nHost: a\r\nX-Request-TIMEOUT: 9\r\nB: 2\r\nx-request-timeout: 8\r\n\r\n";
    let with = |own: &[OwnField<'_>], edits: &HeaderEdits| {
        let out = encode(lines, &RequestEncoding { own, ..untrusted(edits) });
        out.strip_prefix("GET / HTTP/1.1\r\nHost: a\r\nB: 2\r\n").expect("the client's are gone").to_owned()
    };
    let timeout = |value| [OwnField { name: "x-request-timeout", value }];
    assert_eq!(with(&timeout(Some("250")), &none), format!("{OURS}x-request-timeout: 250\r\n\r\n"));
    assert_eq!(with(&timeout(None), &none), format!("{OURS}\r\n"));
    // What a route wants comes last, as ever.
    let removed = edits(&["x-request-timeout"], &[], &[]);
    assert_eq!(with(&timeout(Some("250")), &removed), format!("{OURS}\r\n"));
}

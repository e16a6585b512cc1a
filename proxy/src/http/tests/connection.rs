//! `Connection`, keep-alive, `Expect` and `TE`.

use ::http::Method;

use super::support::{encoded, parse, parse_response, refusal};

fn request(version: &str, fields: &str) -> String {
    format!("POST / HTTP/{version}\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn keep_alive() {
    let cases = [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE\r\n", false),
        ("1.1", "Connection: x, ,\tClose ,\r\n", false),
        ("1.1", "Connection: x\r\nconnection: close\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Connection:\r\n", true),
        ("1.1", "Proxy-Connection: close\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: close, keep-alive\r\n", false),
        ("1.0", "Proxy-Connection: keep-alive\r\n", false),
        ("1.0", "Keep-Alive: timeout=5\r\n", false),
    ];
    for (version, fields, expected) in cases {
        let head = parse(request(version, fields)).expect(fields);
        assert_eq!(head.keep_alive, expected, "request {version} {fields:?}");
        let response = format!("HTTP/{version} 200 OK\r\nContent-Length: 0\r\n{fields}\r\n");
        let head = parse_response(response, &Method::GET).expect(fields);
        assert_eq!(head.keep_alive, expected, "response {version} {fields:?}");
    }
    let keep_alive = |text: &str| parse_response(text, &Method::GET).map(|head| head.keep_alive);
    assert_eq!(keep_alive("HTTP/1.1 200 OK\r\n\r\n"), Ok(false), "a body until the connection closes");
    assert_eq!(keep_alive("HTTP/1.1 204 No Content\r\n\r\n"), Ok(true));
    assert_eq!(keep_alive("HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n"), Ok(false));
}

#[test]
fn connection_options_are_tokens() {
    let token = "an option in Connection is not a token";
    let cases = [
        ("Connection: close;a=b\r\n", token),
        ("Connection: clo se\r\n", token),
        ("Connection: \"close\"\r\n", token),
        ("Connection: close, \u{e9}\r\n", token),
        ("Connection: Host\r\n", "Connection names Host or a framing field"),
        ("Connection: close, content-length\r\n", "Connection names Host or a framing field"),
        ("Connection: Transfer-Encoding\r\n", "Connection names Host or a framing field"),
    ];
    for (fields, why) in cases {
        assert_eq!(refusal(request("1.1", fields)), why, "{fields:?}");
    }
    let many = |count: usize| request("1.1", &format!("Connection: {}\r\n", vec!["a"; count].join(",")));
    assert_eq!(refusal(many(32)), "accepted");
    assert_eq!(refusal(many(33)), "too many options in Connection");
}

#[test]
fn a_response_may_name_its_framing_without_losing_it() {
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: Content-Length, Transfer-Encoding, X\r\nX: y\r\n\r\n";
    let out = super::support::encoded_response(response);
    assert!(out.contains("\r\nContent-Length: 5\r\n") && !out.contains("X: y"), "{out}");
}

#[test]
fn what_connection_names_ends_here() {
    let cases = [
        ("X-A: 1\r\nConnection: x-a, keep-alive\r\nX-B: 2\r\nx-A: 3\r\n", "X-B: 2\r\n"),
        ("Connection: X-A\r\nConnection: X-B\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n", "X-C: 3\r\n"),
        ("Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMA\r\n", ""),
        ("Connection: Trailer\r\nTrailer: X\r\n", ""),
        // What a proxy itself lives by stays, whoever names it.
        ("Connection: Via, Max-Forwards, Expect, Date\r\nVia: 1.1 b\r\n", "Via: 1.1 b\r\n"),
        ("Connection: Max-Forwards\r\nMax-Forwards: 3\r\n", "Max-Forwards: 3\r\n"),
    ];
    for (fields, expected) in cases {
        let out = encoded(request("1.1", fields));
        let expected = format!("POST / HTTP/1.1\r\nHost: a\r\n{expected}Via: 1.1 ringlane\r\n");
        assert!(out.starts_with(&expected), "{out}");
    }
}

#[test]
fn expectations() {
    let body = "Content-Length: 5\r\n";
    let cases = [
        ("1.1", body, "Expect: 100-continue\r\n", true, true),
        ("1.1", "Transfer-Encoding: chunked\r\n", "expect:100-Continue\r\n", true, true),
        ("1.1", body, "Expect: x, 100-continue\r\n", true, true),
        ("1.1", body, "Expect: x\r\nExpect: 100-continue\r\n", true, true),
        // Another expectation is for the upstream to judge.
        ("1.1", body, "Expect: 200-ok\r\n", false, true),
        // Nothing to wait with, or a version that does not know it.
        ("1.1", "Content-Length: 0\r\n", "Expect: 100-continue\r\n", false, false),
        ("1.1", "", "Expect: 100-continue\r\n", false, false),
        ("1.0", body, "Expect: 100-continue\r\n", false, false),
    ];
    for (version, framing, expect, expects, passed) in cases {
        let text = request(version, &format!("{framing}{expect}"));
        let out = encoded(&text);
        assert_eq!(out.contains(expect), passed, "{out}");
        assert_eq!(parse(text).expect(expect).expects_continue, expects, "{version} {framing}{expect}");
    }
}

#[test]
fn trailers_are_asked_for_when_the_client_takes_them() {
    let asked = "TE: trailers\r\nConnection: TE\r\n";
    let cases = [
        ("1.1", "TE: trailers\r\nConnection: TE\r\n", true),
        ("1.1", "te: gzip;q=0.5 , Trailers\r\n", true),
        ("1.1", "TE: gzip\r\nTE: trailers\r\n", true),
        ("1.1", "TE: gzip\r\nConnection: TE\r\n", false),
        ("1.1", "TE: xtrailers\r\n", false),
        ("1.1", "", false),
        ("1.0", "TE: trailers\r\n", false),
    ];
    for (version, fields, expected) in cases {
        let out = encoded(request(version, fields));
        assert_eq!(out.contains(asked), expected, "{out}");
        assert_eq!(out.matches("TE:").count(), usize::from(expected), "{out}");
    }
}

//! Responses as they go to the client.

use ::http::{HeaderName, HeaderValue, Method};

use super::support::{encoded_response, parse_response, plain};
use crate::http::{
    BodyOut, ConnectionField, HeaderEdits, ResponseEncoding, edits::is_editable, encode_interim,
    encode_response,
};

/// What we add to a response without `Date`.
const OURS: &str = "Via: 1.1 ringlane\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

fn encode(text: &str, method: &Method, how: &ResponseEncoding<'_>) -> String {
    let head = parse_response(text, method).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let mut out = b"kept".to_vec();
    encode_response(&mut out, &head, how);
    String::from_utf8_lossy(&out).strip_prefix("kept").expect("appended").to_owned()
}

#[test]
fn lines_stay_as_they_came() {
    let cases = [
        (
            "Server: x\r\nset-cookie:a\r\nSet-Cookie: b  \r\n",
            "Server: x\r\nset-cookie:a\r\nSet-Cookie: b  \r\n",
        ),
        ("Connection: close, X\r\nA: 1\r\nX: 2\r\nKeep-Alive: 3\r\n", "A: 1\r\n"),
        (
            "Proxy-Authenticate: x\r\nProxy-Authentication-Info: x\r\nWWW-Authenticate: y\r\n",
            "WWW-Authenticate: y\r\n",
        ),
        ("Upgrade: h2c\r\nConnection: Upgrade\r\nTrailer: X\r\n", "Trailer: X\r\n"),
        ("Content-Length:\t05\r\nA: 1\r\n", "Content-Length: 5\r\nA: 1\r\n"),
        ("Transfer-Encoding:CHUNKED\r\nA: 1\r\n", "A: 1\r\nTransfer-Encoding: chunked\r\n"),
        ("Via: 1.0 x\r\nX-Forwarded-For: 1\r\n", "Via: 1.0 x\r\nX-Forwarded-For: 1\r\n"),
    ];
    for (fields, expected) in cases {
        let out = encoded_response(format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
        assert_eq!(out, format!("HTTP/1.1 200 OK\r\n{expected}{OURS}\r\n"), "{fields:?}");
    }
    let out = encoded_response("HTTP/1.1 200 OK\r\nDATE: x\r\nA: 1\r\n\r\n");
    assert_eq!(out, "HTTP/1.1 200 OK\r\nDATE: x\r\nA: 1\r\nVia: 1.1 ringlane\r\n\r\n");
}

#[test]
fn lines_of_our_own() {
    let add = (HeaderName::from_static("x-a"), HeaderValue::from_static("1"));
    let edits = HeaderEdits { add: Box::new([add]), ..HeaderEdits::default() };
    let how = ResponseEncoding { more: b"Set-Cookie: a=b\r\n", ..plain(&edits) };
    let out = encode("HTTP/1.1 200 OK\r\nSet-Cookie: c=d\r\n\r\n", &Method::GET, &how);
    let ours = format!("{OURS}Set-Cookie: a=b\r\nx-a: 1\r\n\r\n");
    assert_eq!(out, format!("HTTP/1.1 200 OK\r\nSet-Cookie: c=d\r\n{ours}"));
}

#[test]
fn status_lines() {
    let cases = [
        ("HTTP/1.1 404 Not  Here", "HTTP/1.1 404 Not  Here"),
        ("HTTP/1.1 404 ", "HTTP/1.1 404 "),
        ("HTTP/1.1 404", "HTTP/1.1 404 "),
        ("HTTP/1.5 200 OK", "HTTP/1.1 200 OK"),
    ];
    for (line, expected) in cases {
        let out = encoded_response(format!("{line}\r\nA: 1\r\n\r\n"));
        assert_eq!(out, format!("{expected}\r\nA: 1\r\n{OURS}\r\n"));
    }
    let out = encoded_response("HTTP/1.0 200 OK\r\n\r\n");
    assert_eq!(out, format!("HTTP/1.1 200 OK\r\n{}\r\n", OURS.replace("1.1", "1.0")));
}

/// The framing fields of a response, as sent to the client.
fn framing(status: &str, fields: &str, method: &Method, body: BodyOut) -> String {
    let edits = HeaderEdits::default();
    let how = ResponseEncoding { body, ..plain(&edits) };
    let out = encode(&format!("HTTP/1.1 {status}\r\n{fields}\r\n"), method, &how);
    let framing = out.lines().filter(|line| line.starts_with("Content-") || line.starts_with("Transfer-"));
    framing.collect::<Vec<_>>().join("|")
}

#[test]
fn bodies_are_framed_as_asked() {
    use BodyOut::{AsReceived, Chunked, LengthOnly, UntilClose};
    let (length, chunked) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    let cases = [
        ("200 OK", length, Method::GET, AsReceived, "Content-Length: 5"),
        ("200 OK", chunked, Method::GET, AsReceived, "Transfer-Encoding: chunked"),
        ("200 OK", "", Method::GET, AsReceived, ""),
        ("200 OK", length, Method::GET, LengthOnly, "Content-Length: 5"),
        ("200 OK", chunked, Method::HEAD, LengthOnly, ""),
        ("304 Not Modified", chunked, Method::GET, LengthOnly, ""),
        ("204 No Content", length, Method::GET, LengthOnly, ""),
        ("200 OK", length, Method::GET, Chunked, "Transfer-Encoding: chunked"),
        ("200 OK", chunked, Method::GET, Chunked, "Transfer-Encoding: chunked"),
        ("200 OK", "", Method::GET, Chunked, "Transfer-Encoding: chunked"),
        ("200 OK", chunked, Method::GET, UntilClose, ""),
        ("200 OK", length, Method::GET, UntilClose, ""),
        ("200 OK", length, Method::HEAD, AsReceived, "Content-Length: 5"),
        ("200 OK", chunked, Method::HEAD, AsReceived, "Transfer-Encoding: chunked"),
        ("304 Not Modified", length, Method::GET, AsReceived, "Content-Length: 5"),
        ("304 Not Modified", chunked, Method::GET, AsReceived, "Transfer-Encoding: chunked"),
        ("204 No Content", length, Method::GET, AsReceived, ""),
        ("204 No Content", chunked, Method::GET, AsReceived, ""),
        ("204 No Content", "", Method::GET, Chunked, ""),
        ("101 Go", length, Method::GET, AsReceived, ""),
        ("101 Go", chunked, Method::GET, Chunked, ""),
    ];
    for (status, fields, method, body, expected) in cases {
        assert_eq!(framing(status, fields, &method, body), expected, "{status} {fields:?} {method} {body:?}");
    }
}

#[test]
fn connection_fields() {
    use ConnectionField::{Close, KeepAlive, None, Upgrade};
    let edits = HeaderEdits::default();
    let fields = |status: &str, connection: ConnectionField| {
        let text = format!(
            "HTTP/1.1 {status}\r\nUpgrade: websocket\r\nConnection: upgrade, close\r\nContent-Length: 0\r\n\r\n"
        );
        let out = encode(&text, &Method::GET, &ResponseEncoding { connection, ..plain(&edits) });
        let wanted = |line: &&str| line.starts_with("Conn") || line.starts_with("Upgrade");
        out.lines().filter(wanted).collect::<Vec<_>>().join("|")
    };
    let cases = [
        ("200 OK", None, ""),
        ("200 OK", Close, "Connection: close"),
        ("200 OK", KeepAlive, "Connection: keep-alive"),
        ("101 Go", Upgrade, "Upgrade: websocket|Connection: upgrade"),
        // A 426 must say what to upgrade to.
        ("426 Upgrade Required", None, "Upgrade: websocket|Connection: upgrade"),
        ("426 Upgrade Required", Close, "Upgrade: websocket|Connection: close, upgrade"),
        ("426 Upgrade Required", KeepAlive, "Upgrade: websocket|Connection: keep-alive, upgrade"),
    ];
    for (status, connection, expected) in cases {
        assert_eq!(fields(status, connection), expected, "{status} {connection:?}");
    }
}

#[test]
fn interim_responses() {
    let cases = [
        ("100 Continue", "", "HTTP/1.1 100 Continue\r\nVia: 1.1 ringlane\r\n\r\n"),
        (
            "103 Early Hints",
            "Link: </a>\r\nConnection: X\r\nX: 1\r\nKeep-Alive: 5\r\nLink: </b>\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\nVia: 1.1 ringlane\r\n\r\n",
        ),
        ("102", "Content-Length: 5\r\nUpgrade: x\r\n", "HTTP/1.1 102 \r\nVia: 1.1 ringlane\r\n\r\n"),
        (
            "100 Go",
            "Transfer-Encoding: chunked\r\nDate: x\r\n",
            "HTTP/1.1 100 Go\r\nDate: x\r\nVia: 1.1 ringlane\r\n\r\n",
        ),
    ];
    for (status, fields, expected) in cases {
        let text = format!("HTTP/1.1 {status}\r\n{fields}\r\n");
        let head = parse_response(text, &Method::POST).expect(status);
        let mut out = Vec::new();
        encode_interim(&mut out, &head);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}

#[test]
fn edits_come_last() {
    let name = HeaderName::from_static;
    let value = HeaderValue::from_static;
    let edits = HeaderEdits {
        remove: [name("server"), name("via")].into(),
        set: [(name("date"), value("now"))].into(),
        add: [(name("x-a"), value("2"))].into(),
    };
    let text = "HTTP/1.1 200 OK\r\nServer: x\r\nX-A: 1\r\nDate: then\r\nContent-Length: 0\r\n\r\n";
    let out = encode(text, &Method::GET, &plain(&edits));
    assert_eq!(out, "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 0\r\ndate: now\r\nx-a: 2\r\n\r\n");
}

#[test]
fn what_edits_may_touch() {
    let not = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "proxy-authorization",
        "proxy-connection",
    ];
    let may = ["x-a", "via", "date", "x-forwarded-for", "forwarded", "authorization", "expect", "server"];
    assert!(!not.iter().any(|name| is_editable(&HeaderName::from_static(name))));
    assert!(may.iter().all(|name| is_editable(&HeaderName::from_static(name))));
}

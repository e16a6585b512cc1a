//! Tests of the whole module, written as tables of bytes.

mod support;

use support::{encoded, encoded_response};

#[test]
fn a_request_goes_through() {
    let out = encoded("GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive\r\nX: 1\r\n\r\n");
    let expected = "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nX: 1\r\nVia: 1.1 ringlane\r\n\
        X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: example.com\r\n\r\n";
    assert_eq!(out, expected);
}

#[test]
fn a_response_goes_through() {
    let out = encoded_response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: 5\r\nX: 1\r\n\r\n");
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: 1\r\nVia: 1.1 ringlane\r\n\
        Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
    assert_eq!(out, expected);
}

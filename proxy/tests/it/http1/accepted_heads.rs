//! Heads at the edge of the rules that are served, however they are cut.

use crate::harness::{Origin, Setup};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Heads that are served, with the request line and the `Host` that the upstream sees.
const HEADS: &[(&str, &str, &str)] = &[
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", "a"),
    // Up to two empty lines come before the request line.
    ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", "a"),
    ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", "a"),
    // White space around values, and none.
    ("GET / HTTP/1.1\r\nHost:a\r\nA:\r\nB: \r\nC:\t d \t\r\n\r\n", "GET / HTTP/1.1", "a"),
    ("GET / HTTP/1.1\r\nHost: \t a \t \r\n\r\n", "GET / HTTP/1.1", "a"),
    // A later minor version is read as 1.1.
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", "a"),
    ("GET / HTTP/1.9\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", "a"),
    // Targets.
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1", "a"),
    ("GET http://b/c HTTP/1.1\r\nHost: a\r\n\r\n", "GET /c HTTP/1.1", "b"),
    ("GET HTTP://b:8080/c?d HTTP/1.1\r\nHost: a\r\n\r\n", "GET /c?d HTTP/1.1", "b:8080"),
    ("GET https://b HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", "b"),
    ("GET http://b?c HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?c HTTP/1.1", "b"),
    ("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1", "b"),
    ("OPTIONS http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS / HTTP/1.1", "b"),
    ("OPTIONS http://b?c HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS /?c HTTP/1.1", "b"),
    // Hosts.
    ("GET / HTTP/1.1\r\nHost: A.Example:65535\r\n\r\n", "GET / HTTP/1.1", "A.Example:65535"),
    ("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "GET / HTTP/1.1", "[2001:db8::1]:80"),
    ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "GET / HTTP/1.1", "127.0.0.1"),
    ("GET / HTTP/1.1\r\nHost: a_b-c.~d!\r\n\r\n", "GET / HTTP/1.1", "a_b-c.~d!"),
    // Methods are whatever token they are, and `connect` is not CONNECT.
    ("PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", "PROPFIND / HTTP/1.1", "a"),
    ("get / HTTP/1.1\r\nHost: a\r\n\r\n", "get / HTTP/1.1", "a"),
    ("connect / HTTP/1.1\r\nHost: a\r\n\r\n", "connect / HTTP/1.1", "a"),
    ("M-SEARCH!#$%&'*+.^_`|~9 / HTTP/1.1\r\nHost: a\r\n\r\n", "M-SEARCH!#$%&'*+.^_`|~9 / HTTP/1.1", "a"),
    // Names that only look like framing, and bytes beyond ASCII in values.
    (
        "GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 3\r\nTransfer_Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1",
        "a",
    ),
    ("GET / HTTP/1.1\r\nHost: a\r\nA: \u{e4}\u{ff}\u{80}\r\n\r\n", "GET / HTTP/1.1", "a"),
    // Bodies, in every framing that there is.
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0003\r\n\r\nabc", "POST / HTTP/1.1", "a"),
    ("POST / HTTP/1.1\r\nHost: a\r\ncontent-length:3\r\n\r\nabc", "POST / HTTP/1.1", "a"),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "POST / HTTP/1.1",
        "a",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:\tchunked \r\n\r\n1\r\na\r\n2;x=\"y\"\r\nbc\r\n00\r\n\r\n",
        "POST / HTTP/1.1",
        "a",
    ),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "GET / HTTP/1.1", "a"),
    // 1.0 needs no Host; the upstream is asked in 1.1, which does.
    ("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "GET / HTTP/1.1", "a"),
    ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / HTTP/1.1", ""),
];

fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|byte| byte as u32 as u8).collect()
}

both_drivers! {
    fn in_one_piece_and_cut_everywhere(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        let mut served = 0;
        for (head, line, host) in HEADS {
            let head = bytes(head);
            let every: Vec<_> = (1..head.len()).collect();
            let once = every.iter().map(|cut| vec![*cut]);
            // All on one connection: nothing of a request stays behind for the next.
            for cuts in [Vec::new(), every.clone()].into_iter().chain(once) {
                client.send_cut(&head, &cuts);
                assert_eq!(client.read_response().expect(200).text(), "ok", "{head:?} {cuts:?}");
                served += 1;
                let request = origin.last_request();
                assert_eq!((request.head.start.as_str(), request.field("host")), (*line, Some(*host)));
                let carries_body = line.starts_with("POST") || head.ends_with(b"abc");
                let body = if carries_body { "abc" } else { "" };
                assert_eq!(request.text(), body, "{head:?} {cuts:?}");
            }
        }
        assert_eq!((origin.requests().len(), origin.connections()), (served, 1));
    }

    fn pipelined_in_one_write(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send(HEADS.iter().flat_map(|(head, ..)| bytes(head)).collect::<Vec<_>>());
        for _ in HEADS {
            assert_eq!(client.read_response().expect(200).text(), "ok");
        }
        let lines: Vec<_> = origin.requests().iter().map(|request| request.head.start.clone()).collect();
        assert_eq!(lines, HEADS.iter().map(|(_, line, _)| *line).collect::<Vec<_>>());
    }
}

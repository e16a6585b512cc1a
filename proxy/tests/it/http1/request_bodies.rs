//! Bodies of requests as the upstream gets them: framing, extensions, trailers.

use crate::harness::{Origin, Setup, message::text_of};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What follows `POST / HTTP/1.1`, `Host: a`: fields and body; then the body and the trailers that the upstream sees.
const BODIES: &[(&str, &str, &[&str])] = &[
    ("\r\n", "", &[]),
    ("Content-Length: 0\r\n\r\n", "", &[]),
    ("Content-Length: 5\r\n\r\nhello", "hello", &[]),
    ("Content-Length: 9\r\n\r\n0\r\n\r\nGET ", "0\r\n\r\nGET ", &[]),
    ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", &[]),
    ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", &[]),
    ("Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", "hello", &[]),
    ("Transfer-Encoding: chunked\r\n\r\n0000000A\r\n0123456789\r\n000\r\n\r\n", "0123456789", &[]),
    ("Transfer-Encoding: chunked\r\n\r\na\r\n0\r\n\r\n56789\r\n0\r\n\r\n", "0\r\n\r\n56789", &[]),
    // Extensions end here.
    (
        "Transfer-Encoding: chunked\r\n\r\n2;ext\r\nhe\r\n3 ; ext=\"\\\";\t\" ;x=y\r\nllo\r\n0;ext\r\n\r\n",
        "hello",
        &[],
    ),
    ("Transfer-Encoding: chunked\r\n\r\n5;\r\nhello\r\n0;;;\r\n\r\n", "hello", &[]),
    // Trailers are passed on, in order, repeats too.
    (
        "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nx-note:\r\nX-Sum: 2 \r\n\r\n",
        "ok",
        &["X-Sum: 1", "x-note:", "X-Sum: 2 "],
    ),
    // But for those that frame, route or authenticate.
    (
        "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 3\r\nA: b\r\nTransfer-Encoding: chunked\r\n\
         Host: evil\r\nAuthorization: Basic eA==\r\nCookie: a=b\r\nX-Forwarded-For: 9.9.9.9\r\nConnection: close\r\n\
         Content-Type: text/html\r\nTE: trailers\r\nTrailer: A\r\nUpgrade: x\r\nExpect: 100-continue\r\n\
         Proxy-Authorization: x\r\nKeep-Alive: 1\r\nVia: 1.1 a\r\nForwarded: for=x\r\nMax-Forwards: 1\r\n\
         Content-Encoding: gzip\r\nContent-Range: bytes 0-1/2\r\nX_Forwarded_For: 9.9.9.9\r\nIf-Match: *\r\nC: d\r\n\r\n",
        "ok",
        &["A: b", "C: d"],
    ),
];

fn request(rest: &str) -> Vec<u8> {
    format!("POST /p HTTP/1.1\r\nHost: a\r\n{rest}").into_bytes()
}

both_drivers! {
    fn whole_and_cut_everywhere(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for (rest, body, trailers) in BODIES {
            let request = request(rest);
            let every: Vec<_> = (1..request.len()).collect();
            let in_body = request.len() - rest.split_once("\r\n\r\n").map_or(2, |(_, body)| body.len() + 2);
            let once = (in_body..request.len()).map(|cut| vec![cut]);
            for cuts in [Vec::new(), every].into_iter().chain(once) {
                client.send_cut(&request, &cuts);
                assert_eq!(client.read_response().expect(200).text(), "ok", "{rest:?} {cuts:?}");
                let seen = origin.last_request();
                assert_eq!(seen.text(), *body, "{cuts:?}");
                assert_eq!(seen.trailers, *trailers, "{cuts:?}");
            }
        }
        assert_eq!(origin.connections(), 1);
        let received = text_of(&origin.received()[0]);
        assert!(
            !received.contains(";ext") && !received.contains("; ext"),
            "chunk extensions end at the proxy"
        );
        assert!(!received.contains("evil"), "a forbidden trailer was passed on");
    }

    fn pipelined_in_one_write(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send(BODIES.iter().flat_map(|(rest, ..)| request(rest)).collect::<Vec<_>>());
        for (rest, ..) in BODIES {
            assert_eq!(client.read_response().expect(200).text(), "ok", "{rest:?}");
        }
        let bodies: Vec<_> = origin.requests().iter().map(|request| request.text()).collect();
        assert_eq!(bodies, BODIES.iter().map(|(_, body, _)| *body).collect::<Vec<_>>());
    }

    /// What has come is passed on at once: a body is never held until it is whole.
    fn each_piece_goes_on_as_it_comes(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let pieces = [
            ("Content-Length: 6", ["ab", "cd", "ef"]),
            ("Transfer-Encoding: chunked", ["2\r\nab\r\n", "2\r\ncd\r\n", "2\r\nef\r\n"]),
        ];
        for (field, pieces) in pieces {
            let mut client = proxy.connect();
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"));
            let mut upstream = origin.accept();
            upstream.read_head();
            for piece in pieces {
                client.send(piece);
                assert_eq!(text_of(&upstream.read_exact(piece.len())), piece);
            }
            if field.starts_with('T') {
                assert!(upstream.is_quiet());
                client.send("0\r\n\r\n");
                upstream.read_until(b"0\r\n\r\n");
            }
            upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            client.read_response().expect(200);
        }
    }

    /// A body without a length comes in chunks; one with a length keeps it.
    fn framing_is_kept(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for (fields, length, coding) in [
            ("Content-Length: 2\r\n\r\nab", Some("2"), None),
            ("Content-Length: 002\r\n\r\nab", Some("2"), None),
            ("Content-Length: 0\r\n\r\n", Some("0"), None),
            ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", None, Some("chunked")),
            ("\r\n", None, None),
        ] {
            client.send(request(fields));
            client.read_response().expect(200);
            let seen = origin.last_request();
            assert_eq!((seen.field("content-length"), seen.field("transfer-encoding")), (length, coding));
        }
    }
}

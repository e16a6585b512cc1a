//! Final responses that come before the request's body is done: they are delivered, and what is left of the body is
//! read past if it is short, else the connection is closed. Nothing of it is ever taken for the next request.

use std::time::Duration;

use crate::harness::{Origin, Setup, Step};

const REFUSAL: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
/// More than is read past: `limits::DRAIN_BODY_BYTES_MAX`.
const LONG: usize = 256 * 1024 + 1;

/// An origin that answers each request after its head, and reads the rest of nothing.
fn hasty() -> Origin {
    Origin::script(&[Step::Head, Step::reply(REFUSAL), Step::ReadToEnd])
}

both_drivers! {
    fn a_short_rest_is_read_past(driver) {
        let origin = hasty();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for length in [1, 5, 10_000, LONG - 1] {
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
            let response = client.read_response().expect(403);
            assert!(!response.says_close(), "{length}: {response:?}");
            // A body of requests: were any of it taken for one, there would be a response too many.
            let line = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
            client.send(&line.repeat(length / line.len() + 1)[..length]);
        }
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        client.read_response().expect(403);
        client.expect_eof();
        // A connection on which half a request went out serves no other.
        assert_eq!(origin.connections(), 5);
        assert!(origin.received().iter().all(|received| !received.starts_with(b"GET /smuggled")));
    }

    fn a_short_rest_may_be_under_way(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
        let mut upstream = origin.accept();
        upstream.read_head();
        upstream.read_exact(5);
        upstream.send(REFUSAL);
        client.read_response().expect(403);
        client.send("56789GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut next = origin.accept();
        assert_eq!(next.read_request().target(), "/next");
        next.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        client.read_response().expect(200);
        upstream.read_to_end();
    }

    fn a_long_or_unknown_rest_closes_the_connection(driver) {
        let origin = hasty();
        let proxy = Setup::to(&origin).start(driver);
        for framing in [format!("Content-Length: {LONG}"), "Transfer-Encoding: chunked".to_owned()] {
            let mut client = proxy.connect();
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
            let response = client.read_response().expect(403);
            assert!(response.says_close(), "{response:?}");
            client.try_send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
            client.expect_eof();
        }
        assert!(origin.received().iter().all(|received| !received.starts_with(b"GET /smuggled")));
        assert_eq!(origin.connections(), 2);
    }

    /// A client that sends without looking still gets the response: it is not lost in a reset.
    fn a_client_in_full_flow_gets_the_response(driver) {
        let origin = hasty();
        let proxy = Setup::to(&origin).start(driver);
        for framing in
            [format!("Content-Length: {}", 200 * 1024 * 1024), "Transfer-Encoding: chunked".to_owned()]
        {
            let mut client = proxy.connect();
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
            client.try_send([b"4000\r\n", &[b'x'; 0x4000][..], b"\r\n"].concat());
            client.read_response().expect(403);
        }
    }

    /// The upstream answers and closes without having read the body.
    fn an_upstream_that_answers_and_closes(driver) {
        let origin = Origin::script(&[
            Step::Head,
            Step::reply(REFUSAL.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")),
            Step::Finish,
            Step::ReadToEnd,
        ]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for _ in 0..3 {
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
            client.read_response().expect(403);
            client.send("hello");
        }
        assert_eq!(origin.connections(), 3);
    }

    fn local_answers_read_past_a_short_body_too(driver) {
        let origin = hasty();
        let setup = Setup::to(&origin).and("[[routes]]\nname = \"fixed\"\nmatch = { path = \"/fixed\" }\nrespond = { status = 200, body = \"ok\" }");
        let proxy = setup.start(driver);
        let mut client = proxy.connect();
        for body in ["Content-Length: 5\r\n\r\nhello", "Content-Length: 0\r\n\r\n", "\r\n"] {
            client.send(format!("POST /fixed HTTP/1.1\r\nHost: a\r\n{body}"));
            assert_eq!(client.read_response().expect(200).text(), "ok");
        }
        client.send(format!("POST /fixed HTTP/1.1\r\nHost: a\r\nContent-Length: {LONG}\r\n\r\n"));
        assert!(client.read_response().expect(200).says_close());
        client.expect_eof();
        assert_eq!(origin.connections(), 0);
    }

    /// The whole body goes to an upstream that answers early but reads on: its connection can be used again.
    fn an_upstream_that_reads_on(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
        let mut upstream = origin.accept();
        upstream.read_head();
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok");
        client.read_until(b"ok");
        // The response is under way; the body goes on, and is not held back by it.
        client.send("0123456789");
        assert_eq!(upstream.read_exact(10), b"0123456789");
        upstream.send("ok");
        assert_eq!(client.read_exact(2), b"ok");
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        upstream.read_request();
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        client.read_response().expect(200);
        assert_eq!(origin.connections(), 1);
    }

    /// The upstream goes away in the middle of an upload: that is answered, and the request is not sent again.
    fn an_upstream_that_leaves_in_an_upload(driver) {
        for last in [Step::Close, Step::Reset] {
            let origin = Origin::script(&[Step::Head, Step::ReadUntil(b"go".to_vec()), last.clone()]);
            let proxy = Setup::to(&origin).start(driver);
            let framings = [("Content-Length: 300000000", ""), ("Transfer-Encoding: chunked", "4000\r\n")];
            for (round, (field, start)) in framings.iter().enumerate() {
                let mut client = proxy.connect();
                client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n{start}go"));
                let response = client.read_response();
                assert_eq!(
                    (response.status, response.says_close()),
                    (502, true),
                    "{last:?} {field}: {response:?}"
                );
                client.expect_eof();
                assert_eq!(origin.connections(), round + 1);
            }
        }
    }

    /// An upstream that reads nothing stalls the upload, and still its answer arrives.
    fn an_upstream_that_never_reads_the_body(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 1 << 30));
        let mut upstream = origin.accept();
        client.send_until_stalled(&[b'x'; 0x4000], 0, Duration::from_millis(300));
        upstream.send(REFUSAL);
        client.read_response().expect(403);
    }
}

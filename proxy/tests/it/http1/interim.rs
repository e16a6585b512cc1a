//! Interim responses, and clients that wait for one before they send their bodies.

use crate::harness::{
    Origin, Setup, Step,
    message::{BodyFraming, text_of},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const EXPECTING: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

both_drivers! {
    fn are_passed_on_as_they_come(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        let mut upstream = None;
        for round in 0..2 {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let upstream = upstream.get_or_insert_with(|| origin.accept());
            upstream.read_request();
            for (status, lines) in [
                ("103 Early Hints", "Link: </a>; rel=preload\r\nlink: </b>; rel=preload\r\n"),
                ("100 Continue", ""),
                ("102 Processing", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n".split_at(19).0),
                ("199 ", "Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nX-End: 2\r\n"),
            ] {
                upstream.send(format!("HTTP/1.1 {status}\r\n{lines}\r\n"));
                let interim = client.read_response();
                assert_eq!(interim.head.start, format!("HTTP/1.1 {status}"));
                assert_eq!(interim.framing, BodyFraming::None);
                for gone in
                    ["content-length", "transfer-encoding", "connection", "x-hop", "keep-alive", "date"]
                {
                    assert_eq!(interim.field(gone), None, "{interim:?}");
                }
                if status.starts_with("103") {
                    assert_eq!(interim.head.values("link"), ["</a>; rel=preload", "</b>; rel=preload"]);
                }
                if status.starts_with("199") {
                    assert_eq!(interim.field("x-end"), Some("2"));
                }
            }
            upstream.send(OK);
            assert_eq!(client.read_response().expect(200).text(), "ok", "{round}");
        }
        proxy.await_metric("ringlane_responses_total", "class=\"1xx\"", 8);
    }

    fn come_with_the_final_one_in_one_piece_or_cut_anywhere(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        let mut upstream = None;
        let reply = format!("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 100 \r\n\r\n{OK}");
        for cuts in (1..reply.len()).map(|cut| vec![cut]).chain([Vec::new()]) {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let upstream = upstream.get_or_insert_with(|| origin.accept());
            upstream.read_request();
            upstream.send_cut(reply.as_bytes(), &cuts);
            assert_eq!([(); 3].map(|()| client.read_response().status), [103, 100, 200], "{cuts:?}");
        }
        assert_eq!(origin.connections(), 1);
    }

    fn are_kept_from_a_client_of_1_0(driver) {
        let origin = Origin::replies(&[format!("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n{OK}")]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.0\r\n\r\n");
        assert_eq!(client.read_response().expect(200).text(), "ok");
    }

    fn beyond_sixteen_are_an_upstream_gone_wrong(driver) {
        let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
        for (count, status) in [(15, 200), (16, 502), (100, 502)] {
            let origin = Origin::replies(&[format!("{}{OK}", hint.repeat(count))]);
            let proxy = Setup::to(&origin).start(driver);
            let mut client = proxy.connect();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let mut response = client.read_response();
            while response.status == 103 {
                response = client.read_response();
            }
            assert_eq!(response.status, status, "{count}");
            let reused = if status == 200 { 0 } else { 1 };
            proxy.await_metric("ringlane_upstream_connections", "state=\"idle\"", 1 - reused);
        }
    }

    fn an_upstream_that_says_continue(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        let mut upstream = None;
        for _ in 0..3 {
            client.send(EXPECTING);
            let upstream = upstream.get_or_insert_with(|| origin.accept());
            // The expectation is the upstream's to judge; the proxy says nothing of its own.
            assert_eq!(upstream.read_head().field("expect"), Some("100-continue"));
            assert!(client.is_quiet());
            upstream.send("HTTP/1.1 100 Continue\r\n\r\n");
            assert_eq!(client.read_response().status, 100);
            client.send("hello");
            assert_eq!(upstream.read_exact(5), b"hello");
            upstream.send(OK);
            assert_eq!(client.read_response().expect(200).text(), "ok");
        }
        assert_eq!(origin.connections(), 1);
    }

    fn in_chunks_too(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nexpect: 100-Continue\r\n\r\n");
        let mut upstream = origin.accept();
        upstream.read_head();
        upstream.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(client.read_response().status, 100);
        client.send("5\r\nhello\r\n0\r\n\r\n");
        assert_eq!(text_of(&upstream.read_exact(15)), "5\r\nhello\r\n0\r\n\r\n");
        upstream.send(OK);
        assert_eq!(client.read_response().expect(200).text(), "ok");
    }

    /// The client may send its body after the refusal, or not: only a close tells it what happens to it.
    fn an_upstream_that_refuses_early(driver) {
        for body in ["", "hello"] {
            let refusal = Step::reply("HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno");
            let origin = Origin::script(&[Step::Head, refusal, Step::ReadToEnd]);
            let proxy = Setup::to(&origin).start(driver);
            let mut client = proxy.connect();
            client.send(EXPECTING);
            let response = client.read_response().expect(417);
            assert!(response.says_close() && response.text() == "no", "{response:?}");
            client.send(body);
            client.expect_eof();
            // The next request must not be taken for the body that the upstream still waits for.
            proxy.get("/").expect(417);
            assert_eq!(origin.connections(), 2);
        }
    }

    fn a_client_that_does_not_wait(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        let mut upstream = None;
        for cuts in [vec![], vec![EXPECTING.len()], vec![EXPECTING.len() + 2]] {
            client.send_cut(format!("{EXPECTING}hello").as_bytes(), &cuts);
            let upstream = upstream.get_or_insert_with(|| origin.accept());
            assert_eq!(upstream.read_request().text(), "hello");
            // A late 100 is passed on: the client ignores it.
            upstream.send(format!("HTTP/1.1 100 Continue\r\n\r\n{OK}"));
            assert_eq!(client.read_response().status, 100);
            client.read_response().expect(200);
        }
        assert_eq!(origin.connections(), 1);
    }

    fn an_expectation_that_does_not_apply_ends_here(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        for (head, expected) in [
            ("POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nok", None),
            ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", None),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n", None),
            ("GET / HTTP/1.1\r\nHost: a\r\nExpect: something-else\r\n\r\n", Some("something-else")),
        ] {
            let mut client = proxy.connect();
            client.send(head);
            client.read_response().expect(200);
            assert_eq!(origin.last_request().field("expect"), expected, "{head:?}");
        }
    }
}

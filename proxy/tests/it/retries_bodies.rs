//! Request bodies that are sent again: the same bytes, and only those that were kept whole.

use crate::{
    harness::{
        Origin, Step,
        replies::{OK, ok},
    },
    retries::{BUSY, at, between, retries},
};

/// A body whose bytes are told apart.
fn body(length: usize) -> String {
    (0..length).map(|nth| char::from(b'a' + (nth % 26) as u8)).collect()
}

fn put(body: &str) -> String {
    format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

both_drivers! {
    fn a_body_within_the_bound_is_sent_again(driver) {
        for length in [1, 1023, 1024] {
            let (a, b) = (Origin::replies(&[BUSY]), Origin::replies(&[ok("b")]));
            let proxy = between(&a, &b).upstream("retries.buffer_bytes = 1024").start(driver);
            let body = body(length);
            assert_eq!(proxy.connect().ask(put(&body)).expect(200).text(), "b");
            assert_eq!((a.request().text(), b.request().text()), (body.clone(), body));
        }
    }

    fn a_body_beyond_the_bound_is_not(driver) {
        for length in [1025, 300_000] {
            let (a, b) = (Origin::replies(&[BUSY]), Origin::replies(&[OK]));
            let proxy = between(&a, &b).upstream("retries.buffer_bytes = 1024").start(driver);
            let body = body(length);
            assert_eq!(proxy.connect().ask(put(&body)).expect(503).text(), "busy");
            assert_eq!((a.request().text(), b.connections()), (body, 0));
        }
    }

    /// What comes later is kept as what came with the head is.
    fn a_body_that_comes_in_parts(driver) {
        let (a, b) = (Origin::replies(&[BUSY]), Origin::replies(&[ok("b")]));
        let proxy = between(&a, &b).start(driver);
        let body = body(50_000);
        let request = put(&body);
        let mut client = proxy.connect();
        client.send_cut(request.as_bytes(), &[100, 101, 5_000, 40_000]);
        assert_eq!(client.read_response().expect(200).text(), "b");
        assert_eq!((a.request().text(), b.request().text()), (body.clone(), body));
    }

    /// Long enough to be spliced, were it not kept.
    fn a_long_body_within_the_bound(driver) {
        let (a, b) = (Origin::replies(&[BUSY]), Origin::replies(&[ok("b")]));
        let proxy = between(&a, &b).upstream("retries.buffer_bytes = \"1MiB\"").start(driver);
        let body = body(1 << 20);
        assert_eq!(proxy.connect().ask(put(&body)).expect(200).text(), "b");
        assert!(a.request().text() == body && b.request().text() == body);
    }

    fn a_chunked_body_is_sent_again_with_its_trailers(driver) {
        let (a, b) = (Origin::replies(&[BUSY]), Origin::replies(&[ok("b")]));
        let proxy = between(&a, &b).start(driver);
        let head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let request = format!("{head}3\r\nabc\r\n7;x=y\r\ndefghij\r\n0\r\nX-Sum: 1\r\n\r\n");
        let mut client = proxy.connect();
        let cuts = [head.len() + 1, head.len() + 6, head.len() + 14, request.len() - 3];
        client.send_cut(request.as_bytes(), &cuts);
        assert_eq!(client.read_response().expect(200).text(), "b");
        for request in [a.request(), b.request()] {
            assert_eq!((request.text().as_str(), request.trailers), ("abcdefghij", vec!["X-Sum: 1".to_owned()]));
            assert_eq!(request.head.field("transfer-encoding"), Some("chunked"));
        }
        // The connection goes on behind it.
        client.ask(put("next")).expect(200);
    }

    fn a_chunked_body_beyond_the_bound_is_not(driver) {
        let (a, b) = (Origin::replies(&[BUSY]), Origin::replies(&[OK]));
        let proxy = between(&a, &b).upstream("retries.buffer_bytes = 1024").start(driver);
        let body = body(2_000);
        let request = format!("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n{body}\r\n0\r\n\r\n");
        proxy.connect().ask(request).expect(503);
        assert_eq!((a.request().text(), b.connections()), (body, 0));
    }

    /// The answer came before the rest of the body: the next try gets what the first one had, and then the rest.
    fn a_body_that_is_not_through_yet(driver) {
        let (a, b) = (Origin::manual(), Origin::manual());
        let proxy = between(&a, &b).start(driver);
        for chunked in [false, true] {
            let mut client = proxy.connect();
            let (begin, rest) = match chunked {
                false => ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabcde", "fghij"),
                true => (
                    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
                    "5\r\nfghij\r\n0\r\n\r\n",
                ),
            };
            client.send(begin);
            let mut first = a.accept();
            first.read_until(if chunked { b"abcde\r\n" } else { b"abcde" });
            first.send(BUSY);
            let mut second = b.accept();
            let head = second.read_head();
            // What was not whole can't be followed by another request.
            first.expect_close();
            client.send(rest);
            assert_eq!(second.read_request_after(head).text(), "abcdefghij", "{chunked}");
            second.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nb");
            assert_eq!(client.read_response().expect(200).text(), "b");
        }
        assert_eq!(retries(&proxy, "status"), 2);
    }

    fn after_a_reset_in_the_middle_of_it(driver) {
        let a = Origin::script(&[Step::ReadUntil(b"abcde".to_vec()), Step::Reset]);
        let b = Origin::manual();
        let proxy = between(&a, &b).start(driver);
        let mut client = proxy.asking("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabcde");
        let mut second = b.accept();
        let head = second.read_head();
        client.send("fghij");
        assert_eq!(second.read_request_after(head).text(), "abcdefghij");
        second.send(OK);
        client.read_response().expect(200);
        assert_eq!(retries(&proxy, "reset"), 1);
    }

    /// The connection was idle, and its end was on the way: with the body kept that is no reason to fail.
    fn on_a_connection_that_proves_stale(driver) {
        let a = Origin::manual();
        let proxy = at(&[&a.address()]).start(driver);
        let mut client = proxy.connect();
        let mut stale = a.serves(&mut client);
        proxy.await_metric("ringlane_upstream_connections", "state=\"idle\"", 1);
        client.send(put("hi"));
        stale.read_request();
        stale.reset();
        let mut fresh = a.accept();
        assert_eq!(fresh.read_request().text(), "hi");
        fresh.send(OK);
        client.read_response().expect(200);
        assert_eq!((retries(&proxy, "reset"), proxy.metric("ringlane_upstream_retries_total", "")), (1, 0));
    }

    /// The client has not been told to go on, so the next endpoint may tell it.
    fn a_client_that_waits_for_100(driver) {
        let (a, b) = (Origin::manual(), Origin::manual());
        let proxy = between(&a, &b).start(driver);
        let head = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        let mut client = proxy.asking(head);
        let mut first = a.accept();
        first.read_head();
        first.send(BUSY);
        let mut second = b.accept();
        let again = second.read_head();
        assert_eq!(again.field("expect"), Some("100-continue"));
        assert!(client.is_quiet());
        second.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(client.read_response().status, 100);
        client.send("abcde");
        assert_eq!(second.read_request_after(again).text(), "abcde");
        second.send(ok("b"));
        assert_eq!(client.read_response().expect(200).text(), "b");
    }

    /// It has been told to go on: what follows is the answer.
    fn not_after_100(driver) {
        let (a, b) = (Origin::manual(), Origin::replies(&[OK]));
        let proxy = between(&a, &b).start(driver);
        let head = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        let mut client = proxy.asking(head);
        let mut first = a.accept();
        let seen = first.read_head();
        first.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(client.read_response().status, 100);
        client.send("abcde");
        assert_eq!(first.read_request_after(seen).text(), "abcde");
        first.send(BUSY);
        client.read_response().expect(503);
        assert_eq!(b.connections(), 0);
    }

    /// A limit on bodies counts each byte once, however often it is sent.
    fn a_limit_on_bodies_counts_them_once(driver) {
        let a = Origin::replies(&[BUSY, BUSY, OK]);
        let proxy = at(&[&a.address()]).listener("limits.request_body_bytes = 1500").start(driver);
        let body = body(1_000);
        let chunked = format!("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n{body}\r\n0\r\n\r\n");
        proxy.connect().ask(chunked).expect(200);
        assert!(a.requests().iter().all(|request| request.text() == body));
    }
}

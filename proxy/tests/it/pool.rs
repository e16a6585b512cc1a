//! Connections to an upstream: kept, used again, and dropped.

use crate::harness::{
    Origin, Proxy, Setup, Wire,
    replies::{GET, OK, get, ok},
};

/// Waits until so many connections rest in the pool.
#[track_caller]
fn await_idle(proxy: &Proxy, count: u64) {
    proxy.await_metric("ringlane_upstream_connections", "state=\"idle\"", count);
}

/// Two connections that have each served one request; the second one became idle last.
#[track_caller]
fn two_idle(proxy: &Proxy, origin: &Origin) -> (Wire, Wire) {
    let (mut first, mut second) = (proxy.connect(), proxy.connect());
    first.send(get("/first"));
    let mut one = origin.accept();
    assert_eq!(one.read_request().target(), "/first");
    second.send(get("/second"));
    let mut two = origin.accept();
    assert_eq!(two.read_request().target(), "/second");
    one.send(OK);
    first.read_response().expect(200);
    await_idle(proxy, 1);
    two.send(OK);
    second.read_response().expect(200);
    (one, two)
}

both_drivers! {
    fn requests_share_one_connection(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for _ in 0..5 {
            client.ask(GET).expect(200);
        }
        // Another client's request takes the same one.
        await_idle(&proxy, 1);
        proxy.get("/").expect(200);
        assert_eq!(origin.connections(), 1);
        assert_eq!(proxy.upstream_connects(), 1);
        assert_eq!(proxy.metric("ringlane_upstream_reuses_total", ""), 5);
    }

    fn the_connection_that_became_idle_last_is_taken_first(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let (mut one, mut two) = two_idle(&proxy, &origin);
        await_idle(&proxy, 2);
        let (mut third, mut fourth) = (proxy.connect(), proxy.connect());
        third.send(get("/third"));
        assert_eq!(two.read_request().target(), "/third");
        assert!(one.is_quiet());
        fourth.send(get("/fourth"));
        assert_eq!(one.read_request().target(), "/fourth");
        assert_eq!(proxy.upstream_connects(), 2);
    }

    fn more_than_max_idle_are_closed(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("pool.max_idle = 1").start(driver);
        let (one, mut two) = two_idle(&proxy, &origin);
        two.expect_eof();
        assert!(one.is_quiet());
        await_idle(&proxy, 1);
        proxy.await_metric("ringlane_upstream_connections", "state=\"busy\"", 0);
    }

    fn with_max_idle_0_none_is_kept(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).upstream("pool.max_idle = 0").start(driver);
        let mut client = proxy.connect();
        for _ in 0..3 {
            client.ask(GET).expect(200);
        }
        assert_eq!(origin.connections(), 3);
        assert_eq!(proxy.metric("ringlane_upstream_reuses_total", ""), 0);
    }

    fn a_connection_is_closed_after_max_requests(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("pool.max_requests = 2").start(driver);
        let mut client = proxy.connect();
        for _ in 0..2 {
            let mut upstream = origin.serves(&mut client);
            client.send(GET);
            upstream.read_request();
            upstream.send(OK);
            client.read_response().expect(200);
            upstream.expect_eof();
        }
        assert_eq!(proxy.upstream_connects(), 2);
    }

    fn an_idle_connection_is_closed_after_idle_timeout(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("pool.idle_timeout = \"300ms\"").start(driver);
        let (mut one, mut two) = two_idle(&proxy, &origin);
        one.expect_eof();
        two.expect_eof();
        await_idle(&proxy, 0);
        assert_eq!(proxy.metric("ringlane_upstream_idle_dropped_total", "reason=\"expired\""), 2);
    }

    fn a_connection_older_than_max_age_is_closed(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("pool.max_age = \"300ms\"").start(driver);
        let (mut one, mut two) = two_idle(&proxy, &origin);
        one.expect_eof();
        two.expect_eof();
        assert_eq!(proxy.metric("ringlane_upstream_idle_dropped_total", "reason=\"expired\""), 2);
    }

    /// It is noticed while it rests, not by the request that would have been sent on it.
    fn a_connection_that_the_upstream_closes_is_dropped_at_once(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let (one, two) = two_idle(&proxy, &origin);
        await_idle(&proxy, 2);
        drop(two);
        await_idle(&proxy, 1);
        one.reset();
        await_idle(&proxy, 0);
        assert_eq!(proxy.metric("ringlane_upstream_idle_dropped_total", "reason=\"closed_by_upstream\""), 2);
        // Not even a request that could not be sent twice fails.
        let mut client = proxy.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        let mut fresh = origin.accept();
        assert_eq!(fresh.read_request().text(), "hi");
        fresh.send(OK);
        client.read_response().expect(200);
        assert_eq!(proxy.metric("ringlane_upstream_retries_total", ""), 0);
    }

    /// Bytes on an idle connection answer nobody: taken as the next request's answer they would be a desync.
    fn bytes_that_nobody_asked_for_end_the_connection(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        upstream.send(OK);
        client.read_response().expect(200);
        await_idle(&proxy, 1);
        upstream.send(ok("nobody asked for this"));
        upstream.expect_close();
        proxy.await_metric("ringlane_upstream_idle_dropped_total", "reason=\"unasked_bytes\"", 1);
        client.send(GET);
        let mut fresh = origin.accept();
        fresh.read_request();
        fresh.send(ok("right"));
        assert_eq!(client.read_response().expect(200).text(), "right");
    }

    /// Seen on its way back to the pool, not only once it rests there.
    fn bytes_after_a_response_end_the_connection(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        upstream.send(format!("{OK}{}", ok("smuggled")));
        assert_eq!(client.read_response().expect(200).text(), "ok");
        upstream.expect_close();
        client.send(GET);
        let mut fresh = origin.accept();
        fresh.read_request();
        fresh.send(ok("right"));
        assert_eq!(client.read_response().expect(200).text(), "right");
    }
}

/// After `reply` to the first request, the second goes on a connection of its own.
#[track_caller]
fn is_not_reused(proxy: &Proxy, origin: &Origin, reply: &str) {
    let (mut client, mut upstream) = proxy.under_way(origin, GET);
    upstream.send(reply);
    if !reply.contains("Content-Length") {
        upstream.finish();
    }
    assert_eq!(client.read_response().expect(200).text(), "ok", "{reply}");
    upstream.expect_close();
    client.send(GET);
    let mut fresh = origin.accept();
    fresh.read_request();
    fresh.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    client.read_response().expect(200);
}

both_drivers! {
    fn only_a_connection_that_may_go_on_is_kept(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        for reply in [
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nConnection: foo, CLOSE\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\n\r\nok",
        ] {
            is_not_reused(&proxy, &origin, reply);
        }
        assert_eq!(proxy.metric("ringlane_upstream_reuses_total", ""), 0);
    }

    fn http_1_0_that_says_so_is_kept(driver) {
        let origin = Origin::replies(&["HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for _ in 0..3 {
            client.ask(GET).expect(200);
        }
        assert_eq!(origin.connections(), 1);
    }

    fn a_response_that_the_client_did_not_take_ends_the_connection(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nsome");
        client.read_until(b"some");
        client.reset();
        // The rest has nowhere to go.
        while upstream.try_send([b'x'; 4096]) {}
        proxy.await_metric("ringlane_client_aborts_total", "", 1);
        await_idle(&proxy, 0);
    }

    /// What is left of the request would be read as the next one's head.
    fn a_response_before_the_end_of_the_request_ends_the_connection(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
        let mut upstream = origin.accept();
        upstream.read_until(b"abc");
        upstream.send(OK);
        client.read_response().expect(200);
        upstream.expect_close();
        await_idle(&proxy, 0);
        client.send("def");
        client.send(GET);
        let mut fresh = origin.accept();
        assert_eq!(fresh.read_request().method(), "GET");
        fresh.send(OK);
        client.read_response().expect(200);
    }
}

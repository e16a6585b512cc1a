//! A reused connection that turns out to be stale: what is sent again, and what never is.

use crate::harness::{
    Client, Origin, Proxy, Setup, Wire,
    replies::{GET, OK, ok},
};

/// A client and the idle connection that its first request has left behind.
#[track_caller]
fn with_an_idle_connection(proxy: &Proxy, origin: &Origin) -> (Client, Wire) {
    let (mut client, mut upstream) = proxy.under_way(origin, GET);
    upstream.send(OK);
    client.read_response().expect(200);
    proxy.await_metric("ringlane_upstream_connections", "state=\"idle\"", 1);
    (client, upstream)
}

/// `request` (as `method`) on a connection that the upstream closes when it has read it.
#[track_caller]
fn closed_under(client: &mut Client, upstream: Wire, request: &str) {
    let mut upstream = upstream;
    client.send(request);
    upstream.read_request();
    upstream.reset();
}

fn retries(proxy: &Proxy) -> u64 {
    proxy.metric("ringlane_upstream_retries_total", "")
}

both_drivers! {
    fn what_is_idempotent_is_sent_again_on_a_fresh_connection(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let (mut client, mut upstream) = with_an_idle_connection(&proxy, &origin);
        for (nth, method) in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"].into_iter().enumerate() {
            let request = format!("{method} /x?y HTTP/1.1\r\nHost: a\r\n\r\n");
            closed_under(&mut client, upstream, &request);
            upstream = origin.accept();
            let again = upstream.read_request();
            assert_eq!(again.head.start, format!("{method} /x?y HTTP/1.1"));
            upstream.send(if method == "HEAD" { "HTTP/1.1 200 OK\r\n\r\n".to_owned() } else { ok("again") });
            client.read_response_to(method).expect(200);
            assert_eq!(retries(&proxy), nth as u64 + 1);
            proxy.await_metric("ringlane_upstream_connections", "state=\"idle\"", 1);
        }
    }

    /// An orderly close says no more than a reset about what became of the request.
    fn an_orderly_close_is_stale_as_well(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let (mut client, mut upstream) = with_an_idle_connection(&proxy, &origin);
        client.send(GET);
        upstream.read_request();
        drop(upstream);
        let mut fresh = origin.accept();
        fresh.read_request();
        fresh.send(OK);
        client.read_response().expect(200);
        assert_eq!(retries(&proxy), 1);
    }

    fn once_and_no_more(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let (mut client, upstream) = with_an_idle_connection(&proxy, &origin);
        closed_under(&mut client, upstream, GET);
        let mut fresh = origin.accept();
        fresh.read_request();
        fresh.reset();
        client.read_response().expect(502);
        assert_eq!(retries(&proxy), 1);
        assert_eq!(proxy.upstream_connects(), 2);
    }

    fn not_on_a_connection_that_was_fresh(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let (mut client, upstream) = proxy.under_way(&origin, GET);
        drop(upstream);
        client.read_response().expect(502);
        assert_eq!((retries(&proxy), proxy.upstream_connects()), (0, 1));
    }

    /// The upstream may have done what it was asked to before it closed.
    fn what_may_have_had_an_effect_is_never_sent_twice(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        for request in [
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            "FROB / HTTP/1.1\r\nHost: a\r\n\r\n",
            // Of these the body is gone: it has been passed on as it came.
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        ] {
            let (mut client, upstream) = with_an_idle_connection(&proxy, &origin);
            let connects = proxy.upstream_connects();
            closed_under(&mut client, upstream, request);
            client.read_response().expect(502);
            assert_eq!((retries(&proxy), proxy.upstream_connects()), (0, connects), "{request}");
        }
    }

    /// A response has begun: the request was taken.
    fn not_after_a_byte_of_the_response(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let (mut client, mut upstream) = with_an_idle_connection(&proxy, &origin);
        client.send(GET);
        upstream.read_request();
        upstream.send("H");
        drop(upstream);
        client.read_response().expect(502);
        assert_eq!((retries(&proxy), proxy.upstream_connects()), (0, 1));
    }

    /// A second try takes its place in the pool like any other request.
    fn within_max_connections(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("pool.max_connections = 1").start(driver);
        let (mut client, upstream) = with_an_idle_connection(&proxy, &origin);
        closed_under(&mut client, upstream, GET);
        let mut fresh = origin.accept();
        fresh.read_request();
        fresh.send(OK);
        client.read_response().expect(200);
        proxy.await_metric("ringlane_upstream_connections", "state=\"idle\"", 1);
        proxy.await_metric("ringlane_upstream_connections", "state=\"busy\"", 0);
    }
}

//! Timeouts that span more than one wait: the whole request, a tunnel, a client that does not read.

use std::time::Duration;

use crate::{
    harness::{
        End, Origin, Proxy, Setup, Wire,
        replies::{GET, OK, SWITCH, UPGRADE, get},
    },
    timeouts::only,
};

fn limited(origin: &Origin) -> Setup {
    Setup::to(origin).upstream("timeouts.request = \"250ms\"")
}

/// Both ends of a tunnel.
#[track_caller]
fn tunnel(proxy: &Proxy, origin: &Origin) -> (Wire, Wire) {
    let (mut client, mut upstream) = proxy.under_way(origin, UPGRADE);
    upstream.send(SWITCH);
    assert_eq!(client.read_head().status(), 101);
    (client, upstream)
}

both_drivers! {
    fn request_in_wait_of_a_head(driver) {
        let origin = Origin::manual();
        let proxy = limited(&origin).start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        client.read_response().expect(504);
        upstream.expect_close();
        only(&proxy, "request");
    }

    fn request_in_the_queue(driver) {
        let origin = Origin::manual();
        let proxy = limited(&origin).upstream("pool.max_connections = 1").start(driver);
        let (mut first, mut upstream) = proxy.under_way(&origin, UPGRADE);
        upstream.send(SWITCH);
        first.read_head();
        // A tunnel is no request any more: it holds the connection for longer than the limit.
        let mut second = proxy.connect();
        second.ask(GET).expect(504);
        only(&proxy, "request");
        proxy.await_metric("ringlane_queue_length", "", 0);
        first.send("still there");
        upstream.read_until(b"still there");
    }

    /// Each pause is short enough; all of it together is not.
    fn request_in_the_middle_of_a_body(driver) {
        let origin = Origin::manual();
        let proxy = limited(&origin).start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while upstream.try_send("x") {
            if upstream.stirs(Duration::from_millis(10)) {
                break;
            }
        }
        let response = client.read_response();
        assert_eq!((response.status, response.end), (200, End::Cut));
        only(&proxy, "request");
    }

    fn request_while_its_body_comes(driver) {
        let origin = Origin::manual();
        let proxy = limited(&origin).start(driver);
        let mut client = proxy.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
        let mut upstream = origin.accept();
        upstream.read_until(b"abc");
        client.read_response().expect(504);
        upstream.expect_close();
        // So little is left of the body that the connection can go on.
        client.send("defghij");
        only(&proxy, "request");
        origin.serves(&mut client);
    }

    /// It is over when the client has the answer, however long the rest of the body takes.
    fn request_is_recorded_when_its_time_is_over(driver) {
        let origin = Origin::manual();
        let proxy = limited(&origin).start(driver);
        let mut client = proxy.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
        let mut upstream = origin.accept();
        upstream.read_until(b"abc");
        assert!(!client.read_response().expect(504).says_close());
        only(&proxy, "request");
        proxy.await_metric("ringlane_requests_total", "", 1);
        proxy.await_metric("ringlane_requests_active", "", 0);
        client.send("defghij");
        origin.serves(&mut client);
    }

    /// The next request on the connection has all of its time.
    fn request_is_counted_anew(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).upstream("timeouts.request = \"4s\"").start(driver);
        let mut client = proxy.connect();
        for _ in 0..5 {
            client.ask(GET).expect(200);
            assert!(!client.stirs(Duration::from_secs(1)));
        }
    }

    fn tunnel_idle(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).listener("timeouts.tunnel_idle = \"200ms\"").start(driver);
        let (mut client, mut upstream) = tunnel(&proxy, &origin);
        client.send("ping");
        assert_eq!(upstream.read_exact(4), b"ping");
        client.expect_close();
        upstream.expect_close();
        only(&proxy, "tunnel_idle");
        proxy.await_metric("ringlane_tunnels_active", "", 0);
    }

    /// Bytes either way keep it.
    fn a_tunnel_in_use_is_not_idle(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).listener("timeouts.tunnel_idle = \"4s\"").start(driver);
        let (mut client, mut upstream) = tunnel(&proxy, &origin);
        for _ in 0..12 {
            assert!(!upstream.stirs(Duration::from_millis(400)));
            upstream.send("x");
            assert_eq!(client.read_exact(1), b"x");
        }
        assert_eq!(proxy.metric("ringlane_tunnels_active", ""), 1);
    }

    /// A client that asks for much and reads nothing holds an upstream connection, and memory: not for long.
    fn response_write(driver) {
        let origin = Origin::serve(|mut wire| {
            wire.read_request();
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
            while wire.try_send([b'x'; 64 * 1024]) {}
        });
        let proxy = Setup::to(&origin).listener("timeouts.response_write = \"300ms\"").start(driver);
        let mut client = proxy.asking(get("/large"));
        only(&proxy, "response_write");
        proxy.await_metric("ringlane_connections_active", "", 0);
        proxy.await_metric("ringlane_upstream_connections", "state=\"busy\"", 0);
        let response = client.read_response();
        assert_ne!(response.end, End::Complete);
    }
}

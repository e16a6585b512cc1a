//! Every timeout of the config: what it ends, what the client is told, and that it is counted, alone and once.

use std::time::Duration;

use crate::harness::{
    Client, End, Origin, Proxy, Setup,
    replies::{GET, OK},
};

/// Every timeout, by its key in the config.
const TIMEOUTS: [&str; 10] = [
    "request_head",
    "request_body_idle",
    "keep_alive",
    "response_write",
    "queue",
    "connect",
    "response_head",
    "response_body_idle",
    "request",
    "tunnel_idle",
];

/// Waits until this timeout has been counted once, and fails unless the others have not.
#[track_caller]
pub fn only(proxy: &Proxy, timeout: &str) {
    proxy.await_metric("ringlane_timeouts_total", &format!("timeout=\"{timeout}\""), 1);
    let counted = |name: &&&str| proxy.metric("ringlane_timeouts_total", &format!("timeout=\"{name}\"")) > 0;
    assert_eq!(TIMEOUTS.iter().filter(counted).collect::<Vec<_>>(), [&timeout]);
}

/// Sends `bytes`, one by one and slowly, until the peer says something. They have to be more than it has patience for.
#[track_caller]
fn drip(client: &mut Client, bytes: impl IntoIterator<Item = u8>) {
    for byte in bytes {
        if !client.try_send([byte]) || client.stirs(Duration::from_millis(10)) {
            return;
        }
    }
    panic!("all of it was taken");
}

both_drivers! {
    fn request_head(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).listener("timeouts.request_head = \"200ms\"").start(driver);
        let mut client = proxy.connect();
        assert!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n").expect(408).says_close());
        client.expect_close();
        only(&proxy, "request_head");
        assert_eq!(origin.connections(), 0);
    }

    /// A byte now and then does not buy more time.
    fn request_head_in_drips(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).listener("timeouts.request_head = \"200ms\"").start(driver);
        let mut client = proxy.connect();
        drip(&mut client, GET[..20].bytes().chain(std::iter::repeat_n(b'x', 2000)));
        client.read_response().expect(408);
        only(&proxy, "request_head");
    }

    fn request_head_of_a_later_request(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).listener("timeouts.request_head = \"200ms\"").start(driver);
        let mut client = proxy.connect();
        client.ask(format!("{GET}GET /second")).expect(200);
        client.read_response().expect(408);
        client.expect_close();
        only(&proxy, "request_head");
    }

    fn request_body_idle(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).listener("timeouts.request_body_idle = \"200ms\"").start(driver);
        for request in [
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ] {
            let mut client = proxy.asking(request);
            let mut upstream = origin.accept();
            upstream.read_until(b"abc");
            assert!(client.read_response().expect(408).says_close());
            client.expect_close();
            // The upstream sees that it is not the end of the body.
            let (rest, _) = upstream.read_to_end();
            assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
        }
        proxy.await_metric("ringlane_timeouts_total", "timeout=\"request_body_idle\"", 2);
        proxy.await_metric("ringlane_upstream_connections", "state=\"idle\"", 0);
    }

    /// It bounds the pauses, not the whole.
    fn a_body_that_goes_on_is_not_idle(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).listener("timeouts.request_body_idle = \"4s\"").start(driver);
        let mut client = proxy.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n");
        for _ in 0..12 {
            assert!(!client.stirs(Duration::from_millis(400)), "{:?}", client.read_response());
            client.send("x");
        }
        client.read_response().expect(200);
    }

    fn keep_alive(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).listener("timeouts.keep_alive = \"200ms\"").start(driver);
        let mut client = proxy.connect();
        client.ask(GET).expect(200);
        client.expect_eof();
        only(&proxy, "keep_alive");
        proxy.await_metric("ringlane_connections_active", "", 0);
    }

    fn keep_alive_before_the_first_request(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).listener("timeouts.keep_alive = \"200ms\"").start(driver);
        proxy.connect().expect_eof();
        only(&proxy, "keep_alive");
        // That was no request.
        assert_eq!(proxy.metric("ringlane_requests_total", ""), 0);
    }

    /// Giving up its buffers meanwhile buys a connection no time: it ends before one that came later.
    fn keep_alive_is_one_wait(driver) {
        let origin = Origin::replies(&[OK]);
        for keep_alive in ["400ms", "1s"] {
            let toml = format!("timeouts.keep_alive = {keep_alive:?}");
            let proxy = Setup::to(&origin).listener(&toml).start(driver);
            let mut served = proxy.connect();
            served.ask(GET).expect(200);
            // Should it have ended already, on a machine this slow, so much the better.
            let _ = served.stirs(Duration::from_millis(200));
            proxy.connect().expect_eof();
            assert!(!served.is_quiet(), "{keep_alive}: still open");
            served.expect_eof();
        }
    }

    /// Longer than the time after which a connection gives up its buffers.
    fn keep_alive_of_a_connection_at_rest(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).listener("timeouts.keep_alive = \"5s\"").start(driver);
        let (mut client, mut other) = (proxy.connect(), proxy.connect());
        client.ask(GET).expect(200);
        assert!(!client.stirs(Duration::from_millis(600)));
        client.ask(GET).expect(200);
        client.expect_eof();
        other.expect_eof();
    }

    fn queue(driver) {
        let origin = Origin::manual();
        let setup = Setup::to(&origin).upstream("pool.max_connections = 1\ntimeouts.queue = \"200ms\"");
        let proxy = setup.start(driver);
        let (mut first, mut second) = (proxy.connect(), proxy.connect());
        first.send(GET);
        let mut upstream = origin.accept();
        upstream.read_request();
        second.ask(GET).expect(503);
        only(&proxy, "queue");
    }

    fn response_head(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("timeouts.response_head = \"200ms\"").start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        assert!(!client.read_response().expect(504).says_close());
        // Its answer, should it come, would be taken for the next one's.
        upstream.expect_close();
        only(&proxy, "response_head");
        origin.serves(&mut client);
    }

    fn response_head_after_its_beginning(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("timeouts.response_head = \"200ms\"").start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        upstream.send("HTTP/1.1 200 OK\r\nContent-");
        client.read_response().expect(504);
        upstream.expect_close();
        only(&proxy, "response_head");
    }

    fn response_head_in_drips(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("timeouts.response_head = \"200ms\"").start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        drip(&mut upstream, OK[..17].bytes().chain(std::iter::repeat_n(b'x', 2000)));
        client.read_response().expect(504);
        only(&proxy, "response_head");
    }

    /// It is the upstream's time: it begins when the upstream has the request, however long the client took.
    fn response_head_counts_from_the_end_of_the_request(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("timeouts.response_head = \"4s\"").start(driver);
        let mut client = proxy.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1");
        let mut upstream = origin.accept();
        upstream.read_until(b"\r\n\r\n1");
        assert!(!client.stirs(Duration::from_secs(3)));
        client.send("2");
        upstream.read_until(b"2");
        assert!(!client.stirs(Duration::from_secs(2)), "{:?}", client.read_head());
        upstream.send(OK);
        client.read_response().expect(200);
    }

    fn response_body_idle(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("timeouts.response_body_idle = \"200ms\"").start(driver);
        for (framing, part) in [("Content-Length: 10", "part"), ("Transfer-Encoding: chunked", "4\r\npart\r\n")] {
            let (mut client, mut upstream) = proxy.under_way(&origin, GET);
            upstream.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{part}"));
            let response = client.read_response();
            assert_eq!((response.text().as_str(), response.end), ("part", End::Cut), "{response:?}");
            upstream.expect_close();
        }
        proxy.await_metric("ringlane_timeouts_total", "timeout=\"response_body_idle\"", 2);
    }

    fn response_body_idle_of_a_body_until_close(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("timeouts.response_body_idle = \"200ms\"").start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, "GET / HTTP/1.0\r\n\r\n");
        upstream.send("HTTP/1.1 200 OK\r\n\r\npart");
        client.read_until(b"part");
        client.expect_reset();
        only(&proxy, "response_body_idle");
    }
}

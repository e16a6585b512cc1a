//! Upstreams that refuse, break off, talk nonsense or say nothing.

use std::net::TcpListener;

use socket2::{Domain, Socket, Type};

use crate::harness::{
    Driver, End, Origin, Proxy, Setup,
    replies::{GET, OK, ok},
};

/// An address where nobody listens: its port is held, so that nobody else can get it.
struct Closed(Socket);

impl Closed {
    fn new() -> Closed {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        Closed(socket)
    }

    fn address(&self) -> String {
        self.0.local_addr().unwrap().as_socket().unwrap().to_string()
    }
}

/// An address where a connect gets no answer: the queue of a listener that never accepts is full.
pub struct Deaf {
    listener: TcpListener,
    _queued: Vec<Socket>,
}

impl Deaf {
    /// Fills the queue.
    pub fn new() -> Deaf {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        socket.listen(0).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap().into();
        let mut queued = Vec::new();
        loop {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            if socket.connect_timeout(&address, std::time::Duration::from_millis(100)).is_err() {
                return Deaf { listener, _queued: queued };
            }
            queued.push(socket);
        }
    }

    /// Where nobody answers.
    pub fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }
}

fn connect_failures(proxy: &Proxy) -> u64 {
    proxy.metric("ringlane_upstream_connect_failures_total", "")
}

/// The status of a request whose only upstream connection answers with `reply` and closes.
#[track_caller]
fn status_for(driver: Driver, reply: &str) -> u16 {
    let origin = Origin::manual();
    let proxy = Setup::to(&origin).start(driver);
    let (mut client, mut upstream) = proxy.under_way(&origin, GET);
    upstream.send(reply);
    drop(upstream);
    let response = client.read_response();
    assert_eq!(response.end, End::Complete, "{response:?}");
    // The client did nothing wrong: its connection goes on.
    assert!(!response.says_close(), "{response:?}");
    origin.serves(&mut client);
    response.status
}

both_drivers! {
    fn a_refused_connect_tries_the_next_endpoint(driver) {
        let (closed, origin) = (Closed::new(), Origin::replies(&[OK]));
        let setup = Setup::to_endpoints(&[&closed.address(), &origin.address()]);
        let proxy = setup.start(driver);
        for _ in 0..4 {
            proxy.get("/").expect(200);
        }
        assert!(connect_failures(&proxy) >= 1);
        assert_eq!(origin.requests().len(), 4);
    }

    fn all_refused_is_502(driver) {
        let (one, two) = (Closed::new(), Closed::new());
        let proxy = Setup::to_endpoints(&[&one.address(), &two.address()]).start(driver);
        let response = proxy.get("/").expect(502);
        assert!(response.text().contains("refused"), "{response:?}");
        assert_eq!(connect_failures(&proxy), 2);
        // The places of connections that never came to be are free again.
        proxy.await_metric("ringlane_upstream_connections", "state=\"busy\"", 0);
    }

    fn a_request_tries_three_endpoints_and_no_more(driver) {
        let closed: Vec<_> = (0..5).map(|_| Closed::new()).collect();
        let addresses: Vec<_> = closed.iter().map(Closed::address).collect();
        let endpoints: Vec<_> = addresses.iter().map(String::as_str).collect();
        let proxy = Setup::to_endpoints(&endpoints).start(driver);
        proxy.get("/").expect(502);
        assert_eq!(connect_failures(&proxy), 3);
    }

    fn a_missing_unix_socket_is_502(driver) {
        let proxy = Setup::to_endpoints(&["unix:/nonexistent/app.sock"]).start(driver);
        proxy.get("/").expect(502);
        assert_eq!(connect_failures(&proxy), 1);
    }

    fn a_connect_without_an_answer_is_504(driver) {
        let deaf = Deaf::new();
        let setup = Setup::to_endpoints(&[&deaf.address()]).upstream("timeouts.connect = \"150ms\"");
        let proxy = setup.start(driver);
        proxy.get("/").expect(504);
        proxy.await_metric("ringlane_timeouts_total", "timeout=\"connect\"", 1);
        assert_eq!(connect_failures(&proxy), 1);
        proxy.await_metric("ringlane_upstream_connections", "state=\"busy\"", 0);
    }

    fn a_connect_without_an_answer_tries_the_next_endpoint(driver) {
        let (deaf, origin) = (Deaf::new(), Origin::replies(&[OK]));
        let setup = Setup::to_endpoints(&[&deaf.address(), &origin.address()]);
        let proxy = setup.upstream("timeouts.connect = \"150ms\"").start(driver);
        proxy.get("/").expect(200);
        assert_eq!(connect_failures(&proxy), 1);
        // It ended nothing.
        assert_eq!(proxy.metric("ringlane_timeouts_total", "timeout=\"connect\""), 0);
    }

    fn an_upstream_without_endpoints_is_503(driver) {
        let proxy = Setup::to_endpoints(&["nowhere.invalid:80"]).start(driver);
        let response = proxy.get("/").expect(503);
        assert_eq!(response.field("retry-after"), Some("1"));
        proxy.await_log("nowhere.invalid:80 can't be looked up");
    }

    fn a_close_without_an_answer_is_502(driver) {
        assert_eq!(status_for(driver, ""), 502);
    }

    fn a_close_within_the_head_is_502(driver) {
        assert_eq!(status_for(driver, "HTTP/1.1 200 OK\r\nContent-"), 502);
        assert_eq!(status_for(driver, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"), 502);
    }

    fn what_is_no_response_is_502(driver) {
        for reply in [
            "SSH-2.0-OpenSSH_9.6\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 OK\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\n folded\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        ] {
            assert_eq!(status_for(driver, reply), 502, "{reply:?}");
        }
    }

    fn a_head_without_end_is_502(driver) {
        let reply = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(70_000));
        assert_eq!(status_for(driver, &reply), 502);
    }

    fn malformed_responses_are_counted(driver) {
        let origin = Origin::replies(&["nonsense\r\n\r\n"]);
        let proxy = Setup::to(&origin).start(driver);
        proxy.get("/").expect(502);
        assert_eq!(proxy.metric("ringlane_upstream_malformed_total", ""), 1);
        assert_eq!(proxy.metric("ringlane_upstream_cuts_total", ""), 0);
    }

    fn chunks_that_break_the_rules_from_the_start_are_502(driver) {
        assert_eq!(status_for(driver, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 502);
    }

    /// The client must be able to tell that what it has is not all.
    fn a_body_that_is_cut_short_is_seen_as_cut(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        for (framing, body, last) in [
            ("Content-Length: 10", "short", ""),
            ("Transfer-Encoding: chunked", "5\r\nshort\r\n", ""),
            ("Transfer-Encoding: chunked", "5\r\nshort\r\n", "3\r\nab"),
            ("Transfer-Encoding: chunked", "5\r\nshort\r\n", "zz\r\n"),
        ] {
            let (mut client, mut upstream) = proxy.under_way(&origin, GET);
            upstream.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}"));
            let received = client.received();
            let mut seen = client.read_until(b"short");
            upstream.send(last);
            drop(upstream);
            seen.extend(client.read_to_end().0);
            // Neither as many bytes as were promised, nor a last chunk.
            assert!(!seen.ends_with(b"0\r\n\r\n"), "{framing} {last:?}: {received:?}");
        }
        proxy.await_metric("ringlane_upstream_cuts_total", "", 3);
        proxy.await_metric("ringlane_upstream_malformed_total", "", 1);
    }

    /// Only the close would end it: nothing but a reset tells it from a whole one.
    fn a_body_until_close_that_is_cut_short_ends_in_a_reset(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, "GET / HTTP/1.0\r\n\r\n");
        upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n");
        client.read_until(b"short");
        drop(upstream);
        client.expect_reset();
    }

    /// A reset right behind some of a body that only the close would end, whatever the reads it is found by.
    fn a_reset_behind_a_body_until_close_is_no_end(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        for length in (505..520).chain([600, 1_024, 4_096, 20_480, 40_000]) {
            let (mut client, mut upstream) = proxy.under_way(&origin, GET);
            upstream.send(format!("{head}{}", "b".repeat(length - head.len())));
            upstream.reset();
            let response = client.read_response();
            assert!(response.status == 502 || response.end != End::Complete, "{length}: a clean end");
        }
    }

    fn an_upstream_that_comes_back_is_used_again(driver) {
        let closed = Closed::new();
        let address = closed.address();
        let proxy = Setup::to_endpoints(&[&address]).start(driver);
        proxy.get("/").expect(502);
        closed.0.listen(8).unwrap();
        let mut client = proxy.asking(GET);
        let mut upstream = crate::harness::Wire::new(closed.0.accept().unwrap().0);
        upstream.read_request();
        upstream.send(ok("back"));
        assert_eq!(client.read_response().expect(200).text(), "back");
    }
}

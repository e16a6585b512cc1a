//! Upgrades: agreed, refused, unasked; and the tunnel that an agreed one becomes.

use std::time::Duration;

use crate::harness::{Driver, End, Origin, Proxy, Setup, Step, Wire};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
const AGREE: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A proxy, and both ends of a tunnel through it.
fn tunnel(driver: Driver, listener: &str) -> (Origin, Proxy, Wire, Wire) {
    let origin = Origin::manual();
    let proxy = Setup::to(&origin).listener(listener).start(driver);
    let mut client = proxy.connect();
    client.send(ASK);
    let mut upstream = origin.accept();
    upstream.read_request();
    upstream.send(AGREE);
    assert_eq!(client.read_response().status, 101);
    (origin, proxy, client, upstream)
}

both_drivers! {
    fn the_offer_and_the_answer_are_passed_on(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send(
            "GET /chat?x HTTP/1.1\r\nHost: a\r\nUpgrade: a/1.0, echo\r\nConnection: keep-alive, Upgrade, x-hop\r\n\
             X-Hop: 1\r\nSec-WebSocket-Key: k\r\nUpgrade: c\r\n\r\n",
        );
        let mut upstream = origin.accept();
        let request = upstream.read_request();
        assert_eq!(request.head.values("upgrade"), ["a/1.0, echo", "c"]);
        assert_eq!((request.field("connection"), request.field("x-hop")), (Some("upgrade"), None));
        assert_eq!(
            (request.field("sec-websocket-key"), request.field("via")),
            (Some("k"), Some("1.1 ringlane"))
        );
        upstream.send("HTTP/1.1 101 Ok then\r\nupgrade: ECHO\r\nConnection: Upgrade, x-hop\r\nX-Hop: 1\r\nSec-WebSocket-Accept: s\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n".replace("Content-Length: 5\r\n", ""));
        let response = client.read_response();
        assert_eq!(response.head.start, "HTTP/1.1 101 Ok then");
        assert_eq!(
            (response.field("upgrade"), response.field("connection")),
            (Some("ECHO"), Some("upgrade"))
        );
        assert_eq!((response.field("x-hop"), response.field("transfer-encoding")), (None, None));
        assert_eq!(response.field("sec-websocket-accept"), Some("s"));
    }

    fn bytes_go_both_ways(driver) {
        let (_origin, proxy, mut client, mut upstream) = tunnel(driver, "");
        for round in 0..3u8 {
            let up = vec![round; 100_000];
            let mut writer = client.second();
            let sent = up.clone();
            let writing = std::thread::spawn(move || writer.send(sent));
            assert_eq!(upstream.read_exact(up.len()), up);
            writing.join().unwrap();
            upstream.send(b"\0\r\n\r\nnot HTTP");
            assert_eq!(client.read_exact(13), b"\0\r\n\r\nnot HTTP");
        }
        proxy.await_metric("ringlane_tunnels_opened_total", "", 1);
        proxy.await_metric("ringlane_tunnels_active", "", 1);
        drop(client);
        upstream.expect_eof();
        drop(upstream);
        proxy.await_metric("ringlane_tunnels_active", "", 0);
        proxy.await_metric("ringlane_tunnel_bytes_total", "from=\"client\"", 300_000);
        proxy.await_metric("ringlane_tunnel_bytes_total", "from=\"upstream\"", 39);
    }

    /// A client that does not wait for the 101 loses nothing, and the upstream gets nothing before it agrees.
    fn early_bytes_of_the_client(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        for cuts in [vec![], vec![ASK.len()], vec![ASK.len() + 3], vec![ASK.len() - 1]] {
            let mut client = proxy.connect();
            client.send_cut(format!("{ASK}early").as_bytes(), &cuts);
            let mut upstream = origin.accept();
            let request = upstream.read_request();
            // What came with the head is held back, whatever it looks like.
            assert!(upstream.is_quiet(), "{request:?}");
            upstream.send(AGREE);
            assert_eq!(client.read_response().status, 101);
            client.send("late");
            assert_eq!(upstream.read_exact(9), b"earlylate");
        }
    }

    /// What the upstream sends right behind its 101 belongs to the tunnel, however it is cut.
    fn early_bytes_of_the_upstream(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let reply = format!("{AGREE}HTTP/1.1 200 OK\r\n\r\n");
        for cuts in [
            vec![],
            vec![AGREE.len()],
            vec![AGREE.len() - 1],
            vec![AGREE.len() + 4],
            vec![10, 60, AGREE.len() + 1],
        ] {
            let mut client = proxy.connect();
            client.send(ASK);
            let mut upstream = origin.accept();
            upstream.read_request();
            upstream.send_cut(reply.as_bytes(), &cuts);
            assert_eq!(client.read_response().status, 101);
            assert_eq!(client.read_exact(19), b"HTTP/1.1 200 OK\r\n\r\n", "{cuts:?}");
        }
    }

    fn many_early_bytes(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        let early: Vec<u8> = (0..2_000_000u32).map(|n| (n >> 4) as u8).collect();
        let (mut writer, bytes) = (client.second(), [ASK.as_bytes(), &early].concat());
        let writing = std::thread::spawn(move || writer.send(bytes));
        let mut upstream = origin.accept();
        upstream.read_request();
        assert!(upstream.is_quiet());
        upstream.send(AGREE);
        assert_eq!(client.read_response().status, 101);
        assert!(upstream.read_exact(early.len()) == early);
        writing.join().unwrap();
    }

    /// Neither side is read faster than the other takes it.
    fn who_does_not_read_stalls_the_other(driver) {
        const BUFFERED_MAX: usize = 48 * 1024 * 1024;
        let (_origin, _proxy, mut one, mut other) = tunnel(driver, "");
        for _ in 0..2 {
            let sent = one.send_until_stalled(&[b'x'; 0x4000], 0, Duration::from_millis(300));
            assert!(sent < BUFFERED_MAX, "{sent}");
            // The other way goes on meanwhile.
            other.send("hello");
            assert_eq!(one.read_exact(5), b"hello");
            assert_eq!(other.read_exact(sent).len(), sent);
            std::mem::swap(&mut one, &mut other);
        }
    }

    fn the_client_ends_its_half_first(driver) {
        let (_origin, _proxy, mut client, mut upstream) = tunnel(driver, "");
        client.send("last words");
        client.finish();
        assert_eq!(upstream.read_to_end(), (b"last words".to_vec(), End::Complete));
        upstream.send("still here");
        assert_eq!(client.read_exact(10), b"still here");
        upstream.send("and here");
        assert_eq!(client.read_exact(8), b"and here");
        upstream.finish();
        client.expect_eof();
    }

    fn the_upstream_ends_its_half_first(driver) {
        let (_origin, _proxy, mut client, mut upstream) = tunnel(driver, "");
        upstream.send("last words");
        upstream.finish();
        assert_eq!(client.read_to_end(), (b"last words".to_vec(), End::Complete));
        client.send("still here");
        assert_eq!(upstream.read_exact(10), b"still here");
        client.finish();
        upstream.expect_eof();
    }

    fn a_reset_ends_both_halves(driver) {
        let (_origin, proxy, client, mut upstream) = tunnel(driver, "");
        client.reset();
        upstream.expect_close();
        let (_origin, other, mut client, upstream) = tunnel(driver, "");
        upstream.reset();
        client.expect_close();
        for proxy in [proxy, other] {
            proxy.await_metric("ringlane_tunnels_active", "", 0);
            proxy.await_metric("ringlane_connections_active", "", 0);
            proxy.await_metric("ringlane_upstream_connections", "", 0);
        }
    }

    fn a_client_that_ends_before_the_101_has_left(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send(ASK);
        let mut upstream = origin.accept();
        upstream.read_request();
        drop(client);
        upstream.expect_close();
    }

    fn an_idle_tunnel_is_closed(driver) {
        let (_origin, proxy, mut client, mut upstream) = tunnel(driver, "timeouts.tunnel_idle = \"300ms\"");
        // Bytes either way keep it open.
        for _ in 0..4 {
            client.send("tick");
            assert_eq!(upstream.read_exact(4), b"tick");
            upstream.send("tock");
            assert_eq!(client.read_exact(4), b"tock");
        }
        client.expect_close();
        upstream.expect_close();
        proxy.await_metric("ringlane_timeouts_total", "timeout=\"tunnel_idle\"", 1);
        proxy.await_metric("ringlane_tunnels_active", "", 0);
    }

    /// Neither the keep-alive nor any other timeout of a listener counts in a tunnel.
    fn a_quiet_tunnel_outlives_other_timeouts(driver) {
        let limits = "timeouts = { keep_alive = \"50ms\", request_head = \"50ms\", request_body_idle = \"50ms\", tunnel_idle = \"10s\" }";
        let (_origin, proxy, mut client, mut upstream) = tunnel(driver, limits);
        // Another connection meets its keep-alive timeout meanwhile, twice over.
        for _ in 0..2 {
            proxy.connect().expect_close();
        }
        client.send("still here");
        assert_eq!(upstream.read_exact(10), b"still here");
    }

    fn a_refused_upgrade_is_a_response_like_any_other(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for _ in 0..3 {
            client.send(ASK);
            let response = client.read_response().expect(200);
            assert_eq!((response.text().as_str(), response.field("upgrade")), ("ok", None));
        }
        // Bytes behind the offer are the next request, now that there is no tunnel.
        client.send(format!("{ASK}GET /next HTTP/1.1\r\nHost: a\r\n\r\n"));
        client.read_response().expect(200);
        client.read_response().expect(200);
        assert_eq!((origin.connections(), origin.last_request().target()), (1, "/next"));
    }

    fn a_426_says_what_to_upgrade_to(driver) {
        let origin = Origin::replies(&[
            "HTTP/1.1 426 Upgrade Required\r\nUpgrade: echo\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n",
        ]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let response = client.read_response().expect(426);
        assert_eq!(
            (response.field("upgrade"), response.field("connection")),
            (Some("echo"), Some("upgrade"))
        );
    }

    fn a_101_that_nobody_asked_for_is_502(driver) {
        let requests = [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo/2\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c, echo\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: a b, echo\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok",
        ];
        let origin = Origin::replies(&[format!("{AGREE}evil")]);
        let proxy = Setup::to(&origin).start(driver);
        for request in requests {
            let mut client = proxy.connect();
            client.send(request);
            let response = client.read_response().expect(502);
            assert!(!response.text().contains("evil"), "{response:?}");
        }
        assert_eq!(proxy.metric("ringlane_tunnels_opened_total", ""), 0);
        proxy.await_metric("ringlane_upstream_malformed_total", "", requests.len() as u64);
        assert_eq!(origin.connections(), requests.len(), "such a connection is not used again");
    }

    /// A 101 must choose from what was offered, and say what it chose.
    fn a_101_to_something_else_is_502(driver) {
        for answer in ["Upgrade: other", "Upgrade: echo, other", "X: y", "Upgrade: ", "Upgrade: echo/1"] {
            let origin =
                Origin::replies(&[format!("HTTP/1.1 101 Ok\r\nConnection: upgrade\r\n{answer}\r\n\r\n")]);
            let proxy = Setup::to(&origin).start(driver);
            let mut client = proxy.connect();
            client.send(ASK);
            client.read_response().expect(502);
        }
    }

    /// The body goes first, in its framing; what comes behind it is the tunnel's.
    fn an_offer_with_a_body(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let bodies = [
            ("", ""),
            ("Content-Length: 0\r\n", ""),
            ("Content-Length: 5\r\n", "hello"),
            ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ];
        for (field, body) in bodies {
            let head = ASK.replace("GET", "POST").replace("\r\n\r\n", &format!("\r\n{field}\r\n"));
            let all = format!("{head}{body}early");
            // The last piece has the end of the body, if there is one, and the early bytes.
            for cuts in [
                vec![],
                vec![head.len()],
                vec![head.len() + body.len() / 2],
                vec![all.len() - 5],
                vec![all.len() - 2],
            ] {
                let mut client = proxy.connect();
                client.send_cut(all.as_bytes(), &cuts);
                let mut upstream = origin.accept();
                let request = upstream.read_request();
                assert_eq!((request.end, request.field("upgrade")), (End::Complete, Some("echo")));
                assert_eq!(request.text(), if body.is_empty() { "" } else { "hello" });
                assert!(upstream.is_quiet(), "{all:?} {cuts:?}");
                upstream.send(AGREE);
                assert_eq!(client.read_response().status, 101, "{all:?} {cuts:?}");
                client.send("late");
                assert_eq!(upstream.read_exact(9), b"earlylate", "{all:?} {cuts:?}");
            }
        }
    }

    /// A hasty upstream agrees before it has the whole request. The tunnel begins behind the body all the same.
    fn a_101_before_the_body_is_through(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send(ASK.replace("\r\n\r\n", "\r\nContent-Length: 10\r\n\r\n01234"));
        let mut upstream = origin.accept();
        upstream.read_head();
        assert_eq!(upstream.read_exact(5), b"01234");
        upstream.send(format!("{AGREE}hi"));
        upstream.await_taken();
        assert!(client.is_quiet());
        client.send("56789early");
        assert_eq!(client.read_response().status, 101);
        assert_eq!(client.read_exact(2), b"hi");
        assert_eq!(upstream.read_exact(10), b"56789early");
    }

    fn http_itself_is_never_offered(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for protocol in ["h2c", "H2C", "HTTP/2.0", "websocket, h2c", "h2"] {
            client.send(format!(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
            ));
            client.read_response().expect(200);
            let request = origin.last_request();
            for name in ["upgrade", "connection", "http2-settings"] {
                assert_eq!(request.field(name), None, "{protocol}: {request:?}");
            }
        }
    }

    /// A tunnel has its upstream's connection for itself, to the end.
    fn its_connections_serve_nothing_else(driver) {
        let origin = Origin::script(&[Step::Request, Step::reply(AGREE), Step::Echo]);
        let proxy = Setup::to(&origin).start(driver);
        let mut first = proxy.connect();
        let mut second = proxy.connect();
        for client in [&mut first, &mut second] {
            client.send(ASK);
            assert_eq!(client.read_response().status, 101);
        }
        first.send("one");
        second.send("two");
        assert_eq!((first.read_exact(3), second.read_exact(3)), (b"one".to_vec(), b"two".to_vec()));
        // Not even a request is one here.
        first.send(ASK);
        assert_eq!(first.read_exact(ASK.len()), ASK.as_bytes());
        first.finish();
        first.expect_eof();
        assert_eq!((origin.connections(), origin.requests().len()), (2, 2));
    }
}

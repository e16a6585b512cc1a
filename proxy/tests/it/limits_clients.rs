//! Limits on what is under way, of a route, of a client and of its connections; and on sizes.

use crate::{
    harness::{
        Client, Origin, Proxy, Setup, Wire, eventually,
        replies::{GET, OK, get},
    },
    limits::{LOG, connect_from, logs},
};

/// A client that has asked, and the connection on which its request has come to `origin` (made by `manual`).
#[track_caller]
fn held(proxy: &Proxy, origin: &Origin, address: &str) -> (Client, Wire) {
    let mut client = connect_from(proxy, address);
    client.send(GET);
    let mut upstream = origin.accept();
    upstream.read_request();
    (client, upstream)
}

/// Fails unless a request from this address is refused with this status, on a connection that stays open.
#[track_caller]
fn refused(proxy: &Proxy, address: &str, status: u16) {
    let mut client = connect_from(proxy, address);
    for _ in 0..2 {
        let response = client.ask(GET).expect(status);
        assert_eq!((response.field("retry-after"), response.says_close()), (Some("1"), false));
    }
}

/// Waits until a request from this address comes through again.
#[track_caller]
fn comes_through(proxy: &Proxy, origin: &Origin, address: &str) -> (Client, Wire) {
    let mut client = connect_from(proxy, address);
    eventually("there is room again", || {
        client.send(GET);
        !client.stirs(std::time::Duration::from_millis(50)) || {
            client.read_response();
            false
        }
    });
    let mut upstream = origin.accept();
    upstream.read_request();
    (client, upstream)
}

both_drivers! {
    fn a_route_has_so_many_under_way(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).route("max_requests = 2").and(LOG).start(driver);
        let (mut first, mut upstream) = held(&proxy, &origin, "127.0.0.1");
        let (second, _other) = held(&proxy, &origin, "127.0.0.2");
        refused(&proxy, "127.0.0.3", 503);
        assert_eq!(proxy.metric("ringlane_requests_refused_total", "reason=\"route_limit\""), 2);
        logs(&proxy, "PG");
        upstream.send(OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
        first.read_response().expect(200);
        let _third = comes_through(&proxy, &origin, "127.0.0.3");
        refused(&proxy, "127.0.0.1", 503);
        // A client that leaves gives up its place.
        drop(second);
        comes_through(&proxy, &origin, "127.0.0.1");
    }

    /// Its share of every worker, together what was asked for.
    fn workers_divide_what_a_route_has_under_way(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).workers(2).route("max_requests = 4").start(driver);
        let mut clients: Vec<Client> = (0..48).map(|_| proxy.connect()).collect();
        clients.iter_mut().for_each(|client| client.send(GET));
        proxy.await_metric("ringlane_requests_refused_total", "reason=\"route_limit\"", 44);
        assert_eq!(proxy.metric("ringlane_requests_active", ""), 4);
    }

    fn each_client_has_so_many_under_way(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).route("max_requests_per_client = 1").and(LOG).start(driver);
        let (mut first, mut upstream) = held(&proxy, &origin, "127.0.0.1");
        refused(&proxy, "127.0.0.1", 429);
        logs(&proxy, "PK");
        let (_second, _other) = held(&proxy, &origin, "127.0.0.2");
        refused(&proxy, "127.0.0.2", 429);
        upstream.send(OK);
        first.read_response().expect(200);
        first.send(GET);
        upstream.read_request();
        refused(&proxy, "127.0.0.1", 429);
        assert_eq!(proxy.metric("ringlane_requests_refused_total", "reason=\"client_limit\""), 6);
    }

    /// Of all workers together, whichever the kernel has given the connections to.
    fn workers_count_a_client_together(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).workers(2).route("max_requests_per_client = 3").start(driver);
        let clients: Vec<(Client, Wire)> = (0..3).map(|_| held(&proxy, &origin, "127.0.0.2")).collect();
        (0..24).for_each(|_| refused(&proxy, "127.0.0.2", 429));
        let _another = held(&proxy, &origin, "127.0.0.3");
        drop(clients);
        (0..3).map(|_| comes_through(&proxy, &origin, "127.0.0.2")).for_each(drop);
    }

    fn a_listener_counts_over_its_routes(driver) {
        let origin = Origin::manual();
        let other = "[[routes]]\nname = \"other\"\nmatch = { path = \"/other\" }\nrespond = { body = \"here\" }\n";
        let setup = Setup::to(&origin).listener("limits.requests_per_client = 1").and(other);
        let proxy = setup.start(driver);
        let (mut first, mut upstream) = held(&proxy, &origin, "127.0.0.1");
        let mut client = proxy.connect();
        client.ask(get("/other")).expect(429);
        connect_from(&proxy, "127.0.0.2").ask(get("/other")).expect(200);
        upstream.send(OK);
        first.read_response().expect(200);
        eventually("it has room again", || client.ask(get("/other")).status == 200);
    }

    /// However an exchange ends, its places come back: by an upstream that breaks, a client that leaves, a panic.
    fn places_come_back(driver) {
        let origin = Origin::manual();
        let setup = Setup::to(&origin)
            .listener("limits.requests_per_client = 1")
            .route("max_requests = 1\nmax_requests_per_client = 1");
        let proxy = Proxy::launch(driver).env("RINGLANE_FAULTS", "1").start(&setup.toml());
        for _ in 0..3 {
            let (mut client, upstream) = comes_through(&proxy, &origin, "127.0.0.1");
            upstream.reset();
            client.read_response().expect(502);
            let (client, _upstream) = comes_through(&proxy, &origin, "127.0.0.1");
            drop(client);
            let (_client, mut upstream) = comes_through(&proxy, &origin, "127.0.0.1");
            upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart");
            drop(upstream);
            eventually("a panic comes to pass", || {
                let mut client = proxy.connect();
                client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Ringlane-Fault: admitted\r\n\r\n");
                client.try_read_head().is_none()
            });
        }
        comes_through(&proxy, &origin, "127.0.0.1");
    }

    fn each_client_has_so_many_connections(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).listener("limits.connections_per_client = 2").start(driver);
        let seated = |address: &str| {
            let mut client = connect_from(&proxy, address);
            client.ask(GET).expect(200);
            client
        };
        let turned_away = |address: &str| {
            let mut client = connect_from(&proxy, address);
            let response = client.ask(GET).expect(429);
            assert_eq!((response.says_close(), response.field("retry-after")), (true, Some("1")));
            client.expect_eof();
        };
        let (first, _second) = (seated("127.0.0.1"), seated("127.0.0.1"));
        (0..3).for_each(|_| turned_away("127.0.0.1"));
        let (_third, _fourth) = (seated("127.0.0.2"), seated("127.0.0.2"));
        turned_away("127.0.0.2");
        assert_eq!(proxy.metric("ringlane_connections_refused_total", "reason=\"client_limit\""), 4);
        drop(first);
        proxy.await_metric("ringlane_connections_active", "", 3);
        let _fifth = seated("127.0.0.1");
        turned_away("127.0.0.1");
        // Nothing of those that were turned away went upstream.
        assert_eq!(origin.requests().len(), 5);
    }

    fn workers_count_connections_together(driver) {
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin).workers(2).listener("limits.connections_per_client = 5");
        let proxy = setup.start(driver);
        let mut clients: Vec<Client> = (0..48).map(|_| connect_from(&proxy, "127.0.0.2")).collect();
        let mut seats = 0;
        for client in &mut clients {
            // Beyond so many that are told, the others are closed without a word.
            client.try_send(GET);
            seats += usize::from(client.try_read_head().is_some_and(|head| head.status() == 200));
        }
        // Two that come at the same instant may both be refused the last seat, but never are there more.
        assert!((4..=5).contains(&seats), "{seats}");
        connect_from(&proxy, "127.0.0.3").ask(GET).expect(200);
    }

    fn a_worker_that_dies_leaves_no_count_behind(driver) {
        let setup = Setup::to(&Origin::replies(&[OK])).listener("limits.connections_per_client = 1");
        let proxy = Proxy::launch(driver).env("RINGLANE_FAULTS", "1").start(&setup.toml());
        let mut doomed = proxy.connect();
        doomed.send("GET / HTTP/1.1\r\nHost: a\r\nX-Ringlane-Fault: worker\r\n\r\n");
        proxy.await_metric("ringlane_worker_restarts_total", "", 1);
        eventually("its client may connect again", || {
            let mut client = proxy.connect();
            client.try_send(get("/again")) && client.try_read_head().is_some_and(|head| head.status() != 429)
        });
    }

    fn a_routes_bodies(driver) {
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin).listener("limits.request_body_bytes = \"2KiB\"");
        let proxy = setup.route("request_body_bytes = \"1KiB\"").start(driver);
        let chunked = |size: usize| {
            let body = "b".repeat(size);
            format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n")
        };
        let plain = |size: usize| {
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{}", "b".repeat(size))
        };
        let mut client = proxy.connect();
        client.ask(plain(1024)).expect(200);
        client.ask(chunked(1024)).expect(200);
        for request in [plain(1025), chunked(1025), plain(3000), chunked(3000)] {
            let mut client = proxy.connect();
            assert!(client.ask(&request).expect(413).says_close());
            // As it comes, piece by piece.
            let mut client = proxy.connect();
            let body = request.find("\r\n\r\n").unwrap() + 4;
            client.send_cut(request.as_bytes(), &[body, body + 500]);
            client.read_response().expect(413);
        }
        assert_eq!(origin.whole_requests().len(), 2);
    }

    fn targets(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).listener("limits.target_bytes = 20").start(driver);
        let mut client = proxy.connect();
        client.ask("GET /3456789012345678?0 HTTP/1.1\r\nHost: a\r\n\r\n").expect(200);
        client.ask("OPTIONS http://a/90123456789 HTTP/1.1\r\nHost: a\r\n\r\n").expect(200);
        for target in ["/3456789012345678?012", "/34567890123456789012", "http://a/901234567890"] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(proxy.connect().ask(&request).expect(414).says_close(), "{target}");
            let mut client = proxy.connect();
            client.send_cut(request.as_bytes(), &[10, 30]);
            client.read_response().expect(414);
        }
        assert_eq!(origin.requests().len(), 2);
        proxy.await_metric("ringlane_requests_refused_total", "reason=\"target_too_long\"", 6);
    }
}

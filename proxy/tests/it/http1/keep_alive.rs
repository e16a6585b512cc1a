//! How long connections last: keep-alive, pipelining, 1.0, `Connection: close` from every side, and when an upstream's
//! connection is used again.

use crate::harness::{Client, Origin, Setup, Step, Wire, message::text_of};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Heads of requests, and whether the client's connection stays open.
const CLIENTS: &[(&str, bool)] = &[
    ("GET / HTTP/1.1\r\nHost: a\r\n", true),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n", true),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", false),
    ("GET / HTTP/1.1\r\nHost: a\r\nconnection: x, CLOSE ,y\r\n", false),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n", false),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, keep-alive\r\n", false),
    ("GET / HTTP/1.2\r\nHost: a\r\n", true),
    ("GET / HTTP/1.0\r\n", false),
    ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n", true),
    ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: a\r\n", true),
    ("GET / HTTP/1.0\r\nConnection: close\r\n", false),
    ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n", false),
    // `Proxy-Connection` is nobody's business.
    ("GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n", false),
    ("GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n", true),
];

/// Replies to GET, and whether the upstream's connection serves the next request.
const UPSTREAMS: &[(&str, bool)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true),
    ("HTTP/1.1 204 No Content\r\n\r\n", true),
    ("HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nok", true),
    ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", true),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nok", false),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n", false),
    ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
    ("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", false),
];

/// Replies with more behind them than there should be.
const EXTRA: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokx",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil",
];

/// One exchange on a connection of its own, and then a response that nobody asked for.
#[track_caller]
fn answer_and_say_more(client: &mut Client, origin: &Origin) -> Wire {
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut upstream = origin.accept();
    upstream.read_request();
    upstream.send(OK);
    assert_eq!(client.read_response().expect(200).text(), "ok");
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    upstream
}

both_drivers! {
    fn of_the_client(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        for (head, stays_open) in CLIENTS {
            let mut client = proxy.connect();
            client.send(format!("{head}\r\n"));
            let response = client.read_response().expect(200);
            assert_eq!(response.says_close(), !stays_open, "{head:?}: {response:?}");
            let says_keep_alive = response.head.lists("connection", "keep-alive");
            assert_eq!(says_keep_alive, *stays_open && head.contains("HTTP/1.0"), "{head:?}: {response:?}");
            if *stays_open {
                client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                client.read_response().expect(200);
            }
            client.expect_eof();
        }
        assert_eq!(
            origin.connections(),
            1,
            "what a client does with its connection is no concern of the upstream's"
        );
        for request in origin.requests() {
            assert_eq!(
                (request.field("connection"), request.field("proxy-connection")),
                (None, None),
                "{request:?}"
            );
        }
    }

    fn what_follows_close_is_not_served(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        for (head, _) in CLIENTS.iter().filter(|(_, stays_open)| !stays_open) {
            let mut client = proxy.connect();
            client.send(format!("{head}\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"));
            client.read_response().expect(200);
            client.expect_eof();
        }
        assert!(origin.requests().iter().all(|request| request.target() == "/"));
    }

    fn of_the_upstream(driver) {
        for (reply, stays_open) in UPSTREAMS {
            let origin = Origin::replies(&[reply]);
            let proxy = Setup::to(&origin).start(driver);
            let mut client = proxy.connect();
            for _ in 0..3 {
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                let response = client.read_response();
                assert!(
                    !response.says_close(),
                    "what an upstream does is no concern of the client's: {response:?}"
                );
            }
            assert_eq!(origin.connections(), if *stays_open { 1 } else { 3 }, "{reply:?}");
        }
    }

    fn bytes_behind_a_response_answer_nothing(driver) {
        for reply in EXTRA {
            let origin = Origin::replies(&[reply]);
            let proxy = Setup::to(&origin).start(driver);
            let mut client = proxy.connect();
            for round in 1..4 {
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                let response = client.read_response();
                assert!(response.text() != "evil", "{reply:?}: {response:?}");
                assert!(
                    response.status == 304 || response.text() == "ok" || response.status == 204,
                    "{reply:?}"
                );
                assert_eq!(origin.connections(), round, "{reply:?}");
            }
        }
    }

    /// They come alone, when the response is long delivered: the connection is dropped when they do.
    fn bytes_that_come_unasked_answer_nothing(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for round in 1..4 {
            let mut upstream = answer_and_say_more(&mut client, &origin);
            upstream.expect_close();
            proxy.await_metric("ringlane_upstream_idle_dropped_total", "reason=\"unasked_bytes\"", round);
        }
    }

    /// They come with the next request on their heels: before any watch can have told of them.
    fn bytes_that_come_unasked_right_before_a_request_answer_nothing(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for _ in 0..64 {
            answer_and_say_more(&mut client, &origin);
        }
    }

    /// The last read of a long body may be full, with more behind it that was not read. The next request is there
    /// already, so that nothing happens in between that would show it.
    fn bytes_behind_a_long_response_answer_nothing(driver) {
        let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
        // Sizes of head and body, around those that buffers have.
        let sizes = [4, 8, 16, 24, 32, 48, 64, 128, 136, 144, 256, 272].map(|kib| kib * 1024).into_iter();
        let replies: Vec<_> = sizes
            .flat_map(|size| size - 2..size + 3)
            .map(|size: usize| {
                let head = |length| format!("HTTP/1.1 200 OK\r\nContent-Length: {length:07}\r\n\r\n");
                let length = size - head(0).len();
                format!("{}{}{evil}", head(length), "b".repeat(length))
            })
            .collect();
        let origin = Origin::replies(&replies);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(replies.len()));
        for reply in &replies {
            let response = client.read_response().expect(200);

            assert_ne!(response.text(), "evil", "in place of {} bytes", reply.len());
        }
    }

    fn pipelined_requests_are_answered_in_order(driver) {
        let replies: Vec<_> = (0..100)
            .map(|n| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{n}", n.to_string().len()))
            .collect();
        let origin = Origin::replies(&replies);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        let requests = |range: std::ops::Range<usize>| {
            range.map(|n| match n % 3 {
            0 => format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"),
            1 => format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
            _ => format!("POST /{n} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        }).collect::<String>()
        };
        client.send(requests(0..60));
        // More come while those are under way, cut in the middle of one.
        let more = requests(60..100);
        client.send_cut(more.as_bytes(), &[10, more.len() / 2, more.len() - 3]);
        for n in 0..100 {
            assert_eq!(client.read_response().expect(200).text(), n.to_string());
        }
        let targets: Vec<_> = origin.requests().iter().map(|request| request.target().to_owned()).collect();
        assert_eq!(targets, (0..100).map(|n| format!("/{n}")).collect::<Vec<_>>());
        assert_eq!(origin.connections(), 1, "one at a time");
    }

    /// A pipelined request waits for the response before it; nothing of it goes upstream earlier.
    fn pipelined_requests_are_served_one_at_a_time(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut upstream = origin.accept();
        assert_eq!(upstream.read_request().target(), "/1");
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok");
        client.read_until(b"ok");
        assert!(upstream.is_quiet() && origin.connections() == 1);
        upstream.send("ok");
        assert_eq!(upstream.read_request().target(), "/2");
        upstream.send(OK);
        assert_eq!(client.read_exact(2), b"ok");
        client.read_response().expect(200);
    }

    /// Errors that leave the connection in step do not close it.
    fn errors_in_between(driver) {
        let origin = Origin::scripts(&[
            &[Step::Request, Step::Close],
            &[Step::Request, Step::reply(OK), Step::ReadToEnd],
        ]);
        let setup = Setup::to(&origin).route("match = { path_prefix = \"/app\" }");
        let proxy = setup.start(driver);
        let mut client = proxy.connect();
        client.send(
            "GET /app HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\n\
             POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcHEAD /none HTTP/1.1\r\nHost: a\r\n\r\n\
             GET /app HTTP/1.1\r\nHost: a\r\n\r\nBAD\r\n\r\n",
        );
        for (method, status) in
            [("GET", 502), ("GET", 404), ("POST", 404), ("HEAD", 404), ("GET", 200), ("GET", 400)]
        {
            let response = client.read_response_to(method);
            assert_eq!((response.status, response.says_close()), (status, status == 400), "{response:?}");
        }
        client.expect_eof();
    }

    fn a_client_that_ends_its_side_after_a_request_gets_no_half_answer(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client.read_response().expect(200);
        client.finish();
        client.expect_eof();
        // Nothing at all, or half a request: an orderly end, no answer to what was never asked.
        for bytes in ["", "GET / HT", "\r\n"] {
            let mut client = proxy.connect();
            client.send(bytes);
            client.finish();
            let (rest, _) = client.read_to_end();
            assert_eq!(text_of(&rest), "", "{bytes:?}");
        }
        proxy.await_metric("ringlane_connections_active", "", 0);
    }
}

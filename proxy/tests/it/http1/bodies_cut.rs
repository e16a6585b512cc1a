//! Bodies that end too early: whoever waits for the rest learns of it, in every framing, and nothing cut looks whole.

use crate::harness::{Client, End, Origin, Setup, Step, Wire};

/// Replies that end before they are whole.
const CUT: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123456789",
    "HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\n12345",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n1234",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\nA: b\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\nA: b\r\n\r",
];

/// Replies that end before their head does: nothing of them has gone out, so the proxy can answer.
const NO_HEAD: &[&str] = &[
    "",
    "H",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
    "HTTP/1.1 200 OK\r\nA: b\r\n\r",
];

/// Ways to leave. Half a close is one: whoever waits for an answer has both halves open.
const LEAVE: [fn(Client); 3] = [
    drop,
    |client| client.reset(),
    |client| {
        client.finish();
        std::mem::forget(client);
    },
];

both_drivers! {
    fn the_client_sees_the_cut(driver) {
        for last in [Step::Close, Step::Reset] {
            for reply in CUT {
                let origin = Origin::manual();
                let proxy = Setup::to(&origin).start(driver);
                for version in ["1.1", "1.0"] {
                    let mut client = proxy.connect();
                    client.send(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
                    let mut upstream = origin.accept();
                    upstream.read_request();
                    upstream.send(reply);
                    // A reset overtakes what was not read yet: first the proxy takes the reply.
                    upstream.await_taken();
                    end(upstream, &last);
                    let head = client.read_head();
                    assert_eq!(head.status(), 200);
                    let is_chunked = reply.contains("chunked");
                    let (rest, end) = client.read_to_end();
                    match (version, is_chunked) {
                        // Only a reset tells a client that reads until the close.
                        ("1.0", true) => assert_eq!(end, End::Reset, "{reply:?} {last:?}"),
                        (_, true) => assert!(!rest.ends_with(b"0\r\n\r\n"), "{reply:?} {last:?}"),
                        (_, false) => assert!(rest.len() < 10, "{reply:?} {last:?}"),
                    }
                }
                proxy.await_metric("ringlane_upstream_cuts_total", "", 2);
            }
        }
    }

    fn until_close_with_a_reset_is_a_cut(driver) {
        for reply in
            ["HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.0 200 OK\r\n\r\nhello", "HTTP/1.1 200 OK\r\n\r\n"]
        {
            let origin = Origin::manual();
            let proxy = Setup::to(&origin).start(driver);
            for version in ["1.1", "1.0"] {
                let mut client = proxy.connect();
                client.send(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
                let mut upstream = origin.accept();
                upstream.read_request();
                upstream.send(reply);
                upstream.await_taken();
                upstream.reset();
                let head = client.read_head();
                let (rest, end) = client.read_to_end();
                match version {
                    "1.0" => assert_eq!(end, End::Reset, "{reply:?}"),
                    _ => assert!(
                        head.lists("transfer-encoding", "chunked") && !rest.ends_with(b"0\r\n\r\n"),
                        "{reply:?}"
                    ),
                }
            }
        }
    }

    fn a_reply_cut_in_its_head_is_502(driver) {
        for (number, reply) in NO_HEAD.iter().enumerate() {
            let origin = Origin::script(&[Step::Request, Step::reply(reply), Step::Close]);
            let proxy = Setup::to(&origin).start(driver);
            let mut client = proxy.connect();
            for round in 1..3 {
                // On a fresh connection a request is not sent again: it may have been served.
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                let response = client.read_response().expect(502);
                assert!(!response.says_close(), "{response:?}");
                assert_eq!(origin.connections(), round, "{number}");
            }
            proxy.await_metric("ringlane_upstream_cuts_total", "", 2);
        }
    }

    fn a_client_that_leaves_in_its_upload_takes_the_upstream_connection_with_it(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        for body in [
            "Content-Length: 10\r\n\r\n12345",
            "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
            "Content-Length: 10\r\n\r\n",
        ] {
            for leave in LEAVE {
                let mut client = proxy.connect();
                client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{body}"));
                let mut upstream = origin.accept();
                upstream.read_head();
                upstream.read_exact(body.len() - body.find("\r\n\r\n").unwrap() - 4);
                leave(client);
                upstream.expect_close();
            }
        }
        proxy.await_metric("ringlane_client_aborts_total", "", 9);
    }

    fn a_client_that_leaves_while_it_waits_takes_the_upstream_connection_with_it(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let requests = [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
        ];
        for request in requests {
            for leave in LEAVE {
                let mut client = proxy.connect();
                client.send(request);
                let mut upstream = origin.accept();
                upstream.read_request();
                leave(client);
                upstream.expect_close();
            }
        }
        proxy.await_metric("ringlane_client_aborts_total", "", 6);
    }

    fn a_client_that_leaves_in_its_download_takes_the_upstream_connection_with_it(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        for head in ["Content-Length: 1000000000\r\n\r\n", "\r\n"] {
            let mut client = proxy.connect();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let mut upstream = origin.accept();
            upstream.read_request();
            upstream.send(format!("HTTP/1.1 200 OK\r\n{head}hello"));
            client.read_until(b"hello");
            drop(client);
            while upstream.try_send([b'x'; 10_000]) {}
            upstream.expect_close();
        }
        proxy.await_metric("ringlane_client_aborts_total", "", 2);
    }
}

/// Ends an upstream's connection in one way or the other.
fn end(upstream: Wire, last: &Step) {
    match last {
        Step::Reset => upstream.reset(),
        _ => drop(upstream),
    }
}

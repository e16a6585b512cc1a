//! `limits.request_body_bytes`: 413 for what is longer, told by its length or found out on the way.

use crate::harness::{Driver, Origin, Proxy, Setup, Wire};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn start(driver: Driver, limit: &str) -> (Origin, Proxy) {
    let origin = Origin::replies(&[OK]);
    let proxy =
        Setup::to(&origin).listener(&format!("limits.request_body_bytes = \"{limit}\"")).start(driver);
    (origin, proxy)
}

#[track_caller]
fn expect_413(client: &mut Wire) {
    let response = client.read_response();
    assert_eq!((response.status, response.says_close()), (413, true), "{response:?}");
    client.expect_eof();
}

fn with_length(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}", "b".repeat(length))
}

fn in_chunks(chunk: usize, count: usize) -> String {
    let chunks = format!("{chunk:x}\r\n{}\r\n", "b".repeat(chunk)).repeat(count);
    format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
}

both_drivers! {
    fn a_length_over_the_limit_reaches_no_upstream(driver) {
        let (origin, proxy) = start(driver, "1KiB");
        for request in [
            with_length(1025),
            with_length(1025).replace("Host", "Expect: 100-continue\r\nHost"),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n".to_owned(),
            "GET / HTTP/1.0\r\nContent-Length: 1025\r\n\r\n".to_owned(),
        ] {
            let mut client = proxy.connect();
            client.send(&request);
            expect_413(&mut client);
        }
        assert_eq!((proxy.upstream_connects(), origin.connections()), (0, 0));
        proxy.await_metric("ringlane_requests_refused_total", "reason=\"body_too_large\"", 4);
    }

    fn bodies_at_the_limit_are_served(driver) {
        let (origin, proxy) = start(driver, "1KiB");
        let mut client = proxy.connect();
        for request in
            [with_length(1024), with_length(0), in_chunks(1024, 1), in_chunks(1, 1024), in_chunks(512, 2)]
        {
            client.send(&request);
            client.read_response().expect(200);
            // Cut where the body begins.
            client.send_cut(request.as_bytes(), &[request.find("\r\n\r\n").unwrap() + 4]);
            client.read_response().expect(200);
        }
        assert_eq!(origin.connections(), 1);
    }

    fn chunks_over_the_limit_in_one_piece(driver) {
        let (origin, proxy) = start(driver, "1KiB");
        for request in [in_chunks(1025, 1), in_chunks(1, 1025), in_chunks(512, 3), in_chunks(4000, 1)] {
            let mut client = proxy.connect();
            client.send(&request);
            expect_413(&mut client);
        }
        assert_eq!(origin.requests(), []);
        proxy.await_metric("ringlane_requests_refused_total", "reason=\"body_too_large\"", 4);
    }

    fn chunks_over_the_limit_piece_by_piece(driver) {
        let (origin, proxy) = start(driver, "1KiB");
        for request in [in_chunks(1025, 1), in_chunks(1, 1025), in_chunks(512, 3), in_chunks(4000, 1)] {
            let body = request.find("\r\n\r\n").unwrap() + 4;
            for cuts in [
                vec![body],
                vec![body, body + 500],
                vec![body + 300],
                (body..request.len()).step_by(97).collect(),
            ] {
                let mut client = proxy.connect();
                client.send_cut(request.as_bytes(), &cuts);
                expect_413(&mut client);
            }
        }
        assert_eq!(origin.whole_requests(), []);
    }

    fn a_limit_of_nothing(driver) {
        let (origin, proxy) = start(driver, "0B");
        for (request, status) in
            [(with_length(0), 200), (in_chunks(0, 1), 200), (with_length(1), 413), (in_chunks(1, 1), 413)]
        {
            let request =
                if request.contains("0\r\n\r\n0") { request.replacen("0\r\n\r\n", "", 1) } else { request };
            let mut client = proxy.connect();
            client.send(&request);
            assert_eq!(client.read_response().status, status, "{request:?}");
        }
        assert_eq!(origin.requests().len(), 2);
    }
}

//! Heads that break a rule are answered by the proxy itself, their connections are closed, and no upstream hears of
//! them: neither of the bad head nor of anything that came after it.

use super::refused_cases::{self, Case};
use crate::harness::{Driver, Origin, Proxy, Setup, Wire, message::text_of};

/// What would be smuggled, were the head before it read in another way.
const NEXT: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// Reads a refusal: this status, `Connection: close`, and then the connection does close.
#[track_caller]
fn expect_refusal(client: &mut Wire, head: &[u8], status: u16) {
    let response = client.read_response();
    assert_eq!(response.status, status, "{:?}: {response:?}", text_of(head));
    assert!(response.says_close(), "{:?}: {response:?}", text_of(head));
    client.expect_eof();
}

/// An origin that counts, and a proxy before it.
fn start(driver: Driver, listener: &str) -> (Origin, Proxy) {
    let origin = Origin::replies(&["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
    let proxy = Setup::to(&origin).listener(listener).start(driver);
    (origin, proxy)
}

#[track_caller]
fn expect_no_upstream(origin: &Origin, proxy: &Proxy) {
    assert_eq!((proxy.upstream_connects(), origin.connections()), (0, 0), "{:?}", origin.requests());
}

both_drivers! {
    fn in_one_piece(driver) {
        let (origin, proxy) = start(driver, "");
        let cases = refused_cases::all();
        for Case { head, status } in &cases {
            let mut client = proxy.connect();
            client.send(head);
            expect_refusal(&mut client, head, *status);
            assert_eq!(origin.connections(), 0, "{:?}", text_of(head));
        }
        expect_no_upstream(&origin, &proxy);
        proxy.await_metric("ringlane_requests_total", "", cases.len() as u64);
        let refused = |reason| proxy.metric("ringlane_requests_refused_total", reason);
        let count = |status| cases.iter().filter(|case| case.status == status).count() as u64;
        assert_eq!(refused("reason=\"malformed\""), count(400));
        assert_eq!(refused("reason=\"version\""), count(505));
        assert_eq!(refused("reason=\"connect\""), count(501));
    }

    fn with_another_request_behind(driver) {
        let (origin, proxy) = start(driver, "");
        for Case { head, status } in &refused_cases::all() {
            let mut client = proxy.connect();
            client.send([head, NEXT].concat());
            expect_refusal(&mut client, head, *status);
        }
        expect_no_upstream(&origin, &proxy);
    }

    fn byte_by_byte(driver) {
        let (origin, proxy) = start(driver, "");
        for Case { head, status } in &refused_cases::all() {
            let mut client = proxy.connect();
            let cuts: Vec<_> = (1..head.len()).collect();
            client.send_cut(head, &cuts);
            expect_refusal(&mut client, head, *status);
        }
        expect_no_upstream(&origin, &proxy);
    }

    fn after_a_good_request(driver) {
        let (origin, proxy) = start(driver, "");
        let cases = refused_cases::all();
        for Case { head, status } in &cases {
            // Leading empty lines are counted from the end of the request before.
            let mut client = proxy.connect();
            client.send([b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n", &head[..]].concat());
            client.read_response().expect(200);
            expect_refusal(&mut client, head, *status);
        }
        let requests = origin.requests();
        assert_eq!(requests.len(), cases.len());
        assert!(requests.iter().all(|request| request.target() == "/good"), "{requests:?}");
    }

    fn heads_and_lines_over_their_limits(driver) {
        let (origin, proxy) = start(driver, "");
        for (head, status) in over_limits(32 * 1024, 96) {
            let mut client = proxy.connect();
            client.try_send(&head);
            expect_refusal(&mut client, &head[..50], status);
        }
        proxy.await_metric("ringlane_requests_refused_total", "reason=\"head_too_large\"", 4);
        proxy.await_metric("ringlane_requests_refused_total", "reason=\"target_too_long\"", 2);
        expect_no_upstream(&origin, &proxy);
    }

    /// A client that was refused may finish what it sends, within reason; then the connection is closed under it.
    fn a_client_that_goes_on_sending_is_cut_off(driver) {
        let (_origin, proxy) = start(driver, "");
        let mut client = proxy.connect();
        client.send("BAD\r\n\r\n");
        while client.try_send([b'x'; 10_000]) {}
        proxy.await_metric("ringlane_connections_active", "", 0);
        // One that sends nothing more and does not close is not waited for either.
        let mut client = proxy.connect();
        client.send("BAD\r\n\r\n");
        expect_refusal(&mut client, b"BAD", 400);
        proxy.await_metric("ringlane_connections_active", "", 0);
    }

    fn limits_are_those_of_the_config(driver) {
        let limits = "limits.request_head_bytes = \"1KiB\"\nlimits.headers = 4";
        let (origin, proxy) = start(driver, limits);
        for (head, status) in over_limits(1024, 4) {
            let mut client = proxy.connect();
            client.try_send(&head);
            expect_refusal(&mut client, &head[..50], status);
            // The byte that is one too many comes alone.
            let mut client = proxy.connect();
            let cut = head.len().min(1023);
            client.send_cut(&head, &[cut, head.len().min(cut + 1)]);
            expect_refusal(&mut client, &head[..50], status);
        }
        expect_no_upstream(&origin, &proxy);
        for (head, _) in at_limits(1024, 4) {
            let mut client = proxy.connect();
            client.send(&head);
            client.read_response().expect(200);
        }
        assert_eq!(origin.requests().len(), 3);
    }

    fn heads_at_their_limits_are_served(driver) {
        let (origin, proxy) = start(driver, "");
        for (head, target_len) in at_limits(32 * 1024, 96) {
            let mut client = proxy.connect();
            client.send(&head);
            client.read_response().expect(200);
            assert_eq!(origin.last_request().target().len(), target_len);
        }
    }
}

/// Heads one over a limit: of so many bytes, of so many fields.
fn over_limits(bytes: usize, fields: usize) -> Vec<(Vec<u8>, u16)> {
    let mut heads = vec![
        // A line without an end, of a target or of a method.
        (format!("GET /{}", "a".repeat(bytes)), 414),
        ("A".repeat(bytes + 1), 414),
        // A field without an end, a head without an end, a head that ends beyond the limit.
        (format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}", "b".repeat(bytes)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "A: b\r\n".repeat(bytes / 6)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(fields)), 431),
    ];
    let (whole, _) = &at_limits(bytes, fields)[0];
    heads.push((String::from_utf8(whole.clone()).unwrap().replace("A: ", "A: b"), 431));
    heads.into_iter().map(|(head, status)| (head.into_bytes(), status)).collect()
}

/// Heads that just fit, and the lengths of their targets: by a field, by a target, by the number of fields.
fn at_limits(bytes: usize, fields: usize) -> Vec<(Vec<u8>, usize)> {
    let filled = |before: &str, after: &str, byte: &str| {
        let rest = bytes - before.len() - after.len();
        (format!("{before}{}{after}", byte.repeat(rest)).into_bytes(), rest)
    };
    let (by_field, _) = filled("GET / HTTP/1.1\r\nHost: a\r\nA: ", "\r\n\r\n", "b");
    let (by_target, len) = filled("GET /", " HTTP/1.1\r\nHost: a\r\n\r\n", "t");
    let by_count = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(fields - 1));
    vec![(by_field, 1), (by_target, len + 1), (by_count.into_bytes(), 1)]
}

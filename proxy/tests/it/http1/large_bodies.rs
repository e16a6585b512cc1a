//! Large bodies: every byte arrives, and no side is read faster than the other takes it.

use std::time::Duration;

use crate::harness::{Driver, End, Origin, Setup, Wire, message::text_of};

const LARGE: usize = 8 * 1024 * 1024 + 13;
/// More than all socket buffers on the way could hold.
const ENDLESS: usize = 1024 * 1024 * 1024;
/// What all socket buffers on the way may hold: Linux lets each grow to 6 MiB by default, and there are four.
const BUFFERED_MAX: usize = 48 * 1024 * 1024;
/// Nobody took a byte for so long: the way is full.
const QUIET: Duration = Duration::from_millis(500);

/// Bytes that tell where they belong.
fn pattern(length: usize) -> Vec<u8> {
    (0..length.div_ceil(8) as u64)
        .flat_map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes())
        .take(length)
        .collect()
}

fn chunked(body: &[u8], chunk: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in body.chunks(chunk) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

#[track_caller]
fn assert_same(body: &[u8], wanted: &[u8]) {
    let differs = body.iter().zip(wanted).position(|(one, other)| one != other);
    assert_eq!((body.len(), differs), (wanted.len(), None));
}

/// An origin that answers with what it was sent, framed as it came.
fn mirror() -> Origin {
    Origin::serve(|mut wire| {
        while let Some(request) = wire.try_read_request() {
            let is_chunked = request.field("transfer-encoding").is_some();
            let (field, body) = match is_chunked {
                true => ("Transfer-Encoding: chunked".to_owned(), chunked(&request.body, 70_000)),
                false => (format!("Content-Length: {}", request.body.len()), request.body),
            };
            if !wire.try_send([format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n").as_bytes(), &body].concat()) {
                return;
            }
        }
    })
}

/// The head of a request or a response, and an endless body in that framing.
fn endless(chunked: bool, start: &str) -> (String, Vec<u8>) {
    if chunked {
        (
            format!("{start}Transfer-Encoding: chunked\r\n\r\n"),
            [b"4000\r\n", &[b'x'; 0x4000][..], b"\r\n"].concat(),
        )
    } else {
        (format!("{start}Content-Length: {ENDLESS}\r\n\r\n"), vec![b'x'; 0x4000])
    }
}

fn waits_for_the_client(driver: Driver, chunked: bool) {
    let origin = Origin::manual();
    let proxy = Setup::to(&origin).start(driver);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut upstream = origin.accept();
    upstream.read_request();
    let (head, piece) = endless(chunked, "HTTP/1.1 200 OK\r\n");
    upstream.send(head);
    let before = proxy.resident_kib();
    let taken = upstream.send_until_stalled(&piece, 0, QUIET);
    assert!(taken < BUFFERED_MAX, "{taken} bytes were taken for a client that reads nothing");
    let held = proxy.resident_kib().saturating_sub(before);
    assert!(held < 8 * 1024, "{held} KiB are held");
    // It goes on when the client does.
    client.read_head();
    client.read_exact(taken / 2);
    assert!(upstream.send_until_stalled(&piece, taken, QUIET) > 0);
}

fn waits_for_the_upstream(driver: Driver, chunked: bool) {
    let origin = Origin::manual();
    let proxy = Setup::to(&origin).start(driver);
    let mut client = proxy.connect();
    let (head, piece) = endless(chunked, "POST / HTTP/1.1\r\nHost: a\r\n");
    client.send(head);
    let mut upstream = origin.accept();
    let before = proxy.resident_kib();
    let taken = client.send_until_stalled(&piece, 0, QUIET);
    assert!(taken < BUFFERED_MAX, "{taken} bytes were taken for an upstream that reads nothing");
    let held = proxy.resident_kib().saturating_sub(before);
    assert!(held < 8 * 1024, "{held} KiB are held");
    upstream.read_head();
    upstream.read_exact(taken / 2);
    assert!(client.send_until_stalled(&piece, taken, QUIET) > 0);
}

both_drivers! {
    fn arrive_unchanged_both_ways(driver) {
        let origin = mirror();
        let proxy = Setup::to(&origin).start(driver);
        let body = pattern(LARGE);
        let mut client = proxy.connect();
        for (field, bytes) in [
            (format!("Content-Length: {LARGE}"), body.clone()),
            ("Transfer-Encoding: chunked".to_owned(), chunked(&body, 3_001)),
            ("Transfer-Encoding: chunked".to_owned(), chunked(&body, 1_000_003)),
        ] {
            let mut writer = client.second();
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
            let writing = std::thread::spawn(move || writer.send([head.as_bytes(), &bytes].concat()));
            let response = client.read_response().expect(200);
            assert_same(&response.body, &body);
            writing.join().unwrap();
        }
        assert_eq!(origin.connections(), 1);
    }

    fn until_close_arrives_unchanged(driver) {
        let body = pattern(LARGE);
        let reply = [b"HTTP/1.0 200 OK\r\n\r\n", &body[..]].concat();
        let origin = Origin::serve(move |mut wire: Wire| {
            wire.read_request();
            wire.send(&reply);
        });
        let proxy = Setup::to(&origin).start(driver);
        for version in ["1.0", "1.1"] {
            let mut client = proxy.connect();
            client.send(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
            let response = client.read_response().expect(200);
            assert_same(&response.body, &body);
        }
    }

    fn one_byte_chunks(driver) {
        let origin = mirror();
        let proxy = Setup::to(&origin).start(driver);
        let body = pattern(50_000);
        let mut client = proxy.connect();
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send([head.as_bytes(), &chunked(&body, 1)].concat());
        assert_same(&client.read_response().expect(200).body, &body);
    }

    /// The upstream sends its response while the request's body is still coming.
    fn echo_in_full_duplex(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        for chunk in [1, 1_000, 100_000] {
            let mut client = proxy.connect();
            client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
            let mut upstream = origin.accept();
            upstream.read_head();
            upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            // How much is to come nobody knows, so the client's connection ends with this.
            let head = client.read_head();
            assert!(head.status() == 200 && head.lists("connection", "close"), "{head:?}");
            let piece = [format!("{chunk:x}\r\n").as_bytes(), &pattern(chunk)[..], b"\r\n"].concat();
            for _ in 0..20 {
                client.send(&piece);
                // However the pieces are chunked on the way, the data is the same.
                let mut data = Vec::new();
                while data.len() < chunk {
                    let size = text_of(&upstream.read_until(b"\r\n"));
                    let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
                    data.extend(upstream.read_exact(size));
                    upstream.read_exact(2);
                }
                assert_same(&data, &pattern(chunk));
                upstream.send(&piece);
                let mut data = Vec::new();
                while data.len() < chunk {
                    let size = text_of(&client.read_until(b"\r\n"));
                    let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
                    data.extend(client.read_exact(size));
                    client.read_exact(2);
                }
                assert_same(&data, &pattern(chunk));
            }
            client.send("0\r\n\r\n");
            upstream.read_until(b"0\r\n\r\n");
            upstream.send("0\r\n\r\n");
            client.read_until(b"0\r\n\r\n");
            client.expect_eof();
            // What the upstream got and gave was whole: its connection is as good as before.
            let mut next = proxy.connect();
            next.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            upstream.read_request();
            upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            next.read_response().expect(200);
        }
    }

    /// A long body each way at once, of stated length: what goes one way does not disturb what goes the other.
    fn both_ways_at_once(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let body = pattern(LARGE);
        for _ in 0..2 {
            let mut client = proxy.connect();
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n"));
            let mut upstream = origin.accept();
            upstream.read_head();
            std::thread::scope(|scope| {
                let (mut asks, mut answers) = (client.second(), upstream.second());
                let body = &body;
                scope.spawn(move || asks.send(body));
                let (most, last) = body.split_at(LARGE - 1);
                let answering = scope.spawn(move || {
                    answers.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
                    answers.send(most);
                    answers
                });
                scope.spawn(move || {
                    assert_same(&upstream.read_exact(LARGE), body);
                    // A response that is complete would end the request.
                    answering.join().unwrap().send(last);
                });
                let response = client.read_response();
                assert_eq!((response.status, response.end), (200, End::Complete));
                assert_same(&response.body, body);
            });
        }
    }

    /// The end of either side in the middle of a long body: the other never sees a clean end, and what was under way is
    /// in nobody else's body.
    fn a_long_body_that_is_cut(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let (half, whole) = (pattern(LARGE / 2), pattern(LARGE));
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
        for upstream_ends in [true, false, true] {
            let mut client = proxy.connect();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let mut upstream = origin.accept();
            upstream.read_head();
            if upstream_ends {
                upstream.send([head.as_bytes(), &half].concat());
                drop(upstream);
                let response = client.read_response();
                assert_eq!((response.status, response.end), (200, End::Cut));
                assert_same(&response.body, &half);
            } else {
                upstream.send(&head);
                client.read_head();
                client.reset();
                assert!(!(0..64).all(|_| upstream.try_send(&whole)), "the upstream sends to nobody");
            }
        }
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut upstream = origin.accept();
        upstream.read_head();
        std::thread::scope(|scope| {
            scope.spawn(|| upstream.send([head.as_bytes(), &whole].concat()));
            assert_same(&client.read_response().body, &whole);
        });
    }

    fn a_client_that_does_not_read_stalls_the_upstream(driver) {
        waits_for_the_client(driver, false);
        waits_for_the_client(driver, true);
    }

    fn an_upstream_that_does_not_read_stalls_the_client(driver) {
        waits_for_the_upstream(driver, false);
        waits_for_the_upstream(driver, true);
    }

    /// A client that sends request after request and reads no response: neither piles up in the proxy.
    fn a_client_that_only_asks_is_stalled(driver) {
        let body = "b".repeat(100_000);
        let origin = Origin::serve(move |mut wire: Wire| {
            let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            while wire.try_read_request().is_some() && wire.try_send(&reply) {}
        });
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        let before = proxy.resident_kib();
        let taken = client.send_until_stalled(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, QUIET);
        assert!(taken < BUFFERED_MAX, "{taken}");
        let held = proxy.resident_kib().saturating_sub(before);
        assert!(held < 8 * 1024, "{held} KiB are held");
        client.read_response().expect(200);
    }

    /// Many at once, each with a body of its own: no buffer is mixed up with another's.
    fn many_at_once(driver) {
        let origin = mirror();
        let proxy = Setup::to(&origin).start(driver);
        std::thread::scope(|scope| {
            for number in 0..16 {
                let proxy = &proxy;
                scope.spawn(move || {
                    let body = pattern(300_000 + number * 7_001)
                        .into_iter()
                        .map(|byte| byte ^ number as u8)
                        .collect::<Vec<_>>();
                    let mut client = proxy.connect();
                    for _ in 0..4 {
                        let mut writer = client.second();
                        let length = body.len();
                        let bytes = [
                            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
                                .as_bytes(),
                            &body,
                        ]
                        .concat();
                        let writing = std::thread::spawn(move || writer.send(bytes));
                        let response = client.read_response();
                        assert_eq!((response.status, response.end), (200, End::Complete));
                        assert_same(&response.body, &body);
                        writing.join().unwrap();
                    }
                });
            }
        });
    }
}

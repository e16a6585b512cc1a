//! Chunked bodies that break the rules: a request is answered 400 and closed, a response 502 or cut; what the other
//! side gets never looks whole.

use crate::harness::{End, Origin, Setup, message::text_of};

/// Chunked bodies without anything wrong before the place that is wrong.
fn malformed() -> Vec<String> {
    let mut bodies: Vec<String> = [
        // Sizes.
        "\r\n",
        "g\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        " 1\r\na\r\n0\r\n\r\n",
        "\t1\r\na\r\n0\r\n\r\n",
        "1 \r\na\r\n0\r\n\r\n",
        "1 1\r\na\r\n",
        "1,1\r\na\r\n",
        "1.0\r\na\r\n",
        "1_0\r\na\r\n",
        ";\r\n",
        ";a=b\r\n",
        "\"1\"\r\na\r\n",
        "1h\r\na\r\n",
        "0000000000000001\r\na\r\n0\r\n\r\n",
        "ffffffffffffffff\r\na",
        "10000000000000000\r\na",
        "fffffffffffffffff\r\na",
        "\u{e4}\r\n",
        // Line ends.
        "1\na\r\n0\r\n\r\n",
        "1\ra\r\n0\r\n\r\n",
        "1\r\r\na\r\n0\r\n\r\n",
        "1;a\nb\r\n0\r\n\r\n",
        "1;a\rb\r\n0\r\n\r\n",
        "\n1\r\na\r\n0\r\n\r\n",
        "\r\n1\r\na\r\n0\r\n\r\n",
        "1;\0\r\na\r\n0\r\n\r\n",
        "1;a=\"\r\n\"\r\na\r\n0\r\n\r\n",
        "1;a=\"\n\"\r\na\r\n",
        "1;a=\"\\\n\"\r\na\r\n",
        "1;\u{7f}\r\na\r\n",
        // Data that is not followed by CRLF.
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "1\r\na\r0\r\n\r\n",
        "1\r\na\r\r\n0\r\n\r\n",
        "2\r\na\r\n0\r\n\r\n",
        // Trailers.
        "0\r\nA\r\n\r\n",
        "0\r\n: b\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\nA: b\r\n c\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\rc\r\n\r\n",
        "0\r\nA: b\0\r\n\r\n",
        "0\r\nA: b\r\n\n",
        "0\r\n\n",
        "0\r\nA\u{e4}: b\r\n\r\n",
        "0\r\n\r\r\n",
    ]
    .map(str::to_owned)
    .to_vec();
    // A good chunk before each.
    bodies.extend(bodies.clone().into_iter().map(|body| format!("3\r\nabc\r\n{body}")));
    bodies
}

/// Chunked bodies with too much of something around the data.
fn too_large() -> Vec<String> {
    vec![
        format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(4 * 1024)),
        format!("1;{}", "e".repeat(8 * 1024)),
        format!("1 {}", " ".repeat(8 * 1024)),
        format!("{}0\r\n\r\n", format!("1;{}\r\na\r\n", "e".repeat(1024)).repeat(17)),
        format!("{}0\r\n\r\n", "1;eeeeeee\r\na\r\n".repeat(2049)),
        format!("0\r\nA: {}\r\n\r\n", "b".repeat(16 * 1024)),
        format!("0\r\n{}\r\n", "A: b\r\n".repeat(16 * 1024 / 6 + 1)),
        // Dropped lines count.
        format!("0\r\n{}\r\n", "Host: a\r\n".repeat(16 * 1024 / 9 + 1)),
        format!("0\r\n{}", "b".repeat(17 * 1024)),
    ]
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|byte| byte as u32 as u8).collect()
}

fn head() -> &'static str {
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
}

both_drivers! {
    fn of_a_request_in_one_piece(driver) {
        let origin = Origin::replies(&["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
        let proxy = Setup::to(&origin).start(driver);
        for body in malformed().into_iter().chain(too_large()) {
            let mut client = proxy.connect();
            client.try_send(
                [head().as_bytes(), &bytes(&body), b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"].concat(),
            );
            let response = client.read_response();
            assert_eq!((response.status, response.says_close()), (400, true), "{body:?}: {response:?}");
            client.expect_eof();
        }
        // At most they were cut short upstream: nothing looked like a whole request.
        assert_eq!(origin.whole_requests(), []);
        for received in origin.received() {
            assert!(!received.ends_with(b"0\r\n\r\n"), "{:?}", text_of(&received));
        }
    }

    fn of_a_request_byte_by_byte(driver) {
        let origin = Origin::replies(&["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
        let proxy = Setup::to(&origin).start(driver);
        for body in malformed() {
            let mut client = proxy.connect();
            let body = bytes(&body);
            client.send(head());
            client.await_taken();
            client.send_cut(&body, &(1..body.len()).collect::<Vec<_>>());
            let response = client.read_response();
            assert_eq!((response.status, response.says_close()), (400, true), "{:?}", text_of(&body));
            client.expect_eof();
        }
        proxy.await_metric(
            "ringlane_requests_refused_total",
            "reason=\"malformed\"",
            malformed().len() as u64,
        );
        // Every one was cut short upstream: the origin reads heads without an end of their bodies.
        assert_eq!(origin.whole_requests(), []);
    }

    fn of_a_response(driver) {
        let bodies: Vec<_> = malformed().into_iter().chain(too_large()).collect();
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let replies: Vec<_> = bodies.iter().map(|body| [head.as_bytes(), &bytes(body)].concat()).collect();
        let origin = Origin::replies(&replies);
        let proxy = Setup::to(&origin).start(driver);
        for body in &bodies {
            let response = proxy.get("/");
            let is_cut = response.status == 200 && response.end != End::Complete;
            let is_refused = response.status == 502 && response.end == End::Complete;
            assert!(is_cut || is_refused, "{body:?}: {response:?}");
        }
        proxy.await_metric("ringlane_upstream_malformed_total", "", bodies.len() as u64);
        assert_eq!(origin.connections(), bodies.len(), "none of these connections is used again");
    }

    fn of_a_response_after_its_beginning_is_out(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        for body in malformed() {
            let mut client = proxy.connect();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let mut upstream = origin.accept();
            upstream.read_request();
            upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n");
            let head = client.read_head();
            assert_eq!(text_of(&client.read_exact(9)), "4\r\ndata\r\n", "{head:?}");
            upstream.send(bytes(&body));
            let (rest, _) = client.read_to_end();
            assert!(!rest.ends_with(b"0\r\n\r\n"), "{body:?}: {:?}", text_of(&rest));
            upstream.expect_close();
        }
    }
}

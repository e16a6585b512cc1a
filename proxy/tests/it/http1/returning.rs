//! What a proxy changes in a message and what it leaves alone, RFC 9110 section 7: responses.

use std::time::SystemTime;

use crate::harness::{Origin, Setup};

/// A reply's head sent with CRLF for each bar, and the lines that the client sees of it. `DATE` is the proxy's own.
const REPLIES: &[(&str, &str)] = &[
    // Order, case and repeats stay; ours come after them.
    (
        "HTTP/1.1 200 Fine|Server: x|content-length: 0|Set-Cookie: a=b|X-A:1|Set-Cookie: c=d|set-cookie: a=b|Date: kept",
        "HTTP/1.1 200 Fine|Server: x|content-length: 0|Set-Cookie: a=b|X-A:1|Set-Cookie: c=d|set-cookie: a=b|Date: kept|Via: 1.1 ringlane",
    ),
    ("HTTP/1.1 200 OK|Content-Length: 0", "HTTP/1.1 200 OK|Content-Length: 0|Via: 1.1 ringlane|Date: DATE"),
    ("HTTP/1.1 299 |Content-Length: 0|dAtE: x", "HTTP/1.1 299 |Content-Length: 0|dAtE: x|Via: 1.1 ringlane"),
    ("HTTP/1.1 299|Content-Length: 0|Date: ", "HTTP/1.1 299 |Content-Length: 0|Date: |Via: 1.1 ringlane"),
    // The version is the hop's, `Via` says what it was before.
    (
        "HTTP/1.0 200 OK|Content-Length: 0|Connection: keep-alive|Date: x|Via: 1.0 b",
        "HTTP/1.1 200 OK|Content-Length: 0|Date: x|Via: 1.0 b|Via: 1.0 ringlane",
    ),
    // Fields of the connection end here, and so do those that `Connection` names; framing does not.
    (
        "HTTP/1.1 200 OK|Connection: close, X-Hop, content-length|Keep-Alive: timeout=5|X-Hop: 1|Content-Length: 0|Date: x|TE: trailers|\
         Proxy-Connection: close|Proxy-Authenticate: Basic|Proxy-Authentication-Info: x|Upgrade: h2c|x-hop: 2|Trailer: A|X-End: 1",
        "HTTP/1.1 200 OK|Content-Length: 0|Date: x|Trailer: A|X-End: 1|Via: 1.1 ringlane",
    ),
    (
        "HTTP/1.1 200 OK|Connection: Transfer-Encoding|Transfer-Encoding: chunked|Date: x",
        "HTTP/1.1 200 OK|Date: x|Transfer-Encoding: chunked|Via: 1.1 ringlane",
    ),
    // What others would read from it is not ours to touch.
    (
        "HTTP/1.1 401 No|WWW-Authenticate: Basic|Content-Length: 0|Date: x|X-Forwarded-For: y|Strict-Transport-Security: z|Alt-Svc: h3",
        "HTTP/1.1 401 No|WWW-Authenticate: Basic|Content-Length: 0|Date: x|X-Forwarded-For: y|Strict-Transport-Security: z|Alt-Svc: h3|Via: 1.1 ringlane",
    ),
    (
        "HTTP/1.1 301 Moved|Location: http://b//%2F?|Content-Length: 0|Date: x",
        "HTTP/1.1 301 Moved|Location: http://b//%2F?|Content-Length: 0|Date: x|Via: 1.1 ringlane",
    ),
];

/// Heads that no upstream should send: 502 for each.
const REFUSED: &[&str] = &[
    // Start lines.
    "HTTP/2.0 200 OK|Content-Length: 0",
    "HTTP/0.9 200 OK|Content-Length: 0",
    "HTTP/1.1 99 OK|Content-Length: 0",
    "HTTP/1.1 1000 OK|Content-Length: 0",
    "HTTP/1.1 abc OK|Content-Length: 0",
    "HTTP/1.1  200 OK|Content-Length: 0",
    "HTTP/1.1 20 OK|Content-Length: 0",
    "HTTP/1.1 200OK|Content-Length: 0",
    "http/1.1 200 OK|Content-Length: 0",
    "ICY 200 OK|Content-Length: 0",
    "200 OK|Content-Length: 0",
    "HTTP/1.1|Content-Length: 0",
    " HTTP/1.1 200 OK|Content-Length: 0",
    "HTTP/1.1\t200 OK|Content-Length: 0",
    "<html>",
    "|HTTP/1.1 200 OK|Content-Length: 0",
    "HTTP/1.1 000 OK|Content-Length: 0",
    "GET / HTTP/1.1|Host: a",
    // Framing.
    "HTTP/1.1 200 OK|Content-Length: 0|Content-Length: 0",
    "HTTP/1.1 200 OK|Content-Length: 1|Content-Length: 2",
    "HTTP/1.1 200 OK|Content-Length: 0, 0",
    "HTTP/1.1 200 OK|Content-Length: -1",
    "HTTP/1.1 200 OK|Content-Length: +1",
    "HTTP/1.1 200 OK|Content-Length:",
    "HTTP/1.1 200 OK|Content-Length: 0x1",
    "HTTP/1.1 200 OK|Content-Length: 99999999999999999999",
    "HTTP/1.1 200 OK|Content-Length: 0|Transfer-Encoding: chunked",
    "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Content-Length: 0",
    "HTTP/1.1 200 OK|Transfer-Encoding: gzip, chunked",
    "HTTP/1.1 200 OK|Transfer-Encoding: identity",
    "HTTP/1.1 200 OK|Transfer-Encoding: chunked, chunked",
    "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Transfer-Encoding: chunked",
    "HTTP/1.1 200 OK|Transfer-Encoding:",
    "HTTP/1.0 200 OK|Transfer-Encoding: chunked",
    "HTTP/1.1 304 OK|Content-Length: x",
    "HTTP/1.1 204 OK|Content-Length: 0|Transfer-Encoding: chunked",
    // Fields.
    "HTTP/1.1 200 OK|A: b\0|Content-Length: 0",
    "HTTP/1.1 200 OK|A: b\rc|Content-Length: 0",
    "HTTP/1.1 200 OK|A: b\nEvil: c|Content-Length: 0",
    "HTTP/1.1 200 OK|A : b|Content-Length: 0",
    "HTTP/1.1 200 OK|A: b| folded|Content-Length: 0",
    "HTTP/1.1 200 OK| A: b|Content-Length: 0",
    "HTTP/1.1 200 OK|no colon|Content-Length: 0",
    "HTTP/1.1 200 OK|: b|Content-Length: 0",
    "HTTP/1.1 200 OK|A: b\u{7f}|Content-Length: 0",
    "HTTP/1.1 200 O\0K|Content-Length: 0",
    "HTTP/1.1 200 O\rK|Content-Length: 0",
    "HTTP/1.1 200 OK\nA: b|Content-Length: 0",
];

fn head(text: &str) -> Vec<u8> {
    let text = format!("{}\r\n\r\n", text.replace('|', "\r\n"));
    text.chars().map(|byte| byte as u32 as u8).collect()
}

both_drivers! {
    fn what_the_client_sees(driver) {
        let replies: Vec<_> = REPLIES
            .iter()
            .map(|(sent, _)| {
                [head(sent), if sent.contains("chunked") { b"0\r\n\r\n".to_vec() } else { Vec::new() }]
                    .concat()
            })
            .collect();
        let origin = Origin::replies(&replies);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for (_, wanted) in REPLIES {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let response = client.read_response();
            // An empty value at the end of a line is trimmed by nobody.
            let raw = response.head.raw.strip_suffix(b"\r\n\r\n").unwrap();
            let seen = crate::harness::message::text_of(raw).replace("\r\n", "|");
            let date = response.field("date").unwrap();
            assert_eq!(seen, wanted.replace("DATE", date));
        }
    }

    fn the_date_is_now(driver) {
        let origin = Origin::replies(&["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
        let setup = Setup::to(&origin).route("match = { path_prefix = \"/app\" }");
        let proxy = setup.start(driver);
        // Responses of our own carry one as well.
        for path in ["/app", "/none"] {
            let response = proxy.get(path);
            let date = httpdate::parse_http_date(response.field("date").unwrap()).unwrap();
            let age = SystemTime::now().duration_since(date).unwrap();
            assert!(age.as_secs() < 5, "{age:?}");
        }
    }

    fn heads_that_break_a_rule_are_502(driver) {
        let replies: Vec<_> = REFUSED.iter().map(|sent| head(sent)).collect();
        let origin = Origin::replies(&replies);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for (round, sent) in REFUSED.iter().enumerate() {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let response = client.read_response();
            assert_eq!((response.status, response.says_close()), (502, false), "{sent:?}: {response:?}");
            assert!(!response.text().contains("Evil"));
            assert_eq!(origin.connections(), round + 1, "{sent:?}");
        }
        proxy.await_metric("ringlane_upstream_malformed_total", "", REFUSED.len() as u64);
    }

    fn heads_that_never_end_are_502(driver) {
        for reply in [
            format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(70_000)),
            format!("HTTP/1.1 200 {}", "b".repeat(70_000)),
            format!("HTTP/1.1 200 OK\r\n{}", "A: b\r\n".repeat(12_000)),
            format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "A: b\r\n".repeat(96)),
        ] {
            let origin = Origin::replies(&[&reply]);
            let proxy = Setup::to(&origin).start(driver);
            assert_eq!(proxy.get("/").status, 502, "{}", &reply[..50]);
        }
        // And one that just fits.
        let fields = "A: b\r\n".repeat(95);
        let origin = Origin::replies(&[format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n")]);
        assert_eq!(Setup::to(&origin).start(driver).get("/").head.values("a").len(), 95);
        let origin = Origin::replies(&[format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: {}\r\n\r\n",
            "b".repeat(60_000)
        )]);
        assert_eq!(Setup::to(&origin).start(driver).get("/").field("a").unwrap().len(), 60_000);
    }
}

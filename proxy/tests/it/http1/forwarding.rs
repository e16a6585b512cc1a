//! What a proxy changes in a message and what it leaves alone, RFC 9110 section 7: requests.

use crate::harness::{Client, Dir, Driver, Origin, Proxy, Setup};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A head sent with CRLF for each bar, and the lines that the upstream sees of it, with bars between them.
type Case = (&'static str, &'static str);

/// With `forwarded = "replace"`, the default: nothing that a client says of where it comes from is believed.
const REPLACE: &[Case] = &[
    // Order, case and repeats stay; ours come after them.
    (
        "GET /a?b HTTP/1.1|Host: example.com:81|User-Agent: x|accept: */*|X-One: 1|x-two:2|X-ONE:  3 |Cookie: a=b|Cookie: c=d",
        "GET /a?b HTTP/1.1|Host: example.com:81|User-Agent: x|accept: */*|X-One: 1|x-two:2|X-ONE:  3 |Cookie: a=b|Cookie: c=d|\
         Via: 1.1 ringlane|X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: example.com:81",
    ),
    // `Host` keeps its place, and is written in one way.
    (
        "GET / HTTP/1.1|A: b|hOST:  a |C: d",
        "GET / HTTP/1.1|A: b|hOST: a|C: d|Via: 1.1 ringlane|X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: a",
    ),
    // An absolute target's authority wins over `Host`.
    (
        "GET http://b:8/c HTTP/1.1|A: b|Host: a",
        "GET /c HTTP/1.1|A: b|Host: b:8|Via: 1.1 ringlane|X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: b:8",
    ),
    (
        "GET http://b/ HTTP/1.0",
        "GET / HTTP/1.1|Host: b|Via: 1.0 ringlane|X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: b",
    ),
    // HTTP/1.0 without a `Host`.
    (
        "GET / HTTP/1.0|A: b",
        "GET / HTTP/1.1|Host: |A: b|Via: 1.0 ringlane|X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http",
    ),
    // Fields of the connection end here, and so do those that `Connection` names.
    (
        "GET / HTTP/1.1|Host: a|Connection: keep-alive, X-Hop, x-other|Keep-Alive: timeout=5|Proxy-Connection: keep-alive|X-Hop: 1|\
         Proxy-Authorization: Basic eA==|Proxy-Authenticate: Basic|TE: gzip|Upgrade: websocket|x-HOP: 2|X-Other: 3|X-End: 4",
        "GET / HTTP/1.1|Host: a|X-End: 4|Via: 1.1 ringlane|X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: a",
    ),
    // But not those that others rely on, nor anything for an empty element.
    (
        "GET / HTTP/1.1|Host: a|Connection: , Via, date ,, X-Forwarded-For,|Via: 1.1 b|Date: x",
        "GET / HTTP/1.1|Host: a|Via: 1.1 b|Date: x|Via: 1.1 ringlane|X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: a",
    ),
    // That trailers are taken is said again.
    (
        "GET / HTTP/1.1|Host: a|TE: trailers, deflate;q=0.5|Connection: TE",
        "GET / HTTP/1.1|Host: a|TE: trailers|Connection: TE|Via: 1.1 ringlane|X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: a",
    ),
    // Nobody is trusted.
    (
        "GET / HTTP/1.1|Host: a|X-Forwarded-For: 9.9.9.9|x-forwarded-proto: https|X-Forwarded-Host: evil|X-Forwarded-Port: 1|\
         X_Forwarded_For: 9.9.9.9|X-Forwarded_Proto: https|Forwarded: for=9.9.9.9|X-Forwarded-Prefix: /x|X-Forwarded: 1|X-Forwarder: 2",
        "GET / HTTP/1.1|Host: a|X-Forwarded: 1|X-Forwarder: 2|Via: 1.1 ringlane|X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: a",
    ),
    // Max-Forwards counts down for OPTIONS and TRACE, and means nothing elsewhere.
    (
        "OPTIONS * HTTP/1.1|Host: a|Max-Forwards: 10|A: b",
        "OPTIONS * HTTP/1.1|Host: a|Max-Forwards: 9|A: b|Via: 1.1 ringlane|X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: a",
    ),
    (
        "TRACE / HTTP/1.1|Host: a|max-forwards: 1",
        "TRACE / HTTP/1.1|Host: a|max-forwards: 0|Via: 1.1 ringlane|X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: a",
    ),
    (
        "GET / HTTP/1.1|Host: a|Max-Forwards: 0",
        "GET / HTTP/1.1|Host: a|Max-Forwards: 0|Via: 1.1 ringlane|X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: a",
    ),
];

/// With `forwarded = "append"`: the client is a proxy of ours.
const APPEND: &[Case] = &[
    (
        "GET / HTTP/1.1|Host: a|X-Forwarded-For: 1.1.1.1|A: b|X-Forwarded-Proto: https|X-Forwarded-Host: c|X-Forwarded-Port: 443|\
         x-forwarded-for: 2.2.2.2, 3.3.3.3|Forwarded: for=1.1.1.1",
        "GET / HTTP/1.1|Host: a|A: b|X-Forwarded-Proto: https|X-Forwarded-Host: c|X-Forwarded-Port: 443|Forwarded: for=1.1.1.1|\
         Via: 1.1 ringlane|X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1",
    ),
    (
        "GET / HTTP/1.1|Host: a|X-Forwarded-For:",
        "GET / HTTP/1.1|Host: a|Via: 1.1 ringlane|X-Forwarded-For: 127.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: a",
    ),
    (
        "GET / HTTP/1.1|Host: a|Connection: X-Forwarded-For, X-Forwarded-Proto, Forwarded|X-Forwarded-For: 1.1.1.1|X-Forwarded-Proto: https",
        "GET / HTTP/1.1|Host: a|X-Forwarded-Proto: https|Via: 1.1 ringlane|X-Forwarded-For: 1.1.1.1, 127.0.0.1|X-Forwarded-Host: a",
    ),
];

/// Targets that arrive as they were sent, byte for byte.
const TARGETS: &[&str] = &[
    "/",
    "//",
    "///a//b//",
    "/.",
    "/..",
    "/a/../b/./c",
    "/a/..%2fb",
    "/%2F",
    "/%2f%2E%2e/",
    "/a%20b",
    "/%00",
    "/%0d%0a",
    "/%c3%a4",
    "/%FF",
    "/a;b=c;d/e",
    "/;",
    "/?",
    "/a?",
    "/?a",
    "/??",
    "/a?b?c",
    "/?a=b&a=c&&d",
    "/?%",
    "/?%zz",
    "/?a/b/../c",
    "/?a=http://x/%2F",
    "/a:b@c",
    "/:80",
    "/a,b!$&'()*+=~-._",
    "/[a]",
    "//evil/path",
    "/http://b/",
    "/*",
    "/?[]",
    "/a?b=[c]",
    "/%61%7e",
];

#[track_caller]
fn check(driver: Driver, setup: Setup, origin: &Origin, cases: &[Case]) -> Proxy {
    let proxy = setup.start(driver);
    for (sent, wanted) in cases {
        let mut client = proxy.connect();
        client.send(format!("{}\r\n\r\n", sent.replace('|', "\r\n")));
        client.read_response().expect(200);
        assert_eq!(origin.last_request().head.lines().join("|"), *wanted);
    }
    proxy
}

both_drivers! {
    fn what_the_upstream_sees(driver) {
        let origin = Origin::replies(&[OK]);
        check(driver, Setup::to(&origin), &origin, REPLACE);
    }

    fn what_the_upstream_sees_of_a_trusted_client(driver) {
        let origin = Origin::replies(&[OK]);
        check(driver, Setup::to(&origin).listener("forwarded = \"append\""), &origin, APPEND);
    }

    fn path_and_query_byte_for_byte(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for target in TARGETS {
            client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            client.read_response().expect(200);
            assert_eq!(origin.last_request().target(), *target);
            // So they do behind an authority.
            client.send(format!("GET http://b{target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            client.read_response().expect(200);
            assert_eq!(origin.last_request().target(), *target);
        }
        assert_eq!(origin.connections(), 1);
    }

    /// Bytes beyond ASCII in values are nobody's business.
    fn values_byte_for_byte(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let value: Vec<u8> = (0x21..0x7f).chain(0x80..=0xff).chain([b'\t', b' ', b'x']).collect();
        let mut client = proxy.connect();
        client.send([b"GET / HTTP/1.1\r\nHost: a\r\nX-Odd: ", &value[..], b"\r\n\r\n"].concat());
        client.read_response().expect(200);
        let received = &origin.received()[0];
        assert!(received.windows(value.len()).any(|window| window == value));
    }

    fn max_forwards_of_nothing_stops_here(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for target in ["*", "/a"] {
            client.send(format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"));
            let response = client.read_response().expect(204);
            assert!(response.head.lists("allow", "GET"), "{response:?}");
        }
        let trace = "TRACE /a?b HTTP/1.1\r\nHost: a\r\nMax-Forwards: 000\r\nX-A: b\r\nAuthorization: secret\r\ncookie: secret\r\nProxy-Authorization: secret\r\n\r\n";
        client.send(trace);
        let response = client.read_response().expect(200);
        assert_eq!(response.field("content-type"), Some("message/http"));
        assert_eq!(response.text(), "TRACE /a?b HTTP/1.1\r\nHost: a\r\nMax-Forwards: 000\r\nX-A: b\r\n\r\n");
        // An absolute target without a path is echoed as it came.
        client.send("TRACE http://b HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
        let response = client.read_response().expect(200);
        assert_eq!(response.text(), "TRACE http://b HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
        // More hops than can be counted are still more than one.
        client.send("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 99999999999999999999999\r\n\r\n");
        client.read_response().expect(200);
        assert_eq!(origin.requests().len(), 1);
    }

    /// The address is the client's, in the text of its own family.
    fn addresses_of_clients(driver) {
        let origin = Origin::replies(&[OK]);
        let dir = Dir::new();
        let unix = dir.unix("web.sock");
        let more = format!(
            "[[listeners]]\nname = \"six\"\naddress = \"[::1]:0\"\n[[listeners]]\nname = \"unix\"\naddress = {unix:?}"
        );
        let proxy = Setup::to(&origin).and(&more).start(driver);
        for (address, wanted) in
            [(proxy.address(), "127.0.0.1"), (proxy.address_of("six"), "::1"), (unix, "unknown")]
        {
            let mut client = Client::connect(&address);
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            client.read_response().expect(200);
            assert_eq!(origin.last_request().field("x-forwarded-for"), Some(wanted));
        }
    }
}

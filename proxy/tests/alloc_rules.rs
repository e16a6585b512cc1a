//! Asking rules allocates nothing at steady state, whatever they ask. A binary of its own, for the allocator that counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unused_crate_dependencies,
    reason = "a test that can't go on has failed; dependencies belong to the library"
)]

mod counting;

use std::{fmt::Write, hint::black_box};

use bytes::BytesMut;
use counting::allocations;
use ringlane::{
    control::config::parse_str,
    http::{HeadScan, RequestHead, Scan, Spare},
    rule::{Request, Rules, Scratch},
};

/// Rules of every kind, so many of each.
fn rules(each: usize) -> std::sync::Arc<Rules> {
    let mut text = "listeners = [{ name = \"web\", address = \"127.0.0.1:80\" }]\n".to_owned();
    for i in 0..each {
        for (kind, condition) in [
            ("network", format!("client = [\"10.{}.{}.0/24\", \"2001:db8:{i:x}::/48\"]", i / 256, i % 256)),
            ("host", format!("hosts = [\"h{i}.test\", \"*.w{i}.test\"]")),
            ("path", format!("path = \"/p/{i}\"")),
            ("form", format!("path = \"/f/{{id}}/x{i}\"")),
            ("prefix", format!("path_prefix = \"/q/{i}\"")),
            ("regex", format!("path_regex = \"/r{i}/[0-9]+$\"")),
            ("open", format!("path_regex = \"^/.[a-z]{{{}}}$\"", i % 40 + 1)),
            ("method", format!("methods = [\"GET\", \"M{i}\"]\npath_prefix = \"/m{i}\"")),
            (
                "field",
                format!(
                    "headers = {{ x-{} = \"v{i}\", user-agent = {{ regex = \"(?i)agent{i}\" }} }}",
                    i % 7
                ),
            ),
            ("query", format!("query = {{ q{} = \"v {i}\", r = {{ regex = \"z{i}$\" }} }}", i % 7)),
            (
                "nested",
                format!("any = [{{ path = \"/n{i}\" }}, {{ not = {{ headers.x-1.present = true }} }}]"),
            ),
        ] {
            let _ =
                write!(text, "[[rules]]\nname = \"{kind}-{i}\"\ntag = \"t\"\n[rules.match]\n{condition}\n");
        }
    }
    let config = parse_str("rules.toml", &text).unwrap_or_else(|errors| panic!("{errors:?}"));
    config.rules.expect("rules")
}

fn head(path: &str) -> RequestHead {
    let text = format!(
        "GET {path} HTTP/1.1\r\nHost: X.W3.test\r\nUser-Agent: an Agent2/1.0\r\nX-2: v2\r\nX-1: y\r\nAccept: */*\r\n\r\n"
    );
    let mut buf = BytesMut::from(text.as_str());
    let Ok(Scan::Complete { start, end }) = HeadScan::request().advance(&buf, 32 * 1024) else {
        panic!("{text}")
    };
    RequestHead::parse(&mut buf, start, end, 96, Spare::default()).expect("a head")
}

/// Asks about each head; how many rules matched.
fn ask(rules: &Rules, heads: &[RequestHead], scratch: &mut Scratch) -> usize {
    let mut matched = 0;
    for head in heads {
        let request = Request {
            client: Some(([10, 0, 2, 9], 0).into()).map(|address: std::net::SocketAddr| address.ip()),
            method: &head.method,
            host: head.host(),
            path: head.path(),
            query: head.query(),
            lines: head,
        };
        matched += black_box(rules.matches(black_box(&request), scratch)).count();
    }
    matched
}

#[test]
fn asking_allocates_nothing() {
    let paths = [
        "/p/1",
        "/f/7/x1",
        "/q/1/2",
        "/a/r1/77",
        "/abc",
        "/m2/x",
        "/?q2=v+2&r=%7Az2",
        "/n3",
        "/none?none",
        "/r1/r2/r3/r1/r2/r3/x",
    ];
    let heads: Vec<RequestHead> = paths.iter().map(|path| head(path)).collect();
    for each in [1, 10, 100] {
        let rules = rules(each);
        let mut scratch = Scratch::default();
        let warm = ask(&rules, &heads, &mut scratch);
        // Each kind but the one that the head's X-1 rules out.
        assert!(each < 10 || warm >= 2 * heads.len() + 8, "{each}: {warm}");
        for _ in 0..20 {
            ask(&rules, &heads, &mut scratch);
        }
        let before = allocations();
        let matched = ask(&rules, &heads, &mut scratch);
        assert_eq!((allocations() - before, matched), (0, warm), "{each} rules of each kind");
    }
    // The count counts.
    let before = allocations();
    black_box(ask(&rules(1), &heads, &mut Scratch::default()));
    assert!(allocations() > before);
}

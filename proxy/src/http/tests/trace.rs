//! Ids that go along with a request.

use proptest::prelude::*;

use super::support::{encoded_response, parse, parse_response, plain, untrusted};
use crate::{
    http::{
        HeaderEdits, RequestEncoding, RequestHead, ResponseEncoding, encode_request, encode_response,
        trace::{Ids, Instead, TraceParent, request_id},
    },
    limits::{REQUEST_ID_BYTES_MAX, TRACESTATE_BYTES_MAX, TRACESTATE_MEMBERS_MAX},
};

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const PARENT: u64 = 0x00f0_67aa_0ba9_02b7;
const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn head(lines: &str) -> RequestHead {
    parse(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).expect("a good head")
}

#[test]
fn traceparent() {
    let good = |flags| Some(TraceParent { trace: TRACE, parent: PARENT, flags });
    for (value, wanted) in [
        (GOOD.to_owned(), good(1)),
        (GOOD.replace("-01", "-00"), good(0)),
        // Flags that nobody knows are not passed on.
        (GOOD.replace("-01", "-ff"), good(3)),
        (GOOD.replace("-01", "-08"), good(0)),
        // Later versions are read as far as they are alike.
        (GOOD.replacen("00-", "cc-", 1), good(1)),
        (GOOD.replacen("00-", "cc-", 1) + "-what-comes", good(1)),
        (GOOD.replacen("00-", "cc-", 1) + "-", good(1)),
        (GOOD.replacen("00-", "cc-", 1) + ".what", None),
        (GOOD.replacen("00-", "ff-", 1), None),
        (GOOD.to_owned() + "-x", None),
        (GOOD.to_owned() + "-", None),
        (GOOD.to_owned() + "0", None),
        (GOOD[..54].to_owned(), None),
        (String::new(), None),
        (GOOD.to_uppercase(), None),
        (GOOD.replacen("4bf", "4bg", 1), None),
        (GOOD.replace("-01", "-0x"), None),
        (GOOD.replacen("00-", "0-0", 1), None),
        (GOOD.replace('-', "_"), None),
        (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
        (format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16)), None),
        (format!("{GOOD}, {GOOD}"), None),
    ] {
        assert_eq!(TraceParent::parse(value.as_bytes()), wanted, "{value}");
        assert_eq!(TraceParent::of(&head(&format!("Traceparent: {value}\r\n"))), wanted, "{value}");
    }
    assert_eq!(TraceParent::of(&head("")), None);
    assert_eq!(TraceParent::of(&head(&format!("traceparent: {GOOD}\r\ntraceparent: {GOOD}\r\n"))), None);
    // A field of the connection is none of the message.
    assert_eq!(TraceParent::of(&head(&format!("Connection: traceparent\r\ntraceparent: {GOOD}\r\n"))), None);
    let text = TraceParent { trace: TRACE, parent: PARENT, flags: 1 }.text();
    assert_eq!(String::from_utf8_lossy(&text), GOOD);
    assert_eq!(TraceParent::start(1, 2).flags, 1);
}

#[test]
fn request_ids() {
    let longest = "x".repeat(REQUEST_ID_BYTES_MAX);
    for id in ["a", "4bf92f35-77b3", "Root=1-67891233-abcdef012345678912345678", "a.b_c~d+e/f=:@", &longest] {
        assert_eq!(request_id(&head(&format!("x-request-id: {id}\r\n"))), Some(id.as_bytes()), "{id}");
    }
    for id in ["", "a b", "a,b", "a\"b", "<script>", "\u{e9}", "a;b", "{a}", &format!("{longest}x")] {
        assert_eq!(request_id(&head(&format!("x-request-id: {id}\r\n"))), None, "{id}");
    }
    assert_eq!(request_id(&head("X-Request-Id: a\r\nX-Request-Id: a\r\n")), None);
    assert_eq!(request_id(&head("")), None);
}

/// The lines of a request as it goes upstream, without those that every request has.
fn upstream(lines: &str, ids: Option<Ids<'_>>, edits: &HeaderEdits) -> Vec<String> {
    let mut out = Vec::new();
    encode_request(&mut out, &head(lines), &RequestEncoding { ids, ..untrusted(edits) });
    let text = String::from_utf8_lossy(&out).into_owned();
    let ours = ["GET ", "Host: ", "Via: ", "X-Forwarded-"];
    let lines = text.split("\r\n").filter(|line| !line.is_empty());
    lines.filter(|line| !ours.iter().any(|it| line.starts_with(it))).map(str::to_owned).collect()
}

const CAME: &str =
    "Traceparent: t\r\nA: 1\r\nTraceState: a=1, b=2\r\nX-REQUEST-ID: r\r\ntracestate: c=3,,\r\nB: 2\r\n";

#[test]
fn ids_take_the_place_of_what_came() {
    let none = HeaderEdits::default();
    let as_it_came =
        ["Traceparent: t", "A: 1", "TraceState: a=1, b=2", "X-REQUEST-ID: r", "tracestate: c=3,,", "B: 2"];
    assert_eq!(upstream(CAME, None, &none), as_it_came);
    assert_eq!(upstream(CAME, Some(Ids::default()), &none), as_it_came);
    let traced = Ids { traceparent: Instead::This(Some(b"T")), keeps_state: true, ..Ids::default() };
    assert_eq!(
        upstream(CAME, Some(traced), &none),
        ["A: 1", "X-REQUEST-ID: r", "B: 2", "traceparent: T", "tracestate: a=1,b=2,c=3"]
    );
    let started = Ids { keeps_state: false, request_id: Instead::This(Some(b"R")), ..traced };
    assert_eq!(upstream(CAME, Some(started), &none), ["A: 1", "B: 2", "traceparent: T", "X-Request-Id: R"]);
    let dropped =
        Ids { traceparent: Instead::This(None), request_id: Instead::This(None), keeps_state: false };
    assert_eq!(upstream(CAME, Some(dropped), &none), ["A: 1", "B: 2"]);
    // The route has the last word.
    let names = ["traceparent", "tracestate", "x-request-id"];
    let edits = HeaderEdits { remove: names.map(http::HeaderName::from_static).into(), ..none };
    assert_eq!(
        upstream(CAME, Some(Ids { request_id: Instead::This(Some(b"R")), ..traced }), &edits),
        ["A: 1", "B: 2"]
    );
}

/// `tracestate` as it goes upstream.
fn state(lines: &str) -> String {
    let ids = Ids { traceparent: Instead::This(None), keeps_state: true, ..Ids::default() };
    let found = upstream(lines, Some(ids), &HeaderEdits::default());
    assert!(found.len() <= 1, "{found:?}");
    found.into_iter().next().map_or_else(String::new, |line| line.replacen("tracestate: ", "", 1))
}

#[test]
fn tracestate_within_bounds() {
    assert_eq!(state(""), "");
    assert_eq!(state("tracestate:\r\ntracestate: ,\r\n"), "");
    let line = |members: &[String]| format!("tracestate: {}\r\n", members.join(","));
    let many: Vec<String> = (0..40).map(|n| format!("k{n}=v")).collect();
    assert_eq!(state(&line(&many)), many[..TRACESTATE_MEMBERS_MAX].join(","));
    let exact =
        vec![format!("a={}", "x".repeat(200)), format!("b={}", "x".repeat(TRACESTATE_BYTES_MAX - 205))];
    assert_eq!(exact.join(",").len(), TRACESTATE_BYTES_MAX);
    assert_eq!(state(&line(&exact)), exact.join(","));
    // Too much: long members first, then those at the end.
    let more = [&exact[..], &["c=1".to_owned()]].concat();
    assert_eq!(state(&line(&more)), "c=1");
    let short: Vec<String> = (0..10).map(|n| format!("k{n}={}", "x".repeat(97))).collect();
    assert_eq!(state(&line(&short)), short[..5].join(","));
}

#[test]
fn a_response_says_which_request_it_answers() {
    const FROM: &str = "HTTP/1.1 200 OK\r\nX-Request-ID: theirs\r\nContent-Length: 0\r\n\r\n";
    assert!(encoded_response(FROM).contains("X-Request-ID: theirs\r\n"));
    let (none, head) = (HeaderEdits::default(), parse_response(FROM, &http::Method::GET).expect("good"));
    let mut out = Vec::new();
    encode_response(&mut out, &head, &ResponseEncoding { request_id: Some(b"ours"), ..plain(&none) });
    let text = String::from_utf8_lossy(&out).into_owned();
    assert!(text.contains("X-Request-Id: ours\r\n") && !text.contains("theirs"), "{text}");
}

proptest! {
    #[test]
    fn what_is_written_is_read(trace in 1u128.., parent in 1u64.., flags in 0u8..4) {
        let it = TraceParent { trace, parent, flags };
        prop_assert_eq!(TraceParent::parse(&it.text()), Some(it));
        let (text, plain) = (it.text(), format!("00-{trace:032x}-{parent:016x}-{flags:02x}"));
        prop_assert_eq!(&text[..], plain.as_bytes());
    }

    #[test]
    fn anything_else_is_not(value in "[0-9a-f-]{50,60}|\\PC{0,60}") {
        if let Some(it) = TraceParent::parse(value.as_bytes()) {
            prop_assert!(value.len() >= 55 && it.trace != 0 && it.parent != 0);
            prop_assert_eq!(&it.text()[3..52], &value.as_bytes()[3..52]);
        }
    }
}

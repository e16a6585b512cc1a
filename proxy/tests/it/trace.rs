//! Trace contexts and ids of requests: taken over, made, passed on, logged.

use std::{collections::HashSet, fs};

use serde_json::Value;

use crate::harness::{
    Origin, Proxy, Request, Setup, eventually,
    replies::{GET, OK, SWITCH, UPGRADE},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn setup(origin: &Origin, trace: &str) -> Setup {
    Setup::to(origin).listener(&format!("trace = {{ {trace} }}")).and("[access_log]\npath = \"access.log\"")
}

fn with(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// All lines of the access log, once there are so many.
#[track_caller]
fn lines(proxy: &Proxy, count: usize) -> Vec<Value> {
    let mut lines = Vec::new();
    eventually(&format!("{count} lines"), || {
        let text = fs::read_to_string(proxy.dir().join("access.log")).unwrap_or_default();
        lines = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        lines.len() >= count
    });
    assert_eq!(lines.len(), count);
    lines
}

/// Trace id, parent id and flags that a request came upstream with.
#[track_caller]
fn context(request: &Request) -> (String, String, String) {
    let field = request.field("traceparent").expect("traceparent");
    let parts: Vec<&str> = field.split('-').collect();
    let [version, trace, parent, flags] = parts[..] else { panic!("{field}") };
    assert_eq!((version, trace.len(), parent.len(), flags.len()), ("00", 32, 16, 2), "{field}");
    (trace.to_owned(), parent.to_owned(), flags.to_owned())
}

both_drivers! {
    fn off(driver) {
        let origin = Origin::replies(&["HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 0\r\n\r\n"]);
        let proxy = setup(&origin, "").start(driver);
        let came = format!("TraceParent: 00-{TRACE}-{PARENT}-01\r\ntracestate: a=1\r\ntracestate: b=2\r\nX-Request-ID: b a d\r\n");
        let response = proxy.asking(with(&came)).read_response().expect(200);
        assert_eq!(response.field("x-request-id"), Some("theirs"));
        let text = String::from_utf8(origin.received().remove(0)).unwrap();
        assert!(text.contains(&came), "{text}");
        let line = &lines(&proxy, 1)[0];
        for field in ["trace_id", "span_id", "parent_id", "request_id"] {
            assert!(line.get(field).is_none(), "{line}");
        }
    }

    fn a_trace_goes_on_under_an_id_of_ours(driver) {
        let origin = Origin::replies(&[OK]);
        for mode in ["pass", "start"] {
            let proxy = setup(&origin, &format!("context = \"{mode}\"")).start(driver);
            let mut client = proxy.connect();
            let mut spans = HashSet::new();
            for flags in ["00", "01"] {
                let came = format!("traceparent: 00-{TRACE}-{PARENT}-{flags}\r\ntracestate: a=1, b=2\r\nTracestate: c=3\r\n");
                client.ask(with(&came)).expect(200);
                let request = origin.last_request();
                let (trace, span, goes) = context(&request);
                assert_eq!((&*trace, &*goes), (TRACE, flags));
                assert_ne!(span, PARENT);
                assert_eq!(request.field("tracestate"), Some("a=1,b=2,c=3"));
                spans.insert(span);
            }
            assert_eq!(spans.len(), 2);
            for line in lines(&proxy, 2) {
                assert_eq!((&line["trace_id"], &line["parent_id"]), (&TRACE.into(), &PARENT.into()), "{line}");
                assert!(spans.contains(line["span_id"].as_str().unwrap()), "{line}");
                assert!(line.get("request_id").is_none());
            }
        }
    }

    fn where_there_is_no_trace(driver) {
        let bad = [
            String::new(),
            format!("traceparent: 00-{TRACE}-{PARENT}\r\n"),
            format!("traceparent: 00-{}-{PARENT}-01\r\n", "0".repeat(32)),
            format!("traceparent: 00-{TRACE}-{PARENT}-01\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\n"),
        ];
        let origin = Origin::replies(&[OK]);
        let passes = setup(&origin, "context = \"pass\"").start(driver);
        let starts = setup(&origin, "context = \"start\"").start(driver);
        let mut traces = HashSet::new();
        for bad in &bad {
            let request = with(&format!("{bad}tracestate: a=1\r\n"));
            passes.asking(&request).read_response().expect(200);
            let request_upstream = origin.last_request();
            assert_eq!((request_upstream.field("traceparent"), request_upstream.field("tracestate")), (None, None));
            starts.asking(&request).read_response().expect(200);
            let (trace, _, flags) = context(&origin.last_request());
            assert_eq!((&*flags, origin.last_request().field("tracestate")), ("01", None));
            assert_ne!(trace, TRACE);
            traces.insert(trace);
        }
        assert_eq!(traces.len(), bad.len());
        for line in lines(&passes, bad.len()) {
            assert!(line.get("trace_id").is_none() && line.get("span_id").is_none(), "{line}");
        }
        for line in lines(&starts, bad.len()) {
            assert!(traces.contains(line["trace_id"].as_str().unwrap()), "{line}");
            assert!(line["span_id"].is_string() && line.get("parent_id").is_none(), "{line}");
        }
    }

    fn ids_of_requests(driver) {
        let origin = Origin::replies(&["HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 0\r\n\r\n"]);
        let passes = setup(&origin, "request_id = \"pass\"").start(driver);
        let makes = setup(&origin, "request_id = \"make\"").start(driver);
        for proxy in [&passes, &makes] {
            let response = proxy.asking(with("x-request-id: Root=1-5\r\n")).read_response().expect(200);
            assert_eq!(response.field("x-request-id"), Some("Root=1-5"));
            assert_eq!(origin.last_request().field("x-request-id"), Some("Root=1-5"));
            assert_eq!(lines(proxy, 1)[0]["request_id"], "Root=1-5");
        }
        let mut made = HashSet::new();
        for bad in ["", "X-Request-Id: a b\r\n", &format!("X-Request-Id: {}\r\n", "x".repeat(129)), "X-Request-Id: a\r\nX-Request-Id: b\r\n"] {
            let response = passes.asking(with(bad)).read_response().expect(200);
            assert_eq!(response.field("x-request-id"), Some("theirs"));
            assert_eq!(origin.last_request().field("x-request-id"), None);
            let response = makes.asking(with(bad)).read_response().expect(200);
            let id = origin.last_request().field("x-request-id").expect("an id").to_owned();
            assert_eq!(response.field("x-request-id"), Some(&*id));
            assert!(id.len() == 32 && id.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it)), "{id}");
            made.insert(id);
        }
        assert_eq!(made.len(), 4);
        let logged: HashSet<String> =
            lines(&makes, 5)[1..].iter().map(|line| line["request_id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(logged, made);
    }

    fn answers_of_our_own_have_the_id_as_well(driver) {
        let origin = Origin::manual();
        let proxy = setup(&origin, "request_id = \"make\"")
            .route("match = { path_prefix = \"/app\" }")
            .and("[[routes]]\nname = \"here\"\nmatch = { path = \"/here\" }\nrespond = { body = \"here\" }")
            .and("[[rules]]\nname = \"r\"\nmatch = { path = \"/denied\" }\ndeny = {}")
            .start(driver);
        let mut client = proxy.connect();
        let mut ids = Vec::new();
        for (path, status) in [("/here", 200), ("/denied", 403), ("/nowhere", 404)] {
            let request = with("X-Request-Id: given\r\n").replace("GET /", &format!("GET {path}"));
            let response = client.ask(&request).expect(status);
            assert_eq!(response.field("x-request-id"), Some("given"));
            let response = client.ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).expect(status);
            ids.push(response.field("x-request-id").expect("an id").to_owned());
        }
        client.send("GET /app HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut upstream = origin.accept();
        let sent = upstream.read_request().field("x-request-id").expect("an id").to_owned();
        drop(upstream);
        let response = client.read_response().expect(502);
        assert_eq!(response.field("x-request-id"), Some(&*sent));
        ids.push(sent);
        let logged: Vec<Value> = lines(&proxy, 7).into_iter().map(|line| line["request_id"].clone()).collect();
        assert_eq!(logged, ["given", &ids[0], "given", &ids[1], "given", &ids[2], &ids[3]]);
    }

    fn a_tunnel_has_them_too(driver) {
        let origin = Origin::manual();
        let proxy = setup(&origin, "context = \"start\", request_id = \"make\"").start(driver);
        let mut client = proxy.asking(UPGRADE);
        let mut upstream = origin.accept();
        let request = upstream.read_request();
        let (trace, ..) = context(&request);
        upstream.send(SWITCH);
        let head = client.read_head();
        assert_eq!((head.status(), head.field("x-request-id")), (101, request.field("x-request-id")));
        drop((client, upstream));
        assert_eq!(lines(&proxy, 1)[0]["trace_id"], trace);
    }

    fn what_strangers_bring(driver) {
        let origin = Origin::replies(&[OK]);
        let came = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: a=1\r\nX-Request-Id: given\r\n");
        let seen = |keys: &str, trace: &str| {
            let proxy = setup(&origin, trace).listener(keys).start(driver);
            proxy.asking(with(&came)).read_response().expect(200);
            let request = origin.last_request();
            ["traceparent", "tracestate", "x-request-id"].map(|name| request.field(name).map(str::to_owned))
        };
        let stranger = "trusted_proxies = [\"10.0.0.0/8\"]";
        assert_eq!(seen(stranger, "context = \"pass\", request_id = \"pass\""), [None, None, None]);
        let [parent, state, id] = seen(stranger, "context = \"start\", request_id = \"make\"");
        assert!(parent.is_some_and(|it| !it.contains(TRACE)) && state.is_none() && id != Some("given".into()));
        let [parent, state, id] = seen("trusted_proxies = [\"127.0.0.1\"]", "context = \"pass\", request_id = \"pass\"");
        assert!(parent.is_some_and(|it| it.contains(TRACE)));
        assert_eq!((state.as_deref(), id.as_deref()), (Some("a=1"), Some("given")));
        // Where it is off, they are fields as any other.
        let [parent, _, id] = seen(stranger, "");
        assert!(parent.is_some_and(|it| it.contains(PARENT)) && id.as_deref() == Some("given"));
    }

    fn ids_are_not_left_over(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = setup(&origin, "context = \"pass\", request_id = \"pass\"").start(driver);
        let mut client = proxy.connect();
        let came = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\nX-Request-Id: given\r\n");
        client.ask(with(&came)).expect(200);
        let response = client.ask(GET).expect(200);
        assert_eq!(response.field("x-request-id"), None);
        let request = origin.last_request();
        assert_eq!((request.field("traceparent"), request.field("x-request-id")), (None, None));
        let line = &lines(&proxy, 2)[1];
        assert!(line.get("trace_id").is_none() && line.get("request_id").is_none(), "{line}");
    }
}

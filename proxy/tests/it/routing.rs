//! Which route gets a request, from a config file to the answer.

use crate::harness::{Client, Origin, Proxy, Response, Setup, replies::ok};

const LISTENER: &str = "[[listeners]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n";

/// A config of routes that answer with their own names; `routes` are names and what they match.
fn answering(routes: &[(&str, &str)]) -> String {
    let route = |(name, matches): &(&str, &str)| {
        let matches = if matches.is_empty() { String::new() } else { format!("match = {{ {matches} }}\n") };
        format!("[[routes]]\nname = {name:?}\n{matches}respond = {{ body = {name:?} }}\n")
    };
    LISTENER.to_owned() + &routes.iter().map(route).collect::<String>()
}

/// Sends a request line and fields, and gives what comes back.
#[track_caller]
fn asks(client: &mut Client, line: &str, fields: &str) -> Response {
    client.send(format!("{line} HTTP/1.1\r\n{fields}\r\n\r\n"));
    client.read_response_to(line.split(' ').next().unwrap())
}

/// Fails unless each request is answered by the route named; "" stands for none.
#[track_caller]
fn check(proxy: &Proxy, cases: &[(&str, &str, &str)]) {
    let mut client = proxy.connect();
    for (line, fields, expected) in cases {
        let response = asks(&mut client, line, fields);
        let answered = if response.status == 404 { String::new() } else { response.expect(200).text() };
        assert_eq!(answered, *expected, "{line} {fields}");
    }
}

both_drivers! {
    fn by_host(driver) {
        let proxy = Proxy::start(driver, &answering(&[
            ("any", ""),
            ("exact", "hosts = [\"example.com\", \"example.org\"]"),
            ("wild", "hosts = [\"*.example.com\"]"),
            ("longer", "hosts = [\"*.a.example.com\"]"),
            ("deep", "hosts = [\"b.a.example.com\"]"),
        ]));
        check(&proxy, &[
            ("GET /", "Host: example.com", "exact"),
            ("GET /", "Host: EXAMPLE.org:8080", "exact"),
            ("GET /", "Host: www.example.com", "wild"),
            ("GET /", "Host: a.example.com", "wild"),
            ("GET /", "Host: x.a.example.com", "longer"),
            ("GET /", "Host: b.a.example.com", "deep"),
            ("GET /", "Host: notexample.com", "any"),
            ("GET /", "Host: example.com.evil", "any"),
            // The target's own host is what counts when it has one.
            ("GET http://example.com/", "Host: other", "exact"),
            ("GET http://other/", "Host: example.com", "any"),
        ]);
    }

    fn by_path(driver) {
        let proxy = Proxy::start(driver, &answering(&[
            ("regex", "path_regex = \"^/[a-z]+\\\\.png$\""),
            ("prefix", "path_prefix = \"/api\""),
            ("longer", "path_prefix = \"/api/v2\""),
            ("exact", "path = \"/api/v2/status\""),
            ("parameter", "path = \"/users/{id}\""),
            ("literal", "path = \"/users/me\""),
            ("rest", "path = \"/files/{*rest}\""),
        ]));
        check(&proxy, &[
            ("GET /api", "Host: a", "prefix"),
            ("GET /api/", "Host: a", "prefix"),
            ("GET /api/x?q=/api/v2", "Host: a", "prefix"),
            ("GET /apix", "Host: a", ""),
            ("GET /api/v2", "Host: a", "longer"),
            ("GET /api/v2/x/y", "Host: a", "longer"),
            ("GET /api/v2/status", "Host: a", "exact"),
            ("GET /api/v2/status?x", "Host: a", "exact"),
            ("GET /users/7", "Host: a", "parameter"),
            ("GET /users/me", "Host: a", "literal"),
            ("GET /users/7/x", "Host: a", ""),
            ("GET /files/a/b/c", "Host: a", "rest"),
            ("GET /logo.png", "Host: a", "regex"),
            ("GET /x/logo.png", "Host: a", ""),
            ("GET /", "Host: a", ""),
            ("OPTIONS *", "Host: a", ""),
        ]);
    }

    fn by_method_header_and_query(driver) {
        let proxy = Proxy::start(driver, &answering(&[
            ("plain", "path_prefix = \"/\""),
            ("post", "path_prefix = \"/\", methods = [\"POST\", \"PUT\"]"),
            ("v2", "path_prefix = \"/\", headers = { x-version = \"2\" }"),
            ("v2-beta", "path_prefix = \"/\", headers = { x-version = \"2\", x-beta = { present = true } }"),
            ("debug", "path_prefix = \"/\", query = { debug = \"1\" }"),
            ("lang", "path_prefix = \"/\", query = { lang = { regex = \"^(de|fr)$\" } }"),
        ]));
        check(&proxy, &[
            ("GET /", "Host: a", "plain"),
            ("POST /", "Host: a\r\nContent-Length: 0", "post"),
            ("PUT /", "Host: a\r\nX-Version: 2", "post"),
            ("GET /", "Host: a\r\nX-Version: 2", "v2"),
            ("GET /", "Host: a\r\nx-vERSION: 3", "plain"),
            ("GET /", "Host: a\r\nX-Version: 2\r\nX-Beta: ", "v2-beta"),
            ("GET /?debug=1", "Host: a", "debug"),
            ("GET /?a=b&debug=1&c", "Host: a", "debug"),
            ("GET /?debug=10", "Host: a", "plain"),
            ("GET /?lang=de", "Host: a", "lang"),
            ("GET /?lang=de-AT", "Host: a", "plain"),
            ("GET /?debug=1", "Host: a\r\nX-Version: 2", "v2"),
        ]);
    }

    /// The best path's route need not take the request: then the next best is tried.
    fn precedence_is_by_exactness_and_not_by_the_order_in_the_file(driver) {
        let proxy = Proxy::start(driver, &answering(&[
            ("last", ""),
            ("regex", "path_regex = \".*\""),
            ("prefix", "path_prefix = \"/a\""),
            ("exact-post", "path = \"/a/b\", methods = [\"POST\"]"),
            ("exact-header", "path = \"/a/b\", headers = { x = \"1\" }"),
            ("host-prefix", "hosts = [\"h\"], path_prefix = \"/\""),
        ]));
        check(&proxy, &[
            ("POST /a/b", "Host: a\r\nContent-Length: 0", "exact-post"),
            ("GET /a/b", "Host: a\r\nX: 1", "exact-header"),
            ("GET /a/b", "Host: a", "prefix"),
            ("POST /a/b", "Host: a\r\nX: 1\r\nContent-Length: 0", "exact-post"),
            // A host before any path.
            ("POST /a/b", "Host: h\r\nContent-Length: 0", "host-prefix"),
            ("GET /z", "Host: a", "regex"),
        ]);
    }

    fn without_a_route_the_answer_is_404(driver) {
        let proxy = Proxy::start(driver, &answering(&[("only", "hosts = [\"only\"]")]));
        let mut client = proxy.connect();
        let response = asks(&mut client, "GET /", "Host: other").expect(404);
        assert!(!response.says_close() && response.text().contains("no route"), "{response:?}");
        // Its body is read past.
        let fields = "Host: other\r\nContent-Length: 3\r\n\r\nabc";
        client.send(format!("POST / HTTP/1.1\r\n{fields}"));
        client.read_response().expect(404);
        assert_eq!(asks(&mut client, "HEAD /", "Host: other").expect(404).text(), "");
        assert_eq!(asks(&mut client, "GET /", "Host: only").expect(200).text(), "only");
        assert_eq!(proxy.metric("ringlane_requests_refused_total", "reason=\"not_found\""), 3);
        assert_eq!(proxy.metric("ringlane_requests_total", ""), 4);
    }

    fn respond_answers_by_itself(driver) {
        let toml = LISTENER.to_owned() + "[[routes]]\nname = \"gone\"\n\
            respond = { status = 410, body = \"{\\\"gone\\\":true}\", content_type = \"application/json\" }\n\
            response_headers = { set = { x-set = \"s\" }, add = { x-add = [\"1\", \"2\"] } }\n\
            [[routes]]\nname = \"empty\"\nmatch = { path = \"/empty\" }\nrespond = { status = 204 }\n";
        let proxy = Proxy::start(driver, &toml);
        let mut client = proxy.connect();
        let response = asks(&mut client, "GET /", "Host: a").expect(410);
        assert_eq!(response.text(), "{\"gone\":true}");
        assert_eq!(response.field("content-type"), Some("application/json"));
        assert_eq!(response.field("x-set"), Some("s"));
        assert_eq!(response.head.values("x-add"), ["1", "2"]);
        assert!(response.field("date").is_some());
        let head = asks(&mut client, "HEAD /", "Host: a").expect(410);
        assert_eq!((head.text().as_str(), head.field("content-length")), ("", Some("13")));
        let empty = asks(&mut client, "GET /empty", "Host: a").expect(204);
        assert_eq!(empty.field("content-length"), None);
        asks(&mut client, "GET /empty", "Host: a").expect(204);
    }

    fn redirects(driver) {
        let toml = LISTENER.to_owned() + "\
            [[routes]]\nname = \"tls\"\nredirect = { status = 308, scheme = \"https\" }\n\
            [[routes]]\nname = \"host\"\nmatch = { hosts = [\"old\"] }\nredirect = { host = \"new.example:81\" }\n\
            [[routes]]\nname = \"path\"\nmatch = { path = \"/p\" }\nredirect = { status = 301, path = \"/q\" }\n\
            [[routes]]\nname = \"prefix\"\nmatch = { path_prefix = \"/docs\" }\n\
            redirect = { status = 307, path_prefix = \"/help\" }\n";
        let proxy = Proxy::start(driver, &toml);
        let mut client = proxy.connect();
        for (line, host, status, location) in [
            ("GET /a%20b?c=d", "h:8080", 308, "https://h/a%20b?c=d"),
            ("GET //evil.example/x", "h", 308, "https://h//evil.example/x"),
            ("GET /x?y", "old", 302, "http://new.example:81/x?y"),
            ("GET /p?y", "h:81", 301, "http://h:81/q?y"),
            ("GET /docs/a/b?y", "h", 307, "http://h/help/a/b?y"),
            ("GET /docs", "h", 307, "http://h/help"),
        ] {
            let response = asks(&mut client, line, &format!("Host: {host}")).expect(status);
            assert_eq!(response.field("location"), Some(location), "{line}");
        }
        assert_eq!(proxy.metric("ringlane_responses_total", "class=\"3xx\""), 6);
    }

    /// Over a cycle each side gets exactly its weight.
    fn a_split_is_exact(driver) {
        let origins: Vec<_> = ["a", "b", "c"].iter().map(|name| Origin::replies(&[ok(name)])).collect();
        let upstreams = ["a", "b", "c"].iter().zip(&origins).map(|(name, origin)| {
            format!("[[upstreams]]\nname = {name:?}\nendpoints = [{:?}]\n", origin.address())
        });
        let toml = LISTENER.to_owned() + &upstreams.collect::<String>() + "[[routes]]\nname = \"split\"\n\
            split = [{ upstream = \"a\", weight = 7 }, { upstream = \"b\", weight = 2 }, { upstream = \"c\" }]\n";
        let proxy = Proxy::start(driver, &toml);
        let mut client = proxy.connect();
        for _ in 0..3 {
            let cycle: String = (0..10).map(|_| asks(&mut client, "GET /", "Host: a").expect(200).text()).collect();
            let count = |name| cycle.matches(name).count();
            assert_eq!([count("a"), count("b"), count("c")], [7, 2, 1], "{cycle}");
            assert!(!cycle.contains("bb") && !cycle.contains("aaaaaa"), "bunched: {cycle}");
        }
        // Another client goes on where the others were.
        let cycle: String = (0..10).map(|_| proxy.get("/").expect(200).text()).collect();
        assert_eq!(cycle.matches('a').count(), 7);
    }
}

both_drivers! {
    fn the_prefix_is_rewritten(driver) {
        let origin = Origin::replies(&[ok("")]);
        let setup = Setup::to(&origin).route("match = { path_prefix = \"/api\" }\nrewrite = { path_prefix = \"/v2\" }");
        let proxy = setup.start(driver);
        let mut client = proxy.connect();
        for (asked, seen) in [
            ("/api", "/v2"), ("/api/", "/v2/"), ("/api/a/b?x=/api", "/v2/a/b?x=/api"), ("/api//a/../b", "/v2//a/../b"),
            ("/api/%2e%2F?a%20b", "/v2/%2e%2F?a%20b"), ("/api?", "/v2?"),
        ] {
            asks(&mut client, &format!("GET {asked}"), "Host: a").expect(200);
            assert_eq!(origin.requests().last().unwrap().target(), seen);
        }
    }

    fn the_host_is_rewritten(driver) {
        let origin = Origin::replies(&[ok("")]);
        let proxy = Setup::to(&origin).route("rewrite = { host = \"inner.test:81\" }").start(driver);
        let mut client = proxy.connect();
        asks(&mut client, "GET /", "Host: outer.test").expect(200);
        let seen = origin.request();
        assert_eq!(seen.field("host"), Some("inner.test:81"));
        assert_eq!(seen.field("x-forwarded-host"), Some("outer.test"));
    }

    fn request_fields_are_edited(driver) {
        let origin = Origin::replies(&[ok("")]);
        let setup = Setup::to(&origin).route(
            "[routes.request_headers]\nremove = [\"x-gone\", \"cookie\"]\nset = { x-set = \"new\" }\n\
             add = { x-add = [\"two\", \"three\"] }",
        );
        let proxy = setup.start(driver);
        let mut client = proxy.connect();
        let fields = "Host: a\r\nX-Gone: 1\r\nx-GONE: 2\r\nCookie: c\r\nX-Set: old\r\nX-Set: older\r\nX-Add: one\r\nX-Kept: k";
        asks(&mut client, "GET /", fields).expect(200);
        let seen = origin.request();
        assert_eq!((seen.field("x-gone"), seen.field("cookie"), seen.field("x-kept")), (None, None, Some("k")));
        assert_eq!(seen.field("x-set"), Some("new"));
        assert_eq!(seen.head.values("x-add"), ["one", "two", "three"]);
    }

    fn response_fields_are_edited(driver) {
        let reply = "HTTP/1.1 200 OK\r\nServer: s\r\nX-Set: old\r\nX-Add: one\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
                     Content-Length: 0\r\n\r\n";
        let origin = Origin::replies(&[reply]);
        let setup = Setup::to(&origin).route(
            "[routes.response_headers]\nremove = [\"server\"]\nset = { x-set = \"new\", x-fresh = \"f\" }\n\
             add = { x-add = \"two\" }",
        );
        let response = setup.start(driver).get("/").expect(200);
        assert_eq!((response.field("server"), response.field("x-set")), (None, Some("new")));
        assert_eq!(response.field("x-fresh"), Some("f"));
        assert_eq!(response.head.values("x-add"), ["one", "two"]);
        assert_eq!(response.head.values("set-cookie"), ["a=1", "b=2"]);
    }
}

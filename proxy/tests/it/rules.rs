//! Rules: every condition and every action on the wire, in the log and in the metrics; and that a reload changes them
//! under connections that stay.

use std::{fs, net::SocketAddr};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::{
    harness::{
        Client, Dir, Driver, Origin, Proxy, Setup, Wire, eventually,
        replies::{OK, get, ok},
    },
    reload::reload_whole as reload,
};

/// Exchanges are logged beside the config.
const LOGGED: &str = "[access_log]\npath = \"access.log\"\n";

/// A rule `name` with these lines.
fn rule(name: &str, lines: &str) -> String {
    format!("[[rules]]\nname = {name:?}\n{lines}\n")
}

/// A proxy before `origin` with these tables.
#[track_caller]
fn with(driver: Driver, origin: &Origin, rules: &str) -> Proxy {
    Setup::to(origin).and(rules).start(driver)
}

/// A client that connects from `from`.
#[track_caller]
fn connect_from(from: &str, to: &str) -> Client {
    let (from, to) = (SocketAddr::new(from.parse().unwrap(), 0), to.parse::<SocketAddr>().unwrap());
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    Wire::new(socket)
}

/// The status that `request` is answered with on a connection of its own.
#[track_caller]
fn status(proxy: &Proxy, request: &str) -> u16 {
    proxy.asking(request).read_response().status
}

/// All lines of the access log, once there are so many.
#[track_caller]
fn lines(proxy: &Proxy, count: usize) -> Vec<Value> {
    let mut text = String::new();
    eventually(&format!("{count} lines"), || {
        text = fs::read_to_string(proxy.dir().join("access.log")).unwrap_or_default();
        text.lines().count() >= count
    });
    let lines: Vec<_> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), count, "{text}");
    lines
}

both_drivers! {
    /// Requests that meet a condition are denied with 403, the others are served.
    fn conditions(driver) {
        let origin = Origin::replies(&[OK]);
        let request = |line: &str, fields: &str| format!("{line} HTTP/1.1\r\n{fields}\r\n");
        for (condition, denied, served) in [
            ("hosts = [\"a.test\", \"*.b.test\"]",
                vec![("GET /", "Host: A.test:80\r\n"), ("GET /", "Host: x.y.b.test\r\n")],
                vec![("GET /", "Host: b.test\r\n"), ("GET /", "Host: aa.test\r\n")]),
            ("path = \"/users/{id}\"", vec![("GET /users/1?x", "Host: a\r\n")], vec![("GET /users/", "Host: a\r\n"), ("GET /users/1/", "Host: a\r\n")]),
            ("path = \"/exact\"", vec![("GET /exact", "Host: a\r\n")], vec![("GET /exact/", "Host: a\r\n"), ("GET /Exact", "Host: a\r\n")]),
            ("path_prefix = \"/api\"", vec![("GET /api", "Host: a\r\n"), ("GET /api/x", "Host: a\r\n")], vec![("GET /apix", "Host: a\r\n")]),
            ("path_regex = \"\\\\.php$\"", vec![("GET /x.php", "Host: a\r\n")], vec![("GET /x.php/", "Host: a\r\n"), ("GET /xphp", "Host: a\r\n")]),
            ("methods = [\"DELETE\", \"PURGE\"]", vec![("DELETE /", "Host: a\r\n"), ("PURGE /", "Host: a\r\n")], vec![("GET /", "Host: a\r\n")]),
            ("headers.X-A = \"2\"",
                vec![("GET /", "Host: a\r\nx-a: 2\r\n"), ("GET /", "Host: a\r\nX-A: 1\r\nX-a:   2  \r\n")],
                vec![("GET /", "Host: a\r\n"), ("GET /", "Host: a\r\nX-A: 22\r\n")]),
            ("headers.x-a.present = true", vec![("GET /", "Host: a\r\nX-A:\r\n")], vec![("GET /", "Host: a\r\nX-B: 1\r\n")]),
            ("headers.x-a.present = false", vec![("GET /", "Host: a\r\n")], vec![("GET /", "Host: a\r\nX-A: 1\r\n")]),
            ("headers.user-agent.regex = \"(?i)evil|bad\"", vec![("GET /", "Host: a\r\nUser-Agent: An EVIL one\r\n")], vec![("GET /", "Host: a\r\nUser-Agent: good\r\n")]),
            ("query.q = \"a b\"", vec![("GET /?x=1&q=a+b", "Host: a\r\n"), ("GET /?%71=a%20b", "Host: a\r\n")], vec![("GET /?q=1&q=a+b", "Host: a\r\n"), ("GET /", "Host: a\r\n")]),
            ("query.q.present = false", vec![("GET /", "Host: a\r\n")], vec![("GET /?q", "Host: a\r\n")]),
            ("query.q.regex = \"^[0-9]+$\"", vec![("GET /?q=%31", "Host: a\r\n")], vec![("GET /?q=x1", "Host: a\r\n")]),
            // All of a table's keys, and nested ones.
            ("path_prefix = \"/a\"\npath_regex = \"b$\"", vec![("GET /a/b", "Host: a\r\n")], vec![("GET /a", "Host: a\r\n"), ("GET /b", "Host: a\r\n")]),
            ("any = [{ path = \"/x\" }, { all = [{ path_prefix = \"/y\" }, { not = { methods = [\"GET\"] } }] }]",
                vec![("GET /x", "Host: a\r\n"), ("POST /y/1", "Host: a\r\nContent-Length: 0\r\n")],
                vec![("GET /y", "Host: a\r\n"), ("POST /z", "Host: a\r\nContent-Length: 0\r\n")]),
            ("not.any = [{ path = \"/login\" }, { headers.x-key.present = true }]",
                vec![("GET /", "Host: a\r\n")], vec![("GET /login", "Host: a\r\n"), ("GET /", "Host: a\r\nX-Key: 1\r\n")]),
        ] {
            let proxy = with(driver, &origin, &rule("r", &format!("deny = {{}}\n[rules.match]\n{condition}")));
            for (wanted, cases) in [(403, denied), (200, served)] {
                for (line, fields) in cases {
                    assert_eq!(status(&proxy, &request(line, fields)), wanted, "{condition}: {line} {fields}");
                }
            }
        }
    }

    /// The other end of the socket counts, and nothing that a field says.
    fn clients(driver) {
        let origin = Origin::replies(&[OK]);
        let dir = Dir::new();
        let toml = Setup::to(&origin)
            .and(&format!("[[listeners]]\nname = \"six\"\naddress = \"[::1]:0\"\nforwarded = \"append\"\n\
                 [[listeners]]\nname = \"unix\"\naddress = {:?}\n", dir.unix("in")))
            .and(&rule("r", "match.client = [\"127.0.0.2\", \"127.1.0.0/16\", \"::/0\"]\ndeny = {}"))
            .toml();
        let proxy = Proxy::start(driver, &toml);
        let tcp = proxy.address();
        for (from, wanted) in [("127.0.0.1", 200), ("127.0.0.2", 403), ("127.0.0.3", 200), ("127.1.2.3", 403), ("127.2.0.0", 200)] {
            let mut client = connect_from(from, &tcp);
            assert_eq!(client.ask(get("/")).status, wanted, "{from}");
            // Again, on the same connection.
            client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 127.0.0.2\r\nForwarded: for=127.0.0.2\r\n\r\n");
            assert_eq!(client.read_response().status, wanted, "{from}");
        }
        assert_eq!(connect_from("::1", &proxy.address_of("six")).ask(get("/")).status, 403);
        // A unix socket has no address, so it is in no network.
        assert_eq!(Client::connect(&dir.unix("in")).ask(get("/")).status, 200);
    }

    fn a_denial_says_what_the_rule_says(driver) {
        let origin = Origin::replies(&[OK]);
        let deny = "match.path = \"/no\"\ndeny = { status = 451, body = \"<p>no\", content_type = \"text/html\" }";
        let proxy = with(driver, &origin, &format!("{LOGGED}{}", rule("no", deny)));
        let mut client = proxy.connect();
        let response = client.ask(get("/no")).expect(451);
        assert_eq!((response.text().as_str(), response.field("content-type")), ("<p>no", Some("text/html")));
        // The connection goes on, and HEAD gets the length alone.
        client.send("HEAD /no HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.read_response_to("HEAD").expect(451);
        assert_eq!(head.field("content-length"), Some("5"));
        client.ask(get("/yes")).expect(200);
        client.send("GET /no HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(client.read_response().expect(451).says_close());
        client.expect_eof();
        assert_eq!(origin.requests().len(), 1);
        let lines = lines(&proxy, 4);
        assert_eq!((&lines[0]["rule"], &lines[0]["termination"], &lines[0]["status"]), (&"no".into(), &"PR".into(), &451.into()));
        assert!(lines[0]["route"].is_null() && lines[0]["upstream"].is_null() && lines[0]["attempts"] == 0);
        assert!(lines[2].get("rule").is_none(), "{}", lines[2]);
        proxy.await_metric("ringlane_requests_refused_total", "reason=\"denied\"", 3);
        proxy.await_metric("ringlane_rule_matches_total", "rule=\"no\"", 3);
    }

    /// What a denied request carries reaches nobody, and is not taken for the next request.
    fn a_denied_body_is_read_past_or_ends_the_connection(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = with(driver, &origin, &rule("no", "match.path = \"/no\"\ndeny = {}"));
        let mut client = proxy.connect();
        client.send("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nGET /smuggled HTTP/1.1\r\n");
        client.read_response().expect(403);
        client.send("Host: aaaaaaaa\r\n\r\n");
        client.send(get("/yes"));
        client.read_response().expect(200);
        // Chunks may go on for ever: the answer comes, then the end.
        client.send("POST /no HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n");
        assert!(client.read_response().expect(403).says_close());
        client.expect_eof();
        let mut large = proxy.asking("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
        assert!(large.read_response().expect(403).says_close());
        let mut waits = proxy.asking("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
        assert!(waits.read_response().expect(403).says_close());
        let targets: Vec<_> = origin.requests().iter().map(|it| it.target().to_owned()).collect();
        assert_eq!(targets, ["/yes"]);
    }

    fn a_dropped_request_has_no_answer(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = with(driver, &origin, &format!("{LOGGED}{}", rule("gone", "match.path = \"/.git\"\ndrop = true")));
        let mut client = proxy.connect();
        client.ask(get("/")).expect(200);
        client.send(get("/.git"));
        client.expect_eof();
        // With a body under way as well, however the end comes then.
        proxy.asking("POST /.git HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc").expect_close();
        assert_eq!(origin.requests().len(), 1);
        let lines = lines(&proxy, 3);
        for line in &lines[1..] {
            assert_eq!((&line["rule"], &line["termination"]), (&"gone".into(), &"PS".into()), "{line}");
            assert_eq!((&line["status"], &line["response_bytes"]), (&0.into(), &0.into()), "{line}");
        }
        proxy.await_metric("ringlane_requests_refused_total", "reason=\"dropped\"", 2);
        proxy.await_metric("ringlane_rule_matches_total", "rule=\"gone\"", 2);
    }

    fn pipelined_requests_are_judged_one_by_one(driver) {
        let origin = Origin::replies(&[ok("yes")]);
        let rules = rule("no", "match.path = \"/no\"\ndeny = { body = \"no\" }") + &rule("gone", "match.path = \"/gone\"\ndrop = true");
        let proxy = with(driver, &origin, &rules);
        let mut client = proxy.connect();
        client.send([get("/no"), get("/1"), get("/no"), get("/2"), get("/gone"), get("/3")].concat());
        for body in ["no", "yes", "no", "yes"] {
            assert_eq!(client.read_response().text(), body);
        }
        client.expect_close();
        assert_eq!(origin.requests().len(), 2);
    }

    /// Rules come before everything else that is decided by the head.
    fn rules_come_first(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin)
            .listener("limits.request_body_bytes = \"10B\"")
            .route("match.path = \"/only\"")
            .and(&rule("no", "match.headers.x-no.present = true\ndeny = { status = 410 }"))
            .start(driver);
        for (line, fields, without) in [
            ("GET /nowhere", "", 404),
            ("POST /only", "Content-Length: 100\r\n", 413),
            ("TRACE /", "Max-Forwards: 0\r\n", 200),
        ] {
            assert_eq!(status(&proxy, &format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")), without);
            assert_eq!(status(&proxy, &format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}X-No: 1\r\n\r\n")), 410);
        }
    }

    /// The order of the file counts; tags add up, an end is the end.
    fn the_first_end_counts_and_tags_add_up(driver) {
        let origin = Origin::replies(&[OK]);
        let rules = [
            rule("api", "match.path_prefix = \"/api\"\ntag = \"api\""),
            rule("also", "match.path_prefix = \"/api/v1\"\ntag = \"api\""),
            rule("old", "match.path_prefix = \"/api/v1\"\ntag = \"old\"\ndeny = { status = 410 }"),
            rule("late", "match.path_prefix = \"/api\"\ntag = \"late\""),
            rule("never", "match.path = \"/api/v1\"\ndrop = true"),
        ];
        let proxy = with(driver, &origin, &format!("{LOGGED}{}", rules.concat()));
        let mut client = proxy.connect();
        client.ask(get("/api/v1")).expect(410);
        client.ask(get("/api/v2")).expect(200);
        client.ask(get("/")).expect(200);
        let lines = lines(&proxy, 3);
        let tags = |line: &Value| line.get("tags").map(|tags| tags.to_string());
        assert_eq!(tags(&lines[0]).as_deref(), Some("[\"api\",\"old\"]"));
        assert_eq!(tags(&lines[1]).as_deref(), Some("[\"api\",\"late\"]"));
        assert_eq!(tags(&lines[2]), None);
        assert_eq!((&lines[0]["rule"], lines[1].get("rule")), (&"old".into(), None));
        let rule = |name: &str| proxy.metric("ringlane_rule_matches_total", &format!("rule={name:?}"));
        assert_eq!((rule("api"), rule("also"), rule("old"), rule("late")), (2, 1, 1, 1));
        let metrics = proxy.admin_get("/metrics").text();
        assert!(!metrics.contains("rule=\"never\""), "{metrics}");
        // A request that two rules give the same tag has it once.
        let tag = |name: &str| proxy.metric("ringlane_tagged_requests_total", &format!("tag={name:?}"));
        assert_eq!((tag("api"), tag("old"), tag("late")), (2, 1, 1));
    }

    fn lines_are_sampled_and_have_fields(driver) {
        let origin = Origin::replies(&[OK]);
        let rules = [
            rule("never", "match.path_prefix = \"/never\"\nlog = { sample = 0.0 }"),
            rule("half", "match.path_prefix = \"/half\"\nlog = { sample = 0.5 }"),
            rule("denied", "match.path = \"/never/denied\"\ndeny = {}"),
            rule("all", "log = { headers = [\"user-agent\", \"x-many\", \"x-none\"] }"),
        ];
        let proxy = with(driver, &origin, &format!("{LOGGED}{}", rules.concat()));
        let mut client = proxy.connect();
        client.ask(get("/never")).expect(200);
        client.ask(get("/never/denied")).expect(403);
        for _ in 0..400 {
            client.ask(get("/half")).expect(200);
        }
        client.ask("GET /last HTTP/1.1\r\nHost: a\r\nUser-Agent: \"quoted\"\r\nX-Many: 1\r\nx-many: 2\r\n\r\n").expect(200);
        let mut text = String::new();
        eventually("the last line", || {
            text = fs::read_to_string(proxy.dir().join("access.log")).unwrap_or_default();
            text.contains("/last")
        });
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let (last, half) = lines.split_last().unwrap();
        assert_eq!(last["headers"].to_string(), r#"{"user-agent":"\"quoted\"","x-many":"1"}"#);
        assert!(half.iter().all(|line| line["path"] == "/half" && line.get("headers").is_none()));
        // One in 2^60 runs has fewer or more.
        assert!((100..300).contains(&half.len()), "{}", half.len());
        // What is not logged is counted nevertheless.
        proxy.await_metric("ringlane_requests_total", "", 403);
        assert_eq!(proxy.metric("ringlane_access_log_lines_total", ""), lines.len() as u64);
    }

    fn a_reload_changes_them_under_open_connections(driver) {
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin);
        let proxy = setup.start(driver);
        let mut client = proxy.connect();
        let mut asks = |path: &str| client.ask(get(path)).status;
        assert_eq!((asks("/a"), asks("/b")), (200, 200));
        let deny = |path: &str| rule("r", &format!("match.path = {path:?}\ntag = \"t\"\ndeny = {{}}"));
        reload(&proxy, &setup.clone().and(&deny("/a")).toml(), 1);
        assert_eq!((asks("/a"), asks("/b")), (403, 200));
        reload(&proxy, &setup.clone().and(&rule("more", "match.path_regex = \"a|b\"\ntag = \"u\"")).and(&deny("/b")).toml(), 2);
        assert_eq!((asks("/a"), asks("/b")), (200, 403));
        reload(&proxy, &setup.toml(), 3);
        assert_eq!((asks("/a"), asks("/b")), (200, 200));
        // What keeps its name goes on with its count; what is gone keeps it.
        assert_eq!(proxy.metric("ringlane_rule_matches_total", "rule=\"r\""), 2);
        assert_eq!(proxy.metric("ringlane_rule_matches_total", "rule=\"more\""), 2);
        assert_eq!(proxy.metric("ringlane_connections_accepted_total", ""), 1);
    }
}

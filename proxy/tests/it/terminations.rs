//! Who ended an exchange and why: every code of the access log, by making it happen.

use std::fs;

use crate::harness::{
    Client, Origin, Proxy, Setup, Wire, eventually,
    replies::{GET, OK, SWITCH, UPGRADE},
};

/// A config that logs to the file `access.log` beside it.
fn logging(origin: &Origin) -> Setup {
    Setup::to(origin).and("[access_log]\npath = \"access.log\"")
}

/// The line of the only exchange so far; fails unless it has ended so.
#[track_caller]
fn ended(proxy: &Proxy, termination: &str, status: u16) -> serde_json::Value {
    let mut text = String::new();
    eventually("a line", || {
        text = fs::read_to_string(proxy.dir().join("access.log")).unwrap_or_default();
        text.ends_with('\n')
    });
    let line: serde_json::Value = serde_json::from_str(&text).expect("one line");
    assert_eq!((&line["termination"], &line["status"]), (&termination.into(), &status.into()), "{line}");
    // Whoever reads it wants to know which of the servers it was.
    let has_endpoint = ["UF", "UT", "UH", "UB", "UC", "UM", "--"].contains(&termination);
    assert!(!has_endpoint || line["endpoint"].is_string(), "{line}");
    line
}

/// Half of a body, read by the client.
#[track_caller]
fn half(client: &mut Client, upstream: &mut Wire) {
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
    client.read_until(b"half");
}

/// One whole exchange, refused by its first bytes.
macro_rules! refused {
    ($($name:ident: $listener:literal, $request:expr => $code:literal $status:literal;)+) => {
        both_drivers! {$(
            fn $name(driver) {
                let origin = Origin::replies(&[OK]);
                let proxy = logging(&origin).listener($listener).start(driver);
                let request: String = $request.into();
                proxy.asking(&request).read_response_to(request.split(' ').next().unwrap()).expect($status);
                ended(&proxy, $code, $status);
            }
        )+}
    };
}

refused! {
    malformed: "", "GET / HTTP/1.1\r\n\r\n" => "PM" 400;
    malformed_chunks: "", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" => "PM" 400;
    head_too_large: "limits.request_head_bytes = \"1KiB\"",
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(2000)) => "PH" 431;
    target_too_long: "limits.request_head_bytes = \"1KiB\"", format!("GET /{}", "x".repeat(2000)) => "PL" 414;
    version: "", "GET / HTTP/3.0\r\nHost: a\r\n\r\n" => "PV" 505;
    connect: "", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" => "PC" 501;
    body_too_large: "limits.request_body_bytes = \"4\"",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345" => "PB" 413;
    head_timeout: "timeouts.request_head = \"100ms\"", "GET / HTTP/1.1\r\n" => "CH" 408;
}

both_drivers! {
    fn ran_to_its_end(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = logging(&origin).start(driver);
        proxy.get("/").expect(200);
        ended(&proxy, "--", 200);
    }

    fn client_left_while_it_waited(driver) {
        let origin = Origin::manual();
        let proxy = logging(&origin).start(driver);
        let (client, mut upstream) = proxy.under_way(&origin, GET);
        drop(client);
        upstream.expect_close();
        ended(&proxy, "CA", 0);
        assert_eq!(proxy.metric("ringlane_client_aborts_total", ""), 1);
    }

    fn client_left_in_the_middle_of_the_response(driver) {
        let origin = Origin::manual();
        let proxy = logging(&origin).start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nhalf");
        client.read_until(b"half");
        client.reset();
        while upstream.try_send([b'x'; 4096]) {}
        ended(&proxy, "CA", 200);
    }

    fn client_left_in_the_middle_of_its_request(driver) {
        let origin = Origin::manual();
        let proxy = logging(&origin).start(driver);
        let client = proxy.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
        let mut upstream = origin.accept();
        upstream.read_until(b"abc");
        drop(client);
        upstream.expect_close();
        ended(&proxy, "CA", 0);
    }

    fn client_left_in_the_middle_of_its_head(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = logging(&origin).start(driver);
        drop(proxy.asking("GET / HTTP/1.1\r\nHo"));
        ended(&proxy, "CA", 0);
    }

    fn client_sends_its_body_too_slowly(driver) {
        let origin = Origin::manual();
        let proxy = logging(&origin).listener("timeouts.request_body_idle = \"100ms\"").start(driver);
        let mut client = proxy.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
        let _upstream = origin.accept();
        client.read_response().expect(408);
        ended(&proxy, "CB", 408);
    }

    fn client_reads_too_slowly(driver) {
        let origin = Origin::serve(|mut wire| {
            wire.read_request();
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
            while wire.try_send([b'x'; 64 * 1024]) {}
        });
        let proxy = logging(&origin).listener("timeouts.response_write = \"100ms\"").start(driver);
        let _client = proxy.asking(GET);
        ended(&proxy, "CW", 200);
    }

    fn no_route(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = logging(&origin).route("match = { path = \"/only\" }").start(driver);
        proxy.get("/other").expect(404);
        ended(&proxy, "PN", 404);
    }

    fn queue_full(driver) {
        let origin = Origin::manual();
        let proxy = logging(&origin).upstream("pool.max_connections = 1\npool.max_pending = 0").start(driver);
        let (_first, _upstream) = proxy.under_way(&origin, GET);
        proxy.get("/").expect(503);
        ended(&proxy, "PF", 503);
    }

    fn queue_timeout(driver) {
        let origin = Origin::manual();
        let setup = logging(&origin).upstream("pool.max_connections = 1\ntimeouts.queue = \"100ms\"");
        let proxy = setup.start(driver);
        let (_first, _upstream) = proxy.under_way(&origin, GET);
        proxy.get("/").expect(503);
        ended(&proxy, "PQ", 503);
    }

    fn request_timeout(driver) {
        let origin = Origin::manual();
        let proxy = logging(&origin).upstream("timeouts.request = \"100ms\"").start(driver);
        proxy.under_way(&origin, GET).0.read_response().expect(504);
        ended(&proxy, "PT", 504);
    }

    fn request_timeout_after_the_head(driver) {
        let origin = Origin::manual();
        let proxy = logging(&origin).upstream("timeouts.request = \"200ms\"").start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        half(&mut client, &mut upstream);
        client.expect_close();
        ended(&proxy, "PT", 200);
    }

    fn cut_by_the_end_of_the_process(driver) {
        let origin = Origin::manual();
        let mut proxy = logging(&origin).and("[shutdown]\ndrain_timeout = \"100ms\"").start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        half(&mut client, &mut upstream);
        proxy.signal(libc::SIGTERM);
        client.expect_close();
        assert!(proxy.wait_exit().success());
        ended(&proxy, "PD", 200);
    }

    fn upstream_without_endpoint(driver) {
        let setup = Setup::to_endpoints(&["nowhere.invalid:80"]);
        let proxy = setup.and("[access_log]\npath = \"access.log\"").start(driver);
        proxy.get("/").expect(503);
        ended(&proxy, "UN", 503);
    }

    fn upstream_refuses(driver) {
        let setup = Setup::to_endpoints(&["unix:/nonexistent/app.sock"]);
        let proxy = setup.and("[access_log]\npath = \"access.log\"").start(driver);
        proxy.get("/").expect(502);
        ended(&proxy, "UF", 502);
    }

    fn upstream_does_not_answer_a_connect(driver) {
        let deaf = crate::upstream_faults::Deaf::new();
        let setup = Setup::to_endpoints(&[&deaf.address()]).upstream("timeouts.connect = \"100ms\"");
        let proxy = setup.and("[access_log]\npath = \"access.log\"").start(driver);
        proxy.get("/").expect(504);
        ended(&proxy, "UT", 504);
    }

    fn upstream_sends_no_head(driver) {
        let origin = Origin::manual();
        let proxy = logging(&origin).upstream("timeouts.response_head = \"100ms\"").start(driver);
        proxy.under_way(&origin, GET).0.read_response().expect(504);
        ended(&proxy, "UH", 504);
    }

    fn upstream_stalls(driver) {
        let origin = Origin::manual();
        let proxy = logging(&origin).upstream("timeouts.response_body_idle = \"100ms\"").start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        half(&mut client, &mut upstream);
        client.expect_close();
        ended(&proxy, "UB", 200);
    }

    fn upstream_cuts(driver) {
        let origin = Origin::manual();
        let proxy = logging(&origin).start(driver);
        let (mut client, mut upstream) = proxy.under_way(&origin, GET);
        half(&mut client, &mut upstream);
        upstream.reset();
        client.expect_close();
        ended(&proxy, "UC", 200);
    }

    fn upstream_closes_without_a_word(driver) {
        let origin = Origin::manual();
        let proxy = logging(&origin).start(driver);
        let (mut client, upstream) = proxy.under_way(&origin, GET);
        drop(upstream);
        client.read_response().expect(502);
        ended(&proxy, "UC", 502);
    }

    fn upstream_talks_nonsense(driver) {
        let origin = Origin::replies(&["nonsense\r\n\r\n"]);
        let proxy = logging(&origin).start(driver);
        proxy.get("/").expect(502);
        ended(&proxy, "UM", 502);
    }

    fn a_fault_of_the_proxy(driver) {
        let origin = Origin::replies(&[OK]);
        let launch = Proxy::launch(driver).env("RINGLANE_FAULTS", "1");
        let proxy = launch.start(&logging(&origin).toml());
        let request = "GET /fault HTTP/1.1\r\nHost: a\r\nX-Ringlane-Fault: connection\r\n\r\n";
        proxy.asking(request).expect_close();
        let line = ended(&proxy, "PX", 0);
        assert_eq!((&line["method"], &line["path"]), (&"GET".into(), &"/fault".into()), "{line}");
        assert_eq!(proxy.metric("ringlane_proxy_faults_total", ""), 1);
        assert_eq!(proxy.metric("ringlane_requests_active", ""), 0);
    }

    fn tunnel_closed(driver) {
        let origin = Origin::manual();
        let proxy = logging(&origin).start(driver);
        let (client, upstream) = tunnel(&proxy, &origin);
        drop((client, upstream));
        ended(&proxy, "TC", 101);
    }

    fn tunnel_idle(driver) {
        let origin = Origin::manual();
        let proxy = logging(&origin).listener("timeouts.tunnel_idle = \"100ms\"").start(driver);
        let (mut client, _upstream) = tunnel(&proxy, &origin);
        client.expect_close();
        ended(&proxy, "TI", 101);
    }
}

/// Both ends of a tunnel.
#[track_caller]
fn tunnel(proxy: &Proxy, origin: &Origin) -> (Client, Wire) {
    let mut client = proxy.asking(UPGRADE);
    let mut upstream = origin.accept();
    upstream.read_request();
    upstream.send(SWITCH);
    assert_eq!(client.read_head().status(), 101);
    (client, upstream)
}

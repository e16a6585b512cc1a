//! The admin listener: what it tells agrees with what happened.

use serde_json::Value;

use crate::harness::{
    Client, Dir, Origin, Proxy, Response, Setup, Wire, eventually,
    replies::{GET, OK, get, ok},
};

/// Asks with a field of its own.
#[track_caller]
fn accepting(proxy: &Proxy, path: &str, accept: &str) -> Response {
    let mut client = Client::connect(&proxy.admin_address());
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"));
    client.read_response().expect(200)
}

/// A metric and what tells its series from others.
fn counts(proxy: &Proxy, wanted: &[(&str, &str, u64)]) {
    for (name, labels, value) in wanted {
        proxy.await_metric(name, labels, *value);
    }
}

/// Fails unless `text` is Prometheus's format: every series of a family whose type is stated before it, once.
#[track_caller]
fn is_prometheus_text(text: &str) {
    let mut families = std::collections::HashMap::new();
    let mut series = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
        }
        if line.starts_with('#') {
            continue;
        }
        let (its, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
        assert!(series.insert(its.to_owned()), "twice: {line}");
        let name = its.split('{').next().unwrap();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let known = families.contains_key(name) || base.is_some_and(|base| families.contains_key(base));
        assert!(known, "no type: {line}");
    }
}

/// Cumulative buckets, in order, of a histogram without labels of its own.
fn buckets(text: &str, name: &str) -> Vec<(f64, u64)> {
    let series = format!("{name}_bucket{{le=\"");
    let of = |line: &str| {
        let (bound, count) = line.strip_prefix(&series)?.split_once("\"} ")?;
        Some((bound.replace("+Inf", "inf").parse().unwrap(), count.parse().unwrap()))
    };
    text.lines().filter_map(of).collect()
}

both_drivers! {
    fn health_and_readiness(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        assert_eq!(proxy.admin_get("/healthz").expect(200).text(), "ok\n");
        assert_eq!(proxy.admin_get("/readyz").expect(200).text(), "ready\n");
        let index = proxy.admin_get("/").expect(200).text();
        for path in ["/healthz", "/readyz", "/metrics", "/latency", "/config"] {
            assert!(index.contains(path), "{index}");
        }
        assert!(proxy.admin_get("/nothing").expect(404).text().contains("/metrics"));
    }

    fn every_request_is_counted_once(driver) {
        let origin = Origin::replies(&[
            ok("a"), "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "HTTP/1.1 302 Go\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_owned(), ok("b"),
        ]);
        let proxy = Setup::to(&origin).route("match = { path_prefix = \"/app\" }").workers(2).start(driver);
        let mut client = proxy.connect();
        let (mut sent, mut received) = (0, 0);
        for (path, status) in [
            ("/app", 200), ("/app", 404), ("/app", 302), ("/app", 503), ("/app", 200), ("/app", 200), ("/none", 404),
        ] {
            let request = get(path);
            client.send(&request);
            let response = client.read_response().expect(status);
            sent += request.len() as u64;
            received += (response.head.raw.len() + response.body.len()) as u64;
        }
        counts(&proxy, &[
            ("ringlane_requests_total", "", 7),
            ("ringlane_requests_active", "", 0),
            ("ringlane_responses_total", "class=\"2xx\"", 3),
            ("ringlane_responses_total", "class=\"3xx\"", 1),
            ("ringlane_responses_total", "class=\"4xx\"", 2),
            ("ringlane_responses_total", "class=\"5xx\"", 1),
            ("ringlane_requests_refused_total", "", 1),
            ("ringlane_client_bytes_total", "direction=\"in\"", sent),
            ("ringlane_client_bytes_total", "direction=\"out\"", received),
            ("ringlane_connections_accepted_total", "", 1),
            ("ringlane_connections_active", "", 1),
            ("ringlane_upstream_connects_total", "", 1),
            ("ringlane_upstream_reuses_total", "", 5),
            ("ringlane_upstream_connections", "state=\"idle\"", 1),
            ("ringlane_request_duration_seconds_count", "", 7),
            ("ringlane_request_overhead_seconds_count", "", 7),
            ("ringlane_request_first_byte_seconds_count", "", 6),
            ("ringlane_request_connect_seconds_count", "", 1),
            ("ringlane_request_queue_seconds_count", "", 0),
            ("ringlane_route_duration_seconds_count", "route=\"app\"", 6),
            ("ringlane_report_silent_workers", "", 0),
        ]);
    }

    fn interim_responses_and_tunnels_are_counted(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        let mut upstream: Wire = origin.accept();
        upstream.read_request();
        upstream.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        assert_eq!(client.read_head().status(), 103);
        upstream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        assert_eq!(client.read_head().status(), 101);
        client.send("12345");
        upstream.read_exact(5);
        upstream.send("123");
        client.read_exact(3);
        counts(&proxy, &[("ringlane_tunnels_active", "", 1), ("ringlane_tunnels_opened_total", "", 1)]);
        drop((client, upstream));
        counts(&proxy, &[
            ("ringlane_tunnels_active", "", 0),
            ("ringlane_tunnel_bytes_total", "from=\"client\"", 5),
            ("ringlane_tunnel_bytes_total", "from=\"upstream\"", 3),
            ("ringlane_responses_total", "class=\"1xx\"", 2),
            ("ringlane_requests_total", "", 1),
        ]);
    }

    fn the_metrics_are_prometheus_text(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).workers(2).start(driver);
        for _ in 0..5 {
            proxy.get("/").expect(200);
        }
        let response = proxy.admin_get("/metrics").expect(200);
        assert!(response.field("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
        let text = response.text();
        is_prometheus_text(&text);
        let buckets = buckets(&text, "ringlane_request_duration_seconds");
        assert!(buckets.is_sorted_by(|(bound, count), (next, more)| bound < next && count <= more), "{buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, 5)));
        assert!(text.contains("ringlane_connections_active{worker=\"1\"}"));
    }

    fn latencies_in_every_form(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        for _ in 0..10 {
            proxy.get("/").expect(200);
        }
        proxy.await_metric("ringlane_requests_total", "", 10);
        let table = proxy.admin_get("/latency").expect(200).text();
        assert!(table.lines().next().unwrap().contains("p99.9"), "{table}");
        let total = table.lines().find(|line| line.starts_with("total ")).unwrap();
        assert_eq!(total.split_whitespace().nth(1), Some("10"), "{table}");
        assert!(table.contains("by route") && table.contains("app total"), "{table}");

        let json = proxy.admin_get("/latency?format=json").expect(200);
        assert_eq!(json.field("content-type"), Some("application/json"));
        let value: Value = serde_json::from_str(&json.text()).unwrap();
        assert_eq!(accepting(&proxy, "/latency", "application/json").field("content-type"), Some("application/json"));
        let text = value.to_string();
        assert!(text.contains("\"count\":10") && text.contains("p99") && text.contains("\"app\""), "{text}");

        let log = proxy.admin_get("/latency?format=hlog").expect(200).text();
        assert!(log.starts_with('#') && log.contains("Histogram log"), "{log}");
        // Tag, start, length, max, and the histogram itself in Base64, compressed.
        assert!(log.lines().any(|line| line.contains("Tag=total,") && line.contains(",HIST")), "{log}");
        proxy.admin_get("/latency?format=xml").expect(400);
    }

    fn the_config_in_force_is_shown_without_secrets(driver) {
        let origin = Origin::replies(&[OK]);
        let setup = Setup::to(&origin).route(
            "match = { headers = { authorization = \"Bearer hunter2\", x-version = \"2\" } }\n\
             request_headers = { set = { x-api-key = \"hunter3\", x-plain = \"visible\" } }",
        );
        let proxy = setup.start(driver);
        let text = proxy.admin_get("/config").expect(200).text();
        assert!(!text.contains("hunter"), "{text}");
        let config: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(config["runtime"]["driver"], driver.name());
        assert_eq!(config["runtime"]["workers"], 1);
        assert_eq!(config["routes"][0]["request_headers"]["set"]["x-plain"], "visible");
        assert_eq!(config["routes"][0]["match"]["headers"]["x-version"], "2");
        assert_eq!(config["upstreams"][0]["endpoints"][0]["address"], origin.address());
        // Defaults are filled in.
        assert_eq!(config["listeners"][0]["timeouts"]["keep_alive"], "60s");
        assert_eq!(config["upstreams"][0]["pool"]["max_connections"], 4096);
    }

    fn a_unix_socket(driver) {
        let dir = Dir::new();
        let toml = Proxy::launch(driver).config(&Setup::to_endpoints(&["127.0.0.1:9"]).toml());
        let toml = toml.replacen("\"127.0.0.1:0\"", &format!("{:?}", dir.unix("admin.sock")), 1);
        let mut proxy = Proxy::launch(driver).start_whole(&toml);
        assert_eq!(proxy.admin_address(), dir.unix("admin.sock"));
        assert_eq!(proxy.admin_get("/healthz").expect(200).text(), "ok\n");
        proxy.signal(libc::SIGTERM);
        assert!(proxy.wait_exit().success());
    }

    fn without_an_admin_table_there_is_no_listener(driver) {
        let origin = Origin::replies(&[OK]);
        let toml = Proxy::launch(driver).config(&Setup::to(&origin).toml());
        let toml = toml.replace("[admin]\naddress = \"127.0.0.1:0\"\n", "");
        let proxy = Proxy::launch(driver).start_whole(&toml);
        proxy.get("/").expect(200);
        assert!(!proxy.logs().iter().any(|line| line.contains("admin:")), "{:?}", proxy.logs());
    }

    fn an_address_that_is_taken_ends_the_start(driver) {
        let origin = Origin::replies(&[OK]);
        let toml = Proxy::launch(driver).config(&Setup::to(&origin).toml());
        let toml = toml.replacen("\"127.0.0.1:0\"", &format!("{:?}", origin.address()), 1);
        let mut proxy = Proxy::launch(driver).spawn_whole(&toml);
        assert!(!proxy.wait_exit().success());
        let log = proxy.logs().join("\n");
        assert!(log.contains("admin") && log.contains(&origin.address()) && log.contains("taken"), "{log}");
    }

    /// Whoever scrapes, and however often, requests go on.
    fn a_scrape_holds_nobody_up(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut scrapers: Vec<_> = (0..8).map(|_| Client::connect(&proxy.admin_address())).collect();
        let mut client = proxy.connect();
        for _ in 0..20 {
            scrapers.iter_mut().for_each(|scraper| scraper.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"));
            client.send(GET);
            client.read_response().expect(200);
            scrapers.iter_mut().for_each(|scraper| is_prometheus_text(&scraper.read_response().expect(200).text()));
        }
        proxy.await_metric("ringlane_requests_total", "", 20);
    }
}

both_drivers! {
    /// It does not keep the others' figures, nor its own, from whoever asks.
    fn a_dead_worker_keeps_nothing_back(driver) {
        let origin = Origin::replies(&[OK]);
        let launch = Proxy::launch(driver).workers(2).env("RINGLANE_FAULTS", "1");
        let proxy = launch.start(&Setup::to(&origin).toml());
        proxy.get("/").expect(200);
        let mut doomed = proxy.connect();
        doomed.send("GET / HTTP/1.1\r\nHost: a\r\nX-Ringlane-Fault: worker\r\n\r\n");
        proxy.await_log("worker died");
        is_prometheus_text(&proxy.admin_get("/metrics").expect(200).text());
        // The one that was its end may have been answered just before.
        eventually("the others' figures", || proxy.metric("ringlane_request_duration_seconds_count", "") > 0);
    }
}

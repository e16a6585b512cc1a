//! The access log: what a line says, who ended the exchange and why, and that it never holds anybody up.

use std::{fs, io::Read, os::unix::fs::OpenOptionsExt, path::PathBuf};

use serde_json::Value;

use crate::harness::{
    Dir, Driver, Origin, Proxy, Setup, eventually,
    replies::{GET, OK},
};

/// Every field of a line, in order.
const FIELDS: [&str; 20] = [
    "ts",
    "client",
    "listener",
    "method",
    "host",
    "path",
    "protocol",
    "status",
    "route",
    "upstream",
    "endpoint",
    "request_bytes",
    "response_bytes",
    "queue_us",
    "connect_us",
    "first_byte_us",
    "total_us",
    "overhead_us",
    "attempts",
    "termination",
];

/// Has exchanges logged to the file `access.log` beside the config.
const TO_FILE: &str = "[access_log]\npath = \"access.log\"";

fn log_file(proxy: &Proxy) -> PathBuf {
    proxy.dir().join("access.log")
}

/// All lines, once there are so many.
#[track_caller]
fn lines(proxy: &Proxy, count: usize) -> Vec<Value> {
    let mut text = String::new();
    eventually(&format!("{count} lines"), || {
        text = fs::read_to_string(log_file(proxy)).unwrap_or_default();
        text.lines().count() >= count
    });
    let lines: Vec<_> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), count, "{text}");
    lines
}

/// The only line, of an exchange whose termination and status are these.
#[track_caller]
fn ended(proxy: &Proxy, termination: &str, status: u16) -> Value {
    let line = lines(proxy, 1).remove(0);
    assert_eq!((&line["termination"], &line["status"]), (&termination.into(), &status.into()), "{line}");
    line
}

/// A proxy before `origin` that logs, with more in its listener and its upstream.
#[track_caller]
fn logging(driver: Driver, origin: &Origin, listener: &str, upstream: &str) -> Proxy {
    Setup::to(origin).listener(listener).upstream(upstream).and(TO_FILE).start(driver)
}

both_drivers! {
    fn a_line_has_every_field(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = logging(driver, &origin, "", "");
        let request = "POST /a/b?secret=1 HTTP/1.1\r\nHost: Example.com:80\r\nContent-Length: 3\r\n\r\nabc";
        let mut client = proxy.asking(request);
        let response = client.read_response().expect(200);
        let line = ended(&proxy, "--", 200);
        let names: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, FIELDS);
        for (field, value) in [
            ("client", "127.0.0.1"), ("listener", "web"), ("method", "POST"), ("path", "/a/b"),
            ("protocol", "HTTP/1.1"), ("route", "app"), ("upstream", "app"), ("endpoint", &origin.address()),
        ] {
            assert_eq!(line[field], value, "{field}");
        }
        assert!(line["host"].as_str().unwrap().eq_ignore_ascii_case("example.com:80"), "{line}");
        assert_eq!(line["request_bytes"], request.len());
        assert_eq!(line["response_bytes"], response.head.raw.len() + 2);
        assert_eq!((&line["attempts"], &line["queue_us"]), (&1.into(), &0.into()));
        let us = |field: &str| line[field].as_u64().unwrap();
        assert!(us("connect_us") > 0 && us("first_byte_us") > 0);
        assert!(us("total_us") >= us("connect_us") + us("first_byte_us") + us("overhead_us"), "{line}");
        let ts = line["ts"].as_str().unwrap();
        assert!(ts.len() == 24 && ts.starts_with("20") && ts.ends_with('Z'), "{ts}");
    }

    fn off_unless_asked_for(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        proxy.get("/").expect(200);
        proxy.await_metric("ringlane_requests_total", "", 1);
        assert_eq!(proxy.metric("ringlane_access_log_lines_total", ""), 0);
        assert_eq!(proxy.stdout().lines(), [""; 0]);
        let mut files: Vec<_> = fs::read_dir(proxy.dir()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(files.pop().unwrap(), "ringlane.toml");
        assert!(files.is_empty(), "{files:?}");
    }

    fn to_stdout(driver) {
        let origin = Origin::replies(&[OK]);
        let mut proxy = Setup::to(&origin).and("[access_log]\npath = \"stdout\"").start(driver);
        proxy.get("/seen").expect(200);
        // What is in a buffer is written before the end.
        proxy.get("/last").expect(200);
        proxy.signal(libc::SIGTERM);
        assert!(proxy.wait_exit().success());
        let path = |line: &String| serde_json::from_str::<Value>(line).unwrap()["path"].clone();
        assert_eq!(proxy.stdout().lines().iter().map(path).collect::<Vec<_>>(), ["/seen", "/last"]);
    }

    fn what_is_not_known_is_null(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = logging(driver, &origin, "", "");
        proxy.asking("nonsense\r\n\r\n").read_response().expect(400);
        let line = ended(&proxy, "PM", 400);
        assert!(["route", "upstream", "endpoint"].iter().all(|field| line[*field].is_null()), "{line}");
        assert_eq!((&line["method"], &line["path"], &line["attempts"]), (&"".into(), &"".into(), &0.into()));
    }

    /// No client writes lines of its own.
    fn what_clients_send_stays_within_its_field(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = logging(driver, &origin, "", "");
        proxy.asking("GET /%22%0a\"},{'\\ HTTP/1.1\r\nHost: a\r\n\r\n").read_response();
        proxy.asking(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(5000))).read_response();
        let lines = lines(&proxy, 2);
        assert_eq!(lines[0].as_object().unwrap().len(), FIELDS.len());
        assert!(lines[1]["path"].as_str().unwrap().len() < 2100);
    }

    fn a_retry_is_two_attempts(driver) {
        let origin = Origin::manual();
        let proxy = logging(driver, &origin, "", "");
        let mut client = proxy.asking(GET);
        let mut upstream = origin.accept();
        upstream.read_request();
        upstream.send(OK);
        client.read_response().expect(200);
        proxy.await_metric("ringlane_upstream_connections", "state=\"idle\"", 1);
        client.send(GET);
        upstream.read_request();
        upstream.reset();
        let mut fresh = origin.accept();
        fresh.read_request();
        fresh.send(OK);
        client.read_response().expect(200);
        let attempts: Vec<_> = lines(&proxy, 2).into_iter().map(|line| line["attempts"].clone()).collect();
        assert_eq!(attempts, [1, 2]);
    }

    fn a_wait_in_the_queue_has_its_time(driver) {
        let origin = Origin::manual();
        let proxy = logging(driver, &origin, "", "pool.max_connections = 1");
        let mut first = proxy.asking(GET);
        let mut upstream = origin.accept();
        upstream.read_request();
        let mut second = proxy.asking(GET);
        proxy.await_metric("ringlane_queue_length", "", 1);
        upstream.send(OK);
        first.read_response().expect(200);
        upstream.read_request();
        upstream.send(OK);
        second.read_response().expect(200);
        let lines = lines(&proxy, 2);
        assert_eq!((&lines[0]["queue_us"], &lines[1]["connect_us"]), (&0.into(), &0.into()));
        assert!(lines[1]["queue_us"].as_u64().unwrap() > 0, "{lines:?}");
    }

    /// A worker that can't write drops lines and counts them; requests go on.
    fn a_reader_that_is_too_slow_costs_lines_and_nothing_else(driver) {
        let dir = Dir::new();
        let fifo = std::ffi::CString::new(dir.file("log").to_str().unwrap()).unwrap();
        // SAFETY: a system call on a string that ends in NUL.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
        let mut options = fs::OpenOptions::new();
        let mut reader = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(dir.file("log")).unwrap();
        let toml = format!(
            "[[listeners]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n[access_log]\npath = {:?}\n\
             [[routes]]\nname = \"hello\"\nrespond = {{ body = \"hello\" }}\n",
            dir.file("log"),
        );
        let proxy = Proxy::start(driver, &toml);
        let mut client = proxy.connect();
        let many = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(2000)).repeat(50);
        let mut sent = 0;
        let dropped = || proxy.metric("ringlane_access_log_lines_dropped_total", "");
        while dropped() == 0 {
            client.send(&many);
            for _ in 0..50 {
                client.read_response().expect(200);
            }
            sent += 50;
            assert!(sent < 20_000, "nothing is dropped");
        }
        // Read again, it is written again.
        let mut piece = [0; 64 * 1024];
        eventually("lines are written", || {
            while reader.read(&mut piece).is_ok_and(|read| read > 0) {}
            let before = dropped();
            client.send(GET);
            client.read_response().expect(200);
            sent += 1;
            dropped() == before
        });
        eventually("all are accounted for", || {
            while reader.read(&mut piece).is_ok_and(|read| read > 0) {}
            proxy.metric("ringlane_access_log_lines_total", "") + dropped() == sent
        });
    }

    fn a_file_that_can_not_be_opened_ends_the_start(driver) {
        let setup = Setup::to_endpoints(&["127.0.0.1:9"]).and("[access_log]\npath = \"/nonexistent/log\"");
        let mut proxy = Proxy::launch(driver).spawn(&setup.toml());
        assert!(!proxy.wait_exit().success());
        assert!(proxy.logs().join(" ").contains("/nonexistent/log"), "{:?}", proxy.logs());
    }
}

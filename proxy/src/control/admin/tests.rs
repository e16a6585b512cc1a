//! The admin API over real sockets, asked in raw bytes.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    sync::atomic::Ordering,
    thread,
    time::{Instant, SystemTime},
};

use serde_json::{Value, json};

use super::*;
use crate::{
    control::{base::Base, config, desired::Desired},
    observe::Recorder,
    upstream::Address,
};

const CONFIG: &str = "\
[[listeners]]
name = \"web\"
address = \"127.0.0.1:8080\"
[[routes]]
name = \"app\"
response_headers = { set = { x-client-token = \"hunter2\" } }
respond = { body = \"see http://me:hunter2@a/\" }
";

fn state(workers: usize, token_file: Option<std::path::PathBuf>) -> AdminState {
    let desired = Desired::of(Base::of_text("test.toml", CONFIG).unwrap());
    let live = Shared::new(Live::new("test.toml".into(), desired, SystemTime::now()));
    let info = Info {
        version: "0.1.0".into(),
        build: "test".into(),
        driver: "epoll".into(),
        driver_reason: "asked for".into(),
        started: SystemTime::now(),
    };
    let address = Address::Unix("/nowhere".into());
    let access = Access::new(&config::Admin { address, token_file, metrics_open: false }).unwrap();
    let ready = Arc::new(AtomicBool::new(false));
    AdminState::new((&Board::new(workers), info, &ready), &live, &Asks::channel().0, access)
}

/// A running admin API, its workers, and the means to end both.
struct Running {
    address: String,
    state: AdminState,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<io::Result<()>>>,
}

impl Running {
    fn start(address: &str, workers: usize) -> Self {
        let listener = AdminListener::bind(address).unwrap();
        let state = state(workers, None);
        let (stop, stopped) = oneshot::channel();
        let address = listener.address();
        let served = state.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(listener, served, async {
                let _ = stopped.await;
            }))
        });
        Self { address, state, stop: Some(stop), thread: Some(thread) }
    }

    /// Status, head and body of the answer to a GET.
    fn get(&self, path: &str, fields: &str) -> (u16, String, String) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n{fields}\r\n");
        let mut answer = String::new();
        match self.address.strip_prefix("unix:") {
            Some(path) => {
                let mut stream = UnixStream::connect(path).unwrap();
                stream.write_all(request.as_bytes()).unwrap();
                stream.read_to_string(&mut answer).unwrap();
            }
            None => {
                let mut stream = TcpStream::connect(&self.address).unwrap();
                stream.write_all(request.as_bytes()).unwrap();
                stream.read_to_string(&mut answer).unwrap();
            }
        }
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    fn end(&mut self) -> io::Result<()> {
        let _ = self.stop.take().unwrap().send(());
        self.thread.take().unwrap().join().unwrap()
    }
}

#[test]
fn every_path_is_in_the_index_and_in_the_description() {
    let mut admin = Running::start("127.0.0.1:0", 1);
    let (status, _, index) = admin.get("/", "");
    assert_eq!(status, 200);
    let (status, _, description) = admin.get("/openapi.json", "");
    assert_eq!(status, 200);
    let description: Value = serde_json::from_str(&description).unwrap();
    let described = description["paths"].as_object().unwrap();
    for (path, _) in PATHS {
        assert!(index.lines().any(|line| line.split(' ').next() == Some(path)), "{path}");
        let path = path.split('?').next().unwrap();
        assert!(described.contains_key(path), "{path} is not described");
        // Whatever it answers, it is no path that nobody knows.
        let path = path.replace("{name}", "none").replace("{address}", "a:1").replace("{revision}", "99");
        let (_, _, body) = admin.get(&path, "");
        assert!(!body.contains("no such path"), "{path}: {body}");
    }
    assert_eq!(described.len(), PATHS.len());
    let (status, _, body) = admin.get("/nowhere", "");
    assert_eq!(status, 404);
    assert!(body.contains("/latency"));
    admin.end().unwrap();
}

#[test]
fn readiness_follows_the_flag_and_health_does_not() {
    let mut admin = Running::start("127.0.0.1:0", 1);
    assert_eq!(admin.get("/readyz", "").0, 503);
    assert_eq!(admin.get("/healthz", "").0, 200);
    admin.state.ready.store(true, Ordering::Release);
    assert_eq!(admin.get("/readyz", "").0, 200);
    admin.state.ready.store(false, Ordering::Release);
    assert_eq!(admin.get("/readyz", "").0, 503);
    assert_eq!(admin.get("/healthz", "").0, 200);
    admin.end().unwrap();
}

#[test]
fn latency_comes_in_three_formats() {
    let mut admin = Running::start("127.0.0.1:0", 1);
    drop(Recorder::new(admin.state.board.slot(0), None));
    let json_field = "Accept: text/html, application/json;q=0.9\r\n";
    for (path, fields, kind, start) in [
        ("/latency", "", "text/plain", "count"),
        ("/latency?format=text", json_field, "text/plain", "count"),
        ("/latency", json_field, "application/json", "{"),
        ("/latency?format=json", "", "application/json", "{"),
        ("/latency?format=hlog", "", "text/plain", "#[Histogram log format version 1.3]"),
    ] {
        let (status, head, body) = admin.get(path, fields);
        assert_eq!(status, 200, "{path}");
        assert!(head.contains(&format!("content-type: {kind}")), "{path}: {head}");
        assert!(body.trim_start().starts_with(start), "{path}: {body}");
        if kind == "application/json" {
            let value: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(value["workers"]["answered"], json!([0]));
        }
    }
    assert_eq!(admin.get("/latency?format=xml", "").0, 400);
    admin.end().unwrap();
}

#[test]
fn metrics_have_the_type_that_scrapers_expect() {
    let mut admin = Running::start("127.0.0.1:0", 2);
    admin.state.board.process().reloads_ok.inc();
    let (status, head, body) = admin.get("/metrics", "");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(body.contains("\nringlane_config_reloads_total{result=\"ok\"} 1\n"));
    assert!(body.contains("\nringlane_workers 2\n"));
    admin.end().unwrap();
}

#[test]
fn a_silent_worker_is_named_and_holds_nothing_up() {
    let mut admin = Running::start("127.0.0.1:0", 2);
    let silent = Recorder::new(admin.state.board.slot(1), None);
    let asked = Instant::now();
    let (status, _, body) = admin.get("/latency", "");
    assert_eq!(status, 200);
    assert!(body.ends_with("worker 1 did not answer in time and is not in these figures\n"), "{body}");
    assert!(asked.elapsed() >= REPORT_TIMEOUT);
    drop(silent);
    admin.end().unwrap();
}

#[test]
fn the_config_is_shown_without_its_secrets() {
    let mut admin = Running::start("127.0.0.1:0", 1);
    let (status, head, body) = admin.get("/config", "");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/json"));
    assert!(!body.contains("hunter2"), "{body}");
    let value: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(value["routes"][0]["response_headers"]["set"], json!({ "x-client-token": "***" }));
    assert_eq!(value["routes"][0]["respond"]["body"], "see http://***@a/");
    admin.end().unwrap();
}

#[test]
fn a_unix_socket_serves_the_same_and_leaves_nothing_behind() {
    let path = std::env::temp_dir().join(format!("ringlane-admin-api-{}", std::process::id()));
    let mut admin = Running::start(&format!("unix:{}", path.display()), 1);
    assert_eq!(admin.get("/healthz", "").2, "ok\n");
    admin.end().unwrap();
    assert!(!path.exists());
}

#[test]
fn the_end_waits_for_no_idle_client() {
    let mut admin = Running::start("127.0.0.1:0", 1);
    let mut half = TcpStream::connect(&admin.address).unwrap();
    half.write_all(b"GET /healthz HT").unwrap();
    assert_eq!(admin.get("/healthz", "").0, 200); // so the half-sent request has been accepted
    let asked = Instant::now();
    admin.end().unwrap();
    assert!(asked.elapsed() < SHUTDOWN_GRACE * 10);
}

//! Ports of the origin that misbehave, over real sockets: what they are told, from the start and while they run, they do.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod server;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use ringlane_bench::pattern;
use serde_json::{Value, json};
use server::{Server, connect, raw};

/// An origin with two ports and a control path.
struct Origin {
    _server: Server,
    one: SocketAddr,
    two: SocketAddr,
    control: SocketAddr,
}

fn origin(options: &[&str]) -> Origin {
    let listen = ["echo", "--listen", "127.0.0.1:0,127.0.0.1:0", "--control", "127.0.0.1:0"];
    let mut server = Server::start(&[&listen, options].concat());
    let (two, control) = (server.next_address(), server.next_address());
    Origin { one: server.address, two, control, _server: server }
}

impl Origin {
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
        let reply = raw(self.control, &request);
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    fn put(&self, port: SocketAddr, behaviour: Value) {
        let (status, answer) = self.ask("PUT", &format!("/ports/{}", port.port()), &behaviour.to_string());
        assert_eq!((status, &answer["behaviour"]), (200, &behaviour), "{answer}");
    }

    fn stats(&self, port: SocketAddr) -> Value {
        self.ask("GET", &format!("/ports/{}", port.port()), "").1["stats"].take()
    }
}

/// All that comes back for one request, as bytes, until the server closes.
fn all(address: SocketAddr, request: &str) -> Vec<u8> {
    let mut reply = Vec::new();
    // A reset is an end as well.
    let _ = connect(address, request).read_to_end(&mut reply);
    reply
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

/// The body behind a head.
fn body(reply: &[u8]) -> &[u8] {
    let at = reply.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    &reply[at + 4..]
}

/// The status of one request on a connection that stays open; the body is that of `/`.
fn status(stream: &mut TcpStream) -> u16 {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"Hello, World!") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        reply.push(byte[0]);
    }
    String::from_utf8_lossy(&reply[9..12]).parse().unwrap()
}

#[test]
fn each_port_has_its_own_behaviour_and_takes_on_another_while_it_runs() {
    let origin = origin(&[]);
    let (mut one, mut two) = (connect(origin.one, ""), connect(origin.two, ""));
    assert_eq!((status(&mut one), status(&mut two)), (200, 200));
    // Also on a connection that is open, whose last answer is remembered.
    assert_eq!((status(&mut one), status(&mut two)), (200, 200));
    origin.put(origin.two, json!({ "error_rate": 1.0, "error_status": 503 }));
    assert_eq!((status(&mut one), status(&mut two)), (200, 503));
    origin.put(origin.two, json!({}));
    assert_eq!((status(&mut one), status(&mut two)), (200, 200));
    let (of_one, of_two) = (origin.stats(origin.one), origin.stats(origin.two));
    assert_eq!((&of_one["requests"], &of_two["requests"]), (&json!(4), &json!(4)));
    assert_eq!((&of_one["errors"], &of_two["errors"]), (&json!(0), &json!(1)));
    let (code, ports) = origin.ask("GET", "/ports", "");
    assert_eq!((code, ports.as_array().unwrap().len()), (200, 2));
    assert_eq!(ports[1]["address"], origin.two.to_string());
}

#[test]
fn the_control_path_says_what_is_wrong() {
    let origin = origin(&[]);
    let port = format!("/ports/{}", origin.one.port());
    for (method, path, body, status, wanted) in [
        ("PUT", port.as_str(), "{\"delay\": \"5\"", 400, "not a JSON object"),
        ("PUT", &port, "[]", 400, "not a JSON object"),
        ("PUT", &port, "{\"delay\": \"soon\"}", 400, "delay: \"soon\""),
        ("PUT", &port, "{\"eror_rate\": 1}", 400, "eror_rate: no such key"),
        ("PUT", "/ports/1", "{}", 404, "/ports/1: no such port"),
        ("PUT", "/ports", "{}", 405, "GET, or PUT of one port"),
        ("DELETE", &port, "", 405, "GET, or PUT of one port"),
        ("GET", "/other", "", 404, "there is /ports"),
    ] {
        let (code, answer) = origin.ask(method, path, body);
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(code == status && error.contains(wanted), "{method} {path}: {code} {answer}");
    }
    // Nothing of it was taken on.
    assert_eq!(origin.ask("GET", &port, "").1["behaviour"], json!({}));
}

#[test]
fn connections_are_dropped_before_the_head() {
    let origin = origin(&["--behave", "drop_before_head=1"]);
    for request in
        [get("/"), get("/headers"), "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi".into()]
    {
        assert_eq!(all(origin.one, &request), b"");
    }
    let stats = origin.stats(origin.one);
    assert_eq!((&stats["requests"], &stats["drops_before_head"]), (&json!(0), &json!(3)));
}

#[test]
fn connections_are_dropped_in_the_middle_of_the_body() {
    let origin = origin(&["--behave", "drop_in_body=1"]);
    for (path, length) in
        [("/", 6), ("/bytes/100001", 50_000), ("/close/100001", 50_000), ("/bytes/6000000", 3_000_000)]
    {
        let reply = all(origin.one, &get(path));
        let body = body(&reply);
        assert!(body.len() == length && pattern::matches(0, body), "{path}: {}", body.len());
    }
    let chunked = all(origin.one, &get("/chunked/100000"));
    assert!(body(&chunked).len() > 40_000 && !chunked.ends_with(b"0\r\n\r\n"));
    let echo = all(origin.one, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd");
    assert_eq!(body(&echo), b"ab");
    // Whole, because there is no middle, and the connection is closed all the same.
    assert!(all(origin.one, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").ends_with(b"\r\n\r\n"));
    assert_eq!(origin.stats(origin.one)["drops_in_body"], 7);
}

#[test]
fn answers_are_late_and_slow() {
    let origin = origin(&["--behave", "delay=uniform:60ms:70ms"]);
    let started = Instant::now();
    assert_eq!(body(&all(origin.one, &get("/"))), b"Hello, World!");
    assert!(started.elapsed() >= Duration::from_millis(60));
    assert_eq!(origin.stats(origin.one)["delayed"], 1);
    origin.put(origin.two, json!({ "bytes_per_second": 10_000 }));
    for path in ["/bytes/2000", "/close/2000", "/chunked/2000"] {
        let started = Instant::now();
        let reply = all(origin.two, &get(path));
        assert!(body(&reply).len() >= 2000);
        assert!(started.elapsed() >= Duration::from_millis(200), "{path} in {:?}", started.elapsed());
    }
}

#[test]
fn a_seed_repeats_itself() {
    let statuses = |seed: u32| {
        let origin = origin(&["--behave", &format!("error_rate=0.5,seed={seed}")]);
        let mut stream = connect(origin.one, "");
        (0..64).map(|_| status(&mut stream)).collect::<Vec<_>>()
    };
    let first = statuses(7);
    assert!(first.contains(&200) && first.contains(&500), "{first:?}");
    assert_eq!(statuses(7), first);
    assert_ne!(statuses(8), first);
}

#[test]
fn a_file_says_it_as_well_and_the_command_line_goes_before_it() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("behaviour.toml");
    fs::write(&path, "[all]\nerror_rate = 1\nerror_status = 502\n").unwrap();
    let file = path.to_str().unwrap();
    let origin = origin(&["--behaviour-file", file]);
    assert_eq!(status(&mut connect(origin.one, "")), 502);
    drop(origin);
    let origin = self::origin(&["--behaviour-file", file, "--behave", "error_rate=1,error_status=504"]);
    assert_eq!(status(&mut connect(origin.one, "")), 504);
}

#[test]
fn a_start_with_a_wrong_behaviour_fails_and_names_the_place() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong.toml");
    fs::write(&path, "[ports.9001]\ndrop_in_body = 2\n").unwrap();
    let file = path.to_str().unwrap();
    for (options, wanted) in [
        (["--behave", "delay=x"], "--behave \"delay=x\": delay: \"x\""),
        (["--behave", "9001:seed=1"], "a behaviour for port 9001, which --listen does not have"),
        (["--behaviour-file", file], "wrong.toml: ports.9001: drop_in_body: 2 is not a share"),
        (["--behaviour-file", "/nonexistent.toml"], "cannot read /nonexistent.toml"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_ringlane-bench"))
            .args(["echo", "--listen", "127.0.0.1:0"])
            .args(options)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && error.contains(wanted), "{options:?}: {error}");
    }
}

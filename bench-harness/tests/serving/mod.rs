//! Servers of the harness as processes of their own, and the load generator driven from a test.
#![allow(dead_code, reason = "each test binary uses a part")]
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use clap::Parser;
use ringlane_bench::{
    echo::stats::Snapshot,
    load::{self, Outcome, Plan, options::LoadArgs},
};

/// A subcommand that serves until it is dropped.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringlane-bench"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary under test starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.split([' ', ',']).find_map(|word| word.parse().ok()).expect("an address is announced");
        Self { child, address }
    }

    pub fn echo() -> Self {
        Self::start(&["echo", "--listen", "127.0.0.1:0"])
    }

    pub fn floor(upstream: &Self) -> Self {
        Self::start(&["floor", "--listen", "127.0.0.1:0", "--upstream", &upstream.address.to_string()])
    }

    pub fn stats(&self) -> Snapshot {
        let reply = raw(self, "GET /__stats HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends bytes and reads until the server closes.
pub fn raw(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

#[derive(Parser)]
struct Typed {
    #[command(flatten)]
    load: LoadArgs,
}

/// Checks options as typed for a run against `path`.
pub fn plan(server: &Server, path: &str, options: &str) -> Plan {
    let line = format!("load --url http://{}{path} {options}", server.address);
    Typed::try_parse_from(line.split_whitespace()).unwrap().load.plan().unwrap()
}

/// Drives `path` for a moment.
pub fn drive(server: &Server, path: &str, options: &str) -> Outcome {
    let plan = plan(server, path, &format!("-d 200ms --warmup 50ms {options}"));
    load::run(&plan, &mut |_| {}).unwrap()
}

#[track_caller]
pub fn assert_clean(outcome: &Outcome) {
    assert_eq!(outcome.tally.errors_total(), 0, "{:?}", outcome.tally.examples);
    assert!(outcome.tally.requests > 0);
    assert_eq!(outcome.tally.latency.len(), outcome.tally.requests);
}

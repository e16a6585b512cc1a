//! Servers of the harness as processes of their own, a client that speaks raw bytes, and the load generator driven from a test.
#![allow(dead_code, reason = "each test binary uses some of it")]
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use clap::Parser;
use ringlane_bench::{
    echo::stats::Snapshot,
    load::{self, Outcome, Plan, options::LoadArgs},
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A subcommand that serves until it is dropped.
pub struct Server {
    /// Its process.
    pub child: Child,
    out: BufReader<ChildStdout>,
    /// Where its first listener listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts one that announces an address.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringlane-bench"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary under test starts");
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let address = announced(&mut out);
        Self { child, out, address }
    }

    /// The origin.
    pub fn echo() -> Self {
        Self::start(&["echo", "--listen", "127.0.0.1:0"])
    }

    /// The forwarder.
    pub fn floor(upstream: &Self) -> Self {
        Self::start(&["floor", "--listen", "127.0.0.1:0", "--upstream", &upstream.address.to_string()])
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its next listener listens.
    pub fn next_address(&mut self) -> SocketAddr {
        announced(&mut self.out)
    }

    /// The origin's counters.
    pub fn stats(&self) -> Snapshot {
        let reply = raw(self.address, "GET /__stats HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

fn announced(out: &mut BufReader<ChildStdout>) -> SocketAddr {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    line.split([' ', ',']).find_map(|word| word.parse().ok()).expect("an address is announced")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that has sent `bytes`.
pub fn connect(address: SocketAddr, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream
}

/// Sends bytes and reads until the server closes.
pub fn raw(address: SocketAddr, request: &str) -> String {
    let mut reply = String::new();
    connect(address, request).read_to_string(&mut reply).unwrap();
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

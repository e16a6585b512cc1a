//! A real etcd of one test's own.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
};

use tokio::runtime::Runtime;

use crate::harness::{Dir, Tool, tool::Ran};

/// Tries to find ports that nobody takes in the moment between the look and the start.
const TRIES: usize = 5;

/// An etcd, killed when dropped.
pub struct Etcd {
    process: Tool,
    dir: Dir,
    endpoint: String,
    arguments: Vec<String>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn launch(arguments: &[String]) -> Option<Tool> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Tool::start("etcd", &arguments)
}

/// A member's arguments but for the cluster that it belongs to.
fn member(name: &str, dir: &Dir, endpoint: &str, peer: &str) -> Vec<String> {
    let data = dir.file("data").display().to_string();
    [
        ("name", name),
        ("data-dir", &data),
        ("listen-client-urls", endpoint),
        ("advertise-client-urls", endpoint),
        ("listen-peer-urls", peer),
        ("initial-advertise-peer-urls", peer),
        ("logger", "zap"),
        ("log-outputs", "stderr"),
    ]
    .map(|(name, value)| format!("--{name}={value}"))
    .into_iter()
    // What is written outlives a process that is killed all the same, and no test waits for a busy disk.
    .chain(std::iter::once("--unsafe-no-fsync".to_owned()))
    .collect()
}

fn serves(process: &Tool) -> bool {
    let serves = process.hear_error("serving client traffic");
    assert!(serves || process.errors().contains("address already in use"), "{}", process.errors());
    serves
}

/// Three etcds that are one.
pub struct Cluster {
    pub members: [Etcd; 3],
}

impl Cluster {
    /// Starts them. `None`: etcd is not installed, and the test is skipped.
    pub fn start() -> Option<Cluster> {
        for _ in 0..TRIES {
            let names = ["one", "two", "three"];
            let places = names.map(|name| (name, free_port(), free_port()));
            let peer = |port: u16| format!("http://127.0.0.1:{port}");
            let all = places.map(|(name, _, port)| format!("{name}={}", peer(port))).join(",");
            let mut members = Vec::new();
            for (name, client, port) in places {
                let (dir, endpoint) = (Dir::new(), format!("http://127.0.0.1:{client}"));
                let mut arguments = member(name, &dir, &endpoint, &peer(port));
                arguments.push(format!("--initial-cluster={all}"));
                members.push(Etcd { process: launch(&arguments)?, dir, endpoint, arguments });
            }
            // None of them serves before two of them talk to each other.
            if members.iter().all(|it| serves(&it.process)) {
                return members.try_into().ok().map(|members| Cluster { members });
            }
        }
        panic!("no free ports in {TRIES} tries");
    }
}

impl Etcd {
    /// Starts one. `None`: it is not installed, and the test is skipped.
    pub fn start() -> Option<Etcd> {
        Etcd::start_in(Dir::new(), "http", &[])
    }

    /// Starts one with its certificates in `dir`, and with more arguments.
    pub fn start_in(dir: Dir, scheme: &str, more: &[String]) -> Option<Etcd> {
        for _ in 0..TRIES {
            let (client, peer) = (free_port(), free_port());
            let endpoint = format!("{scheme}://127.0.0.1:{client}");
            let peer = format!("http://127.0.0.1:{peer}");
            let mut arguments = member("one", &dir, &endpoint, &peer);
            arguments.push(format!("--initial-cluster=one={peer}"));
            arguments.extend(more.iter().cloned());
            let process = launch(&arguments)?;
            if serves(&process) {
                return Some(Etcd { process, dir, endpoint, arguments });
            }
        }
        panic!("no free ports in {TRIES} tries");
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.endpoint.split_once("://").unwrap().1.to_owned()
    }

    /// A file beside its data.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.file(name)
    }

    /// As a power failure.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, on the same data and at the same address.
    pub fn restart(&mut self) {
        self.process = launch(&self.arguments).unwrap();
        assert!(serves(&self.process), "{}", self.process.errors());
    }

    /// Takes its data away; it is to be down.
    pub fn forget(&self) {
        std::fs::remove_dir_all(self.dir.file("data")).unwrap();
    }

    /// Runs etcdctl.
    #[track_caller]
    pub fn ctl(&self, arguments: &[&str]) -> Ran {
        let endpoints = format!("--endpoints={}", self.endpoint);
        let all: Vec<&str> = std::iter::once(endpoints.as_str()).chain(arguments.iter().copied()).collect();
        Tool::run("etcdctl", &all).expect("etcdctl comes with etcd")
    }

    /// Puts a value by etcdctl.
    #[track_caller]
    pub fn put(&self, key: &str, value: &str) {
        self.ctl(&["put", "--", key, value]).expect_success();
    }

    /// Deletes a key by etcdctl.
    #[track_caller]
    pub fn delete(&self, key: &str) {
        assert_eq!(self.ctl(&["del", key]).expect_success(), "1");
    }

    /// The revision of its store.
    #[track_caller]
    pub fn revision(&self) -> i64 {
        let answer = self.ctl(&["get", "--write-out=json", "none"]).expect_success();
        let json: serde_json::Value = serde_json::from_str(&answer).unwrap();
        json["header"]["revision"].as_i64().unwrap()
    }

    /// One of its metrics, 0 when it is not there.
    pub fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let value = answer.lines().find_map(|line| line.strip_prefix(name));
        value.map_or(0.0, |it| it.trim().parse().unwrap())
    }

    /// Puts many values over one connection, each a revision of its own, in order.
    pub fn put_all(&self, pairs: impl Iterator<Item = (String, Vec<u8>)>) {
        runtime().block_on(async {
            let mut client = etcd_client::Client::connect([&self.endpoint], None).await.unwrap();
            for (key, value) in pairs {
                client.put(key, value, None).await.unwrap();
            }
        });
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// What the control thread runs on.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

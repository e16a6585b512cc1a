//! What a run does: the requests, what their answers must be, how many, how fast, how long, from where.
use std::{net::SocketAddr, time::Duration};

use super::{arrivals::Arrivals, values::Target};
use crate::{echo, pattern, runtime::DriverChoice};

/// A request that takes longer has failed, unless the plan says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One run of the load generator.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where connections go.
    pub address: SocketAddr,
    /// What is asked for, in shares by weight; at least one.
    pub requests: Vec<Request>,
    /// Connections, over all cores.
    pub connections: usize,
    /// A new connection for each request.
    pub new_connection: bool,
    /// Requests under way on each connection at a time (closed loop).
    pub pipeline: usize,
    /// When requests are sent.
    pub pace: Pace,
    /// What random choices begin from.
    pub seed: u64,
    /// The measured window.
    pub duration: Duration,
    /// What comes before it and is thrown away.
    pub warmup: Duration,
    /// A request that takes longer has failed.
    pub timeout: Duration,
    /// One thread on each of these; empty: one thread, unpinned.
    pub cores: Vec<usize>,
    /// The generator's own I/O driver.
    pub driver: DriverChoice,
    /// Processes whose CPU time is read over the window, with their descendants.
    pub pids: Vec<u32>,
    /// Keep a log of every single request.
    pub log: bool,
}

impl Plan {
    /// One request in closed loop over one connection for ten seconds; what differs is set by the caller.
    pub fn of(address: SocketAddr, request: Request) -> Self {
        Self {
            address,
            requests: vec![request],
            connections: 1,
            new_connection: false,
            pipeline: 1,
            pace: Pace::Closed,
            seed: 1,
            duration: Duration::from_secs(10),
            warmup: Duration::ZERO,
            timeout: TIMEOUT,
            cores: Vec::new(),
            driver: DriverChoice::Auto,
            pids: Vec::new(),
            log: false,
        }
    }
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// When the answer to the last one is there: a slow server is asked less.
    Closed,
    /// When they are due, and latency counts from then, whether or not a connection was free.
    Open(Open),
}

/// An open loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Open {
    /// Requests per second, over all cores.
    pub rate: f64,
    /// How they follow each other.
    pub arrivals: Arrivals,
    /// The most requests that are due and wait for a connection; those beyond are dropped, and errors.
    pub backlog_max: usize,
}

/// One kind of request and what its answer must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its share of all requests, relative to the others.
    pub weight: u32,
    /// Method and path, for people.
    pub name: String,
    /// Every byte of it, head and body.
    pub bytes: Vec<u8>,
    /// The method is HEAD: answers have no body.
    pub to_head: bool,
    /// What every answer must be.
    pub expect: Expect,
}

impl Request {
    /// A request without a body or headers of its own, whose answer is checked as far as it is known.
    pub fn get(target: &Target, close: bool) -> Self {
        let known = known_body(&target.path, 200, None);
        Self {
            weight: 1,
            name: format!("GET {}", target.path),
            bytes: build_request("GET", target, &[], None, close),
            to_head: false,
            expect: Expect { status: 200, body_bytes: known.length(), content: known },
        }
    }
}

/// What an answer must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Status code.
    pub status: u16,
    /// Length of the body, if it is known.
    pub body_bytes: Option<u64>,
    /// What the body holds.
    pub content: Content,
}

/// What the body of an answer must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Anything.
    Any,
    /// So many bytes of the echo origin's pattern.
    Pattern(u64),
    /// These bytes.
    Exactly(Vec<u8>),
}

impl Content {
    /// Its length, if it has one.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Any => None,
            Self::Pattern(n) => Some(*n),
            Self::Exactly(bytes) => Some(bytes.len() as u64),
        }
    }
}

/// The bytes of a request; `body_bytes` of the pattern follow the head.
pub fn build_request(
    method: &str,
    target: &Target,
    headers: &[String],
    body_bytes: Option<usize>,
    close: bool,
) -> Vec<u8> {
    let mut request = format!("{method} {} HTTP/1.1\r\n", target.path).into_bytes();
    let named = |name: &str| {
        headers.iter().any(|line| line.split(':').next().is_some_and(|n| n.trim().eq_ignore_ascii_case(name)))
    };
    if !named("host") {
        request.extend_from_slice(format!("Host: {}\r\n", target.host).as_bytes());
    }
    for line in headers {
        request.extend_from_slice(line.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    if let Some(n) = body_bytes {
        request.extend_from_slice(format!("Content-Length: {n}\r\n").as_bytes());
    }
    if close && !named("connection") {
        request.extend_from_slice(b"Connection: close\r\n");
    }
    request.extend_from_slice(b"\r\n");
    pattern::append(&mut request, 0, body_bytes.unwrap_or(0));
    request
}

/// What the echo origin answers to `path` with `status`, as far as the path tells; servers of other kinds answer such
/// paths otherwise at most by accident.
pub fn known_body(path: &str, status: u16, request_body_bytes: Option<usize>) -> Content {
    let path = path.split('?').next().unwrap_or(path);
    let path = path.get(echo::route::app_length(path.as_bytes())..).unwrap_or_default();
    let number = |prefix: &str| path.strip_prefix(prefix)?.parse::<u64>().ok();
    if status != 200 {
        return match number("/status/") {
            Some(n) if n == u64::from(status) && !matches!(status, 204 | 304) => {
                Content::Pattern(echo::route::DEFAULT_BODY_BYTES)
            }
            _ => Content::Any,
        };
    }
    match (path, request_body_bytes) {
        ("/echo", body) => Content::Pattern(body.unwrap_or(0) as u64),
        ("/upload", Some(n)) => Content::Exactly(pattern::upload_report(n as u64, pattern::crc32(n))),
        _ => ["/bytes/", "/chunked/", "/close/"]
            .iter()
            .find_map(|prefix| number(prefix))
            .or_else(|| number("/delay/").map(|_| echo::route::DEFAULT_BODY_BYTES))
            .map_or(Content::Any, Content::Pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target { host: "a:1".into(), path: "/bytes/3".into() }
    }

    #[test]
    fn a_request_is_one_run_of_bytes() {
        assert_eq!(
            build_request("GET", &target(), &["X-A: 1".into()], None, false),
            b"GET /bytes/3 HTTP/1.1\r\nHost: a:1\r\nX-A: 1\r\n\r\n"
        );
        assert_eq!(
            build_request("POST", &target(), &["host: b".into()], Some(5), true),
            b"POST /bytes/3 HTTP/1.1\r\nhost: b\r\nContent-Length: 5\r\nConnection: close\r\n\r\nHello"
        );
    }

    #[test]
    fn the_origins_answers_are_known_by_path() {
        assert_eq!(known_body("/bytes/13?x", 200, None), Content::Pattern(13));
        assert_eq!(known_body("/app-3/bytes/13", 200, None), Content::Pattern(13));
        assert_eq!(known_body("/chunked/5", 200, None), Content::Pattern(5));
        assert_eq!(known_body("/delay/5", 200, None), Content::Pattern(13));
        assert_eq!(known_body("/echo", 200, Some(7)), Content::Pattern(7));
        assert_eq!(
            known_body("/upload", 200, Some(5)),
            Content::Exactly(b"{\"bytes\":5,\"crc32\":\"f7d18982\"}\n".to_vec())
        );
        assert_eq!(known_body("/status/503", 503, None), Content::Pattern(13));
        for (path, status) in [("/", 200), ("/bytes/13", 404), ("/status/204", 204), ("/status/500", 503)] {
            assert_eq!(known_body(path, status, None), Content::Any, "{path} {status}");
        }
    }
}

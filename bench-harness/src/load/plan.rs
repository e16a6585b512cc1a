//! What a run does: the request, what its answers must be, how many, how long, from where.
use std::{net::SocketAddr, time::Duration};

use super::options::Target;
use crate::{pattern, runtime::DriverChoice};

/// One run of the load generator.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where connections go.
    pub address: SocketAddr,
    /// Every byte of a request, head and body.
    pub request: Vec<u8>,
    /// The method is HEAD: answers have no body.
    pub to_head: bool,
    /// What every answer must be.
    pub expect: Expect,
    /// Connections, over all cores.
    pub connections: usize,
    /// A new connection for each request.
    pub new_connection: bool,
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
}

/// What an answer must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Status code.
    pub status: u16,
    /// Length of the body, if it is known.
    pub body_bytes: Option<u64>,
    /// The body is the echo origin's pattern.
    pub pattern: bool,
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

/// What the echo origin answers to `path`: the body's length and whether it is the pattern. None: not known.
pub fn known_body(path: &str, request_body_bytes: Option<usize>) -> Option<u64> {
    let path = path.split('?').next().unwrap_or(path);
    if path == "/echo" {
        return Some(request_body_bytes.unwrap_or(0) as u64);
    }
    ["/bytes/", "/chunked/", "/close/"].iter().find_map(|prefix| path.strip_prefix(prefix)?.parse().ok())
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
        assert_eq!(known_body("/bytes/13?x", None), Some(13));
        assert_eq!(known_body("/chunked/5", None), Some(5));
        assert_eq!(known_body("/echo", Some(7)), Some(7));
        assert_eq!(known_body("/", None), None);
    }
}

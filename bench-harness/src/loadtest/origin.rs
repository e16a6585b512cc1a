//! Questions to the echo origin, directly or through a proxy: does it answer, and what did it count?
use std::net::{SocketAddr, TcpStream};

use super::routes::{Entrance, Routes};
pub(super) use crate::client::connect;
use crate::{
    client::exchange,
    echo::stats::Snapshot,
    fault::{At, Fault, Result},
};

/// Whether the origin's greeting comes back from `address`.
pub(super) fn answers(address: SocketAddr, by: &Entrance) -> Result<()> {
    let body = get(address, by, "/bytes/13")?;
    if body == "Hello, World!" {
        Ok(())
    } else {
        Err(Fault::new(format!("an unexpected answer: {body:.100}")))
    }
}

/// The origin's counters.
pub(super) fn stats(address: SocketAddr) -> Result<Snapshot> {
    serde_json::from_str(&get(address, &Entrance::default(), "/__stats")?)
        .at(format!("counters of the origin on {address}"))
}

/// Whether the proxy at `address` tells the origin who asks, as every one of them is set up to.
pub(super) fn check_forwarding(address: SocketAddr, by: &Entrance) -> Result<()> {
    let sent = by.host.clone().unwrap_or_else(|| address.to_string());
    let head = get(address, by, "/headers")?.to_lowercase();
    let value = |name| head.lines().filter_map(|line| line.split_once(": ")).find(|(n, _)| *n == name);
    let value = |name| value(name).map(|(_, value)| value.trim_end());
    // Envoy names the machine's own address where a client is local.
    let forwarded = value("x-forwarded-for").is_some_and(|it| it.parse::<std::net::IpAddr>().is_ok());
    if forwarded && value("x-forwarded-proto") == Some("http") && value("host") == Some(&sent) {
        return Ok(());
    }
    Err(Fault::new(format!(
        "the origin was not told the client's address, its scheme and its host, but:\n{head}"
    )))
}

/// Whether the proxy at `address` has these routes and no others.
pub(super) fn check_routing(address: SocketAddr, routes: Routes) -> Result<()> {
    match routes.strangers().iter().find(|stranger| answers(address, stranger).is_ok()) {
        None => Ok(()),
        Some(stranger) => Err(Fault::new(format!("it forwards what it has no route for: {stranger:?}"))),
    }
}

/// The body of a 200 response to a GET of `path` by an entrance.
pub(super) fn get(address: SocketAddr, by: &Entrance, path: &str) -> Result<String> {
    ask(&mut connect(address)?, address, by, path)
}

/// The same as [`get`] on a connection to `address` that there is, and that stays.
pub(super) fn ask(stream: &mut TcpStream, address: SocketAddr, by: &Entrance, path: &str) -> Result<String> {
    let path = format!("{}{path}", by.prefix);
    let place = format!("GET {path} from {address}");
    let host = by.host.clone().unwrap_or_else(|| address.to_string());
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let answer = exchange(stream, request.as_bytes()).at(&place)?;
    match answer.status {
        200 => Ok(answer.body),
        status => Err(Fault::new(format!("{place}: status {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Gives everybody the same answer; lives as long as the test's process.
    fn server(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        address
    }

    #[test]
    fn a_proxy_that_forwards_whatever_comes_is_found_out() {
        let greets = server("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!");
        let refuses = server("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        let routes = Routes { hosts: 2, paths: 2 };
        let fault = check_routing(greets, routes).unwrap_err().to_string();
        assert!(fault.contains("no route for") && fault.contains("site-3"), "{fault}");
        assert!(check_routing(refuses, routes).is_ok());
        assert!(check_routing(greets, Routes::NONE).is_ok());
        assert!(check_forwarding(greets, &Entrance::default()).is_err());
    }
}

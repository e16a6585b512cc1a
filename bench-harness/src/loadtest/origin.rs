//! Questions to the echo origin, directly or through a proxy: does it answer, and what did it count?
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    echo::stats::Snapshot,
    fault::{At, Fault, Result},
    http::{
        find_head_end,
        response::{self, Framing},
    },
};

const TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the origin's greeting comes back from `address`.
pub(super) fn answers(address: SocketAddr, host: Option<&str>) -> Result<()> {
    let body = get(address, host, "/bytes/13")?;
    if body == "Hello, World!" {
        Ok(())
    } else {
        Err(Fault::new(format!("an unexpected answer: {body:.100}")))
    }
}

/// The origin's counters.
pub(super) fn stats(address: SocketAddr) -> Result<Snapshot> {
    serde_json::from_str(&get(address, None, "/__stats")?).at(format!("counters of the origin on {address}"))
}

/// Whether the proxy at `address` tells the origin who asks, as every one of them is set up to.
pub(super) fn check_forwarding(address: SocketAddr, host: Option<&str>) -> Result<()> {
    let sent = host.map_or_else(|| address.to_string(), str::to_owned);
    let head = get(address, host, "/headers")?.to_lowercase();
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

/// The body of a 200 response to a GET; `host` is what the request names, by default the address.
pub(super) fn get(address: SocketAddr, host: Option<&str>, path: &str) -> Result<String> {
    let place = format!("GET {path} from {address}");
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).at(&place)?;
    stream.set_read_timeout(Some(TIMEOUT)).at(&place)?;
    let host = host.map_or_else(|| address.to_string(), str::to_owned);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).at(&place)?;
    let (mut reply, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(body) = complete(&reply).at(&place)? {
            return Ok(body);
        }
        match stream.read(&mut piece).at(&place)? {
            0 => return Err(Fault::new(format!("{place}: closed after {} bytes", reply.len()))),
            n => reply.extend_from_slice(&piece[..n]),
        }
    }
}

/// The body, once `reply` holds all of it.
fn complete(reply: &[u8]) -> Result<Option<String>> {
    let Some(end) = find_head_end(reply, 0) else { return Ok(None) };
    let head = response::parse(&reply[..end], false).map_err(Fault::new)?;
    match (head.status, head.framing) {
        (200, Framing::Length(n)) => {
            let body = reply.get(end..end + n as usize);
            Ok(body.map(|body| String::from_utf8_lossy(body).into_owned()))
        }
        (200, _) => Err(Fault::new("an answer without a Content-Length")),
        (status, _) => Err(Fault::new(format!("status {status}"))),
    }
}

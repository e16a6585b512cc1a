//! Questions to the echo origin, directly or through a proxy: does it answer, and what did it count?
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    echo::stats::Snapshot,
    fault::{At, Fault, Result},
};

const TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the origin's greeting comes back from `address`.
pub(super) fn answers(address: SocketAddr) -> Result<()> {
    let body = get(address, "/bytes/13")?;
    if body == "Hello, World!" {
        Ok(())
    } else {
        Err(Fault::new(format!("an unexpected answer: {body:.100}")))
    }
}

/// The origin's counters.
pub(super) fn stats(address: SocketAddr) -> Result<Snapshot> {
    serde_json::from_str(&get(address, "/__stats")?).at(format!("counters of the origin on {address}"))
}

/// The body of a 200 response to a GET.
fn get(address: SocketAddr, path: &str) -> Result<String> {
    let place = format!("GET {path} from {address}");
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).at(&place)?;
    stream.set_read_timeout(Some(TIMEOUT)).at(&place)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).at(&place)?;
    let mut response = String::new();
    stream.read_to_string(&mut response).at(&place)?;
    match response.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => {
            Err(Fault::new(format!("{place}: {:.100}", response.lines().next().unwrap_or("an empty answer"))))
        }
    }
}

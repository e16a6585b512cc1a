//! The PROXY protocol, versions 1 (text) and 2 (binary): a few bytes before everything else on a connection that say whose
//! connection it is. By HAProxy's `doc/proxy-protocol.txt`. Pure: no sockets, no clock, no config.
//!
//! Read strictly: what is not exactly a header is [`Malformed`], as soon as that is certain; nothing is guessed. Whether a
//! connection has to bring a header, and who may, is not decided here.

mod crc32c;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
mod v1;
mod v2;

use std::net::SocketAddr;

/// What a header that is sent looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// Both ends of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub source: SocketAddr,
    /// What it has connected to.
    pub destination: SocketAddr,
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// Nothing that is to be used, and the connection counts as what it is: it is the proxy's own (`LOCAL`), or whose it
    /// is can't be said (`UNKNOWN`, `UNSPEC`, datagrams).
    Local,
    /// The connection of a client.
    Client(Ends),
    /// The connection of a client that has no address: it came by a unix socket.
    Unix,
}

/// These bytes are no header, whatever follows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no PROXY protocol header: {0}")]
pub struct Malformed(pub &'static str);

/// Reads the header at the start of `bytes`, and says how long it is. `None`: more is needed.
///
/// # Errors
/// It is none.
pub fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => v1::read(bytes),
        Some(b'\r') => v2::read(bytes),
        Some(_) => Err(Malformed("it begins like neither version")),
    }
}

/// Appends the header of a client's connection; `None`: the client has no address.
pub fn write(out: &mut Vec<u8>, version: Version, ends: Option<Ends>) {
    match version {
        Version::V1 => v1::write(out, ends),
        Version::V2 => v2::write(out, ends),
    }
}

/// Appends the header of a connection that is the proxy's own: of version 1, in which that can't be said, `UNKNOWN`.
pub fn write_local(out: &mut Vec<u8>, version: Version) {
    match version {
        Version::V1 => v1::write(out, None),
        Version::V2 => v2::write_local(out),
    }
}

/// The same ends with addresses of one family, which is all that a header can say: IPv4 where both are, else IPv6.
fn one_family(ends: Ends) -> Ends {
    let Ends { source, destination } = ends;
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, destination) = (plain(source), plain(destination));
    if source.is_ipv4() == destination.is_ipv4() {
        return Ends { source, destination };
    }
    let mapped = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        v6 @ SocketAddr::V6(_) => v6,
    };
    Ends { source: mapped(source), destination: mapped(destination) }
}

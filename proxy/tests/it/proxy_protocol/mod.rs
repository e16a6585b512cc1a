//! The PROXY protocol: headers that load balancers bring, headers that upstreams are sent, and HAProxy on either side.

mod accepted;
mod haproxy;
mod refused;
mod sent;

use std::net::SocketAddr;

use crate::harness::Setup;

/// What starts a header of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 1 for a client at 192.0.2.7:56324.
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.9 56324 443\r\n";

/// A header of version 2: command and family, and what follows the length.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

/// A header of version 2 for a client at 192.0.2.7:56324.
fn v2_of_client() -> Vec<u8> {
    v2(0x21, 0x11, &[192, 0, 2, 7, 198, 51, 100, 9, 0xDC, 0x04, 0x01, 0xBB])
}

/// What version 2 says of two IPv4 addresses.
fn v2_between(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let (SocketAddr::V4(from), SocketAddr::V4(to)) = (source, destination) else { panic!("IPv4 only") };
    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    v2(0x21, 0x11, &[&from.ip().octets()[..], &to.ip().octets(), &ports].concat())
}

trait Trusting {
    /// Clients of the tests, which all come from 127.0.0.1, are load balancers.
    fn trusting(self, mode: &str) -> Setup;
}

impl Trusting for Setup {
    fn trusting(self, mode: &str) -> Setup {
        self.listener(&format!("trusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = \"{mode}\""))
    }
}

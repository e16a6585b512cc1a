//! Whether the peer of a TCP connection on this machine has read all that was sent to it. The kernel tells, about one
//! socket at a time, over a netlink socket: what `ss` shows.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::wait::eventually;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const ENOENT: i32 = -libc::ENOENT;

/// The extension with `struct tcp_info`, as an attribute and as a bit of a request.
const INET_DIAG_INFO: u16 = 2;
/// Where `tcpi_bytes_received` lies in it.
const BYTES_RECEIVED: usize = 128;

/// What the kernel knows of the receiving side of a socket.
struct Receiver {
    /// Bytes received and not read yet.
    unread: u32,
    /// All bytes that were ever received.
    received: u64,
}

fn address(address: SocketAddr) -> ([u8; 2], [u8; 16]) {
    let IpAddr::V4(ip) = address.ip() else { panic!("IPv4 only: {address}") };
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&ip.octets());
    (address.port().to_be_bytes(), bytes)
}

/// A request for one socket: `struct nlmsghdr`, then `struct inet_diag_req_v2`.
fn question(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    const LENGTH: u32 = 16 + 56;
    let ((local_port, local), (remote_port, remote)) = (address(local), address(remote));
    let mut out = Vec::new();
    out.extend(LENGTH.to_ne_bytes());
    out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    out.extend([0; 8]);
    let extensions = 1 << (INET_DIAG_INFO - 1);
    out.extend([libc::AF_INET as u8, libc::IPPROTO_TCP as u8, extensions, 0]);
    // In whatever state.
    out.extend(u32::MAX.to_ne_bytes());
    out.extend(local_port.into_iter().chain(remote_port).chain(local).chain(remote));
    // On whatever interface, with whatever cookie.
    out.extend(0u32.to_ne_bytes().into_iter().chain([0xff; 8]));
    assert_eq!(out.len(), LENGTH as usize);
    out
}

/// What the socket from `local` to `remote` has received; `None`: there is no such socket.
fn receiver(diag: &mut Socket, local: SocketAddr, remote: SocketAddr) -> Option<Receiver> {
    diag.write_all(&question(local, remote)).unwrap();
    let mut answer = [0; 8192];
    let read = diag.read(&mut answer).unwrap();
    let answer = &answer[..read];
    let half = |at: usize| answer[at..at + 2].try_into().map(u16::from_ne_bytes).unwrap();
    let word = |at: usize| answer[at..at + 4].try_into().map(u32::from_ne_bytes).unwrap();
    if half(4) == NLMSG_ERROR {
        assert_eq!(word(16) as i32, ENOENT, "the kernel does not tell about sockets (INET_DIAG)");
        return None;
    }
    // `struct inet_diag_msg`: 72 bytes, `idiag_rqueue` at 56. Attributes follow it, each padded to four bytes.
    let mut at = 16 + 72;
    while half(at + 2) != INET_DIAG_INFO {
        at += usize::from(half(at)).next_multiple_of(4);
    }
    let received = answer[at + 4 + BYTES_RECEIVED..][..8].try_into().map(u64::from_ne_bytes).unwrap();
    Some(Receiver { unread: word(16 + 56), received })
}

/// Waits until the socket at `peer` has read the `sent` bytes that went out from `local`, or is gone.
#[track_caller]
pub fn await_taken(local: SocketAddr, peer: SocketAddr, sent: u64) {
    let netlink = Domain::from(libc::AF_NETLINK);
    let protocol = Protocol::from(libc::NETLINK_SOCK_DIAG);
    let mut diag = Socket::new(netlink, Type::DGRAM, Some(protocol)).unwrap();
    let mut is_taken = || {
        let receiver = receiver(&mut diag, peer, local);
        receiver.is_none_or(|receiver| receiver.received >= sent && receiver.unread == 0)
    };
    // Most peers have read before a second look.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1) {
        if is_taken() {
            return;
        }
        std::thread::yield_now();
    }
    eventually("the peer reads what was sent", is_taken);
}

//! Whether the peer of a TCP connection on this machine has read all that was sent to it.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use super::wait::eventually;

/// One line of /proc/net/tcp, as far as it matters.
struct Entry {
    sent_unacknowledged: bool,
    unread: bool,
}

/// An address as the kernel writes it: the bytes of each 32-bit word in the machine's order, in hexadecimal.
fn kernel_text(address: SocketAddr) -> String {
    let IpAddr::V4(ip) = address.ip() else { panic!("IPv4 only: {address}") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port())
}

fn find(table: &str, local: &str, remote: &str) -> Option<Entry> {
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        if words.next()? != local || words.next()? != remote {
            return None;
        }
        let (sent, unread) = words.nth(1)?.split_once(':')?;
        let some = |queue: &str| queue.contains(|digit| digit != '0');
        Some(Entry { sent_unacknowledged: some(sent), unread: some(unread) })
    })
}

/// Waits until the socket at `peer` has read everything sent from `local`, or is gone.
#[track_caller]
pub fn await_taken(local: SocketAddr, peer: SocketAddr) {
    let (local, peer) = (kernel_text(local), kernel_text(peer));
    let is_taken = || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let acknowledged = find(&table, &local, &peer).is_none_or(|entry| !entry.sent_unacknowledged);
        acknowledged && find(&table, &peer, &local).is_none_or(|entry| !entry.unread)
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

//! Who has sent a request.

use std::net::IpAddr;

use super::connection::Client;
use crate::http::RequestHead;

/// The address of whoever has sent it; `None`: it came by a unix socket.
pub fn address(client: &Client, _head: &RequestHead) -> Option<IpAddr> {
    client.peer.parse().ok()
}

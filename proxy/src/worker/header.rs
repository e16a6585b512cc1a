//! The PROXY protocol header that a connection begins with, where its listener asks for one.

use bytes::BytesMut;

use super::{connection::Client, deadline::Rest};
use crate::{
    limits::PROXY_HEADER_V2_BYTES_MAX,
    proxy_protocol::{self, Header},
    route::provenance::ProxyProtocol,
};

/// Whether `client` has to bring one; `None`: it may not come in at all.
fn is_due(client: &Client) -> Option<bool> {
    match client.listener.provenance.proxy_protocol {
        ProxyProtocol::Off => Some(false),
        ProxyProtocol::Accept => Some(client.ends.trusted),
        ProxyProtocol::Require if client.ends.trusted => Some(true),
        ProxyProtocol::Require => None,
    }
}

/// Reads the header of a connection that has one. False: the connection is to be closed, without an answer, which might
/// tell a client that came past the load balancer how to behave.
pub async fn pass(client: &mut Client) -> bool {
    match is_due(client) {
        Some(false) => true,
        Some(true) => Box::pin(take(client)).await,
        None => {
            client.worker.counters().proxy_protocol_untrusted.inc();
            false
        }
    }
}

async fn take(client: &mut Client) -> bool {
    let mut buf = BytesMut::new();
    let wait = client.listener.request_head_timeout;
    let read = client.timer.rest_within(Rest::First, wait, read(client, &mut buf)).await;
    let counters = client.worker.counters();
    match read {
        Ok(Ok(Some((header, length)))) => {
            // What follows it is a request's.
            client.socket.unread(buf.get(length..).unwrap_or_default());
            client.ends.tell(header, &client.listener);
            client.peer = client.ends.text();
            true
        }
        // A connection that is opened and closed, as checks of health do it.
        Ok(Ok(None)) => false,
        Ok(Err(error)) => {
            counters.proxy_protocol_malformed.inc();
            tracing::debug!(peer = %client.peer, %error, "connection closed");
            false
        }
        Err(_) => {
            if !client.draining() {
                counters.proxy_protocol_late.inc();
            }
            false
        }
    }
}

/// The header and its length, once all of it is there. `None`: the connection has ended before its first byte.
async fn read(
    client: &Client,
    buf: &mut BytesMut,
) -> Result<Option<(Header, usize)>, proxy_protocol::Malformed> {
    // Who says nothing gets no buffer.
    client.socket.stirs().await;
    buf.reserve(PROXY_HEADER_V2_BYTES_MAX);
    loop {
        match client.socket.read(buf).await {
            Ok(1..) => {}
            _ if buf.is_empty() => return Ok(None),
            _ => return Err(proxy_protocol::Malformed("the connection has ended in the middle of it")),
        }
        if let Some(found) = proxy_protocol::read(buf)? {
            return Ok(Some(found));
        }
    }
}

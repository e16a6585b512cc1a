//! The key of a request, for upstreams that balance by one.

use std::net::IpAddr;

use crate::{
    http::{RequestHead, cookie, first_field},
    route::query::{Decoded, pairs},
    upstream::{digest::digest, hash::HashKey},
    worker::{connection::Client, peer},
};

/// A hash of what is the key of this request; `None`: it has none.
pub(super) fn of(key: &HashKey, client: &Client, head: &RequestHead) -> Option<u64> {
    let of_bytes = |bytes: &[u8]| digest(bytes.iter().copied());
    match key {
        HashKey::Client => peer::address(client, head).map(|address| match address.to_canonical() {
            IpAddr::V4(address) => digest(address.octets()),
            IpAddr::V6(address) => digest(address.octets()),
        }),
        HashKey::Path => Some(digest(head.path().bytes())),
        HashKey::Header(name) => first_field(head, name).map(of_bytes),
        HashKey::Cookie(name) => cookie(head, name).map(of_bytes),
        // Encoded in whatever way, it is the same parameter with the same value.
        HashKey::Query(name) => pairs(head.query()?)
            .find(|(its, _)| Decoded(its).eq(name.bytes()))
            .map(|(_, value)| digest(Decoded(value))),
    }
}

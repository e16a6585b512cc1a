//! What is one key and what are two.

use std::{collections::HashSet, net::IpAddr};

use crate::limit::{Kind, Shared};

#[test]
fn clients() {
    let shared = Shared::new(2);
    let tag = |address: &str| shared.client(address.parse::<IpAddr>().ok()).tag(Kind::Rate, 1);
    // Whoever has one address of a /64 has all of them.
    assert_eq!(tag("2001:db8:1:2::1"), tag("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(tag("2001:db8:1:2::1"), tag("2001:db8:1:3::1"));
    assert_ne!(tag("192.0.2.1"), tag("192.0.2.2"));
    // IPv4 in disguise is IPv4, and not its neighbour's either.
    assert_eq!(tag("::ffff:192.0.2.1"), tag("192.0.2.1"));
    assert_ne!(tag("::ffff:192.0.2.1"), tag("::ffff:192.0.2.2"));
    // Without an address all are one.
    assert_eq!(shared.client(None).tag(Kind::Rate, 1), shared.client(None).tag(Kind::Rate, 1));
    assert_ne!(shared.client(None).tag(Kind::Rate, 1), tag("0.0.0.0"));
}

#[test]
fn limits_share_no_tags() {
    let shared = Shared::new(1);
    let address = "192.0.2.1".parse().ok();
    let kinds = [Kind::Rate, Kind::RouteClient, Kind::ListenerClient, Kind::Connections];
    let tags: HashSet<u64> =
        kinds.iter().flat_map(|kind| (0..100).map(|id| shared.client(address).tag(*kind, id))).collect();
    assert_eq!(tags.len(), 400);
    assert!(!tags.contains(&0));
    // Of another process they are others.
    assert!(!tags.contains(&Shared::new(1).client(address).tag(Kind::Rate, 0)));
}

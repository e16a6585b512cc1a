//! Holding limits allocates nothing for a request, whatever the number of keys. A binary of its own, for the allocator that
//! counts.

#![allow(
    clippy::unwrap_used,
    unused_crate_dependencies,
    reason = "a test that can't go on has failed; dependencies belong to the library"
)]

mod counting;

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use counting::allocations;
use ringlane::limit::{Buckets, Kind, Rate, Seat, Shared};

/// Asks for `keys` clients, tells and hears, and counts a request of each.
fn ask(shared: &Shared, [own, other]: &mut [Buckets; 2], heard: &mut u64, rate: Rate, keys: u32) {
    for key in 0..keys {
        let address = Some(IpAddr::V4(Ipv4Addr::from(key)));
        let now = u64::from(key) * 1000;
        black_box(own.take(shared.client(address).tag(Kind::Rate, 7), rate, now));
        let seat = shared.counts.take(0, shared.client(address).tag(Kind::RouteClient, 7), 3);
        let Seat::Taken(place) = seat else { panic!("{seat:?}") };
        if own.must_tell() {
            own.tell(&shared.journals[0]);
            shared.journals[0].read(heard, |told| {
                other.hear(told, now);
            });
        }
        shared.counts.give_back(0, place);
    }
}

#[test]
fn limits_allocate_nothing_for_a_request() {
    let rate = Rate::new(10, Duration::from_secs(1), 20).unwrap();
    let shared = Shared::new(2);
    let mut buckets = [Buckets::new(true), Buckets::new(true)];
    let mut heard = 0;
    // Tables are made with what comes first.
    ask(&shared, &mut buckets, &mut heard, rate, 5_000);
    let before = allocations();
    ask(&shared, &mut buckets, &mut heard, rate, 300_000);
    assert_eq!(allocations() - before, 0);
    // A count that never moves would prove nothing.
    black_box(Box::new(1_u64));
    assert!(allocations() > before);
}

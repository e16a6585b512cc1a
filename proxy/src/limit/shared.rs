//! What the workers of a process share to hold limits together.

use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    net::IpAddr,
};

use super::{Counts, Journal};

/// What a tag stands for, so that no two limits share a bucket or a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A route's rate.
    Rate,
    /// A route's requests under way, by client.
    RouteClient,
    /// A listener's.
    ListenerClient,
    /// A listener's connections, by client.
    Connections,
}

/// One for the process.
#[derive(Debug)]
pub struct Shared {
    /// Secret, so that nobody can choose keys that fall together.
    seed: RandomState,
    /// What is under way.
    pub counts: Counts,
    /// Each worker's.
    pub journals: Box<[Journal]>,
}

impl Shared {
    /// For so many workers.
    pub fn new(workers: usize) -> Shared {
        Shared {
            seed: RandomState::new(),
            counts: Counts::new(workers),
            journals: (0..workers).map(|_| Journal::default()).collect(),
        }
    }

    /// The tag of a key, made of what `write` writes. `id` is of the route or listener.
    pub fn tag(&self, kind: Kind, id: u32, write: impl FnOnce(&mut dyn Hasher)) -> u64 {
        let mut hasher = self.seed.build_hasher();
        (kind, id).hash(&mut hasher);
        write(&mut hasher);
        hasher.finish().max(1)
    }

    /// The tag of a client.
    pub fn client(&self, kind: Kind, id: u32, address: Option<IpAddr>) -> u64 {
        self.tag(kind, id, |hasher| {
            let (family, number) = client(address);
            hasher.write_u8(family);
            hasher.write_u64(number);
        })
    }
}

/// Who a client is: an IPv4 address, or the first 64 bits of an IPv6 address, of which whoever has one has all the rest. All
/// without an address, by unix sockets, are one.
fn client(address: Option<IpAddr>) -> (u8, u64) {
    match address.map(|address| address.to_canonical()) {
        None => (0, 0),
        Some(IpAddr::V4(address)) => (4, u64::from(u32::from(address))),
        Some(IpAddr::V6(address)) => (6, (u128::from(address) >> 64) as u64),
    }
}

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

    /// The number of a client.
    pub fn client(&self, address: Option<IpAddr>) -> ClientNumber {
        ClientNumber(self.seed.hash_one(client(address)))
    }
}

/// Stands for a client in all limits. Nobody outside can tell it, or choose one close to another's; worth keeping as long as
/// the client is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientNumber(u64);

impl ClientNumber {
    /// Its tag. `id` is of the route or listener.
    pub fn tag(self, kind: Kind, id: u32) -> u64 {
        // Odd, with bits all over: 2^64 by the golden ratio. Both halves of the product, so that every bit counts.
        const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
        let limit = (kind as u64) << 32 | u64::from(id);
        let product = u128::from(self.0 ^ limit) * u128::from(SPREAD);
        ((product >> 64) as u64 ^ product as u64).max(1)
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

//! From a client's address to the conditions whose networks it is in.

use std::net::IpAddr;

use super::{Found, fixed};
use crate::{
    route::index::hash::ByteMap,
    rule::{condition::Condition, network::masked},
};

/// Networks by their first bits: one look-up for each length that is in use.
#[derive(Debug, Default)]
pub(super) struct Clients {
    v4: Lengths,
    v6: Lengths,
}

#[derive(Debug, Default)]
struct Lengths {
    /// Lengths in use.
    lengths: Vec<u8>,
    /// By length and first bits.
    networks: ByteMap<Box<[u32]>>,
}

/// A length and the bits of an address that it keeps.
fn key(address: IpAddr, bits: u8) -> [u8; 17] {
    let mut key = [bits; 17];
    if let Some(rest) = key.last_chunk_mut() {
        *rest = masked(address, bits).to_le_bytes();
    }
    key
}

impl Clients {
    pub(super) fn build<'c>(conditions: impl Iterator<Item = (u32, &'c Condition)>) -> Clients {
        let (mut v4, mut v6) = (ByteMap::<Vec<u32>>::default(), ByteMap::<Vec<u32>>::default());
        let mut clients = Clients::default();
        for (number, condition) in conditions {
            let Condition::Client(networks) = condition else { continue };
            for (address, bits) in networks.iter().map(|network| network.parts()) {
                let (lists, lengths) = match address {
                    IpAddr::V4(_) => (&mut v4, &mut clients.v4.lengths),
                    IpAddr::V6(_) => (&mut v6, &mut clients.v6.lengths),
                };
                lists.entry(key(address, bits).into()).or_default().push(number);
                if !lengths.contains(&bits) {
                    lengths.push(bits);
                }
            }
        }
        clients.v4.networks = fixed(v4);
        clients.v6.networks = fixed(v6);
        clients
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.lengths.is_empty() && self.v6.lengths.is_empty()
    }

    #[inline]
    pub(super) fn mark(&self, client: IpAddr, found: &mut Found<'_>) {
        let Lengths { lengths, networks } = if client.is_ipv4() { &self.v4 } else { &self.v6 };
        for bits in lengths {
            if let Some(conditions) = networks.get(key(client, *bits).as_slice()) {
                found.all_hold(conditions);
            }
        }
    }
}

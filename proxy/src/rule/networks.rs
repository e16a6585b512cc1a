//! Many networks as one set.

use std::net::IpAddr;

use super::network::{Network, key};

/// Addresses of any number of networks; asking takes as long as looking a word up in a dictionary.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks {
    v4: Ranges,
    v6: Ranges,
}

/// First and last addresses, in order, none touching the next.
type Ranges = Box<[(u128, u128)]>;

impl Networks {
    /// Whether `address`, IPv4 as such, is in any of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let ranges = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let key = key(address);
        let behind = ranges.partition_point(|(first, _)| *first <= key);
        behind.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| key <= *last)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Networks {
        let (v4, v6): (Vec<Network>, Vec<Network>) =
            networks.into_iter().partition(|network| network.parts().0.is_ipv4());
        Networks { v4: ranges(&v4), v6: ranges(&v6) }
    }
}

fn ranges(networks: &[Network]) -> Ranges {
    let mut all: Vec<(u128, u128)> = networks.iter().map(Network::ends).collect();
    all.sort_unstable();
    all.dedup_by(|(first, last), (_, end)| {
        let touches = *first <= end.saturating_add(1);
        if touches {
            *end = (*end).max(*last);
        }
        touches
    });
    all.into()
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn set(of: &[&str]) -> Networks {
        of.iter().map(|text| Network::parse(text).expect(text)).collect()
    }

    #[test]
    fn ends_of_networks() {
        let networks = set(&["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "192.0.2.2/31"]);
        for (address, inside) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("192.0.2.0", false),
            ("192.0.2.1", true),
            ("192.0.2.3", true),
            ("192.0.2.4", false),
            ("2001:db8::", true),
            ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:db9::", false),
            ("::10.0.0.1", false),
        ] {
            assert_eq!(networks.contains(address.parse().expect(address)), inside, "{address}");
        }
        assert!(!networks.is_empty() && set(&[]).is_empty());
        assert!(!set(&[]).contains([0, 0, 0, 0].into()));
        let all = set(&["0.0.0.0/0", "::/0"]);
        for address in ["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
            assert!(all.contains(address.parse().expect(address)), "{address}");
        }
        // The same set, however it was written.
        assert_eq!(set(&["10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16"]), set(&["10.0.0.0/8"]));
    }

    proptest! {
        #[test]
        fn as_asking_each(
            networks in vec((any::<bool>(), any::<u128>(), 0u8..=128), 0..12),
            flips in vec((any::<prop::sample::Index>(), 0u32..128), 1..40),
        ) {
            let networks: Vec<Network> = networks.iter().map(|(v4, bits, length)| {
                let address = match v4 {
                    true => IpAddr::V4(Ipv4Addr::from(*bits as u32)),
                    // Never IPv4 in disguise, which no network is.
                    false => IpAddr::V6(Ipv6Addr::from(*bits | 1 << 127)),
                };
                let length = if *v4 { length % 33 } else { *length };
                Network::around(address, length)
            }).collect();
            let set: Networks = networks.iter().copied().collect();
            for (index, flip) in flips {
                let Some(network) = networks.get(index.index(networks.len().max(1))) else { continue };
                // Near the ends of one of them.
                let address = match network.parts().0 {
                    IpAddr::V4(it) => IpAddr::V4(Ipv4Addr::from(u32::from(it) ^ 1 << (flip % 32))),
                    IpAddr::V6(it) => IpAddr::V6(Ipv6Addr::from(u128::from(it) ^ 1 << flip)),
                };
                prop_assert_eq!(set.contains(address), networks.iter().any(|it| it.contains(address)));
            }
        }
    }
}

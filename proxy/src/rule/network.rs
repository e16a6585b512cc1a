//! A range of addresses as `10.0.0.0/8`.

use std::{fmt, net::IpAddr};

use crate::route::PatternError;

/// All addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    /// Bits that count: up to 32 or 128.
    bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32` or one address.
    ///
    /// # Errors
    ///
    /// What is no address, a length that the address does not have, bits set behind it, and IPv4 in the guise of IPv6,
    /// which no client has.
    pub fn parse(text: &str) -> Result<Network, PatternError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else { return Err(no_address(text, address)) };
        let most = most_bits(address);
        let bits = match bits {
            None => most,
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok().filter(|bits| *bits <= most).ok_or_else(|| no_length(text, most))?
            }
            Some(text) => return Err(no_length(text, most)),
        };
        if address.to_canonical() != address {
            return Err(PatternError::new(
                format!("`{text}` is IPv4 written as IPv6"),
                format!("clients of IPv4 are seen as such: write {}", address.to_canonical()),
            ));
        }
        let network = Network { address, bits };
        let first = masked(address, bits);
        if first != key(address) {
            let meant = Network { address: from_key(first, address), bits };
            return Err(PatternError::new(
                format!("`{text}` has bits set behind its first {bits}"),
                format!("write {meant} for all of that network, or {address} for the one address"),
            ));
        }
        Ok(network)
    }

    /// Whether `address` is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.bits) == key(self.address)
    }

    /// Whether it holds every address of its family.
    pub fn is_everybody(&self) -> bool {
        self.bits == 0
    }

    /// Its first and its last address, as numbers.
    pub(super) fn ends(&self) -> (u128, u128) {
        let first = key(self.address);
        let behind = u32::from(most_bits(self.address).saturating_sub(self.bits));
        (first, first | u128::MAX.checked_shr(128 - behind).unwrap_or(0))
    }

    /// The network of this length that `address` is in.
    #[cfg(test)]
    pub(super) fn around(address: IpAddr, bits: u8) -> Network {
        Network { address: from_key(masked(address, bits), address), bits }
    }

    /// The bits that count, at the top of 128 or of 32, and how many they are.
    pub(super) fn parts(&self) -> (IpAddr, u8) {
        (self.address, self.bits)
    }
}

/// Bits of an address.
fn most_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// An address as a number, that of IPv4 at the bottom.
pub(super) fn key(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn from_key(key: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4((key as u32).into()),
        IpAddr::V6(_) => IpAddr::V6(key.into()),
    }
}

/// The first `bits` of an address, the others 0, as a number.
pub(super) fn masked(address: IpAddr, bits: u8) -> u128 {
    let behind = u32::from(most_bits(address).saturating_sub(bits));
    key(address).checked_shr(behind).and_then(|key| key.checked_shl(behind)).unwrap_or(0)
}

fn no_length(text: &str, most: u8) -> PatternError {
    PatternError::new(format!("`{text}` is no length of a network's address"), format!("0 to {most} bits"))
}

fn no_address(text: &str, address: &str) -> PatternError {
    let fix = if address.parse::<std::net::SocketAddr>().is_ok() {
        "give the address without a port"
    } else if address.starts_with('[') {
        "give the address without brackets"
    } else if address.contains('%') {
        "give the address without a zone"
    } else {
        "write an address or a network, as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32; names are not looked up"
    };
    PatternError::new(format!("`{text}` is neither an address nor a network"), fix)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bits == most_bits(self.address) {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.bits),
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (text, shown, inside, outside) in [
            ("10.0.0.0/8", "10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("0.0.0.0/0", "0.0.0.0/0", "255.255.255.255", "::"),
            ("::/0", "::/0", "ffff::1", "0.0.0.0"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("192.0.2.1/32", "192.0.2.1", "192.0.2.1", "192.0.2.0"),
            ("192.0.2.128/25", "192.0.2.128/25", "192.0.2.255", "192.0.2.127"),
            ("2001:DB8::/32", "2001:db8::/32", "2001:db8:ffff::", "2001:db9::"),
            ("::1", "::1", "::1", "::2"),
            ("2001:db8::/127", "2001:db8::/127", "2001:db8::1", "2001:db8::2"),
        ] {
            let network = Network::parse(text).expect(text);
            assert_eq!(network.to_string(), shown);
            assert!(network.contains(inside.parse().expect(inside)), "{text} {inside}");
            assert!(!network.contains(outside.parse().expect(outside)), "{text} {outside}");
        }
    }

    #[test]
    fn refused() {
        for (text, want) in [
            ("", "names are not looked up"),
            ("localhost", "names are not looked up"),
            ("10.0.0.0/", "0 to 32 bits"),
            ("10.0.0.0/33", "0 to 32 bits"),
            ("10.0.0.0/+8", "0 to 32 bits"),
            ("10.0.0.0/999", "0 to 32 bits"),
            ("::/129", "0 to 128 bits"),
            ("10.1.2.3/8", "write 10.0.0.0/8 for all of that network, or 10.1.2.3 for the one"),
            ("2001:db8::1/64", "write 2001:db8::/64"),
            ("::ffff:10.0.0.1", "write 10.0.0.1"),
            ("10.0.0.1:80", "without a port"),
            ("[::1]", "without brackets"),
            ("fe80::1%eth0", "without a zone"),
            ("10.0.0", "names are not looked up"),
        ] {
            let error = Network::parse(text).expect_err(text).to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}

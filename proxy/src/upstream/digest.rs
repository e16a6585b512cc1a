//! A hash that is the same in every process and version: keys and endpoints are placed by it, and a restart, or another
//! proxy beside this one, must place them alike. No protection against who wants two keys to collide; bounds on load are.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a over 64 bits, its bits then mixed, so that all of them depend on all of the text.
pub fn digest(bytes: impl IntoIterator<Item = u8>) -> u64 {
    mix(bytes.into_iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)))
}

/// The last step of splitmix64: one to one, every bit of the result depends on every bit of `value`.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written down, because a change of it would send every client elsewhere.
    #[test]
    fn it_never_changes() {
        // FNV-1a's own test vectors, mixed.
        assert_eq!(digest([]), mix(0xcbf2_9ce4_8422_2325));
        assert_eq!(digest(*b"a"), mix(0xaf63_dc4c_8601_ec8c));
        assert_eq!(digest(*b"foobar"), mix(0x8594_4171_f739_67e8));
        assert_eq!(mix(0), 0);
        assert_ne!(digest(*b"10.0.0.1"), digest(*b"10.0.0.2"));
    }
}

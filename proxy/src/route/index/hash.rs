//! A fast hash for short byte strings.
//!
//! The standard library's hash is keyed, so that nobody can choose keys that collide. Here the keys come from the
//! config alone: a request can only ask, and asking costs the same whatever the hash.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// A map from byte strings that stand in the config.
pub(crate) type ByteMap<V> = HashMap<Box<[u8]>, V, BuildHasherDefault<ByteHasher>>;

// Odd, with bits set all over: the fraction of the square roots of 2 and 3.
const MIX_LOW: u64 = 0x6a09_e667_f3bc_c909;
const MIX_HIGH: u64 = 0xbb67_ae85_84ca_a73b;

/// Folded multiplication of 16 bytes at a time.
#[derive(Default)]
pub(crate) struct ByteHasher(u64);

impl ByteHasher {
    #[inline]
    fn mix(&mut self, low: u64, high: u64) {
        let product = u128::from(low ^ self.0 ^ MIX_LOW) * u128::from(high ^ MIX_HIGH);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for ByteHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((chunk, tail)) = rest.split_first_chunk::<16>() {
            if tail.is_empty() {
                break;
            }
            let (low, high) = chunk.split_at(8);
            self.mix(word(low), word(high));
            rest = tail;
        }
        // The rest is 0 to 16 bytes, read as two words that overlap.
        let (low, high) = match (rest.first_chunk::<8>(), rest.last_chunk::<8>()) {
            (Some(low), Some(high)) => (u64::from_le_bytes(*low), u64::from_le_bytes(*high)),
            _ => match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
                (Some(low), Some(high)) => {
                    (u64::from(u32::from_le_bytes(*low)), u64::from(u32::from_le_bytes(*high)))
                }
                _ => (word(rest), 0),
            },
        };
        self.mix(low, high);
    }

    // What a slice writes before its bytes: its length.
    #[inline]
    fn write_usize(&mut self, length: usize) {
        self.0 ^= length as u64;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// The hash of one byte string, its length counted in.
#[inline]
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = ByteHasher::default();
    hasher.write_usize(bytes.len());
    hasher.write(bytes);
    hasher.finish()
}

/// Up to 8 bytes as a number.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(word) => u64::from_le_bytes(*word),
        None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, hash::Hash};

    use super::*;

    #[test]
    fn hashes_differ() {
        let mut seen = HashSet::new();
        let mut texts: Vec<Vec<u8>> = (0..100).map(|length| vec![b'a'; length]).collect();
        texts.extend((0..100_000).map(|i| format!("host-{i}.example.com").into_bytes()));
        texts.extend((0..100_000).map(|i| format!("/{i}").into_bytes()));
        for text in &texts {
            let mut hasher = ByteHasher::default();
            text.as_slice().hash(&mut hasher);
            assert!(seen.insert(hasher.finish()), "{}", String::from_utf8_lossy(text));
        }
        // Maps take the low bits for the place and the seven highest for the first comparison.
        let places: HashSet<u64> = seen.iter().map(|hash| hash & 0xffff).collect();
        let tags: HashSet<u64> = seen.iter().map(|hash| hash >> 57).collect();
        assert!(places.len() > 60_000, "{} places", places.len());
        assert_eq!(tags.len(), 128);
    }
}

//! What has to be remembered while a request is looked at, kept from one to the next so that nothing is allocated.

/// One caller's memory. Fits whatever rules it is used with.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) marks: Marks,
    /// Query parameters that have been seen: the first one counts.
    pub(super) seen: Bits,
    /// A name in lower case, or decoded.
    pub(super) name: Vec<u8>,
    /// A value decoded.
    pub(super) value: Vec<u8>,
}

/// What is known of the request.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Conditions that hold.
    pub(super) holds: Bits,
    /// Rules that have to be asked.
    pub(super) asked: Bits,
    /// Regexes that have been asked about the text at hand.
    pub(super) tried: Bits,
}

/// A set of small numbers.
#[derive(Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// Empties it, and makes room for numbers below `count`.
    #[inline]
    pub(super) fn clear(&mut self, count: usize) {
        self.0.clear();
        self.0.resize(count.div_ceil(64), 0);
    }

    /// Makes it the same as another, in the room that it has.
    #[inline]
    pub(super) fn copy_from(&mut self, other: &Bits) {
        self.0.clear();
        self.0.extend_from_slice(&other.0);
    }

    /// Adds a number; true: it was not in it.
    #[inline]
    pub(super) fn add(&mut self, number: u32) -> bool {
        let bit = 1 << (number % 64);
        match self.0.get_mut(number as usize / 64) {
            Some(word) => {
                let new = *word & bit == 0;
                *word |= bit;
                new
            }
            None => false,
        }
    }

    /// Whether a number is in it.
    #[inline]
    pub(super) fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// The least number in it that is `from` or above.
    #[inline]
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let mut at = from / 64;
        let mut word = self.0.get(at)? & (u64::MAX << (from % 64));
        while word == 0 {
            at += 1;
            word = *self.0.get(at)?;
        }
        Some(at * 64 + word.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_order() {
        let mut bits = Bits::default();
        bits.clear(200);
        for number in [199, 0, 63, 64, 130] {
            assert!(bits.add(number));
        }
        assert!(!bits.add(63) && bits.has(130) && !bits.has(131));
        let mut found = Vec::new();
        while let Some(number) = bits.next(found.last().map_or(0, |last| last + 1)) {
            found.push(number);
        }
        assert_eq!(found, [0, 63, 64, 130, 199]);
        assert!(!bits.add(256) && !bits.has(256), "beyond the room there is nothing");
        bits.clear(1);
        assert_eq!(bits.next(0), None);
    }
}

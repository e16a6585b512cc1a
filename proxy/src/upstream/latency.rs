//! Latencies in few buckets, four to each power of two from 64 microseconds to two minutes: a percentile is right within
//! a fifth, which is enough to tell an endpoint from its peers.

/// How many buckets there are.
pub const LATENCY_BUCKETS: usize = 80;

/// The bucket of a latency; the last one has all that is longer.
pub fn bucket(micros: u64) -> usize {
    let steps = micros >> 6;
    let place = match steps {
        0..4 => steps as usize,
        _ => {
            let power = steps.ilog2() as usize;
            (power - 1) * 4 + (steps >> (power - 2) & 3) as usize
        }
    };
    place.min(LATENCY_BUCKETS - 1)
}

/// The longest latency of a bucket, in microseconds.
pub fn longest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let steps = match bucket {
        0..4 => bucket + 1,
        _ => (4 + bucket % 4 + 1) << (bucket / 4 - 1),
    };
    (steps << 6) - 1
}

/// How many latencies are in each bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buckets([u32; LATENCY_BUCKETS]);

impl Default for Buckets {
    fn default() -> Buckets {
        Buckets([0; LATENCY_BUCKETS])
    }
}

impl Buckets {
    /// Adds to each bucket.
    pub fn add(&mut self, more: impl Iterator<Item = u32>) {
        for (word, more) in self.0.iter_mut().zip(more) {
            *word = word.wrapping_add(more);
        }
    }

    /// Adds all of `other`.
    pub fn add_all(&mut self, other: &Buckets) {
        self.add(other.0.iter().copied());
    }

    /// What these have more than `before`.
    pub fn since(&self, before: &Buckets) -> Buckets {
        let mut since = Buckets::default();
        for (word, (now, before)) in since.0.iter_mut().zip(self.0.iter().zip(&before.0)) {
            *word = now.wrapping_sub(*before);
        }
        since
    }

    /// All of them.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(*word)).sum()
    }

    /// The latency that 99 of 100 do not exceed, in microseconds, rounded up to its bucket's longest. `None`: there are
    /// none.
    pub fn p99_us(&self) -> Option<u64> {
        let count = self.count();
        let rank = count - count / 100;
        let mut passed = 0;
        let place = self.0.iter().position(|word| {
            passed += u64::from(*word);
            count > 0 && passed >= rank
        });
        place.map(longest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_percentile_is_of_the_slowest() {
        let mut buckets = Buckets::default();
        assert_eq!(buckets.p99_us(), None);
        let mut put = |micros, count| {
            let mut more = [0; LATENCY_BUCKETS];
            more[bucket(micros)] = count;
            buckets.add(more.into_iter());
            buckets.p99_us()
        };
        assert_eq!(put(1_000, 99), Some(longest(bucket(1_000))));
        // One in a hundred is not the 99th percentile, two are.
        assert_eq!(put(500_000, 1), Some(longest(bucket(1_000))));
        assert_eq!(put(500_000, 2), Some(longest(bucket(500_000))));
    }

    proptest! {
        #[test]
        fn a_bucket_holds_what_it_is_said_to(micros in 0_u64..100_000_000) {
            let place = bucket(micros);
            prop_assert!(micros <= longest(place));
            prop_assert!(place == 0 || micros > longest(place - 1));
            // Within a fifth, from 256 microseconds on.
            prop_assert!(micros < 256 || longest(place) as f64 <= micros as f64 * 1.25);
        }
    }
}

//! How long to wait before the next try: longer after each failure, and never the same for a whole fleet.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use super::{BACKOFF_MAX, BACKOFF_MIN};

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure: half of it is certain, the other half is chance.
    pub(super) fn next(&mut self) -> Duration {
        let chance = chance() as f64 / u64::MAX as f64;
        let wait = self.longest();
        self.failures = self.failures.saturating_add(1);
        wait.mul_f64(0.5 + chance / 2.0)
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    fn longest(&self) -> Duration {
        let doubled = 2_u32.saturating_pow(self.failures.min(20));
        BACKOFF_MIN.saturating_mul(doubled).min(BACKOFF_MAX)
    }
}

/// A number by chance. The standard library has no plainer source of it.
pub(super) fn chance() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_its_bound_and_is_never_the_same() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..200).map(|_| backoff.next()).collect();
        assert!(waits[0] >= BACKOFF_MIN / 2 && waits[0] <= BACKOFF_MIN);
        assert!(waits[3] >= BACKOFF_MIN * 4 && waits[3] <= BACKOFF_MIN * 8);
        assert!(waits[20..].iter().all(|it| *it >= BACKOFF_MAX / 2 && *it <= BACKOFF_MAX));
        let (least, most) = (waits[20..].iter().min(), waits[20..].iter().max());
        assert!(most.zip(least).is_some_and(|(most, least)| *most - *least > BACKOFF_MAX / 4));
        backoff.reset();
        assert!(backoff.next() <= BACKOFF_MIN);
    }
}

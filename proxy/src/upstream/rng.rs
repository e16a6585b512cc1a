//! A source of random numbers for choices: quick, even, seeded by whoever makes it, and no secret.

use std::cell::Cell;

/// wyrand: an addition and a multiplication for each number. Each worker has one, with a seed of its own.
#[derive(Debug, Clone)]
pub struct Rng(Cell<u64>);

impl Rng {
    /// The source that this seed gives. Any will do.
    pub fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// The next number.
    pub fn draw(&self) -> u64 {
        let state = self.0.get().wrapping_add(0xa076_1d64_78bd_642f);
        self.0.set(state);
        let product = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
        (product >> 64) as u64 ^ product as u64
    }

    /// The next number below `bound`; 0 when that is 0. No two are more than a part in 2^64 / `bound` apart in how often
    /// they come.
    pub fn below(&self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_even_and_seeds_differ() {
        let rng = Rng::new(7);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[rng.below(10) as usize] += 1;
        }
        // Five standard deviations (95 each).
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 475), "{counts:?}");
        assert_eq!((rng.below(0), rng.below(1)), (0, 0));
        let first = |seed| Rng::new(seed).draw();
        assert!(first(1) != first(2) && first(0) != first(u64::MAX));
    }
}

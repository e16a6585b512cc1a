//! Random choice by weight: each request is drawn for itself, so that pickers that know nothing of each other add up to
//! the weights however many they are.

use super::{SHARE_FULL, View, rng::Rng, thinned};

/// Draws of one that can't be asked, before those that can are looked for one by one.
const DRAWS_MAX: u32 = 8;

/// A picker over one list of endpoints. What it picks is an index into that list.
#[derive(Debug, Clone, Default)]
pub struct Random {
    /// The sum of the weights up to and with each place.
    sums: Box<[u64]>,
}

impl Random {
    /// A picker over endpoints with these weights.
    pub fn over(weights: impl Iterator<Item = u32>) -> Self {
        let mut sum = 0;
        let add = |weight: u32| {
            sum += u64::from(weight);
            sum
        };
        Self { sums: weights.map(add).collect() }
    }

    /// The next endpoint, or none.
    pub fn pick(&self, view: &impl View, rng: &Rng) -> Option<usize> {
        self.pick_but(None, view, rng)
    }

    /// As `pick`, without one of them.
    pub fn pick_but(&self, but: Option<usize>, view: &impl View, rng: &Rng) -> Option<usize> {
        let all = *self.sums.last()?;
        for _ in 0..DRAWS_MAX {
            let drawn = rng.below(all);
            let index = self.sums.partition_point(|sum| *sum <= drawn);
            // Beyond the end when all weights are 0.
            if index >= self.sums.len() {
                return None;
            }
            if Some(index) != but && !view.skips(index) && !thinned(view, index, rng) {
                return Some(index);
            }
        }
        // The same odds, without the luck that it takes to hit the only one left.
        let weight = |index: usize| match Some(index) == but || view.skips(index) {
            true => 0,
            false => self.weight(index),
        };
        let in_share = |index: usize| weight(index) * u64::from(view.share(index));
        let whole = |index: usize| weight(index) * u64::from(SHARE_FULL);
        self.draw(in_share, rng).or_else(|| self.draw(whole, rng))
    }

    /// The weight of the endpoint in this place.
    pub fn weight(&self, index: usize) -> u64 {
        let before = index.checked_sub(1).and_then(|before| self.sums.get(before)).copied().unwrap_or(0);
        self.sums.get(index).map_or(0, |sum| sum - before)
    }

    /// How many have a weight above 0.
    pub fn positive(&self) -> usize {
        (0..self.sums.len()).filter(|index| self.weight(*index) > 0).count()
    }

    fn draw(&self, weight: impl Fn(usize) -> u64, rng: &Rng) -> Option<usize> {
        let places = 0..self.sums.len();
        let all: u64 = places.clone().map(&weight).sum();
        let mut left = rng.below(all);
        places.into_iter().find(|index| match left.checked_sub(weight(*index)) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::upstream::{rng::Rng, tests::State};

    #[test]
    fn weights_are_the_odds() {
        let picker = Random::over([1, 0, 2, 7].into_iter());
        assert_eq!((picker.weight(2), picker.weight(9), picker.positive()), (2, 0, 3));
        let (rng, state, mut counts) = (Rng::new(1), State::idle(4), [0_u32; 4]);
        for _ in 0..10_000 {
            counts[picker.pick(&state, &rng).unwrap_or(1)] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!(counts[0].abs_diff(1000) < 150 && counts[2].abs_diff(2000) < 200, "{counts:?}");
    }

    /// However few are left, they have the odds that their weights give.
    #[test]
    fn odds_hold_among_the_few_that_are_left() {
        let picker = Random::over((0..100).map(|index| if index < 2 { 1 + 2 * index } else { 10 }));
        let mut state = State::idle(100);
        state.skipped = (2..100).collect();
        let rng = Rng::new(3);
        let ones = (0..10_000).filter(|_| picker.pick(&state, &rng) == Some(1)).count();
        assert!(ones.abs_diff(7500) < 220, "{ones}");
    }

    #[test]
    fn nothing_to_pick() {
        let rng = Rng::new(0);
        for weights in [&[][..], &[0], &[0, 0]] {
            assert_eq!(Random::over(weights.iter().copied()).pick(&State::idle(2), &rng), None);
        }
        let picker = Random::over([1, 1].into_iter());
        let state = State { skipped: vec![0, 1], ..State::idle(2) };
        assert_eq!(picker.pick(&state, &rng), None);
        assert_eq!(picker.pick_but(Some(1), &State { skipped: vec![0], ..State::idle(2) }, &rng), None);
        assert_eq!(picker.pick_but(Some(1), &State::idle(2), &rng), Some(0));
    }

    /// One that is the only one serves whatever its share is.
    #[test]
    fn shares_thin_and_never_starve() {
        let picker = Random::over([1, 1].into_iter());
        let rng = Rng::new(5);
        let state = State { shares: vec![250, 1000], ..State::idle(2) };
        let zeros = (0..10_000).filter(|_| picker.pick(&state, &rng) == Some(0)).count();
        assert!(zeros.abs_diff(2000) < 200, "{zeros}");
        let state = State { shares: vec![0, 1000], skipped: vec![1], ..State::idle(2) };
        assert_eq!(picker.pick(&state, &rng), Some(0));
    }

    proptest! {
        #[test]
        fn what_is_picked_may_be(
            weights in vec(0_u32..5, 0..12),
            skipped in vec(0_usize..12, 0..12),
            seed: u64,
        ) {
            let picker = Random::over(weights.iter().copied());
            let state = State { skipped, ..State::idle(weights.len()) };
            let rng = Rng::new(seed);
            let good = |index: &usize| weights[*index] > 0 && !state.skips(*index);
            let any = (0..weights.len()).any(|index| good(&index));
            for _ in 0..20 {
                let picked = picker.pick(&state, &rng);
                prop_assert_eq!(picked.is_some(), any);
                prop_assert!(picked.iter().all(good));
            }
        }
    }
}

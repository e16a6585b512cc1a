//! The better of two random choices: two endpoints are drawn by weight, and the one with fewer requests under way for its
//! weight is taken. Nearly as even as asking all of them, at the cost of two, and pickers that see different things do
//! not all run to the same endpoint.

use super::{View, random::Random, rng::Rng};

/// A picker over one list of endpoints. What it picks is an index into that list.
#[derive(Debug, Clone, Default)]
pub struct PowerOfTwo {
    random: Random,
    /// There are two to draw.
    is_choice: bool,
}

impl PowerOfTwo {
    /// A picker over endpoints with these weights.
    pub fn over(weights: impl Iterator<Item = u32>) -> Self {
        let random = Random::over(weights);
        Self { is_choice: random.positive() > 1, random }
    }

    /// The next endpoint, or none.
    pub fn pick(&self, view: &impl View, rng: &Rng) -> Option<usize> {
        let (one, other) = self.draw(view, rng)?;
        // a / b < c / d, without dividing. Of equals the first: then it is the draw by weight alone that decides.
        let load = |index: usize, of: usize| u64::from(view.in_flight(index)) * self.capacity(of, view);
        let better = other.filter(|other| load(*other, one) < load(one, *other));
        Some(better.unwrap_or(one))
    }

    /// Two different endpoints, or the only one.
    pub fn draw(&self, view: &impl View, rng: &Rng) -> Option<(usize, Option<usize>)> {
        let one = self.random.pick(view, rng)?;
        let other = if self.is_choice { self.random.pick_but(Some(one), view, rng) } else { None };
        Some((one, other))
    }

    /// The weight that an endpoint has at present, at least 1.
    pub fn capacity(&self, index: usize, view: &impl View) -> u64 {
        (self.random.weight(index) * u64::from(view.share(index))).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::State;

    #[test]
    fn the_less_loaded_of_two() {
        let picker = PowerOfTwo::over([1, 1].into_iter());
        let rng = Rng::new(1);
        let state = State { in_flight: vec![3, 2], ..State::idle(2) };
        assert!((0..50).all(|_| picker.pick(&state, &rng) == Some(1)));
        // For their weights the other way round.
        let picker = PowerOfTwo::over([2, 1].into_iter());
        assert!((0..50).all(|_| picker.pick(&state, &rng) == Some(0)));
        // One that comes back slowly is as good as a small one.
        let state = State { shares: vec![100, 1000], ..state };
        assert!((0..50).all(|_| picker.pick(&state, &rng) == Some(1)));
    }

    #[test]
    fn one_is_enough() {
        let rng = Rng::new(1);
        assert_eq!(PowerOfTwo::over([0, 4].into_iter()).pick(&State::idle(2), &rng), Some(1));
        let state = State { skipped: vec![0], in_flight: vec![0, 9], ..State::idle(2) };
        assert_eq!(PowerOfTwo::over([1, 1].into_iter()).pick(&state, &rng), Some(1));
        assert_eq!(PowerOfTwo::over([].into_iter()).pick(&State::idle(0), &rng), None);
    }

    /// An endpoint that is the most loaded of all is never taken: whoever it is drawn with is better.
    #[test]
    fn the_worst_of_many_gets_nothing() {
        let picker = PowerOfTwo::over([1; 10].into_iter());
        let rng = Rng::new(9);
        let mut state = State::idle(10);
        state.in_flight[4] = 1;
        assert!((0..1000).all(|_| picker.pick(&state, &rng) != Some(4)));
    }
}

//! The endpoint with the fewest requests under way for its weight; those that are alike take turns, by weight. All
//! endpoints are looked at for each request.

use super::{View, rng::Rng, round_robin::RoundRobin, thinned};

/// A picker over one list of endpoints. What it picks is an index into that list.
#[derive(Debug, Clone, Default)]
pub struct LeastRequests {
    weights: Box<[u32]>,
    turns: RoundRobin,
}

/// Requests under way at an endpoint, and the weight that it has at present.
#[derive(Debug, Clone, Copy)]
struct Load {
    in_flight: u64,
    capacity: u64,
}

impl Load {
    /// How many there would be of each if both had the same number for their weight.
    fn crossed(self, other: Load) -> (u64, u64) {
        (self.in_flight * other.capacity, other.in_flight * self.capacity)
    }
}

impl LeastRequests {
    /// A picker whose turns start at `start_offset`.
    pub fn new(start_offset: u32) -> Self {
        Self { weights: Box::default(), turns: RoundRobin::new(std::iter::empty(), start_offset) }
    }

    /// Takes on a new list of ids and weights; see [`RoundRobin::adopt`].
    pub fn adopt(&mut self, endpoints: impl Iterator<Item = (u32, u32)> + Clone) {
        self.weights = endpoints.clone().map(|(_, weight)| weight).collect();
        self.turns.adopt(endpoints);
    }

    /// The next endpoint, or none.
    pub fn pick(&mut self, view: &impl View, rng: &Rng) -> Option<usize> {
        let Self { weights, turns } = self;
        let load = |index: usize| {
            let weight = weights.get(index).copied().filter(|weight| *weight > 0 && !view.skips(index))?;
            let capacity = u64::from(weight) * u64::from(view.share(index)).max(1);
            Some(Load { in_flight: view.in_flight(index).into(), capacity })
        };
        let least = (0..weights.len()).filter_map(load).reduce(|least, it| {
            let (a, b) = it.crossed(least);
            if a < b { it } else { least }
        })?;
        let is_more = |index: usize| {
            load(index).is_none_or(|it| {
                let (a, b) = it.crossed(least);
                a != b
            })
        };
        turns.pick(|index| is_more(index) || thinned(view, index, rng)).or_else(|| turns.pick(is_more))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::upstream::{rng::Rng, tests::State};

    fn picker(weights: &[u32]) -> LeastRequests {
        let mut picker = LeastRequests::new(0);
        picker.adopt((0..).zip(weights.iter().copied()));
        picker
    }

    #[track_caller]
    fn check(weights: &[u32], state: &State, want: &[usize]) {
        let (mut picker, rng) = (picker(weights), Rng::new(1));
        let picks: Vec<_> = want.iter().map(|_| picker.pick(state, &rng)).collect();
        assert_eq!(picks, want.iter().copied().map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn the_fewest_for_their_weight() {
        let state =
            |in_flight: &[u32]| State { in_flight: in_flight.to_vec(), ..State::idle(in_flight.len()) };
        check(&[1, 1, 1], &state(&[2, 1, 3]), &[1, 1]);
        check(&[4, 1, 1], &state(&[3, 1, 1]), &[0, 0]);
        check(&[0, 1], &state(&[0, 9]), &[1]);
        // Those that are alike take turns; of idle ones each as often as its weight says.
        check(&[1, 1, 1], &state(&[1, 2, 1]), &[0, 2, 0, 2]);
        check(&[5, 1, 1], &state(&[0, 0, 0]), &[0, 0, 1, 0, 2, 0, 0]);
        check(&[1, 1], &State { skipped: vec![0], ..state(&[0, 5]) }, &[1]);
        // Coming back at a tenth: two requests are as twenty.
        check(&[1, 1], &State { shares: vec![100, 1000], ..state(&[2, 19]) }, &[1]);
        check(&[1, 1], &State { shares: vec![100, 1000], ..state(&[2, 21]) }, &[0]);
    }

    #[test]
    fn one_whose_share_is_nothing_serves_when_it_is_alone() {
        let state = State { shares: vec![0, 0], skipped: vec![1], ..State::idle(2) };
        check(&[1, 1], &state, &[0, 0]);
        assert_eq!(picker(&[0]).pick(&State::idle(1), &Rng::new(0)), None);
        assert_eq!(picker(&[]).pick(&State::idle(0), &Rng::new(0)), None);
    }

    proptest! {
        /// Nobody is better than the one that is picked.
        #[test]
        fn it_is_a_least_one(
            list in vec((0_u32..5, 0_u32..20), 1..12),
            skipped in vec(0_usize..12, 0..6),
        ) {
            let (weights, in_flight): (Vec<_>, Vec<_>) = list.into_iter().unzip();
            let state = State { in_flight: in_flight.clone(), skipped, ..State::idle(weights.len()) };
            let load = |index: &usize| f64::from(in_flight[*index]) / f64::from(weights[*index]);
            let able: Vec<_> =
                (0..weights.len()).filter(|index| weights[*index] > 0 && !state.skips(*index)).collect();
            let least = able.iter().map(load).fold(f64::INFINITY, f64::min);
            match picker(&weights).pick(&state, &Rng::new(0)) {
                Some(picked) => prop_assert!(able.contains(&picked) && load(&picked) <= least),
                None => prop_assert!(able.is_empty()),
            }
        }
    }
}

//! Shares of a route's requests for several upstreams.

use std::sync::Arc;

use super::{action::Action, table::Route};
use crate::upstream::{Upstream, round_robin::pick_smooth};

/// Weights over upstreams. State (the cursor) is the worker's; see `Split::pick`.
#[derive(Debug, Clone)]
pub struct Split {
    /// Index into `RouteTable::upstreams` and weight, weight 0 allowed, at least one above 0.
    pub choices: Box<[(usize, u32)]>,
}

/// Where a worker is in the cycle of one split. Kept by the identity of the route; a split that has changed its
/// choices starts its cycle anew.
#[derive(Debug, Clone, Default)]
pub struct SplitState {
    credits: Vec<i64>,
}

/// A route's shares by what stays the same from table to table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    /// The route's identity.
    pub route: u32,
    /// Identities of upstreams and their weights, in the order of the split.
    pub shares: Arc<[(Option<u32>, u32)]>,
}

impl Shares {
    /// Those of `route`, if it splits.
    pub(super) fn of(route: &Route, upstreams: &[Option<Arc<Upstream>>]) -> Option<Self> {
        let Action::Split(split) = &route.action else { return None };
        let id = |place: usize| Some(upstreams.get(place)?.as_ref()?.id);
        let shares = split.choices.iter().map(|(place, weight)| (id(*place), *weight)).collect();
        Some(Self { route: route.id, shares })
    }
}

impl Split {
    /// The next upstream, as an index into `RouteTable::upstreams`: smooth weighted round robin, so that over a cycle
    /// (as many requests as the weights add up to) each gets exactly its weight, evenly spread. Allocates at the
    /// first use of a state. Upstream 0 when there is no choice at all, which no table has.
    pub fn pick(&self, state: &mut SplitState) -> usize {
        if let [(only, _)] = &*self.choices {
            return *only;
        }
        if state.credits.len() != self.choices.len() {
            state.credits.clear();
            state.credits.resize(self.choices.len(), 0);
        }
        let weights = self.choices.iter().map(|(_, weight)| *weight);
        let picked = pick_smooth(state.credits.iter_mut().zip(weights), |_| false);
        picked.and_then(|index| self.choices.get(index)).map_or(0, |(upstream, _)| *upstream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(choices: &[(usize, u32)], want: &[usize]) {
        let split = Split { choices: choices.into() };
        let mut state = SplitState::default();
        for _ in 0..3 {
            let got: Vec<usize> = want.iter().map(|_| split.pick(&mut state)).collect();
            assert_eq!(got, want);
        }
    }

    #[test]
    fn a_cycle() {
        check(&[(7, 1)], &[7]);
        check(&[(7, 1), (3, 1)], &[7, 3]);
        check(&[(0, 3), (1, 1)], &[0, 0, 1, 0]);
        check(&[(0, 0), (1, 2), (2, 1)], &[1, 2, 1]);
        check(&[(4, 5), (5, 1), (6, 1)], &[4, 4, 5, 4, 6, 4, 4]);
    }

    #[test]
    fn other_choices_start_anew() {
        let mut state = SplitState::default();
        let two = Split { choices: [(0, 1), (1, 1)].into() };
        let three = Split { choices: [(0, 1), (1, 1), (2, 1)].into() };
        assert_eq!(two.pick(&mut state), 0);
        assert_eq!([three.pick(&mut state), three.pick(&mut state), three.pick(&mut state)], [0, 1, 2]);
        assert_eq!([two.pick(&mut state), two.pick(&mut state)], [0, 1]);
    }

    #[test]
    fn nothing_to_choose_is_no_panic() {
        assert_eq!(Split { choices: [].into() }.pick(&mut SplitState::default()), 0);
        assert_eq!(Split { choices: [(3, 0), (4, 0)].into() }.pick(&mut SplitState::default()), 0);
    }
}

//! In which order a connection asks for the targets: each as often as its weight says, spread as evenly as can be.
use std::rc::Rc;

use super::random::Random;

/// The longest order that repeats: the sum of the weights, after dividing by what they have in common.
pub const ORDER_LENGTH_MAX: u64 = 10_000;

/// Indexes of targets, one after the other, for ever.
#[derive(Clone, Debug)]
pub(super) struct Order {
    round: Rc<[usize]>,
    at: usize,
}

impl Order {
    /// The order over `round`, begun at a place that depends on the seed.
    pub(super) fn new(round: Rc<[usize]>, seed: u64) -> Self {
        let at = (Random::new(seed).next() % round.len().max(1) as u64) as usize;
        Self { round, at }
    }

    pub(super) fn next(&mut self) -> usize {
        let index = self.round.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        if self.at >= self.round.len() {
            self.at = 0;
        }
        index
    }
}

/// How long one round over these weights is.
pub(super) fn length(weights: &[u32]) -> u64 {
    let common = weights.iter().fold(0, |a, &b| greatest_common_divisor(a, b)).max(1);
    weights.iter().map(|&weight| u64::from(weight / common)).sum()
}

/// One round of smooth weighted round robin: a target's turns are as far apart as its weight allows.
pub(super) fn round(weights: &[u32]) -> Rc<[usize]> {
    let total: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
    let mut credit = vec![0i64; weights.len()];
    (0..length(weights))
        .map(|_| {
            for (credit, &weight) in credit.iter_mut().zip(weights) {
                *credit += i64::from(weight);
            }
            // The first of equals, so that the order is the file's.
            let chosen = (0..credit.len()).rev().max_by_key(|&i| credit[i]).unwrap_or(0);
            if let Some(credit) = credit.get_mut(chosen) {
                *credit -= total;
            }
            chosen
        })
        .collect()
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_the_weights_and_are_spread() {
        assert_eq!(*round(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(*round(&[1, 1]), [0, 1]);
        assert_eq!(*round(&[300, 100]), [0, 0, 1, 0]);
        assert_eq!(*round(&[7]), [0]);
    }

    #[test]
    fn a_seed_moves_the_beginning_only() {
        let round = round(&[3, 2, 1]);
        let take = |seed| {
            let mut order = Order::new(round.clone(), seed);
            (0..60).map(|_| order.next()).collect::<Vec<_>>()
        };
        assert_eq!(take(7), take(7));
        assert!((0..20).any(|seed| take(seed) != take(7)));
        for target in 0..3 {
            assert_eq!(take(1).iter().filter(|&&it| it == target).count(), [30, 20, 10][target]);
        }
    }
}

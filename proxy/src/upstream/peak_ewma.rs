//! By latency: of two endpoints drawn by weight, the one whose time to first byte, multiplied by the requests that are
//! under way there, is the smaller. The time is an average that rises at once and falls slowly, as Finagle's
//! `PeakEwma` does it: an endpoint that has become slow is left at its first late answer, and tried again when the memory
//! of it has faded.

use std::time::{Duration, Instant};

use super::{View, power_of_two::PowerOfTwo, rng::Rng};

/// After so long without a sample, what is remembered has fallen to 1/e.
const FADE: Duration = Duration::from_secs(10);

/// What a failure counts as, in microseconds: an endpoint that fails at once must not look quick.
pub const FAILED_US: u64 = 1_000_000;

/// What one request more costs at an endpoint that has not answered its first yet, in microseconds: one is enough to
/// learn what it is like.
const UNKNOWN_US: f64 = 1e9;

/// The time to first byte at one endpoint, as one worker sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PeakEwma {
    last: Option<(f64, Instant)>,
}

impl PeakEwma {
    /// Takes in what one request has taken.
    pub fn observe(&mut self, sample_us: u64, now: Instant) {
        let sample = sample_us as f64;
        let value = match self.faded(now) {
            Some((value, left)) if sample <= value => value + sample * (1.0 - left),
            _ => sample,
        };
        self.last = Some((value, now));
    }

    /// What is remembered of it, in microseconds; `None`: nothing has been seen.
    pub fn get(&self, now: Instant) -> Option<f64> {
        self.faded(now).map(|(value, _)| value)
    }

    /// What is left of the value, and the part that this is.
    fn faded(&self, now: Instant) -> Option<(f64, f64)> {
        let (value, at) = self.last?;
        let left = (-now.saturating_duration_since(at).as_secs_f64() / FADE.as_secs_f64()).exp();
        Some((value * left, left))
    }
}

/// A picker over one list of endpoints. What it picks is an index into that list.
#[derive(Debug, Clone, Default)]
pub struct ByLatency {
    two: PowerOfTwo,
}

impl ByLatency {
    /// A picker over endpoints with these weights.
    pub fn over(weights: impl Iterator<Item = u32>) -> Self {
        Self { two: PowerOfTwo::over(weights) }
    }

    /// The next endpoint, or none.
    pub fn pick(&self, view: &impl View, rng: &Rng) -> Option<usize> {
        let (one, other) = self.two.draw(view, rng)?;
        let better = other.filter(|other| cost(view, *other) < cost(view, one));
        Some(better.unwrap_or(one))
    }
}

fn cost(view: &impl View, index: usize) -> f64 {
    let in_flight = f64::from(view.in_flight(index));
    match view.latency_us(index) {
        Some(latency) => latency * (in_flight + 1.0),
        None => in_flight * UNKNOWN_US,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::State;

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn it_rises_at_once_and_falls_slowly() {
        let start = Instant::now();
        let mut ewma = PeakEwma::default();
        assert_eq!(ewma.get(start), None);
        ewma.observe(1000, start);
        ewma.observe(9000, after(start, 1));
        assert_eq!(ewma.get(after(start, 1)), Some(9000.0));
        // A quick answer right after it changes nothing; ten seconds of them do.
        ewma.observe(1000, after(start, 1));
        assert_eq!(ewma.get(after(start, 1)), Some(9000.0));
        for ms in 2..10_001 {
            ewma.observe(1000, after(start, ms));
        }
        let value = ewma.get(after(start, 10_001)).unwrap_or(0.0);
        assert!((3900.0..4000.0).contains(&value), "1000 and 1/e of 8000: {value}");
        for ms in 10_001..100_000 {
            ewma.observe(1000, after(start, ms));
        }
        assert!(ewma.get(after(start, 100_000)).is_some_and(|it| (it - 1000.0).abs() < 2.0));
    }

    #[test]
    fn what_is_not_heard_of_fades() {
        let start = Instant::now();
        let mut ewma = PeakEwma::default();
        ewma.observe(1_000_000, start);
        let at = |ms| ewma.get(after(start, ms)).unwrap_or(0.0);
        assert!((367_000.0..369_000.0).contains(&at(10_000)));
        assert!(at(80_000) < 1000.0);
        // A clock that is behind changes nothing.
        assert_eq!(PeakEwma { last: Some((5.0, after(start, 9))) }.get(start), Some(5.0));
    }

    #[test]
    fn quick_ones_get_the_most_and_slow_ones_the_rest() {
        let picker = ByLatency::over([1, 1].into_iter());
        let rng = Rng::new(2);
        let state = State { latencies: vec![Some(1000.0), Some(5000.0)], ..State::idle(2) };
        assert!((0..50).all(|_| picker.pick(&state, &rng) == Some(0)));
        // Until there are as many more requests under way there.
        let state = State { in_flight: vec![5, 0], ..state };
        assert!((0..50).all(|_| picker.pick(&state, &rng) == Some(1)));
    }

    #[test]
    fn one_that_is_unknown_is_asked_once() {
        let picker = ByLatency::over([1, 1].into_iter());
        let rng = Rng::new(2);
        let state = State { latencies: vec![Some(1000.0), None], ..State::idle(2) };
        assert!((0..50).all(|_| picker.pick(&state, &rng) == Some(1)));
        let state = State { in_flight: vec![50, 1], ..state };
        assert!((0..50).all(|_| picker.pick(&state, &rng) == Some(0)));
    }
}

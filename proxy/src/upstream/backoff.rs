//! How long to wait before a further try: up to twice as long each time, and by chance, so that those who failed together
//! do not come back together.

use std::time::Duration;

/// The wait before the `nth` further try, counted from 1: anything from none to `base` doubled `nth` - 1 times, which is
/// `max` at most, as `chance` (any number, each as likely as any other) has it. Known as exponential back-off with full
/// jitter.
pub fn pause(nth: u32, base: Duration, max: Duration, chance: u64) -> Duration {
    let doubled = 2_u32.saturating_pow(nth.saturating_sub(1).min(31));
    let longest = base.saturating_mul(doubled).min(max);
    longest.mul_f64(chance as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(25);
    const MAX: Duration = Duration::from_millis(250);

    #[test]
    fn it_doubles_up_to_its_bound() {
        let longest = |nth| pause(nth, BASE, MAX, u64::MAX).as_millis();
        assert_eq!([1, 2, 3, 4, 5, 40, u32::MAX].map(longest), [25, 50, 100, 200, 250, 250, 250]);
    }

    #[test]
    fn chance_spreads_it_from_none_to_all() {
        let part = |chance| pause(2, BASE, MAX, chance).as_micros();
        assert_eq!([0, u64::MAX / 4, u64::MAX / 2, u64::MAX].map(part), [0, 12_500, 25_000, 50_000]);
        assert_eq!(pause(3, Duration::ZERO, MAX, u64::MAX), Duration::ZERO);
    }
}

//! One bucket.

use std::time::Duration;

use proptest::prelude::*;

use super::{SECOND, rate};
use crate::limit::{Bucket, Rate, RateFault};

#[test]
fn a_burst_then_the_rate() {
    let rate = rate(10, Duration::from_secs(1), 3);
    let mut bucket = Bucket::default();
    let mut now = 5 * SECOND;
    for left in [2, 1, 0] {
        let verdict = bucket.take(rate, now);
        assert!(verdict.allowed);
        assert_eq!(verdict.standing.remaining, left);
    }
    let refused = bucket.take(rate, now);
    assert_eq!((refused.allowed, refused.standing.remaining, refused.standing.seconds), (false, 0, 1));
    // A tenth of a second later there is one, and no more.
    now += SECOND / 10;
    assert!(bucket.take(rate, now).allowed);
    assert!(!bucket.take(rate, now).allowed);
    // It never holds more than its burst.
    now += 100 * SECOND;
    assert_eq!((0..5).filter(|_| bucket.take(rate, now).allowed).count(), 3);
}

#[test]
fn seconds_are_rounded_up() {
    let rate = rate(1, Duration::from_millis(2500), 2);
    let mut bucket = Bucket::default();
    assert_eq!(bucket.take(rate, 0).standing.seconds, 3, "until it is full again");
    assert_eq!(bucket.take(rate, 0).standing.seconds, 5);
    assert_eq!(bucket.take(rate, 0).standing.seconds, 3, "until one would pass");
    assert_eq!(bucket.take(rate, 600_000_000).standing.seconds, 2);
    assert_eq!(bucket.take(rate, 2_499_999_999).standing.seconds, 1);
    assert!(bucket.take(rate, 2_500_000_000).allowed);
}

#[test]
fn what_is_out_of_bounds() {
    let day = Duration::from_secs(86_400);
    assert_eq!(Rate::new(0, day, 1), Err(RateFault::Nothing));
    assert_eq!(Rate::new(1, day, 0), Err(RateFault::Nothing));
    assert_eq!(Rate::new(1_000_001, Duration::from_secs(1), 1), Err(RateFault::TooFast));
    assert!(Rate::new(1_000_000, Duration::from_secs(1), 1).is_ok());
    assert_eq!(Rate::new(1, day, 367), Err(RateFault::TooDeep));
    assert!(Rate::new(1, day, 366).is_ok());
}

#[test]
fn a_bucket_that_owes_pays_first() {
    let rate = rate(10, Duration::from_secs(1), 10);
    let mut bucket = Bucket::default();
    bucket.owe(15 * rate.cost(), 0);
    assert!(!bucket.take(rate, SECOND / 2).allowed);
    assert!(bucket.take(rate, SECOND * 6 / 10).allowed);
}

proptest! {
    /// Over any stretch of time no more passes than the burst and what has come in since.
    #[test]
    fn never_more_than_the_rate_and_the_burst(
        requests in 1_u64..2000,
        per_ms in 1_u64..5000,
        burst in 1_u64..50,
        gaps in prop::collection::vec(0_u64..50_000_000, 1..300),
    ) {
        let per = Duration::from_millis(per_ms);
        let Ok(rate) = Rate::new(requests, per, burst) else { return Ok(()) };
        let mut bucket = Bucket::default();
        let mut now = 0;
        let mut passed = Vec::new();
        for gap in gaps {
            now += gap;
            if bucket.take(rate, now).allowed {
                passed.push(now);
            }
        }
        for (first, from) in passed.iter().enumerate() {
            for (last, to) in passed.iter().enumerate().skip(first) {
                let most = burst as f64 + (to - from) as f64 * requests as f64 / per.as_nanos() as f64;
                prop_assert!((last - first + 1) as f64 <= most + 1e-6);
            }
        }
    }

    /// And whoever keeps to the rate is never refused.
    #[test]
    fn whoever_keeps_to_the_rate_passes(requests in 1_u64..1000, burst in 1_u64..20, count in 1_u64..200) {
        let rate = rate(requests, Duration::from_secs(1), burst);
        let mut bucket = Bucket::default();
        for nth in 0..count {
            prop_assert!(bucket.take(rate, nth * rate.cost()).allowed);
        }
    }
}

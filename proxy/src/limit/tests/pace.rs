//! Whether a client is fast enough.

use std::time::Duration;

use crate::{limit::Pace, limits::PACE_PERIOD};

#[test]
fn a_period_is_waiting_not_time() {
    let mut pace = Pace::default();
    pace.begin(0);
    assert!(pace.is_new() && !pace.is_over());
    for _ in 0..4 {
        pace.wait(PACE_PERIOD / 5);
        pace.pass(100);
        assert!(!pace.is_over());
    }
    assert_eq!(pace.left(), PACE_PERIOD / 5);
    pace.wait(PACE_PERIOD / 5);
    pace.pass(100);
    assert!(pace.is_over());
    let seconds = PACE_PERIOD.as_secs();
    assert!(pace.keeps(500 / seconds, 0));
    assert!(!pace.keeps(500 / seconds + 1, 0));
}

/// What lies in the kernel has not been read; what lay there before has.
#[test]
fn what_the_kernel_holds_is_not_with_the_client() {
    let seconds = PACE_PERIOD.as_secs();
    let mut pace = Pace::default();
    pace.begin(10_000);
    pace.wait(PACE_PERIOD);
    // Nothing could be written, but the queue has become shorter.
    assert!(pace.keeps(1_000 / seconds, 9_000));
    assert!(!pace.keeps(1_000 / seconds, 9_001));
    // All that was written lies there still.
    pace.pass(5_000);
    assert!(!pace.keeps(1, 15_000));
    assert!(!pace.keeps(1, u64::MAX));
}

#[test]
fn a_period_that_was_too_long_asks_for_more() {
    let mut pace = Pace::default();
    pace.begin(0);
    pace.wait(PACE_PERIOD * 2);
    pace.pass(PACE_PERIOD.as_secs() * 10);
    assert!(pace.keeps(5, 0));
    assert!(!pace.keeps(6, 0));
    assert_eq!(pace.left(), Duration::ZERO);
}

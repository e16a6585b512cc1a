//! How many further tries may be made: a part of the requests that came lately, and a few a second. It keeps tries from
//! multiplying a failure: whatever becomes of them, the load on an upstream grows by no more than this.
//!
//! Each request earns a part of a try. What it has earned can be spent within `WINDOW_SECONDS` and is gone then, so that
//! quiet hours do not save up for a storm. Beside it a fixed number a second is free and is not saved up at all.

use std::time::Duration;

/// How long what a request has earned can be spent, in seconds.
pub const WINDOW_SECONDS: usize = 10;

/// A try, in the thousandths that requests earn.
const TRY: u32 = 1000;
/// What a request earns for each percent.
const PERCENT: u32 = TRY / 100;

/// What one worker may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Tries per hundred requests.
    pub percent: u32,
    /// Tries a second, whatever the number of requests.
    pub per_second: u32,
}

/// What has been earned and not been spent. One worker's.
#[derive(Debug, Default)]
pub struct Budget {
    /// By second, modulo the window.
    earned: [u32; WINDOW_SECONDS],
    /// The second of the last call.
    second: u64,
    /// How many of this second's free tries are spent.
    spent: u32,
}

impl Budget {
    /// A request has come, at `now` after some fixed time.
    pub fn note_request(&mut self, now: Duration, allowance: Allowance) {
        self.turn(now);
        let earned = &mut self.earned[place(self.second)];
        *earned = earned.saturating_add(allowance.percent.saturating_mul(PERCENT));
    }

    /// Takes what one further try costs. False: there is not so much.
    pub fn take(&mut self, now: Duration, allowance: Allowance) -> bool {
        self.turn(now);
        if self.earned.iter().map(|it| u64::from(*it)).sum::<u64>() >= u64::from(TRY) {
            let mut rest = TRY;
            // The oldest first: it would be the first to be gone.
            for later in 1..=WINDOW_SECONDS as u64 {
                let earned = &mut self.earned[place(self.second + later)];
                let part = rest.min(*earned);
                *earned -= part;
                rest -= part;
            }
            return true;
        }
        let free = self.spent < allowance.per_second;
        self.spent += u32::from(free);
        free
    }

    /// Gives up what is too old by `now`.
    fn turn(&mut self, now: Duration) {
        let second = now.as_secs();
        if second <= self.second {
            return;
        }
        for begun in (self.second + 1..=second).take(WINDOW_SECONDS) {
            self.earned[place(begun)] = 0;
        }
        self.second = second;
        self.spent = 0;
    }
}

fn place(second: u64) -> usize {
    (second % WINDOW_SECONDS as u64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIFTH: Allowance = Allowance { percent: 20, per_second: 0 };

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn five_requests_earn_one_try() {
        let mut budget = Budget::default();
        for round in 0..3 {
            for _ in 0..5 {
                assert!(!budget.take(at(round), FIFTH));
                budget.note_request(at(round), FIFTH);
            }
            assert!(budget.take(at(round), FIFTH));
        }
        assert!(!budget.take(at(3), FIFTH));
    }

    #[test]
    fn what_is_not_spent_is_gone_after_the_window() {
        let mut budget = Budget::default();
        (0..50).for_each(|_| budget.note_request(at(500), FIFTH));
        (0..5).for_each(|_| budget.note_request(at(3_500), FIFTH));
        // Of the first 50, spent before that of the later five.
        assert!(budget.take(at(9_999), FIFTH));
        assert!(budget.take(at(10_000), FIFTH), "the later five's");
        assert!(!budget.take(at(10_000), FIFTH));
        (0..50).for_each(|_| budget.note_request(at(10_000), FIFTH));
        assert!(!budget.take(at(1_000_000), FIFTH));
    }

    #[test]
    fn free_tries_are_not_saved_up() {
        let free = Allowance { percent: 0, per_second: 2 };
        let mut budget = Budget::default();
        for second in [0, 1, 7] {
            let taken = (0..10).filter(|_| budget.take(at(second * 1000), free)).count();
            assert_eq!(taken, 2);
        }
        assert!(!budget.take(at(7_999), free) && budget.take(at(8_000), free));
    }

    #[test]
    fn a_clock_that_goes_back_earns_nothing() {
        let free = Allowance { percent: 0, per_second: 1 };
        let mut budget = Budget::default();
        assert!(budget.take(at(5_000), free));
        assert!(!budget.take(at(4_000), free));
    }

    proptest! {
        /// Over whatever requests and tries, at whatever times.
        #[test]
        fn the_load_grows_by_no_more(
            steps in prop::collection::vec((0_u64..3_000, any::<bool>()), 1..400),
            percent in 0_u32..=100,
            per_second in 0_u32..5,
        ) {
            let allowance = Allowance { percent, per_second };
            let mut budget = Budget::default();
            let (mut now, mut requests, mut taken) = (0, 0_u64, 0_u64);
            for (pass, is_request) in steps {
                now += pass;
                if is_request {
                    requests += 1;
                    budget.note_request(at(now), allowance);
                } else {
                    taken += u64::from(budget.take(at(now), allowance));
                }
                let free = u64::from(per_second) * (now / 1000 + 1);
                prop_assert!(taken * 100 <= requests * u64::from(percent) + free * 100);
            }
        }
    }
}

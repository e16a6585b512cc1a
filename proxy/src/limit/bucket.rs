//! One token bucket, held as the time at which it will be full again: a request moves that time by what it costs.
//!
//! So a bucket is one word, filling it takes no work, and one that is full is the same as one that was never used.

use std::time::Duration;

use crate::limits::{BUCKET_FILL_MAX, RATE_PER_SECOND_MAX};

/// How fast a bucket fills and how much it holds, in nanoseconds of filling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// One request.
    cost: u64,
    /// All that it holds.
    depth: u64,
}

/// Why there is no bucket for a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateFault {
    /// Nothing passes at all.
    Nothing,
    /// More than `RATE_PER_SECOND_MAX`.
    TooFast,
    /// An empty bucket would take longer than `BUCKET_FILL_MAX` to fill.
    TooDeep,
}

impl Rate {
    /// `requests` per `per`, of which `burst` may come at once. What a request costs is rounded up to whole nanoseconds, so
    /// that never more than `requests` pass in `per`.
    ///
    /// # Errors
    /// What is out of bounds.
    pub fn new(requests: u64, per: Duration, burst: u64) -> Result<Rate, RateFault> {
        if requests == 0 || burst == 0 || per.is_zero() {
            return Err(RateFault::Nothing);
        }
        if u128::from(requests) * 1_000_000_000 > u128::from(RATE_PER_SECOND_MAX) * per.as_nanos() {
            return Err(RateFault::TooFast);
        }
        let cost = per.as_nanos().div_ceil(u128::from(requests));
        let depth = cost.saturating_mul(u128::from(burst));
        if depth > BUCKET_FILL_MAX.as_nanos() {
            return Err(RateFault::TooDeep);
        }
        Ok(Rate { cost: cost as u64, depth: depth as u64 })
    }

    /// What a request costs.
    pub fn cost(self) -> u64 {
        self.cost
    }

    /// What a full bucket holds.
    pub fn depth(self) -> u64 {
        self.depth
    }

    /// Whole requests in so much of a bucket.
    fn requests(self, amount: u64) -> u32 {
        u32::try_from(amount / self.cost.max(1)).unwrap_or(u32::MAX)
    }
}

/// What a client is told of its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests that would pass now.
    pub remaining: u32,
    /// Seconds, rounded up: until the bucket is full again, or, of a request that was refused, until one would pass.
    pub seconds: u32,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// It may pass, and has been booked.
    pub allowed: bool,
    /// How the bucket stands afterwards.
    pub standing: Standing,
}

/// A bucket. Times are nanoseconds of whatever clock its owner has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    full_at: u64,
}

impl Bucket {
    /// Takes one request out, if it is in. What is refused costs nothing.
    pub fn take(&mut self, rate: Rate, now: u64) -> Verdict {
        let used = self.used(now).saturating_add(rate.cost);
        if used > rate.depth {
            let standing = Standing { remaining: 0, seconds: seconds(used - rate.depth) };
            return Verdict { allowed: false, standing };
        }
        self.full_at = now.saturating_add(used);
        let standing = Standing { remaining: rate.requests(rate.depth - used), seconds: seconds(used) };
        Verdict { allowed: true, standing }
    }

    /// Takes out what others have let pass already; it may owe afterwards.
    pub fn owe(&mut self, taken: u64, now: u64) {
        self.full_at = now.saturating_add(self.used(now)).saturating_add(taken);
    }

    /// What is missing to its being full.
    pub fn used(&self, now: u64) -> u64 {
        self.full_at.saturating_sub(now)
    }
}

fn seconds(nanos: u64) -> u32 {
    u32::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u32::MAX).max(1)
}

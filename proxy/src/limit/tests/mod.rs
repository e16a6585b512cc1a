//! That no more passes than may, alone and together.

mod bucket;
mod buckets;
mod counts;
mod journal;
mod pace;
mod shared;
mod together;

use std::time::Duration;

use super::Rate;

/// A second, in nanoseconds.
const SECOND: u64 = 1_000_000_000;

fn rate(requests: u64, per: Duration, burst: u64) -> Rate {
    Rate::new(requests, per, burst).unwrap()
}

//! The table of buckets.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use super::{SECOND, rate};
use crate::{
    limit::{Buckets, Told},
    limits::LIMIT_KEYS_MAX,
};

fn passes(buckets: &mut Buckets, tag: u64, rate: crate::limit::Rate, now: u64, tries: usize) -> usize {
    (0..tries).filter(|_| buckets.take(tag, rate, now).verdict.allowed).count()
}

#[test]
fn each_key_has_a_bucket() {
    let rate = rate(1, Duration::from_secs(1), 3);
    let mut buckets = Buckets::new(false);
    for tag in 1..100 {
        assert_eq!(passes(&mut buckets, tag, rate, 0, 5), 3, "{tag}");
    }
    for tag in 1..100 {
        assert_eq!(passes(&mut buckets, tag, rate, SECOND, 5), 1, "{tag}");
    }
}

/// A million keys that ask once each cost an empty bucket nothing, and take no more room.
#[test]
fn many_keys_do_not_fill_anybodys_bucket() {
    let rate = rate(1, Duration::from_secs(3600), 10);
    let mut buckets = Buckets::new(false);
    let seed = RandomState::new();
    let exhausted: Vec<u64> = (0..100).map(|it| seed.hash_one(("exhausted", it)).max(1)).collect();
    for tag in &exhausted {
        assert_eq!(passes(&mut buckets, *tag, rate, 0, 20), 10);
    }
    for other in 0..1_000_000_u64 {
        buckets.take(seed.hash_one(other).max(1), rate, other);
    }
    for tag in &exhausted {
        assert_eq!(passes(&mut buckets, *tag, rate, SECOND, 20), 0);
    }
}

/// The ninth key of a set takes the place of the one that has used the least of its bucket.
#[test]
fn the_fullest_bucket_goes() {
    let rate = rate(1, Duration::from_secs(3600), 10);
    let mut buckets = Buckets::new(false);
    let sets = (LIMIT_KEYS_MAX / super::super::buckets::WAYS) as u64;
    let tag = |nth: u64| sets * nth + 1;
    for nth in 0..8 {
        passes(&mut buckets, tag(nth), rate, 0, 2 + nth as usize);
    }
    let taken = buckets.take(tag(8), rate, 0);
    assert!(taken.verdict.allowed && taken.evicted);
    assert_eq!(passes(&mut buckets, tag(7), rate, 0, 20), 1, "it had used nine of ten");
    assert_eq!(passes(&mut buckets, tag(0), rate, 0, 20), 10, "it is as new");
}

/// What others have let pass takes no place of a key that has used more of its own.
#[test]
fn what_is_heard_displaces_nobody_worse() {
    let rate = rate(1, Duration::from_secs(3600), 10);
    let mut buckets = Buckets::new(true);
    let sets = (LIMIT_KEYS_MAX / super::super::buckets::WAYS) as u64;
    for nth in 0..8 {
        passes(&mut buckets, sets * nth + 1, rate, 0, 10);
    }
    let told = Told { tag: sets * 8 + 1, taken: rate.cost(), depth: rate.depth() };
    assert!(buckets.hear(told, 0));
    for nth in 0..8 {
        assert_eq!(passes(&mut buckets, sets * nth + 1, rate, 0, 5), 0);
    }
}

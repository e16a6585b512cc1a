//! Several workers that hold a limit together: how much more they let pass than one alone.
//!
//! A worker counts at once what it lets pass itself, and what another lets pass at the latest two ticks later: one until
//! that one tells, one until it hears. So when a request passes, what may have passed unheard is what the others let pass in
//! the last two ticks, each within its own bucket: `burst + rate * two ticks` each.

use std::time::Duration;

use proptest::prelude::*;

use super::rate;
use crate::{
    limit::{Buckets, Rate, Shared},
    limits::TICK,
};

struct Worker {
    index: usize,
    buckets: Buckets,
    heard: Vec<u64>,
    /// When its ticks are, within those of the others.
    phase: u64,
}

impl Worker {
    fn tick(&mut self, shared: &Shared, now: u64) {
        self.buckets.tell(&shared.journals[self.index]);
        for (index, journal) in shared.journals.iter().enumerate().filter(|(index, _)| *index != self.index) {
            journal.read(&mut self.heard[index], |told| {
                self.buckets.hear(told, now);
            });
        }
    }
}

const TICK_NS: u64 = TICK.as_nanos() as u64;

/// Runs so many workers with ticks at these phases over `requests` (time since the last one, worker, how many at once), and
/// gives the times at which requests passed.
fn run(rate: Rate, phases: &[u64], requests: &[(u64, usize, u32)]) -> Vec<u64> {
    let shared = Shared::new(phases.len());
    let worker = |(index, phase): (usize, &u64)| Worker {
        index,
        buckets: Buckets::new(true),
        heard: vec![0; phases.len()],
        phase: phase % TICK_NS,
    };
    let mut workers: Vec<Worker> = phases.iter().enumerate().map(worker).collect();
    let (mut now, mut passed) = (0, Vec::new());
    for (gap, at, count) in requests {
        let until = now + gap;
        // Ticks in between, in their order.
        let mut ticks: Vec<(u64, usize)> = Vec::new();
        for worker in &workers {
            let first = (now.saturating_sub(worker.phase)).div_ceil(TICK_NS) * TICK_NS + worker.phase;
            let mut tick = if first <= now && now > 0 { first + TICK_NS } else { first };
            while tick <= until {
                ticks.push((tick, worker.index));
                tick += TICK_NS;
            }
        }
        ticks.sort_unstable();
        for (tick, index) in ticks {
            workers[index].tick(&shared, tick);
        }
        now = until;
        let worker = *at % workers.len();
        for _ in 0..*count {
            if workers[worker].buckets.take(1, rate, now).verdict.allowed {
                passed.push(now);
            }
        }
    }
    passed
}

/// The bound of `docs/limits.md`.
fn assert_within(passed: &[u64], rate: Rate, workers: u64) -> Result<(), TestCaseError> {
    let (cost, depth) = (rate.cost(), rate.depth());
    let surplus = (workers - 1) * (depth + 2 * TICK_NS);
    for (first, from) in passed.iter().enumerate() {
        for (last, to) in passed.iter().enumerate().skip(first) {
            let used = (last - first + 1) as u64 * cost;
            prop_assert!(used <= depth + (to - from) + surplus, "{} in {} ns", last - first + 1, to - from);
        }
    }
    Ok(())
}

/// Everybody at all workers at once, again and again: the worst there is.
#[test]
fn a_flood_at_all_workers() {
    let rate = rate(100, Duration::from_secs(1), 20);
    let phases = [0, TICK_NS / 4, TICK_NS / 2, TICK_NS - 1];
    let flood: Vec<(u64, usize, u32)> = (0..4000).map(|nth| (250_000, nth, 50)).collect();
    let passed = run(rate, &phases, &flood);
    assert_within(&passed, rate, 4).unwrap();
    // A second's worth: the burst of each at first, which is then paid back, so that the whole stays near the rate.
    let whole = passed.len() as u64;
    assert!((100..=20 * 4 + 100 + 3 * 8).contains(&whole), "{whole}");
    // And once all have heard of all, what passes is the rate: in the last half of it fifty and a little.
    let late = passed.iter().filter(|at| **at > 500_000_000).count();
    assert!(late <= 50 + 3 * 8 + 1, "{late}");
}

/// A client that stays with one worker has its limit there, exactly, however many workers there are.
#[test]
fn one_client_at_one_worker_has_its_whole_limit() {
    let rate = rate(10, Duration::from_secs(1), 5);
    for workers in [1, 2, 8] {
        let phases: Vec<u64> = (0..workers).collect();
        let requests: Vec<(u64, usize, u32)> = (0..2001).map(|_| (1_000_000, 0, 1)).collect();
        let passed = run(rate, &phases, &requests);
        // Two seconds: the burst and twenty.
        assert_eq!(passed.len(), 25, "{workers} workers");
    }
}

/// What was used up at one worker is used up at the others two ticks later.
#[test]
fn a_client_that_moves_takes_its_bucket_along() {
    let rate = rate(1, Duration::from_secs(3600), 10);
    let passed = run(rate, &[0, 7_000_000], &[(1, 0, 20), (2 * TICK_NS, 1, 20)]);
    assert_eq!(passed.len(), 10);
}

proptest! {
    #[test]
    fn together_no_more_than_the_bound(
        requests in 1_u64..1000,
        burst in 1_u64..30,
        phases in prop::collection::vec(0_u64..TICK_NS, 2..9),
        load in prop::collection::vec((0_u64..15_000_000, 0_usize..8, 1_u32..20), 1..120),
    ) {
        let rate = rate(requests, Duration::from_secs(1), burst);
        let workers = phases.len() as u64;
        assert_within(&run(rate, &phases, &load), rate, workers)?;
    }
}

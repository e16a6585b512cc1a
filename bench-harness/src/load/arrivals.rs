//! When requests are due in an open loop, whatever the server does. Pure: time comes in, times come out.
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;

use super::random::Random;

/// How arrivals follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Evenly spaced.
    #[default]
    Constant,
    /// At random, each independent of the others: exponential gaps.
    Poisson,
}

/// The arrivals of one thread of several.
#[derive(Debug)]
pub(super) struct Schedule {
    start: Instant,
    end: Instant,
    gaps: Gaps,
    due: Option<Instant>,
}

#[derive(Debug)]
enum Gaps {
    /// Arrival `index` of all threads; this one has every `step`-th. Multiplied out, so that rounding never adds up.
    Constant {
        index: u64,
        step: u64,
        gap_ns: f64,
    },
    Poisson {
        random: Random,
        mean_ns: f64,
        at_ns: f64,
    },
}

impl Schedule {
    /// Arrivals in `start..end` for thread `thread` of `threads`, which together make `rate` per second.
    pub(super) fn new(
        arrivals: Arrivals,
        rate: f64,
        (thread, threads): (usize, usize),
        seed: u64,
        (start, end): (Instant, Instant),
    ) -> Self {
        let gaps = match arrivals {
            Arrivals::Constant => {
                Gaps::Constant { index: thread as u64, step: threads as u64, gap_ns: 1e9 / rate }
            }
            Arrivals::Poisson => {
                let mut seeds = Random::new(seed);
                let own = (0..=thread).map(|_| seeds.next()).last().unwrap_or(seed);
                let mean_ns = 1e9 / rate * threads as f64;
                let mut random = Random::new(own);
                // The process runs before we look at it: its first event comes after a gap, not at once.
                let at_ns = random.exponential() * mean_ns;
                Gaps::Poisson { random, mean_ns, at_ns }
            }
        };
        let mut schedule = Self { start, end, gaps, due: None };
        schedule.due = schedule.look();
        schedule
    }

    /// When the next one is due; None after the last.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes the next one if it is due at `now`.
    pub(super) fn take(&mut self, now: Instant) -> Option<Instant> {
        let due = self.due.filter(|&due| due <= now)?;
        match &mut self.gaps {
            Gaps::Constant { index, step, .. } => *index += *step,
            Gaps::Poisson { random, mean_ns, at_ns } => *at_ns += random.exponential() * *mean_ns,
        }
        self.due = self.look();
        Some(due)
    }

    fn look(&self) -> Option<Instant> {
        let at_ns = match self.gaps {
            Gaps::Constant { index, gap_ns, .. } => index as f64 * gap_ns,
            Gaps::Poisson { at_ns, .. } => at_ns,
        };
        let due = self.start.checked_add(Duration::from_nanos(at_ns as u64))?;
        (due < self.end).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(arrivals: Arrivals, rate: f64, threads: usize, seconds: u64) -> Vec<Duration> {
        let start = Instant::now();
        let end = start + Duration::from_secs(seconds);
        let mut found = Vec::new();
        for thread in 0..threads {
            let mut schedule = Schedule::new(arrivals, rate, (thread, threads), 1, (start, end));
            while let Some(due) = schedule.take(end) {
                found.push(due - start);
            }
            assert_eq!(schedule.due(), None);
        }
        found.sort();
        found
    }

    #[test]
    fn constant_arrivals_are_exact_and_threads_interleave() {
        for threads in [1, 3] {
            let found = all(Arrivals::Constant, 10_000.0, threads, 2);
            assert_eq!(found.len(), 20_000);
            assert!(found.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_micros(100)));
        }
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_and_come_in_bursts() {
        for threads in [1, 2] {
            let found = all(Arrivals::Poisson, 10_000.0, threads, 10);
            let n = found.len() as f64;
            // Five standard deviations of a count of 100,000.
            assert!((n - 100_000.0).abs() < 5.0 * n.sqrt(), "{n}");
            // Of independent arrivals, a share of 1 - 1/e comes sooner than the mean gap.
            let soon = found.windows(2).filter(|pair| pair[1] - pair[0] < Duration::from_micros(100)).count();
            assert!((soon as f64 / n - 0.632).abs() < 0.01, "{soon} of {n}");
        }
    }

    #[test]
    fn nothing_is_due_early() {
        let start = Instant::now();
        let end = start + Duration::from_secs(1);
        let mut schedule = Schedule::new(Arrivals::Constant, 1000.0, (0, 1), 1, (start, end));
        assert_eq!(schedule.take(start), Some(start));
        assert_eq!(schedule.take(start + Duration::from_micros(999)), None);
        assert_eq!(schedule.due(), Some(start + Duration::from_millis(1)));
    }
}

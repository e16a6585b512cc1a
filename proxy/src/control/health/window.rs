//! What came of the tries of the last while, in parts of it: the oldest is forgotten as time goes on.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    limits::HEALTH_WINDOW_PARTS,
    upstream::{health::Totals, latency::Buckets},
};

/// A window that moves with time. It holds one part more than it is cut into, and nothing where nothing was tried.
#[derive(Debug)]
pub(super) struct Window {
    parts: VecDeque<Part>,
    since: Instant,
    answers: u64,
    failures: u64,
    latencies: Buckets,
}

#[derive(Debug)]
struct Part {
    begun: Instant,
    answers: u64,
    failures: u64,
    /// `None`: nobody wants to know.
    latencies: Option<Box<Buckets>>,
}

impl Window {
    /// An empty one that begins now.
    pub(super) fn new(now: Instant) -> Window {
        let (parts, latencies) = (VecDeque::new(), Buckets::default());
        Window { parts, since: now, answers: 0, failures: 0, latencies }
    }

    /// Takes in what has been seen since the last time, and forgets what is older than `length`.
    pub(super) fn add(&mut self, seen: &Totals, length: Duration, now: Instant) {
        while let Some(part) = self.parts.front()
            && now.saturating_duration_since(part.begun) > length
        {
            self.answers -= part.answers;
            self.failures -= part.failures;
            if let Some(latencies) = &part.latencies {
                self.latencies = self.latencies.since(latencies);
            }
            self.parts.pop_front();
        }
        let (answers, failures) = (u64::from(seen.answers), u64::from(seen.failures));
        if answers + failures == 0 {
            return;
        }
        self.answers += answers;
        self.failures += failures;
        self.latencies.add_all(&seen.latencies);
        let is_new = |part: &Part| now.saturating_duration_since(part.begun) < length / HEALTH_WINDOW_PARTS;
        let part = match self.parts.back_mut() {
            Some(part) if is_new(part) => part,
            _ => self.parts.push_back_mut(Part { begun: now, answers: 0, failures: 0, latencies: None }),
        };
        part.answers += answers;
        part.failures += failures;
        if seen.latencies.count() > 0 {
            part.latencies.get_or_insert_default().add_all(&seen.latencies);
        }
    }

    /// Tries in it.
    pub(super) fn tries(&self) -> u64 {
        self.answers + self.failures
    }

    /// Whether so large a part of at least `tries_min` tries has failed.
    pub(super) fn fails(&self, permille: u32, tries_min: u32) -> bool {
        let tries = self.tries();
        tries >= u64::from(tries_min) && self.failures * 1000 >= tries * u64::from(permille)
    }

    /// The part of tries that failed, in words.
    pub(super) fn failure_rate(&self) -> String {
        let rate = self.failures as f64 / self.tries().max(1) as f64;
        format!("{} of {} tries failed ({:.0} %)", self.failures, self.tries(), rate * 100.0)
    }

    /// The 99th percentile of at least `answers_min` answers over the whole of `length`, in microseconds.
    pub(super) fn p99_us(&self, answers_min: u32, length: Duration, now: Instant) -> Option<u64> {
        let enough = self.answers >= u64::from(answers_min);
        let whole = now.saturating_duration_since(self.since) >= length;
        self.latencies.p99_us().filter(|_| enough && whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(answers: u32, failures: u32) -> Totals {
        let mut latencies = Buckets::default();
        latencies.add([answers].into_iter());
        Totals { answers, failures, runs: 0, latencies }
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let (start, length) = (Instant::now(), Duration::from_secs(10));
        let mut window = Window::new(start);
        for second in 0..100 {
            window.add(&seen(3, 1), length, start + Duration::from_secs(second));
        }
        // Those of 89 to 99: ten seconds ago is within ten seconds.
        assert_eq!((window.tries(), window.failures), (44, 11));
        assert_eq!(window.latencies.count(), 33);
        assert!(window.parts.len() <= HEALTH_WINDOW_PARTS as usize + 1);
        window.add(&seen(0, 0), length, start + Duration::from_secs(500));
        assert_eq!((window.tries(), window.latencies.count(), window.parts.len()), (0, 0, 0));
    }

    #[test]
    fn it_has_a_bound_however_often_it_is_added_to() {
        let (start, length) = (Instant::now(), Duration::from_secs(10));
        let mut window = Window::new(start);
        for step in 0..3_000 {
            window.add(&seen(1, 0), length, start + Duration::from_millis(10) * step);
            assert!(window.parts.len() <= HEALTH_WINDOW_PARTS as usize + 2, "{}", window.parts.len());
        }
        assert!((950..=1060).contains(&window.tries()), "{}", window.tries());
    }

    #[test]
    fn rates_need_enough_tries_and_percentiles_all_of_the_time() {
        let (start, length) = (Instant::now(), Duration::from_secs(1));
        let mut window = Window::new(start);
        window.add(&seen(9, 10), length, start);
        assert!(!window.fails(500, 20) && window.fails(500, 19) && !window.fails(527, 19));
        assert_eq!(window.p99_us(5, length, start), None);
        let later = start + length;
        assert!(window.p99_us(5, length, later).is_some());
        assert_eq!(window.p99_us(10, length, later), None);
        assert_eq!(window.failure_rate(), "10 of 19 tries failed (53 %)");
    }
}

//! When accepted changes become a table: at once, or so that many become one. Pure: the time is passed in.

use std::time::{Duration, Instant};

/// Keeps two rebuilds apart, and no change waiting for ever.
#[derive(Debug, Default)]
pub struct Pace {
    min_interval: Duration,
    max_delay: Option<Duration>,
    last: Option<Instant>,
    /// When the first of the changes that wait came.
    waiting_since: Option<Instant>,
}

impl Pace {
    /// Takes over other settings.
    pub fn set(&mut self, min_interval: Duration, max_delay: Option<Duration>) {
        (self.min_interval, self.max_delay) = (min_interval, max_delay);
    }

    /// A change has been accepted.
    pub fn changed(&mut self, now: Instant) {
        self.waiting_since.get_or_insert(now);
    }

    /// The table has been built, with all that waited.
    pub fn built(&mut self, now: Instant) {
        self.last = Some(now);
        self.waiting_since = None;
    }

    /// When the table is to be built; `None`: nothing waits.
    pub fn due(&self) -> Option<Instant> {
        let since = self.waiting_since?;
        let by_interval = self.last.map_or(since, |last| last + self.min_interval).max(since);
        Some(self.max_delay.map_or(by_interval, |delay| by_interval.min(since + delay)))
    }

    /// Whether it is time.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| due <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rebuilds when a change comes every `every_ms` for `seconds`, and the longest that a change waited.
    fn storm(
        every_ms: u64,
        seconds: u64,
        min_interval: Duration,
        max_delay: Option<Duration>,
    ) -> (u32, Duration) {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.set(min_interval, max_delay);
        pace.built(start - Duration::from_secs(3600));
        let (mut rebuilds, mut longest, mut oldest) = (0, Duration::ZERO, None);
        for ms in 0..=(seconds + 60) * 1000 {
            let now = start + Duration::from_millis(ms);
            if ms < seconds * 1000 && ms % every_ms == 0 {
                pace.changed(now);
                oldest.get_or_insert(now);
            }
            if pace.is_due(now) {
                pace.built(now);
                rebuilds += 1;
                longest = longest.max(now - oldest.take().unwrap_or(now));
            }
        }
        assert_eq!(oldest, None, "the last change is lost");
        (rebuilds, longest)
    }

    #[test]
    fn changes_within_the_interval_become_one_rebuild() {
        let seconds = Duration::from_secs;
        assert_eq!(storm(50, 30, Duration::ZERO, None), (600, Duration::ZERO));
        assert_eq!(storm(20, 30, Duration::ZERO, None), (1500, Duration::ZERO));
        assert_eq!(storm(50, 30, seconds(1), None).0, 31);
        assert_eq!(storm(20, 30, seconds(1), None).0, 31);
        assert_eq!(storm(50, 30, seconds(5), None).0, 7);
        assert_eq!(storm(3000, 30, seconds(1), None), (10, Duration::ZERO));
    }

    #[test]
    fn no_change_waits_longer_than_the_maximum() {
        let seconds = Duration::from_secs;
        assert!(storm(50, 30, seconds(5), None).1 <= seconds(5));
        assert!(storm(50, 30, seconds(5), Some(seconds(2))).1 <= seconds(2));
        assert_eq!(storm(50, 30, seconds(5), Some(Duration::ZERO)), (600, Duration::ZERO));
    }

    #[test]
    fn nothing_is_due_where_nothing_waits() {
        let mut pace = Pace::default();
        assert_eq!(pace.due(), None);
        let now = Instant::now();
        pace.changed(now);
        assert!(pace.is_due(now));
        pace.built(now);
        assert_eq!(pace.due(), None);
    }
}

//! What happened second by second: each thread closes its intervals, and whoever runs them puts them together.
use std::{
    collections::BTreeMap,
    sync::mpsc::{SyncSender, TrySendError},
    time::{Duration, Instant, SystemTime},
};

use hdrhistogram::Histogram;

use crate::fault::{At, Result};

const INTERVAL: Duration = Duration::from_secs(1);

/// Parts of intervals on their way to whoever puts them together. A thread never waits for room: it measures.
pub(super) const PARTS_QUEUED_MAX: usize = 256;
/// Intervals that wait for a thread's part; when more do, the oldest goes without it.
const INTERVALS_PENDING_MAX: usize = 64;

/// The measured window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) begin: Instant,
    pub(super) end: Instant,
}

impl Window {
    pub(super) fn holds(&self, time: Instant) -> bool {
        time >= self.begin && time < self.end
    }

    /// Intervals before the end; those behind it hold what was still under way then.
    fn whole(&self) -> u64 {
        (self.end - self.begin).as_nanos().div_ceil(INTERVAL.as_nanos()) as u64
    }

    /// Where interval `index` begins and ends, counted from the window's begin.
    fn bounds(&self, index: u64) -> (Duration, Duration) {
        let (whole, length) = (self.whole(), self.end - self.begin);
        let seconds = |n: u64| Duration::from_secs(n);
        match index.checked_sub(whole) {
            None => (seconds(index), seconds(index + 1).min(length)),
            Some(behind) => (length + seconds(behind), length + seconds(behind + 1)),
        }
    }
}

/// One interval of a run, all threads together.
#[derive(Clone, Debug)]
pub struct Interval {
    /// When it began.
    pub began: SystemTime,
    /// The same, counted from the begin of the window.
    pub from: Duration,
    /// How long it was.
    pub length: Duration,
    /// Failures in it.
    pub errors: u64,
    /// Latencies in microseconds of the responses that ended in it.
    pub latency: Histogram<u64>,
}

/// One thread's part of an interval.
pub(super) struct Part {
    thread: usize,
    index: u64,
    errors: u64,
    latency: Option<Histogram<u64>>,
    /// The thread has no more.
    last: bool,
}

/// A thread's current interval.
pub(super) struct Current {
    window: Window,
    thread: usize,
    sender: SyncSender<Part>,
    index: u64,
    until: Instant,
    errors: u64,
    latency: Histogram<u64>,
    lost: u64,
}

impl Current {
    pub(super) fn new(
        window: Window,
        thread: usize,
        sender: SyncSender<Part>,
        empty: Histogram<u64>,
    ) -> Self {
        let until = window.begin + window.bounds(0).1;
        Self { window, thread, sender, index: 0, until, errors: 0, latency: empty, lost: 0 }
    }

    pub(super) fn record(&mut self, us: u64) {
        self.latency.saturating_record(us);
    }

    pub(super) fn fail(&mut self, now: Instant) {
        self.errors += u64::from(now >= self.window.begin);
    }

    /// Whether `now` is behind this interval.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// Sends off every interval that is over, adding its latencies to `total`.
    pub(super) fn roll(&mut self, now: Instant, total: &mut Histogram<u64>) {
        while self.is_over(now) {
            self.send(false, total);
            self.index += 1;
            self.until = self.window.begin + self.window.bounds(self.index).1;
        }
    }

    /// Sends off the last one; says how many got lost.
    pub(super) fn finish(&mut self, now: Instant, total: &mut Histogram<u64>) -> u64 {
        self.roll(now, total);
        self.send(true, total);
        self.lost
    }

    fn send(&mut self, last: bool, total: &mut Histogram<u64>) {
        let latency = (!self.latency.is_empty()).then(|| {
            let empty = Histogram::new_from(&self.latency);
            std::mem::replace(&mut self.latency, empty)
        });
        // Made from each other, so they have the same bounds and do add up.
        let added = latency.as_ref().is_none_or(|latency| total.add(latency).is_ok());
        let errors = std::mem::take(&mut self.errors);
        let part = Part { thread: self.thread, index: self.index, errors, latency, last };
        let sent = !matches!(self.sender.try_send(part), Err(TrySendError::Full(_)));
        self.lost += u64::from(!added || !sent);
    }
}

/// Puts the threads' parts together.
pub(super) struct Merger {
    window: Window,
    /// The window's begin on the wall.
    began: SystemTime,
    empty: Histogram<u64>,
    /// The first interval that each thread may still send.
    next: Vec<u64>,
    pending: BTreeMap<u64, Interval>,
    /// The first interval that was not given out.
    given: u64,
    pub(super) lost: u64,
}

impl Merger {
    pub(super) fn new(window: Window, threads: usize, empty: Histogram<u64>) -> Self {
        // It is still to come when the warm-up is.
        let began = SystemTime::now() + window.begin.saturating_duration_since(Instant::now());
        Self { window, began, empty, next: vec![0; threads], pending: BTreeMap::new(), given: 0, lost: 0 }
    }

    /// Takes a part; `give` gets the intervals that became complete, in order.
    pub(super) fn take(&mut self, part: Part, give: &mut dyn FnMut(&Interval)) -> Result<()> {
        if let Some(next) = self.next.get_mut(part.thread) {
            *next = if part.last { u64::MAX } else { part.index + 1 };
        }
        let nothing = part.latency.is_none() && part.errors == 0;
        if part.index < self.given {
            self.lost += u64::from(!nothing);
        } else if !nothing || part.index < self.window.whole() {
            let (from, to) = self.window.bounds(part.index);
            let interval = self.pending.entry(part.index).or_insert_with(|| Interval {
                began: self.began + from,
                from,
                length: to - from,
                errors: 0,
                latency: self.empty.clone(),
            });
            interval.errors += part.errors;
            if let Some(latency) = &part.latency {
                interval.latency.add(latency).at("latency histograms do not add up")?;
            }
        }
        let complete = self.next.iter().copied().min().unwrap_or(u64::MAX);
        while let Some(first) = self.pending.first_entry()
            && (*first.key() < complete || self.pending.len() > INTERVALS_PENDING_MAX)
        {
            if let Some((index, interval)) = self.pending.pop_first() {
                self.given = index + 1;
                give(&interval);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn window(ms: u64) -> Window {
        let begin = Instant::now();
        Window { begin, end: begin + Duration::from_millis(ms) }
    }

    fn histogram() -> Histogram<u64> {
        Histogram::new_with_bounds(1, 1_000_000, 3).unwrap()
    }

    #[test]
    fn intervals_tile_the_window_and_go_on_behind_it() {
        let millis = |index| {
            let (from, to) = window(2500).bounds(index);
            (from.as_millis(), to.as_millis())
        };
        assert_eq!(
            [millis(0), millis(1), millis(2), millis(3), millis(4)],
            [(0, 1000), (1000, 2000), (2000, 2500), (2500, 3500), (3500, 4500)]
        );
    }

    #[test]
    fn an_interval_is_given_when_every_thread_has_sent_it() {
        let window = window(2000);
        let at = |ms| window.begin + Duration::from_millis(ms);
        let (sender, parts) = mpsc::sync_channel(PARTS_QUEUED_MAX);
        let mut threads = [0, 1].map(|i| Current::new(window, i, sender.clone(), histogram()));
        let mut total = histogram();
        let mut merger = Merger::new(window, 2, histogram());
        let mut given = Vec::new();
        let mut merge = |merger: &mut Merger| {
            while let Ok(part) = parts.try_recv() {
                let mut give = |it: &Interval| given.push((it.from.as_secs(), it.latency.len(), it.errors));
                merger.take(part, &mut give).unwrap();
            }
            given.clone()
        };

        threads[0].record(5);
        threads[0].fail(at(100));
        threads[0].roll(at(1500), &mut total);
        assert_eq!(merge(&mut merger), []);
        threads[1].record(6);
        threads[1].roll(at(1500), &mut total);
        assert_eq!(merge(&mut merger), [(0, 2, 1)]);
        threads[1].record(7);
        for thread in &mut threads {
            assert_eq!(thread.finish(at(2100), &mut total), 0);
        }
        assert_eq!(merge(&mut merger), [(0, 2, 1), (1, 1, 0)], "nothing behind the end, so no interval");
        assert_eq!((total.len(), merger.lost), (3, 0));
    }

    #[test]
    fn a_full_queue_loses_the_interval_but_not_the_total() {
        let window = window(5000);
        let (sender, _parts) = mpsc::sync_channel(1);
        let mut thread = Current::new(window, 0, sender, histogram());
        let mut total = histogram();
        for second in 1..=3 {
            thread.record(5);
            thread.roll(window.begin + Duration::from_secs(second), &mut total);
        }
        assert_eq!((total.len(), thread.lost), (3, 2));
    }
}

//! What Little's law needs to know of an upstream: how many exchanges it has had, how long they took, and how many there
//! were at a time. A few additions per exchange: it begins at the last tick, and whoever records it says how long it took.

use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{observe::UpstreamFlow, upstream::Upstream};

/// A window is this span that is under way and the one before.
const SPAN: Duration = Duration::from_secs(30);

/// Counts of one upstream on one worker. Times are microseconds since `born`.
pub struct Flow {
    born: Instant,
    /// The last tick.
    now_us: Cell<u64>,
    /// Exchanges under way, and the sum of when they began.
    in_flight: Cell<u32>,
    began_us: Cell<u64>,
    /// Exchanges that have ended, and how long they took.
    exchanges: Cell<u64>,
    ended_us: Cell<u64>,
    /// The most at a time in this span, and in the one before.
    peak: Cell<u32>,
    peak_before: Cell<u32>,
    /// Where the span before began, and where this one did.
    marks: Cell<[Mark; 2]>,
}

/// What had been counted at some time.
#[derive(Clone, Copy, Default)]
struct Mark {
    at_us: u64,
    exchanges: u64,
    ended_us: u64,
    area_us: u64,
}

impl Flow {
    /// Nothing so far.
    pub fn new(now: Instant) -> Flow {
        Flow {
            born: now,
            now_us: Cell::default(),
            in_flight: Cell::default(),
            began_us: Cell::default(),
            exchanges: Cell::default(),
            ended_us: Cell::default(),
            peak: Cell::default(),
            peak_before: Cell::default(),
            marks: Cell::default(),
        }
    }

    fn micros(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.born).as_micros() as u64
    }

    /// A tick: the time of all that begins until the next one.
    pub fn tick(&self, now: Instant) {
        self.now_us.set(self.micros(now));
    }

    /// The time of the last tick.
    pub fn time(&self) -> Instant {
        self.born + Duration::from_micros(self.now_us.get())
    }

    /// An exchange has begun.
    #[inline]
    pub fn begin(&self) -> UnderWay<'_> {
        let since_us = self.now_us.get();
        self.began_us.set(self.began_us.get() + since_us);
        let in_flight = self.in_flight.get() + 1;
        self.in_flight.set(in_flight);
        self.peak.set(self.peak.get().max(in_flight));
        UnderWay { flow: self, since_us }
    }

    fn mark(&self, now: Instant) -> Mark {
        let at_us = self.micros(now);
        let ended_us = self.ended_us.get();
        // Each that is under way has taken until now what lies since it began.
        let under_way = u64::from(self.in_flight.get()) * at_us;
        let area_us = ended_us + under_way.saturating_sub(self.began_us.get());
        Mark { at_us, exchanges: self.exchanges.get(), ended_us, area_us }
    }

    /// Now and then: begins another span when this one is over.
    pub fn turn(&self, now: Instant) {
        let [_, last] = self.marks.get();
        if self.micros(now) - last.at_us >= SPAN.as_micros() as u64 {
            self.marks.set([last, self.mark(now)]);
            self.peak_before.set(self.peak.replace(self.in_flight.get()));
        }
    }

    /// What there was in the window; `None`: nothing.
    pub fn report(&self, upstream: &Upstream, now: Instant) -> Option<UpstreamFlow> {
        let peak = self.peak.get().max(self.peak_before.get());
        if peak == 0 {
            return None;
        }
        let ([first, _], now) = (self.marks.get(), self.mark(now));
        Some(UpstreamFlow {
            // A copy, so that nothing of a table is held, and so freed, by a worker.
            name: Arc::from(&*upstream.name),
            max_connections: upstream.pool.max_connections,
            window_us: now.at_us - first.at_us,
            exchanges: now.exchanges - first.exchanges,
            ended_us: now.ended_us - first.ended_us,
            in_flight_us: now.area_us.saturating_sub(first.area_us),
            peak,
        })
    }
}

/// An exchange that has begun.
pub struct UnderWay<'f> {
    flow: &'f Flow,
    since_us: u64,
}

impl UnderWay<'_> {
    /// It has ended, after so long. One that is dropped instead has not been.
    #[inline]
    pub fn end(self, took_us: u64) {
        let flow = self.flow;
        flow.exchanges.set(flow.exchanges.get() + 1);
        flow.ended_us.set(flow.ended_us.get() + took_us);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let flow = self.flow;
        flow.in_flight.set(flow.in_flight.get() - 1);
        flow.began_us.set(flow.began_us.get() - self.since_us);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::upstream::{Balance, PoolLimits};

    const S: Duration = Duration::from_secs(1);
    const SECOND_US: u64 = 1_000_000;

    fn upstream() -> Upstream {
        let it = crate::upstream::tests::balancers::upstream(Balance::RoundRobin, &[]);
        Upstream { pool: PoolLimits { max_connections: 64, ..it.pool }, ..it }
    }

    /// Window, exchanges, their time, the area and the peak; seconds.
    fn report(flow: &Flow, now: Instant) -> Option<[u64; 5]> {
        let it = flow.report(&upstream(), now)?;
        let s = |us: u64| us / 1_000_000;
        Some([s(it.window_us), it.exchanges, s(it.ended_us), s(it.in_flight_us), u64::from(it.peak)])
    }

    #[test]
    fn what_has_ended_and_what_is_under_way_both_count() {
        let start = Instant::now();
        let flow = Flow::new(start);
        assert_eq!(report(&flow, start + S), None);
        let begin = |second: u32| {
            flow.tick(start + second * S);
            flow.begin()
        };
        let (one, two) = (begin(1), begin(2));
        one.end(3 * SECOND_US);
        assert_eq!(report(&flow, start + 6 * S), Some([6, 1, 3, 3 + 4, 2]));
        two.end(6 * SECOND_US);
        // Little's law: what was in flight, on average, is the rate times the latency.
        assert_eq!(report(&flow, start + 10 * S), Some([10, 2, 9, 9, 2]));
        // Given up by a panic, it has never been.
        drop(begin(9));
        assert_eq!(report(&flow, start + 10 * S), Some([10, 2, 9, 9, 2]));
    }

    #[test]
    fn the_window_moves_on() {
        let start = Instant::now();
        let flow = Flow::new(start);
        let at = |second: u32| start + second * S;
        let tunnel = flow.begin();
        flow.tick(at(1));
        let burst: Vec<_> = (0..9).map(|_| flow.begin()).collect();
        burst.into_iter().for_each(|it| it.end(SECOND_US));
        for second in 1..=59 {
            flow.turn(at(second));
        }
        assert_eq!(report(&flow, at(59)), Some([59, 9, 9, 59 + 9, 10]));
        // The burst is out of it; what goes on counts with its time in the window.
        for second in 60..=95 {
            flow.turn(at(second));
        }
        assert_eq!(report(&flow, at(95)), Some([35, 0, 0, 35, 1]));
        tunnel.end(100 * SECOND_US);
        assert_eq!(report(&flow, at(100)).unwrap()[3], 40);
        for second in 100..=160 {
            flow.turn(at(second));
        }
        assert_eq!(report(&flow, at(160)), None);
    }
}

//! The open loop of one thread: which request is due when, which connection sends it, what waits for one.
//!
//! Requests become due whatever the server does. One that finds a connection free goes out at once; the others wait in
//! the backlog, first in first out, and their latency counts from when they were due all the same, so that a server
//! that stalls cannot hide it by being asked less (coordinated omission).
use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use super::arrivals::Schedule;

/// Arrivals closer than this share a wake-up. Those late by it are late in their latency, too.
const WAKE_GAP_MIN: Duration = Duration::from_micros(20);

/// Hands out what is due.
pub(super) struct Gate {
    state: RefCell<State>,
    backlog_max: usize,
}

struct State {
    schedule: Schedule,
    /// Due and without a connection; at most `backlog_max`.
    backlog: VecDeque<Instant>,
    /// Connections without a request, the one that waits longest first; at most one entry for each.
    idle: VecDeque<usize>,
    waiting: Vec<Waiting>,
    /// Nothing is due any more.
    over: bool,
}

#[derive(Default)]
struct Waiting {
    waker: Option<Waker>,
    start: Option<Instant>,
}

/// What [`Gate::collect`] is told of, request by request.
pub(super) trait Collected {
    /// It goes out so much later than it was due, though a connection was free.
    fn sent(&mut self, late: Duration);
    /// It waits, as do so many in all.
    fn waits(&mut self, backlog: usize);
    /// The backlog was full.
    fn dropped(&mut self);
}

impl Gate {
    pub(super) fn new(schedule: Schedule, connections: usize, backlog_max: usize) -> Self {
        let waiting = (0..connections).map(|_| Waiting::default()).collect();
        let state = State { schedule, backlog: VecDeque::new(), idle: VecDeque::new(), waiting, over: false };
        Self { state: RefCell::new(state), backlog_max }
    }

    /// Deals with everything that is due at `now`.
    pub(super) fn collect(&self, now: Instant, told: &mut impl Collected) {
        let state = &mut *self.state.borrow_mut();
        while let Some(due) = state.schedule.take(now) {
            if let Some(waiting) = state.idle.pop_front().and_then(|index| state.waiting.get_mut(index)) {
                waiting.start = Some(due);
                told.sent(now.saturating_duration_since(due));
                if let Some(waker) = waiting.waker.take() {
                    waker.wake();
                }
            } else if state.backlog.len() < self.backlog_max {
                state.backlog.push_back(due);
                told.waits(state.backlog.len());
            } else {
                told.dropped();
            }
        }
    }

    /// What a connection that has just come free sends, as the time it was due: what waits longest. Before anything
    /// else that is due is collected, so that its place in the backlog is free for that.
    pub(super) fn take(&self, now: Instant) -> Option<Instant> {
        let state = &mut *self.state.borrow_mut();
        match state.backlog.pop_front() {
            // While others are free they are first in line.
            None if state.idle.is_empty() => state.schedule.take(now),
            waits => waits,
        }
    }

    /// What connection `index`, which is free, is to send, as the time it was due; None when the run is over.
    pub(super) async fn wait(&self, index: usize) -> Option<Instant> {
        self.state.borrow_mut().idle.push_back(index);
        poll_fn(|context| {
            let state = &mut *self.state.borrow_mut();
            let Some(waiting) = state.waiting.get_mut(index) else { return Poll::Ready(None) };
            if let Some(start) = waiting.start.take() {
                Poll::Ready(Some(start))
            } else if state.over {
                Poll::Ready(None)
            } else {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    /// How long to sleep until something is due; None after the last.
    pub(super) fn until_due(&self, now: Instant) -> Option<Duration> {
        let due = self.state.borrow().schedule.due()?;
        Some(due.saturating_duration_since(now).max(WAKE_GAP_MIN))
    }

    /// Nothing more will be due: connections without a request end.
    pub(super) fn finish(&self) {
        let state = &mut *self.state.borrow_mut();
        state.over = true;
        for waker in state.waiting.iter_mut().filter_map(|waiting| waiting.waker.take()) {
            waker.wake();
        }
    }

    /// How many wait for a connection.
    pub(super) fn backlog(&self) -> usize {
        self.state.borrow().backlog.len()
    }

    /// Gives up what waits; says how many those were.
    pub(super) fn give_up(&self) -> usize {
        let state = &mut *self.state.borrow_mut();
        let n = state.backlog.len();
        state.backlog.clear();
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::arrivals::Arrivals;

    #[derive(Default, Debug, PartialEq)]
    struct Told {
        late: Vec<u64>,
        peak: usize,
        dropped: usize,
    }

    impl Collected for Told {
        fn sent(&mut self, late: Duration) {
            self.late.push(late.as_millis() as u64);
        }
        fn waits(&mut self, backlog: usize) {
            self.peak = self.peak.max(backlog);
        }
        fn dropped(&mut self) {
            self.dropped += 1;
        }
    }

    /// Polls once, without a runtime.
    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut std::task::Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_is_due_goes_to_who_waits_then_to_the_backlog_then_nowhere() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let schedule = Schedule::new(Arrivals::Constant, 1000.0, (0, 1), 1, (start, at(10)));
        let gate = Gate::new(schedule, 2, 3);
        let mut first = std::pin::pin!(gate.wait(0));
        assert_eq!(poll(first.as_mut()), Poll::Pending);
        assert_eq!(gate.take(at(5)), None, "another connection is first in line");

        let mut told = Told::default();
        gate.collect(at(5), &mut told);
        assert_eq!(told, Told { late: vec![5], peak: 3, dropped: 2 });
        assert_eq!(poll(first), Poll::Ready(Some(at(0))));
        assert_eq!(gate.take(at(5)), Some(at(1)), "the oldest first");
        assert_eq!(gate.until_due(at(5)), Some(Duration::from_millis(1)));

        gate.collect(at(60_000), &mut told);
        assert_eq!((gate.until_due(at(5)), gate.backlog(), told.dropped), (None, 3, 5));
        gate.finish();
        assert_eq!(gate.take(at(60_000)), Some(at(2)), "the backlog outlives the end");
        assert_eq!(gate.give_up(), 2);
        assert_eq!(poll(std::pin::pin!(gate.wait(1))), Poll::Ready(None));
    }

    #[test]
    fn a_connection_that_comes_free_takes_what_is_due_before_the_backlog_fills() {
        let start = Instant::now();
        let end = start + Duration::from_millis(10);
        let gate = Gate::new(Schedule::new(Arrivals::Constant, 1000.0, (0, 1), 1, (start, end)), 1, 3);
        assert_eq!(gate.take(end), Some(start));
        let mut told = Told::default();
        gate.collect(end, &mut told);
        assert_eq!((gate.backlog(), told.dropped), (3, 6));
    }

    #[test]
    fn the_end_wakes_who_waits() {
        let start = Instant::now();
        let schedule = Schedule::new(Arrivals::Constant, 1.0, (0, 1), 1, (start, start));
        let gate = Gate::new(schedule, 1, 3);
        let mut waiting = std::pin::pin!(gate.wait(0));
        assert_eq!(poll(waiting.as_mut()), Poll::Pending);
        gate.finish();
        assert_eq!(poll(waiting), Poll::Ready(None));
    }
}

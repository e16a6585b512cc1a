//! When a circuit opens and closes. Pure: time is an argument.
//!
//! ```text
//! closed -- failure_rate in window --> open -- open --> half open -- all probes good --> closed
//!                                       ^---------------- a probe fails ----'
//! ```

use std::time::{Duration, Instant};

use super::window::Window;
use crate::{
    control::raw::quantity::show_duration,
    upstream::{
        circuit::{Breaker, State},
        health::Totals,
    },
};

/// The state of one breaker.
#[derive(Debug)]
pub(super) struct Switch {
    /// When it is to be tried again; `None`: it is not open.
    until: Option<Instant>,
    /// It lets probes pass.
    probing: bool,
    window: Window,
    /// Since when it is as it is.
    pub(super) since: Instant,
    /// Why it opened last; empty: it is closed.
    pub(super) why: String,
}

impl Switch {
    /// A closed one.
    pub(super) fn new(now: Instant) -> Switch {
        Switch { until: None, probing: false, window: Window::new(now), since: now, why: String::new() }
    }

    /// Takes in what workers have seen since the last look, of all endpoints, and sets the circuit. The state, if it is
    /// another now.
    pub(super) fn look(&mut self, breaker: &Breaker, seen: &Totals, now: Instant) -> Option<State> {
        let (settings, circuit) = (&breaker.settings, &breaker.circuit);
        let Some(permille) = settings.failure_permille else {
            return (self.until.is_some() || self.probing).then(|| self.close(breaker, now));
        };
        if let Some(until) = self.until {
            if until > now {
                set_left(breaker, until - now);
                return None;
            }
            (self.until, self.probing, self.since) = (None, true, now);
            circuit.half_open(settings.probes);
            return Some(State::HalfOpen);
        }
        if self.probing {
            let probed = circuit.probes();
            if probed.bad > 0 {
                self.why = format!("{} of {} probes failed", probed.bad, probed.bad + probed.good);
                return Some(self.open(breaker, now));
            }
            return (probed.good >= settings.probes).then(|| self.close(breaker, now));
        }
        self.window.add(seen, settings.window, now);
        if self.window.fails(permille, settings.min_requests) {
            let window = show_duration(settings.window);
            self.why = format!("{} within {window}", self.window.failure_rate());
            return Some(self.open(breaker, now));
        }
        None
    }

    fn open(&mut self, breaker: &Breaker, now: Instant) -> State {
        let length = breaker.settings.open;
        (self.until, self.probing, self.since) = (Some(now + length), false, now);
        set_left(breaker, length);
        breaker.circuit.state()
    }

    fn close(&mut self, breaker: &Breaker, now: Instant) -> State {
        *self = Switch::new(now);
        breaker.circuit.set(State::Closed);
        State::Closed
    }
}

/// Has clients told how long it will be, in seconds, rounded up.
fn set_left(breaker: &Breaker, left: Duration) {
    let seconds = left.as_millis().div_ceil(1000);
    let state = State::Open(u32::try_from(seconds).unwrap_or(u32::MAX));
    if breaker.circuit.state() != state {
        breaker.circuit.set(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{circuit::BreakerSettings, latency::Buckets};

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        let settings = BreakerSettings {
            failure_permille: Some(500),
            min_requests: 10,
            window: 10 * SECOND,
            max_requests: None,
            open: 5 * SECOND,
            probes: 2,
        };
        Breaker { settings, circuit: Default::default() }
    }

    fn seen(answers: u32, failures: u32) -> Totals {
        Totals { answers, failures, runs: 0, latencies: Buckets::default() }
    }

    /// Takes a probe and says how it went.
    fn probe(breaker: &Breaker, good: bool) {
        let Ok(Some(pass)) = breaker.circuit.admit() else { panic!("no probe is to be had") };
        breaker.circuit.probed(pass, Some(good));
    }

    #[test]
    fn it_opens_is_probed_and_closes() {
        let (start, breaker) = (Instant::now(), breaker());
        let mut switch = Switch::new(start);
        // Too few, then too many.
        assert_eq!(switch.look(&breaker, &seen(0, 9), start), None);
        assert_eq!(switch.look(&breaker, &seen(2, 0), start + SECOND), Some(State::Open(5)));
        assert_eq!(switch.why, "9 of 11 tries failed (82 %) within 10s");
        // What ends late does not count, and clients are told how long it will be.
        assert_eq!(switch.look(&breaker, &seen(0, 50), start + 2 * SECOND + SECOND / 2), None);
        assert_eq!(breaker.circuit.admit(), Err(4));
        let now = start + 6 * SECOND;
        assert_eq!(switch.look(&breaker, &seen(0, 0), now), Some(State::HalfOpen));
        // One bad probe, and it is open again.
        probe(&breaker, true);
        assert_eq!(switch.look(&breaker, &seen(1, 0), now), None);
        probe(&breaker, false);
        assert!(breaker.circuit.admit().is_err(), "no more than two");
        assert_eq!(switch.look(&breaker, &seen(0, 1), now + SECOND), Some(State::Open(5)));
        assert_eq!((switch.why.as_str(), switch.since), ("1 of 2 probes failed", now + SECOND));
        let now = now + 6 * SECOND;
        assert_eq!(switch.look(&breaker, &seen(0, 0), now), Some(State::HalfOpen));
        probe(&breaker, true);
        probe(&breaker, true);
        assert_eq!(switch.look(&breaker, &seen(2, 0), now), Some(State::Closed));
        assert_eq!((breaker.circuit.admit(), switch.why.as_str()), (Ok(None), ""));
        // Of before nothing is left.
        assert_eq!(switch.look(&breaker, &seen(0, 9), now), None);
        assert_eq!(switch.look(&breaker, &seen(0, 1), now), Some(State::Open(5)));
    }

    #[test]
    fn it_closes_when_nothing_is_to_open_it_any_more() {
        let (start, mut breaker) = (Instant::now(), breaker());
        let mut switch = Switch::new(start);
        assert_eq!(switch.look(&breaker, &seen(0, 10), start), Some(State::Open(5)));
        breaker.settings.failure_permille = None;
        assert_eq!(switch.look(&breaker, &seen(0, 10), start), Some(State::Closed));
        assert_eq!(switch.look(&breaker, &seen(0, 10), start), None);
    }
}

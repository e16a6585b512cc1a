//! A circuit breaker: what a config asks for, and the words by which the control thread lets requests through or not.
//!
//! Closed, all pass; open, none do; half open, a few do (probes), and what comes of them decides. The control thread decides
//! and writes the state; a worker reads it with one load. Probes alone are counted by all workers in one word, and only
//! while the circuit is half open.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

/// When the circuit of one upstream opens, and how it closes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerSettings {
    /// When so large a part of the tries in `window` fails, over all endpoints, in per mille; `None`: whatever fails.
    pub failure_permille: Option<u32>,
    /// No rate is made of fewer tries than these.
    pub min_requests: u32,
    /// What is looked at.
    pub window: Duration,
    /// Requests under way in the process; further ones are refused. `None`: no limit.
    pub max_requests: Option<u32>,
    /// How long it is open.
    pub open: Duration,
    /// Requests that pass then, to find out: all must succeed.
    pub probes: u32,
}

/// An upstream's breaker. Equal to another if it is set in the same way: the circuit goes by the upstream's id.
#[derive(Debug, Clone)]
pub struct Breaker {
    /// How it is set.
    pub settings: BreakerSettings,
    /// Its state; the same from table to table.
    pub circuit: Arc<Circuit>,
}

impl PartialEq for Breaker {
    fn eq(&self, other: &Breaker) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Breaker {}

/// Whether requests pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All do.
    Closed,
    /// None does, for so many seconds more.
    Open(u32),
    /// Probes do.
    HalfOpen,
}

const CLOSED: u64 = 0;
const OPEN: u64 = 1;
const HALF_OPEN: u64 = 2;
/// Where the seconds are in the word of the state; below them is the state, in 16 bits, and the number of the half-open
/// phase, in as many.
const SECONDS_AT: u32 = 32;
const PHASE_AT: u32 = 16;
/// Where the parts of the word of probes are, of 16 bits each: phase, good, bad, left.
const GOOD_AT: u32 = 32;
const BAD_AT: u32 = 16;
const PROBES_PHASE_AT: u32 = 48;
const PART: u64 = 0xffff;

/// Probes of one half-open phase: they are counted in 16 bits.
pub const PROBES_MAX: u32 = 1000;

const _: () = assert!(PROBES_MAX as u64 <= PART);

/// The state of a circuit.
#[derive(Debug, Default)]
pub struct Circuit {
    /// Written by the control thread alone.
    state: AtomicU64,
    /// Written by the control thread as a half-open phase begins, and by workers during it.
    probes: AtomicU64,
}

/// A request that passes while the circuit is half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    phase: u64,
}

/// What has come of the probes of a half-open phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Probed {
    /// Probes that succeeded.
    pub good: u32,
    /// Probes that failed.
    pub bad: u32,
    /// Probes that nobody has made yet.
    pub left: u32,
}

impl Circuit {
    /// Whether a request may pass; as a probe, when that is so. `Err`: not for so many seconds.
    #[inline]
    pub fn admit(&self) -> Result<Option<Pass>, u32> {
        if self.is_closed() { Ok(None) } else { self.admit_probe().map(Some) }
    }

    #[cold]
    fn admit_probe(&self) -> Result<Pass, u32> {
        // The budget is written before the state.
        let state = self.state.load(Acquire);
        let seconds = ((state >> SECONDS_AT) as u32).max(1);
        if state & PART != HALF_OPEN {
            return Err(seconds);
        }
        let phase = state >> PHASE_AT & PART;
        let take =
            |probes: u64| (probes >> PROBES_PHASE_AT == phase && probes & PART > 0).then(|| probes - 1);
        self.probes.fetch_update(Relaxed, Relaxed, take).map(|_| Pass { phase }).map_err(|_| seconds)
    }

    /// Whether everybody may pass. While that is not so nothing is tried a second time.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.state.load(Relaxed) & PART == CLOSED
    }

    /// What has come of a probe: good or bad, or nothing that says anything, and another may be made in its place.
    pub fn probed(&self, pass: Pass, good: Option<bool>) {
        let step = match good {
            Some(true) => 1 << GOOD_AT,
            Some(false) => 1 << BAD_AT,
            None => 1,
        };
        // One of an earlier phase has nothing to say any more.
        let note = |probes: u64| (probes >> PROBES_PHASE_AT == pass.phase).then(|| probes + step);
        let _ = self.probes.fetch_update(Relaxed, Relaxed, note);
    }

    /// How the probes of this phase went.
    pub fn probes(&self) -> Probed {
        let probes = self.probes.load(Relaxed);
        let part = |at: u32| (probes >> at & PART) as u32;
        Probed { good: part(GOOD_AT), bad: part(BAD_AT), left: part(0) }
    }

    /// Lets all pass, or none. Only the control thread may; for half open there is `half_open`.
    pub fn set(&self, state: State) {
        let phase = self.state.load(Relaxed) & PART << PHASE_AT;
        let state = match state {
            State::Closed => CLOSED,
            State::Open(seconds) => OPEN | u64::from(seconds) << SECONDS_AT,
            State::HalfOpen => HALF_OPEN,
        };
        self.state.store(phase | state, Release);
    }

    /// Lets so many pass, as probes. Only the control thread may.
    pub fn half_open(&self, probes: u32) {
        let phase = (self.state.load(Relaxed) >> PHASE_AT).wrapping_add(1) & PART;
        self.probes.store(phase << PROBES_PHASE_AT | u64::from(probes.min(PROBES_MAX)), Relaxed);
        self.state.store(phase << PHASE_AT | HALF_OPEN, Release);
    }

    /// Whether requests pass.
    pub fn state(&self) -> State {
        let state = self.state.load(Relaxed);
        match state & PART {
            CLOSED => State::Closed,
            OPEN => State::Open((state >> SECONDS_AT) as u32),
            _ => State::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Instant};

    use super::*;

    #[test]
    fn all_pass_or_none_or_a_few() {
        let circuit = Circuit::default();
        assert_eq!((circuit.admit(), circuit.state()), (Ok(None), State::Closed));
        circuit.set(State::Open(7));
        assert_eq!((circuit.admit(), circuit.state()), (Err(7), State::Open(7)));
        circuit.set(State::Open(0));
        assert_eq!(circuit.admit(), Err(1));
        circuit.half_open(2);
        assert_eq!(circuit.state(), State::HalfOpen);
        let (one, two) = (circuit.admit(), circuit.admit());
        assert_eq!(circuit.admit(), Err(1));
        let (Ok(Some(one)), Ok(Some(two))) = (one, two) else { panic!("two probes: {one:?} {two:?}") };
        // One that says nothing may be made again.
        circuit.probed(one, None);
        assert_eq!(circuit.probes(), Probed { good: 0, bad: 0, left: 1 });
        let Ok(Some(three)) = circuit.admit() else { panic!("one more probe") };
        circuit.probed(two, Some(true));
        circuit.probed(three, Some(false));
        assert_eq!(circuit.probes(), Probed { good: 1, bad: 1, left: 0 });
        // Nothing is left of a phase in the next one.
        circuit.set(State::Open(1));
        circuit.half_open(1);
        circuit.probed(three, None);
        circuit.probed(one, Some(false));
        assert_eq!(circuit.probes(), Probed { good: 0, bad: 0, left: 1 });
        circuit.set(State::Closed);
        assert_eq!(circuit.admit(), Ok(None));
    }

    #[test]
    fn no_more_pass_than_there_are_probes() {
        let circuit = Circuit::default();
        circuit.half_open(PROBES_MAX);
        let until = Instant::now() + Duration::from_secs(20);
        let passed: u32 = thread::scope(|scope| {
            let takes = || {
                let mut passed = 0;
                while circuit.admit().is_ok() && Instant::now() < until {
                    passed += 1;
                }
                passed
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(takes)).collect();
            threads.into_iter().map(|it| it.join().unwrap_or(0)).sum()
        });
        assert_eq!(passed, PROBES_MAX);
    }
}

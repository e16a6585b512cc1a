//! Latency histograms of one worker: five for all its exchanges, five for each route. Plain values of one thread.
//!
//! HDR histograms in microseconds. They grow to the largest value seen, at most an hour, so that a worker that
//! answers within milliseconds holds and copies kilobytes.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use hdrhistogram::{Counter, Histogram};

use super::{named_counts::NamedCounts, outcome::Phases};
use crate::limits::ROUTE_HISTOGRAMS_MAX;

/// The longest time told apart, one hour; what took longer counts as this.
const MICROS_MAX: u64 = 3_600_000_000;
/// Significant digits of the histograms over all exchanges.
pub(super) const PROCESS_DIGITS: u8 = 3;
/// Significant digits of the histograms of a route, of which there may be many.
pub(super) const ROUTE_DIGITS: u8 = 2;

/// What is measured of an exchange; see `Phases` for what each one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The whole.
    Total,
    /// Waiting for an upstream connection.
    Queue,
    /// Opening one.
    Connect,
    /// Waiting for the response head.
    FirstByte,
    /// The proxy's own share.
    Overhead,
}

impl Phase {
    /// All, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Total, Self::Queue, Self::Connect, Self::FirstByte, Self::Overhead];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Queue => "queue",
            Self::Connect => "connect",
            Self::FirstByte => "first_byte",
            Self::Overhead => "overhead",
        }
    }
}

/// One histogram per phase. `C` is the width of a bucket's count; a full bucket stays full.
#[derive(Debug, Clone)]
pub struct PhaseHistograms<C: Counter>([Histogram<C>; Phase::ALL.len()]);

impl<C: Counter> PhaseHistograms<C> {
    /// Empty ones.
    ///
    /// # Panics
    /// When `digits` is over 5, which no caller's is.
    #[expect(
        clippy::expect_used,
        reason = "fails for more than 5 digits only; both callers pass a constant below that"
    )]
    pub fn new(digits: u8) -> Self {
        Self(std::array::from_fn(|_| Histogram::new(digits).expect("at most 5 digits")))
    }

    /// The histogram of one phase.
    pub fn phase(&self, phase: Phase) -> &Histogram<C> {
        &self.0[phase as usize]
    }

    /// Whether nothing has been counted.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Histogram::is_empty)
    }

    /// Counts one exchange. Queue, connect and first byte are counted where they happened (see `Phases`); the whole
    /// and the overhead always, except for a tunnel, whose duration is up to its users.
    #[inline]
    pub fn record(&mut self, phases: &Phases, tunnel: bool) {
        if !tunnel {
            self.add(Phase::Total, phases.total_us);
            self.add(Phase::Overhead, phases.overhead_us);
        }
        if phases.queue_us > 0 {
            self.add(Phase::Queue, phases.queue_us);
        }
        if phases.connect_us > 0 {
            self.add(Phase::Connect, phases.connect_us);
        }
        if phases.first_byte_us > 0 {
            self.add(Phase::FirstByte, phases.first_byte_us);
        }
    }

    #[inline]
    fn add(&mut self, phase: Phase, micros: u64) {
        // Fails only where a value exceeds what the histogram can grow to, which MICROS_MAX is far below.
        let _ = self.0[phase as usize].record(micros.min(MICROS_MAX));
    }

    /// Adds all that `other` has counted. Its counts are as wide as these or narrower.
    pub fn absorb<F: Counter>(&mut self, other: &PhaseHistograms<F>) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            for step in theirs.iter_recorded() {
                if let Some(count) = C::from_u64(step.count_at_value().as_u64()) {
                    let _ = mine.record_n(step.value_iterated_to(), count); // as in `add`
                }
            }
        }
    }
}

/// The histograms of one route.
#[derive(Debug, Clone)]
pub struct RouteHistograms {
    /// The route's identity across tables.
    pub id: u32,
    /// Its name.
    pub name: Arc<str>,
    /// What was measured.
    pub phases: PhaseHistograms<u32>,
}

/// All histograms of one worker.
#[derive(Debug)]
pub struct Histograms {
    /// Over all exchanges.
    pub(super) process: PhaseHistograms<u64>,
    /// In the order in which routes were first used.
    pub(super) routes: Vec<RouteHistograms>,
    /// Routes beyond `ROUTE_HISTOGRAMS_MAX`, together.
    pub(super) other: PhaseHistograms<u32>,
    /// How often each rule matched.
    pub(super) rules: NamedCounts,
    /// How many requests had each tag.
    pub(super) tags: NamedCounts,
    /// Places in `routes` by id.
    places: HashMap<u32, u32, BuildHasherDefault<IdHasher>>,
}

impl Default for Histograms {
    fn default() -> Self {
        Self {
            process: PhaseHistograms::new(PROCESS_DIGITS),
            routes: Vec::new(),
            other: PhaseHistograms::new(ROUTE_DIGITS),
            rules: NamedCounts::default(),
            tags: NamedCounts::default(),
            places: HashMap::default(),
        }
    }
}

impl Histograms {
    /// Counts one exchange, for all and for its route.
    #[inline]
    pub fn record(&mut self, route: Option<(u32, &Arc<str>)>, phases: &Phases, tunnel: bool) {
        self.process.record(phases, tunnel);
        if let Some((id, name)) = route {
            self.route(id, name).record(phases, tunnel);
        }
    }

    /// The histograms of a route, made when it is first used.
    #[inline]
    fn route(&mut self, id: u32, name: &Arc<str>) -> &mut PhaseHistograms<u32> {
        match self.places.get(&id) {
            Some(&place) => &mut self.routes[place as usize].phases,
            None => self.first_use(id, name),
        }
    }

    #[cold]
    fn first_use(&mut self, id: u32, name: &Arc<str>) -> &mut PhaseHistograms<u32> {
        let place = self.routes.len();
        if place >= ROUTE_HISTOGRAMS_MAX {
            return &mut self.other;
        }
        self.places.insert(id, place as u32);
        self.routes.push(RouteHistograms {
            id,
            // A copy, so that nothing of a table is held, and so freed, by a worker.
            name: Arc::from(&**name),
            phases: PhaseHistograms::new(ROUTE_DIGITS),
        });
        &mut self.routes[place].phases
    }

    /// Gives up the histograms of routes that are not there any more: their places go to others.
    pub fn keep(&mut self, is_there: impl Fn(u32) -> bool) {
        let before = self.routes.len();
        self.routes.retain(|route| is_there(route.id));
        if self.routes.len() < before {
            self.places = self.routes.iter().zip(0..).map(|(route, place)| (route.id, place)).collect();
        }
    }

    /// Adds all that `other` has counted.
    pub fn absorb(&mut self, other: &Self) {
        self.process.absorb(&other.process);
        self.other.absorb(&other.other);
        for route in &other.routes {
            self.route(route.id, &route.name).absorb(&route.phases);
        }
        self.rules.absorb(&other.rules);
        self.tags.absorb(&other.tags);
    }
}

/// Spreads route ids, small consecutive numbers of our own making, over a hash map with one multiplication.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        // 2^64 divided by the golden ratio: neighbours end up far apart in the high bits and the low ones.
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(total_us: u64) -> Phases {
        Phases { total_us, overhead_us: 7, ..Phases::default() }
    }

    #[test]
    fn phases_are_counted_where_they_happened() {
        let mut histograms = PhaseHistograms::<u64>::new(PROCESS_DIGITS);
        histograms.record(&phases(100), false);
        histograms.record(&Phases { queue_us: 5, connect_us: 6, first_byte_us: 8, ..phases(0) }, false);
        histograms.record(&Phases { first_byte_us: 9, ..phases(1_000_000) }, true);
        let counts = Phase::ALL.map(|phase| histograms.phase(phase).len());
        assert_eq!(counts, [2, 1, 1, 2, 2]);
        assert_eq!(histograms.phase(Phase::Total).max(), 100);
        assert_eq!(histograms.phase(Phase::Connect).max(), 6);
    }

    #[test]
    fn an_hour_is_the_longest() {
        let mut histograms = PhaseHistograms::<u64>::new(PROCESS_DIGITS);
        histograms.record(&phases(u64::MAX), false);
        let max = histograms.phase(Phase::Total).max();
        assert!((MICROS_MAX..MICROS_MAX + MICROS_MAX / 500).contains(&max), "{max}");
    }

    #[test]
    fn absorbing_equals_recording_all_in_one() {
        let mut apart =
            [PhaseHistograms::<u32>::new(ROUTE_DIGITS), PhaseHistograms::<u32>::new(ROUTE_DIGITS)];
        let mut whole = PhaseHistograms::<u64>::new(ROUTE_DIGITS);
        for n in 0..10_000_u64 {
            let phases = Phases { queue_us: n % 3, connect_us: n * n, ..phases(n * 17) };
            apart[n as usize % 2].record(&phases, false);
            whole.record(&phases, false);
        }
        let mut merged = PhaseHistograms::<u64>::new(ROUTE_DIGITS);
        merged.absorb(&apart[0]);
        merged.absorb(&apart[1]);
        for phase in Phase::ALL {
            assert_eq!(merged.phase(phase), whole.phase(phase), "{}", phase.name());
        }
    }

    #[test]
    fn routes_beyond_the_bound_are_counted_together() {
        let mut histograms = Histograms::default();
        for id in 0..ROUTE_HISTOGRAMS_MAX as u32 + 5 {
            let name: Arc<str> = format!("route {id}").into();
            histograms.record(Some((id, &name)), &phases(10), false);
            histograms.record(Some((id, &name)), &phases(20), false);
        }
        assert_eq!(histograms.routes.len(), ROUTE_HISTOGRAMS_MAX);
        assert!(histograms.routes.iter().all(|route| route.phases.phase(Phase::Total).len() == 2));
        assert_eq!(histograms.other.phase(Phase::Total).len(), 10);
        assert_eq!(&*histograms.routes[700].name, "route 700");
        // Those of routes that are gone make room for others, and those that stay keep what they have.
        histograms.keep(|id| id % 2 == 0);
        assert_eq!(histograms.routes.len(), ROUTE_HISTOGRAMS_MAX / 2);
        for id in [700, 5_000] {
            let name: Arc<str> = format!("route {id}").into();
            histograms.record(Some((id, &name)), &phases(10), false);
        }
        let counts = |id: u32| {
            let route = histograms.routes.iter().find(|route| route.id == id);
            route.map(|route| route.phases.phase(Phase::Total).len())
        };
        assert_eq!([700, 701, 5_000].map(counts), [Some(3), None, Some(1)]);
    }
}

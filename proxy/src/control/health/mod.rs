//! Which endpoints are in use, decided once for all workers: active checks, ejection by what workers have seen, slow start,
//! and circuit breakers.
//!
//! ```text
//! worker: tries -> tally (words with one writer) --look, every 100 ms--> judge, breaker -> share, circuit -> worker: pick, admit
//!                                           check (a task per endpoint) --'
//! ```
//!
//! All of it runs on the control thread's tokio, the only writer of shares and circuits. What is known of an endpoint goes by
//! its id, and so outlives tables; it is forgotten with the endpoint.

#![expect(clippy::disallowed_types, reason = "between tasks of the control thread and those who show it")]

mod breaker;
mod check;
mod judge;
mod show;
mod watched;
mod window;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    sync::{Notify, Semaphore},
    time::{MissedTickBehavior, interval, sleep, sleep_until},
};

pub use self::judge::State;
use self::{show::Clocks, watched::Watched};
use crate::{
    limits::{HEALTH_CHECKS_MAX, HEALTH_LOOK_EVERY},
    observe::Board,
    proxy_protocol::Version,
    upstream::{Endpoint, Upstream, health, health::Checks},
};

/// The upstreams of a table, by their places.
type Upstreams = Arc<[Option<Arc<Upstream>>]>;

/// What is known of all endpoints. A handle: clones are the same.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    watching: RwLock<Watching>,
    /// There may be something to look at now.
    changed: Notify,
    seats: Semaphore,
    board: Arc<Board>,
    /// Of the start.
    clocks: Clocks,
}

/// What is being watched.
#[derive(Default)]
struct Watching {
    all: Upstreams,
    /// By the upstream's id; only those for which there is anything to do.
    upstreams: HashMap<u32, Watched>,
    /// Words of endpoints that are gone, until no worker holds them: so that none has to free them.
    retired: Vec<health::Health>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

impl Health {
    /// Nothing is watched yet, and never will be without [`Health::start`]. `now` is the time of people's clocks.
    pub fn new(board: &Arc<Board>, now: SystemTime) -> Health {
        Health(Arc::new(Inner {
            watching: Default::default(),
            changed: Notify::new(),
            seats: Semaphore::new(HEALTH_CHECKS_MAX),
            board: Arc::clone(board),
            clocks: Clocks(Instant::now(), now),
        }))
    }

    /// Begins to look at what workers see.
    pub fn start(board: &Arc<Board>, now: SystemTime) -> Health {
        let health = Health::new(board, now);
        tokio::spawn(keep_looking(health.clone()));
        health
    }

    fn read<T>(&self, with: impl FnOnce(&Watching) -> T) -> T {
        with(&self.0.watching.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, with: impl FnOnce(&mut Watching) -> T) -> T {
        with(&mut self.0.watching.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes over to the upstreams of another table. Endpoints that are in both are known as before.
    pub fn follow(&self, upstreams: &Upstreams) {
        self.write(|watching| watching.follow(self, upstreams));
        self.0.changed.notify_one();
    }

    /// Takes in the result of a check.
    fn check_ended(&self, (upstream, endpoint): (u32, u32), result: Result<(), String>) {
        let process = self.0.board.process();
        match &result {
            Ok(()) => process.checks_passed.inc(),
            Err(_) => process.checks_failed.inc(),
        }
        self.write(|watching| {
            if let Some(watched) = watching.upstreams.get_mut(&upstream) {
                watched.check_ended(endpoint, result, Instant::now());
            }
            watching.count(&self.0.board);
        });
    }
}

/// Looks at what workers have seen for as long as there is anything to look at.
async fn keep_looking(health: Health) {
    let mut ticks = interval(HEALTH_LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if health.read(|it| it.upstreams.is_empty() && it.retired.is_empty()) {
            health.0.changed.notified().await;
        }
        ticks.tick().await;
        health.write(|watching| watching.look(&health.0.board, Instant::now()));
    }
}

impl Watching {
    fn follow(&mut self, health: &Health, upstreams: &Upstreams) {
        if Arc::ptr_eq(&self.all, upstreams) {
            return;
        }
        self.all = Arc::clone(upstreams);
        let now = Instant::now();
        let mut before = std::mem::take(&mut self.upstreams);
        for upstream in upstreams.iter().flatten().filter(|it| it.health.is_some() || it.breaker.is_some()) {
            let mut watched = before.remove(&upstream.id).unwrap_or_default();
            watched.follow(health, upstream, &mut self.retired, now);
            self.upstreams.insert(upstream.id, watched);
        }
        if !before.is_empty() {
            let there: HashSet<u32> = upstreams.iter().flatten().map(|it| it.id).collect();
            for (id, watched) in before {
                let given_up = watched.give_up();
                // What the table still has is not gone.
                self.retired.extend(given_up.filter(|_| !there.contains(&id)));
            }
        }
        self.count(&health.0.board);
    }

    fn look(&mut self, board: &Board, now: Instant) {
        self.retired.retain(|it| !it.is_last());
        for watched in self.upstreams.values_mut() {
            watched.look(board.process(), now);
        }
        self.count(board);
    }

    /// Sets the gauges.
    fn count(&self, board: &Board) {
        let states = || self.upstreams.values().flat_map(Watched::states);
        let of = |state: State| states().filter(|it| *it == state).count() as u64;
        let process = board.process();
        process.endpoints_up.set(of(State::Up));
        process.endpoints_unchecked.set(of(State::Unchecked));
        process.endpoints_slow_start.set(of(State::SlowStart));
        process.endpoints_failing.set(of(State::Failing));
        process.endpoints_ejected.set(of(State::Ejected));
        let mut breakers = [0; 3];
        for circuit in self.upstreams.values().filter_map(Watched::circuit) {
            let place = match circuit {
                crate::upstream::circuit::State::Closed => 0,
                crate::upstream::circuit::State::Open(_) => 1,
                crate::upstream::circuit::State::HalfOpen => 2,
            };
            breakers[place] += 1;
        }
        process.breakers_closed.set(breakers[0]);
        process.breakers_open.set(breakers[1]);
        process.breakers_half_open.set(breakers[2]);
    }
}

/// The checks, and the PROXY protocol header that each begins with, as all connections to that upstream.
type HowToCheck = (Checks, Option<Version>);

/// Checks an endpoint again and again. `at_once`: nothing is known of it, so the first check does not wait. All others come at
/// times of their own, so that those of many endpoints do not come together.
async fn keep_checking(
    health: Health,
    upstream: u32,
    endpoint: Endpoint,
    (checks, greeting): HowToCheck,
    at_once: bool,
) {
    if !at_once {
        sleep(checks.interval.mul_f64(chance())).await;
    }
    let mut first = at_once;
    loop {
        // Never closed.
        let seat = health.0.seats.acquire().await;
        let begun = Instant::now();
        let result = check::check(&endpoint, &checks, greeting).await;
        drop(seat);
        health.check_ended((upstream, endpoint.id), result);
        let wait = if first { checks.interval.mul_f64(chance()) } else { jittered(&checks, chance()) };
        first = false;
        sleep_until((begun + wait).into()).await;
    }
}

fn jittered(checks: &Checks, chance: f64) -> Duration {
    let jitter = f64::from(checks.jitter_permille) / 1000.0;
    checks.interval.mul_f64(1.0 + jitter * (2.0 * chance - 1.0))
}

/// A number from 0 to 1 by chance. The standard library has no plainer source of it.
fn chance() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::health::Probe;

    #[test]
    fn waits_differ_within_bounds() {
        let second = Duration::from_secs(1);
        let mut checks = Checks {
            probe: Probe::Tcp,
            interval: 10 * second,
            jitter_permille: 100,
            timeout: second,
            rise: 1,
            fall: 1,
        };
        assert_eq!((jittered(&checks, 0.0), jittered(&checks, 1.0)), (9 * second, 11 * second));
        assert_eq!(jittered(&checks, 0.5), 10 * second);
        checks.jitter_permille = 0;
        assert_eq!(jittered(&checks, 1.0), 10 * second);
        let chances: Vec<f64> = (0..100).map(|_| chance()).collect();
        assert!(chances.iter().all(|it| (0.0..=1.0).contains(it)));
        assert!(chances.iter().any(|it| *it < 0.5) && chances.iter().any(|it| *it > 0.5));
    }
}

//! The health of endpoints: what a config asks for, what workers count, and what the control thread has decided.
//!
//! An endpoint's words are shared by all threads, and each word has one writer: a worker writes its own tally, the control
//! thread the share. They stay with the endpoint from table to table, as its id does.

use std::{
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use super::latency::{Buckets, LATENCY_BUCKETS, bucket};

/// The whole of an endpoint's weight, in the unit of [`EndpointHealth::share`].
pub const WHOLE_SHARE: u32 = 1000;

/// How the endpoints of one upstream are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSettings {
    /// Checks that the control thread makes; `None`: none.
    pub checks: Option<Checks>,
    /// What of the workers' own experience takes an endpoint out of use; `None`: nothing.
    pub ejection: Option<Ejection>,
    /// How long the share of an endpoint that has recovered takes to become whole; `None`: it is whole at once.
    pub slow_start: Option<Duration>,
    /// What is done when no endpoint is left.
    pub when_unhealthy: WhenUnhealthy,
}

/// What is done with requests when none of the endpoints can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenUnhealthy {
    /// All are used, as if nothing was known of them.
    #[default]
    TryAll,
    /// 503.
    Fail,
}

/// Checks of each endpoint, made once for the whole process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    /// How it is asked.
    pub probe: Probe,
    /// From one check's start to the next one's.
    pub interval: Duration,
    /// By what part of the interval it is longer or shorter, by chance, in per mille.
    pub jitter_permille: u32,
    /// How long one may take.
    pub timeout: Duration,
    /// Checks in a row that must pass before an endpoint is used again.
    pub rise: u32,
    /// Checks in a row that must fail before it is not.
    pub fall: u32,
}

/// How an endpoint is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It takes a connection.
    Tcp,
    /// It answers a GET.
    Http {
        /// Path and query.
        path: Box<str>,
        /// The `Host` field; `None`: the endpoint's own address.
        host: Option<Box<str>>,
        /// Statuses that are right, at least one.
        status: Box<[u16]>,
        /// What the body must contain.
        body: Option<Box<str>>,
    },
}

/// When the workers' own experience takes an endpoint out of use. At least one rule is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ejection {
    /// After so many failures in a row.
    pub consecutive_failures: Option<u32>,
    /// When so large a part of the tries in `window` fails, in per mille.
    pub failure_permille: Option<u32>,
    /// No rate and no percentile is made of fewer tries than these.
    pub min_requests: u32,
    /// When its 99th percentile is so many times the median of its peers' in `window`, in thousandths.
    pub latency_permille: Option<u32>,
    /// What is looked at.
    pub window: Duration,
    /// How long it is out the first time.
    pub time: Duration,
    /// How long at most, however often it comes back and goes again.
    pub time_max: Duration,
    /// Of all endpoints so many may be out of use, in percent, for one more to be ejected.
    pub max_percent: u32,
}

/// What a worker has seen of one endpoint. It alone writes it, on cache lines of its own. All words wrap.
#[derive(Debug)]
#[repr(align(128))]
struct Tally {
    answers: AtomicU32,
    failures: AtomicU32,
    /// Failures since the last answer, or since a run was told.
    run: AtomicU32,
    /// Runs that were as long as they may be.
    runs: AtomicU32,
    /// Answers by the time to their first byte.
    latencies: [AtomicU32; LATENCY_BUCKETS],
}

impl Tally {
    fn new() -> Tally {
        Tally {
            answers: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            run: AtomicU32::new(0),
            runs: AtomicU32::new(0),
            latencies: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }
}

/// One writer: a plain load and a plain store.
fn add_one(word: &AtomicU32) {
    word.store(word.load(Relaxed).wrapping_add(1), Relaxed);
}

/// What all workers have counted for one endpoint since the process began. The words wrap: only differences mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Answers that are no failures.
    pub answers: u32,
    /// Failures.
    pub failures: u32,
    /// Times that one worker has seen as many failures in a row as it is to tell of.
    pub runs: u32,
    /// Answers by the time to their first byte.
    pub latencies: Buckets,
}

impl Totals {
    /// What has been counted since `before`.
    pub fn since(&self, before: &Totals) -> Totals {
        Totals {
            answers: self.answers.wrapping_sub(before.answers),
            failures: self.failures.wrapping_sub(before.failures),
            runs: self.runs.wrapping_sub(before.runs),
            latencies: self.latencies.since(&before.latencies),
        }
    }
}

/// The words of one endpoint.
#[derive(Debug)]
pub struct EndpointHealth {
    share: AtomicU32,
    /// The length of a run that is told; 0: none is.
    run_max: AtomicU32,
    /// By worker. Not there until somebody judges by them.
    tallies: OnceLock<Box<[Tally]>>,
}

impl EndpointHealth {
    /// The part of its weight that it is to have now, in per mille. 0: it is not to be used.
    #[inline]
    pub fn share(&self) -> u32 {
        self.share.load(Relaxed)
    }

    /// Only the control thread may.
    pub fn set_share(&self, share: u32) {
        self.share.store(share.min(WHOLE_SHARE), Relaxed);
    }

    /// Has workers count from now on, and tell of so many failures in a row (0: of none). Only the control thread may.
    pub fn count(&self, workers: usize, run_max: u32) {
        self.run_max.store(run_max, Relaxed);
        self.tallies.get_or_init(|| (0..workers).map(|_| Tally::new()).collect());
    }

    fn tally(&self, worker: u32) -> Option<&Tally> {
        self.tallies.get()?.get(worker as usize)
    }

    /// An answer, so long after it was asked for. Only worker `worker` may.
    #[inline]
    pub fn answered(&self, worker: u32, first_byte_us: u64) {
        let Some(tally) = self.tally(worker) else { return };
        add_one(&tally.answers);
        tally.run.store(0, Relaxed);
        if let Some(word) = tally.latencies.get(bucket(first_byte_us)) {
            add_one(word);
        }
    }

    /// A failure. Only worker `worker` may.
    pub fn failed(&self, worker: u32) {
        let Some(tally) = self.tally(worker) else { return };
        add_one(&tally.failures);
        add_one(&tally.run);
        let run_max = self.run_max.load(Relaxed);
        if run_max > 0 && tally.run.load(Relaxed) >= run_max {
            tally.run.store(0, Relaxed);
            add_one(&tally.runs);
        }
    }

    /// What all workers have counted; latencies are left out unless they are wanted.
    pub fn totals(&self, with_latencies: bool) -> Totals {
        let mut totals = Totals::default();
        for tally in self.tallies.get().into_iter().flatten() {
            totals.answers = totals.answers.wrapping_add(tally.answers.load(Relaxed));
            totals.failures = totals.failures.wrapping_add(tally.failures.load(Relaxed));
            totals.runs = totals.runs.wrapping_add(tally.runs.load(Relaxed));
            if with_latencies {
                totals.latencies.add(tally.latencies.iter().map(|word| word.load(Relaxed)));
            }
        }
        totals
    }
}

/// An endpoint's words, wherever it is spoken of. Equal to any other: they go by the endpoint's id.
#[derive(Debug, Clone)]
pub struct Health(Arc<EndpointHealth>);

impl Default for Health {
    fn default() -> Health {
        Health(Arc::new(EndpointHealth {
            share: AtomicU32::new(WHOLE_SHARE),
            run_max: AtomicU32::new(0),
            tallies: OnceLock::new(),
        }))
    }
}

impl Health {
    /// Whether nobody else holds them.
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl Deref for Health {
    type Target = EndpointHealth;

    fn deref(&self) -> &EndpointHealth {
        &self.0
    }
}

impl PartialEq for Health {
    fn eq(&self, _: &Health) -> bool {
        true
    }
}

impl Eq for Health {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_count_each_for_itself_and_are_added_up() {
        let health = Health::default();
        // Before anybody judges, nothing is counted.
        health.answered(0, 100);
        health.failed(0);
        assert_eq!(health.totals(true).answers, 0);
        health.count(2, 3);
        let before = health.totals(true);
        for worker in [0, 1, 1] {
            health.answered(worker, 1000);
        }
        // One that is not there has no place to count.
        health.answered(2, 1000);
        for worker in [0, 0, 1, 0, 0] {
            health.failed(worker);
        }
        let now = health.totals(true).since(&before);
        assert_eq!((now.answers, now.failures, now.runs), (3, 5, 1));
        assert_eq!(now.latencies.count(), 3);
        assert_eq!(health.totals(false).latencies.count(), 0);
        // A run begins anew once it has been told, and ends with an answer.
        health.failed(0);
        health.failed(0);
        assert_eq!(health.totals(false).runs, 2);
        health.failed(1);
        health.answered(1, 1);
        health.failed(1);
        health.failed(1);
        assert_eq!(health.totals(false).runs, 2);
    }

    #[test]
    fn words_may_wrap() {
        let near = Totals { answers: u32::MAX, failures: 2, runs: 0, latencies: Buckets::default() };
        let past = Totals { answers: 3, failures: 2, runs: 0, latencies: Buckets::default() };
        assert_eq!((past.since(&near).answers, past.since(&near).failures), (4, 0));
    }

    #[test]
    fn a_share_is_whole_until_it_is_set() {
        let health = Health::default();
        assert_eq!(health.share(), WHOLE_SHARE);
        let same = health.clone();
        health.set_share(0);
        assert_eq!(same.share(), 0);
        health.set_share(5000);
        assert_eq!(same.share(), WHOLE_SHARE);
        assert!(!health.is_last());
        drop(same);
        assert!(health.is_last());
    }
}

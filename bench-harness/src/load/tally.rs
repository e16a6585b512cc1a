//! What a load thread counted, and how threads add up.
use std::{fmt, io, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::fault::{At, Result};

/// Latencies are kept from a microsecond to an hour, to three significant digits.
const LATENCY_US_MAX: u64 = 3_600_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// How many failures are described in words, of each kind and in all; the rest is counted.
const EXAMPLES_PER_KIND_MAX: u64 = 2;
const EXAMPLES_MAX: usize = 8;
/// Requests that a log holds; what comes later is counted and not in it.
const EVENTS_MAX: usize = 4_000_000;

/// What went wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No connection.
    Connect,
    /// The connection was reset under the request or its response.
    Reset,
    /// The request could not be written.
    Write,
    /// The response could not be read.
    Read,
    /// The connection closed before the first byte of the response.
    Closed,
    /// The connection closed in the middle of the response.
    Cut,
    /// No whole response in time.
    Timeout,
    /// The response is not HTTP.
    Malformed,
    /// Another status.
    Status,
    /// Another body length.
    Length,
    /// Another body.
    Body,
    /// Bytes behind the response.
    Surplus,
    /// Open loop: due while the backlog was full, or still waiting for a connection long after the end.
    Dropped,
}

impl Kind {
    /// Every kind, in the order of [`Tally::errors`].
    pub const ALL: [Self; 13] = [
        Self::Connect,
        Self::Reset,
        Self::Write,
        Self::Read,
        Self::Closed,
        Self::Cut,
        Self::Timeout,
        Self::Malformed,
        Self::Status,
        Self::Length,
        Self::Body,
        Self::Surplus,
        Self::Dropped,
    ];

    /// The name used in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Write => "write",
            Self::Read => "read",
            Self::Closed => "closed",
            Self::Cut => "cut",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Status => "status",
            Self::Length => "length",
            Self::Body => "body",
            Self::Surplus => "surplus",
            Self::Dropped => "dropped",
        }
    }
}

/// One failed request.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub kind: Kind,
    /// The status that was answered, where that is what is wrong; else 0.
    pub status: u16,
    /// The particulars.
    pub detail: String,
}

/// One request of a run that keeps a log of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When it was due (open loop) or sent, in microseconds from the begin of the window.
    pub start_us: u64,
    /// How long it took, or how long it was until it failed.
    pub took_us: u64,
    /// None: it was answered as it must be.
    pub failure: Option<Kind>,
    /// As in [`Failure::status`].
    pub status: u16,
}

impl Failure {
    /// A failure of a kind with its particulars.
    pub fn new(kind: Kind, detail: impl fmt::Display) -> Self {
        Self { kind, status: 0, detail: detail.to_string() }
    }

    /// A failed read or write; a reset is one whichever of the two notices it.
    pub fn io(kind: Kind, error: &io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        let reset = matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset);
        Self::new(if reset { Kind::Reset } else { kind }, error)
    }
}

/// Counts of one thread, or of all.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Latency in microseconds of the requests that the window holds: closed loop, those answered in it; open loop,
    /// those due in it, whenever they were answered.
    pub latency: Histogram<u64>,
    /// How many those are.
    pub requests: u64,
    /// Responses that ended within the window.
    pub answered: u64,
    /// Responses over the whole run, warm-up and end included.
    pub requests_all: u64,
    /// The same by request of the plan.
    pub by_request: Vec<u64>,
    /// Response bytes within the window, heads included.
    pub bytes: u64,
    /// Connections opened over the whole run.
    pub connections: u64,
    /// Failures over the whole run, by kind.
    pub errors: [u64; Kind::ALL.len()],
    /// The first few in words.
    pub examples: Vec<String>,
    /// Open loop: microseconds from when a request was due to when it went out, where a connection was free.
    pub lateness: Histogram<u64>,
    /// Open loop: the most requests that waited for a connection in the window; of several threads, the sum.
    pub backlog_peak: u64,
    /// Intervals that were not handed on because nobody took them in time; the totals have them.
    pub intervals_lost: u64,
    /// With a log, every request that began in the window or behind it.
    pub events: Vec<Event>,
}

impl Tally {
    /// Nothing counted.
    pub fn new() -> Result<Self> {
        let empty =
            Histogram::new_with_bounds(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS).at("latency histogram")?;
        Ok(Self {
            latency: empty.clone(),
            requests: 0,
            answered: 0,
            requests_all: 0,
            by_request: Vec::new(),
            bytes: 0,
            connections: 0,
            errors: [0; Kind::ALL.len()],
            examples: Vec::new(),
            lateness: empty,
            backlog_peak: 0,
            intervals_lost: 0,
            events: Vec::new(),
        })
    }

    /// Counts a failure.
    pub fn fail(&mut self, failure: &Failure) {
        self.errors[failure.kind as usize] += 1;
        if self.errors[failure.kind as usize] <= EXAMPLES_PER_KIND_MAX {
            self.show(&format!("{}: {}", failure.kind.name(), failure.detail));
        }
    }

    /// Notes a request, while there is room.
    pub(super) fn note(&mut self, event: Event) {
        if self.events.len() < EVENTS_MAX {
            self.events.push(event);
        }
    }

    fn show(&mut self, example: &str) {
        if self.examples.len() < EXAMPLES_MAX && !self.examples.iter().any(|it| it == example) {
            self.examples.push(example.to_owned());
        }
    }

    /// Failures of all kinds.
    pub fn errors_total(&self) -> u64 {
        self.errors.iter().sum()
    }

    /// Adds what another thread counted.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.latency.add(&other.latency).at("latency histograms do not add up")?;
        self.requests += other.requests;
        self.answered += other.answered;
        self.requests_all += other.requests_all;
        let requests = self.by_request.len().max(other.by_request.len());
        self.by_request.resize(requests, 0);
        for (sum, n) in self.by_request.iter_mut().zip(&other.by_request) {
            *sum += n;
        }
        self.lateness.add(&other.lateness).at("histograms do not add up")?;
        self.intervals_lost += other.intervals_lost;
        self.backlog_peak += other.backlog_peak;
        self.bytes += other.bytes;
        self.connections += other.connections;
        for (sum, n) in self.errors.iter_mut().zip(other.errors) {
            *sum += n;
        }
        for example in &other.examples {
            self.show(example);
        }
        other.events.iter().for_each(|event| self.note(*event));
        Ok(())
    }
}

/// A time in whole microseconds, rounded up: nothing takes no time.
pub(super) fn micros(time: Duration) -> u64 {
    time.as_nanos().div_ceil(1000) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_microseconds_round_up() {
        assert_eq!([1, 1000, 2001].map(|ns| micros(Duration::from_nanos(ns))), [1, 1, 3]);
    }

    #[test]
    fn threads_add_up() {
        let (mut a, mut b) = (Tally::new().unwrap(), Tally::new().unwrap());
        (a.requests, a.by_request) = (1, vec![1, 2]);
        (b.requests, b.by_request) = (2, vec![0, 0, 3]);
        b.latency.record(7).unwrap();
        b.fail(&Failure::new(Kind::Surplus, "x"));
        a.merge(&b).unwrap();
        assert_eq!((a.requests, a.latency.max()), (3, 7));
        assert_eq!(a.by_request, [1, 2, 3]);
        assert_eq!((a.errors_total(), a.errors[Kind::Surplus as usize]), (1, 1));
        assert_eq!(a.examples, ["surplus: x"]);
    }

    #[test]
    fn a_reset_is_a_reset_whoever_notices() {
        let kind = |kind| Failure::io(Kind::Read, &io::Error::from(kind)).kind;
        assert_eq!(kind(io::ErrorKind::ConnectionReset), Kind::Reset);
        assert_eq!(kind(io::ErrorKind::BrokenPipe), Kind::Reset);
        assert_eq!(kind(io::ErrorKind::TimedOut), Kind::Read);
    }

    #[test]
    fn kinds_index_their_counters() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}

//! What a load thread counted, and how threads add up.
use std::{fmt, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::fault::{At, Result};

/// Latencies are kept from a microsecond to an hour, to three significant digits.
const LATENCY_US_MAX: u64 = 3_600_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// How many failures are described in words; the rest is counted.
const EXAMPLES_MAX: usize = 5;

/// What went wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No connection.
    Connect,
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
    Content,
    /// Bytes behind the response.
    Surplus,
}

impl Kind {
    /// Every kind, in the order of [`Tally::errors`].
    pub const ALL: [Self; 11] = [
        Self::Connect,
        Self::Write,
        Self::Read,
        Self::Closed,
        Self::Cut,
        Self::Timeout,
        Self::Malformed,
        Self::Status,
        Self::Length,
        Self::Content,
        Self::Surplus,
    ];

    /// The name used in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Write => "write",
            Self::Read => "read",
            Self::Closed => "closed",
            Self::Cut => "cut",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Status => "status",
            Self::Length => "length",
            Self::Content => "content",
            Self::Surplus => "surplus",
        }
    }
}

/// One failed request.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub kind: Kind,
    /// The particulars.
    pub detail: String,
}

impl Failure {
    /// A failure of a kind with its particulars.
    pub fn new(kind: Kind, detail: impl fmt::Display) -> Self {
        Self { kind, detail: detail.to_string() }
    }
}

/// Counts of one thread, or of all.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Latency in microseconds of the responses that ended within the window.
    pub latency: Histogram<u64>,
    /// Responses within the window.
    pub requests: u64,
    /// Responses over the whole run, warm-up and end included.
    pub requests_all: u64,
    /// Response bytes within the window, heads included.
    pub bytes: u64,
    /// Connections opened over the whole run.
    pub connections: u64,
    /// Failures over the whole run, by kind.
    pub errors: [u64; Kind::ALL.len()],
    /// The first few in words.
    pub examples: Vec<String>,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new() -> Result<Self> {
        let latency =
            Histogram::new_with_bounds(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS).at("latency histogram")?;
        Ok(Self {
            latency,
            requests: 0,
            requests_all: 0,
            bytes: 0,
            connections: 0,
            errors: [0; Kind::ALL.len()],
            examples: Vec::new(),
        })
    }

    /// Counts a response within the window; part microseconds round up, so that nothing is flattered.
    pub fn record(&mut self, latency: Duration, bytes: u64) {
        self.latency.saturating_record(latency.as_nanos().div_ceil(1000) as u64);
        self.requests += 1;
        self.bytes += bytes;
    }

    /// Counts a failure.
    pub fn fail(&mut self, failure: Failure) {
        self.errors[failure.kind as usize] += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(format!("{}: {}", failure.kind.name(), failure.detail));
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
        self.requests_all += other.requests_all;
        self.bytes += other.bytes;
        self.connections += other.connections;
        for (sum, n) in self.errors.iter_mut().zip(other.errors) {
            *sum += n;
        }
        let room = EXAMPLES_MAX.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.iter().take(room).cloned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_microseconds_round_up_and_threads_add_up() {
        let (mut a, mut b) = (Tally::new().unwrap(), Tally::new().unwrap());
        a.record(Duration::from_nanos(1), 10);
        b.record(Duration::from_nanos(2001), 20);
        b.fail(Failure::new(Kind::Surplus, "x"));
        a.merge(&b).unwrap();
        assert_eq!((a.latency.min(), a.latency.max(), a.requests, a.bytes), (1, 3, 2, 30));
        assert_eq!((a.errors_total(), a.errors[Kind::Surplus as usize]), (1, 1));
        assert_eq!(a.examples, ["surplus: x"]);
    }

    #[test]
    fn kinds_index_their_counters() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}

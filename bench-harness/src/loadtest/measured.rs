//! What the rounds of one subject in one scenario gave, and what they reduce to.
use hdrhistogram::Histogram;
use serde::Serialize;

use super::{phases::Phase, scenario::Scenario};
use crate::report::{Figures, figures::Latency};

/// A proxy that opens more upstream connections than one for so many requests keeps none.
const REQUESTS_PER_NEW_CONNECTION_MIN: u64 = 100;

/// What a subject is to a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The origin, no proxy.
    Direct,
    /// The bare forwarder.
    Floor,
    /// The proxy under test.
    Ringlane,
    /// Another proxy.
    Peer,
    /// A URL given by hand.
    External,
}

/// Median, smallest and largest of some rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Middle value; of an even number of values, the mean of the two in the middle.
    pub median: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// None of no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median: (low + high) / 2.0, min, max })
    }
}

/// One second of a round, or less at its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Second {
    /// The round, from 1.
    pub round: usize,
    /// When it began, in seconds from the begin of the round.
    pub from: f64,
    /// How long it was, in seconds.
    pub length: f64,
    /// Responses that ended in it.
    pub requests: u64,
    /// How long they took.
    pub latency_us: Latency,
}

/// A figure that subjects are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// CPU time per request.
    Cpu,
    /// Requests per second.
    Rate,
    /// Median latency.
    P50,
    /// 99th percentile.
    P99,
    /// 99.9th percentile.
    P999,
}

impl Figure {
    /// Reads it off one round.
    pub fn of(self, round: &Figures) -> Option<f64> {
        match self {
            Self::Cpu => round.cpu_us_per_request,
            Self::Rate => Some(round.requests_per_second),
            Self::P50 => Some(round.latency_us.p50 as f64),
            Self::P99 => Some(round.latency_us.p99 as f64),
            Self::P999 => Some(round.latency_us.p999 as f64),
        }
    }
}

/// One subject in one scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// What was asked.
    pub scenario: Scenario,
    /// Who was asked.
    pub subject: String,
    /// What that is.
    pub kind: Kind,
    /// Each round.
    pub rounds: Vec<Figures>,
    /// Connections that the origin accepted over the measured rounds, the warm-up round not included.
    pub origin_connections: u64,
    /// Kinds of requests that were answered at least once in the measured rounds.
    pub kinds_answered: usize,
    /// What the origin's counters say against it; any is an error.
    pub disagreements: Vec<String>,
    /// Cores' worth of CPU time that others used, round by round.
    pub foreign_cores: Vec<f64>,
    /// Resident memory before any load, in bytes; None of what is not ours to look into.
    pub memory_idle: Option<u64>,
    /// Resident memory after the last round.
    pub memory_after: Option<u64>,
    /// Where the time went, by Ringlane's own histograms; the warm-up of each round included.
    pub phases: Vec<Phase>,
    /// Second by second of the rounds.
    pub seconds: Vec<Second>,
    /// Latencies of all rounds together.
    #[serde(skip)]
    pub latency: Histogram<u64>,
}

impl Measured {
    /// A figure over the rounds.
    pub fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|round| figure.of(round)))
    }

    /// Whether this is a proxy that kept its upstream connections: in a round it may open one for each client, as it
    /// has to where its idle ones were closed for not being needed in the round before, and one in a hundred requests
    /// may find none that is idle.
    pub fn kept_upstream_connections(&self) -> bool {
        let is_proxy = matches!(self.kind, Kind::Floor | Kind::Ringlane | Kind::Peer);
        let clients: u64 = self.rounds.iter().map(|round| round.connections as u64).sum();
        !is_proxy
            || self.origin_connections <= clients + self.requests_all() / REQUESTS_PER_NEW_CONNECTION_MIN
    }

    /// Responses over the measured rounds, their own warm-up included.
    pub fn requests_all(&self) -> u64 {
        self.rounds.iter().map(|round| round.requests_all).sum()
    }

    /// Failures and disagreements over all rounds.
    pub fn errors(&self) -> u64 {
        self.rounds.iter().map(|round| round.errors).sum::<u64>() + self.disagreements.len() as u64
    }

    /// The ratio to another subject of the same scenario, round by round: what disturbed the machine for a while
    /// disturbed both.
    pub fn ratio(&self, other: &Self, figure: Figure) -> Option<Spread> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Spread::of(pairs.filter_map(|(a, b)| Some(figure.of(a)? / figure.of(b)?)))
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::{load::tally::Tally, loadtest::scenario::PRESETS};

    /// A subject whose CPU time per request was so in each round, and its rate and p99 in proportion.
    pub(crate) fn measured(scenario: &str, subject: &str, kind: Kind, cpu: &[f64]) -> Measured {
        let rounds = cpu.iter().map(|&us| Figures {
            connections: 1,
            seconds: 1.0,
            requests: 1,
            requests_per_second: 1000.0 / us,
            cpu_us_per_request: Some(us),
            generator_cpu_us_per_request: 1.0,
            latency_us: Latency { p50: 10, p99: us as u64, ..Latency::default() },
            requests_all: 1,
            ..Figures::default()
        });
        let preset = PRESETS.iter().find(|preset| preset.name == scenario).unwrap();
        Measured {
            scenario: preset.scenario(cpu.len()),
            subject: subject.into(),
            kind,
            rounds: rounds.collect(),
            origin_connections: 0,
            kinds_answered: 1,
            disagreements: Vec::new(),
            foreign_cores: Vec::new(),
            memory_idle: None,
            memory_after: None,
            phases: Vec::new(),
            seconds: Vec::new(),
            latency: Tally::new().unwrap().latency,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of([]), None);
    }
}

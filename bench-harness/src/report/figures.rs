//! The figures of one run, in the units they are reported in.
use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::load::{Outcome, tally::Kind};

/// Percentiles of a latency distribution, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Largest.
    pub max: u64,
    /// Mean.
    pub mean: f64,
}

impl Latency {
    /// Reads them off a histogram of microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
            mean: histogram.mean(),
        }
    }
}

/// Everything that one run is reported by.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Connections.
    pub connections: usize,
    /// Length of the measured window.
    pub seconds: f64,
    /// Responses in the window.
    pub requests: u64,
    /// Responses per second.
    pub requests_per_second: f64,
    /// CPU time per response of the processes asked about.
    pub cpu_us_per_request: Option<f64>,
    /// CPU time per response of the generator.
    pub generator_cpu_us_per_request: f64,
    /// Closed-loop latency.
    pub latency_us: Latency,
    /// Response bytes in the window.
    pub bytes: u64,
    /// Responses over the whole run.
    pub requests_all: u64,
    /// Connections opened over the whole run.
    pub connections_opened: u64,
    /// Failures over the whole run.
    pub errors: u64,
    /// The same by kind, those that happened.
    pub errors_by_kind: BTreeMap<&'static str, u64>,
    /// The first few in words.
    pub error_examples: Vec<String>,
}

impl Figures {
    /// Reduces an outcome to its figures.
    pub fn of(outcome: &Outcome, connections: usize) -> Self {
        let tally = &outcome.tally;
        let by_kind = Kind::ALL.into_iter().zip(tally.errors).filter(|&(_, n)| n > 0);
        Self {
            connections,
            seconds: outcome.window.as_secs_f64(),
            requests: tally.requests,
            requests_per_second: outcome.rate,
            cpu_us_per_request: outcome.cpu_us,
            generator_cpu_us_per_request: outcome.own_cpu_us,
            latency_us: Latency::of(&tally.latency),
            bytes: tally.bytes,
            requests_all: tally.requests_all,
            connections_opened: tally.connections,
            errors: tally.errors_total(),
            errors_by_kind: by_kind.map(|(kind, n)| (kind.name(), n)).collect(),
            error_examples: tally.examples.clone(),
        }
    }

    /// The errors as `3 (2 cut, 1 timeout)`.
    pub fn errors_text(&self) -> String {
        if self.errors == 0 {
            return "0".to_owned();
        }
        let kinds: Vec<_> = self.errors_by_kind.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        format!("{} ({})", self.errors, kinds.join(", "))
    }
}

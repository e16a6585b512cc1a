//! The figures of one run, in the units they are reported in.
use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::table;
use crate::load::{Arrivals, Outcome, Pace, tally::Kind};

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
    /// What stands above [`Latency::cells`].
    pub const HEADER: [&str; 5] = ["p50", "p90", "p99", "p99.9", "max"];

    /// The percentiles as a person reads them.
    pub fn cells(&self) -> [String; 5] {
        [self.p50, self.p90, self.p99, self.p999, self.max].map(table::micros)
    }

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

/// What an open loop adds.
#[derive(Clone, Debug, Serialize)]
pub struct OpenLoop {
    /// How arrivals follow each other.
    pub arrivals: Arrivals,
    /// Requests per second that were due.
    pub rate: f64,
    /// The most requests that waited for a connection.
    pub backlog_peak: u64,
    /// The most that may.
    pub backlog_max: usize,
    /// From when a request was due to when it went out, where a connection was free: how precise the generator was.
    pub lateness_us: Latency,
}

/// How often one of several requests was answered.
#[derive(Clone, Debug, Serialize)]
pub struct TargetCount {
    /// Method and path.
    pub request: String,
    /// Responses over the whole run.
    pub requests_all: u64,
}

/// Everything that one run is reported by.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Connections.
    pub connections: usize,
    /// Requests under way on each at a time.
    pub pipeline: usize,
    /// None in closed loop.
    pub open_loop: Option<OpenLoop>,
    /// Length of the measured window.
    pub seconds: f64,
    /// Requests in the window: closed loop, answered in it; open loop, due in it and answered.
    pub requests: u64,
    /// Responses per second of the window.
    pub requests_per_second: f64,
    /// CPU time per response of the processes asked about.
    pub cpu_us_per_request: Option<f64>,
    /// CPU time per response of the generator.
    pub generator_cpu_us_per_request: f64,
    /// Latency: closed loop, from when a request was sent; open loop, from when it was due.
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
    /// Where there are several, how often each was answered.
    pub targets: Vec<TargetCount>,
    /// Intervals that are missing in the logs because they were not written in time.
    pub intervals_lost: u64,
}

impl Figures {
    /// Reduces an outcome to its figures.
    pub fn of(outcome: &Outcome, connections: usize) -> Self {
        let tally = &outcome.tally;
        let plan = &outcome.plan;
        let open_loop = match plan.pace {
            Pace::Closed => None,
            Pace::Open(open) => Some(OpenLoop {
                arrivals: open.arrivals,
                rate: open.rate,
                backlog_peak: tally.backlog_peak,
                backlog_max: open.backlog_max,
                lateness_us: Latency::of(&tally.lateness),
            }),
        };
        let targets = plan
            .requests
            .iter()
            .zip(&tally.by_request)
            .map(|(request, &requests_all)| TargetCount { request: request.name.clone(), requests_all });
        let by_kind = Kind::ALL.into_iter().zip(tally.errors).filter(|&(_, n)| n > 0);
        Self {
            connections,
            pipeline: plan.pipeline,
            open_loop,
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
            targets: if plan.requests.len() > 1 { targets.collect() } else { Vec::new() },
            intervals_lost: tally.intervals_lost,
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

//! All metrics in Prometheus's text format, version 0.0.4.
//!
//! Histograms have fixed bounds, from the proxy's own microseconds to a minute, and are derived from the HDR
//! histograms: a count is exact to their resolution (0.1 % of the bound; 1 % for routes), and so is a sum.

use std::{collections::BTreeMap, fmt::Write, sync::Arc, time::UNIX_EPOCH};

use hdrhistogram::Histogram;

use super::{
    board::Board,
    histogram::Phase,
    info::Info,
    merged::Merged,
    metrics::{FAMILIES, Family, Kind, Series, Source, Spread, Unit, Written},
};

/// What the `Content-Type` of the text is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the buckets, in microseconds.
const BOUNDS_US: [u64; 21] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// Writes every metric. Histograms, and counts by name, are left out while a worker is silent: without its share they would seem to have
/// been reset, and the next scrape would show its whole past as new; a gap does no harm.
pub fn prometheus_text(info: &Info, board: &Board, merged: &Merged) -> String {
    let mut text = Text(String::with_capacity(64 * 1024));
    for family in FAMILIES {
        match &family.source {
            Source::Workers { spread, unit, series } => text.workers(family, *spread, *unit, series, board),
            Source::Process { unit, series } => {
                text.head(family);
                for series in *series {
                    let label = series.label;
                    text.sample(family.name, label.as_slice(), value((series.read)(board.process()), *unit));
                }
            }
            Source::Written(what, labels) => text.written(family, *what, labels, info, merged),
        }
    }
    text.0
}

fn value(word: u64, unit: Unit) -> f64 {
    match unit {
        Unit::One => word as f64,
        Unit::Micros => seconds(word as f64),
    }
}

fn seconds(micros: f64) -> f64 {
    micros / 1e6
}

struct Text(String);

impl Text {
    fn head(&mut self, family: &Family) {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let Family { name, help, .. } = family;
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = self.0.write_fmt(text);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            self.0.push_str(label);
            self.0.push_str("=\"");
            self.escaped(value);
            self.0.push('"');
        }
        self.push(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
    }

    fn escaped(&mut self, value: &str) {
        for c in value.chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                c => self.0.push(c),
            }
        }
    }

    fn workers(
        &mut self,
        family: &Family,
        spread: Spread,
        unit: Unit,
        series: &[Series<super::Counters>],
        board: &Board,
    ) {
        self.head(family);
        for series in series {
            match spread {
                Spread::Sum => {
                    let sum = board.slots().iter().map(|slot| (series.read)(slot.counters())).sum();
                    self.sample(family.name, series.label.as_slice(), value(sum, unit));
                }
                Spread::Each => {
                    for slot in board.slots() {
                        let worker = slot.index().to_string();
                        let labels: Vec<_> = series.label.into_iter().chain([("worker", &*worker)]).collect();
                        self.sample(family.name, &labels, value((series.read)(slot.counters()), unit));
                    }
                }
            }
        }
    }

    fn written(&mut self, family: &Family, what: Written, labels: &[&str], info: &Info, merged: &Merged) {
        let name = family.name;
        match what {
            Written::Info => {
                self.head(family);
                let labels: Vec<_> = labels.iter().map(|label| (*label, info.label(label))).collect();
                self.sample(name, &labels, 1.0);
            }
            Written::StartTime => {
                self.head(family);
                let since = info.started.duration_since(UNIX_EPOCH).unwrap_or_default();
                self.sample(name, &[], since.as_secs_f64());
            }
            Written::SilentWorkers => {
                self.head(family);
                self.sample(name, &[], merged.silent.len() as f64);
            }
            Written::Phase(_) | Written::Routes | Written::Rules | Written::Tags
                if !merged.silent.is_empty() => {}
            Written::Phase(phase) => {
                self.head(family);
                self.histogram(name, None, merged.process.phase(phase));
            }
            Written::Rules => self.by_name(family, labels, &merged.rules),
            Written::Tags => self.by_name(family, labels, &merged.tags),
            Written::Routes if merged.routes.is_empty() => {}
            Written::Routes => {
                self.head(family);
                for (route, phases) in &merged.routes {
                    self.histogram(name, Some(("route", route)), phases.phase(Phase::Total));
                }
            }
        }
    }

    /// One sample for each name; nothing for none.
    fn by_name(&mut self, family: &Family, labels: &[&str], counts: &BTreeMap<Arc<str>, u64>) {
        if !counts.is_empty() {
            self.head(family);
        }
        for (name, count) in counts {
            let label = labels.first().map(|label| (*label, &**name));
            self.sample(family.name, label.as_slice(), *count as f64);
        }
    }

    fn histogram(&mut self, name: &str, label: Option<(&str, &str)>, histogram: &Histogram<u64>) {
        let mut counts = [0; BOUNDS_US.len()];
        let mut sum_us = 0.0;
        for step in histogram.iter_recorded() {
            let (value, count) = (step.value_iterated_to(), step.count_at_value());
            sum_us += count as f64 * histogram.median_equivalent(value) as f64;
            // The bound itself belongs to its bucket, so a step that starts at the bound does.
            let lowest = histogram.lowest_equivalent(value);
            if let Some(bucket) = counts.get_mut(BOUNDS_US.partition_point(|&bound| bound < lowest)) {
                *bucket += count;
            }
        }
        let bucket_name = format!("{name}_bucket");
        let mut below = 0;
        let bounds = BOUNDS_US.iter().map(|&bound| seconds(bound as f64).to_string());
        for (bound, count) in bounds.zip(counts) {
            below += count;
            let labels: Vec<_> = label.into_iter().chain([("le", &*bound)]).collect();
            self.sample(&bucket_name, &labels, below as f64);
        }
        let labels: Vec<_> = label.into_iter().chain([("le", "+Inf")]).collect();
        self.sample(&bucket_name, &labels, histogram.len() as f64);
        self.sample(&format!("{name}_sum"), label.as_slice(), seconds(sum_us));
        self.sample(&format!("{name}_count"), label.as_slice(), histogram.len() as f64);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

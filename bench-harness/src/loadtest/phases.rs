//! Where the time went, as Ringlane itself saw it: its histograms by phase, from its admin listener.
use std::{collections::BTreeMap, net::SocketAddr};

use hdrhistogram::{
    Histogram,
    serialization::{
        Deserializer,
        interval_log::{IntervalLogIterator, LogEntry},
    },
};
use serde::Serialize;

use super::{origin, routes::Entrance};
use crate::{
    fault::{At, Fault, Result},
    report::figures::Latency,
};

/// The phases and what each of them is, in the order of a report.
pub const PHASES: [(&str, &str); 5] = [
    ("total", "from the first byte of a request to the last of its response"),
    ("queue", "waiting for a connection to the upstream to become free"),
    ("connect", "opening one"),
    ("first_byte", "from the request being sent to the first byte of the response"),
    ("overhead", "the rest: the proxy's own work, and waiting for its turn on the core"),
];

/// Histograms of microseconds by phase, since the proxy's start.
pub(super) type Snapshot = BTreeMap<String, Histogram<u64>>;

/// One phase over a scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phase {
    /// One of [`PHASES`].
    pub name: String,
    /// How many requests went through it.
    pub count: u64,
    /// How long they took.
    pub latency_us: Latency,
}

/// Asks the admin listener. Its JSON has percentiles since the start, which cannot be told apart by scenario; its log
/// has the histograms they are from, which can.
pub(super) fn snapshot(admin: SocketAddr) -> Result<Snapshot> {
    let place = || format!("latency report of {admin}");
    parse(&origin::get(admin, &Entrance::default(), "/latency?format=hlog")?).at(place())
}

fn parse(log: &str) -> Result<Snapshot> {
    let mut deserializer = Deserializer::new();
    let mut found = Snapshot::new();
    for entry in IntervalLogIterator::new(log.as_bytes()) {
        let entry = entry.map_err(|error| Fault::new(format!("not a histogram log: {error:?}")))?;
        let LogEntry::Interval(interval) = entry else { continue };
        let Some(tag) = interval.tag().map(|tag| tag.as_str()) else { continue };
        if PHASES.iter().any(|(name, _)| *name == tag) {
            let bytes = base64::Engine::decode(
                &base64::engine::general_purpose::STANDARD,
                interval.encoded_histogram(),
            );
            let histogram = deserializer
                .deserialize(&mut bytes.at(tag)?.as_slice())
                .map_err(|error| Fault::new(format!("{tag}: not a histogram: {error:?}")))?;
            found.insert(tag.to_owned(), histogram);
        }
    }
    Ok(found)
}

/// What came between two snapshots.
pub(super) fn between(before: &Snapshot, after: &Snapshot) -> Result<Vec<Phase>> {
    let mut phases = Vec::new();
    for (name, _) in PHASES {
        let Some(after) = after.get(name) else { continue };
        let mut histogram = after.clone();
        if let Some(before) = before.get(name) {
            histogram.subtract(before).map_err(|error| {
                Fault::new(format!("the proxy's histogram of {name} went backwards: {error:?}"))
            })?;
        }
        // What the subtraction leaves keeps the bounds of both; only its counts say what the largest is.
        let largest = histogram.iter_recorded().last().map_or(0, |step| step.value_iterated_to());
        let latency_us = Latency { max: largest, ..Latency::of(&histogram) };
        phases.push(Phase { name: name.to_owned(), count: histogram.len(), latency_us });
    }
    Ok(phases)
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::{V2DeflateSerializer, interval_log::IntervalLogWriterBuilder};

    use super::*;

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        values.iter().for_each(|&value| histogram.record(value).unwrap());
        histogram
    }

    fn log(total: &Histogram<u64>) -> String {
        let (mut text, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
        let mut writer = IntervalLogWriterBuilder::new()
            .with_max_value_divisor(1000.0)
            .begin_log_with(&mut text, &mut serializer)
            .unwrap();
        for tag in ["total", "app"] {
            let tag = hdrhistogram::serialization::interval_log::Tag::new(tag);
            let second = std::time::Duration::from_secs(1);
            writer.write_histogram(total, second, second, tag).unwrap();
        }
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn what_came_between_is_told_apart_from_what_was_before() {
        let before = parse(&log(&histogram(&[9000, 100]))).unwrap();
        let after = parse(&log(&histogram(&[9000, 100, 10, 20, 30]))).unwrap();
        assert_eq!(before.keys().collect::<Vec<_>>(), ["total"], "a route is not a phase");
        let phases = between(&before, &after).unwrap();
        let one = &phases[0];
        assert_eq!(
            (one.name.as_str(), one.count, one.latency_us.p50, one.latency_us.max),
            ("total", 3, 20, 30)
        );
    }

    #[test]
    fn a_restarted_proxy_is_a_fault_and_not_a_figure() {
        let (before, after) =
            (parse(&log(&histogram(&[1, 2]))).unwrap(), parse(&log(&histogram(&[1]))).unwrap());
        assert!(between(&before, &after).unwrap_err().to_string().contains("backwards"));
    }

    #[test]
    fn a_page_that_is_no_log_is_a_fault() {
        assert!(parse("<html>").is_err());
    }
}

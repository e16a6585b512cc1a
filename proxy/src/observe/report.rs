//! Latencies for people (a table), for programs (JSON) and for HdrHistogram's tools (an interval log).

use std::{
    fmt::Write,
    io,
    time::{Duration, SystemTime},
};

use hdrhistogram::{
    Histogram,
    serialization::{
        V2DeflateSerializer,
        interval_log::{IntervalLogWriterBuilder, Tag},
    },
};
use serde_json::{Map, Value, json};

use super::{
    flow,
    histogram::{Phase, PhaseHistograms},
    merged::Merged,
};

/// The quantiles of every report, with their names.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// A table: a row for each phase over all exchanges, then for each phase of each route. Phases that never happened
/// are left out of a route.
pub fn latency_table(merged: &Merged) -> String {
    let mut rows = Vec::new();
    for phase in Phase::ALL {
        rows.push((phase.name().to_owned(), merged.process.phase(phase)));
    }
    for (route, phases) in &merged.routes {
        for phase in Phase::ALL.into_iter().filter(|&phase| !phases.phase(phase).is_empty()) {
            rows.push((format!("{} {}", printable(route), phase.name()), phases.phase(phase)));
        }
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);

    let mut table = String::new();
    line(&mut table, width, "", "count", ["mean", "p50", "p90", "p99", "p99.9", "p99.99", "max"]);
    for (index, (name, histogram)) in rows.iter().enumerate() {
        if index == Phase::ALL.len() {
            table.push_str("\nby route\n");
        }
        let count = thousands(histogram.len());
        if histogram.is_empty() {
            line(&mut table, width, name, &count, ["-"; 7]);
            continue;
        }
        let [p50, p90, p99, p999, p9999] =
            QUANTILES.map(|(_, quantile)| histogram.value_at_quantile(quantile));
        let mean = histogram.mean().round() as u64;
        let columns = [mean, p50, p90, p99, p999, p9999, histogram.max()].map(human);
        line(&mut table, width, name, &count, columns.each_ref().map(String::as_str));
    }
    flow::add_table(&mut table, merged);
    for worker in &merged.silent {
        let _ = writeln!(table, "\nworker {worker} did not answer in time and is not in these figures");
    }
    table
}

fn line(table: &mut String, width: usize, name: &str, count: &str, columns: [&str; 7]) {
    let _ = write!(table, "{name:<width$} {count:>13}");
    for column in columns {
        let _ = write!(table, " {column:>9}");
    }
    table.push('\n');
}

/// Microseconds with three digits or more, in the unit that suits.
pub(super) fn human(micros: u64) -> String {
    let (value, unit) = match micros {
        0..1_000 => return format!("{micros} us"),
        1_000..1_000_000 => (micros as f64 / 1e3, "ms"),
        _ => (micros as f64 / 1e6, "s"),
    };
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {unit}")
}

/// A number with its digits in groups of three.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

pub(super) fn printable(name: &str) -> String {
    name.replace(char::is_control, "?")
}

/// The same as JSON, in microseconds.
pub fn latency_json(merged: &Merged) -> Value {
    let routes: Map<_, _> =
        merged.routes.iter().map(|(name, phases)| (name.to_string(), phases_json(phases))).collect();
    json!({
        "unit": "us",
        "workers": { "answered": merged.answered, "silent": merged.silent },
        "phases": phases_json(&merged.process),
        "routes": routes,
        "upstreams": flow::json(merged),
    })
}

fn phases_json(phases: &PhaseHistograms<u64>) -> Value {
    Phase::ALL.into_iter().map(|phase| (phase.name(), histogram_json(phases.phase(phase)))).collect()
}

fn histogram_json(histogram: &Histogram<u64>) -> Value {
    let mut figures = Map::new();
    figures.insert("count".into(), histogram.len().into());
    figures.insert("mean".into(), histogram.mean().into());
    figures.insert("min".into(), histogram.min().into());
    for (name, quantile) in QUANTILES {
        figures.insert(name.into(), histogram.value_at_quantile(quantile).into());
    }
    figures.insert("max".into(), histogram.max().into());
    Value::Object(figures)
}

/// All histograms as one interval of an HdrHistogram log, from `started` to `now`: tagged with the phase, and those of
/// a route `route:NAME:PHASE`. Empty ones are left out. Values are microseconds, the maxima beside them milliseconds.
///
/// # Errors
/// When a histogram cannot be encoded, which no histogram of ours is known to cause.
pub fn latency_hlog(merged: &Merged, started: SystemTime, now: SystemTime) -> io::Result<String> {
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder.add_comment("[Histogram log format version 1.3]").add_comment("[Values in microseconds]");
    for worker in &merged.silent {
        builder.add_comment(&format!("[Worker {worker} did not answer in time and is not in these figures]"));
    }
    builder.with_start_time(started).with_base_time(started).with_max_value_divisor(1000.0);
    let mut log = builder.begin_log_with(&mut out, &mut serializer)?;

    let duration = now.duration_since(started).unwrap_or_default();
    let mut write = |tag: &str, histogram: &Histogram<u64>| {
        if histogram.is_empty() {
            return Ok(());
        }
        log.write_histogram(histogram, Duration::ZERO, duration, Tag::new(tag))
            .map_err(|error| io::Error::other(error.to_string()))
    };
    for phase in Phase::ALL {
        write(phase.name(), merged.process.phase(phase))?;
    }
    for (route, phases) in &merged.routes {
        let route = route.replace([',', ' ', '\r', '\n'], "_");
        for phase in Phase::ALL {
            write(&format!("route:{route}:{}", phase.name()), phases.phase(phase))?;
        }
    }
    String::from_utf8(out).map_err(io::Error::other)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::{sync::Arc, time::UNIX_EPOCH};

    use hdrhistogram::serialization::{
        Deserializer,
        interval_log::{IntervalLogIterator, LogEntry},
    };

    use super::*;
    use crate::observe::{
        Board, Recorder, Termination,
        line::tests::sample,
        outcome::{Outcome, Phases},
    };

    /// Two workers: 1,000 exchanges over two routes between them; a third has not answered.
    fn merged() -> Merged {
        let board = Board::new(3);
        let routes: [Arc<str>; 2] = ["app".into(), "a, b\n".into()];
        for worker in 0..2 {
            let mut recorder = Recorder::new(board.slot(worker), None);
            for n in 1..=500 {
                let id = u32::from(n % 4 == 0);
                let phases = Phases {
                    total_us: n * 1000,
                    first_byte_us: n * 900,
                    overhead_us: 12,
                    ..Phases::default()
                };
                let route = Some((id, &routes[id as usize]));
                recorder.record(&Outcome { route, phases, ..sample(&routes[0]) });
            }
        }
        let unheard = Recorder::new(board.slot(2), None);
        let collected = board.collect_blocking(Duration::ZERO);
        drop(unheard);
        collected.merge()
    }

    #[test]
    fn the_table_reads_well() {
        let table = latency_table(&merged());
        let expected = "
                         count      mean       p50       p90       p99     p99.9    p99.99       max
total                    1,000    251 ms    250 ms    450 ms    495 ms    500 ms    500 ms    500 ms
queue                        0         -         -         -         -         -         -         -
connect                      0         -         -         -         -         -         -         -
first_byte               1,000    225 ms    225 ms    405 ms    446 ms    450 ms    450 ms    450 ms
overhead                 1,000     12 us     12 us     12 us     12 us     12 us     12 us     12 us

by route
a, b? total                250    252 ms    253 ms    453 ms    498 ms    502 ms    502 ms    502 ms
a, b? first_byte           250    227 ms    227 ms    408 ms    446 ms    451 ms    451 ms    451 ms
a, b? overhead             250     12 us     12 us     12 us     12 us     12 us     12 us     12 us
app total                  750    250 ms    251 ms    451 ms    496 ms    500 ms    500 ms    500 ms
app first_byte             750    225 ms    225 ms    406 ms    446 ms    451 ms    451 ms    451 ms
app overhead               750     12 us     12 us     12 us     12 us     12 us     12 us     12 us

worker 2 did not answer in time and is not in these figures
";
        assert_eq!(format!("\n{table}"), expected);
    }

    #[test]
    fn numbers_are_written_for_people() {
        for (micros, expected) in [
            (0, "0 us"),
            (999, "999 us"),
            (1_000, "1.00 ms"),
            (9_994, "9.99 ms"),
            (9_996, "10.0 ms"),
            (99_949, "99.9 ms"),
            (99_960, "100 ms"),
            (999_400, "999 ms"),
            (1_234_567, "1.23 s"),
            (3_600_000_000, "3600 s"),
        ] {
            assert_eq!(human(micros), expected, "{micros}");
        }
        assert_eq!([1, 999, 1_000, 12_345_678].map(thousands), ["1", "999", "1,000", "12,345,678"]);
    }

    #[test]
    fn json_has_the_same_figures() {
        let json = latency_json(&merged());
        assert_eq!(json["workers"]["answered"], json!([0, 1]));
        assert_eq!(json["workers"]["silent"], json!([2]));
        assert_eq!(json["phases"]["total"]["count"], 1000);
        assert_eq!(json["phases"]["overhead"]["p99.99"], 12);
        assert_eq!(json["routes"]["app"]["first_byte"]["count"], 750);
        assert_eq!(json["routes"]["a, b\n"]["total"]["count"], 250);
    }

    #[test]
    fn the_interval_log_can_be_read_back() {
        let merged = merged();
        let started = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let log = latency_hlog(&merged, started, started + Duration::from_secs(60)).unwrap();
        assert!(log.starts_with("#[Histogram log format version 1.3]\n"));
        assert!(log.contains("#[StartTime: 1000000.000 (seconds since epoch)]\n"));
        assert!(log.contains("Worker 2 did not answer"));
        let mut tags = Vec::new();
        for entry in IntervalLogIterator::new(log.as_bytes()) {
            let LogEntry::Interval(interval) = entry.unwrap() else { continue };
            let tag = interval.tag().unwrap().as_str().to_owned();
            assert_eq!(interval.duration(), Duration::from_secs(60));
            if tag == "total" {
                let bytes = base64(interval.encoded_histogram());
                let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
                assert_eq!(&histogram, merged.process.phase(Phase::Total));
            }
            tags.push(tag);
        }
        assert_eq!(
            tags,
            [
                "total",
                "first_byte",
                "overhead",
                "route:a__b_:total",
                "route:a__b_:first_byte",
                "route:a__b_:overhead",
                "route:app:total",
                "route:app:first_byte",
                "route:app:overhead",
            ]
        );
    }

    /// Decodes without a dependency of its own.
    fn base64(text: &str) -> Vec<u8> {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bytes = Vec::new();
        let (mut bits, mut held) = (0_u32, 0);
        for digit in text.bytes().filter(|&digit| digit != b'=') {
            bits = bits << 6 | DIGITS.iter().position(|&d| d == digit).unwrap() as u32;
            held += 6;
            if held >= 8 {
                held -= 8;
                bytes.push((bits >> held) as u8);
            }
        }
        bytes
    }

    #[test]
    fn tunnels_do_not_count_as_slow_requests() {
        let board = Board::new(1);
        let route: Arc<str> = "chat".into();
        let mut recorder = Recorder::new(board.slot(0), None);
        let phases = Phases { total_us: 900_000_000, first_byte_us: 700, ..Phases::default() };
        recorder.record(&Outcome {
            termination: Termination::TunnelClosed,
            status: 101,
            phases,
            ..sample(&route)
        });
        drop(recorder);
        let merged = board.collect_blocking(Duration::ZERO).merge();
        assert_eq!(merged.process.phase(Phase::Total).len(), 0);
        assert_eq!(merged.process.phase(Phase::FirstByte).len(), 1);
    }
}

//! A line for each interval of a run, for spreadsheets and plots. Latencies are in microseconds.
use std::io::{self, Write};

use super::figures::Latency;
use crate::load::Interval;

const HEADER: &str = "time,requests,errors,rate,p50,p90,p99,p99.9,max";

/// Begins a file.
pub fn begin(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{HEADER}")
}

/// Adds a line. Its time is the interval's end, in seconds from the begin of the measured window.
pub fn append(out: &mut impl Write, interval: &Interval) -> io::Result<()> {
    let (requests, latency) = (interval.latency.len(), Latency::of(&interval.latency));
    let end = interval.from + interval.length;
    writeln!(
        out,
        "{:.3},{requests},{},{:.1},{},{},{},{},{}",
        end.as_secs_f64(),
        interval.errors,
        requests as f64 / interval.length.as_secs_f64(),
        latency.p50,
        latency.p90,
        latency.p99,
        latency.p999,
        latency.max
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use hdrhistogram::Histogram;

    use super::*;

    #[test]
    fn a_line_has_the_headers_columns() {
        let mut latency = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        for us in 1..=100 {
            latency.record(us).unwrap();
        }
        let interval = Interval {
            began: SystemTime::UNIX_EPOCH,
            from: Duration::from_secs(2),
            length: Duration::from_millis(500),
            errors: 3,
            latency,
        };
        let mut out = Vec::new();
        begin(&mut out).unwrap();
        append(&mut out, &interval).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "time,requests,errors,rate,p50,p90,p99,p99.9,max\n2.500,100,3,200.0,50,90,99,100,100\n"
        );
    }
}

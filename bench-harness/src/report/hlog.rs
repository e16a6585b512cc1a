//! The interval log of HdrHistogram tools, format 1.3: a compressed histogram (V2, base64) for each interval.
use std::{
    io::{self, Write},
    time::SystemTime,
};

use hdrhistogram::serialization::{
    V2DeflateSerializer,
    interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError},
};

use crate::{load::Interval, release};

const LEGEND: &str =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"";

/// Begins a log whose intervals count from `start`.
pub fn begin(out: &mut impl Write, start: SystemTime) -> io::Result<()> {
    let mut builder = IntervalLogWriterBuilder::new();
    if let Some(mark) = release::mark() {
        builder.add_comment(&format!("[{mark}]"));
    }
    builder
        .add_comment("[Logged with ringlane-bench; values are microseconds]")
        .add_comment("[Histogram log format version 1.3]")
        .with_start_time(start)
        .with_base_time(start)
        .begin_log_with(out, &mut V2DeflateSerializer::new())?;
    writeln!(out, "{LEGEND}")
}

/// Adds an interval.
pub fn append(out: &mut impl Write, interval: &Interval) -> io::Result<()> {
    // A writer that was given nothing to put at the head of a log puts nothing there, so each interval has its own.
    let mut serializer = V2DeflateSerializer::new();
    let mut writer = IntervalLogWriterBuilder::new().begin_log_with(out, &mut serializer)?;
    writer.write_histogram(&interval.latency, interval.from, interval.length, None).map_err(|error| {
        match error {
            IntervalLogWriterError::IoError(error) => error,
            IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine, engine::general_purpose::STANDARD};
    use hdrhistogram::{
        Histogram,
        serialization::{
            Deserializer,
            interval_log::{IntervalLogIterator, LogEntry},
        },
    };

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500_000_000_250);
        let mut out = Vec::new();
        begin(&mut out, start).unwrap();
        for second in 0..2 {
            let mut latency = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3).unwrap();
            latency.record_n(1000 + second, 7).unwrap();
            let (from, length) = (Duration::from_secs(second), Duration::from_secs(1));
            append(&mut out, &Interval { began: start + from, from, length, errors: 0, latency }).unwrap();
        }
        let text = std::str::from_utf8(&out).unwrap();
        assert!(text.contains("\n#[Histogram log format version 1.3]\n"), "{text}");
        let entries: Vec<_> = IntervalLogIterator::new(&out).map(Result::unwrap).collect();
        let wall = Duration::from_millis(1_500_000_000_250);
        assert_eq!(entries[..2], [LogEntry::StartTime(wall), LogEntry::BaseTime(wall)]);
        let mut deserializer = Deserializer::new();
        for (second, entry) in (0..).zip(&entries[2..]) {
            let LogEntry::Interval(interval) = entry else { panic!("{entry:?}") };
            assert_eq!(interval.start_timestamp(), Duration::from_secs(second));
            assert_eq!(interval.duration(), Duration::from_secs(1));
            let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
            let histogram: Histogram<u64> = deserializer.deserialize(&mut &bytes[..]).unwrap();
            assert_eq!((histogram.len(), histogram.max()), (7, 1000 + second));
        }
        assert_eq!(entries.len(), 4);
    }
}

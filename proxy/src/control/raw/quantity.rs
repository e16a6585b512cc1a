//! Durations and sizes: a number and its unit, so that nobody has to know which unit a key is in.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{
    document::{Node, Value},
    findings::Findings,
    spec::{Spec, wrong_kind},
};

const DURATION_UNITS: &[(&str, f64)] =
    &[("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];

const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// A duration within bounds, both included.
pub(crate) struct Time {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

/// From a millisecond to thirty days.
pub(crate) const fn time() -> Time {
    Time { min: Duration::from_millis(1), max: Duration::from_secs(30 * 86_400) }
}

/// From `min` to thirty days.
pub(crate) const fn time_from(min: Duration) -> Time {
    Time { min, max: Duration::from_secs(30 * 86_400) }
}

impl Spec for Time {
    type Out = Duration;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<Duration> {
        const EXPECTED: &str = "a duration (a string as \"250ms\", \"1.5s\", \"2m\", \"1h\")";
        let text = match node.value() {
            Value::Text(text) => text,
            Value::Integer(_) | Value::Float(_) => {
                let number = node.to_json();
                let made = findings.error(node.place(), format!("{number} has no unit"));
                made.hint(format!("write \"{number}s\" or \"{number}ms\""));
                return None;
            }
            _ => return wrong_kind(node, EXPECTED, findings),
        };
        match parse_duration(text) {
            Ok(duration) if (self.min..=self.max).contains(&duration) => Some(duration),
            Ok(_) => {
                let made = findings.error(node.place(), format!("{text:?} is out of range"));
                made.hint(format!("from {} to {}", show_duration(self.min), show_duration(self.max)));
                None
            }
            Err(hint) => {
                findings.error(node.place(), format!("{text:?} is not a duration")).hint(hint);
                None
            }
        }
    }

    fn schema(&self, _: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$",
            "examples": ["250ms", "1.5s", "2m", "1h"],
        })
    }
}

/// Reads `250ms`, `1.5s`, `1m30s`.
///
/// # Errors
/// A hint.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    if !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit()) {
        return Err(format!("write \"{text}s\" or \"{text}ms\""));
    }
    let seconds = sum_of_parts(text).ok_or_else(|| {
        let meant = in_short(text);
        match sum_of_parts(&meant) {
            Some(_) => format!("write \"{meant}\""),
            None => "a number and one of ms, s, m, h, d, as \"1.5s\" or \"1m30s\"".to_owned(),
        }
    })?;
    // Rounded to a microsecond, so that 0.1 s is 100 ms and not a hair off.
    Duration::try_from_secs_f64((seconds * 1e6).round() / 1e6).map_err(|_| "it is far too long".to_owned())
}

/// The seconds of numbers with units, one after the other.
fn sum_of_parts(text: &str) -> Option<f64> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let (unit, after) =
            after.split_at(after.find(|it: char| !it.is_ascii_alphabetic()).unwrap_or(after.len()));
        let (_, factor) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number * factor;
        rest = after;
    }
    (!text.is_empty()).then_some(seconds)
}

/// Units that are written out or apart, as we write them: `1 Minute` is `1m`.
fn in_short(text: &str) -> String {
    let mut short = String::new();
    let mut rest: &str = &text.to_ascii_lowercase().replace([' ', '_', ','], "");
    while !rest.is_empty() {
        let letters = rest.find(|it: char| it.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(letters);
        let (unit, after) =
            after.split_at(after.find(|it: char| !it.is_ascii_alphabetic()).unwrap_or(after.len()));
        short.push_str(number);
        short.push_str(match unit {
            "sec" | "secs" | "second" | "seconds" => "s",
            "min" | "mins" | "minute" | "minutes" => "m",
            "hour" | "hours" | "hr" | "hrs" => "h",
            "day" | "days" => "d",
            "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => "ms",
            other => other,
        });
        rest = after;
    }
    short
}

/// A duration as the config writes it.
pub(crate) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis >= length && millis.is_multiple_of(length) {
            return format!("{}{unit}", millis / length);
        }
    }
    format!("{millis}ms")
}

/// A number of bytes within bounds, both included.
pub(crate) struct Size {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

pub(crate) const fn size(min: u64, max: u64) -> Size {
    Size { min, max }
}

impl Spec for Size {
    type Out = u64;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<u64> {
        let bytes = match node.value() {
            Value::Integer(bytes) => u64::try_from(*bytes).ok(),
            Value::Text(text) => match parse_size(text) {
                Ok(bytes) => Some(bytes),
                Err(hint) => {
                    findings.error(node.place(), format!("{text:?} is not a size")).hint(hint);
                    return None;
                }
            },
            _ => return wrong_kind(node, "a size (a string as \"64KiB\", or bytes as an integer)", findings),
        };
        let good = bytes.filter(|it| (self.min..=self.max).contains(it));
        if good.is_none() {
            let made = findings.error(node.place(), format!("{} is out of range", node.to_json()));
            made.hint(format!("from {} to {}", show_size(self.min), show_size(self.max)));
        }
        good
    }

    fn schema(&self, _: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": self.min, "maximum": self.max },
            { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? *(B|kB|KB|MB|GB|KiB|MiB|GiB)?$", "examples": ["64KiB", "1MiB", "10MB"] },
        ] })
    }
}

/// Reads `64KiB`, `10MB`, `512`.
///
/// # Errors
/// A hint.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    const UNITS: &str = "a number and one of B, KB, MB, GB (1000), KiB, MiB, GiB (1024), as \"64KiB\"";
    let (number, unit) = split_number(text).ok_or_else(|| UNITS.to_owned())?;
    let unit = unit.trim_start_matches(' ');
    let factor = match SIZE_UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() => 1,
        None => {
            let meant = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
            return Err(match (meant, unit.to_ascii_uppercase().as_str()) {
                (Some((name, _)), _) => format!("write \"{number}{name}\""),
                (None, letter @ ("K" | "M" | "G")) => {
                    format!("write \"{number}{letter}iB\" (1024s) or \"{number}{letter}B\" (1000s)")
                }
                _ => UNITS.to_owned(),
            });
        }
    };
    let bytes = number * factor as f64;
    if bytes.fract() != 0.0 {
        return Err("it is not a whole number of bytes".to_owned());
    }
    // Beyond 2^53 a float would round; no limit of ours goes near it.
    if bytes > (1_u64 << 53) as f64 { Err("it is far too large".to_owned()) } else { Ok(bytes as u64) }
}

/// A size as the config writes it.
pub(crate) fn show_size(bytes: u64) -> String {
    for (unit, length) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= length && bytes.is_multiple_of(length) {
            return format!("{}{unit}", bytes / length);
        }
    }
    bytes.to_string()
}

/// A decimal number (no sign, no exponent) and what follows it.
fn split_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let starts_and_ends_in_digits = number.starts_with(|it: char| it.is_ascii_digit())
        && number.ends_with(|it: char| it.is_ascii_digit());
    if !starts_and_ends_in_digits {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("250ms", 250),
            ("1.5s", 1500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1m30s", 90_000),
            ("0.1s", 100),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for (text, hint) in [
            ("30", "write \"30s\" or \"30ms\""),
            ("5sec", "write \"5s\""),
            ("5 minutes", "write \"5m\""),
            ("1 Hour, 30 min", "write \"1h30m\""),
            ("5S", "write \"5s\""),
            ("5 parsecs", "a number and one of ms, s, m, h, d, as \"1.5s\" or \"1m30s\""),
            ("", "a number and one of ms, s, m, h, d, as \"1.5s\" or \"1m30s\""),
            ("-1s", "a number and one of ms, s, m, h, d, as \"1.5s\" or \"1m30s\""),
            ("1e3s", "a number and one of ms, s, m, h, d, as \"1.5s\" or \"1m30s\""),
            ("1.s", "a number and one of ms, s, m, h, d, as \"1.5s\" or \"1m30s\""),
        ] {
            assert_eq!(parse_duration(text), Err(hint.to_owned()), "{text}");
        }
        assert!(parse_duration(&format!("{}h", "9".repeat(400))).is_err());
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("64KiB", 65_536),
            ("1MiB", 1 << 20),
            ("10MB", 10_000_000),
            ("512", 512),
            ("1.5KiB", 1536),
            ("2 GB", 2_000_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for (text, hint) in [
            ("64k", "write \"64KiB\" (1024s) or \"64KB\" (1000s)"),
            ("64kib", "write \"64KiB\""),
            ("1.0001KiB", "it is not a whole number of bytes"),
            ("9999999GiB", "it is far too large"),
        ] {
            assert_eq!(parse_size(text), Err(hint.to_owned()), "{text}");
        }
    }

    #[test]
    fn shown_as_written() {
        for text in ["250ms", "1500ms", "2m", "1h", "30d", "61s"] {
            assert_eq!(parse_duration(text).map(show_duration), Ok(text.to_owned()));
        }
        assert_eq!(show_size(32 * 1024), "32KiB");
        assert_eq!(show_size(1000), "1000");
    }
}

//! What watches over an upstream: `[upstreams.health]`, `[upstreams.ejection]`, `[upstreams.breaker]`.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{
    document::{Node, Value},
    findings::Findings,
    quantity::{Time, time},
    section::section,
    spec::{Choice, Item, List, Spec, count, off_or, wrong_kind},
    text::{Fault, NEW_HOST, Text},
};
use crate::upstream::{circuit::PROBES_MAX, health::WhenUnhealthy};

/// Bytes of what a check's answer must contain.
const NEEDLE_BYTES_MAX: usize = 1024;
/// Bytes of a check's path.
const PATH_BYTES_MAX: usize = 2048;
const REQUESTS_MAX: u64 = 10_000_000;

/// How an endpoint is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckType {
    Http,
    Tcp,
}

section! {
    /// Checks of each endpoint, made by the process, once for all its workers.
    pub(crate) struct HealthChecks {
        /// "http": a GET is answered as it should be. "tcp": a connection is taken.
        r#type: CheckType, default("http"), Choice(&[("http", CheckType::Http), ("tcp", CheckType::Tcp)]);
        /// Path and query of the GET.
        path: String, default("/"), CHECK_PATH;
        /// Its Host field. Absent: the endpoint's address.
        host: String, optional, NEW_HOST;
        /// Statuses that are right.
        status: Vec<Item<u64>>, default([200]), List(count(200, 599));
        /// Text that must be in the first 64KiB of the body. Absent: the body is not looked at.
        body: String, optional, NEEDLE;
        /// From one check's start to the next one's. A new endpoint is checked at once.
        interval: Duration, default("5s"), Time { min: Duration::from_millis(50), max: Duration::from_secs(86_400) };
        /// By what part of it the interval is longer or shorter, by chance, 0 to 0.5.
        jitter: u32, default(0.1), Fraction { min: 0, max: 500 };
        /// How long a check may take; less than the interval.
        timeout: Duration, default("2s"), time();
        /// Checks in a row that must pass before an endpoint is used again.
        rise: u64, default(2), count(1, 100);
        /// Checks in a row that must fail before an endpoint is no longer used. The first one of all decides alone.
        fall: u64, default(3), count(1, 100);
    }
}

section! {
    /// When the workers' own experience of an endpoint takes it out of use.
    pub(crate) struct Ejection {
        /// After so many failures in a row. "off": however many.
        consecutive_failures: Option<u64>, default(5), off_or(count(1, 1000));
        /// When so large a part of the tries in the window fails, 0.01 to 1.
        failure_rate: Option<u32>, default("off"), off_or(RATE);
        /// No rate and no percentile is made of fewer tries than these.
        min_requests: u64, default(20), count(1, REQUESTS_MAX);
        /// When its 99th percentile is so many times the median of its peers', 1.1 to 100.
        latency_factor: Option<u32>, default("off"), off_or(Fraction { min: 1100, max: 100_000 });
        /// What is looked at.
        window: Duration, default("10s"), WINDOW;
        /// How long it is out of use; twice as long each time it comes back only to go again.
        time: Duration, default("30s"), time();
        /// But never longer than this.
        time_max: Duration, default("5m"), time();
        /// So many of the endpoints, in percent, may be out of use for one to be ejected.
        max_percent: u64, default(50), count(1, 100);
    }
}

section! {
    /// A circuit breaker: requests are refused at once where they would fail.
    pub(crate) struct Breaker {
        /// It opens when so large a part of the tries in the window fails, 0.01 to 1, over all endpoints.
        failure_rate: Option<u32>, default(0.5), off_or(RATE);
        /// No rate is made of fewer tries than these.
        min_requests: u64, default(20), count(1, REQUESTS_MAX);
        /// What is looked at.
        window: Duration, default("10s"), WINDOW;
        /// Requests under way, in the process and divided over the workers; further ones are answered 503.
        max_requests: Option<u64>, default("off"), off_or(count(1, REQUESTS_MAX));
        /// How long it is open.
        open: Duration, default("5s"), time();
        /// Requests that pass then, to find out. If all of them succeed it closes, if one fails it opens again.
        probes: u64, default(3), count(1, PROBES_MAX as u64);
    }
}

/// `when_unhealthy`.
pub(crate) const WHEN_UNHEALTHY: Choice<WhenUnhealthy> =
    Choice(&[("try_all", WhenUnhealthy::TryAll), ("fail", WhenUnhealthy::Fail)]);

const WINDOW: Time = Time { min: Duration::from_millis(500), max: Duration::from_secs(3600) };

const RATE: Fraction = Fraction { min: 10, max: 1000 };

/// A number with up to three decimals, within bounds; all of them in thousandths.
pub(crate) struct Fraction {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

impl Fraction {
    fn shown(&self) -> [f64; 2] {
        [f64::from(self.min) / 1000.0, f64::from(self.max) / 1000.0]
    }
}

impl Spec for Fraction {
    type Out = u32;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<u32> {
        let number = match node.value() {
            Value::Float(number) => *number,
            Value::Integer(number) => *number as f64,
            _ => return wrong_kind(node, "a number", findings),
        };
        let [min, max] = self.shown();
        if (min..=max).contains(&number) {
            return Some((number * 1000.0).round() as u32);
        }
        findings
            .error(node.place(), format!("{} is out of range", node.to_json()))
            .hint(format!("from {min} to {max}"));
        None
    }

    fn schema(&self, _: &mut SchemaGenerator) -> Schema {
        let [min, max] = self.shown();
        json_schema!({ "type": "number", "minimum": min, "maximum": max })
    }
}

const CHECK_PATH: Text<String> =
    Text { what: "a path, perhaps with a query", pattern: r"^/[!-~]*$", parse: parse_path };

fn parse_path(text: &str) -> Result<String, Fault> {
    let fault = |hint: &str| Fault::new(format!("{text:?} is not a path"), hint);
    if !text.starts_with('/') {
        return Err(fault("begin it with `/`"));
    }
    if text.len() > PATH_BYTES_MAX {
        return Err(Fault::new("the path is too long", format!("at most {PATH_BYTES_MAX} bytes")));
    }
    let plain = text.bytes().all(|it| it.is_ascii_graphic());
    match http::uri::PathAndQuery::try_from(text) {
        Ok(path) if plain && path.as_str() == text => Ok(text.to_owned()),
        _ => Err(fault("percent-encode what is not plain, and leave out any #")),
    }
}

const NEEDLE: Text<String> = Text {
    what: "text that is in the body",
    pattern: r"^[\s\S]+$",
    parse: |text| match text.len() {
        0 => Err(Fault::new("the text is empty", "leave the key out: any body will do then")),
        1..=NEEDLE_BYTES_MAX => Ok(text.to_owned()),
        _ => Err(Fault::new("the text is too long", format!("at most {NEEDLE_BYTES_MAX} bytes"))),
    },
};

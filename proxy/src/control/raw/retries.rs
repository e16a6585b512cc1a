//! `[upstreams.retries]` and a route's `hedge`: requests that are sent more than once.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{
    document::{Node, Value},
    findings::Findings,
    quantity::{parse_duration, size, time, time_from},
    section::section,
    spec::{Choice, Flag, Item, List, Spec, count, off_or, wrong_kind},
};
use crate::{
    limits::{RETRIES_MAX, RETRY_BUFFER_BYTES_MAX},
    route::HedgeAfter,
    upstream::retries::Reason,
};

/// Further tries, or second tries, per hundred requests.
const PERCENT_MAX: u64 = 100;
/// Free tries a second.
const BUDGET_MIN_MAX: u64 = 1_000_000;
/// A first try that is quicker than this is not slow.
const HEDGE_AFTER_MIN: Duration = Duration::from_millis(1);
const HEDGE_AFTER_MAX: Duration = Duration::from_secs(3600);

section! {
    /// Requests that are tried again, on another endpoint where there is one. Nothing of a response has gone to the client
    /// by then.
    pub(crate) struct Retries {
        /// Further tries of one request, 1 to 10.
        max: u64, default(2), count(1, RETRIES_MAX);
        /// For which reasons: "connect" (the connection was not taken), "reset" (closed or reset before the first byte of
        /// a response), "timeout" (no response head in time), and statuses, 400 to 599.
        on: Vec<Item<Reason>>, default(["connect", "reset", "timeout", 502, 503, 504]), List(ReasonSpec);
        /// "idempotent": GET, HEAD, OPTIONS, TRACE, PUT and DELETE alone. "all": also what may then be done twice. When
        /// the connection was not taken, requests of any method are tried again.
        methods: bool, default("idempotent"), Choice(&[("idempotent", false), ("all", true)]);
        /// The longest wait before the first further try, doubled for each after it. The wait is anything up to that, by
        /// chance. "0s": none.
        backoff: Duration, default("25ms"), time_from(Duration::ZERO);
        /// The longest wait before any.
        backoff_max: Duration, default("250ms"), time_from(Duration::ZERO);
        /// Each try up to its response head, connecting included, waiting for a free connection not. "off": no more than
        /// timeouts.connect and timeouts.response_head.
        try_timeout: Option<Duration>, default("off"), off_or(time());
        /// What is kept of a request's body to be sent again, to 1MiB; a request with a longer one is not tried again once
        /// it has been sent.
        buffer_bytes: u64, default("64KiB"), size(0, RETRY_BUFFER_BYTES_MAX as u64);
        /// Further tries per hundred requests, 0 to 100, of each worker; what ten seconds don't use is gone.
        budget_percent: u64, default(20), count(0, PERCENT_MAX);
        /// Further tries a second whatever the number of requests, divided over the workers.
        budget_min: u64, default(10), count(0, BUDGET_MIN_MAX);
        /// Tell clients how often the request was sent: X-Ringlane-Attempts.
        header: bool, default(false), Flag;
    }
}

section! {
    /// A second try at another endpoint beside a first one that is slow. For requests without a body that are idempotent.
    pub(crate) struct Hedge {
        /// How long the first one may go without an answer: "50ms", or "p95", as long as 95 % of the route's last answers
        /// took ("p50" to "p99.9").
        after: HedgeAfter, default("p95"), HedgeAfterSpec;
        /// Second tries per hundred requests of the route, 1 to 100, of each worker.
        budget_percent: u64, default(5), count(1, PERCENT_MAX);
    }
}

/// A reason for a further try.
pub(crate) struct ReasonSpec;

const REASONS: Choice<Reason> =
    Choice(&[("connect", Reason::Connect), ("reset", Reason::Reset), ("timeout", Reason::Timeout)]);
const STATUSES: std::ops::RangeInclusive<i128> = 400..=599;

impl Spec for ReasonSpec {
    type Out = Reason;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<Reason> {
        match node.value() {
            Value::Integer(status) if STATUSES.contains(status) => {
                u16::try_from(*status).ok().map(Reason::Status)
            }
            Value::Integer(status) => {
                let made = findings.error(node.place(), format!("{status} is no reason to try again"));
                made.hint("statuses from 400 to 599");
                None
            }
            Value::Text(_) => REASONS.read(node, findings),
            _ => wrong_kind(node, "\"connect\", \"reset\", \"timeout\" or a status", findings),
        }
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let words = REASONS.schema(generator);
        json_schema!({ "anyOf": [words, { "type": "integer", "minimum": 400, "maximum": 599 }] })
    }
}

/// `"50ms"` or `"p95"`.
pub(crate) struct HedgeAfterSpec;

impl Spec for HedgeAfterSpec {
    type Out = HedgeAfter;

    fn read(&self, node: Node<'_>, findings: &mut Findings) -> Option<HedgeAfter> {
        let Value::Text(text) = node.value() else {
            return wrong_kind(node, "a string (\"50ms\" or \"p95\")", findings);
        };
        match parse_after(text) {
            Ok(after) => Some(after),
            Err(hint) => {
                findings
                    .error(node.place(), format!("{text:?} is neither a time nor a percentile"))
                    .hint(hint);
                None
            }
        }
    }

    fn schema(&self, _: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^(p[5-9][0-9](\.[0-9])?|([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+)$",
            "examples": ["p95", "p99.9", "50ms"],
        })
    }
}

fn parse_after(text: &str) -> Result<HedgeAfter, String> {
    if let Some(percentile) = text.strip_prefix(['p', 'P']) {
        const BOUNDS: &str = "from \"p50\" to \"p99.9\", one digit after the point";
        let (whole, tenths) = percentile.split_once('.').unwrap_or((percentile, "0"));
        let digits = |it: &str, count| it.len() == count && it.bytes().all(|byte| byte.is_ascii_digit());
        if !text.starts_with('p') || !digits(whole, 2) || !digits(tenths, 1) {
            return Err(BOUNDS.to_owned());
        }
        let thousandths: u32 = format!("{whole}{tenths}").parse().map_err(|_| BOUNDS.to_owned())?;
        return if thousandths < 500 {
            Err(BOUNDS.to_owned())
        } else {
            Ok(HedgeAfter::Quantile(thousandths))
        };
    }
    match parse_duration(text)? {
        fixed if (HEDGE_AFTER_MIN..=HEDGE_AFTER_MAX).contains(&fixed) => Ok(HedgeAfter::Fixed(fixed)),
        _ => Err("from 1ms to 1h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_percentiles() {
        for (text, after) in [
            ("p95", HedgeAfter::Quantile(950)),
            ("p50", HedgeAfter::Quantile(500)),
            ("p99.9", HedgeAfter::Quantile(999)),
            ("50ms", HedgeAfter::Fixed(Duration::from_millis(50))),
        ] {
            assert_eq!(parse_after(text), Ok(after), "{text}");
        }
        for text in ["", "p", "p5", "p100", "p49.9", "p99.99", "P95", "p-5", "95", "0s", "2h", "p9x", "50"] {
            assert!(parse_after(text).is_err(), "{text}");
        }
    }
}

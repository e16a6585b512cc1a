//! What watches over an upstream: checks, ejection, the breaker.

use std::sync::Arc;

use crate::{
    control::raw::{
        findings::Findings,
        health::{Breaker as RawBreaker, CheckType, Ejection as RawEjection, HealthChecks},
        quantity::show_duration,
        section::Field,
        sections::Upstream as Raw,
        spec::Item,
    },
    upstream::{
        circuit::BreakerSettings,
        health::{Checks, Ejection, HealthSettings, Probe, WhenUnhealthy},
    },
};

/// Holds the relations between the keys.
pub(super) fn check(raw: &Raw, workers: u64, findings: &mut Findings) {
    if let Some(checks) = &raw.health.value {
        check_checks(checks, findings);
    }
    if let Some(ejection) = &raw.ejection.value {
        check_ejection(ejection, findings);
    }
    if let Some(breaker) = &raw.breaker.value {
        check_breaker(breaker, workers, findings);
    }
    if raw.health.given || raw.ejection.given {
        return;
    }
    let idle =
        "[upstreams.health] or [upstreams.ejection] would take an endpoint out of use; there is neither";
    if let Some(Some(_)) = raw.slow_start.value {
        findings.warn(raw.slow_start.place, "`slow_start` has no effect").hint(idle);
    }
    if raw.when_unhealthy.value == Some(WhenUnhealthy::Fail) {
        findings.warn(raw.when_unhealthy.place, "`when_unhealthy` has no effect").hint(idle);
    }
}

fn check_checks(raw: &HealthChecks, findings: &mut Findings) {
    if let (Some(timeout), Some(interval)) = (raw.timeout.value, raw.interval.value)
        && timeout >= interval
    {
        let field = if raw.timeout.given { raw.timeout.place } else { raw.interval.place };
        let (timeout, interval) = (show_duration(timeout), show_duration(interval));
        let made = findings
            .error(field, format!("a check may take {timeout}, and the next is due after {interval}"));
        made.hint("the timeout must be shorter than the interval");
    }
    if raw.status.value.as_ref().is_some_and(Vec::is_empty) {
        findings.error(raw.status.place, "no status is right").hint("list at least one, as 200");
    }
    if raw.r#type.value == Some(CheckType::Tcp) {
        let of_http = [
            ("path", raw.path.given, raw.path.place),
            ("host", raw.host.given, raw.host.place),
            ("status", raw.status.given, raw.status.place),
            ("body", raw.body.given, raw.body.place),
        ];
        for (key, _, place) in of_http.into_iter().filter(|(_, given, _)| *given) {
            let made = findings.error(place, format!("`{key}` with type = \"tcp\""));
            made.hint("a connection has none: leave it out, or write type = \"http\"");
        }
    }
}

fn check_ejection(raw: &RawEjection, findings: &mut Findings) {
    let off = |field: &Field<Option<u32>>| field.value == Some(None);
    if raw.consecutive_failures.value == Some(None) && off(&raw.failure_rate) && off(&raw.latency_factor) {
        let made = findings.error(raw.consecutive_failures.place, "nothing would eject an endpoint");
        made.hint("set consecutive_failures, failure_rate or latency_factor, or leave out the table");
    }
    if let (Some(time), Some(time_max)) = (raw.time.value, raw.time_max.value)
        && time > time_max
    {
        let place = if raw.time_max.given { raw.time_max.place } else { raw.time.place };
        let (time, time_max) = (show_duration(time), show_duration(time_max));
        let made = findings.error(place, format!("`time` is {time}, and `time_max` {time_max}"));
        made.hint("time_max is the longest: at least as long as time");
    }
}

fn check_breaker(raw: &RawBreaker, workers: u64, findings: &mut Findings) {
    if raw.failure_rate.value == Some(None) && raw.max_requests.value == Some(None) {
        let made = findings.error(raw.failure_rate.place, "nothing would open the breaker");
        made.hint("set failure_rate or max_requests, or leave out the table");
    }
    if let Some(Some(max)) = raw.max_requests.value
        && max < workers
    {
        let place = raw.max_requests.place;
        let made = findings.error(place, format!("{max} requests can't be divided over {workers} workers"));
        made.hint(format!("at least {workers}, one for each worker, or fewer runtime.workers"));
    }
}

/// Of an optional table that is not there: `Some(None)`. `None`: it is wrong.
fn optional<T, U>(field: &Field<T>, read: impl FnOnce(&T) -> Option<U>) -> Option<Option<U>> {
    match &field.value {
        Some(raw) => read(raw).map(Some),
        None if field.given => None,
        None => Some(None),
    }
}

/// How endpoints are watched. `None`: it is wrong, which has been said.
pub(super) fn settings(raw: &Raw) -> Option<Option<Arc<HealthSettings>>> {
    let checks = optional(&raw.health, checks)?;
    let ejection = optional(&raw.ejection, ejection)?;
    let (slow_start, when_unhealthy) = (raw.slow_start.value?, raw.when_unhealthy.value?);
    let watched = checks.is_some() || ejection.is_some();
    Some(watched.then(|| Arc::new(HealthSettings { checks, ejection, slow_start, when_unhealthy })))
}

fn checks(raw: &HealthChecks) -> Option<Checks> {
    let status = |it: &Item<u64>| u16::try_from(it.value?).ok();
    let probe = match raw.r#type.value? {
        CheckType::Tcp => Probe::Tcp,
        CheckType::Http => Probe::Http {
            path: raw.path.value.as_deref()?.into(),
            host: raw.host.value.as_deref().map(Into::into),
            status: raw.status.value.as_ref()?.iter().map(status).collect::<Option<_>>()?,
            body: raw.body.value.as_deref().map(Into::into),
        },
    };
    Some(Checks {
        probe,
        interval: raw.interval.value?,
        jitter_permille: raw.jitter.value?,
        timeout: raw.timeout.value?,
        rise: u32::try_from(raw.rise.value?).ok()?,
        fall: u32::try_from(raw.fall.value?).ok()?,
    })
}

fn ejection(raw: &RawEjection) -> Option<Ejection> {
    let consecutive_failures = match raw.consecutive_failures.value? {
        Some(count) => Some(u32::try_from(count).ok()?),
        None => None,
    };
    Some(Ejection {
        consecutive_failures,
        failure_permille: raw.failure_rate.value?,
        min_requests: u32::try_from(raw.min_requests.value?).ok()?,
        latency_permille: raw.latency_factor.value?,
        window: raw.window.value?,
        time: raw.time.value?,
        time_max: raw.time_max.value?,
        max_percent: u32::try_from(raw.max_percent.value?).ok()?,
    })
}

/// How the breaker is set. `None`: it is wrong, which has been said.
pub(super) fn breaker(raw: &Raw) -> Option<Option<BreakerSettings>> {
    optional(&raw.breaker, |raw| {
        let max_requests = match raw.max_requests.value? {
            Some(max) => Some(u32::try_from(max).ok()?),
            None => None,
        };
        Some(BreakerSettings {
            failure_permille: raw.failure_rate.value?,
            min_requests: u32::try_from(raw.min_requests.value?).ok()?,
            window: raw.window.value?,
            max_requests,
            open: raw.open.value?,
            probes: u32::try_from(raw.probes.value?).ok()?,
        })
    })
}

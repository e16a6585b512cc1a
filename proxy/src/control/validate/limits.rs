//! Limits of routes and listeners.

use crate::{
    control::raw::{
        document::Place, findings::Findings, limits::RateLimit as RawRate, routes::Route as Raw,
        section::Field, sections::Listener as RawListener,
    },
    limit::{RateFault, RateLimit, RouteLimits},
    limits::{BUCKET_FILL_MAX, RATE_PER_SECOND_MAX},
};

/// Checks what a route takes. `None`: something is wrong. `Some(None)`: it takes anything.
pub(super) fn route_limits(
    raw: &Raw,
    workers: u64,
    findings: &mut Findings,
) -> Option<Option<Box<RouteLimits>>> {
    enough_for_workers(&raw.max_requests, workers, findings);
    if let (Some(Some(all)), Some(Some(each))) = (raw.max_requests.value, raw.max_requests_per_client.value)
        && each > all
    {
        let made = findings.warn(raw.max_requests_per_client.place, "no client ever has so many");
        made.other(raw.max_requests.place).hint("the route takes fewer of all clients together");
    }
    let rate = match &raw.rate_limit {
        field if !field.given => None,
        field => Some(rate(field.value.as_ref()?, field.place, raw.name.value.as_deref()?, findings)?),
    };
    let limits = RouteLimits {
        rate,
        max_requests: narrow(raw.max_requests.value?)?,
        max_requests_per_client: narrow(raw.max_requests_per_client.value?)?,
        request_body_bytes: raw.request_body_bytes.value?,
    };
    Some((limits != RouteLimits::default()).then(|| Box::new(limits)))
}

/// As for pools: a worker with no part of it could serve nothing.
fn enough_for_workers(max: &Field<Option<u64>>, workers: u64, findings: &mut Findings) {
    if let Some(Some(max_requests)) = max.value
        && max_requests < workers
    {
        let made = findings
            .error(max.place, format!("{max_requests} requests can't be divided over {workers} workers"));
        made.hint(format!("at least {workers}, one for each worker, or fewer runtime.workers"));
    }
}

fn rate(raw: &RawRate, place: Place, name: &str, findings: &mut Findings) -> Option<RateLimit> {
    let (requests, per) = (raw.requests.value?, raw.per.value?);
    let burst = if raw.burst.given { raw.burst.value? } else { requests };
    match RateLimit::new(name, raw.key.value.clone()?, (requests, per), burst) {
        Ok(rate) => Some(rate),
        Err(RateFault::TooDeep) => {
            let place = if raw.burst.given { raw.burst.place } else { place };
            let days = BUCKET_FILL_MAX.as_secs() / 86_400;
            let made = findings
                .error(place, format!("a bucket of {burst} would take more than {days} days to fill"));
            made.hint("a smaller `burst`, or more requests in the time");
            None
        }
        Err(RateFault::TooFast | RateFault::Nothing) => {
            let made = findings.error(raw.requests.place, "too many requests for the time");
            made.hint(format!("at most {RATE_PER_SECOND_MAX} a second"));
            None
        }
    }
}

/// Limits of a listener that another makes void.
pub(super) fn listener_limits(raw: &RawListener, findings: &mut Findings) {
    let Some(limits) = &raw.limits.value else { return };
    if let (Some(Some(target)), Some(head)) = (limits.target_bytes.value, limits.request_head_bytes.value)
        && target >= head
    {
        let made = findings.warn(limits.target_bytes.place, "no target is ever that long");
        made.other(limits.request_head_bytes.place).hint("request_head_bytes bounds it already");
    }
    if let (Some(Some(each)), Some(all)) = (limits.connections_per_client.value, raw.max_connections.value)
        && each > all
    {
        let made = findings.warn(limits.connections_per_client.place, "no client ever has so many");
        made.other(raw.max_connections.place).hint("the listener takes fewer of all clients together");
    }
}

/// As a narrower number; `None`: it does not fit, which its bounds have excluded.
pub(super) fn narrow<T: TryFrom<u64>>(limit: Option<u64>) -> Option<Option<T>> {
    limit.map(T::try_from).transpose().ok()
}

//! Upstreams and their endpoints.

use std::{collections::HashMap, sync::Arc};

use super::{Files, Names, Outside, balance, health, retries};
use crate::{
    control::{
        config::{Endpoint, Target, Upstream},
        raw::{document::Place, findings::Findings, sections::Upstream as Raw},
    },
    upstream::{PoolLimits, Retries, UpstreamTimeouts, sticky::StickySettings},
};

/// Checks the upstreams of all files. `None` when any is wrong.
pub(super) fn validate(
    files: &Files<'_>,
    outside: &dyn Outside,
    workers: u64,
    findings: &mut Findings,
) -> Option<Vec<Arc<Upstream>>> {
    let mut names = Names::of("upstream", |name| outside.upstream(name));
    let mut upstreams = Vec::new();
    for item in files.upstreams() {
        let Some(raw) = &item.value else { continue };
        names.take(&raw.name, findings);
        upstreams.push(upstream(raw, (files.written)(item.place), workers, findings).map(Arc::new));
    }
    upstreams.into_iter().collect()
}

/// Checks one upstream, which was written as `written`.
pub(crate) fn upstream(
    raw: &Raw,
    written: Arc<str>,
    workers: u64,
    findings: &mut Findings,
) -> Option<Upstream> {
    enough_connections(raw, workers, findings);
    check_endpoints(raw, findings);
    health::check(raw, workers, findings);
    balance::check(raw, findings);
    let sticky = balance::sticky(raw, findings);
    let retries = retries::retries(&raw.retries, raw.timeouts.value.as_ref(), findings);
    let deadline_header = retries::deadline_header(&raw.deadline_header, findings);
    plain(raw, written, sticky?, retries?, deadline_header?)
}

/// A worker without a connection of its own could serve nothing from this upstream.
fn enough_connections(raw: &Raw, workers: u64, findings: &mut Findings) {
    let Some(pool) = &raw.pool.value else { return };
    if let Some(max) = pool.max_connections.value
        && max < workers
    {
        let made = findings.error(
            pool.max_connections.place,
            format!("{max} connections can't be divided over {workers} workers"),
        );
        made.hint(format!("at least {workers}, one for each worker, or fewer runtime.workers"));
    }
}

fn check_endpoints(raw: &Raw, findings: &mut Findings) {
    let Some(items) = &raw.endpoints.value else { return };
    if items.is_empty() {
        let made = findings.error(raw.endpoints.place, "there are no endpoints");
        made.hint("list at least one, as \"127.0.0.1:9000\"");
        return;
    }
    let endpoints = || items.iter().filter_map(|it| it.value.as_ref());
    if endpoints().count() == items.len() && endpoints().all(|it| it.weight == Some(0)) {
        let made = findings.error(raw.endpoints.place, "every endpoint has weight 0");
        made.hint("give at least one a weight above 0; nothing would be sent to this upstream");
    }
    if endpoints().count() == items.len() && endpoints().all(|it| it.backup == Some(true)) {
        let made = findings.error(raw.endpoints.place, "every endpoint is a backup");
        made.hint("leave `backup` out of those that are to serve while all is well");
    }
    let mut seen: HashMap<&Target, Place> = HashMap::new();
    for endpoint in endpoints() {
        let Some(target) = &endpoint.target else { continue };
        if let Some(other) = seen.get(target) {
            let made = findings.error(endpoint.place, format!("the endpoint {target} is listed twice"));
            made.other(*other).hint("for a larger share write { address = \"...\", weight = 2 }");
        }
        seen.insert(target, endpoint.place);
    }
}

fn plain(
    raw: &Raw,
    written: Arc<str>,
    sticky: Option<StickySettings>,
    retries: Option<Box<Retries>>,
    deadline_header: Option<Box<str>>,
) -> Option<Upstream> {
    let endpoints = raw.endpoints.value.as_ref()?.iter().map(|item| {
        let endpoint = item.value.as_ref()?;
        let weight = u32::try_from(endpoint.weight?).ok()?;
        Some(Endpoint { target: endpoint.target.clone()?, weight, backup: endpoint.backup? })
    });
    Some(Upstream {
        name: raw.name.value.as_deref()?.into(),
        balance: raw.balance.value?,
        hash: balance::hash(raw)?,
        sticky,
        endpoints: endpoints.collect::<Option<_>>()?,
        dns_refresh: raw.dns_refresh.value?,
        pool: pool(raw)?,
        timeouts: timeouts(raw)?,
        retries,
        deadline_header,
        health: health::settings(raw)?,
        breaker: health::breaker(raw)?,
        proxy_protocol: raw.proxy_protocol.value?,
        written,
    })
}

fn pool(raw: &Raw) -> Option<PoolLimits> {
    let pool = raw.pool.value.as_ref()?;
    Some(PoolLimits {
        max_connections: u32::try_from(pool.max_connections.value?).ok()?,
        max_idle: u32::try_from(pool.max_idle.value?).ok()?,
        max_pending: u32::try_from(pool.max_pending.value?).ok()?,
        idle_timeout: pool.idle_timeout.value?,
        max_age: pool.max_age.value?,
        max_requests: pool.max_requests.value?,
    })
}

fn timeouts(raw: &Raw) -> Option<UpstreamTimeouts> {
    let timeouts = raw.timeouts.value.as_ref()?;
    Some(UpstreamTimeouts {
        queue: timeouts.queue.value?,
        connect: timeouts.connect.value?,
        response_head: timeouts.response_head.value?,
        response_body_idle: timeouts.response_body_idle.value?,
        request: timeouts.request.value?,
    })
}

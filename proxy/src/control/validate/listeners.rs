//! Listeners.

use super::{
    Names,
    limits::{listener_limits, narrow},
    provenance,
};
use crate::{
    control::raw::{findings::Findings, sections::Listener as Raw, spec::Item},
    limit::ListenerLimits,
    route::{Listener, provenance::Provenance},
};

/// Checks all listeners. `None` when any is wrong.
pub(super) fn validate(items: &[Item<Raw>], workers: u64, findings: &mut Findings) -> Option<Vec<Listener>> {
    let mut names = Names::of("listener", |_| None);
    let mut listeners = Vec::with_capacity(items.len());
    for item in items {
        let Some(raw) = &item.value else { continue };
        names.take(&raw.name, findings);
        if let Some(max) = raw.max_connections.value
            && max < workers
        {
            let made = findings.error(
                raw.max_connections.place,
                format!("{max} connections can't be divided over {workers} workers"),
            );
            made.hint(format!("at least {workers}, or fewer runtime.workers"));
        }
        listener_limits(raw, findings);
        listeners.push(listener(raw, provenance::validate(raw, findings)));
    }
    listeners.into_iter().collect()
}

fn listener(raw: &Raw, provenance: Option<Provenance>) -> Option<Listener> {
    let limits = raw.limits.value.as_ref()?;
    let timeouts = raw.timeouts.value.as_ref()?;
    Some(Listener {
        id: 0,
        name: raw.name.value.as_deref()?.into(),
        address: raw.address.value.clone()?,
        max_connections: u32::try_from(raw.max_connections.value?).ok()?,
        request_head_bytes: usize::try_from(limits.request_head_bytes.value?).ok()?,
        request_fields: usize::try_from(limits.headers.value?).ok()?,
        request_body_bytes: limits.request_body_bytes.value?,
        limits: ListenerLimits {
            target_bytes: narrow(limits.target_bytes.value?)?,
            requests_per_client: narrow(limits.requests_per_client.value?)?,
            connections_per_client: narrow(limits.connections_per_client.value?)?,
            request_body_rate_min: timeouts.request_body_rate_min.value?,
            response_rate_min: timeouts.response_rate_min.value?,
        },
        request_head_timeout: timeouts.request_head.value?,
        request_body_idle_timeout: timeouts.request_body_idle.value?,
        keep_alive_timeout: timeouts.keep_alive.value?,
        tunnel_idle_timeout: timeouts.tunnel_idle.value?,
        response_write_timeout: timeouts.response_write.value?,
        forwarded: provenance::forwarded(raw)?,
        provenance: provenance?,
    })
}

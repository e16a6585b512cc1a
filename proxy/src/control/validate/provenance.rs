//! Whom a listener believes: what goes together.

use crate::{
    control::raw::{findings::Findings, sections::Listener as Raw, spec::Item},
    limits::TRUSTED_PROXIES_MAX,
    route::{
        listener::Forwarded,
        provenance::{ClientAddress, Provenance, ProxyProtocol, TrustedProxies, TrustedProxy},
    },
};

/// Checks these keys of one listener. `None` when any is wrong.
pub(super) fn validate(raw: &Raw, findings: &mut Findings) -> Option<Provenance> {
    let items = raw.trusted_proxies.value.as_deref();
    let few = items.is_none_or(|items| few_enough(raw, items, findings));
    let none = raw.trusted_proxies.value.as_ref().is_some_and(Vec::is_empty);
    if none {
        needs_proxies(raw, findings);
    }
    everybody(items.unwrap_or_default(), findings);
    let trace = raw.trace.value.as_ref()?;
    let trusted_proxies: Option<TrustedProxies> = items?.iter().map(|item| item.value).collect();
    Some(Provenance {
        trusted_proxies: trusted_proxies.filter(|_| few)?,
        client_address: raw.client_address.value?,
        proxy_protocol: raw.proxy_protocol.value?,
        trace_context: trace.context.value?,
        request_id: trace.request_id.value?,
    })
}

/// What becomes of `X-Forwarded-*`: unless it is said, those of trusted proxies are kept.
pub(super) fn forwarded(raw: &Raw) -> Option<Forwarded> {
    let trusts = !raw.trusted_proxies.value.as_ref()?.is_empty();
    let unsaid = if trusts { Forwarded::Append } else { Forwarded::Replace };
    Some(raw.forwarded.value?.unwrap_or(unsaid))
}

fn few_enough(raw: &Raw, items: &[Item<TrustedProxy>], findings: &mut Findings) -> bool {
    let few = items.len() <= TRUSTED_PROXIES_MAX;
    if !few {
        let made = findings.error(raw.trusted_proxies.place, format!("{} networks", items.len()));
        made.hint(format!("at most {TRUSTED_PROXIES_MAX}: put neighbours together"));
    }
    few
}

/// Nobody is believed; so nothing can be taken on somebody's word.
fn needs_proxies(raw: &Raw, findings: &mut Findings) {
    const HINT: &str =
        "list the addresses of the proxies before this one, as trusted_proxies = [\"10.0.0.0/8\"]";
    if raw.client_address.value.is_some_and(|it| it != ClientAddress::Connection) {
        let made = findings.error(
            raw.client_address.place,
            "the field counts only from `trusted_proxies`, and there are none",
        );
        made.hint(HINT);
    }
    if raw.proxy_protocol.value.is_some_and(|it| it != ProxyProtocol::Off) {
        let made = findings.error(
            raw.proxy_protocol.place,
            "a header counts only from `trusted_proxies`, and there are none",
        );
        made.hint(HINT);
    }
}

/// A network of everybody is hardly meant.
fn everybody(items: &[Item<TrustedProxy>], findings: &mut Findings) {
    for item in items {
        if let Some(TrustedProxy::Network(network)) = item.value
            && network.is_everybody()
        {
            let made = findings.warn(item.place, format!("{network} trusts everybody"));
            made.hint("any client can then say that it is any other: list the proxies alone");
        }
    }
}

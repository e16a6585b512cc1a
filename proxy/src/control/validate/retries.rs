//! Requests that are sent more than once, and the time they are given.

use std::collections::HashMap;

use http::{HeaderName, header};

use crate::{
    control::raw::{
        document::Place,
        findings::Findings,
        retries::{Hedge as RawHedge, Retries as Raw},
        section::Field,
        sections::UpstreamTimeouts as RawTimeouts,
        spec::Item,
    },
    http::edits::is_editable,
    route::Hedge,
    upstream::{
        Retries,
        retries::{Reason, RetryOn},
    },
};

/// Checks how requests are tried again. `None` when that is wrong.
pub(super) fn retries(
    raw: &Field<Raw>,
    timeouts: Option<&RawTimeouts>,
    findings: &mut Findings,
) -> Option<Option<Box<Retries>>> {
    let Some(raw) = &raw.value else { return (!raw.given).then_some(None) };
    let on = reasons(&raw.on, findings);
    if let (Some(first), Some(most)) = (raw.backoff.value, raw.backoff_max.value)
        && first > most
    {
        let place = if raw.backoff.given { raw.backoff.place } else { raw.backoff_max.place };
        let made = findings.error(place, "`backoff` is longer than `backoff_max`");
        made.hint("the wait begins with the one and is doubled up to the other");
    }
    if raw.budget_percent.value == Some(0) && raw.budget_min.value == Some(0) {
        let made = findings.error(raw.budget_percent.place, "the budget allows no further try");
        made.hint("give budget_percent or budget_min more than 0, or leave out [upstreams.retries]");
    }
    try_timeout(raw, timeouts, findings);
    Some(Some(Box::new(Retries {
        max: u32::try_from(raw.max.value?).ok()?,
        on: on?,
        all_methods: raw.methods.value?,
        backoff: raw.backoff.value?,
        backoff_max: raw.backoff_max.value?,
        try_timeout: raw.try_timeout.value?,
        buffer_bytes: usize::try_from(raw.buffer_bytes.value?).ok()?,
        budget_percent: u32::try_from(raw.budget_percent.value?).ok()?,
        budget_min: u32::try_from(raw.budget_min.value?).ok()?,
        header: raw.header.value?,
    })))
}

fn reasons(raw: &Field<Vec<Item<Reason>>>, findings: &mut Findings) -> Option<RetryOn> {
    let items = raw.value.as_ref()?;
    if items.is_empty() {
        let made = findings.error(raw.place, "there is no reason to try again");
        made.hint(
            "list some of \"connect\", \"reset\", \"timeout\" and statuses, or leave out [upstreams.retries]",
        );
    }
    let mut on = RetryOn::default();
    let mut statuses = Vec::new();
    let mut seen: HashMap<String, Place> = HashMap::new();
    for item in items {
        let reason = item.value.as_ref()?;
        if let Some(other) = seen.insert(format!("{reason:?}"), item.place) {
            findings.error(item.place, "this reason is listed twice").other(other).hint("leave one out");
        }
        match reason {
            Reason::Connect => on.connect = true,
            Reason::Reset => on.reset = true,
            Reason::Timeout => on.timeout = true,
            Reason::Status(status) => statuses.push(*status),
        }
    }
    on.statuses = statuses.into();
    Some(on)
}

/// A bound that another one always comes before is a mistake.
fn try_timeout(raw: &Raw, timeouts: Option<&RawTimeouts>, findings: &mut Findings) {
    let (Some(Some(each)), Some(timeouts)) = (raw.try_timeout.value, timeouts) else { return };
    if let Some(Some(whole)) = timeouts.request.value
        && each >= whole
    {
        let made = findings.warn(raw.try_timeout.place, "no try is ever ended by this");
        made.other(timeouts.request.place)
            .hint("timeouts.request ends the whole request before: make this shorter");
    }
}

/// Checks the field that tells servers how much time is left. `None` when it is wrong.
pub(super) fn deadline_header(
    raw: &Field<Option<HeaderName>>,
    findings: &mut Findings,
) -> Option<Option<Box<str>>> {
    let Some(name) = raw.value.as_ref()? else { return Some(None) };
    let taken = [header::EXPECT, header::VIA, header::FORWARDED].contains(name)
        || name.as_str().starts_with("x-forwarded-");
    if !is_editable(name) || taken {
        let made = findings.error(raw.place, format!("`{name}` means something else"));
        made.hint("as \"X-Request-Timeout\"");
        return None;
    }
    Some(Some(name.as_str().into()))
}

/// A route's second tries. `None` when they are wrong.
pub(super) fn hedge(raw: &Field<RawHedge>) -> Option<Option<Hedge>> {
    let Some(raw) = &raw.value else { return (!raw.given).then_some(None) };
    let budget_percent = u32::try_from(raw.budget_percent.value?).ok()?;
    Some(Some(Hedge { after: raw.after.value?, budget_percent }))
}

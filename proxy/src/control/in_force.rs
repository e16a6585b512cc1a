//! What is in force, as JSON in the config's own words: every default filled in, credentials masked.

use serde_json::Value as Json;

use super::{
    config::{Config, Upstream},
    raw::{
        document::Document,
        routes::Route,
        section::Section,
        sections::{Root, Upstream as RawUpstream},
    },
};

/// Stands for a value that is not shown.
pub(super) const MASKED: &str = "***";

/// Header fields and query parameters whose values are credentials.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let whole = ["authorization", "proxy-authorization", "cookie", "set-cookie"];
    let parts = ["token", "secret", "password", "passwd", "api-key", "api_key", "apikey", "credential"];
    whole.contains(&name.as_str()) || parts.iter().any(|part| name.contains(part))
}

/// The whole, but for the comments.
pub(super) fn of(config: &Config) -> Json {
    with(config, route)
}

/// The same with credentials as they are: never shown.
pub(super) fn unmasked(config: &Config) -> Json {
    with(config, filled::<Route>)
}

fn with(config: &Config, route: fn(&str) -> Json) -> Json {
    let mut shown = settings(config);
    let routes = config.routes.iter().map(|it| route(&it.written)).collect();
    let upstreams = config.upstreams.iter().map(|it| upstream(it)).collect();
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("upstreams".to_owned(), Json::Array(upstreams));
        shown.insert("routes".to_owned(), Json::Array(routes));
    }
    shown
}

/// All but upstreams and routes.
fn settings(config: &Config) -> Json {
    let mut shown = filled::<Root>(&config.written);
    // What was included is shown in its place.
    shown.as_object_mut().and_then(|it| it.shift_remove("include"));
    if let Some(workers) = shown.pointer_mut("/runtime/workers") {
        *workers = config.runtime.workers.into();
    }
    for rule in shown.get_mut("rules").and_then(Json::as_array_mut).into_iter().flatten() {
        if let Some(conditions) = rule.get_mut("match") {
            mask_conditions(conditions);
        }
    }
    shown
}

/// One upstream. Weights are those in force, which the admin API may have changed.
pub(super) fn upstream(upstream: &Upstream) -> Json {
    let mut shown = filled::<RawUpstream>(&upstream.written);
    let endpoints = shown.pointer_mut("/endpoints").and_then(Json::as_array_mut).into_iter().flatten();
    for (shown, endpoint) in endpoints.zip(&upstream.endpoints) {
        if let Some(weight) = shown.get_mut("weight") {
            *weight = endpoint.weight.into();
        }
    }
    shown
}

/// One route, credentials masked.
pub(super) fn route(written: &str) -> Json {
    let mut route = filled::<Route>(written);
    let tables = [
        "/match/headers",
        "/match/query",
        "/request_headers/set",
        "/request_headers/add",
        "/response_headers/set",
        "/response_headers/add",
    ];
    for table in tables {
        if let Some(table) = route.pointer_mut(table).and_then(Json::as_object_mut) {
            table.iter_mut().filter(|(name, _)| is_secret(name)).for_each(|(_, value)| mask(value));
        }
    }
    route
}

/// With every default filled in.
fn filled<T: Section>(written: &str) -> Json {
    let written = serde_json::from_str(written).unwrap_or_default();
    T::in_force(Document::from_json(&written, 0).root())
}

/// Masks what a rule asks for of fields and parameters that are secret, however deep.
fn mask_conditions(conditions: &mut Json) {
    for key in ["headers", "query"] {
        if let Some(table) = conditions.get_mut(key).and_then(Json::as_object_mut) {
            table.iter_mut().filter(|(name, _)| is_secret(name)).for_each(|(_, value)| mask(value));
        }
    }
    for key in ["all", "any"] {
        conditions.get_mut(key).and_then(Json::as_array_mut).into_iter().flatten().for_each(mask_conditions);
    }
    if let Some(inner) = conditions.get_mut("not") {
        mask_conditions(inner);
    }
}

/// Keeps what a condition asks (`present`), hides what it asks for.
fn mask(value: &mut Json) {
    match value {
        Json::Object(entries) => entries.values_mut().filter(|it| it.is_string()).for_each(mask),
        Json::Array(items) => items.iter_mut().for_each(mask),
        other => *other = MASKED.into(),
    }
}

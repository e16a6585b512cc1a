//! What is in force, as JSON in the config's own words: every default filled in, credentials masked.

use serde_json::Value as Json;

use super::{
    config::Config,
    raw::{document::Node, section::Section, sections::Root},
};

/// Stands for a value that is not shown.
const MASKED: &str = "***";

/// Header fields and query parameters whose values are credentials.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let whole = ["authorization", "proxy-authorization", "cookie", "set-cookie"];
    let parts = ["token", "secret", "password", "passwd", "api-key", "api_key", "apikey", "credential"];
    whole.contains(&name.as_str()) || parts.iter().any(|part| name.contains(part))
}

/// The config that was read from `root`, which has been found good.
pub(super) fn of(root: Node<'_>, config: &Config) -> Json {
    let mut shown = Root::in_force(root);
    if let Some(workers) = shown.pointer_mut("/runtime/workers") {
        *workers = config.runtime.workers.into();
    }
    for rule in shown.get_mut("rules").and_then(Json::as_array_mut).into_iter().flatten() {
        if let Some(conditions) = rule.get_mut("match") {
            mask_conditions(conditions);
        }
    }
    for route in shown.get_mut("routes").and_then(Json::as_array_mut).into_iter().flatten() {
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
    }
    shown
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

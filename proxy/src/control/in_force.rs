//! What is in force, as JSON in the config's own words: every default filled in, credentials masked.

use serde_json::Value as Json;

use super::{
    config::Config,
    raw::{document::Node, section::Section, sections::Root},
};

/// Stands for a value that is not shown.
const MASKED: &str = "***";

/// Header fields and query parameters whose values are credentials.
fn is_secret(name: &str) -> bool {
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

/// Keeps what a condition asks (`present`), hides what it asks for.
fn mask(value: &mut Json) {
    match value {
        Json::Object(entries) => entries.values_mut().filter(|it| it.is_string()).for_each(mask),
        Json::Array(items) => items.iter_mut().for_each(mask),
        other => *other = MASKED.into(),
    }
}

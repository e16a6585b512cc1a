//! Hides secrets in what `/config` shows. The config may mark its own; this is the net below.

use serde_json::{Map, Value};

/// What stands in place of a secret.
const MASK: &str = "***";

/// Parts of a key (lower case, `-` as `_`) that make its value a secret.
const SECRET_WORDS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "private_key",
    "api_key",
    "authorization",
    "cookie",
];

/// Ends of a key that make its value the place of a secret, which may be shown.
const PLACES: [&str; 3] = ["_file", "_path", "_env"];

/// Replaces by `***` the values of keys that name a secret, of `name` and `value` pairs whose name does (header
/// fields), and the user's part of URLs.
pub(super) fn masked(value: Value) -> Value {
    match value {
        Value::Object(entries) => Value::Object(masked_object(entries)),
        Value::Array(values) => values.into_iter().map(masked).collect(),
        Value::String(text) => Value::String(without_user(text)),
        other => other,
    }
}

fn masked_object(entries: Map<String, Value>) -> Map<String, Value> {
    let secret_pair = entries.get("name").and_then(Value::as_str).is_some_and(names_secret);
    let mask = |(key, value): (String, Value)| {
        let secret = names_secret(&key) || (secret_pair && key == "value");
        let value = if secret { hidden(value) } else { masked(value) };
        (key, value)
    };
    entries.into_iter().map(mask).collect()
}

fn names_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    SECRET_WORDS.iter().any(|word| key.contains(word)) && !PLACES.iter().any(|end| key.ends_with(end))
}

/// Hides every leaf that can hold a secret; shape, switches and absence stay visible.
fn hidden(value: Value) -> Value {
    match value {
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, hidden(value))).collect(),
        Value::Array(values) => values.into_iter().map(hidden).collect(),
        Value::String(_) | Value::Number(_) => MASK.into(),
        other => other,
    }
}

/// `http://user:password@host/` with the part before `@` hidden.
fn without_user(text: String) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://{MASK}{}", &rest[at..]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_is_not() {
        let config = json!({
            "admin": { "address": "127.0.0.1:9901", "bearer_token": "abc", "token_file": "/run/token" },
            "etcd": { "endpoints": ["http://root:pw@a@10.0.0.1:2379/x@y", "http://10.0.0.2:2379/a@b"], "Password": 1234 },
            "routes": [{
                "name": "app",
                "request_headers": {
                    "set": { "X-API-Key": "k", "Authorization": ["Basic Zm9v"], "x-trace": "on" },
                    "add": [{ "name": "Cookie", "value": "id=1" }, { "name": "x-a", "value": "b" }],
                },
            }],
            "tls": { "private_key": { "inline": "PEM", "checked": true }, "client_secret": null },
        });
        let expected = json!({
            "admin": { "address": "127.0.0.1:9901", "bearer_token": "***", "token_file": "/run/token" },
            "etcd": { "endpoints": ["http://***@10.0.0.1:2379/x@y", "http://10.0.0.2:2379/a@b"], "Password": "***" },
            "routes": [{
                "name": "app",
                "request_headers": {
                    "set": { "X-API-Key": "***", "Authorization": ["***"], "x-trace": "on" },
                    "add": [{ "name": "Cookie", "value": "***" }, { "name": "x-a", "value": "b" }],
                },
            }],
            "tls": { "private_key": { "inline": "***", "checked": true }, "client_secret": null },
        });
        assert_eq!(masked(config), expected);
    }
}

//! The files of `configs/` are good, and `full.toml` has every key with its true default.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::LazyLock};

use serde_json::Value as Json;

use super::{good, json_schema};
use crate::control::{raw::document::Document, schema::schema};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../configs")
}

/// The names of all files there.
pub(super) fn names() -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder()) else { panic!("there is no folder configs/") };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|it| it.file_name().to_string_lossy().into_owned())
        .filter(|it| it.ends_with(".toml"))
        .collect();
    names.sort();
    names
}

/// The text of one. The secret that it names is read with it, so there is one.
pub(super) fn text(name: &str) -> String {
    let text =
        fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("configs/{name}: {error}"));
    text.replace("/etc/ringlane/sticky.secret", &secret_file())
}

/// A file with a secret.
pub(super) fn secret_file() -> String {
    // Written once: tests that run side by side must not find it empty.
    static PATH: LazyLock<String> = LazyLock::new(|| {
        let path = std::env::temp_dir().join(format!("ringlane-secret-{}", std::process::id()));
        fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap_or_else(|error| panic!("{error}"));
        path.display().to_string()
    });
    PATH.clone()
}

fn json(text: &str) -> Json {
    match toml::de::DeTable::parse(text) {
        Ok(table) => Document::from_toml(table.get_ref(), 0).root().to_json(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn all_are_good_and_warn_of_nothing() {
    let names = names();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let config = good(&text(&name));
        let warnings: Vec<&str> = config.warnings.iter().map(|it| it.message.as_str()).collect();
        // It shows every default, an access log that is off among them, and every key.
        let expected: &[&str] =
            if name == "full.toml" { &["`log` has no effect: the access log is off"] } else { &[] };
        assert_eq!(warnings, expected, "configs/{name}");
    }
}

#[test]
fn all_are_as_the_schema_says() {
    let schema = schema();
    for name in names() {
        assert_eq!(json_schema::check(&schema, &json(&text(&name))), Vec::<String>::new(), "configs/{name}");
        assert_eq!(
            json_schema::check(&schema, &good(&text(&name)).masked()),
            Vec::<String>::new(),
            "{name} in force"
        );
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let around = json(super::AROUND);
    for (pointer, key, value) in [
        ("", "colour", "1"),
        ("/listeners/0", "adress", "\"x\""),
        ("/listeners/0", "address", "\":8080\""),
        ("/listeners/0", "max_connections", "0"),
        ("/listeners/0", "timeouts", "{\"keep_alive\": \"1 minute\"}"),
        ("/listeners/0", "limits", "{\"request_head_bytes\": \"64k\"}"),
        ("/upstreams/0", "endpoints", "[{\"weight\": 1}]"),
        ("/routes/0", "respond", "{}"),
        ("/routes/0", "match", "{\"path\": \"/a\", \"path_prefix\": \"/b\"}"),
        ("/routes/0", "match", "{\"headers\": {\"a\": {}}}"),
    ] {
        let mut config = around.clone();
        let value: Json = serde_json::from_str(value).unwrap_or_default();
        if let Some(Json::Object(entries)) = config.pointer_mut(pointer) {
            entries.insert(key.to_owned(), value);
        }
        assert_ne!(json_schema::check(&schema(), &config), Vec::<String>::new(), "{pointer}/{key}");
    }
}

/// Every key of the schema, as `listeners[].name`, with its default where it has one.
fn keys(schema: &Json, at: &Json, path: &str, found: &mut BTreeMap<String, Option<Json>>) {
    if let Some(reference) = at["$ref"].as_str() {
        // A rule's conditions hold conditions, without an end.
        if path.ends_with(".all[]") || path.ends_with(".any[]") || path.ends_with(".not") {
            return;
        }
        let target = schema.pointer(reference.trim_start_matches('#'));
        return keys(schema, target.unwrap_or(&Json::Null), path, found);
    }
    for key in ["allOf", "anyOf"] {
        for part in at[key].as_array().into_iter().flatten() {
            keys(schema, part, path, found);
        }
    }
    if at["items"].is_object() {
        keys(schema, &at["items"], &format!("{path}[]"), found);
    }
    for (key, child) in at["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        found.insert(path.clone(), child.get("default").cloned());
        keys(schema, child, &path, found);
    }
    // Headers and query parameters: the names are the user's own, the tables below them are ours.
    if at["additionalProperties"].is_object() {
        keys(schema, &at["additionalProperties"], &format!("{path}.*"), found);
    }
}

/// Every value of a config by its path in the same form.
fn values(at: &Json, path: &str, free: bool, found: &mut BTreeMap<String, Vec<Json>>) {
    found.entry(path.to_owned()).or_default().push(at.clone());
    match at {
        Json::Array(items) => items.iter().for_each(|it| values(it, &format!("{path}[]"), false, found)),
        Json::Object(entries) => {
            for (key, value) in entries {
                let key = if free { "*" } else { key };
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                let of_names = ["match.headers", "match.query", "_headers.set", "_headers.add"];
                values(value, &path, of_names.iter().any(|it| path.ends_with(it)), found);
            }
        }
        _ => {}
    }
}

#[test]
fn full_has_every_key_with_its_default() {
    let schema = schema();
    let (mut wanted, mut written) = (BTreeMap::new(), BTreeMap::new());
    keys(&schema, &schema, "", &mut wanted);
    values(&json(&text("full.toml")), "", false, &mut written);
    assert!(wanted.len() > 80, "the walk finds too little: {wanted:#?}");
    for (key, default) in wanted {
        let Some(values) = written.get(&key) else { panic!("configs/full.toml lacks {key}") };
        let is_container = default.as_ref().is_none_or(|it| it.is_array() || it.is_object());
        if let (Some(default), false) = (&default, is_container) {
            assert!(values.contains(default), "configs/full.toml: {key} should be {default}, is {values:?}");
        }
    }
}

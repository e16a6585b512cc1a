//! Tests of the way from text to table.

mod desired;
mod errors;
mod errors_of_balance;
mod errors_of_health;
mod errors_of_limits;
mod errors_of_overload;
mod errors_of_retries;
mod errors_of_routes;
mod errors_of_rules;
mod etcd;
mod files;
mod following;
mod good;
mod included;
mod json_schema;
mod never_panics;
mod provenance;
mod resolving;
mod rolling_back;
mod upon;

use super::config::{Config, parse_str};

/// What a config of one line stands in: everything else that it needs is there.
const AROUND: &str = "\
[[listeners]]
name = \"web\"
address = \"127.0.0.1:8080\"

[[upstreams]]
name = \"app\"
endpoints = [\"127.0.0.1:9000\"]

[[routes]]
name = \"app\"
upstream = \"app\"
";

/// The config, which must be good.
#[track_caller]
fn good(text: &str) -> Config {
    match parse_str("test.toml", text) {
        Ok(config) => config,
        Err(errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            panic!("{}", errors.join("\n"))
        }
    }
}

/// Every error as `LINE:COLUMN key: message | hint`.
fn errors_of(text: &str) -> Vec<String> {
    let errors = match parse_str("test.toml", text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors,
    };
    let line = |it: &super::error::ConfigError| {
        let hint = it.hint.as_ref().map_or(String::new(), |hint| format!(" | {hint}"));
        format!("{}:{} {}: {}{hint}", it.line, it.column, it.key, it.message)
    };
    errors.iter().map(line).collect()
}

/// `text` has these errors and no others.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found = errors_of(text);
    assert!(
        found == expected,
        "config:\n{text}\nfound:\n{}\nexpected:\n{}\n",
        found.join("\n"),
        expected.join("\n")
    );
}

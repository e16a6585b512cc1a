//! Reads the sources and holds the rules that a compiler does not: who may use whom, how long a file may be, what must
//! not be found where. ARCHITECTURE.md gives the reasons.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't read the sources has failed")]
#![allow(unused_crate_dependencies, reason = "they belong to the library")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const LINES_MAX: usize = 400;

/// Each folder (or file) with the crate's modules that it may name.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("limits.rs", &[]),
    ("limit", &["limits"]),
    ("http", &["limits"]),
    ("proxy_protocol", &["limits"]),
    ("upstream", &["limits", "proxy_protocol"]),
    ("overload", &[]),
    ("route", &["http", "upstream", "overload", "limit", "limits", "rule::Rules", "rule::Network"]),
    ("rule", &["http", "route", "limits"]),
    ("error.rs", &["http", "observe"]),
    ("observe", &["limits", "error", "upstream"]),
    (
        "worker",
        &[
            "http",
            "proxy_protocol",
            "route",
            "rule",
            "upstream",
            "overload",
            "error",
            "limit",
            "limits",
            "observe",
            "control::publish",
            "control::config::Driver",
            "worker",
        ],
    ),
    (
        "control",
        &[
            "http",
            "proxy_protocol",
            "route",
            "rule",
            "upstream",
            "overload",
            "observe",
            "limit",
            "limits",
            "control",
            "error",
            "VERSION",
        ],
    ),
    ("cli", &["control", "doctor", "server", "http", "route", "rule", "cli", "VERSION", "upstream"]),
];

/// Words that must stay in one place: what, where it may stand, why.
const ONLY_IN: [(&str, &[&str], &str); 8] = [
    ("monoio::", &["worker", "http/decode.rs"], "the runtime is the worker's business"),
    ("tokio::", &["control", "server", "observe/board"], "no tokio in a worker"),
    (
        "StatusCode::BAD_",
        &["worker/answer.rs", "control/admin/problem.rs"],
        "status codes of our own are decided in one file",
    ),
    ("etcd_client", &["control/etcd"], "what knows etcd can be replaced in one folder"),
    ("monoio_http", &["http/decode.rs"], "the decoder can be replaced in one file"),
    ("SystemTime::now", &["worker", "server", "observe", "control/admin"], "pure folders have no clock"),
    ("Instant::now", &["worker", "server", "observe", "control"], "pure folders have no clock"),
    ("ArcSwap", &["control/publish.rs", "lib.rs"], "the planes meet at one place"),
];

const LEFTOVERS: [&str; 5] = ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "XXX"];

struct Source {
    path: String,
    text: String,
}

fn sources(root: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    assert!(!found.is_empty(), "no sources below {}", root.display());
    found
}

/// The code without its comments and without its unit tests, which stand last in a file.
fn code(source: &Source) -> String {
    let body = source.text.split("#[cfg(test)]").next().unwrap_or_default();
    body.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test(path: &str) -> bool {
    path.contains("/tests") || path.ends_with("tests.rs")
}

fn assert_none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn layers_hold() {
    let mut faults = Vec::new();
    for source in sources("src").iter().filter(|source| !is_test(&source.path)) {
        let layer = MAY_USE.iter().find(|(layer, _)| {
            source.path == *layer
                || source.path.starts_with(&format!("{layer}/"))
                || source.path == format!("{layer}.rs")
        });
        let Some((layer, allowed)) = layer else { continue };
        let own = layer.trim_end_matches(".rs");
        for used in uses(&code(source)) {
            let fine = used.starts_with(own) || allowed.iter().any(|it| used.starts_with(it));
            if !fine {
                faults.push(format!("{}: uses crate::{used}, which {layer} may not", source.path));
            }
        }
    }
    assert_none(faults);
}

/// Every `crate::a::b`, and every `a::b` of a `use crate::{a::b, c}`.
fn uses(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut item = String::new();
            for character in list.chars() {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                if character == ',' && depth == 1 {
                    found.push(item.trim().to_owned());
                    item.clear();
                } else {
                    item.push(character);
                }
            }
            found.push(item.trim().to_owned());
        } else {
            found.push(
                rest.chars().take_while(|it| it.is_alphanumeric() || matches!(it, '_' | ':')).collect(),
            );
        }
    }
    found.retain(|it: &String| !it.is_empty());
    found
}

#[test]
fn words_stay_in_their_places() {
    let mut faults = Vec::new();
    for source in sources("src").iter().filter(|source| !is_test(&source.path)) {
        let code = code(source);
        for (word, places, why) in ONLY_IN {
            let allowed = places.iter().any(|place| source.path.starts_with(place));
            if !allowed && code.contains(word) {
                faults.push(format!("{}: `{word}` does not belong here: {why}", source.path));
            }
        }
    }
    assert_none(faults);
}

#[test]
fn files_are_short_documented_and_finished() {
    let mut faults = Vec::new();
    for root in ["src", "tests", "../bench-harness/src", "../bench-harness/tests", "../bench-harness/benches"]
    {
        for source in sources(root).iter().filter(|source| source.path != "tidy.rs") {
            let lines = source.text.lines().count();
            if lines > LINES_MAX {
                faults.push(format!("{root}/{}: {lines} lines, at most {LINES_MAX}", source.path));
            }
            if !source.text.starts_with("//!") {
                faults.push(format!("{root}/{}: begins without saying what it is (`//!`)", source.path));
            }
            for leftover in LEFTOVERS.iter().filter(|it| source.text.contains(**it)) {
                faults.push(format!("{root}/{}: `{leftover}` is left over", source.path));
            }
        }
    }
    assert_none(faults);
}

#[test]
fn tests_neither_sleep_nor_hide() {
    let mut faults = Vec::new();
    for root in ["tests", "../bench-harness/tests"] {
        for source in sources(root).iter().filter(|source| source.path != "tidy.rs") {
            for word in ["#[ignore", "thread::sleep", "time::sleep"] {
                if source.text.contains(word) {
                    faults.push(format!("{root}/{}: `{word}`: wait for the event instead", source.path));
                }
            }
        }
    }
    assert_none(faults);
}

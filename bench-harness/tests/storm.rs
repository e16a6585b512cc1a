//! Storms of changes end to end, short, at a real proxy: counts, not times.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Ringlane's binary, which a build of the workspace puts beside this harness's. None: it is not built, and the test
/// is skipped, which CI does not allow.
fn proxy() -> Option<PathBuf> {
    let proxy = Path::new(env!("CARGO_BIN_EXE_ringlane-bench")).with_file_name("ringlane");
    if proxy.is_file() {
        return Some(proxy);
    }
    assert!(env::var_os("CI").is_none(), "{} is not built", proxy.display());
    eprintln!("SKIPPED: {} is not built: cargo build -p ringlane", proxy.display());
    None
}

/// Runs it with a little load and gives the exit code, what it printed, and its results.
fn storm(name: &str, proxy: &Path, options: &str) -> (Option<i32>, String, Value) {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&out);
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/quickstart.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_ringlane-bench"))
        .args(["storm", "--allow-debug", "--routes", "200", "-d", "2s", "-c", "4", "--warmup", "100ms"])
        .args(options.split_whitespace())
        .arg("--proxy")
        .arg(proxy)
        .arg("--config")
        .arg(config)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    let [text, errors] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let text = text + &errors;
    let read = |name: &str| fs::read_to_string(out.join("latest").join(name));
    let json = read("results.json").unwrap_or_else(|error| panic!("{error}: {text}"));
    let markdown = read("report.md").unwrap();
    assert!(markdown.starts_with("# Storms of changes"), "{markdown}");
    (output.status.code(), text, serde_json::from_str(&json).unwrap())
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// Nothing of a run with changes was refused, lost, or an error of the load.
fn is_clean(window: &Value) {
    for what in
        ["/changes/refused", "/changes/lost", "/changes/probe_failures", "/load/errors", "/load/closed"]
    {
        assert_eq!(number(window, what), 0, "{what} in {window}");
    }
}

#[test]
fn an_interval_makes_few_rebuilds_of_many_changes_and_loses_none() {
    let Some(proxy) = proxy() else { return };
    let (code, text, json) = storm("storm-table", &proxy, "--every 50ms --intervals 0s,1s");
    assert_eq!(code, Some(0), "{text}");
    let cells = json["results"]["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 2, "{json}");
    for cell in cells {
        is_clean(&cell["storm"]);
        assert_eq!(number(cell, "/storm/changes/sent"), 40);
        assert_eq!(number(cell, "/storm/changes/went_back"), 0);
        // Without changes nothing is built.
        assert_eq!([number(cell, "/quiet/0/builds"), number(cell, "/quiet/1/builds")], [0, 0]);
        assert!(number(cell, "/storm/load/requests_all") > 0 && number(cell, "/storm/resident_after") > 0);
    }
    let builds: Vec<_> = cells.iter().map(|cell| number(cell, "/storm/builds")).collect();
    // A proxy that is late takes in several at once; how many rebuilds an interval allows is judged by the exit code.
    assert!((1..=40).contains(&builds[0]) && (1..=6).contains(&builds[1]), "{builds:?}");
    for source in ["20/s", "600", "31"] {
        assert!(text.contains(source), "{source} is missing in\n{text}");
    }
}

#[test]
fn all_sources_change_routes_at_once_and_nothing_is_lost() {
    let Some(proxy) = proxy() else { return };
    let (code, text, json) = storm("storm-sources", &proxy, "--sources");
    assert_eq!(code, Some(0), "{text}");
    let results = &json["results"];
    let storms = results["storms"].as_array().unwrap();
    storms.iter().for_each(is_clean);
    // So short a storm is one; a long one has parts with quiet times between them.
    assert_eq!((storms.len(), results["quiet"].as_array().unwrap().len()), (1, 2));
    // Where etcd is missing, two sources have all changes; CI has it.
    assert!(results["etcd"] == true || env::var_os("CI").is_none(), "{text}");
    let sent: u64 = storms.iter().map(|it| number(it, "/changes/sent")).sum();
    assert!((99..=102).contains(&sent), "{text}");
    assert_eq!(number(results, "/acts/reloads"), 10);
    assert_eq!((number(results, "/acts/roll_backs"), number(results, "/acts/roll_backs_failed")), (5, 0));
}

#[test]
fn single_changes_are_timed_and_new_names_are_counted() {
    let Some(proxy) = proxy() else { return };
    let (_, text, json) = storm("storm-effect", &proxy, "--effect --changes 60");
    let delays = json["results"]["delays"].as_array().unwrap();
    assert_eq!(delays.len(), 2, "{text}");
    for delay in delays {
        is_clean(&delay["window"]);
        assert_eq!(number(delay, "/window/changes/sent"), 20);
        assert!(number(delay, "/window/changes/delay_us/max") > 0);
    }
    assert_eq!(number(&json, "/results/new_names/refused"), 0, "{text}");
    assert_eq!(number(&json, "/results/new_names/changes"), 60);
}

#[test]
fn what_is_missing_is_named() {
    let run = |options: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_ringlane-bench"))
            .args(["storm", "--allow-debug", "--out", env!("CARGO_TARGET_TMPDIR")])
            .args(options.split_whitespace())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, error) = run("--proxy /nonexistent/ringlane --config ../configs/quickstart.toml");
    assert!(
        code == Some(1) && error.contains("/nonexistent/ringlane") && error.contains("cargo build"),
        "{error}"
    );
    let (code, error) = run("--routes 41");
    assert!(code == Some(2) && error.contains("--routes 41"), "{error}");
}

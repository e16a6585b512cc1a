//! Faults end to end, short, at a real proxy: what must not be is not, and what was put is seen. Counts, not times.
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

fn bench(words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringlane-bench")).args(words).output().unwrap();
    let [text, errors] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    (output.status.code(), text + &errors)
}

/// Runs a command with its results in a place of their own; gives the exit code, what it printed, its results and its report.
fn run(name: &str, proxy: &Path, words: &str) -> (Option<i32>, String, Value, String) {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&out);
    let (out_text, proxy) = (out.display().to_string(), proxy.display().to_string());
    let places = ["--allow-debug", "--proxy", &proxy, "--out", &out_text];
    let words: Vec<&str> = words.split_whitespace().chain(places).collect();
    let (code, text) = bench(&words);
    let read = |name: &str| fs::read_to_string(out.join("latest").join(name));
    let json = read("results.json").unwrap_or_else(|error| panic!("{error}: {text}"));
    (code, text, serde_json::from_str(&json).unwrap(), read("report.md").unwrap())
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

#[test]
fn faults_are_put_seen_and_taken_away() {
    let Some(proxy) = proxy() else { return };
    let page = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults-page.md");
    fs::write(&page, "# Page\n\n<!-- notes: faults -->\nold\n<!-- /notes -->\nend\n").unwrap();
    let words =
        format!("faults --quick --rate 60 --only killed,garbage --skip-haproxy --page {}", page.display());
    let (code, text, json, markdown) = run("faults", &proxy, &words);
    assert_eq!(code, Some(0), "{text}");
    let faults = json["results"]["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 2, "{text}");
    for fault in faults {
        assert_eq!(number(fault, "/wrong"), 0, "{fault}");
        // An open loop asks at its rate, whatever the proxy does.
        for part in 0..3 {
            for upstream in ["hurt", "calm"] {
                assert!(
                    number(fault, &format!("/{upstream}/{part}/requests")) > 20,
                    "{upstream} {part} {fault}"
                );
            }
        }
        assert_eq!(number(fault, "/hurt/0/errors") + number(fault, "/calm/0/errors"), 0, "{fault}");
        assert!(number(fault, "/resident/before") > 0 && number(fault, "/descriptors/peak") > 0);
        // The endpoint went, and the others had more to do; or it stayed and was tried.
        assert!(fault["tries"].as_f64().unwrap() > 0.3, "{fault}");
    }
    assert!(text.contains("Ringlane with") || text.contains("Without"), "{text}");
    assert!(markdown.starts_with("# Faults") && markdown.contains("garbage for a head"), "{markdown}");
    let page = fs::read_to_string(page).unwrap();
    assert!(
        page.contains("endpoint killed") && !page.contains("old") && page.ends_with("-->\nend\n"),
        "{page}"
    );
}

#[test]
fn chaos_prints_its_schedule_and_judges_what_must_not_be() {
    let Some(proxy) = proxy() else { return };
    let schedule = |seed: &str| bench(&["chaos", "--schedule", "--quick", "--seed", seed]);
    assert_eq!(schedule("5"), schedule("5"));
    assert_ne!(schedule("5"), schedule("6"));
    let (_, text, json, markdown) = run("chaos", &proxy, "chaos --duration 8s --rate 40 --seed 5 --max 2GB");
    let (_, printed) = schedule("5");
    assert!(printed.starts_with("seed 5, 15s: "), "{printed}");
    assert!(markdown.starts_with("# Chaos"), "{markdown}");
    let verdicts = json["results"]["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len(), 9, "{text}");
    for verdict in verdicts {
        // How much so short a run grows is chance.
        let judged = verdict["what"] != "memory's growth";
        assert!(!judged || verdict["good"] == true, "{verdict}\n{text}");
    }
    assert!(number(&json, "/results/requests") > 100, "{text}");
}

#[test]
fn what_is_missing_is_named() {
    let out = env!("CARGO_TARGET_TMPDIR");
    for command in ["faults", "chaos"] {
        let words = [command, "--allow-debug", "--proxy", "/nonexistent/ringlane", "--out", out];
        let (code, text) = bench(&words);
        assert!(
            code == Some(1) && text.contains("/nonexistent/ringlane") && text.contains("cargo build"),
            "{text}"
        );
    }
    let (code, text) = bench(&["chaos", "--duration", "1s"]);
    assert!(code == Some(2) && text.contains("at least 5s"), "{text}");
    let (code, text) = bench(&["faults", "--only", "earthquake"]);
    assert!(code == Some(2) && text.contains("black-hole"), "{text}");
}

//! Debug builds are refused, and where one is allowed, everything that is written says so.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod server;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use ringlane_bench::release::{MARK, mark};
use server::Server;

fn bench(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringlane-bench")).args(words).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap()
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("debug-build-{name}"))
}

/// A release build of the tests has nothing to refuse; what is left to look at there is that it does not.
fn says_so(what: &str) -> bool {
    what.contains(MARK) == mark().is_some()
}

#[test]
fn every_command_that_measures_refuses_a_debug_build_before_it_does_anything() {
    // Nobody listens there, so that a release build fails in another way, at once.
    let nobody = "http://127.0.0.1:1/";
    let out = scratch("refused").display().to_string();
    for words in [
        &["load", "--url", nobody, "-d", "10ms", "--warmup", "0s"][..],
        &["loadtest", "--target", nobody, "--out", &out],
        &["memory", "--proxy", "/nonexistent/ringlane", "--out", &out],
    ] {
        let output = bench(words);
        let text = text(&output);
        let refused = output.status.code() == Some(2) && text.contains("--allow-debug");
        assert_eq!(refused, mark().is_some(), "{words:?}: {text}");
        assert!(!refused || text.lines().count() == 1, "{text}");
    }
    assert_eq!(mark().is_some(), !Path::new(&out).exists());
}

#[test]
fn servers_are_no_measurement_and_start_from_any_build() {
    let echo = Server::echo();
    let floor = Server::floor(&echo);
    assert_ne!(echo.pid(), floor.pid());
}

#[test]
fn all_that_a_run_writes_is_marked() {
    let echo = Server::echo();
    let files =
        ["run.json", "run.hgrm", "run.hlog", "run.csv"].map(|name| scratch(name).display().to_string());
    let [json, hgrm, hlog, csv] = &files;
    let url = format!("http://{}/bytes/13", echo.address);
    let options = ["--allow-debug", "-c", "1", "-d", "50ms", "--warmup", "0s"];
    let outputs = ["--json", json, "--hgrm", hgrm, "--hlog", hlog, "--csv", csv];
    let output = bench(&[&["load", "--url", &url][..], &options, &outputs].concat());
    assert!(output.status.success(), "{}", text(&output));
    assert!(says_so(&String::from_utf8_lossy(&output.stdout)), "{}", text(&output));
    for file in &files {
        let written = fs::read_to_string(file).unwrap();
        assert!(says_so(&written), "{file}: {written}");
    }
}

#[test]
fn a_load_test_says_it_in_every_report_and_in_its_record() {
    let out = scratch("loadtest").display().to_string();
    let options = "loadtest --allow-debug --skip-ringlane -c 1 -d 50ms --warmup 0s --rounds 1 --out";
    let words: Vec<&str> = options.split(' ').chain([out.as_str()]).collect();
    let output = bench(&words);
    assert!(output.status.success(), "{}", text(&output));
    assert!(says_so(&String::from_utf8_lossy(&output.stdout)), "{}", text(&output));
    for file in ["report.md", "report.html", "results.json"] {
        let written = fs::read_to_string(Path::new(&out).join("latest").join(file)).unwrap();
        assert!(says_so(&written), "{file}");
    }
}

#[test]
fn a_record_of_a_debug_build_is_compared_with_nothing() {
    let record = |name: &str, debug: bool| {
        let path = scratch(name);
        let text = format!(
            r#"{{"format":"ringlane-bench","version":1,"environment":{{"debug_build":{debug}}},
                "figures":[{{"name":"a","kind":"memory","value":1}}]}}"#
        );
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (release, debug) = (record("release.json", false), record("debug.json", true));
    assert_eq!(bench(&["compare", &release, &release]).status.code(), Some(0));
    for pair in [[&debug, &release], [&release, &debug]] {
        let words = ["compare", pair[0], pair[1]];
        let output = bench(&words);
        let refusal = text(&output);
        assert_eq!(output.status.code(), Some(2), "{refusal}");
        assert!(refusal.contains("debug.json is of a debug build"), "{refusal}");
        let allowed = bench(&[&words[..], &["--allow-debug"]].concat());
        assert_eq!(allowed.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&allowed.stdout).contains(MARK), "{}", text(&allowed));
    }
}

//! The memory check end to end, short, on the origin: it drives all kinds of clients at it, and a bound is a bound.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod server;

use std::process::{Command, Output};

use server::Server;

fn memory(server: &Server, pid: u32, options: &[&str]) -> Output {
    let (pid, url) = (pid.to_string(), format!("http://{}/", server.address));
    Command::new(env!("CARGO_BIN_EXE_ringlane-bench"))
        .args(["memory", "--allow-debug", "--clients", "2", "--pid", &pid, "--url", &url])
        .args(options)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn all_kinds_of_clients_visit_and_the_table_says_so() {
    let echo = Server::echo();
    let output = memory(&echo, echo.pid(), &["--max", "2GB", "--duration", "4s"]);
    let text = text(&output.stdout);
    assert!(text.contains("bound     peak ") && text.contains("of 2000.0 MB: met"), "{text}");
    // How much so short a run grows is chance; that the exit code says it is not.
    assert_eq!(output.status.success(), !text.contains("MISSED"), "{text}");
    let row = text.lines().rfind(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit())).unwrap();
    let counts: Vec<&str> = row.split_whitespace().skip(5).collect();
    assert_eq!(counts.len(), 6, "{text}");
    // No visit failed.
    assert!(counts.iter().all(|count| count.parse::<u64>().is_ok()), "{text}");
    let stats = echo.stats();
    assert!(stats.cut_requests > 0 && stats.bad_requests == 0, "{stats:?}");
}

#[test]
fn a_bound_that_is_passed_is_a_failure() {
    let echo = Server::echo();
    let output = memory(&echo, echo.pid(), &["--max", "100KB", "--duration", "500ms"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("of 0.1 MB: MISSED"), "{}", text(&output.stdout));
}

#[test]
fn what_is_missing_is_named() {
    let echo = Server::echo();
    let output = memory(&echo, u32::MAX, &[]);
    let error = text(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("has process 4294967295 ended?"), "{error}");
    let output = memory(&echo, echo.pid(), &["--max", "0MB"]);
    let error = text(&output.stderr);
    assert!(output.status.code() == Some(2) && error.contains("not a size above 0"), "{error}");
    let command =
        ["memory", "--allow-debug", "--proxy", "/nonexistent/ringlane", "--out", env!("CARGO_TARGET_TMPDIR")];
    let output = Command::new(env!("CARGO_BIN_EXE_ringlane-bench")).args(command).output().unwrap();
    let error = text(&output.stderr);
    assert!(error.contains("/nonexistent/ringlane") && error.contains("cargo build"), "{error}");
}

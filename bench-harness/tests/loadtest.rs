//! The load test end to end: it writes its report and leaves no process behind, however it ends.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(10);

fn start(name: &str, options: &str) -> (Child, PathBuf) {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&out);
    let child = Command::new(env!("CARGO_BIN_EXE_ringlane-bench"))
        .args(["loadtest", "--allow-debug"])
        .args(options.split_whitespace())
        .arg("--out")
        .arg(&out)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary under test starts");
    (child, out)
}

/// The process ids in lines such as `  floor  127.0.0.1:1234  pid 99`, up to the line that follows them.
fn announced_pids(out: &mut impl BufRead) -> Vec<u32> {
    let lines = out.lines().map(|line| line.unwrap());
    lines
        .skip_while(|line| line != "measuring")
        .skip(1)
        .take_while(|line| !line.starts_with("files in"))
        .map(|line| line.rsplit(' ').next().unwrap().parse().expect("a process id"))
        .collect()
}

fn is_running(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z")))
}

#[test]
fn it_measures_reports_and_cleans_up() {
    let (mut child, out) =
        start("report", "--skip-ringlane --floor -d 100ms --warmup 20ms --rounds 2 -c 1,2");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let pids = announced_pids(&mut output);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert_eq!(pids.len(), 2);
    assert!(!pids.iter().any(|&pid| is_running(pid)), "{pids:?}");
    assert!(rest.contains("requests/s") && rest.contains("floor"), "{rest}");

    let dir = out.join("latest");
    assert!(fs::symlink_metadata(&dir).unwrap().is_symlink());
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&read("results.json")).unwrap();
    assert_eq!((json["format"].as_str(), json["version"].as_u64()), (Some("ringlane-bench"), Some(1)));
    let results = json["results"].as_array().unwrap();
    assert_eq!(results.len(), 4, "two subjects at two connection counts");
    for one in results {
        assert_eq!(one["rounds"].as_array().unwrap().len(), 2);
        assert_eq!(one["disagreements"].as_array().unwrap().len(), 0, "{one}");
        assert!(one["rounds"][0]["requests"].as_u64().unwrap() > 0);
        assert!(one["memory_idle"].as_u64().unwrap() > 0 && one["memory_after"].as_u64().unwrap() > 0);
        assert!(!one["seconds"].as_array().unwrap().is_empty());
    }
    assert!(read("13b-1-direct.hgrm").contains("#[Max"));
    assert!(rest.contains(&format!("{}/report.html", dir.canonicalize().unwrap().display())), "{rest}");
    let (page, markdown) = (read("report.html"), read("report.md"));
    for part in ["13 B, 2 connections", "floor --listen 127.0.0.1:0 --upstream", "closed loop; 2 rounds"] {
        assert!(page.contains(part) && markdown.contains(part), "{part}");
    }
    // Five charts for each scenario; nothing that runs, nothing from elsewhere.
    assert_eq!(page.matches("<svg ").count(), 10);
    for word in ["<script", "src=", "url(", "<link", "NaN"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn killed_in_the_middle_it_leaves_nothing_behind() {
    for signal in ["-INT", "-KILL"] {
        let (mut child, _) = start("killed", "--skip-ringlane --floor -d 60s -c 1");
        let pids = announced_pids(&mut BufReader::new(child.stdout.take().unwrap()));
        assert_eq!(pids.len(), 2);
        let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(killed.success() && !child.wait().unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        while pids.iter().any(|&pid| is_running(pid)) {
            assert!(Instant::now() < deadline, "{pids:?} survived kill {signal}");
            thread::yield_now();
        }
    }
}

#[test]
fn what_is_missing_is_named_with_the_fix() {
    let out = env!("CARGO_TARGET_TMPDIR");
    let run = |options: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_ringlane-bench"))
            .args(["loadtest", "--allow-debug", "--out", out])
            .args(options.split_whitespace())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let fault = run("--proxy /nonexistent/ringlane");
    assert!(fault.contains("/nonexistent/ringlane") && fault.contains("cargo build"), "{fault}");
    let fault = run("--proxy /bin/true --config /nonexistent.toml");
    assert!(fault.contains("/nonexistent.toml") && fault.contains("--config"), "{fault}");
    let fault = run("--target http://127.0.0.1:1/");
    assert!(fault.contains("is the server running?"), "{fault}");
}

//! The load generator over real sockets: pipelining, mixes, what is wrong, what it writes down.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod server;

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Output},
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{
        Deserializer,
        interval_log::{IntervalLogIterator, LogEntry},
    },
};
use ringlane_bench::load::tally::Kind;
use server::{Server, assert_clean, drive};

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

fn command(url: &str, options: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringlane-bench"))
        .args(["load", "--allow-debug", "--url", url])
        .args(options.split_whitespace())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn pipelined_requests_are_counted_and_judged_one_by_one() {
    for (path, options) in [
        ("/bytes/13", "-c 3 --pipeline 16"),
        ("/bytes/13", "-c 1 --pipeline 2 --method HEAD"),
        ("/bytes/100000", "-c 2 --pipeline 4"),
        ("/chunked/30000", "-c 2 --pipeline 5"),
        ("/upload", "-c 2 --pipeline 8 --method POST --body-bytes 1000"),
    ] {
        let echo = Server::echo();
        let outcome = drive(&echo, path, options);
        assert_clean(&outcome);
        let stats = echo.stats();
        assert_eq!(stats.requests, outcome.tally.requests_all, "{path} {options}");
        assert_eq!(stats.connections, outcome.tally.connections + 2, "{path} {options}");
    }
}

#[test]
fn a_mix_is_asked_for_by_weight_and_each_answer_judged_by_its_own_line() {
    let mix = file(
        "mix.txt",
        "# a comment\n\n30 GET /bytes/13\n20 GET /chunked/5000 # another\n10 POST /upload body=5000\n\
         10 GET /status/503 status=503\n10 HEAD /bytes/7\n",
    );
    for options in ["-c 4", "-c 3 --pipeline 4", "-c 4 --rate 2000"] {
        let echo = Server::echo();
        let outcome = drive(&echo, "", &format!("--targets {} {options}", mix.display()));
        assert_clean(&outcome);
        let tally = outcome.tally;
        assert_eq!(echo.stats().requests, tally.requests_all, "{options}");
        assert_eq!(tally.by_request.iter().sum::<u64>(), tally.requests_all, "{options}");
        // Each connection goes round its eight turns: less than one round of each is open.
        for (n, weight) in tally.by_request.iter().zip([3, 2, 1, 1, 1]) {
            let share = tally.requests_all * weight / 8;
            assert!(n.abs_diff(share) <= 4 * weight, "{:?} {options}", tally.by_request);
        }
    }
}

#[test]
fn a_list_of_targets_is_refused_with_file_and_line() {
    let run = |list: &str| {
        let path = file("bad.txt", list);
        let output = command("http://127.0.0.1:1", &format!("--targets {}", path.display()));
        assert_eq!(output.status.code(), Some(2));
        text(&output.stderr)
    };
    assert!(run("1 GET /\n\n0 GET /x\n").contains("bad.txt:3: \"0\" is not a weight"));
    assert!(run("# nothing\n").contains("no targets"));
    assert!(run("99991 GET /a\n1 GET /b\n").contains("weights"));
}

#[test]
fn a_wrong_answer_costs_no_connection() {
    let echo = Server::echo();
    for (path, options, kind) in [
        ("/status/503", "-c 2", Kind::Status),
        ("/bytes/13", "-c 2 --expect-bytes 12", Kind::Length),
        ("/chunked/13", "-c 2 --pipeline 3 --expect-bytes 14", Kind::Length),
    ] {
        let tally = drive(&echo, path, options).tally;
        assert!(tally.errors[kind as usize] > 10, "{path}: {:?}", tally.examples);
        assert_eq!(tally.errors_total(), tally.errors[kind as usize], "{:?}", tally.examples);
        assert_eq!((tally.requests_all, tally.connections), (0, 2), "{path}");
    }
}

/// What a server does after it has read a request.
#[derive(Clone, Copy)]
enum Then {
    Keep,
    Close,
    Reset,
}

/// Answers whatever is asked with the same bytes; lives as long as the test's process.
fn scripted(reply: &'static str, then: Then) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer(stream.unwrap(), reply, then));
        }
    });
    format!("http://{address}/bytes/13")
}

fn answer(mut stream: TcpStream, reply: &str, then: Then) {
    let mut head = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|n| n == 1) {
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        head.clear();
        let _ = stream.write_all(reply.as_bytes());
        match then {
            Then::Keep => {}
            Then::Close => drop(stream.shutdown(Shutdown::Both)),
            Then::Reset => {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
        }
    }
}

#[test]
fn every_way_to_fail_has_its_name() {
    let good = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";
    for (reply, then, kind) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, Worl_!", Then::Keep, "body"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHello, World", Then::Keep, "length"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Then::Keep, "status"),
        ("HTTP/1.1 200 OK\nContent-Length: 13\r\n\r\nHello, World!", Then::Close, "malformed"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello", Then::Close, "cut"),
        ("", Then::Close, "closed"),
        ("", Then::Reset, "reset"),
        ("", Then::Keep, "timeout"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHello, World!", Then::Keep, "surplus"),
    ] {
        let url = scripted(reply, then);
        // Only where it is to be seen may a timeout be short: this machine may have other things to do.
        let timeout = if kind == "timeout" { "100ms" } else { "10s" };
        let bytes = if kind == "surplus" { 12 } else { 13 };
        let options = format!("-c 1 -d 300ms --warmup 0s --timeout {timeout} --expect-bytes {bytes}");
        let output = command(&url, &options);
        let report = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{kind}: {report}");
        let errors = report.lines().find(|line| line.starts_with("errors")).unwrap();
        assert!(errors.contains(&format!("{kind})")) && !errors.contains(", "), "{kind}: {report}");
        assert!(report.contains(&format!("\n  {kind}: ")), "{kind}: {report}");
    }
    let output = command(&scripted(good, Then::Keep), "-c 1 -d 100ms --warmup 0s");
    assert!(output.status.success(), "{}", text(&output.stdout));
}

#[test]
fn what_is_written_down_adds_up() {
    let echo = Server::echo();
    let paths = ["run.json", "run.hgrm", "run.hlog", "run.csv"].map(|name| file(name, "old"));
    let [json, hgrm, hlog, csv] = paths.each_ref().map(|path| path.display().to_string());
    let output = command(
        &format!("http://{}/bytes/13", echo.address),
        &format!(
            "--concurrent 4 -d 2200ms --warmup 100ms --cores 0,0 --json {json} --hgrm {hgrm} --hlog {hlog} --csv {csv}"
        ),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let figures: serde_json::Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    let requests = figures["requests"].as_u64().unwrap();
    assert!(requests > 0 && figures["generator_cpu_us_per_request"].as_f64().unwrap() > 0.0);
    assert_eq!(figures["requests_all"].as_u64().unwrap(), echo.stats().requests);

    let csv = fs::read_to_string(&csv).unwrap();
    let rows: Vec<Vec<f64>> = csv
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect())
        .collect();
    let times: Vec<f64> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(times, [1.0, 2.0, 2.2]);
    assert_eq!(rows.iter().map(|row| row[1] as u64).sum::<u64>(), requests, "{csv}");

    let hlog = fs::read(&hlog).unwrap();
    let mut sum = Histogram::<u64>::new(3).unwrap();
    for entry in IntervalLogIterator::new(&hlog) {
        if let LogEntry::Interval(interval) = entry.unwrap() {
            let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
            let one: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
            sum.add(&one).unwrap();
        }
    }
    assert_eq!(sum.len(), requests);
    assert_eq!(sum.value_at_quantile(0.99), figures["latency_us"]["p99"].as_u64().unwrap());
    assert!(fs::read_to_string(&hgrm).unwrap().contains(&format!("Total count    = {requests:12}]")));
}

#[test]
fn a_file_that_cannot_be_written_costs_no_run() {
    let echo = Server::echo();
    for option in ["--json", "--hgrm", "--hlog", "--csv"] {
        let output = command(&format!("http://{}/", echo.address), &format!("{option} /nonexistent/file"));
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("cannot write /nonexistent/file"), "{option}");
    }
    assert_eq!(echo.stats().connections, 1, "nobody but this question");
}

#[test]
fn bad_options_and_missed_targets_have_exit_codes() {
    let echo = Server::echo();
    let url = format!("http://{}/bytes/13", echo.address);
    for options in
        ["--rate 0", "--pipeline 4 --new-connection", "--pipeline 2 --rate 5", "-c 0", "--nonsense"]
    {
        let output = command(&url, options);
        assert_eq!(output.status.code(), Some(2), "{options}");
        assert!(!output.stderr.is_empty(), "{options}");
    }
    let output = command(&url, "-c 2 -d 100ms --warmup 0s --target-latency 1us");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("of 1µs: MISSED"), "{}", text(&output.stdout));
    let output = command(&url, "-c 2 -d 100ms --warmup 0s --target-latency 10m");
    assert!(output.status.success() && text(&output.stdout).contains(": met"));
}

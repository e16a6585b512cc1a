//! The command line beside a running proxy: `ringlane route --admin`, `ringlane diff`.

use std::{fs, process::Command};

use serde_json::json;

use super::{answers, send};
use crate::harness::{Dir, Driver, Proxy, Setup};

/// Exit code, standard output, standard error.
fn ringlane(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringlane")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn route_asks_a_running_proxy() {
    let proxy = Setup::to_endpoints(&["127.0.0.1:9"]).start(Driver::Epoll);
    let admin = proxy.admin_address();
    send(
        &proxy,
        "PUT",
        "/routes/r",
        &json!({ "match": { "path": "/r", "headers": { "x-a": "b c" } }, "respond": {} }),
    )
    .expect(201);
    let ask = |more: &[&str]| ringlane(&[&["route", "--admin", &admin, "GET"][..], more].concat());
    let (code, out, err) = ask(&["http://a.test/r?x=%20&y", "-H", "x-a: b c"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("GET /r?x=%20&y (a.test)\n\nr  respond 200 OK\n"), "{out}");
    assert!(
        ask(&["/r"]).1.contains("r      header x-a is missing") || ask(&["/r"]).1.contains("\napp  -> app\n")
    );

    for (arguments, code, wanted) in [
        (vec!["route", "--admin", "127.0.0.1:1", "GET", "/"], 1, "127.0.0.1:1: can't connect"),
        (vec!["route", "--admin", "unix:/none", "GET", "/"], 1, "unix:/none: can't connect"),
        (vec!["route", "GET", "/"], 2, "--config <FILE>"),
        (vec!["route", "--admin", &admin, "-c", "x", "GET", "/"], 2, "cannot be used with"),
        (vec!["route", "-c", "x", "--token-file", "y", "GET", "/"], 2, "cannot be used with"),
        (vec!["route", "--admin", &admin, "--token-file", "/none", "GET", "/"], 1, "/none: No such file"),
    ] {
        let (exit, out, err) = ringlane(&arguments);
        assert_eq!((exit, out.as_str()), (Some(code), ""), "{arguments:?}: {err}");
        assert!(err.contains(wanted), "{arguments:?}: {err}");
    }
}

#[test]
fn a_token_file_opens_the_door() {
    let dir = Dir::new();
    fs::write(dir.file("token"), "a-token-of-thirty-two-bytes-0123\n").unwrap();
    fs::write(dir.file("wrong"), "another-token-of-some-more-bytes\n").unwrap();
    let launch = Proxy::launch(Driver::Epoll);
    let toml = launch.config(&Setup::to_endpoints(&["127.0.0.1:9"]).toml());
    let admin = format!("[admin]\ntoken_file = {:?}\n", dir.file("token"));
    let toml = toml.replacen("[admin]\n", &admin, 1);
    let toml = toml.replacen("\"127.0.0.1:0\"", &format!("{:?}", dir.unix("admin.sock")), 1);
    let _proxy = launch.start_whole(&toml);
    let admin = dir.unix("admin.sock");
    let (code, _, err) = ringlane(&["route", "--admin", &admin, "GET", "/"]);
    assert!(code == Some(1) && err.contains("401 Unauthorized: a token is needed"), "{err}");
    let with = |file: &str| {
        let file = dir.file(file).display().to_string();
        ringlane(&["route", "--admin", &admin, "--token-file", &file, "GET", "/"])
    };
    assert_eq!(with("wrong").0, Some(1));
    let (code, out, _) = with("token");
    assert!(code == Some(0) && out.contains("app  -> app"), "{out}");
}

#[test]
fn diff_of_two_files() {
    let dir = Dir::new();
    let file = |name: &str, text: &str| {
        fs::write(dir.file(name), text).unwrap();
        dir.file(name).display().to_string()
    };
    let text = Setup::to_endpoints(&["127.0.0.1:9000"]).toml();
    let a = file("a.toml", &text);
    let b = file("b.toml", &text.replace("127.0.0.1:9000", "127.0.0.1:9001"));
    let bad = file("bad.toml", "[colour]\n");
    assert_eq!(ringlane(&["diff", &a, &a]), (Some(0), "no difference\n".to_owned(), String::new()));
    let wanted = "\
~ upstream app
    endpoints[127.0.0.1:9000].address: \"127.0.0.1:9000\" -> none
    endpoints[127.0.0.1:9000].backup: false -> none
    endpoints[127.0.0.1:9000].weight: 1 -> none
    endpoints[127.0.0.1:9001].address: none -> \"127.0.0.1:9001\"
    endpoints[127.0.0.1:9001].backup: none -> false
    endpoints[127.0.0.1:9001].weight: none -> 1

0 added, 0 removed, 1 changed
";
    assert_eq!(ringlane(&["diff", &a, &b]), (Some(3), wanted.to_owned(), String::new()));
    for (arguments, code, wanted) in [
        (vec!["diff", &a, &bad], 1, "bad.toml:1:2: colour: unknown key"),
        (vec!["diff", &bad, &a], 1, "bad.toml:1:2: colour: unknown key"),
        (vec!["diff", &a, "/none.toml"], 1, "can't be read"),
        (vec!["diff", &a], 2, "give two files"),
        (vec!["diff", "--admin", "127.0.0.1:1", &a, &b], 2, "give one file"),
        (vec!["diff", "--admin", "127.0.0.1:1", &a], 1, "can't connect"),
        (vec!["diff"], 2, "Usage: ringlane diff A B"),
    ] {
        let (exit, out, err) = ringlane(&arguments);
        assert_eq!((exit, out.as_str()), (Some(code), ""), "{arguments:?}: {err}");
        assert!(err.contains(wanted), "{arguments:?}: {err}");
    }
}

#[test]
fn diff_against_what_runs() {
    let proxy = Setup::to_endpoints(&["127.0.0.1:9"])
        .route("request_headers = { set = { cookie = \"secret\" } }")
        .start(Driver::Epoll);
    let admin = proxy.admin_address();
    let file = proxy.dir().join("ringlane.toml").display().to_string();
    let diff = || ringlane(&["diff", "--admin", &admin, &file]);
    let same = "no difference\n1 credentials are masked and were not compared\n";
    assert_eq!(diff(), (Some(0), same.to_owned(), String::new()));
    send(&proxy, "PUT", "/routes/r", &answers("/r", "r")).expect(201);
    let (code, out, _) = diff();
    assert!(code == Some(3) && out.starts_with("- route r\n\n0 added, 1 removed, 0 changed\n"), "{out}");
    assert!(!out.contains("secret"));
}

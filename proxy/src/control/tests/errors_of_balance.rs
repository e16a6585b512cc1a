//! What is said about how an upstream is to be balanced.

use std::time::Duration;

use super::{check, files::secret_file, good};
use crate::{
    control::config::{Upstream, parse_str},
    upstream::{Balance, hash::HashKey, sticky::Secret},
};

/// An upstream whose other lines are `lines`, on line 5 and after.
fn upstream(lines: &str) -> String {
    format!(
        "listeners = [{{ name = \"web\", address = \"127.0.0.1:80\" }}]\n\
         routes = [{{ name = \"r\", upstream = \"app\" }}]\n\
         [[upstreams]]\nname = \"app\"\n{lines}\n"
    )
}

const ENDPOINTS: &str = "endpoints = [\"127.0.0.1:9000\", { address = \"127.0.0.1:9001\", backup = true }]\n";

fn read(lines: &str) -> Upstream {
    (*good(&upstream(&format!("{ENDPOINTS}{lines}"))).upstreams[0]).clone()
}

#[track_caller]
fn refused(lines: &str, expected: &[&str]) {
    check(&upstream(&format!("{ENDPOINTS}{lines}")), expected);
}

#[test]
fn what_is_written() {
    let plain = read("");
    assert_eq!((plain.balance, plain.hash, plain.sticky), (Balance::Auto, None, None));
    assert_eq!(plain.endpoints.iter().map(|it| it.backup).collect::<Vec<_>>(), [false, true]);
    for (name, balance) in Balance::ALL {
        assert_eq!(read(&format!("balance = \"{name}\"")).balance, balance);
    }
    for (text, key, overload) in [
        ("{}", HashKey::Client, Some(1250)),
        ("{ key = \"path\", overload = 2 }", HashKey::Path, Some(2000)),
        ("{ key = \"header:X-User\", overload = 1 }", HashKey::Header("x-user".into()), Some(1000)),
        ("{ key = \"cookie:ID\", overload = \"off\" }", HashKey::Cookie("ID".into()), None),
        ("{ key = \"query:a:b\", overload = 1.5 }", HashKey::Query("a:b".into()), Some(1500)),
    ] {
        let hash = read(&format!("balance = \"hash\"\nhash = {text}")).hash;
        let hash = hash.unwrap_or_else(|| panic!("{text}"));
        assert_eq!((hash.key, hash.overload_permille), (key, overload), "{text}");
    }
    let file = secret_file();
    let sticky =
        read(&format!("sticky = {{ cookie = \"at\", secret_file = \"{file}\", max_age = \"1h\" }}")).sticky;
    let sticky = sticky.unwrap_or_else(|| panic!("there is one"));
    assert_eq!((&*sticky.cookie, sticky.max_age), ("at", Some(Duration::from_secs(3600))));
    // Without the line's end.
    assert_eq!(sticky.secret, Secret::new(b"0123456789abcdef0123456789abcdef"));
}

#[test]
fn names_and_keys() {
    refused(
        "balance = \"least_request\"",
        &[
            "6:11 upstreams[0].balance: expected one of \"auto\", \"round_robin\", \"least_requests\", \"power_of_two\", \"peak_ewma\", \"hash\", \"random\", found \"least_request\" | did you mean \"least_requests\"?",
        ],
    );
    for (key, hint) in [
        ("ip", "\"client\", \"path\", \"header:NAME\", \"cookie:NAME\" or \"query:NAME\""),
        ("header", "a name follows, of at most 256 bytes: \"header:NAME\""),
        ("query:", "a name follows, of at most 256 bytes: \"query:NAME\""),
        ("header:a b", "after \"header:\" the name of a header field"),
    ] {
        refused(
            &format!("balance = \"hash\"\nhash.key = \"{key}\""),
            &[&format!("7:12 upstreams[0].hash.key: \"{key}\" is not a key of requests | {hint}")],
        );
    }
    refused(
        "balance = \"hash\"\nhash.key = \"cookie:a=b\"",
        &[
            "7:12 upstreams[0].hash.key: \"a=b\" is not a cookie's name | letters, digits and - _ and a few other signs, at most 256 bytes",
        ],
    );
    let hint = "from 1 (nobody has more than its share) to 100, as 1.25; \"off\" for no bound";
    for factor in ["0.99", "101", "-1", "nan"] {
        let shown = if factor == "nan" { "NaN" } else { factor };
        refused(
            &format!("balance = \"hash\"\nhash.overload = {factor}"),
            &[&format!("7:17 upstreams[0].hash.overload: {shown} is out of range | {hint}")],
        );
    }
}

#[test]
fn what_has_no_effect() {
    let config = good(&upstream(&format!("{ENDPOINTS}hash.key = \"path\"")));
    let warnings: Vec<_> = config.warnings.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(warnings, ["`hash` has no effect: the upstream does not balance by hash"]);
}

#[test]
fn backups_alone_are_none() {
    check(
        &upstream("endpoints = [{ address = \"127.0.0.1:1\", backup = true }]"),
        &[
            "5:13 upstreams[0].endpoints: every endpoint is a backup | leave `backup` out of those that are to serve while all is well",
        ],
    );
}

#[test]
fn cookies_and_secrets() {
    let file = secret_file();
    refused(
        "sticky = {}",
        &[
            "6:10 upstreams[0].sticky.cookie: missing key | The cookie's name.",
            "6:10 upstreams[0].sticky.secret_file: missing key | A file with the secret that cookies are signed with, 32 bytes to 4 KiB, read with the config.",
        ],
    );
    refused(
        &format!("sticky = {{ cookie = \"__Host-a\", secret_file = \"{file}\", max_age = \"1ms\" }}"),
        &[
            "6:21 upstreams[0].sticky.cookie: browsers refuse a cookie of this name without `Secure` | leave out the prefix",
            &format!(
                "6:{} upstreams[0].sticky.max_age: \"1ms\" is out of range | from 1s to 30d",
                61 + file.len()
            ),
        ],
    );
    let hint = "a file with 32 to 4096 bytes, as of `openssl rand -hex 32`";
    let folder = std::env::temp_dir().join(format!("ringlane-secrets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (name, content, says) in [
        ("none", None, "can't be read: No such file or directory (os error 2)"),
        ("short", Some(" 0123456789\n".to_owned()), "holds 10 bytes"),
        ("long", Some("x".repeat(4097)), "holds more than 4096 bytes"),
    ] {
        let path = folder.join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let path = path.display();
        refused(
            &format!("sticky = {{ cookie = \"a\", secret_file = \"{path}\" }}"),
            &[&format!("6:40 upstreams[0].sticky.secret_file: {path} {says} | {hint}")],
        );
    }
    let shown = folder.display();
    refused(
        &format!("sticky = {{ cookie = \"a\", secret_file = \"{shown}\" }}"),
        &[&format!("6:40 upstreams[0].sticky.secret_file: {shown} is not a file | {hint}")],
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Neither what is shown nor what a developer prints has it.
#[test]
fn a_secret_is_not_shown() {
    let file = secret_file();
    let text = upstream(&format!("{ENDPOINTS}sticky = {{ cookie = \"a\", secret_file = \"{file}\" }}"));
    let config = parse_str("t", &text).unwrap();
    let all = format!("{:?} {}", config.upstreams, config.masked());
    assert!(!all.contains("0123456789abcdef") && !all.contains("48, 49, 50") && all.contains(&file), "{all}");
}

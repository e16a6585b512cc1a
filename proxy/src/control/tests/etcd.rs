//! `[etcd]`: what it becomes, and what is wrong with it.

use std::time::Duration;

use super::{AROUND, check, good};
use crate::control::etcd::{Identity, Kind, Settings, Tls, User};

#[test]
fn the_least_that_is_written() {
    let config = good(&format!("[etcd]\nendpoints = [\"http://ETCD.internal:2379/\"]\n{AROUND}"));
    let settings = config.etcd.unwrap();
    assert_eq!(settings.key(Kind::Upstream, "a/b"), "/ringlane/upstreams/a/b");
    assert_eq!(
        settings,
        Settings {
            endpoints: vec!["http://etcd.internal:2379".to_owned()],
            prefix: "/ringlane".to_owned(),
            tls: None,
            user: None,
            snapshot: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            start_timeout: Duration::from_secs(5),
        }
    );
    assert!(good(AROUND).etcd.is_none());
}

#[test]
fn all_that_can_be_written() {
    let config = good(&format!(
        "[etcd]\nendpoints = [\"https://10.0.0.1:2379\", \"https://[::1]:2379\"]\nprefix = \"/a/b\"\n\
         user = \"u\"\npassword_file = \"/p\"\nsnapshot = \"/s\"\n\
         tls = {{ ca = \"/ca\", cert = \"/c\", key = \"/k\", server_name = \"n\" }}\n\
         timeouts = {{ connect = \"1s\", request = \"2s\", start = \"3s\" }}\n{AROUND}"
    ));
    assert_eq!(
        config.etcd.unwrap(),
        Settings {
            endpoints: vec!["https://10.0.0.1:2379".to_owned(), "https://[::1]:2379".to_owned()],
            prefix: "/a/b".to_owned(),
            tls: Some(Tls {
                ca: "/ca".into(),
                identity: Some(Identity { cert: "/c".into(), key: "/k".into() }),
                server_name: Some("n".to_owned()),
            }),
            user: Some(User { name: "u".to_owned(), password_file: "/p".into() }),
            snapshot: Some("/s".into()),
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(2),
            start_timeout: Duration::from_secs(3),
        }
    );
}

/// `lines` in `[etcd]` have these errors.
#[track_caller]
fn etcd(lines: &str, expected: &[&str]) {
    check(&format!("[etcd]\n{lines}\n{AROUND}"), expected);
}

#[test]
fn endpoints_that_are_none() {
    for (endpoint, expected) in [
        (
            "10.0.0.1:2379",
            "is not an endpoint of etcd | write \"http://10.0.0.1:2379\" or \"https://10.0.0.1:2379\"",
        ),
        ("http://10.0.0.1", "is not an endpoint of etcd | add the port: \"http://10.0.0.1:2379\""),
        ("http://10.0.0.1:2379/v3", "is not an endpoint of etcd | a scheme, a host and a port, no more"),
        ("http://10.0.0.1:0", "is not an endpoint of etcd | a scheme, a host and a port, no more"),
        (
            "http://u:p@10.0.0.1:2379",
            "is not an endpoint of etcd | name the user in `user` and the password's file in `password_file`",
        ),
    ] {
        let line = format!("2:14 etcd.endpoints[0]: {endpoint:?} {expected}");
        etcd(&format!("endpoints = [{endpoint:?}]"), &[&line]);
    }
    etcd("endpoints = []", &["2:13 etcd.endpoints: there are 0 endpoints | 1 to 16, members of one etcd"]);
    etcd(
        "endpoints = [\"https://a:1\"]",
        &["2:14 etcd.endpoints[0]: https:// without [etcd.tls] | \
           add [etcd.tls] with ca = \"/PATH\", the CA that signed etcd's certificate"],
    );
    etcd(
        "endpoints = [\"https://a:1\", \"http://b:1\"]\ntls.ca = \"/x\"",
        &["2:29 etcd.endpoints[1]: http:// with [etcd.tls] | write https://, or leave out [etcd.tls]"],
    );
}

#[test]
fn other_values_that_are_wrong() {
    const AT: &str = "endpoints = [\"http://a:1\"]";
    for (line, expected) in [
        ("user = \"u\"", "3:8 etcd.user: `user` without `password_file` | give both, or neither"),
        (
            "password_file = \"/x\"",
            "3:17 etcd.password_file: `password_file` without `user` | give both, or neither",
        ),
        ("prefix = \"/a/\"", "3:10 etcd.prefix: \"/a/\" is not a prefix | leave out the slash at its end"),
        ("prefix = \"a\"", "3:10 etcd.prefix: \"a\" is not a prefix | write \"/a\""),
        (
            "prefix = \"/a//b\"",
            "3:10 etcd.prefix: \"/a//b\" is not a prefix | letters, digits and . _ : -, between single slashes",
        ),
        (
            "snapshot = \"x.json\"",
            "3:12 etcd.snapshot: \"x.json\" is not a file's absolute path | \
             it is read again and again, wherever the process then is: begin it with `/`",
        ),
    ] {
        etcd(&format!("{AT}\n{line}"), &[expected]);
    }
    etcd(
        "endpoints = [\"https://a:1\"]\ntls = { ca = \"/x\", cert = \"/y\" }",
        &["3:27 etcd.tls.cert: `cert` without `key` | give both, or neither"],
    );
}

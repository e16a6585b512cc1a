//! A start with etcd, and without.

use std::{fs, net::TcpListener, time::Duration};

use ringlane::control::etcd::{First, Kind, Settings, Source, first};
use serde_json::json;

use super::{
    Etcd, Follower,
    follower::{settings, with_snapshot},
    server::runtime,
};
use crate::harness::{Dir, PATIENCE};

/// How long a start waits for an etcd that is away.
const SHORT: Duration = Duration::from_millis(300);

fn start(settings: &Settings, patience: Duration) -> First {
    runtime().block_on(first(settings, patience))
}

fn names(first: &First) -> Vec<&str> {
    first.objects.iter().map(|it| it.name.as_str()).collect()
}

/// An endpoint where nobody listens.
fn nowhere() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

#[test]
fn with_etcd_it_is_what_etcd_says() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("/ringlane/routes/app", "{}");
    etcd.put("/ringlane/routes/bad", "?");
    let first = start(&settings(&etcd.endpoint()), PATIENCE);
    assert_eq!(first.from, Source::Etcd { endpoint: etcd.endpoint(), revision: etcd.revision() });
    assert_eq!((names(&first), first.bad.len()), (vec!["app"], 1));
    assert_eq!(first.snapshot_fault, None);
    assert_eq!(first.bad[0].0, "/ringlane/routes/bad");
}

#[test]
fn without_etcd_it_is_what_was_known_last() {
    let Some(mut etcd) = Etcd::start() else { return };
    let settings = with_snapshot(&etcd.endpoint(), etcd.file("snapshot.json"));
    etcd.put("/ringlane/routes/app", r#"{"upstream": "app"}"#);
    Follower::start(settings.clone()).connected().close();
    let revision = etcd.revision();
    etcd.kill();
    let first = start(&settings, SHORT);
    let Source::Snapshot { revision: of_snapshot, why } = &first.from else { panic!("{first:?}") };
    assert_eq!(*of_snapshot, revision);
    assert!(why.starts_with(&settings.endpoints[0]) && why.contains("refused"), "{why}");
    assert_eq!(first.objects[0].value, json!({"name": "app", "upstream": "app"}));
    assert_eq!(first.objects[0].key, "/ringlane/routes/app");
    // What etcd holds when it comes is taken up, and a value that went bad meanwhile has a last good one.
    let mut follower = Follower::start(settings.clone());
    let why = follower.disconnected();
    assert!(why.contains("refused"), "{why}");
    etcd.restart();
    etcd.put("/ringlane/routes/app", "?");
    etcd.put("/ringlane/routes/new", "{}");
    follower.until(|view| view.bad.contains_key("/ringlane/routes/app"));
    follower.sees(Kind::Route, "new", Some(json!({"name": "new"})));
    assert_eq!(follower.view.names(Kind::Route), ["app", "new"]);
    follower.close();
}

#[test]
fn a_bad_value_at_the_start_has_the_snapshots_value() {
    let Some(etcd) = Etcd::start() else { return };
    let settings = with_snapshot(&etcd.endpoint(), etcd.file("snapshot.json"));
    etcd.put("/ringlane/routes/app", r#"{"upstream": "good"}"#);
    Follower::start(settings.clone()).connected().close();
    etcd.put("/ringlane/routes/app", "?");
    let first = start(&settings, PATIENCE);
    assert_eq!(first.objects[0].value, json!({"name": "app", "upstream": "good"}));
    assert_eq!(first.bad[0].0, "/ringlane/routes/app");
    let follower = Follower::start(settings).connected();
    assert_eq!(follower.view.objects.len(), 1);
    follower.close();
}

#[test]
fn without_either_there_is_nothing() {
    let first = start(&settings(&nowhere()), SHORT);
    assert!(matches!(&first.from, Source::Nothing { why } if why.contains("refused")), "{first:?}");
    assert!(first.objects.is_empty() && first.snapshot_fault.is_none());
}

#[test]
fn a_snapshot_that_cannot_be_used_is_reported() {
    let dir = Dir::new();
    let settings = with_snapshot(&nowhere(), dir.file("snapshot.json"));
    for (text, said) in [
        ("{\"prefix\":\"/ringlane\",\"revision\":3,\"obj", "not JSON"),
        ("[]", "not a snapshot"),
        ("{\"prefix\":\"/other\",\"revision\":3,\"objects\":[]}", "is of the prefix /other"),
    ] {
        fs::write(dir.file("snapshot.json"), text).unwrap();
        let first = start(&settings, SHORT);
        let fault = first.snapshot_fault.unwrap_or_default();
        assert!(fault.contains(said) && fault.ends_with(": ignored"), "{fault}");
        assert!(matches!(first.from, Source::Nothing { .. }) && first.objects.is_empty());
    }
}

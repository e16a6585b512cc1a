//! etcd away, back, forgetful and dead: what is known stays, and what was missed is made up for.

use std::time::Duration;

use ringlane::control::etcd::{Kind, Settings};
use serde_json::json;

use super::{
    Etcd, Follower, Relay,
    follower::{settings, with_snapshot},
};
use crate::harness::eventually;

#[test]
fn a_kill_and_a_restart_lose_nothing() {
    let Some(mut etcd) = Etcd::start() else { return };
    etcd.put("/ringlane/routes/app", "{}");
    let mut follower = Follower::start(settings(&etcd.endpoint())).connected();
    etcd.kill();
    let why = follower.disconnected();
    assert!(why.starts_with(&etcd.endpoint()), "{why}");
    assert_eq!(follower.view.names(Kind::Route), ["app"]);
    etcd.restart();
    follower = follower.connected();
    etcd.put("/ringlane/routes/next", "{}");
    follower.sees(Kind::Route, "next", Some(json!({"name": "next"})));
    assert_eq!(follower.view.names(Kind::Route), ["app", "next"]);
    follower.close();
}

#[test]
fn what_happens_while_it_is_cut_off_is_watched_afterwards() {
    let Some(etcd) = Etcd::start() else { return };
    let relay = Relay::to(etcd.address());
    etcd.put("/ringlane/routes/old", "{}");
    let mut follower = Follower::start(settings(&relay.endpoint())).connected();
    // Something has come over the watch: it works, and can be gone on with.
    etcd.put("/ringlane/routes/seen", "{}");
    follower.sees(Kind::Route, "seen", Some(json!({"name": "seen"})));
    relay.cut();
    follower.disconnected();
    etcd.put("/ringlane/routes/new", "{}");
    etcd.delete("/ringlane/routes/old");
    relay.mend();
    follower.sees(Kind::Route, "old", None);
    assert_eq!(follower.view.names(Kind::Route), ["new", "seen"]);
    assert_eq!((follower.view.lists, follower.view.revision), (1, etcd.revision()));
    follower.close();
}

#[test]
fn what_was_compacted_while_it_is_cut_off_is_listed() {
    let Some(etcd) = Etcd::start() else { return };
    let relay = Relay::to(etcd.address());
    etcd.put("/ringlane/routes/old", "{}");
    let mut follower = Follower::start(settings(&relay.endpoint())).connected();
    etcd.put("/ringlane/routes/seen", "{}");
    follower.sees(Kind::Route, "seen", Some(json!({"name": "seen"})));
    relay.cut();
    follower.disconnected();
    etcd.put("/ringlane/routes/new", "{}");
    etcd.delete("/ringlane/routes/old");
    etcd.put("/ringlane/routes/seen", r#"{"upstream": "x"}"#);
    etcd.ctl(&["compact", &etcd.revision().to_string()]).expect_success();
    relay.mend();
    follower.until(|view| view.lists == 2);
    assert_eq!(follower.view.names(Kind::Route), ["new", "seen"]);
    follower.sees(Kind::Route, "seen", Some(json!({"name": "seen", "upstream": "x"})));
    // And it is followed from there.
    follower = follower.connected();
    etcd.delete("/ringlane/routes/new");
    follower.sees(Kind::Route, "new", None);
    follower.close();
}

#[test]
fn an_etcd_that_has_lost_its_data_is_listed_anew() {
    let Some(mut etcd) = Etcd::start() else { return };
    etcd.put("/ringlane/routes/app", "{}");
    etcd.put("/ringlane/routes/lost", "{}");
    let mut follower = Follower::start(settings(&etcd.endpoint())).connected();
    etcd.put("/ringlane/routes/seen", "{}");
    follower.sees(Kind::Route, "seen", Some(json!({"name": "seen"})));
    etcd.kill();
    follower.disconnected();
    etcd.forget();
    etcd.restart();
    // Its revisions begin anew, below the one that is known: a watch from there would be silent.
    etcd.put("/ringlane/routes/app", r#"{"upstream": "new"}"#);
    follower.sees(Kind::Route, "app", Some(json!({"name": "app", "upstream": "new"})));
    assert_eq!(follower.view.names(Kind::Route), ["app"]);
    follower.close();
}

#[test]
fn a_peer_that_is_silent_is_given_up() {
    let Some(etcd) = Etcd::start() else { return };
    let relay = Relay::to(etcd.address());
    etcd.put("/ringlane/routes/app", "{}");
    let mut follower = Follower::start(settings(&relay.endpoint())).connected();
    relay.silence();
    let why = follower.disconnected();
    assert!(why.contains("no sign of life"), "{why}");
    assert_eq!(follower.view.names(Kind::Route), ["app"]);
    follower.close();
}

#[test]
fn a_watch_without_changes_lives() {
    let Some(etcd) = Etcd::start() else { return };
    // Long enough for an answer, short enough to be asked for one again and again.
    let hasty = Settings { request_timeout: Duration::from_millis(500), ..settings(&etcd.endpoint()) };
    let mut follower = Follower::start(hasty).connected();
    let asked = "grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Range\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"}";
    // The first was the list.
    eventually("it is asked for signs of life", || etcd.metric(asked) >= 4.0);
    etcd.put("/ringlane/routes/app", "{}");
    follower.sees(Kind::Route, "app", Some(json!({"name": "app"})));
    assert_eq!(follower.view.losses, 0);
    follower.close();
}

#[test]
fn the_next_endpoint_is_tried() {
    let Some(etcd) = Etcd::start() else { return };
    let relays = [Relay::to(etcd.address()), Relay::to(etcd.address())];
    let endpoints = relays.each_ref().map(Relay::endpoint).to_vec();
    let mut follower = Follower::start(Settings { endpoints, ..settings("") }).connected();
    let used = follower.view.endpoint.clone();
    // It begins with any of them.
    relays.iter().filter(|it| it.endpoint() == used).for_each(Relay::cut);
    assert!(follower.disconnected().starts_with(&used));
    etcd.put("/ringlane/routes/app", "{}");
    follower = follower.connected();
    assert_ne!(follower.view.endpoint, used);
    follower.sees(Kind::Route, "app", Some(json!({"name": "app"})));
    follower.close();
}

#[test]
fn a_member_without_a_leader_is_left() {
    let Some(cluster) = super::server::Cluster::start() else { return };
    let [mut first, mut second, third] = cluster.members;
    third.put("/ringlane/routes/app", "{}");
    let mut follower = Follower::start(settings(&third.endpoint())).connected();
    assert_eq!(follower.view.names(Kind::Route), ["app"]);
    first.kill();
    second.kill();
    let why = follower.disconnected();
    assert!(why.contains("no leader"), "{why}");
    first.restart();
    follower = follower.connected();
    first.put("/ringlane/routes/next", "{}");
    follower.sees(Kind::Route, "next", Some(json!({"name": "next"})));
    follower.close();
}

#[test]
fn a_snapshot_outlives_the_process() {
    let Some(etcd) = Etcd::start() else { return };
    let path = etcd.file("snapshot.json");
    etcd.put("/ringlane/routes/app", "{}");
    for end in [Follower::close, Follower::drop_it] {
        let mut follower = Follower::start(with_snapshot(&etcd.endpoint(), path.clone())).connected();
        let value = format!("{{\"upstream\": \"{}\"}}", etcd.revision());
        // It ends as soon as this is known, long before the next write is due.
        etcd.put("/ringlane/routes/app", &value);
        let mut value: serde_json::Value = serde_json::from_str(&value).unwrap();
        value["name"] = json!("app");
        follower.sees(Kind::Route, "app", Some(value.clone()));
        end(follower);
        let snapshot = ringlane::control::etcd::load_snapshot(&path).unwrap().unwrap();
        assert_eq!((snapshot.revision, &snapshot.objects[0].value), (etcd.revision(), &value));
    }
}

//! What all sources ask for together.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value as Json, json};

use super::AROUND;
use crate::control::{
    desired::{
        Desired, Kind, Owner, Refused,
        follow::{Unfulfilled, Wish},
    },
    error::ConfigError,
};

fn desired() -> Desired {
    match Desired::of_text("test.toml", AROUND) {
        Ok(desired) => desired,
        Err(errors) => panic!("{errors:?}"),
    }
}

fn wish(kind: Kind, name: &str, value: Option<Json>) -> Wish {
    let folder = if kind == Kind::Route { "routes" } else { "upstreams" };
    Wish { kind, name: name.to_owned(), key: format!("/r/{folder}/{name}").into(), value }
}

fn route(name: &str, path: &str, upstream: &str) -> Wish {
    wish(Kind::Route, name, Some(json!({ "match": { "path": path }, "upstream": upstream })))
}

fn upstream(name: &str) -> Wish {
    wish(Kind::Upstream, name, Some(json!({ "endpoints": ["127.0.0.1:9001"] })))
}

fn names(desired: &Desired) -> (BTreeSet<String>, BTreeSet<String>) {
    let config = desired.config();
    let routes = config.routes.iter().map(|it| it.name.to_string()).collect();
    (routes, config.upstreams.iter().map(|it| it.name.to_string()).collect())
}

/// Follows, and gives the keys that can't be used.
fn follow(desired: &mut Desired, open: &mut Unfulfilled, wishes: Vec<Wish>, whole: bool) -> Vec<String> {
    let (_, news) = desired.follow(open, wishes, whole);
    news.into_iter().map(|(key, why)| format!("{key}: {}", why.join("; "))).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|it| (*it).to_owned()).collect()
}

#[test]
fn a_store_is_followed_whatever_its_order() {
    let (mut desired, mut open) = (desired(), Unfulfilled::default());
    assert!(follow(&mut desired, &mut open, vec![route("a", "/a", "x"), upstream("x")], true).is_empty());
    assert_eq!(names(&desired), (set(&["a", "app"]), set(&["app", "x"])));
    // The route goes with its upstream.
    let gone = vec![wish(Kind::Upstream, "x", None), wish(Kind::Route, "a", None)];
    assert!(follow(&mut desired, &mut open, gone, false).is_empty());
    assert_eq!(names(&desired), (set(&["app"]), set(&["app"])));
    // What a whole list does not name is no more.
    follow(&mut desired, &mut open, vec![route("a", "/a", "x"), upstream("x")], true);
    follow(&mut desired, &mut open, vec![upstream("x")], true);
    assert_eq!(names(&desired), (set(&["app"]), set(&["app", "x"])));
}

#[test]
fn what_can_not_be_used_is_said_once_and_used_when_it_can_be() {
    let (mut desired, mut open) = (desired(), Unfulfilled::default());
    let said = follow(&mut desired, &mut open, vec![route("a", "/a", "x")], true);
    assert_eq!(said, ["/r/routes/a: etcd /r/routes/a: /upstream: no upstream is named `x` (there are app)"]);
    assert_eq!(open.iter().count(), 1);
    assert!(follow(&mut desired, &mut open, vec![], false).is_empty(), "said twice");
    assert!(follow(&mut desired, &mut open, vec![upstream("x")], false).is_empty());
    assert!(open.is_empty());
    assert_eq!(names(&desired).0, set(&["a", "app"]));
    // An upstream that is in use stays until it is not.
    let said = follow(&mut desired, &mut open, vec![wish(Kind::Upstream, "x", None)], false);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(names(&desired).1, set(&["app", "x"]));
    follow(&mut desired, &mut open, vec![wish(Kind::Route, "a", None)], false);
    assert_eq!(names(&desired), (set(&["app"]), set(&["app"])));
    assert!(open.is_empty());
}

#[test]
fn a_name_belongs_to_whoever_had_it_first() {
    let (mut desired, mut open) = (desired(), Unfulfilled::default());
    let said = follow(&mut desired, &mut open, vec![route("app", "/a", "app")], true);
    assert_eq!(said, ["/r/routes/app: the route `app` is of test.toml, line 9: change it there"]);
    let json = json!({ "match": { "path": "/b" }, "upstream": "app" });
    assert!(desired.put(Kind::Route, "b", &Owner::Api, &json, "PUT").is_ok());
    let said = follow(&mut desired, &mut open, vec![route("b", "/c", "app")], false);
    assert_eq!(said, ["/r/routes/b: the route `b` is of the admin API: change it there"]);
    // What was refused has gone: nothing is to be done, and nobody else's route is touched.
    assert!(follow(&mut desired, &mut open, vec![wish(Kind::Route, "b", None)], false).is_empty());
    assert_eq!(names(&desired).0, set(&["app", "b"]));
}

#[test]
fn routes_change_places() {
    let (mut desired, mut open) = (desired(), Unfulfilled::default());
    follow(&mut desired, &mut open, vec![route("a", "/a", "app"), route("b", "/b", "app")], true);
    let said = follow(&mut desired, &mut open, vec![route("a", "/b", "app"), route("b", "/a", "app")], false);
    assert_eq!(said, Vec::<String>::new());
    let shown = desired.shown(Kind::Route, "a").map(|it| it.shown["match"]["path"].clone());
    assert_eq!(shown, Some(json!("/b")));
    // One moves on, which makes room for another; the third finds no room.
    let three = vec![route("a", "/a", "app"), route("b", "/c", "app"), route("c", "/c", "app")];
    assert_eq!(follow(&mut desired, &mut open, three, false).len(), 1);
    assert_eq!(names(&desired).0, set(&["a", "app", "b"]));
}

#[test]
fn what_is_taken_back_leaves_no_trace() {
    let mut desired = desired();
    let put = |desired: &mut Desired, path: &str| {
        let json = json!({ "match": { "path": path }, "upstream": "app" });
        desired.put(Kind::Route, "a", &Owner::Api, &json, "PUT /routes/a")
    };
    let before = names(&desired);
    let deltas = put(&mut desired, "/a").unwrap_or_else(|it| panic!("{it:?}"));
    desired.take_back(&deltas);
    assert_eq!(names(&desired), before);
    // Neither does it stand in the way of another that asks the same.
    let json = json!({ "match": { "path": "/a" }, "upstream": "app" });
    assert!(desired.put(Kind::Route, "b", &Owner::Api, &json, "PUT /routes/b").is_ok());
    let Err(Refused::Invalid(errors)) = put(&mut desired, "/a") else { panic!("twins") };
    let told: Vec<_> = errors.iter().map(ConfigError::one_line).collect();
    assert_eq!(
        told,
        ["PUT /routes/a: /match: it can never be told apart from the route `b`: both ask for the same \
          (change the path, methods, headers or query of one)"]
    );
}

#[test]
fn weights_are_put_over_an_upstream_of_the_files_and_lifted() {
    let text = AROUND.replace("[\"127.0.0.1:9000\"]", "[\"127.0.0.1:9000\", \"127.0.0.1:9001\"]");
    let mut desired = Desired::of_text("test.toml", &text).unwrap_or_else(|it| panic!("{it:?}"));
    let weights = |desired: &Desired| -> Vec<u32> {
        desired.config().upstreams[0].endpoints.iter().map(|it| it.weight).collect()
    };
    let unchanged = Arc::clone(&desired.config().upstreams[0]);
    let deltas =
        desired.put_endpoint("app", "127.0.0.1:9000", 0, "PUT").unwrap_or_else(|it| panic!("{it:?}"));
    assert_eq!(weights(&desired), [0, 1]);
    // The same for as long as nothing changes: tables tell by it what has.
    assert!(Arc::ptr_eq(&desired.config().upstreams[0], &desired.config().upstreams[0]));
    let last = desired.put_endpoint("app", "127.0.0.1:9001", 0, "PUT");
    assert!(matches!(last, Err(Refused::Conflict(_))), "{last:?}");
    assert!(matches!(desired.put_endpoint("app", "127.0.0.1:1", 1, "PUT"), Err(Refused::NotFound(_))));
    assert!(matches!(desired.put_endpoint("app", "127.0.0.1:9000", 1001, "PUT"), Err(Refused::Invalid(_))));
    desired.take_back(&deltas);
    assert!(Arc::ptr_eq(&desired.config().upstreams[0], &unchanged));
    assert!(matches!(desired.delete_endpoint("app", "127.0.0.1:9000", "DELETE"), Err(Refused::Conflict(_))));
}

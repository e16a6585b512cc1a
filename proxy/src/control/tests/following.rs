//! What a store outside holds, as far as it can be used.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::AROUND;
use crate::control::desired::{
    Desired, Kind, Owner,
    follow::{Unfulfilled, Wish},
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

//! Revisions: what is kept of them, and the way back.

use std::{sync::Arc, time::SystemTime};

use serde_json::json;

use super::AROUND;
use crate::control::{
    ask::{Change, Denied, Expect},
    base::Base,
    desired::{Delta, Desired, Kind, Refused, Weight, history::REVISIONS_MAX},
    live::Live,
};

fn live() -> Live {
    let base = Base::of_text("test.toml", AROUND).unwrap_or_else(|errors| panic!("{errors:?}"));
    Live::new("test.toml".into(), Desired::of(base), SystemTime::UNIX_EPOCH)
}

/// Makes a change, as a revision of its own.
#[track_caller]
fn make(live: &mut Live, change: Change) -> Vec<Delta> {
    let deltas = live.accept(&change, &Expect::Anything, "test").unwrap();
    live.history.push("test".to_owned(), deltas.clone(), SystemTime::UNIX_EPOCH);
    deltas
}

fn put(name: &str, path: &str) -> Change {
    let route = json!({ "match": { "path": path }, "upstream": "app" });
    Change::Put(Kind::Route, name.to_owned(), route)
}

#[test]
fn every_revision_that_is_kept_can_be_had_back() {
    let mut live = live();
    let mut seen = vec![live.desired.config().masked()];
    let whole = live.desired.config().masked();
    let upstream = json!({ "endpoints": ["127.0.0.1:1", "127.0.0.1:2"] });
    for change in [
        put("a", "/a"),
        put("a", "/other"),
        Change::Put(Kind::Upstream, "b".to_owned(), upstream),
        Change::PutEndpoint("b".to_owned(), "127.0.0.1:1".to_owned(), Weight::Is(0)),
        Change::Config(whole),
        put("c", "/a"),
        Change::Delete(Kind::Route, "c".to_owned()),
    ] {
        make(&mut live, change);
        seen.push(live.desired.config().masked());
    }
    let listed: Vec<_> = live.history.iter().map(|it| it.what.clone()).collect();
    assert_eq!(&listed[..4], ["start", "route a added", "route a changed", "upstream b added"]);
    for number in [8, 3, 1, 6, 2, 8, 5] {
        make(&mut live, Change::RollBack(number));
        assert_eq!(live.desired.config().masked(), seen[number as usize - 1], "revision {number}");
    }
    let nothing = live.accept(&Change::RollBack(live.history.number()), &Expect::Anything, "test");
    assert!(nothing.is_ok_and(|it| it.is_empty()));
}

#[test]
fn the_last_revisions_are_kept_and_others_named_in_vain() {
    let mut live = live();
    for number in 0..REVISIONS_MAX + 5 {
        make(&mut live, put("a", &format!("/{number}")));
    }
    assert_eq!(live.history.iter().count(), REVISIONS_MAX);
    for number in [0, 1, 6, 27, u64::MAX] {
        let denied = live.accept(&Change::RollBack(number), &Expect::Anything, "test");
        assert!(matches!(denied, Err(Denied::Refused(Refused::NotFound(_)))), "{number}: {denied:?}");
    }
    make(&mut live, Change::RollBack(7));
    assert!(live.desired.route("a").is_some_and(|(_, it)| it.written.contains("\"/5\"")));
}

#[test]
fn a_tag_tells_who_came_first() {
    let mut live = live();
    let change = put("a", "/a");
    let refused = |denied| matches!(denied, Err(Denied::Expectation(_)));
    assert!(refused(live.accept(&change, &Expect::Present, "test")));
    assert!(refused(live.accept(&change, &Expect::OneOf(vec![1]), "test")));
    live.accept(&change, &Expect::Absent, "test").unwrap();
    assert!(refused(live.accept(&change, &Expect::Absent, "test")));
    let tag = live.tag(change.about()).unwrap();
    let other = put("a", "/b");
    live.accept(&other, &Expect::OneOf(vec![7, tag]), "first").unwrap();
    let late = live.accept(&other, &Expect::OneOf(vec![tag]), "second");
    assert_eq!(late.unwrap_err(), Denied::Expectation(live.tag(change.about())));
}

#[test]
fn what_is_shared_stays_shared() {
    let mut live = live();
    let route = |live: &Live| live.desired.config().routes.first().cloned().unwrap();
    let before = route(&live);
    let whole = live.desired.config().masked();
    make(&mut live, Change::Config(whole));
    make(&mut live, Change::RollBack(1));
    assert!(Arc::ptr_eq(&before, &route(&live)), "a table can tell that it is the same");
}

//! What is in etcd is what is sent.

use ringlane::control::etcd::{Kind, PAGE_KEYS, Update, VALUE_BYTES_MAX};
use serde_json::json;

use super::{Etcd, Follower, follower::settings};

#[test]
fn a_list_then_every_change() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("/ringlane/routes/app", r#"{"upstream": "app", "match": {"path": "/"}}"#);
    etcd.put("/ringlane/upstreams/app", r#"{"name": "app", "endpoints": ["127.0.0.1:9000"]}"#);
    etcd.put("/ringlane2/routes/other", "{}");
    let mut follower = Follower::start(settings(&etcd.endpoint()));
    let Update::All { revision, objects } = follower.next() else { panic!("a list comes first") };
    assert_eq!(revision, etcd.revision());
    let route = json!({"name": "app", "upstream": "app", "match": {"path": "/"}});
    let upstream = json!({"name": "app", "endpoints": ["127.0.0.1:9000"]});
    let seen: Vec<_> = objects.iter().map(|it| (it.key.as_str(), it.value.clone())).collect();
    assert_eq!(seen, [("/ringlane/routes/app", route), ("/ringlane/upstreams/app", upstream)]);
    let mut follower = follower.connected();
    etcd.put("/ringlane/routes/app", r#"{"upstream": "next"}"#);
    etcd.put("/ringlane/routes/a/b:c", "{}");
    etcd.put("/ringlane/elsewhere", "{}");
    etcd.delete("/ringlane/upstreams/app");
    follower.sees(Kind::Upstream, "app", None);
    assert_eq!(follower.view.names(Kind::Route), ["a/b:c", "app"]);
    assert_eq!(
        follower.view.objects[&(Kind::Route, "app".to_owned())],
        json!({"name": "app", "upstream": "next"})
    );
    assert_eq!((follower.view.lists, follower.view.revision), (1, etcd.revision()));
    assert!(follower.view.bad.is_empty());
    follower.close();
}

#[test]
fn a_bad_value_is_reported_and_the_last_good_one_stays() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.put("/ringlane/routes/old", "not JSON");
    etcd.put("/ringlane/routes/app", r#"{"upstream": "one"}"#);
    let mut follower = Follower::start(settings(&etcd.endpoint())).connected();
    assert_eq!(follower.view.names(Kind::Route), ["app"]);
    assert!(follower.view.bad["/ringlane/routes/old"].starts_with("not JSON"), "{:?}", follower.view.bad);
    etcd.put("/ringlane/routes/app", r#"{"upstream": "#);
    etcd.put("/ringlane/routes/bad name", "{}");
    etcd.put("/ringlane/upstreams/x", r#"{"name": "y"}"#);
    etcd.put_all(std::iter::once(("/ringlane/routes/big".to_owned(), vec![b' '; VALUE_BYTES_MAX + 1])));
    follower.until(|view| view.bad.len() == 5);
    assert!(follower.view.bad["/ringlane/routes/big"].contains("at most"));
    assert!(follower.view.bad["/ringlane/routes/bad name"].contains("letters, digits"));
    assert!(follower.view.bad["/ringlane/upstreams/x"].contains("the key says \"x\""));
    let app = json!({"name": "app", "upstream": "one"});
    assert_eq!(follower.view.objects[&(Kind::Route, "app".to_owned())], app);
    // Each is mended in its own way.
    etcd.put("/ringlane/routes/app", r#"{"upstream": "two"}"#);
    etcd.put("/ringlane/upstreams/x", "{}");
    for gone in ["/ringlane/routes/bad name", "/ringlane/routes/big", "/ringlane/routes/old"] {
        etcd.delete(gone);
    }
    follower.until(|view| view.bad.is_empty());
    follower.sees(Kind::Route, "app", Some(json!({"name": "app", "upstream": "two"})));
    assert_eq!(follower.view.names(Kind::Upstream), ["x"]);
    follower.close();
}

#[test]
fn a_list_of_many_pages_is_of_one_revision() {
    let Some(etcd) = Etcd::start() else { return };
    let count = PAGE_KEYS * 2 + 100;
    let pair = |index: usize| (format!("/ringlane/routes/r{index:05}"), b"{}".to_vec());
    etcd.put_all((0..count).map(pair));
    let mut follower = Follower::start(settings(&etcd.endpoint()));
    let Update::All { revision, objects } = follower.next() else { panic!("a list comes first") };
    assert_eq!((objects.len(), revision), (count, etcd.revision()));
    follower.close();
}

#[test]
fn a_page_too_large_for_a_message_is_read_in_smaller_ones() {
    let Some(etcd) = Etcd::start() else { return };
    // 25 MB in fewer keys than a page has.
    let text = format!("{{\"x\": \"{}\"}}", "y".repeat(VALUE_BYTES_MAX - 20)).into_bytes();
    etcd.put_all((0..100).map(|index| (format!("/ringlane/routes/r{index}"), text.clone())));
    let mut follower = Follower::start(settings(&etcd.endpoint())).connected();
    assert_eq!(follower.view.objects.len(), 100);
    etcd.put("/ringlane/routes/last", "{}");
    follower.sees(Kind::Route, "last", Some(json!({"name": "last"})));
    follower.close();
}

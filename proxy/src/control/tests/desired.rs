//! What all sources ask for together: who may change what, what is refused, and that changes can be taken back.

use std::{fs, path::PathBuf, sync::Arc};

use serde_json::{Value as Json, json};

use super::AROUND;
use crate::control::{
    base::Base,
    desired::{Delta, Desired, Kind, Owner, Refused, Weight},
    files::Found,
};

const TWO: &str = "\
[[listeners]]
name = \"web\"
address = \"127.0.0.1:8080\"

[[upstreams]]
name = \"app\"
endpoints = [\"127.0.0.1:9000\", { address = \"127.0.0.1:9001\", weight = 3 }]

[[routes]]
name = \"app\"
upstream = \"app\"
";

fn desired(text: &str) -> Desired {
    Desired::of(Base::of_text("test.toml", text).unwrap_or_else(|errors| panic!("{errors:?}")))
}

/// All that can be seen of it.
fn seen(desired: &Desired) -> (Json, Vec<String>) {
    let config = desired.config();
    let weights = |it: &Arc<crate::control::config::Upstream>| {
        it.endpoints.iter().map(|it| format!("{} {}", it.target, it.weight)).collect::<Vec<_>>()
    };
    (config.masked(), config.upstreams.iter().flat_map(weights).collect())
}

fn put(desired: &mut Desired, kind: Kind, name: &str, json: Json) -> Result<Vec<Delta>, Refused> {
    desired.put(kind, name, &Owner::Api, &json, "PUT")
}

#[track_caller]
fn conflict<T: std::fmt::Debug>(result: Result<T, Refused>) -> String {
    match result {
        Err(Refused::Conflict(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// Messages and pointers.
#[track_caller]
fn invalid<T: std::fmt::Debug>(result: Result<T, Refused>) -> Vec<String> {
    match result {
        Err(Refused::Invalid(errors)) => errors
            .iter()
            .map(|it| format!("{}: {}", it.pointer.as_deref().unwrap_or("-"), it.message))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn not_found<T: std::fmt::Debug>(result: Result<T, Refused>) -> String {
    match result {
        Err(Refused::NotFound(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_name_belongs_to_whoever_had_it_first() {
    let mut it = desired(AROUND);
    let route = json!({ "match": { "path": "/x" }, "upstream": "app" });
    let text = conflict(put(&mut it, Kind::Route, "app", route.clone()));
    assert_eq!(text, "the route `app` is of test.toml, line 9: change it there");
    let text = conflict(put(&mut it, Kind::Upstream, "app", json!({ "endpoints": ["127.0.0.1:1"] })));
    assert_eq!(text, "the upstream `app` is of test.toml, line 5: change it there");
    conflict(it.delete(Kind::Route, "app", &Owner::Api));
    conflict(it.patch(Kind::Route, "app", &Owner::Api, &json!({ "upstream": "b" }), "PATCH"));

    let etcd = Owner::Etcd("/ringlane/routes/mine".into());
    it.put(Kind::Route, "mine", &etcd, &route, "etcd").unwrap();
    let text = conflict(put(&mut it, Kind::Route, "mine", route.clone()));
    assert_eq!(text, "the route `mine` is of etcd, key /ringlane/routes/mine: change it there");
    let other = Owner::Etcd("/ringlane/routes/other".into());
    conflict(it.put(Kind::Route, "mine", &other, &route, "etcd"));
}

#[test]
fn what_is_wrong_changes_nothing_and_is_said_with_its_place() {
    let mut it = desired(AROUND);
    let before = seen(&it);
    let bad = json!({ "match": { "path": "x", "colour": 1 }, "upstream": "ap" });
    let errors = invalid(put(&mut it, Kind::Route, "r", bad));
    assert!(errors.iter().any(|it| it.starts_with("/match/path: ")), "{errors:?}");
    assert!(errors.contains(&"/match/colour: unknown key".to_owned()), "{errors:?}");
    assert!(errors.iter().any(|it| it.starts_with("/upstream: ")), "{errors:?}");
    let errors = invalid(put(&mut it, Kind::Route, "r", json!({ "name": "other", "upstream": "app" })));
    assert_eq!(errors, ["/name: the name is \"other\", but it is to be \"r\""]);
    let errors = invalid(put(&mut it, Kind::Route, "a b", json!({ "upstream": "app" })));
    assert_eq!(errors, ["/name: ' ' can't be in a name"]);
    assert_eq!(invalid(put(&mut it, Kind::Route, "r", json!([]))), [": expected a JSON object"]);
    for masked in ["***", "http://***@a/"] {
        let secret = json!({ "upstream": "app", "request_headers": { "set": { "cookie": masked } } });
        let errors = invalid(put(&mut it, Kind::Route, "r", secret));
        assert_eq!(errors, ["/request_headers/set/cookie: this value is masked"]);
    }
    assert_eq!(not_found(it.delete(Kind::Route, "r", &Owner::Api)), "there is no route `r`");
    assert_eq!(seen(&it), before);
}

#[test]
fn an_upstream_in_use_stays() {
    let mut it = desired(AROUND);
    put(&mut it, Kind::Upstream, "b", json!({ "endpoints": ["127.0.0.1:9100"] })).unwrap();
    let split = json!({
        "match": { "path": "/s" },
        "split": [{ "upstream": "app", "weight": 1 }, { "upstream": "b", "weight": 0 }],
    });
    put(&mut it, Kind::Route, "s", split).unwrap();
    let text = conflict(it.delete(Kind::Upstream, "b", &Owner::Api));
    assert_eq!(text, "the upstream `b` is in use by routes: `s`; change them first");
    // Nor may a whole config, or the files, leave out what others use.
    let etcd = Owner::Etcd("k".into());
    it.put(Kind::Route, "e", &etcd, &json!({ "match": { "path": "/e" }, "upstream": "app" }), "etcd")
        .unwrap();
    let without = json!({ "listeners": [{ "name": "web", "address": "127.0.0.1:8080" }] });
    let before = seen(&it);
    let text = conflict(it.put_config(&without, "PUT"));
    assert_eq!(text, "the upstream `app` can't go: the route `e` of etcd, key k uses it");
    assert_eq!(seen(&it), before, "the admin API's own are back");
    it.delete(Kind::Route, "s", &Owner::Api).unwrap();
    it.delete(Kind::Upstream, "b", &Owner::Api).unwrap();
}

#[test]
fn routes_that_ask_the_same_are_refused() {
    let mut it = desired(AROUND);
    let first = json!({ "match": { "hosts": ["a.test", "b.test"], "path": "/{x}" }, "upstream": "app" });
    put(&mut it, Kind::Route, "first", first.clone()).unwrap();
    let second = json!({ "match": { "hosts": ["b.test"], "path": "/{y}" }, "respond": {} });
    let errors = invalid(put(&mut it, Kind::Route, "second", second.clone()));
    let wanted = "/match: it can never be told apart from the route `first`: both ask for the same";
    assert_eq!(errors, [wanted]);
    // It may ask what it has asked itself, and what a route that is gone has asked.
    put(&mut it, Kind::Route, "first", json!({ "match": first["match"], "respond": {} })).unwrap();
    it.patch(Kind::Route, "first", &Owner::Api, &json!({ "match": { "hosts": ["a.test"] } }), "PATCH")
        .unwrap();
    put(&mut it, Kind::Route, "second", second).unwrap();
    let errors = invalid(put(&mut it, Kind::Route, "any", json!({ "upstream": "app" })));
    assert_eq!(errors, [": it can never be told apart from the route `app`: both ask for the same"]);
}

#[test]
fn a_patch_merges_and_null_removes() {
    let mut it = desired(AROUND);
    let route = json!({
        "match": { "path_prefix": "/p", "headers": { "authorization": "hunter2" } },
        "upstream": "app",
        "rewrite": { "path_prefix": "/q", "host": "c" },
    });
    put(&mut it, Kind::Route, "r", route).unwrap();
    let tag = it.shown(Kind::Route, "r").map(|it| it.tag);
    let patch = json!({ "rewrite": { "host": null, "path_prefix": "/z" }, "match": { "methods": ["GET"] } });
    it.patch(Kind::Route, "r", &Owner::Api, &patch, "PATCH").unwrap();
    let shown = it.shown(Kind::Route, "r").unwrap();
    assert_eq!(shown.shown["rewrite"], json!({ "path_prefix": "/z" }));
    assert_eq!(shown.shown["match"]["methods"], json!(["GET"]));
    // The masked value is still there, and shown as such.
    assert_eq!(shown.shown["match"]["headers"], json!({ "authorization": "***" }));
    assert!(it.route("r").is_some_and(|(_, it)| it.written.contains("hunter2")));
    assert_ne!(Some(shown.tag), tag);
    let no_difference = it.patch(Kind::Route, "r", &Owner::Api, &json!({}), "PATCH").unwrap();
    assert!(no_difference.is_empty());
    let errors = invalid(it.patch(Kind::Route, "r", &Owner::Api, &json!(3), "PATCH"));
    assert_eq!(errors, [": a patch is a JSON object"]);
    not_found(it.patch(Kind::Route, "none", &Owner::Api, &json!({}), "PATCH"));
}

#[test]
fn every_change_can_be_taken_back_exactly() {
    let mut it = desired(TWO);
    put(&mut it, Kind::Upstream, "b", json!({ "endpoints": ["127.0.0.1:9100"] })).unwrap();
    put(&mut it, Kind::Route, "r", json!({ "match": { "path": "/r" }, "upstream": "b" })).unwrap();
    it.put_endpoint("app", "127.0.0.1:9001", Weight::Is(7), "PUT").unwrap();
    let before = seen(&it);
    let whole = json!({
        "listeners": [{ "name": "other", "address": "127.0.0.1:8081" }],
        "upstreams": [{ "name": "c", "endpoints": ["127.0.0.1:9200"] }],
        "routes": [{ "name": "r", "upstream": "c" }],
    });
    type Make<'m> = &'m dyn Fn(&mut Desired) -> Result<Vec<Delta>, Refused>;
    let route = |path: &str| json!({ "match": { "path": path }, "upstream": "b" });
    let changes: [Make<'_>; 8] = [
        &|it| it.put(Kind::Route, "n", &Owner::Api, &route("/n"), "PUT"),
        &|it| it.put(Kind::Route, "r", &Owner::Api, &route("/other"), "PUT"),
        &|it| it.delete(Kind::Route, "r", &Owner::Api),
        &|it| it.put(Kind::Upstream, "b", &Owner::Api, &json!({ "endpoints": ["127.0.0.1:1"] }), "PUT"),
        &|it| it.put_endpoint("app", "127.0.0.1:9000", Weight::Is(0), "PUT"),
        &|it| it.delete_endpoint("app", "127.0.0.1:9001", "DELETE"),
        &|it| it.put_endpoint("b", "127.0.0.1:9101", Weight::Is(2), "PUT"),
        &|it| it.put_config(&whole, "PUT"),
    ];
    for (number, change) in changes.iter().enumerate() {
        let deltas = change(&mut it).unwrap();
        assert_ne!(seen(&it), before, "change {number} does something");
        it.take_back(&deltas);
        assert_eq!(seen(&it), before, "change {number}");
    }
    // What is derived is as before too: who uses what, who asks what.
    conflict(it.delete(Kind::Upstream, "b", &Owner::Api));
    assert_eq!(invalid(put(&mut it, Kind::Route, "twin", route("/r"))).len(), 1);
    it.delete(Kind::Route, "r", &Owner::Api).unwrap();
    it.delete(Kind::Upstream, "b", &Owner::Api).unwrap();
}

#[test]
fn a_whole_config_takes_the_place_of_files_and_of_what_was_added() {
    let mut it = desired(TWO);
    put(&mut it, Kind::Route, "mine", json!({ "match": { "path": "/m" }, "upstream": "app" })).unwrap();
    let etcd = Owner::Etcd("k".into());
    it.put(Kind::Route, "theirs", &etcd, &json!({ "match": { "path": "/t" }, "upstream": "app" }), "etcd")
        .unwrap();
    it.put_endpoint("app", "127.0.0.1:9001", Weight::Is(7), "PUT").unwrap();
    let config = it.config().masked();
    let mut whole = config.clone();
    if let Some(routes) = whole["routes"].as_array_mut() {
        routes.retain(|it| it["name"] != "theirs");
    }
    it.put_config(&whole, "PUT /config").unwrap();
    assert_eq!(it.config().masked(), config, "what was shown can be put back");
    assert!(it.route("mine").is_some_and(|(owner, _)| *owner == Owner::Base));
    let text = conflict(it.delete(Kind::Route, "mine", &Owner::Api));
    assert_eq!(text, "the route `mine` is of the config that was PUT: change it there");
    // Names of others stay theirs.
    whole["routes"] = json!([{ "name": "theirs", "upstream": "app" }]);
    let errors = invalid(it.put_config(&whole, "PUT /config"));
    assert_eq!(errors, ["/routes/0/name: the route name `theirs` is taken"]);
    let including = json!({ "include": ["a.toml"] });
    assert_eq!(invalid(it.put_config(&including, "PUT")), ["/include: only a file can include files"]);
}

#[test]
fn weights_are_put_over_the_files_and_lifted() {
    let mut it = desired(TWO);
    let (one, two) = ("127.0.0.1:9000", "127.0.0.1:9001");
    let weights = |it: &Desired| seen(it).1;
    it.put_endpoint("app", two, Weight::Is(0), "PUT").unwrap();
    assert_eq!(weights(&it), ["127.0.0.1:9000 1", "127.0.0.1:9001 0"]);
    assert!(it.put_endpoint("app", two, Weight::Is(0), "PUT").unwrap().is_empty());
    let text = conflict(it.put_endpoint("app", one, Weight::Is(0), "PUT"));
    let nothing_left =
        "nothing would be left of the upstream `app`: the admin API has drained all its endpoints";
    assert_eq!(text, nothing_left);
    assert_eq!(weights(&it), ["127.0.0.1:9000 1", "127.0.0.1:9001 0"]);
    let shown = it.endpoint("app", two).unwrap().0;
    assert_eq!(shown, json!({ "address": two, "weight": 0, "written_weight": 3, "drain": true }));
    it.put_endpoint("app", two, Weight::Own, "PUT").unwrap();
    assert_eq!(weights(&it), ["127.0.0.1:9000 1", "127.0.0.1:9001 3"]);
    it.put_endpoint("app", two, Weight::Is(1000), "PUT").unwrap();
    let errors = invalid(it.put_endpoint("app", two, Weight::Is(1001), "PUT"));
    assert_eq!(errors, ["/weight: 1001 is out of range"]);
    it.delete_endpoint("app", two, "DELETE").unwrap();
    assert_eq!(weights(&it), ["127.0.0.1:9000 1", "127.0.0.1:9001 3"]);
    conflict(it.delete_endpoint("app", two, "DELETE"));
    not_found(it.delete_endpoint("app", "127.0.0.1:1", "DELETE"));
    not_found(it.put_endpoint("app", "127.0.0.1:1", Weight::Is(1), "PUT"));
    not_found(it.put_endpoint("none", one, Weight::Is(1), "PUT"));
    // A config without the others may not make a drained endpoint the only one.
    it.put_endpoint("app", two, Weight::Is(0), "PUT").unwrap();
    let etcd = Owner::Etcd("k".into());
    it.put(Kind::Upstream, "e", &etcd, &json!({ "endpoints": [one, two] }), "etcd").unwrap();
    it.put_endpoint("e", one, Weight::Is(0), "PUT").unwrap();
    conflict(it.put(Kind::Upstream, "e", &etcd, &json!({ "endpoints": [one] }), "etcd"));
}

#[test]
fn endpoints_of_our_own_upstreams_are_edited() {
    let mut it = desired(AROUND);
    let backup = json!({ "address": "127.0.0.1:9102", "backup": true });
    put(&mut it, Kind::Upstream, "b", json!({ "endpoints": ["LOCALHOST:9100", backup] })).unwrap();
    it.put_endpoint("b", "127.0.0.1:9102", Weight::Is(3), "PUT").unwrap();
    let shown = it.shown(Kind::Upstream, "b").unwrap().shown;
    assert_eq!(shown["endpoints"][1], json!({ "address": "127.0.0.1:9102", "weight": 3, "backup": true }));
    it.delete_endpoint("b", "127.0.0.1:9102", "DELETE").unwrap();
    it.put_endpoint("b", "127.0.0.1:9101", Weight::Is(4), "PUT").unwrap();
    it.put_endpoint("b", "Localhost:9100", Weight::Is(0), "PUT").unwrap();
    let shown = it.shown(Kind::Upstream, "b").unwrap().shown;
    let wanted = json!([
        { "address": "localhost:9100", "weight": 0, "backup": false },
        { "address": "127.0.0.1:9101", "weight": 4, "backup": false },
    ]);
    assert_eq!(shown["endpoints"], wanted);
    it.put_endpoint("b", "localhost:9100", Weight::Own, "PUT").unwrap();
    assert_eq!(it.endpoint("b", "localhost:9100").unwrap().1, 1);
    it.delete_endpoint("b", "LOCALHOST:9100", "DELETE").unwrap();
    let errors = invalid(it.delete_endpoint("b", "127.0.0.1:9101", "DELETE"));
    assert_eq!(errors, ["/endpoints: there are no endpoints"]);
    let errors = invalid(it.put_endpoint("b", "nowhere", Weight::Is(1), "PUT"));
    assert_eq!(errors, ["/endpoints/1/address: \"nowhere\" is not \"HOST:PORT\""]);
}

/// Files in a folder of their own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ringlane-desired-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("routes.d")).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn of_a_bad_included_file_the_last_good_version_stays() {
    let folder = Folder::new("include");
    let route = |name: &str| {
        format!("[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/{name}\" }}\nupstream = \"app\"\n")
    };
    let main = folder.write("main.toml", &format!("include = [\"routes.d/*.toml\"]\n{AROUND}"));
    folder.write("routes.d/1.toml", &route("a"));
    folder.write("routes.d/2.toml", &route("b"));
    let mut it = Desired::load(&main).unwrap();
    put(&mut it, Kind::Route, "mine", json!({ "match": { "path": "/mine" }, "upstream": "app" })).unwrap();
    let names = |it: &Desired| it.config().routes.iter().map(|it| it.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&it), ["app", "a", "b", "mine"]);

    folder.write("routes.d/1.toml", &route("a").replace("upstream", "upsteam"));
    folder.write("routes.d/2.toml", &route("c"));
    it.reload(&Found::now(&main)).unwrap();
    assert_eq!(names(&it), ["app", "a", "c", "mine"], "the bad file's last good version, the other's newest");
    let base = Arc::clone(it.base());
    let refused: Vec<_> = base.refused().map(|it| (it.name.ends_with("1.toml"), it.refused.len())).collect();
    assert_eq!(refused, [(true, 1)]);

    // A file that takes the name of what the admin API has is bad; so is a main file that does.
    folder.write("routes.d/1.toml", &route("mine"));
    it.reload(&Found::now(&main)).unwrap();
    assert_eq!(names(&it), ["app", "a", "c", "mine"]);
    let taken = fs::read_to_string(&main).unwrap() + &route("mine");
    folder.write("main.toml", &taken);
    assert!(
        invalid(it.reload(&Found::now(&main))).iter().any(|it| it.contains("the route name `mine` is taken"))
    );
    assert_eq!(names(&it), ["app", "a", "c", "mine"]);
}

//! Routes, upstreams and endpoints: their life, their tags, and whose they are.

use std::sync::Barrier;

use serde_json::json;

use super::{answers, ask, get, json_of, plain, send};
use crate::harness::{Dir, Origin, Setup, replies::ok};

/// Writers that race, and what each of them adds.
const WRITERS: usize = 4;
const ADDED_EACH: usize = 12;

both_drivers! {
    fn the_life_of_a_route(driver) {
        let origin = Origin::replies(&[ok("upstream")]);
        let proxy = Setup::to(&origin).start(driver);
        assert_eq!(proxy.get("/r").text(), "upstream");
        let made = send(&proxy, "PUT", "/routes/r", &answers("/r", "one")).expect(201);
        let done = json_of(&made);
        let tag = made.field("etag").unwrap().to_owned();
        let wanted = json!({
            "changed": true, "created": true, "in_force": true, "dry_run": false, "revision": 2, "etag": tag,
        });
        assert_eq!(done, wanted);
        // In force with every worker as soon as it has been answered.
        assert_eq!(proxy.get("/r").text(), "one");

        let (route, its_tag) = get(&proxy, "/routes/r");
        assert_eq!((its_tag, &route["name"], &route["respond"]["status"]), (tag.clone(), &json!("r"), &json!(200)));
        assert_eq!(plain(&proxy, "GET", "/routes/r").field("ringlane-owner"), Some("api"));
        assert_eq!(plain(&proxy, "GET", "/routes/app").field("ringlane-owner"), Some("files"));
        let unless = |tag: &str| ask(&proxy.admin_address(), "GET", "/routes/r", &format!("If-None-Match: {tag}\r\n"), "");
        assert_eq!((unless(&tag).status, unless("\"0\"").status, unless("*").status), (304, 200, 304));
        assert_eq!(plain(&proxy, "HEAD", "/routes/r").expect(200).field("etag"), Some(&*tag));

        // What was shown can be put back, and makes no difference.
        let same = send(&proxy, "PUT", "/routes/r", &route).expect(200);
        let again = send(&proxy, "PUT", "/routes/r", &route).expect(200);
        assert_eq!((json_of(&same)["created"].clone(), json_of(&again)["changed"].clone()), (json!(false), json!(false)));
        let patched = send(&proxy, "PATCH", "/routes/r", &json!({ "respond": { "body": "two", "status": 404 } })).expect(200);
        assert_ne!(patched.field("etag"), Some(&*tag));
        assert_eq!(proxy.get("/r").expect(404).text(), "two");
        let gone = json_of(&plain(&proxy, "DELETE", "/routes/r").expect(200));
        assert_eq!((&gone["changed"], &gone["etag"]), (&json!(true), &json!(null)));
        assert_eq!(proxy.get("/r").text(), "upstream");
        plain(&proxy, "DELETE", "/routes/r").expect(404);
        plain(&proxy, "GET", "/routes/r").expect(404);
    }

    fn an_upstream_and_a_route_to_it(driver) {
        let (first, second) = (Origin::replies(&[ok("first")]), Origin::replies(&[ok("second")]));
        let proxy = Setup::to(&first).start(driver);
        let route = json!({ "match": { "path_prefix": "/b" }, "upstream": "b/1" });
        let refused = json_of(&send(&proxy, "PUT", "/routes/b", &route).expect(422));
        assert_eq!(refused["errors"][0]["pointer"], "/upstream");
        // A name with a slash is percent-encoded.
        send(&proxy, "PUT", "/upstreams/b%2F1", &json!({ "endpoints": [second.address()] })).expect(201);
        assert_eq!(get(&proxy, "/upstreams/b%2F1").0["name"], "b/1");
        send(&proxy, "PUT", "/routes/b", &route).expect(201);
        assert_eq!((proxy.get("/b").text(), proxy.get("/").text()), ("second".to_owned(), "first".to_owned()));
        let used = json_of(&plain(&proxy, "DELETE", "/upstreams/b%2F1").expect(409));
        assert!(used["error"].as_str().unwrap().contains("in use by routes: `b`"), "{used}");
        send(&proxy, "PATCH", "/routes/b", &json!({ "upstream": "app" })).expect(200);
        assert_eq!(proxy.get("/b").text(), "first");
        plain(&proxy, "DELETE", "/upstreams/b%2F1").expect(200);

        let listed = get(&proxy, "/routes").0;
        let names: Vec<_> = listed["routes"].as_array().unwrap().iter().map(|it| (&it["name"], &it["owner"])).collect();
        assert_eq!(names, [(&json!("app"), &json!("files")), (&json!("b"), &json!("api"))]);
        assert_eq!(listed["routes"][1]["value"], get(&proxy, "/routes/b").0);
        assert_eq!(listed["routes"][1]["etag"], get(&proxy, "/routes/b").1.as_str());
        assert_eq!(get(&proxy, "/upstreams").0["upstreams"][0]["name"], "app");
    }

    fn an_endpoint_is_drained_and_comes_back(driver) {
        let dir = Dir::new();
        let (one, two) = (Origin::replies(&[ok("one")]), Origin::replies(&[ok("two")]));
        let socket = dir.unix("none.sock");
        let setup = Setup::to_endpoints(&[&one.address(), &two.address()]);
        let proxy = setup.start(driver);
        let at = |address: &str| format!("/upstreams/app/endpoints/{address}");
        let path = at(&one.address());
        let seen = |count: usize| (0..count).map(|_| proxy.get("/").text()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(seen(4).len(), 2);
        let drained = send(&proxy, "PUT", &path, &json!({ "drain": true })).expect(200);
        assert_eq!(seen(6), ["two".to_owned()].into());
        let (endpoint, tag) = get(&proxy, &path);
        let wanted = json!({ "address": one.address(), "weight": 0, "written_weight": 1, "drain": true });
        assert_eq!((endpoint, drained.field("etag")), (wanted, Some(&*tag)));
        assert_eq!(get(&proxy, "/upstreams/app").0["endpoints"][0]["weight"], 0);
        // The last one stays.
        let last = json_of(&send(&proxy, "PATCH", &at(&two.address()), &json!({ "weight": 0 })).expect(409));
        assert!(last["error"].as_str().unwrap().contains("nothing would be left"), "{last}");
        send(&proxy, "PATCH", &path, &json!({ "drain": false })).expect(200);
        assert_eq!(seen(4).len(), 2);
        send(&proxy, "PUT", &path, &json!({ "weight": 5 })).expect(200);
        assert_eq!(get(&proxy, "/config/status").0["weights_set"], 1);
        plain(&proxy, "DELETE", &path).expect(200);
        assert_eq!(get(&proxy, &path).0["weight"], 1);
        plain(&proxy, "DELETE", &path).expect(409);
        for (method, body, status) in [
            ("PUT", json!({ "weight": 1001 }), 422), ("PUT", json!({ "weight": -1 }), 422), ("PUT", json!({}), 422),
            ("PUT", json!({ "weight": 1, "drain": true }), 422), ("PATCH", json!([]), 422),
        ] {
            send(&proxy, method, &path, &body).expect(status);
        }
        send(&proxy, "PUT", &at("127.0.0.1:1"), &json!({ "weight": 1 })).expect(404);
        send(&proxy, "PATCH", "/upstreams/none/endpoints/a:1", &json!({ "weight": 1 })).expect(404);

        // To an upstream of the API's own endpoints are added. The path of a unix socket may be written as it is.
        send(&proxy, "PUT", "/upstreams/own", &json!({ "endpoints": [two.address()] })).expect(201);
        let own = format!("/upstreams/own/endpoints/{socket}");
        send(&proxy, "PATCH", &own, &json!({ "weight": 2 })).expect(404);
        send(&proxy, "PUT", &own, &json!({ "weight": 2 })).expect(201);
        let encoded = format!("/upstreams/own/endpoints/{}", socket.replace('/', "%2F"));
        assert_eq!(get(&proxy, &encoded).0["weight"], 2);
        plain(&proxy, "DELETE", &encoded).expect(200);
        plain(&proxy, "GET", &own).expect(404);
        plain(&proxy, "DELETE", &format!("/upstreams/own/endpoints/{}", two.address())).expect(422);
    }

    /// Each reads, adds one and writes on the condition that nobody else has written: nothing that was added is lost.
    fn writers_that_race_lose_nothing(driver) {
        let proxy = Setup::to_endpoints(&["127.0.0.1:9"]).start(driver);
        send(&proxy, "PUT", "/routes/count", &answers("/count", "0")).expect(201);
        let start = Barrier::new(WRITERS);
        let lost: usize = std::thread::scope(|scope| {
            let writer = || {
                let (mut added, mut lost) = (0, 0);
                start.wait();
                while added < ADDED_EACH {
                    let (route, tag) = get(&proxy, "/routes/count");
                    let count: usize = route["respond"]["body"].as_str().unwrap().parse().unwrap();
                    let fields = format!("If-Match: \"0123456789abcdef\", {tag}\r\nContent-Type: application/json\r\n");
                    let body = answers("/count", &(count + 1).to_string()).to_string();
                    let response = ask(&proxy.admin_address(), "PUT", "/routes/count", &fields, &body);
                    match response.status {
                        200 => added += 1,
                        412 => {
                            assert_ne!(response.field("etag"), Some(&*tag), "the tag that holds");
                            lost += 1;
                        }
                        _ => panic!("{response:?}"),
                    }
                }
                lost
            };
            let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(writer)).collect();
            writers.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert_eq!(proxy.get("/count").text(), (WRITERS * ADDED_EACH).to_string(), "{lost} races were lost");
    }

    fn conditions(driver) {
        let proxy = Setup::to_endpoints(&["127.0.0.1:9"]).start(driver);
        let put = |fields: &str, body: &str| {
            let fields = format!("{fields}\r\nContent-Type: application/json\r\n");
            ask(&proxy.admin_address(), "PUT", "/routes/r", &fields, &answers("/r", body).to_string())
        };
        put("If-Match: *", "a").expect(412);
        put("If-Match: \"0123456789abcdef\"", "a").expect(412);
        put("If-None-Match: *", "a").expect(201);
        put("If-None-Match: *", "b").expect(412);
        put("If-Match: *", "b").expect(200);
        let tag = get(&proxy, "/routes/r").1;
        for fields in [
            "If-Match: \"0123456789abcdef\"".to_owned(), format!("If-Match: W/{tag}"),
            format!("If-Match: {}", tag.trim_matches('"')), format!("If-Match: {tag}\r\nIf-None-Match: *"),
        ] {
            put(&fields, "c").expect(412);
        }
        for fields in ["If-Match: ".to_owned(), format!("If-None-Match: {tag}")] {
            put(&fields, "c").expect(400);
        }
        assert_eq!(proxy.get("/r").text(), "b");
        put(&format!("If-Match: {tag}"), "c").expect(200);
        assert_eq!(proxy.get("/r").text(), "c");
        // Also of the whole, which has one tag.
        let tag = get(&proxy, "/config").1;
        let reload = |tag: &str| ask(&proxy.admin_address(), "POST", "/config/reload", &format!("If-Match: {tag}\r\n"), "");
        reload("\"0123456789abcdef\"").expect(412);
        reload(&tag).expect(200);
        reload(&tag).expect(412);
    }

    fn a_dry_run_changes_nothing(driver) {
        let origin = Origin::replies(&[ok("upstream")]);
        let proxy = Setup::to(&origin).start(driver);
        send(&proxy, "PUT", "/routes/r", &answers("/r", "r")).expect(201);
        let before = (get(&proxy, "/config"), get(&proxy, "/config/revisions"), proxy.metric("ringlane_config_generation", ""));
        let mut whole = before.0.0.clone();
        whole["routes"] = json!([]);
        let endpoint = format!("/upstreams/app/endpoints/{}", origin.address());
        for (method, path, body, created) in [
            ("PUT", "/routes/n", answers("/n", ""), true),
            ("PUT", "/routes/r", answers("/r", "other"), false),
            ("PATCH", "/routes/r", json!({ "respond": { "status": 404 } }), false),
            ("DELETE", "/routes/r", json!(null), false),
            ("PUT", "/upstreams/n", json!({ "endpoints": ["127.0.0.1:1"] }), true),
            ("PUT", &endpoint, json!({ "weight": 7 }), false),
            ("PUT", "/config", whole, false),
            ("POST", "/config/rollback/1", json!(null), false),
        ] {
            let done = json_of(&send(&proxy, method, &format!("{path}?dry_run=true"), &body).expect(200));
            assert_eq!((&done["dry_run"], &done["in_force"]), (&json!(true), &json!(false)), "{method} {path}");
            assert_eq!((&done["changed"], &done["created"]), (&json!(true), &json!(created)), "{method} {path}");
        }
        send(&proxy, "PUT", "/routes/n?dry_run=true", &json!({ "upstream": "none" })).expect(422);
        assert_eq!(proxy.get("/r").text(), "r");
        let after = (get(&proxy, "/config"), get(&proxy, "/config/revisions"), proxy.metric("ringlane_config_generation", ""));
        assert_eq!(before, after);
    }
}

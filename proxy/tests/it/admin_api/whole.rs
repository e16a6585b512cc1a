//! The config as a whole: put, reloaded, waited for, rolled back.

use std::fs;

use serde_json::{Value, json};

use super::{answers, get, json_of, plain, send};
use crate::harness::{Origin, Proxy, Setup, replies::ok};

#[track_caller]
fn roll_back(proxy: &Proxy, revision: u64) -> Value {
    json_of(&plain(proxy, "POST", &format!("/config/rollback/{revision}")).expect(200))
}

both_drivers! {
    fn a_config_is_put_in_place_of_the_files(driver) {
        let origin = Origin::replies(&[ok("upstream")]);
        let proxy = Setup::to(&origin).start(driver);
        send(&proxy, "PUT", "/routes/r", &answers("/r", "r")).expect(201);
        let (shown, tag) = get(&proxy, "/config");
        // What is shown can be put back: only whose it is has changed.
        let put = send(&proxy, "PUT", "/config", &shown).expect(200);
        assert_ne!(put.field("etag"), Some(&*tag));
        assert_eq!(get(&proxy, "/config").0, shown);
        assert_eq!(get(&proxy, "/config/status").0["base"], "api");
        let refused = json_of(&plain(&proxy, "DELETE", "/routes/r").expect(409));
        assert!(refused["error"].as_str().unwrap().contains("of the config that was PUT"), "{refused}");

        let mut other = shown.clone();
        other["routes"][0]["match"] = json!({ "path_prefix": "/only" });
        send(&proxy, "PUT", "/config", &other).expect(200);
        proxy.get("/").expect(404);
        assert_eq!(proxy.get("/only").text(), "upstream");
        other["routes"][0]["upstream"] = json!("none");
        other["listeners"][0]["colour"] = json!(1);
        let errors = json_of(&send(&proxy, "PUT", "/config", &other).expect(422));
        let at: Vec<_> = errors["errors"].as_array().unwrap().iter().map(|it| it["pointer"].as_str().unwrap()).collect();
        assert!(at.contains(&"/routes/0/upstream") && at.contains(&"/listeners/0/colour"), "{errors}");
        let status = get(&proxy, "/config/status").0;
        assert_eq!(status["last_refused"]["source"], "PUT /config");
        assert_eq!(proxy.get("/only").text(), "upstream");

        // Until the files are read again.
        plain(&proxy, "POST", "/config/reload").expect(200);
        assert_eq!(proxy.get("/").text(), "upstream");
        assert_eq!(get(&proxy, "/config/status").0["base"], "files");
    }

    fn revisions_and_the_way_back(driver) {
        let proxy = Setup::to_endpoints(&["127.0.0.1:9"]).start(driver);
        for number in 2..=6 {
            let put = send(&proxy, "PUT", "/routes/r", &answers("/r", &format!("revision {number}")));
            assert_eq!(json_of(&put)["revision"], number);
        }
        let revisions = get(&proxy, "/config/revisions").0;
        let listed = revisions["revisions"].as_array().unwrap();
        assert_eq!((listed.len(), &listed[0]["revision"], &listed[0]["in_force"]), (6, &json!(6), &json!(true)));
        assert_eq!((&listed[4]["source"], &listed[4]["changes"]), (&json!("PUT /routes/r"), &json!("route r added")));
        let done = roll_back(&proxy, 3);
        assert_eq!((&done["revision"], &done["in_force"]), (&json!(7), &json!(true)));
        assert_eq!(proxy.get("/r").text(), "revision 3");
        assert_eq!(roll_back(&proxy, 7)["changed"], json!(false));
        roll_back(&proxy, 1);
        plain(&proxy, "GET", "/routes/r").expect(404);
        roll_back(&proxy, 6);
        assert_eq!(proxy.get("/r").text(), "revision 6");
        plain(&proxy, "POST", "/config/rollback/99").expect(404);
        plain(&proxy, "POST", "/config/rollback/first").expect(400);
        proxy.await_metric("ringlane_config_revision", "", 9);
    }

    /// Changes that wait say so; a way back does not wait, nor is anything lost by trying it.
    fn changes_that_wait(driver) {
        let setup = Setup::to_endpoints(&["127.0.0.1:9"]).and("[control]\nrebuild_min_interval = \"1h\"");
        let proxy = Proxy::launch(driver).watching().start(&setup.toml());
        send(&proxy, "PUT", "/routes/a", &answers("/a", "a")).expect(201);
        let waits = send(&proxy, "PUT", "/routes/b", &answers("/b", "b")).expect(202);
        assert_eq!(json_of(&waits)["in_force"], json!(false));
        plain(&proxy, "DELETE", "/routes/a").expect(202);
        assert_eq!(get(&proxy, "/config/status").0["waiting"], json!(true));
        assert_eq!(proxy.get("/a").text(), "a");
        plain(&proxy, "GET", "/routes/a").expect(404);
        let unchanged = send(&proxy, "PUT", "/routes/b", &answers("/b", "b")).expect(200);
        assert_eq!(json_of(&unchanged)["in_force"], json!(false));

        let config = get(&proxy, "/config");
        for revision in [1, 2] {
            plain(&proxy, "POST", &format!("/config/rollback/{revision}?dry_run=true")).expect(200);
            assert_eq!(get(&proxy, "/config"), config);
        }
        // What waits comes into force first, as a revision of its own.
        assert_eq!(roll_back(&proxy, 1)["revision"], 4);
        assert_eq!(get(&proxy, "/config/status").0["waiting"], json!(false));
        roll_back(&proxy, 3);
        assert_eq!(proxy.get("/b").text(), "b");
        plain(&proxy, "GET", "/routes/a").expect(404);
        roll_back(&proxy, 2);
        assert_eq!(proxy.get("/a").text(), "a");

        // A config's own pace counts for it already.
        let mut whole = get(&proxy, "/config").0;
        whole["control"]["rebuild_min_interval"] = json!("0s");
        assert_eq!(json_of(&send(&proxy, "PUT", "/config", &whole).expect(200))["in_force"], json!(true));
        send(&proxy, "PUT", "/routes/c", &answers("/c", "c")).expect(201);
    }

    fn a_reload_says_what_is_wrong(driver) {
        let proxy = Setup::to_endpoints(&["127.0.0.1:9"]).start(driver);
        send(&proxy, "PUT", "/routes/mine", &answers("/mine", "mine")).expect(201);
        let path = proxy.dir().join("ringlane.toml");
        let good = fs::read_to_string(&path).unwrap();
        let with_include = format!("include = [\"routes.d/*.toml\"]\n{good}");
        fs::create_dir(proxy.dir().join("routes.d")).unwrap();
        let included = proxy.dir().join("routes.d/1.toml");
        let route = "[[routes]]\nname = \"one\"\nmatch = { path = \"/one\" }\nrespond = { body = \"one\" }\n";
        fs::write(&path, &with_include).unwrap();
        fs::write(&included, route).unwrap();
        assert_eq!(json_of(&plain(&proxy, "POST", "/config/reload").expect(200))["errors"], json!([]));
        assert_eq!((proxy.get("/one").text(), proxy.get("/mine").text()), ("one".to_owned(), "mine".to_owned()));

        // A bad main file changes nothing; a bad included one keeps its last good version.
        fs::write(&path, format!("{with_include}\n[colour]\n")).unwrap();
        let refused = json_of(&plain(&proxy, "POST", "/config/reload").expect(422));
        let error = &refused["errors"][0];
        assert_eq!((&error["key"], &error["message"], &error["pointer"]), (&json!("colour"), &json!("unknown key"), &json!(null)));
        assert!(error["file"].as_str().unwrap().ends_with("ringlane.toml") && error["line"].as_u64() > Some(1), "{error}");
        fs::write(&path, &with_include).unwrap();
        fs::write(&included, route.replace("respond", "respnd")).unwrap();
        let half = json_of(&plain(&proxy, "POST", "/config/reload").expect(200));
        assert!(half["errors"][0]["file"].as_str().unwrap().ends_with("1.toml"), "{half}");
        assert_eq!(proxy.get("/one").text(), "one");
        let status = get(&proxy, "/config/status").0;
        let bad: Vec<_> = status["files"].as_array().unwrap().iter().map(|it| it["good"].clone()).collect();
        assert_eq!(bad, [json!(true), json!(false)]);
    }
}

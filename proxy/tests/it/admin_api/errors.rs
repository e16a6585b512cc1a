//! Every way in which a request can be wrong, and what is said about it.

use serde_json::json;

use super::{answers, ask, get, json_of, plain, send};
use crate::harness::{Client, Setup};

both_drivers! {
    fn each_has_its_status_and_its_words(driver) {
        let proxy = Setup::to_endpoints(&["127.0.0.1:9"]).start(driver);
        let before = get(&proxy, "/config");
        let json = "Content-Type: application/json\r\n";
        let long = "x".repeat(20_000);
        let long_path = format!("/routes/{long}");
        let deep = "[".repeat(200);
        let cases: &[(&str, &str, &str, &str, u16, &str)] = &[
            ("GET", "/nowhere", "", "", 404, "no such path; there are:\n/healthz"),
            ("GET", "/routes/", "", "", 404, "no such path"),
            ("GET", "/routes/none", "", "", 404, "there is no route \"none\""),
            ("GET", &long_path, "", "", 404, "there is no route"),
            ("PUT", &long_path, json, "{\"respond\":{}}", 422, "1 error in PUT /routes/xxxx"),
            ("GET", "/upstreams/none", "", "", 404, "there is no upstream"),
            ("GET", "/routes/%ff", "", "", 400, "UTF-8"),
            ("GET", "/routes?limit=1", "", "", 400, "unknown parameter \"limit\"; there are: none"),
            ("PUT", "/routes/r?dryrun=true", json, "{}", 400, "there are: dry_run"),
            ("PUT", "/routes/r?dry_run=1", json, "{}", 400, "dry_run is true or false"),
            ("PUT", "/routes/r?dry_run=true&dry_run=false", json, "{}", 400, "given twice"),
            ("PUT", "/routes/r", json, "", 400, "PUT /routes/r:1:1: not JSON: EOF"),
            ("PUT", "/routes/r", json, "{\n \"a\": }", 400, "PUT /routes/r:2:7: not JSON: expected value"),
            ("PUT", "/routes/r", json, "{\"a\":1,\"a\":1}", 400, "the key \"a\" is given twice"),
            ("PUT", "/routes/r", json, &deep, 400, "recursion limit"),
            ("PUT", "/routes/r", json, "{\"a\":1e999}", 400, "number out of range"),
            ("PUT", "/routes/r", "Content-Type: text/plain\r\n", "{}", 415, "application/json"),
            ("PUT", "/config", "Content-Type: application/toml\r\n", "", 415, "application/json"),
            ("PATCH", "/routes/r", "Content-Type: text/plain\r\n", "{}", 415, "application/merge-patch+json"),
            ("PUT", "/routes/r", "Content-Type: application/merge-patch+json\r\n", "{}", 415, "application/json"),
            ("PUT", "/routes/r", json, "[]", 422, "1 error in PUT /routes/r; nothing has changed"),
            ("PUT", "/routes/app", json, "{\"respond\":{}}", 409, "the route `app` is of "),
            ("DELETE", "/upstreams/app", "", "", 409, "the upstream `app` is of "),
            ("POST", "/config/rollback/18446744073709551616", "", "", 400, "Cannot parse"),
            ("GET", "/explain", "", "", 400, "url is missing"),
            ("GET", "/explain?url=/&method=get", "", "", 400, "methods are upper case: GET"),
            ("GET", "/explain?url=/&header=x", "", "", 400, "header: a colon is missing"),
            ("GET", "/latency?format=xml", "", "", 400, "format is one of"),
        ];
        for (method, path, fields, body, status, wanted) in cases {
            let shown = &path[..path.len().min(60)];
            let response = ask(&proxy.admin_address(), method, path, fields, body);
            assert_eq!(response.status, *status, "{method} {shown}: {response:?}");
            let problem = json_of(&response);
            let error = problem["error"].as_str().unwrap();
            assert!(error.contains(wanted), "{method} {shown}: {error}");
            assert!(problem["errors"].is_array());
            // The same as text.
            let fields = format!("{fields}Accept: text/plain, text/html\r\n");
            let text = ask(&proxy.admin_address(), method, path, &fields, body).expect(*status);
            assert_eq!(text.field("content-type"), Some("text/plain; charset=utf-8"));
            assert!(text.text().starts_with(error), "{method} {shown}: {}", text.text());
        }
        assert_eq!(get(&proxy, "/config"), before);
    }

    fn other_methods_are_named(driver) {
        let proxy = Setup::to_endpoints(&["127.0.0.1:9"]).start(driver);
        for (path, methods, allow) in [
            ("/routes", &["POST", "PUT", "DELETE", "PATCH", "TRACE"][..], "GET,HEAD"),
            ("/routes/r", &["POST", "OPTIONS"], "GET,HEAD,PUT,PATCH,DELETE"),
            ("/upstreams/u/endpoints/a:1", &["POST"], "GET,HEAD,PUT,PATCH,DELETE"),
            ("/config", &["POST", "DELETE", "PATCH"], "GET,HEAD,PUT"),
            ("/config/reload", &["GET", "PUT"], "POST"),
            ("/config/rollback/1", &["GET"], "POST"),
            ("/healthz", &["POST"], "GET,HEAD"),
        ] {
            for method in methods {
                let response = plain(&proxy, method, path).expect(405);
                assert_eq!(response.field("allow"), Some(allow), "{method} {path}");
                assert!(json_of(&response)["error"].is_string());
            }
        }
    }

    fn errors_of_an_object_have_pointers_and_hints(driver) {
        let proxy = Setup::to_endpoints(&["127.0.0.1:9"]).start(driver);
        let bad = json!({
            "name": "r", "upsteam": "app", "match": { "hosts": ["a b"], "path": "/x", "path_prefix": "/y" },
            "respond": { "status": 99 }, "request_headers": { "set": { "a~/b": "v", "x": "***" } },
        });
        let masked = json_of(&send(&proxy, "PUT", "/routes/r", &bad).expect(422));
        assert_eq!(masked["errors"][0]["pointer"], "/request_headers/set/x");
        let mut bad = bad;
        bad["request_headers"]["set"]["x"] = json!("v");
        let errors = json_of(&send(&proxy, "PUT", "/routes/r", &bad).expect(422));
        let errors = errors["errors"].as_array().unwrap();
        let at = |pointer: &str| errors.iter().find(|it| it["pointer"] == pointer).unwrap_or_else(|| panic!("{pointer}: {errors:#?}"));
        assert_eq!(at("/upsteam")["hint"], "did you mean `upstream`?");
        assert_eq!(at("/respond/status")["message"], "99 is out of range");
        assert_eq!(at("/match/hosts/0")["line"], json!(null));
        assert!(at("/request_headers/set/a~0~1b")["message"].is_string());
    }

    fn bodies_are_bounded(driver) {
        let proxy = Setup::to_endpoints(&["127.0.0.1:9"]).start(driver);
        let head = |path: &str, length: &str| {
            format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{length}\r\n\r\n")
        };
        // Refused for what it says, before anything of it is read.
        for (path, length, wanted) in [("/routes/r", 1_048_577, "1 MiB"), ("/config", 67_108_865, "64 MiB")] {
            let mut client = Client::connect(&proxy.admin_address());
            client.send(head(path, &format!("Content-Length: {length}")));
            assert!(client.read_response().expect(413).text().contains(wanted));
        }
        // One that does not say, when it has come so far.
        let mut client = Client::connect(&proxy.admin_address());
        client.send(head("/routes/r", "Transfer-Encoding: chunked"));
        let piece = format!("10000\r\n{}\r\n", " ".repeat(65_536));
        (0..16).for_each(|_| client.send(&piece));
        client.send("1\r\n \r\n");
        client.read_response().expect(413);
        // A large one that is allowed, and a body that a client gives up half-way.
        send(&proxy, "PUT", "/routes/large", &answers("/large", &"x".repeat(900_000))).expect(201);
        assert_eq!(proxy.get("/large").body.len(), 900_000);
        let mut client = Client::connect(&proxy.admin_address());
        client.send(head("/routes/r", "Content-Length: 100"));
        client.send("{\"respond\":");
        drop(client);
        plain(&proxy, "GET", "/routes/r").expect(404);
    }
}

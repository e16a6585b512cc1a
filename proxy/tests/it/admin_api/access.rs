//! Who may ask: tokens, unix sockets, web pages; and how many at a time.

use std::{fs, time::Duration};

use serde_json::json;

use super::{answers, ask, json_of, plain, send};
use crate::harness::{Client, Dir, Driver, Proxy, Response, Setup};

const FIRST: &str = "first-token-of-32-bytes-0123456789";
const SECOND: &str = "second-token-of-32-bytes-012345678";

/// A proxy whose admin API asks for the token in `token` of its folder.
fn guarded(driver: Driver, dir: &Dir, more: &str) -> Proxy {
    fs::write(dir.file("token"), format!("{FIRST}\n")).unwrap();
    let launch = Proxy::launch(driver);
    let toml = launch.config(&Setup::to_endpoints(&["127.0.0.1:9"]).toml());
    let token = format!("[admin]\ntoken_file = {:?}\n{more}", dir.file("token"));
    launch.start_whole(&toml.replacen("[admin]\n", &token, 1))
}

#[track_caller]
fn with(proxy: &Proxy, path: &str, token: &str) -> Response {
    ask(&proxy.admin_address(), "GET", path, &format!("Authorization: {token}\r\n"), "")
}

both_drivers! {
    fn a_token_is_asked_for(driver) {
        let dir = Dir::new();
        let proxy = guarded(driver, &dir, "");
        for path in ["/healthz", "/readyz"] {
            plain(&proxy, "GET", path).expect(200);
        }
        for path in ["/", "/metrics", "/latency", "/config", "/config/status", "/routes", "/routes/app", "/explain", "/openapi.json", "/nowhere"] {
            let refused = plain(&proxy, "GET", path).expect(401);
            assert_eq!(refused.field("www-authenticate"), Some("Bearer realm=\"ringlane\""), "{path}");
            assert!(json_of(&refused)["error"].as_str().unwrap().contains("admin.token_file"));
        }
        send(&proxy, "PUT", "/routes/r", &answers("/r", "r")).expect(401);
        plain(&proxy, "POST", "/config/reload").expect(401);
        let almost = &FIRST[..FIRST.len() - 1];
        for wrong in [
            "", "Bearer", "Bearer ", FIRST, &format!("Basic {FIRST}"), &format!("Bearer {almost}"), &format!("Bearer {FIRST}0"),
            &format!("Bearer {}", FIRST.to_uppercase()), &format!("Bearer {FIRST}\r\nAuthorization: Bearer {FIRST}"),
        ] {
            with(&proxy, "/config", wrong).expect(401);
        }
        with(&proxy, "/config", &format!("Bearer {FIRST}")).expect(200);
        with(&proxy, "/metrics", &format!("bearer  {FIRST}")).expect(200);
        // Nothing of a body that is not allowed is waited for.
        let mut client = Client::connect(&proxy.admin_address());
        client.send("PUT /config HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n");
        client.read_response().expect(401);
        let described: serde_json::Value = serde_json::from_str(&with(&proxy, "/openapi.json", &format!("Bearer {FIRST}")).text()).unwrap();
        assert_eq!(described["security"], json!([{ "token": [] }]));
        assert_eq!(described["paths"]["/healthz"]["get"]["security"], json!([]));
    }

    fn another_token_counts_at_once(driver) {
        let dir = Dir::new();
        let proxy = guarded(driver, &dir, "");
        let status = |token: &str| with(&proxy, "/config/status", &format!("Bearer {token}")).status;
        assert_eq!((status(FIRST), status(SECOND)), (200, 401));
        // In place, and by renaming as editors and Kubernetes do.
        fs::write(dir.file("token"), SECOND).unwrap();
        assert_eq!((status(FIRST), status(SECOND)), (401, 200));
        fs::write(dir.file("new"), format!("  {FIRST}\r\n")).unwrap();
        fs::rename(dir.file("new"), dir.file("token")).unwrap();
        assert_eq!((status(FIRST), status(SECOND)), (200, 401));
        // What is no token lets nobody in.
        for text in ["", "short", "two words of a text that is long enough"] {
            fs::write(dir.file("token"), text).unwrap();
            assert_eq!((status(FIRST), status(text)), (401, 401), "{text:?}");
        }
        fs::remove_file(dir.file("token")).unwrap();
        assert_eq!(status(FIRST), 401);
        proxy.await_log("nobody is let in");
        fs::write(dir.file("token"), FIRST).unwrap();
        assert_eq!(status(FIRST), 200);
    }

    fn metrics_can_be_open(driver) {
        let dir = Dir::new();
        let proxy = guarded(driver, &dir, "metrics_open = true\n");
        plain(&proxy, "GET", "/metrics").expect(200);
        plain(&proxy, "GET", "/latency").expect(401);
    }

    fn a_token_that_can_not_be_had_ends_the_start(driver) {
        let dir = Dir::new();
        let launch = Proxy::launch(driver);
        let toml = launch.config(&Setup::to_endpoints(&["127.0.0.1:9"]).toml());
        let toml = toml.replacen("[admin]\n", &format!("[admin]\ntoken_file = {:?}\n", dir.file("token")), 1);
        for (text, wanted) in [(None, "can't be read"), (Some("short"), "holds 5 bytes")] {
            text.into_iter().for_each(|text| fs::write(dir.file("token"), text).unwrap());
            let mut proxy = launch.spawn_whole(&toml);
            assert_eq!(proxy.wait_exit().code(), Some(1));
            let log = proxy.logs().join("\n");
            assert!(log.contains("admin.token_file") && log.contains(wanted), "{log}");
        }
    }

    fn others_reach_it_with_a_token_alone(driver) {
        let toml = Proxy::launch(driver).config(&Setup::to_endpoints(&["127.0.0.1:9"]).toml());
        let toml = toml.replacen("\"127.0.0.1:0\"", "\"0.0.0.0:0\"", 1);
        let mut proxy = Proxy::launch(driver).spawn_whole(&toml);
        assert_eq!(proxy.wait_exit().code(), Some(1));
        let log = proxy.logs().join("\n");
        assert!(log.contains("admin.address") && log.contains("set admin.token_file"), "{log}");
    }

    fn a_unix_socket_takes_changes(driver) {
        let dir = Dir::new();
        let toml = Proxy::launch(driver).config(&Setup::to_endpoints(&["127.0.0.1:9"]).toml());
        let toml = toml.replacen("\"127.0.0.1:0\"", &format!("{:?}", dir.unix("admin.sock")), 1);
        let proxy = Proxy::launch(driver).start_whole(&toml);
        send(&proxy, "PUT", "/routes/r", &answers("/r", "r")).expect(201);
        assert_eq!(proxy.get("/r").text(), "r");
    }

    /// A script on some page reaches loopback addresses from its reader's browser.
    fn web_pages_change_nothing(driver) {
        let proxy = Setup::to_endpoints(&["127.0.0.1:9"]).start(driver);
        let page = "Origin: http://evil.test\r\n";
        let refused = ask(&proxy.admin_address(), "POST", "/config/reload", page, "").expect(403);
        assert!(json_of(&refused)["error"].as_str().unwrap().contains("web pages"));
        ask(&proxy.admin_address(), "DELETE", "/routes/r", page, "").expect(403);
        ask(&proxy.admin_address(), "GET", "/healthz", page, "").expect(200);
    }

    /// Whoever opens connections and says nothing keeps others waiting at most, and the proxy's own clients not at all.
    fn connections_are_bounded(driver) {
        let proxy = Setup::to_endpoints(&["127.0.0.1:9"]).route("match = { path = \"/none\" }").start(driver);
        plain(&proxy, "GET", "/healthz").expect(200);
        let mut idle: Vec<_> = (0..64).map(|_| Client::connect(&proxy.admin_address())).collect();
        idle.iter_mut().for_each(|it| it.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"));
        idle.iter_mut().for_each(|it| drop(it.read_response().expect(200)));
        let mut late = Client::connect(&proxy.admin_address());
        late.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(!late.stirs(Duration::from_millis(300)), "there is a seat for it");
        proxy.get("/").expect(404);
        idle.pop();
        late.read_response().expect(200);
    }
}

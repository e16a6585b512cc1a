//! A proxy that follows etcd: what etcd holds is what is served.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Etcd;
use crate::harness::{Client, Driver, Proxy, eventually, replies::get};

/// A config that adds `more`, follows `etcd` and has a route of its own.
fn config(etcd: &Etcd, more: &str) -> String {
    let snapshot = etcd.file("snapshot.json");
    format!(
        "[etcd]\nendpoints = [{:?}]\nsnapshot = {:?}\ntimeouts = {{ start = \"1s\" }}\n{more}\
         [[listeners]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n\
         [[routes]]\nname = \"file\"\nmatch = {{ path = \"/file\" }}\nrespond = {{ body = \"file\" }}\n",
        etcd.endpoint(),
        snapshot.display().to_string()
    )
}

/// A route that answers by itself.
fn answers(path: &str, body: &str) -> String {
    format!(r#"{{"match": {{"path": "{path}"}}, "respond": {{"body": "{body}"}}}}"#)
}

fn ask(client: &mut Client, path: &str) -> (u16, String) {
    client.send(get(path));
    let response = client.read_response();
    (response.status, response.text())
}

/// Waits until `path` is answered so, on one connection that must not be closed.
#[track_caller]
fn becomes(proxy: &Proxy, path: &str, wanted: (u16, &str)) {
    let mut client = proxy.connect();
    eventually(&format!("{path} is answered {wanted:?}"), || {
        let (status, text) = ask(&mut client, path);
        status == wanted.0 && (wanted.1.is_empty() || text == wanted.1)
    });
}

both_drivers! {
    fn routes_come_change_and_go(driver) {
        let Some(etcd) = Etcd::start() else { return };
        etcd.put("/ringlane/routes/first", &answers("/first", "1"));
        let proxy = Proxy::start(driver, &config(&etcd, ""));
        becomes(&proxy, "/first", (200, "1"));
        becomes(&proxy, "/file", (200, "file"));
        proxy.await_metric("ringlane_etcd_connected", "", 1);
        etcd.put("/ringlane/routes/first", &answers("/first", "2"));
        becomes(&proxy, "/first", (200, "2"));
        etcd.delete("/ringlane/routes/first");
        becomes(&proxy, "/first", (404, ""));
        // A route may come before its upstream.
        etcd.put("/ringlane/routes/late", r#"{"match": {"path": "/late"}, "upstream": "late"}"#);
        proxy.await_log("etcd /ringlane/routes/late: it can't be used");
        proxy.await_metric("ringlane_etcd_keys_unusable", "", 1);
        etcd.put("/ringlane/upstreams/late", r#"{"endpoints": ["127.0.0.1:9"]}"#);
        becomes(&proxy, "/late", (502, ""));
        proxy.await_metric("ringlane_etcd_keys_unusable", "", 0);
    }

    fn what_is_bad_is_named_by_its_key_and_ignored(driver) {
        let Some(etcd) = Etcd::start() else { return };
        etcd.put("/ringlane/routes/a", &answers("/a", "1"));
        let proxy = Proxy::start(driver, &config(&etcd, ""));
        etcd.put("/ringlane/routes/a", "{");
        proxy.await_log("etcd /ringlane/routes/a");
        etcd.put("/ringlane/routes/b", r#"{"match": {"paht": "/b"}, "respond": {}}"#);
        proxy.await_log("etcd /ringlane/routes/b: it can't be used: etcd /ringlane/routes/b: /match/paht: unknown key");
        etcd.put("/ringlane/routes/file", &answers("/c", "c"));
        proxy.await_log("the route `file` is of");
        etcd.put("/ringlane/routes/d", &answers("/d", "d"));
        becomes(&proxy, "/d", (200, "d"));
        becomes(&proxy, "/a", (200, "1"));
        becomes(&proxy, "/file", (200, "file"));
        let status = proxy.admin_get("/config/status").text();
        for key in ["/ringlane/routes/a", "/ringlane/routes/b", "/ringlane/routes/file"] {
            assert!(status.contains(key), "{key}: {status}");
        }
    }

    fn etcd_goes_and_comes_back(driver) {
        let Some(mut etcd) = Etcd::start() else { return };
        etcd.put("/ringlane/routes/a", &answers("/a", "1"));
        let mut proxy = Proxy::start(driver, &config(&etcd, ""));
        becomes(&proxy, "/a", (200, "1"));
        proxy.await_metric("ringlane_etcd_connected", "", 1);
        etcd.kill();
        proxy.await_log("the last state stays");
        becomes(&proxy, "/a", (200, "1"));
        // A start without etcd serves what was known.
        proxy.signal(libc::SIGTERM);
        assert!(proxy.wait_exit().success());
        let proxy = Proxy::start(driver, &config(&etcd, ""));
        proxy.await_log("from the snapshot of revision");
        becomes(&proxy, "/a", (200, "1"));
        etcd.restart();
        proxy.await_metric("ringlane_etcd_connected", "", 1);
        etcd.put("/ringlane/routes/a", &answers("/a", "2"));
        becomes(&proxy, "/a", (200, "2"));
    }

    /// Nobody who asks meanwhile is answered wrongly, or loses the connection.
    fn a_thousand_changes_in_a_burst(driver) {
        let Some(etcd) = Etcd::start() else { return };
        etcd.put("/ringlane/routes/r0", &answers("/r0", "0"));
        let pace = "[control]\nrebuild_min_interval = \"20ms\"\n";
        let proxy = Proxy::launch(driver).watching().start(&config(&etcd, pace));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let mut client = proxy.connect();
                let mut asked = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(ask(&mut client, "/file"), (200, "file".to_owned()));
                    asked += 1;
                }
                asked
            });
            let value = |n: u32| {
                let (name, body) = (n % 100, n.to_string());
                (format!("/ringlane/routes/r{name}"), answers(&format!("/r{name}"), &body).into_bytes())
            };
            etcd.put_all((1..=1000).map(value));
            becomes(&proxy, "/r0", (200, "1000"));
            becomes(&proxy, "/r99", (200, "999"));
            over.store(true, Ordering::Relaxed);
            assert!(asking.join().unwrap() > 0);
        });
        let builds = proxy.metric("ringlane_table_builds_total", "");
        assert!(builds < 1000, "{builds} tables for 1,000 changes");
    }
}

#[test]
fn a_whole_config_may_live_in_etcd() {
    let Some(etcd) = Etcd::start() else { return };
    let config = config(&etcd, "");
    let own = config.find("[[routes]]").unwrap();
    // No warning of a config without routes, and none of an upstream that nobody uses yet.
    let proxy = Proxy::start(Driver::Epoll, &config[..own]);
    assert!(!proxy.logs().iter().any(|line| line.contains("no routes")), "{:#?}", proxy.logs());
    becomes(&proxy, "/", (404, ""));
    etcd.put("/ringlane/routes/all", r#"{"respond": {"body": "all"}}"#);
    becomes(&proxy, "/", (200, "all"));
}

//! Checks of endpoints. The control thread makes them, whatever the workers' driver.

use std::{
    os::{fd::OwnedFd, unix::net::UnixListener},
    thread,
};

use super::{LOG, Site, await_state, endpoint, shown, terminations, to};
use crate::harness::{Dir, Driver, Origin, Setup, Wire, eventually, replies::OK};

/// A check each second: long enough for a busy machine to answer one.
const QUICK: &str = "interval = \"1s\", timeout = \"900ms\", rise = 1, fall = 1";

fn checked(setup: Setup, more: &str) -> Setup {
    setup.upstream(&format!("health = {{ {QUICK}, {more} }}"))
}

#[test]
fn what_an_endpoint_answers_decides() {
    let site = Site::new();
    site.say("all is fine");
    let more = "path = \"/up\", host = \"Check.Me:81\", status = [200, 299], body = \"is fine\"";
    let proxy = checked(to(&[&site]), more).start(Driver::Epoll);
    let up = await_state(&proxy, 0, "up");
    assert_eq!((&up["share"], &up["why"]), (&1000.into(), &"".into()));
    assert!(up["since"].as_str().is_some_and(|it| it.starts_with("20")), "{up}");
    let check = site.requests().remove(0);
    assert_eq!((check.method(), check.target()), ("GET", "/up"));
    assert_eq!((check.field("host"), check.field("connection")), (Some("check.me:81"), Some("close")));

    site.answer_checks(503);
    let failing = await_state(&proxy, 0, "failing");
    assert_eq!((&failing["share"], &failing["why"]), (&0.into(), &"check: status 503".into()));
    site.answer_checks(299);
    await_state(&proxy, 0, "up");
    site.say("nothing is right");
    let failing = await_state(&proxy, 0, "failing");
    assert_eq!(failing["why"], "check: \"is fine\" is not in its body");
    // What is looked for may come late, but not too late.
    site.say(&format!("{}is fine", "x".repeat(60_000)));
    await_state(&proxy, 0, "up");
    site.say(&format!("{}is fine", "x".repeat(70_000)));
    let failing = await_state(&proxy, 0, "failing");
    assert_eq!(failing["why"], "check: \"is fine\" is not in the first 65536 bytes of its body");
    proxy.await_log("is failing: check: status 503");
    assert!(proxy.metric("ringlane_health_checks_total", "result=\"failed\"") >= 3);
    assert_eq!(proxy.metric("ringlane_endpoints", "state=\"failing\""), 1);
    assert_eq!(proxy.metric("ringlane_endpoints", "state=\"up\""), 0);
}

#[test]
fn a_connection_is_enough_for_a_tcp_check() {
    let mut site = Site::new();
    site.answer(500);
    let proxy = checked(to(&[&site]), "type = \"tcp\"").start(Driver::Epoll);
    await_state(&proxy, 0, "up");
    site.die();
    let failing = await_state(&proxy, 0, "failing");
    assert!(failing["why"].as_str().unwrap().starts_with("check: can't connect: "), "{failing}");
    site.revive();
    await_state(&proxy, 0, "up");
}

/// As every connection to such an endpoint; the connection is nobody's but the proxy's own.
#[test]
fn a_check_begins_with_a_proxy_header_where_the_upstream_wants_one() {
    let local: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for (version, header) in [("v1", b"PROXY UNKNOWN\r\n".as_slice()), ("v2", local)] {
        for kind in ["type = \"tcp\"", "path = \"/up\""] {
            let origin = Origin::manual();
            let setup = Setup::to(&origin).upstream(&format!("proxy_protocol = \"{version}\""));
            let proxy = checked(setup, kind).start(Driver::Epoll);
            let mut check = origin.accept();
            assert_eq!(check.read_exact(header.len()), header, "{version}, {kind}");
            if kind.starts_with("path") {
                assert_eq!(check.read_request().target(), "/up");
                check.send(OK);
            }
            await_state(&proxy, 0, "up");
        }
    }
}

#[test]
fn unix_sockets_are_checked_too() {
    let dir = Dir::new();
    let proxy = checked(Setup::to_endpoints(&[&dir.unix("app.sock")]), "path = \"/up\"").start(Driver::Epoll);
    await_state(&proxy, 0, "failing");
    let listener = UnixListener::bind(dir.file("app.sock")).unwrap();
    let serving = thread::spawn(move || {
        let mut wire = Wire::new(OwnedFd::from(listener.accept().unwrap().0).into());
        let request = wire.read_request();
        wire.send(OK);
        request.field("host").map(str::to_owned)
    });
    await_state(&proxy, 0, "up");
    assert_eq!(serving.join().unwrap().as_deref(), Some("localhost"));
}

#[test]
fn an_endpoint_that_does_not_answer_fails() {
    let origin = Origin::manual();
    let proxy = checked(Setup::to(&origin), "path = \"/up\"").start(Driver::Epoll);
    let held = origin.accept();
    let failing = await_state(&proxy, 0, "failing");
    assert_eq!(failing["why"], "check: no answer within 900ms");
    drop(held);
}

#[test]
fn so_many_in_a_row_decide() {
    let answer = |it: char| if it == '+' { OK } else { "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n" };
    let answers: Vec<&str> = "+-+--+-++".chars().map(answer).collect();
    let origin = Origin::replies(&answers);
    let rates = "interval = \"1s\", timeout = \"900ms\", rise = 2, fall = 2";
    let proxy = Setup::to(&origin).upstream(&format!("health = {{ {rates} }}")).start(Driver::Epoll);
    proxy.await_log("is failing");
    assert!(origin.requests().len() >= 5, "{}", origin.requests().len());
    proxy.await_log("is up");
    assert!(origin.requests().len() >= 9, "{}", origin.requests().len());
}

#[test]
fn with_none_left_all_are_tried_or_none_is() {
    let sites = [Site::new(), Site::new()];
    sites.iter().for_each(|it| it.answer_checks(503));
    let setup = checked(to(&[&sites[0], &sites[1]]), "path = \"/up\"").and(LOG);
    let proxy = setup.start(Driver::Epoll);
    (0..2).for_each(|nth| drop(await_state(&proxy, nth, "failing")));
    (0..2).for_each(|_| drop(proxy.get("/").expect(200)));
    assert_eq!((sites[0].served(), sites[1].served()), (1, 1));
    assert_eq!(terminations(&proxy, 2), ["--", "--"]);

    let proxy = setup.upstream("when_unhealthy = \"fail\"").start(Driver::Epoll);
    (0..2).for_each(|nth| drop(await_state(&proxy, nth, "failing")));
    let refused = proxy.get("/").expect(503);
    assert_eq!(refused.field("retry-after"), Some("1"));
    assert_eq!(refused.text(), "503 Service Unavailable: no endpoint of the upstream is healthy\n");
    assert_eq!(terminations(&proxy, 1), ["UE"]);
    assert_eq!(proxy.metric("ringlane_upstream_refused_total", "reason=\"unhealthy\""), 1);
    assert_eq!((sites[0].served(), sites[1].served()), (1, 1));
    // One is enough, and it alone is used.
    sites[1].answer_checks(200);
    await_state(&proxy, 1, "up");
    (0..3).for_each(|_| drop(proxy.get("/").expect(200)));
    assert_eq!((sites[0].served(), sites[1].served()), (1, 4));
}

#[test]
fn checks_follow_the_endpoints() {
    let (old, new) = (Site::new(), Site::new());
    let proxy = checked(to(&[&old]), "path = \"/up\"").start(Driver::Epoll);
    await_state(&proxy, 0, "up");
    super::reload(&proxy, &checked(to(&[&new]), "path = \"/up\"").toml(), 1);
    await_state(&proxy, 0, "up");
    assert_eq!(endpoint(&proxy, 0)["address"], new.address());
    assert_eq!(shown(&proxy)["endpoints"].as_array().unwrap().len(), 1);
    // The old one has been asked for the last time: its checks have ended with it.
    let (of_old, of_new) = (old.requests().len(), new.requests().len());
    eventually("two checks more", || new.requests().len() >= of_new + 2);
    assert!(old.requests().len() <= of_old + 1, "{} after {of_old}", old.requests().len());
    // Without checks nobody is asked.
    super::reload(&proxy, &to(&[&new]).toml(), 2);
    assert_eq!(endpoint(&proxy, 0)["state"], "unwatched");
}

//! Endpoints that workers find failing are taken out of use.

use serde_json::{Value, json};

use super::{Site, ask_all, asking_until, await_state, endpoint, reload, to};
use crate::harness::{Client, Origin, Proxy, Setup, eventually, replies::OK};

/// So many clients.
fn clients(proxy: &Proxy, count: usize) -> Vec<Client> {
    (0..count).map(|_| proxy.connect()).collect()
}

/// The states of all endpoints.
fn states(proxy: &Proxy) -> Vec<Value> {
    let shown = super::shown(proxy);
    shown["endpoints"].as_array().unwrap().iter().map(|it| it["state"].clone()).collect()
}

both_drivers! {
    fn one_that_dies_is_ejected_and_comes_back(driver) {
        let (mut mortal, other) = (Site::new(), Site::new());
        let ejection = "ejection = { consecutive_failures = 3, time = \"300ms\" }";
        // What is just being asked when it dies is asked again.
        let proxy = to(&[&mortal, &other]).upstream(ejection).upstream("retries = {}").start(driver);
        let mut clients = clients(&proxy, 4);
        for _ in 0..5 {
            ask_all(&mut clients, Some(200));
        }
        assert!(mortal.served() > 0 && other.served() > 0);
        mortal.die();
        // Nobody notices: a connection that is not taken is tried with the other endpoint.
        asking_until(&mut clients, "it is ejected", Some(200), || endpoint(&proxy, 0)["state"] == "ejected");
        // As many as there were by the time that somebody looked.
        proxy.await_log("failures in a row; for 300ms");
        mortal.revive();
        let before = mortal.served();
        asking_until(&mut clients, "it is used again", Some(200), || mortal.served() > before);
        // It comes back for good.
        asking_until(&mut clients, "it is up", Some(200), || endpoint(&proxy, 0)["state"] == "up");
        assert!(proxy.metric("ringlane_ejections_total", "result=\"made\"") >= 1);
        assert_eq!(endpoint(&proxy, 1)["state"], "up");
    }

    fn one_that_is_ejected_gets_nothing_also_after_reloads(driver) {
        let (broken, other) = (Site::new(), Site::new());
        broken.answer(500);
        let plain = || to(&[&broken, &other]);
        let setup = || plain().upstream("ejection = { time = \"5m\" }");
        let proxy = setup().workers(2).start(driver);
        let mut asking = clients(&proxy, 4);
        asking_until(&mut asking, "it is ejected", None, || endpoint(&proxy, 0)["state"] == "ejected");
        let ejected = endpoint(&proxy, 0);
        assert!(ejected["why"].as_str().unwrap().ends_with(" failures in a row; for 5m"), "{ejected}");
        assert_eq!((&ejected["share"], &ejected["weight"]), (&json!(0), &json!(1)));
        let before = broken.served();
        assert!(before >= 5, "{before}");
        let gets_nothing = |asking: &mut [Client]| {
            for _ in 0..10 {
                ask_all(asking, Some(200));
            }
            assert_eq!(broken.served(), before);
        };
        gets_nothing(&mut asking);
        assert_eq!(proxy.metric("ringlane_endpoints", "state=\"ejected\""), 1);
        // Another table, and another again: of the upstream, and of its pool's bounds.
        let more = "[[routes]]\nname = \"more\"\nmatch = { path = \"/more\" }\nrespond = {}";
        reload(&proxy, &setup().and(more).toml(), 1);
        gets_nothing(&mut asking);
        reload(&proxy, &setup().upstream("pool = { max_idle = 100 }").toml(), 2);
        gets_nothing(&mut asking);
        assert_eq!(endpoint(&proxy, 0), ejected);
        assert_eq!(proxy.metric("ringlane_ejections_total", "result=\"made\""), 1);
        // It is listed with its upstream as well.
        let listed: Value = serde_json::from_str(&proxy.admin_get("/upstreams").expect(200).text()).unwrap();
        assert_eq!(listed["upstreams"][0]["health"]["endpoints"][0], ejected);
        // Nobody ejects any more: it is used as any other.
        reload(&proxy, &plain().toml(), 3);
        assert_eq!((&endpoint(&proxy, 0)["state"], &endpoint(&proxy, 0)["share"]), (&json!("unwatched"), &json!(1000)));
        ask_all(&mut asking, None);
        ask_all(&mut asking, None);
        assert!(broken.served() > before);
    }

    fn no_more_than_half_are_ejected(driver) {
        let sites: Vec<Site> = (0..4).map(|_| Site::new()).collect();
        sites.iter().for_each(|it| it.answer(503));
        let all: Vec<&Site> = sites.iter().collect();
        let proxy = to(&all).upstream("ejection = { consecutive_failures = 2, time = \"5m\" }").start(driver);
        let mut clients = clients(&proxy, 4);
        asking_until(&mut clients, "all are to be ejected", Some(503), || {
            proxy.metric("ringlane_ejections_total", "result=\"withheld\"") >= 2
        });
        let ejected = states(&proxy).iter().filter(|it| **it == "ejected").count();
        assert_eq!((ejected, proxy.metric("ringlane_ejections_total", "result=\"made\"")), (2, 2));
    }

    fn one_that_never_answers_is_ejected(driver) {
        let (silent, other) = (Origin::manual(), Origin::replies(&[OK]));
        let proxy = Setup::to_endpoints(&[&silent.address(), &other.address()])
            .upstream("timeouts.response_head = \"100ms\"")
            .upstream("ejection = { consecutive_failures = 2, time = \"5m\" }")
            .start(driver);
        let mut late = 0;
        eventually("it is ejected", || {
            late += usize::from(proxy.get("/").status == 504);
            endpoint(&proxy, 0)["state"] == "ejected"
        });
        assert!(late >= 2, "{late}");
        (0..4).for_each(|_| drop(proxy.get("/").expect(200)));
    }

    fn one_that_is_back_begins_with_a_small_share(driver) {
        let (broken, other) = (Site::new(), Site::new());
        broken.answer(500);
        let proxy = to(&[&broken, &other])
            .upstream("ejection = { consecutive_failures = 2, time = \"100ms\" }\nslow_start = \"1h\"")
            .start(driver);
        let mut clients = clients(&proxy, 2);
        asking_until(&mut clients, "it is ejected", None, || {
            proxy.metric("ringlane_ejections_total", "result=\"made\"") == 1
        });
        let back = await_state(&proxy, 0, "slow_start");
        assert_eq!(back["share"], 100);
        assert_eq!(proxy.metric("ringlane_endpoints", "state=\"slow_start\""), 1);
    }

    /// Of three, one answers after 150 ms and the others at once. One of those may be slow for once on a busy machine, and is
    /// soon back.
    fn one_that_is_slower_than_its_peers_is_ejected(driver) {
        let (slow, quick) = (Slow::start(), [Site::new(), Site::new()]);
        let proxy = Setup::to_endpoints(&[&quick[0].address(), &slow.address(), &quick[1].address()])
            .upstream("ejection = { consecutive_failures = \"off\", latency_factor = 3, min_requests = 5, window = \"1s\", time = \"1s\" }")
            .start(driver);
        let mut clients = clients(&proxy, 6);
        asking_until(&mut clients, "it is ejected", Some(200), || endpoint(&proxy, 1)["state"] == "ejected");
        let why = endpoint(&proxy, 1)["why"].as_str().unwrap().to_owned();
        assert!(why.starts_with("p99 ") && why.contains(" ms, of its peers "), "{why}");
    }
}

/// An origin that takes its time.
struct Slow;

impl Slow {
    fn start() -> Origin {
        Origin::serve(|mut wire| {
            let (_never, pause) = std::sync::mpsc::channel::<()>();
            while wire.try_read_request().is_some() {
                let _ = pause.recv_timeout(std::time::Duration::from_millis(150));
                if !wire.try_send(OK) {
                    return;
                }
            }
        })
    }
}

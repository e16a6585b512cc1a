//! Circuit breakers: open, half open, closed; and how many requests may be under way.

use serde_json::Value;

use super::{LOG, Site, ask_all, reload, shown, terminations, to};
use crate::harness::{
    Origin, Proxy, Setup, eventually,
    replies::{GET, OK},
};

const BREAKER: &str = "breaker = { min_requests = 4, open = \"1s\", probes = 2 }";

/// What is shown of the breaker.
fn breaker(proxy: &Proxy) -> Value {
    shown(proxy)["breaker"].clone()
}

#[track_caller]
fn await_breaker(proxy: &Proxy, state: &str) {
    eventually(state, || breaker(proxy)["state"] == state);
}

both_drivers! {
    fn it_opens_is_probed_and_closes(driver) {
        let site = Site::new();
        let proxy = to(&[&site]).upstream(BREAKER).workers(2).start(driver);
        let mut clients: Vec<_> = (0..5).map(|_| proxy.connect()).collect();
        assert_eq!(breaker(&proxy)["state"], "closed");
        // Nothing has failed so far.
        ask_all(&mut clients, Some(200));
        site.answer(500);
        eventually("it opens", || {
            ask_all(&mut clients, None);
            breaker(&proxy)["state"] == "open"
        });
        assert!(breaker(&proxy)["why"].as_str().unwrap().contains("tries failed"), "{}", breaker(&proxy));
        proxy.await_log("its circuit is open: ");
        // It fails again when it is tried, by one probe.
        await_breaker(&proxy, "half_open");
        let before = site.served();
        assert_eq!(clients[0].ask(GET).expect(500).field("retry-after"), None);
        assert_eq!(site.served(), before + 1);
        eventually("it is open again", || proxy.metric("ringlane_breaker_opens_total", "") == 2);
        // Mended, it is given two requests and no more until they have succeeded.
        site.answer(200);
        let gate = site.hold();
        await_breaker(&proxy, "half_open");
        let before = site.served();
        for (nth, client) in clients[..2].iter_mut().enumerate() {
            client.send(GET);
            eventually("a probe comes", || site.served() == before + nth + 1);
        }
        ask_all(&mut clients[2..], Some(503));
        assert_eq!(site.served(), before + 2);
        gate.open();
        clients[..2].iter_mut().for_each(|it| drop(it.read_response().expect(200)));
        await_breaker(&proxy, "closed");
        ask_all(&mut clients, Some(200));
        assert_eq!(proxy.metric("ringlane_breakers", "state=\"closed\""), 1);
    }

    fn who_is_refused_is_told_for_how_long(driver) {
        let site = Site::new();
        site.answer(502);
        let more = "breaker = { min_requests = 1, open = \"5m\" }";
        let proxy = to(&[&site]).upstream(more).and(LOG).start(driver);
        proxy.get("/").expect(502);
        await_breaker(&proxy, "open");
        let refused = proxy.get("/").expect(503);
        let seconds: u32 = refused.field("retry-after").unwrap().parse().unwrap();
        assert!((200..=300).contains(&seconds), "{seconds}");
        assert_eq!(refused.text(), "503 Service Unavailable: the upstream fails, and is left alone for a while\n");
        assert_eq!(terminations(&proxy, 2), ["--", "UO"]);
        assert_eq!(proxy.metric("ringlane_upstream_refused_total", "reason=\"circuit_open\""), 1);
        assert_eq!(site.served(), 1);
        // The circuit stays open when the config is read again.
        reload(&proxy, &to(&[&site]).upstream(more).upstream("pool = { max_idle = 9 }").and(LOG).toml(), 1);
        proxy.get("/").expect(503);
        // Without a breaker there is none.
        reload(&proxy, &to(&[&site]).and(LOG).toml(), 2);
        proxy.get("/").expect(502);
        assert_eq!(breaker(&proxy), Value::Null);
    }

    /// What fails is not made to fail twice: a probe is one try, whatever retries there are.
    fn a_probe_is_one_try(driver) {
        let sites = [Site::new(), Site::new()];
        sites.iter().for_each(|it| it.answer(503));
        let retries = "retries.max = 1\nretries.backoff = \"0s\"\nretries.backoff_max = \"0s\"\nretries.header = true";
        let proxy = to(&[&sites[0], &sites[1]])
            .upstream("breaker = { min_requests = 1, open = \"100ms\", probes = 1 }")
            .upstream(retries)
            .start(driver);
        let served = || sites.iter().map(Site::served).sum::<usize>();
        assert_eq!((proxy.get("/").expect(503).field("x-ringlane-attempts"), served()), (Some("2"), 2));
        await_breaker(&proxy, "half_open");
        assert_eq!((proxy.get("/").expect(503).field("x-ringlane-attempts"), served()), (Some("1"), 3));
    }

    /// A client that leaves says nothing of the upstream: another probe may be made.
    fn a_probe_whose_client_leaves_is_made_again(driver) {
        let site = Site::new();
        site.answer(500);
        let proxy =
            to(&[&site]).upstream("breaker = { min_requests = 1, open = \"100ms\", probes = 1 }").start(driver);
        proxy.get("/").expect(500);
        await_breaker(&proxy, "half_open");
        site.answer(200);
        let gate = site.hold();
        let before = site.served();
        let leaves = proxy.asking(GET);
        eventually("a probe comes", || site.served() == before + 1);
        proxy.get("/").expect(503);
        drop(leaves);
        proxy.await_metric("ringlane_client_aborts_total", "", 1);
        assert_eq!(breaker(&proxy)["state"], "half_open");
        let mut stays = proxy.asking(GET);
        eventually("another probe comes", || site.served() == before + 2);
        gate.open();
        stays.read_response().expect(200);
        await_breaker(&proxy, "closed");
    }

    fn so_many_requests_may_be_under_way(driver) {
        let origin = Origin::manual();
        let proxy =
            Setup::to(&origin).upstream("breaker = { failure_rate = \"off\", max_requests = 2 }").and(LOG).start(driver);
        let (mut one, mut of_one) = proxy.under_way(&origin, GET);
        let (_two, _of_two) = proxy.under_way(&origin, GET);
        let refused = proxy.get("/").expect(503);
        assert_eq!(refused.text(), "503 Service Unavailable: too many requests to the upstream are under way\n");
        assert_eq!(terminations(&proxy, 1), ["US"]);
        assert_eq!(proxy.metric("ringlane_upstream_refused_total", "reason=\"max_requests\""), 1);
        // There is room for another when one has ended.
        of_one.send(OK);
        one.read_response().expect(200);
        one.send(GET);
        of_one.read_request();
        of_one.send(OK);
        one.read_response().expect(200);
    }
}

//! `/latency` says how much an upstream had to do at a time, and what pool that asks for. What is known of it comes from what
//! the origin holds back, never from a clock.

use std::fs;

use serde_json::Value;

use crate::harness::{
    Origin, Proxy, Setup, eventually,
    replies::{GET, OK},
};

/// What is said of the upstream `app`; null: nothing.
#[track_caller]
fn flow(proxy: &Proxy) -> Value {
    let text = proxy.admin_get("/latency?format=json").expect(200).text();
    serde_json::from_str::<Value>(&text).unwrap()["upstreams"]["app"].clone()
}

#[track_caller]
fn number(flow: &Value, key: &str) -> f64 {
    flow[key].as_f64().unwrap_or_else(|| panic!("no {key}: {flow}"))
}

/// Exchanges that have ended.
fn ended(flow: &Value) -> u64 {
    (number(flow, "rate_per_second") * number(flow, "window_us") / 1e6).round() as u64
}

both_drivers! {
    fn what_is_in_flight_and_for_how_long(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("pool.max_connections = 100").start(driver);
        assert_eq!(flow(&proxy), Value::Null);
        let mut under_way: Vec<_> = (0..8).map(|_| proxy.under_way(&origin, GET)).collect();
        let mut now = Value::Null;
        eventually("there were eight for most of the time", || {
            now = flow(&proxy);
            number(&now, "mean_in_flight") > 6.0
        });
        assert!(number(&now, "mean_in_flight") <= 8.0, "{now}");
        assert_eq!((&now["peak_in_flight"], &now["latency_us"], ended(&now)), (&8.into(), &Value::Null, 0));
        assert_eq!((&now["suggested_max_connections"], &now["max_connections"]), (&12.into(), &100.into()));
        for (client, upstream) in &mut under_way {
            upstream.send(OK);
            client.read_response().expect(200);
        }
        eventually("all have ended", || {
            now = flow(&proxy);
            ended(&now) == 8
        });
        // Little's law, of which all three are known now.
        let (rate, latency) = (number(&now, "rate_per_second"), number(&now, "latency_us") / 1e6);
        let in_flight = number(&now, "mean_in_flight");
        assert!((in_flight / (rate * latency) - 1.0).abs() < 0.01, "{now}");
        let text = proxy.admin_get("/latency").expect(200).text();
        let row = text.lines().find(|line| line.starts_with("app ") && line.contains("/s")).unwrap();
        let words: Vec<_> = row.split_whitespace().rev().collect();
        assert_eq!(words[..3], ["100", "12", "8"], "{text}");
    }

    fn one_after_the_other_is_one_at_a_time(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        let mut client = proxy.connect();
        for _ in 0..50 {
            client.ask(GET).expect(200);
        }
        let mut now = Value::Null;
        eventually("all are counted", || {
            now = flow(&proxy);
            !now.is_null() && ended(&now) == 50
        });
        assert_eq!((&now["peak_in_flight"], &now["suggested_max_connections"]), (&1.into(), &2.into()));
        assert!((0.0..=1.0).contains(&number(&now, "mean_in_flight")), "{now}");
    }

    /// It is what the pool would have to hold that counts, not what it holds.
    fn who_waits_in_line_is_in_flight(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).upstream("pool.max_connections = 1").start(driver);
        let _first = proxy.under_way(&origin, GET);
        let _others: Vec<_> = (0..5).map(|_| proxy.asking(GET)).collect();
        proxy.await_metric("ringlane_queue_length", "", 5);
        let now = flow(&proxy);
        let said = (&now["peak_in_flight"], &now["suggested_max_connections"], &now["max_connections"]);
        assert_eq!(said, (&6.into(), &9.into(), &1.into()));
    }

    /// Each worker has the same part of a pool, so the busiest one decides.
    fn the_busiest_worker_decides(driver) {
        let origin = Origin::manual();
        let proxy = Setup::to(&origin).workers(2).start(driver);
        let _under_way: Vec<_> = (0..8).map(|_| proxy.under_way(&origin, GET)).collect();
        let now = flow(&proxy);
        assert_eq!(now["peak_in_flight"], 8);
        let suggested = now["suggested_max_connections"].as_u64().unwrap();
        assert!((12..=24).contains(&suggested) && suggested.is_multiple_of(2), "{now}");
    }

    fn what_the_config_has_no_more_is_not_told(driver) {
        let origin = Origin::replies(&[OK]);
        let proxy = Setup::to(&origin).start(driver);
        proxy.get("/").expect(200);
        eventually("it is there", || !flow(&proxy).is_null());
        let path = proxy.dir().join("ringlane.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"app\"", "\"other\"")).unwrap();
        proxy.signal(libc::SIGHUP);
        proxy.await_metric("ringlane_config_generation", "", 2);
        eventually("it is gone", || flow(&proxy).is_null());
    }
}

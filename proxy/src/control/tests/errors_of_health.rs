//! What is said about checks, ejection and breakers that are wrong, and what good ones become.

use std::time::Duration;

use super::{check, good};
use crate::upstream::{
    circuit::BreakerSettings,
    health::{Checks, Ejection, HealthSettings, Probe, WhenUnhealthy},
};

/// A config whose upstream has these lines more, from line 7 on.
fn upstream(lines: &str) -> String {
    format!(
        "listeners = [{{ name = \"web\", address = \"127.0.0.1:80\" }}]\n\
         runtime = {{ workers = 4 }}\n\
         routes = [{{ name = \"r\", upstream = \"app\" }}]\n\
         [[upstreams]]\nname = \"app\"\nendpoints = [\"127.0.0.1:1\"]\n{lines}\n"
    )
}

/// The health and the breaker that `lines` become.
#[track_caller]
fn read(lines: &str) -> (Option<HealthSettings>, Option<BreakerSettings>) {
    let config = good(&upstream(lines));
    let upstream = &config.upstreams[0];
    (upstream.health.as_deref().cloned(), upstream.breaker.clone())
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn nothing_is_watched_unless_it_is_said() {
    assert_eq!(read(""), (None, None));
}

#[test]
fn defaults() {
    let (health, breaker) = read("health = {}\nejection = {}\nbreaker = {}");
    let probe = Probe::Http { path: "/".into(), host: None, status: [200].into(), body: None };
    let checks =
        Checks { probe, interval: 5 * SECOND, jitter_permille: 100, timeout: 2 * SECOND, rise: 2, fall: 3 };
    let ejection = Ejection {
        consecutive_failures: Some(5),
        failure_permille: None,
        min_requests: 20,
        latency_permille: None,
        window: 10 * SECOND,
        time: 30 * SECOND,
        time_max: 300 * SECOND,
        max_percent: 50,
    };
    let (slow_start, when_unhealthy) = (None, WhenUnhealthy::TryAll);
    let (checks, ejection) = (Some(checks), Some(ejection));
    assert_eq!(health, Some(HealthSettings { checks, ejection, slow_start, when_unhealthy }));
    let wanted = BreakerSettings {
        failure_permille: Some(500),
        min_requests: 20,
        window: 10 * SECOND,
        max_requests: None,
        open: 5 * SECOND,
        probes: 3,
    };
    assert_eq!(breaker, Some(wanted));
}

#[test]
fn values_that_are_written() {
    let (health, breaker) = read(
        "slow_start = \"20s\"\nwhen_unhealthy = \"fail\"\n\
         health = { path = \"/up?deep=1\", host = \"App:81\", status = [200, 204], body = \"fine\", jitter = 0 }\n\
         ejection = { consecutive_failures = \"off\", failure_rate = 0.25, latency_factor = 3 }\n\
         breaker = { failure_rate = \"off\", max_requests = 4 }",
    );
    let health = health.unwrap();
    assert_eq!((health.slow_start, health.when_unhealthy), (Some(20 * SECOND), WhenUnhealthy::Fail));
    let checks = health.checks.unwrap();
    let (host, body) = (Some("app:81".into()), Some("fine".into()));
    assert_eq!(
        checks.probe,
        Probe::Http { path: "/up?deep=1".into(), host, status: [200, 204].into(), body }
    );
    assert_eq!(checks.jitter_permille, 0);
    let ejection = health.ejection.unwrap();
    assert_eq!((ejection.failure_permille, ejection.latency_permille), (Some(250), Some(3000)));
    assert_eq!(ejection.consecutive_failures, None);
    assert_eq!(breaker.unwrap().max_requests, Some(4));
    let (health, _) = read("health = { type = \"tcp\", interval = \"100ms\", timeout = \"50ms\" }");
    let health = health.unwrap();
    assert_eq!((health.checks.unwrap().probe, health.ejection), (Probe::Tcp, None));
}

#[test]
fn checks_that_are_wrong() {
    check(
        &upstream("health = { type = \"udp\", rise = 0, fall = 0, status = [100, 600], jitter = 0.7 }"),
        &[
            "7:19 upstreams[0].health.type: expected \"http\" or \"tcp\", found \"udp\"",
            "7:33 upstreams[0].health.rise: 0 is out of range | from 1 to 100",
            "7:43 upstreams[0].health.fall: 0 is out of range | from 1 to 100",
            "7:56 upstreams[0].health.status[0]: 100 is out of range | from 200 to 599",
            "7:61 upstreams[0].health.status[1]: 600 is out of range | from 200 to 599",
            "7:76 upstreams[0].health.jitter: 0.7 is out of range | from 0 to 0.5",
        ],
    );
    check(
        &upstream("health = { timeout = \"5s\" }"),
        &[
            "7:22 upstreams[0].health.timeout: a check may take 5s, and the next is due after 5s | the timeout must be shorter than the interval",
        ],
    );
    check(
        &upstream("health = { interval = \"1s\" }"),
        &[
            "7:23 upstreams[0].health.interval: a check may take 2s, and the next is due after 1s | the timeout must be shorter than the interval",
        ],
    );
    check(
        &upstream("health = { path = \"up\", body = \"\", status = [] }"),
        &[
            "7:19 upstreams[0].health.path: \"up\" is not a path | begin it with `/`",
            "7:32 upstreams[0].health.body: the text is empty | leave the key out: any body will do then",
            "7:45 upstreams[0].health.status: no status is right | list at least one, as 200",
        ],
    );
    check(
        &upstream("health = { path = \"/a b\", host = \"http://a\" }"),
        &[
            "7:19 upstreams[0].health.path: \"/a b\" is not a path | percent-encode what is not plain, and leave out any #",
            "7:34 upstreams[0].health.host: \"http://a\" is not a host | the host alone, without a scheme",
        ],
    );
    check(
        &upstream("health = { type = \"tcp\", path = \"/up\" }"),
        &[
            "7:33 upstreams[0].health.path: `path` with type = \"tcp\" | a connection has none: leave it out, or write type = \"http\"",
        ],
    );
    check(
        &upstream("health = { rises = 1 }"),
        &["7:12 upstreams[0].health.rises: unknown key | did you mean `rise`?"],
    );
}

#[test]
fn rules_that_are_wrong() {
    check(
        &upstream(
            "ejection = { failure_rate = 1.5, latency_factor = 1, max_percent = 0, consecutive_failures = 0 }",
        ),
        &[
            "7:29 upstreams[0].ejection.failure_rate: 1.5 is out of range | from 0.01 to 1",
            "7:51 upstreams[0].ejection.latency_factor: 1 is out of range | from 1.1 to 100",
            "7:68 upstreams[0].ejection.max_percent: 0 is out of range | from 1 to 100",
            "7:94 upstreams[0].ejection.consecutive_failures: 0 is out of range | from 1 to 1000",
        ],
    );
    check(
        &upstream("ejection = { consecutive_failures = \"off\", failure_rate = \"half\" }"),
        &["7:59 upstreams[0].ejection.failure_rate: expected a number, found a string"],
    );
    check(
        &upstream("ejection = { consecutive_failures = \"off\" }"),
        &[
            "7:37 upstreams[0].ejection.consecutive_failures: nothing would eject an endpoint | set consecutive_failures, failure_rate or latency_factor, or leave out the table",
        ],
    );
    check(
        &upstream("ejection = { time = \"10m\" }"),
        &[
            "7:21 upstreams[0].ejection.time: `time` is 10m, and `time_max` 5m | time_max is the longest: at least as long as time",
        ],
    );
    check(
        &upstream("breaker = { failure_rate = \"off\" }"),
        &[
            "7:28 upstreams[0].breaker.failure_rate: nothing would open the breaker | set failure_rate or max_requests, or leave out the table",
        ],
    );
    check(
        &upstream("breaker = { max_requests = 3, probes = 0 }"),
        &[
            "7:28 upstreams[0].breaker.max_requests: 3 requests can't be divided over 4 workers | at least 4, one for each worker, or fewer runtime.workers",
            "7:40 upstreams[0].breaker.probes: 0 is out of range | from 1 to 1000",
        ],
    );
    check(
        &upstream("when_unhealthy = \"panic\""),
        &["7:18 upstreams[0].when_unhealthy: expected \"try_all\" or \"fail\", found \"panic\""],
    );
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let config = good(&upstream("slow_start = \"10s\"\nwhen_unhealthy = \"fail\"\nbreaker = {}"));
    let found: Vec<String> = config.warnings.iter().map(|it| it.message.clone()).collect();
    assert_eq!(found, ["`slow_start` has no effect", "`when_unhealthy` has no effect"]);
}

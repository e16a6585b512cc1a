//! Limits that are wrong, and what good ones become.

use std::time::Duration;

use super::{AROUND, check, good};
use crate::limit::{Key, ListenerLimits, Rate, RouteLimits};

/// A route of these lines, the first of which is line 7, for four workers.
fn route(lines: &str) -> String {
    format!(
        "runtime = {{ workers = 4 }}\nlisteners = [{{ name = \"web\", address = \"127.0.0.1:80\" }}]\n\n\
         [[routes]]\nname = \"r\"\nrespond = {{}}\n{lines}\n"
    )
}

/// A listener of these lines, the first of which is line 4.
fn listener(lines: &str) -> String {
    format!(
        "[[listeners]]\nname = \"web\"\naddress = \"127.0.0.1:80\"\n{lines}\n[[routes]]\nname = \"r\"\nrespond = {{}}\n"
    )
}

#[test]
fn rates() {
    check(
        &route("rate_limit = {}"),
        &[
            "7:14 routes[0].rate_limit.requests: missing key | Requests in the time of `per`, at most a million a second.",
        ],
    );
    check(
        &route("rate_limit = { requests = 0, burst = 0 }"),
        &[
            "7:27 routes[0].rate_limit.requests: 0 is out of range | from 1 to 1000000000",
            "7:38 routes[0].rate_limit.burst: 0 is out of range | from 1 to 1000000000",
        ],
    );
    check(
        &route("rate_limit = { requests = 2000000 }"),
        &["7:27 routes[0].rate_limit.requests: too many requests for the time | at most 1000000 a second"],
    );
    check(
        &route("rate_limit = { requests = 1, per = \"1d\", burst = 1000 }"),
        &[
            "7:50 routes[0].rate_limit.burst: a bucket of 1000 would take more than 366 days to fill | a smaller `burst`, or more requests in the time",
        ],
    );
    check(&route("rate_limit = 5"), &["7:14 routes[0].rate_limit: expected a table, found an integer"]);
}

#[test]
fn keys_of_rates() {
    let hint = "\"route\", \"client\" or \"header:NAME\", as \"header:x-api-key\"";
    for (key, what) in [
        ("clients", "\"clients\" is not a key"),
        ("", "\"\" is not a key"),
        ("header:", "\"header:\" names no header"),
        ("header:a b", "\"header:a b\" names no header"),
    ] {
        check(
            &route(&format!("rate_limit = {{ requests = 1, key = {key:?} }}")),
            &[&format!("7:36 routes[0].rate_limit.key: {what} | {hint}")],
        );
    }
}

#[test]
fn what_is_under_way() {
    check(
        &route("max_requests = 3\nmax_requests_per_client = 0"),
        &[
            "7:16 routes[0].max_requests: 3 requests can't be divided over 4 workers | at least 4, one for each worker, or fewer runtime.workers",
            "8:27 routes[0].max_requests_per_client: 0 is out of range | from 1 to 10000000",
        ],
    );
    check(
        &listener("limits = { requests_per_client = 0, connections_per_client = 0, target_bytes = 0 }"),
        &[
            "4:34 listeners[0].limits.requests_per_client: 0 is out of range | from 1 to 10000000",
            "4:62 listeners[0].limits.connections_per_client: 0 is out of range | from 1 to 10000000",
            "4:80 listeners[0].limits.target_bytes: 0 is out of range | from 1 to 60KiB",
        ],
    );
    check(
        &listener("timeouts = { response_rate_min = \"1k\" }"),
        &[
            "4:34 listeners[0].timeouts.response_rate_min: \"1k\" is not a size | write \"1KiB\" (1024s) or \"1KB\" (1000s)",
        ],
    );
}

#[test]
fn limits_that_others_make_void_are_warned_of() {
    let warnings = |text: &str| -> Vec<String> {
        good(text).warnings.iter().map(|it| format!("{}: {}", it.key, it.message)).collect()
    };
    assert_eq!(
        warnings(&route("max_requests = 10\nmax_requests_per_client = 11")),
        ["routes[0].max_requests_per_client: no client ever has so many"]
    );
    assert_eq!(
        warnings(&listener(
            "max_connections = 1000\nlimits = { connections_per_client = 1001, target_bytes = \"32KiB\" }"
        )),
        [
            "listeners[0].limits.connections_per_client: no client ever has so many",
            "listeners[0].limits.target_bytes: no target is ever that long"
        ]
    );
}

#[test]
fn what_good_ones_become() {
    assert_eq!(good(AROUND).routes[0].limits, None);
    assert_eq!(good(AROUND).listeners[0].limits, ListenerLimits::default());
    let config = good(&route(
        "rate_limit = { requests = 20, per = \"1m\", key = \"header:X-Key\" }\nrequest_body_bytes = 7",
    ));
    let limits = config.routes[0].limits.as_deref().unwrap();
    let rate = limits.rate.as_ref().unwrap();
    assert_eq!(rate.key, Key::Header("x-key".parse().unwrap()));
    assert_eq!(Ok(rate.rate), Rate::new(20, Duration::from_secs(60), 20));
    assert_eq!((&*rate.policy, &*rate.name), ("\"r\";q=20;w=60", "\"r\""));
    assert_eq!(limits.request_body_bytes, Some(7));
    let config = good(&route("rate_limit = { requests = 2, per = \"250ms\", burst = 9 }"));
    let rate = config.routes[0].limits.as_deref().unwrap().rate.as_ref().unwrap();
    assert_eq!((&rate.key, &*rate.policy), (&Key::Client, "\"r\";q=2"));
    assert_eq!(rate.rate.depth(), 9 * rate.rate.cost());
    let config = good(&route("max_requests = 8\nmax_requests_per_client = 2"));
    let expected =
        RouteLimits { max_requests: Some(8), max_requests_per_client: Some(2), ..RouteLimits::default() };
    assert_eq!(config.routes[0].limits.as_deref(), Some(&expected));
    let config = good(&listener(
        "limits = { target_bytes = 100, requests_per_client = 3, connections_per_client = 4 }\n\
         timeouts = { request_body_rate_min = \"1KiB\", response_rate_min = 5 }",
    ));
    let expected = ListenerLimits {
        target_bytes: Some(100),
        requests_per_client: Some(3),
        connections_per_client: Some(4),
        request_body_rate_min: Some(1024),
        response_rate_min: Some(5),
    };
    assert_eq!(config.listeners[0].limits, expected);
}

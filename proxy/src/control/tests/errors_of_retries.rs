//! What is said about retries, hedges and deadlines that are wrong, and what good ones become.

use std::time::Duration;

use super::{check, good};
use crate::{
    route::{Hedge, HedgeAfter},
    upstream::retries::Reason,
};

/// An upstream and a route with these lines; the upstream's are on line 7 and after, the route's 4 below the last of them.
fn config(upstream: &str, route: &str) -> String {
    format!(
        "[[listeners]]\nname = \"web\"\naddress = \"127.0.0.1:80\"\n\
         [[upstreams]]\nname = \"app\"\nendpoints = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n{upstream}\n\
         [[routes]]\nname = \"r\"\nupstream = \"app\"\n{route}\n"
    )
}

#[test]
fn without_the_table_there_are_none() {
    let config = good(&config("", ""));
    assert_eq!((&config.upstreams[0].retries, &config.upstreams[0].deadline_header), (&None, &None));
    assert_eq!(config.routes[0].hedge, None);
}

#[test]
fn an_empty_table_has_the_defaults() {
    let config = good(&config("retries = {}", "hedge = {}"));
    let retries = config.upstreams[0].retries.as_ref().expect("the table is there");
    for reason in [Reason::Connect, Reason::Reset, Reason::Timeout, Reason::Status(503)] {
        assert!(retries.on.has(reason), "{reason:?}");
    }
    assert!(!retries.on.has(Reason::Status(500)) && !retries.all_methods && !retries.header);
    assert_eq!((retries.max, retries.budget_percent, retries.budget_min), (2, 20, 10));
    assert_eq!((retries.buffer_bytes, retries.try_timeout), (64 * 1024, None));
    let waits = (retries.backoff, retries.backoff_max);
    assert_eq!(waits, (Duration::from_millis(25), Duration::from_millis(250)));
    let hedge = Hedge { after: HedgeAfter::Quantile(950), budget_percent: 5 };
    assert_eq!(config.routes[0].hedge, Some(hedge));
}

#[test]
fn values_that_are_written() {
    let config = good(&config(
        "deadline_header = \"X-Request-Timeout\"\n\
         retries = { on = [429, \"reset\"], methods = \"all\", try_timeout = \"1s\", buffer_bytes = 0, header = true }",
        "hedge = { after = \"50ms\", budget_percent = 10 }",
    ));
    let upstream = &config.upstreams[0];
    assert_eq!(upstream.deadline_header.as_deref(), Some("x-request-timeout"));
    let retries = upstream.retries.as_ref().expect("the table is there");
    assert!(retries.on.has(Reason::Status(429)) && retries.on.has(Reason::Reset) && retries.all_methods);
    assert!(!retries.on.has(Reason::Connect) && !retries.on.has(Reason::Timeout));
    assert_eq!((retries.try_timeout, retries.buffer_bytes), (Some(Duration::from_secs(1)), 0));
    let after = HedgeAfter::Fixed(Duration::from_millis(50));
    assert_eq!(config.routes[0].hedge, Some(Hedge { after, budget_percent: 10 }));
}

#[test]
fn reasons() {
    check(
        &config("retries.on = [\"conect\", 200, 600, true, 503, \"reset\", 503, \"reset\"]", ""),
        &[
            "7:15 upstreams[0].retries.on[0]: expected one of \"connect\", \"reset\", \"timeout\", found \"conect\" | did you mean \"connect\"?",
            "7:25 upstreams[0].retries.on[1]: 200 is no reason to try again | statuses from 400 to 599",
            "7:30 upstreams[0].retries.on[2]: 600 is no reason to try again | statuses from 400 to 599",
            "7:35 upstreams[0].retries.on[3]: expected \"connect\", \"reset\", \"timeout\" or a status, found a boolean",
        ],
    );
    check(
        &config("retries.on = [503, \"reset\", 503]", ""),
        &[
            "7:29 upstreams[0].retries.on[2]: this reason is listed twice | leave one out (the other is on line 7)",
        ],
    );
    check(
        &config("retries.on = []", ""),
        &[
            "7:14 upstreams[0].retries.on: there is no reason to try again | list some of \"connect\", \"reset\", \"timeout\" and statuses, or leave out [upstreams.retries]",
        ],
    );
}

#[test]
fn bounds_and_relations() {
    check(
        &config(
            "retries = { max = 0, methods = \"any\", buffer_bytes = \"2MiB\", budget_percent = 101 }",
            "",
        ),
        &[
            "7:19 upstreams[0].retries.max: 0 is out of range | from 1 to 10",
            "7:32 upstreams[0].retries.methods: expected \"idempotent\" or \"all\", found \"any\"",
            "7:54 upstreams[0].retries.buffer_bytes: \"2MiB\" is out of range | from 0 to 1MiB",
            "7:79 upstreams[0].retries.budget_percent: 101 is out of range | from 0 to 100",
        ],
    );
    check(
        &config("retries = { backoff = \"1s\", budget_percent = 0, budget_min = 0 }", ""),
        &[
            "7:23 upstreams[0].retries.backoff: `backoff` is longer than `backoff_max` | the wait begins with the one and is doubled up to the other",
            "7:46 upstreams[0].retries.budget_percent: the budget allows no further try | give budget_percent or budget_min more than 0, or leave out [upstreams.retries]",
        ],
    );
    let config = good(&config("retries.try_timeout = \"2s\"\ntimeouts.request = \"2s\"", ""));
    let warnings: Vec<&str> = config.warnings.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(warnings, ["no try is ever ended by this"]);
}

#[test]
fn fields_that_mean_something_else() {
    for name in ["content-length", "Host", "Connection", "TE", "Via", "Expect", "X-Forwarded-For"] {
        let expected = format!(
            "7:19 upstreams[0].deadline_header: `{}` means something else | as \"X-Request-Timeout\"",
            name.to_ascii_lowercase()
        );
        check(&config(&format!("deadline_header = {name:?}"), ""), &[&expected]);
    }
    check(
        &config("deadline_header = \"X Timeout\"", ""),
        &[
            "7:19 upstreams[0].deadline_header: \"X Timeout\" is not a header's name | letters, digits and - _ and a few other signs; no spaces",
        ],
    );
}

#[test]
fn hedges() {
    check(
        &config("", "hedge = { after = \"p101\", budget_percent = 0 }"),
        &[
            "11:19 routes[0].hedge.after: \"p101\" is neither a time nor a percentile | from \"p50\" to \"p99.9\", one digit after the point",
            "11:44 routes[0].hedge.budget_percent: 0 is out of range | from 1 to 100",
        ],
    );
    check(
        "listeners = [{ name = \"web\", address = \"127.0.0.1:80\" }]\n\
         [[routes]]\nname = \"r\"\nrespond = {}\nhedge = {}\n",
        &[
            "5:9 routes[0].hedge: `hedge` has no effect beside `respond` | no request is forwarded: leave it out",
        ],
    );
}

//! What is said about `[overload]` and priorities that are wrong, and what the right ones become.

use std::time::Duration;

use super::{AROUND, check, good};
use crate::overload::{Priority, Settings};

#[test]
fn lags_and_intervals() {
    check(
        &format!("{AROUND}[overload]\nmax_lag = \"4ms\"\ninterval = \"off\"\n"),
        &[
            "13:11 overload.max_lag: \"4ms\" is out of range | from 5ms to 1m",
            "14:12 overload.interval: \"off\" is not a duration | a number and one of ms, s, m, h, d, as \"1.5s\" or \"1m30s\"",
        ],
    );
    check(
        &format!("{AROUND}[overload]\nmax_lag = 50\ninterval = \"99ms\"\n"),
        &[
            "13:11 overload.max_lag: 50 has no unit | write \"50s\" or \"50ms\"",
            "14:12 overload.interval: \"99ms\" is out of range | from 100ms to 1m",
        ],
    );
    check(
        &format!("{AROUND}[overload]\nmax_lag = false\nmaxlag = \"off\"\n"),
        &[
            "13:11 overload.max_lag: expected a limit or \"off\", found a boolean | write \"off\"",
            "14:1 overload.maxlag: unknown key | did you mean `max_lag`?",
        ],
    );
}

#[test]
fn priorities() {
    check(
        &format!("{AROUND}priority = \"hihg\"\n"),
        &[
            "12:12 routes[0].priority: expected one of \"high\", \"normal\", \"low\", found \"hihg\" | did you mean \"high\"?",
        ],
    );
    check(
        &format!(
            "{AROUND}[[routes]]\nname = \"r\"\nmatch = {{ path = \"/\" }}\nrespond = {{}}\npriority = \"low\"\n"
        ),
        &[
            "16:12 routes[1].priority: `priority` has no effect beside `respond` | no request is forwarded: leave it out",
        ],
    );
}

#[test]
fn what_is_written_holds() {
    let config = good(AROUND);
    assert_eq!((config.overload, config.routes[0].priority), (None, Priority::Normal));
    let config = good(&format!("{AROUND}priority = \"high\"\n[overload]\nmax_lag = \"50ms\"\n"));
    let (max_lag, interval) = (Duration::from_millis(50), Duration::from_millis(100));
    assert_eq!(config.overload, Some(Settings { max_lag, interval }));
    assert_eq!(config.routes[0].priority, Priority::High);
}

//! The network's limits.

use super::Finding;
use crate::limits::LISTEN_BACKLOG;

/// Local ports below which connections to one upstream address may run out of them.
const PORTS_GOOD: u32 = 20_000;

/// The cap on every socket's backlog.
pub(super) fn somaxconn(value: Option<&str>) -> Finding {
    const WHAT: &str = "somaxconn";
    match value.and_then(|it| it.parse::<i64>().ok()) {
        None => Finding::ok(WHAT, "unknown"),
        Some(number) if number < i64::from(LISTEN_BACKLOG) => Finding::warn(
            WHAT,
            format!("{number}, below our backlog of {LISTEN_BACKLOG}"),
            format!(
                "bursts of new connections may be dropped: sysctl -w net.core.somaxconn={LISTEN_BACKLOG}"
            ),
        ),
        Some(number) => Finding::ok(WHAT, number.to_string()),
    }
}

/// Local ports for connections to upstreams.
pub(super) fn ports(value: Option<&str>) -> Finding {
    const WHAT: &str = "local ports";
    let range = value.and_then(|it| {
        let (low, high) = it.split_once(char::is_whitespace)?;
        Some((low.trim().parse::<u32>().ok()?, high.trim().parse::<u32>().ok()?))
    });
    let Some((low, high)) = range else { return Finding::ok(WHAT, "unknown") };
    let count = high.saturating_add(1).saturating_sub(low);
    let found = format!("{low} to {high}: {count} connections to one upstream address");
    if count < PORTS_GOOD {
        Finding::warn(WHAT, found, "sysctl -w net.ipv4.ip_local_port_range=\"10240 65535\"")
    } else {
        Finding::ok(WHAT, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn limits_of_the_network() {
        assert_eq!(somaxconn(Some("128")).outcome, Outcome::Warn);
        assert_eq!(somaxconn(Some("4096")).outcome, Outcome::Ok);
        assert_eq!(somaxconn(None).outcome, Outcome::Ok);
        assert_eq!(
            ports(Some("32768\t60999")).found,
            "32768 to 60999: 28232 connections to one upstream address"
        );
        assert_eq!(ports(Some("60000 60999")).outcome, Outcome::Warn);
        assert_eq!(ports(Some("9 1")).outcome, Outcome::Warn);
        assert_eq!(ports(Some("junk")).found, "unknown");
    }
}

//! What a Ringlane says that it is: driver and build, from its metrics.
use std::net::SocketAddr;

use super::{origin, routes::Entrance};
use crate::fault::Result;

/// What is not said.
const UNKNOWN: &str = "unknown";

/// Labels of `ringlane_info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyInfo {
    /// Driver and ring flags.
    pub(crate) driver: String,
    /// `release`, `profile-guided release` or `debug`.
    pub(crate) build: String,
}

/// All that a proxy counts.
pub(crate) fn metrics(admin: SocketAddr) -> Result<String> {
    origin::get(admin, &Entrance::default(), "/metrics")
}

impl ProxyInfo {
    /// Asks the admin listener.
    pub(crate) fn of(admin: SocketAddr) -> Result<Self> {
        Ok(Self::parse(&metrics(admin)?))
    }

    /// Driver and build, for people.
    pub(crate) fn words(&self) -> String {
        format!("{}, {} build", self.driver, self.build)
    }

    fn parse(metrics: &str) -> Self {
        let line = metrics.lines().find(|line| line.starts_with("ringlane_info{")).unwrap_or_default();
        let label = |name: &str| {
            let from = [format!("{{{name}=\""), format!(",{name}=\"")];
            let value = from.iter().find_map(|name| line.split_once(name.as_str()));
            value.and_then(|(_, rest)| rest.split('"').next()).unwrap_or(UNKNOWN).to_owned()
        };
        Self { driver: label("driver"), build: label("build") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_told_apart_and_what_is_missing_is_not_known() {
        let text = "# HELP ringlane_info x\nringlane_info{version=\"0.1\",build=\"debug\",driver_reason=\"asked\",driver=\"epoll\"} 1\n";
        assert_eq!(ProxyInfo::parse(text), ProxyInfo { driver: "epoll".into(), build: "debug".into() });
        let nothing = ProxyInfo { driver: UNKNOWN.into(), build: UNKNOWN.into() };
        assert_eq!(ProxyInfo::parse("other_info{build=\"release\"} 1"), nothing);
    }
}

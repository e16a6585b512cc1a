//! Many routes, the same for every proxy: some path prefixes on each of some hosts.
use serde::Serialize;

/// How many there are. What is asked for is spread over all of them alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Routes {
    /// Hosts.
    pub hosts: usize,
    /// Path prefixes on each of them.
    pub paths: usize,
}

/// Where a request is to go in, so that a proxy takes it: one of the routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entrance {
    /// What its Host field says; None: the address.
    pub(crate) host: Option<String>,
    /// What its path begins with.
    pub(crate) prefix: String,
}

impl Routes {
    /// One route for everything.
    pub const NONE: Self = Self { hosts: 0, paths: 0 };

    /// Whether there is but one, for everything.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    pub(crate) fn hosts(self) -> impl Iterator<Item = String> {
        (0..self.hosts).map(|n| format!("site-{n}.example"))
    }

    /// Path prefixes, without a slash at their end. The echo origin answers below each as it does without.
    pub(crate) fn prefixes(self) -> impl Iterator<Item = String> {
        (0..self.paths).map(|n| format!("/app-{n}"))
    }

    /// An entrance for each route; one that leads everywhere where there is one route.
    pub(crate) fn entrances(self) -> Vec<Entrance> {
        if self.is_none() {
            return vec![Entrance::default()];
        }
        let of_host =
            |host: String| self.prefixes().map(move |prefix| Entrance { host: Some(host.clone()), prefix });
        self.hosts().flat_map(of_host).collect()
    }

    /// The one that is used to see whether a proxy works: neither the first nor the last in anybody's list.
    pub(crate) fn entrance(self) -> Entrance {
        let entrances = self.entrances();
        entrances.get(entrances.len() / 2).cloned().unwrap_or_default()
    }

    /// Entrances that no route is for: another host, and another path on a host that there is.
    pub(super) fn strangers(self) -> Vec<Entrance> {
        if self.is_none() {
            return Vec::new();
        }
        let [host, prefix] = [self.hosts, self.paths].map(|beyond| beyond + 1);
        let known = self.entrance();
        vec![
            Entrance { host: Some(format!("site-{host}.example")), ..known.clone() },
            Entrance { prefix: format!("/app-{prefix}"), ..known },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_every_host_has_an_entrance_and_strangers_have_none() {
        let routes = Routes { hosts: 3, paths: 2 };
        let entrances = routes.entrances();
        assert_eq!(entrances.len(), 6);
        assert_eq!(routes.entrance(), entrances[3]);
        assert_eq!(entrances[3], Entrance { host: Some("site-1.example".into()), prefix: "/app-1".into() });
        let strangers = routes.strangers();
        assert_eq!(strangers.len(), 2);
        assert!(strangers.iter().all(|stranger| !entrances.contains(stranger)), "{strangers:?}");
        assert_eq!(Routes::NONE.entrances(), [Entrance::default()]);
        assert!(Routes::NONE.strangers().is_empty());
    }
}

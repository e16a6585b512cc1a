//! The faults that there are: what each is called, what it is done to, and who can be compared with.
use clap::ValueEnum;
use serde::Serialize;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Injection {
    /// The endpoint's process is killed, and started again at the end
    Killed,
    /// SYNs are dropped, and nothing comes on connections that there are
    BlackHole,
    /// Connections are accepted and requests read, and no answer comes
    Silent,
    /// Every answer comes after 2 s
    Late,
    /// Connections are reset in the middle of a body
    Cut,
    /// Something that is no HTTP comes in place of a head
    Garbage,
    /// Every answer is a 500
    Errors,
    /// The endpoint is killed and started in turn, each second
    Flapping,
    /// Bodies of requests are read slowly
    SlowUpload,
    /// The names of the endpoints can't be looked up any more
    Dns,
    /// Clients that send a byte at a time, and that read slowly
    SlowClients,
    /// Clients that leave in the middle of a head, a request's body, a response's body
    Aborting,
    /// 10,000 connections at once
    Crowd,
    /// Requests with a million distinct keys for a rate limit
    Keys,
    /// The proxy's table of descriptors is full
    Descriptors,
    /// The config changes all the time: the control thread is busy
    Reloads,
}

/// What a fault is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// One endpoint of several.
    Endpoint,
    /// The proxy, by its clients or by the system that it runs on.
    Proxy,
}

impl Injection {
    /// Its name, as it is typed.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Killed => "endpoint killed",
            Self::BlackHole => "SYNs dropped",
            Self::Silent => "accepts, never answers",
            Self::Late => "answers after 2 s",
            Self::Cut => "resets in mid-body",
            Self::Garbage => "garbage for a head",
            Self::Errors => "100 % 500s",
            Self::Flapping => "flaps each second",
            Self::SlowUpload => "reads uploads slowly",
            Self::Dns => "DNS gone",
            Self::SlowClients => "slow clients",
            Self::Aborting => "clients abort",
            Self::Crowd => "10,000 connections",
            Self::Keys => "1,000,000 keys",
            Self::Descriptors => "no descriptors left",
            Self::Reloads => "config storm",
        }
    }

    /// What it is done to.
    pub(crate) fn victim(self) -> Victim {
        match self {
            Self::Killed
            | Self::BlackHole
            | Self::Silent
            | Self::Late
            | Self::Cut
            | Self::Garbage
            | Self::Errors
            | Self::Flapping
            | Self::SlowUpload => Victim::Endpoint,
            _ => Victim::Proxy,
        }
    }

    /// Whether an endpoint has it once and until its end: then there is something to detect and to recover from.
    pub(crate) fn is_steady(self) -> bool {
        self.victim() == Victim::Endpoint && self != Self::Flapping
    }

    /// Whether HAProxy has something that the fault can be put to. A reload of its is another process, and its look-ups
    /// need a name server of their own.
    pub(crate) fn suits_haproxy(self) -> bool {
        !matches!(self, Self::Dns | Self::Reloads)
    }

    /// What the control path of an endpoint is told; None: it is done otherwise.
    pub(crate) fn behaviour(self) -> Option<&'static str> {
        match self {
            Self::Silent => Some(r#"{"delay": "60m"}"#),
            Self::Late => Some(r#"{"delay": "2s"}"#),
            Self::Cut => Some(r#"{"drop_in_body": 1, "reset": true}"#),
            Self::Garbage => Some(r#"{"garbage": 1}"#),
            Self::Errors => Some(r#"{"error_rate": 1}"#),
            Self::SlowUpload => Some(r#"{"read_bytes_per_second": 8192}"#),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::echo::behaviour::Behaviour;

    #[test]
    fn every_behaviour_is_one_that_the_origin_knows() {
        for one in Injection::value_variants() {
            let Some(text) = one.behaviour() else { continue };
            let map: serde_json::Value = serde_json::from_str(text).unwrap();
            assert!(!Behaviour::of(map.as_object().unwrap()).unwrap().is_plain(), "{one:?}");
            assert_eq!(one.victim(), Victim::Endpoint);
        }
    }

    #[test]
    fn names_and_titles_tell_them_apart() {
        let all = Injection::value_variants();
        let names: BTreeSet<_> = all.iter().map(|it| it.name()).collect();
        let titles: BTreeSet<_> = all.iter().map(|it| it.title()).collect();
        assert_eq!((names.len(), titles.len()), (all.len(), all.len()));
        assert!(names.contains("black-hole") && all.len() == 16);
    }
}

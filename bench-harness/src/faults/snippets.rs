//! Parts of Ringlane's config that meet faults, each tried by itself: a Ringlane that does not know one runs without it, and
//! the report says so.
use toml::{Table, Value};

use crate::fault::{At, Fault, Result};

/// Where a part goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Root,
    Listeners,
    Upstreams,
    /// Those that forward.
    Routes,
    /// The one that answers by itself, limited by key.
    Keys,
}

/// One part: a name for people, and TOML in several wordings, of which the first that is understood counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snippet {
    pub(crate) name: &'static str,
    place: Place,
    texts: &'static [&'static str],
}

const fn snippet(name: &'static str, place: Place, texts: &'static [&'static str]) -> Snippet {
    Snippet { name, place, texts }
}

/// What meets faults.
pub(crate) const SNIPPETS: [Snippet; 10] = [
    snippet(
        "health checks",
        Place::Upstreams,
        &[
            "[health]\ntype = \"http\"\npath = \"/bytes/13\"\nbody = \"Hello\"\ninterval = \"1s\"\ntimeout = \"500ms\"\nrise = 2\nfall = 2",
            "[health]\ntype = \"http\"\npath = \"/bytes/13\"",
        ],
    ),
    snippet(
        "ejection",
        Place::Upstreams,
        &[
            "[ejection]\nconsecutive_failures = 5\nwindow = \"2s\"\ntime = \"2s\"\ntime_max = \"10s\"\nmax_percent = 50",
            "[ejection]\nconsecutive_failures = 5",
        ],
    ),
    snippet(
        "ejection by failure rate",
        Place::Upstreams,
        &["[ejection]\nfailure_rate = 0.5\nmin_requests = 20"],
    ),
    snippet(
        "ejection by latency",
        Place::Upstreams,
        &["[ejection]\nlatency_factor = 5.0", "[ejection]\nlatency_factor = 5"],
    ),
    snippet(
        "circuit breaker",
        Place::Upstreams,
        &[
            "[breaker]\nfailure_rate = 0.5\nmin_requests = 50\nwindow = \"5s\"\nopen = \"1s\"\nprobes = 3",
            "[breaker]\nfailure_rate = 0.5",
        ],
    ),
    snippet(
        "retries",
        Place::Upstreams,
        &[
            "[retries]\nmax = 2\non = [\"connect\", \"reset\", \"timeout\", 500, 502, 503, 504]\nmethods = \"idempotent\"\n\
             backoff = \"5ms\"\nbackoff_max = \"50ms\"\ntry_timeout = \"1s\"\nbudget_percent = 20\nbudget_min = 10",
            "[retries]\nmax = 2\non = [\"connect\", \"reset\", \"timeout\", 502, 503, 504]\ntry_timeout = \"1s\"",
            "[retries]\nmax = 2",
        ],
    ),
    snippet(
        "rate limit by key",
        Place::Keys,
        &["rate_limit = { requests = 100, per = \"1s\", burst = 100, key = \"header:x-key\" }"],
    ),
    snippet(
        "transfer rates of clients",
        Place::Listeners,
        &["[timeouts]\nrequest_body_rate_min = \"1KiB\"\nresponse_rate_min = \"1KiB\""],
    ),
    snippet("overload", Place::Root, &["[overload]\nmax_lag = \"250ms\""]),
    snippet("requests at a time", Place::Routes, &["max_requests = 20000"]),
];

/// What else there is to configure, with bounds that a load test does not reach: to see what it costs.
pub(crate) const COSTLY: [Snippet; 9] = [
    snippet("balance", Place::Upstreams, &["balance = \"peak_ewma\"", "balance = \"power_of_two\""]),
    snippet("slow start", Place::Upstreams, &["slow_start = \"10s\""]),
    snippet("deadline", Place::Upstreams, &["deadline_header = \"X-Request-Timeout\""]),
    snippet("whole request", Place::Upstreams, &["[timeouts]\nrequest = \"30s\""]),
    snippet("hedging", Place::Routes, &["hedge = { after = \"p95\", budget_percent = 5 }"]),
    snippet(
        "rate limit",
        Place::Routes,
        &[
            "rate_limit = { requests = 10000000, per = \"1s\", burst = 10000000, key = \"client\" }",
            "rate_limit = { requests = 1000000, per = \"1s\", burst = 1000000, key = \"client\" }",
        ],
    ),
    snippet("requests of a client", Place::Routes, &["max_requests_per_client = 20000"]),
    snippet(
        "trace and request id",
        Place::Listeners,
        &["trace = { context = \"start\", request_id = \"make\" }"],
    ),
    snippet(
        "client address",
        Place::Listeners,
        &["trusted_proxies = [\"10.0.0.0/8\"]\nclient_address = \"x-forwarded-for\""],
    ),
];

/// What a Ringlane knows of the parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Features {
    /// Those that it knows, in the wording that it takes.
    parts: Vec<(Place, &'static str)>,
    pub(crate) with: Vec<&'static str>,
    /// And the others, with what it says of them.
    pub(crate) without: Vec<(&'static str, String)>,
}

impl Features {
    /// Tries each part on top of `base` and those that were taken before. `accepts` says whether a config is one.
    pub(crate) fn find<'a>(
        base: &Table,
        parts: impl IntoIterator<Item = &'a Snippet>,
        accepts: impl Fn(&Table) -> Result<()>,
    ) -> Result<Self> {
        accepts(base).at("the config without any of it")?;
        let mut this = Self::default();
        let mut config = base.clone();
        for part in parts {
            let mut why = None;
            let taken = part.texts.iter().find_map(|text| {
                let mut with = config.clone();
                let tried = add(&mut with, part.place, text).and_then(|()| accepts(&with));
                match tried {
                    Ok(()) => Some((with, *text)),
                    Err(fault) => {
                        why.get_or_insert_with(|| format!("{fault:.WHY_MAX$}"));
                        None
                    }
                }
            });
            match taken {
                Some((with, text)) => {
                    config = with;
                    this.parts.push((part.place, text));
                    this.with.push(part.name);
                }
                None => this.without.push((part.name, why.unwrap_or_default())),
            }
        }
        Ok(this)
    }

    /// Puts what was taken into a config.
    pub(crate) fn apply(&self, config: &mut Table) -> Result<()> {
        self.parts.iter().try_for_each(|(place, text)| add(config, *place, text))
    }

    /// In sentences, for a report.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if !self.with.is_empty() {
            sentences.push(format!("Ringlane with {}.", self.with.join(", ")));
        }
        if !self.without.is_empty() {
            let names: Vec<_> = self.without.iter().map(|(name, _)| *name).collect();
            sentences.push(format!("Without {}: this Ringlane does not know them.", names.join(", ")));
        }
        sentences
    }
}

/// Characters of an error that are kept.
const WHY_MAX: usize = 300;

fn add(config: &mut Table, place: Place, text: &str) -> Result<()> {
    let part: Table = text.parse().at("a part of the config")?;
    let (key, is_meant): (_, fn(&Table) -> bool) = match place {
        Place::Root => {
            merge(config, &part);
            return Ok(());
        }
        Place::Listeners => ("listeners", |_| true),
        Place::Upstreams => ("upstreams", |_| true),
        Place::Routes => ("routes", |route| route.contains_key("upstream")),
        Place::Keys => ("routes", |route| route.contains_key("respond")),
    };
    let tables = config.get_mut(key).and_then(Value::as_array_mut);
    let tables = tables.ok_or_else(|| Fault::new(format!("no [[{key}]] in the config")))?;
    tables
        .iter_mut()
        .filter_map(Value::as_table_mut)
        .filter(|it| is_meant(it))
        .for_each(|it| merge(it, &part));
    Ok(())
}

/// Adds keys; tables that both have become one.
fn merge(into: &mut Table, part: &Table) {
    for (key, value) in part {
        match (into.get_mut(key), value) {
            (Some(Value::Table(into)), Value::Table(part)) => merge(into, part),
            _ => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "[[listeners]]\nname = \"web\"\n[listeners.timeouts]\nkeep_alive = \"9s\"\n\
        [[upstreams]]\nname = \"a\"\n[[upstreams]]\nname = \"b\"\n\
        [[routes]]\nupstream = \"a\"\n[[routes]]\nrespond = { body = \"k\" }\n";

    fn base() -> Table {
        BASE.parse().unwrap()
    }

    #[test]
    fn every_part_has_its_place() {
        let all: Vec<_> = SNIPPETS.iter().chain(&COSTLY).collect();
        let features = Features::find(&base(), all.iter().copied(), |_| Ok(())).unwrap();
        assert_eq!((features.with.len(), features.without.len()), (all.len(), 0));
        let mut config = base();
        features.apply(&mut config).unwrap();
        for upstream in config["upstreams"].as_array().unwrap() {
            let ejection = upstream["ejection"].as_table().unwrap();
            assert!(ejection.contains_key("time") && ejection.contains_key("latency_factor"));
        }
        assert_eq!(config["listeners"][0]["timeouts"]["keep_alive"].as_str(), Some("9s"));
        assert!(config["listeners"][0]["timeouts"].get("response_rate_min").is_some());
        let [forward, keys] = [&config["routes"][0], &config["routes"][1]];
        assert!(forward.get("hedge").is_some() && keys.get("hedge").is_none());
        assert_eq!(keys["rate_limit"]["key"].as_str(), Some("header:x-key"));
        assert_eq!(config["overload"]["max_lag"].as_str(), Some("250ms"));
        for part in all {
            assert!(part.texts.iter().all(|text| text.parse::<Table>().is_ok()), "{}", part.name);
        }
    }

    #[test]
    fn a_ringlane_that_does_not_know_a_part_runs_without_it() {
        let knows = |config: &Table| {
            let upstream = config["upstreams"][0].as_table().unwrap();
            // It knows health checks in the second wording, and nothing else.
            let strange = upstream.keys().any(|key| !["name", "health"].contains(&key.as_str()));
            let health = upstream.get("health").and_then(Value::as_table);
            if strange
                || health.is_some_and(|it| it.contains_key("interval"))
                || config.contains_key("overload")
            {
                return Err(Fault::new("unknown key"));
            }
            Ok(())
        };
        let some = [&SNIPPETS[0], &SNIPPETS[1], &SNIPPETS[8]];
        let features = Features::find(&base(), some, knows).unwrap();
        assert_eq!(features.with, ["health checks"]);
        assert_eq!(features.without[1], ("overload", "unknown key".to_owned()));
        let mut config = base();
        features.apply(&mut config).unwrap();
        assert!(knows(&config).is_ok() && config["upstreams"][1].get("health").is_some());
        let sentences = features.sentences();
        assert!(sentences[0].contains("health checks") && sentences[1].contains("ejection, overload"));
        assert!(Features::find(&base(), some, |_| Err(Fault::new("no"))).is_err());
    }
}

//! What is known of endpoints, for whoever asks.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Instant, SystemTime},
};

use serde_json::{Value as Json, json};

use super::{Health, State, Watching, watched::Place};
use crate::{
    observe::rfc3339,
    upstream::{Endpoint, Upstream, circuit},
};

/// Two clocks read at once: what happened is known by one and shown by the other.
#[derive(Clone, Copy)]
struct Clocks(Instant, SystemTime);

impl Clocks {
    fn shown(self, at: Instant) -> String {
        rfc3339(self.1 - self.0.saturating_duration_since(at))
    }
}

impl Health {
    /// The endpoints and the breaker of the upstream with this name, as of `now`; `None`: there is none in the table.
    pub fn shown(&self, name: &str, now: SystemTime) -> Option<Json> {
        let clocks = Clocks(Instant::now(), now);
        self.read(|watching| {
            let upstream = watching.all.iter().flatten().find(|it| &*it.name == name)?;
            Some(shown(watching, upstream, clocks))
        })
    }

    /// The same of all upstreams, by name.
    pub fn all_shown(&self, now: SystemTime) -> HashMap<Arc<str>, Json> {
        let clocks = Clocks(Instant::now(), now);
        self.read(|watching| {
            let all = watching.all.iter().flatten();
            all.map(|it| (Arc::clone(&it.name), shown(watching, it, clocks))).collect()
        })
    }
}

fn shown(watching: &Watching, upstream: &Upstream, clocks: Clocks) -> Json {
    let watched = watching.upstreams.get(&upstream.id);
    let endpoints: Vec<Json> = match watched {
        Some(watched) => watched.places.iter().map(|it| place(it, clocks)).collect(),
        None => upstream.endpoints.iter().map(|it| endpoint(it, State::Unwatched, "", None)).collect(),
    };
    let circuit = watched.and_then(|it| Some((it.circuit()?, it.switch.as_ref()?)));
    let breaker = circuit.map(|(state, switch)| {
        let word = match state {
            circuit::State::Closed => "closed",
            circuit::State::Open(_) => "open",
            circuit::State::HalfOpen => "half_open",
        };
        json!({ "state": word, "why": switch.why, "since": clocks.shown(switch.since) })
    });
    json!({ "breaker": breaker, "endpoints": endpoints })
}

fn place(it: &Place, clocks: Clocks) -> Json {
    let since = (it.state != State::Unwatched).then(|| clocks.shown(it.since));
    endpoint(&it.endpoint, it.state, &it.judged.why(), since)
}

fn endpoint(it: &Endpoint, state: State, why: &str, since: Option<String>) -> Json {
    json!({
        "address": &*it.label,
        "weight": it.weight,
        "share": it.health.share(),
        "state": state.word(),
        "why": why,
        "since": since,
    })
}

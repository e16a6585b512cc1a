//! What is known of endpoints, for whoever asks.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Instant, SystemTime},
};

use serde_json::{Value as Json, json};

use super::{
    Health, State,
    watched::{Place, Watched},
};
use crate::{
    observe::rfc3339,
    upstream::{Endpoint, Upstream, circuit},
};

/// Two clocks read at once: what happened is known by one and shown by the other.
#[derive(Clone, Copy)]
pub(super) struct Clocks(pub(super) Instant, pub(super) SystemTime);

impl Clocks {
    fn shown(self, at: Instant) -> String {
        rfc3339(self.1 + at.saturating_duration_since(self.0))
    }
}

impl Health {
    /// The endpoints and the breaker of the upstream with this name; `None`: there is none in the table.
    pub fn shown(&self, name: &str) -> Option<Json> {
        let clocks = self.0.clocks;
        self.read(|watching| {
            let upstream = watching.all.iter().flatten().find(|it| &*it.name == name)?;
            let watched = watching.upstreams.get(&upstream.id);
            Some(watched.map_or_else(|| unwatched(upstream), |it| known(it, clocks)))
        })
    }

    /// The same of all upstreams, by name.
    pub fn all_shown(&self) -> HashMap<Arc<str>, Json> {
        let clocks = self.0.clocks;
        let (all, mut watched) = self.read(|watching| {
            let known = watching.upstreams.iter().map(|(id, it)| (*id, known(it, clocks)));
            (Arc::clone(&watching.all), known.collect::<HashMap<u32, Json>>())
        });
        // There may be many that nobody watches: nobody waits for those.
        let mut shown = |it: &Arc<Upstream>| watched.remove(&it.id).unwrap_or_else(|| unwatched(it));
        all.iter().flatten().map(|it| (Arc::clone(&it.name), shown(it))).collect()
    }
}

fn unwatched(upstream: &Upstream) -> Json {
    let endpoints = upstream.endpoints.iter().map(|it| endpoint(it, State::Unwatched, "", None));
    json!({ "breaker": null, "endpoints": endpoints.collect::<Vec<_>>() })
}

fn known(watched: &Watched, clocks: Clocks) -> Json {
    let endpoints: Vec<Json> = watched.places.iter().map(|it| place(it, clocks)).collect();
    let circuit = watched.circuit().zip(watched.switch.as_ref());
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

//! One upstream that is watched: what is known of its endpoints, and what workers are told of it.

use std::{collections::HashMap, sync::Arc, time::Instant};

use super::{
    Health, HowToCheck,
    breaker::Switch,
    check::Running,
    judge::{self, Judged, State},
    keep_checking,
};
use crate::{
    observe::Process,
    upstream::{
        Endpoint, Upstream, circuit,
        health::{self, Totals, WHOLE_SHARE},
    },
};

/// An upstream and what is known of it.
#[derive(Default)]
pub(super) struct Watched {
    upstream: Option<Arc<Upstream>>,
    pub(super) places: Vec<Place>,
    pub(super) switch: Option<Switch>,
}

/// One of its endpoints.
pub(super) struct Place {
    pub(super) endpoint: Endpoint,
    /// What workers had counted at the last look, with or without latencies.
    counted: Totals,
    with_latencies: bool,
    pub(super) judged: Judged,
    pub(super) state: State,
    /// Since when it is in that state.
    pub(super) since: Instant,
    /// Ends with it.
    checking: Option<Running<()>>,
}

impl Watched {
    /// Goes over to what a table says of the upstream.
    pub(super) fn follow(
        &mut self,
        health: &Health,
        upstream: &Arc<Upstream>,
        retired: &mut Vec<health::Health>,
        now: Instant,
    ) {
        if self.upstream.as_ref().is_some_and(|before| Arc::ptr_eq(before, upstream)) {
            return;
        }
        let checks = |of: &Upstream| -> Option<HowToCheck> {
            Some((of.health.as_ref()?.checks.clone()?, of.proxy_protocol))
        };
        let checks_before = self.upstream.as_deref().and_then(checks);
        let checks = checks(upstream);
        let same_checks = checks == checks_before;
        let mut before: HashMap<u32, Place> =
            std::mem::take(&mut self.places).into_iter().map(|it| (it.endpoint.id, it)).collect();
        for endpoint in &upstream.endpoints {
            let known = before.remove(&endpoint.id);
            let is_new = known.is_none();
            let mut place = known.unwrap_or_else(|| Place::new(endpoint, now));
            place.endpoint = endpoint.clone();
            place.judged.adapt(upstream.health.as_deref());
            if is_new || !same_checks {
                place.check(health, upstream.id, checks.as_ref(), is_new);
            }
            self.places.push(place);
        }
        retired.extend(before.into_values().map(|it| it.endpoint.health));
        self.switch =
            upstream.breaker.as_ref().map(|_| self.switch.take().unwrap_or_else(|| Switch::new(now)));
        self.upstream = Some(Arc::clone(upstream));
        self.tell(now);
    }

    /// Nobody watches it any more: its endpoints are used as if nothing was known of them.
    pub(super) fn give_up(self) -> impl Iterator<Item = health::Health> {
        self.places.into_iter().map(|place| {
            place.endpoint.health.set_share(WHOLE_SHARE);
            place.endpoint.health.clone()
        })
    }

    /// Takes in the result of a check.
    pub(super) fn check_ended(&mut self, endpoint: u32, result: Result<(), String>, now: Instant) {
        let checks = self.upstream.as_ref().and_then(|it| it.health.as_ref()?.checks.as_ref());
        let place = self.places.iter_mut().find(|it| it.endpoint.id == endpoint);
        if let (Some(checks), Some(place)) = (checks, place) {
            place.judged.check_ended(checks, result, now);
            self.tell(now);
        }
    }

    /// Takes in what workers have seen, and decides what comes of it.
    pub(super) fn look(&mut self, process: &Process, now: Instant) {
        let Some(upstream) = self.upstream.clone() else { return };
        let rules = upstream.health.as_ref().and_then(|it| it.ejection.as_ref());
        let with_latencies = rules.is_some_and(|it| it.latency_permille.is_some());
        let mut all = Totals::default();
        for place in &mut self.places {
            let counted = place.endpoint.health.totals(with_latencies);
            if with_latencies != place.with_latencies {
                // Nobody has looked at them so far.
                (place.with_latencies, place.counted.latencies) = (with_latencies, counted.latencies);
            }
            let seen = counted.since(&place.counted);
            place.counted = counted;
            all.answers = all.answers.saturating_add(seen.answers);
            all.failures = all.failures.saturating_add(seen.failures);
            if let Some(rules) = rules {
                place.judged.look(rules, &seen, now);
            }
        }
        if let Some(rules) = rules {
            let weighted = self.places.iter_mut().filter(|it| it.endpoint.weight > 0);
            let mut judged: Vec<&mut Judged> = weighted.map(|it| &mut it.judged).collect();
            let withheld = judge::judge(rules, &mut judged, now);
            process.ejections_withheld.add(withheld.into());
        }
        let ejected = self.tell(now);
        process.ejections_made.add(ejected);
        if let (Some(switch), Some(breaker)) = (&mut self.switch, &upstream.breaker)
            && let Some(state) = switch.look(breaker, &all, now)
        {
            let name = &upstream.name;
            match state {
                circuit::State::Open(_) => {
                    process.breaker_opens.inc();
                    tracing::warn!("upstream {name:?}: its circuit is open: {}", switch.why);
                }
                circuit::State::HalfOpen => tracing::info!("upstream {name:?}: its circuit is half open"),
                circuit::State::Closed => tracing::info!("upstream {name:?}: its circuit is closed"),
            }
        }
    }

    /// Tells workers, and whoever reads the log, what has become of the endpoints. How many have been ejected.
    fn tell(&mut self, now: Instant) -> u64 {
        let Some(upstream) = &self.upstream else { return 0 };
        let mut ejected = 0;
        for place in &mut self.places {
            let (state, share) = match &upstream.health {
                Some(settings) => place.judged.state(settings, now),
                None => (State::Unwatched, WHOLE_SHARE),
            };
            if place.endpoint.health.share() != share {
                place.endpoint.health.set_share(share);
            }
            if state == place.state {
                continue;
            }
            let (name, address, word) = (&upstream.name, &place.endpoint.label, state.word());
            match state {
                State::Failing | State::Ejected => {
                    let why = place.judged.why();
                    tracing::warn!("upstream {name:?}: endpoint {address} is {word}: {why}");
                }
                // Nothing has happened yet.
                State::Unwatched | State::Unchecked => {}
                State::Up if matches!(place.state, State::Unwatched | State::Unchecked) => {}
                State::Up | State::SlowStart => {
                    tracing::info!("upstream {name:?}: endpoint {address} is {word}");
                }
            }
            ejected += u64::from(state == State::Ejected);
            (place.state, place.since) = (state, now);
        }
        ejected
    }

    /// How its endpoints are doing.
    pub(super) fn states(&self) -> impl Iterator<Item = State> {
        self.places.iter().map(|it| it.state)
    }

    /// How its circuit is.
    pub(super) fn circuit(&self) -> Option<circuit::State> {
        Some(self.upstream.as_ref()?.breaker.as_ref()?.circuit.state())
    }
}

impl Place {
    fn new(endpoint: &Endpoint, now: Instant) -> Place {
        Place {
            endpoint: endpoint.clone(),
            counted: endpoint.health.totals(false),
            with_latencies: false,
            judged: Judged::new(now),
            state: State::Unwatched,
            since: now,
            checking: None,
        }
    }

    /// Has it checked, or not any more.
    fn check(&mut self, health: &Health, upstream: u32, checks: Option<&HowToCheck>, at_once: bool) {
        self.checking = checks.map(|checks| {
            let (health, endpoint) = (health.clone(), self.endpoint.clone());
            Running(tokio::spawn(keep_checking(health, upstream, endpoint, checks.clone(), at_once)))
        });
    }
}

//! Weights of endpoints that the admin API has set over what their upstream says: to drain one, to bring it back.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde_json::{Value as Json, json};

use super::{Delta, Desired, Kind, Owner, Refused, Upstream};
use crate::control::{config::Endpoint, error::ConfigError, raw::text::ENDPOINT};

/// Weights that may be set.
const WEIGHTS_MAX: usize = 10_000;
/// An endpoint's weight.
const WEIGHT_MAX: u64 = 1000;

/// The weight that an endpoint is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// This one; 0 drains it.
    Is(u64),
    /// The one that it had before it was drained: what its upstream says, or 1 where nothing else is known.
    Own,
}

/// Weights by upstream and endpoint.
#[derive(Debug, Default)]
pub(super) struct Weights {
    by_upstream: HashMap<Arc<str>, Weighted>,
}

#[derive(Debug, Default)]
struct Weighted {
    by_target: BTreeMap<Arc<str>, u32>,
    /// The upstream that they were put over, and what came of it: the same for as long as both are.
    made: Option<(Arc<Upstream>, Arc<Upstream>)>,
}

impl Weighted {
    fn make(&mut self, upstream: Option<&Arc<Upstream>>) {
        self.made = upstream.map(|upstream| {
            let mut changed = (**upstream).clone();
            for endpoint in &mut changed.endpoints {
                if let Some(weight) = self.by_target.get(&*endpoint.target.to_string()) {
                    endpoint.weight = *weight;
                }
            }
            (Arc::clone(upstream), Arc::new(changed))
        });
    }
}

impl Weights {
    /// The upstream with the weights that are set.
    pub(super) fn effective(&self, upstream: &Arc<Upstream>) -> Arc<Upstream> {
        match self.by_upstream.get(&upstream.name).and_then(|it| it.made.as_ref()) {
            Some((from, made)) if Arc::ptr_eq(from, upstream) => Arc::clone(made),
            _ => Arc::clone(upstream),
        }
    }

    pub(super) fn get(&self, upstream: &str, target: &str) -> Option<u32> {
        self.by_upstream.get(upstream)?.by_target.get(target).copied()
    }

    /// Sets a weight, or lifts it. `upstream`: the one of this name, if it is there.
    pub(super) fn set(
        &mut self,
        name: &Arc<str>,
        target: &Arc<str>,
        weight: Option<u32>,
        upstream: Option<&Arc<Upstream>>,
    ) {
        let weighted = self.by_upstream.entry(Arc::clone(name)).or_default();
        match weight {
            Some(weight) => weighted.by_target.insert(Arc::clone(target), weight),
            None => weighted.by_target.remove(target),
        };
        if weighted.by_target.is_empty() {
            self.by_upstream.remove(name);
        } else {
            weighted.make(upstream);
        }
    }

    /// Whether these weights leave nothing of an upstream to send requests to; then a sentence about it.
    pub(super) fn nothing_left(&self, upstream: &Upstream) -> Option<String> {
        let weights = &self.by_upstream.get(&upstream.name)?.by_target;
        let weight = |it: &Endpoint| *weights.get(&*it.target.to_string()).unwrap_or(&it.weight);
        let name = &upstream.name;
        upstream.endpoints.iter().all(|it| weight(it) == 0).then(|| {
            format!(
                "nothing would be left of the upstream `{name}`: the admin API has drained all its endpoints"
            )
        })
    }

    /// The upstream of this name is another one now.
    pub(super) fn follow(&mut self, name: &str, upstream: Option<&Arc<Upstream>>) {
        if let Some(weighted) = self.by_upstream.get_mut(name) {
            weighted.make(upstream);
        }
    }

    /// The upstreams that have some.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.by_upstream.keys().cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        self.by_upstream.values().map(|it| it.by_target.len()).sum()
    }

    /// What lifts them all.
    pub(super) fn clear(&self) -> Vec<Delta> {
        let one = |(upstream, target, before): (&Arc<str>, &Arc<str>, &u32)| Delta::Weight {
            upstream: Arc::clone(upstream),
            target: Arc::clone(target),
            before: Some(*before),
            after: None,
        };
        let all = |(upstream, it): (_, &'_ Weighted)| -> Vec<Delta> {
            it.by_target.iter().map(|(target, weight)| one((upstream, target, weight))).collect()
        };
        self.by_upstream.iter().flat_map(all).collect()
    }
}

impl Desired {
    /// Sets the weight of an endpoint; 0 drains it. An upstream of the admin API's own is edited, and gets the endpoint
    /// if it lacks it; over any other the weight is put until it is lifted.
    ///
    /// # Errors
    /// No such upstream or endpoint; a weight out of range; nothing left to send requests to.
    pub fn put_endpoint(
        &mut self,
        upstream: &str,
        target: &str,
        weight: Weight,
        from: &str,
    ) -> Result<Vec<Delta>, Refused> {
        let Some((owner, found)) = self.upstream(upstream) else {
            return Err(self.not_found(Kind::Upstream, upstream));
        };
        let (found, target) = (Arc::clone(found), &*canonical(target));
        let before = self.weights.get(upstream, target);
        if *owner == Owner::Api && before.is_none() {
            let weight = match weight {
                Weight::Is(weight) => in_range(weight, from)?,
                Weight::Own => named(&found, target).map_or(1, |it| it.weight.max(1)),
            };
            return self.edit_endpoints(upstream, from, |endpoints| {
                let endpoint = json!({ "address": target, "weight": weight });
                match endpoints.iter_mut().find(|it| address_of(it) == target) {
                    // What else it says of the endpoint stays.
                    Some(Json::Object(there)) => _ = there.insert("weight".to_owned(), weight.into()),
                    Some(there) => *there = endpoint,
                    None => endpoints.push(endpoint),
                }
            });
        }
        let Some(endpoint) = named(&found, target) else {
            let whose = self.whose(Kind::Upstream, upstream, owner);
            let text = format!("`{upstream}` has no endpoint {target}; it is of {whose}: add it there");
            return Err(Refused::NotFound(text));
        };
        let weight = match weight {
            Weight::Is(weight) => Some(in_range(weight, from)?),
            Weight::Own if endpoint.weight == 0 => {
                let whose = self.whose(Kind::Upstream, upstream, owner);
                let text = format!("the endpoint {target} has weight 0 in {whose}: say which it is to have");
                return Err(Refused::Conflict(text));
            }
            Weight::Own => None,
        };
        if before.is_none() && weight.is_some() && self.weights.count() >= WEIGHTS_MAX {
            return Err(Refused::Conflict(format!(
                "{WEIGHTS_MAX} weights are set already, which is the most"
            )));
        }
        self.weigh(&found, target, before, weight)
    }

    /// Removes an endpoint from an upstream of the admin API's own; lifts a weight that was set over any other.
    ///
    /// # Errors
    /// No such upstream or endpoint, or no weight that was set; the last endpoint.
    pub fn delete_endpoint(
        &mut self,
        upstream: &str,
        target: &str,
        from: &str,
    ) -> Result<Vec<Delta>, Refused> {
        let Some((owner, found)) = self.upstream(upstream) else {
            return Err(self.not_found(Kind::Upstream, upstream));
        };
        let (found, target) = (Arc::clone(found), &*canonical(target));
        let before = self.weights.get(upstream, target);
        if before.is_some() {
            return self.weigh(&found, target, before, None);
        }
        if named(&found, target).is_none() {
            return Err(Refused::NotFound(format!("`{upstream}` has no endpoint {target}")));
        }
        if *owner == Owner::Api {
            return self.edit_endpoints(upstream, from, |endpoints| {
                endpoints.retain(|it| address_of(it) != target);
            });
        }
        let whose = self.whose(Kind::Upstream, upstream, owner);
        let text = format!("the endpoint {target} is of {whose}: remove it there; or set its weight to 0");
        Err(Refused::Conflict(text))
    }

    /// An endpoint as people are shown it, and a tag that changes with it.
    pub fn endpoint(&self, upstream: &str, target: &str) -> Option<(Json, u32)> {
        let (_, found) = self.upstream(upstream)?;
        let target = &*canonical(target);
        let written = named(found, target)?.weight;
        let weight = self.weights.get(upstream, target).unwrap_or(written);
        let shown = json!({
            "address": target, "weight": weight, "written_weight": written, "drain": weight == 0,
        });
        Some((shown, weight))
    }

    fn weigh(
        &mut self,
        upstream: &Upstream,
        target: &str,
        before: Option<u32>,
        after: Option<u32>,
    ) -> Result<Vec<Delta>, Refused> {
        if before == after {
            return Ok(Vec::new());
        }
        let delta =
            Delta::Weight { upstream: Arc::clone(&upstream.name), target: target.into(), before, after };
        self.apply(&delta);
        if let Some(text) = self.weights.nothing_left(upstream) {
            self.apply(&delta.inverse());
            return Err(Refused::Conflict(text));
        }
        Ok(vec![delta])
    }

    fn edit_endpoints(
        &mut self,
        upstream: &str,
        from: &str,
        edit: impl FnOnce(&mut Vec<Json>),
    ) -> Result<Vec<Delta>, Refused> {
        let Some(mut json) = self.written(Kind::Upstream, upstream) else {
            return Err(self.not_found(Kind::Upstream, upstream));
        };
        if let Some(endpoints) = json.get_mut("endpoints").and_then(Json::as_array_mut) {
            edit(endpoints);
        }
        self.put(Kind::Upstream, upstream, &Owner::Api, &json, from)
    }
}

fn named<'u>(upstream: &'u Upstream, target: &str) -> Option<&'u Endpoint> {
    upstream.endpoints.iter().find(|it| it.target.to_string() == target)
}

/// As it is shown, however it was written.
fn canonical(target: &str) -> String {
    (ENDPOINT.parse)(target).map_or_else(|_| target.to_owned(), |it| it.to_string())
}

fn address_of(endpoint: &Json) -> String {
    canonical(endpoint.as_str().or_else(|| endpoint.get("address")?.as_str()).unwrap_or(""))
}

fn in_range(weight: u64, from: &str) -> Result<u32, Refused> {
    let good = u32::try_from(weight).ok().filter(|it| u64::from(*it) <= WEIGHT_MAX);
    good.ok_or_else(|| {
        let hint = Some(format!("from 0 to {WEIGHT_MAX}"));
        let message = format!("{weight} is out of range");
        Refused::Invalid(vec![ConfigError::of_json(from, "/weight".to_owned(), message, hint)])
    })
}

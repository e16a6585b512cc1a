//! Upstreams of the config to those of the table, each in a place of its own that it keeps.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    config::{self, Config, Target},
    identities::Identities,
    resolve::Resolved,
};
use crate::{
    route::difference::difference,
    upstream::{
        Address, Endpoint, Upstream,
        circuit::Breaker,
        hash::{HashSettings, HashTables, Hashing},
        health::{Ejection, HealthSettings},
        sticky::Sticky,
    },
};

/// Places in the table's list by the name of the upstream.
pub(super) type Places = HashMap<Arc<str>, usize>;

/// The upstreams of one table.
pub(super) struct Upstreams {
    /// As the config has them.
    given: Vec<Arc<config::Upstream>>,
    places: Arc<Places>,
    /// By place; see `RouteTable::upstreams`.
    list: Arc<[Option<Arc<Upstream>>]>,
    /// Of which answers they were made.
    revision: u64,
}

impl Upstreams {
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    pub(super) fn list(&self) -> &Arc<[Option<Arc<Upstream>>]> {
        &self.list
    }

    /// Those of `config`. What is the same as before, or would come out the same, is the same object.
    pub(super) fn compile(
        config: &Config,
        resolved: &Resolved,
        identities: &mut Identities,
        before: Option<&Self>,
    ) -> Self {
        let none = Self { given: Vec::new(), places: Arc::default(), list: Arc::default(), revision: 0 };
        let before = before.unwrap_or(&none);
        let changed = difference(&before.given, &config.upstreams);
        let workers = identities.workers(config.runtime.workers);
        let added: Vec<&Arc<config::Upstream>> =
            changed.added.iter().filter_map(|at| config.upstreams.get(*at)).collect();
        let mut next = Self {
            given: config.upstreams.clone(),
            places: Arc::clone(&before.places),
            list: Arc::clone(&before.list),
            revision: resolved.revision(),
        };
        let mut list: Option<Vec<_>> = None;
        if !changed.removed.is_empty() || !added.is_empty() {
            let list = list.insert(before.list.to_vec());
            let names: HashSet<&str> = added.iter().map(|it| &*it.name).collect();
            let gone = changed.removed.iter().filter_map(|at| before.given.get(*at));
            for upstream in gone.filter(|it| !names.contains(&*it.name)) {
                if let Some(place) = Arc::make_mut(&mut next.places).remove(&upstream.name) {
                    list[place] = None;
                }
            }
            // Only what was free before: routes that are the same as before may still mean what has just gone.
            let mut free = (0..before.list.len()).filter(|place| before.list[*place].is_none());
            for upstream in &added {
                let place = next.places.get(&upstream.name).copied().or_else(|| free.next());
                let place = place.unwrap_or(list.len());
                if place == list.len() {
                    list.push(None);
                }
                if !next.places.contains_key(&upstream.name) {
                    Arc::make_mut(&mut next.places).insert(Arc::clone(&upstream.name), place);
                }
                let old = list[place].take();
                list[place] = Some(compiled(upstream, (resolved, workers), identities, old));
            }
        }
        if before.revision != next.revision {
            let list = list.get_or_insert_with(|| before.list.to_vec());
            for upstream in config.upstreams.iter().filter(|it| has_names(it)) {
                if let Some(place) = next.places.get(&upstream.name) {
                    let old = list[*place].take();
                    list[*place] = Some(compiled(upstream, (resolved, workers), identities, old));
                }
            }
        }
        if let Some(list) = list.filter(|list| !same(list, &before.list)) {
            next.list = list.into();
        }
        next
    }
}

fn same(list: &[Option<Arc<Upstream>>], before: &[Option<Arc<Upstream>>]) -> bool {
    let same = |(a, b): (&Option<Arc<Upstream>>, &Option<Arc<Upstream>>)| match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    };
    list.len() == before.len() && list.iter().zip(before).all(same)
}

fn has_names(upstream: &config::Upstream) -> bool {
    upstream.endpoints.iter().any(|it| matches!(it.target, Target::Name(_)))
}

/// The upstream of the table; `old` is the one of this name before, which stays if nothing about it has changed.
fn compiled(
    from: &config::Upstream,
    (resolved, workers): (&Resolved, usize),
    identities: &mut Identities,
    old: Option<Arc<Upstream>>,
) -> Arc<Upstream> {
    let new = upstream(from, resolved, identities, old.as_deref());
    have_counted(&new, workers);
    old.filter(|old| **old == new).unwrap_or_else(|| Arc::new(new))
}

fn upstream(
    from: &config::Upstream,
    resolved: &Resolved,
    identities: &mut Identities,
    old: Option<&Upstream>,
) -> Upstream {
    let id = old.map_or_else(|| identities.upstream(), |it| it.id);
    let known: HashMap<&Address, &Endpoint> =
        old.into_iter().flat_map(|it| &it.endpoints).map(|it| (&it.address, it)).collect();
    let mut endpoints = Vec::with_capacity(from.endpoints.len());
    let mut seen = HashSet::new();
    for endpoint in &from.endpoints {
        for address in addresses(&endpoint.target, resolved) {
            // Two names may lead to one address. The first one counts, as the first of two lines in a file would.
            if seen.insert(address.clone()) {
                let old = known.get(&address);
                endpoints.push(Endpoint {
                    id: old.map_or_else(|| identities.endpoint(), |it| it.id),
                    label: config::address_text(&address).into(),
                    health: old.map(|it| it.health.clone()).unwrap_or_default(),
                    address,
                    weight: endpoint.weight,
                    backup: endpoint.backup,
                });
            }
        }
    }
    Upstream {
        id,
        name: from.name.clone(),
        balance: from.balance,
        hash: from.hash.as_ref().map(|settings| hashing(settings, &endpoints, old)),
        sticky: from.sticky.as_ref().map(|settings| {
            Arc::new(Sticky::new(settings, &from.name, endpoints.iter().map(|it| &*it.label)))
        }),
        endpoints: endpoints.into(),
        pool: from.pool,
        timeouts: from.timeouts,
        retries: from.retries.clone(),
        deadline_header: from.deadline_header.clone(),
        health: from.health.clone(),
        breaker: from.breaker.clone().map(|settings| Breaker {
            settings,
            circuit: old.and_then(|it| Some(Arc::clone(&it.breaker.as_ref()?.circuit))).unwrap_or_default(),
        }),
        proxy_protocol: from.proxy_protocol,
    }
}

/// Has workers count what is judged.
fn have_counted(upstream: &Upstream, workers: usize) {
    let ejection: Option<&Ejection> =
        upstream.health.as_deref().and_then(|it: &HealthSettings| it.ejection.as_ref());
    if ejection.is_none() && upstream.breaker.is_none() {
        return;
    }
    let run_max = ejection.and_then(|it| it.consecutive_failures).unwrap_or(0);
    upstream.endpoints.iter().for_each(|it| it.health.count(workers, run_max));
}

/// With the tables of before where they would come out the same: they take long to build.
fn hashing(settings: &HashSettings, endpoints: &[Endpoint], old: Option<&Upstream>) -> Hashing {
    let new = HashTables::of(endpoints);
    let old = old.and_then(|it| it.hash.as_ref()).map(|it| &it.tables).filter(|old| ***old == new);
    Hashing { settings: settings.clone(), tables: old.cloned().unwrap_or_else(|| Arc::new(new)) }
}

fn addresses(target: &Target, resolved: &Resolved) -> Vec<Address> {
    match target {
        Target::Address(address) => vec![address.clone()],
        Target::Name(name) => resolved.addresses(name).iter().copied().map(Address::Tcp).collect(),
    }
}

//! From routes to a table: what must not stand in one, order, index; with all that has not changed from the one before.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    action::Action,
    difference::{Difference, PointerMap, difference},
    host::HostPattern,
    index::{Candidate, Index, Shapes},
    listener::Listener,
    prepared::Prepared,
    split::Shares,
    table::{Route, RouteTable},
    twins::Twins,
};
use crate::{overload::Settings as Overload, rule::Rules, upstream::Upstream};

/// Why a table cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BuildError {
    /// The routes at fault, as indexes into the list that was given.
    pub routes: Vec<usize>,
    /// What is wrong, with the names of the routes.
    pub message: String,
}

/// What a table is made of.
pub struct Parts {
    /// Its number.
    pub generation: u64,
    /// In the order of the config, on which ties are decided. What is the same object as before has not changed.
    pub routes: Vec<Arc<Prepared>>,
    /// See [`RouteTable::upstreams`].
    pub upstreams: Arc<[Option<Arc<Upstream>>]>,
    /// Settings of each listener.
    pub listeners: Box<[Arc<Listener>]>,
    /// See [`RouteTable::rules`].
    pub rules: Option<Arc<Rules>>,
    /// See [`RouteTable::overload`].
    pub overload: Option<Overload>,
}

/// A table, with what the next one is built upon. Stays with the control thread.
pub struct Built {
    table: Arc<RouteTable>,
    routes: Vec<Arc<Prepared>>,
    shapes: Shapes,
}

/// Hosts that have the same routes, `None` standing for any host.
struct Alike<'r> {
    hosts: Vec<Option<&'r HostPattern>>,
    /// Positions of their routes, in the order of the config.
    routes: Vec<u32>,
}

impl Built {
    /// A table of its own.
    ///
    /// # Errors
    /// As [`upon`](Self::upon).
    pub fn new(
        generation: u64,
        routes: Vec<Route>,
        upstreams: Vec<Arc<Upstream>>,
        listeners: Vec<Arc<Listener>>,
    ) -> Result<Self, Vec<BuildError>> {
        let parts = Parts {
            generation,
            routes: routes.into_iter().map(|route| Arc::new(Prepared::new(route))).collect(),
            upstreams: upstreams.into_iter().map(Some).collect(),
            listeners: listeners.into(),
            rules: None,
            overload: None,
        };
        Self::upon(None, parts)
    }

    /// A table that shares with the one before what has not changed. Past a few passes over pointers, the work is that
    /// of the hosts whose routes have changed.
    ///
    /// # Errors
    ///
    /// Every path that is not one, every pair of routes that no request can tell apart, and every action that names
    /// an upstream which is not there: all of them, not just the first. They are those of a table built by itself.
    pub fn upon(before: Option<&Built>, parts: Parts) -> Result<Self, Vec<BuildError>> {
        let Parts { generation, routes, upstreams, listeners, rules, overload } = parts;
        let old: &[Arc<Prepared>] = before.map_or(&[], |it| &it.routes);
        let changed = difference(old, &routes);
        let mut errors = faults(&routes, &changed.added);
        errors.extend(check_actions(before, &routes, &changed.added, &upstreams));
        let index = before.map(|it| &it.table.index);
        let hosts = changed_hosts(index, old, &routes, &changed);
        let mut twins = Twins::default();
        for alike in &hosts {
            let is_new = |position: u32| changed.added.binary_search(&(position as usize)).is_ok();
            twins.look(&routes, &alike.hosts, &alike.routes, is_new);
        }
        errors.extend(twins.errors(&routes));
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut shapes = before.map(|it| it.shapes.clone()).unwrap_or_default();
        let index = rebuild(index, &routes, &hosts, &mut shapes)?;
        let route_ids = route_ids(before, old, &routes, &changed);
        let splits = splits(before, old, &routes, &changed, &upstreams);
        let table =
            RouteTable { generation, upstreams, listeners, route_ids, splits, rules, overload, index };
        Ok(Self { table: Arc::new(table), routes, shapes })
    }

    /// The table.
    pub fn table(&self) -> &Arc<RouteTable> {
        &self.table
    }

    /// All routes, in the order in which they were given.
    pub fn routes(&self) -> &[Arc<Prepared>] {
        &self.routes
    }
}

fn faults(routes: &[Arc<Prepared>], added: &[usize]) -> Vec<BuildError> {
    let error = |position: &usize| {
        let route = routes.get(*position)?;
        let fault = route.fault.as_ref()?;
        Some(BuildError { routes: vec![*position], message: format!("route \"{}\": {fault}", route.name) })
    };
    added.iter().filter_map(error).collect()
}

/// Routes that came in are looked at, and all when an upstream has gone.
fn check_actions(
    before: Option<&Built>,
    routes: &[Arc<Prepared>],
    added: &[usize],
    upstreams: &Arc<[Option<Arc<Upstream>>]>,
) -> Vec<BuildError> {
    let there = |index: usize| upstreams.get(index).is_some_and(Option::is_some);
    let wrong = |action: &Action| match action {
        Action::Upstream(index) if !there(*index) => Some("names an upstream that is not in the table"),
        Action::Split(split) if split.choices.iter().any(|(index, _)| !there(*index)) => {
            Some("splits to an upstream that is not in the table")
        }
        Action::Split(split) if split.choices.iter().all(|(_, weight)| *weight == 0) => {
            Some("splits to nothing: give one upstream a weight above 0")
        }
        _ => None,
    };
    let error = |position: usize| {
        let route = routes.get(position)?;
        let what = wrong(&route.action)?;
        Some(BuildError { routes: vec![position], message: format!("route \"{}\" {what}", route.name) })
    };
    let gone = before.is_some_and(|before| {
        let old = &before.table.upstreams;
        !Arc::ptr_eq(old, upstreams) && (0..old.len()).any(|place| old[place].is_some() && !there(place))
    });
    match gone {
        true => (0..routes.len()).filter_map(error).collect(),
        false => added.iter().copied().filter_map(error).collect(),
    }
}

/// The hosts that a route has come to, gone from or moved at, with the routes that they have now.
fn changed_hosts<'r>(
    index: Option<&Index>,
    old: &'r [Arc<Prepared>],
    routes: &'r [Arc<Prepared>],
    changed: &Difference,
) -> Vec<Alike<'r>> {
    let mut hosts: HashMap<Option<&HostPattern>, Vec<u32>> = HashMap::new();
    for position in &changed.added {
        for host in routes.get(*position).into_iter().flat_map(|route| route.hosts()) {
            hosts.entry(host).or_default().push(*position as u32);
        }
    }
    let mut gone: HashSet<*const Prepared> = HashSet::new();
    for route in changed.removed.iter().filter_map(|position| old.get(*position)) {
        gone.insert(Arc::as_ptr(route));
        route.hosts().for_each(|host| {
            hosts.entry(host).or_default();
        });
    }
    // Where the routes are that these hosts have besides: found by one pass, so that nobody has to remember it.
    let mut stay: HashMap<Option<&HostPattern>, Vec<*const Prepared>> = HashMap::new();
    for host in hosts.keys() {
        let there = index.into_iter().flat_map(|index| index.routes(*host)).map(Arc::as_ptr);
        stay.insert(*host, there.filter(|route| !gone.contains(route)).collect());
    }
    let mut positions: PointerMap<Prepared, u32> = stay.values().flatten().map(|route| (*route, 0)).collect();
    if !positions.is_empty() {
        for (position, route) in routes.iter().enumerate() {
            if let Some(place) = positions.get_mut(&Arc::as_ptr(route)) {
                *place = position as u32;
            }
        }
    }
    // Hosts with the same routes are built as one: a route that lists a hundred names makes a hundred hosts alike.
    let mut alike: HashMap<Vec<u32>, Vec<Option<&HostPattern>>> = HashMap::new();
    for (host, mut all) in hosts {
        all.extend(stay.get(&host).into_iter().flatten().filter_map(|route| positions.get(route)));
        all.sort_unstable();
        alike.entry(all).or_default().push(host);
    }
    alike.into_iter().map(|(routes, hosts)| Alike { hosts, routes }).collect()
}

/// The index with the changed hosts built anew.
fn rebuild(
    before: Option<&Index>,
    routes: &[Arc<Prepared>],
    hosts: &[Alike<'_>],
    shapes: &mut Shapes,
) -> Result<Index, Vec<BuildError>> {
    let mut index = before.cloned().unwrap_or_default();
    let mut errors = Vec::new();
    for Alike { hosts, routes: positions } in hosts {
        let mut sorted: Vec<&Arc<Prepared>> =
            positions.iter().filter_map(|position| routes.get(*position as usize)).collect();
        // Stable: equals stay in the order of the config.
        sorted.sort_by_key(|route| route.rank);
        let candidates: Vec<Candidate> = sorted
            .into_iter()
            .zip(0..)
            .map(|(route, rank)| Candidate { route: Arc::clone(route), rank, conditional: route.conditional })
            .collect();
        if let Err(fault) = index.replace(hosts, &candidates, shapes) {
            let name = fault.route.as_ref().map_or("", |route| &route.name);
            let message = format!("route \"{name}\": {}", fault.what);
            let is_at_fault = |it: &Arc<Prepared>| fault.route.as_ref().is_some_and(|at| Arc::ptr_eq(at, it));
            errors.push(BuildError {
                routes: routes.iter().position(is_at_fault).into_iter().collect(),
                message,
            });
        }
    }
    errors.sort_by(|a, b| (&a.routes, &a.message).cmp(&(&b.routes, &b.message)));
    if errors.is_empty() { Ok(index) } else { Err(errors) }
}

fn route_ids(
    before: Option<&Built>,
    old: &[Arc<Prepared>],
    routes: &[Arc<Prepared>],
    changed: &Difference,
) -> Arc<[u32]> {
    let ids = |of: &[Arc<Prepared>], at: &[usize]| {
        let mut ids: Vec<u32> = at.iter().filter_map(|at| of.get(*at)).map(|route| route.id).collect();
        ids.sort_unstable();
        ids
    };
    let (gone, come) = (ids(old, &changed.removed), ids(routes, &changed.added));
    match before {
        Some(before) if gone == come => Arc::clone(&before.table.route_ids),
        _ => {
            let stay = before.into_iter().flat_map(|it| it.table.route_ids.iter().copied());
            let mut all: Vec<u32> = stay.filter(|id| gone.binary_search(id).is_err()).chain(come).collect();
            // Mostly sorted: new numbers are the highest.
            all.sort_unstable();
            all.into()
        }
    }
}

fn splits(
    before: Option<&Built>,
    old: &[Arc<Prepared>],
    routes: &[Arc<Prepared>],
    changed: &Difference,
    upstreams: &[Option<Arc<Upstream>>],
) -> Arc<[Shares]> {
    let of = |of: &[Arc<Prepared>], at: &[usize]| -> Vec<Shares> {
        at.iter().filter_map(|at| Shares::of(of.get(*at)?, upstreams)).collect()
    };
    let (gone, come) = (of(old, &changed.removed), of(routes, &changed.added));
    match before {
        Some(before) if gone.is_empty() && come.is_empty() => Arc::clone(&before.table.splits),
        _ => {
            let gone: HashSet<u32> = gone.iter().map(|it| it.route).collect();
            let stay = before.into_iter().flat_map(|it| it.table.splits.iter());
            let stay = stay.filter(|it| !gone.contains(&it.route)).cloned();
            let mut all: Vec<Shares> = stay.chain(come).collect();
            all.sort_by_key(|it| it.route);
            all.into()
        }
    }
}

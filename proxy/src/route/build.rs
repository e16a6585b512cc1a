//! From routes to a table: order, what must not stand in one table, index.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    action::Action,
    host::HostPattern,
    index::{Candidate, Index, IndexBuilder},
    listener::Listener,
    parameters::Segments,
    path::PathPattern,
    precedence::{HostRank, RouteRank},
    predicate::{Predicates, ValuePattern},
    table::{Route, RouteTable},
};
use crate::upstream::Upstream;

/// Why a table cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BuildError {
    /// The routes at fault, as indexes into the list that was given.
    pub routes: Vec<usize>,
    /// What is wrong, with the names of the routes.
    pub message: String,
}

impl RouteTable {
    /// Sorts `routes` (given in the order of the file, on which ties are decided) and builds the index.
    ///
    /// # Errors
    ///
    /// Every path that is not one, every pair of routes that no request can tell apart, and every action that names
    /// an upstream which is not there: all of them, not just the first.
    pub fn build(
        generation: u64,
        mut routes: Vec<Route>,
        upstreams: Vec<Arc<Upstream>>,
        listeners: Vec<Arc<Listener>>,
    ) -> Result<Self, Vec<BuildError>> {
        let mut errors = normalise(&mut routes);
        errors.extend(check_actions(&routes, upstreams.len()));
        errors.extend(check_twins(&routes));
        if !errors.is_empty() {
            return Err(errors);
        }
        let order = order(&routes);
        let index = build_index(&routes, &order)?;
        let mut given: Vec<Option<Route>> = routes.into_iter().map(Some).collect();
        let routes = order.given.iter().filter_map(|position| given.get_mut(*position)?.take()).collect();
        Ok(Self {
            generation,
            routes,
            upstreams: upstreams.into(),
            listeners: listeners.into(),
            rules: None,
            index,
        })
    }
}

/// Brings paths that were not made by the constructors of `PathPattern` into their form, and drops repeated hosts.
fn normalise(routes: &mut [Route]) -> Vec<BuildError> {
    let mut errors = Vec::new();
    for (position, route) in routes.iter_mut().enumerate() {
        let predicates = &mut route.predicates;
        let path = match &predicates.path {
            PathPattern::Exact(text) => PathPattern::exact(text),
            PathPattern::Prefix(text) => PathPattern::prefix(text),
            PathPattern::Any | PathPattern::Regex(_) => Ok(predicates.path.clone()),
        };
        match path {
            Ok(path) => predicates.path = path,
            Err(error) => errors.push(BuildError {
                routes: vec![position],
                message: format!("route \"{}\": {error}", route.name),
            }),
        }
        let mut seen = HashSet::new();
        predicates.hosts =
            predicates.hosts.iter().filter(|host| seen.insert((*host).clone())).cloned().collect();
    }
    errors
}

fn check_actions(routes: &[Route], upstreams: usize) -> Vec<BuildError> {
    let wrong = |action: &Action| match action {
        Action::Upstream(index) if *index >= upstreams => Some("names an upstream that is not in the table"),
        Action::Split(split) if split.choices.iter().any(|(index, _)| *index >= upstreams) => {
            Some("splits to an upstream that is not in the table")
        }
        Action::Split(split) if split.choices.iter().all(|(_, weight)| *weight == 0) => {
            Some("splits to nothing: give one upstream a weight above 0")
        }
        _ => None,
    };
    let error = |(position, route): (usize, &Route)| {
        let what = wrong(&route.action)?;
        Some(BuildError { routes: vec![position], message: format!("route \"{}\" {what}", route.name) })
    };
    routes.iter().enumerate().filter_map(error).collect()
}

/// Pairs of routes that ask the same of a request on the same host: the later one could never win.
fn check_twins(routes: &[Route]) -> Vec<BuildError> {
    let mut first: HashMap<(Option<&HostPattern>, &str), usize> = HashMap::new();
    let mut told = HashSet::new();
    let mut errors = Vec::new();
    let asked: Vec<String> = routes.iter().map(|route| asked(&route.predicates)).collect();
    for (position, (route, asked)) in routes.iter().zip(&asked).enumerate() {
        for host in hosts(&route.predicates) {
            let other = *first.entry((host, asked)).or_insert(position);
            let Some(twin) =
                routes.get(other).filter(|_| other != position && told.insert((other, position)))
            else {
                continue;
            };
            let place = host.map_or_else(|| "any host".to_owned(), |host| format!("host {host}"));
            errors.push(BuildError {
                routes: vec![other, position],
                message: format!(
                    "routes \"{}\" and \"{}\" can never be told apart: on {place} both ask for the same path ({}), \
                     methods, headers and query; change one or remove it",
                    twin.name, route.name, route.predicates.path,
                ),
            });
        }
    }
    errors
}

/// The hosts of a route, `None` for a route without any.
fn hosts(predicates: &Predicates) -> impl Iterator<Item = Option<&HostPattern>> {
    let any = predicates.hosts.is_empty().then_some(None);
    predicates.hosts.iter().map(Some).chain(any)
}

/// All that is asked of a request, the host aside, in a form that is equal when the same is asked: names of parameters
/// and the order of lists do not count.
fn asked(predicates: &Predicates) -> String {
    let path = match &predicates.path {
        PathPattern::Any => String::new(),
        PathPattern::Exact(text) => {
            format!("={}", Segments::parse(text).map_or_else(|_| text.to_string(), |path| path.normalised()))
        }
        PathPattern::Prefix(prefix) => format!("^{prefix}"),
        PathPattern::Regex(regex) => format!("~{}", regex.as_str()),
    };
    let value = |pattern: &ValuePattern| match pattern {
        ValuePattern::Present => String::new(),
        ValuePattern::Exact(text) => format!("={text}"),
        ValuePattern::Regex(regex) => format!("~{}", regex.as_str()),
    };
    let methods: BTreeSet<&str> = predicates.methods.iter().map(|method| method.as_str()).collect();
    let headers: BTreeSet<_> =
        predicates.headers.iter().map(|(name, pattern)| (name.as_str(), value(pattern))).collect();
    let query: BTreeSet<_> = predicates.query.iter().map(|(name, pattern)| (name, value(pattern))).collect();
    // Debug quotes every string, so that no text can be mistaken for the end of another.
    format!("{path:?} {methods:?} {headers:?} {query:?}")
}

/// Two orders of the same routes.
struct Order {
    /// Positions in the file, in order of precedence, each route at the best of its hosts: the order of the table.
    given: Vec<usize>,
    /// By position in the file: the place among all routes when the host is not looked at. This, not the order of the
    /// table, is what counts among the routes of one host.
    ranks: Vec<u32>,
}

fn order(routes: &[Route]) -> Order {
    let rank =
        |position: &usize| routes.get(*position).map(|route| RouteRank::of(&route.predicates, *position));
    let mut given: Vec<usize> = (0..routes.len()).collect();
    given.sort_by_cached_key(rank);
    let mut ranks = vec![0; routes.len()];
    for (place, position) in given.iter().enumerate() {
        if let Some(rank) = ranks.get_mut(*position) {
            *rank = place as u32;
        }
    }
    // Stable: what is equal in host stays in order.
    given.sort_by_key(|position| routes.get(*position).map(|route| HostRank::first(&route.predicates)));
    Order { given, ranks }
}

fn build_index(routes: &[Route], order: &Order) -> Result<Index, Vec<BuildError>> {
    let mut by_host: HashMap<Option<&HostPattern>, Vec<(&PathPattern, Candidate)>> = HashMap::new();
    for (place, position) in order.given.iter().enumerate() {
        let (Some(route), Some(rank)) = (routes.get(*position), order.ranks.get(*position)) else { continue };
        let candidate =
            Candidate { rank: *rank, route: place as u32, conditional: route.predicates.is_conditional() };
        for host in hosts(&route.predicates) {
            by_host.entry(host).or_default().push((&route.predicates.path, candidate));
        }
    }
    let mut builder = IndexBuilder::default();
    let mut errors = Vec::new();
    for (host, mut candidates) in by_host {
        candidates.sort_unstable_by_key(|(_, candidate)| candidate.rank);
        if let Err(fault) = builder.add(host, &candidates) {
            let position = fault.route.and_then(|place| order.given.get(place as usize)).copied();
            let name = position.and_then(|position| routes.get(position)).map_or("", |route| &route.name);
            errors.push(BuildError {
                routes: position.into_iter().collect(),
                message: format!("route \"{name}\": {}", fault.what),
            });
        }
    }
    if errors.is_empty() { Ok(builder.build()) } else { Err(errors) }
}

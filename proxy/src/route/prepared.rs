//! A route with all that a table needs to know of it by itself, worked out once: tables built one upon the other share it.

use std::{
    collections::{BTreeSet, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    ops::Deref,
    sync::Arc,
};

use super::{
    host::HostPattern,
    parameters::Segments,
    path::PathPattern,
    pattern_error::PatternError,
    precedence::RouteRank,
    predicate::{Predicates, ValuePattern},
    table::Route,
};

/// A route, ready for any table. It knows nothing of other routes.
#[derive(Debug)]
pub struct Prepared {
    route: Route,
    /// Where it is tried among the routes of a host, but for its place in the config.
    pub(super) rank: RouteRank,
    /// Its path as an index takes it.
    pub(super) path: PathKey,
    /// Whether there is more to ask than host and path.
    pub(super) conditional: bool,
    /// Equal for routes that ask the same of a request, the host aside; other routes may share it.
    pub(super) asked_hash: u64,
    /// What is wrong with it.
    pub(super) fault: Option<PatternError>,
}

/// A path in the form in which equal ones are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathKey {
    /// Without parameters, in matchit's syntax.
    Exact(Arc<str>),
    /// With parameters, in matchit's syntax, their names normalised.
    Parameters(Arc<str>),
    Prefix(Arc<str>),
    /// The expression's text.
    Regex(Arc<str>),
    Any,
}

impl PathKey {
    fn of(path: &PathPattern) -> Self {
        match path {
            PathPattern::Any => Self::Any,
            PathPattern::Exact(text) => match Segments::parse(text) {
                Ok(path) if path.is_literal() => Self::Exact(path.normalised().into()),
                Ok(path) => Self::Parameters(path.normalised().into()),
                // A fault of the route: it comes into no table.
                Err(_) => Self::Exact(text.as_ref().into()),
            },
            PathPattern::Prefix(prefix) => Self::Prefix(prefix.as_ref().into()),
            PathPattern::Regex(regex) => Self::Regex(regex.as_str().into()),
        }
    }
}

impl Prepared {
    /// Brings a path that was not made by the constructors of `PathPattern` into its form, drops repeated hosts, and
    /// works out the rest.
    pub fn new(mut route: Route) -> Self {
        let predicates = &mut route.predicates;
        let path = match &predicates.path {
            PathPattern::Exact(text) => PathPattern::exact(text),
            PathPattern::Prefix(text) => PathPattern::prefix(text),
            PathPattern::Any | PathPattern::Regex(_) => Ok(predicates.path.clone()),
        };
        let fault = path.map(|path| predicates.path = path).err();
        let mut seen = HashSet::new();
        if !predicates.hosts.iter().all(|host| seen.insert(host)) {
            let mut seen = HashSet::new();
            predicates.hosts =
                predicates.hosts.iter().filter(|host| seen.insert((*host).clone())).cloned().collect();
        }
        let mut hasher = DefaultHasher::new();
        asked(predicates).hash(&mut hasher);
        Self {
            rank: RouteRank::of(predicates),
            path: PathKey::of(&predicates.path),
            conditional: predicates.is_conditional(),
            asked_hash: hasher.finish(),
            fault,
            route,
        }
    }

    /// The hosts, `None` for a route without any.
    pub(super) fn hosts(&self) -> impl Iterator<Item = Option<&HostPattern>> {
        hosts(&self.route.predicates)
    }

    /// All that is asked of a request, the host aside, in a form that is equal when the same is asked.
    pub(super) fn asked(&self) -> String {
        asked(&self.route.predicates)
    }
}

impl Deref for Prepared {
    type Target = Route;

    fn deref(&self) -> &Route {
        &self.route
    }
}

/// What a route asks of a request, once for each of its hosts. Two routes that share one of these can't be told apart.
pub fn asked_of(predicates: &Predicates) -> impl Iterator<Item = String> {
    let asked = asked(predicates);
    hosts(predicates).map(move |host| format!("{host:?} {asked}"))
}

fn hosts(predicates: &Predicates) -> impl Iterator<Item = Option<&HostPattern>> {
    let any = predicates.hosts.is_empty().then_some(None);
    predicates.hosts.iter().map(Some).chain(any)
}

/// Names of parameters and the order of lists do not count.
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

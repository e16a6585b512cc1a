//! The order in which routes are tried: the Kubernetes Gateway API's for HTTPRoute.
//!
//! Everything here is compared with plain `Ord`; less is tried first. A route with several hosts stands in that order
//! once for each of them.

use std::cmp::Reverse;

use super::{host::HostPattern, parameters::Segments, path::PathPattern, predicate::Predicates};

/// Exact before wildcard, longer wildcard before shorter, before none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HostRank {
    /// A name.
    Exact,
    /// Below a name of so many bytes.
    Wildcard(Reverse<usize>),
    /// Any host.
    Any,
}

impl HostRank {
    /// The rank of a route at one of its hosts, `None` when it has none.
    pub(super) fn of(host: Option<&HostPattern>) -> Self {
        match host {
            Some(HostPattern::Exact(_)) => Self::Exact,
            Some(HostPattern::Wildcard(suffix)) => Self::Wildcard(Reverse(suffix.len())),
            None => Self::Any,
        }
    }

    /// The rank at the host where it comes first.
    pub(super) fn first(predicates: &Predicates) -> Self {
        predicates.hosts.iter().map(|host| Self::of(Some(host))).min().unwrap_or(Self::Any)
    }
}

/// Exact, then parameterised, then longest prefix, then regex, then any path.
///
/// The contract for parameterised paths is *more literal segments first*. Between equals of that, one that ends with
/// its last segment goes before one that takes the rest of the path, and then more literal bytes go first: `/f/{name}`
/// before `/f/{*rest}`, `/f/{name}.png` before `/f/{name}`, whatever their order in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PathRank {
    /// No parameter.
    Exact,
    /// Literal segments, whether it takes the rest of the path, literal bytes.
    Parameterised(Reverse<usize>, bool, Reverse<usize>),
    /// Bytes.
    Prefix(Reverse<usize>),
    /// A regex.
    Regex,
    /// Any path. Last, so that a route for everything else never hides a regex.
    Any,
}

impl PathRank {
    /// The rank of a pattern that takes apart.
    pub(super) fn of(path: &PathPattern) -> Self {
        match path {
            PathPattern::Any => Self::Any,
            PathPattern::Exact(text) => Segments::parse(text).map_or(Self::Exact, |segments| {
                if segments.is_literal() {
                    return Self::Exact;
                }
                Self::Parameterised(
                    Reverse(segments.literal_segments()),
                    segments.has_catch_all(),
                    Reverse(segments.literal_bytes()),
                )
            }),
            PathPattern::Prefix(prefix) => Self::Prefix(Reverse(prefix.len())),
            PathPattern::Regex(_) => Self::Regex,
        }
    }
}

/// A route's place among those of one host. Equals are tried in the order of the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RouteRank {
    path: PathRank,
    any_method: bool,
    headers: Reverse<usize>,
    query: Reverse<usize>,
}

impl RouteRank {
    /// The rank of a route with these predicates.
    pub(super) fn of(predicates: &Predicates) -> Self {
        Self {
            path: PathRank::of(&predicates.path),
            any_method: predicates.methods.is_empty(),
            headers: Reverse(predicates.headers.len()),
            query: Reverse(predicates.query.len()),
        }
    }
}

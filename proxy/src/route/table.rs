//! The compiled routes and upstreams.

use std::sync::Arc;

use http::{HeaderMap, Method};

use super::{
    action::Action, hedge::Hedge, index::Index, listener::Listener, predicate::Predicates, split::Shares,
};
use crate::{
    http::{HeaderEdits, RequestHead},
    limit::RouteLimits,
    overload::{Priority, Settings as Overload},
    rule::Rules,
    upstream::Upstream,
};

/// One route, compiled.
#[derive(Debug, Clone)]
pub struct Route {
    /// Identity across tables, by name.
    pub id: u32,
    /// Its name in the config.
    pub name: Arc<str>,
    /// What a request must be.
    pub predicates: Predicates,
    /// What is done with it.
    pub action: Action,
    /// Replaces the prefix that `path_prefix` matched, before forwarding.
    pub rewrite_path_prefix: Option<Box<str>>,
    /// Replaces the host sent upstream.
    pub rewrite_host: Option<Box<str>>,
    /// Changes to the request's fields.
    pub request_headers: HeaderEdits,
    /// Changes to the response's fields.
    pub response_headers: HeaderEdits,
    /// When a second try is made beside the first.
    pub hedge: Option<Hedge>,
    /// How much it takes; `None`: anything.
    pub limits: Option<Box<RouteLimits>>,
    /// When its requests are shed by an overloaded worker.
    pub priority: Priority,
}

/// Whoever has a request's fields as a map, perhaps made only when asked for.
pub trait Fields: std::fmt::Debug {
    /// All fields.
    fn fields(&self) -> &HeaderMap;
}

impl Fields for HeaderMap {
    fn fields(&self) -> &HeaderMap {
        self
    }
}

impl Fields for RequestHead {
    fn fields(&self) -> &HeaderMap {
        self.headers()
    }
}

/// What selection looks at.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    /// The method.
    pub method: &'a Method,
    /// The host without port, in any case, without a trailing dot's removal (the table does both).
    pub host: &'a str,
    /// The path, byte for byte as received, without the query.
    pub path: &'a str,
    /// What follows `?`, when there is one.
    pub query: Option<&'a str>,
    /// Where its fields are found; asked only by routes with a condition on one.
    pub headers: &'a dyn Fields,
}

/// The chosen route.
#[derive(Debug, Clone, Copy)]
pub struct Selected<'t> {
    /// The route.
    pub route: &'t Route,
    /// Bytes of the path that `path_prefix` matched (what a prefix rewrite replaces); 0 for other kinds of path.
    pub prefix_len: usize,
}

/// Immutable routes, upstreams and listeners. Built by the control thread ([`Built`](super::Built)), read by workers.
///
/// Tables built one upon the other share what has not changed, so that each is small by itself: the list of routes is
/// not among it, and stays with the control thread.
#[derive(Debug)]
pub struct RouteTable {
    /// Counts tables: the published one has the highest.
    pub generation: u64,
    /// What `Action` indexes. An upstream keeps its place from table to table; one that is gone leaves it empty, to be
    /// taken by another in a later table. The same list as before when none has changed.
    pub upstreams: Arc<[Option<Arc<Upstream>>]>,
    /// Settings of each listener.
    pub listeners: Box<[Arc<Listener>]>,
    /// The identities of its routes, in order. The same list as before when none came or went.
    pub route_ids: Arc<[u32]>,
    /// The routes that split, in order of their identities. The same list as before when none has changed.
    pub splits: Arc<[Shares]>,
    /// What is asked of a request before it is routed; `None`: nothing.
    pub rules: Option<Arc<Rules>>,
    /// When workers shed requests; `None`: never.
    pub overload: Option<Overload>,
    /// Where `select` looks.
    pub(super) index: Index,
}

impl RouteTable {
    /// The route that serves `request`, or none (404).
    ///
    /// Equals a linear scan of all (route, host) pairs in order of precedence. Nothing is allocated, except by regexes
    /// (the `regex` crate keeps scratch space, and a host with many asks them as a set), by matchit for a path with
    /// more than three parameters, and for an encoded query value that a regex wants to see.
    pub fn select(&self, request: &RequestView<'_>) -> Option<Selected<'_>> {
        let (route, prefix_len) = self.index.find(request)?;
        Some(Selected { route, prefix_len })
    }

    /// The upstream in one place.
    pub fn upstream(&self, place: usize) -> Option<&Arc<Upstream>> {
        self.upstreams.get(place)?.as_ref()
    }

    /// Makes what takes long and workers need, before they can see the table.
    pub fn prepare(&self) {
        self.upstreams.iter().flatten().for_each(|upstream| upstream.prepare());
    }

    /// Whether it has the route of this identity.
    pub fn has_route(&self, id: u32) -> bool {
        self.route_ids.binary_search(&id).is_ok()
    }
}

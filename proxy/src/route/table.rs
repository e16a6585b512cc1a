//! The compiled routes and upstreams.

use std::sync::Arc;

use http::{HeaderMap, Method};

use super::{action::Action, listener::Listener, predicate::Predicates};
use crate::{http::HeaderEdits, upstream::Upstream};

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
    /// All fields.
    pub headers: &'a HeaderMap,
}

/// The chosen route.
#[derive(Debug, Clone, Copy)]
pub struct Selected<'t> {
    /// The route.
    pub route: &'t Route,
    /// Bytes of the path that `path_prefix` matched (what a prefix rewrite replaces); 0 for other kinds of path.
    pub prefix_len: usize,
}

/// Immutable routes, upstreams and listeners. Built by the control thread, read by workers.
#[derive(Debug)]
pub struct RouteTable {
    /// Counts tables: the published one has the highest.
    pub generation: u64,
    /// In order of precedence.
    pub routes: Box<[Route]>,
    /// What `Action` indexes.
    pub upstreams: Box<[Arc<Upstream>]>,
    /// Settings of each listener.
    pub listeners: Box<[Arc<Listener>]>,
}

impl RouteTable {
    /// The route that serves `request`, or none (404).
    pub fn select(&self, request: &RequestView<'_>) -> Option<Selected<'_>> {
        let _ = request;
        None
    }
}

/// Two routes that can't be told apart, or one that the table can't hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// Index in the order given to `build`.
    pub route: usize,
    /// The other route, when there are two.
    pub other: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl RouteTable {
    /// Stub.
    pub fn build(
        generation: u64,
        routes: Vec<Route>,
        upstreams: Vec<Arc<Upstream>>,
        listeners: Vec<Arc<Listener>>,
    ) -> Result<RouteTable, Vec<BuildError>> {
        Ok(RouteTable {
            generation,
            routes: routes.into(),
            upstreams: upstreams.into(),
            listeners: listeners.into(),
        })
    }
}

/// What became of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Index into `RouteTable::routes`.
    pub route: usize,
    /// Won, lost, or never asked.
    pub outcome: Outcome,
}

/// What became of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Chosen.
    Won,
    /// The first condition that was not met.
    LostOn(String),
    /// It would do, but another comes first.
    Shadowed,
}

impl RouteTable {
    /// Stand-in.
    pub fn explain(&self, request: &RequestView<'_>) -> Vec<Verdict> {
        let _ = request;
        Vec::new()
    }
}

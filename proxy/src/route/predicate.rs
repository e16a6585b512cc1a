//! Conditions of a route, compiled.

use http::{HeaderName, Method};

use super::{host::HostPattern, path::PathPattern};

/// All conditions of one route; an empty list means that anything will do.
#[derive(Debug, Clone)]
pub struct Predicates {
    /// One of these hosts.
    pub hosts: Box<[HostPattern]>,
    /// The path.
    pub path: PathPattern,
    /// One of these methods.
    pub methods: Box<[Method]>,
    /// All of these fields.
    pub headers: Box<[(HeaderName, ValuePattern)]>,
    /// All of these query parameters, by decoded name.
    pub query: Box<[(Box<str>, ValuePattern)]>,
}

/// What a field's or a query parameter's value must be.
#[derive(Debug, Clone)]
pub enum ValuePattern {
    /// There, with any value.
    Present,
    /// Exactly this.
    Exact(Box<str>),
    /// Matches (unanchored unless the pattern says so).
    Regex(regex::bytes::Regex),
}

//! Conditions of a route, compiled.

use http::{HeaderName, Method};

use super::{host::HostPattern, path::PathPattern};

/// All conditions of one route; an empty list means that anything will do.
#[derive(Debug, Clone, Default)]
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

impl ValuePattern {
    /// Stand-in.
    pub fn regex(text: &str) -> Result<Self, super::PatternError> {
        let error = |error: regex::Error| {
            super::PatternError::new(
                format!("`{text}` is not a regular expression"),
                error.to_string().lines().last().unwrap_or_default().trim(),
            )
        };
        regex::bytes::RegexBuilder::new(text).size_limit(1024 * 1024).build().map(Self::Regex).map_err(error)
    }
}

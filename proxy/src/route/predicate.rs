//! Conditions of a route, compiled.

use std::fmt;

use http::{HeaderName, Method};
use regex::bytes::RegexBuilder;

use super::{
    header,
    host::{HostName, HostPattern},
    method,
    path::{PathPattern, regex_error},
    pattern_error::PatternError,
    query,
    table::RequestView,
};
use crate::limits::ROUTE_REGEX_BYTES_MAX;

/// All conditions of one route; an empty list means that anything will do.
#[derive(Debug, Clone, Default)]
pub struct Predicates {
    /// One of these hosts.
    pub hosts: Box<[HostPattern]>,
    /// The path.
    pub path: PathPattern,
    /// One of these methods.
    pub methods: Box<[Method]>,
    /// All of these fields. A field with several lines matches if one of its lines does.
    pub headers: Box<[(HeaderName, ValuePattern)]>,
    /// All of these query parameters, by decoded name. The first parameter of that name counts.
    pub query: Box<[(Box<str>, ValuePattern)]>,
}

impl Predicates {
    /// Whether there is more to ask than host and path, which the index answers.
    pub(super) fn is_conditional(&self) -> bool {
        !(self.methods.is_empty() && self.headers.is_empty() && self.query.is_empty())
    }

    /// Whether method, fields and query are right.
    pub(super) fn accept(&self, request: &RequestView<'_>) -> bool {
        method::accept(&self.methods, request.method)
            && (self.headers.is_empty() || header::accept(&self.headers, request.headers.fields()))
            && query::accept(&self.query, request.query)
    }

    /// The first condition that `request` does not meet, in words, or `None` when it meets all. Slow.
    pub(super) fn lost_on(&self, request: &RequestView<'_>) -> Option<String> {
        self.host_lost(request.host)
            .or_else(|| self.path_lost(request.path))
            .or_else(|| method::lost_on(&self.methods, request.method))
            .or_else(|| header::lost_on(&self.headers, request.headers.fields()))
            .or_else(|| query::lost_on(&self.query, request.query))
    }

    fn host_lost(&self, host: &str) -> Option<String> {
        let name = HostName::new(host);
        if self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(name.as_bytes())) {
            return None;
        }
        Some(format!("host is not {}", alternatives(&self.hosts)))
    }

    fn path_lost(&self, path: &str) -> Option<String> {
        if self.path.matches(path) {
            return None;
        }
        let relation = match &self.path {
            PathPattern::Prefix(_) => "is not below",
            PathPattern::Regex(_) => "does not match the regex",
            PathPattern::Exact(text) if text.contains('{') => "does not match",
            PathPattern::Any | PathPattern::Exact(_) => "is not",
        };
        Some(format!("path {relation} {}", self.path))
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn alternatives<T: fmt::Display>(items: &[T]) -> String {
    let mut text = String::new();
    for (i, item) in items.iter().enumerate() {
        let before = match i {
            0 => "",
            i if i + 1 == items.len() => " or ",
            _ => ", ",
        };
        text.push_str(before);
        text.push_str(&item.to_string());
    }
    text
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
    /// A regular expression on the value's bytes.
    ///
    /// # Errors
    ///
    /// Syntax errors, and expressions that compile to more than `limits::ROUTE_REGEX_BYTES_MAX`.
    pub fn regex(text: &str) -> Result<Self, PatternError> {
        RegexBuilder::new(text)
            .size_limit(ROUTE_REGEX_BYTES_MAX)
            .build()
            .map(Self::Regex)
            .map_err(|error| regex_error(text, &error))
    }

    /// Whether `value` is one of those meant.
    pub(crate) fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(text) => value == text.as_bytes(),
            Self::Regex(regex) => regex.is_match(value),
        }
    }

    /// What a value that is there but does not match lacks: `is not x` or `does not match the regex x`.
    pub(super) fn lacks(&self) -> String {
        match self {
            Self::Present => "is absent".to_owned(),
            Self::Exact(text) => format!("is not {text}"),
            Self::Regex(regex) => format!("does not match the regex {}", regex.as_str()),
        }
    }
}

// Two patterns are equal when they were written alike; the regex crate leaves that to its users.
impl PartialEq for ValuePattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Present, Self::Present) => true,
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

impl Eq for ValuePattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_in_words() {
        assert_eq!(alternatives(&["a"]), "a");
        assert_eq!(alternatives(&["a", "b"]), "a or b");
        assert_eq!(alternatives(&["a", "b", "c"]), "a, b or c");
    }
}

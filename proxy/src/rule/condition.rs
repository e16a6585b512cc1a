//! What a request must be, as it is written.

use std::fmt;

use http::{HeaderName, Method};

use super::network::Network;
use crate::route::{HostPattern, PathPattern, ValuePattern};

/// A condition, or several put together. Hosts, paths, fields and query parameters mean what they mean in a route.
#[derive(Debug, Clone)]
pub enum Condition {
    /// The other end of the socket is in one of these networks. A client of a unix socket is in none.
    Client(Box<[Network]>),
    /// One of these hosts.
    Hosts(Box<[HostPattern]>),
    /// The path.
    Path(PathPattern),
    /// One of these methods.
    Methods(Box<[Method]>),
    /// A field, one of whose lines is like this.
    Header(HeaderName, ValuePattern),
    /// The first query parameter of this name is like this.
    Query(Box<str>, ValuePattern),
    /// All of these; of none: any request.
    All(Box<[Condition]>),
    /// At least one of these; of none: no request.
    Any(Box<[Condition]>),
    /// Not this.
    Not(Box<Condition>),
}

impl Condition {
    /// Whether every request is meant.
    pub fn is_always(&self) -> bool {
        match self {
            Self::All(list) => list.iter().all(Condition::is_always),
            Self::Path(PathPattern::Any) => true,
            _ => false,
        }
    }

    /// What two conditions that ask the same have in common; `None` for those that are put together of others.
    pub(super) fn key(&self) -> Option<String> {
        // Debug quotes every string, so that no text can be mistaken for the end of another.
        let value = |pattern: &ValuePattern| match pattern {
            ValuePattern::Present => String::new(),
            ValuePattern::Exact(text) => format!("={text:?}"),
            ValuePattern::Regex(regex) => format!("~{:?}", regex.as_str()),
        };
        Some(match self {
            Self::Client(networks) => format!("client {networks:?}"),
            Self::Hosts(hosts) => format!("hosts {hosts:?}"),
            Self::Path(PathPattern::Any) => "path".to_owned(),
            Self::Path(PathPattern::Exact(path)) => format!("path ={path:?}"),
            Self::Path(PathPattern::Prefix(path)) => format!("path ^{path:?}"),
            Self::Path(PathPattern::Regex(regex)) => format!("path ~{:?}", regex.as_str()),
            Self::Methods(methods) => format!("methods {methods:?}"),
            Self::Header(name, pattern) => format!("header {name:?}{}", value(pattern)),
            Self::Query(name, pattern) => format!("query {name:?}{}", value(pattern)),
            Self::All(_) | Self::Any(_) | Self::Not(_) => return None,
        })
    }
}

/// Entries of a list that are shown.
const SHOWN_MAX: usize = 4;

/// `a or b`, or `a, b and 3 more` when there are too many.
fn one_of<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (index, item) in items.iter().take(SHOWN_MAX).enumerate() {
        let before = match index {
            0 => "",
            index if index + 1 == items.len() => " or ",
            _ => ", ",
        };
        write!(f, "{before}{item}")?;
    }
    match items.len().saturating_sub(SHOWN_MAX) {
        0 => Ok(()),
        more => write!(f, " or {more} more"),
    }
}

fn joined(f: &mut fmt::Formatter<'_>, items: &[Condition], between: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        let nested = matches!(item, Condition::All(list) | Condition::Any(list) if list.len() > 1);
        let (open, close) = if nested && items.len() > 1 { ("(", ")") } else { ("", "") };
        write!(f, "{}{open}{item}{close}", if index > 0 { between } else { "" })?;
    }
    Ok(())
}

fn named(f: &mut fmt::Formatter<'_>, what: &str, name: &str, pattern: &ValuePattern) -> fmt::Result {
    match pattern {
        ValuePattern::Present => write!(f, "{what} {name}"),
        ValuePattern::Exact(text) => write!(f, "{what} {name} = {text}"),
        ValuePattern::Regex(regex) => write!(f, "{what} {name} ~ {regex}"),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(networks) => {
                f.write_str("client ")?;
                one_of(f, networks)
            }
            Self::Hosts(hosts) => {
                f.write_str("host ")?;
                one_of(f, hosts)
            }
            Self::Path(PathPattern::Any) => f.write_str("any path"),
            Self::Path(PathPattern::Exact(path)) => write!(f, "path {path}"),
            Self::Path(PathPattern::Prefix(path)) => write!(f, "prefix {path}"),
            Self::Path(PathPattern::Regex(regex)) => write!(f, "path ~ {regex}"),
            Self::Methods(methods) => one_of(f, methods),
            Self::Header(name, pattern) => named(f, "header", name.as_str(), pattern),
            Self::Query(name, pattern) => named(f, "query", name, pattern),
            Self::All(list) if list.is_empty() => f.write_str("any request"),
            Self::Any(list) if list.is_empty() => f.write_str("no request"),
            Self::All(list) => joined(f, list, " and "),
            Self::Any(list) => joined(f, list, " or "),
            Self::Not(inner) => write!(f, "not ({inner})"),
        }
    }
}

//! Selection as the contract words it: all (route, host) pairs sorted by a comparator, the first that matches wins.
//! Shares no code with the selection that it checks; paths with parameters are turned into regexes.

use std::{cmp::Ordering, collections::BTreeSet};

use http::HeaderMap;
use regex::Regex;

use super::spec::{PathSpec, Request, Spec, Want};

/// The routes of a table, sorted.
pub(super) struct Reference<'a> {
    /// In order of precedence.
    entries: Vec<Entry<'a>>,
    /// By id: what a path must be, exact paths and regexes as a regex.
    paths: Vec<Option<Regex>>,
}

/// One route at one of its hosts.
struct Entry<'a> {
    id: usize,
    host: Option<String>,
    spec: &'a Spec,
}

impl<'a> Reference<'a> {
    pub(super) fn new(specs: &'a [Spec]) -> Self {
        let mut entries = Vec::new();
        for (id, spec) in specs.iter().enumerate() {
            let hosts: Vec<Option<String>> = match spec.hosts.len() {
                0 => vec![None],
                _ => spec.hosts.iter().map(|host| Some(plain_host(host))).collect(),
            };
            entries.extend(hosts.into_iter().map(|host| Entry { id, host, spec }));
        }
        entries.sort_by(compare);
        Self { entries, paths: specs.iter().map(|spec| path_regex(&spec.path)).collect() }
    }

    /// The id of the route that wins and the length of the prefix it matched.
    pub(super) fn select(&self, request: &Request) -> Option<(usize, usize)> {
        let won = |entry: &&Entry<'_>| {
            entry.host.as_ref().is_none_or(|host| host_is(host, request))
                && self.rest_matches(entry.id, entry.spec, request)
        };
        self.entries.iter().find(won).map(|entry| {
            let prefix_len = match &entry.spec.path {
                PathSpec::Prefix(text) => text.trim_end_matches('/').len(),
                _ => 0,
            };
            (entry.id, prefix_len)
        })
    }

    /// Whether a route's predicates, the host among them, are met, no matter which other routes there are.
    pub(super) fn matches(&self, id: usize, request: &Request) -> bool {
        let host = |entry: &Entry<'_>| {
            entry.id == id && entry.host.as_ref().is_none_or(|host| host_is(host, request))
        };
        self.entries
            .iter()
            .find(|entry| host(entry))
            .is_some_and(|entry| self.rest_matches(id, entry.spec, request))
    }

    fn rest_matches(&self, id: usize, spec: &Spec, request: &Request) -> bool {
        let path = match (&spec.path, &self.paths[id]) {
            (PathSpec::Prefix(text), _) => {
                let text = text.trim_end_matches('/');
                text.is_empty() || request.path == text || request.path.starts_with(&format!("{text}/"))
            }
            (_, Some(regex)) => regex.is_match(&request.path),
            (_, None) => true,
        };
        let query = parse_query(request.query.as_deref());
        path && (spec.methods.is_empty() || spec.methods.contains(&request.method))
            && spec.headers.iter().all(|(name, want)| header_matches(name, want, &request.headers))
            && spec.query.iter().all(|(name, want)| {
                let first = query.iter().find(|(given, _)| given == name.as_bytes());
                first.is_some_and(|(_, value)| value_matches(want, value))
            })
    }
}

fn path_regex(path: &PathSpec) -> Option<Regex> {
    let pattern = match path {
        PathSpec::Exact(text) => {
            let text = regex::escape(&plain_exact(text)).replace("\0\\*", ".+").replace('\0', "[^/]+");
            format!("(?s)^{text}\\z")
        }
        PathSpec::Regex(text) => text.clone(),
        PathSpec::Any | PathSpec::Prefix(_) => return None,
    };
    Some(Regex::new(&pattern).expect("a regex"))
}

/// Whether no request can tell the two apart on some host.
pub(super) fn twins(a: &Spec, b: &Spec) -> bool {
    let hosts = |spec: &Spec| -> BTreeSet<String> {
        if spec.hosts.is_empty() {
            return BTreeSet::from([String::new()]);
        }
        spec.hosts.iter().map(|host| plain_host(host)).collect()
    };
    let methods = |spec: &Spec| spec.methods.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let set = |list: &[(String, Want)]| list.iter().cloned().collect::<BTreeSet<_>>();
    !hosts(a).is_disjoint(&hosts(b))
        && plain_path(&a.path) == plain_path(&b.path)
        && methods(a) == methods(b)
        && set(&a.headers) == set(&b.headers)
        && set(&a.query) == set(&b.query)
}

fn compare(a: &Entry<'_>, b: &Entry<'_>) -> Ordering {
    compare_hosts(a.host.as_deref(), b.host.as_deref())
        .then_with(|| path_class(&a.spec.path).cmp(&path_class(&b.spec.path)))
        .then_with(|| compare_in_class(&a.spec.path, &b.spec.path))
        .then_with(|| a.spec.methods.is_empty().cmp(&b.spec.methods.is_empty()))
        .then_with(|| b.spec.headers.len().cmp(&a.spec.headers.len()))
        .then_with(|| b.spec.query.len().cmp(&a.spec.query.len()))
        .then_with(|| a.id.cmp(&b.id))
}

fn compare_hosts(a: Option<&str>, b: Option<&str>) -> Ordering {
    let class = |host: Option<&str>| match host {
        Some(host) if !host.starts_with('*') => 0,
        Some(_) => 1,
        None => 2,
    };
    class(a).cmp(&class(b)).then_with(|| match (a, b) {
        (Some(a), Some(b)) if a.starts_with('*') => b.len().cmp(&a.len()),
        _ => Ordering::Equal,
    })
}

fn path_class(path: &PathSpec) -> u8 {
    match path {
        PathSpec::Exact(text) if !plain_exact(text).contains('\0') => 0,
        PathSpec::Exact(_) => 1,
        PathSpec::Prefix(text) if text == "/" => 4,
        PathSpec::Prefix(_) => 2,
        PathSpec::Regex(_) => 3,
        PathSpec::Any => 4,
    }
}

fn compare_in_class(a: &PathSpec, b: &PathSpec) -> Ordering {
    match (a, b) {
        (PathSpec::Exact(a), PathSpec::Exact(b)) => {
            let (a, b) = (plain_exact(a), plain_exact(b));
            let literal =
                |text: &str| text.split('/').filter(|part| !part.is_empty() && !part.contains('\0')).count();
            let bytes = |text: &str| text.chars().filter(|c| !matches!(c, '/' | '\0' | '*')).count();
            if !a.contains('\0') || !b.contains('\0') {
                return Ordering::Equal;
            }
            (literal(&b).cmp(&literal(&a)))
                .then_with(|| a.ends_with("\0*").cmp(&b.ends_with("\0*")))
                .then_with(|| bytes(&b).cmp(&bytes(&a)))
        }
        (PathSpec::Prefix(a), PathSpec::Prefix(b)) => {
            b.trim_end_matches('/').len().cmp(&a.trim_end_matches('/').len())
        }
        _ => Ordering::Equal,
    }
}

fn plain_host(host: &str) -> String {
    let host = host.to_lowercase();
    host.strip_suffix('.').map(str::to_owned).unwrap_or(host)
}

/// An exact path with NUL for a parameter, NUL and `*` for the rest of the path, and braces unescaped.
fn plain_exact(text: &str) -> String {
    let protected = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let mut plain = String::new();
    for (i, piece) in protected.split('{').enumerate() {
        match piece.split_once('}') {
            Some((name, after)) if i > 0 => {
                plain.push_str(if name.starts_with('*') { "\0*" } else { "\0" });
                plain.push_str(after);
            }
            _ => plain.push_str(piece),
        }
    }
    plain.replace('\u{1}', "{").replace('\u{2}', "}")
}

fn plain_path(path: &PathSpec) -> (u8, String) {
    let text = match path {
        PathSpec::Any => String::new(),
        PathSpec::Exact(text) => plain_exact(text),
        PathSpec::Prefix(text) => text.trim_end_matches('/').to_owned(),
        PathSpec::Regex(text) => text.clone(),
    };
    (path_class(path), text)
}

fn host_is(pattern: &str, request: &Request) -> bool {
    let host = plain_host(&request.host);
    match pattern.strip_prefix('*') {
        Some(suffix) => host.strip_suffix(suffix).is_some_and(|label| !label.is_empty()),
        None => host == pattern,
    }
}

fn header_matches(name: &str, want: &Want, headers: &HeaderMap) -> bool {
    headers.iter().any(|(given, value)| given.as_str() == name && value_matches(want, value.as_bytes()))
}

fn value_matches(want: &Want, value: &[u8]) -> bool {
    match want {
        Want::Present => true,
        Want::Exact(text) => text.as_bytes() == value,
        Want::Regex(text) => regex::bytes::Regex::new(text).expect(text).is_match(value),
    }
}

fn parse_query(query: Option<&str>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut parameters = Vec::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.push((unescape(name), unescape(value)));
    }
    parameters
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = text.replace('+', " ").into_bytes();
    let mut at = 0;
    while at + 2 < bytes.len() {
        let digits = String::from_utf8_lossy(&bytes[at + 1..at + 3]).into_owned();
        if bytes[at] == b'%' && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            bytes.splice(at..at + 3, u8::from_str_radix(&digits, 16));
        }
        at += 1;
    }
    bytes
}

//! What a request must be.

use std::{collections::HashMap, hash::Hash};

use http::header;

use crate::{
    control::raw::{
        document::Place,
        findings::Findings,
        routes::Match,
        section::Field,
        spec::{Item, MapEntry},
    },
    route::{
        path::PathPattern,
        predicate::{Predicates, ValuePattern},
    },
};

/// Checks a route's conditions. `None` when any is wrong.
pub(super) fn predicates(raw: &Field<Match>, findings: &mut Findings) -> Option<Predicates> {
    let Some(raw) = &raw.value else {
        return (!raw.given).then(Predicates::default);
    };
    one_path(raw, findings);
    not_empty(&raw.hosts, "hosts", "host", findings);
    not_empty(&raw.methods, "methods", "method", findings);
    listed_once(&raw.hosts, findings);
    listed_once(&raw.methods, findings);
    keys_once(&raw.headers, findings);
    for entry in raw.headers.value.iter().flatten() {
        if entry.key.as_ref() == Some(&header::HOST) {
            findings.error(entry.place, "the host is no header here").hint("use match.hosts");
        }
    }
    Some(Predicates {
        hosts: list(&raw.hosts)?,
        path: path(raw)?,
        methods: list(&raw.methods)?,
        headers: map(&raw.headers)?,
        query: map(&raw.query)?.into_iter().map(|(name, value)| (name.into(), value)).collect(),
    })
}

fn one_path(raw: &Match, findings: &mut Findings) {
    let paths = [("path", &raw.path), ("path_prefix", &raw.path_prefix), ("path_regex", &raw.path_regex)];
    let mut given = paths.into_iter().filter(|(_, field)| field.given);
    if let Some((first, _)) = given.next() {
        for (second, field) in given {
            let made = findings.error(field.place, format!("`{second}` beside `{first}`"));
            made.hint("a route has one kind of path: leave out the others, or make two routes");
        }
    }
}

fn path(raw: &Match) -> Option<PathPattern> {
    for field in [&raw.path, &raw.path_prefix, &raw.path_regex] {
        if field.given {
            return field.value.clone();
        }
    }
    Some(PathPattern::Any)
}

pub(super) fn not_empty<T>(field: &Field<Vec<Item<T>>>, key: &str, one: &str, findings: &mut Findings) {
    if field.value.as_ref().is_some_and(Vec::is_empty) {
        let made = findings.error(field.place, "an empty list would match nothing");
        made.hint(format!("leave out `{key}` to match any {one}"));
    }
}

pub(super) fn listed_once<T: Eq + Hash>(field: &Field<Vec<Item<T>>>, findings: &mut Findings) {
    let mut seen: HashMap<&T, Place> = HashMap::new();
    for item in field.value.iter().flatten() {
        let Some(value) = &item.value else { continue };
        if let Some(other) = seen.insert(value, item.place) {
            findings.error(item.place, "it is in this list twice").other(other).hint("leave one out");
        }
    }
}

/// Header names are one whatever their case.
pub(super) fn keys_once<K: Eq + Hash + std::fmt::Display, T>(
    field: &Field<Vec<MapEntry<K, T>>>,
    findings: &mut Findings,
) {
    let mut seen: HashMap<&K, Place> = HashMap::new();
    for entry in field.value.iter().flatten() {
        let Some(key) = &entry.key else { continue };
        if let Some(other) = seen.insert(key, entry.place) {
            let made = findings.error(entry.place, format!("`{key}` is there twice (case does not matter)"));
            made.other(other).hint("leave one out");
        }
    }
}

pub(super) fn list<T: Clone>(field: &Field<Vec<Item<T>>>) -> Option<Box<[T]>> {
    match &field.value {
        Some(items) => items.iter().map(|it| it.value.clone()).collect(),
        None => (!field.given).then(Box::default),
    }
}

fn map<K: Clone>(field: &Field<Vec<MapEntry<K, ValuePattern>>>) -> Option<Box<[(K, ValuePattern)]>> {
    match &field.value {
        Some(entries) => entries.iter().map(|it| Some((it.key.clone()?, it.value.clone()?))).collect(),
        None => (!field.given).then(Box::default),
    }
}

//! Path regexes, tried one after the other, or all at once when there are many.

use std::collections::HashMap;

use regex::{Regex, RegexSet, RegexSetBuilder};

use super::leaf::{Candidate, Search, Slot};
use crate::{
    limits::ROUTE_REGEX_BYTES_MAX,
    route::{path::PathPattern, prepared::Prepared},
};

/// Regexes of one host that are tried one by one; of more than these a set is made, which reads the path once.
const ONE_BY_ONE_MAX: usize = 8;

/// The regexes of a host. Their candidates are in one leaf, in order of precedence over all of them.
#[derive(Default)]
pub(super) struct Regexes {
    /// Each regex once.
    regexes: Box<[Regex]>,
    /// All of `regexes`, when there are many.
    set: Option<RegexSet>,
    /// For each candidate of the leaf an index into `regexes`.
    order: Box<[u32]>,
}

impl Regexes {
    /// Takes the regexes of those candidates that have one, in their order.
    pub(super) fn build(routes: &[Candidate]) -> Self {
        let mut regexes: Vec<Regex> = Vec::new();
        let mut known: HashMap<&str, u32> = HashMap::new();
        let given = routes.iter().filter_map(|it| match &it.route.predicates.path {
            PathPattern::Regex(regex) => Some(regex),
            _ => None,
        });
        let order = given
            .map(|regex| {
                *known.entry(regex.as_str()).or_insert_with(|| {
                    regexes.push(regex.clone());
                    regexes.len() as u32 - 1
                })
            })
            .collect();
        // Should the set be too large, they are tried one by one after all.
        let set = (regexes.len() > ONE_BY_ONE_MAX)
            .then(|| {
                RegexSetBuilder::new(regexes.iter().map(Regex::as_str))
                    .size_limit(ROUTE_REGEX_BYTES_MAX * ONE_BY_ONE_MAX)
                    .build()
                    .ok()
            })
            .flatten();
        Self { regexes: regexes.into(), set, order }
    }

    /// The first route whose regex and other predicates are right; their candidates are at `slot`.
    #[inline]
    pub(super) fn find<'t>(&self, slot: Slot, search: &Search<'t, '_>) -> Option<&'t Prepared> {
        if self.order.is_empty() {
            return None;
        }
        match &self.set {
            Some(set) => self.find_in_set(set, slot, search),
            None => self.find_one_by_one(slot, search),
        }
    }

    fn find_one_by_one<'t>(&self, slot: Slot, search: &Search<'t, '_>) -> Option<&'t Prepared> {
        self.order.iter().zip(search.all(slot)).find_map(|(index, candidate)| {
            // The other predicates first: they cost less than a regex.
            let found = search.accepts(candidate)
                && self.regexes.get(*index as usize).is_some_and(|regex| regex.is_match(search.request.path));
            found.then_some(&*candidate.route)
        })
    }

    /// Allocates a list of what matched, unless nothing did.
    fn find_in_set<'t>(&self, set: &RegexSet, slot: Slot, search: &Search<'t, '_>) -> Option<&'t Prepared> {
        if !set.is_match(search.request.path) {
            return None;
        }
        let matched = set.matches(search.request.path);
        self.order.iter().zip(search.all(slot)).find_map(|(index, candidate)| {
            let found = matched.matched(*index as usize) && search.accepts(candidate);
            found.then_some(&*candidate.route)
        })
    }
}

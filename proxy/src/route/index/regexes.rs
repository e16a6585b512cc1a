//! Path regexes, tried one after the other, or all at once when there are many.

use std::collections::HashMap;

use regex::{Regex, RegexSet, RegexSetBuilder};

use super::leaf::{Search, Slot};
use crate::limits::ROUTE_REGEX_BYTES_MAX;

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
    slot: Slot,
}

impl Regexes {
    /// Takes the regexes of the candidates at `slot`, in their order.
    pub(super) fn build(given: &[&Regex], slot: Slot) -> Self {
        let mut regexes: Vec<Regex> = Vec::new();
        let mut known: HashMap<&str, u32> = HashMap::new();
        let order = given
            .iter()
            .map(|regex| {
                *known.entry(regex.as_str()).or_insert_with(|| {
                    regexes.push((*regex).clone());
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
        Self { regexes: regexes.into(), set, order, slot }
    }

    /// The first route whose regex and other predicates are right.
    #[inline]
    pub(super) fn find(&self, search: &Search<'_>) -> Option<u32> {
        if self.order.is_empty() {
            return None;
        }
        match &self.set {
            Some(set) => self.find_in_set(set, search),
            None => self.find_one_by_one(search),
        }
    }

    fn find_one_by_one(&self, search: &Search<'_>) -> Option<u32> {
        self.order.iter().zip(search.all(self.slot)).find_map(|(index, candidate)| {
            // The other predicates first: they cost less than a regex.
            let found = search.accepts(candidate)
                && self.regexes.get(*index as usize).is_some_and(|regex| regex.is_match(search.request.path));
            found.then_some(candidate.route)
        })
    }

    /// Allocates a list of what matched, unless nothing did.
    fn find_in_set(&self, set: &RegexSet, search: &Search<'_>) -> Option<u32> {
        if !set.is_match(search.request.path) {
            return None;
        }
        let matched = set.matches(search.request.path);
        self.order.iter().zip(search.all(self.slot)).find_map(|(index, candidate)| {
            let found = matched.matched(*index as usize) && search.accepts(candidate);
            found.then_some(candidate.route)
        })
    }
}

//! Path regexes, tried one after the other, or all at once when there are many.

use std::collections::HashMap;

use regex::{Regex, RegexSet, RegexSetBuilder};

use super::leaf::{Candidate, Search};
use crate::limits::ROUTE_REGEX_BYTES_MAX;

/// Regexes of one host that are tried one by one; of more than these a set is made, which reads the path once.
const ONE_BY_ONE_MAX: usize = 8;

/// Regexes with their candidates, in order of precedence over all of them.
#[derive(Default)]
pub(super) struct Regexes {
    /// Each regex once.
    regexes: Box<[Regex]>,
    /// All of `regexes`, when there are many.
    set: Option<RegexSet>,
    /// Index into `regexes` and a route.
    candidates: Box<[(u32, Candidate)]>,
}

impl Regexes {
    /// Takes candidates in order of precedence.
    pub(super) fn build(given: &[(&Regex, Candidate)]) -> Self {
        let mut regexes: Vec<Regex> = Vec::new();
        let mut known: HashMap<&str, u32> = HashMap::new();
        let candidates = given
            .iter()
            .map(|(regex, candidate)| {
                let index = *known.entry(regex.as_str()).or_insert_with(|| {
                    regexes.push((*regex).clone());
                    regexes.len() as u32 - 1
                });
                (index, *candidate)
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
        Self { regexes: regexes.into(), set, candidates }
    }

    /// The first route whose regex and other predicates are right.
    #[inline]
    pub(super) fn find(&self, search: Search<'_>) -> Option<u32> {
        if self.candidates.is_empty() {
            return None;
        }
        match &self.set {
            Some(set) => self.find_in_set(set, search),
            None => self.find_one_by_one(search),
        }
    }

    fn find_one_by_one(&self, search: Search<'_>) -> Option<u32> {
        self.candidates.iter().find_map(|(index, candidate)| {
            // The other predicates first: they cost less than a regex.
            let found = search.accepts(*candidate)
                && self.regexes.get(*index as usize).is_some_and(|regex| regex.is_match(search.request.path));
            found.then_some(candidate.route)
        })
    }

    /// Allocates a list of what matched, unless nothing did.
    fn find_in_set(&self, set: &RegexSet, search: Search<'_>) -> Option<u32> {
        if !set.is_match(search.request.path) {
            return None;
        }
        let matched = set.matches(search.request.path);
        self.candidates.iter().find_map(|(index, candidate)| {
            let found = matched.matched(*index as usize) && search.accepts(*candidate);
            found.then_some(candidate.route)
        })
    }
}

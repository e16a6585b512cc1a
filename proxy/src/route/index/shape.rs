//! What the index of a host's paths is made of: its paths, without the routes.
//!
//! Hosts that are set up alike, as those of tenants are, have the same paths in the same order and other routes. They
//! share an index, which stays in the caches where a thousand would not; only the leaves are their own.

use std::collections::HashMap;

use regex::Regex;

use super::leaf::{Candidate, Slot};
use crate::route::{parameters::Segments, path::PathPattern};

/// The paths of a host, each once, by kind. Each has a slot, counted through the kinds in this order; all regexes
/// together have one, because they are tried in the order of their routes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    /// Paths without parameters, in matchit's syntax.
    pub(super) exact: Vec<String>,
    /// Paths with parameters, in the order of their first routes.
    pub(super) parameters: Vec<Segments>,
    pub(super) prefixes: Vec<String>,
    /// One for each candidate, repeated when several routes have the same.
    pub(super) regexes: Vec<String>,
    /// Whether there are routes for any path.
    pub(super) any: bool,
}

impl Shape {
    /// Sorts candidates, which come in order, by path. Returns the candidates of each slot, and the regexes.
    pub(super) fn of<'r>(
        routes: &[(&'r PathPattern, Candidate)],
    ) -> (Self, Vec<Vec<Candidate>>, Vec<&'r Regex>) {
        let mut shape = Self::default();
        let mut exact = Groups::default();
        let mut parameters = Groups::default();
        let mut prefixes = Groups::default();
        let (mut regexes, mut regex, mut any) = (Vec::new(), Vec::new(), Vec::new());
        for (path, candidate) in routes {
            match path {
                PathPattern::Exact(text) => {
                    // A table's paths have been taken apart before.
                    let Ok(segments) = Segments::parse(text) else { continue };
                    let text = segments.normalised();
                    if segments.is_literal() {
                        exact.add(text.clone(), *candidate, || shape.exact.push(text));
                    } else {
                        parameters.add(text, *candidate, || shape.parameters.push(segments));
                    }
                }
                PathPattern::Prefix(prefix) => {
                    prefixes.add(prefix.to_string(), *candidate, || shape.prefixes.push(prefix.to_string()));
                }
                PathPattern::Regex(one) => {
                    shape.regexes.push(one.as_str().to_owned());
                    regexes.push(one);
                    regex.push(*candidate);
                }
                PathPattern::Any => any.push(*candidate),
            }
        }
        shape.any = !any.is_empty();
        let lists = [exact.lists, parameters.lists, prefixes.lists, vec![regex], vec![any]];
        (shape, lists.into_iter().flatten().filter(|list| !list.is_empty()).collect(), regexes)
    }

    /// The first slot of the parameterised paths.
    pub(super) fn parameters_slot(&self) -> Slot {
        self.exact.len() as Slot
    }

    /// The first slot of the prefixes.
    pub(super) fn prefixes_slot(&self) -> Slot {
        self.parameters_slot() + self.parameters.len() as Slot
    }

    /// The slot of all regexes.
    pub(super) fn regexes_slot(&self) -> Slot {
        self.prefixes_slot() + self.prefixes.len() as Slot
    }

    /// The slot of the routes for any path, if there are some.
    pub(super) fn any_slot(&self) -> Option<Slot> {
        self.any.then(|| self.regexes_slot() + Slot::from(!self.regexes.is_empty()))
    }
}

/// Candidates by path, in the order in which the paths were first seen.
#[derive(Default)]
struct Groups {
    lists: Vec<Vec<Candidate>>,
    known: HashMap<String, usize>,
}

impl Groups {
    fn add(&mut self, path: String, candidate: Candidate, new: impl FnOnce()) {
        match self.known.get(&path).and_then(|index| self.lists.get_mut(*index)) {
            Some(list) => list.push(candidate),
            None => {
                self.known.insert(path, self.lists.len());
                self.lists.push(vec![candidate]);
                new();
            }
        }
    }
}

//! From a request's path to the route, among the routes of one host.

use std::collections::HashMap;

use super::{
    leaf::{Candidate, Leaf, Search},
    parameters::{Parameters, ParametersBuilder},
    prefixes::Prefixes,
    regexes::Regexes,
};
use crate::route::{parameters::Segments, path::PathPattern};

/// A path that cannot be indexed.
pub(in crate::route) struct Fault {
    /// The route it belongs to.
    pub(in crate::route) route: Option<u32>,
    /// What is wrong.
    pub(in crate::route) what: String,
}

/// The paths of one host (or of several with the same routes), one index for each kind.
#[derive(Default)]
pub(super) struct Paths {
    exact: Exact,
    parameters: Parameters,
    prefixes: Prefixes,
    regexes: Regexes,
    any: Option<Leaf>,
}

impl Paths {
    /// The first route whose path and other predicates are right, and the length of the prefix it matched.
    #[inline]
    pub(super) fn find(&self, search: Search<'_>) -> Option<(u32, usize)> {
        if let Some(route) = self.exact.find(search).or_else(|| self.parameters.find(search)) {
            return Some((route, 0));
        }
        if let Some(found) = self.prefixes.find(search) {
            return Some(found);
        }
        let route = self.regexes.find(search).or_else(|| search.first(self.any.as_ref()?))?;
        Some((route, 0))
    }

    /// Builds the index of `routes`, which are in order of precedence; what they share goes to `all`.
    ///
    /// # Errors
    ///
    /// The candidate at fault and what is wrong with its path.
    pub(super) fn build(
        routes: &[(&PathPattern, Candidate)],
        all: &mut Vec<Candidate>,
    ) -> Result<Self, Fault> {
        let mut exact = Groups::default();
        let mut parameters = Groups::default();
        let mut prefixes = Groups::default();
        let mut regexes = Vec::new();
        let mut any = Vec::new();
        for (path, candidate) in routes {
            match path {
                PathPattern::Exact(text) => {
                    let segments = Segments::parse(text)
                        .map_err(|error| Fault { route: Some(candidate.route), what: error.to_string() })?;
                    let groups = if segments.is_literal() { &mut exact } else { &mut parameters };
                    groups.add(segments.normalised(), segments, *candidate);
                }
                PathPattern::Prefix(prefix) => prefixes.add(prefix.to_string(), (), *candidate),
                PathPattern::Regex(regex) => regexes.push((regex, *candidate)),
                PathPattern::Any => any.push(*candidate),
            }
        }
        Ok(Self {
            exact: Exact::build(exact, all)?,
            parameters: build_parameters(parameters, all)?,
            prefixes: build_prefixes(prefixes, all),
            regexes: Regexes::build(&regexes),
            any: Leaf::store(&any, all),
        })
    }
}

/// Exact paths without parameters.
#[derive(Default)]
struct Exact {
    router: matchit::Router<Leaf>,
    /// Bit `n` is set when there is a path of `n` bytes, the highest for all longer ones. Most requests are for a path
    /// of another kind, and most of those are seen here.
    lengths: u64,
}

impl Exact {
    #[inline]
    fn find(&self, search: Search<'_>) -> Option<u32> {
        let path = search.request.path;
        if self.lengths & Self::length_bit(path.len()) == 0 {
            return None;
        }
        search.first(self.router.at(path).ok()?.value)
    }

    fn length_bit(length: usize) -> u64 {
        1 << length.min(u64::BITS as usize - 1)
    }

    fn build(groups: Groups<Segments>, all: &mut Vec<Candidate>) -> Result<Self, Fault> {
        let mut exact = Self::default();
        for group in groups.list {
            let Some(leaf) = Leaf::store(&group.candidates, all) else { continue };
            exact.lengths |= Self::length_bit(group.parsed.literal_len());
            exact.router.insert(group.text, leaf).map_err(|error| refused(&group.candidates, &error))?;
        }
        Ok(exact)
    }
}

fn build_parameters(groups: Groups<Segments>, all: &mut Vec<Candidate>) -> Result<Parameters, Fault> {
    let mut builder = ParametersBuilder::default();
    for group in groups.list {
        builder
            .insert(&group.parsed, &group.candidates, all)
            .map_err(|error| refused(&group.candidates, &error))?;
    }
    Ok(builder.build())
}

fn build_prefixes(groups: Groups<()>, all: &mut Vec<Candidate>) -> Prefixes {
    let mut prefixes = Prefixes::default();
    for group in groups.list {
        if let Some(leaf) = Leaf::store(&group.candidates, all) {
            prefixes.insert(&group.text, leaf);
        }
    }
    prefixes
}

/// Candidates by path, in the order in which the paths were first seen.
struct Groups<P> {
    list: Vec<Group<P>>,
    known: HashMap<String, usize>,
}

struct Group<P> {
    text: String,
    parsed: P,
    candidates: Vec<Candidate>,
}

impl<P> Default for Groups<P> {
    fn default() -> Self {
        Self { list: Vec::new(), known: HashMap::new() }
    }
}

impl<P> Groups<P> {
    fn add(&mut self, text: String, parsed: P, candidate: Candidate) {
        match self.known.get(&text).and_then(|index| self.list.get_mut(*index)) {
            Some(group) => group.candidates.push(candidate),
            None => {
                self.known.insert(text.clone(), self.list.len());
                self.list.push(Group { text, parsed, candidates: vec![candidate] });
            }
        }
    }
}

/// What matchit has against a path that was found to be one; the first of its routes is blamed.
fn refused(candidates: &[Candidate], error: &matchit::InsertError) -> Fault {
    Fault {
        route: candidates.first().map(|first| first.route),
        what: format!("the path cannot be indexed: {error}"),
    }
}

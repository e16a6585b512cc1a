//! From a request's path to the route, among the routes of one host.

use regex::Regex;

use super::{
    leaf::{Search, Slot},
    parameters::{Parameters, ParametersBuilder},
    prefixes::Prefixes,
    regexes::Regexes,
    shape::Shape,
};

/// The paths of one host, or of several that have the same: one index for each kind, from path to slot.
#[derive(Default)]
pub(super) struct Paths {
    exact: Exact,
    parameters: Parameters,
    prefixes: Prefixes,
    regexes: Regexes,
    any: Option<Slot>,
}

/// What is wrong with the path of a slot.
pub(super) type Fault = (Slot, matchit::InsertError);

impl Paths {
    /// The first route whose path and other predicates are right, and the length of the prefix it matched.
    #[inline]
    pub(super) fn find(&self, search: &Search<'_>) -> Option<(u32, usize)> {
        if let Some(route) = self.exact.find(search).or_else(|| self.parameters.find(search)) {
            return Some((route, 0));
        }
        if let Some(found) = self.prefixes.find(search) {
            return Some(found);
        }
        let route = self.regexes.find(search).or_else(|| search.first(self.any?))?;
        Some((route, 0))
    }

    /// Builds the index; `regexes` are those of the shape.
    ///
    /// # Errors
    ///
    /// What matchit does not take, which is nothing that `PathPattern` does.
    pub(super) fn build(shape: &Shape, regexes: &[&Regex]) -> Result<Self, Fault> {
        let mut parameters = ParametersBuilder::default();
        for (segments, slot) in shape.parameters.iter().zip(shape.parameters_slot()..) {
            parameters.insert(segments, slot).map_err(|error| (slot, error))?;
        }
        let mut prefixes = Prefixes::default();
        for (prefix, slot) in shape.prefixes.iter().zip(shape.prefixes_slot()..) {
            prefixes.insert(prefix, slot);
        }
        Ok(Self {
            exact: Exact::build(&shape.exact)?,
            parameters: parameters.build(),
            prefixes,
            regexes: Regexes::build(regexes, shape.regexes_slot()),
            any: shape.any_slot(),
        })
    }
}

/// Exact paths without parameters.
#[derive(Default)]
struct Exact {
    router: matchit::Router<Slot>,
    /// Bit `n` is set when there is a path of `n` bytes, the highest for all longer ones. Most requests are for a path
    /// of another kind, and most of those are seen here.
    lengths: u64,
}

impl Exact {
    #[inline]
    fn find(&self, search: &Search<'_>) -> Option<u32> {
        let path = search.request.path;
        if self.lengths & Self::length_bit(path.len()) == 0 {
            return None;
        }
        search.first(*self.router.at(path).ok()?.value)
    }

    fn length_bit(length: usize) -> u64 {
        1 << length.min(u64::BITS as usize - 1)
    }

    /// Takes paths in matchit's syntax, whose slots are 0, 1, 2, ...
    fn build(paths: &[String]) -> Result<Self, Fault> {
        let mut exact = Self::default();
        for (path, slot) in paths.iter().zip(0..) {
            // Braces are the only thing that is escaped, by being doubled.
            let escapes = (path.matches('{').count() + path.matches('}').count()) / 2;
            exact.lengths |= Self::length_bit(path.len() - escapes);
            exact.router.insert(path.as_str(), slot).map_err(|error| (slot, error))?;
        }
        Ok(exact)
    }
}

//! From a request's path to the route, among the routes of one host.

use std::{fmt, sync::Arc};

use super::{
    leaf::{Candidate, Search, Slot},
    parameters::{Parameters, ParametersBuilder},
    prefixes::Prefixes,
    regexes::Regexes,
    shape::Shape,
};
use crate::route::{parameters::Segments, prepared::Prepared};

/// The paths of one host, or of several that have the same: one index for each kind, from path to slot.
pub(super) struct Paths {
    exact: Exact,
    parameters: Parameters,
    prefixes: Prefixes,
    /// Shared with the index of before where the regexes are the same: a set of them takes long to build.
    regexes: Arc<Regexes>,
    regexes_slot: Slot,
    any: Option<Slot>,
    /// What it was made of.
    shape: Shape,
}

/// What is wrong with the path of a slot.
pub(super) type Fault = (Slot, matchit::InsertError);

impl Paths {
    /// The first route whose path and other predicates are right, and the length of the prefix it matched.
    #[inline]
    pub(super) fn find<'t>(&self, search: &Search<'t, '_>) -> Option<(&'t Prepared, usize)> {
        if let Some(route) = self.exact.find(search).or_else(|| self.parameters.find(search)) {
            return Some((route, 0));
        }
        if let Some(found) = self.prefixes.find(search) {
            return Some(found);
        }
        let route = self.regexes.find(self.regexes_slot, search).or_else(|| search.first(self.any?))?;
        Some((route, 0))
    }

    /// What it was made of.
    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Builds the index of `shape`, which is that of `routes`; `before` is what was there.
    ///
    /// # Errors
    ///
    /// What matchit does not take, which is nothing that `PathPattern` does.
    pub(super) fn build(shape: Shape, routes: &[Candidate], before: Option<&Self>) -> Result<Self, Fault> {
        let mut parameters = ParametersBuilder::default();
        for (path, slot) in shape.parameters.iter().zip(shape.parameters_slot()..) {
            // A table's paths have been taken apart before.
            let Ok(segments) = Segments::parse(path) else { continue };
            parameters.insert(&segments, slot).map_err(|error| (slot, error))?;
        }
        let mut prefixes = Prefixes::default();
        for (prefix, slot) in shape.prefixes.iter().zip(shape.prefixes_slot()..) {
            prefixes.insert(prefix, slot);
        }
        let regexes = match before {
            Some(before) if before.shape.regexes == shape.regexes => Arc::clone(&before.regexes),
            _ => Arc::new(Regexes::build(routes)),
        };
        Ok(Self {
            exact: Exact::build(&shape.exact)?,
            parameters: parameters.build(),
            prefixes,
            regexes,
            regexes_slot: shape.regexes_slot(),
            any: shape.any_slot(),
            shape,
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
    fn find<'t>(&self, search: &Search<'t, '_>) -> Option<&'t Prepared> {
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
    fn build(paths: &[Arc<str>]) -> Result<Self, Fault> {
        let mut exact = Self::default();
        for (path, slot) in paths.iter().zip(0..) {
            // Braces are the only thing that is escaped, by being doubled.
            let escapes = (path.matches('{').count() + path.matches('}').count()) / 2;
            exact.lengths |= Self::length_bit(path.len() - escapes);
            exact.router.insert(&**path, slot).map_err(|error| (slot, error))?;
        }
        Ok(exact)
    }
}

impl fmt::Debug for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Paths").field(&self.shape).finish()
    }
}

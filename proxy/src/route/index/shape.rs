//! What the index of a host's paths is made of: its paths, without the routes.
//!
//! Hosts that are set up alike, as those of tenants are, have the same paths in the same order and other routes. They
//! share an index, which stays in the caches where a thousand would not; only the leaves are their own.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use super::{
    hash::ByteHasher,
    leaf::{Candidate, Slot},
};
use crate::route::prepared::PathKey;

/// The paths of a host, each once, by kind. Each has a slot, counted through the kinds in this order; all regexes
/// together have one, because they are tried in the order of their routes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    /// Paths without parameters, in matchit's syntax.
    pub(super) exact: Vec<Arc<str>>,
    /// Paths with parameters, in matchit's syntax, in the order of their first routes.
    pub(super) parameters: Vec<Arc<str>>,
    pub(super) prefixes: Vec<Arc<str>>,
    /// One for each candidate, repeated when several routes have the same.
    pub(super) regexes: Vec<Arc<str>>,
    /// Whether there are routes for any path.
    pub(super) any: bool,
}

impl Shape {
    /// Sorts candidates, which come in order, by path. Returns the candidates of each slot.
    pub(super) fn of(routes: &[Candidate]) -> (Self, Vec<Vec<Candidate>>) {
        let [mut exact, mut parameters, mut prefixes] =
            [Groups::default(), Groups::default(), Groups::default()];
        let (mut regexes, mut regex, mut any) = (Vec::new(), Vec::new(), Vec::new());
        for candidate in routes {
            match &candidate.route.path {
                PathKey::Exact(path) => exact.add(path, candidate),
                PathKey::Parameters(path) => parameters.add(path, candidate),
                PathKey::Prefix(prefix) => prefixes.add(prefix, candidate),
                PathKey::Regex(one) => {
                    regexes.push(Arc::clone(one));
                    regex.push(candidate.clone());
                }
                PathKey::Any => any.push(candidate.clone()),
            }
        }
        let shape = Self {
            exact: exact.paths,
            parameters: parameters.paths,
            prefixes: prefixes.paths,
            regexes,
            any: !any.is_empty(),
        };
        let mut lists = exact.lists;
        lists.extend(parameters.lists.into_iter().chain(prefixes.lists));
        lists.extend([regex, any].into_iter().filter(|list| !list.is_empty()));
        (shape, lists)
    }

    /// Equal for equal shapes.
    pub(super) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        Hash::hash(self, &mut hasher);
        hasher.finish()
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
struct Groups<'r> {
    paths: Vec<Arc<str>>,
    lists: Vec<Vec<Candidate>>,
    known: HashMap<&'r [u8], usize, BuildHasherDefault<ByteHasher>>,
}

impl<'r> Groups<'r> {
    fn add(&mut self, path: &'r Arc<str>, candidate: &Candidate) {
        let next = self.lists.len();
        let index = *self.known.entry(path.as_bytes()).or_insert(next);
        match self.lists.get_mut(index) {
            Some(list) => list.push(candidate.clone()),
            None => {
                self.paths.push(Arc::clone(path));
                self.lists.push(vec![candidate.clone()]);
            }
        }
    }
}

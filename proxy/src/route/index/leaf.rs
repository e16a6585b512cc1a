//! The end of a look-up: the routes that ask for one host and one path, in order of precedence.

use crate::route::table::{RequestView, Route};

/// A route that has the right host and path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::route) struct Candidate {
    /// Its place among all routes, the host aside. Less is tried first.
    pub(in crate::route) rank: u32,
    /// Index into the table's routes.
    pub(in crate::route) route: u32,
    /// Whether there is more to ask. Kept here so that most look-ups need not touch the route.
    pub(in crate::route) conditional: bool,
}

/// One or more candidates with one path. Most often it is one, which is kept here and saves a cache miss.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    first: Candidate,
    /// Where the others are in [`Search::candidates`].
    others: (u32, u32),
}

impl Leaf {
    /// Stores `candidates`, which are in order, with their like.
    pub(super) fn store(candidates: &[Candidate], all: &mut Vec<Candidate>) -> Option<Self> {
        let (first, others) = candidates.split_first()?;
        let start = all.len() as u32;
        all.extend_from_slice(others);
        Some(Self { first: *first, others: (start, all.len() as u32) })
    }
}

/// What every step of a look-up needs.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) routes: &'a [Route],
    pub(super) candidates: &'a [Candidate],
    pub(super) request: &'a RequestView<'a>,
}

impl<'a> Search<'a> {
    /// Whether the candidate's other predicates are right.
    #[inline]
    pub(super) fn accepts(&self, candidate: Candidate) -> bool {
        !candidate.conditional
            || self
                .routes
                .get(candidate.route as usize)
                .is_some_and(|route| route.predicates.accept(self.request))
    }

    /// The first candidate whose other predicates are right.
    #[inline]
    pub(super) fn first(&self, leaf: &Leaf) -> Option<u32> {
        if self.accepts(leaf.first) {
            return Some(leaf.first.route);
        }
        self.others(leaf).iter().find(|candidate| self.accepts(**candidate)).map(|candidate| candidate.route)
    }

    /// The first candidate that is not before `rank`, right or wrong.
    pub(super) fn not_before(&self, leaf: &Leaf, rank: u32) -> Option<Candidate> {
        if leaf.first.rank >= rank {
            return Some(leaf.first);
        }
        let others = self.others(leaf);
        others.get(others.partition_point(|candidate| candidate.rank < rank)).copied()
    }

    fn others(&self, leaf: &Leaf) -> &'a [Candidate] {
        let (start, end) = leaf.others;
        self.candidates.get(start as usize..end as usize).unwrap_or_default()
    }
}

//! The end of a look-up: the routes that ask for one host and one path, in order of precedence.

use std::iter;

use crate::route::table::{RequestView, Route};

/// Number of a leaf among those of one host.
pub(super) type Slot = u32;

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
struct Leaf {
    first: Candidate,
    /// Where the others are in [`Leaves::others`].
    others: (u32, u32),
}

/// All leaves of a table, those of one host side by side.
#[derive(Default)]
pub(super) struct Leaves {
    leaves: Vec<Leaf>,
    others: Vec<Candidate>,
}

impl Leaves {
    /// Stores the leaves of a host in the order of their slots. None is empty, and the candidates of each are in order.
    /// Returns what [`Search::base`] is at that host.
    pub(super) fn store(&mut self, lists: &[Vec<Candidate>]) -> u32 {
        let base = self.leaves.len() as u32;
        for list in lists {
            let Some((first, others)) = list.split_first() else { continue };
            let start = self.others.len() as u32;
            self.others.extend_from_slice(others);
            self.leaves.push(Leaf { first: *first, others: (start, self.others.len() as u32) });
        }
        base
    }

    pub(super) fn shrink(&mut self) {
        self.leaves.shrink_to_fit();
        self.others.shrink_to_fit();
    }
}

/// What every step of a look-up at one host needs.
pub(super) struct Search<'a> {
    pub(super) routes: &'a [Route],
    pub(super) leaves: &'a Leaves,
    /// Where the leaves of the host begin.
    pub(super) base: u32,
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
    pub(super) fn first(&self, slot: Slot) -> Option<u32> {
        let leaf = self.leaf(slot)?;
        if self.accepts(leaf.first) {
            return Some(leaf.first.route);
        }
        self.others(leaf).iter().find(|candidate| self.accepts(**candidate)).map(|candidate| candidate.route)
    }

    /// The first candidate that is not before `rank`, right or wrong.
    pub(super) fn not_before(&self, slot: Slot, rank: u32) -> Option<Candidate> {
        let leaf = self.leaf(slot)?;
        if leaf.first.rank >= rank {
            return Some(leaf.first);
        }
        let others = self.others(leaf);
        others.get(others.partition_point(|candidate| candidate.rank < rank)).copied()
    }

    /// All candidates, right or wrong.
    pub(super) fn all(&self, slot: Slot) -> impl Iterator<Item = Candidate> {
        let leaf = self.leaf(slot);
        let others = leaf.map(|leaf| self.others(leaf)).unwrap_or_default();
        leaf.into_iter().flat_map(|leaf| iter::once(leaf.first)).chain(others.iter().copied())
    }

    #[inline]
    fn leaf(&self, slot: Slot) -> Option<&'a Leaf> {
        self.leaves.leaves.get((self.base + slot) as usize)
    }

    fn others(&self, leaf: &Leaf) -> &'a [Candidate] {
        let (start, end) = leaf.others;
        self.leaves.others.get(start as usize..end as usize).unwrap_or_default()
    }
}

//! The end of a look-up: the routes that ask for one host and one path, in order of precedence.

use std::{iter, sync::Arc};

use crate::route::{prepared::Prepared, table::RequestView};

/// Number of a leaf among those of one host.
pub(super) type Slot = u32;

/// A route that has the right host and path.
#[derive(Debug, Clone)]
pub(in crate::route) struct Candidate {
    /// The route.
    pub(in crate::route) route: Arc<Prepared>,
    /// Its place among the routes of this host. Less is tried first.
    pub(in crate::route) rank: u32,
    /// Whether there is more to ask. Kept here so that most look-ups need not touch the route.
    pub(in crate::route) conditional: bool,
}

/// One or more candidates with one path. Most often it is one, which is kept here and saves a cache miss.
#[derive(Debug, Clone)]
struct Leaf {
    first: Candidate,
    /// Where the others are among the leaves of the host.
    others: (u32, u32),
}

/// The leaves of one host, side by side: first one for each slot, then those that hold the others of one of these.
#[derive(Debug, Clone)]
pub(super) struct Leaves(Arc<[Leaf]>);

impl Leaves {
    /// Takes the candidates of each slot, in the order of slots. None is empty, and the candidates of each are in order.
    pub(super) fn new(lists: Vec<Vec<Candidate>>) -> Self {
        let mut start = lists.len() as u32;
        let mut leaves = Vec::with_capacity(lists.iter().map(Vec::len).sum());
        let mut behind = Vec::new();
        for list in lists {
            let mut list = list.into_iter();
            let Some(first) = list.next() else { continue };
            let end = start + list.len() as u32;
            leaves.push(Leaf { first, others: (start, end) });
            behind.extend(list.map(|first| Leaf { first, others: (0, 0) }));
            start = end;
        }
        leaves.append(&mut behind);
        Self(leaves.into())
    }

    /// All routes of the host.
    pub(super) fn routes(&self) -> impl Iterator<Item = &Arc<Prepared>> {
        self.0.iter().map(|leaf| &leaf.first.route)
    }

    /// A look-up among these.
    #[inline]
    pub(super) fn search<'t, 'r>(&'t self, request: &'r RequestView<'r>) -> Search<'t, 'r> {
        Search { leaves: &self.0, request }
    }
}

/// What every step of a look-up at one host needs.
pub(super) struct Search<'t, 'r> {
    leaves: &'t [Leaf],
    pub(super) request: &'r RequestView<'r>,
}

impl<'t> Search<'t, '_> {
    /// Whether the candidate's other predicates are right.
    #[inline]
    pub(super) fn accepts(&self, candidate: &Candidate) -> bool {
        !candidate.conditional || candidate.route.predicates.accept(self.request)
    }

    /// The first candidate whose other predicates are right.
    #[inline]
    pub(super) fn first(&self, slot: Slot) -> Option<&'t Prepared> {
        let leaf = self.leaf(slot)?;
        if self.accepts(&leaf.first) {
            return Some(&leaf.first.route);
        }
        self.others(leaf).iter().map(|leaf| &leaf.first).find(|it| self.accepts(it)).map(|it| &*it.route)
    }

    /// The first candidate that is not before `rank`, right or wrong.
    pub(super) fn not_before(&self, slot: Slot, rank: u32) -> Option<&'t Candidate> {
        let leaf = self.leaf(slot)?;
        if leaf.first.rank >= rank {
            return Some(&leaf.first);
        }
        let others = self.others(leaf);
        others.get(others.partition_point(|other| other.first.rank < rank)).map(|leaf| &leaf.first)
    }

    /// All candidates, right or wrong.
    pub(super) fn all(&self, slot: Slot) -> impl Iterator<Item = &'t Candidate> {
        let leaf = self.leaf(slot);
        let others = leaf.map(|leaf| self.others(leaf)).unwrap_or_default();
        leaf.into_iter().flat_map(|leaf| iter::once(&leaf.first)).chain(others.iter().map(|it| &it.first))
    }

    #[inline]
    fn leaf(&self, slot: Slot) -> Option<&'t Leaf> {
        self.leaves.get(slot as usize)
    }

    fn others(&self, leaf: &Leaf) -> &'t [Leaf] {
        let (start, end) = leaf.others;
        self.leaves.get(start as usize..end as usize).unwrap_or_default()
    }
}

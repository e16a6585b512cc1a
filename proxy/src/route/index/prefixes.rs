//! Path prefixes, by a look-up for each length in use that ends a segment of the path.

use super::{
    hash::ByteMap,
    leaf::{Search, Slot},
};
use crate::route::prepared::Prepared;

/// Prefixes by their text, which begins with a slash, does not end with one, and is not empty.
#[derive(Default)]
pub(super) struct Prefixes {
    slots: ByteMap<Slot>,
    /// The lengths of all prefixes, in bytes, each once, longest first: what bounds the number of look-ups, whatever
    /// the path.
    lengths: Vec<usize>,
}

impl Prefixes {
    /// Adds a prefix.
    pub(super) fn insert(&mut self, prefix: &str, slot: Slot) {
        if let Err(place) = self.lengths.binary_search_by(|length| prefix.len().cmp(length)) {
            self.lengths.insert(place, prefix.len());
        }
        self.slots.insert(prefix.as_bytes().into(), slot);
    }

    /// The first route whose prefix and other predicates are right, and the prefix's length.
    #[inline]
    pub(super) fn find<'t>(&self, search: &Search<'t, '_>) -> Option<(&'t Prepared, usize)> {
        let path = search.request.path.as_bytes();
        self.lengths.iter().find_map(|length| {
            let (prefix, rest) = path.split_at_checked(*length)?;
            if !matches!(rest, [] | [b'/', ..]) {
                return None;
            }
            Some((search.first(*self.slots.get(prefix)?)?, *length))
        })
    }
}

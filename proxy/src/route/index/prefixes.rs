//! Path prefixes, by a look-up for each length in segments that is in use.

use memchr::memchr_iter;

use super::{
    hash::ByteMap,
    leaf::{Leaf, Search},
};
use crate::limits::PATH_PREFIX_SEGMENTS_MAX;

/// Prefixes by their text, which begins with a slash, does not end with one, and is not empty.
#[derive(Default)]
pub(super) struct Prefixes {
    leaves: ByteMap<Leaf>,
    /// Bit `n` is set when there is a prefix of `n` segments.
    depths: u64,
    /// Bytes of the longest prefix, which bounds how much of a path is looked at.
    bytes_max: usize,
}

impl Prefixes {
    /// Adds a prefix of at most `PATH_PREFIX_SEGMENTS_MAX` segments.
    pub(super) fn insert(&mut self, prefix: &str, leaf: Leaf) {
        self.depths |= 1 << prefix.matches('/').count().min(PATH_PREFIX_SEGMENTS_MAX);
        self.bytes_max = self.bytes_max.max(prefix.len());
        self.leaves.insert(prefix.as_bytes().into(), leaf);
    }

    /// The first route whose prefix and other predicates are right, and the prefix's length.
    #[inline]
    pub(super) fn find(&self, search: Search<'_>) -> Option<(u32, usize)> {
        if self.depths == 0 {
            return None;
        }
        self.find_longest(search)
    }

    fn find_longest(&self, search: Search<'_>) -> Option<(u32, usize)> {
        let path = search.request.path.as_bytes();
        let mut ends = [0; PATH_PREFIX_SEGMENTS_MAX + 1];
        let deepest = self.ends(path, &mut ends);
        // From the most segments down, without those that no prefix has.
        let mut depths = self.depths & (u64::MAX >> (u64::BITS - 1 - deepest as u32));
        while depths != 0 {
            let depth = depths.ilog2();
            depths ^= 1 << depth;
            let end = ends.get(depth as usize).copied()?;
            if let Some(leaf) = path.get(..end).and_then(|prefix| self.leaves.get(prefix))
                && let Some(route) = search.first(leaf)
            {
                return Some((route, end));
            }
        }
        None
    }

    /// Where the first, second, ... segment of `path` ends, and how many do within the length of the longest prefix.
    fn ends(&self, path: &[u8], ends: &mut [usize; PATH_PREFIX_SEGMENTS_MAX + 1]) -> usize {
        let Some((b'/', rest)) = path.split_first() else { return 0 };
        let mut count = 0;
        // A prefix that ends where `seen` ends is followed by a slash or by nothing; both are seen.
        let seen = rest.get(..self.bytes_max).unwrap_or(rest);
        let last = if seen.len() == rest.len() { Some(rest.len()) } else { None };
        for slash in memchr_iter(b'/', seen).chain(last) {
            let Some(end) = ends.get_mut(count + 1) else { break };
            *end = slash + 1;
            count += 1;
        }
        count
    }
}

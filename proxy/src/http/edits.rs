//! Changes to header fields that a route asks for, compiled once.

use http::{HeaderName, HeaderValue};

/// Set, add and remove, applied in the order remove, set, add.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Fields dropped, all their lines.
    pub remove: Box<[HeaderName]>,
    /// Fields replaced: all their lines are dropped and this one is written.
    pub set: Box<[(HeaderName, HeaderValue)]>,
    /// Lines appended, whatever there is already.
    pub add: Box<[(HeaderName, HeaderValue)]>,
}

impl HeaderEdits {
    /// True when there is nothing to do, which the encoder uses to skip every look-up.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

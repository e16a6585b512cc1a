//! Changes to header fields that a route asks for, compiled once.

use ::http::{HeaderName, HeaderValue};

use super::field::FieldKind;

/// Set, add and remove, applied in the order remove, set, add, after everything the proxy itself does to a head.
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

    /// True when the lines of this name, in any case, are dropped: it is removed or set.
    pub(super) fn drops(&self, name: &[u8]) -> bool {
        let set = self.set.iter().map(|(name, _)| name);
        self.remove.iter().chain(set).any(|edit| edit.as_str().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Appends the lines of `set` and `add`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in self.set.iter().chain(self.add.iter()) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// True for a field that edits may touch. Those that frame a message, belong to one connection, or name the host
/// (which has a rewrite of its own) are the encoder's alone; a config that edits them is to be refused.
pub fn is_editable(name: &HeaderName) -> bool {
    let kind = FieldKind::of(name.as_str().as_bytes());
    !kind.is_hop_by_hop() && !matches!(kind, FieldKind::ContentLength | FieldKind::Host | FieldKind::Trailer)
}

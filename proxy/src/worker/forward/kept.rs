//! What has been sent of a request's body, kept so that it can be sent again.

use std::cell::{Cell, RefCell};

use crate::worker::buffers::Buffers;

/// The body of one request as far as it has gone upstream, in the framing that it went with. Once more has gone than may
/// be kept, nothing is.
pub struct Kept<'a> {
    buffers: &'a Buffers,
    bytes: RefCell<Vec<u8>>,
    /// Bytes that may be kept.
    max: usize,
    /// Bytes of data that have gone, framing not among them.
    passed: Cell<u64>,
    lost: Cell<bool>,
}

impl<'a> Kept<'a> {
    /// Nothing yet, and `max` bytes at most, in a buffer of `buffers`.
    pub fn new(buffers: &'a Buffers, max: usize) -> Self {
        Kept { buffers, bytes: RefCell::default(), max, passed: Cell::new(0), lost: Cell::new(false) }
    }

    /// Whether all that has gone is here.
    pub fn is_whole(&self) -> bool {
        !self.lost.get()
    }

    /// Bytes of data that have gone.
    pub fn passed(&self) -> u64 {
        self.passed.get()
    }

    /// Whether `remaining` bytes more would be kept: then they can't pass where nobody sees them.
    pub fn has_room(&self, remaining: Option<u64>) -> bool {
        self.is_whole() && self.fits(0, remaining)
    }

    /// What is to come passes where nobody sees it.
    pub fn lose(&self) {
        self.give_up();
        self.lost.set(true);
    }

    fn fits(&self, more: usize, remaining: Option<u64>) -> bool {
        let total = self.bytes.borrow().len() as u64 + more as u64;
        total.saturating_add(remaining.unwrap_or(0)) <= self.max as u64
    }

    /// Keeps `bytes`, which are about to go upstream, and with which `passed` bytes of data have. `remaining`: how many are
    /// to follow, where that is known. A body that will not fit is not begun with.
    pub fn keep(&self, bytes: &[u8], passed: u64, remaining: Option<u64>) {
        self.passed.set(passed);
        if self.lost.get() || bytes.is_empty() {
            return;
        }
        if !self.fits(bytes.len(), remaining) || !self.buffers.hold(bytes.len()) {
            return self.lose();
        }
        let mut kept = self.bytes.borrow_mut();
        if kept.capacity() == 0 {
            *kept = self.buffers.take_write();
        }
        kept.extend_from_slice(bytes);
    }

    /// Appends all that has gone to `out`.
    pub fn replay(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes.borrow());
    }

    fn give_up(&self) {
        let bytes = self.bytes.take();
        self.buffers.release(bytes.len());
        if bytes.capacity() > 0 {
            self.buffers.give_write(bytes);
        }
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::RETRY_BUFFERS_BYTES_MAX;

    fn replayed(kept: &Kept<'_>) -> Vec<u8> {
        let mut out = b"head".to_vec();
        kept.replay(&mut out);
        out
    }

    #[test]
    fn all_that_has_gone_is_sent_again() {
        let buffers = Buffers::default();
        let kept = Kept::new(&buffers, 6);
        assert_eq!(replayed(&kept), b"head");
        kept.keep(b"abc", 3, Some(3));
        kept.keep(b"", 3, Some(3));
        kept.keep(b"def", 6, Some(0));
        assert!(kept.is_whole());
        assert_eq!((replayed(&kept), kept.passed()), (b"headabcdef".to_vec(), 6));
    }

    #[test]
    fn past_the_bound_nothing_is_kept() {
        let buffers = Buffers::default();
        let kept = Kept::new(&buffers, 6);
        assert!(kept.has_room(Some(6)) && !kept.has_room(Some(7)) && kept.has_room(None));
        kept.keep(b"abc", 3, None);
        kept.keep(b"defg", 7, None);
        assert!(!kept.is_whole() && !kept.has_room(Some(0)));
        assert_eq!((replayed(&kept), kept.passed()), (b"head".to_vec(), 7));
        // What is known not to fit is not begun with.
        let kept = Kept::new(&buffers, 6);
        kept.keep(b"abc", 3, Some(4));
        assert!(!kept.is_whole());
    }

    #[test]
    fn all_bodies_together_have_a_bound() {
        let buffers = Buffers::default();
        let most = Kept::new(&buffers, usize::MAX);
        most.keep(&vec![0; RETRY_BUFFERS_BYTES_MAX], 0, None);
        let other = Kept::new(&buffers, 6);
        other.keep(b"a", 1, None);
        assert!(most.is_whole() && !other.is_whole());
        drop(most);
        let other = Kept::new(&buffers, 6);
        other.keep(b"a", 1, None);
        assert!(other.is_whole());
        drop(other);
        assert!(buffers.hold(RETRY_BUFFERS_BYTES_MAX), "all has been given back");
    }
}

//! Ways to come by a buffer.

use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;

/// Buffers kept.
const KEPT_MAX: usize = 256;

/// One pool for all threads.
pub struct Shared {
    free: Mutex<Vec<BytesMut>>,
    bytes: usize,
}

impl Shared {
    /// Of buffers with room for `bytes`.
    pub fn new(bytes: usize) -> Shared {
        Shared { free: Mutex::default(), bytes }
    }

    /// An empty buffer.
    pub fn take(&self) -> BytesMut {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| BytesMut::with_capacity(self.bytes))
    }

    /// Takes it back.
    pub fn give(&self, mut buf: BytesMut) {
        buf.clear();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT_MAX {
            free.push(buf);
        }
    }
}

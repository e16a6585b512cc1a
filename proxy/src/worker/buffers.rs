//! Buffers that go out to a connection while it works and come back when it rests. One set per worker.

use std::cell::RefCell;

use bytes::BytesMut;

use crate::{http::Spare, limits::READ_BUFFER_BYTES};

/// Kept at most, of each kind: beyond it memory goes back to the allocator.
const KEPT_MAX: usize = 256;
/// A buffer that has grown beyond this is not kept.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Free buffers of one worker.
#[derive(Default)]
pub struct Buffers {
    read: RefCell<Vec<BytesMut>>,
    write: RefCell<Vec<Vec<u8>>>,
    spare: RefCell<Vec<Spare>>,
}

impl Buffers {
    /// An empty buffer to read into, with room for `READ_BUFFER_BYTES`.
    pub fn take_read(&self) -> BytesMut {
        self.read.borrow_mut().pop().unwrap_or_else(|| BytesMut::with_capacity(READ_BUFFER_BYTES))
    }

    /// Gives a read buffer back. What it still holds is dropped.
    pub fn give_read(&self, mut buf: BytesMut) {
        buf.clear();
        // Takes back what heads were split off, when nobody holds them any more; a buffer that somebody still
        // shares would be allocated anew here, so it is only kept when it has its room.
        if buf.try_reclaim(READ_BUFFER_BYTES) && buf.capacity() <= KEPT_BYTES_MAX {
            let mut kept = self.read.borrow_mut();
            if kept.len() < KEPT_MAX {
                kept.push(buf);
            }
        }
    }

    /// An empty buffer to encode into.
    pub fn take_write(&self) -> Vec<u8> {
        self.write.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(2048))
    }

    /// Gives a write buffer back.
    pub fn give_write(&self, mut buf: Vec<u8>) {
        buf.clear();
        let mut kept = self.write.borrow_mut();
        if buf.capacity() <= KEPT_BYTES_MAX && kept.len() < KEPT_MAX {
            kept.push(buf);
        }
    }

    /// Room for the lines of a head.
    pub fn take_spare(&self) -> Spare {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives the room for a head back.
    pub fn give_spare(&self, spare: Spare) {
        let mut kept = self.spare.borrow_mut();
        if kept.len() < KEPT_MAX && spare.raw.capacity() <= KEPT_BYTES_MAX {
            kept.push(spare);
        }
    }
}

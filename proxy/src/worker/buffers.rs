//! Buffers that go out to a connection while it works and come back when it rests. One set per worker.

use std::cell::{Cell, RefCell};

use bytes::BytesMut;

use crate::{
    http::Spare,
    limits::{BODY_BUFFER_BYTES, READ_BUFFER_BYTES, RETRY_BUFFERS_BYTES_MAX},
};

/// Read buffers kept at most: beyond it memory goes back to the allocator.
const KEPT_MAX: usize = 256;
/// Write buffers and room for heads kept at most: one of each for every exchange under way is common.
const KEPT_SMALL_MAX: usize = 2048;
/// Large ones kept at most.
const KEPT_LARGE_MAX: usize = 16;
/// A write buffer, or the room for a head, that has grown beyond this is not kept.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Free buffers of one worker.
#[derive(Default)]
pub struct Buffers {
    read: RefCell<Vec<BytesMut>>,
    large: RefCell<Vec<BytesMut>>,
    write: RefCell<Vec<Vec<u8>>>,
    spare: RefCell<Vec<Spare>>,
    /// Bytes of request bodies that are kept to be sent again.
    held: Cell<usize>,
}

impl Buffers {
    /// An empty buffer to read into, with room for `READ_BUFFER_BYTES`.
    pub fn take_read(&self) -> BytesMut {
        self.read.borrow_mut().pop().unwrap_or_else(|| BytesMut::with_capacity(READ_BUFFER_BYTES))
    }

    /// An empty buffer for a body that has proved large, with room for `BODY_BUFFER_BYTES`.
    pub fn take_large(&self) -> BytesMut {
        self.large.borrow_mut().pop().unwrap_or_else(|| BytesMut::with_capacity(BODY_BUFFER_BYTES))
    }

    /// Gives a read buffer of either size back. What it still holds is dropped.
    pub fn give_read(&self, mut buf: BytesMut) {
        buf.clear();
        // Nearly always it comes back as it went.
        if (READ_BUFFER_BYTES..2 * READ_BUFFER_BYTES).contains(&buf.capacity()) {
            let mut kept = self.read.borrow_mut();
            if kept.len() < KEPT_MAX {
                kept.push(buf);
            }
            return;
        }
        let (kept, bytes, max) = match buf.try_reclaim(BODY_BUFFER_BYTES) {
            true => (&self.large, BODY_BUFFER_BYTES, KEPT_LARGE_MAX),
            false => (&self.read, READ_BUFFER_BYTES, KEPT_MAX),
        };
        let mut kept = kept.borrow_mut();
        if kept.len() < max && buf.try_reclaim(bytes) && buf.capacity() < 2 * bytes {
            kept.push(buf);
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
        if buf.capacity() <= KEPT_BYTES_MAX && kept.len() < KEPT_SMALL_MAX {
            kept.push(buf);
        }
    }

    /// Notes that so many bytes more of request bodies are kept. False: there are too many already.
    pub fn hold(&self, bytes: usize) -> bool {
        let held = self.held.get() + bytes;
        let fits = held <= RETRY_BUFFERS_BYTES_MAX;
        if fits {
            self.held.set(held);
        }
        fits
    }

    /// Notes that so many of them are kept no more.
    pub fn release(&self, bytes: usize) {
        self.held.set(self.held.get().saturating_sub(bytes));
    }

    /// Room for the lines of a head.
    pub fn take_spare(&self) -> Spare {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives the room for a head back.
    pub fn give_spare(&self, spare: Spare) {
        let mut kept = self.spare.borrow_mut();
        if kept.len() < KEPT_SMALL_MAX && spare.raw.capacity() <= KEPT_BYTES_MAX {
            kept.push(spare);
        }
    }
}

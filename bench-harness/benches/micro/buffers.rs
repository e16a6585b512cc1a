//! A buffer taken, written to on each of its pages, and given back. (To fill it would cost every design the same, and
//! so much that nothing else could be seen.)
//!
//! Ours has three kinds, and the smallest that holds the bytes is used: to encode into (2 KiB at first), to read into
//! (32 KiB), to read large bodies into (128 KiB).

use std::{hint::black_box, mem::MaybeUninit};

use bytes::BytesMut;
use ringlane::{limits::READ_BUFFER_BYTES, worker::measure::Buffers};

use crate::{
    case::{Case, OURS},
    old::buffers::Shared,
};

const COUNTED: u64 = 2000;
/// What a buffer to encode into holds at first.
const WRITE_BYTES: usize = 2048;

const PAGE_BYTES: usize = 4096;

/// Writes to every page that a read of `bytes` would.
fn touch(room: &mut [MaybeUninit<u8>], bytes: usize) {
    for byte in room.iter_mut().take(bytes).step_by(PAGE_BYTES) {
        byte.write(b'x');
    }
    black_box(room);
}

fn case<F: FnMut(usize) + 'static>(
    (name, bytes): (&'static str, usize),
    design: &'static str,
    make: impl Fn() -> F + 'static,
) -> Case {
    Case::new(("buffers", name, design), COUNTED, move || {
        let mut cycle = make();
        Box::new(move |operations| {
            for _ in 0..operations {
                cycle(black_box(bytes));
            }
        })
    })
}

fn ours(size: (&'static str, usize)) -> Case {
    case(size, OURS, move || {
        let buffers = Buffers::default();
        move |bytes| {
            if bytes <= WRITE_BYTES {
                let mut buf = buffers.take_write();
                touch(buf.spare_capacity_mut(), bytes);
                buffers.give_write(buf);
                return;
            }
            let mut buf = if bytes <= READ_BUFFER_BYTES { buffers.take_read() } else { buffers.take_large() };
            touch(buf.spare_capacity_mut(), bytes);
            buffers.give_read(buf);
        }
    })
}

/// All designs, from a small head to a large body.
pub fn cases() -> Vec<Case> {
    let sizes = [("256 B", 256), ("4 KiB", 4096), ("16 KiB", 16 * 1024), ("64 KiB", 64 * 1024)];
    let cases = sizes.into_iter().flat_map(|size| {
        [
            case(size, "allocated", || {
                |bytes| {
                    let mut buf = BytesMut::with_capacity(bytes);
                    touch(buf.spare_capacity_mut(), bytes);
                }
            }),
            case(size, "shared pool behind a lock", move || {
                let pool = Shared::new(size.1);
                move |bytes| {
                    let mut buf = pool.take();
                    touch(buf.spare_capacity_mut(), bytes);
                    pool.give(buf);
                }
            }),
            ours(size),
        ]
    });
    cases.collect()
}

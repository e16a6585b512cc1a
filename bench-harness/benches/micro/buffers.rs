//! A buffer taken, filled as a read would fill it, and given back. Filling costs every design the same.
//!
//! Ours has three kinds, and the smallest that holds the bytes is used: to encode into (2 KiB at first), to read into
//! (32 KiB), to read large bodies into (128 KiB).

use std::hint::black_box;

use bytes::BytesMut;
use ringlane::worker::measure::Buffers;

use crate::{
    case::{Case, OURS},
    old::buffers::Shared,
};

const COUNTED: u64 = 2000;

fn case<F: FnMut(&[u8]) + 'static>(
    (name, bytes): (&'static str, usize),
    design: &'static str,
    make: impl Fn() -> F + 'static,
) -> Case {
    Case::new(("buffers", name, design), COUNTED, move || {
        let mut cycle = make();
        let data = vec![b'x'; bytes];
        Box::new(move |operations| {
            for _ in 0..operations {
                cycle(black_box(&data));
            }
        })
    })
}

fn ours(size: (&'static str, usize)) -> Case {
    case(size, OURS, move || {
        let buffers = Buffers::default();
        move |data: &[u8]| {
            if data.len() <= 4096 {
                let mut buf = buffers.take_write();
                buf.extend_from_slice(data);
                buffers.give_write(black_box(buf));
                return;
            }
            let mut buf = if data.len() <= 32 * 1024 { buffers.take_read() } else { buffers.take_large() };
            buf.extend_from_slice(data);
            buffers.give_read(black_box(buf));
        }
    })
}

/// All designs, from a small head to a large body.
pub fn cases() -> Vec<Case> {
    let sizes = [("256 B", 256), ("4 KiB", 4096), ("16 KiB", 16 * 1024), ("64 KiB", 64 * 1024)];
    let cases = sizes.into_iter().flat_map(|size| {
        [
            case(size, "allocated", || {
                |data: &[u8]| {
                    let mut buf = BytesMut::with_capacity(data.len());
                    buf.extend_from_slice(data);
                    drop(black_box(buf));
                }
            }),
            case(size, "shared pool behind a lock", move || {
                let pool = Shared::new(size.1);
                move |data: &[u8]| {
                    let mut buf = pool.take();
                    buf.extend_from_slice(data);
                    pool.give(black_box(buf));
                }
            }),
            ours(size),
        ]
    });
    cases.collect()
}

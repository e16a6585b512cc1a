//! A chunked body taken apart and framed again. Ours passes each piece on as it comes, into a buffer that is kept.

use std::hint::black_box;

use ringlane::{
    http::{ChunkDecoder, ChunkEvent, LAST_CHUNK, encode_chunk_size},
    worker::measure::Buffers,
};

use crate::{
    case::{Case, OURS},
    old::bodies::collected,
};

const CHUNK_BYTES: usize = 8 * 1024;

fn body(bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..bytes / CHUNK_BYTES {
        encode_chunk_size(&mut out, CHUNK_BYTES);
        out.extend_from_slice(&[b'x'; CHUNK_BYTES]);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(LAST_CHUNK);
    out.extend_from_slice(b"\r\n");
    out
}

fn passed_on(buffers: &Buffers, input: &[u8]) {
    let (mut decoder, mut at) = (ChunkDecoder::new(), 0);
    let mut out = buffers.take_write();
    while let Ok((read, event)) = decoder.next(&input[at..]) {
        match event {
            ChunkEvent::Data(range) => {
                encode_chunk_size(&mut out, range.len());
                out.extend_from_slice(&input[at + range.start..at + range.end]);
                out.extend_from_slice(b"\r\n");
            }
            ChunkEvent::More | ChunkEvent::End => break,
        }
        at += read;
        // As if sent: what comes next goes out by itself.
        black_box(&out);
        out.clear();
    }
    out.extend_from_slice(LAST_CHUNK);
    out.extend_from_slice(b"\r\n");
    assert!(decoder.is_done());
    buffers.give_write(out);
}

fn case<F: FnMut(&[u8]) + 'static>(
    (name, bytes): (&'static str, usize),
    design: &'static str,
    make: impl Fn() -> F + 'static,
) -> Case {
    Case::new(("bodies", name, design), 500, move || {
        let (mut pass, input) = (make(), body(bytes));
        Box::new(move |operations| {
            for _ in 0..operations {
                pass(black_box(&input));
            }
        })
    })
}

/// Both designs, with a small and a larger body.
pub fn cases() -> Vec<Case> {
    let sizes = [("16 KiB", 16 * 1024), ("256 KiB", 256 * 1024)].into_iter();
    let cases = sizes.flat_map(|size| {
        [
            case(size, "collected and copied", || |input: &[u8]| drop(black_box(collected(input)))),
            case(size, OURS, || {
                let buffers = Buffers::default();
                move |input: &[u8]| passed_on(&buffers, input)
            }),
        ]
    });
    cases.collect()
}

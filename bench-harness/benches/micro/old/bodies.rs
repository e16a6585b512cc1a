//! A body that is collected before it is passed on.

use ringlane::http::{ChunkDecoder, ChunkEvent, LAST_CHUNK, encode_chunk_size};

/// The whole of `input` into memory, a copy of it for whoever looks at it, and the message written from that.
pub fn collected(input: &[u8]) -> Vec<u8> {
    let (mut decoder, mut body, mut at) = (ChunkDecoder::new(), Vec::new(), 0);
    while let Ok((read, event)) = decoder.next(&input[at..]) {
        match event {
            ChunkEvent::Data(range) => body.extend_from_slice(&input[at + range.start..at + range.end]),
            ChunkEvent::More | ChunkEvent::End => break,
        }
        at += read;
    }
    let body = body.clone();
    let mut out = Vec::new();
    encode_chunk_size(&mut out, body.len());
    out.extend_from_slice(&body);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(LAST_CHUNK);
    out.extend_from_slice(b"\r\n");
    out
}

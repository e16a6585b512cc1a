//! The one file that names the decoder, monoio-http's, so that it can be replaced here alone.
//!
//! It runs only when somebody asks for fields as a map: a route with a condition on a header, mostly. What a proxy
//! needs of every head (framing, host, connection options, the lines to pass on) comes from the raw lines, which have
//! to be checked anyway; a map of all fields would cost a quarter of a request's instructions and its only four
//! allocations (ARCHITECTURE.md, "Heads are decoded when asked for").
//!
//! What it gets has passed every rule of ours, which keeps clear of its traps: it unwraps field names, allows 96
//! fields, takes bare LF for a line end, looks for the end of the head itself, and must not have its errors cloned.

use ::http::HeaderMap;
use bytes::BytesMut;
use monoio_codec::{Decoded, Decoder};
use monoio_http::h1::codec::decoder::RequestHeadDecoder;

use super::{error::HeadError, field::Line};

const START_LINE: &[u8] = b"GET / HTTP/1.1\r\n";

/// The fields of a head as a map, for whoever asks for a field by name. Request or response: the start line is not
/// looked at again, a plain one stands in for it.
pub(super) fn fields(raw: &[u8], lines: &[Line]) -> HeaderMap {
    let Some(fields) = lines.first().and_then(|line| raw.get(line.range().start..)) else {
        return HeaderMap::new();
    };
    let mut copy = BytesMut::with_capacity(START_LINE.len() + fields.len());
    copy.extend_from_slice(START_LINE);
    copy.extend_from_slice(fields);
    // What has passed our rules passes the decoder's, which are looser: a fuzz target holds that.
    match RequestHeadDecoder.decode(&mut copy) {
        Ok(Decoded::Some(head)) => head.headers,
        _ => {
            debug_assert!(false, "the decoder refuses what our rules let pass");
            HeaderMap::new()
        }
    }
}

/// Copies a head into `raw`, if offsets into it fit 16 bits.
pub(super) fn copy(head: &[u8], raw: &mut Vec<u8>) -> Result<(), HeadError> {
    if head.len() > usize::from(u16::MAX) {
        return Err(HeadError::TooLarge);
    }
    raw.clear();
    raw.extend_from_slice(head);
    Ok(())
}

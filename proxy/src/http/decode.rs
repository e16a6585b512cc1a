//! The one file that names the decoder, monoio-http's, so that it can be replaced here alone.
//!
//! What it gets has passed every rule of ours, which keeps clear of its traps: it unwraps field names, allows 96
//! fields, takes bare LF for a line end, looks for the end of the head itself, knows no minor version above 1, and
//! must not have its errors cloned. The target of a request it never sees, because it would judge it a second time by
//! rules of its own (`http::Uri`'s); ours is read from the raw bytes alone.

use ::http::{HeaderMap, Method, StatusCode, Version};
use bytes::{Buf, BytesMut};
use monoio_codec::{Decoded, Decoder};
use monoio_http::h1::codec::decoder::{RequestHeadDecoder, ResponseHeadDecoder};

use super::error::HeadError;

const REFUSED: HeadError = HeadError::Malformed("the head is not one that the decoder accepts");

/// Takes a request head off the front of `buf`, with the `start` bytes before it. Its request line, `line_len` bytes
/// that begin with `method_len` bytes of method, is replaced by one for `/`, right before the fields.
pub(super) fn request(
    buf: &mut BytesMut,
    (start, end): (usize, usize),
    (method_len, line_len): (usize, usize),
    version: Version,
) -> Result<(Method, HeaderMap), HeadError> {
    let tail = if version == Version::HTTP_10 { b" / HTTP/1.0\r\n" } else { b" / HTTP/1.1\r\n" };
    let line_end = start + line_len;
    // A target has a byte at least, so the new line is never the longer one.
    let line_start =
        line_end.checked_sub(method_len + tail.len()).filter(|at| *at >= start).ok_or(REFUSED)?;
    let old = buf.get_mut(start..line_end).ok_or(REFUSED)?;
    old.copy_within(..method_len, line_start - start);
    if let Some(place) = old.last_chunk_mut() {
        *place = *tail;
    }
    let head = decode(&mut RequestHeadDecoder, buf, line_start, end)?;
    Ok((head.method, head.headers))
}

/// Takes a response head off the front of `buf`, with the `start` bytes before it. The last digit of its version is
/// `minor_at` bytes into it; a later minor version counts as 1.1 (RFC 9110 section 2.5).
pub(super) fn response(
    buf: &mut BytesMut,
    (start, end): (usize, usize),
    minor_at: usize,
) -> Result<(StatusCode, HeaderMap), HeadError> {
    if let Some(minor @ b'2'..=b'9') = buf.get_mut(start + minor_at) {
        *minor = b'1';
    }
    let head = decode(&mut ResponseHeadDecoder, buf, start, end)?;
    Ok((head.status, head.headers))
}

fn decode<D: Decoder>(
    decoder: &mut D,
    buf: &mut BytesMut,
    start: usize,
    end: usize,
) -> Result<D::Item, HeadError> {
    let rest = buf.len().checked_sub(end).ok_or(REFUSED)?;
    buf.advance(start.min(buf.len()));
    match decoder.decode(buf) {
        Ok(Decoded::Some(head)) if buf.len() == rest => Ok(head),
        _ => Err(REFUSED),
    }
}

/// Copies the head at `start..end` of `buf` into `raw`, if offsets into it fit 16 bits.
pub(super) fn copy(buf: &BytesMut, start: usize, end: usize, raw: &mut Vec<u8>) -> Result<(), HeadError> {
    let head = buf.get(start..end).ok_or(HeadError::Malformed("the head is not whole"))?;
    if head.len() > usize::from(u16::MAX) {
        return Err(HeadError::TooLarge);
    }
    raw.clear();
    raw.extend_from_slice(head);
    Ok(())
}

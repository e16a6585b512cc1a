//! The one file that names the decoder, monoio-http's, so that it can be replaced here alone.
//!
//! What it gets has passed every rule of ours, which keeps clear of its traps: it unwraps field names, allows 96
//! fields, takes bare LF for a line end, looks for the end of the head itself, and must not have its errors cloned.

use ::http::{HeaderMap, Method, StatusCode};
use bytes::{Buf, BytesMut};
use monoio_codec::{Decoded, Decoder};
use monoio_http::h1::codec::decoder::{RequestHeadDecoder, ResponseHeadDecoder};

use super::error::HeadError;

/// Where a head lies in its buffer.
pub(super) struct Place {
    /// First byte of the start line.
    pub(super) start: usize,
    /// One past the empty line.
    pub(super) end: usize,
    /// The last digit of the version, counted from `start`.
    pub(super) minor_at: usize,
}

/// Takes a request head off the front of `buf`.
pub(super) fn request(buf: &mut BytesMut, place: &Place) -> Result<(Method, HeaderMap), HeadError> {
    let head = decode(&mut RequestHeadDecoder, buf, place)?;
    Ok((head.method, head.headers))
}

/// Takes a response head off the front of `buf`.
pub(super) fn response(buf: &mut BytesMut, place: &Place) -> Result<(StatusCode, HeaderMap), HeadError> {
    let head = decode(&mut ResponseHeadDecoder, buf, place)?;
    Ok((head.status, head.headers))
}

fn decode<D: Decoder>(decoder: &mut D, buf: &mut BytesMut, place: &Place) -> Result<D::Item, HeadError> {
    buf.advance(place.start.min(buf.len()));
    // It knows 1.0 and 1.1 only; a later minor version counts as 1.1 (RFC 9110 section 2.5).
    if let Some(minor @ b'2'..=b'9') = buf.get_mut(place.minor_at) {
        *minor = b'1';
    }
    let rest = buf.len().checked_sub(place.end - place.start);
    match decoder.decode(buf) {
        Ok(Decoded::Some(head)) if Some(buf.len()) == rest => Ok(head),
        _ => Err(HeadError::Malformed("the head is not one that the decoder accepts")),
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

//! The body of a message as it passes: how much of it is still to come, and how it is framed on its way out.

use bytes::{Buf, BytesMut};

use crate::http::{BodyLength, ChunkDecoder, ChunkError, ChunkEvent, chunked::LAST_CHUNK, encode_chunk_size};

/// Where in a body the sender is.
#[derive(Debug)]
pub enum BodyReader {
    /// All of it has been taken.
    Done,
    /// So many bytes are to come.
    Length(u64),
    /// Chunks are to come.
    Chunked(Box<ChunkDecoder>),
    /// Everything until the sender's end.
    UntilClose,
}

/// How a body is framed on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As plain bytes: the head states the length, or the close does.
    Plain,
    /// As chunks.
    Chunked,
}

impl BodyReader {
    /// For a body of this length.
    pub fn new(length: BodyLength) -> BodyReader {
        match length {
            BodyLength::Empty | BodyLength::Length(0) => BodyReader::Done,
            BodyLength::Length(length) => BodyReader::Length(length),
            BodyLength::Chunked => BodyReader::Chunked(Box::default()),
            BodyLength::UntilClose => BodyReader::UntilClose,
        }
    }

    /// Whether all of the body has been taken.
    pub fn is_done(&self) -> bool {
        matches!(self, BodyReader::Done)
    }

    /// Bytes to come, where that is known.
    pub fn remaining(&self) -> Option<u64> {
        match self {
            BodyReader::Done => Some(0),
            BodyReader::Length(length) => Some(*length),
            BodyReader::Chunked(_) | BodyReader::UntilClose => None,
        }
    }

    /// How many of the `available` bytes are plain body, not to be decoded; `None` for chunks.
    pub fn plain(&self, available: usize) -> Option<usize> {
        match self {
            BodyReader::Done => Some(0),
            BodyReader::Length(length) => Some(available.min(usize::try_from(*length).unwrap_or(usize::MAX))),
            BodyReader::Chunked(_) => None,
            BodyReader::UntilClose => Some(available),
        }
    }

    /// Notes that `count` plain bytes have been taken.
    pub fn advance(&mut self, count: usize) {
        if let BodyReader::Length(length) = self {
            *length = length.saturating_sub(count as u64);
            if *length == 0 {
                *self = BodyReader::Done;
            }
        }
    }

    /// Takes the body's bytes from the front of `buf` and appends them to `out` with the framing they leave with.
    /// Returns how many bytes of data these were. What follows the body stays in `buf`.
    pub fn take(
        &mut self,
        buf: &mut BytesMut,
        out: &mut Vec<u8>,
        framing: Framing,
    ) -> Result<u64, ChunkError> {
        if let Some(count) = self.plain(buf.len()) {
            let Some(bytes) = buf.get(..count) else { return Ok(0) };
            append(out, bytes, framing);
            buf.advance(count);
            self.advance(count);
            return Ok(count as u64);
        }
        let BodyReader::Chunked(decoder) = self else { return Ok(0) };
        let mut total = 0;
        loop {
            let (consumed, event) = decoder.next(buf)?;
            match event {
                ChunkEvent::Data(range) => {
                    total += range.len() as u64;
                    append(out, buf.get(range).unwrap_or_default(), framing);
                }
                ChunkEvent::End => {
                    if framing == Framing::Chunked {
                        out.extend_from_slice(LAST_CHUNK);
                        out.extend_from_slice(decoder.trailers());
                        out.extend_from_slice(b"\r\n");
                    }
                    buf.advance(consumed);
                    *self = BodyReader::Done;
                    return Ok(total);
                }
                ChunkEvent::More => {
                    buf.advance(consumed);
                    return Ok(total);
                }
            }
            buf.advance(consumed);
        }
    }

    /// The sender has closed: whether that is where the body ends. Appends what ends it on the way out.
    pub fn end(&mut self, out: &mut Vec<u8>, framing: Framing) -> bool {
        if !matches!(self, BodyReader::UntilClose) {
            return self.is_done();
        }
        *self = BodyReader::Done;
        if framing == Framing::Chunked {
            out.extend_from_slice(LAST_CHUNK);
            out.extend_from_slice(b"\r\n");
        }
        true
    }
}

fn append(out: &mut Vec<u8>, bytes: &[u8], framing: Framing) {
    if bytes.is_empty() {
        return;
    }
    match framing {
        Framing::Plain => out.extend_from_slice(bytes),
        Framing::Chunked => {
            encode_chunk_size(out, bytes.len());
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
        }
    }
}

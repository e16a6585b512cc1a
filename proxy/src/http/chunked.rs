//! The chunked transfer coding, RFC 9112 section 7.1, read strictly and byte by byte wherever the input was cut.

use std::ops::Range;

use super::{error::ChunkError, trailer::TrailerSection};
use crate::limits::{CHUNK_EXTENSION_BYTES_TOTAL_MAX, CHUNK_LINE_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX};

/// Ends the data of a chunked body; the trailer section and an empty line follow.
pub const LAST_CHUNK: &[u8] = b"0\r\n";

/// What one step of the decoder found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunkEvent {
    /// All input is consumed and more is needed.
    More,
    /// Body bytes, as a range of the input given: the whole of a chunk or a part of it.
    Data(Range<usize>),
    /// The body and its trailers are complete. Nothing after them is ever consumed.
    End,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    /// White space between the size and an extension.
    AfterSize,
    Extension,
    /// Inside a quoted string of an extension.
    Quoted,
    /// After a backslash inside a quoted string.
    Escaped,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
    Done,
}

/// Takes a chunked body apart.
#[derive(Debug)]
pub struct ChunkDecoder {
    state: State,
    /// The size being read, then what is left of the chunk, in bytes.
    remaining: u64,
    digits: usize,
    /// Bytes of this chunk-size line.
    line_bytes: usize,
    /// Bytes of extensions in the whole body.
    extension_bytes: usize,
    trailers: TrailerSection,
}

impl Default for ChunkDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkDecoder {
    /// A decoder at the start of a body. Allocates nothing until there are trailers.
    pub fn new() -> Self {
        Self {
            state: State::Size,
            remaining: 0,
            digits: 0,
            line_bytes: 0,
            extension_bytes: 0,
            trailers: TrailerSection::default(),
        }
    }

    /// Reads on in `input`, up to the next data or the end. Gives the number of bytes consumed, data included.
    pub fn next(&mut self, input: &[u8]) -> Result<(usize, ChunkEvent), ChunkError> {
        let mut at = 0;
        loop {
            if self.state == State::Done {
                return Ok((at, ChunkEvent::End));
            }
            let rest = input.get(at..).unwrap_or_default();
            let Some(byte) = rest.first() else { return Ok((at, ChunkEvent::More)) };
            match self.state {
                State::Data => {
                    let len = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(rest.len());
                    self.remaining -= len as u64;
                    if self.remaining == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok((at + len, ChunkEvent::Data(at..at + len)));
                }
                State::Trailers => {
                    let (len, done) = self.trailers.read(rest)?;
                    at += len;
                    if done {
                        self.state = State::Done;
                    }
                }
                _ => {
                    self.state = self.step(*byte)?;
                    at += 1;
                }
            }
        }
    }

    /// After `End`: the trailer fields that may be passed on, each line with its CRLF.
    pub fn trailers(&self) -> &[u8] {
        if self.is_done() { self.trailers.fields() } else { &[] }
    }

    /// True once the whole body, trailers included, has been read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads one byte of framing; gives the state after it.
    fn step(&mut self, byte: u8) -> Result<State, ChunkError> {
        match (self.state, byte) {
            (State::Size, _) => self.size(byte),
            (State::AfterSize, b' ' | b'\t') => self.extension(State::AfterSize),
            (State::AfterSize, b';') => self.extension(State::Extension),
            (State::AfterSize, _) => Err(ChunkError::Malformed("white space after the chunk size")),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, b'"') => self.extension(State::Quoted),
            (State::Quoted, b'"') => self.extension(State::Extension),
            (State::Quoted, b'\\') => self.extension(State::Escaped),
            (State::Extension | State::Quoted | State::Escaped, _) if is_control(byte) => {
                Err(ChunkError::Malformed("control byte in a chunk extension"))
            }
            (State::Escaped, _) => self.extension(State::Quoted),
            (state @ (State::Extension | State::Quoted), _) => self.extension(state),
            (State::SizeLf, b'\n') => Ok(self.size_ended()),
            (State::SizeLf, _) => Err(ChunkError::Malformed("bare CR after the chunk size")),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size),
            (State::DataCr | State::DataLf, _) => {
                Err(ChunkError::Malformed("chunk data is not followed by CRLF"))
            }
            (state @ (State::Data | State::Trailers | State::Done), _) => Ok(state),
        }
    }

    /// A byte where the size is, or right after it.
    fn size(&mut self, byte: u8) -> Result<State, ChunkError> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ if self.digits == 0 => return Err(ChunkError::Malformed("chunk size is not hexadecimal")),
            b'\r' => return Ok(State::SizeLf),
            b';' => return self.extension(State::Extension),
            b' ' | b'\t' => return self.extension(State::AfterSize),
            b'\n' => return Err(ChunkError::Malformed("bare LF after the chunk size")),
            _ => return Err(ChunkError::Malformed("chunk size is not hexadecimal")),
        };
        if self.digits == CHUNK_SIZE_DIGITS_MAX {
            return Err(ChunkError::Malformed("chunk size has too many digits"));
        }
        self.digits += 1;
        self.remaining = (self.remaining << 4) | u64::from(digit);
        Ok(State::Size)
    }

    /// Counts one byte of an extension.
    fn extension(&mut self, next: State) -> Result<State, ChunkError> {
        self.line_bytes += 1;
        self.extension_bytes += 1;
        if self.line_bytes + self.digits > CHUNK_LINE_BYTES_MAX {
            return Err(ChunkError::TooLarge("chunk extension is too long"));
        }
        if self.extension_bytes > CHUNK_EXTENSION_BYTES_TOTAL_MAX {
            return Err(ChunkError::TooLarge("too many chunk extensions in one body"));
        }
        Ok(next)
    }

    /// The chunk-size line is through.
    fn size_ended(&mut self) -> State {
        self.digits = 0;
        self.line_bytes = 0;
        if self.remaining == 0 { State::Trailers } else { State::Data }
    }
}

/// Control bytes, except tab.
fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// Appends a chunk-size line: hexadecimal digits and CRLF.
pub fn encode_chunk_size(out: &mut Vec<u8>, len: usize) {
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = (len >> (place * 4)) & 0xf;
        out.push(b"0123456789abcdef"[digit]);
    }
    out.extend_from_slice(b"\r\n");
}

//! The chunked transfer coding, decoded incrementally and in place (RFC 9112 section 7.1).
use std::ops::Range;

use super::Reason;

/// Longest chunk-size line or trailer section taken; a sender of more is broken or hostile.
const OVERHEAD_BYTES_MAX: usize = 8 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

/// Where a decoder is within one body.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    /// Size of the chunk being read, then what is left of it.
    left: u64,
    digits: u32,
    overhead: usize,
}

/// What one call of [`Decoder::advance`] found.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that are dealt with.
    pub consumed: usize,
    /// Where in the input body data is; empty when there was none.
    pub data: Range<usize>,
    /// The body is complete; bytes behind `consumed` belong to the next message.
    pub done: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { state: State::Size, left: 0, digits: 0, overhead: 0 }
    }
}

impl Decoder {
    /// Reads on until some body data, the end of the body or the end of the input, whichever comes first.
    pub fn advance(&mut self, input: &[u8]) -> Result<Step, Reason> {
        for (at, &byte) in input.iter().enumerate() {
            if self.state == State::Data {
                let n = (self.left).min((input.len() - at) as u64) as usize;
                self.left -= n as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                return Ok(Step { consumed: at + n, data: at..at + n, done: false });
            }
            self.step(byte)?;
            if self.state == State::Done {
                return Ok(Step { consumed: at + 1, data: 0..0, done: true });
            }
        }
        Ok(Step { consumed: input.len(), data: 0..0, done: false })
    }

    fn step(&mut self, byte: u8) -> Result<(), Reason> {
        self.overhead += 1;
        if self.overhead > OVERHEAD_BYTES_MAX {
            return Err("a chunk-size line or trailer section that is too long");
        }
        self.state = match (self.state, byte) {
            (State::Size, b'\r') if self.digits > 0 => State::SizeLf,
            (State::Size, b';' | b' ' | b'\t') if self.digits > 0 => State::Extension,
            (State::Size, _) => self.digit(byte)?,
            (State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b'\n' | 0) => return Err("a bare LF or NUL in a chunk extension"),
            (State::Extension, _) => State::Extension,
            (State::SizeLf, b'\n') if self.left == 0 => State::TrailerStart,
            (State::SizeLf, b'\n') => {
                (self.digits, self.overhead) = (0, 0);
                State::Data
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::DataCr | State::DataLf, _) => return Err("a chunk longer than its size"),
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart, _) => State::Trailer,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::Trailer, b'\n' | 0) => return Err("a bare LF or NUL in a trailer"),
            (State::Trailer, _) => State::Trailer,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::Done,
            (State::SizeLf | State::TrailerLf | State::EndLf, _) => {
                return Err("a bare CR in the chunked coding");
            }
            (State::Data | State::Done, _) => return Err("bytes behind the end of the body"),
        };
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<State, Reason> {
        let digit = (byte as char).to_digit(16).ok_or("a chunk size that is not a hexadecimal number")?;
        self.digits += 1;
        if self.digits > 15 {
            return Err("a chunk size that is too large");
        }
        self.left = self.left * 16 + u64::from(digit);
        Ok(State::Size)
    }
}

/// Appends one chunk holding `data`; an empty one would end the body, so nothing is appended for it.
pub fn append_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// The end of a chunked body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` in pieces of `size`; returns the body and how many bytes were left over.
    fn decode(input: &[u8], size: usize) -> Result<(Vec<u8>, usize), Reason> {
        let (mut decoder, mut body, mut consumed) = (Decoder::default(), Vec::new(), 0);
        for piece in input.chunks(size) {
            let mut at = 0;
            while at < piece.len() {
                let step = decoder.advance(&piece[at..])?;
                body.extend_from_slice(&piece[at..][step.data]);
                at += step.consumed;
                consumed += step.consumed;
                if step.done {
                    return Ok((body, input.len() - consumed));
                }
            }
        }
        Err("cut")
    }

    #[test]
    fn a_body_decodes_the_same_however_it_is_cut() {
        let input = b"5\r\nHello\r\n8;name=\"v\"\r\n, World!\r\n00\r\nTrailer: 1\r\n\r\nnext";
        for size in 1..=input.len() {
            assert_eq!(decode(input, size), Ok((b"Hello, World!".to_vec(), 4)), "pieces of {size}");
        }
    }

    #[test]
    fn what_is_encoded_decodes() {
        let mut wire = Vec::new();
        append_chunk(&mut wire, b"Hello");
        append_chunk(&mut wire, b"");
        append_chunk(&mut wire, &[b'x'; 300]);
        wire.extend_from_slice(LAST_CHUNK);
        let (body, rest) = decode(&wire, 7).unwrap();
        assert_eq!((body.len(), rest), (305, 0));
    }

    #[test]
    fn malformed_bodies_are_refused() {
        for input in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"5\nHello\r\n",
            b"5\r\nHelloo\r\n",
            b"5\r\nHello\n0\r\n\r\n",
            b"fffffffffffffffff\r\n",
            b"0\r\n\rx",
            b"0\r\nA: b\n\r\n",
            b"1;a\nb\r\n",
        ] {
            assert!(decode(input, 3).is_err_and(|reason| reason != "cut"), "{}", input.escape_ascii());
        }
        let long = [b"1;".to_vec(), vec![b'a'; 10_000]].concat();
        assert!(decode(&long, 4096).is_err());
    }
}

//! The body of a request, piece by piece, from the bytes at hand.
use std::ops::Range;

use crate::http::{Reason, chunked, fields::Fields};

/// What is left of a request's body.
pub(crate) enum Body {
    /// So many bytes.
    Length(u64),
    /// Until the last chunk.
    Chunked(chunked::Decoder),
    /// Nothing.
    Done,
}

impl Body {
    pub(crate) fn of(fields: &Fields) -> Self {
        match (fields.chunked, fields.content_length) {
            (true, _) => Self::Chunked(chunked::Decoder::default()),
            (false, None | Some(0)) => Self::Done,
            (false, Some(n)) => Self::Length(n),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Takes the next piece from the front of `input`: how much of it is dealt with, and where in it data is.
    pub(crate) fn advance(&mut self, input: &[u8]) -> Result<(usize, Range<usize>), Reason> {
        match self {
            Self::Done => Ok((0, 0..0)),
            Self::Length(left) => {
                let n = (*left).min(input.len() as u64);
                *left -= n;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok((n as usize, 0..n as usize))
            }
            Self::Chunked(decoder) => {
                let step = decoder.advance(input)?;
                if step.done {
                    *self = Self::Done;
                }
                Ok((step.consumed, step.data))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_takes_its_length_and_no_more() {
        let mut body = Body::of(&Fields { content_length: Some(5), ..Fields::default() });
        assert_eq!(body.advance(b"abc"), Ok((3, 0..3)));
        assert_eq!(body.advance(b"deGET"), Ok((2, 0..2)));
        assert!(body.is_done());
    }

    #[test]
    fn no_length_and_length_zero_are_empty() {
        assert!(Body::of(&Fields::default()).is_done());
        assert!(Body::of(&Fields { content_length: Some(0), ..Fields::default() }).is_done());
    }
}

//! Finds the end of a head as its bytes arrive, never reading a byte twice, and refuses at once what more bytes cannot
//! make valid: a bare CR or LF, NUL, a first byte that starts no message, a first line without a version.
//!
//! The outcome depends on the bytes alone, not on how they were cut into reads.

use super::{bytes::is_token_byte, error::HeadError};
use crate::limits::LEADING_EMPTY_LINES_MAX;

/// What is known of a head so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// More bytes are needed.
    Partial,
    /// `buf[start..end]` is the head, with the empty line that ends it.
    Complete {
        /// First byte of the start line; above 0 when empty lines came before it.
        start: usize,
        /// One past the last byte of the head.
        end: usize,
    },
}

/// Whose head it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Request,
    Response,
}

/// The state of one search. A new one for every head.
#[derive(Debug, Clone)]
pub struct HeadScan {
    message: Message,
    /// Where the start line begins.
    start: usize,
    /// Where the line that is being read begins.
    line: usize,
    /// The first byte not looked at yet.
    position: usize,
    /// Leading empty lines so far.
    skipped: usize,
    /// The start line is whole.
    start_line_seen: bool,
}

/// Where a head that starts with the first byte ends, if no byte before is out of place: for a parser that checks them
/// all to try first. What that refuses is `HeadScan`'s to judge.
pub(super) fn likely_end(buf: &[u8], bytes_max: usize) -> Option<usize> {
    let seen = buf.get(..buf.len().min(bytes_max)).unwrap_or_default();
    // Line by line: a search for all four bytes at once first has to prepare itself, for longer than most heads take.
    memchr::memchr_iter(b'\n', seen).map(|at| at + 1).find(|end| {
        let head = seen.get(..*end).unwrap_or_default();
        head.ends_with(b"\r\n\r\n")
    })
}

impl HeadScan {
    /// For a request: at most `LEADING_EMPTY_LINES_MAX` empty lines come before it (RFC 9112 section 2.2).
    pub fn request() -> Self {
        Self::new(Message::Request)
    }

    /// For a response: it starts with its first byte.
    pub fn response() -> Self {
        Self::new(Message::Response)
    }

    fn new(message: Message) -> Self {
        Self { message, start: 0, line: 0, position: 0, skipped: 0, start_line_seen: false }
    }

    /// Looks at what is new in `buf`, which holds all bytes since the first call. A head may have `bytes_max` bytes,
    /// leading empty lines not counted.
    pub fn advance(&mut self, buf: &[u8], bytes_max: usize) -> Result<Scan, HeadError> {
        loop {
            let limit = buf.len().min(self.start.saturating_add(bytes_max));
            let seen = buf.get(..limit).unwrap_or_default();
            if !self.start_line_seen {
                self.check_opening(seen)?;
            }
            let new = seen.get(self.position..).unwrap_or_default();
            let Some(offset) = memchr::memchr3(b'\r', b'\n', 0, new) else {
                self.position = limit;
                return self.partial(buf.len(), bytes_max);
            };
            let at = self.position + offset;
            match (seen.get(at), seen.get(at + 1)) {
                (Some(b'\r'), Some(b'\n')) => {
                    if let Some(end) = self.line_ended(seen, at)? {
                        return Ok(Scan::Complete { start: self.start, end });
                    }
                }
                (Some(b'\r'), Some(_)) => return Err(HeadError::Malformed("bare CR in the head")),
                (Some(b'\r'), None) => {
                    self.position = at;
                    return self.partial(buf.len(), bytes_max);
                }
                (Some(b'\n'), _) => return Err(HeadError::Malformed("bare LF in the head")),
                _ => return Err(HeadError::Malformed("NUL in the head")),
            }
        }
    }

    /// A line ends with the CR at `at`. Gives the end of the head when it was the empty line.
    fn line_ended(&mut self, seen: &[u8], at: usize) -> Result<Option<usize>, HeadError> {
        let next = at + 2;
        let empty = at == self.line;
        if empty && self.start_line_seen {
            return Ok(Some(next));
        }
        if empty {
            if self.message == Message::Response {
                return Err(HeadError::Malformed("empty line before the status line"));
            }
            if self.skipped == LEADING_EMPTY_LINES_MAX {
                return Err(HeadError::Malformed("too many empty lines before the request line"));
            }
            self.skipped += 1;
            self.start = next;
        } else if !self.start_line_seen {
            if self.message == Message::Request {
                check_version_ends(seen.get(self.line..at).unwrap_or_default())?;
            }
            self.start_line_seen = true;
        }
        self.line = next;
        self.position = next;
        Ok(None)
    }

    /// What the first bytes must be. Most that is not HTTP (a TLS hello, say) ends here.
    fn check_opening(&self, seen: &[u8]) -> Result<(), HeadError> {
        let opening = seen.get(self.start..).unwrap_or_default();
        match self.message {
            Message::Request => match opening.first() {
                // CR and LF are judged as the line ends they are.
                None | Some(b'\r' | b'\n') => Ok(()),
                Some(byte) if is_token_byte(*byte) => Ok(()),
                Some(_) => Err(HeadError::Malformed("the request does not start with a method")),
            },
            Message::Response => {
                const NAME: &[u8] = b"HTTP/";
                let len = opening.len().min(NAME.len());
                if opening.get(..len) == NAME.get(..len) {
                    return Ok(());
                }
                Err(HeadError::Malformed("the response does not start with HTTP/"))
            }
        }
    }

    /// More is needed, unless the head is over its limit already.
    fn partial(&self, buffered: usize, bytes_max: usize) -> Result<Scan, HeadError> {
        if buffered < self.start.saturating_add(bytes_max) {
            return Ok(Scan::Partial);
        }
        let in_request_line = self.message == Message::Request && !self.start_line_seen;
        Err(if in_request_line { HeadError::TargetTooLong } else { HeadError::TooLarge })
    }
}

/// A request line ends in ` HTTP/` digit `.` digit. Without this a line of HTTP/0.9 would wait for fields that never
/// come.
fn check_version_ends(line: &[u8]) -> Result<(), HeadError> {
    match line {
        [.., b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Ok(())
        }
        _ => Err(HeadError::Malformed("the request line does not end in an HTTP version")),
    }
}

//! The trailer section of a chunked body: bounded, checked like a head's fields, and filtered.

use super::{bytes, error::ChunkError, field::FieldKind};
use crate::limits::TRAILER_BYTES_MAX;

/// Fields that are never taken from a trailer, besides those with a `FieldKind` of their own: they frame, route,
/// authenticate, control caching or say how to process the body, all of which is decided before it (RFC 9110
/// section 6.5.1).
const FORBIDDEN: &[&[u8]] = &[
    b"accept",
    b"accept-charset",
    b"accept-encoding",
    b"accept-language",
    b"age",
    b"alt-svc",
    b"authentication-info",
    b"authorization",
    b"cache-control",
    b"clear-site-data",
    b"content-disposition",
    b"content-encoding",
    b"content-language",
    b"content-location",
    b"content-range",
    b"content-security-policy",
    b"content-type",
    b"cookie",
    b"cookie2",
    b"expires",
    b"http2-settings",
    b"location",
    b"origin",
    b"pragma",
    b"range",
    b"refresh",
    b"retry-after",
    b"set-cookie",
    b"set-cookie2",
    b"strict-transport-security",
    b"vary",
    b"warning",
    b"www-authenticate",
    b"x-http-method-override",
    b"x-original-url",
    b"x-real-ip",
    b"x-rewrite-url",
];

/// Beginnings of whole families of such fields.
const FORBIDDEN_PREFIXES: &[&[u8]] = &[b"access-control-", b"if-", b"proxy-", b"sec-"];

/// The trailer section as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct TrailerSection {
    /// Lines that may be passed on, then the line that is being read.
    section: Vec<u8>,
    line_start: usize,
    /// Bytes read, dropped lines included.
    bytes: usize,
}

impl TrailerSection {
    /// Reads on, at most to the end of a line. Gives the bytes consumed, and whether the section has ended.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<(usize, bool), ChunkError> {
        let line_feed = memchr::memchr(b'\n', input);
        let len = line_feed.map_or(input.len(), |at| at + 1);
        self.bytes += len;
        if self.bytes > TRAILER_BYTES_MAX {
            return Err(ChunkError::TooLarge("trailer section is too large"));
        }
        // The usual section is one empty line in one piece: nothing to keep, nothing to allocate.
        if self.section.len() == self.line_start && input.get(..len) == Some(b"\r\n") {
            return Ok((len, true));
        }
        self.section.extend_from_slice(input.get(..len).unwrap_or_default());
        if line_feed.is_none() {
            return Ok((len, false));
        }
        let line = self.section.get(self.line_start..).unwrap_or_default();
        let ended = line == b"\r\n";
        if ended || !check_line(line)? {
            self.section.truncate(self.line_start);
        }
        self.line_start = self.section.len();
        Ok((len, ended))
    }

    /// The lines that may be passed on.
    pub(super) fn fields(&self) -> &[u8] {
        self.section.get(..self.line_start).unwrap_or_default()
    }
}

/// Checks a line that ends in LF by the rules of a head's field lines. True when it may be passed on.
fn check_line(line: &[u8]) -> Result<bool, ChunkError> {
    let [text @ .., b'\r', b'\n'] = line else {
        return Err(ChunkError::Malformed("bare LF in a trailer"));
    };
    let name_len = bytes::prefix_len(text, bytes::is_token_byte);
    let (name, rest) = text.split_at_checked(name_len).unwrap_or_default();
    match rest {
        [b':', value @ ..] if !name.is_empty() => {
            if value.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
                return Err(ChunkError::Malformed("control byte in a trailer"));
            }
            Ok(may_pass(name))
        }
        [b' ' | b'\t', ..] if name.is_empty() => Err(ChunkError::Malformed("line folding in a trailer")),
        _ => Err(ChunkError::Malformed("a trailer's name is not a token followed by a colon")),
    }
}

/// True for a field that may come in a trailer.
fn may_pass(name: &[u8]) -> bool {
    let starts_with =
        |prefix: &&[u8]| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    FieldKind::of(name) == FieldKind::Other
        && !FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
        && !FORBIDDEN_PREFIXES.iter().any(starts_with)
}

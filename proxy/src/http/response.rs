//! A response head: every rule that it must pass, and what it says.

use std::{cell::OnceCell, ops::Range};

use ::http::{HeaderMap, Method, StatusCode, Version};
use bytes::{Buf, BytesMut};

use super::{
    bytes as text, connection,
    connection::Options,
    decode,
    error::HeadError,
    field,
    field::{FieldKind, Lines, Spare},
    framing,
    framing::BodyLength,
    scan::likely_end,
    target,
};
use crate::limits::HEAD_FIELDS_MAX;

/// A response head that has passed all rules.
#[derive(Debug)]
pub struct ResponseHead {
    /// The status, 100 to 999.
    pub status: StatusCode,
    /// 1.0 or 1.1.
    pub version: Version,
    /// The head as received.
    pub raw: Vec<u8>,
    /// The field lines in `raw`.
    pub lines: Lines,
    /// How long the body is.
    pub body: BodyLength,
    /// The upstream will take another request on this connection once the body is through.
    pub keep_alive: bool,
    fields: OnceCell<Box<HeaderMap>>,
    reason: Range<usize>,
}

/// A status line taken apart. Ranges are into the raw head.
struct StatusLine {
    version: Version,
    status: StatusCode,
    reason: Range<usize>,
    end: usize,
}

impl ResponseHead {
    /// Takes the head at `start..end` (from `HeadScan`) off the front of `buf`, with everything before it. The
    /// request's method decides whether a body follows.
    pub fn parse(
        buf: &mut BytesMut,
        start: usize,
        end: usize,
        request_method: &Method,
        spare: Spare,
    ) -> Result<Self, HeadError> {
        let head = buf.get(start..end).ok_or(HeadError::Malformed("the head is not whole"))?;
        let head = Self::read(head, request_method, spare)?;
        buf.advance(end);
        Ok(head)
    }

    /// Reads a head that is there already, starts with the first byte and is without fault, and says where it ends.
    /// Whatever is not, `HeadScan` and `read` judge.
    pub fn at_once(
        bytes: &[u8],
        bytes_max: usize,
        request_method: &Method,
        spare: Spare,
    ) -> Option<(Self, usize)> {
        let end = likely_end(bytes, bytes_max)?;
        Some((Self::read(bytes.get(..end)?, request_method, spare).ok()?, end))
    }

    /// Reads a head (from its first byte to its empty line, as `HeadScan` found it) without taking it off anything.
    pub fn read(head: &[u8], request_method: &Method, spare: Spare) -> Result<Self, HeadError> {
        let Spare { mut raw, mut lines } = spare;
        decode::copy(head, &mut raw)?;
        text::refuse_control(&raw)?;
        let line = status_line(&raw)?;
        let noted = field::parse(&raw, line.end, HEAD_FIELDS_MAX, &mut lines)?;
        let options = match noted.connection {
            true => connection::read(&raw, &mut lines, false)?,
            false => Options::default(),
        };
        let status = line.status;
        let body = framing::of_response(&raw, &noted, line.version, status, request_method)?;
        let persistent = !options.close && (line.version == Version::HTTP_11 || options.keep_alive);
        Ok(Self {
            status,
            version: line.version,
            fields: OnceCell::new(),
            body,
            keep_alive: persistent
                && body != BodyLength::UntilClose
                && status != StatusCode::SWITCHING_PROTOCOLS,
            reason: line.reason,
            raw,
            lines,
        })
    }

    /// Gives the buffers back for the next head.
    pub fn into_spare(self) -> Spare {
        Spare { raw: self.raw, lines: self.lines }
    }

    /// All fields as a map, decoded when first asked for.
    pub fn headers(&self) -> &HeaderMap {
        self.fields.get_or_init(|| Box::new(decode::fields(&self.raw, &self.lines)))
    }

    /// True for a 1xx after which the final response is still to come: all but 101.
    pub fn is_interim(&self) -> bool {
        self.status.is_informational() && self.status != StatusCode::SWITCHING_PROTOCOLS
    }

    /// True when the upstream sent `Date`.
    pub fn has_date(&self) -> bool {
        self.lines.iter().any(|line| line.kind == FieldKind::Date)
    }

    /// The reason phrase as received; may be empty, need not be UTF-8.
    pub fn reason(&self) -> &[u8] {
        self.raw.get(self.reason.clone()).unwrap_or_default()
    }
}

/// `HTTP/1.x SP 3DIGIT [SP reason] CRLF`, RFC 9112 section 4. The space before an empty reason may be missing, as it
/// is from many servers.
fn status_line(raw: &[u8]) -> Result<StatusLine, HeadError> {
    let (version, minor_at) = target::version(raw, 0)?;
    let code_at = minor_at + 2;
    const REFUSED: HeadError = HeadError::Malformed("the status is not three digits after one space");
    let code = match raw.get(minor_at + 1..code_at + 3) {
        Some([b' ', code @ ..]) => StatusCode::from_bytes(code).map_err(|_| REFUSED)?,
        _ => return Err(REFUSED),
    };
    let after_code = raw.get(code_at + 3..).unwrap_or_default();
    let rest_len = memchr::memchr2(b'\r', b'\n', after_code).unwrap_or(after_code.len());
    if after_code.get(rest_len..rest_len + 2) != Some(b"\r\n") {
        return Err(HeadError::Malformed("the status line does not end in CRLF"));
    }
    let rest_end = code_at + 3 + rest_len;
    let reason = match after_code.first() {
        Some(b' ') => code_at + 4..rest_end,
        Some(b'\r') => rest_end..rest_end,
        _ => return Err(HeadError::Malformed("the status is not followed by a space")),
    };
    Ok(StatusLine { version, status: code, reason, end: rest_end + 2 })
}

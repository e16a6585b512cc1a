//! How long a body is, RFC 9112 section 6. Strict: anything two parsers could read differently is an error.

use ::http::{Method, StatusCode, Version};

use super::{
    bytes,
    error::HeadError,
    field::{Noted, Seen},
};

/// The length of a message's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// No body at all.
    Empty,
    /// Exactly so many bytes (may be 0, when the message says so).
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
    /// Until the sender closes: responses only.
    UntilClose,
}

impl BodyLength {
    /// True when not a byte of body follows the head.
    pub fn is_empty(self) -> bool {
        matches!(self, Self::Empty | Self::Length(0))
    }
}

/// A request's body: without framing fields there is none.
pub(super) fn of_request(raw: &[u8], noted: &Noted, version: Version) -> Result<BodyLength, HeadError> {
    Ok(declared(raw, noted, version)?.unwrap_or(BodyLength::Empty))
}

/// A response's body. Its framing fields are judged even where the method or the status says that there is no body,
/// because they are passed on.
pub(super) fn of_response(
    raw: &[u8],
    noted: &Noted,
    version: Version,
    status: StatusCode,
    request_method: &Method,
) -> Result<BodyLength, HeadError> {
    let declared = declared(raw, noted, version)?;
    let bodiless = status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
        || *request_method == Method::HEAD;
    Ok(if bodiless { BodyLength::Empty } else { declared.unwrap_or(BodyLength::UntilClose) })
}

/// What the framing fields say, `None` when there are none.
fn declared(raw: &[u8], noted: &Noted, version: Version) -> Result<Option<BodyLength>, HeadError> {
    match (noted.content_length, noted.transfer_encoding) {
        (Seen::Never, Seen::Never) => Ok(None),
        (Seen::Once(line), Seen::Never) => content_length(line.value(raw)).map(Some),
        (Seen::Repeated, Seen::Never) => Err(HeadError::Malformed("more than one Content-Length")),
        (Seen::Never, Seen::Repeated) => Err(HeadError::Malformed("more than one Transfer-Encoding")),
        (Seen::Never, Seen::Once(line)) => {
            if version == Version::HTTP_10 {
                return Err(HeadError::Malformed("Transfer-Encoding in HTTP/1.0"));
            }
            if !line.value(raw).eq_ignore_ascii_case(b"chunked") {
                return Err(HeadError::Malformed("Transfer-Encoding other than chunked"));
            }
            Ok(Some(BodyLength::Chunked))
        }
        _ => Err(HeadError::Malformed("Content-Length together with Transfer-Encoding")),
    }
}

fn content_length(value: &[u8]) -> Result<BodyLength, HeadError> {
    if let Some(length) = bytes::decimal(value) {
        return Ok(BodyLength::Length(length));
    }
    Err(HeadError::Malformed(match value {
        [] => "empty Content-Length",
        _ if value.iter().all(u8::is_ascii_digit) => "Content-Length is too large",
        _ if value.contains(&b',') => "Content-Length is a list",
        _ => "Content-Length is not a decimal number",
    }))
}

//! The request line and the forms of a request target, RFC 9112 section 3.

use std::ops::Range;

use ::http::Version;

use super::{authority, bytes, error::HeadError};

/// A request line taken apart. Ranges are into the raw head.
#[derive(Debug)]
pub(super) struct RequestLine {
    /// The method.
    pub(super) method: Range<usize>,
    /// The target, whatever its form.
    pub(super) target: Range<usize>,
    /// How much of the target, from its start, is neither `?` nor `%`.
    pub(super) plain_len: usize,
    /// 1.0 or 1.1; a higher minor version counts as 1.1 (RFC 9110 section 2.5).
    pub(super) version: Version,
    /// Where the first field line begins.
    pub(super) end: usize,
}

/// Where a request wants to go. Ranges are into the raw head.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// Path and query, or `*`.
    pub(super) path_and_query: Range<usize>,
    /// One past the path: the `?`, or the end.
    pub(super) path_end: usize,
    /// The authority of the absolute form.
    pub(super) authority: Option<Range<usize>>,
    /// Length of the host within the authority.
    pub(super) host_len: usize,
}

/// Takes the request line at the start of `raw` apart: method, one space, target, one space, version, CRLF.
pub(super) fn request_line(raw: &[u8]) -> Result<RequestLine, HeadError> {
    let method_len = bytes::prefix_len(raw, bytes::is_token_byte);
    if method_len == 0 || raw.get(method_len) != Some(&b' ') {
        return Err(HeadError::Malformed("the method is not a token followed by one space"));
    }
    let target_start = method_len + 1;
    let rest = raw.get(target_start..).unwrap_or_default();
    let plain_len = bytes::prefix_len(rest, bytes::is_plain_path_byte);
    let unplain = rest.get(plain_len..).unwrap_or_default();
    let target_len = plain_len + bytes::prefix_len(unplain, bytes::is_target_byte);
    let target_end = target_start + target_len;
    match rest.get(target_len) {
        Some(b' ') if target_len > 0 => {}
        Some(b' ') => return Err(HeadError::Malformed("more than one space before the request target")),
        Some(b'#') => return Err(HeadError::Malformed("fragment in the request target")),
        Some(b'\r' | b'\n') | None => {
            return Err(HeadError::Malformed("the request line does not end in an HTTP version"));
        }
        Some(_) => return Err(HeadError::Malformed("a byte that no request target may hold")),
    }
    let version_start = target_end + 1;
    let (version, minor_at) = version(raw, version_start)?;
    let end = minor_at + 3;
    if raw.get(minor_at + 1..end) != Some(b"\r\n") {
        return Err(HeadError::Malformed("the request line does not end after its HTTP version"));
    }
    let target = target_start..target_end;
    Ok(RequestLine { method: 0..method_len, target, plain_len, version, end })
}

/// Reads `HTTP/` digit `.` digit at `at`; gives the version and the place of its last digit.
pub(super) fn version(raw: &[u8], at: usize) -> Result<(Version, usize), HeadError> {
    let version = match raw.get(at..at + 8) {
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            match (major, minor) {
                (b'1', b'0') => Version::HTTP_10,
                (b'1', _) => Version::HTTP_11,
                _ => return Err(HeadError::Version),
            }
        }
        _ => return Err(HeadError::Malformed("the HTTP version is not written HTTP/1.1")),
    };
    Ok((version, at + 7))
}

/// Judges the target at `range`, of which `plain_len` bytes are known to be plain. An absolute one whose path is
/// empty gets the path it stands for appended to `raw`, behind the head, so that all ranges are into one buffer.
pub(super) fn parse(
    raw: &mut Vec<u8>,
    (range, plain_len): (Range<usize>, usize),
    is_options: bool,
) -> Result<Target, HeadError> {
    let text = raw.get(range.clone()).unwrap_or_default();
    match text {
        [b'/', ..] => origin(raw, range, plain_len),
        b"*" if is_options => Ok(Target { path_end: range.end, path_and_query: range, ..Target::default() }),
        b"*" => Err(HeadError::Malformed("the target * is for OPTIONS only")),
        _ => absolute(raw, range, is_options),
    }
}

/// A target that starts with its path, RFC 9112 section 3.2.1.
fn origin(raw: &[u8], range: Range<usize>, plain_len: usize) -> Result<Target, HeadError> {
    let text = raw.get(range.clone()).unwrap_or_default();
    let mut path_len = plain_len;
    if text.get(plain_len) == Some(&b'%') {
        path_len = memchr::memchr(b'?', text).unwrap_or(text.len());
        check_escapes(text.get(..path_len).unwrap_or_default())?;
    }
    Ok(Target { path_end: range.start + path_len, path_and_query: range, ..Target::default() })
}

/// `http://authority/path?query`, RFC 9112 section 3.2.2.
fn absolute(raw: &mut Vec<u8>, range: Range<usize>, is_options: bool) -> Result<Target, HeadError> {
    let text = raw.get(range.clone()).unwrap_or_default();
    let scheme_len = match memchr::memchr(b':', text) {
        Some(len) if text.get(len..len + 3) == Some(b"://") => len,
        _ => return Err(HeadError::Malformed("the target is neither a path nor an absolute http URI")),
    };
    let scheme = text.get(..scheme_len).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(HeadError::Malformed("the scheme of the target is neither http nor https"));
    }
    let after_scheme = text.get(scheme_len + 3..).unwrap_or_default();
    let authority_len = bytes::prefix_len(after_scheme, |byte| byte != b'/' && byte != b'?');
    let (authority, path) = after_scheme.split_at_checked(authority_len).unwrap_or_default();
    let host_len = authority::host_len(authority)?;
    let authority_start = range.start + scheme_len + 3;
    let authority_end = authority_start + authority_len;
    let path_range = if path.first() == Some(&b'/') {
        authority_end..range.end
    } else {
        // RFC 9112 section 3.2.4: OPTIONS without a path or query asks about the server, `*`.
        let missing = if path.is_empty() && is_options { b'*' } else { b'/' };
        let appended_start = raw.len();
        raw.push(missing);
        raw.extend_from_within(authority_end..range.end);
        appended_start..raw.len()
    };
    let path = raw.get(path_range.clone()).unwrap_or_default();
    let plain_len = bytes::prefix_len(path, bytes::is_plain_path_byte);
    let target = origin(raw, path_range, plain_len)?;
    Ok(Target { authority: Some(authority_start..authority_end), host_len, ..target })
}

/// Every `%` of a path is followed by two hexadecimal digits (RFC 3986 section 2.1). Queries are left alone: a lone
/// `%` there is common, and means nothing to routing.
fn check_escapes(path: &[u8]) -> Result<(), HeadError> {
    for at in memchr::memchr_iter(b'%', path) {
        match path.get(at + 1..at + 3) {
            Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {}
            _ => return Err(HeadError::Malformed("% without two hexadecimal digits in the path")),
        }
    }
    Ok(())
}

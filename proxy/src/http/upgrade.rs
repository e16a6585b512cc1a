//! `Upgrade`, RFC 9110 section 7.8: which requests may become a tunnel, and which 101 makes them one.

use ::http::StatusCode;

use super::{
    bytes,
    field::{FieldKind, Line},
    request::RequestHead,
    response::ResponseHead,
};

/// All protocols in the `Upgrade` lines of a head.
fn protocols<'a>(raw: &'a [u8], lines: &'a [Line]) -> impl Iterator<Item = &'a [u8]> {
    let upgrade = lines.iter().filter(|line| line.kind == FieldKind::Upgrade);
    upgrade.flat_map(|line| bytes::list(line.value(raw)))
}

/// True when a request's `Upgrade` lines are an offer that may be passed on: one protocol or more, all well-formed,
/// and none of them HTTP itself. An upgrade to `h2c` would carry requests past our rules and routes in a tunnel, so
/// an offer with it in is ignored, as a server may, and the request is served as HTTP/1.1.
pub(super) fn is_offer(raw: &[u8], lines: &[Line]) -> bool {
    let mut offered = protocols(raw, lines).peekable();
    offered.peek().is_some() && offered.all(|protocol| is_protocol(protocol) && !is_http(protocol))
}

/// `protocol-name ["/" protocol-version]`.
fn is_protocol(protocol: &[u8]) -> bool {
    protocol.split(|byte| *byte == b'/').all(bytes::is_token)
        && protocol.iter().filter(|byte| **byte == b'/').count() <= 1
}

fn is_http(protocol: &[u8]) -> bool {
    let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
    [&b"h2c"[..], b"h2", b"http"].iter().any(|http| name.eq_ignore_ascii_case(http))
}

/// True when `response` turns the connection into a tunnel rightly: 101 to a request that asked for it, and only to
/// protocols that the request offered.
pub fn upgrade_accepted(request: &RequestHead, response: &ResponseHead) -> bool {
    if !request.upgrade || response.status != StatusCode::SWITCHING_PROTOCOLS {
        return false;
    }
    let mut chosen = protocols(&response.raw, &response.lines).peekable();
    chosen.peek().is_some()
        && chosen.all(|protocol| {
            protocols(&request.raw, &request.lines).any(|offer| offer.eq_ignore_ascii_case(protocol))
        })
}

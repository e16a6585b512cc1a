//! The `Connection` field: what it says of the connection, and which fields it says end here (RFC 9110 section 7.6.1).

use super::{
    bytes,
    error::HeadError,
    field::{FieldKind, Lines},
};

/// Connection options that name fields, in one head. Each is looked for among all lines, so their number is bounded.
const NAMED_OPTIONS_MAX: usize = 32;

/// What the `Connection` lines of a head ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Options {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
}

/// Reads all `Connection` lines and marks the lines of the fields that they name.
///
/// A request that names `Host`, `Content-Length` or `Transfer-Encoding` is refused: a hop that obeyed would forward
/// another message than it received. A response that does so is let be, because some servers really send
/// `Connection: Transfer-Encoding`; its framing fields are never dropped for it. Of the rest, only fields that mean
/// nothing to a proxy are dropped for being named: not `Via`, `Max-Forwards`, `Expect`, `Date` or what says where a
/// request came from.
pub(super) fn read(raw: &[u8], lines: &mut Lines, is_request: bool) -> Result<Options, HeadError> {
    let mut options = Options::default();
    let mut named = 0;
    for index in 0..lines.len() {
        let Some(value) = lines.get(index).filter(|line| line.kind == FieldKind::Connection) else {
            continue;
        };
        for option in bytes::list(value.value(raw)) {
            if option.eq_ignore_ascii_case(b"keep-alive") {
                options.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"close") {
                options.close = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                options.upgrade = true;
            } else if bytes::is_token(option) {
                named += 1;
                if named > NAMED_OPTIONS_MAX {
                    return Err(HeadError::Malformed("too many options in Connection"));
                }
                mark(raw, lines, option, is_request)?;
            } else {
                return Err(HeadError::Malformed("an option in Connection is not a token"));
            }
        }
    }
    Ok(options)
}

/// Marks the lines with this name as dropped.
fn mark(raw: &[u8], lines: &mut Lines, name: &[u8], is_request: bool) -> Result<(), HeadError> {
    match FieldKind::of(name) {
        FieldKind::Host | FieldKind::ContentLength | FieldKind::TransferEncoding if is_request => {
            Err(HeadError::Malformed("Connection names Host or a framing field"))
        }
        FieldKind::Other
        | FieldKind::Trailer
        | FieldKind::Traceparent
        | FieldKind::Tracestate
        | FieldKind::XRequestId => {
            let same = lines.iter_mut().filter(|line| line.name(raw).eq_ignore_ascii_case(name));
            same.for_each(|line| line.dropped = true);
            Ok(())
        }
        _ => Ok(()),
    }
}

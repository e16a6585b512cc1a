//! `uri-host [":" port]`: the value of `Host` and the authority of an absolute target, read the same strict way.

use std::net::Ipv6Addr;

use super::{bytes, error::HeadError};

/// Checks an authority and gives the length of its host part, brackets included.
///
/// Stricter than RFC 3986 section 3.2 where a lenient reading could name another host than the upstream sees: no
/// empty host (RFC 9110 section 4.2.1 forbids it for http), no userinfo (section 4.2.4), no percent escapes, no
/// comma, no IPvFuture and no zone. A port has one to five digits and fits 16 bits; a colon without a port is refused.
pub(super) fn host_len(authority: &[u8]) -> Result<usize, HeadError> {
    let host_len = if authority.first() == Some(&b'[') {
        bracketed_len(authority)?
    } else {
        bytes::prefix_len(authority, bytes::is_host_byte)
    };
    let (host, port) = authority.split_at_checked(host_len).unwrap_or_default();
    match port {
        [] | [b':', ..] if host.is_empty() => Err(HeadError::Malformed("empty host")),
        [] => Ok(host_len),
        [b':', digits @ ..] => check_port(digits).map(|()| host_len),
        _ if authority.contains(&b'@') => Err(HeadError::Malformed("user information in the host")),
        [b',', ..] => Err(HeadError::Malformed("more than one host in one field")),
        _ => Err(HeadError::Malformed("a byte that no host may hold")),
    }
}

/// The length of `[IPv6]` at the start of `authority`.
fn bracketed_len(authority: &[u8]) -> Result<usize, HeadError> {
    const INVALID: HeadError = HeadError::Malformed("IPv6 address in the host is not valid");
    let close = memchr::memchr(b']', authority).ok_or(INVALID)?;
    let inside = authority.get(1..close).ok_or(INVALID)?;
    let text = std::str::from_utf8(inside).map_err(|_| INVALID)?;
    text.parse::<Ipv6Addr>().map_err(|_| INVALID)?;
    Ok(close + 1)
}

fn check_port(digits: &[u8]) -> Result<(), HeadError> {
    let port = if digits.len() <= 5 { bytes::decimal(digits) } else { None };
    match port {
        Some(port) if port <= u64::from(u16::MAX) => Ok(()),
        _ if digits.contains(&b'@') => Err(HeadError::Malformed("user information in the host")),
        _ => Err(HeadError::Malformed("port in the host is not a number up to 65535")),
    }
}

//! Version 1: `PROXY TCP4 192.0.2.1 198.51.100.7 56324 80` and CRLF.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
};

use super::{Ends, Header, Malformed, one_family};
use crate::limits::PROXY_HEADER_V1_BYTES_MAX;

const START: &[u8] = b"PROXY ";

pub(super) fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    let seen = bytes.len().min(START.len());
    if bytes.get(..seen) != START.get(..seen) {
        return Err(Malformed("version 1 begins with `PROXY `"));
    }
    let line = bytes.get(..PROXY_HEADER_V1_BYTES_MAX).unwrap_or(bytes);
    let Some(end) = memchr::memchr2(b'\r', b'\n', line) else {
        return if line.len() < PROXY_HEADER_V1_BYTES_MAX { Ok(None) } else { Err(TOO_LONG) };
    };
    match line.get(end..) {
        Some([b'\r', b'\n', ..]) => {}
        Some([b'\r']) if line.len() < PROXY_HEADER_V1_BYTES_MAX => return Ok(None),
        Some([b'\r']) => return Err(TOO_LONG),
        _ => return Err(Malformed("the line does not end in CRLF")),
    }
    let said = line.get(START.len()..end).unwrap_or_default();
    let said = std::str::from_utf8(said).map_err(|_| Malformed("the line is not text"))?;
    Ok(Some((header(said)?, end + 2)))
}

const TOO_LONG: Malformed = Malformed("no CRLF within 107 bytes");

fn header(said: &str) -> Result<Header, Malformed> {
    let (protocol, rest) = said.split_once(' ').unwrap_or((said, ""));
    let is_v4 = match protocol {
        // What follows is to be ignored.
        "UNKNOWN" => return Ok(Header::Local),
        "TCP4" => true,
        "TCP6" => false,
        _ => return Err(Malformed("neither TCP4, TCP6 nor UNKNOWN")),
    };
    let mut fields = rest.split(' ');
    let mut next = || fields.next().ok_or(Malformed("too few fields"));
    let (source, destination) = (next()?, next()?);
    let (source_port, destination_port) = (next()?, next()?);
    if fields.next().is_some() {
        return Err(Malformed("too many fields"));
    }
    let end = |ip, at| Ok(SocketAddr::new(address(ip, is_v4)?, port(at)?));
    Ok(Header::Client(Ends {
        source: end(source, source_port)?,
        destination: end(destination, destination_port)?,
    }))
}

/// An address of the family that was announced. The standard library takes no leading zeros, no zones, no short forms.
fn address(text: &str, is_v4: bool) -> Result<IpAddr, Malformed> {
    let parsed = match is_v4 {
        true => text.parse().map(IpAddr::V4),
        false => text.parse().map(IpAddr::V6),
    };
    parsed.map_err(|_| Malformed("not an address of the family that it announces"))
}

/// 0 to 65535 without leading zeros.
fn port(text: &str) -> Result<u16, Malformed> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain).ok_or(Malformed("not a port"))
}

pub(super) fn write(out: &mut Vec<u8>, ends: Option<Ends>) {
    let Some(ends) = ends else { return out.extend_from_slice(b"PROXY UNKNOWN\r\n") };
    let Ends { source, destination } = one_family(ends);
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    // Writing into a Vec can't fail.
    let _ = write!(out, "PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port());
}

//! Who has sent a request, as proxies on its way have noted it: `X-Forwarded-For`, and `Forwarded` of RFC 7239.
//!
//! Each proxy appends whom it has the request from, so the list is read from its right end, and only as far as proxies
//! that are trusted have written it: an entry counts if whoever wrote it is trusted. What stands further left may be
//! anybody's invention and is not looked at. Several lines of the field are one list, in their order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    bytes,
    field::{FieldKind, Line},
    request::RequestHead,
};
use crate::limits::FORWARDED_HOPS_MAX;

/// Bytes of a node in a quoted string: more than an IPv6 address in brackets and a port need.
const NODE_BYTES_MAX: usize = 80;

/// The address of whoever has sent this request, by the lines of `field` (`XForwardedFor` or `Forwarded`), of which the
/// last entry is believed. `None`: they name nobody, so that it is whoever wrote that entry.
///
/// The walk goes on past addresses that are `trusted` and ends at the first that is not, at an entry that is malformed or
/// names nobody (then the last good one counts), or after `FORWARDED_HOPS_MAX` entries.
pub fn sender(head: &RequestHead, field: FieldKind, trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let mut walk = Walk { sender: None, left: FORWARDED_HOPS_MAX, trusted };
    for line in head.lines.iter().rev().filter(|line| line.kind == field) {
        let goes_on = match field {
            FieldKind::Forwarded => forwarded_line(line, &head.raw, &mut walk),
            _ => line.value(&head.raw).rsplit(|byte| *byte == b',').all(|entry| {
                let entry = bytes::trim(entry);
                entry.is_empty() || walk.past(node(entry))
            }),
        };
        if !goes_on {
            break;
        }
    }
    walk.sender
}

/// How far the list has been read.
struct Walk<F> {
    sender: Option<IpAddr>,
    left: usize,
    trusted: F,
}

impl<F: Fn(IpAddr) -> bool> Walk<F> {
    /// Takes the next entry. False: it is the last that counts, or does not count.
    fn past(&mut self, entry: Option<IpAddr>) -> bool {
        let Some(address) = entry.filter(|_| self.left > 0) else { return false };
        self.left -= 1;
        self.sender = Some(address);
        (self.trusted)(address)
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.to_canonical()),
        Err(_) => node_with_port(text, is_port),
    }
}

/// What `for` of `Forwarded` names, RFC 7239 section 6: IPv6 only in brackets. `None` as well for `unknown` and for names
/// that hide somebody.
fn rfc_node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    match text.parse::<Ipv4Addr>() {
        Ok(address) => Some(address.into()),
        Err(_) => node_with_port(text, |port| is_port(port) || is_hidden_port(port)),
    }
}

/// IPv4 with a port, IPv6 in brackets with or without one.
fn node_with_port(text: &str, is_port: impl Fn(&str) -> bool) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let good = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return address.parse::<Ipv6Addr>().ok().filter(|_| good).map(|it| it.to_canonical());
    }
    let (address, port) = text.split_once(':')?;
    address.parse::<Ipv4Addr>().ok().filter(|_| is_port(port)).map(IpAddr::from)
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `obfport`: `_` and letters, digits, `.`, `_`, `-`.
fn is_hidden_port(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.len() > 1 && text.starts_with('_') && text.bytes().all(good)
}

/// Takes the elements of one line from its right end on. False: the walk has ended.
///
/// Quoted strings can only be told apart from the left, so the whole line is read first; one that breaks the grammar
/// anywhere counts for nothing, because where its elements end is anybody's guess.
fn forwarded_line<F: Fn(IpAddr) -> bool>(line: &Line, raw: &[u8], walk: &mut Walk<F>) -> bool {
    // Of more elements than the walk has steps the last ones.
    let mut last = [None; FORWARDED_HOPS_MAX];
    let mut count = 0;
    let mut rest = line.value(raw);
    loop {
        let Some((element, after)) = element(rest) else { return false };
        if let Element::Pairs(address) = element {
            if let Some(place) = last.get_mut(count % FORWARDED_HOPS_MAX) {
                *place = address;
            }
            count += 1;
        }
        match after {
            Some(after) => rest = after,
            None => break,
        }
    }
    let kept = count.min(FORWARDED_HOPS_MAX);
    (count - kept..count)
        .rev()
        .all(|number| walk.past(last.get(number % FORWARDED_HOPS_MAX).copied().flatten()))
}

/// What stands between two commas.
enum Element {
    /// Nothing, which a recipient skips (RFC 9110 section 5.6.1).
    Empty,
    /// Parameters, and the address that `for` names.
    Pairs(Option<IpAddr>),
}

/// The first element of `text`, and what follows its comma, if there is one. `None`: it breaks the grammar.
fn element(text: &[u8]) -> Option<(Element, Option<&[u8]>)> {
    let mut rest = skip_space(text);
    let (mut address, mut has_for, mut has_pairs) = (None, false, false);
    loop {
        if !matches!(rest.first(), None | Some(b',' | b';')) {
            let (name, value, after) = pair(rest)?;
            if name.eq_ignore_ascii_case(b"for") {
                if has_for {
                    return None;
                }
                (has_for, address) = (true, value);
            }
            has_pairs = true;
            rest = skip_space(after);
        }
        let element = || if has_pairs { Element::Pairs(address) } else { Element::Empty };
        match rest {
            [] => return Some((element(), None)),
            [b',', after @ ..] => return Some((element(), Some(after))),
            [b';', after @ ..] => {
                has_pairs = true;
                rest = skip_space(after);
            }
            _ => return None,
        }
    }
}

fn skip_space(text: &[u8]) -> &[u8] {
    text.get(bytes::prefix_len(text, bytes::is_ows)..).unwrap_or_default()
}

/// `token=token` or `token="quoted"` at the start of `text`: its name, the address that its value is, if it is one, and the
/// rest.
fn pair(text: &[u8]) -> Option<(&[u8], Option<IpAddr>, &[u8])> {
    let (name, rest) = text.split_at_checked(bytes::prefix_len(text, bytes::is_token_byte))?;
    let rest = rest.strip_prefix(b"=").filter(|_| !name.is_empty())?;
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let (address, rest) = quoted_node(quoted)?;
        return Some((name, address, rest));
    }
    let (value, rest) = rest.split_at_checked(bytes::prefix_len(rest, bytes::is_token_byte))?;
    (!value.is_empty()).then(|| (name, rfc_node(value), rest))
}

/// The rest of a quoted string (RFC 9110 section 5.6.4), as an address if it is one, and what follows its closing quote.
fn quoted_node(text: &[u8]) -> Option<(Option<IpAddr>, &[u8])> {
    let mut node = [0; NODE_BYTES_MAX];
    let mut length = 0;
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'"' if !escaped => {
                let address = node.get(..length).and_then(rfc_node);
                return Some((address, text.get(at + 1..)?));
            }
            b'\\' if !escaped => escaped = true,
            // What is too long is no address; where the string ends counts all the same.
            byte => {
                if let Some(place) = node.get_mut(length) {
                    *place = *byte;
                }
                length += 1;
                escaped = false;
            }
        }
    }
    None
}

//! A request head: every rule that it must pass, and what it says.

use std::{cell::OnceCell, ops::Range};

use ::http::{HeaderMap, Method, Version};
use bytes::{Buf, BytesMut};

use super::{
    authority, bytes as text, connection,
    connection::Options,
    decode,
    error::HeadError,
    field,
    field::{FieldKind, Lines, Noted, Seen, Spare},
    framing,
    framing::BodyLength,
    scan::likely_end,
    target,
    target::{RequestLine, Target},
    upgrade,
};
use crate::limits::HEAD_FIELDS_MAX;

/// A request head that has passed all rules.
#[derive(Debug)]
pub struct RequestHead {
    /// The method; never CONNECT.
    pub method: Method,
    /// 1.0 or 1.1.
    pub version: Version,
    /// The head as received. May hold a few bytes of our own behind the empty line.
    pub raw: Vec<u8>,
    /// The field lines in `raw`.
    pub lines: Lines,
    /// How long the body is; never `UntilClose`.
    pub body: BodyLength,
    /// The client will take another response on this connection.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body (RFC 9110 section 10.1.1).
    pub expects_continue: bool,
    /// The client offers to leave HTTP for another protocol (RFC 9110 section 7.8).
    pub upgrade: bool,
    /// `Max-Forwards` of OPTIONS and TRACE (RFC 9110 section 7.6.2); of other methods it is not looked at.
    pub max_forwards: Option<u64>,
    /// The client takes trailers (RFC 9110 section 10.1.4).
    pub takes_trailers: bool,
    /// The target was in absolute form, so its authority replaces `Host`.
    pub is_absolute: bool,
    fields: OnceCell<Box<HeaderMap>>,
    path_and_query: Span,
    path_end: u16,
    authority: Span,
    host_end: u16,
}

/// A part of a head; heads are shorter than 64 KiB, and what is appended behind one is a part of it.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u16,
    end: u16,
}

impl Span {
    fn new(range: &Range<usize>) -> Result<Span, HeadError> {
        let fit = |at: usize| u16::try_from(at).map_err(|_| HeadError::TooLarge);
        Ok(Span { start: fit(range.start)?, end: fit(range.end)? })
    }

    fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }
}

impl RequestHead {
    /// Takes a head off the front of `buf` that is there already, starts with the first byte and is without fault: nearly
    /// every one. Whatever is not, `HeadScan` and `parse` judge, which take nothing on trust.
    pub fn at_once(buf: &mut BytesMut, bytes_max: usize, fields_max: usize, spare: Spare) -> Option<Self> {
        let end = likely_end(buf, bytes_max)?;
        Self::parse(buf, 0, end, fields_max, spare).ok()
    }

    /// Takes the head at `start..end` (from `HeadScan`) off the front of `buf`, with everything before it. What is
    /// refused stays there.
    ///
    /// `fields_max` is at most `HEAD_FIELDS_MAX`; more fields than that are `TooLarge`.
    pub fn parse(
        buf: &mut BytesMut,
        start: usize,
        end: usize,
        fields_max: usize,
        spare: Spare,
    ) -> Result<Self, HeadError> {
        let Spare { mut raw, mut lines } = spare;
        let head = buf.get(start..end).ok_or(HeadError::Malformed("the head is not whole"))?;
        decode::copy(head, &mut raw)?;
        text::refuse_control(&raw)?;
        let line = target::request_line(&raw)?;
        let noted = field::parse(&raw, line.end, fields_max.min(HEAD_FIELDS_MAX), &mut lines)?;
        let method = raw.get(line.method.clone()).unwrap_or_default();
        if method == b"CONNECT" {
            return Err(HeadError::Connect);
        }
        let (is_options, is_trace) = (method == b"OPTIONS", method == b"TRACE");
        let options = match noted.connection {
            true => connection::read(&raw, &mut lines, true)?,
            false => Options::default(),
        };
        let body = framing::of_request(&raw, &noted, line.version)?;
        let host = host(&raw, &noted, line.version)?;
        let max_forwards =
            if is_options || is_trace { max_forwards(&raw, noted.max_forwards)? } else { None };
        let is_11 = line.version == Version::HTTP_11;
        let expects_continue = noted.expect && expectation(&raw, &mut lines, is_11 && !body.is_empty());
        let upgrade = is_11 && options.upgrade && noted.upgrade && upgrade::is_offer(&raw, &lines);
        let takes_trailers = is_11 && noted.te && takes_trailers(&raw, &lines);
        let RequestLine { method: line_method, target, plain_len, version, .. } = line;
        let Target { path_and_query, path_end, authority, host_len } =
            target::parse(&mut raw, (target, plain_len), is_options)?;
        let is_absolute = authority.is_some();
        let (authority, host_len) = authority.map_or(host, |authority| (authority, host_len));
        let method = raw.get(line_method).unwrap_or_default();
        let method =
            Method::from_bytes(method).map_err(|_| HeadError::Malformed("the method is not a token"))?;
        let authority = Span::new(&authority)?;
        let host_end = authority.start + host_len as u16;
        let path_end = Span::new(&(0..path_end))?.end;
        let path_and_query = Span::new(&path_and_query)?;
        buf.advance(end);
        Ok(Self {
            method,
            version,
            fields: OnceCell::new(),
            body,
            keep_alive: !options.close && (is_11 || options.keep_alive),
            expects_continue,
            upgrade,
            max_forwards,
            takes_trailers,
            is_absolute,
            path_and_query,
            path_end,
            host_end,
            authority,
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

    /// The path as received, percent escapes and all; `*` for a request about the whole server.
    pub fn path(&self) -> &str {
        self.text(Span { end: self.path_end, ..self.path_and_query })
    }

    /// What follows the first `?`, as received.
    pub fn query(&self) -> Option<&str> {
        (self.path_end < self.path_and_query.end)
            .then(|| self.text(Span { start: self.path_end + 1, ..self.path_and_query }))
    }

    /// Path and query as received: what a target in origin form is.
    pub fn path_and_query(&self) -> &[u8] {
        self.raw.get(self.path_and_query.range()).unwrap_or_default()
    }

    /// The host as received, without its port, an IPv6 address in its brackets; empty when a 1.0 request has none.
    pub fn host(&self) -> &str {
        self.text(Span { end: self.host_end, ..self.authority })
    }

    /// Host and port as received; those of an absolute target win over `Host` (RFC 9112 section 3.2.2).
    pub fn authority(&self) -> &str {
        self.text(self.authority)
    }

    /// A part of the head that was checked to be ASCII.
    fn text(&self, range: Span) -> &str {
        let bytes = self.raw.get(range.range()).unwrap_or_default();
        debug_assert!(bytes.is_ascii());
        // SAFETY: targets and authorities are ASCII byte by byte, or the head was refused (`bytes::is_target_byte`,
        // `bytes::is_host_byte`, `authority`); checking it again for each look cost 3 % of a request's instructions.
        unsafe { std::str::from_utf8_unchecked(bytes) }
    }
}

/// Where the value of `Host` lies and how long its host part is. RFC 9112 section 3.2: exactly one in 1.1.
fn host(raw: &[u8], noted: &Noted, version: Version) -> Result<(Range<usize>, usize), HeadError> {
    match noted.host {
        Seen::Once(line) => Ok((line.value_range(), authority::host_len(line.value(raw))?)),
        Seen::Repeated => Err(HeadError::Malformed("more than one Host")),
        Seen::Never if version == Version::HTTP_10 => Ok((0..0, 0)),
        Seen::Never => Err(HeadError::Malformed("no Host in HTTP/1.1")),
    }
}

/// `Max-Forwards`, which counts down; what is beyond 64 bits is as good as endless.
fn max_forwards(raw: &[u8], seen: Seen) -> Result<Option<u64>, HeadError> {
    match seen {
        Seen::Never => Ok(None),
        Seen::Repeated => Err(HeadError::Malformed("more than one Max-Forwards")),
        Seen::Once(line) => match line.value(raw) {
            [] => Err(HeadError::Malformed("empty Max-Forwards")),
            value if value.iter().all(u8::is_ascii_digit) => {
                Ok(Some(text::decimal(value).unwrap_or(i64::MAX as u64)))
            }
            _ => Err(HeadError::Malformed("Max-Forwards is not a decimal number")),
        },
    }
}

/// Looks for `100-continue`. Where it does not `apply` (1.0, or no body to wait with) a server must ignore it or a
/// client must not send it, so its line ends here. Other expectations are the upstream's to judge.
fn expectation(raw: &[u8], lines: &mut Lines, apply: bool) -> bool {
    let mut found = false;
    for line in lines.iter_mut().filter(|line| line.kind == FieldKind::Expect) {
        if text::list(line.value(raw)).any(|element| element.eq_ignore_ascii_case(b"100-continue")) {
            found = true;
            line.dropped = !apply;
        }
    }
    found && apply
}

/// True when a `TE` line lists `trailers`.
fn takes_trailers(raw: &[u8], lines: &Lines) -> bool {
    let te = lines.iter().filter(|line| line.kind == FieldKind::Te);
    te.flat_map(|line| text::list(line.value(raw))).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

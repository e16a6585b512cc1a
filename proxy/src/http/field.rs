//! Field lines: where each name and value lies in the raw head, and which of the names we treat specially it is.

use super::{bytes, error::HeadError};

/// The names we treat specially. Found once per line from the raw bytes; everything after compares this byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FieldKind {
    /// Any name not listed here.
    Other,
    /// `Connection`, RFC 9110 section 7.6.1.
    Connection,
    /// `Content-Length`, RFC 9110 section 8.6.
    ContentLength,
    /// `Date`, RFC 9110 section 6.6.1.
    Date,
    /// `Expect`, RFC 9110 section 10.1.1.
    Expect,
    /// `Forwarded`, RFC 7239.
    Forwarded,
    /// `Host`, RFC 9110 section 7.2.
    Host,
    /// `Keep-Alive`, RFC 2068 section 19.7.1.
    KeepAlive,
    /// `Max-Forwards`, RFC 9110 section 7.6.2.
    MaxForwards,
    /// `Proxy-Authenticate`, RFC 9110 section 11.7.1.
    ProxyAuthenticate,
    /// `Proxy-Authentication-Info`, RFC 9110 section 11.7.3.
    ProxyAuthenticationInfo,
    /// `Proxy-Authorization`, RFC 9110 section 11.7.2.
    ProxyAuthorization,
    /// `Proxy-Connection`, never standard: RFC 9112 appendix C.2.2.
    ProxyConnection,
    /// `TE`, RFC 9110 section 10.1.4.
    Te,
    /// `traceparent`, W3C Trace Context section 3.2.
    Traceparent,
    /// `tracestate`, W3C Trace Context section 3.3.
    Tracestate,
    /// `Trailer`, RFC 9110 section 6.6.2.
    Trailer,
    /// `Transfer-Encoding`, RFC 9112 section 6.1.
    TransferEncoding,
    /// `Upgrade`, RFC 9110 section 7.8.
    Upgrade,
    /// `Via`, RFC 9110 section 7.6.3.
    Via,
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `X-Forwarded-Host`.
    XForwardedHost,
    /// `X-Forwarded-Proto`.
    XForwardedProto,
    /// `X-Request-Id`.
    XRequestId,
    /// Any other name that starts with `X-Forwarded-`, or that becomes one of that family where `_` is read as `-`.
    XForwardedOther,
}

impl FieldKind {
    /// The kind of a name, which is a token, whatever its case.
    pub fn of(name: &[u8]) -> Self {
        match (name.len(), name.first().map(u8::to_ascii_lowercase)) {
            (2, Some(b't')) => Self::Te.if_named(name, b"te"),
            (3, Some(b'v')) => Self::Via.if_named(name, b"via"),
            (4, Some(b'h')) => Self::Host.if_named(name, b"host"),
            (4, Some(b'd')) => Self::Date.if_named(name, b"date"),
            (6, Some(b'e')) => Self::Expect.if_named(name, b"expect"),
            (7, Some(b't')) => Self::Trailer.if_named(name, b"trailer"),
            (7, Some(b'u')) => Self::Upgrade.if_named(name, b"upgrade"),
            (9, Some(b'f')) => Self::Forwarded.if_named(name, b"forwarded"),
            (10, Some(b'c')) => Self::Connection.if_named(name, b"connection"),
            (10, Some(b'k')) => Self::KeepAlive.if_named(name, b"keep-alive"),
            (10, Some(b't')) => Self::Tracestate.if_named(name, b"tracestate"),
            (11, Some(b't')) => Self::Traceparent.if_named(name, b"traceparent"),
            (12, Some(b'm')) => Self::MaxForwards.if_named(name, b"max-forwards"),
            (14, Some(b'c')) => Self::ContentLength.if_named(name, b"content-length"),
            (16, Some(b'p')) => Self::ProxyConnection.if_named(name, b"proxy-connection"),
            (17, Some(b't')) => Self::TransferEncoding.if_named(name, b"transfer-encoding"),
            (18, Some(b'p')) => Self::ProxyAuthenticate.if_named(name, b"proxy-authenticate"),
            (19, Some(b'p')) => Self::ProxyAuthorization.if_named(name, b"proxy-authorization"),
            (25, Some(b'p')) => Self::ProxyAuthenticationInfo.if_named(name, b"proxy-authentication-info"),
            (12.., Some(b'x')) => Self::of_x(name),
            _ => Self::Other,
        }
    }

    /// This one, if `name` is `text`, which is in lower case. Of a known length, so that a few wide instructions do: no two
    /// bytes of a token but the cases of a letter are the same with this bit set.
    #[inline(always)]
    fn if_named<const N: usize>(self, name: &[u8], text: &[u8; N]) -> Self {
        const CASE: u8 = 0x20;
        let Ok(name) = <&[u8; N]>::try_from(name) else { return Self::Other };
        let differ = name.iter().zip(text).fold(0, |differ, (a, b)| differ | ((a | CASE) ^ b));
        if differ == 0 { self } else { Self::Other }
    }

    /// The kind of a name that starts with `x`.
    fn of_x(name: &[u8]) -> Self {
        const PREFIX: &[u8] = b"x-forwarded-";
        if name.eq_ignore_ascii_case(b"x-forwarded-for") {
            return Self::XForwardedFor;
        }
        if name.eq_ignore_ascii_case(b"x-forwarded-proto") {
            return Self::XForwardedProto;
        }
        if name.eq_ignore_ascii_case(b"x-forwarded-host") {
            return Self::XForwardedHost;
        }
        if name.eq_ignore_ascii_case(b"x-request-id") {
            return Self::XRequestId;
        }
        // CGI and what descends from it turn both `-` and `_` into `_`, so X_Forwarded_For would pass for the real one.
        let same = |(byte, wanted): (&u8, &u8)| {
            byte.to_ascii_lowercase() == *wanted || (*wanted == b'-' && *byte == b'_')
        };
        if name.iter().zip(PREFIX).all(same) { Self::XForwardedOther } else { Self::Other }
    }

    /// Fields of one connection, not of the message: never passed on (RFC 9110 section 7.6.1).
    ///
    /// The `Proxy-` ones of section 11.7 are between a client and the proxy it chose; a reverse proxy is nobody's
    /// choice and asks for no credentials, so none are passed on either way.
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::KeepAlive
                | Self::ProxyConnection
                | Self::ProxyAuthenticate
                | Self::ProxyAuthenticationInfo
                | Self::ProxyAuthorization
                | Self::Te
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }
}

/// One field line: offsets into the raw head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// First byte of the name, and of the line.
    name_start: u16,
    /// The colon.
    name_end: u16,
    /// First byte of the value, white space trimmed.
    value_start: u16,
    /// One past the last byte of the value.
    value_end: u16,
    /// One past the line's LF.
    end: u16,
    /// Which of the special names it is.
    pub kind: FieldKind,
    /// Ends here: named by `Connection`, or an expectation that does not apply.
    pub dropped: bool,
}

/// The field lines of a head, in order.
pub type Lines = Vec<Line>;

/// Buffers of a head that is done with, to be used for the next one.
#[derive(Debug, Default)]
pub struct Spare {
    /// The bytes of a head.
    pub raw: Vec<u8>,
    /// Its field lines.
    pub lines: Lines,
}

impl Line {
    /// The name as received.
    pub fn name<'a>(&self, raw: &'a [u8]) -> &'a [u8] {
        raw.get(usize::from(self.name_start)..usize::from(self.name_end)).unwrap_or_default()
    }

    /// The value as received, without white space around it.
    pub fn value<'a>(&self, raw: &'a [u8]) -> &'a [u8] {
        raw.get(usize::from(self.value_start)..usize::from(self.value_end)).unwrap_or_default()
    }

    /// Where the value lies.
    pub(super) fn value_range(&self) -> std::ops::Range<usize> {
        usize::from(self.value_start)..usize::from(self.value_end)
    }

    /// Where the whole line lies, CRLF included.
    pub(super) fn range(&self) -> std::ops::Range<usize> {
        usize::from(self.name_start)..usize::from(self.end)
    }

    /// True when the line reads `name: value` with one space and nothing after the value.
    pub(super) fn is_canonical(&self, raw: &[u8]) -> bool {
        let before_value = raw.get(usize::from(self.name_end)..usize::from(self.value_start));
        before_value == Some(b": ") && self.value_end + 2 == self.end
    }
}

/// How often a field that may come once has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Seen {
    /// Not at all.
    #[default]
    Never,
    /// Once: this line.
    Once(Line),
    /// More than once.
    Repeated,
}

impl Seen {
    fn add(&mut self, line: Line) {
        *self = if *self == Self::Never { Self::Once(line) } else { Self::Repeated };
    }
}

/// What the rules ask about, noted while the lines are found.
#[derive(Debug, Default)]
pub(super) struct Noted {
    pub(super) host: Seen,
    pub(super) content_length: Seen,
    pub(super) transfer_encoding: Seen,
    pub(super) max_forwards: Seen,
    pub(super) connection: bool,
    pub(super) te: bool,
    pub(super) expect: bool,
    pub(super) upgrade: bool,
}

impl Noted {
    fn note(&mut self, line: Line) {
        match line.kind {
            FieldKind::Host => self.host.add(line),
            FieldKind::ContentLength => self.content_length.add(line),
            FieldKind::TransferEncoding => self.transfer_encoding.add(line),
            FieldKind::MaxForwards => self.max_forwards.add(line),
            FieldKind::Connection => self.connection = true,
            FieldKind::Te => self.te = true,
            FieldKind::Expect => self.expect = true,
            FieldKind::Upgrade => self.upgrade = true,
            _ => {}
        }
    }
}

/// An offset into a head, whose length is checked to fit before any line is read.
fn offset(at: usize) -> u16 {
    debug_assert!(at <= usize::from(u16::MAX));
    at as u16
}

/// Finds the field lines of `raw` from `at` on, up to the empty line, which must be the end of `raw`.
///
/// Control bytes other than tab, CR and LF have been refused already (`bytes::refuse_control`).
pub(super) fn parse(
    raw: &[u8],
    mut at: usize,
    fields_max: usize,
    lines: &mut Lines,
) -> Result<Noted, HeadError> {
    let mut noted = Noted::default();
    lines.clear();
    loop {
        let rest = raw.get(at..).unwrap_or_default();
        if let [b'\r', b'\n', after @ ..] = rest {
            return if after.is_empty() {
                Ok(noted)
            } else {
                Err(HeadError::Malformed("empty line in the head"))
            };
        }
        let name_len = bytes::prefix_len(rest, bytes::is_token_byte);
        if name_len == 0 || rest.get(name_len) != Some(&b':') {
            return Err(refused_name(rest, name_len, lines.is_empty()));
        }
        let after_colon = rest.get(name_len + 1..).unwrap_or_default();
        let Some(value_len) = memchr::memchr2(b'\r', b'\n', after_colon) else {
            return Err(HeadError::Malformed("the head does not end in an empty line"));
        };
        match after_colon.get(value_len..value_len + 2) {
            Some(b"\r\n") => {}
            Some([b'\n', _]) => return Err(HeadError::Malformed("bare LF in the head")),
            _ => return Err(HeadError::Malformed("bare CR in the head")),
        }
        if lines.len() >= fields_max {
            return Err(HeadError::TooLarge);
        }
        let untrimmed = after_colon.get(..value_len).unwrap_or_default();
        let leading = bytes::prefix_len(untrimmed, bytes::is_ows);
        let value_start = at + name_len + 1 + leading;
        let value = bytes::trim_end(untrimmed.get(leading..).unwrap_or_default());
        let end = at + name_len + 1 + value_len + 2;
        let name = rest.get(..name_len).unwrap_or_default();
        let line = Line {
            name_start: offset(at),
            name_end: offset(at + name_len),
            value_start: offset(value_start),
            value_end: offset(value_start + value.len()),
            end: offset(end),
            kind: FieldKind::of(name),
            dropped: false,
        };
        noted.note(line);
        lines.push(line);
        at = end;
    }
}

/// Why a line whose name ends after `name_len` bytes, without a colon there, is refused.
fn refused_name(line: &[u8], name_len: usize, first: bool) -> HeadError {
    HeadError::Malformed(match (name_len, line.get(name_len)) {
        (0, Some(b' ' | b'\t')) if first => "white space before the first field",
        (0, Some(b' ' | b'\t')) => "line folding (obs-fold)",
        (0, Some(b':')) => "empty field name",
        (_, Some(b' ' | b'\t')) => "white space before the colon, or a field line without one",
        (_, Some(b'\r')) if line.get(name_len + 1) == Some(&b'\n') => "field line without a colon",
        (_, Some(b'\r')) => "bare CR in the head",
        (_, Some(b'\n')) => "bare LF in the head",
        (_, Some(_)) => "field name is not a token",
        (_, None) => "the head does not end in an empty line",
    })
}

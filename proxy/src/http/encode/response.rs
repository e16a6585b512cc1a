//! A response for a client, final or interim.

use ::http::StatusCode;

use super::{Copier, OwnField, is_own, put, put_field, put_own, request::put_via, stays};
use crate::http::{
    HeaderEdits, ResponseHead,
    field::{FieldKind, Line},
};

/// What the client is told about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionField {
    /// Nothing: a 1.1 connection stays open.
    None,
    /// `Connection: keep-alive`, for a 1.0 client that asked.
    KeepAlive,
    /// `Connection: close`.
    Close,
    /// `Connection: upgrade`, and the upstream's `Upgrade`.
    Upgrade,
}

/// How the body goes to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyOut {
    /// With the framing fields that the upstream sent: right for a body passed on in the framing it came in, and for
    /// a response to HEAD or a 304, whose fields describe a body that is not there.
    AsReceived,
    /// As received for a 1.0 client, who must not be sent `Transfer-Encoding` (RFC 9112 section 6.1) even where it only
    /// describes a body that is not there: `Content-Length` alone stays.
    LengthOnly,
    /// In chunks, whatever the upstream's framing was.
    Chunked,
    /// Until the connection closes: no framing fields.
    UntilClose,
}

/// How a response goes to the client.
#[derive(Debug, Clone, Copy)]
pub struct ResponseEncoding<'a> {
    /// The route's changes.
    pub edits: &'a HeaderEdits,
    /// Fields that are the proxy's own: what the upstream says under these names is dropped.
    pub own: &'a [OwnField<'a>],
    /// `Date` in IMF-fixdate, written when the upstream sent none.
    pub date: &'a [u8],
    /// What is said about the connection.
    pub connection: ConnectionField,
    /// How the body is framed.
    pub body: BodyOut,
    /// Lines of our own, each with its end; mostly none.
    pub more: &'a [u8],
    /// `X-Request-Id`, in place of what the upstream sent; `None`: as it came.
    pub request_id: Option<&'a [u8]>,
}

/// What the copied lines have shown.
#[derive(Default)]
struct Found {
    date: bool,
    chunked: bool,
    upgrade: bool,
}

/// Appends the head of a final response, or of a 101, as it goes to the client.
///
/// The status line carries HTTP/1.1 and the reason as received. Fields stay in the order and the case they came in,
/// but for those of the connection; ours follow them, and the route's edits are last. A 1xx or 204 never carries a
/// framing field (RFC 9110 section 8.6, RFC 9112 section 6.1).
pub fn encode_response(out: &mut Vec<u8>, head: &ResponseHead, how: &ResponseEncoding<'_>) {
    out.reserve(head.raw.len() + 256);
    put_status(out, head);
    let bodiless = head.status.is_informational() || head.status == StatusCode::NO_CONTENT;
    // A 426 must say what to upgrade to (RFC 9110 section 15.5.22).
    let upgrades = how.connection == ConnectionField::Upgrade || head.status == StatusCode::UPGRADE_REQUIRED;
    let keeps_length = matches!(how.body, BodyOut::AsReceived | BodyOut::LengthOnly) && !bodiless;
    let mut copier = Copier::new(out, &head.raw);
    let mut found = Found::default();
    for line in &head.lines {
        match line.kind {
            FieldKind::ContentLength if keeps_length => copier.keep_length(line),
            FieldKind::ContentLength => {}
            FieldKind::TransferEncoding => found.chunked = true,
            FieldKind::Upgrade if upgrades => {
                found.upgrade = true;
                copier.keep(line);
            }
            _ if is_own(how.own, line.name(&head.raw)) => {}
            FieldKind::XRequestId if how.request_id.is_some() => {}
            _ => copy_line(&mut copier, line, how.edits, &mut found),
        }
    }
    copier.flush();
    let chunked = how.body == BodyOut::Chunked || (how.body == BodyOut::AsReceived && found.chunked);
    if chunked && !bodiless {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(match (how.connection, found.upgrade) {
        (ConnectionField::Upgrade, _) | (ConnectionField::None, true) => b"Connection: upgrade\r\n",
        (ConnectionField::Close, true) => b"Connection: close, upgrade\r\n",
        (ConnectionField::KeepAlive, true) => b"Connection: keep-alive, upgrade\r\n",
        (ConnectionField::Close, false) => b"Connection: close\r\n",
        (ConnectionField::KeepAlive, false) => b"Connection: keep-alive\r\n",
        (ConnectionField::None, false) => b"",
    });
    put_via(out, head.version, how.edits);
    if !found.date && stays(how.edits, b"date") {
        put_field(out, b"Date", how.date);
    }
    put_own(out, how.own, how.edits);
    out.extend_from_slice(how.more);
    if let Some(id) = how.request_id
        && stays(how.edits, b"x-request-id")
    {
        put_field(out, b"X-Request-Id", id);
    }
    how.edits.write(out);
    out.extend_from_slice(b"\r\n");
}

/// Appends an interim response (100, 103 and the like) as it goes to the client: the fields of the connection and of
/// framing are dropped, and nothing but `Via` is added.
pub fn encode_interim(out: &mut Vec<u8>, head: &ResponseHead) {
    let edits = HeaderEdits::default();
    out.reserve(head.raw.len() + 32);
    put_status(out, head);
    let mut copier = Copier::new(out, &head.raw);
    let mut found = Found::default();
    for line in head.lines.iter().filter(|line| line.kind != FieldKind::ContentLength) {
        copy_line(&mut copier, line, &edits, &mut found);
    }
    copier.flush();
    put_via(out, head.version, &edits);
    out.extend_from_slice(b"\r\n");
}

/// The status line. The space after the status is there even when no reason follows (RFC 9112 section 4).
fn put_status(out: &mut Vec<u8>, head: &ResponseHead) {
    put(out, &[b"HTTP/1.1 ", head.status.as_str().as_bytes(), b" ", head.reason(), b"\r\n"]);
}

/// Copies or drops a line that is not about framing.
fn copy_line(copier: &mut Copier<'_>, line: &Line, edits: &HeaderEdits, found: &mut Found) {
    if line.dropped || line.kind.is_hop_by_hop() || !stays(edits, line.name(copier.raw)) {
        return;
    }
    found.date |= line.kind == FieldKind::Date;
    copier.keep(line);
}

//! A request for an upstream, RFC 9110 section 7 and RFC 9112 section 3.

use ::http::Version;

use super::{Copier, OwnField, is_own, put, put_field, put_own, stays};
use crate::http::{
    BodyLength, HeaderEdits, RequestHead,
    field::{FieldKind, Line},
    trace::{Ids, Instead, put_state},
};

/// How a request goes upstream.
#[derive(Debug, Clone, Copy)]
pub struct RequestEncoding<'a> {
    /// Replaces path and query.
    pub target: Option<&'a [u8]>,
    /// Replaces `Host`.
    pub host: Option<&'a str>,
    /// The route's changes.
    pub edits: &'a HeaderEdits,
    /// Fields that are the proxy's own: what the client says under these names is dropped.
    pub own: &'a [OwnField<'a>],
    /// The client's address as text; `unknown` for a unix socket.
    pub client_ip: &'a str,
    /// `http` or `https`, as the client connected.
    pub proto: &'a str,
    /// The client is a proxy of ours: its `X-Forwarded-*` and `Forwarded` are kept, and its address appended to
    /// `X-Forwarded-For`. Otherwise all of them are dropped and ours written.
    pub trusted: bool,
    /// Ids that go along; `None`: as they came.
    pub ids: Option<Ids<'a>>,
}

/// Forwarded fields that are kept and so not written again.
#[derive(Default)]
struct Kept {
    forwarded_proto: bool,
    forwarded_host: bool,
}

/// Appends the head of the request as it goes upstream.
///
/// The request line carries the target in origin form (or `*`) and HTTP/1.1. Fields stay in the order and the case
/// they came in, but for those of the connection, which end here; ours follow them, and the route's edits are last.
pub fn encode_request(out: &mut Vec<u8>, head: &RequestHead, how: &RequestEncoding<'_>) {
    out.reserve(head.raw.len() + 256);
    let target = how.target.unwrap_or(head.path_and_query());
    put(out, &[head.method.as_str().as_bytes(), b" ", target, b" HTTP/1.1\r\n"]);
    if !head.lines.iter().any(|line| line.kind == FieldKind::Host) {
        put_field(out, b"Host", how.host.unwrap_or(head.authority()).as_bytes());
    }
    let mut copier = Copier::new(out, &head.raw);
    let mut kept = Kept::default();
    for line in &head.lines {
        copy_line(&mut copier, line, head, how, &mut kept);
    }
    copier.flush();
    put_connection(out, head);
    put_via(out, head.version, how.edits);
    put_forwarded(out, head, how, &kept);
    put_own(out, how.own, how.edits);
    if let Some(ids) = &how.ids {
        put_ids(out, head, ids, how.edits);
    }
    how.edits.write(out);
    out.extend_from_slice(b"\r\n");
}

/// Copies, changes or drops one line of the client's.
fn copy_line(
    copier: &mut Copier<'_>,
    line: &Line,
    head: &RequestHead,
    how: &RequestEncoding<'_>,
    kept: &mut Kept,
) {
    match line.kind {
        FieldKind::Host => {
            // The one line there can be: replaced in its place, so that the order stays.
            if how.host.is_some() || head.is_absolute || !line.is_canonical(copier.raw) {
                copier.replace(line, how.host.unwrap_or(head.authority()).as_bytes());
            } else {
                copier.keep(line);
            }
            return;
        }
        FieldKind::ContentLength => return copier.keep_length(line),
        FieldKind::Upgrade if head.upgrade => return copier.keep(line),
        // Its values are joined into the line that ends with the client's address.
        FieldKind::XForwardedFor => return,
        FieldKind::Forwarded | FieldKind::XForwardedOther if !how.trusted => return,
        FieldKind::XForwardedProto if !how.trusted => return,
        FieldKind::XForwardedHost if !how.trusted => return,
        FieldKind::Traceparent | FieldKind::Tracestate
            if how.ids.is_some_and(|it| it.traceparent.replaces()) =>
        {
            return;
        }
        FieldKind::XRequestId if how.ids.is_some_and(|it| it.request_id.replaces()) => return,
        kind if line.dropped || kind.is_hop_by_hop() => return,
        _ => {}
    }
    if is_own(how.own, line.name(copier.raw)) || !stays(how.edits, line.name(copier.raw)) {
        return;
    }
    match (line.kind, head.max_forwards) {
        (FieldKind::MaxForwards, Some(hops)) => {
            let mut digits = itoa::Buffer::new();
            return copier.replace(line, digits.format(hops.saturating_sub(1)).as_bytes());
        }
        (FieldKind::XForwardedProto, _) => kept.forwarded_proto = true,
        (FieldKind::XForwardedHost, _) => kept.forwarded_host = true,
        _ => {}
    }
    copier.keep(line);
}

/// What frames the body and what is said to the upstream about the connection. HTTP/1.1 stays open unasked.
fn put_connection(out: &mut Vec<u8>, head: &RequestHead) {
    if head.body == BodyLength::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if head.takes_trailers {
        out.extend_from_slice(b"TE: trailers\r\n");
    }
    out.extend_from_slice(match (head.upgrade, head.takes_trailers) {
        (true, true) => b"Connection: upgrade, TE\r\n",
        (true, false) => b"Connection: upgrade\r\n",
        (false, true) => b"Connection: TE\r\n",
        (false, false) => b"",
    });
}

/// `Via` with the version that the message came in, RFC 9110 section 7.6.3.
pub(super) fn put_via(out: &mut Vec<u8>, version: Version, edits: &HeaderEdits) {
    if stays(edits, b"via") {
        let is_10 = version == Version::HTTP_10;
        out.extend_from_slice(if is_10 { b"Via: 1.0 ringlane\r\n" } else { b"Via: 1.1 ringlane\r\n" });
    }
}

/// Where the request came from. All addresses in one line, the nearest last: of several lines many readers see one.
fn put_forwarded(out: &mut Vec<u8>, head: &RequestHead, how: &RequestEncoding<'_>, kept: &Kept) {
    if stays(how.edits, b"x-forwarded-for") {
        out.extend_from_slice(b"X-Forwarded-For: ");
        let earlier = head.lines.iter().filter(|line| line.kind == FieldKind::XForwardedFor && how.trusted);
        for value in earlier.map(|line| line.value(&head.raw)).filter(|value| !value.is_empty()) {
            put(out, &[value, b", "]);
        }
        put(out, &[how.client_ip.as_bytes(), b"\r\n"]);
    }
    if !kept.forwarded_proto && stays(how.edits, b"x-forwarded-proto") {
        put_field(out, b"X-Forwarded-Proto", how.proto.as_bytes());
    }
    let authority = head.authority();
    if !kept.forwarded_host && !authority.is_empty() && stays(how.edits, b"x-forwarded-host") {
        put_field(out, b"X-Forwarded-Host", authority.as_bytes());
    }
}

/// The ids that are not as they came. Names as their specifications spell them.
fn put_ids(out: &mut Vec<u8>, head: &RequestHead, ids: &Ids<'_>, edits: &HeaderEdits) {
    if let Instead::This(Some(value)) = ids.traceparent
        && stays(edits, b"traceparent")
    {
        put_field(out, b"traceparent", value);
    }
    if ids.keeps_state && ids.traceparent.replaces() && stays(edits, b"tracestate") {
        put_state(out, head);
    }
    if let Instead::This(Some(value)) = ids.request_id
        && stays(edits, b"x-request-id")
    {
        put_field(out, b"X-Request-Id", value);
    }
}

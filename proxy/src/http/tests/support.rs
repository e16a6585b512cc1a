//! Short ways from text to heads and back.

use ::http::Method;
use bytes::BytesMut;

use crate::{
    http::{
        BodyOut, ConnectionField, HeadError, HeadScan, HeaderEdits, RequestEncoding, RequestHead,
        ResponseEncoding, ResponseHead, Scan, Spare, encode_request, encode_response,
    },
    limits::{HEAD_FIELDS_MAX, REQUEST_HEAD_BYTES_DEFAULT, RESPONSE_HEAD_BYTES_MAX},
};

/// Scans and parses a request that must be whole.
pub(super) fn parse(text: impl AsRef<[u8]>) -> Result<RequestHead, HeadError> {
    let mut buf = BytesMut::from(text.as_ref());
    match HeadScan::request().advance(&buf, REQUEST_HEAD_BYTES_DEFAULT)? {
        Scan::Partial => Err(HeadError::Malformed("not whole")),
        Scan::Complete { start, end } => {
            RequestHead::parse(&mut buf, start, end, HEAD_FIELDS_MAX, Spare::default())
        }
    }
}

/// Scans and parses a response that must be whole.
pub(super) fn parse_response(text: impl AsRef<[u8]>, method: &Method) -> Result<ResponseHead, HeadError> {
    let mut buf = BytesMut::from(text.as_ref());
    match HeadScan::response().advance(&buf, RESPONSE_HEAD_BYTES_MAX)? {
        Scan::Partial => Err(HeadError::Malformed("not whole")),
        Scan::Complete { start, end } => ResponseHead::parse(&mut buf, start, end, method, Spare::default()),
    }
}

/// How an untrusted client's request goes upstream when a route changes nothing.
pub(super) fn untrusted(edits: &HeaderEdits) -> RequestEncoding<'_> {
    RequestEncoding {
        target: None,
        host: None,
        edits,
        own: &[],
        client_ip: "192.0.2.1",
        proto: "http",
        trusted: false,
        ids: None,
    }
}

/// How a response goes to a 1.1 client when a route changes nothing.
pub(super) fn plain(edits: &HeaderEdits) -> ResponseEncoding<'_> {
    ResponseEncoding {
        edits,
        own: &[],
        date: b"Thu, 01 Jan 1970 00:00:00 GMT",
        connection: ConnectionField::None,
        body: BodyOut::AsReceived,
        more: b"",
        request_id: None,
    }
}

/// A request as it goes upstream, or the error in words.
pub(super) fn encoded(text: impl AsRef<[u8]>) -> String {
    match parse(text) {
        Ok(head) => {
            let mut out = Vec::new();
            encode_request(&mut out, &head, &untrusted(&HeaderEdits::default()));
            String::from_utf8_lossy(&out).into_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// A response to GET as it goes to the client, or the error in words.
pub(super) fn encoded_response(text: impl AsRef<[u8]>) -> String {
    match parse_response(text, &Method::GET) {
        Ok(head) => {
            let mut out = Vec::new();
            encode_response(&mut out, &head, &plain(&HeaderEdits::default()));
            String::from_utf8_lossy(&out).into_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// Why a request is refused, or that it is not.
pub(super) fn refusal(text: impl AsRef<[u8]>) -> String {
    parse(text).map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
}

/// Parses a request at a place that no scan has found.
pub(super) fn parse_unscanned(bytes: &[u8], start: usize, end: usize) -> Result<RequestHead, HeadError> {
    RequestHead::parse(&mut BytesMut::from(bytes), start, end, HEAD_FIELDS_MAX, Spare::default())
}

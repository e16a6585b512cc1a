//! Heads: no input panics, a cut anywhere changes nothing, what we accept httparse accepts and reads alike, and what
//! we write is accepted again and says the same.
#![no_main]

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use ringlane::http::{
    BodyLength, BodyOut, ConnectionField, HeadError, HeadScan, HeaderEdits, Line, RequestEncoding,
    RequestHead, ResponseEncoding, ResponseHead, Scan, Spare, encode_interim, encode_request,
    encode_response, upgrade_accepted,
};

const HEAD_BYTES_MAX: usize = 1024;
const FIELDS_MAX: usize = 16;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let request = request(usize::from(cut), bytes);
    let response = response(usize::from(cut), bytes, if cut & 1 == 0 { &Method::GET } else { &Method::HEAD });
    if let (Some(request), Some(response)) = (request, response) {
        upgrade_accepted(&request, &response);
    }
});

/// Scans in one piece and in two; both must agree.
fn scan(mut whole: HeadScan, mut parts: HeadScan, cut: usize, bytes: &[u8]) -> Option<(usize, usize)> {
    let expected = whole.advance(bytes, HEAD_BYTES_MAX);
    let first = parts.advance(&bytes[..cut % (bytes.len() + 1)], HEAD_BYTES_MAX);
    let found = match first {
        Ok(Scan::Partial) => parts.advance(bytes, HEAD_BYTES_MAX),
        done => done,
    };
    assert_eq!(found, expected);
    match expected {
        Ok(Scan::Complete { start, end }) => {
            assert!(start <= 4 && end - start <= HEAD_BYTES_MAX && bytes[..end].ends_with(b"\r\n\r\n"));
            Some((start, end))
        }
        Ok(Scan::Partial) | Err(_) => None,
    }
}

fn request(cut: usize, bytes: &[u8]) -> Option<RequestHead> {
    let (start, end) = scan(HeadScan::request(), HeadScan::request(), cut, bytes)?;
    let mut buf = BytesMut::from(bytes);
    let head = RequestHead::parse(&mut buf, start, end, FIELDS_MAX, Spare::default()).ok()?;
    assert_eq!(&buf[..], &bytes[end..]);
    agree_on_request(&bytes[start..end], &head);
    agree_on_map(&head.raw, &head.lines, head.headers());
    let edits = HeaderEdits::default();
    for trusted in [false, true] {
        let how = RequestEncoding {
            target: None,
            host: None,
            edits: &edits,
            client_ip: "192.0.2.1",
            proto: "https",
            trusted,
        };
        let mut out = Vec::new();
        encode_request(&mut out, &head, &how);
        match again(&out) {
            Ok(again) => same_request(&head, &again),
            // A 1.0 request may come without Host; its empty one is for a lenient upstream only.
            Err(_) => assert!(head.authority().is_empty(), "{}", out.escape_ascii()),
        }
    }
    Some(head)
}

fn again(out: &[u8]) -> Result<RequestHead, HeadError> {
    let mut buf = BytesMut::from(out);
    let Scan::Complete { start, end } = HeadScan::request().advance(&buf, usize::MAX)? else {
        panic!("not whole: {}", out.escape_ascii());
    };
    assert_eq!((start, end), (0, out.len()));
    RequestHead::parse(&mut buf, start, end, usize::MAX, Spare::default())
}

fn same_request(head: &RequestHead, again: &RequestHead) {
    assert_eq!(again.method, head.method);
    assert_eq!(again.path_and_query(), head.path_and_query());
    assert_eq!((again.path(), again.query()), (head.path(), head.query()));
    assert_eq!((again.authority(), again.host()), (head.authority(), head.host()));
    assert_eq!(again.body, head.body);
    assert_eq!(again.upgrade, head.upgrade);
    assert_eq!(again.expects_continue, head.expects_continue);
    assert_eq!(again.takes_trailers, head.takes_trailers);
    assert_eq!(again.max_forwards, head.max_forwards.map(|hops| hops.saturating_sub(1)));
    assert!(again.keep_alive && !again.is_absolute);
}

fn response(cut: usize, bytes: &[u8], method: &Method) -> Option<ResponseHead> {
    let (start, end) = scan(HeadScan::response(), HeadScan::response(), cut, bytes)?;
    let mut buf = BytesMut::from(bytes);
    let head = ResponseHead::parse(&mut buf, start, end, method, Spare::default()).ok()?;
    assert_eq!(&buf[..], &bytes[end..]);
    agree_on_response(&bytes[start..end], &head);
    agree_on_map(&head.raw, &head.lines, head.headers());
    // So many fields that ours would not fit beside them.
    if head.lines.len() > FIELDS_MAX {
        return Some(head);
    }
    let edits = HeaderEdits::default();
    for body in [BodyOut::AsReceived, BodyOut::LengthOnly, BodyOut::Chunked, BodyOut::UntilClose] {
        let date = b"Thu, 01 Jan 1970 00:00:00 GMT";
        let how =
            ResponseEncoding { edits: &edits, date, connection: ConnectionField::Close, body, more: b"" };
        let mut out = Vec::new();
        encode_response(&mut out, &head, &how);
        same_response(&head, &out, method, body);
    }
    if head.is_interim() {
        let mut out = Vec::new();
        encode_interim(&mut out, &head);
        same_response(&head, &out, method, BodyOut::UntilClose);
    }
    Some(head)
}

fn same_response(head: &ResponseHead, out: &[u8], method: &Method, body: BodyOut) {
    let mut buf = BytesMut::from(out);
    let Ok(Scan::Complete { start: 0, end }) = HeadScan::response().advance(&buf, usize::MAX) else {
        panic!("not whole: {}", out.escape_ascii());
    };
    let again = match ResponseHead::parse(&mut buf, 0, end, method, Spare::default()) {
        Ok(again) => again,
        Err(error) => panic!("{error}: {}", out.escape_ascii()),
    };
    assert_eq!((again.status, again.reason()), (head.status, head.reason()));
    let expected = match (head.body, body) {
        (BodyLength::Empty, _) => BodyLength::Empty,
        (length, BodyOut::AsReceived) => length,
        (_, BodyOut::Chunked) => BodyLength::Chunked,
        (BodyLength::Length(length), BodyOut::LengthOnly) => BodyLength::Length(length),
        (_, BodyOut::LengthOnly | BodyOut::UntilClose) => BodyLength::UntilClose,
    };
    assert_eq!(again.body, expected, "{}", out.escape_ascii());
}

fn agree_on_request(raw: &[u8], head: &RequestHead) {
    let mut fields = [httparse::EMPTY_HEADER; 96];
    let mut reference = httparse::Request::new(&mut fields);
    // A minor version above 1 is one that httparse does not know.
    let version = minor_version(raw);
    if version > b'1' {
        return;
    }
    assert_eq!(reference.parse(raw), Ok(httparse::Status::Complete(raw.len())));
    assert_eq!(reference.method, Some(head.method.as_str()));
    assert_eq!(reference.version, Some(version - b'0'));
    if !head.is_absolute {
        assert_eq!(reference.path.map(str::as_bytes), Some(head.path_and_query()));
    }
    agree_on_fields(raw, &head.lines, reference.headers);
}

fn agree_on_response(raw: &[u8], head: &ResponseHead) {
    let mut fields = [httparse::EMPTY_HEADER; 96];
    let mut reference = httparse::Response::new(&mut fields);
    if raw[7] > b'1' {
        return;
    }
    assert_eq!(reference.parse(raw), Ok(httparse::Status::Complete(raw.len())));
    assert_eq!(reference.code, Some(head.status.as_u16()));
    if head.reason().is_ascii() {
        assert_eq!(reference.reason.map(str::as_bytes), Some(head.reason()));
    }
    agree_on_fields(raw, &head.lines, reference.headers);
}

fn agree_on_fields(raw: &[u8], lines: &[Line], reference: &[httparse::Header<'_>]) {
    assert_eq!(lines.len(), reference.len());
    for (line, field) in lines.iter().zip(reference) {
        assert_eq!(line.name(raw), field.name.as_bytes());
        assert_eq!(line.value(raw), field.value);
    }
}

/// The map that the decoder makes holds the lines that we found, those of one name in their order.
fn agree_on_map(raw: &[u8], lines: &[Line], map: &HeaderMap) {
    assert_eq!(map.len(), lines.len());
    for name in map.keys() {
        let same = lines.iter().filter(|line| line.name(raw).eq_ignore_ascii_case(name.as_str().as_bytes()));
        assert!(same.map(|line| line.value(raw)).eq(map.get_all(name).iter().map(HeaderValue::as_bytes)));
    }
}

/// The last digit of a request line's version.
fn minor_version(raw: &[u8]) -> u8 {
    let end = raw.iter().position(|byte| *byte == b'\r').expect("an accepted head has a line");
    raw[end - 1]
}
